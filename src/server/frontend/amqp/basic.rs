//! Basic methods but for publishing: qos, consume, cancel, get.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_amqp::method::basic::{Cancel, Consume, Get, Qos};
use leveret_amqp::{Delivery as Token, Get as GetOk, MethodId, ReplyCode, ServerMethod, method};
use leveret_core::{ConsumerOptions, Got, QueueId, Value};

use super::deliver::{content, outgoing_properties};
use super::queue::count;
use super::refusal::Refusal;
use super::reply_to::REPLY_TO;
use super::{Amqp, from_table};
use crate::server::clock;
use crate::server::connections::ConsumerFacts;
use crate::server::events::ConsumerFacts as Announced;
use crate::server::firehose::Tap;
use crate::server::limits::Limit;
use crate::server::outbox::Mail;

/// A `basic.get` whose message is being read.
#[derive(Debug)]
pub(super) struct WaitingGet {
    channel: u16,
    queue: QueueId,
    no_ack: bool,
    pub retry_at: Instant,
}

/// How long to wait before looking again whether a message has been read.
const RETRY: Duration = Duration::from_millis(1);

impl Amqp {
    pub(super) fn qos(&mut self, channel: u16, qos: Qos) -> Result<(), Refusal> {
        if qos.global {
            let limit = self.unacked_max(qos.prefetch_count);
            let state = self.channel(channel);
            state.global_prefetch = qos.prefetch_count;
            state.shared.set_limit(limit);
            self.wake_consumers(channel);
        } else {
            self.channel(channel).prefetch = qos.prefetch_count;
        }
        self.connection.reply(channel, ServerMethod::BasicQosOk);
        Ok(())
    }

    /// How many deliveries of a channel may wait for acknowledgement if its client asks for a prefetch of
    /// so many; 0 is without end.
    pub(super) fn unacked_max(&self, prefetch: u16) -> u32 {
        let limits = [u32::from(prefetch), self.node.config.amqp_unacked_max];
        limits.into_iter().filter(|&limit| limit > 0).min().unwrap_or(0)
    }

    pub(super) fn consume(&mut self, channel: u16, consume: &Consume<'_>) -> Result<(), Refusal> {
        let for_replies = consume.queue == REPLY_TO;
        let queue = match for_replies {
            true => self.reply_queue(channel, consume.no_ack)?,
            false => self.find_queue_to_read(channel, consume.queue)?,
        };
        let resource = self.resource(queue);
        let tag = match consume.consumer_tag {
            "" => self.node.unique_name("amq.ctag-"),
            tag => tag.to_owned(),
        };
        if self.consumers.find(channel, &tag).is_some() {
            let text = format!("attempt to reuse consumer tag '{tag}'");
            return Err(Refusal::connection(ReplyCode::NotAllowed, text));
        }
        let max = self.node.config.amqp_consumers_max;
        if self.consumers.count_of_channel(channel) >= max as usize {
            self.node.refusals.note(Limit::Consumers);
            let text = format!("reached maximum ({max}) of consumers per channel");
            return Err(Refusal::connection(ReplyCode::NotAllowed, text));
        }
        let priority = priority(consume.arguments, &resource)?;
        let state = self.channel(channel);
        let (prefetch, shared) = (u32::from(state.prefetch), Arc::clone(&state.shared));
        let options = ConsumerOptions {
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            priority,
            prefetch,
            shared: Some(shared),
            window_bytes: self.node.config.consumer_window.len(),
            shared_window: Some(self.window.shared.clone()),
        };
        let number = self.consumers.add(channel, &tag, queue);
        if let Some(replies) = self.channel(channel).replies.as_mut().filter(|_| for_replies) {
            replies.consumer = number;
        }
        if !self.start_consumer(number, queue, options) {
            self.consumers.end(number);
            let text = format!("{resource} in exclusive use");
            return Err(Refusal { code: ReplyCode::AccessRefused, text });
        }
        self.show_consumer(number, queue, consume);
        self.announce_consumer(channel, &tag, queue, consume);
        if !consume.no_wait {
            let method = ServerMethod::BasicConsumeOk { consumer_tag: &tag };
            self.connection.reply(channel, method);
        }
        Ok(())
    }

