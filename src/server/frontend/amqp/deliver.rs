//! Deliveries to the client, and what it says of them.

use leveret_amqp::{
    Content, Deliver, Delivery as Token, Outcome, Properties, PropertiesBuilder, TableBuilder,
};
use leveret_core::{ConsumerId, Delivery, Encoding, EntryIndex, Message, QueueId, Settlement};

use super::super::mqtt::to_amqp;
use super::Amqp;
use crate::server::clock;
use crate::server::firehose::Tap;

/// Acknowledgements whose memory is kept for the next ones.
const ACKS_KEPT: usize = 1024;

/// Output that waits for the socket at which windows are not given back.
const WAITING_BYTES_MAX: usize = 64 * 1024;

impl Amqp {
    pub(super) fn deliver(&mut self, delivery: &Delivery) {
        let number = delivery.consumer.number;
        let window = self.node.config.consumer_window.len();
        self.window.debt_bytes += delivery.message.size_bytes();
        let Some(consumer) = self.consumers.get(number).filter(|consumer| !consumer.is_over) else {
            return self.hand_back(delivery);
        };
        let message = &*delivery.message;
        let converted = outgoing_properties(delivery, self.connection.frame_max());
        let sent = self.connection.deliver(
            consumer.channel,
            &Deliver {
                consumer_tag: &consumer.tag,
                delivery: Token { consumer: number, entry: delivery.index.0 },
                no_ack: !delivery.acknowledge,
                redelivered: delivery.redelivered,
                content: content(message, converted.as_deref()),
            },
        );
        if sent.is_none() {
            return self.hand_back(delivery);
        }
        let channel = consumer.channel;
        consumer.unsettled += usize::from(delivery.acknowledge);
        let before = consumer.debt_bytes;
        consumer.debt_bytes += message.size_bytes();
        let is_due = before < window / 4 && consumer.debt_bytes >= window / 4;
        if let Some(state) = self.channels.get_mut(&channel) {
            state.is_changed = true;
            let (is_manual, is_again) = (delivery.acknowledge, delivery.redelivered);
            state.counts().note_delivery(message.body().len(), is_manual, is_again);
        }
        if is_due {
            self.consumers.due.push(number);
        }
        self.node.tap(&self.peer, channel, Tap::Deliver(delivery));
    }

    /// Gives windows back to their queues once the socket has taken most of the output.
    pub(super) fn return_windows(&mut self, waiting: usize) {
        if waiting > WAITING_BYTES_MAX {
            return;
        }
        self.window.give_back();
        self.serve_line();
        if self.consumers.due.is_empty() {
            return;
        }
        for number in std::mem::take(&mut self.consumers.due) {
            let Some(consumer) = self.consumers.get(number) else { continue };
            let (queue, bytes) = (consumer.queue, std::mem::take(&mut consumer.debt_bytes));
            let id = self.id(number);
            self.node.shard_of(queue).post(|work| {
                if let Some(queue) = work.state.queue(queue) {
                    queue.written(id, bytes);
                    queue.pump(work.now_ms, &mut work.fx);
                }
            });
        }
    }

    /// Has those consumers served that wait for the window of the connection, while it has room.
    pub(super) fn serve_line(&mut self) {
        while let Some(number) = self.window.next_in_line() {
            let Some(consumer) = self.consumers.get(number) else { continue };
            let queue = consumer.queue;
            let id = self.id(number);
            self.node.shard_of(queue).post(|work| {
                if let Some(queue) = work.state.queue(queue) {
                    queue.call_up(id);
                    queue.pump(work.now_ms, &mut work.fx);
                }
            });
        }
    }

    /// Notes what the client acknowledges; [`Amqp::flush_batch`] carries it out.
    pub(super) fn acknowledge(&mut self, channel: u16, deliveries: &[Token]) {
        if self.acked_on != channel && self.has_acks() {
            self.flush_batch();
        }
        self.acked_on = channel;
        self.acked.extend_from_slice(deliveries);
    }

    /// Whether acknowledgements wait for the end of the batch.
    pub(super) fn has_acks(&self) -> bool {
        !self.acked.is_empty()
    }

    pub(super) fn flush_acks(&mut self) {
        if !self.has_acks() {
            return;
        }
        let mut acked = std::mem::take(&mut self.acked);
        self.settle(self.acked_on, Outcome::Ack, &acked);
        if acked.capacity() <= ACKS_KEPT {
            acked.clear();
            self.acked = acked;
        }
    }

    pub(super) fn settle(&mut self, channel: u16, outcome: Outcome, deliveries: &[Token]) {
        self.note_acks(channel, outcome, deliveries.len());
        self.settle_all(channel, deliveries, settlement(outcome));
    }

    pub(super) fn note_acks(&mut self, channel: u16, outcome: Outcome, count: usize) {
        if let Some(state) = self.channels.get_mut(&channel).filter(|_| outcome == Outcome::Ack) {
            state.counts().acked += count as u64;
        }
    }

