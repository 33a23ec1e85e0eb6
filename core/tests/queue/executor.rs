//! A shard and its journal in memory, worked as the server works them: durable placements are
//! recorded before the publish, and after each batch what was handed out and settled.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use leveret_core::record::{Kind, Origin, Packet, Record, RememberedPacket, runs_by_queue, write};
use leveret_core::{
    ConsumerId, Delivery, DiscardedPage, Effects, EntryIndex, Fetch, Message, PageEntries,
    Placement, Position, QueueId, QueueSettings, Reference, RestoreFrom, Restored, ShardState,
    Target,
};

/// A shard that records what it does.
pub struct Executor {
    pub state: ShardState,
    pub journal: Journal,
    pub fetches: VecDeque<Fetch>,
    pub budget_bytes: i64,
    checkpoint: Option<Checkpoint>,
    fx: Effects,
}

/// The state of the shard at a position: what a snapshot has of it.
struct Checkpoint {
    as_of: Position,
    queues: Vec<(QueueId, Bytes)>,
    packets: Vec<RememberedPacket>,
}

/// Few enough that pages come and go.
const PAGE_LEN: usize = 3;

/// The records, and how many references each has. A position is the number of the record.
#[derive(Default)]
pub struct Journal {
    pub records: Vec<(Kind, Bytes)>,
    references: BTreeMap<Reference, u32>,
}

/// What a batch has brought about.
#[derive(Default)]
pub struct Done {
    pub deliveries: Vec<Delivery>,
    pub handed_out: Vec<(QueueId, EntryIndex)>,
    pub settled: Vec<(QueueId, EntryIndex)>,
    pub cancelled: Vec<(QueueId, ConsumerId)>,
    pub unused: Vec<QueueId>,
}

impl Executor {
    pub fn new(budget_bytes: i64) -> Self {
        Executor {
            state: ShardState::default(),
            journal: Journal::default(),
            fetches: VecDeque::new(),
            budget_bytes,
            checkpoint: None,
            fx: effects(budget_bytes),
        }
    }

    /// Memory that messages wait in now.
    pub fn resident_bytes(&self) -> i64 {
        self.budget_bytes - self.fx.resident_bytes_free
    }

    pub fn post<R>(
        &mut self,
        batch: impl FnOnce(&mut ShardState, &mut Effects, &mut Journal) -> R,
    ) -> (R, Done) {
        let result = batch(&mut self.state, &mut self.fx, &mut self.journal);
        (result, self.carry_out())
    }

    pub fn publish(
        &mut self,
        now_ms: u64,
        targets: &[Target],
        message: &Arc<Message>,
        origin: Option<Origin>,
    ) -> (Vec<Placement>, Done) {
        self.post(|state, fx, journal| {
            let mut placements = Vec::new();
            state.place(targets, message, origin, &mut placements, fx);
            let placed = placements.clone();
            let at = journal.record_publish(origin, &placements, message);
            if let Some(origin) = origin.filter(|_| !placements.is_empty()) {
                state.remember(origin, at);
            }
            state.publish(now_ms, &mut placements, message.clone(), at, fx);
            state.pump_published(now_ms, fx);
            placed
        })
    }

    pub fn receive(&mut self, queue: QueueId, consumer: ConsumerId, entry: EntryIndex) -> bool {
        let (durable, _) = self.post(|state, fx, journal| {
            let durable = state.queue(queue).unwrap().receive(consumer, entry, fx);
            if durable {
                journal.record_runs(Kind::Receive, &mut [(queue, entry)]);
            }
            durable
        });
        durable
    }

    pub fn release(&mut self, packet: Packet) -> bool {
        let (recorded, _) = self.post(|state, fx, journal| {
            let recorded = state.release(packet, fx);
            if recorded {
                journal.append(Kind::Release, |out| write::release(out, packet));
            }
            recorded
        });
        recorded
    }

    pub fn purge(&mut self, id: QueueId) -> (usize, Done) {
        self.post(|state, fx, journal| {
            let queue = state.queue(id).unwrap();
            let record = queue.settings().durable.then(|| queue.purge_bounds());
            let purged = queue.purge(fx);
            if let Some((before, kept)) = record {
                journal.append(Kind::Purge, |out| write::purge(out, id, before, &kept));
            }
            purged
        })
    }

    /// The queue of the oldest fetch, and the entries whose messages it brings.
    pub fn next_fetch(&self) -> Option<(QueueId, Vec<EntryIndex>)> {
        let fetch = self.fetches.front()?;
        let entries = self.journal.fetch(fetch).1;
        Some((fetch.queue, entries.iter().map(|entry| entry.0).collect()))
    }

