//! Snapshots of the control plane: they let old journal segments go.
//!
//! A snapshot holds the topology and the retained messages as records, each with its kind and its
//! length before it. Queues are not in it: what is live in them is in the journal.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leveret_core::record::{self, Kind, Malformed, Record};
use leveret_core::{Position, TopologyCommand};

use super::Node;

/// How often it is asked whether a snapshot would be of use.
const INTERVAL: Duration = Duration::from_secs(1);

/// Stores snapshots while the node runs.
pub async fn run(node: Arc<Node>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        if !node.storage.wants_snapshot() {
            continue;
        }
        let node = node.clone();
        let stored = tokio::task::spawn_blocking(move || node.store_snapshot()).await;
        if let Ok(Err(error)) = stored {
            tracing::warn!(%error, "a snapshot could not be stored; it will be tried again");
        }
    }
}

impl Node {
    /// Stores the control plane as it is now.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn store_snapshot(&self) -> Result<(), leveret_storage::Error> {
        let (at, state) = self.control_plane();
        self.storage.store_snapshot(at, &state)
    }

    /// While both locks are held, nothing that concerns the state is appended, so the journal's end
    /// is the position whose state this is.
    fn control_plane(&self) -> (Position, Vec<u8>) {
        let topology = self.topology();
        let retained = self.retained.lock();
        let mut state = Vec::new();
        for command in topology.snapshot() {
            put(&mut state, Kind::Topology, &topology_payload(&command), &[]);
        }
        let mut head = Vec::new();
        for (vhost, store) in retained.iter() {
            for (_, message) in store.iter() {
                head.clear();
                let large = record::write::retain(&mut head, vhost, message);
                put(&mut state, Kind::Retain, &head, large.map_or(&[], |body| &body[..]));
            }
        }
        (self.storage.end(), state)
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
        let record = take(&mut rest);
        if record.is_err() {
            rest.clear();
        }
        Some(record)
    })
}

fn topology_payload(command: &TopologyCommand) -> Vec<u8> {
    let mut payload = Vec::new();
    record::write::topology(&mut payload, command);
    payload
}

fn put(state: &mut Vec<u8>, kind: Kind, head: &[u8], tail: &[u8]) {
    let len = u32::try_from(head.len() + tail.len()).expect("records are smaller than 4 GiB");
    state.push(kind as u8);
    state.extend_from_slice(&len.to_le_bytes());
    state.extend_from_slice(head);
    state.extend_from_slice(tail);
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
