//! A queue in a snapshot: where its entries are, those in memory written out, those in pages named.
//!
//! ```text
//! next index | next sequence | number of pages | pages | entries as in a page
//! page       first index | last index | length | reference
//! ```
//!
//! Only what survives a restart is in it. What a page holds of the rest is left out when it is read.

use std::cmp::Reverse;

use bytes::Bytes;

use super::entry::{Entry, NEVER};
use super::extent::{Extent, PageExtent};
use super::level::Level;
use super::page::{self, Page, PageWriter, Place};
use super::unacked::Held;
use super::{Effects, Queue, QueueSettings};
use crate::record::bytes::{Reader, put};
use crate::record::{self, Malformed, Record};
use crate::shard::page_entries;
use crate::{EntryIndex, Position, QueueId, Reference};

/// What became of the pages of a queue that was restored.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Pages that could not be read.
    pub pages_lost: usize,
    /// The entries in them, at the most.
    pub entries_lost: u64,
}

/// The journal, as a queue that is restored needs it.
pub trait RestoreFrom {
    /// Reads a record.
    fn read(&mut self, at: Position) -> Option<Record>;

    /// Adds a reference.
    fn retain(&mut self, reference: Reference);
}

/// An entry as the journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its place in the queue.
    pub index: EntryIndex,
    /// The record of the message.
    pub at: Position,
    /// How often it was handed out.
    pub deliveries: u32,
    /// An MQTT QoS 2 receiver has taken it over.
    pub received: bool,
}

impl StoredEntry {
    fn of(entry: &Entry) -> Option<Self> {
        let Entry { index, deliveries, received, .. } = *entry;
        Some(StoredEntry { index, at: entry.stored.reference()?.at, deliveries, received })
    }
}

struct PageName {
    first: EntryIndex,
    last: EntryIndex,
    len: u32,
    at: Reference,
}

impl Queue {
    /// Writes the state of a durable queue. All its pages have to be in the journal.
    pub fn write_state(&self, out: &mut Vec<u8>) {
        put(out, self.next_index.0);
        put(out, self.next_sequence);
        let named = |page: &&Page| matches!(page.place, Place::Journal(_));
        put(out, self.pages().filter(named).count() as u64);
        for page in self.pages() {
            let Place::Journal(reference) = page.place else { continue };
            put(out, page.first.0);
            put(out, page.last.0);
            put(out, Extent::from(page.extent).len);
            record::write::reference(out, reference);
        }
        let mut entries = PageWriter::default();
        self.each_in_memory(|entry| {
            if entry.is_durable() {
                entries.push(entry);
            }
        });
        out.extend_from_slice(entries.bytes());
    }

    /// The positions that the queue refers to, but for those in its pages.
    pub fn references(&self, mut take: impl FnMut(Position)) {
        self.each_in_memory(|entry| {
            entry.stored.reference().into_iter().for_each(|reference| take(reference.at));
        });
        for page in self.pages() {
            if let Place::Journal(reference) = page.place {
                take(reference.at);
            }
        }
    }

    /// The pages that refer to something from `from` on and before `to`.
    pub fn pages_about(&self, from: Position, to: Position) -> impl Iterator<Item = Position> {
        let about = move |page: &&Page| page.low < to && from <= page.high;
        self.pages().filter(about).filter_map(|page| match page.place {
            Place::Journal(reference) => Some(reference.at),
            Place::Memory(_) => None,
        })
    }

    /// Gives all entries that are in the journal, in order, the highest priority first. `read` reads the
    /// entries of a page. Says how many are in pages that could not be read.
    pub fn stored(
        &self,
        read: &mut dyn FnMut(Position) -> Option<Record>,
        take: &mut dyn FnMut(StoredEntry),
    ) -> u64 {
        let mut in_memory = Vec::new();
        self.each_in_memory(|entry| {
            in_memory.extend(StoredEntry::of(entry).map(|stored| (entry.priority, stored)));
        });
        in_memory.sort_unstable_by_key(|(priority, entry)| (Reverse(*priority), entry.index));
        let mut in_memory = in_memory.into_iter().peekable();
        let mut lost = 0;
        for page in self.pages() {
            let place = (Reverse(page.priority), page.first);
            let before =
                |(priority, entry): &(u8, StoredEntry)| (Reverse(*priority), entry.index) < place;
            while let Some((_, entry)) = in_memory.next_if(before) {
                take(entry);
            }
            let bytes = match &page.place {
                Place::Memory(bytes) => Some((**bytes).clone()),
                Place::Journal(reference) => read(reference.at).and_then(page_entries),
            };
            match bytes.and_then(|bytes| page::read(&bytes).ok()) {
                Some(entries) => {
                    let durable = entries.iter().filter(|entry| entry.is_durable());
                    durable.filter_map(StoredEntry::of).for_each(&mut *take);
                }
                None => lost += Extent::from(page.extent).len,
            }
        }
        in_memory.for_each(|(_, entry)| take(entry));
        lost
    }

