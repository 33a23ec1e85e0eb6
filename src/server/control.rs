//! Commands to the topology, and what they mean for shards and the journal.
//!
//! The topology's lock is held from the decision to its record and its effect on the shards, so that
//! everybody sees them in one order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use leveret_core::record::{self, Kind};
use leveret_core::{
    Applied, ConnectionId, ExchangeSpec, Outcome, Position, QueueEntry, QueueId, QueueKind,
    QueueSettings, QueueSpec, QueueStats, Topology, TopologyCommand, TopologyError,
};
use leveret_storage::Urgency;

use super::Node;
use super::events::Change;
use super::shard::Appended;

/// A command that was carried out.
#[derive(Debug)]
pub struct Commanded {
    /// What it did.
    pub applied: Applied,
    /// What has to be durable before the client is told.
    pub promise: Option<Position>,
    /// Messages that waited in deleted queues.
    pub messages: usize,
}

/// Under which circumstances a queue may be deleted.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeleteIf {
    /// It has no consumers.
    pub unused: bool,
    /// No messages wait in it.
    pub empty: bool,
}

/// A queue cannot be deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The topology says so.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// It has consumers.
    #[error("{0} in use")]
    InUse(leveret_core::Resource),
    /// Messages wait in it.
    #[error("{0} not empty")]
    NotEmpty(leveret_core::Resource),
}

impl Node {
    /// Carries out a command.
    ///
    /// # Errors
    /// If the topology refuses it; then nothing has changed.
    pub fn command(&self, command: TopologyCommand) -> Result<Commanded, TopologyError> {
        let bound = match &command {
            TopologyCommand::Bind { vhost, binding, .. } => {
                Some((vhost.clone(), binding.destination.clone()))
            }
            _ => None,
        };
        let mut commanded = self.carry_out(&mut self.topology_mut(), command)?;
        if let (Some(history), Some((vhost, to))) = (commanded.applied.recalled_from, bound) {
            commanded.promise = commanded.promise.max(self.recall(history, &vhost, &to));
        }
        Ok(commanded)
    }

    /// Declares a queue.
    ///
    /// # Errors
    /// If there is another one of this name that is not equivalent.
    pub fn declare_queue(
        &self,
        vhost: &Arc<str>,
        name: &str,
        spec: QueueSpec,
        server_named: bool,
    ) -> Result<(QueueId, Commanded), TopologyError> {
        let mut topology = self.topology_mut();
        let command = TopologyCommand::DeclareQueue {
            id: topology.next_queue_id(),
            vhost: vhost.clone(),
            name: name.into(),
            spec,
            server_named,
        };
        let commanded = self.carry_out(&mut topology, command)?;
        let id = commanded.applied.queue.expect("a declare that was not refused names its queue");
        self.note_use(id);
        Ok((id, commanded))
    }

    /// Deletes a queue by its name; `connection` is who wants to.
    ///
    /// # Errors
    /// If it is not there, belongs to another connection, or a condition does not hold.
    pub fn delete_queue(
        &self,
        vhost: &str,
        name: &str,
        connection: ConnectionId,
        only: DeleteIf,
    ) -> Result<Commanded, DeleteError> {
        let mut topology = self.topology_mut();
        let queue = topology.queue_for(vhost, name, connection)?;
        let (id, resource) = (queue.id, queue.resource());
        let stats = self.queue_stats(id);
        if only.unused && stats.consumers > 0 {
            return Err(DeleteError::InUse(resource));
        }
        if only.empty && stats.ready > 0 {
            return Err(DeleteError::NotEmpty(resource));
        }
        Ok(self.carry_out(&mut topology, TopologyCommand::DeleteQueue { id })?)
    }

    /// Deletes a queue, if it is still there.
    pub fn delete_queue_by_id(&self, id: QueueId) -> Option<Position> {
        self.command(TopologyCommand::DeleteQueue { id }).ok()?.promise
    }

    /// Deletes an auto-delete queue, or one that was not used for its time, unless a consumer has come
    /// in the meantime.
    pub fn delete_if_unused(&self, id: QueueId) {
        let mut topology = self.topology_mut();
        let goes = |queue: &QueueEntry| {
            let settings = queue.settings();
            settings.auto_delete || settings.expires_ms.is_some()
        };
        if !topology.queue_by_id(id).is_some_and(goes) {
            return;
        }
        if self.queue_stats(id).consumers == 0 {
            // It may be gone already, which is as good.
            _ = self.carry_out(&mut topology, TopologyCommand::DeleteQueue { id });
        }
    }

    /// Counts of a queue; zeros if it is gone.
    pub fn queue_stats(&self, id: QueueId) -> QueueStats {
        self.shard_of(id).post(|work| work.state.queue(id).map(|q| q.stats()).unwrap_or_default())
    }

    /// Somebody has used a queue: if it is to go for want of use, its time begins anew.
    pub fn note_use(&self, id: QueueId) {
        self.shard_of(id).post(|work| {
            if let Some(queue) = work.state.queue(id) {
                queue.note_use(&mut work.fx);
            }
        });
    }

    /// Has a queue do what is due.
    pub fn pump(&self, id: QueueId) {
        self.shard_of(id).post(|work| {
            if let Some(queue) = work.state.queue(id) {
                queue.pump(work.now_ms, &mut work.fx);
            }
        });
    }

