//! Effects that cannot be carried out under a shard's lock: they wait for the disk, or need the
//! topology, whose lock comes before a shard's.

use std::sync::{Arc, Weak};
use std::time::Duration;
use std::vec::Drain;

use leveret_core::record::Record;
use leveret_core::{EntryIndex, Fetch, Message, QueueId};
use leveret_storage::Error;
use tokio::runtime::Handle;

use super::Node;

/// Carries such effects out on the runtime.
#[derive(Clone)]
pub struct Duty {
    node: Weak<Node>,
    runtime: Handle,
}

impl Duty {
    /// For the shards of this node.
    pub fn new(node: Weak<Node>, runtime: Handle) -> Self {
        Duty { node, runtime }
    }

    /// Reads messages on a thread that may wait for the disk, and gives them to their queues.
    pub(super) fn fetch(&self, fetches: Drain<'_, Fetch>) {
        for fetch in fetches {
            let Some(node) = self.node.upgrade() else { continue };
            self.runtime.spawn_blocking(move || node.fetch(fetch));
        }
    }

    /// Deletes auto-delete queues that are still unused when their turn comes.
    pub(super) fn delete_unused(&self, queues: Drain<'_, QueueId>) {
        for queue in queues {
            let Some(node) = self.node.upgrade() else { continue };
            self.runtime.spawn(async move { node.delete_if_unused(queue) });
        }
    }
}

impl Node {
    fn fetch(&self, fetch: Fetch) {
        let positions: Vec<_> = fetch.entries.iter().map(|(_, at)| *at).collect();
        let records = self.storage.read_many(&positions);
        let mut messages: Vec<(EntryIndex, Option<Arc<Message>>)> = Vec::new();
        let mut is_refused = false;
        for (&(index, at), record) in fetch.entries.iter().zip(records) {
            match record {
                Ok(record) => {
                    let message = Record::decode(record.header.kind, &record.payload)
                        .ok()
                        .and_then(Record::into_message);
                    messages.push((index, message.map(Arc::new)));
                }
                Err(error @ (Error::Damaged { .. } | Error::Gone { .. })) => {
                    tracing::error!(queue = %fetch.queue, %error, "a message at {at:?} is lost");
                    messages.push((index, None));
                }
                // It is still there: the queue will ask again.
                Err(error) => {
                    tracing::warn!(queue = %fetch.queue, %error, "a message at {at:?} is not read");
                    is_refused = true;
                }
            }
        }
        if is_refused {
            std::thread::sleep(RETRY);
        }
        let now_ms = super::clock::now_ms();
        self.shard_of(fetch.queue).post(|work| {
            if let Some(queue) = work.state.queue(fetch.queue) {
                queue.fetched(messages, &mut work.fx);
                queue.pump(now_ms, &mut work.fx);
            }
        });
    }
}

/// How long a disk that refuses to read is left alone. The thread is one that may wait for the disk.
const RETRY: Duration = Duration::from_millis(100);
