//! Deliveries of one channel that are neither acknowledged nor rejected, by delivery tag.
//!
//! Tags only grow, so the deliveries are a sorted deque. Settling in order pops the front. A tag in
//! the middle is found by its distance from the front, or else by binary search; it leaves a hole,
//! and holes are swept out when they are the majority. So every settling is O(1) amortised but for
//! the search, and closing a channel is linear.

use std::collections::VecDeque;

use smallvec::SmallVec;

/// What the broker wants to know again when a delivery is settled. Both numbers are the broker's
/// own; the state machine only keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// The consumer.
    pub consumer: u64,
    /// The entry of its queue.
    pub entry: u64,
}

/// Deliveries in the order they were sent in.
pub type Deliveries = SmallVec<[Delivery; 4]>;

#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    slots: VecDeque<Slot>,
    holes: usize,
    last_tag: u64,
}

#[derive(Debug)]
struct Slot {
    tag: u64,
    delivery: Option<Delivery>,
}

impl Unsettled {
    /// Tags a delivery that is settled as it is sent.
    #[inline]
    pub(crate) fn tag_settled(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// Tags a delivery that the client has to settle.
    #[inline]
    pub(crate) fn tag(&mut self, delivery: Delivery) -> u64 {
        self.last_tag += 1;
        self.slots.push_back(Slot { tag: self.last_tag, delivery: Some(delivery) });
        self.last_tag
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.holes
    }

    /// Settles one tag; `None` if it is unknown or settled already.
    #[inline]
    pub(crate) fn settle(&mut self, tag: u64) -> Option<Delivery> {
        let index = self.index(tag)?;
        let delivery = self.slots[index].delivery.take()?;
        self.holes += 1;
        self.trim();
        Some(delivery)
    }

    /// Settles all tags up to an unsettled `tag`; 0 means all there are.
    pub(crate) fn settle_through(&mut self, tag: u64) -> Option<Deliveries> {
        if tag == 0 {
            return Some(self.take_all());
        }
        let end = self.end(tag)?;
        Some(self.take(end, |_, delivery| delivery))
    }

    /// Settles one tag or all up to it, and gives the tags, for [`restore`](Self::restore).
    pub(crate) fn hold(&mut self, tag: u64, multiple: bool) -> Option<Vec<(u64, Delivery)>> {
        if !multiple {
            return self.settle(tag).map(|delivery| vec![(tag, delivery)]);
        }
        let end = self.end(tag)?;
        Some(self.take(end, |tag, delivery| (tag, delivery)))
    }

    /// Takes back what was held: it is unsettled again.
    pub(crate) fn restore(&mut self, held: impl Iterator<Item = (u64, Delivery)>) {
        let kept = std::mem::take(&mut self.slots).into_iter();
        let held = held.map(|(tag, delivery)| Slot { tag, delivery: Some(delivery) });
        let mut slots: Vec<Slot> =
            kept.filter(|slot| slot.delivery.is_some()).chain(held).collect();
        slots.sort_unstable_by_key(|slot| slot.tag);
        self.slots = slots.into();
        self.holes = 0;
    }

    pub(crate) fn take_all(&mut self) -> Deliveries {
        self.holes = 0;
        std::mem::take(&mut self.slots).into_iter().filter_map(|slot| slot.delivery).collect()
    }

    /// Gives back the memory of a burst that is over.
    pub(crate) fn release(&mut self) {
        if self.slots.is_empty() {
            self.slots = VecDeque::new();
        }
    }

    /// How many slots there are up to an unsettled tag, or in all for 0.
    fn end(&self, tag: u64) -> Option<usize> {
        if tag == 0 {
            return Some(self.slots.len());
        }
        let index = self.index(tag)?;
        self.slots[index].delivery.map(|_| index + 1)
    }

    /// Takes the first slots out.
    fn take<T, C: FromIterator<T>>(&mut self, end: usize, part: impl Fn(u64, Delivery) -> T) -> C {
        let mut taken = 0;
        let slots = self.slots.drain(..end).filter_map(|slot| {
            let delivery = slot.delivery?;
            taken += 1;
            Some(part(slot.tag, delivery))
        });
        let parts = slots.collect();
        self.holes -= end - taken;
        self.trim();
        parts
    }

    #[inline]
    fn index(&self, tag: u64) -> Option<usize> {
        let distance = tag.checked_sub(self.slots.front()?.tag)?;
        let guess = usize::try_from(distance).ok()?;
        if self.slots.get(guess).is_some_and(|slot| slot.tag == tag) {
            return Some(guess);
        }
        self.slots.binary_search_by_key(&tag, |slot| slot.tag).ok()
    }

    #[inline]
    fn trim(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.delivery.is_none()) {
            self.slots.pop_front();
            self.holes -= 1;
        }
        if self.holes > HOLES_MIN && self.holes > self.slots.len() / 2 {
            self.slots.retain(|slot| slot.delivery.is_some());
            self.holes = 0;
        }
    }
}

