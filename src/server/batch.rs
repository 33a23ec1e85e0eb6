//! Many commands to the topology that are carried out as one: all of them, or none.
//!
//! They are tried on a copy, which takes the place of the topology unless the batch is given up. One record
//! of the journal holds all of them, so that a crash leaves all or nothing, too. The copy takes time and
//! memory in proportion to the topology, while its lock is held: this is for imports.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use leveret_core::record::{self, Kind};
use leveret_core::{
    Applied, Destination, Outcome, Position, QueueId, Topology, TopologyCommand, TopologyError,
};
use leveret_storage::Urgency;

use super::Node;
use super::events::{Change, Event};
use super::shard::Appended;

/// See the module's documentation.
pub struct Batch {
    topology: Topology,
    wants_events: bool,
    done: Done,
}

/// What the commands mean for everybody else, in their order.
#[derive(Default)]
struct Done {
    journal: Vec<TopologyCommand>,
    created: Vec<QueueId>,
    reconfigured: BTreeSet<QueueId>,
    deleted: Vec<QueueId>,
    /// New destinations that are to get what an exchange remembers.
    recalls: Vec<(QueueId, Arc<str>, Destination)>,
    events: Vec<Event>,
}

impl Batch {
    /// The topology as it will be.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Adds a command.
    ///
    /// # Errors
    /// If it is refused: the batch is then as before.
    pub fn apply(&mut self, command: TopologyCommand) -> Result<Outcome, TopologyError> {
        let bound = match &command {
            TopologyCommand::Bind { vhost, binding, .. } => {
                Some((vhost.clone(), binding.destination.clone()))
            }
            _ => None,
        };
        let change = self.wants_events.then(|| Change::of(&self.topology, &command));
        let applied = self.topology.apply(command)?;
        if let (Some(history), Some((vhost, to))) = (applied.recalled_from, bound) {
            self.done.recalls.push((history, vhost, to));
        }
        if let Some(change) = change {
            self.done.events.extend(change.events(&self.topology, &applied));
        }
        Ok(self.done.add(applied))
    }
}

impl Done {
    fn add(&mut self, applied: Applied) -> Outcome {
        let Applied { outcome, queue, deleted_queues, reconfigured_queues, journal, .. } = applied;
        self.created.extend(queue.filter(|_| outcome == Outcome::Created));
        self.deleted.extend(deleted_queues);
        self.reconfigured.extend(reconfigured_queues);
        self.journal.extend(journal);
        outcome
    }
}

impl Node {
    /// Carries out the commands that `fill` puts into a batch. Gives its answer, and what has to be durable
    /// before anybody is told.
    ///
    /// # Errors
    /// Those of `fill`; then nothing has changed.
    pub fn command_all<T, E>(
        &self,
        fill: impl FnOnce(&mut Batch) -> Result<T, E>,
    ) -> Result<(T, Option<Position>), E> {
        let mut topology = self.topology_mut();
        let (wants_events, done) = (self.events.are_on(), Done::default());
        let mut batch = Batch { topology: topology.clone(), wants_events, done };
        let answer = fill(&mut batch)?;
        *topology = batch.topology;
        let done = batch.done;
        for &id in &done.created {
            self.create_in_shard(&topology, id);
            self.note_use(id);
        }
        self.churn.queues_declared.add(done.created.len() as u64);
        self.churn.queues_created.add(done.created.len() as u64);
        self.churn.queues_deleted.add(done.deleted.len() as u64);
        let promise = match done.journal.is_empty() {
            // What was there before may not be durable yet.
            true => self.last_control(),
            false => Some(self.record_batch(&done.journal)),
        };
        done.reconfigured.iter().for_each(|&id| self.configure_in_shard(&topology, id));
        done.deleted.iter().for_each(|&id| _ = self.delete_in_shards(id));
        self.generation.store(topology.generation(), Ordering::Release);
        self.events.add(done.events);
        drop(topology);
        let recalled = done.recalls.iter().map(|(queue, vhost, to)| self.recall(*queue, vhost, to));
        Ok((answer, recalled.fold(promise, Ord::max)))
    }

    fn record_batch(&self, commands: &[TopologyCommand]) -> Position {
        let Appended { at, .. } = self.append(Kind::Batch, Urgency::Promise, |out| {
            record::write::batch(out, commands);
            None
        });
        self.last_control.store(at.0, Ordering::Release);
        at
    }
}
