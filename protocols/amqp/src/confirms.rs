//! Publisher confirms of one channel: sequence numbers out of the core in any order, as few
//! basic.ack and basic.nack on the wire as clients can bear.
//!
//! `settled_through` is the end of the prefix in which every publish is settled; what is settled
//! beyond it is a bitmap. When the output is written, nacks and the acks beyond the prefix go out
//! one by one, then the prefix as acks with `multiple`. Such an ack may pass over an ack that was
//! told before, but it stops short of a nack and starts again behind it: clients that put confirms
//! into order themselves would take the nack for acknowledged.

use std::collections::{BTreeSet, VecDeque};

#[derive(Debug, Default)]
pub(crate) struct Confirms {
    /// The last sequence number that was given to a publish.
    last: u64,
    settled: u64,
    settled_through: u64,
    told_through: u64,
    ahead: Ahead,
    /// Acks beyond the prefix that are still to be told.
    acks: Vec<u64>,
    /// Nacks that are still to be told.
    nacks: Vec<u64>,
    /// Nacks beyond `told_through`, told or not.
    nacked: BTreeSet<u64>,
}

/// One basic.ack or basic.nack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confirm {
    pub(crate) sequence: u64,
    pub(crate) ok: bool,
    pub(crate) multiple: bool,
}

impl Confirms {
    /// The sequence number of the next publish.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Publishes that are not settled yet.
    pub(crate) fn outstanding(&self) -> u64 {
        self.last - self.settled
    }

    /// Settles one publish. Numbers never given out or settled already have no effect.
    #[inline]
    pub(crate) fn settle(&mut self, sequence: u64, ok: bool) {
        if sequence <= self.settled_through || sequence > self.last {
            return;
        }
        if ok && sequence == self.settled_through + 1 {
            self.settled_through = sequence;
        } else if !self.ahead.insert(sequence, self.settled_through) {
            return;
        } else if ok {
            self.acks.push(sequence);
        } else {
            self.nacks.push(sequence);
            self.nacked.insert(sequence);
        }
        self.settled += 1;
        self.absorb();
    }

    /// Settles every publish up to `sequence` that is not settled yet with an ack.
    pub(crate) fn settle_through(&mut self, sequence: u64) {
        let sequence = sequence.min(self.last);
        if sequence <= self.settled_through {
            return;
        }
        self.settled += sequence - self.settled_through;
        for passed in self.settled_through + 1..=sequence {
            if self.ahead.count == 0 {
                break;
            }
            self.settled -= u64::from(self.ahead.remove(passed));
        }
        self.settled_through = sequence;
        self.absorb();
    }

    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        self.settled_through > self.told_through || !self.acks.is_empty() || !self.nacks.is_empty()
    }

    /// Tells everything there is to tell, in order.
    pub(crate) fn drain(&mut self, mut tell: impl FnMut(Confirm)) {
        for sequence in self.nacks.drain(..) {
            tell(Confirm { sequence, ok: false, multiple: false });
        }
        let through = self.settled_through;
        for sequence in self.acks.drain(..).filter(|sequence| *sequence > through) {
            tell(Confirm { sequence, ok: true, multiple: false });
        }
        while let Some(nack) = self.nacked.first().copied().filter(|nack| *nack <= through) {
            self.tell_through(nack - 1, &mut tell);
            self.told_through = nack;
            self.nacked.pop_first();
        }
        self.tell_through(through, &mut tell);
    }

    /// Gives back the memory of a burst that is over.
    pub(crate) fn release(&mut self) {
        self.acks.shrink_to_fit();
        self.nacks.shrink_to_fit();
        self.ahead.words.shrink_to_fit();
    }

    fn tell_through(&mut self, sequence: u64, tell: &mut impl FnMut(Confirm)) {
        if sequence > self.told_through {
            let multiple = sequence - self.told_through > 1;
            tell(Confirm { sequence, ok: true, multiple });
            self.told_through = sequence;
        }
    }

    /// Moves the end of the prefix over what is settled ahead of it.
    #[inline]
    fn absorb(&mut self) {
        while self.ahead.count > 0 && self.ahead.remove(self.settled_through + 1) {
            self.settled_through += 1;
        }
    }
}

/// The set of what is settled beyond the prefix: a bitmap from `base`, a multiple of 64, on.
#[derive(Debug, Default)]
struct Ahead {
    words: VecDeque<u64>,
    base: u64,
    count: usize,
}

