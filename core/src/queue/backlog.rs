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

use std::sync::Arc;

use bytes::Bytes;

use super::entry::{Entry, Stored};
use super::page::{self, Page, Place};
use super::{Effects, Fetch, PageOut, Queue, Spill};
use crate::record::Malformed;
use crate::{EntryIndex, Message, Position, Reference};

/// The entries of a page, on their way back into their queue.
#[derive(Debug)]
pub struct PageEntries {
    first: EntryIndex,
    entries: Vec<Entry>,
}

/// What a fetch reads first: a page, and how much of its messages.
#[derive(Debug, Clone, Copy)]
pub struct PageFetch {
    /// Where the page is.
    pub at: Position,
    /// The size of the messages to bring along, in bytes.
    pub bytes_max: usize,
    pub(super) first: EntryIndex,
}

impl PageFetch {
    /// Reads the entries of the page.
    ///
    /// # Errors
    /// If these are not entries.
    pub fn read(&self, entries: &Bytes) -> Result<PageEntries, Malformed> {
        Ok(PageEntries { first: self.first, entries: page::read(entries)? })
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
        let size = entry.resident_bytes() as i64;
        let fits = self.resident_bytes as i64 + size <= fx.resident_bytes_free;
        if size > 0 && !self.ready.has_backlog() && (fits || self.is_waited_for(&entry)) {
            self.take_memory(size as usize, fx);
            return self.ready.push(entry);
        }
        self.push_behind(entry, fx);
    }

    /// Whether an entry would be handed out at once.
    fn is_waited_for(&self, entry: &Entry) -> bool {
        self.ready.len() == 0 && self.consumers.next(entry.needs_settlement()).is_some()
    }

    /// Adds an entry behind everything, without its message as soon as the journal has it.
    pub(super) fn push_behind(&mut self, mut entry: Entry, fx: &mut Effects) {
        entry.put_out_of_memory();
        if let (Stored::No, Some(message)) = (entry.stored, &entry.message) {
            let (queue, index, message) = (self.id, entry.index, message.clone());
            fx.spills.push(Spill { queue, index, message });
        }
        self.take_memory(entry.resident_bytes(), fx);
        self.ready.push_behind(entry);
        self.write_out(fx);
    }

    /// A spilled message is in the journal now.
    pub fn spilled(&mut self, index: EntryIndex, reference: Reference, fx: &mut Effects) {
        match self.ready.find(index) {
            Some(entry) if entry.stored == Stored::No => {
                entry.stored = Stored::Spilled(reference);
                let freed = entry.put_out_of_memory();
                self.give_memory(freed, fx);
                self.write_out(fx);
            }
            _ => fx.released.push(reference),
        }
    }

    /// A page is in the journal now.
    pub fn paged_out(&mut self, first: EntryIndex, reference: Reference, fx: &mut Effects) {
        match self.ready.pages.iter_mut().rev().find(|page| page.first == first) {
            Some(page) => page.place = Place::Journal(reference),
            None => fx.released.push(reference),
        }
    }

    /// Has pages that replay has made put into the journal.
    pub fn page_out(&mut self, fx: &mut Effects) {
        for page in &self.ready.pages {
            if let Place::Memory(entries) = &page.place {
                let (queue, first, entries) = (self.id, page.first, entries.clone());
                fx.pages.push(PageOut { queue, first, entries });
            }
        }
    }

    /// Writes out what the journal has of the newest entries.
    fn write_out(&mut self, fx: &mut Effects) {
        while let Some(entry) = self.ready.unspilled.front()
            && entry.stored.reference().is_some()
        {
            let back = self.ready.back.get_or_insert_default();
            let before = back.bytes().len();
            back.push(entry);
            let (len, size) = (back.len(), back.size_bytes());
            fx.resident_bytes_free -= (back.bytes().len() - before) as i64;
            self.ready.unspilled.pop_front();
            let is_short_of_memory = fx.resident_bytes_free < 0;
            if len >= fx.page_len_max
                || size >= PAGE_SIZE_MAX
                || (is_short_of_memory && len >= fx.page_len_max / PAGE_PART_MIN)
            {
                self.finish_page(fx);
            }
        }
    }

    fn finish_page(&mut self, fx: &mut Effects) {
        let Some(back) = self.ready.back.take() else { return };
        fx.resident_bytes_free += back.bytes().len() as i64;
        let page = back.finish();
        if let Place::Memory(entries) = &page.place {
            let (queue, first, entries) = (self.id, page.first, entries.clone());
            fx.pages.push(PageOut { queue, first, entries });
        }
        self.ready.pages.push_back(page);
    }

