//! Transactions: publishes and settlements in several queues that happen together or not at all.
//!
//! All shards that it concerns are locked at once. Bodies go into the journal first, then one record
//! with every durable place and settlement; a crash leaves all of that record or nothing.
//!
//! What is rejected and has a place to go is published there afterwards, as always.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};

use leveret_core::record::{self, Kind};
use leveret_core::{
    ConsumerId, EntryIndex, Message, Placement, Position, QueueId, Reference, Settlement, Target,
};
use leveret_storage::Urgency;

use super::routed::Routed;
use super::shard::{Shard, Work};
use super::{Node, clock};

/// What is to happen together.
#[derive(Debug, Default)]
pub struct Transaction {
    publishes: Vec<Publish>,
    settlements: Vec<Settle>,
}

#[derive(Debug)]
struct Publish {
    message: Arc<Message>,
    routed: Arc<Routed>,
    /// The message's record, if it goes anywhere durable.
    body: Option<Reference>,
}

/// Entries of one queue that one consumer holds, and what becomes of them.
#[derive(Debug)]
pub struct Settle {
    /// The queue.
    pub queue: QueueId,
    /// The consumer.
    pub consumer: ConsumerId,
    /// The entries.
    pub entries: Vec<EntryIndex>,
    /// What becomes of them.
    pub settlement: Settlement,
}

/// A queue has no room for what a transaction publishes to it. Nothing has happened.
#[derive(Debug)]
pub struct NoRoom;

/// A message on its way into queues of one shard.
struct Placed<'a> {
    shard: usize,
    publish: &'a Publish,
    placements: Vec<Placement>,
}

impl Transaction {
    /// Adds a publish, for a node with so many shards.
    pub fn publish(&mut self, message: Message, routed: &Routed, shards: u16) {
        let message = Arc::new(message);
        for (message, routed) in routed.split(&message, shards) {
            self.publishes.push(Publish { message, routed, body: None });
        }
    }

    /// Adds settlements.
    pub fn settle(&mut self, settle: Settle) {
        self.settlements.push(settle);
    }

    fn parts(&self) -> impl Iterator<Item = (&Publish, usize, &[Target])> {
        self.publishes.iter().flat_map(|publish| {
            let parts = publish.routed.parts();
            parts.map(move |(shard, targets)| (publish, usize::from(shard.0) - 1, targets))
        })
    }
}

impl Node {
    /// Carries a transaction out. Gives the position that has to be durable before that is promised,
    /// if anything of it is durable.
    ///
    /// # Errors
    /// If a queue has no room. Nothing has happened then.
    pub fn commit(&self, mut transaction: Transaction) -> Result<Option<Position>, NoRoom> {
        for publish in &mut transaction.publishes {
            let (message, routed) = (&publish.message, &publish.routed);
            let recorded = message.facts().persistent && routed.is_durable();
            publish.body = recorded.then(|| self.hold_body(message, routed.len()));
        }
        let committed = Commit::lock(self, &transaction).run(&transaction);
        let bodies = transaction.publishes.iter().filter_map(|publish| publish.body);
        bodies.for_each(|body| self.let_go(body));
        committed
    }

    fn shard_index(&self, queue: QueueId) -> usize {
        usize::from(queue.shard(self.shard_count()).0) - 1
    }
}

/// A transaction at work.
struct Commit<'a> {
    node: &'a Node,
    /// The shards that it concerns, locked.
    works: Vec<Option<MutexGuard<'a, Work>>>,
    /// Something of it was published before.
    is_repeated: bool,
    now_ms: u64,
}

