//! What the tests of queues share.

use std::sync::Arc;

use super::{DeathReason, Effects, Queue, QueueSettings};
use crate::{
    Body, ConnectionId, ConsumerId, Draft, Encoding, Facts, Message, Position, QueueId, Reference,
};

pub(super) const QUEUE: QueueId = QueueId(1);

pub(super) const GETTER: ConsumerId = ConsumerId { connection: ConnectionId(1), number: 1 };

/// A durable queue with a place for dead letters.
pub(super) fn queue(settings: QueueSettings) -> Queue {
    Queue::new(QUEUE, QueueSettings { durable: true, dead_letters: true, ..settings })
}

/// A durable message with a body of one byte.
pub(super) fn message(timestamp_ms: u64) -> Message {
    message_with(Facts { timestamp_ms, ..Facts::default() })
}

pub(super) fn message_with(facts: Facts) -> Message {
    Message::new(Draft {
        exchange: "",
        routing_key: "q",
        encoding: Encoding::None,
        properties: &[],
        body: Body::Borrowed(b"x"),
        facts: Facts { persistent: true, qos: 1, ..facts },
    })
}

/// A message that was published at a time, with the record of this number.
pub(super) fn publish(queue: &mut Queue, number: u64, timestamp_ms: u64, fx: &mut Effects) {
    publish_message(queue, number, message(timestamp_ms), fx);
}

pub(super) fn publish_message(queue: &mut Queue, number: u64, message: Message, fx: &mut Effects) {
    let now_ms = message.facts().timestamp_ms;
    let placement = queue.place(&message, None, false).unwrap();
    let reference = Reference { at: Position(number), bytes: 48 };
    queue.publish(placement, Arc::new(message), Some(reference), now_ms, fx);
    queue.pump(now_ms, fx);
}

/// Without pages, and with memory for everything.
pub(super) fn effects() -> Effects {
    Effects { resident_bytes_free: 1 << 20, ..Effects::default() }
}

/// The places of what was handed over, and why it was.
pub(super) fn died(fx: &mut Effects) -> Vec<(u64, DeathReason)> {
    fx.deaths.drain(..).map(|death| (death.index.unwrap().0, death.reason)).collect()
}
