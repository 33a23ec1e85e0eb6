//! What becomes of messages that nobody acknowledges: dropped, or handed over to be published
//! elsewhere.
//!
//! A message that is handed over stays, out of everybody's reach, until it is recorded at its new
//! places. So a crash in between may double it, and never loses it.

use super::entry::Entry;
use super::{Death, DeathReason, Effects, Queue};
use crate::EntryIndex;

impl Queue {
    /// Takes leave of an entry that nobody holds.
    pub(super) fn part_with(&mut self, mut entry: Entry, reason: DeathReason, fx: &mut Effects) {
        if !self.settings.dead_letters {
            return self.finish(&entry, fx);
        }
        let (queue, index) = (self.id, entry.index);
        let at = entry.stored.reference().map(|reference| reference.at);
        let message = entry.message.take();
        fx.deaths.push(Death { queue, index, message, at, reason });
        self.leaving.insert(index, entry);
    }

    /// A message that was handed over has found its new places, or has none.
    pub fn left(&mut self, index: EntryIndex, fx: &mut Effects) {
        if let Some(entry) = self.leaving.remove(&index) {
            self.finish(&entry, fx);
        }
    }

    /// Drops the oldest if there are too many.
    pub(super) fn keep_to_length(&mut self, fx: &mut Effects) {
        let max = self.settings.max_length.filter(|_| !self.settings.rejects_when_full);
        let Some(max) = max else { return };
        while self.ready.len() as u64 > max {
            let is_in_memory = self.ready.front().is_some();
            // What is written out comes back first.
            if is_in_memory {
                self.drop_front(DeathReason::MaxLength, fx);
            } else if !self.read_ahead(fx) {
                return;
            }
        }
    }

    /// Drops what has expired at the front, and asks to be woken for the next. What stands behind it
    /// waits for its turn. So many at a time that nobody else waits long.
    pub(super) fn keep_to_time(&mut self, now_ms: u64, fx: &mut Effects) {
        let ttl_ms = self.settings.message_ttl_ms;
        for _ in 0..EXPIRED_MAX {
            let Some(front) = self.ready.front() else {
                if ttl_ms.is_some() && self.read_ahead(fx) {
                    continue;
                }
                return;
            };
            if front.is_expired(now_ms, ttl_ms) {
                self.drop_front(DeathReason::Expired, fx);
                continue;
            }
            let (at_ms, lacks_message) = (front.expires_at_ms(ttl_ms), front.lacks_message());
            if at_ms.is_some() && self.wakes_at_ms != at_ms {
                self.wakes_at_ms = at_ms;
                fx.wakes.extend(at_ms.map(|at_ms| (self.id, at_ms)));
            }
            if lacks_message && ttl_ms.is_some() {
                self.read_ahead(fx);
            }
            return;
        }
        fx.wakes.push((self.id, now_ms));
    }
}

/// How many expire in one go.
const EXPIRED_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Body, ConnectionId, ConsumerId, Draft, Encoding, Facts, Got, Message, Position, QueueId,
        QueueSettings, Reference, Settlement,
    };

    const GETTER: ConsumerId = ConsumerId { connection: ConnectionId(1), number: 1 };

    fn queue(settings: QueueSettings) -> Queue {
        Queue::new(QueueId(1), QueueSettings { durable: true, dead_letters: true, ..settings })
    }

    /// A durable message that was published at a time, with the record of this number.
    fn publish(queue: &mut Queue, number: u64, timestamp_ms: u64, fx: &mut Effects) {
        let message = Message::new(Draft {
            exchange: "",
            routing_key: "q",
            encoding: Encoding::None,
            properties: &[],
            body: Body::Borrowed(b"x"),
            facts: Facts { persistent: true, qos: 1, timestamp_ms, ..Facts::default() },
        });
        let placement = queue.place(&message, None, false).unwrap();
        let reference = Reference { at: Position(number), bytes: 48 };
        queue.publish(placement, Arc::new(message), Some(reference), fx);
        queue.pump(timestamp_ms, fx);
    }

    fn effects() -> Effects {
        Effects { resident_bytes_free: 1 << 20, ..Effects::default() }
    }

    fn died(fx: &mut Effects) -> Vec<(u64, DeathReason)> {
        fx.deaths.drain(..).map(|death| (death.index.0, death.reason)).collect()
    }

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
        queue.left(death.index, &mut fx);
        queue.left(death.index, &mut fx);
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
            rejects_when_full: true,
            ..QueueSettings::default()
        };
        let (mut queue, mut fx) = (queue(settings), effects());
        assert!(!queue.is_full());
        publish(&mut queue, 0, 0, &mut fx);
        assert!(queue.is_full() && fx.deaths.is_empty());
        let Got::Message(..) = queue.get(GETTER, true, 0, &mut fx) else { panic!() };
        assert!(!queue.is_full());
    }

    #[test]
    fn what_expires_asks_for_its_time_and_goes_then() {
        let settings = QueueSettings { message_ttl_ms: Some(100), ..QueueSettings::default() };
        let (mut queue, mut fx) = (queue(settings), effects());
        publish(&mut queue, 0, 1000, &mut fx);
        publish(&mut queue, 1, 1040, &mut fx);
        assert_eq!(std::mem::take(&mut fx.wakes), [(QueueId(1), 1100)], "once");
        queue.pump(1099, &mut fx);
        assert!(fx.deaths.is_empty());
        queue.pump(1100, &mut fx);
        assert_eq!(died(&mut fx), [(0, DeathReason::Expired)]);
        assert_eq!(std::mem::take(&mut fx.wakes), [(QueueId(1), 1140)]);
    }

    #[test]
    fn many_expire_in_several_goes() {
        let settings = QueueSettings { message_ttl_ms: Some(100), ..QueueSettings::default() };
        let (mut queue, mut fx) = (queue(settings), effects());
        (0..1500).for_each(|number| publish(&mut queue, number, 0, &mut fx));
        fx.wakes.clear();
        queue.pump(100, &mut fx);
        assert_eq!(
            (died(&mut fx).len(), std::mem::take(&mut fx.wakes)),
            (1000, vec![(QueueId(1), 100)])
        );
        queue.pump(100, &mut fx);
        assert_eq!((died(&mut fx).len(), queue.stats().ready), (500, 0));
    }

    #[test]
    fn without_a_place_for_dead_letters_they_are_gone_at_once() {
        let settings = QueueSettings { max_length: Some(0), ..QueueSettings::default() };
        let mut queue = Queue::new(QueueId(1), QueueSettings { durable: true, ..settings });
        let mut fx = effects();
        publish(&mut queue, 0, 0, &mut fx);
        assert_eq!((fx.deaths.len(), fx.settled.len(), queue.stats().ready), (0, 1, 0));
    }
}