    /// Sees to it that what comes next is in memory before it is needed, as far as something waits.
    /// Says whether there is something to hand out that was not there before.
    pub(super) fn read_ahead(&mut self, fx: &mut Effects) -> bool {
        if self.fetching {
            return false;
        }
        let lacks_next = self.ready.front().is_some_and(|next| next.lacks_message());
        if lacks_next || self.ready.lacks_message_at(self.read_ahead_place()) {
            self.fetch_messages(fx);
            return false;
        }
        if !self.ready.has_backlog() || !self.ready.front_is_short(READ_AHEAD_LEN) {
            return false;
        }
        self.back_to_page(fx);
        match self.ready.pages.front().map(|page| (page.first, page.place.clone())) {
            Some((first, Place::Journal(reference))) => {
                let page = PageFetch { at: reference.at, bytes_max: fetch_bytes(fx), first };
                self.fetching = true;
                fx.fetches.push(Fetch { queue: self.id, page: Some(page), entries: Vec::new() });
                false
            }
            Some((first, Place::Memory(entries))) => {
                let entries = page::read(&entries).unwrap_or_default();
                self.take_page(PageEntries { first, entries }, fx);
                true
            }
            None => {
                let newest = std::mem::take(&mut self.ready.unspilled);
                self.ready.extend_front(newest);
                true
            }
        }
    }

    /// What is written out and no page yet is the next one to come back, if there is no other.
    pub(super) fn back_to_page(&mut self, fx: &mut Effects) {
        if self.ready.pages.is_empty()
            && let Some(back) = self.ready.back.take()
        {
            fx.resident_bytes_free += back.bytes().len() as i64;
            self.ready.pages.push_back(back.finish());
        }
    }

    /// Where in the front messages have to be missing for the next ones to be brought.
    fn read_ahead_place(&self) -> usize {
        let mean = self.ready.bytes() / (self.ready.len() as u64).max(1);
        ((FETCH_BYTES_MAX / 2) as u64 / mean.max(1)).clamp(1, READ_AHEAD_LEN as u64 / 4) as usize
    }

    fn fetch_messages(&mut self, fx: &mut Effects) {
        let entries = self.ready.stored_run(FETCH_LEN, fetch_bytes(fx));
        self.fetching = true;
        fx.fetches.push(Fetch { queue: self.id, page: None, entries });
    }

    /// The entries of a page are back from the journal. Their messages are still there.
    pub fn page_fetched(&mut self, entries: PageEntries, fx: &mut Effects) {
        self.fetching = false;
        self.take_page(entries, fx);
    }

    /// A page cannot be read: its entries are given up. Says how many these are.
    pub fn page_lost(&mut self, fetch: &PageFetch, fx: &mut Effects) -> u32 {
        self.fetching = false;
        self.pop_page(fetch.first, fx).map_or(0, |page| {
            self.ready.uncount_all(page.len as usize, page.size_bytes.into());
            page.len
        })
    }

    fn take_page(&mut self, read: PageEntries, fx: &mut Effects) {
        let Some(page) = self.pop_page(read.first, fx) else { return };
        self.ready.uncount_all(page.len as usize, page.size_bytes.into());
        for entry in read.entries {
            if page.is_restored && !entry.is_durable() {
                continue;
            }
            if !entry.needs_settlement() && entry.index < self.unsettled_from {
                self.release_reference(&entry, fx);
                continue;
            }
            self.ready.count(&entry);
            self.ready.extend_front([entry]);
        }
    }

    /// Takes the first page out, if it is the one that is meant: others may be gone meanwhile.
    fn pop_page(&mut self, first: EntryIndex, fx: &mut Effects) -> Option<Page> {
        let page = self.ready.pages.pop_front_if(|page| page.first == first)?;
        if let Place::Journal(reference) = page.place {
            fx.released.push(reference);
        }
        Some(page)
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
        for page in std::mem::take(&mut self.ready.pages) {
            self.discard_page(&page, fx);
        }
        self.back_to_page(fx);
        for page in std::mem::take(&mut self.ready.pages) {
            self.discard_page(&page, fx);
        }
    }

    pub(super) fn discard_page(&mut self, page: &Page, fx: &mut Effects) {
        self.ready.uncount_all(page.len as usize, page.size_bytes.into());
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
        let written = self.ready.pages.iter_mut().map(Page::forget_unsettled);
        let back = self.ready.back.iter_mut().map(|back| back.forget_unsettled());
        let (len, bytes) = written.chain(back).fold((0, 0), |(len, bytes), dropped| {
            (len + dropped.len as usize, bytes + u64::from(dropped.size_bytes))
        });
        self.ready.uncount_all(len, bytes);
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
const READ_AHEAD_LEN: usize = 1024;

/// The size of the messages of a page, in bytes, at which it is finished: what comes back at once.
const PAGE_SIZE_MAX: u64 = 1024 * 1024;

/// A page is finished at this part of its length if memory is short.
const PAGE_PART_MIN: usize = 10;
