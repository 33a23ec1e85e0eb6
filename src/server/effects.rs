//! Effects that cannot be carried out under a shard's lock: they wait for the disk, or need the
//! topology, whose lock comes before a shard's.

use std::sync::{Arc, Weak};
use std::time::Duration;
use std::vec::Drain;

use leveret_core::record::Record;
use leveret_core::{
    Death, DiscardedPage, EntryIndex, Fetch, Message, PageEntries, PageFetch, Position, QueueId,
};
use leveret_storage::Error;
use tokio::runtime::Handle;

use super::Node;
use super::shard::release_page;
use super::timers::Timer;

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

    /// Releases what discarded pages refer to, on such a thread too. Until then they are held.
    pub(super) fn discard(&self, pages: Drain<'_, DiscardedPage>) {
        if pages.len() == 0 {
            return;
        }
        let Some(node) = self.node.upgrade() else { return };
        let pages: Vec<_> = pages.collect();
        pages.iter().for_each(|page| node.held.add(page.at.at));
        self.runtime.spawn_blocking(move || {
            for page in pages {
                release_page(&*node.storage, page);
                node.held.remove(page.at.at);
            }
        });
    }

    /// Has messages published elsewhere, all by one task so that they stay in order.
    pub(super) fn bury(&self, deaths: Drain<'_, Death>) {
        if deaths.len() == 0 {
            return;
        }
        let Some(node) = self.node.upgrade() else { return };
        node.dead_letters.add(deaths);
    }

    /// Has queues pumped when their time comes.
    pub(super) fn wake(&self, wakes: Drain<'_, (QueueId, u64)>) {
        if wakes.len() == 0 {
            return;
        }
        let Some(node) = self.node.upgrade() else { return };
        let now_ms = super::clock::now_ms();
        for (queue, at_ms) in wakes {
            let after = Duration::from_millis(at_ms.saturating_sub(now_ms));
            node.timers.set(after, Timer::QueueFront(queue));
        }
    }

    /// Has queues deleted when they are not used for their time.
    pub(super) fn expire(&self, idle: Drain<'_, (QueueId, u64)>) {
        for (queue, after_ms) in idle {
            let Some(node) = self.node.upgrade() else { return };
            node.timers.set(Duration::from_millis(after_ms), Timer::QueueExpiry(queue));
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

/// What a fetch has brought.
#[derive(Default)]
struct Fetched {
    page: Option<PageEntries>,
    is_page_lost: bool,
    messages: Vec<(EntryIndex, Option<Arc<Message>>)>,
    /// The disk refuses: what was not read is still there.
    is_refused: bool,
}

impl Node {
    fn fetch(&self, fetch: Fetch) {
        let mut fetched = Fetched::default();
        match fetch.page {
            None => self.fetch_messages(fetch.queue, &fetch.entries, &mut fetched),
            Some(page) => self.fetch_page(fetch.queue, page, &mut fetched),
        }
        if fetched.is_refused {
            std::thread::sleep(RETRY);
        }
        self.shard_of(fetch.queue).post(|work| {
            let Some(queue) = work.state.queue(fetch.queue) else { return };
            if let (Some(page), true) = (fetch.page, fetched.is_page_lost) {
                let lost = queue.page_lost(&page, &mut work.fx);
                tracing::error!(queue = %fetch.queue, "{lost} messages of a page are lost");
            }
            if let Some(page) = fetched.page {
                queue.page_fetched(page, &mut work.fx);
            }
            queue.fetched(fetched.messages, &mut work.fx);
            queue.pump(work.now_ms, &mut work.fx);
        });
    }

    fn fetch_page(&self, queue: QueueId, page: PageFetch, fetched: &mut Fetched) {
        let entries = match self.storage.read(page.at) {
            Ok(record) => match Record::decode(record.header.kind, &record.payload) {
                Ok(Record::Page { entries, .. }) => page.read(&entries).ok(),
                _ => None,
            },
            Err(error @ (Error::Damaged { .. } | Error::Gone { .. })) => {
                tracing::error!(%queue, %error, "a page at {:?} is lost", page.at);
                None
            }
            Err(error) => {
                tracing::warn!(%queue, %error, "a page at {:?} is not read", page.at);
                fetched.is_refused = true;
                return;
            }
        };
        fetched.is_page_lost = entries.is_none();
        if let Some(entries) = entries {
            self.fetch_messages(queue, &entries.messages(page.bytes_max), fetched);
            fetched.page = Some(entries);
        }
    }

    fn fetch_messages(
        &self,
        queue: QueueId,
        entries: &[(EntryIndex, Position)],
        fetched: &mut Fetched,
    ) {
        let positions: Vec<_> = entries.iter().map(|(_, at)| *at).collect();
        let records = self.storage.read_many(&positions);
        for (&(index, at), record) in entries.iter().zip(records) {
            match record {
                Ok(record) => {
                    let message = Record::decode(record.header.kind, &record.payload)
                        .ok()
                        .and_then(|record| record.into_message()?.into_message().ok());
                    fetched.messages.push((index, message.map(Arc::new)));
                }
                Err(error @ (Error::Damaged { .. } | Error::Gone { .. })) => {
                    tracing::error!(%queue, %error, "a message at {at:?} is lost");
                    fetched.messages.push((index, None));
                }
                Err(error) => {
                    tracing::warn!(%queue, %error, "a message at {at:?} is not read");
                    fetched.is_refused = true;
                }
            }
        }
    }
}

/// How long a disk that refuses to read is left alone. The thread is one that may wait for the disk.
const RETRY: Duration = Duration::from_millis(100);
