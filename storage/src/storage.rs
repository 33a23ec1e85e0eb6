//! The contract that every storage engine keeps, and the values that cross it.
//!
//! The order of a node's life: open the engine, take the [`snapshot`](Storage::snapshot),
//! [`recover`](Storage::recover) the records from there on, [`retain`](Storage::retain) what the two
//! refer to, then append. What has no reference may go with the next snapshot.
//!
//! Nothing before the newest snapshot is replayed, so there a segment is deleted, whatever else is
//! left, when nothing referred to it as the snapshot was begun; and a segment of which little is
//! referred to is [rewritten](Storage::rewrite). Positions never change.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leveret_core::{Position, RecordHeader, Reference};
use tokio::sync::watch;

use crate::{Error, Payload};

/// A journal: records go in at the end, become durable in order, and are read back by position.
///
/// Every method may be called from any thread. Only [`append`](Storage::append),
/// [`retain`](Storage::retain), [`release`](Storage::release) and the plain questions are cheap
/// enough for an async task; the others wait for the disk.
pub trait Storage: Send + Sync + 'static {
    /// Adds a record and gives its position at once, without waiting for the disk.
    ///
    /// After a failure or [`close`](Storage::close) the record is dropped: positions still grow,
    /// but the watermark never reaches them.
    ///
    /// # Panics
    ///
    /// Before [`recover`](Storage::recover), or if the payload is longer than
    /// [`PAYLOAD_BYTES_MAX`](crate::PAYLOAD_BYTES_MAX).
    fn append(&self, header: RecordHeader, payload: Payload<'_>, urgency: Urgency) -> Position;

    /// Follows the watermark. A record at `p` is durable when `through > p`.
    fn durable(&self) -> watch::Receiver<Durability>;

    /// The watermark now: everything before it is durable. One atomic load.
    fn durable_position(&self) -> Position;

    /// Reads a record, whether it has been written yet or not.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if its segment was deleted, [`Error::Damaged`] if what is there is not a
    /// whole record, [`Error::Io`] if the disk refuses.
    fn read(&self, at: Position) -> Result<Record, Error>;

    /// Reads several records; neighbours in ascending order share a read.
    ///
    /// The payloads may share one buffer of up to 64 KiB: copy what is kept for long.
    fn read_many(&self, at: &[Position]) -> Vec<Result<Record, Error>>;

    /// Adds `count` references.
    fn retain(&self, reference: Reference, count: u32);

    /// Takes a reference away.
    fn release(&self, reference: Reference);

    /// Gives every record from where the newest snapshot says on, in order. Once, before the first
    /// append.
    ///
    /// A payload may share a buffer of 256 KiB with its neighbours: copy what is kept for long.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written, or not be read at all. Damaged records and segments that
    /// cannot be read are no error; the report counts them.
    fn recover(&self, visit: Visit<'_>) -> Result<RecoveryReport, Error>;

    /// The newest whole snapshot.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read.
    fn snapshot(&self) -> Result<Option<Snapshot>, Error>;

    /// Begins a snapshot: what it will hold is taken after this. Gives where its replay begins.
    fn begin_snapshot(&self) -> Position;

    /// Stores a snapshot atomically, after everything before `through` is on the disk, and lets go
    /// what neither it nor anything else refers to. `from` is of the last
    /// [`begin_snapshot`](Storage::begin_snapshot), and `through` where the journal ended after
    /// everything was taken.
    ///
    /// # Errors
    ///
    /// If the disk refuses, or the journal has failed. The earlier snapshot then still holds.
    fn store_snapshot(&self, from: Position, through: Position, state: &[u8]) -> Result<(), Error>;

    /// Whether a new snapshot would let segments go, or shorten the next recovery by much.
    fn wants_snapshot(&self) -> bool;

    /// A range of segments that hold little of what is referred to, if there is one. From now on until
    /// the next plan the engine notes what is retained in it.
    ///
    /// To give its space back: collect the positions in it that are referred to, store a snapshot
    /// that was begun after that, then [`rewrite`](Storage::rewrite).
    fn plan_rewrite(&self) -> Option<RewritePlan>;

    /// Replaces the segments of the plan by one that holds the records at the positions `live`, in any
    /// order, and at those retained since the plan. Does nothing if there is a newer plan, or no
    /// snapshot was begun after it.
    ///
    /// # Errors
    ///
    /// If the disk refuses; then nothing has changed. A damaged record is left out and counted.
    fn rewrite(&self, plan: RewritePlan, live: &[Position]) -> Result<Rewritten, Error>;

    /// Bytes that the file system of the data directory has free; `None` for an engine without one.
    ///
    /// # Errors
    ///
    /// If the system does not tell.
    fn free_bytes(&self) -> Result<Option<u64>, Error>;

    /// Where the next record goes, or a little before it.
    fn end(&self) -> Position;

    /// Bytes appended and not yet written: the broker slows publishers down by it.
    fn backlog_bytes(&self) -> u64;

    /// Whether the backlog is more than the configuration allows.
    fn is_backlogged(&self) -> bool;

    /// Writes everything, syncs, notes that the stop was clean and lets others have the data
    /// directory. Further calls do nothing.
    ///
    /// # Errors
    ///
    /// If the disk refuses, or the journal had failed before.
    fn close(&self) -> Result<(), Error>;

    /// Counters for metrics.
    fn stats(&self) -> Stats;

    /// The segments from the oldest.
    fn segments(&self) -> Vec<SegmentUsage>;
}

/// What [`Storage::recover`] calls for each record.
pub type Visit<'a> = &'a mut dyn FnMut(Position, RecordHeader, Bytes);

/// Whether somebody waits for a record to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits: the next round is synced.
    Promise,
    /// Nobody waits: written with the next round or some milliseconds later, synced with the next
    /// promise.
    Lazy,
}

