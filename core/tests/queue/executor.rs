//! A shard and its journal in memory, worked as the server works them: durable placements are
//! recorded before the publish, and after each batch what was handed out and settled.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use leveret_core::record::{Kind, Origin, Packet, Record, runs_by_queue, write};
use leveret_core::{
    ConsumerId, Delivery, Effects, EntryIndex, Fetch, Message, Placement, Position, QueueId,
    QueueSettings, ShardState, Target,
};

/// A shard that records what it does.
pub struct Executor {
    pub state: ShardState,
    pub journal: Journal,
    pub fetches: VecDeque<Fetch>,
    pub budget_bytes: i64,
    fx: Effects,
}

/// The records, and how many references each has. A position is the number of the record.
#[derive(Default)]
pub struct Journal {
    pub records: Vec<(Kind, Bytes)>,
    references: BTreeMap<Position, u32>,
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
        let fx = Effects { resident_bytes_free: budget_bytes, ..Effects::default() };
        let (state, journal) = (ShardState::default(), Journal::default());
        Executor { state, journal, fetches: VecDeque::new(), budget_bytes, fx }
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
            state.place(targets, message, origin, &mut placements);
            let placed = placements.clone();
            let at = journal.record_publish(origin, &placements, message);
            if let Some(origin) = origin.filter(|_| !placements.is_empty()) {
                state.remember(origin, at);
            }
            state.publish(now_ms, &mut placements, message, at, fx);
            placed
        })
    }

    pub fn receive(&mut self, queue: QueueId, consumer: ConsumerId, entry: EntryIndex) -> bool {
        let (durable, _) = self.post(|state, _, journal| {
            let durable = state.queue(queue).unwrap().receive(consumer, entry);
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

    /// Answers the oldest fetch; the entries that `is_lost` names cannot be read.
    pub fn fetched(&mut self, now_ms: u64, is_lost: impl Fn(EntryIndex) -> bool) -> Option<Done> {
        let fetch = self.fetches.pop_front()?;
        let read = |&(index, at): &(EntryIndex, Position)| {
            let message = (!is_lost(index)).then(|| self.journal.message_at(at)).flatten();
            (index, message)
        };
        let messages = fetch.entries.iter().map(read).collect();
        let ((), done) = self.post(|state, fx, _| {
            if let Some(queue) = state.queue(fetch.queue) {
                queue.fetched(messages, fx);
                queue.pump(now_ms, fx);
            }
        });
        Some(done)
    }

    /// The process ends, and another one starts from the first records of the journal.
    pub fn restart(&mut self, records: usize, queues: &[(QueueId, QueueSettings)]) {
        self.journal.records.truncate(records);
        self.journal.references.clear();
        self.fetches.clear();
        self.state = ShardState::default();
        queues.iter().for_each(|&(id, settings)| self.state.create(id, settings));
        self.fx = Effects { resident_bytes_free: self.budget_bytes, ..Effects::default() };
        for number in 0..records {
            self.replay(Position(number as u64));
        }
        let Executor { state, fx, journal, .. } = self;
        state.forget_sessions(|session| queues.iter().all(|(id, _)| *id != session), fx);
        fx.released.drain(..).for_each(|at| journal.release(at));
    }

    fn replay(&mut self, at: Position) {
        let Executor { state, fx, journal, .. } = self;
        let record = journal.read(at);
        let references = state.replay(at, record, &mut |at| journal.message_at(at), fx);
        fx.released.drain(..).for_each(|at| journal.release(at));
        assert!(fx.is_empty(), "nobody is there to be served by a replay");
        references.into_iter().for_each(|at| journal.retain(at, 1));
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
        for spill in std::mem::take(&mut fx.spills) {
            let at = journal.append_message(Kind::Spill, &spill.message, write::body);
            journal.retain(at, 1);
            state.queue(spill.queue).unwrap().spilled(spill.index, at, fx);
        }
        fx.released.drain(..).for_each(|at| journal.release(at));
        fetches.extend(fx.fetches.drain(..));
        assert!(fx.is_empty());
        done
    }
}

impl Journal {
    /// Records that something still needs.
    pub fn referenced(&self) -> usize {
        self.references.len()
    }

    pub fn read(&self, at: Position) -> Record {
        let (kind, payload) = &self.records[at.0 as usize];
        Record::decode(*kind as u8, payload).unwrap()
    }

    /// A message, unless nobody needs its record: then it may be gone.
    fn message_at(&self, at: Position) -> Option<Arc<Message>> {
        self.references.get(&at)?;
        self.read(at).into_message().map(Arc::new)
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
    ) -> Option<Position> {
        let durable = placements.iter().filter(|placement| placement.durable).count() as u32;
        if durable == 0 {
            return None;
        }
        let at = self.append_message(Kind::Publish, message, |out, message| {
            write::publish(out, origin, placements, message)
        });
        self.retain(at, durable + u32::from(origin.is_some()));
        Some(at)
    }

    fn record_runs(&mut self, kind: Kind, entries: &mut [(QueueId, EntryIndex)]) {
        for (queue, runs) in runs_by_queue(entries) {
            self.append(kind, |out| write::runs(out, queue, &runs));
        }
    }

    fn retain(&mut self, at: Position, count: u32) {
        *self.references.entry(at).or_default() += count;
    }

    fn release(&mut self, at: Position) {
        let count = self.references.get_mut(&at).expect("a reference is released only once");
        *count -= 1;
        if *count == 0 {
            self.references.remove(&at);
        }
    }
}
