//! The ledger of segments: where each begins, how much of it is referred to, what may go.
//!
//! It knows no files, so every engine gives space back by the same rules:
//!
//! - A segment goes when nothing referred to it as the newest snapshot was begun. So everything that
//!   the snapshot refers to is there when it is needed, and what is gone is never replayed, because
//!   it lies before the snapshot.
//! - A run of neighbours of which less than half is referred to is *rewritten*: replaced by one
//!   segment with the same positions that holds what is referred to. The last segment stays as it is.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_core::{Position, Reference};
use parking_lot::{Mutex, RwLock};

use crate::{RewritePlan, Rewritten, SegmentUsage};

#[derive(Debug, Default)]
pub(crate) struct Segments(RwLock<Ledger>);

#[derive(Debug, Default)]
struct Ledger {
    list: Vec<Segment>,
    snapshot: Snapshot,
    /// What nothing referred to when the last snapshot was begun.
    unneeded: Vec<u64>,
    plan: Option<Planned>,
}

/// The newest snapshot.
#[derive(Debug, Default)]
struct Snapshot {
    from: u64,
    bytes: u64,
}

/// A rewrite that somebody collects the live positions for.
#[derive(Debug)]
struct Planned {
    range: Range<u64>,
    /// Where the journal ended when it was planned.
    at: u64,
    /// Positions that were referred to since.
    retained: Mutex<Vec<Position>>,
}

/// A plan as it is carried out.
#[derive(Debug)]
pub(crate) struct TakenPlan {
    /// Where the first of its segments begins.
    pub(crate) base: u64,
    /// The segments of the plan that are still there.
    segments: Vec<SegmentUsage>,
    /// Positions that were referred to since the plan was made.
    pub(crate) retained: Vec<Position>,
}

impl TakenPlan {
    /// Where its segments begin.
    pub(crate) fn bases(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().map(|segment| segment.base.0)
    }
}

#[derive(Debug)]
struct Segment {
    base: u64,
    /// Behind its last position; that of the last segment grows.
    end: u64,
    file_bytes: u64,
    /// What the references stood for when all of the file was needed.
    full_bytes: u64,
    live: AtomicU64,
    live_bytes: AtomicU64,
}

impl Segments {
    /// Adds a segment behind the last one, which it ends.
    pub(crate) fn add(&self, base: u64) {
        let mut ledger = self.0.write();
        if let Some(last) = ledger.list.last_mut() {
            debug_assert!(last.base < base);
            if last.end > base {
                last.end = base;
                last.file_bytes = base - last.base;
                last.full_bytes = last.file_bytes;
            }
        }
        ledger.list.push(Segment::new(base..u64::MAX, 0));
    }

    /// Adds a segment that was there at the start.
    pub(crate) fn add_stored(&self, range: Range<u64>, file_bytes: u64) {
        self.0.write().list.push(Segment::new(range, file_bytes));
    }

    /// Forgets the segments from `base` on and adds an empty one there.
    pub(crate) fn continue_at(&self, base: u64) {
        self.0.write().list.retain(|segment| segment.base < base);
        self.add(base);
    }

    pub(crate) fn retain(&self, reference: Reference, count: u32) {
        let ledger = self.0.read();
        let Some(index) = ledger.index_of(reference.at.0) else { return };
        let segment = &ledger.list[index];
        segment.live.fetch_add(u64::from(count), Ordering::Relaxed);
        let bytes = u64::from(reference.bytes) * u64::from(count);
        segment.live_bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(plan) = &ledger.plan
            && plan.range.contains(&reference.at.0)
        {
            plan.retained.lock().push(reference.at);
        }
    }

    pub(crate) fn release(&self, reference: Reference) {
        let ledger = self.0.read();
        let Some(index) = ledger.index_of(reference.at.0) else { return };
        let segment = &ledger.list[index];
        let take = |counter: &AtomicU64, amount: u64| {
            let taken = |value: u64| Some(value.saturating_sub(amount));
            _ = counter.fetch_update(Ordering::AcqRel, Ordering::Relaxed, taken);
        };
        take(&segment.live_bytes, reference.bytes.into());
        take(&segment.live, 1);
    }

    /// A snapshot is begun: what has no reference now is not in it.
    pub(crate) fn begin_snapshot(&self) {
        let mut ledger = self.0.write();
        ledger.unneeded = ledger.dead().map(Segment::base).collect();
    }

