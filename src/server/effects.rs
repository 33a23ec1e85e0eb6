//! Effects that cannot be carried out under a shard's lock: they wait for the disk, or need the
//! topology, whose lock comes before a shard's.

use std::sync::{Arc, Weak};
use std::vec::Drain;

use leveret_core::record::Record;
use leveret_core::{EntryIndex, Fetch, Message, QueueId};
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
        let messages: Vec<(EntryIndex, Option<Arc<Message>>)> = fetch
            .entries
            .iter()
            .zip(records)
            .map(|(&(index, at), record)| {
                let message = match record {
                    Ok(record) => Record::decode(record.header.kind, &record.payload)
                        .ok()
                        .and_then(Record::into_message),
                    Err(error) => {
                        tracing::error!(queue = %fetch.queue, %error, "a message at {at:?} is lost");
                        None
                    }
                };
                (index, message.map(Arc::new))
            })
            .collect();
        let now_ms = super::clock::now_ms();
        self.shard_of(fetch.queue).post(|work| {
            if let Some(queue) = work.state.queue(fetch.queue) {
                queue.fetched(messages, &mut work.fx);
                queue.pump(now_ms, &mut work.fx);
            }
        });
    }
}