impl Ahead {
    /// Adds a number beyond the prefix; `false` if it is there already.
    fn insert(&mut self, sequence: u64, prefix: u64) -> bool {
        if self.count == 0 {
            self.words.clear();
            self.base = (prefix + 1) & !63;
        }
        let offset = sequence - self.base;
        let word = (offset / 64) as usize;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (offset % 64);
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += usize::from(is_new);
        is_new
    }

    /// Takes a number out that is the first one behind the prefix.
    fn remove(&mut self, sequence: u64) -> bool {
        while sequence - self.base >= 64 {
            self.words.pop_front();
            self.base += 64;
        }
        let Some(word) = self.words.front_mut() else { return false };
        let bit = 1 << (sequence - self.base);
        let was_there = *word & bit != 0;
        *word &= !bit;
        self.count -= usize::from(was_there);
        was_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(confirms: &mut Confirms) -> Vec<(u64, bool, bool)> {
        let mut told = Vec::new();
        confirms.drain(|confirm| told.push((confirm.sequence, confirm.ok, confirm.multiple)));
        told
    }

    fn published(count: u64) -> Confirms {
        let mut confirms = Confirms::default();
        for expected in 1..=count {
            assert_eq!(confirms.next(), expected);
        }
        confirms
    }

    #[test]
    fn a_run_in_order_is_one_ack() {
        let mut confirms = published(100);
        confirms.settle(1, true);
        assert_eq!(drain(&mut confirms), [(1, true, false)]);
        (2..=50).for_each(|sequence| confirms.settle(sequence, true));
        assert_eq!(drain(&mut confirms), [(50, true, true)]);
        confirms.settle_through(99);
        assert_eq!(drain(&mut confirms), [(99, true, true)]);
        assert_eq!(confirms.outstanding(), 1);
        assert!(!confirms.is_pending());
    }

    #[test]
    fn what_is_out_of_order_goes_out_alone_until_the_prefix_catches_up() {
        let mut confirms = published(200);
        confirms.settle(3, true);
        confirms.settle(130, true);
        assert_eq!(drain(&mut confirms), [(3, true, false), (130, true, false)]);
        confirms.settle(5, true);
        (1..=4).for_each(|sequence| confirms.settle(sequence, true));
        assert_eq!(drain(&mut confirms), [(5, true, true)]);
        confirms.settle_through(129);
        assert_eq!(drain(&mut confirms), [(130, true, true)]);
    }

    #[test]
    fn a_multiple_ack_does_not_pass_over_a_nack() {
        let mut confirms = published(9);
        confirms.settle(5, false);
        assert_eq!(drain(&mut confirms), [(5, false, false)]);
        confirms.settle_through(8);
        assert_eq!(drain(&mut confirms), [(4, true, true), (8, true, true)]);
        confirms.settle(9, false);
        assert_eq!(drain(&mut confirms), [(9, false, false)]);
    }

    #[test]
    fn numbers_that_were_never_given_out_have_no_effect() {
        let mut confirms = published(2);
        confirms.settle(0, true);
        confirms.settle(3, true);
        confirms.settle(u64::MAX, false);
        assert!(!confirms.is_pending());
        confirms.settle_through(u64::MAX);
        assert_eq!(drain(&mut confirms), [(2, true, true)]);
    }

    proptest! {
        /// A client that applies every confirm to what it has outstanding, as amqp091-go does:
        /// the first word about a sequence number counts, and a nack never reads as an ack.
        #[test]
        fn every_publish_is_told_its_own_outcome(
            order in Just((1..=300u64).collect::<Vec<_>>()).prop_shuffle(),
            nacks in proptest::collection::btree_set(1..=300u64, 0..20),
            drains in proptest::collection::btree_set(0..300usize, 0..40),
        ) {
            let mut confirms = published(300);
            let mut outcome = vec![None; 301];
            let mut expecting = 1u64;
            for (step, sequence) in order.into_iter().enumerate() {
                confirms.settle(sequence, !nacks.contains(&sequence));
                if !drains.contains(&step) && step != 299 {
                    continue;
                }
                confirms.drain(|confirm| {
                    let first = if confirm.multiple { expecting } else { confirm.sequence };
                    for told in first..=confirm.sequence {
                        outcome[told as usize] = Some(confirm.ok);
                    }
                    while outcome.get(expecting as usize).is_some_and(|told| told.is_some()) {
                        expecting += 1;
                    }
                });
            }
            for (sequence, told) in outcome.iter().enumerate().skip(1) {
                prop_assert_eq!(*told, Some(!nacks.contains(&(sequence as u64))));
            }
            prop_assert_eq!(confirms.outstanding(), 0);
        }
    }
}
