//! The entries of one priority that wait, in the order of their index.
//!
//! ```text
//! returned         handed out and back: each in its old place, before everything that was not
//! front            the oldest of the rest, as entries; their messages are in memory or on the way
//! pages            written out: in the journal
//! back             written out, not a page yet: a few bytes each
//! unspilled        the newest, until the journal has what is only in memory
//! ```
//!
//! A level without a backlog has its entries in `front`. As soon as anything is behind it, what is
//! new goes there too, until a consumer has taken all of it.
//!
//! Entries that expire before something in front of them does are in `early` as well, with their
//! time. So is every piece of the backlog in which something expires, under its first index. What is
//! not there any more when its time comes is passed over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::entry::{Entry, NEVER};
use super::extent::Extent;
use super::page::{Page, PageWriter};
use crate::{EntryIndex, Position};

#[derive(Debug, Default)]
pub(super) struct Level {
    returned: BTreeMap<EntryIndex, Entry>,
    front: VecDeque<Entry>,
    pub pages: VecDeque<Page>,
    back: Option<Box<PageWriter>>,
    unspilled: VecDeque<Entry>,
    /// The latest time at which anything expires that was added since the level was empty.
    latest_expiry_ms: u64,
    early: BTreeSet<(u64, EntryIndex)>,
}

impl Level {
    pub fn is_empty(&mut self) -> bool {
        !self.has_backlog() && self.front().is_none()
    }

    /// Whether anything waits behind the front.
    pub fn has_backlog(&self) -> bool {
        !self.pages.is_empty() || self.back.is_some() || !self.unspilled.is_empty()
    }

    /// Adds an entry behind the front. There must be no backlog.
    pub fn push(&mut self, entry: Entry) {
        self.note_expiry(&entry);
        match self.front.back() {
            Some(last) if last.index > entry.index => {
                self.returned.insert(entry.index, entry);
            }
            _ => self.front.push_back(entry),
        }
    }

    /// Adds an entry behind everything.
    pub fn push_behind(&mut self, entry: Entry) {
        self.note_expiry(&entry);
        self.unspilled.push_back(entry);
    }

    /// Puts an entry back to its old place.
    pub fn put_back(&mut self, entry: Entry) {
        self.note_early(&entry);
        self.returned.insert(entry.index, entry);
    }

    /// The next entry, if it is in memory.
    pub fn front(&mut self) -> Option<&mut Entry> {
        while self.front.front().is_some_and(|entry| entry.dead) {
            self.front.pop_front();
        }
        match (self.returned.first_entry(), self.front.front_mut()) {
            (Some(returned), Some(front)) if front.index < *returned.key() => Some(front),
            (Some(returned), _) => Some(returned.into_mut()),
            (None, front) => front,
        }
    }

    pub fn pop(&mut self) -> Option<Entry> {
        self.front()?;
        let from_front = match (self.returned.first_key_value(), self.front.front()) {
            (Some((index, _)), Some(front)) => front.index < *index,
            (returned, _) => returned.is_none(),
        };
        let entry = if from_front {
            self.front.pop_front()
        } else {
            self.returned.pop_first().map(|(_, entry)| entry)
        }?;
        self.forget_expiry(&entry);
        Some(entry)
    }

    /// Whether the front has fewer than `len` entries.
    pub fn front_is_short(&self, len: usize) -> bool {
        self.front.len() < len
    }

    /// Whether the entry at this place from the front waits for its message.
    pub fn lacks_message_at(&self, place: usize) -> bool {
        self.front.get(place).is_some_and(Entry::lacks_message)
    }

