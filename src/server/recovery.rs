//! Start: the snapshot, then the journal, through the same transitions as in operation.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leveret_core::record::{Record, RecordedMessage};
use leveret_core::{
    Message, Permissions, Position, Reference, RestoreFrom, Restored, ShardId, TopologyCommand,
};
use leveret_storage::RecoveryReport;

use super::auth::GUEST;
use super::{DEFAULT_VHOST, Node, password, scram, snapshot};

/// The node cannot start from what is in its data directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The disk, or what is on it.
    #[error(transparent)]
    Storage(#[from] leveret_storage::Error),
    /// The first start could not set up what every broker has.
    #[error("cannot set up the broker: {0}")]
    Setup(#[from] leveret_core::TopologyError),
}

/// What later records refer to, without the content: as far as queues have to know it.
#[derive(Default)]
struct Bodies {
    recent: VecDeque<(Position, RecordedMessage)>,
}

/// How many of them are kept; older ones are read again.
const BODIES_MAX: usize = 64 * 1024;

/// What the snapshot holds, and what of the journal is older than it.
#[derive(Default)]
struct Restoring {
    /// Records of the control plane before it say nothing new.
    control_as_of: Position,
    /// Pages and entries of queues that could not be read.
    lost: Restored,
}

impl Node {
    /// Brings the node to where its journal says it was. [`set_up`](Self::set_up) comes after it.
    ///
    /// # Errors
    /// If the disk cannot be read. Damaged records are no error: they are logged and counted.
    pub fn recover(&self) -> Result<RecoveryReport, RecoveryError> {
        let report = self.replay()?;
        self.record_retained_of_old_format();
        for shard in &self.shards {
            shard.post(|work| work.state.page_out(&mut work.fx));
            shard.post(|work| work.state.queue_ids()).into_iter().for_each(|id| {
                self.pump(id);
                self.note_use(id);
            });
        }
        if self.is_new() {
            let vhost = DEFAULT_VHOST.into();
            self.command(TopologyCommand::DeclareVhost { vhost })?;
        }
        self.restore_sessions();
        Ok(report)
    }

    /// Takes the snapshot and the records after it. Nothing is written.
    ///
    /// # Errors
    /// As [`recover`](Self::recover).
    pub fn replay(&self) -> Result<RecoveryReport, RecoveryError> {
        let mut restoring = Restoring::default();
        if let Some(snapshot) = self.storage.snapshot()? {
            restoring.control_as_of = snapshot.at;
            for record in snapshot::records(snapshot.state) {
                match record {
                    Ok(record) => self.restore(record, &mut restoring),
                    Err(error) => tracing::error!(%error, "the rest of the snapshot is lost"),
                }
            }
        }
        let mut bodies = Bodies::default();
        let report = self.storage.recover(&mut |at, header, payload| match Record::decode(
            header.kind,
            &payload,
        ) {
            Err(error) => tracing::error!(%error, "a record at {at:?} is lost"),
            Ok(record) if is_control(&record) => {
                if at >= restoring.control_as_of {
                    self.replay_control(at, payload.len(), record);
                }
            }
            Ok(Record::Body(message)) => bodies.add(at, &message),
            Ok(record) => self.replay_in_shards(at, record, &bodies),
        })?;
        let Restored { pages_lost, entries_lost } = restoring.lost;
        if pages_lost > 0 {
            tracing::error!(pages_lost, "up to {entries_lost} messages are lost");
        }
        self.forget_packets_of_ended_sessions();
        Ok(report)
    }

    /// A record of the snapshot.
    fn restore(&self, record: Record, restoring: &mut Restoring) {
        match record {
            Record::Control(as_of) => restoring.control_as_of = as_of,
            Record::Queue { queue, as_of, state } => {
                let restored = self.shard_of(queue).replay(|work| {
                    work.state.restore(queue, (as_of, &state), &mut { self }, &mut work.fx)
                });
                match restored {
                    Ok(restored) => {
                        restoring.lost.pages_lost += restored.pages_lost;
                        restoring.lost.entries_lost += restored.entries_lost;
                    }
                    Err(error) => tracing::error!(%queue, %error, "a queue is lost"),
                }
            }
            Record::Packets { shard, as_of, packets } => {
                // There may have been more or fewer shards.
                let shard = (usize::from(shard.0) - 1) % self.shards.len();
                self.shards[shard].replay(|work| {
                    work.state.restore_packets(as_of, packets, &mut work.fx);
                });
            }
            Record::Retained { vhost, key, at } => {
                let message = self.read_record(at.at).and_then(Record::into_message);
                match message.and_then(|message| message.into_message().ok()) {
                    Some(message) => self.set_retained(&vhost, message, at),
                    None => tracing::error!(vhost, key, "a retained message is lost"),
                }
            }
            Record::Retain { vhost, message } => {
                let Ok(message) = message.into_message() else { return };
                let (key, mut stores) = (message.routing_key().to_owned(), self.retained.lock());
                stores.entry(vhost.into()).or_default().set(&key, Arc::new(message), None);
            }
            record => self.replay_control(Position(0), 0, record),
        }
    }

    /// A record of the topology, of the retained messages or of a session.
    fn replay_control(&self, at: Position, payload_len: usize, record: Record) {
        match record {
            Record::Topology(command) => self.replay_command(command),
            Record::Batch(commands) => {
                commands.into_iter().for_each(|command| self.replay_command(command));
            }
            Record::Session(session) => self.lock_sessions().replay(session),
            Record::Retain { vhost, message } => match message.into_message() {
                Ok(message) => {
                    self.set_retained(&vhost, message, Reference::new(at, payload_len, 1));
                }
                Err(error) => tracing::error!(vhost, %error, "a retained message is lost"),
            },
            Record::Unretain { vhost, key } => {
                let removed = self.retained.lock().entry(vhost.into()).or_default().remove(&key);
                removed
                    .and_then(|kept| kept.at)
                    .into_iter()
                    .for_each(|at| self.storage.release(at));
            }
            _ => {}
        }
    }

    fn set_retained(&self, vhost: &str, message: Message, at: Reference) {
        let mut stores = self.retained.lock();
        self.replace_retained(stores.entry(vhost.into()).or_default(), &Arc::new(message), at);
    }

    /// The first format had retained messages in its snapshots: they get records.
    fn record_retained_of_old_format(&self) {
        for (vhost, store) in self.retained.lock().iter_mut() {
            let unrecorded: Vec<_> = store
                .iter()
                .filter(|(_, kept)| kept.at.is_none())
                .map(|(_, kept)| kept.message.clone())
                .collect();
            for message in unrecorded {
                self.record_retained(vhost, store, &message);
            }
        }
    }

    fn replay_command(&self, command: TopologyCommand) {
        let mut topology = self.topology_mut();
        match topology.replay(command) {
            Ok(applied) => {
                if let Some(id) = applied.queue.filter(|_| applied.outcome.is_change()) {
                    self.create_in_shard(&topology, id);
                }
                for id in applied.reconfigured_queues {
                    let settings = topology.queue_by_id(id).map(|queue| self.settings_of(queue));
                    self.shard_of(id).replay(|work| {
                        if let (Some(queue), Some(settings)) = (work.state.queue(id), settings) {
                            queue.configure(settings, &mut work.fx);
                        }
                    });
                }
                for id in applied.deleted_queues {
                    for shard in &self.shards {
                        shard.replay(|work| work.state.delete(id, &mut work.fx));
                    }
                }
            }
            Err(error) => tracing::error!(%error, "a recorded command cannot be replayed"),
        }
        self.generation.store(topology.generation(), std::sync::atomic::Ordering::Release);
    }

    /// There may have been more or fewer shards when the record was written: it goes to those that
    /// its queues are in now.
    fn replay_in_shards(&self, at: Position, record: Record, bodies: &Bodies) {
        let count = self.shard_count();
        let mut shards: Vec<ShardId> = match record.queues() {
            Some(queues) => queues.iter().map(|queue| queue.shard(count)).collect(),
            None => (1..=count).map(ShardId).collect(),
        };
        shards.sort_unstable();
        shards.dedup();
        let Some(last) = shards.pop() else { return };
        shards.iter().for_each(|&shard| self.replay_in(shard, at, record.clone(), bodies));
        self.replay_in(last, at, record, bodies);
    }

    fn replay_in(&self, shard: ShardId, at: Position, record: Record, bodies: &Bodies) {
        let mut read = |at| bodies.find(at).or_else(|| self.read_record(at));
        self.shards[usize::from(shard.0) - 1]
            .replay(|work| work.state.replay(at, record, &mut read, &mut work.fx));
    }

    /// The end of a session may be in the snapshot, and its packets in records before it.
    fn forget_packets_of_ended_sessions(&self) {
        let topology = self.topology();
        let is_gone = |session| topology.queue_by_id(session).is_none();
        for shard in &self.shards {
            shard.replay(|work| work.state.forget_sessions(is_gone, &mut work.fx));
        }
    }

    /// Reads a record that another one refers to.
    pub fn read_record(&self, at: Position) -> Option<Record> {
        let record = self.storage.read(at);
        let record = record.inspect_err(|error| tracing::warn!(%error, "a record is not read"));
        let record = record.ok()?;
        Record::decode(record.header.kind, &record.payload).ok()
    }

    /// Whether a first start was not finished, or an earlier version has been here: the secret comes last.
    fn is_new(&self) -> bool {
        self.topology().secret().is_empty()
    }

    /// What every broker has besides the virtual host `/`: made on the first start, or the first of a
    /// version that has it. The user `guest` only if there is nobody else who may do anything.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn set_up(&self) -> Result<(), RecoveryError> {
        if !self.is_new() {
            return Ok(());
        }
        if self.topology().users().all(|(_, user)| user.permissions.is_empty()) {
            self.admit_guest()?;
        }
        let secret = URL_SAFE_NO_PAD.encode(scram::random::<32>()).into();
        self.command(TopologyCommand::SetSecret { secret })?;
        Ok(())
    }

    /// Makes the user that clients name when they are told of no other.
    fn admit_guest(&self) -> Result<(), RecoveryError> {
        let vhost: Arc<str> = DEFAULT_VHOST.into();
        let permissions = Permissions::everything();
        for command in [
            TopologyCommand::PutUser {
                name: GUEST.into(),
                password_hash: password::hash(GUEST.as_bytes()),
                scram_keys: scram::Keys::of_password(GUEST).to_string(),
                tags: vec!["administrator".to_owned()],
            },
            TopologyCommand::SetPermissions { user: GUEST.into(), vhost, permissions },
        ] {
            self.command(command)?;
        }
        Ok(())
    }
}

impl RestoreFrom for &Node {
    fn read(&mut self, at: Position) -> Option<Record> {
        self.read_record(at)
    }

    fn retain(&mut self, reference: Reference) {
        self.storage.retain(reference, 1);
    }
}

fn is_control(record: &Record) -> bool {
    matches!(
        record,
        Record::Topology(_)
            | Record::Batch(_)
            | Record::Retain { .. }
            | Record::Unretain { .. }
            | Record::Session(_)
    )
}

impl Bodies {
    fn add(&mut self, at: Position, message: &RecordedMessage) {
        self.recent.push_back((at, message.without_content()));
        if self.recent.len() > BODIES_MAX {
            self.recent.pop_front();
        }
    }

    fn find(&self, at: Position) -> Option<Record> {
        let found = self.recent.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        Some(Record::Body(self.recent[found].1.clone()))
    }
}
