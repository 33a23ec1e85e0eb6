//! What a shard wants done after a command: a buffer that the executor empties and reuses.

use std::sync::Arc;

use crate::{ConsumerId, EntryIndex, Message, Position, QueueId, Subscription};

/// The effects of one batch of commands, in the order in which they arose within each list.
#[derive(Debug, Default)]
pub struct Effects {
    /// Messages handed to consumers. These leave at once: a delivery never waits for the disk.
    pub deliveries: Vec<Delivery>,
    /// Durable entries handed out, to be journalled so that `redelivered` survives a restart.
    pub delivered: Vec<(QueueId, EntryIndex)>,
    /// Durable entries that are done with, to be journalled.
    pub settled: Vec<(QueueId, EntryIndex)>,
    /// References to journal records that are no longer needed.
    pub released: Vec<Position>,
    /// Messages to be written to the journal to save memory; answered by `ShardState::spilled`.
    pub spills: Vec<Spill>,
    /// Messages to be read from the journal; answered by `ShardState::fetched`.
    pub fetches: Vec<Fetch>,
    /// Consumers that lost their queue.
    pub cancelled: Vec<(QueueId, ConsumerId)>,
    /// Auto-delete queues whose last consumer went.
    pub unused: Vec<QueueId>,
    /// Bytes of message memory that may still be taken before queues put messages out of memory.
    /// The shard sets it, queues count it down and up.
    pub resident_bytes_free: i64,
}

/// A message on its way to a consumer.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Who gets it.
    pub consumer: ConsumerId,
    /// The queue that it comes from.
    pub queue: QueueId,
    /// Its place there; the consumer settles it by this.
    pub index: EntryIndex,
    /// The message.
    pub message: Arc<Message>,
    /// The merged MQTT subscriptions that it matched; `None` for an AMQP binding.
    pub subscription: Option<Arc<Subscription>>,
    /// The place among the entries of an MQTT session that need an acknowledgement.
    pub sequence: u64,
    /// The quality of service at which it is delivered.
    pub qos: u8,
    /// It was handed out before.
    pub redelivered: bool,
    /// It comes from the retained store, because of a subscription.
    pub retained: bool,
    /// The consumer has to settle it.
    pub acknowledge: bool,
}

/// A message to be put into the journal to save memory.
#[derive(Debug)]
pub struct Spill {
    /// The queue that it waits in.
    pub queue: QueueId,
    /// Its place there.
    pub index: EntryIndex,
    /// The message.
    pub message: Arc<Message>,
}

/// A batch of messages that a queue needs back in memory.
#[derive(Debug)]
pub struct Fetch {
    /// The queue that waits for them.
    pub queue: QueueId,
    /// Which entries, and where they are in the journal.
    pub entries: Vec<(EntryIndex, Position)>,
}

impl Effects {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
            && self.delivered.is_empty()
            && self.settled.is_empty()
            && self.released.is_empty()
            && self.spills.is_empty()
            && self.fetches.is_empty()
            && self.cancelled.is_empty()
            && self.unused.is_empty()
    }

    /// Drops all effects but keeps the buffers: what replay does with them.
    pub fn clear(&mut self) {
        self.deliveries.clear();
        self.delivered.clear();
        self.settled.clear();
        self.released.clear();
        self.spills.clear();
        self.fetches.clear();
        self.cancelled.clear();
        self.unused.clear();
    }
}
