//! The entries of a queue that wait for a consumer, in the order of their index.
//!
//! New entries join at the tail; entries that were handed out and came back stand before them, each
//! in its old place.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::entry::{Entry, Stored};
use crate::{EntryIndex, Message, Position};

#[derive(Debug, Default)]
pub(super) struct Ready {
    returned: BTreeMap<EntryIndex, Entry>,
    tail: VecDeque<Entry>,
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

    pub fn push(&mut self, entry: Entry) {
        self.count(&entry);
        match self.tail.back() {
            Some(last) if last.index > entry.index => {
                self.returned.insert(entry.index, entry);
            }
            _ => self.tail.push_back(entry),
        }
    }

    /// Puts an entry back to its old place.
    pub fn put_back(&mut self, entry: Entry) {
        self.count(&entry);
        self.returned.insert(entry.index, entry);
    }

    pub fn front(&mut self) -> Option<&mut Entry> {
        while self.tail.front().is_some_and(|entry| entry.dead) {
            self.tail.pop_front();
        }
        match (self.returned.first_entry(), self.tail.front_mut()) {
            (Some(returned), Some(tail)) if tail.index < *returned.key() => Some(tail),
            (Some(returned), _) => Some(returned.into_mut()),
            (None, tail) => tail,
        }
    }

    pub fn pop(&mut self) -> Option<Entry> {
        self.front()?;
        let from_tail = match (self.returned.first_key_value(), self.tail.front()) {
            (Some((index, _)), Some(tail)) => tail.index < *index,
            (returned, _) => returned.is_none(),
        };
        let entry = if from_tail {
            self.tail.pop_front()
        } else {
            self.returned.pop_first().map(|(_, entry)| entry)
        }?;
        self.uncount(&entry);
        Some(entry)
    }

    /// The indexes of all entries.
    pub fn indexes(&self) -> impl Iterator<Item = EntryIndex> {
        let tail = self.tail.iter().filter(|entry| !entry.dead);
        self.returned.values().chain(tail).map(|entry| entry.index)
    }

    pub fn find(&mut self, index: EntryIndex) -> Option<&mut Entry> {
        if let Some(at) = self.tail_at(index) {
            return self.tail.get_mut(at).filter(|entry| !entry.dead);
        }
        self.returned.get_mut(&index)
    }

    /// Takes an entry out of the middle.
    pub fn remove(&mut self, index: EntryIndex) -> Option<Entry> {
        let entry = match self.tail_at(index) {
            Some(0) => self.tail.pop_front(),
            Some(at) => self.tail.get_mut(at).filter(|entry| !entry.dead).map(Entry::bury),
            None => self.returned.remove(&index),
        }?;
        if entry.dead {
            return None;
        }
        self.uncount(&entry);
        Some(entry)
    }

    /// Takes out all entries that a condition holds for, in order.
    pub fn remove_where(&mut self, unwanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let returned: Vec<EntryIndex> =
            self.returned.values().filter(|entry| unwanted(entry)).map(|e| e.index).collect();
        let mut removed: Vec<Entry> =
            returned.iter().filter_map(|index| self.returned.remove(index)).collect();
        let (gone, kept) = std::mem::take(&mut self.tail)
            .into_iter()
            .filter(|entry| !entry.dead)
            .partition::<VecDeque<Entry>, _>(|entry| unwanted(entry));
        self.tail = kept;
        removed.extend(gone);
        removed.iter().for_each(|entry| self.uncount(entry));
        removed
    }

    /// The first entries whose messages are in the journal only, up to both limits.
    pub fn stored_run(&self, len_max: usize, bytes_max: usize) -> Vec<(EntryIndex, Position)> {
        let mut bytes = 0;
        let mut run = Vec::new();
        for entry in self.returned.values().chain(&self.tail) {
            if run.len() >= len_max || bytes >= bytes_max {
                break;
            }
            if let (None, false, Some(at)) = (&entry.message, entry.dead, entry.stored.position()) {
                bytes += entry.size_bytes as usize;
                run.push((entry.index, at));
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

    fn tail_at(&self, index: EntryIndex) -> Option<usize> {
        self.tail.binary_search_by_key(&index, |entry| entry.index).ok()
    }

    fn count(&mut self, entry: &Entry) {
        self.len += 1;
        self.bytes += u64::from(entry.size_bytes);
    }

    fn uncount(&mut self, entry: &Entry) {
        self.len -= 1;
        self.bytes -= u64::from(entry.size_bytes);
    }
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
