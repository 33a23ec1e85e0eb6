//! The engine without a disk: the same contract, durable at once, gone with the process.
//!
//! It keeps whole records, grouped into segments of [`SEGMENT_BYTES`] positions, so that it
//! forgets by the same rule as the engines that delete files.

use std::collections::BTreeMap;

use leveret_core::{Position, RecordHeader};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::segments::Segments;
use crate::watermark::Watermark;
use crate::{
    Durability, Error, Payload, Record, RecoveryReport, SegmentUsage, Stats, Storage, Urgency,
    Visit,
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
    snapshot: Option<(Position, Vec<u8>)>,
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
        let removed = self.segments.dead().into_iter().filter(|base| self.segments.remove(*base));
        if removed.count() > 0 {
            let (_, oldest) = self.segments.extent();
            state.records = state.records.split_off(&oldest);
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Storage for Memory {
    fn append(&self, header: RecordHeader, payload: Payload<'_>, _urgency: Urgency) -> Position {
        let bytes = RECORD_OVERHEAD_BYTES + payload.checked_len() as u64;
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
        let (header, payload) = state.records.get(&at.0).ok_or(Error::Damaged { at })?;
        Ok(Record { at, header: *header, payload: payload.clone() })
    }

    fn read_many(&self, at: &[Position]) -> Vec<Result<Record, Error>> {
        at.iter().map(|at| self.read(*at)).collect()
    }

    fn retain(&self, at: Position, count: u32) {
        self.segments.retain(at, count);
    }

    fn release(&self, at: Position) {
        if self.segments.release(at) && self.segments.has_dead() {
            self.trim();
        }
    }

    fn recover(&self, _visit: Visit<'_>) -> Result<RecoveryReport, Error> {
        Ok(RecoveryReport { clean: true, ..RecoveryReport::default() })
    }

    fn snapshot(&self) -> Result<Option<(Position, Vec<u8>)>, Error> {
        Ok(self.state.lock().snapshot.clone())
    }

    fn store_snapshot(&self, at: Position, state: &[u8]) -> Result<(), Error> {
        let mut inner = self.state.lock();
        if inner.snapshot.as_ref().is_none_or(|(newest, _)| *newest <= at) {
            inner.snapshot = Some((at, state.to_vec()));
        }
        drop(inner);
        self.segments.set_snapshot(at);
        self.trim();
        Ok(())
    }

    fn wants_snapshot(&self) -> bool {
        self.segments.wants_snapshot(self.end().0, 4 * self.segment_bytes)
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
        let (segments, oldest) = self.segments.extent();
        let state = self.state.lock();
        let (bytes, records) = (state.end - oldest, state.appended);
        Stats { segments, bytes, records, ..Stats::default() }
    }

    fn segments(&self) -> Vec<SegmentUsage> {
        self.segments.usage(self.end().0)
    }
}

/// Positions per segment.
const SEGMENT_BYTES: u64 = 1 << 20;

/// What a record counts beside its payload, so that two records never share a position.
const RECORD_OVERHEAD_BYTES: u64 = 40;