/// How far the disk has followed, and whether it still does.
#[derive(Debug, Clone, Default)]
pub struct Durability {
    /// Everything before it is durable in the sense of the sync policy.
    pub through: Position,
    /// Why the watermark stopped for good.
    pub failed: Option<Arc<Error>>,
}

/// A record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub at: Position,
    /// What the journal knows about it.
    pub header: RecordHeader,
    /// Its parts, concatenated.
    pub payload: Bytes,
}

/// What a recovery found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Records given to the visitor.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Places where records were damaged or missing and have been skipped.
    pub damaged: u64,
    /// Bytes cut off behind the last whole record: writes that a crash interrupted.
    pub torn_bytes: u64,
    /// Whether the last stop was clean. A new data directory counts as clean.
    pub clean: bool,
    /// Where the journal ended.
    pub end: Position,
}

/// Counters since the engine was opened, and sizes now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Segments now.
    pub segments: u64,
    /// Bytes that all segments take.
    pub bytes: u64,
    /// The part of them that is referred to.
    pub live_bytes: u64,
    /// Records appended.
    pub records: u64,
    /// Rounds written.
    pub writes: u64,
    /// Rounds synced.
    pub syncs: u64,
    /// Time spent in syncs.
    pub sync_time: Duration,
    /// What the disk did, for an engine that sees it.
    pub io: Option<IoStats>,
    /// Damaged places met, by recovery and by reads.
    pub damaged: u64,
}

/// Reads and writes of segments since the engine was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoStats {
    /// Reads.
    pub reads: u64,
    /// Bytes that they gave.
    pub read_bytes: u64,
    /// Time spent in them.
    pub read_time: Duration,
    /// Writes.
    pub writes: u64,
    /// Bytes that they wrote.
    pub written_bytes: u64,
    /// Time spent in them.
    pub write_time: Duration,
}

impl Stats {
    /// Sizes without counters.
    pub(crate) fn of(segments: &[SegmentUsage]) -> Self {
        Self {
            segments: segments.len() as u64,
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            live_bytes: segments.iter().map(|segment| segment.live_bytes).sum(),
            ..Self::default()
        }
    }
}

/// A segment and how much it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentUsage {
    /// Its first position.
    pub base: Position,
    /// Behind its last position.
    pub end: Position,
    /// Bytes that it takes.
    pub bytes: u64,
    /// References to its records.
    pub live: u64,
    /// Bytes that the references stand for.
    pub live_bytes: u64,
}

/// A state that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name: later ones are greater.
    pub at: Position,
    /// Replay begins here.
    pub from: Position,
    /// The state.
    pub state: Vec<u8>,
}

/// What is to be rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewritePlan {
    pub(crate) range: Range<Position>,
}

impl RewritePlan {
    /// The positions that are to be collected as far as they are referred to.
    #[must_use]
    pub fn range(&self) -> Range<Position> {
        self.range.clone()
    }
}

/// What a rewrite has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Segments that were replaced; 0 if nothing was done.
    pub segments: usize,
    /// What they took.
    pub bytes_before: u64,
    /// What the one instead takes.
    pub bytes_after: u64,
}
