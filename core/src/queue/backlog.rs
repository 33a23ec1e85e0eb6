//! What becomes of entries that memory has no room for, and how they come back.
//!
//! A queue takes no more memory for its messages than is left for all others together
//! ([`Effects::resident_bytes_free`]), so one deep queue takes half of it, two take a third each,
//! and a quiet queue finds some whenever it needs it. What is over that goes behind the front: its
//! message is put out of memory (one that is not in the journal yet is *spilled* there first), and
//! the entry is written out. A full piece of what is written out becomes a [`Page`].
//!
//! On the way back a page is read before the front is empty, then the messages of its entries, in
//! batches, by a thread that may wait for the disk. One such fetch at a time is under way.
//!
//! Each level of a queue with priorities has a backlog of its own. What is read is of the highest
//! level that has something.

use std::sync::Arc;

use bytes::Bytes;

use super::entry::{Entry, Stored};
use super::extent::Extent;
use super::level::Level;
use super::page::{self, Page, PageWriter, Place};
use super::{DeathReason, Effects, Fetch, PageOut, Queue, Spill};
use crate::record::Malformed;
use crate::{EntryIndex, Message, Position, Reference};

/// The entries of a page, on their way back into their queue.
#[derive(Debug)]
pub struct PageEntries {
    pub(super) first: EntryIndex,
    pub(super) entries: Vec<Entry>,
    pub(super) swept_at_ms: Option<u64>,
}

/// What a fetch reads first: a page, and how much of its messages.
#[derive(Debug, Clone, Copy)]
pub struct PageFetch {
    /// Where the page is.
    pub at: Position,
    /// The size of the messages to bring along, in bytes.
    pub bytes_max: usize,
    pub(super) first: EntryIndex,
    /// It is read for what has expired then; the rest is not wanted yet.
    pub(super) swept_at_ms: Option<u64>,
}

impl PageFetch {
    /// Reads the entries of the page.
    ///
    /// # Errors
    /// If these are not entries.
    pub fn read(&self, entries: &Bytes) -> Result<PageEntries, Malformed> {
        let PageFetch { first, swept_at_ms, .. } = *self;
        Ok(PageEntries { first, entries: page::read(entries)?, swept_at_ms })
    }
}

impl PageEntries {
    /// The positions that the entries of a page refer to.
    ///
    /// # Errors
    /// If these are not entries.
    pub fn positions(entries: &Bytes) -> Result<Vec<Position>, Malformed> {
        let entries = page::read(entries)?;
        Ok(entries.iter().filter_map(|entry| Some(entry.stored.reference()?.at)).collect())
    }

    /// The first entries up to a size, and where their messages are.
    pub fn messages(&self, bytes_max: usize) -> Vec<(EntryIndex, Position)> {
        let mut bytes = 0;
        let within = self.entries.iter().take_while(|entry| {
            let fits = bytes < bytes_max;
            bytes += entry.size_bytes as usize;
            fits
        });
        let place = |entry: &Entry| Some((entry.index, entry.stored.reference()?.at));
        within.filter_map(place).collect()
    }
}

impl Queue {
    pub(super) fn admit(&mut self, entry: Entry, fx: &mut Effects) {
        let size = entry.resident_bytes();
        let fits = self.has_memory_for(&entry, fx);
        if size > 0 && fits && !self.ready.level(entry.priority).has_backlog() {
            self.take_memory(size, fx);
            return self.ready.push(entry);
        }
        self.push_behind(entry, fx);
    }

    /// Adds an entry behind everything, without its message as soon as the journal has it.
    pub(super) fn push_behind(&mut self, mut entry: Entry, fx: &mut Effects) {
        self.put_out_of_memory(&mut entry, fx);
        self.take_memory(entry.resident_bytes(), fx);
        let priority = entry.priority;
        self.ready.push_behind(entry);
        self.write_out(priority, fx);
    }

    /// Puts the message of an entry out of memory, if need be as soon as the journal has it.
    pub(super) fn put_out_of_memory(&self, entry: &mut Entry, fx: &mut Effects) {
        entry.put_out_of_memory();
        if let (Stored::No, Some(message)) = (entry.stored, &entry.message) {
            let (queue, index, message) = (self.id, entry.index, message.clone());
            fx.spills.push(Spill { queue, index, message });
        }
    }

