//! The entries of a queue that wait for a consumer, in the order of their index.
//!
//! ```text
//! returned         handed out and back: each in its old place, before everything that was not
//! front            the oldest of the rest, as entries; their messages are in memory or on the way
//! pages            written out: in the journal
//! back             written out, not a page yet: a few bytes each
//! unspilled        the newest, until the journal has what is only in memory
//! ```
//!
//! A queue without a backlog has its entries in `front`. As soon as anything is behind it, what is
//! new goes there too, until a consumer has taken all of it.

use std::collections::{BTreeMap, VecDeque};

use super::entry::{Entry, Stored};
use super::page::{Page, PageWriter};
use crate::{EntryIndex, Message, Position};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Ready {
    returned: BTreeMap<EntryIndex, Entry>,
    front: VecDeque<Entry>,
    pub pages: VecDeque<Page>,
    pub back: Option<Box<PageWriter>>,
    pub unspilled: VecDeque<Entry>,
    len: usize,
    bytes: u64,
}

impl Ready {
    pub fn len(&self) -> usize {
        self.len
    }

    /// The size of all waiting messages, in memory or not.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether anything waits behind the front.
    pub fn has_backlog(&self) -> bool {
        !self.pages.is_empty() || self.back.is_some() || !self.unspilled.is_empty()
    }

    /// Adds an entry behind the front. There must be no backlog.
    pub fn push(&mut self, entry: Entry) {
        self.count(&entry);
        match self.front.back() {
            Some(last) if last.index > entry.index => {
                self.returned.insert(entry.index, entry);
            }
            _ => self.front.push_back(entry),
        }
    }

    /// Adds an entry behind everything.
    pub fn push_behind(&mut self, entry: Entry) {
        self.count(&entry);
        self.unspilled.push_back(entry);
    }

    /// Puts an entry back to its old place.
    pub fn put_back(&mut self, entry: Entry) {
        self.count(&entry);
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
        self.uncount(&entry);
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

    /// Puts entries behind the front that were counted as a part of the backlog.
    pub fn extend_front(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.front.extend(entries);
    }

    /// The entries that are in memory and were counted by themselves.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let front = self.front.iter().filter(|entry| !entry.dead);
        self.returned.values().chain(front).chain(&self.unspilled)
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

    /// Takes an entry out of the middle. What is not spilled yet cannot be taken.
    pub fn remove(&mut self, index: EntryIndex) -> Option<Entry> {
        let entry = match at(&self.front, index) {
            Some(0) => self.front.pop_front(),
            Some(at) => self.front.get_mut(at).filter(|entry| !entry.dead).map(Entry::bury),
            None => self.returned.remove(&index),
        }?;
        if entry.dead {
            return None;
        }
        self.uncount(&entry);
        Some(entry)
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
        removed.iter().for_each(|entry| self.uncount(entry));
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

    /// Says how many bytes of memory the message takes, or `None` if nobody waits for it.
    pub fn fill(&mut self, index: EntryIndex, message: Arc<Message>) -> Option<usize> {
        let entry = self.find(index)?;
        if entry.message.is_some() {
            return None;
        }
        entry.message = Some(message);
        Some(entry.size_bytes as usize)
    }

    pub fn count(&mut self, entry: &Entry) {
        self.count_all(1, entry.size_bytes.into());
    }

    pub fn uncount(&mut self, entry: &Entry) {
        self.uncount_all(1, entry.size_bytes.into());
    }

    pub fn count_all(&mut self, len: usize, bytes: u64) {
        self.len += len;
        self.bytes += bytes;
    }

    /// Sizes of pages are cut to 32 bits, so what is left may be less than what goes.
    pub fn uncount_all(&mut self, len: usize, bytes: u64) {
        self.len = self.len.saturating_sub(len);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

fn at(entries: &VecDeque<Entry>, index: EntryIndex) -> Option<usize> {
    entries.binary_search_by_key(&index, |entry| entry.index).ok()
}

impl Entry {
    /// Leaves a dead entry in its place and gives out the living one.
    fn bury(&mut self) -> Entry {
        let grave = Entry {
            index: self.index,
            message: None,
            stored: Stored::No,
            subscription: None,
            sequence: 0,
            size_bytes: 0,
            deliveries: 0,
            qos: 0,
            retained: false,
            received: false,
            dead: true,
        };
        std::mem::replace(self, grave)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64) -> Entry {
        Entry {
            index: EntryIndex(index),
            message: None,
            stored: Stored::No,
            subscription: None,
            sequence: 0,
            size_bytes: 1,
            deliveries: 0,
            qos: 1,
            retained: false,
            received: false,
            dead: false,
        }
    }

    fn drain(ready: &mut Ready) -> Vec<u64> {
        std::iter::from_fn(|| ready.pop()).map(|entry| entry.index.0).collect()
    }

    #[test]
    fn entries_that_come_back_stand_in_their_old_places() {
        let mut ready = Ready::default();
        (0..6).for_each(|index| ready.push(entry(index)));
        let out: Vec<Entry> = (0..4).filter_map(|_| ready.pop()).collect();
        out.into_iter().rev().for_each(|entry| ready.put_back(entry));
        assert_eq!(ready.len(), 6);
        assert_eq!(drain(&mut ready), [0, 1, 2, 3, 4, 5]);
        assert_eq!((ready.len(), ready.bytes()), (0, 0));
    }

    #[test]
    fn an_entry_taken_from_the_middle_is_skipped() {
        let mut ready = Ready::default();
        (0..5).for_each(|index| ready.push(entry(index)));
        assert!(ready.remove(EntryIndex(2)).is_some());
        assert!(ready.remove(EntryIndex(2)).is_none());
        assert!(ready.remove(EntryIndex(0)).is_some());
        assert!(ready.remove(EntryIndex(9)).is_none());
        assert_eq!(ready.len(), 3);
        assert_eq!(drain(&mut ready), [1, 3, 4]);
    }
}
