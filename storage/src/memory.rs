//! The engine without a disk: the same contract, durable at once, gone with the process.
//!
//! It keeps whole records, grouped into segments of [`SEGMENT_BYTES`] positions, so that it
//! forgets by the same rule as the engines that delete files.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use leveret_core::{Position, RecordHeader, Reference};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::segments::Segments;
use crate::watermark::Watermark;
use crate::{
    Durability, Error, Payload, Record, RecoveryReport, RewritePlan, Rewritten, SegmentUsage,
    Snapshot, Stats, Storage, Urgency, Visit,
};

/// A journal in memory.
///
/// ```
/// use leveret_storage::{Memory, Storage};
/// let memory = Memory::new();
/// assert!(memory.recover(&mut |_, _, _| {}).unwrap().clean);
/// ```
#[derive(Debug)]
pub struct Memory {
    segment_bytes: u64,
    segments: Segments,
    watermark: Watermark,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    end: u64,
    segment_base: u64,
    appended: u64,
    closed: bool,
    records: BTreeMap<u64, (RecordHeader, bytes::Bytes)>,
    snapshot: Option<Snapshot>,
}

impl Memory {
    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::with_segment_bytes(SEGMENT_BYTES)
    }

    /// An empty journal that forgets in steps of `segment_bytes`.
    #[must_use]
    pub fn with_segment_bytes(segment_bytes: u64) -> Self {
        let segments = Segments::default();
        segments.add(0);
        let (watermark, state) = (Watermark::new(), Mutex::default());
        Self { segment_bytes, segments, watermark, state }
    }

    /// Forgets dead segments.
    fn trim(&self) {
        let mut state = self.state.lock();
        for segment in self.segments.take_dead() {
            remove(&mut state.records, segment.base..segment.end, |_| false);
        }
    }
}

/// Removes the records of a range that are not wanted.
fn remove(
    records: &mut BTreeMap<u64, (RecordHeader, bytes::Bytes)>,
    range: Range<Position>,
    keeps: impl Fn(u64) -> bool,
) {
    let range = records.range(range.start.0..range.end.0);
    let gone: Vec<_> = range.map(|(at, _)| *at).filter(|at| !keeps(*at)).collect();
    for at in gone {
        records.remove(&at);
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Storage for Memory {
    fn append(&self, header: RecordHeader, payload: Payload<'_>, _urgency: Urgency) -> Position {
        let bytes = record_bytes(payload.checked_len());
        let payload = payload.concat();
        let mut state = self.state.lock();
        let at = state.end;
        if at - state.segment_base >= self.segment_bytes {
            state.segment_base = at;
            self.segments.add(at);
        }
        state.end += bytes;
        state.appended += 1;
        if !state.closed {
            state.records.insert(at, (header, payload));
            self.watermark.advance(state.end);
        }
        Position(at)
    }

    fn durable(&self) -> watch::Receiver<Durability> {
        self.watermark.subscribe()
    }

    fn durable_position(&self) -> Position {
        self.watermark.position()
    }

    fn read(&self, at: Position) -> Result<Record, Error> {
        if self.segments.base_of(at).is_none() {
            return Err(Error::Gone { at });
        }
        let state = self.state.lock();
        let (header, payload) = state.records.get(&at.0).ok_or(Error::Gone { at })?;
        Ok(Record { at, header: *header, payload: payload.clone() })
    }

    fn read_many(&self, at: &[Position]) -> Vec<Result<Record, Error>> {
        at.iter().map(|at| self.read(*at)).collect()
    }

    fn retain(&self, reference: Reference, count: u32) {
        self.segments.retain(reference, count);
    }

    fn release(&self, reference: Reference) {
        self.segments.release(reference);
    }

    fn recover(&self, _visit: Visit<'_>) -> Result<RecoveryReport, Error> {
        Ok(RecoveryReport { clean: true, ..RecoveryReport::default() })
    }

    fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        Ok(self.state.lock().snapshot.clone())
    }

    fn begin_snapshot(&self) -> Position {
        self.segments.begin_snapshot();
        self.end()
    }

    fn store_snapshot(
        &self,
        from: Position,
        _through: Position,
        state: &[u8],
    ) -> Result<(), Error> {
        self.state.lock().snapshot = Some(Snapshot { at: from, from, state: state.to_vec() });
        self.segments.set_snapshot(from, state.len() as u64);
        self.trim();
        Ok(())
    }

    fn wants_snapshot(&self) -> bool {
        self.segments.wants_snapshot(self.end().0, self.segment_bytes)
    }

    fn plan_rewrite(&self) -> Option<RewritePlan> {
        self.segments.plan_rewrite(self.end().0, self.segment_bytes)
    }

    fn rewrite(&self, plan: RewritePlan, live: &[Position]) -> Result<Rewritten, Error> {
        let Some(taken) = self.segments.take_plan(&plan, self.end().0) else {
            return Ok(Rewritten::default());
        };
        let live: HashSet<_> = live.iter().chain(&taken.retained).map(|at| at.0).collect();
        let mut state = self.state.lock();
        remove(&mut state.records, plan.range(), |at| live.contains(&at));
        let left = state.records.range(plan.range.start.0..plan.range.end.0);
        let bytes_after = left.map(|(_, (_, payload))| record_bytes(payload.len())).sum();
        drop(state);
        Ok(self.segments.replace(&taken, &plan, bytes_after))
    }

    fn free_bytes(&self) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    fn end(&self) -> Position {
        Position(self.state.lock().end)
    }

    fn backlog_bytes(&self) -> u64 {
        0
    }

    fn is_backlogged(&self) -> bool {
        false
    }

    fn close(&self) -> Result<(), Error> {
        self.state.lock().closed = true;
        Ok(())
    }

    fn stats(&self) -> Stats {
        let records = self.state.lock().appended;
        Stats { records, ..Stats::of(&self.segments()) }
    }

    fn segments(&self) -> Vec<SegmentUsage> {
        self.segments.usage(self.end().0)
    }
}

/// Positions per segment.
const SEGMENT_BYTES: u64 = 1 << 20;

/// What a record counts: as in the log, so that two never share a position.
fn record_bytes(payload_len: usize) -> u64 {
    (RecordHeader::BYTES + payload_len).next_multiple_of(8) as u64
}
