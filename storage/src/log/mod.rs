//! The default engine: one append-only log in segment files.
//!
//! ```text
//!  append ──► pending batch ──► writer thread ──► segment files ──► fdatasync ──► watermark
//!               ▲                                    ▲
//!               └─ read of what is not written       └─ read, recovery
//! ```
//!
//! A position is a byte offset in the log: the base of a segment plus the offset in its file.
//! Files are described in `format`, the directory in `directory`, what a crash leaves and what
//! becomes of it in `recover`.
//!
//! Reserved segments read as zero behind their last record, which is how the end is found without
//! a second file to keep in order. The cost: a start after a crash reads the empty rest of one
//! segment.

mod batch;
mod config;
mod files;
mod format;
mod journal;
mod recover;
mod scan;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use leveret_core::{Position, RecordHeader};
use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::config::{LogConfig, SyncPolicy};
use self::files::Files;
pub(crate) use self::format::{u32_at, u64_at};
use self::journal::{Journal, Phase};
use self::recover::{Recovered, Recovery};
use self::writer::Writer;
use crate::directory::Directory;
use crate::disk::{Disk, FileDisk};
use crate::snapshot;
use crate::{
    Durability, Error, Payload, Record, RecoveryReport, SegmentUsage, Stats, Storage, Urgency,
    Visit,
};