    /// A spilled message is in the journal now.
    pub fn spilled(&mut self, index: EntryIndex, reference: Reference, fx: &mut Effects) {
        let found =
            self.ready.find(index).or_else(|| self.unacked.find(index).map(|held| &mut held.entry));
        match found.filter(|entry| entry.stored == Stored::No) {
            Some(entry) => {
                entry.stored = Stored::Spilled(reference);
                let (freed, priority) = (entry.put_out_of_memory(), entry.priority);
                self.give_memory(freed, fx);
                self.write_out(priority, fx);
            }
            None => fx.released.push(reference),
        }
    }

    /// A page is in the journal now.
    pub fn paged_out(&mut self, first: EntryIndex, reference: Reference, fx: &mut Effects) {
        match self.ready.find_page(first) {
            Some((priority, at)) => {
                self.ready.level(priority).pages[at].place = Place::Journal(reference);
            }
            None => fx.released.push(reference),
        }
    }

    /// Has pages that replay has made put into the journal.
    pub fn page_out(&mut self, fx: &mut Effects) {
        for page in self.ready.levels().flat_map(|level| &level.pages) {
            self.write_page(page, fx);
        }
    }

    pub(super) fn write_page(&self, page: &Page, fx: &mut Effects) {
        if let Place::Memory(entries) = &page.place {
            let (queue, first, entries) = (self.id, page.first, (**entries).clone());
            fx.pages.push(PageOut { queue, first, entries });
        }
    }

    /// Writes out what the journal has of the newest entries of a level.
    fn write_out(&mut self, priority: u8, fx: &mut Effects) {
        let level = self.ready.level(priority);
        while let Some(bytes) = level.write_out() {
            fx.resident_bytes_free -= bytes as i64;
            let extent = level.back().map(|back| back.extent()).unwrap_or_default();
            let (len, is_short_of_memory) = (extent.len as usize, fx.resident_bytes_free < 0);
            if len >= fx.page_len_max
                || extent.size_bytes >= PAGE_SIZE_MAX
                || (is_short_of_memory && len >= fx.page_len_max / PAGE_PART_MIN)
            {
                finish_page(level, fx);
                if let Some(Page { first, place: Place::Memory(entries), .. }) = level.pages.back()
                {
                    let (queue, first, entries) = (self.id, *first, (**entries).clone());
                    fx.pages.push(PageOut { queue, first, entries });
                }
            }
        }
    }

    /// Sees to it that what comes next is in memory before it is needed, as far as something waits.
    /// Says whether there is something to hand out that was not there before.
    pub(super) fn read_ahead(&mut self, fx: &mut Effects) -> bool {
        if self.fetching {
            return false;
        }
        let place = self.read_ahead_place();
        let Some(level) = self.ready.top() else { return false };
        let lacks_next = level.front().is_some_and(|next| next.lacks_message());
        if lacks_next || level.lacks_message_at(place) {
            let entries = level.stored_run(FETCH_LEN, fetch_bytes(fx));
            self.fetching = true;
            fx.fetches.push(Fetch { queue: self.id, page: None, entries });
            return false;
        }
        if !level.has_backlog() || !level.front_is_short(READ_AHEAD_LEN) {
            return false;
        }
        back_to_page(level, fx);
        match level.pages.front().map(|page| (page.first, page.place.clone())) {
            Some((first, Place::Journal(reference))) => {
                let bytes_max = fetch_bytes(fx);
                self.fetch_page(
                    PageFetch { at: reference.at, bytes_max, first, swept_at_ms: None },
                    fx,
                );
                false
            }
            Some((first, Place::Memory(entries))) => {
                let entries = page::read(&entries).unwrap_or_default();
                self.take_page(PageEntries { first, entries, swept_at_ms: None }, fx);
                true
            }
            None => {
                level.bring_unspilled();
                true
            }
        }
    }

    pub(super) fn fetch_page(&mut self, page: PageFetch, fx: &mut Effects) {
        self.fetching = true;
        fx.fetches.push(Fetch { queue: self.id, page: Some(page), entries: Vec::new() });
    }

