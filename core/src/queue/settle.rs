//! What consumers say of what they hold, and what becomes of it when they go.

use super::consumer::Holder;
use super::entry::Entry;
use super::entry::NEVER;
use super::unacked::Held;
use super::{DeathReason, Effects, Queue, Settlement};
use crate::{ConsumerId, EntryIndex};

impl Queue {
    /// Removes the consumer of an MQTT session and takes back what it holds. Entries that the
    /// receiver has taken over are not delivered again; QoS 0 entries are dropped.
    pub fn detach(&mut self, id: ConsumerId, fx: &mut Effects) {
        if !self.consumers.remove(id) {
            return;
        }
        for index in self.unacked.indexes_of(id) {
            let Some(held) = self.unacked.remove(index) else { continue };
            self.let_go(&held, fx);
            if held.entry.received {
                self.unacked.insert(Held { holder: None, ..held });
            } else {
                self.put_back(held.entry, fx);
            }
        }
        self.drop_unsettled(fx);
    }

    /// The window bytes of a consumer that were written to its socket.
    pub fn written(&mut self, id: ConsumerId, bytes: usize) {
        self.consumers.written(id, bytes);
    }

    /// The window that a consumer shares may have room again: the queue is to be pumped.
    pub fn call_up(&mut self, id: ConsumerId) {
        self.consumers.call_up(id);
    }

    /// Settles an entry that this consumer holds; entries of others are left alone.
    pub fn settle(
        &mut self,
        consumer: ConsumerId,
        index: EntryIndex,
        settlement: Settlement,
        fx: &mut Effects,
    ) {
        let Some(held) = self.unacked.take(index, consumer) else { return };
        self.let_go(&held, fx);
        match settlement {
            Settlement::Requeue => self.put_back(held.entry, fx),
            Settlement::Ack => {
                self.counts.acked += 1;
                self.finish(&held.entry, fx);
            }
            Settlement::Discard => self.part_with(held.entry, DeathReason::Rejected, fx),
        }
    }

    /// The receiver has taken an entry over (MQTT PUBREC), so that nobody needs its message any more;
    /// says whether that has to be journalled.
    pub fn receive(&mut self, consumer: ConsumerId, index: EntryIndex, fx: &mut Effects) -> bool {
        let Some(held) = self.unacked.find(index) else { return false };
        if held.holder.as_ref().is_none_or(|holder| holder.consumer != consumer) {
            return false;
        }
        held.entry.received = true;
        let (freed, is_durable) = (held.entry.resident_bytes(), held.entry.is_durable());
        held.entry.message = None;
        self.give_memory(freed, fx);
        is_durable
    }

    /// The entries that the receiver has taken over and not released, with their sequence; the
    /// consumer becomes their holder.
    pub fn adopt_received(&mut self, consumer: ConsumerId) -> Vec<(EntryIndex, u64)> {
        let mut adopted = Vec::new();
        for index in self.unacked.received() {
            if let Some(held) = self.unacked.find(index) {
                held.holder = Some(Holder::uncounted(consumer, NEVER));
                adopted.push((index, held.entry.sequence));
            }
        }
        adopted
    }

    /// It is not in flight any more.
    pub(super) fn let_go(&mut self, held: &Held, fx: &mut Effects) {
        held.holder.iter().for_each(|holder| self.consumers.settled(holder));
        self.give_memory(held.entry.resident_bytes(), fx);
    }

    pub(super) fn put_back(&mut self, mut entry: Entry, fx: &mut Effects) {
        if self.settings.delivery_limit.is_some_and(|limit| entry.deliveries > limit) {
            return self.part_with(entry, DeathReason::DeliveryLimit, fx);
        }
        self.take_memory(entry.resident_bytes(), fx);
        entry.keep_if_begun();
        self.ready.put_back(entry);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::testing::*;
    use crate::{Got, Position, QueueSettings, Reference, Settlement};

    #[test]
    fn what_is_only_in_memory_is_put_into_the_journal_if_it_is_in_flight_and_has_no_room() {
        let (mut queue, mut fx) = (queue(QueueSettings::default()), effects());
        for number in 0..2 {
            let message = Arc::new(message(0));
            let placement = queue.place(&message, None, false).unwrap();
            queue.publish(placement, message, None, number, &mut fx);
        }
        let before = effects().resident_bytes_free;
        let room = std::mem::replace(&mut fx.resident_bytes_free, -before);
        let Got::Message(first, _) = queue.get(GETTER, false, 0, &mut fx) else { panic!() };
        fx.resident_bytes_free += room + before;
        let Got::Message(second, _) = queue.get(GETTER, false, 0, &mut fx) else { panic!() };
        let [spill] = &fx.spills[..] else { panic!("the second one had room") };
        assert_eq!(spill.index, first.index);
        let reference = Reference { at: Position(9), bytes: 48 };
        queue.spilled(first.index, reference, &mut fx);
        assert_eq!(before - fx.resident_bytes_free, second.message.size_bytes() as i64);
        queue.settle(GETTER, second.index, Settlement::Ack, &mut fx);
        assert!(fx.resident_bytes_free == before && fx.released.is_empty());
        queue.settle(GETTER, first.index, Settlement::Requeue, &mut fx);
        assert!(matches!(queue.get(GETTER, false, 0, &mut fx), Got::Fetching));
        assert_eq!(fx.fetches[0].entries, [(first.index, Position(9))]);
        queue.fetched(vec![(first.index, Some(first.message))], &mut fx);
        let Got::Message(again, 0) = queue.get(GETTER, false, 0, &mut fx) else { panic!() };
        queue.settle(GETTER, again.index, Settlement::Ack, &mut fx);
        assert_eq!((again.redelivered, &fx.released[..]), (true, &[reference][..]));
    }

    #[test]
    fn what_is_in_flight_stays_in_memory_while_there_is_room() {
        for (room, is_there) in [(1 << 20, true), (-(1 << 20), false)] {
            let (mut queue, mut fx) = (queue(QueueSettings::default()), effects());
            publish(&mut queue, 7, 0, &mut fx);
            let before = fx.resident_bytes_free;
            fx.resident_bytes_free = room;
            let Got::Message(first, _) = queue.get(GETTER, false, 0, &mut fx) else { panic!() };
            queue.settle(GETTER, first.index, Settlement::Requeue, &mut fx);
            let again = queue.get(GETTER, false, 0, &mut fx);
            assert_eq!(matches!(again, Got::Message(..)), is_there);
            assert_eq!(fx.fetches.is_empty(), is_there);
            fx.resident_bytes_free += before - room;
            queue.close(&mut fx);
            assert_eq!(fx.resident_bytes_free, effects().resident_bytes_free);
        }
    }
}