    /// Puts the entries of a page behind the front.
    pub fn extend_front(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            self.note_early(&entry);
            self.front.push_back(entry);
        }
    }

    /// What is neither in the front nor written out comes to the front.
    pub fn bring_unspilled(&mut self) {
        self.front.append(&mut self.unspilled);
    }

    /// Writes out the oldest entry that is not, if the journal has its message. Gives how many bytes
    /// that took.
    pub fn write_out(&mut self) -> Option<usize> {
        let entry = self.unspilled.pop_front_if(|entry| entry.stored.reference().is_some())?;
        self.forget_expiry(&entry);
        let back = self.back.get_or_insert_default();
        let (bytes, due) = (back.bytes().len(), back.expiry());
        back.push(&entry);
        if back.expiry() < due {
            self.early.remove(&due);
            self.early.insert(back.expiry());
        }
        Some(back.bytes().len() - bytes)
    }

    /// What is written out and no page yet.
    pub fn back(&self) -> Option<&PageWriter> {
        self.back.as_deref()
    }

    /// As [`Page::forget_unsettled`], for everything that is written out.
    pub fn forget_unsettled(&mut self) -> Extent {
        let written = self.pages.iter_mut().map(Page::forget_unsettled);
        let back = self.back.iter_mut().map(|back| back.forget_unsettled());
        written.chain(back).fold(Extent::default(), |mut all, dropped| {
            all += dropped;
            all
        })
    }

    /// Makes a page of what is written out; gives how many bytes it has.
    pub fn finish_page(&mut self) -> Option<usize> {
        let back = self.back.take()?;
        let bytes = back.bytes().len();
        self.pages.push_back(back.finish());
        Some(bytes)
    }

    /// Puts a page behind all others, or in the place of one that was taken out.
    pub fn insert_page(&mut self, at: usize, page: Page) {
        if page.expires_at_ms != NEVER {
            self.early.insert((page.expires_at_ms, page.first));
        }
        self.pages.insert(at, page);
    }

    /// Takes a page out.
    pub fn remove_page(&mut self, at: usize) -> Option<Page> {
        let page = self.pages.remove(at)?;
        self.early.remove(&(page.expires_at_ms, page.first));
        Some(page)
    }

    /// The first thing to expire that is not in order, with its time: an entry, or a piece of the backlog by
    /// its first index.
    pub fn first_early(&self) -> Option<(u64, EntryIndex)> {
        self.early.first().copied()
    }

    /// It was seen to, or is not there.
    pub fn forget_early(&mut self, early: (u64, EntryIndex)) {
        self.early.remove(&early);
    }

    /// The entries that are in memory.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let front = self.front.iter().filter(|entry| !entry.dead);
        self.returned.values().chain(front).chain(&self.unspilled)
    }

    /// The entries in front of the pages, in order.
    pub fn in_front(&self) -> impl Iterator<Item = &Entry> {
        let mut returned = self.returned.values().peekable();
        let mut front = self.front.iter().filter(|entry| !entry.dead).peekable();
        std::iter::from_fn(move || match (returned.peek(), front.peek()) {
            (Some(back), Some(first)) if first.index < back.index => front.next(),
            (Some(_), _) => returned.next(),
            (None, _) => front.next(),
        })
    }

    /// The entries behind everything that is written out, in order.
    pub fn unspilled(&self) -> impl Iterator<Item = &Entry> {
        self.unspilled.iter()
    }

    pub fn find(&mut self, index: EntryIndex) -> Option<&mut Entry> {
        if let Some(at) = at(&self.front, index) {
            return self.front.get_mut(at).filter(|entry| !entry.dead);
        }
        if let Some(at) = at(&self.unspilled, index) {
            return self.unspilled.get_mut(at);
        }
        self.returned.get_mut(&index)
    }

    /// Takes an entry out of the middle.
    pub fn remove(&mut self, index: EntryIndex) -> Option<Entry> {
        let entry = if let Some(at) = at(&self.front, index) {
            match at {
                0 => self.front.pop_front(),
                _ => self.front.get_mut(at).filter(|entry| !entry.dead).map(Entry::bury),
            }
        } else if let Some(at) = at(&self.unspilled, index) {
            self.unspilled.remove(at)
        } else {
            self.returned.remove(&index)
        }?;
        self.forget_expiry(&entry);
        (!entry.dead).then_some(entry)
    }

    /// Takes out all entries in memory that a condition holds for, in order.
    pub fn remove_where(&mut self, unwanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let returned: Vec<EntryIndex> =
            self.returned.values().filter(|entry| unwanted(entry)).map(|e| e.index).collect();
        let mut removed: Vec<Entry> =
            returned.iter().filter_map(|index| self.returned.remove(index)).collect();
        for list in [&mut self.front, &mut self.unspilled] {
            let (gone, kept) = std::mem::take(list)
                .into_iter()
                .filter(|entry| !entry.dead)
                .partition::<VecDeque<Entry>, _>(|entry| unwanted(entry));
            *list = kept;
            removed.extend(gone);
        }
        removed.iter().for_each(|entry| self.forget_expiry(entry));
        removed
    }

    /// The first entries whose messages are in the journal only, up to both limits.
    pub fn stored_run(&self, len_max: usize, bytes_max: usize) -> Vec<(EntryIndex, Position)> {
        let mut bytes = 0;
        let mut run = Vec::new();
        for entry in self.returned.values().chain(&self.front) {
            if run.len() >= len_max || bytes >= bytes_max {
                break;
            }
            if let (true, Some(reference)) = (entry.lacks_message(), entry.stored.reference()) {
                bytes += entry.size_bytes as usize;
                run.push((entry.index, reference.at));
            }
        }
        run
    }

    fn note_expiry(&mut self, entry: &Entry) {
        if self.latest_expiry_ms > 0 && self.is_empty() {
            self.latest_expiry_ms = 0;
        }
        if entry.expires_at_ms < self.latest_expiry_ms {
            self.early.insert((entry.expires_at_ms, entry.index));
        }
        self.latest_expiry_ms = self.latest_expiry_ms.max(entry.expires_at_ms);
    }

    fn note_early(&mut self, entry: &Entry) {
        if entry.expires_at_ms != NEVER {
            self.early.insert((entry.expires_at_ms, entry.index));
        }
    }

    fn forget_expiry(&mut self, entry: &Entry) {
        if entry.expires_at_ms != NEVER && !self.early.is_empty() {
            self.early.remove(&(entry.expires_at_ms, entry.index));
        }
    }
}

