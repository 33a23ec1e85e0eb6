//! A queue: what waits, what is in flight, and who consumes.
//!
//! A queue never learns about disks, sockets or protocols. Memory is bounded by what is in flight
//! and by the budget that the shard gives ([`Effects::resident_bytes_free`]); the rest of a backlog
//! is in the journal and comes back in batches ([`Effects::fetches`]).
//!
//! ```text
//!  publish ─► ready ─► handed out ─► unacked ─► settled
//!               ▲                       │
//!               └─────── requeue ───────┘
//! ```

mod command;
mod consumer;
mod effect;
mod entry;
mod ready;
mod replay;
mod unacked;

use std::sync::Arc;

pub use command::{Got, InExclusiveUse, Placement, QueueSettings, QueueStats, Settlement};
pub use consumer::{ConsumerOptions, SharedPrefetch};
pub use effect::{Delivery, Effects, Fetch, Spill};

use crate::{ConsumerId, EntryIndex, Message, Position, QueueId, Subscription};
use consumer::{Consumers, Holder};
use entry::{Entry, Stored};
use ready::Ready;
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
    consumers: Consumers,
    /// A fetch is under way: nothing is handed out until it is back.
    fetching: bool,
    stats: QueueStats,
}

/// How much one fetch brings back: enough to keep a consumer busy while the next one runs.
const FETCH_LEN: usize = 4096;
const FETCH_BYTES: usize = 1024 * 1024;

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
            consumers: Consumers::default(),
            fetching: false,
            stats: QueueStats::default(),
        }
    }

    /// What the queue is.
    pub fn settings(&self) -> QueueSettings {
        self.settings
    }

    /// Counts for management.
    pub fn stats(&self) -> QueueStats {
        QueueStats {
            ready: self.ready.len(),
            unacked: self.unacked.len(),
            ready_bytes: self.ready.bytes(),
            unacked_bytes: self.unacked.bytes(),
            consumers: self.consumers.len(),
            ..self.stats
        }
    }

    /// Gives a message its place; `None` if it is not kept at all: MQTT does not queue QoS 0 for a
    /// session that is away.
    pub fn place(
        &mut self,
        message: &Message,
        subscription: Option<Arc<Subscription>>,
        retained: bool,
    ) -> Option<Placement> {
        let qos = delivered_qos(message, subscription.as_deref());
        if subscription.is_some() && qos == 0 && self.consumers.is_empty() {
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

    /// Takes a message in at its place. `position` is where the journal has it, if it has.
    pub fn publish(
        &mut self,
        placement: Placement,
        message: Arc<Message>,
        position: Option<Position>,
        fx: &mut Effects,
    ) {
        self.stats.published += 1;
        let entry = Entry {
            index: placement.index,
            stored: match position {
                Some(at) if placement.durable => Stored::Durable(at),
                _ => Stored::No,
            },
            qos: delivered_qos(&message, placement.subscription.as_deref()),
            subscription: placement.subscription,
            sequence: placement.sequence,
            size_bytes: message.size_bytes().try_into().unwrap_or(u32::MAX),
            deliveries: 0,
            retained: placement.retained,
            dead: false,
            message: Some(message),
        };
        self.admit(entry, fx);
    }

    /// Hands out what can be handed out.
    pub fn pump(&mut self, now_ms: u64, fx: &mut Effects) {
        while let Some(front) = self.ready.front() {
            if front.is_expired(now_ms) {
                self.drop_front(fx);
                continue;
            }
            let needs_settlement = front.needs_settlement();
            let Some(at) = self.consumers.next(needs_settlement) else { return };
            if front.message.is_none() {
                return self.fetch(fx);
            }
            self.hand_out(at, needs_settlement, fx);
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
        if self.consumers.has_exclusive() || (options.exclusive && !self.consumers.is_empty()) {
            return Err(InExclusiveUse);
        }
        self.consumers.add(id, options);
        Ok(())
    }

    /// Removes a consumer; what it holds stays with it until it is settled.
    pub fn cancel(&mut self, id: ConsumerId, fx: &mut Effects) {
        if self.consumers.remove(id) && self.consumers.is_empty() && self.settings.auto_delete {
            fx.unused.push(self.id);
        }
    }

    /// Removes the consumer of an MQTT session and takes back what it holds. Entries that the
    /// receiver has taken over are not delivered again; QoS 0 entries are dropped.
    pub fn detach(&mut self, id: ConsumerId, fx: &mut Effects) {
        if !self.consumers.remove(id) {
            return;
        }
        for index in self.unacked.indexes_of(id) {
            let Some(held) = self.unacked.remove(index) else { continue };
            held.holder.iter().for_each(|holder| self.consumers.settled(holder));
            if held.received {
                self.unacked.insert(Held { holder: None, ..held });
            } else {
                self.put_back(held.entry, fx);
            }
        }
        self.drop_unacknowledged(fx);
    }

    /// The window bytes of a consumer that were written to its socket.
    pub fn written(&mut self, id: ConsumerId, bytes: usize) {
        self.consumers.written(id, bytes);
    }

    /// Settles an entry that this consumer holds; entries of others are left alone.
    pub fn settle(
        &mut self,
        consumer: ConsumerId,
        index: EntryIndex,
        settlement: Settlement,
        fx: &mut Effects,
    ) {
        let Some(held) = self.unacked.take(index, consumer) else { return };
        if let Some(holder) = &held.holder {
            self.consumers.settled(holder);
        }
        match settlement {
            Settlement::Requeue => self.put_back(held.entry, fx),
            Settlement::Ack | Settlement::Discard => {
                self.stats.acked += u64::from(settlement == Settlement::Ack);
                self.finish(&held.entry, fx);
            }
        }
    }

    /// The receiver has taken an entry over (MQTT PUBREC); says whether that has to be journalled.
    pub fn receive(&mut self, consumer: ConsumerId, index: EntryIndex) -> bool {
        let Some(held) = self.unacked.find(index) else { return false };
        if held.holder.as_ref().is_none_or(|holder| holder.consumer != consumer) {
            return false;
        }
        held.received = true;
        held.entry.is_durable()
    }

    /// The entries that the receiver has taken over and not released, with their sequence; the
    /// consumer becomes their holder.
    pub fn adopt_received(&mut self, consumer: ConsumerId) -> Vec<(EntryIndex, u64)> {
        let mut adopted = Vec::new();
        for index in self.unacked.received() {
            if let Some(held) = self.unacked.find(index) {
                held.holder = Some(Holder::uncounted(consumer));
                adopted.push((index, held.entry.sequence));
            }
        }
        adopted
    }

    /// Takes one message, outside of any consumer. With `no_ack` it is settled at once, otherwise
    /// `holder` has to settle it.
    pub fn get(&mut self, holder: ConsumerId, no_ack: bool, now_ms: u64, fx: &mut Effects) -> Got {
        while let Some(front) = self.ready.front() {
            if front.is_expired(now_ms) {
                self.drop_front(fx);
                continue;
            }
            if front.message.is_none() {
                self.fetch(fx);
                return Got::Fetching;
            }
            let Some(entry) = self.ready.pop() else { break };
            self.stats.got += 1;
            let held = (!no_ack).then(|| Holder::uncounted(holder));
            return match self.release_to(entry, holder, held, fx) {
                Some(delivery) => Got::Message(delivery, self.ready.len()),
                None => Got::Empty,
            };
        }
        Got::Empty
    }

    /// Drops everything that waits and says how much that was; what is in flight stays.
    pub fn purge(&mut self, fx: &mut Effects) -> usize {
        let mut purged = 0;
        while let Some(entry) = self.ready.pop() {
            self.forget(&entry, fx);
            purged += 1;
        }
        purged
    }

    /// Drops everything and cancels all consumers: the queue is deleted. Gives the number of
    /// messages that waited.
    pub fn close(&mut self, fx: &mut Effects) -> usize {
        let purged = self.purge(fx);
        for held in self.unacked.drain() {
            // The consumers of other queues may share the limit.
            held.holder.iter().for_each(|holder| self.consumers.settled(holder));
            self.release_position(&held.entry, fx);
        }
        fx.cancelled.extend(self.consumers.ids().map(|consumer| (self.id, consumer)));
        purged
    }

    /// A spilled message is in the journal now.
    pub fn spilled(&mut self, index: EntryIndex, position: Position, fx: &mut Effects) {
        match self.ready.find(index) {
            Some(entry) if entry.stored == Stored::No => {
                entry.stored = Stored::Spilled(position);
                fx.resident_bytes_free += entry.put_out_of_memory() as i64;
            }
            _ => fx.released.push(position),
        }
    }

    /// Messages are back from the journal; the ones that could not be read are given up.
    pub fn fetched(&mut self, messages: Vec<(EntryIndex, Option<Arc<Message>>)>, fx: &mut Effects) {
        self.fetching = false;
        for (index, message) in messages {
            match message {
                Some(message) => {
                    let bytes = self.ready.fill(index, message).unwrap_or(0);
                    fx.resident_bytes_free -= bytes as i64;
                }
                None => {
                    if let Some(entry) = self.ready.remove(index) {
                        self.finish(&entry, fx);
                    }
                }
            }
        }
    }

    fn admit(&mut self, mut entry: Entry, fx: &mut Effects) {
        let size = entry.resident_bytes();
        if fx.resident_bytes_free < size as i64 && self.ready.bytes() > KEPT_BYTES {
            match (entry.stored.position(), &entry.message) {
                (Some(_), _) => _ = entry.put_out_of_memory(),
                (None, Some(message)) => {
                    let (queue, index, message) = (self.id, entry.index, message.clone());
                    fx.spills.push(Spill { queue, index, message });
                }
                (None, None) => {}
            }
        }
        fx.resident_bytes_free -= entry.resident_bytes() as i64;
        self.ready.push(entry);
    }

    fn put_back(&mut self, entry: Entry, fx: &mut Effects) {
        fx.resident_bytes_free -= entry.resident_bytes() as i64;
        self.ready.put_back(entry);
    }

    fn hand_out(&mut self, at: usize, needs_settlement: bool, fx: &mut Effects) {
        let Some(entry) = self.ready.pop() else { return };
        let size_bytes = entry.size_bytes as usize;
        let consumer = self.consumers.serve(at, size_bytes, needs_settlement);
        let (id, no_ack) = (consumer.id, consumer.options.no_ack || !needs_settlement);
        let shared = consumer.options.shared.clone();
        let held = (!no_ack).then_some(Holder { consumer: id, shared, counted: true });
        self.stats.delivered += 1;
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
        fx.resident_bytes_free += entry.resident_bytes() as i64;
        let redelivered = entry.deliveries > 0;
        self.stats.redelivered += u64::from(redelivered);
        entry.deliveries = entry.deliveries.saturating_add(1);
        let delivery = Delivery {
            consumer,
            queue: self.id,
            index: entry.index,
            message: entry.message.clone()?,
            subscription: entry.subscription.clone(),
            sequence: entry.sequence,
            qos: entry.qos,
            redelivered,
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
        entry.put_out_of_memory();
        self.unacked.insert(Held { entry, holder: Some(holder), received: false });
    }

    /// An entry is done with.
    fn finish(&mut self, entry: &Entry, fx: &mut Effects) {
        if entry.is_durable() {
            fx.settled.push((self.id, entry.index));
        }
        self.release_position(entry, fx);
    }

    fn release_position(&self, entry: &Entry, fx: &mut Effects) {
        fx.released.extend(entry.stored.position());
    }

    /// An entry that waited is done with, and its memory is free.
    fn forget(&mut self, entry: &Entry, fx: &mut Effects) {
        fx.resident_bytes_free += entry.resident_bytes() as i64;
        self.release_position(entry, fx);
    }

    fn drop_front(&mut self, fx: &mut Effects) {
        if let Some(entry) = self.ready.pop() {
            fx.resident_bytes_free += entry.resident_bytes() as i64;
            self.finish(&entry, fx);
        }
    }

    /// A session that is away keeps no QoS 0 messages.
    fn drop_unacknowledged(&mut self, fx: &mut Effects) {
        for entry in self.ready.remove_where(|entry| !entry.needs_settlement()) {
            fx.resident_bytes_free += entry.resident_bytes() as i64;
            self.finish(&entry, fx);
        }
    }

    fn fetch(&mut self, fx: &mut Effects) {
        if self.fetching {
            return;
        }
        let entries = self.ready.stored_run(FETCH_LEN, FETCH_BYTES);
        self.fetching = true;
        fx.fetches.push(Fetch { queue: self.id, entries });
    }
}

/// The quality of service of a delivery: the lower of what was published and what was granted. An
/// AMQP queue always settles, whatever the message.
fn delivered_qos(message: &Message, subscription: Option<&Subscription>) -> u8 {
    match subscription {
        Some(subscription) => subscription.qos.min(message.facts().qos),
        None => 1,
    }
}

/// What every queue may keep in memory even when the shard's budget is used up, so that a quiet
/// queue does not pay for a deep one.
const KEPT_BYTES: u64 = 64 * 1024;
