//! What the journal says of a queue's past, applied when the broker starts: the same transitions
//! as in operation, for entries that nobody holds yet. Messages are not read for it.

use bytes::Bytes;

use super::entry::{Entry, Stored};
use super::page::{self, Page, Place};
use super::unacked::Held;
use super::{Effects, Placement, Queue, backlog, narrow};
use crate::record::{RecordedMessage, Run};
use crate::{EntryIndex, Position, Reference};

/// Reads the entries of a page.
pub type ReadPage<'a> = &'a mut dyn FnMut(Position) -> Option<Bytes>;

impl Queue {
    /// A message that was published. Its place is the recorded one.
    pub fn replay_publish(
        &mut self,
        placement: Placement,
        message: &RecordedMessage,
        reference: Reference,
        fx: &mut Effects,
    ) {
        self.next_index = self.next_index.max(EntryIndex(placement.index.0 + 1));
        if placement.subscription.is_some() {
            self.next_sequence = self.next_sequence.max(placement.sequence + 1);
        }
        self.counts.published += 1;
        let facts = message.facts();
        let entry = Entry {
            stored: Stored::Durable(reference),
            size_bytes: narrow(message.size_bytes()),
            body_bytes: narrow(message.body_len()),
            ..self.entry(placement, facts)
        };
        self.push_behind(entry, fx);
    }

    /// Brings the entries up to an index into memory: records are about to name them.
    pub fn replay_through(&mut self, index: EntryIndex, read: ReadPage<'_>, fx: &mut Effects) {
        for priority in self.ready.priorities() {
            loop {
                let level = self.ready.level(priority);
                if level.back().is_some_and(|back| back.first() <= index) {
                    backlog::back_to_page(level, fx);
                }
                if level.pages.front().is_none_or(|page| page.first > index) {
                    break;
                }
                let Some(page) = level.remove_page(0) else { break };
                let entries = self.take_out(&page, read, fx);
                self.bring_to_front(priority, entries);
            }
        }
    }

    fn bring_to_front(&mut self, priority: u8, entries: Vec<Entry>) {
        entries.iter().for_each(|entry| self.ready.count(entry.extent()));
        self.ready.level(priority).extend_front(entries);
    }

    /// The entries of a page that is not in its place any more.
    fn take_out(&mut self, page: &Page, read: ReadPage<'_>, fx: &mut Effects) -> Vec<Entry> {
        self.ready.uncount(page.extent.into());
        let bytes = match &page.place {
            Place::Memory(bytes) => Some((**bytes).clone()),
            Place::Journal(reference) => {
                fx.released.push(*reference);
                read(reference.at)
            }
        };
        let mut entries = bytes.and_then(|bytes| page::read(&bytes).ok()).unwrap_or_default();
        entries.retain(|entry| !page.is_restored || entry.is_durable());
        entries
    }

    /// Entries that a record names. A run may be longer than the queue, because what was between its
    /// ends was never recorded: then the entries are tried and not the places.
    pub fn replay_run(&mut self, run: Run, mut apply: impl FnMut(&mut Queue, EntryIndex)) {
        if run.len <= (self.ready.len() + self.unacked.len()) as u64 {
            return run.indexes().for_each(|index| apply(self, index));
        }
        let mut named = self.unacked.indexes();
        named.extend(self.ready.entries().map(|entry| entry.index));
        named.retain(|index| run.contains(*index));
        named.into_iter().for_each(|index| apply(self, index));
    }

    /// An entry that was done with.
    pub fn replay_settle(&mut self, index: EntryIndex, fx: &mut Effects) {
        if let Some(entry) = self.ready.remove(index) {
            self.forget(&entry, fx);
        } else if let Some(held) = self.unacked.remove(index) {
            self.forget(&held.entry, fx);
        }
    }

    /// An entry that was handed out: it will be marked as redelivered.
    pub fn replay_deliver(&mut self, index: EntryIndex) {
        if let Some(entry) = self.ready.find(index) {
            entry.deliveries = entry.deliveries.saturating_add(1);
            entry.keep_if_begun();
        }
    }

    /// An entry that its receiver took over (MQTT QoS 2): only its release is outstanding.
    pub fn replay_receive(&mut self, index: EntryIndex) {
        if let Some(mut entry) = self.ready.remove(index) {
            entry.received = true;
            self.unacked.insert(Held { entry, holder: None });
        }
    }

    /// Everything that waited at a purge. What was in flight then stays, so the record names the
    /// first index after the purge and the entries that stayed.
    pub fn replay_purge(
        &mut self,
        before: EntryIndex,
        kept: &[EntryIndex],
        read: ReadPage<'_>,
        fx: &mut Effects,
    ) {
        let is_gone =
            |entry: &Entry| entry.index < before && kept.binary_search(&entry.index).is_err();
        for entry in self.ready.remove_where(is_gone) {
            self.forget(&entry, fx);
        }
        for priority in self.ready.priorities() {
            loop {
                let level = self.ready.level(priority);
                backlog::back_to_page(level, fx);
                if level.pages.front().is_none_or(|page| page.first >= before) {
                    break;
                }
                let Some(page) = level.remove_page(0) else { break };
                let kept_before = |index| kept.partition_point(|kept| *kept < index);
                let end = EntryIndex(page.last.0 + 1);
                if end <= before && kept_before(page.first) == kept_before(end) {
                    self.discard_page(&page, fx);
                    continue;
                }
                let (gone, stay): (Vec<_>, Vec<_>) =
                    self.take_out(&page, read, fx).into_iter().partition(is_gone);
                gone.iter().for_each(|entry| self.release_reference(entry, fx));
                self.bring_to_front(priority, stay);
            }
        }
    }

    /// What a purge record has to say: the next index, and the entries in flight in order.
    pub fn purge_bounds(&self) -> (EntryIndex, Vec<EntryIndex>) {
        (self.next_index, self.unacked.indexes())
    }
}