    fn pages(&self) -> impl Iterator<Item = &Page> {
        self.ready.levels().flat_map(|level| &level.pages)
    }

    /// Everything that is in memory or written out there, waiting or not, in no order.
    fn each_in_memory(&self, mut take: impl FnMut(&Entry)) {
        self.unacked.entries().for_each(&mut take);
        self.leaving.iter().flat_map(|leaving| leaving.values()).for_each(&mut take);
        self.ready.entries().for_each(&mut take);
        for back in self.ready.levels().filter_map(Level::back) {
            page::read(back.bytes()).unwrap_or_default().iter().for_each(&mut take);
        }
    }

    /// The queue that such a state is of. `journal` gives the entries of a page and is told of every
    /// reference.
    ///
    /// # Errors
    /// If the state is not of this form.
    pub fn restore(
        (id, settings): (QueueId, QueueSettings),
        as_of: Position,
        state: &Bytes,
        journal: &mut dyn RestoreFrom,
        fx: &mut Effects,
    ) -> Result<(Queue, Restored), Malformed> {
        let mut queue = Queue { as_of, ..Queue::new(id, settings) };
        let mut restored = Restored::default();
        let mut r = Reader(state);
        queue.next_index = EntryIndex(r.counter()?);
        queue.next_sequence = r.counter()?;
        let pages = r.list(read_page_name)?;
        let mut entries = page::read(r.0)?;
        entries.sort_unstable_by_key(|entry| entry.index);
        let mut found = Vec::new();
        for name in pages {
            match name.restore(journal) {
                Some(page) if Extent::from(page.extent).len > 0 => found.push(page),
                Some(_) => {}
                None => {
                    restored.pages_lost += 1;
                    restored.entries_lost += u64::from(name.len);
                }
            }
        }
        let is_newest = |entry: &Entry| {
            let first = found.iter().find(|page| page.priority == entry.priority);
            first.is_none_or(|page| entry.index > page.first)
        };
        let (newest, oldest): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_newest);
        for entry in &newest {
            entry.stored.reference().into_iter().for_each(|reference| journal.retain(reference));
        }
        for entry in oldest {
            entry.stored.reference().into_iter().for_each(|reference| journal.retain(reference));
            queue.restore_entry(entry, fx, |queue, entry, _| queue.ready.push(entry));
        }
        for page in found {
            queue.ready.count(page.extent.into());
            let level = queue.ready.level(page.priority);
            level.insert_page(level.pages.len(), page);
        }
        for entry in newest {
            queue.restore_entry(entry, fx, Queue::push_behind);
        }
        Ok((queue, restored))
    }

    fn restore_entry(
        &mut self,
        mut entry: Entry,
        fx: &mut Effects,
        wait: impl FnOnce(&mut Queue, Entry, &mut Effects),
    ) {
        entry.keep_if_begun();
        match entry.received {
            true => self.unacked.insert(Held { entry, holder: None }),
            false => wait(self, entry, fx),
        }
    }
}

impl PageName {
    /// The page as it is now, if it is whole; nothing is left of what was not durable.
    fn restore(&self, journal: &mut dyn RestoreFrom) -> Option<Page> {
        let mut entries = page::read(&page_entries(journal.read(self.at.at)?)?).ok()?;
        entries.retain(Entry::is_durable);
        let mut extent = Extent::default();
        let (mut low, mut high, mut expires_at_ms) = (Position(u64::MAX), Position(0), NEVER);
        for entry in &entries {
            let reference = entry.stored.reference()?;
            extent += entry.extent();
            (low, high) = (low.min(reference.at), high.max(reference.at));
            expires_at_ms = expires_at_ms.min(entry.expires_at_ms);
            journal.retain(reference);
        }
        if !entries.is_empty() {
            journal.retain(self.at);
        }
        Some(Page {
            place: Place::Journal(self.at),
            // What was in front of it and is not there any more may have let later ones pass.
            first: entries.first().map_or(self.first, |entry| entry.index),
            last: self.last,
            extent: extent.into(),
            unsettled: PageExtent::default(),
            low,
            high,
            expires_at_ms,
            priority: entries.first().map_or(0, |entry| entry.priority),
            is_restored: true,
        })
    }
}

fn read_page_name(r: &mut Reader<'_>) -> Result<PageName, Malformed> {
    Ok(PageName {
        first: EntryIndex(r.counter()?),
        last: EntryIndex(r.counter()?),
        len: r.narrow()?,
        at: record::read_reference(r)?,
    })
}