    /// Answers the oldest fetch; the entries that `is_lost` names cannot be read.
    pub fn fetched(&mut self, now_ms: u64, is_lost: impl Fn(EntryIndex) -> bool) -> Option<Done> {
        let fetch = self.fetches.pop_front()?;
        let (page, entries) = self.journal.fetch(&fetch);
        let read = |(index, at): (EntryIndex, Position)| {
            let message = (!is_lost(index)).then(|| self.journal.message_at(at)).flatten();
            (index, message)
        };
        let messages = entries.into_iter().map(read).collect();
        let ((), done) = self.post(|state, fx, _| {
            if let Some(queue) = state.queue(fetch.queue) {
                page.into_iter().for_each(|page| queue.page_fetched(page, fx));
                queue.fetched(messages, fx);
                queue.pump(now_ms, fx);
            }
        });
        Some(done)
    }

    /// Takes the state of durable queues.
    pub fn checkpoint(&mut self, queues: &[(QueueId, QueueSettings)]) {
        let mut states = Vec::new();
        for (id, _) in queues.iter().filter(|(_, settings)| settings.durable) {
            let mut state = Vec::new();
            self.state.queue(*id).unwrap().write_state(&mut state);
            states.push((*id, state.into()));
        }
        self.checkpoint = Some(Checkpoint {
            as_of: Position(self.journal.records.len() as u64),
            queues: states,
            packets: self.state.recorded_packets(),
        });
    }

    /// The process ends, and another one starts from the first records of the journal, or from the
    /// last checkpoint if that is among them.
    pub fn restart(&mut self, records: usize, queues: &[(QueueId, QueueSettings)]) {
        self.journal.records.truncate(records);
        self.journal.references.clear();
        self.fetches.clear();
        self.state = ShardState::default();
        queues.iter().for_each(|&(id, settings)| self.state.create(id, settings));
        self.fx = effects(self.budget_bytes);
        let from = self.restore(records);
        for number in from..records as u64 {
            self.replay(Position(number));
        }
        let Executor { state, fx, .. } = self;
        state.forget_sessions(|session| queues.iter().all(|(id, _)| *id != session), fx);
        self.settle_references();
        self.state.page_out(&mut self.fx);
        self.carry_out();
    }

    /// Gives the position from which records are to be replayed.
    fn restore(&mut self, records: usize) -> u64 {
        let Executor { state, fx, journal, checkpoint, .. } = self;
        *checkpoint = checkpoint.take().filter(|checkpoint| checkpoint.as_of.0 <= records as u64);
        let Some(Checkpoint { as_of, queues, packets }) = &*checkpoint else { return 0 };
        let as_of = *as_of;
        state.restore_packets(as_of, packets.clone(), fx);
        for (id, bytes) in queues {
            let restored = state.restore(*id, (as_of, bytes), journal, fx).unwrap();
            assert_eq!(restored, Restored::default());
        }
        self.settle_references();
        as_of.0
    }

    fn replay(&mut self, at: Position) {
        let Executor { state, fx, journal, .. } = self;
        state.replay(at, journal.record(at), &mut |at| Some(journal.record(at)), fx);
        self.settle_references();
    }

    /// What a replay has brought about: nobody is there to be served.
    fn settle_references(&mut self) {
        let Executor { fx, journal, .. } = self;
        fx.retained.drain(..).for_each(|at| journal.retain(at, 1));
        fx.released.drain(..).for_each(|at| journal.release(at));
        journal.discard(std::mem::take(&mut fx.discarded));
        fx.pages.clear();
        assert!(fx.is_empty());
    }

    fn carry_out(&mut self) -> Done {
        let Executor { state, fx, journal, fetches, .. } = self;
        let done = Done {
            deliveries: std::mem::take(&mut fx.deliveries),
            handed_out: std::mem::take(&mut fx.delivered),
            settled: std::mem::take(&mut fx.settled),
            cancelled: std::mem::take(&mut fx.cancelled),
            unused: std::mem::take(&mut fx.unused),
        };
        journal.record_runs(Kind::Deliver, &mut done.handed_out.clone());
        journal.record_runs(Kind::Settle, &mut done.settled.clone());
        while !fx.spills.is_empty() || !fx.pages.is_empty() {
            for spill in std::mem::take(&mut fx.spills) {
                let at = journal.append_message(Kind::Spill, &spill.message, write::body);
                let at = journal.reference(at, 1);
                journal.retain(at, 1);
                state.queue(spill.queue).unwrap().spilled(spill.index, at, fx);
            }
            for page in std::mem::take(&mut fx.pages) {
                let at = journal.append(Kind::Page, |out| {
                    write::page(out, page.queue);
                    out.extend_from_slice(&page.entries);
                });
                let at = journal.reference(at, 1);
                journal.retain(at, 1);
                state.queue(page.queue).unwrap().paged_out(page.first, at, fx);
            }
        }
        journal.discard(std::mem::take(&mut fx.discarded));
        fx.released.drain(..).for_each(|at| journal.release(at));
        fetches.extend(fx.fetches.drain(..));
        fx.wakes.clear();
        fx.idle.clear();
        assert!(fx.is_empty());
        done
    }
}

