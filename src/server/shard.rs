//! The executor of a shard: one command batch at a time, and then its effects.
//!
//! A shard is a mutex around its state. Whoever has a batch for it takes the lock, applies the
//! batch and carries the effects out before the lock is free again, so that the effects of two
//! batches never overtake each other. Locks have one order: topology, then shard, then an outbox or
//! the journal, which are leaves. None is held across an await. Only a transaction locks several
//! shards at once.
//!
//! `docs/benchmarks.md` compares this with a combiner and with a task per shard.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hashbrown::HashMap;
use leveret_core::record::{self, Kind, Record, Run};
use leveret_core::{
    ConnectionId, Delivery, DiscardedPage, Effects, EntryIndex, Position, QueueId, RecordHeader,
    Reference, ShardId, ShardState,
};
use leveret_storage::{Part, Payload, Storage, Urgency};

use super::clock;
use super::effects::Duty;
use super::outbox::{Notice, Outbox};

/// See the module's documentation.
pub struct Shard {
    work: Mutex<Work>,
    duty: Duty,
}

/// What a batch works on.
pub struct Work {
    /// When the batch began, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// The queues.
    pub state: ShardState,
    /// What the commands of the batch bring about; carried out at its end.
    pub fx: Effects,
    /// Where durable commands go.
    pub journal: ShardJournal,
    outboxes: HashMap<ConnectionId, Arc<Outbox>>,
}

/// The journal as one shard writes it.
pub struct ShardJournal {
    storage: Arc<dyn Storage>,
    shard: ShardId,
    index: u64,
    now_ms: u64,
    last_promise: Option<Position>,
    scratch: Vec<u8>,
}

impl Shard {
    /// A shard without queues, that may keep `memory_bytes` of waiting messages in memory.
    pub fn new(shard: ShardId, storage: Arc<dyn Storage>, memory_bytes: usize, duty: Duty) -> Self {
        let journal = ShardJournal {
            storage,
            shard,
            index: 0,
            now_ms: 0,
            last_promise: None,
            scratch: Vec::new(),
        };
        let fx = Effects { resident_bytes_free: memory_bytes as i64, ..Effects::default() };
        let (state, outboxes) = (ShardState::default(), HashMap::new());
        Shard { work: Mutex::new(Work { now_ms: 0, state, fx, journal, outboxes }), duty }
    }

    /// Applies a batch of commands and carries out what they bring about.
    pub fn post<R>(&self, batch: impl FnOnce(&mut Work) -> R) -> R {
        let mut work = self.lock();
        let result = batch(&mut work);
        self.finish(&mut work);
        result
    }

    /// Locks the shard for a batch that concerns others as well. Whoever does that locks them in their
    /// order, and ends with [`finish`](Self::finish).
    pub(super) fn lock(&self) -> MutexGuard<'_, Work> {
        let mut work = self.work.lock().expect("a shard's commands never panic");
        work.now_ms = clock::now_ms();
        work.journal.now_ms = work.now_ms;
        work
    }

    /// Carries out what a batch brings about.
    pub(super) fn finish(&self, work: &mut Work) {
        if !work.fx.is_empty() {
            work.carry_out(&self.duty);
        }
    }

    /// Applies records of the past: nobody is there yet whom the effects would concern, but for the
    /// references to the journal that they make and release.
    pub fn replay<R>(&self, batch: impl FnOnce(&mut Work) -> R) -> R {
        let mut work = self.lock();
        let result = batch(&mut work);
        let Work { fx, journal, .. } = &mut *work;
        fx.retained.drain(..).for_each(|reference| journal.storage.retain(reference, 1));
        fx.discarded.drain(..).for_each(|page| release_page(&*journal.storage, page));
        fx.released.drain(..).for_each(|reference| journal.storage.release(reference));
        fx.clear();
        result
    }

    /// Gives a connection a place to have its deliveries put.
    pub fn attach(&self, connection: ConnectionId, outbox: &Arc<Outbox>) {
        self.lock().outboxes.entry(connection).or_insert_with(|| outbox.clone());
    }

    /// Forgets a connection.
    pub fn forget(&self, connection: ConnectionId) {
        self.lock().outboxes.remove(&connection);
    }
}

impl Work {
    fn carry_out(&mut self, duty: &Duty) {
        self.deliver();
        self.record_runs();
        self.write_out();
        for reference in self.fx.released.drain(..) {
            self.journal.storage.release(reference);
        }
        duty.discard(self.fx.discarded.drain(..));
        for (queue, consumer) in self.fx.cancelled.drain(..) {
            if let Some(outbox) = self.outboxes.get(&consumer.connection) {
                outbox.notify(Notice::Cancelled(queue, consumer));
            }
        }
        for (consumer, timeout_ms) in self.fx.overdue.drain(..) {
            if let Some(outbox) = self.outboxes.get(&consumer.connection) {
                outbox.notify(Notice::Overdue(consumer, timeout_ms));
            }
        }
        for consumer in self.fx.stalled.drain(..) {
            if let Some(outbox) = self.outboxes.get(&consumer.connection) {
                outbox.notify(Notice::Stalled(consumer));
            }
        }
        duty.fetch(self.fx.fetches.drain(..));
        duty.bury(self.fx.deaths.drain(..));
        duty.wake(self.fx.wakes.drain(..));
        duty.expire(self.fx.idle.drain(..));
        duty.delete_unused(self.fx.unused.drain(..));
    }