/// A journal in segment files.
///
/// Dropping it without [`close`](Storage::close) is what a crash is: records that are not durable
/// may be lost.
#[derive(Debug)]
pub struct Log {
    journal: Arc<Journal>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Opens or creates a data directory.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::Directory`], [`Error::NewerFormat`] and [`Error::Identity`] are
    /// for the operator to solve; [`Error::Io`] is the disk's.
    pub fn open(config: LogConfig) -> Result<Self, Error> {
        Self::open_on(Arc::new(FileDisk), config)
    }

    /// Opens a data directory on another kind of disk.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_on(disk: Arc<dyn Disk>, mut config: LogConfig) -> Result<Self, Error> {
        config.segment_bytes = config.segment_bytes.max(SEGMENT_BYTES_MIN).next_multiple_of(8);
        let directory = Directory::open(disk, &config.dir, "log")?;
        let snapshot = snapshot::load(&directory)?;
        let journal = Journal::new(config, Files::new(directory));
        if let Some((at, _)) = snapshot {
            journal.segments.set_snapshot(at);
        }
        for base in journal.files.bases()? {
            journal.segments.add(base);
        }
        Ok(Self { journal: Arc::new(journal), writer: Mutex::default() })
    }

    /// Creates the segment that the next records go to, and the thread that writes them.
    fn start(&self, recovered: &Recovered) -> Result<(), Error> {
        let journal = &self.journal;
        journal.files.directory.forget_clean_end()?;
        let base = recovered.next_base;
        let segment = journal.files.create(base, journal.config.segment_bytes)?;
        journal.segments.replace_from(recovered.bases.len(), base);
        journal.start(base, recovered.round);
        let writer = Writer::spawn(Arc::clone(journal), segment)
            .map_err(Error::io("start a thread to write", &journal.config.dir))?;
        *self.writer.lock() = Some(writer);
        Ok(())
    }

    fn join(&self, phase: Phase) {
        self.journal.stop(phase);
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            writer.join().expect("the writer thread does not panic");
        }
    }

    /// A record that is on the disk.
    fn read_written(
        &self,
        at: Position,
        ahead: usize,
        window: &mut Option<files::Window>,
    ) -> Result<Record, Error> {
        let base = self.journal.segments.base_of(at).ok_or(Error::Gone { at })?;
        let record = self.journal.files.read(base, at, ahead, window);
        if matches!(record, Err(Error::Damaged { .. })) {
            self.journal.counters.damaged.fetch_add(1, Ordering::Relaxed);
        }
        record
    }

    fn read_in(
        &self,
        at: Position,
        ahead: usize,
        window: &mut Option<files::Window>,
    ) -> Result<Record, Error> {
        let key = self.journal.files.directory.key();
        let unwritten = self.journal.unwritten(at.0, |batch| batch.read(key, at.0));
        unwritten.unwrap_or_else(|| self.read_written(at, ahead, window))
    }
}

impl Storage for Log {
    fn append(&self, header: RecordHeader, payload: Payload<'_>, urgency: Urgency) -> Position {
        self.journal.append(header, payload, urgency)
    }

    fn durable(&self) -> watch::Receiver<Durability> {
        self.journal.watermark.subscribe()
    }

    fn durable_position(&self) -> Position {
        self.journal.watermark.position()
    }

    fn read(&self, at: Position) -> Result<Record, Error> {
        self.read_in(at, AHEAD_BYTES, &mut None)
    }

    fn read_many(&self, at: &[Position]) -> Vec<Result<Record, Error>> {
        let mut window = None;
        let next = at.iter().skip(1).map(Some).chain([None]);
        let neighbours = at.iter().zip(next);
        let read = neighbours.map(|(at, next)| {
            let distance = next.and_then(|next| next.0.checked_sub(at.0));
            let near = distance.is_some_and(|bytes| bytes < WINDOW_BYTES as u64);
            self.read_in(*at, if near { WINDOW_BYTES } else { AHEAD_BYTES }, &mut window)
        });
        read.collect()
    }

    fn retain(&self, at: Position, count: u32) {
        self.journal.segments.retain(at, count);
    }

    fn release(&self, at: Position) {
        if self.journal.segments.release(at) && self.journal.segments.has_dead() {
            self.journal.want_sync();
        }
    }

    fn recover(&self, visit: Visit<'_>) -> Result<RecoveryReport, Error> {
        let journal = &self.journal;
        let clean_end = journal.files.directory.clean_end()?;
        let is_new = journal.segments.extent().0 == 0;
        let from = journal.segments.snapshot();
        let mut recovered = Recovery { files: &journal.files, from, clean_end }.run(visit)?;
        recovered.report.clean = clean_end.is_some() || is_new;
        journal.counters.damaged.fetch_add(recovered.report.damaged, Ordering::Relaxed);
        self.start(&recovered)?;
        if journal.segments.has_dead() {
            journal.want_sync();
        }
        Ok(recovered.report)
    }

    fn snapshot(&self) -> Result<Option<(Position, Vec<u8>)>, Error> {
        snapshot::load(&self.journal.files.directory)
    }

    fn store_snapshot(&self, at: Position, state: &[u8]) -> Result<(), Error> {
        self.journal.wait_synced(at.0)?;
        snapshot::store(&self.journal.files.directory, at, state)?;
        self.journal.segments.set_snapshot(at);
        if self.journal.segments.has_dead() {
            self.journal.want_sync();
        }
        Ok(())
    }

    fn wants_snapshot(&self) -> bool {
        let bytes_max = SNAPSHOT_SEGMENTS * self.journal.config.segment_bytes;
        self.journal.segments.wants_snapshot(self.journal.end(), bytes_max)
    }

    fn end(&self) -> Position {
        Position(self.journal.end())
    }

    fn backlog_bytes(&self) -> u64 {
        self.journal.counters.backlog_bytes.load(Ordering::Relaxed)
    }

    fn is_backlogged(&self) -> bool {
        self.backlog_bytes() > self.journal.config.backlog_bytes_max
    }

    fn close(&self) -> Result<(), Error> {
        self.join(Phase::Closing);
        self.journal.files.directory.unlock();
        self.journal.watermark.failed().map_or(Ok(()), |error| Err(Error::Failed(error)))
    }

    fn stats(&self) -> Stats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.journal.counters;
        let (segments, oldest) = self.journal.segments.extent();
        Stats {
            segments,
            bytes: self.journal.end().saturating_sub(oldest),
            records: count(&counters.records),
            writes: count(&counters.writes),
            syncs: count(&counters.syncs),
            sync_time: Duration::from_nanos(count(&counters.sync_nanos)),
            damaged: count(&counters.damaged),
        }
    }

    fn segments(&self) -> Vec<SegmentUsage> {
        self.journal.segments.usage(self.journal.end())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.join(Phase::Abandoned);
    }
}

/// The smallest segment: a few records.
const SEGMENT_BYTES_MIN: u64 = 256;

/// Bytes read to get one record: most are shorter, and a page is what the system reads anyway.
const AHEAD_BYTES: usize = 4096;

/// Bytes read at once where several records are near each other.
const WINDOW_BYTES: usize = 64 * 1024;

/// By how many segments the log grows until a snapshot is worth its cost.
const SNAPSHOT_SEGMENTS: u64 = 4;