impl RestoreFrom for Journal {
    fn read(&mut self, at: Position) -> Option<Record> {
        Some(self.record(at))
    }

    fn retain(&mut self, reference: Reference) {
        Journal::retain(self, reference, 1);
    }
}

impl Journal {
    /// Records that something still needs.
    pub fn referenced(&self) -> usize {
        self.references.len()
    }

    pub fn record(&self, at: Position) -> Record {
        let (kind, payload) = &self.records[at.0 as usize];
        Record::decode(*kind as u8, payload).unwrap()
    }

    /// A message, unless nobody needs its record: then it may be gone.
    fn message_at(&self, at: Position) -> Option<Arc<Message>> {
        self.is_referenced(at).then_some(())?;
        Some(Arc::new(self.record(at).into_message()?.into_message().unwrap()))
    }

    fn is_referenced(&self, at: Position) -> bool {
        self.references.keys().any(|reference| reference.at == at)
    }

    fn page_at(&self, at: Position) -> Bytes {
        assert!(self.is_referenced(at), "the record of a page is there while it is named");
        let Record::Page { entries, .. } = self.record(at) else { panic!("no page at {at:?}") };
        entries
    }

    fn fetch(&self, fetch: &Fetch) -> (Option<PageEntries>, Vec<(EntryIndex, Position)>) {
        let Some(page) = fetch.page else { return (None, fetch.entries.clone()) };
        if !self.is_referenced(page.at) {
            return (None, Vec::new());
        }
        let entries = page.read(&self.page_at(page.at)).unwrap();
        let messages = entries.messages(page.bytes_max);
        (Some(entries), messages)
    }

    fn discard(&mut self, pages: Vec<DiscardedPage>) {
        for page in pages {
            for reference in page.references(&self.page_at(page.at.at)).unwrap() {
                self.release(reference);
            }
            self.release(page.at);
        }
    }

    fn reference(&self, at: Position, shares: usize) -> Reference {
        Reference::new(at, self.records[at.0 as usize].1.len(), shares)
    }

    fn append(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> Position {
        let mut payload = Vec::new();
        write(&mut payload);
        self.records.push((kind, payload.into()));
        Position(self.records.len() as u64 - 1)
    }

    fn append_message(
        &mut self,
        kind: Kind,
        message: &Message,
        write: impl for<'a> FnOnce(&mut Vec<u8>, &'a Message) -> Option<&'a Bytes>,
    ) -> Position {
        self.append(kind, |out| {
            let large = write(out, message);
            out.extend_from_slice(large.map(|body| &body[..]).unwrap_or_default());
        })
    }

    fn record_publish(
        &mut self,
        origin: Option<Origin>,
        placements: &[Placement],
        message: &Message,
    ) -> Option<Reference> {
        let durable = placements.iter().filter(|placement| placement.durable).count() as u32;
        if durable == 0 {
            return None;
        }
        let at = self.append_message(Kind::Publish, message, |out, message| {
            write::publish(out, origin, placements, message)
        });
        let reference = self.reference(at, durable as usize);
        self.retain(reference, durable + u32::from(origin.is_some()));
        Some(reference)
    }

    fn record_runs(&mut self, kind: Kind, entries: &mut [(QueueId, EntryIndex)]) {
        for (queue, runs) in runs_by_queue(entries) {
            self.append(kind, |out| write::runs(out, queue, &runs));
        }
    }

    fn retain(&mut self, at: Reference, count: u32) {
        *self.references.entry(at).or_default() += count;
    }

    fn release(&mut self, at: Reference) {
        let count = self.references.get_mut(&at).expect("a reference is released only once");
        *count -= 1;
        if *count == 0 {
            self.references.remove(&at);
        }
    }
}

fn effects(budget_bytes: i64) -> Effects {
    Effects { resident_bytes_free: budget_bytes, page_len_max: PAGE_LEN, ..Effects::default() }
}
