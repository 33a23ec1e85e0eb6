//! The default engine: one append-only log in segment files.
//!
//! ```text
//!  append ──► pending batch ──► writer thread ──► segment files ──► fdatasync ──► watermark
//!               ▲                                    ▲
//!               └─ read of what is not written       └─ read, recovery
//! ```
//!
//! A position is a byte offset in the log: the base of a segment plus the offset in its file.
//! Files are described in `format` and `rewritten`, the directory in `directory`, what a crash leaves and what
//! becomes of it in `recover`.
//!
//! Reserved segments read as zero behind their last record, which is how the end is found without
//! a second file to keep in order. The cost: a start after a crash reads the empty rest of one
//! segment.

mod batch;
mod check;
mod config;
mod direct;
mod files;
mod format;
mod io;
mod journal;
mod recover;
mod rewrite;
mod rewritten;
mod scan;
mod segment;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use leveret_core::{Position, RecordHeader, Reference};
use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::check::{Checked, Damage};
pub use self::config::{LogConfig, SyncPolicy};
use self::files::Files;
pub(crate) use self::format::{u32_at, u64_at};
use self::journal::{Journal, Phase};
use self::recover::{Recovered, Recovery, ReplayStart};
use self::writer::Writer;
use crate::directory::Directory;
use crate::disk::{Disk, FileDisk};
use crate::snapshot::{self, Stored};
use crate::{
    Durability, Error, Payload, Record, RecoveryReport, RewritePlan, Rewritten, SegmentUsage,
    Snapshot, Stats, Storage, Urgency, Visit,
};

/// A journal in segment files.
///
/// Dropping it without [`close`](Storage::close) is what a crash is: records that are not durable
/// may be lost.
#[derive(Debug)]
pub struct Log {
    journal: Arc<Journal>,
    start: ReplayStart,
    is_read_only: bool,
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
        Self::open_in(directory, config, false)
    }

    /// Opens a data directory that nobody works in, to read what is there. Nothing is changed:
    /// records that are appended are dropped.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_read_only(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let config = LogConfig::new(dir);
        let directory = Directory::open_read_only(&config.dir, "log")?;
        Self::open_in(directory, config, true)
    }

    fn open_in(directory: Directory, config: LogConfig, is_read_only: bool) -> Result<Self, Error> {
        let snapshot = snapshot::load(&directory)?;
        let journal = Journal::new(config, Files::new(directory));
        let mut start = ReplayStart::default();
        if let Some(Stored { snapshot, through }) = snapshot {
            journal.segments.set_snapshot(snapshot.from, snapshot.state.len() as u64);
            start = ReplayStart { from: snapshot.from.0, through };
        }
        recover::list_segments(&journal.files, &journal.segments, is_read_only)?;
        let journal = Arc::new(journal);
        Ok(Self { journal, start, is_read_only, writer: Mutex::default() })
    }

    /// Creates the segment that the next records go to, and the thread that writes them.
    fn start(&self, recovered: &Recovered) -> Result<(), Error> {
        let journal = &self.journal;
        journal.files.directory.forget_clean_end()?;
        let base = recovered.next_base;
        let segment = journal.files.create(base, journal.config.segment_bytes)?;
        journal.segments.continue_at(base);
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
        let segments = &self.journal.segments;
        let mut base = segments.base_of(at).ok_or(Error::Gone { at })?;
        let mut record = self.journal.files.read(base, at, ahead, window);
        // Meanwhile a rewrite may have put another file in the place of this one.
        while matches!(record, Err(Error::Gone { .. }))
            && let Some(now) = segments.base_of(at).filter(|now| *now != base)
        {
            base = now;
            record = self.journal.files.read(base, at, ahead, window);
        }
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

    fn retain(&self, reference: Reference, count: u32) {
        self.journal.segments.retain(reference, count);
    }

    fn release(&self, reference: Reference) {
        self.journal.segments.release(reference);
    }

    fn recover(&self, visit: Visit<'_>) -> Result<RecoveryReport, Error> {
        let journal = &self.journal;
        let clean_end = journal.files.directory.clean_end()?;
        let is_new = journal.segments.last().is_none() && self.start.through == 0;
        let recovery = Recovery { files: &journal.files, start: self.start, clean_end };
        if self.is_read_only {
            let report = recovery.visit_records(&recovery.bases()?, visit)?.report;
            journal.stopped(None);
            return Ok(RecoveryReport { clean: clean_end.is_some() || is_new, ..report });
        }
        let mut recovered = recovery.run(visit)?;
        recovered.report.clean = clean_end.is_some() || is_new;
        journal.counters.damaged.fetch_add(recovered.report.damaged, Ordering::Relaxed);
        self.start(&recovered)?;
        Ok(recovered.report)
    }

    fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        Ok(snapshot::load(&self.journal.files.directory)?.map(|stored| stored.snapshot))
    }

    fn begin_snapshot(&self) -> Position {
        self.journal.segments.begin_snapshot();
        self.end()
    }

    fn store_snapshot(&self, from: Position, through: Position, state: &[u8]) -> Result<(), Error> {
        let journal = &self.journal;
        journal.wait_synced(through.0)?;
        let _upkeep = journal.upkeep.lock();
        journal.running()?;
        snapshot::store(&journal.files.directory, from, through, state)?;
        journal.segments.set_snapshot(from, state.len() as u64);
        journal.delete_dead();
        Ok(())
    }

    fn wants_snapshot(&self) -> bool {
        let growth_bytes = self.journal.config.segment_bytes;
        self.journal.segments.wants_snapshot(self.journal.end(), growth_bytes)
    }

    fn plan_rewrite(&self) -> Option<RewritePlan> {
        let segment_bytes = self.journal.config.segment_bytes;
        self.journal.segments.plan_rewrite(self.journal.end(), segment_bytes)
    }

    fn rewrite(&self, plan: RewritePlan, live: &[Position]) -> Result<Rewritten, Error> {
        let _upkeep = self.journal.upkeep.lock();
        self.journal.running()?;
        self.journal.rewrite(&plan, live)
    }

    fn free_bytes(&self) -> Result<Option<u64>, Error> {
        self.journal.files.directory.free_bytes().map(Some)
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
        let _upkeep = self.journal.upkeep.lock();
        self.journal.files.directory.unlock();
        self.journal.watermark.failed().map_or(Ok(()), |error| Err(Error::Failed(error)))
    }

    fn stats(&self) -> Stats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.journal.counters;
        Stats {
            records: count(&counters.records),
            writes: count(&counters.writes),
            syncs: count(&counters.syncs),
            sync_time: Duration::from_nanos(count(&counters.sync_nanos)),
            damaged: count(&counters.damaged),
            io: Some(self.journal.files.io.stats()),
            ..Stats::of(&self.segments())
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
