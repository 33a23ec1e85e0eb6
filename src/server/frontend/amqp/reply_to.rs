//! Direct reply-to: a requester consumes from a name that stands for a queue of its channel, and
//! publishes with it as `reply-to`; whoever answers sees the name of that queue.

use leveret_amqp::{Properties, ReplyCode};
use leveret_core::{QueueId, QueueSpec};

use super::Amqp;
use super::refusal::Refusal;

/// What the queue of any channel is called by its requester.
pub(super) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// The replies of a channel.
#[derive(Debug)]
pub(super) struct Replies {
    /// Its queue, which goes with its consumer.
    queue: Box<str>,
    /// The consumer; 0 while it is not there yet.
    pub consumer: u64,
}

impl Amqp {
    /// The queue for the replies of a channel.
    pub(super) fn reply_queue(&mut self, channel: u16, no_ack: bool) -> Result<QueueId, Refusal> {
        if !no_ack {
            return Err(Refusal::precondition("reply consumer cannot acknowledge"));
        }
        if self.channel(channel).replies.is_some() {
            return Err(Refusal::precondition("reply consumer already set"));
        }
        let name = self.node.unique_name(&format!("{REPLY_TO}."));
        let spec = QueueSpec { auto_delete: true, ..QueueSpec::default() };
        let (id, _) = self.node.declare_queue(&self.vhost, &name, spec, true)?;
        self.channel(channel).replies = Some(Replies { queue: name.into(), consumer: 0 });
        Ok(id)
    }

    /// Where replies to a message really go, if it asks for direct ones.
    pub(super) fn reply_to(
        &mut self,
        channel: u16,
        properties: Properties<'_>,
    ) -> Result<Option<Box<str>>, Refusal> {
        if properties.reply_to() != Some(REPLY_TO) {
            return Ok(None);
        }
        match &self.channel(channel).replies {
            Some(replies) => Ok(Some(replies.queue.clone())),
            None => Err(Refusal::precondition("fast reply consumer does not exist")),
        }
    }
}

/// Refuses to bind the queue of a requester.
pub(super) fn check_binding(queue: &str) -> Result<(), Refusal> {
    if queue.starts_with(REPLY_TO) {
        let text = "cannot bind or unbind to a volatile (direct reply-to) queue".to_owned();
        return Err(Refusal { code: ReplyCode::AccessRefused, text });
    }
    Ok(())
}
