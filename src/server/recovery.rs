//! Start: the snapshot, then the journal, through the same transitions as in operation.

use std::collections::VecDeque;
use std::sync::Arc;

use leveret_core::record::Record;
use leveret_core::{Message, Permissions, Position, ShardId, TopologyCommand};
use leveret_storage::RecoveryReport;

use super::auth::{GUEST, hash_password};
use super::{DEFAULT_VHOST, Node, snapshot};

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

/// Messages that several shards share, as they are met: the references follow closely.
#[derive(Default)]
struct Bodies {
    recent: VecDeque<(Position, Arc<Message>)>,
    bytes: usize,
}

/// How much of them is kept; older ones are read again.
const BODIES_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Node {
    /// Brings the node to where its journal says it was.
    ///
    /// # Errors
    /// If the disk cannot be read. Damaged records are no error: they are logged and counted.
    pub fn recover(&self) -> Result<RecoveryReport, RecoveryError> {
        let mut snapshot_at = Position(0);
        if let Some((at, state)) = self.storage.snapshot()? {
            snapshot_at = at;
            for record in snapshot::records(state) {
                match record {
                    Ok(record) => self.replay_control(record),
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
                if at >= snapshot_at {
                    self.replay_control(record);
                }
            }
            Ok(Record::Body(message)) => bodies.add(at, message),
            Ok(record) => self.replay_in_shards(at, record, &bodies),
        })?;
        self.forget_packets_of_ended_sessions();
        self.set_up()?;
        self.restore_sessions();
        Ok(report)
    }

    /// A record of the topology or of the retained messages.
    fn replay_control(&self, record: Record) {
        match record {
            Record::Topology(command) => self.replay_command(command),
            Record::Retain { vhost, message } => {
                let key = message.routing_key().to_owned();
                self.retained.lock().entry(vhost.into()).or_default().set(&key, Arc::new(message));
            }
            Record::Unretain { vhost, key } => {
                self.retained.lock().entry(vhost.into()).or_default().remove(&key);
            }
            _ => {}
        }
    }

    fn replay_command(&self, command: TopologyCommand) {
        let mut topology = self.topology_mut();
        let declared = match &command {
            TopologyCommand::DeclareQueue { id, .. } => Some(*id),
            _ => None,
        };
        match topology.replay(command) {
            Ok(applied) => {
                if let Some(id) = declared.filter(|_| applied.outcome.is_change()) {
                    self.create_in_shard(&topology, id);
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
        let mut message_at = |at| bodies.find(at).or_else(|| self.read_body(at));
        let references = self.shards[usize::from(shard.0) - 1]
            .replay(|work| work.state.replay(at, record, &mut message_at, &mut work.fx));
        references.iter().for_each(|&at| self.storage.retain(at, 1));
    }

    /// The end of a session may be in the snapshot, and its packets in records before it.
    fn forget_packets_of_ended_sessions(&self) {
        let topology = self.topology();
        let is_gone = |session| topology.queue_by_id(session).is_none();
        for shard in &self.shards {
            shard.replay(|work| work.state.forget_sessions(is_gone, &mut work.fx));
        }
    }

    fn read_body(&self, at: Position) -> Option<Arc<Message>> {
        let record = self.storage.read(at).ok()?;
        let message = Record::decode(record.header.kind, &record.payload).ok()?.into_message()?;
        Some(Arc::new(message))
    }

    /// What every broker has, on the first start.
    fn set_up(&self) -> Result<(), RecoveryError> {
        if self.topology().vhosts().next().is_some() {
            return Ok(());
        }
        let vhost: Arc<str> = DEFAULT_VHOST.into();
        let everything = || ".*".to_owned();
        let permissions =
            Permissions { configure: everything(), write: everything(), read: everything() };
        let salt = self.nonce.to_be_bytes();
        let salt = [salt[0], salt[1], salt[2], salt[3]];
        for command in [
            TopologyCommand::DeclareVhost { vhost: vhost.clone() },
            TopologyCommand::PutUser {
                name: GUEST.into(),
                password_hash: hash_password(salt, GUEST.as_bytes()),
                tags: vec!["administrator".to_owned()],
            },
            TopologyCommand::SetPermissions { user: GUEST.into(), vhost, permissions },
        ] {
            self.command(command)?;
        }
        Ok(())
    }
}

fn is_control(record: &Record) -> bool {
    matches!(record, Record::Topology(_) | Record::Retain { .. } | Record::Unretain { .. })
}

impl Bodies {
    fn add(&mut self, at: Position, message: Message) {
        self.bytes += message.size_bytes();
        self.recent.push_back((at, Arc::new(message)));
        while self.bytes > BODIES_BYTES_MAX && self.recent.len() > 1 {
            let oldest = self.recent.pop_front();
            self.bytes -= oldest.map_or(0, |(_, message)| message.size_bytes());
        }
    }

    fn find(&self, at: Position) -> Option<Arc<Message>> {
        let found = self.recent.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        Some(self.recent[found].1.clone())
    }
}
