//! The consumers of one queue: who is served next.
//!
//! Those of the greatest priority are served first, as long as one of them has room, and equals in turn.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::consumer::{Consumer, ConsumerOptions, Holder};
use super::roster::{Roster, Turn};
use crate::ConsumerId;

#[derive(Debug, Default)]
pub(super) struct Consumers {
    roster: Roster,
    /// How many ever came.
    came: u64,
    /// By priority, where the search for the next one to serve begins; with the first one if that is not
    /// here.
    next: BTreeMap<Reverse<i32>, u64>,
    /// The only one that is served, if there may be one only.
    active: Option<ConsumerId>,
}

impl Consumers {
    pub fn len(&self) -> usize {
        self.roster.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is one that is alone, and stays so.
    pub fn has_exclusive(&self) -> bool {
        self.roster.iter().next().is_some_and(|consumer| consumer.options.exclusive)
    }

    pub fn add(&mut self, id: ConsumerId, options: ConsumerOptions) {
        let turn = Turn { priority: Reverse(options.priority), number: self.came };
        self.came += 1;
        self.roster.insert(Consumer::new(id, turn, options));
    }

    pub fn remove(&mut self, id: ConsumerId) -> bool {
        let Some(turn) = self.roster.find(id) else { return false };
        self.roster.remove(turn);
        if self.roster.of_priority(turn.first_of_priority()).is_none() {
            self.next.remove(&turn.priority);
        }
        if self.active.take_if(|active| *active == id).is_some() {
            self.choose_active();
        }
        true
    }

    /// Sees to it that one consumer alone is served: the one that is already, or the first of the
    /// greatest priority.
    pub fn choose_active(&mut self) {
        if self.active.is_none() {
            self.active = self.roster.iter().next().map(|consumer| consumer.id);
        }
    }

    pub fn active(&self) -> Option<ConsumerId> {
        self.active
    }

    pub fn with_options(&self) -> impl Iterator<Item = (ConsumerId, &ConsumerOptions)> {
        self.roster.iter().map(|consumer| (consumer.id, &consumer.options))
    }

    pub fn ids(&self) -> impl Iterator<Item = ConsumerId> {
        self.roster.iter().map(|consumer| consumer.id)
    }

    /// The next consumer in turn that can take an entry.
    pub fn next(&self, needs_settlement: bool) -> Option<Turn> {
        if let Some(only) = self.roster.only() {
            return only.has_room(needs_settlement).then_some(only.turn);
        }
        if let Some(active) = self.active {
            let turn = self.roster.find(active)?;
            return self.roster.get(turn)?.has_room(needs_settlement).then_some(turn);
        }
        let first = self.roster.with_room(Turn::FIRST, needs_settlement)?;
        let Some(&number) = self.next.get(&first.priority) else { return Some(first) };
        let in_turn = self.roster.with_room(Turn { number, ..first }, needs_settlement);
        in_turn.filter(|turn| turn.priority == first.priority).or(Some(first))
    }

    /// Those that would be served if the window that they share had room, and have not asked for it: now
    /// they have.
    pub fn stall(&mut self, needs_settlement: bool) -> impl Iterator<Item = ConsumerId> {
        let active = self.active.and_then(|active| self.roster.find(active));
        let mut turns = self.roster.lacking_window(needs_settlement);
        turns.retain(|turn| active.is_none_or(|active| active == *turn));
        turns.into_iter().filter_map(|turn| Some(self.roster.change(turn, Consumer::stall)?.id))
    }

    /// The window that a consumer has asked for may have room.
    pub fn call_up(&mut self, id: ConsumerId) {
        self.roster.change_of(id, Consumer::call_up);
    }

    /// Counts an entry against a consumer and moves the turn on.
    ///
    /// # Panics
    /// If no consumer has this turn.
    pub fn serve(&mut self, turn: Turn, size_bytes: usize, needs_settlement: bool) -> &Consumer {
        if self.roster.only().is_some() {
            if !self.next.is_empty() {
                self.next.clear();
            }
        } else if self.roster.of_priority(turn.next()).is_some() {
            self.next.insert(turn.priority, turn.number + 1);
        } else {
            self.next.remove(&turn.priority);
        }
        let served = self.roster.change(turn, |it| it.take(size_bytes, needs_settlement));
        served.expect("a turn that was given out is of a consumer that is here")
    }

    /// Gives back window bytes: they were written to the socket.
    pub fn written(&mut self, id: ConsumerId, bytes: usize) {
        self.roster.change_of(id, |consumer| consumer.written(bytes));
    }

    /// Gives back the place of an entry that was settled.
    pub fn settled(&mut self, holder: &Holder) {
        if !holder.counted {
            return;
        }
        if let Some(shared) = &holder.shared {
            shared.give_back();
        }
        self.roster.change_of(holder.consumer, Consumer::settled);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::roster::FEW;
    use super::super::{SharedPrefetch, SharedWindow};
    use super::*;
    use crate::ConnectionId;

    fn id(number: u64) -> ConsumerId {
        ConsumerId { connection: ConnectionId(1), number }
    }

    fn options(prefetch: u32) -> ConsumerOptions {
        ConsumerOptions {
            no_ack: false,
            exclusive: false,
            priority: 0,
            prefetch,
            shared: None,
            window_bytes: 100,
            shared_window: None,
        }
    }

    fn turn(number: u64) -> Turn {
        Turn { priority: Reverse(0), number }
    }

    #[test]
    fn equals_are_served_in_turn() {
        let mut consumers = Consumers::default();
        (0..3).for_each(|number| consumers.add(id(number), options(0)));
        let served: Vec<u64> = (0..6)
            .map(|_| {
                let at = consumers.next(true).unwrap();
                consumers.serve(at, 1, true).id.number
            })
            .collect();
        assert_eq!(served, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_greater_priority_is_served_first_as_long_as_it_has_room() {
        let mut consumers = Consumers::default();
        for (number, priority) in [(0, 0), (1, 5), (2, -3), (3, 5), (4, 0)] {
            consumers.add(id(number), ConsumerOptions { priority, ..options(2) });
        }
        let mut serve = |times: usize| -> Vec<u64> {
            (0..times)
                .map_while(|_| {
                    let at = consumers.next(true)?;
                    Some(consumers.serve(at, 1, true).id.number)
                })
                .collect()
        };
        assert_eq!(serve(5), [1, 3, 1, 3, 0]);
        assert_eq!(serve(9), [4, 0, 4, 2, 2]);
        consumers.settled(&Holder { consumer: id(3), shared: None, counted: true, since_ms: 0 });
        consumers.settled(&Holder { consumer: id(4), shared: None, counted: true, since_ms: 0 });
        assert!(consumers.remove(id(1)) && consumers.remove(id(2)) && !consumers.remove(id(2)));
        let next = consumers.next(true).unwrap();
        assert_eq!(consumers.serve(next, 1, true).id, id(3));
        let next = consumers.next(true).unwrap();
        assert_eq!(consumers.serve(next, 1, true).id, id(4));
        [0, 3, 4].into_iter().for_each(|number| assert!(consumers.remove(id(number))));
        assert!(consumers.is_empty() && consumers.next(true).is_none());
        consumers.add(id(5), options(1));
        assert_eq!(consumers.next(true), Some(turn(5)));
    }

    #[test]
    fn a_single_active_consumer_is_served_alone_until_it_goes() {
        let mut consumers = Consumers::default();
        for (number, priority) in [(0, 0), (1, 0), (2, 9), (3, 9)] {
            consumers.add(id(number), ConsumerOptions { priority, ..options(1) });
            consumers.choose_active();
        }
        let served = |consumers: &mut Consumers| {
            consumers.next(true).map(|at| consumers.serve(at, 1, true).id.number)
        };
        assert_eq!(served(&mut consumers), Some(0), "the first that came");
        assert_eq!(served(&mut consumers), None, "the others wait, with room or without");
        consumers.remove(id(1));
        assert_eq!(served(&mut consumers), None);
        consumers.remove(id(0));
        assert_eq!(served(&mut consumers), Some(2), "then the first of the greatest priority");
        [2, 3].into_iter().for_each(|number| assert!(consumers.remove(id(number))));
        assert_eq!(served(&mut consumers), None);
    }

    #[test]
    fn a_full_prefetch_stops_a_consumer_until_it_settles() {
        let mut consumers = Consumers::default();
        consumers.add(id(1), options(1));
        consumers.serve(turn(0), 1, true);
        assert_eq!(consumers.next(true), None);
        assert_eq!(consumers.next(false), Some(turn(0)));
        consumers.settled(&Holder { consumer: id(1), shared: None, counted: true, since_ms: 0 });
        assert_eq!(consumers.next(true), Some(turn(0)));
    }

    #[test]
    fn a_full_window_stops_a_consumer_until_it_was_written() {
        let mut consumers = Consumers::default();
        consumers.add(id(1), options(0));
        consumers.serve(turn(0), 100, true);
        assert_eq!(consumers.next(true), None);
        consumers.written(id(1), 100);
        assert_eq!(consumers.next(true), Some(turn(0)));
    }

    #[test]
    fn a_shared_limit_counts_over_consumers() {
        let shared = Arc::new(SharedPrefetch::default());
        shared.set_limit(1);
        let mut consumers = Consumers::default();
        for number in 0..2 {
            let shared = Some(shared.clone());
            consumers.add(id(number), ConsumerOptions { shared, ..options(0) });
        }
        consumers.serve(turn(0), 1, true);
        assert_eq!(consumers.next(true), None);
        consumers.remove(id(0));
        assert!(shared.take_shortage() && !shared.take_shortage());
        consumers.settled(&Holder {
            consumer: id(0),
            shared: Some(shared.clone()),
            counted: true,
            since_ms: 0,
        });
        assert_eq!(consumers.next(true), Some(turn(1)));
        assert!(!shared.take_shortage(), "nobody has found it used up since");
    }

    #[test]
    fn a_shared_window_stops_all_who_share_it_and_each_asks_for_it_once() {
        for others in [0, 2 * FEW as u64] {
            let window = Arc::new(SharedWindow::new(150));
            let mut consumers = Consumers::default();
            for number in 0..3 {
                let shared_window = Some(window.clone());
                consumers.add(id(number), ConsumerOptions { shared_window, ..options(1) });
            }
            // Without room of their own, and later in turn.
            (3..3 + others).for_each(|number| {
                consumers.add(id(number), ConsumerOptions { window_bytes: 0, ..options(1) });
            });
            consumers.serve(turn(0), 60, true);
            assert_eq!(consumers.next(true), Some(turn(1)), "there is room for one more");
            consumers.serve(turn(1), 90, true);
            assert_eq!(consumers.next(true), None);
            assert!(consumers.stall(true).eq([id(2)]), "the others wait for their own prefetch");
            assert_eq!(consumers.stall(true).count(), 0);
            window.give_back(1);
            assert_eq!(consumers.next(true), None, "it is not called up");
            consumers.call_up(id(2));
            assert_eq!(consumers.next(true), Some(turn(2)));
            consumers.serve(turn(2), 1, false);
            assert!(consumers.next(true).is_none() && consumers.stall(true).eq([id(2)]));
            assert!(consumers.stall(false).eq([id(0), id(1)]));
        }
    }

    /// The same in a list, where a turn is a place.
    #[derive(Default)]
    struct Model {
        /// The greatest priority first: priority, id, room for so many, bytes left.
        list: Vec<(i32, u64, u32, i64)>,
        next: BTreeMap<i32, usize>,
    }

    impl Model {
        fn group(&self, priority: i32) -> std::ops::Range<usize> {
            let start = self.list.partition_point(|it| it.0 > priority);
            start..self.list.partition_point(|it| it.0 >= priority)
        }

        fn add(&mut self, priority: i32, id: u64, prefetch: u32) {
            self.list.insert(self.group(priority).end, (priority, id, prefetch, 100));
        }

        fn remove(&mut self, at: usize) -> u64 {
            let (priority, id, ..) = self.list.remove(at);
            let group = self.group(priority);
            let next = self.next.entry(priority).or_default();
            *next -= usize::from(group.start + *next > at);
            if group.is_empty() {
                self.next.remove(&priority);
            }
            id
        }

        fn serve(&mut self, needs_settlement: bool) -> Option<u64> {
            let mut priorities: Vec<i32> = self.list.iter().map(|it| it.0).collect();
            priorities.dedup();
            for priority in priorities {
                let group = self.group(priority);
                let next = self.next.entry(priority).or_default();
                let in_turn = (group.start + *next..group.end).chain(group.clone());
                let has_room = |&at: &usize| {
                    let (.., room, bytes) = self.list[at];
                    bytes > 0 && (room > 0 || !needs_settlement)
                };
                let Some(at) = in_turn.into_iter().find(has_room) else { continue };
                *next = (at + 1 - group.start) % group.len();
                self.list[at].2 -= u32::from(needs_settlement);
                self.list[at].3 -= 40;
                return Some(self.list[at].1);
            }
            None
        }
    }

    proptest! {
        #[test]
        fn many_are_served_as_a_few_are(
            first in 0..2 * FEW,
            steps in vec((0..8u8, any::<usize>(), 0..3i32), 0..400),
        ) {
            let (mut consumers, mut model, mut number) = (Consumers::default(), Model::default(), 0);
            let come = (0..first).map(|_| (0, 0, 0));
            for (step, pick, choice) in come.chain(steps) {
                let at = pick.checked_rem(model.list.len());
                match (step, at) {
                    (0, _) | (_, None) => {
                        number += 1;
                        model.add(choice, number, 2);
                        consumers.add(id(number), ConsumerOptions { priority: choice, ..options(2) });
                    }
                    (1..3, Some(at)) => prop_assert!(consumers.remove(id(model.remove(at)))),
                    (3, Some(at)) => {
                        model.list[at].3 += 40;
                        consumers.written(id(model.list[at].1), 40);
                    }
                    (4, Some(at)) => {
                        model.list[at].2 = 2.min(model.list[at].2 + 1);
                        let consumer = id(model.list[at].1);
                        let holder = Holder { consumer, shared: None, counted: true, since_ms: 0 };
                        consumers.settled(&holder);
                    }
                    (_, Some(_)) => {
                        let needs_settlement = choice > 0;
                        let turn = consumers.next(needs_settlement);
                        let served = turn.map(|it| consumers.serve(it, 40, needs_settlement).id.number);
                        prop_assert_eq!(served, model.serve(needs_settlement));
                    }
                }
                prop_assert_eq!(consumers.len(), model.list.len());
            }
            let ids: Vec<u64> = consumers.ids().map(|id| id.number).collect();
            let expected: Vec<u64> = model.list.iter().map(|it| it.1).collect();
            prop_assert_eq!(ids, expected);
            model.list.iter().for_each(|it| assert!(consumers.remove(id(it.1))));
            prop_assert!(consumers.is_empty() && consumers.next.is_empty());
        }
    }
}