    /// Where in the front messages have to be missing for the next ones to be brought.
    fn read_ahead_place(&self) -> usize {
        let all = self.ready.extent();
        let mean = all.size_bytes / all.len.max(1);
        ((FETCH_BYTES_MAX / 2) as u64 / mean.max(1)).clamp(1, READ_AHEAD_LEN as u64 / 4) as usize
    }

    /// The entries of a page are back from the journal. Their messages are still there.
    pub fn page_fetched(&mut self, entries: PageEntries, fx: &mut Effects) {
        self.fetching = false;
        self.give_back_page(entries, fx);
    }

    pub(super) fn give_back_page(&mut self, entries: PageEntries, fx: &mut Effects) {
        match entries.swept_at_ms {
            None => self.take_page(entries, fx),
            Some(now_ms) => self.sweep_page(now_ms, entries, fx),
        }
    }

    /// A page cannot be read: its entries are given up. Says how many these are.
    pub fn page_lost(&mut self, fetch: &PageFetch, fx: &mut Effects) -> u64 {
        self.fetching = false;
        let Some((_, page)) = self.remove_page(fetch.first, fx) else { return 0 };
        Extent::from(page.extent).len
    }

    fn take_page(&mut self, read: PageEntries, fx: &mut Effects) {
        // Others may have come in front of it meanwhile.
        if self.ready.find_page(read.first).is_none_or(|(_, at)| at > 0) {
            return;
        }
        let Some((_, page)) = self.remove_page(read.first, fx) else { return };
        let entries = self.living(&page, read.entries, fx);
        for entry in &entries {
            self.ready.count(entry.extent());
        }
        self.ready.level(page.priority).extend_front(entries);
    }

    /// The entries of a page that are still wanted.
    fn living(&self, page: &Page, mut entries: Vec<Entry>, fx: &mut Effects) -> Vec<Entry> {
        entries.retain(|entry| {
            if page.is_restored && !entry.is_durable() {
                return false;
            }
            let is_dropped = !entry.needs_settlement() && entry.index < self.unsettled_from;
            if is_dropped {
                self.release_reference(entry, fx);
            }
            !is_dropped
        });
        entries
    }

    /// Takes a page out with what it counts for, and says where it was.
    fn remove_page(&mut self, first: EntryIndex, fx: &mut Effects) -> Option<(usize, Page)> {
        let (priority, at) = self.ready.find_page(first)?;
        let page = self.ready.level(priority).remove_page(at)?;
        match page.place {
            Place::Journal(reference) => fx.released.push(reference),
            // Nothing is to take a page of this name from now on for this one.
            Place::Memory(_) => fx.pages.retain(|out| (out.queue, out.first) != (self.id, first)),
        }
        self.ready.uncount(page.extent.into());
        Some((at, page))
    }

