//! A queue: what waits, what is in flight, and who consumes.
//!
//! A queue never learns about disks, sockets or protocols. Memory is bounded by what is in flight
//! and by the budget that the shard gives ([`Effects::resident_bytes_free`]); the rest of a backlog
//! is in the journal and comes back in batches (`backlog`).
//!
//! ```text
//!  publish ─► ready ─► handed out ─► unacked ─► settled
//!               ▲                       │
//!               └─────── requeue ───────┘
//! ```

mod backlog;
mod command;
mod consumer;
mod consumers;
mod death;
mod deduplication;
mod effect;
mod entry;
mod expiry;
mod extent;
mod level;
mod overdue;
mod pace;
mod page;
mod peek;
mod ready;
mod replay;
mod roster;
mod settle;
mod shared;
mod state;
mod stats;
#[cfg(test)]
mod testing;
mod unacked;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use backlog::{DiscardedPage, PageEntries, PageFetch};
pub use command::{Got, InExclusiveUse, Overflow, Placement, QueueSettings, Settlement};
pub use consumer::ConsumerOptions;
pub use deduplication::DeduplicationSettings;
pub use effect::{Death, DeathReason, Delivery, Effects, Fetch, PAGE_LEN_MAX, PageOut, Spill};
pub use peek::{Peeked, PeekedMessage, PeekedPage};
pub use shared::{SharedPrefetch, SharedWindow};
pub use state::{RestoreFrom, Restored, StoredEntry};
pub use stats::QueueStats;

use crate::{ConsumerId, EntryIndex, Facts, Message, Position, QueueId, Reference, Subscription};
use consumer::Holder;
use consumers::Consumers;
use deduplication::Deduplication;
use entry::{Entry, NEVER, Stored};
use pace::Pace;
use ready::Ready;
use roster::Turn;
use stats::Counts;
use unacked::{Held, Unacked};

/// See the module's documentation.
#[derive(Debug)]
pub struct Queue {
    id: QueueId,
    settings: QueueSettings,
    next_index: EntryIndex,
    next_sequence: u64,
    ready: Ready,
    unacked: Unacked,
    /// Entries that are on their way elsewhere; nothing before one is.
    #[allow(clippy::box_collection, reason = "most queues have none: it takes 8 bytes")]
    leaving: Option<Box<BTreeMap<EntryIndex, Entry>>>,
    consumers: Consumers,
    /// Nothing before it has to remember.
    deduplication: Option<Box<Deduplication>>,
    pace: Pace,
    /// It was published to since it was pumped.
    is_published: bool,
    /// When it is to be pumped next, as far as that was asked for.
    wakes_at_ms: u64,
    /// When those who hold messages are looked at next.
    looks_at_holders_ms: u64,
    /// A fetch is under way: nothing is handed out until it is back.
    fetching: bool,
    /// The size of the messages that are in memory, waiting or in flight.
    resident_bytes: usize,
    /// Entries before it that need no settlement were dropped, also those that are written out.
    unsettled_from: EntryIndex,
    /// What earlier records say of it is in its state already.
    as_of: Position,
    counts: Counts,
}

/// Most of what an empty queue costs; one byte more, and allocators take 128 more of them.
const _: () = assert!(size_of::<Queue>() <= 512);

impl Queue {
    /// An empty queue.
    pub fn new(id: QueueId, settings: QueueSettings) -> Self {
        Queue {
            id,
            settings,
            next_index: EntryIndex(0),
            next_sequence: 0,
            ready: Ready::default(),
            unacked: Unacked::default(),
            leaving: None,
            pace: Pace::default(),
            is_published: false,
            wakes_at_ms: NEVER,
            looks_at_holders_ms: NEVER,
            consumers: Consumers::default(),
            deduplication: None,
            fetching: false,
            resident_bytes: 0,
            unsettled_from: EntryIndex(0),
            as_of: Position(0),
            counts: Counts::default(),
        }
    }

    /// What the queue is.
    pub fn settings(&self) -> QueueSettings {
        self.settings
    }

    /// Makes it another queue, for what is published and handed out from now on. It is to be pumped.
    pub fn configure(&mut self, settings: QueueSettings, fx: &mut Effects) {
        let before = std::mem::replace(&mut self.settings, settings);
        self.looks_at_holders_ms = NEVER;
        if before.expires_ms != settings.expires_ms {
            self.note_use(fx);
        }
    }

