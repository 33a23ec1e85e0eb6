//! What has to wait until somebody outside has said whether it is allowed, and is done again then.
//!
//! It has changed nothing before: rights are checked first. Nothing else is taken from the client meanwhile, so
//! the order stays.

use std::sync::Arc;
use std::time::Instant;

use leveret_amqp::{MethodId, Publish, Settlements};
use tokio::sync::oneshot;

use super::Amqp;

/// What is to be done.
pub(super) enum Held {
    /// Entering a virtual host.
    Open(Arc<str>),
    /// A method on a channel, and its arguments.
    Method(u16, MethodId, Box<[u8]>),
    /// A publish.
    Publish(Publish<'static>),
    /// The end of a transaction.
    Commit(u16, Settlements),
}

/// What waits, and for what.
pub(super) struct Waiting {
    held: Held,
    answered: oneshot::Receiver<()>,
}

impl Amqp {
    /// Keeps something until it is known whether it is allowed.
    pub(super) fn hold(&mut self, held: Held) {
        let answered = self.identity.ask_for(&self.peer.outbox);
        self.waiting = Some(Box::new(Waiting { held, answered }));
    }

    /// Does what had to wait, if there is an answer.
    pub(super) fn finish_held(&mut self, now: Instant) {
        let is_answered = |waiting: &mut Box<Waiting>| {
            waiting.answered.try_recv() != Err(oneshot::error::TryRecvError::Empty)
        };
        let Some(waiting) = self.waiting.take_if(is_answered) else { return };
        let goes_on = match &waiting.held {
            Held::Open(_) => !self.connection.is_closed(),
            // The broker may have closed the channel meanwhile.
            Held::Method(channel, ..) | Held::Commit(channel, _) => self.has_channel(*channel),
            Held::Publish(publish) => self.has_channel(publish.channel),
        };
        if !goes_on {
            return;
        }
        match waiting.held {
            Held::Open(vhost) => self.handle_open(now, &vhost),
            Held::Method(channel, id, arguments) => {
                if let Some(method) = self.connection.parse_again(id, &arguments) {
                    self.handle_method(now, channel, (method, &arguments));
                }
            }
            Held::Publish(publish) => self.handle_publish(now, publish),
            Held::Commit(channel, settlements) => self.handle_commit(now, channel, settlements),
        }
        self.flush_batch();
    }

    fn has_channel(&self, channel: u16) -> bool {
        self.connection.is_running() && self.channels.contains_key(&channel)
    }

    /// What was allowed a while ago may not be any more.
    pub(super) fn forget_old(&self, now: Instant) {
        if self.waiting.is_none() {
            self.identity.forget_old(now);
        }
    }
}
