//! Snapshots: a restart begins with the newest one, and replays only what came after it.
//!
//! A snapshot is a row of records, each with its kind and its length before it:
//!
//! ```text
//! Control    the position whose control plane follows
//! Topology   … one per vhost, exchange, queue, binding, user
//! Retained   … one per retained message
//! Session    … one per MQTT session that outlives its connection
//! Packets    one per shard
//! Queue      one per durable queue
//! ```
//!
//! The parts are taken one after the other while the node works, so each says what position it is
//! of. Replay begins at the first of them, and each part ignores what it has already seen. A snapshot
//! of the first format has no Control record and no queues, and holds the retained messages
//! themselves.

use bytes::Bytes;
use leveret_core::record::{self, Kind, Malformed, Record};
use leveret_core::{QueueId, ShardId};

use super::Node;
use super::shard::Shard;

impl Node {
    /// Stores the state as it is now.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn store_snapshot(&self) -> Result<(), leveret_storage::Error> {
        let _one_at_a_time = self.snapshots.lock().expect("nothing panics while it takes one");
        let from = self.storage.begin_snapshot();
        let mut queues = Snapshot::default();
        for (number, shard) in self.shards.iter().enumerate() {
            self.write_shard(&mut queues, ShardId(number as u16 + 1), shard);
        }
        // Queues after the control plane: what is in the journal of a queue that is not declared in
        // it comes after the declaration.
        let mut snapshot = Snapshot::default();
        self.write_control_plane(&mut snapshot);
        snapshot.0.append(&mut queues.0);
        self.storage.store_snapshot(from, self.storage.end(), &snapshot.0)
    }

    /// While a shard is locked nothing is appended that concerns its queues, so the journal's end is
    /// the position whose state this is. A few queues are taken at a time.
    fn write_shard(&self, snapshot: &mut Snapshot, id: ShardId, shard: &Shard) {
        let queues: Vec<QueueId> = shard.post(|work| {
            let packets = work.state.recorded_packets();
            let as_of = self.storage.end();
            snapshot.put(Kind::Packets, |out| record::write::packets(out, id, as_of, &packets));
            work.state.queue_ids()
        });
        for queues in queues.chunks(QUEUES_PER_LOCK) {
            shard.post(|work| {
                let as_of = self.storage.end();
                for &id in queues {
                    let queue = work.state.queue(id);
                    if let Some(queue) = queue.filter(|queue| queue.settings().durable) {
                        snapshot.put(Kind::Queue, |out| {
                            record::write::queue(out, id, as_of);
                            queue.write_state(out);
                        });
                    }
                }
            });
        }
    }

    /// While these locks are held, nothing that concerns this state is appended.
    fn write_control_plane(&self, snapshot: &mut Snapshot) {
        let sessions = self.lock_sessions();
        let topology = self.topology();
        let retained = self.retained.lock();
        let as_of = self.storage.end();
        snapshot.put(Kind::Control, |out| record::write::control(out, as_of));
        for command in topology.snapshot() {
            snapshot.put(Kind::Topology, |out| record::write::topology(out, &command));
        }
        for (vhost, store) in retained.iter() {
            for (key, kept) in store.iter() {
                if let Some(at) = kept.at {
                    snapshot
                        .put(Kind::Retained, |out| record::write::retained(out, vhost, key, at));
                }
            }
        }
        for session in sessions.lasting() {
            snapshot.put(Kind::Session, |out| {
                if let Some(body) = session.write(out) {
                    out.extend_from_slice(body);
                }
            });
        }
    }
}

/// How many queues are taken with one lock of their shard.
pub(super) const QUEUES_PER_LOCK: usize = 64;

/// A snapshot that is being written.
#[derive(Default)]
struct Snapshot(Vec<u8>);

impl Snapshot {
    fn put(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        self.0.push(kind as u8);
        let len_at = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        write(&mut self.0);
        let len = self.0.len() - len_at - 4;
        let len = u32::try_from(len).expect("records are smaller than 4 GiB");
        self.0[len_at..len_at + 4].copy_from_slice(&len.to_le_bytes());
    }
}

/// Reads the records of a snapshot.
///
/// # Errors
/// If it is not a snapshot of a form that this version knows.
pub fn records(state: Vec<u8>) -> impl Iterator<Item = Result<Record, Malformed>> {
    let mut rest = Bytes::from(state);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let before = rest.len();
        let record = take(&mut rest);
        // One that cannot be read costs no other, as long as it says where the next one begins.
        if record.is_err() && rest.len() == before {
            rest.clear();
        }
        Some(record)
    })
}

fn take(rest: &mut Bytes) -> Result<Record, Malformed> {
    const HEAD: usize = 5;
    let (&kind, len) = rest.get(..HEAD).and_then(|head| head.split_first()).ok_or(Malformed)?;
    let len = u32::from_le_bytes(len.try_into().map_err(|_| Malformed)?) as usize;
    if rest.len() < HEAD + len {
        return Err(Malformed);
    }
    let payload = rest.split_to(HEAD + len).slice(HEAD..);
    Record::decode(kind, &payload)
}