    /// Drops what waits in a queue. Gives how much that was and what has to be durable before the
    /// client is told.
    pub fn purge_queue(&self, id: QueueId) -> (usize, Option<Position>) {
        self.shard_of(id).post(|work| {
            let Some(queue) = work.state.queue(id) else { return (0, None) };
            let record = queue.settings().durable.then(|| queue.purge_bounds());
            let purged = queue.purge(&mut work.fx);
            let promise = record.map(|(before, kept)| {
                let appended = work.journal.append(Kind::Purge, Urgency::Promise, |out| {
                    record::write::purge(out, id, before, &kept);
                    None
                });
                appended.at
            });
            (purged, promise)
        })
    }

    pub(super) fn topology_mut(&self) -> std::sync::RwLockWriteGuard<'_, Topology> {
        self.topology.write().expect("topology commands never panic")
    }

    pub(super) fn carry_out(
        &self,
        topology: &mut Topology,
        command: TopologyCommand,
    ) -> Result<Commanded, TopologyError> {
        let change = self.events.are_on().then(|| Change::of(topology, &command));
        let applied =
            topology.apply(command).inspect_err(|error| self.refusals.note_topology(error))?;
        Ok(self.follow(topology, applied, change))
    }

    /// Makes an exchange of the broker's own, unless it is there.
    pub(super) fn declare_own_exchange(&self, vhost: &Arc<str>, name: &str, spec: ExchangeSpec) {
        let (vhost, name) = (vhost.clone(), name.into());
        let command = TopologyCommand::DeclareExchange { vhost, name, spec, own_queue: None };
        let mut topology = self.topology_mut();
        match topology.apply_own(command) {
            Ok(applied) => _ = self.follow(&topology, applied, None),
            Err(error) => tracing::warn!(%error, "an exchange of the broker's own is not there"),
        }
    }

    /// Has everybody do what a command to the topology means for them.
    fn follow(&self, topology: &Topology, applied: Applied, change: Option<Change>) -> Commanded {
        if let Some(id) = applied.queue {
            self.churn.queues_declared.add(1);
            if applied.outcome == Outcome::Created {
                self.churn.queues_created.add(1);
                self.create_in_shard(topology, id);
            }
        }
        self.churn.queues_deleted.add(applied.deleted_queues.len() as u64);
        let recorded = applied.journal.iter().map(|command| self.record(command)).last();
        // What was there, or gone, before may not be durable yet.
        let promise = match applied.outcome.is_change() {
            true => recorded,
            false => self.last_control(),
        };
        applied.reconfigured_queues.iter().for_each(|&id| self.configure_in_shard(topology, id));
        let messages = applied.deleted_queues.iter().map(|&id| self.delete_in_shards(id)).sum();
        for id in &applied.deleted_queues {
            self.retained.take_due(*id);
        }
        self.generation.store(topology.generation(), Ordering::Release);
        if let Some(change) = change {
            self.events.add(change.events(topology, &applied));
        }
        Commanded { applied, promise, messages }
    }

    pub(super) fn create_in_shard(&self, topology: &Topology, id: QueueId) {
        let Some(queue) = topology.queue_by_id(id) else { return };
        let settings = self.settings_of(queue);
        self.shard_of(id).post(|work| work.state.create(id, settings));
    }

    pub(super) fn configure_in_shard(&self, topology: &Topology, id: QueueId) {
        let Some(queue) = topology.queue_by_id(id) else { return };
        let settings = self.settings_of(queue);
        self.shard_of(id).post(|work| {
            if let Some(queue) = work.state.queue(id) {
                queue.configure(settings, &mut work.fx);
                queue.pump(work.now_ms, &mut work.fx);
            }
        });
    }

    /// What its shard has to know of a queue, with what the configuration says.
    pub fn settings_of(&self, queue: &QueueEntry) -> QueueSettings {
        let mut settings = queue.settings();
        let timeout_ms = self.config.consumer_timeout.0.as_millis() as u64;
        if queue.spec.kind == QueueKind::Classic && timeout_ms > 0 {
            settings.consumer_timeout_ms.get_or_insert(timeout_ms);
        }
        if let QueueKind::MqttSession { .. } = queue.spec.kind {
            settings.keeps_qos0 = self.config.mqtt_queue_qos0;
            if self.config.mqtt_queued_max > 0 {
                settings.max_length.get_or_insert(self.config.mqtt_queued_max.into());
            }
            if self.config.mqtt_queued_size_max.0 > 0 {
                settings.max_length_bytes.get_or_insert(self.config.mqtt_queued_size_max.0);
            }
        }
        settings
    }

    /// A queue is in one shard, the packets that its session published may be in all.
    pub(super) fn delete_in_shards(&self, id: QueueId) -> usize {
        let deleted = self
            .shards
            .iter()
            .map(|shard| shard.post(|work| work.state.delete(id, &mut work.fx).unwrap_or(0)));
        deleted.sum()
    }

    /// The position of the last record of the topology in this run.
    pub fn last_control(&self) -> Option<Position> {
        match self.last_control.load(Ordering::Acquire) {
            0 => None,
            at => Some(Position(at)),
        }
    }

    pub(super) fn record(&self, command: &TopologyCommand) -> Position {
        let Appended { at, .. } = self.append(Kind::Topology, Urgency::Promise, |out| {
            record::write::topology(out, command);
            None
        });
        self.last_control.store(at.0, Ordering::Release);
        at
    }
}