    /// Notes a stored snapshot and gives what may go now; an older one than the newest changes
    /// nothing.
    pub(crate) fn set_snapshot(&self, from: Position, bytes: u64) {
        let mut ledger = self.0.write();
        if from.0 >= ledger.snapshot.from {
            ledger.snapshot = Snapshot { from: from.0, bytes };
        }
    }

    /// Forgets the segments that may go, and gives them.
    pub(crate) fn take_dead(&self) -> Vec<SegmentUsage> {
        let mut ledger = self.0.write();
        let (from, unneeded) = (ledger.snapshot.from, std::mem::take(&mut ledger.unneeded));
        let goes = |segment: &Segment| {
            segment.is_dead() && segment.end <= from && unneeded.contains(&segment.base)
        };
        let gone = ledger.list.extract_if(.., |segment| goes(segment));
        gone.map(|segment| segment.usage(segment.end)).collect()
    }

    /// Whether a snapshot now would free more than it takes, or shorten the next recovery by more.
    pub(crate) fn wants_snapshot(&self, end: u64, growth_bytes: u64) -> bool {
        let ledger = self.0.read();
        let dead: u64 = ledger.dead().map(|segment| segment.file_bytes).sum();
        let growth = end.saturating_sub(ledger.snapshot.from);
        dead > ledger.snapshot.bytes || growth >= ledger.snapshot.bytes.max(growth_bytes)
    }

    /// The oldest run of segments that is worth a rewrite, as long as the result is at most a segment
    /// of `segment_bytes`. References made from now on are noted.
    pub(crate) fn plan_rewrite(&self, end: u64, segment_bytes: u64) -> Option<RewritePlan> {
        let mut ledger = self.0.write();
        ledger.plan = None;
        let run = ledger.rewritable(segment_bytes)?;
        let range = ledger.list[run.start].base..ledger.list[run.end - 1].end;
        ledger.plan = Some(Planned { range: range.clone(), at: end, retained: Mutex::default() });
        Some(RewritePlan { range: Position(range.start)..Position(range.end) })
    }

    /// Ends the planning. `None` if there is no such plan, or no snapshot is newer.
    pub(crate) fn take_plan(&self, plan: &RewritePlan, journal_end: u64) -> Option<TakenPlan> {
        let mut ledger = self.0.write();
        let snapshot = ledger.snapshot.from;
        let planned = ledger.plan.take()?;
        let range = planned.range.clone();
        if range != (plan.range.start.0..plan.range.end.0) || snapshot < planned.at {
            return None;
        }
        let segments = ledger.list.iter().filter(|segment| range.contains(&segment.base));
        let segments: Vec<_> = segments.map(|segment| segment.usage(journal_end)).collect();
        let (base, retained) = (segments.first()?.base.0, planned.retained.into_inner());
        Some(TakenPlan { base, segments, retained })
    }

    /// Puts one segment in the place of those of a plan.
    pub(crate) fn replace(&self, taken: &TakenPlan, plan: &RewritePlan, bytes: u64) -> Rewritten {
        let mut ledger = self.0.write();
        let mut new = Segment::new(taken.base..plan.range.end.0, bytes);
        for old in ledger.list.extract_if(.., |old| taken.bases().any(|base| base == old.base)) {
            new.live.fetch_add(old.live.into_inner(), Ordering::Relaxed);
            new.live_bytes.fetch_add(old.live_bytes.into_inner(), Ordering::Relaxed);
        }
        // Several references share a record: it stays whole until the last of them is gone.
        new.full_bytes = bytes.min(new.live_bytes.load(Ordering::Relaxed));
        let place = ledger.list.partition_point(|segment| segment.base < new.base);
        ledger.list.insert(place, new);
        Rewritten {
            segments: taken.segments.len(),
            bytes_before: taken.segments.iter().map(|segment| segment.bytes).sum(),
            bytes_after: bytes,
        }
    }

    /// The segments from the oldest.
    pub(crate) fn usage(&self, end: u64) -> Vec<SegmentUsage> {
        let ledger = self.0.read();
        ledger.list.iter().map(|segment| segment.usage(end)).collect()
    }

    /// The base of the segment that `at` is in.
    pub(crate) fn base_of(&self, at: Position) -> Option<u64> {
        let ledger = self.0.read();
        ledger.index_of(at.0).map(|index| ledger.list[index].base)
    }

    /// The base of the last segment.
    pub(crate) fn last(&self) -> Option<u64> {
        self.0.read().list.last().map(Segment::base)
    }
}