    /// The position whose state a snapshot gave it; 0 without one.
    pub fn as_of(&self) -> Position {
        self.as_of
    }

    /// Its consumers, the greatest priority first.
    pub fn consumers(&self) -> impl Iterator<Item = (ConsumerId, &ConsumerOptions)> {
        self.consumers.with_options()
    }

    /// The consumer that alone is served, if there may be one only.
    pub fn active_consumer(&self) -> Option<ConsumerId> {
        self.consumers.active()
    }

    /// Gives a message its place; `None` if it is not kept at all: MQTT does not queue QoS 0 for a
    /// session that is away.
    pub fn place(
        &mut self,
        message: &Message,
        subscription: Option<Arc<Subscription>>,
        retained: bool,
    ) -> Option<Placement> {
        let qos = delivered_qos(message.facts().qos, subscription.as_deref());
        let waits = !self.consumers.is_empty() || self.settings.keeps_qos0;
        if subscription.is_some() && qos == 0 && !waits {
            return None;
        }
        let index = self.next_index;
        self.next_index.0 += 1;
        let mut sequence = 0;
        if subscription.is_some() && qos > 0 {
            sequence = self.next_sequence;
            self.next_sequence += 1;
        }
        let durable = self.settings.durable && message.facts().persistent && qos > 0;
        Some(Placement { queue: self.id, index, sequence, subscription, retained, durable })
    }

    /// Whether a message is one that the queue remembers. `name` is what its publisher calls it.
    pub(crate) fn has_taken(&mut self, name: &[u8], now_ms: u64) -> bool {
        let (Some(keep), Some(known)) = (self.settings.deduplication, &mut self.deduplication)
        else {
            return false;
        };
        known.knows(name, now_ms, keep)
    }

    /// Remembers a message that it takes.
    pub(crate) fn remember(&mut self, name: &Arc<[u8]>, now_ms: u64) {
        if let Some(keep) = self.settings.deduplication {
            self.deduplication.get_or_insert_default().remember(name, now_ms, keep);
        }
    }

    /// Takes a message in at its place. `reference` is where the journal has it, if it has. Says
    /// whether it is the first since the queue was pumped, which it has to be again.
    pub fn publish(
        &mut self,
        placement: Placement,
        message: Arc<Message>,
        reference: Option<Reference>,
        now_ms: u64,
        fx: &mut Effects,
    ) -> bool {
        self.counts.published += 1;
        let stored = match reference {
            Some(reference) if placement.durable => Stored::Durable(reference),
            _ => Stored::No,
        };
        let entry = Entry {
            stored,
            size_bytes: narrow(message.size_bytes()),
            body_bytes: narrow(message.body().len()),
            ..self.entry(placement, message.facts())
        };
        let entry = Entry { message: Some(message), ..entry };
        match self.waiting_consumer(&entry) {
            Some(turn) => self.hand_out(turn, entry, now_ms, fx),
            None => self.admit(entry, fx),
        }
        !std::mem::replace(&mut self.is_published, true)
    }

    /// An entry at its place, of which the message is not known yet.
    fn entry(&self, placement: Placement, facts: Facts) -> Entry {
        let Placement { index, sequence, subscription, retained, .. } = placement;
        let by_queue = self.settings.message_ttl_ms;
        let by_queue = by_queue.map(|ttl_ms| facts.timestamp_ms.saturating_add(ttl_ms));
        Entry {
            qos: delivered_qos(facts.qos, subscription.as_deref()),
            expires_at_ms: facts.expires_at_ms.into_iter().chain(by_queue).min().unwrap_or(NEVER),
            priority: facts.priority.min(self.settings.max_priority),
            subscription,
            sequence,
            retained,
            ..Entry::blank(index)
        }
    }

    /// The consumer that gets an entry at once, so that it needs no place among those that wait.
    fn waiting_consumer(&self, entry: &Entry) -> Option<Turn> {
        match self.ready.len() {
            0 => self.consumers.next(entry.needs_settlement()),
            _ => None,
        }
    }

