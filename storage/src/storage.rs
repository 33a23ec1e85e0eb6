//! The contract that every storage engine keeps, and the values that cross it.
//!
//! The order of a node's life: open the engine, take the [`snapshot`](Storage::snapshot),
//! [`recover`](Storage::recover) the records and [`retain`](Storage::retain) what is live in them,
//! then append. Segments are deleted only from the front: the oldest one goes when nothing in it
//! is referenced and it lies wholly before the newest snapshot, so an acknowledgement never
//! outlives its message and never disappears before it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leveret_core::{Position, RecordHeader};
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

    /// Adds `count` references to the record at `at`.
    fn retain(&self, at: Position, count: u32);

    /// Takes one reference from the record at `at`.
    ///
    /// What replaces it (the acknowledgement, the copy elsewhere) is appended before: the segment
    /// is not deleted until everything appended so far is on the disk.
    fn release(&self, at: Position);

    /// Gives every record that is still there, in order: those before the newest snapshot too,
    /// because messages are not in it. Once, before the first append.
    ///
    /// A payload may share a buffer of 256 KiB with its neighbours: copy what is kept for long.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read or written. Damaged records are no error; the report counts them.
    fn recover(&self, visit: Visit<'_>) -> Result<RecoveryReport, Error>;

    /// The newest whole snapshot and the position whose state it holds.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read.
    fn snapshot(&self) -> Result<Option<(Position, Vec<u8>)>, Error>;

    /// Stores the state as of `at`, atomically, after everything before `at` is on the disk.
    ///
    /// # Errors
    ///
    /// If the disk refuses, or the journal has failed. The earlier snapshot then still holds.
    fn store_snapshot(&self, at: Position, state: &[u8]) -> Result<(), Error>;

    /// Whether a new snapshot would let segments go, or shorten the next recovery by much.
    fn wants_snapshot(&self) -> bool;

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

    /// The segments from the oldest, to find one that few records keep alive.
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
    /// Bytes between the start of the oldest segment and the end.
    pub bytes: u64,
    /// Records appended.
    pub records: u64,
    /// Rounds written.
    pub writes: u64,
    /// Rounds synced.
    pub syncs: u64,
    /// Time spent in syncs.
    pub sync_time: Duration,
    /// Damaged places met, by recovery and by reads.
    pub damaged: u64,
}

/// A segment and how much it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentUsage {
    /// Its first byte.
    pub base: Position,
    /// The byte behind its last.
    pub end: Position,
    /// References to its records.
    pub live: u64,
}
