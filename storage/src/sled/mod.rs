//! The second engine: records in a `sled` database, under their positions.
//!
//! It keeps the whole contract and costs an order of magnitude more than the log, in time and in
//! memory; it is there for those who want a database under their broker. Lock, identity,
//! snapshots and the note of a clean stop are the same files that the log keeps.
//!
//! A position is a count of bytes, as in the log, so that segments are slices of equal size: the
//! record at `p` is in segment `p / segment_bytes`, and a dead segment is a range of keys to
//! remove. Checksums are sled's own; a database that it reports as damaged is not opened.
//!
//! sled's flush ends in `sync_file_range`, which orders writes but does not empty the disk's
//! cache. After it, the files are synced here (see `database`).

#![allow(clippy::disallowed_methods, reason = "it measures how long a sync takes")]

mod database;
mod queue;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use leveret_core::{Position, RecordHeader, Reference};
use parking_lot::Mutex;
use tokio::sync::watch;

use self::database::Database;
use self::queue::{Queue, Round};
use crate::directory::Directory;
use crate::disk::FileDisk;
use crate::segments::Segments;
use crate::snapshot::{self, Stored};
use crate::watermark::Watermark;
use crate::{
    Durability, Error, Payload, Record, RecoveryReport, RewritePlan, Rewritten, SegmentUsage,
    Snapshot, Stats, Storage, Urgency, Visit,
};

/// Where the database lives. It is synced before every promise.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SledConfig {
    /// The data directory; created if it is missing.
    pub dir: PathBuf,
    /// The step in which records are forgotten. Default 64 MiB.
    pub segment_bytes: u64,
    /// The backlog from which on publishers should wait. Default 64 MiB.
    pub backlog_bytes_max: u64,
}

impl SledConfig {
    /// The defaults, in this directory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), segment_bytes: 64 << 20, backlog_bytes_max: 64 << 20 }
    }
}

/// A journal in a `sled` database.
///
/// Dropping it without [`close`](Storage::close) is what a crash is: records that are not durable
/// may be lost.
#[derive(Debug)]
pub struct Sled {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    config: SledConfig,
    database: Database,
    directory: Directory,
    segments: Segments,
    watermark: Watermark,
    queue: Queue,
    /// Replay begins here.
    from: u64,
    /// Held while something but the writer changes the directory.
    upkeep: Mutex<()>,
    writes: AtomicU64,
    syncs: AtomicU64,
    sync_nanos: AtomicU64,
}

impl Sled {
    /// Opens or creates a data directory.
    ///
    /// # Errors
    ///
    /// As [`Log::open`](crate::Log::open), and [`Error::Engine`] if sled does not open its files.
    pub fn open(config: SledConfig) -> Result<Self, Error> {
        let directory = Directory::open(Arc::new(FileDisk), &config.dir, "sled")?;
        let database = Database::open(&config.dir.join("sled"))?;
        let (segments, watermark) = (Segments::default(), Watermark::new());
        let mut start = (0, 0);
        if let Some(Stored { snapshot, through }) = snapshot::load(&directory)? {
            segments.set_snapshot(snapshot.from, snapshot.state.len() as u64);
            start = (snapshot.from.0, through);
        }
        let (from, through) = start;
        let end = database.end()?.max(directory.clean_end()?.unwrap_or(0)).max(through);
        for (slice, bytes) in database.slices(config.segment_bytes)? {
            let base = slice * config.segment_bytes;
            segments.add_stored(base..base + config.segment_bytes, bytes);
        }
        segments.continue_at(end / config.segment_bytes * config.segment_bytes);
        let queue = Queue::new(config.segment_bytes, end);
        let (writes, syncs, sync_nanos) = Default::default();
        let shared = Shared {
            config,
            database,
            directory,
            segments,
            watermark,
            queue,
            from,
            upkeep: Mutex::default(),
            writes,
            syncs,
            sync_nanos,
        };
        Ok(Self { shared: Arc::new(shared), writer: Mutex::default() })
    }

    fn join(&self, finish: bool) {
        self.shared.queue.stop(finish);
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            writer.join().expect("the writer thread does not panic");
        }
    }
}

impl Shared {
    /// Nothing is removed once the journal is closed or has failed.
    fn running(&self) -> Result<(), Error> {
        match self.watermark.failed() {
            Some(error) => Err(Error::Failed(error)),
            None if self.queue.is_running() => Ok(()),
            None => Err(Error::Closed),
        }
    }

    fn remove_dead(&self) -> Result<(), Error> {
        let mut dead = self.segments.take_dead().into_iter();
        dead.try_for_each(|segment| self.database.remove(segment.base.0..segment.end.0, |_| false))
    }

    fn run(&self) -> Result<(), Error> {
        while let Some(round) = self.queue.next_round() {
            self.write(&round)?;
            self.queue.finish(&round);
            if round.sync {
                self.watermark.advance(round.end);
            }
        }
        if self.queue.finishes() {
            self.directory.store_clean_end(self.queue.end())
        } else {
            Ok(())
        }
    }

