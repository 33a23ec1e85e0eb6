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
        let index = self.index(tag)?;
        self.slots[index].delivery?;
        let settled: Deliveries =
            self.slots.drain(..=index).filter_map(|slot| slot.delivery).collect();
        self.holes -= index + 1 - settled.len();
        self.trim();
        Some(settled)
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

    #[derive(Debug, Clone)]
    enum Step {
        Tag,
        TagSettled,
        Settle(u64),
        Through(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Tag),
            1 => Just(Step::TagSettled),
            3 => (0..150u64).prop_map(Step::Settle),
            1 => (0..150u64).prop_map(Step::Through),
        ]
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_map(steps in proptest::collection::vec(step(), 0..300)) {
            let mut unsettled = Unsettled::default();
            let mut model = BTreeMap::new();
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
                }
                prop_assert_eq!(unsettled.len(), model.len());
            }
        }
    }
}
