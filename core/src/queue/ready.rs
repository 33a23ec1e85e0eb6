//! The entries of a queue that wait for a consumer: one level for each priority, the highest first. A
//! queue without priorities has one.

use std::sync::Arc;

use super::entry::Entry;
use super::extent::Extent;
use super::level::Level;
use super::page::Page;
use crate::{EntryIndex, Message};

#[derive(Debug, Default)]
pub(super) struct Ready {
    /// By priority, as far as there was something of it.
    levels: Vec<Level>,
    extent: Extent,
}

impl Ready {
    pub fn len(&self) -> usize {
        self.extent.len as usize
    }

    /// All waiting messages, in memory or not.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// The levels, the highest first.
    pub fn levels(&self) -> impl Iterator<Item = &Level> {
        self.levels.iter().rev()
    }

    /// As [`Ready::levels`]. Whoever adds or removes something there counts it.
    pub fn levels_mut(&mut self) -> impl Iterator<Item = &mut Level> {
        self.levels.iter_mut().rev()
    }

    /// The level of a priority, made if it is not there.
    pub fn level(&mut self, priority: u8) -> &mut Level {
        let at = usize::from(priority);
        while self.levels.len() <= at {
            self.levels.push(Level::default());
        }
        &mut self.levels[at]
    }

    /// The highest level that has something.
    pub fn top(&mut self) -> Option<&mut Level> {
        self.levels_mut().find_map(|level| (!level.is_empty()).then_some(level))
    }

    /// The priorities that there are levels for.
    pub fn priorities(&self) -> impl Iterator<Item = u8> + use<> {
        (0..self.levels.len()).rev().map(|priority| priority as u8)
    }

    /// Adds an entry behind the front of its level. There must be no backlog.
    pub fn push(&mut self, entry: Entry) {
        self.extent += entry.extent();
        self.level(entry.priority).push(entry);
    }

    /// Adds an entry behind everything in its level.
    pub fn push_behind(&mut self, entry: Entry) {
        self.extent += entry.extent();
        self.level(entry.priority).push_behind(entry);
    }

    /// Puts an entry back to its old place.
    pub fn put_back(&mut self, entry: Entry) {
        self.extent += entry.extent();
        self.level(entry.priority).put_back(entry);
    }

    /// The next entry, if it is in memory.
    pub fn front(&mut self) -> Option<&mut Entry> {
        self.top()?.front()
    }

    pub fn pop(&mut self) -> Option<Entry> {
        let entry = self.top()?.pop()?;
        self.extent -= entry.extent();
        Some(entry)
    }

    /// The entries that are in memory.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.levels().flat_map(Level::entries)
    }

    pub fn find(&mut self, index: EntryIndex) -> Option<&mut Entry> {
        self.levels.iter_mut().find_map(|level| level.find(index))
    }

    /// Takes an entry out of the middle.
    pub fn remove(&mut self, index: EntryIndex) -> Option<Entry> {
        let entry = self.levels.iter_mut().find_map(|level| level.remove(index))?;
        self.extent -= entry.extent();
        Some(entry)
    }

    /// Takes out all entries in memory that a condition holds for, level by level.
    pub fn remove_where(&mut self, unwanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let mut removed = Vec::new();
        for level in self.levels.iter_mut().rev() {
            removed.extend(level.remove_where(&unwanted));
        }
        removed.iter().for_each(|entry| self.extent -= entry.extent());
        removed
    }

    /// The page that begins with an index, by its priority and its place there.
    pub fn find_page(&self, first: EntryIndex) -> Option<(u8, usize)> {
        self.priorities().find_map(|priority| {
            let pages = &self.levels[usize::from(priority)].pages;
            // It is the first or the last, most of the time.
            let is_it = |page: &Page| page.first == first;
            let at =
                if pages.front().is_some_and(is_it) { 0 } else { pages.iter().rposition(is_it)? };
            Some((priority, at))
        })
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

    pub fn count(&mut self, extent: Extent) {
        self.extent += extent;
    }

    pub fn uncount(&mut self, extent: Extent) {
        self.extent -= extent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_level_comes_first_and_each_is_in_order() {
        let mut ready = Ready::default();
        for (index, priority) in [(0, 0), (1, 9), (2, 3), (3, 9), (4, 255)] {
            ready.push(Entry { priority, size_bytes: 7, ..Entry::blank(EntryIndex(index)) });
        }
        assert_eq!(ready.extent(), Extent { len: 5, size_bytes: 35, body_bytes: 0 });
        let first = ready.pop().unwrap();
        let second = ready.pop().unwrap();
        assert_eq!((first.index.0, second.index.0), (4, 1));
        ready.put_back(second);
        let rest: Vec<u64> =
            std::iter::from_fn(|| ready.pop()).map(|entry| entry.index.0).collect();
        assert_eq!(rest, [1, 3, 2, 0]);
        assert_eq!(ready.extent(), Extent::default());
    }
}