impl Ledger {
    fn index_of(&self, at: u64) -> Option<usize> {
        let index = self.list.partition_point(|segment| segment.base <= at).checked_sub(1)?;
        (at < self.list[index].end).then_some(index)
    }

    /// All segments but the last one: nothing is added to them.
    fn full(&self) -> &[Segment] {
        self.list.split_last().map_or(&[], |(_, full)| full)
    }

    fn dead(&self) -> impl Iterator<Item = &Segment> {
        self.full().iter().filter(|segment| segment.is_dead())
    }

    /// The first run with a sparse segment in it, or with many small ones. What is newer than the last
    /// snapshot may be dead before the next one.
    fn rewritable(&self, segment_bytes: u64) -> Option<Range<usize>> {
        let full = self.full();
        let full = &full[..full.partition_point(|segment| segment.end <= self.snapshot.from)];
        let mut start = 0;
        while start < full.len() {
            let mut bytes = 0;
            let run = full[start..].iter().take_while(|segment| {
                bytes += segment.live_bytes.load(Ordering::Relaxed);
                bytes <= segment_bytes && segment.is_worth_moving(segment_bytes)
            });
            let end = start + run.count();
            let run = &full[start..end];
            let alive = run.iter().filter(|segment| !segment.is_dead()).count();
            if alive >= SMALL_SEGMENTS || run.iter().any(Segment::is_sparse) {
                return Some(start..end);
            }
            start = end.max(start + 1);
        }
        None
    }
}

impl Segment {
    fn new(Range { start: base, end }: Range<u64>, file_bytes: u64) -> Self {
        let (live, live_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { base, end, file_bytes, full_bytes: file_bytes, live, live_bytes }
    }

    fn base(&self) -> u64 {
        self.base
    }

    fn is_dead(&self) -> bool {
        self.live.load(Ordering::Acquire) == 0
    }

    /// Whether something in it is referred to, but less than half. Dead ones go without a rewrite.
    fn is_sparse(&self) -> bool {
        let live_bytes = self.live_bytes.load(Ordering::Relaxed) + FILE_OVERHEAD_BYTES;
        !self.is_dead() && 2 * live_bytes < self.full_bytes
    }

    fn is_worth_moving(&self, segment_bytes: u64) -> bool {
        self.is_dead()
            || self.is_sparse()
            || self.file_bytes * SMALL_SEGMENTS as u64 <= segment_bytes
    }

    fn usage(&self, journal_end: u64) -> SegmentUsage {
        let end = self.end.min(journal_end);
        let grows = self.end == u64::MAX;
        SegmentUsage {
            base: Position(self.base),
            end: Position(end),
            bytes: if grows { end.saturating_sub(self.base) } else { self.file_bytes },
            live: self.live.load(Ordering::Relaxed),
            live_bytes: self.live_bytes.load(Ordering::Relaxed),
        }
    }
}

/// So many segments make a small one, or as many small ones one: every byte is moved a few times at
/// the most.
const SMALL_SEGMENTS: usize = 8;

/// What a file takes beside its records, at the least: a rewrite does not gain that.
const FILE_OVERHEAD_BYTES: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(at: u64, bytes: u32) -> Reference {
        Reference { at: Position(at), bytes }
    }

    /// Four segments of 100 bytes.
    fn four() -> Segments {
        let segments = Segments::default();
        [0, 100, 200, 300].into_iter().for_each(|base| segments.add(base));
        segments
    }

    fn snapshot(segments: &Segments, from: u64) -> Vec<u64> {
        segments.begin_snapshot();
        segments.set_snapshot(Position(from), 10);
        taken(segments)
    }

    fn taken(segments: &Segments) -> Vec<u64> {
        segments.take_dead().iter().map(|segment| segment.base.0).collect()
    }

    #[test]
    fn a_segment_goes_only_before_the_snapshot() {
        let segments = four();
        assert_eq!(snapshot(&segments, 150), [0]);
        assert_eq!(snapshot(&segments, 350), [100, 200], "the last one stays");
    }

    #[test]
    fn segments_go_in_any_order() {
        let segments = four();
        segments.retain(reference(42, 10), 2);
        assert_eq!(snapshot(&segments, 350), [100, 200]);
        segments.release(reference(42, 10));
        assert!(snapshot(&segments, 360).is_empty());
        segments.release(reference(42, 10));
        assert_eq!(snapshot(&segments, 370), [0]);
        assert_eq!(segments.base_of(Position(250)), None);
    }