    pub(super) fn requeue(&mut self, channel: u16, deliveries: &[Token]) {
        self.settle_all(channel, deliveries, Settlement::Requeue);
    }

    /// Settles deliveries, those of a consumer in a row with one batch.
    fn settle_all(&mut self, channel: u16, deliveries: &[Token], settlement: Settlement) {
        for run in deliveries.chunk_by(|a, b| a.consumer == b.consumer) {
            let number = run[0].consumer;
            // A queue that is gone has taken its messages with it.
            let Some(queue) = self.consumers.settled(number, run.len()) else { continue };
            let entries = run.iter().map(|token| EntryIndex(token.entry));
            self.node.settle(queue, self.id(number), entries, settlement);
        }
        self.note_credit(channel);
    }

    /// Notes that a transaction has settled deliveries.
    pub(super) fn note_settled(&mut self, channel: u16, deliveries: &[Token]) {
        for delivery in deliveries {
            self.consumers.settled(delivery.consumer, 1);
        }
        self.note_credit(channel);
    }

    /// Something was settled on a channel: its consumers may have room for more.
    pub(super) fn note_credit(&mut self, channel: u16) {
        let Some(state) = self.channels.get_mut(&channel) else { return };
        state.is_changed = true;
        if state.shared.take_shortage() {
            self.wake_consumers(channel);
        }
    }

    /// Hands out again to all consumers of a channel: their common limit has room.
    pub(super) fn wake_consumers(&mut self, channel: u16) {
        for number in self.consumers.of_channel(channel) {
            let Some(consumer) = self.consumers.get(number) else { continue };
            let queue = consumer.queue;
            self.node.shard_of(queue).post(|work| {
                if let Some(queue) = work.state.queue(queue) {
                    queue.pump(work.now_ms, &mut work.fx);
                }
            });
        }
    }

    /// A delivery for a consumer that is gone goes back to its queue.
    fn hand_back(&self, delivery: &Delivery) {
        if delivery.acknowledge {
            let Delivery { queue, consumer, index, .. } = *delivery;
            self.node.settle(queue, consumer, [index], Settlement::Requeue);
        }
    }

    pub(super) fn id(&self, number: u64) -> ConsumerId {
        ConsumerId { connection: self.peer.id, number }
    }

    /// Takes a consumer off its queue.
    pub(super) fn cancel_in_shard(&mut self, number: u64) {
        let Some(consumer) = self.consumers.get(number) else { return };
        let queue: QueueId = consumer.queue;
        let id = self.id(number);
        self.node.shard_of(queue).post(|work| {
            if let Some(queue) = work.state.queue(queue) {
                queue.cancel(id, &mut work.fx);
                queue.pump(work.now_ms, &mut work.fx);
            }
        });
    }
}

/// What the core calls an outcome.
pub(super) fn settlement(outcome: Outcome) -> Settlement {
    match outcome {
        Outcome::Ack => Settlement::Ack,
        Outcome::Requeue => Settlement::Requeue,
        Outcome::Discard => Settlement::Discard,
    }
}

/// The content of a message, with properties that may have come from elsewhere.
pub(super) fn content<'a>(message: &'a Message, properties: Option<&'a [u8]>) -> Content<'a> {
    Content {
        exchange: message.exchange(),
        routing_key: message.routing_key(),
        properties: properties.unwrap_or_else(|| message.properties()),
        body: message.body(),
        shared: message.large_body(),
    }
}

/// The properties of a delivery, if they are not those of its message as they are: it did not come
/// from an AMQP client, or its queue counts deliveries.
pub(super) fn outgoing_properties(delivery: &Delivery, frame_max: u32) -> Option<Vec<u8>> {
    let message = &*delivery.message;
    let converted = converted_properties(message, frame_max);
    if delivery.delivery_count == 0 {
        return converted;
    }
    let properties = Properties::from_encoded(converted.as_deref().unwrap_or(message.properties()));
    let others = properties.headers();
    let others = others.iter().flat_map(|headers| headers.iter());
    let mut headers = TableBuilder::new();
    headers.extend(others.filter(|(name, _)| *name != DELIVERY_COUNT));
    headers.insert(DELIVERY_COUNT, i64::from(delivery.delivery_count));
    let headers = Some(headers.as_table());
    let counted = PropertiesBuilder { headers, ..properties.into() }.encode();
    let fits = counted.len() + HEADER_OVERHEAD_BYTES <= frame_max as usize;
    if fits { Some(counted) } else { converted }
}

/// The properties of a message that did not come from an AMQP client.
pub(super) fn converted_properties(message: &Message, frame_max: u32) -> Option<Vec<u8>> {
    if message.encoding() == Encoding::Amqp {
        return None;
    }
    let bytes_max = (frame_max as usize).saturating_sub(HEADER_OVERHEAD_BYTES);
    Some(to_amqp(message.properties(), &message.facts(), clock::now_ms(), bytes_max))
}

/// How often a message was handed out before.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// What a content header frame has besides the properties.
pub(super) const HEADER_OVERHEAD_BYTES: usize = 20;
