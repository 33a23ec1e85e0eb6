//! The entries that were handed out and wait for settlement.

use hashbrown::HashMap;

use super::consumer::Holder;
use super::entry::Entry;
use crate::{ConsumerId, EntryIndex};

#[derive(Debug, Default)]
pub(super) struct Unacked {
    entries: HashMap<EntryIndex, Held, foldhash::fast::FixedState>,
    bytes: u64,
}

#[derive(Debug)]
pub(super) struct Held {
    pub entry: Entry,
    /// `None`: the receiver has it (MQTT QoS 2) but is away; only the release is outstanding.
    pub holder: Option<Holder>,
}

impl Unacked {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn insert(&mut self, held: Held) {
        self.bytes += u64::from(held.entry.size_bytes);
        self.entries.insert(held.entry.index, held);
    }

    /// Takes an entry if this consumer holds it.
    pub fn take(&mut self, index: EntryIndex, consumer: ConsumerId) -> Option<Held> {
        let held = self.entries.get(&index)?;
        if held.holder.as_ref().is_none_or(|holder| holder.consumer != consumer) {
            return None;
        }
        self.remove(index)
    }

    /// Takes an entry, whoever holds it.
    pub fn remove(&mut self, index: EntryIndex) -> Option<Held> {
        let held = self.entries.remove(&index)?;
        self.bytes -= u64::from(held.entry.size_bytes);
        Some(held)
    }

    pub fn find(&mut self, index: EntryIndex) -> Option<&mut Held> {
        self.entries.get_mut(&index)
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
        self.entries.values().map(|held| &held.entry)
    }

    /// Who holds entries, in no order.
    pub fn holders(&self) -> impl Iterator<Item = &Holder> {
        self.entries.values().filter_map(|held| held.holder.as_ref())
    }

    /// Takes all entries, in order.
    pub fn drain(&mut self) -> Vec<Held> {
        self.bytes = 0;
        let mut all: Vec<Held> = self.entries.drain().map(|(_, held)| held).collect();
        all.sort_unstable_by_key(|held| held.entry.index);
        all
    }

    fn sorted(&self, keep: impl Fn(&Held) -> bool) -> Vec<EntryIndex> {
        let mut found: Vec<EntryIndex> =
            self.entries.iter().filter(|(_, held)| keep(held)).map(|(&index, _)| index).collect();
        found.sort_unstable();
        found
    }
}
