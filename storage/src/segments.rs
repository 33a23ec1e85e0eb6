//! The ledger of segments: where each begins, how many references keep it, what may go.
//!
//! It knows no files, so every engine deletes by the same rule: only from the front, only without
//! a reference, only wholly before the newest snapshot, never the last one. A segment ends where
//! the next one begins.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_core::Position;
use parking_lot::RwLock;

use crate::SegmentUsage;

#[derive(Debug, Default)]
pub(crate) struct Segments(RwLock<Ledger>);

#[derive(Debug, Default)]
struct Ledger {
    list: VecDeque<Segment>,
    /// Where the newest snapshot stands.
    snapshot: u64,
}

#[derive(Debug)]
struct Segment {
    base: u64,
    live: AtomicU64,
}

impl Segments {
    /// Adds a segment behind the last one.
    pub(crate) fn add(&self, base: u64) {
        let mut ledger = self.0.write();
        debug_assert!(ledger.list.back().is_none_or(|last| last.base < base));
        ledger.list.push_back(Segment { base, live: AtomicU64::new(0) });
    }

    /// Keeps the oldest `count` segments and adds one behind them.
    pub(crate) fn replace_from(&self, count: usize, base: u64) {
        self.0.write().list.truncate(count);
        self.add(base);
    }

    pub(crate) fn retain(&self, at: Position, count: u32) {
        let ledger = self.0.read();
        if let Some(index) = ledger.index_of(at.0) {
            ledger.list[index].live.fetch_add(u64::from(count), Ordering::Relaxed);
        }
    }

    /// Takes a reference; tells whether the oldest segment has just lost its last.
    pub(crate) fn release(&self, at: Position) -> bool {
        let ledger = self.0.read();
        let Some(index) = ledger.index_of(at.0) else { return false };
        let live = &ledger.list[index].live;
        let before = live
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |live| live.checked_sub(1))
            .unwrap_or(0);
        index == 0 && before == 1
    }

    /// Notes a stored snapshot; an older one than the newest changes nothing.
    pub(crate) fn set_snapshot(&self, at: Position) {
        let mut ledger = self.0.write();
        ledger.snapshot = ledger.snapshot.max(at.0);
    }

    pub(crate) fn snapshot(&self) -> u64 {
        self.0.read().snapshot
    }

    /// Bases of the segments that may be deleted now.
    pub(crate) fn dead(&self) -> Vec<u64> {
        let ledger = self.0.read();
        let dead = ledger.dead_prefix(ledger.snapshot);
        ledger.list.iter().take(dead).map(|segment| segment.base).collect()
    }

    /// Whether the oldest segment may be deleted now.
    pub(crate) fn has_dead(&self) -> bool {
        let ledger = self.0.read();
        ledger.dead_prefix(ledger.snapshot) > 0
    }

    /// Forgets the oldest segment if it is `base` and still dead.
    pub(crate) fn remove(&self, base: u64) -> bool {
        let mut ledger = self.0.write();
        let goes = ledger.dead_prefix(ledger.snapshot) > 0 && ledger.list[0].base == base;
        if goes {
            ledger.list.pop_front();
        }
        goes
    }

    /// Whether a snapshot at `end` would free the oldest segment, or the last one is
    /// `bytes_max` behind.
    pub(crate) fn wants_snapshot(&self, end: u64, bytes_max: u64) -> bool {
        let ledger = self.0.read();
        let behind = end.saturating_sub(ledger.snapshot) >= bytes_max;
        behind || (ledger.dead_prefix(end) > ledger.dead_prefix(ledger.snapshot))
    }

    pub(crate) fn usage(&self, end: u64) -> Vec<SegmentUsage> {
        let ledger = self.0.read();
        let ends = ledger.list.iter().skip(1).map(|segment| segment.base).chain([end]);
        ledger.list.iter().zip(ends).map(|(segment, end)| segment.usage(end)).collect()
    }

    /// The base of the segment that holds `at`.
    pub(crate) fn base_of(&self, at: Position) -> Option<u64> {
        let ledger = self.0.read();
        ledger.index_of(at.0).map(|index| ledger.list[index].base)
    }

    /// How many segments there are, and where the oldest begins.
    pub(crate) fn extent(&self) -> (u64, u64) {
        let ledger = self.0.read();
        (ledger.list.len() as u64, ledger.list.front().map_or(0, |segment| segment.base))
    }
}

impl Ledger {
    fn index_of(&self, at: u64) -> Option<usize> {
        self.list.partition_point(|segment| segment.base <= at).checked_sub(1)
    }

    /// How many segments from the front have no reference and end at or before `limit`.
    fn dead_prefix(&self, limit: u64) -> usize {
        let ends = self.list.iter().skip(1).map(|segment| segment.base);
        self.list
            .iter()
            .zip(ends)
            .take_while(|(segment, end)| segment.live.load(Ordering::Acquire) == 0 && *end <= limit)
            .count()
    }
}

impl Segment {
    fn usage(&self, end: u64) -> SegmentUsage {
        let live = self.live.load(Ordering::Relaxed);
        SegmentUsage { base: Position(self.base), end: Position(end), live }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Segments {
        let segments = Segments::default();
        [0, 100, 200].into_iter().for_each(|base| segments.add(base));
        segments
    }

    #[test]
    fn a_segment_goes_only_before_the_snapshot() {
        let segments = three();
        assert!(segments.dead().is_empty());
        segments.set_snapshot(Position(150));
        assert_eq!(segments.dead(), [0]);
        segments.set_snapshot(Position(300));
        assert_eq!(segments.dead(), [0, 100], "the last one stays");
    }

    #[test]
    fn a_reference_in_the_oldest_keeps_the_later_ones_too() {
        let segments = three();
        segments.set_snapshot(Position(300));
        segments.retain(Position(42), 2);
        assert!(segments.dead().is_empty());
        assert!(!segments.release(Position(42)));
        assert!(segments.release(Position(99)));
        assert_eq!(segments.dead(), [0, 100]);
        assert!(segments.remove(0) && segments.remove(100) && !segments.remove(200));
    }

    #[test]
    fn a_release_too_many_changes_nothing() {
        let segments = three();
        assert!(!segments.release(Position(1)));
        assert_eq!(segments.usage(250)[0].live, 0);
    }

    #[test]
    fn a_snapshot_is_wanted_for_dead_segments_and_for_growth() {
        let segments = three();
        assert!(segments.wants_snapshot(210, 1000), "two dead segments");
        segments.retain(Position(1), 1);
        assert!(!segments.wants_snapshot(210, 1000));
        assert!(segments.wants_snapshot(1000, 1000), "the log grew");
        segments.set_snapshot(Position(210));
        assert!(!segments.wants_snapshot(210, 1000));
    }
}