impl<'a> Commit<'a> {
    /// Locks the shards in their order, so that two transactions never wait for each other.
    fn lock(node: &'a Node, transaction: &Transaction) -> Self {
        let mut is_concerned = vec![false; node.shards.len()];
        transaction.parts().for_each(|(_, shard, _)| is_concerned[shard] = true);
        for settle in &transaction.settlements {
            is_concerned[node.shard_index(settle.queue)] = true;
        }
        let lock = |(shard, concerned): (&'a Shard, bool)| concerned.then(|| shard.lock());
        let works = node.shards.iter().zip(is_concerned).map(lock).collect();
        Commit { node, works, is_repeated: false, now_ms: clock::now_ms() }
    }

    fn run(mut self, transaction: &Transaction) -> Result<Option<Position>, NoRoom> {
        self.check_room(transaction)?;
        let mut placed = self.place(transaction)?;
        self.settle(transaction);
        let promise = self.record(&placed);
        for Placed { shard, publish, placements } in &mut placed {
            let Some(work) = &mut self.works[*shard] else { continue };
            let Work { state, fx, .. } = &mut **work;
            state.publish(self.now_ms, placements, publish.message.clone(), publish.body, fx);
            _ = state.pump_published(self.now_ms, fx);
        }
        self.pump(transaction);
        for (work, shard) in self.works.iter_mut().zip(&self.node.shards) {
            work.iter_mut().for_each(|work| shard.finish(work));
        }
        Ok(promise)
    }

    fn check_room(&self, transaction: &Transaction) -> Result<(), NoRoom> {
        let mut sums: BTreeMap<(usize, QueueId), (u64, u64)> = BTreeMap::new();
        for (publish, shard, targets) in transaction.parts() {
            for target in targets {
                let (len, body_bytes) = sums.entry((shard, target.queue)).or_default();
                *len += 1;
                *body_bytes += publish.message.body().len() as u64;
            }
        }
        let has_room = |(&(shard, queue), &(len, bytes)): (&(usize, QueueId), &(u64, u64))| {
            self.works[shard].as_ref().is_none_or(|work| work.state.has_room(queue, len, bytes))
        };
        if sums.iter().all(has_room) { Ok(()) } else { Err(NoRoom) }
    }

    /// Gives the messages their places. Places that are not used after all are no harm.
    fn place<'t>(&mut self, transaction: &'t Transaction) -> Result<Vec<Placed<'t>>, NoRoom> {
        let mut placed = Vec::new();
        for (publish, shard, targets) in transaction.parts() {
            let Some(work) = &mut self.works[shard] else { continue };
            let Work { state, fx, .. } = &mut **work;
            let mut placements = Vec::new();
            let has = state.place(targets, &publish.message, None, &mut placements, fx);
            if has.is_refused {
                return Err(NoRoom);
            }
            self.is_repeated |= has.is_repeated;
            placed.push(Placed { shard, publish, placements });
        }
        Ok(placed)
    }

    /// Settles, and hands nothing out yet: the record comes first.
    fn settle(&mut self, transaction: &Transaction) {
        for Settle { queue, consumer, entries, settlement } in &transaction.settlements {
            let Some(work) = &mut self.works[self.node.shard_index(*queue)] else { continue };
            let Work { state, fx, .. } = &mut **work;
            let Some(queue) = state.queue(*queue) else { continue };
            entries.iter().for_each(|&entry| queue.settle(*consumer, entry, *settlement, fx));
        }
    }

    /// Writes the record, if anything is durable.
    fn record(&mut self, placed: &[Placed<'_>]) -> Option<Position> {
        let mut settled = Vec::new();
        for work in self.works.iter_mut().flatten() {
            settled.append(&mut work.fx.settled);
        }
        let settled: Vec<_> = record::runs_by_queue(&mut settled).collect();
        let enqueued: Vec<_> = placed.iter().filter_map(Placed::durable).collect();
        if enqueued.is_empty() && settled.is_empty() {
            let works = self.works.iter().flatten().filter(|_| self.is_repeated);
            return works.filter_map(|work| work.journal.last_promise()).max();
        }
        let work = self.works.iter_mut().flatten().next()?;
        let appended = work.journal.append(Kind::Commit, Urgency::Promise, |out| {
            let places = enqueued.iter().map(|(placements, body, _)| (*placements, body.at));
            record::write::commit(out, places, &settled);
            None
        });
        for (_, body, references) in enqueued {
            work.journal.retain(body, references);
        }
        for work in self.works.iter_mut().flatten() {
            work.journal.note_promise(appended.at);
        }
        Some(appended.at)
    }

    fn pump(&mut self, transaction: &Transaction) {
        for Settle { queue, .. } in &transaction.settlements {
            let Some(work) = &mut self.works[self.node.shard_index(*queue)] else { continue };
            let Work { state, fx, .. } = &mut **work;
            if let Some(queue) = state.queue(*queue) {
                queue.pump(self.now_ms, fx);
            }
        }
    }
}

impl Placed<'_> {
    /// The places, the body, and how many of the places refer to it; `None` if none is durable.
    fn durable(&self) -> Option<(&[Placement], Reference, u32)> {
        let references = self.placements.iter().filter(|placement| placement.durable).count();
        let body = self.publish.body.filter(|_| references > 0)?;
        Some((&self.placements, body, references as u32))
    }
}
