//! What becomes of messages that nobody acknowledges: dropped, or handed over to be published
//! elsewhere.
//!
//! A message that is handed over stays, out of everybody's reach, until it is recorded at its new
//! places. So a crash in between may double it, and never loses it.

use std::sync::Arc;

use super::entry::Entry;
use super::extent::Extent;
use super::{Death, DeathReason, Effects, Overflow, Queue, QueueSettings};
use crate::{ConsumerId, EntryIndex, Message};

impl Queue {
    /// Takes leave of an entry that nobody holds.
    pub(super) fn part_with(&mut self, mut entry: Entry, reason: DeathReason, fx: &mut Effects) {
        if !self.settings.dead_letters && reason != DeathReason::MemberLeft {
            return self.finish(&entry, fx);
        }
        let (queue, index) = (self.id, entry.index);
        let at = entry.stored.reference().map(|reference| reference.at);
        let message = entry.message.take();
        let share = entry.share().cloned().filter(|_| reason == DeathReason::MemberLeft);
        fx.deaths.push(Death { queue, index: Some(index), message, at, reason, share });
        self.leaving.get_or_insert_default().insert(index, entry);
    }

    /// Hands over what a client has of shared subscriptions, for their other members: it is about to
    /// go. A QoS 2 message that it was sent stays with it [MQTT-4.8.2-4, -5], as does what is written
    /// out.
    pub fn hand_on_shared(&mut self, consumer: ConsumerId, fx: &mut Effects) {
        let mut shared = Vec::new();
        for index in self.unacked.indexes_of(consumer) {
            if !self.unacked.find(index).is_some_and(|held| held.entry.may_be_handed_on()) {
                continue;
            }
            if let Some(held) = self.unacked.remove(index) {
                self.let_go(&held, fx);
                shared.push(held.entry);
            }
        }
        for entry in self.ready.remove_where(Entry::may_be_handed_on) {
            self.give_memory(entry.resident_bytes(), fx);
            shared.push(entry);
        }
        shared.into_iter().for_each(|entry| self.part_with(entry, DeathReason::MemberLeft, fx));
    }

    /// A message that was handed over has found its new places, or has none.
    pub fn left(&mut self, index: EntryIndex, fx: &mut Effects) {
        if let Some(entry) = self.leaving.as_mut().and_then(|leaving| leaving.remove(&index)) {
            self.finish(&entry, fx);
        }
    }

    /// Whether it takes so many messages, with so many bytes of bodies, without refusing one.
    pub(crate) fn has_room_for(&self, len: u64, body_bytes: u64) -> bool {
        let QueueSettings { overflow, max_length, max_length_bytes, .. } = self.settings;
        let waiting = self.ready.extent();
        overflow == Overflow::DropHead
            || (max_length.is_none_or(|max| waiting.len + len <= max)
                && max_length_bytes.is_none_or(|max| waiting.body_bytes + body_bytes <= max))
    }

    /// A message that it takes not, because it is full.
    pub(crate) fn refuse(&self, message: &Arc<Message>, fx: &mut Effects) {
        if self.settings.dead_letters && self.settings.overflow == Overflow::RejectPublishDeadLetter
        {
            let (queue, reason, message) = (self.id, DeathReason::MaxLength, Some(message.clone()));
            fx.deaths.push(Death { queue, index: None, message, at: None, reason, share: None });
        }
    }