    /// Says whether the queue takes the consumer. What it hands out waits in the outbox, so that the
    /// answer leaves before the first delivery.
    fn start_consumer(&self, number: u64, queue: QueueId, options: ConsumerOptions) -> bool {
        let id = self.id(number);
        let shard = self.node.shard_of(queue);
        shard.attach(self.peer.id, &self.peer.outbox);
        shard.post(|work| {
            // A queue that is gone by now would have cancelled its consumers: so will this one be.
            let Some(target) = work.state.queue(queue) else {
                work.fx.cancelled.push((queue, id));
                return true;
            };
            let started = target.consume(id, options).is_ok();
            target.pump(work.now_ms, &mut work.fx);
            started
        })
    }

    pub(super) fn cancel(&mut self, channel: u16, cancel: &Cancel<'_>) -> Result<(), Refusal> {
        if let Some(number) = self.consumers.find(channel, cancel.consumer_tag) {
            self.cancel_in_shard(number);
            self.channel(channel).replies.take_if(|replies| replies.consumer == number);
            // What was on its way stands before the answer.
            let mut mail = Mail::default();
            self.peer.outbox.take(&mut mail, None);
            self.take_mail(&mut mail);
            self.end_consumer(number);
        }
        self.channel(channel);
        if !cancel.no_wait {
            let method = ServerMethod::BasicCancelOk { consumer_tag: cancel.consumer_tag };
            self.connection.reply(channel, method);
        }
        Ok(())
    }

    fn take_mail(&mut self, mail: &mut Mail) {
        use super::Frontend;
        self.handle_mail(mail);
    }

    /// A queue is gone and its consumer with it.
    pub(super) fn consumer_cancelled(&mut self, number: u64) {
        let Some(consumer) = self.consumers.get(number).filter(|consumer| !consumer.is_over) else {
            return;
        };
        let (channel, tag) = (consumer.channel, consumer.tag.clone());
        self.end_consumer(number);
        self.channel(channel);
        self.connection.reply(channel, ServerMethod::BasicCancel { consumer_tag: &tag });
        // What it held counts no more.
        self.note_credit(channel);
    }

    /// A delivery was not settled in the time that its queue allows: its channel is closed, so that
    /// everything that the channel holds goes back.
    pub(super) fn consumer_overdue(&mut self, now: Instant, number: u64, timeout_ms: u64) {
        let Some(consumer) = self.consumers.get(number) else { return };
        let channel = consumer.channel;
        let text = format!(
            "delivery acknowledgement on channel {channel} timed out. Timeout value used: \
             {timeout_ms} ms. This timeout value can be configured, see consumers doc guide to learn \
             more"
        );
        self.refuse(now, channel, &Refusal::precondition(text), MethodId::NONE);
    }

    pub(super) fn get(&mut self, channel: u16, get: &Get<'_>) -> Result<(), Refusal> {
        let queue = self.find_queue_to_read(channel, get.queue)?;
        let max = self.unacked_max(0) as usize;
        if !get.no_ack && max > 0 && self.connection.unsettled_len(channel) >= max {
            self.node.refusals.note(Limit::Unacked);
            let text = format!("reached maximum ({max}) of unacknowledged messages per channel");
            return Err(Refusal::precondition(text));
        }
        let retry_at = clock::now();
        self.get_from(WaitingGet { channel, queue, no_ack: get.no_ack, retry_at });
        Ok(())
    }

    /// Looks again for a message that was being read.
    pub(super) fn retry_get(&mut self, now: Instant) {
        if let Some(get) = self.waiting_get.take_if(|get| get.retry_at <= now) {
            self.get_from(get);
        }
    }