    #[test]
    fn what_a_snapshot_may_refer_to_stays_until_the_next_one() {
        let segments = four();
        segments.retain(reference(42, 10), 1);
        segments.begin_snapshot();
        segments.release(reference(42, 10));
        segments.set_snapshot(Position(350), 10);
        assert_eq!(taken(&segments), [100, 200]);
        assert_eq!(snapshot(&segments, 360), [0]);
    }

    #[test]
    fn what_was_there_at_the_start_goes_with_the_next_snapshot() {
        let segments = Segments::default();
        segments.set_snapshot(Position(250), 10);
        segments.add_stored(0..100, 100);
        segments.add_stored(100..200, 100);
        segments.continue_at(300);
        segments.retain(reference(100, 1), 1);
        assert!(taken(&segments).is_empty(), "the snapshot may refer to them");
        assert!(segments.wants_snapshot(300, 1000));
        assert_eq!(snapshot(&segments, 300), [0]);
    }

    #[test]
    fn a_release_too_many_changes_nothing() {
        let segments = four();
        segments.release(reference(1, 8));
        assert_eq!((segments.usage(350)[0].live, segments.usage(350)[0].live_bytes), (0, 0));
    }

    #[test]
    fn a_snapshot_is_wanted_for_dead_segments_and_for_growth() {
        let segments = four();
        [1, 101, 201].iter().for_each(|at| segments.retain(reference(*at, 80), 1));
        assert!(!segments.wants_snapshot(310, 1000));
        segments.release(reference(101, 80));
        assert!(segments.wants_snapshot(310, 1000), "a dead segment");
        segments.retain(reference(101, 80), 1);
        assert!(segments.wants_snapshot(1000, 1000), "the log grew");
        segments.set_snapshot(Position(310), 2000);
        assert!(!segments.wants_snapshot(1310, 1000), "less than the snapshot takes");
    }

    #[test]
    fn neighbours_are_rewritten_together_as_far_as_they_fit_into_one() {
        let segments = Segments::default();
        [0, 10_000, 20_000, 30_000].into_iter().for_each(|base| segments.add(base));
        segments.retain(reference(1, 8000), 1);
        segments.set_snapshot(Position(30_000), 10);
        assert!(segments.plan_rewrite(35_000, 10_000).is_none(), "a dense one and dead ones");
        segments.retain(reference(10_001, 4000), 1);
        segments.retain(reference(20_001, 4000), 1);
        let plan = segments.plan_rewrite(35_000, 10_000).unwrap();
        assert_eq!(plan.range, Position(10_000)..Position(30_000));
        assert!(segments.take_plan(&plan, 35_000).is_none(), "no snapshot is newer than the plan");
        let plan = segments.plan_rewrite(35_000, 10_000).unwrap();
        segments.retain(reference(1, 8000), 1);
        segments.retain(reference(26_000, 400), 1);
        segments.set_snapshot(Position(35_000), 10);
        let taken = segments.take_plan(&plan, 35_000).unwrap();
        assert_eq!(taken.bases().collect::<Vec<_>>(), [10_000, 20_000]);
        assert_eq!(taken.retained, [Position(26_000)]);
        let rewritten = segments.replace(&taken, &plan, 9_000);
        assert_eq!(rewritten, Rewritten { segments: 2, bytes_before: 20_000, bytes_after: 9_000 });
        let moved = segments.usage(35_000)[1];
        assert_eq!((moved.bytes, moved.live, moved.live_bytes), (9_000, 3, 8_400));
        assert_eq!(segments.base_of(Position(29_900)), Some(10_000));
        assert!(segments.plan_rewrite(35_000, 10_000).is_none());
        segments.release(reference(10_001, 4500));
        assert!(segments.plan_rewrite(35_000, 10_000).is_some(), "half of what was left is gone");
    }

    #[test]
    fn a_record_that_several_queues_share_is_not_moved_again_and_again() {
        let segments = Segments::default();
        [0, 10_000].into_iter().for_each(|base| segments.add(base));
        segments.retain(reference(1, 3000), 1);
        assert!(segments.plan_rewrite(10_100, 10_000).is_none(), "it is newer than any snapshot");
        segments.set_snapshot(Position(10_050), 10);
        let plan = segments.plan_rewrite(10_100, 10_000).unwrap();
        segments.set_snapshot(Position(10_100), 10);
        let taken = segments.take_plan(&plan, 10_100).unwrap();
        segments.replace(&taken, &plan, 9_500);
        assert!(segments.plan_rewrite(10_100, 10_000).is_none());
    }
}
