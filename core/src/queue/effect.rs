//! What a shard wants done after a command: a buffer that the executor empties and reuses.

use std::sync::Arc;

use bytes::Bytes;

use super::backlog::{DiscardedPage, PageFetch};
use crate::{ConsumerId, EntryIndex, Message, Position, QueueId, Reference, Share, Subscription};

/// The effects of one batch of commands, in the order in which they arose within each list.
#[derive(Debug)]
pub struct Effects {
    /// Messages handed to consumers. These leave at once: a delivery never waits for the disk.
    pub deliveries: Vec<Delivery>,
    /// Durable entries handed out, to be journalled so that `redelivered` survives a restart.
    pub delivered: Vec<(QueueId, EntryIndex)>,
    /// Durable entries that are done with, to be journalled.
    pub settled: Vec<(QueueId, EntryIndex)>,
    /// References to journal records that are no longer needed.
    pub released: Vec<Reference>,
    /// References that a replay has found: those of operation are made by the executor.
    pub retained: Vec<Reference>,
    /// Messages to be written to the journal to save memory; answered by
    /// [`Queue::spilled`](crate::Queue::spilled).
    pub spills: Vec<Spill>,
    /// Entries to be written to the journal to save memory; answered by
    /// [`Queue::paged_out`](crate::Queue::paged_out). A
    /// replay cannot write: [`Queue::page_out`](crate::Queue::page_out) asks again.
    pub pages: Vec<PageOut>,
    /// Pages whose references are to be released, by somebody who may wait for the disk.
    pub discarded: Vec<DiscardedPage>,
    /// Messages to be read from the journal; answered by [`Queue::fetched`](crate::Queue::fetched).
    pub fetches: Vec<Fetch>,
    /// Messages that were rejected or dropped, to be published elsewhere and then answered by
    /// [`Queue::left`](crate::Queue::left).
    pub deaths: Vec<Death>,
    /// Queues that want to be pumped at a time, in milliseconds since the Unix epoch.
    pub wakes: Vec<(QueueId, u64)>,
    /// Queues that go when they are not used for so many milliseconds from now.
    pub idle: Vec<(QueueId, u64)>,
    /// Consumers that lost their queue.
    pub cancelled: Vec<(QueueId, ConsumerId)>,
    /// Consumers that could be served if the window of their connection had room. Once it has, they are
    /// to be called up by [`Queue::call_up`](crate::Queue::call_up), in the order in which they came.
    pub stalled: Vec<ConsumerId>,
    /// Consumers that hold a message for longer than their queue allows, with what it allows in
    /// milliseconds.
    pub overdue: Vec<(ConsumerId, u64)>,
    /// Auto-delete queues whose last consumer went.
    pub unused: Vec<QueueId>,
    /// Bytes of message memory that may still be taken before queues put messages out of memory.
    /// The shard sets it, queues count it down and up.
    pub resident_bytes_free: i64,
    /// How many entries make a page.
    pub page_len_max: usize,
}

/// Entries of a page for most queues: with small messages, a page is read in one go and 1,024
/// entries share what the queue keeps of it.
pub const PAGE_LEN_MAX: usize = 1024;

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
    /// How often, if its queue says so.
    pub delivery_count: u32,
    /// It comes from the retained store, because of a subscription.
    pub retained: bool,
    /// The consumer has to settle it.
    pub acknowledge: bool,
}

/// A message that leaves its queue otherwise than by an acknowledgement.
#[derive(Debug, Clone)]
pub struct Death {
    /// The queue.
    pub queue: QueueId,
    /// Its place there, to be given to [`Queue::left`](crate::Queue::left); `None` if it was refused.
    pub index: Option<EntryIndex>,
    /// The message, if it is in memory.
    pub message: Option<Arc<Message>>,
    /// Where the journal has it, if it has.
    pub at: Option<Position>,
    /// Why it leaves.
    pub reason: DeathReason,
    /// Whose other members it is for, if that is the reason.
    pub share: Option<Arc<Share>>,
}

/// Why a message leaves its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathReason {
    /// A consumer did not want it.
    Rejected,
    /// Its time to live is over.
    Expired,
    /// It made place for newer ones.
    MaxLength,
    /// It came back too often.
    DeliveryLimit,
    /// It is of a shared subscription, and the client that had it has gone.
    MemberLeft,
}

impl DeathReason {
    /// As AMQP clients know it.
    pub fn name(self) -> &'static str {
        match self {
            DeathReason::Rejected => "rejected",
            DeathReason::Expired => "expired",
            DeathReason::MaxLength => "maxlen",
            DeathReason::DeliveryLimit => "delivery_limit",
            DeathReason::MemberLeft => "member_left",
        }
    }
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

/// Entries to be put into the journal to save memory.
#[derive(Debug)]
pub struct PageOut {
    /// The queue that they wait in.
    pub queue: QueueId,
    /// The first of them.
    pub first: EntryIndex,
    /// All of them, written.
    pub entries: Bytes,
}

/// A batch of messages that a queue needs back in memory.
#[derive(Debug)]
pub struct Fetch {
    /// The queue that waits for them.
    pub queue: QueueId,
    /// A page to be read first; the messages are then of its entries.
    pub page: Option<PageFetch>,
    /// Which entries, and where they are in the journal.
    pub entries: Vec<(EntryIndex, Position)>,
}

impl Default for Effects {
    fn default() -> Self {
        Effects {
            deliveries: Vec::new(),
            delivered: Vec::new(),
            settled: Vec::new(),
            released: Vec::new(),
            retained: Vec::new(),
            spills: Vec::new(),
            pages: Vec::new(),
            discarded: Vec::new(),
            fetches: Vec::new(),
            deaths: Vec::new(),
            wakes: Vec::new(),
            idle: Vec::new(),
            cancelled: Vec::new(),
            stalled: Vec::new(),
            overdue: Vec::new(),
            unused: Vec::new(),
            resident_bytes_free: 0,
            page_len_max: PAGE_LEN_MAX,
        }
    }
}

impl Effects {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
            && self.delivered.is_empty()
            && self.settled.is_empty()
            && self.released.is_empty()
            && self.retained.is_empty()
            && self.spills.is_empty()
            && self.pages.is_empty()
            && self.discarded.is_empty()
            && self.fetches.is_empty()
            && self.deaths.is_empty()
            && self.wakes.is_empty()
            && self.idle.is_empty()
            && self.cancelled.is_empty()
            && self.stalled.is_empty()
            && self.overdue.is_empty()
            && self.unused.is_empty()
    }

    /// Drops all effects but keeps the buffers: what replay does with them.
    pub fn clear(&mut self) {
        self.deliveries.clear();
        self.delivered.clear();
        self.settled.clear();
        self.released.clear();
        self.retained.clear();
        self.spills.clear();
        self.pages.clear();
        self.discarded.clear();
        self.fetches.clear();
        self.deaths.clear();
        self.wakes.clear();
        self.idle.clear();
        self.cancelled.clear();
        self.stalled.clear();
        self.overdue.clear();
        self.unused.clear();
    }
}
