//! What a queue is told and what it answers: the values that cross its border.

use std::sync::Arc;

use super::{DeduplicationSettings, Delivery};
use crate::{EntryIndex, QueueId, Subscription};

/// What a queue is, for the shard that executes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueSettings {
    /// Persistent messages survive a restart.
    pub durable: bool,
    /// It goes when its last consumer goes.
    pub auto_delete: bool,
    /// One of its consumers gets everything, until it goes.
    pub single_active_consumer: bool,
    /// Messages are dropped so many milliseconds after they were published.
    pub message_ttl_ms: Option<u64>,
    /// It goes when it was not used for so many milliseconds.
    pub expires_ms: Option<u64>,
    /// So many messages may wait.
    pub max_length: Option<u64>,
    /// So many bytes may wait, bodies alone counted.
    pub max_length_bytes: Option<u64>,
    /// What goes if more come.
    pub overflow: Overflow,
    /// The highest priority; greater ones count as this.
    pub max_priority: u8,
    /// A message that was handed out more often than this and comes back is dropped.
    pub delivery_limit: Option<u32>,
    /// Consumers are told how often a message was handed out before.
    pub counts_deliveries: bool,
    /// How long a consumer may leave a message without settlement.
    pub consumer_timeout_ms: Option<u64>,
    /// A message is taken once only, as long as the queue remembers.
    pub deduplication: Option<DeduplicationSettings>,
    /// MQTT messages with QoS 0 wait as well while no consumer is there.
    pub keeps_qos0: bool,
    /// What is rejected or dropped is handed over, and stays until it is published elsewhere.
    pub dead_letters: bool,
}

/// What a queue does with one message too many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest goes.
    #[default]
    DropHead,
    /// The new one is refused.
    RejectPublish,
    /// The new one is refused, and handed over to be published elsewhere.
    RejectPublishDeadLetter,
}

/// A message on its way into a queue. See [`crate::ShardState::place`].
#[derive(Debug, Clone)]
pub struct Placement {
    /// The queue.
    pub queue: QueueId,
    /// The place that the message will have there.
    pub index: EntryIndex,
    /// Counts the entries of an MQTT session that need an acknowledgement; 0 elsewhere.
    pub sequence: u64,
    /// The merged MQTT subscriptions that matched; `None` for an AMQP binding.
    pub subscription: Option<Arc<Subscription>>,
    /// It comes from the retained store, because of a subscription.
    pub retained: bool,
    /// It survives a restart.
    pub durable: bool,
}

/// What becomes of an entry that was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Done with.
    Ack,
    /// Back to its place in the queue, marked as redelivered.
    Requeue,
    /// Refused for good.
    Discard,
}

/// A consumer cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("queue in exclusive use")]
pub struct InExclusiveUse;

/// The answer to a single `get`.
#[derive(Debug)]
pub enum Got {
    /// A message, and how many are left.
    Message(Delivery, usize),
    /// The next message has to be read from the journal first; ask again after the fetch.
    Fetching,
    /// Nothing waits.
    Empty,
}