    fn write(&self, round: &Round) -> Result<(), Error> {
        if !round.batch.is_empty() {
            self.database.insert(&round.batch)?;
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        if round.sync {
            let start = Instant::now();
            self.database.sync()?;
            let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
            self.syncs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Storage for Sled {
    fn append(&self, header: RecordHeader, payload: Payload<'_>, urgency: Urgency) -> Position {
        let bytes = database::VALUE_HEADER_BYTES as u64 + payload.checked_len() as u64;
        let record = (header, payload.concat());
        let begin = |base| self.shared.segments.add(base);
        Position(self.shared.queue.push(record, bytes, urgency, begin))
    }

    fn durable(&self) -> watch::Receiver<Durability> {
        self.shared.watermark.subscribe()
    }

    fn durable_position(&self) -> Position {
        self.shared.watermark.position()
    }

    fn read(&self, at: Position) -> Result<Record, Error> {
        if self.shared.segments.base_of(at).is_none() {
            return Err(Error::Gone { at });
        }
        let (header, payload) = match self.shared.queue.find(at.0) {
            Some(record) => record,
            None => self.shared.database.read(at)?,
        };
        Ok(Record { at, header, payload })
    }

    fn read_many(&self, at: &[Position]) -> Vec<Result<Record, Error>> {
        at.iter().map(|at| self.read(*at)).collect()
    }

    fn retain(&self, reference: Reference, count: u32) {
        self.shared.segments.retain(reference, count);
    }

    fn release(&self, reference: Reference) {
        self.shared.segments.release(reference);
    }

    fn recover(&self, visit: Visit<'_>) -> Result<RecoveryReport, Error> {
        let shared = &self.shared;
        let is_new = shared.queue.end() == 0;
        let clean = shared.directory.clean_end()?.is_some() || is_new;
        let end = Position(shared.queue.end());
        let mut report = RecoveryReport { clean, end, ..RecoveryReport::default() };
        let (mut records, mut bytes) = (0, 0);
        report.damaged = shared.database.visit(shared.from, &mut |at, header, payload| {
            records += 1;
            bytes += payload.len() as u64;
            visit(at, header, payload);
        })?;
        (report.records, report.bytes) = (records, bytes);
        shared.database.sync()?;
        shared.directory.forget_clean_end()?;
        shared.queue.start();
        shared.watermark.advance(end.0);
        let writer = Arc::clone(shared);
        let thread = thread::Builder::new().name("leveret-sled".into()).spawn(move || {
            if let Err(error) = writer.run() {
                tracing::error!(%error, "the journal has stopped");
                writer.watermark.fail(Arc::new(error));
            }
            writer.queue.stopped();
        });
        let start = Error::io("start a thread to write", &shared.config.dir);
        *self.writer.lock() = Some(thread.map_err(start)?);
        Ok(report)
    }

    fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        Ok(snapshot::load(&self.shared.directory)?.map(|stored| stored.snapshot))
    }

    fn begin_snapshot(&self) -> Position {
        self.shared.segments.begin_snapshot();
        self.end()
    }

    fn store_snapshot(&self, from: Position, through: Position, state: &[u8]) -> Result<(), Error> {
        self.shared.queue.wait_synced(through.0);
        let _upkeep = self.shared.upkeep.lock();
        self.shared.running()?;
        snapshot::store(&self.shared.directory, from, through, state)?;
        self.shared.segments.set_snapshot(from, state.len() as u64);
        self.shared.remove_dead()
    }

    fn wants_snapshot(&self) -> bool {
        self.shared.segments.wants_snapshot(self.end().0, self.shared.config.segment_bytes)
    }

    fn plan_rewrite(&self) -> Option<RewritePlan> {
        self.shared.segments.plan_rewrite(self.end().0, self.shared.config.segment_bytes)
    }

    fn rewrite(&self, plan: RewritePlan, live: &[Position]) -> Result<Rewritten, Error> {
        let shared = &self.shared;
        let _upkeep = shared.upkeep.lock();
        shared.running()?;
        let Some(taken) = shared.segments.take_plan(&plan, self.end().0) else {
            return Ok(Rewritten::default());
        };
        let live: HashSet<_> = live.iter().chain(&taken.retained).map(|at| at.0).collect();
        let range = plan.range.start.0..plan.range.end.0;
        shared.database.remove(range.clone(), |at| live.contains(&at))?;
        let bytes_after = shared.database.bytes(range)?;
        Ok(shared.segments.replace(&taken, &plan, bytes_after))
    }

    fn free_bytes(&self) -> Result<Option<u64>, Error> {
        self.shared.directory.free_bytes().map(Some)
    }

    fn end(&self) -> Position {
        Position(self.shared.queue.end())
    }

    fn backlog_bytes(&self) -> u64 {
        self.shared.queue.backlog_bytes()
    }

    fn is_backlogged(&self) -> bool {
        self.backlog_bytes() > self.shared.config.backlog_bytes_max
    }

    fn close(&self) -> Result<(), Error> {
        self.join(true);
        let _upkeep = self.shared.upkeep.lock();
        self.shared.watermark.failed().map_or(Ok(()), |error| Err(Error::Failed(error)))
    }

    fn stats(&self) -> Stats {
        Stats {
            records: self.shared.queue.appended(),
            writes: self.shared.writes.load(Ordering::Relaxed),
            syncs: self.shared.syncs.load(Ordering::Relaxed),
            sync_time: Duration::from_nanos(self.shared.sync_nanos.load(Ordering::Relaxed)),
            ..Stats::of(&self.segments())
        }
    }

    fn segments(&self) -> Vec<SegmentUsage> {
        self.shared.segments.usage(self.end().0)
    }
}

impl Drop for Sled {
    fn drop(&mut self) {
        self.join(false);
    }
}

/// For `map_err`: what sled says.
fn engine(error: ::sled::Error) -> Error {
    match error {
        ::sled::Error::Io(source) => Error::Engine(io::Error::to_string(&source)),
        error => Error::Engine(error.to_string()),
    }
}