    /// Hands deliveries to their connections, those of a connection in a row with one lock.
    fn deliver(&mut self) {
        let mut deliveries = self.fx.deliveries.drain(..);
        while let [first, ..] = deliveries.as_slice() {
            let connection = first.consumer.connection;
            let is_other = |delivery: &Delivery| delivery.consumer.connection != connection;
            let waiting = deliveries.as_slice();
            let len = waiting.iter().position(is_other).unwrap_or(waiting.len());
            let run = deliveries.by_ref().take(len);
            match self.outboxes.get(&connection) {
                Some(outbox) => outbox.deliver(run),
                None => run.for_each(drop),
            }
        }
    }

    fn record_runs(&mut self) {
        let Work { fx, journal, .. } = self;
        journal.runs(Kind::Deliver, &mut fx.delivered);
        journal.runs(Kind::Settle, &mut fx.settled);
    }

    /// Puts into the journal what memory has no room for. What is written may be followed by more.
    fn write_out(&mut self) {
        let Work { state, fx, journal, .. } = self;
        while !(fx.spills.is_empty() && fx.pages.is_empty()) {
            for spill in std::mem::take(&mut fx.spills) {
                let appended = journal.append(Kind::Spill, Urgency::Lazy, |out| {
                    record::write::body(out, &spill.message)
                });
                let reference = journal.retain(appended.reference(1), 1);
                if let Some(queue) = state.queue(spill.queue) {
                    queue.spilled(spill.index, reference, fx);
                }
            }
            for page in std::mem::take(&mut fx.pages) {
                let appended = journal.append(Kind::Page, Urgency::Lazy, |out| {
                    record::write::page(out, page.queue);
                    Some(&page.entries)
                });
                let reference = journal.retain(appended.reference(1), 1);
                if let Some(queue) = state.queue(page.queue) {
                    queue.paged_out(page.first, reference, fx);
                }
            }
        }
    }
}

/// A record that has been appended.
#[derive(Debug, Clone, Copy)]
pub struct Appended {
    /// Where it is.
    pub at: Position,
    payload_len: usize,
}

impl Appended {
    /// One of so many references to it.
    pub fn reference(self, shares: usize) -> Reference {
        Reference::new(self.at, self.payload_len, shares)
    }
}

impl ShardJournal {
    /// Appends a record of this shard. `write` fills in the payload and may give back a large body
    /// that belongs to its end.
    pub fn append<'a>(
        &mut self,
        kind: Kind,
        urgency: Urgency,
        write: impl FnOnce(&mut Vec<u8>) -> Option<&'a Bytes>,
    ) -> Appended {
        self.scratch.clear();
        let large = write(&mut self.scratch);
        self.index += 1;
        let header = RecordHeader {
            kind: kind as u8,
            shard: self.shard.0,
            term: 1,
            index: self.index,
            timestamp_ms: self.now_ms,
        };
        let appended = append(&*self.storage, header, &self.scratch, large, urgency);
        if urgency == Urgency::Promise {
            self.note_promise(appended.at);
        }
        appended
    }

    /// Notes a record that promises something in this shard, and that another one has appended.
    pub fn note_promise(&mut self, at: Position) {
        self.last_promise = self.last_promise.max(Some(at));
    }

    /// The last record that promises something in this shard, in this run. Whatever was promised before
    /// is durable with it.
    pub fn last_promise(&self) -> Option<Position> {
        self.last_promise
    }

    /// Adds references.
    pub fn retain(&self, reference: Reference, count: u32) -> Reference {
        self.storage.retain(reference, count);
        reference
    }

    /// Appends one record per queue that is named, and empties the list.
    pub fn runs(
        &mut self,
        kind: Kind,
        entries: &mut Vec<(QueueId, EntryIndex)>,
    ) -> Option<Position> {
        let mut last = None;
        for (queue, runs) in record::runs_by_queue(entries) {
            last = Some(self.append_runs(kind, queue, &runs));
        }
        entries.clear();
        last
    }

    fn append_runs(&mut self, kind: Kind, queue: QueueId, runs: &[Run]) -> Position {
        let urgency = if kind == Kind::Receive { Urgency::Promise } else { Urgency::Lazy };
        self.append(kind, urgency, |out| {
            record::write::runs(out, queue, runs);
            None
        })
        .at
    }
}

/// Releases what a page that nobody needs any more refers to, and the page.
pub(super) fn release_page(storage: &dyn Storage, page: DiscardedPage) {
    match read_page(storage, page.at.at) {
        Some(entries) => match page.references(&entries) {
            Ok(references) => references.into_iter().for_each(|at| storage.release(at)),
            Err(error) => {
                tracing::error!(%error, "what the page at {:?} refers to stays", page.at.at)
            }
        },
        None => tracing::error!("what the page at {:?} refers to stays", page.at.at),
    }
    storage.release(page.at);
}

/// The entries of a page.
fn read_page(storage: &dyn Storage, at: Position) -> Option<Bytes> {
    let record = storage.read(at).inspect_err(|error| tracing::error!(%error, "no page")).ok()?;
    match Record::decode(record.header.kind, &record.payload).ok()? {
        Record::Page { entries, .. } => Some(entries),
        _ => None,
    }
}

/// Appends a record whose payload is in two parts, the second one shared and not copied.
pub fn append(
    storage: &dyn Storage,
    header: RecordHeader,
    head: &[u8],
    large: Option<&Bytes>,
    urgency: Urgency,
) -> Appended {
    let at = match large {
        None => storage.append(header, Payload::new(&[Part::Copied(head)]), urgency),
        Some(body) => {
            let parts = [Part::Copied(head), Part::Shared(body)];
            storage.append(header, Payload::new(&parts), urgency)
        }
    };
    Appended { at, payload_len: head.len() + large.map_or(0, Bytes::len) }
}