    fn get_from(&mut self, get: WaitingGet) {
        let WaitingGet { channel, queue, no_ack, .. } = get;
        let number = self.consumers.add_get(channel, queue);
        let id = self.id(number);
        let shard = self.node.shard_of(queue);
        if !no_ack {
            shard.attach(self.peer.id, &self.peer.outbox);
        }
        let got = shard.post(|work| match work.state.queue(queue) {
            Some(target) => {
                let got = target.get(id, no_ack, work.now_ms, &mut work.fx);
                // What is held now may be held for too long.
                target.pump(work.now_ms, &mut work.fx);
                got
            }
            None => Got::Empty,
        });
        match got {
            Got::Message(delivery, left) => {
                let message = &*delivery.message;
                let converted = outgoing_properties(&delivery, self.connection.frame_max());
                let sent = self.connection.get_ok(
                    channel,
                    &GetOk {
                        delivery: Token { consumer: number, entry: delivery.index.0 },
                        no_ack,
                        redelivered: delivery.redelivered,
                        message_count: count(left),
                        content: content(message, converted.as_deref()),
                    },
                );
                if let Some(consumer) = self.consumers.get(number) {
                    consumer.unsettled = usize::from(!no_ack && sent.is_some());
                }
                self.channel(channel).counts().note_get(!no_ack, delivery.redelivered);
                self.node.tap(&self.peer, channel, Tap::Deliver(&delivery));
            }
            Got::Fetching => {
                let retry_at = clock::now() + RETRY;
                self.waiting_get = Some(WaitingGet { retry_at, ..get });
            }
            Got::Empty => {
                self.channel(channel).counts().got_empty += 1;
                self.connection.reply(channel, ServerMethod::BasicGetEmpty);
            }
        }
        self.consumers.end(number);
        self.channel(channel);
    }

    /// Shows management a consumer.
    fn show_consumer(&mut self, number: u64, queue: QueueId, consume: &Consume<'_>) {
        let Some(consumer) = self.consumers.get(number) else { return };
        let (channel, tag) = (consumer.channel, consumer.tag.clone());
        let arguments = from_table(consume.arguments);
        let facts = ConsumerFacts { number, tag, channel, queue, arguments };
        self.peer.activity().consumers.push(Arc::new(facts));
    }

    /// Hides a consumer from management. They are in the order of their numbers.
    fn hide_consumer(&self, number: u64) {
        let consumers = &mut self.peer.activity().consumers;
        if let Ok(at) = consumers.binary_search_by_key(&number, |facts| facts.number) {
            consumers.remove(at);
        }
    }

    /// A consumer gets nothing more.
    fn end_consumer(&mut self, number: u64) {
        self.hide_consumer(number);
        self.announce_end_of_consumer(number);
        self.consumers.end(number);
    }

    fn announce_consumer(&self, channel: u16, tag: &str, queue: QueueId, consume: &Consume<'_>) {
        if !self.node.events.are_on() {
            return;
        }
        let name = self.name_of(queue);
        let prefetch = self.channels.get(&channel).map_or(0, |channel| channel.prefetch);
        let more = vec![
            ("exclusive", consume.exclusive.into()),
            ("ack_required", (!consume.no_ack).into()),
            ("prefetch_count", i64::from(prefetch).into()),
            ("arguments", Value::Table(from_table(consume.arguments))),
        ];
        let facts = Announced { tag, channel, queue: name.as_deref(), more };
        self.node.announce_consumer("consumer.created", &self.peer, facts);
    }

    /// Tells those who look on that a consumer is about to go.
    pub(super) fn announce_end_of_consumer(&mut self, number: u64) {
        if !self.node.events.are_on() {
            return;
        }
        let Some(consumer) = self.consumers.get(number) else { return };
        let (channel, tag, queue) = (consumer.channel, consumer.tag.clone(), consumer.queue);
        let name = self.name_of(queue);
        let facts = Announced { tag: &tag, channel, queue: name.as_deref(), more: Vec::new() };
        self.node.announce_consumer("consumer.deleted", &self.peer, facts);
    }

    fn name_of(&self, queue: QueueId) -> Option<Arc<str>> {
        self.node.topology().queue_by_id(queue).map(|queue| queue.name.clone())
    }

    /// A queue as error texts name it.
    fn resource(&self, queue: QueueId) -> String {
        let topology = self.node.topology();
        topology.queue_by_id(queue).map_or_else(String::new, |queue| queue.resource().to_string())
    }
}

/// What a refused publish is about.
pub(super) const PUBLISH: MethodId = method::basic::PUBLISH;

/// The priority that a consumer asks for.
fn priority(arguments: leveret_amqp::Table<'_>, queue: &str) -> Result<i32, Refusal> {
    match from_table(arguments).get("x-priority") {
        None => Ok(0),
        Some(value) => match value.as_integer() {
            Some(priority) => Ok(priority.clamp(i32::MIN.into(), i32::MAX.into()) as i32),
            None => Err(Refusal::precondition(format!(
                "invalid arg 'x-priority' for {queue}: {{unacceptable_type,{}}}",
                value.type_name()
            ))),
        },
    }
}
