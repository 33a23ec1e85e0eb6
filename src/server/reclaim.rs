//! Gives disk space back while the node runs: snapshots, and rewrites of what is sparse.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use leveret_core::record::Record;
use leveret_core::{PageEntries, Position, QueueId};
use leveret_storage::{Error, Rewritten};

use super::Node;
use super::shard::Shard;
use super::snapshot::QUEUES_PER_LOCK;

/// Stores snapshots and has segments rewritten whenever it is of use.
pub async fn run(node: Arc<Node>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let node = node.clone();
        let done = tokio::task::spawn_blocking(move || node.reclaim()).await;
        if let Ok(Err(error)) = done {
            tracing::warn!(%error, "disk space could not be given back; it will be tried again");
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl Node {
    /// # Errors
    /// If the disk refuses.
    fn reclaim(&self) -> Result<(), Error> {
        if self.storage.wants_snapshot() {
            self.store_snapshot()?;
        }
        while let Some(plan) = self.storage.plan_rewrite() {
            let Some(live) = self.live_positions(plan.range()) else { return Ok(()) };
            self.store_snapshot()?;
            let Rewritten { segments, bytes_before, bytes_after } =
                self.storage.rewrite(plan, &live)?;
            tracing::debug!(segments, bytes_before, bytes_after, "segments rewritten");
            if segments == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The positions in a range that anything refers to. What moves from one place to another
    /// meanwhile is found in one of them, or retained anew, which the engine notes. `None` if a page
    /// could not be read.
    fn live_positions(&self, range: Range<Position>) -> Option<Vec<Position>> {
        let mut live = Vec::new();
        for shard in &self.shards {
            let queues = shard.post(|work| {
                let packets = work.state.recorded_packets();
                live.extend(packets.into_iter().map(|packet| packet.at.at));
                work.state.queue_ids()
            });
            for queues in queues.chunks(QUEUES_PER_LOCK) {
                self.add_live(shard, queues, &range, &mut live)?;
            }
        }
        for store in self.retained.lock().values() {
            live.extend(store.iter().filter_map(|(_, kept)| Some(kept.at?.at)));
        }
        live.retain(|at| range.contains(at));
        live.extend(self.held.within(range));
        Some(live)
    }

    fn add_live(
        &self,
        shard: &Shard,
        queues: &[QueueId],
        range: &Range<Position>,
        live: &mut Vec<Position>,
    ) -> Option<()> {
        let mut pages = Vec::new();
        let mut take = |at| {
            if range.contains(&at) {
                live.push(at);
            }
        };
        shard.post(|work| {
            for &id in queues {
                let Some(queue) = work.state.queue(id) else { continue };
                queue.references(&mut take);
                pages.extend(queue.pages_about(range.start, range.end));
            }
        });
        pages.sort_unstable();
        for pages in pages.chunks(PAGES_PER_READ) {
            for record in self.storage.read_many(pages) {
                let record = record
                    .inspect_err(|error| tracing::debug!(%error, "nothing is rewritten"))
                    .ok()?;
                let record = Record::decode(record.header.kind, &record.payload).ok()?;
                let Record::Page { entries, .. } = record else { return None };
                PageEntries::positions(&entries).ok()?.into_iter().for_each(&mut take);
            }
        }
        Some(())
    }
}

/// How often it is asked whether there is something to do.
const INTERVAL: Duration = Duration::from_millis(200);

/// How long a disk that refuses is left alone.
const RETRY: Duration = Duration::from_secs(2);

/// How many pages are in memory at once.
const PAGES_PER_READ: usize = 64;