/// Fewer holes than this are not worth a sweep.
const HOLES_MIN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn delivery(entry: u64) -> Delivery {
        Delivery { consumer: 1, entry }
    }

    #[test]
    fn tags_start_at_one_and_count_settled_deliveries_too() {
        let mut unsettled = Unsettled::default();
        assert_eq!(unsettled.tag(delivery(10)), 1);
        assert_eq!(unsettled.tag_settled(), 2);
        assert_eq!(unsettled.tag(delivery(30)), 3);
        assert_eq!(unsettled.settle(2), None);
        assert_eq!(unsettled.settle(3), Some(delivery(30)));
        assert_eq!(unsettled.settle(3), None);
        assert_eq!(unsettled.len(), 1);
    }

    #[test]
    fn multiple_needs_a_tag_that_is_outstanding_unless_it_is_zero() {
        let mut unsettled = Unsettled::default();
        assert_eq!(unsettled.settle_through(0).map(|all| all.len()), Some(0));
        for entry in 1..=4 {
            unsettled.tag(delivery(entry));
        }
        unsettled.settle(2);
        assert_eq!(unsettled.settle_through(2), None);
        assert_eq!(unsettled.settle_through(5), None);
        let settled = unsettled.settle_through(3).unwrap();
        assert_eq!(settled.as_slice(), [delivery(1), delivery(3)]);
        assert_eq!(unsettled.settle_through(0).unwrap().as_slice(), [delivery(4)]);
        assert_eq!(unsettled.len(), 0);
    }

    #[test]
    fn what_was_held_comes_back_to_its_place() {
        let mut unsettled = Unsettled::default();
        for entry in 1..=6 {
            unsettled.tag(delivery(entry));
        }
        let mut held = unsettled.hold(5, false).unwrap();
        assert_eq!(unsettled.hold(5, false), None);
        assert_eq!(unsettled.hold(5, true), None);
        held.extend(unsettled.hold(3, true).unwrap());
        assert_eq!(held, [5, 1, 2, 3].map(|tag| (tag, delivery(tag))));
        assert_eq!(unsettled.settle(4), Some(delivery(4)));
        unsettled.restore(held.into_iter());
        assert_eq!(unsettled.len(), 5);
        let left: Vec<u64> = unsettled.take_all().iter().map(|it| it.entry).collect();
        assert_eq!(left, [1, 2, 3, 5, 6]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Tag,
        TagSettled,
        Settle(u64),
        Through(u64),
        Hold(u64, bool),
        Restore,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Tag),
            1 => Just(Step::TagSettled),
            3 => (0..150u64).prop_map(Step::Settle),
            1 => (0..150u64).prop_map(Step::Through),
            2 => (0..150u64, any::<bool>()).prop_map(|(tag, multiple)| Step::Hold(tag, multiple)),
            1 => Just(Step::Restore),
        ]
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_map(steps in proptest::collection::vec(step(), 0..300)) {
            let mut unsettled = Unsettled::default();
            let mut model = BTreeMap::new();
            let mut held = Vec::new();
            let mut last = 0;
            for step in steps {
                match step {
                    Step::Tag => {
                        last += 1;
                        model.insert(last, delivery(last));
                        prop_assert_eq!(unsettled.tag(delivery(last)), last);
                    }
                    Step::TagSettled => {
                        last += 1;
                        prop_assert_eq!(unsettled.tag_settled(), last);
                    }
                    Step::Settle(tag) => prop_assert_eq!(unsettled.settle(tag), model.remove(&tag)),
                    Step::Through(tag) => {
                        let known = tag == 0 || model.contains_key(&tag);
                        let expected = known.then(|| {
                            let bound = if tag == 0 { u64::MAX } else { tag };
                            let kept = model.split_off(&(bound.saturating_add(1)));
                            std::mem::replace(&mut model, kept).into_values().collect()
                        });
                        prop_assert_eq!(unsettled.settle_through(tag), expected);
                    }
                    Step::Hold(tag, multiple) => {
                        let found = unsettled.hold(tag, multiple);
                        let known = model.contains_key(&tag) || (multiple && tag == 0);
                        prop_assert_eq!(found.is_some(), known);
                        for (tag, delivery) in found.into_iter().flatten() {
                            prop_assert_eq!(model.remove(&tag), Some(delivery));
                            held.push((tag, delivery));
                        }
                        let end = if tag == 0 { u64::MAX } else { tag };
                        prop_assert!(!known || !multiple || model.range(..=end).next().is_none());
                    }
                    Step::Restore => {
                        model.extend(held.iter().copied());
                        unsettled.restore(held.drain(..));
                    }
                }
                prop_assert_eq!(unsettled.len(), model.len());
            }
        }
    }
}
