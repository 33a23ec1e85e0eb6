//! PUBLISH to a client, and what it says of it.

use leveret_core::{Delivery, Encoding, EntryIndex, Settlement};
use leveret_mqtt::{Deliver, Delivery as Sent, Qos, Version};

use super::properties::from_amqp;
use super::{Mqtt, Promise, Session};
use crate::server::clock;
use crate::server::firehose::Tap;

/// The packet identifier of an entry: the same whenever it is sent, also after a restart, because it
/// follows from the entry's place among those that need one.
pub(super) fn packet_id(sequence: u64) -> u16 {
    (sequence % u64::from(u16::MAX)) as u16 + 1
}

impl Mqtt {
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        if !self.blocked.is_empty() {
            return self.blocked.push_back(delivery);
        }
        self.send(delivery);
    }

    /// Tries deliveries again whose packet identifier was in flight.
    pub(super) fn retry_blocked(&mut self) {
        while let Some(delivery) = self.blocked.pop_front() {
            let waiting = self.blocked.len();
            self.send(delivery);
            if self.blocked.len() > waiting {
                // It is blocked still: back to the front.
                self.blocked.rotate_right(1);
                return;
            }
        }
    }

    fn send(&mut self, delivery: Delivery) {
        match self.transmit(&delivery) {
            Sent::Sent => {
                let body_bytes = delivery.message.body().len();
                let (is_manual, is_again) = (delivery.acknowledge, delivery.redelivered);
                self.counts().note_delivery(body_bytes, is_manual, is_again);
                self.debt_bytes += delivery.message.size_bytes();
                self.node.tap(&self.peer, 0, Tap::Deliver(&delivery));
            }
            Sent::Dropped => {
                self.counts().failed += 1;
                self.debt_bytes += delivery.message.size_bytes();
                if delivery.acknowledge {
                    let Delivery { queue, consumer, index, .. } = delivery;
                    self.node.settle(queue, consumer, [index], Settlement::Ack);
                }
            }
            Sent::Blocked => self.blocked.push_back(delivery),
        }
    }

    fn transmit(&mut self, delivery: &Delivery) -> Sent {
        let message = &delivery.message;
        let facts = message.facts();
        let subscription = delivery.subscription.as_deref();
        let qos = Qos::from_u8(delivery.qos).unwrap_or(Qos::AtLeastOnce);
        // It may be a routing key of AMQP that no topic stands for.
        let Some((key, topic)) = self.sent_topic.names_of(message) else { return Sent::Dropped };
        if let Some(reader) = &mut self.reader
            && !reader.may_read(&self.node, key)
        {
            return Sent::Dropped;
        }
        let built;
        let properties = match message.encoding() {
            _ if self.connection.version() != Version::V5 => &[],
            Encoding::Mqtt => message.properties(),
            Encoding::None => &[],
            Encoding::Amqp => {
                built = from_amqp(message.properties());
                &built[..]
            }
        };
        let left = facts.expires_at_ms.map(|at| at.saturating_sub(clock::now_ms()).div_ceil(1000));
        self.connection.deliver(&Deliver {
            token: delivery.index.0,
            topic,
            qos,
            retain: delivery.retained
                || (facts.retain && subscription.is_some_and(|s| s.retain_as_published)),
            dup: delivery.redelivered && qos != Qos::AtMostOnce,
            packet_id: if qos == Qos::AtMostOnce { 0 } else { packet_id(delivery.sequence) },
            properties,
            message_expiry: left.map(|left| left.try_into().unwrap_or(u32::MAX)),
            subscription_ids: subscription.map_or(&[], |subscription| &subscription.ids),
            payload: message.body(),
            shared: message.large_body(),
        })
    }

    /// PUBREC: noted durably before PUBREL leaves, so that a restart does not send it again.
    pub(super) fn handle_received(&mut self, token: u64, packet_id: u16) {
        let Some(Session { queue, consumer, .. }) = self.session else { return };
        let entry = EntryIndex(token);
        let promise = self.node.shard_of(queue).post(|work| {
            let is_durable = work.state.queue(queue)?.receive(consumer, entry, &mut work.fx);
            let kind = leveret_core::record::Kind::Receive;
            is_durable.then(|| work.journal.runs(kind, &mut vec![(queue, entry)])).flatten()
        });
        self.gate.push(promise, Promise::Pubrel(packet_id));
    }

    /// Gives window bytes back to the queue that have gone to the socket. `waiting` are those that
    /// have not.
    pub(super) fn return_window(&mut self, waiting: usize) {
        let Some(Session { queue, consumer, .. }) = self.session else { return };
        let written = self.debt_bytes.saturating_sub(waiting);
        if written < self.node.config.consumer_window.len() / 4 {
            return;
        }
        self.debt_bytes -= written;
        self.node.shard_of(queue).post(|work| {
            if let Some(queue) = work.state.queue(queue) {
                queue.written(consumer, written);
                queue.pump(work.now_ms, &mut work.fx);
            }
        });
    }
}