    /// Takes what has expired out of a page, and leaves the rest in a new one at its place.
    fn sweep_page(&mut self, now_ms: u64, read: PageEntries, fx: &mut Effects) {
        let Some((at, page)) = self.remove_page(read.first, fx) else { return };
        let entries = self.living(&page, read.entries, fx);
        let (expired, left): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.is_expired(now_ms));
        let mut writer = PageWriter::default();
        left.iter().for_each(|entry| writer.push(entry));
        if !left.is_empty() {
            let page = writer.finish();
            self.write_page(&page, fx);
            self.ready.count(page.extent.into());
            self.ready.level(page.priority).insert_page(at, page);
        }
        expired.into_iter().for_each(|entry| self.part_with(entry, DeathReason::Expired, fx));
    }

    /// Messages are back from the journal; the ones that could not be read are given up.
    pub fn fetched(&mut self, messages: Vec<(EntryIndex, Option<Arc<Message>>)>, fx: &mut Effects) {
        self.fetching = false;
        for (index, message) in messages {
            match message {
                Some(message) => {
                    let bytes = self.ready.fill(index, message).unwrap_or(0);
                    self.take_memory(bytes, fx);
                }
                None => {
                    if let Some(entry) = self.ready.remove(index) {
                        self.finish(&entry, fx);
                    }
                }
            }
        }
    }

    /// Drops what is written out.
    pub(super) fn discard_backlog(&mut self, fx: &mut Effects) {
        for priority in self.ready.priorities() {
            let level = self.ready.level(priority);
            finish_page(level, fx);
            while let Some(page) = self.ready.level(priority).remove_page(0) {
                self.discard_page(&page, fx);
            }
        }
    }

    pub(super) fn discard_page(&mut self, page: &Page, fx: &mut Effects) {
        self.ready.uncount(page.extent.into());
        match &page.place {
            Place::Journal(reference) => {
                fx.discarded.push(DiscardedPage { at: *reference, is_restored: page.is_restored });
            }
            Place::Memory(entries) => {
                let references = references(entries, page.is_restored).unwrap_or_default();
                fx.released.extend(references);
            }
        }
    }

    /// A session that is away keeps no QoS 0 messages.
    pub(super) fn drop_unsettled(&mut self, fx: &mut Effects) {
        for entry in self.ready.remove_where(|entry| !entry.needs_settlement()) {
            self.forget(&entry, fx);
        }
        self.unsettled_from = self.next_index;
        let dropped: Vec<Extent> = self.ready.levels_mut().map(Level::forget_unsettled).collect();
        dropped.into_iter().for_each(|dropped| self.ready.uncount(dropped));
    }

    /// Whether the message may be in memory: see the module's documentation.
    pub(super) fn has_memory_for(&self, entry: &Entry, fx: &Effects) -> bool {
        (self.resident_bytes + entry.resident_bytes()) as i64 <= fx.resident_bytes_free
    }

    pub(super) fn take_memory(&mut self, bytes: usize, fx: &mut Effects) {
        self.resident_bytes += bytes;
        fx.resident_bytes_free -= bytes as i64;
    }

    pub(super) fn give_memory(&mut self, bytes: usize, fx: &mut Effects) {
        self.resident_bytes -= bytes;
        fx.resident_bytes_free += bytes as i64;
    }
}

/// Makes a page of what is written out and none yet.
pub(super) fn finish_page(level: &mut Level, fx: &mut Effects) {
    fx.resident_bytes_free += level.finish_page().unwrap_or(0) as i64;
}

/// What is written out and no page yet is the next one to come back, if there is no other.
pub(super) fn back_to_page(level: &mut Level, fx: &mut Effects) {
    if level.pages.is_empty() {
        finish_page(level, fx);
    }
}

/// A page that nobody needs any more, but whose references are not released yet.
#[derive(Debug, Clone, Copy)]
pub struct DiscardedPage {
    /// The page's own record.
    pub at: Reference,
    is_restored: bool,
}

impl DiscardedPage {
    /// The references that the entries of the page hold.
    ///
    /// # Errors
    /// If these are not entries.
    pub fn references(&self, entries: &Bytes) -> Result<Vec<Reference>, Malformed> {
        references(entries, self.is_restored)
    }
}

/// The references of entries; those of what was spilled before a restart do not exist.
fn references(entries: &[u8], is_restored: bool) -> Result<Vec<Reference>, Malformed> {
    let entries = page::read(entries)?;
    let held = entries.iter().filter(|entry| !is_restored || entry.is_durable());
    Ok(held.filter_map(|entry| entry.stored.reference()).collect())
}

/// How much a fetch brings back: enough to keep a consumer busy while the next one runs, and less
/// when memory is short.
fn fetch_bytes(fx: &Effects) -> usize {
    let part = usize::try_from(fx.resident_bytes_free).unwrap_or(0) / 8;
    part.clamp(FETCH_BYTES_MIN, FETCH_BYTES_MAX)
}

const FETCH_LEN: usize = 4096;
const FETCH_BYTES_MIN: usize = 64 * 1024;
const FETCH_BYTES_MAX: usize = 1024 * 1024;

/// When so few entries are in front, more are brought.
pub(super) const READ_AHEAD_LEN: usize = 1024;

/// The size of the messages of a page, in bytes, at which it is finished: what comes back at once.
const PAGE_SIZE_MAX: u64 = 1024 * 1024;

/// A page is finished at this part of its length if memory is short.
const PAGE_PART_MIN: usize = 10;