    /// Drops the oldest if there are too many.
    pub(super) fn keep_to_length(&mut self, fx: &mut Effects) {
        let QueueSettings { overflow, max_length, max_length_bytes, .. } = self.settings;
        if overflow != Overflow::DropHead || (max_length, max_length_bytes) == (None, None) {
            return;
        }
        let (max_length, max_bytes) =
            (max_length.unwrap_or(u64::MAX), max_length_bytes.unwrap_or(u64::MAX));
        let is_over = |waiting: Extent| waiting.len > max_length || waiting.body_bytes > max_bytes;
        while is_over(self.ready.extent()) {
            let is_in_memory = self.ready.front().is_some();
            // What is written out comes back first.
            if is_in_memory {
                self.drop_front(DeathReason::MaxLength, fx);
            } else if !self.read_ahead(fx) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::{Got, Position, Settlement};

    #[test]
    fn a_dead_letter_is_settled_only_when_it_has_found_its_place() {
        let (mut queue, mut fx) = (queue(QueueSettings::default()), effects());
        publish(&mut queue, 7, 0, &mut fx);
        let Got::Message(delivery, _) = queue.get(GETTER, false, 0, &mut fx) else { panic!() };
        queue.settle(GETTER, delivery.index, Settlement::Discard, &mut fx);
        let death = fx.deaths.pop().unwrap();
        assert_eq!((death.reason, death.at), (DeathReason::Rejected, Some(Position(7))));
        assert!(fx.settled.is_empty() && fx.released.is_empty(), "a crash brings it back");
        let mut referred = Vec::new();
        queue.references(|at| referred.push(at));
        assert_eq!(referred, [Position(7)]);
        queue.left(death.index.unwrap(), &mut fx);
        queue.left(death.index.unwrap(), &mut fx);
        assert_eq!((fx.settled.len(), fx.released.len()), (1, 1));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let settings = QueueSettings { max_length: Some(2), ..QueueSettings::default() };
        let (mut queue, mut fx) = (queue(settings), effects());
        (0..5).for_each(|number| publish(&mut queue, number, 0, &mut fx));
        let expected: Vec<_> = (0..3).map(|index| (index, DeathReason::MaxLength)).collect();
        assert_eq!((died(&mut fx), queue.stats().ready), (expected, 2));
    }

    #[test]
    fn a_full_queue_that_rejects_keeps_what_it_has() {
        let settings = QueueSettings {
            max_length: Some(1),
            overflow: Overflow::RejectPublish,
            ..QueueSettings::default()
        };
        let (mut queue, mut fx) = (queue(settings), effects());
        assert!(queue.has_room_for(1, 1));
        publish(&mut queue, 0, 0, &mut fx);
        assert!(!queue.has_room_for(1, 1) && fx.deaths.is_empty());
        let Got::Message(..) = queue.get(GETTER, true, 0, &mut fx) else { panic!() };
        assert!(queue.has_room_for(1, 1));
    }

    #[test]
    fn without_a_place_for_dead_letters_they_are_gone_at_once() {
        let settings = QueueSettings { max_length: Some(0), ..QueueSettings::default() };
        let mut queue = Queue::new(QUEUE, QueueSettings { durable: true, ..settings });
        let mut fx = effects();
        publish(&mut queue, 0, 0, &mut fx);
        assert_eq!((fx.deaths.len(), fx.settled.len(), queue.stats().ready), (0, 1, 0));
    }

    #[test]
    fn the_limit_in_bytes_counts_bodies() {
        let settings = QueueSettings { max_length_bytes: Some(2), ..QueueSettings::default() };
        let (mut queue, mut fx) = (queue(settings), effects());
        (0..5).for_each(|number| publish(&mut queue, number, 0, &mut fx));
        assert_eq!((died(&mut fx).len(), queue.stats().ready), (3, 2));
        let settings = QueueSettings { overflow: Overflow::RejectPublish, ..settings };
        let (mut queue, mut fx) = (self::queue(settings), effects());
        publish(&mut queue, 0, 0, &mut fx);
        assert!(queue.has_room_for(1, 1) && !queue.has_room_for(1, 2));
    }

    #[test]
    fn what_is_refused_is_handed_over_if_that_is_asked_for() {
        let settings = QueueSettings {
            max_length: Some(0),
            overflow: Overflow::RejectPublishDeadLetter,
            ..QueueSettings::default()
        };
        let (queue, mut fx) = (queue(settings), effects());
        let refused = Arc::new(message(0));
        queue.refuse(&refused, &mut fx);
        let death = fx.deaths.pop().unwrap();
        assert_eq!((death.index, death.reason), (None, DeathReason::MaxLength));
        assert!(Arc::ptr_eq(&death.message.unwrap(), &refused));
    }

    #[test]
    fn what_comes_back_too_often_is_handed_over() {
        let settings = QueueSettings {
            delivery_limit: Some(1),
            counts_deliveries: true,
            ..QueueSettings::default()
        };
        let (mut queue, mut fx) = (queue(settings), effects());
        publish(&mut queue, 0, 0, &mut fx);
        for count in 0..2 {
            let Got::Message(delivery, _) = queue.get(GETTER, false, 0, &mut fx) else { panic!() };
            assert_eq!((delivery.delivery_count, delivery.redelivered), (count, count > 0));
            assert!(fx.deaths.is_empty());
            queue.settle(GETTER, delivery.index, Settlement::Requeue, &mut fx);
            queue.fetched(vec![(delivery.index, Some(delivery.message))], &mut fx);
        }
        assert_eq!(died(&mut fx), [(0, DeathReason::DeliveryLimit)]);
        assert_eq!(queue.stats().ready, 0);
    }
}