    /// Hands out what can be handed out, and drops what has no place or time here any more.
    pub fn pump(&mut self, now_ms: u64, fx: &mut Effects) {
        self.is_published = false;
        self.counts.pumped_at_ms = now_ms;
        if !self.consumers.is_empty() {
            self.serve(now_ms, fx);
        }
        self.keep_to_length(fx);
        let next_ms = self.keep_to_time(now_ms, fx).min(self.look_at_holders(now_ms, fx));
        // What is due already did not fit into this go.
        if next_ms != NEVER && (self.wakes_at_ms != next_ms || next_ms <= now_ms) {
            self.wakes_at_ms = next_ms;
            fx.wakes.push((self.id, next_ms));
        }
    }

    fn serve(&mut self, now_ms: u64, fx: &mut Effects) {
        loop {
            let Some(front) = self.ready.front() else {
                if self.consumers.next(false).is_none() {
                    self.stall(false, fx);
                } else if self.read_ahead(fx) {
                    continue;
                }
                return;
            };
            if front.is_expired(now_ms) {
                self.drop_front(DeathReason::Expired, fx);
                continue;
            }
            let (needs_settlement, lacks_message) =
                (front.needs_settlement(), front.lacks_message());
            let next = self.consumers.next(needs_settlement);
            if next.is_none() {
                self.stall(needs_settlement, fx);
            }
            let Some(turn) = next.filter(|_| !lacks_message) else {
                self.read_ahead(fx);
                return;
            };
            let Some(entry) = self.ready.pop() else { return };
            self.give_memory(entry.resident_bytes(), fx);
            self.hand_out(turn, entry, now_ms, fx);
        }
    }

    /// Nobody can be served: those that only lack room in the window of their connection ask for it.
    fn stall(&mut self, needs_settlement: bool, fx: &mut Effects) {
        if self.ready.len() > 0 {
            fx.stalled.extend(self.consumers.stall(needs_settlement));
        }
    }

    /// Adds a consumer.
    ///
    /// # Errors
    /// If it or another one wants to be alone.
    pub fn consume(
        &mut self,
        id: ConsumerId,
        options: ConsumerOptions,
    ) -> Result<(), InExclusiveUse> {
        let is_shared = self.settings.single_active_consumer || !self.consumers.is_empty();
        if self.consumers.has_exclusive() || (options.exclusive && is_shared) {
            return Err(InExclusiveUse);
        }
        self.consumers.add(id, options);
        if self.settings.single_active_consumer {
            self.consumers.choose_active();
        }
        Ok(())
    }

    /// Removes a consumer; what it holds stays with it until it is settled. If it was the single active
    /// one, another is: the queue is to be pumped.
    pub fn cancel(&mut self, id: ConsumerId, fx: &mut Effects) {
        if self.consumers.remove(id) && self.consumers.is_empty() {
            if self.settings.auto_delete {
                fx.unused.push(self.id);
            }
            self.note_use(fx);
        }
    }

    /// Somebody has used it. If it is to go for want of use, its time begins anew.
    pub fn note_use(&self, fx: &mut Effects) {
        if self.consumers.is_empty() {
            fx.idle.extend(self.settings.expires_ms.map(|expires_ms| (self.id, expires_ms)));
        }
    }

    /// Takes one message, outside of any consumer. With `no_ack` it is settled at once, otherwise
    /// `holder` has to settle it.
    pub fn get(&mut self, holder: ConsumerId, no_ack: bool, now_ms: u64, fx: &mut Effects) -> Got {
        self.note_use(fx);
        loop {
            let Some(front) = self.ready.front() else {
                if self.read_ahead(fx) {
                    continue;
                }
                if self.fetching {
                    return Got::Fetching;
                }
                self.counts.got_empty += 1;
                return Got::Empty;
            };
            if front.is_expired(now_ms) {
                self.drop_front(DeathReason::Expired, fx);
                continue;
            }
            if front.lacks_message() {
                self.read_ahead(fx);
                return Got::Fetching;
            }
            let Some(entry) = self.ready.pop() else { return Got::Empty };
            self.give_memory(entry.resident_bytes(), fx);
            self.counts.got += u64::from(!no_ack);
            self.counts.got_no_ack += u64::from(no_ack);
            let held = (!no_ack).then(|| Holder::uncounted(holder, now_ms));
            return match self.release_to(entry, holder, held, fx) {
                Some(delivery) => Got::Message(delivery, self.ready.len()),
                None => Got::Empty,
            };
        }
    }

    /// Drops everything that waits and says how much that was; what is in flight stays.
    pub fn purge(&mut self, fx: &mut Effects) -> usize {
        let purged = self.ready.len();
        for entry in self.ready.remove_where(|_| true) {
            self.forget(&entry, fx);
        }
        self.discard_backlog(fx);
        purged
    }

