//! The entries that were handed out and wait for settlement.
//!
//! They are handed out in the order of their indexes, but for those that had come back. So they are a
//! sorted deque: what is new goes to its end, and settling in order pops its front. An entry in the middle
//! is found by its distance from the front, or else by binary search; it leaves a hole, and holes are
//! swept out when they are the majority. The few that are handed out late are in a tree.

use std::collections::{BTreeMap, VecDeque};

use super::consumer::Holder;
use super::entry::Entry;
use crate::{ConsumerId, EntryIndex};

#[derive(Debug, Default)]
pub(super) struct Unacked {
    slots: VecDeque<Slot>,
    holes: usize,
    /// Handed out behind greater indexes.
    late: BTreeMap<EntryIndex, Held>,
    bytes: u64,
}

#[derive(Debug)]
struct Slot {
    index: EntryIndex,
    held: Option<Held>,
}

#[derive(Debug)]
pub(super) struct Held {
    pub entry: Entry,
    /// `None`: the receiver has it (MQTT QoS 2) but is away; only the release is outstanding.
    pub holder: Option<Holder>,
}

/// Fewer holes than this are not worth a sweep.
const HOLES_MIN: usize = 32;
/// Slots whose memory is kept when nothing is in flight.
const SLOTS_KEPT: usize = 1024;

impl Unacked {
    pub fn len(&self) -> usize {
        self.slots.len() - self.holes + self.late.len()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn insert(&mut self, held: Held) {
        self.bytes += u64::from(held.entry.size_bytes);
        let index = held.entry.index;
        match self.slots.back() {
            Some(last) if last.index >= index => _ = self.late.insert(index, held),
            _ => self.slots.push_back(Slot { index, held: Some(held) }),
        }
    }

    /// Takes an entry if this consumer holds it.
    pub fn take(&mut self, index: EntryIndex, consumer: ConsumerId) -> Option<Held> {
        let held = self.find(index)?;
        if held.holder.as_ref().is_none_or(|holder| holder.consumer != consumer) {
            return None;
        }
        self.remove(index)
    }

    /// Takes an entry, whoever holds it.
    pub fn remove(&mut self, index: EntryIndex) -> Option<Held> {
        let held = match self.slot(index).and_then(|at| self.slots[at].held.take()) {
            Some(held) => {
                self.holes += 1;
                self.trim();
                held
            }
            None => self.late.remove(&index)?,
        };
        self.bytes -= u64::from(held.entry.size_bytes);
        Some(held)
    }

    pub fn find(&mut self, index: EntryIndex) -> Option<&mut Held> {
        match self.slot(index).filter(|&at| self.slots[at].held.is_some()) {
            Some(at) => self.slots[at].held.as_mut(),
            None => self.late.get_mut(&index),
        }
    }

    /// The entries of one consumer, in order.
    pub fn indexes_of(&self, consumer: ConsumerId) -> Vec<EntryIndex> {
        self.sorted(|held| held.holder.as_ref().is_some_and(|h| h.consumer == consumer))
    }

    /// All entries, in order.
    pub fn indexes(&self) -> Vec<EntryIndex> {
        self.sorted(|_| true)
    }

    /// The entries that are received and not released, in order.
    pub fn received(&self) -> Vec<EntryIndex> {
        self.sorted(|held| held.entry.received)
    }

    /// All entries, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.all().map(|held| &held.entry)
    }

    /// Who holds entries, in no order.
    pub fn holders(&self) -> impl Iterator<Item = &Holder> {
        self.all().filter_map(|held| held.holder.as_ref())
    }

    /// Takes all entries, in order.
    pub fn drain(&mut self) -> Vec<Held> {
        let Unacked { slots, late, .. } = std::mem::take(self);
        let in_time = slots.into_iter().filter_map(|slot| slot.held);
        let mut all: Vec<Held> = in_time.chain(late.into_values()).collect();
        all.sort_by_key(|held| held.entry.index);
        all
    }

    fn all(&self) -> impl Iterator<Item = &Held> {
        self.slots.iter().filter_map(|slot| slot.held.as_ref()).chain(self.late.values())
    }

    fn sorted(&self, keep: impl Fn(&Held) -> bool) -> Vec<EntryIndex> {
        let kept = self.all().filter(|held| keep(held));
        let mut found: Vec<EntryIndex> = kept.map(|held| held.entry.index).collect();
        found.sort();
        found
    }

    /// Where the slot of an index is; it may be a hole.
    fn slot(&self, index: EntryIndex) -> Option<usize> {
        let distance = index.0.checked_sub(self.slots.front()?.index.0)?;
        let guess = usize::try_from(distance).ok()?;
        if self.slots.get(guess).is_some_and(|slot| slot.index == index) {
            return Some(guess);
        }
        self.slots.binary_search_by_key(&index, |slot| slot.index).ok()
    }

    fn trim(&mut self) {
        while self.slots.pop_front_if(|slot| slot.held.is_none()).is_some() {
            self.holes -= 1;
        }
        if self.holes > HOLES_MIN && self.holes > self.slots.len() / 2 {
            self.slots.retain(|slot| slot.held.is_some());
            self.holes = 0;
        }
        if self.slots.is_empty() {
            self.slots.shrink_to(SLOTS_KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn held(index: u64) -> Held {
        let entry = Entry { size_bytes: 10, ..Entry::blank(EntryIndex(index)) };
        Held { entry, holder: None }
    }

    #[test]
    fn one_old_entry_does_not_keep_the_place_of_all_that_came_after_it() {
        let mut unacked = Unacked::default();
        (0..10_000).for_each(|index| unacked.insert(held(index)));
        (1..10_000).for_each(|index| assert!(unacked.remove(EntryIndex(index)).is_some()));
        assert_eq!((unacked.len(), unacked.bytes()), (1, 10));
        assert!(unacked.slots.len() <= 2 * HOLES_MIN);
        assert!(unacked.remove(EntryIndex(0)).is_some() && unacked.slots.is_empty());
        assert!(unacked.slots.capacity() <= 2 * SLOTS_KEPT);
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in vec((any::<bool>(), 0..80u64), 0..400)) {
            let (mut unacked, mut model) = (Unacked::default(), BTreeMap::new());
            for (is_insert, index) in steps {
                if is_insert && !model.contains_key(&index) {
                    unacked.insert(held(index));
                    model.insert(index, ());
                } else {
                    let known = model.remove(&index).map(|()| index);
                    prop_assert_eq!(unacked.find(EntryIndex(index)).is_some(), known.is_some());
                    let removed = unacked.remove(EntryIndex(index));
                    prop_assert_eq!(removed.map(|held| held.entry.index.0), known);
                }
                let len = model.len();
                prop_assert_eq!((unacked.len(), unacked.bytes()), (len, 10 * len as u64));
                prop_assert!(unacked.indexes().iter().map(|index| &index.0).eq(model.keys()));
            }
            let drained = unacked.drain();
            prop_assert!(drained.iter().map(|held| &held.entry.index.0).eq(model.keys()));
            prop_assert_eq!((unacked.len(), unacked.bytes()), (0, 0));
        }
    }
}
