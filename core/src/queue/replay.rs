//! What the journal says of a queue's past, applied when the broker starts: the same transitions
//! as in operation, for entries that nobody holds yet.

use super::consumer::Holder;
use super::unacked::Held;
use super::{Effects, Placement, Queue};
use crate::record::Run;
use crate::{EntryIndex, Message, Position};
use std::sync::Arc;

impl Queue {
    /// A message that was published. Its place is the recorded one.
    pub fn replay_publish(
        &mut self,
        placement: Placement,
        message: Arc<Message>,
        position: Position,
        fx: &mut Effects,
    ) {
        self.next_index = self.next_index.max(EntryIndex(placement.index.0 + 1));
        if placement.subscription.is_some() {
            self.next_sequence = self.next_sequence.max(placement.sequence + 1);
        }
        self.publish(placement, message, Some(position), fx);
    }

    /// Entries that a record names. A run may be longer than the queue, because what was between its
    /// ends was never recorded: then the entries are tried and not the places.
    pub fn replay_run(&mut self, run: Run, mut apply: impl FnMut(&mut Queue, EntryIndex)) {
        if run.len <= (self.ready.len() + self.unacked.len()) as u64 {
            return run.indexes().for_each(|index| apply(self, index));
        }
        let waiting = self.ready.indexes();
        let mut named = self.unacked.indexes();
        named.extend(waiting);
        named.retain(|index| run.contains(*index));
        named.into_iter().for_each(|index| apply(self, index));
    }

    /// An entry that was done with.
    pub fn replay_settle(&mut self, index: EntryIndex, fx: &mut Effects) {
        if let Some(entry) = self.ready.remove(index) {
            self.forget(&entry, fx);
        } else if let Some(held) = self.unacked.remove(index) {
            self.release_position(&held.entry, fx);
        }
    }

    /// An entry that was handed out: it will be marked as redelivered.
    pub fn replay_deliver(&mut self, index: EntryIndex) {
        if let Some(entry) = self.ready.find(index) {
            entry.deliveries = entry.deliveries.saturating_add(1);
        }
    }

    /// An entry that its receiver took over (MQTT QoS 2): only its release is outstanding.
    pub fn replay_receive(&mut self, index: EntryIndex, fx: &mut Effects) {
        if let Some(mut entry) = self.ready.remove(index) {
            fx.resident_bytes_free += entry.resident_bytes() as i64;
            entry.put_out_of_memory();
            self.unacked.insert(Held { entry, holder: None::<Holder>, received: true });
        }
    }

    /// Everything that waited at a purge. What was in flight then stays, so the record names the
    /// first index after the purge and the entries that stayed.
    pub fn replay_purge(&mut self, before: EntryIndex, kept: &[EntryIndex], fx: &mut Effects) {
        for entry in self
            .ready
            .remove_where(|entry| entry.index < before && kept.binary_search(&entry.index).is_err())
        {
            self.forget(&entry, fx);
        }
    }

    /// What a purge record has to say: the next index, and the entries in flight in order.
    pub fn purge_bounds(&self) -> (EntryIndex, Vec<EntryIndex>) {
        (self.next_index, self.unacked.indexes())
    }
}