fn at(entries: &VecDeque<Entry>, index: EntryIndex) -> Option<usize> {
    entries.binary_search_by_key(&index, |entry| entry.index).ok()
}

impl Entry {
    /// Leaves a dead entry in its place and gives out the living one.
    fn bury(&mut self) -> Entry {
        let grave = Entry { dead: true, ..Entry::blank(self.index) };
        std::mem::replace(self, grave)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(level: &mut Level) -> Vec<u64> {
        std::iter::from_fn(|| level.pop()).map(|entry| entry.index.0).collect()
    }

    fn entry(index: u64) -> Entry {
        Entry::blank(EntryIndex(index))
    }

    #[test]
    fn entries_that_come_back_stand_in_their_old_places() {
        let mut level = Level::default();
        (0..6).for_each(|index| level.push(entry(index)));
        let out: Vec<Entry> = (0..4).filter_map(|_| level.pop()).collect();
        out.into_iter().rev().for_each(|entry| level.put_back(entry));
        assert_eq!(drain(&mut level), [0, 1, 2, 3, 4, 5]);
        assert!(level.is_empty());
    }

    #[test]
    fn an_entry_taken_from_the_middle_is_skipped() {
        let mut level = Level::default();
        (0..5).for_each(|index| level.push(entry(index)));
        assert!(level.remove(EntryIndex(2)).is_some());
        assert!(level.remove(EntryIndex(2)).is_none());
        assert!(level.remove(EntryIndex(0)).is_some());
        assert!(level.remove(EntryIndex(9)).is_none());
        assert_eq!(drain(&mut level), [1, 3, 4]);
    }

    #[test]
    fn only_what_expires_before_something_in_front_of_it_is_early() {
        let mut level = Level::default();
        for (index, expires_at_ms) in [(0, 10), (1, 20), (2, NEVER), (3, 30), (4, 25), (5, NEVER)] {
            level.push(Entry { expires_at_ms, ..entry(index) });
        }
        assert_eq!(level.first_early(), Some((25, EntryIndex(4))));
        assert!(level.remove(EntryIndex(4)).is_some());
        assert_eq!(level.first_early(), Some((30, EntryIndex(3))));
        assert_eq!(drain(&mut level), [0, 1, 2, 3, 5]);
        assert_eq!(level.first_early(), None);
        level.push(Entry { expires_at_ms: 40, ..entry(6) });
        assert_eq!(level.first_early(), None, "nothing is in front of it");
    }
}
