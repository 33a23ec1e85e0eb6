//! Gives disk space back while the node runs: snapshots, and rewrites of what is sparse.

use std::collections::BTreeSet;
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
            let live = self.live_positions(plan.range())?;
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
    /// meanwhile is found in one of them, or retained anew, which the engine notes.
    ///
    /// # Errors
    /// If the disk refuses.
    fn live_positions(&self, range: Range<Position>) -> Result<Vec<Position>, Error> {
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
        Ok(live)
    }

    fn add_live(
        &self,
        shard: &Shard,
        queues: &[QueueId],
        range: &Range<Position>,
        live: &mut Vec<Position>,
    ) -> Result<(), Error> {
        let mut unreadable = BTreeSet::new();
        loop {
            let mut pages = BTreeSet::new();
            shard.post(|work| {
                for &id in queues {
                    let Some(queue) = work.state.queue(id) else { continue };
                    queue.references(|at| live.push(at));
                    pages.extend(queue.pages_about(range.start, range.end));
                }
            });
            live.retain(|at| range.contains(at));
            let missing = self.add_live_of(&pages, range, live)?;
            // A page that has gone back into memory meanwhile is found there the next time. One that
            // is still named and cannot be read is lost, and with it what it refers to.
            if missing.is_subset(&unreadable) {
                return Ok(());
            }
            unreadable = missing;
        }
    }

    /// Adds what pages refer to. Gives the pages that are not there.
    fn add_live_of(
        &self,
        pages: &BTreeSet<Position>,
        range: &Range<Position>,
        live: &mut Vec<Position>,
    ) -> Result<BTreeSet<Position>, Error> {
        let mut missing = BTreeSet::new();
        let pages: Vec<_> = pages.iter().copied().collect();
        for pages in pages.chunks(PAGES_PER_READ) {
            for (&page, record) in pages.iter().zip(self.storage.read_many(pages)) {
                let record = match record {
                    Ok(record) => Record::decode(record.header.kind, &record.payload).ok(),
                    Err(Error::Damaged { .. } | Error::Gone { .. }) => None,
                    Err(error) => return Err(error),
                };
                let positions = match record {
                    Some(Record::Page { entries, .. }) => PageEntries::positions(&entries).ok(),
                    _ => None,
                };
                match positions {
                    Some(positions) => {
                        live.extend(positions.iter().filter(|at| range.contains(at)))
                    }
                    None => _ = missing.insert(page),
                }
            }
        }
        Ok(missing)
    }
}

/// How often it is asked whether there is something to do.
const INTERVAL: Duration = Duration::from_millis(200);

/// How long a disk that refuses is left alone.
const RETRY: Duration = Duration::from_secs(2);

/// How many pages are in memory at once.
const PAGES_PER_READ: usize = 64;
