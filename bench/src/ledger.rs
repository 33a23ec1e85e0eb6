//! What has arrived of what was sent: counts the lost, the duplicated and the out of order.
//!
//! A [`Ledger`] belongs to a queue of AMQP, whose consumers share it, or to an MQTT subscription. Of
//! each stream it knows which sequence numbers have arrived, as ranges: one as long as nothing is
//! missing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::stamp::Stream;

/// Ranges that are remembered of a stream. Beyond that, the oldest gap is taken as lost for good.
const RANGES_MAX: usize = 65_536;

/// The messages of one queue or subscription.
#[derive(Debug)]
pub struct Ledger {
    /// How people call it.
    pub name: String,
    /// Which queue of all, and of how many: streams are dealt out to them in turn.
    place: usize,
    places: usize,
    page: Mutex<Page>,
}

/// What a ledger holds.
#[derive(Debug, Default)]
pub struct Page {
    /// Messages, each counted once.
    pub received: u64,
    /// Further copies.
    pub duplicated: u64,
    /// Messages that a consumer got after a later one of the same stream.
    pub out_of_order: u64,
    streams: Vec<Seen>,
}

impl Ledger {
    /// The ledger of queue `place` of `places`, for its part of `streams` streams.
    pub fn new(name: String, place: usize, places: usize, streams: usize) -> Ledger {
        let own = (place..streams).step_by(places).map(|_| Seen::default()).collect();
        let page = Mutex::new(Page { streams: own, ..Page::default() });
        Ledger { name, place, places, page }
    }

    /// Its numbers, locked.
    pub fn lock(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a stream in a page; nothing if it goes elsewhere.
    pub fn index(&self, stream: Stream) -> Option<usize> {
        let stream = usize::from(stream.0);
        (stream % self.places == self.place).then_some(stream / self.places)
    }

    /// The streams that come here, of so many.
    pub fn streams(&self, of: usize) -> impl Iterator<Item = usize> {
        (self.place..of).step_by(self.places)
    }
}

impl Page {
    /// Notes a message: whether it is a new one, or nothing if there is no such stream.
    pub fn note(&mut self, index: usize, sequence: u64) -> Option<bool> {
        let new = self.streams.get_mut(index)?.insert(sequence);
        self.received += u64::from(new);
        self.duplicated += u64::from(!new);
        Some(new)
    }
}

/// A set of sequence numbers.
#[derive(Debug, Default)]
struct Seen {
    /// Disjoint, ascending, not adjacent: first and one past the last.
    ranges: Vec<(u64, u64)>,
}

impl Seen {
    /// Whether the number was not there.
    fn insert(&mut self, number: u64) -> bool {
        match self.ranges.last_mut() {
            Some(last) if last.1 == number => {
                last.1 += 1;
                return true;
            }
            Some(last) if last.1 > number => {}
            _ => {
                self.ranges.push((number, number + 1));
                self.forget();
                return true;
            }
        }
        // The first range that ends at the number or after it; there is one.
        let at = self.ranges.partition_point(|range| range.1 < number);
        let (first, end) = self.ranges[at];
        if (first..end).contains(&number) {
            return false;
        }
        if end == number {
            self.ranges[at].1 += 1;
            self.join(at);
        } else if first == number + 1 {
            self.ranges[at].0 = number;
        } else {
            self.ranges.insert(at, (number, number + 1));
            self.forget();
        }
        true
    }

    /// Joins a range with the next, if nothing is between them.
    fn join(&mut self, at: usize) {
        let end = self.ranges[at].1;
        if self.ranges.get(at + 1).is_some_and(|next| next.0 == end) {
            self.ranges[at].1 = self.ranges.remove(at + 1).1;
        }
    }

    fn forget(&mut self) {
        if self.ranges.len() > RANGES_MAX {
            self.ranges[1].0 = self.ranges[0].0;
            self.ranges.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ranges_know_what_a_set_knows() {
        // Every number below 64 twice, in an order that visits gaps from all sides.
        let (mut seen, mut model) = (Seen::default(), BTreeSet::new());
        for step in 0..128u64 {
            let number = step * 37 % 64;
            assert_eq!(seen.insert(number), model.insert(number), "{number}");
            let ranges = seen.ranges.iter().flat_map(|range| range.0..range.1);
            assert!(ranges.eq(model.iter().copied()), "{:?}", seen.ranges);
            assert!(seen.ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", seen.ranges);
        }
        assert_eq!(seen.ranges, [(0, 64)]);
    }

    #[test]
    fn more_gaps_than_are_remembered_take_the_oldest_as_lost() {
        let mut seen = Seen::default();
        (0..=RANGES_MAX as u64).for_each(|i| assert!(seen.insert(i * 2)));
        assert_eq!(seen.ranges.len(), RANGES_MAX);
        assert!(!seen.insert(1));
        assert!(seen.insert(3));
    }

    #[test]
    fn a_ledger_takes_the_streams_that_are_dealt_to_it() {
        let ledger = Ledger::new("q".to_owned(), 1, 3, 7);
        assert_eq!(ledger.streams(7).collect::<Vec<_>>(), [1, 4]);
        assert_eq!(ledger.index(Stream(4)), Some(1));
        assert_eq!(ledger.index(Stream(5)), None);
        let mut page = ledger.lock();
        assert_eq!(
            (page.note(1, 0), page.note(1, 0), page.note(2, 0)),
            (Some(true), Some(false), None)
        );
        assert_eq!((page.received, page.duplicated), (1, 1));
    }
}