    /// Drops everything and cancels all consumers: the queue is deleted. Gives the number of
    /// messages that waited.
    pub fn close(&mut self, fx: &mut Effects) -> usize {
        let purged = self.purge(fx);
        for held in self.unacked.drain() {
            // The consumers of other queues may share the limit.
            self.let_go(&held, fx);
            self.release_reference(&held.entry, fx);
        }
        for (_, entry) in self.leaving.take().into_iter().flat_map(|leaving| *leaving) {
            self.release_reference(&entry, fx);
        }
        fx.cancelled.extend(self.consumers.ids().map(|consumer| (self.id, consumer)));
        purged
    }

    fn hand_out(&mut self, to: Turn, entry: Entry, now_ms: u64, fx: &mut Effects) {
        let needs_settlement = entry.needs_settlement();
        let size_bytes = entry.size_bytes as usize;
        let consumer = self.consumers.serve(to, size_bytes, needs_settlement);
        let (id, no_ack) = (consumer.id, consumer.options.no_ack || !needs_settlement);
        let shared = consumer.options.shared.clone();
        let held =
            (!no_ack).then_some(Holder { consumer: id, shared, counted: true, since_ms: now_ms });
        self.counts.delivered += u64::from(!no_ack);
        self.counts.delivered_no_ack += u64::from(no_ack);
        if let Some(delivery) = self.release_to(entry, id, held, fx) {
            fx.deliveries.push(delivery);
        }
    }

    /// Takes an entry out of the queue: into the hands of `held`, or for good.
    fn release_to(
        &mut self,
        mut entry: Entry,
        consumer: ConsumerId,
        held: Option<Holder>,
        fx: &mut Effects,
    ) -> Option<Delivery> {
        let redelivered = entry.deliveries > 0;
        self.counts.redelivered += u64::from(redelivered);
        let delivery_count = if self.settings.counts_deliveries { entry.deliveries } else { 0 };
        entry.deliveries = entry.deliveries.saturating_add(1);
        let message = match held {
            Some(_) => entry.message.clone(),
            None => entry.message.take(),
        }?;
        let delivery = Delivery {
            consumer,
            queue: self.id,
            index: entry.index,
            message,
            subscription: entry.subscription.clone(),
            sequence: entry.sequence,
            qos: entry.qos,
            redelivered,
            delivery_count,
            retained: entry.retained,
            acknowledge: held.is_some(),
        };
        match held {
            Some(holder) => self.hold(entry, holder, fx),
            None => self.finish(&entry, fx),
        }
        Some(delivery)
    }

    fn hold(&mut self, mut entry: Entry, holder: Holder, fx: &mut Effects) {
        if entry.is_durable() {
            fx.delivered.push((self.id, entry.index));
        }
        if !self.has_memory_for(&entry, fx) {
            self.put_out_of_memory(&mut entry, fx);
        }
        self.take_memory(entry.resident_bytes(), fx);
        self.unacked.insert(Held { entry, holder: Some(holder) });
    }

    /// An entry is done with.
    fn finish(&mut self, entry: &Entry, fx: &mut Effects) {
        if entry.is_durable() {
            fx.settled.push((self.id, entry.index));
        }
        self.release_reference(entry, fx);
    }

    fn release_reference(&self, entry: &Entry, fx: &mut Effects) {
        fx.released.extend(entry.stored.reference());
    }

    /// An entry is done with, and its memory is free.
    fn forget(&mut self, entry: &Entry, fx: &mut Effects) {
        self.give_memory(entry.resident_bytes(), fx);
        self.release_reference(entry, fx);
    }

    fn drop_front(&mut self, reason: DeathReason, fx: &mut Effects) {
        if let Some(entry) = self.ready.pop() {
            self.give_memory(entry.resident_bytes(), fx);
            self.part_with(entry, reason, fx);
        }
    }
}

/// A size as an entry has it.
fn narrow(bytes: usize) -> u32 {
    bytes.try_into().unwrap_or(u32::MAX)
}

/// The quality of service of a delivery: the lower of what was published and what was granted. An
/// AMQP queue always settles, whatever the message.
fn delivered_qos(published: u8, subscription: Option<&Subscription>) -> u8 {
    match subscription {
        Some(subscription) => subscription.qos.min(published),
        None => 1,
    }
}
