//! What appenders, readers and the writer thread share.
//!
//! One mutex guards the end of the journal and the records that wait. It is held for a copy of a
//! few bytes, never during a disk operation. Under it only the ledger's lock is taken (when a
//! segment begins), never the other way round.

#![allow(
    clippy::disallowed_methods,
    reason = "the writer's thread decides by the time when to sync"
)]

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use leveret_core::{Position, RecordHeader};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::batch::Batch;
use super::config::{LogConfig, SyncPolicy};
use super::files::Files;
use super::format::{Frame, SEGMENT_HEADER_BYTES};
use crate::segments::Segments;
use crate::watermark::Watermark;
use crate::{Error, Payload, Urgency};

#[derive(Debug)]
pub(super) struct Journal {
    pub(super) config: LogConfig,
    pub(super) files: Files,
    pub(super) segments: Segments,
    pub(super) watermark: Watermark,
    pub(super) counters: Counters,
    /// Held while something but the writer changes the directory.
    pub(super) upkeep: Mutex<()>,
    state: Mutex<State>,
    /// The writer has something to do.
    work: Condvar,
    /// The synced position has moved, or never will again.
    synced: Condvar,
}

/// For the metrics.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) records: AtomicU64,
    pub(super) backlog_bytes: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) sync_nanos: AtomicU64,
    pub(super) damaged: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    end: u64,
    /// Behind the last byte that the current segment has room for.
    segment_end: u64,
    round: u32,
    pending: Batch,
    /// What the writer is writing.
    writing: Option<Arc<Batch>>,
    /// Blocks of an earlier batch, to be used again.
    spare: Batch,
    /// A promise is pending.
    urgent: bool,
    sync_wanted: bool,
    synced: u64,
    /// Bytes of records that came too late to be written.
    dropped: u64,
    sleep: Sleep,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not recovered yet.
    #[default]
    Opened,
    Running,
    /// The writer finishes everything and stops.
    Closing,
    /// The writer stops at once.
    Abandoned,
    /// There is no writer any more.
    Stopped,
}

/// How deep the writer sleeps: who wakes it for nothing pays a system call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Sleep {
    #[default]
    Awake,
    /// Until more than lazy records are there, or for a few milliseconds.
    Light,
    Deep,
}

/// One round of the writer.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) batch: Arc<Batch>,
    /// Where the journal ends with this batch.
    pub(super) end: u64,
    pub(super) sync: bool,
}

impl Journal {
    pub(super) fn new(config: LogConfig, files: Files) -> Self {
        Self {
            config,
            files,
            segments: Segments::default(),
            watermark: Watermark::new(),
            counters: Counters::default(),
            upkeep: Mutex::default(),
            state: Mutex::default(),
            work: Condvar::new(),
            synced: Condvar::new(),
        }
    }

    /// The journal goes on in an empty segment at `base`; everything before is on the disk.
    pub(super) fn start(&self, base: u64, round: u32) {
        let mut state = self.state.lock();
        state.phase = Phase::Running;
        state.end = base + SEGMENT_HEADER_BYTES;
        state.segment_end = base + self.config.segment_bytes;
        state.round = round;
        state.synced = state.end;
        self.watermark.advance(state.end);
    }

    pub(super) fn append(
        &self,
        header: RecordHeader,
        payload: Payload<'_>,
        urgency: Urgency,
    ) -> Position {
        let mut frame = Frame::new(self.files.directory.key(), &header, payload);
        let bytes = frame.record_bytes();
        let mut state = self.state.lock();
        assert!(state.phase != Phase::Opened, "append before recover");
        if state.phase != Phase::Running {
            // Not a place in the journal: the last round must not pass it.
            state.dropped += bytes;
            return Position(DROPPED + state.dropped);
        }
        let at = self.place(&mut state, bytes);
        let round = state.round;
        frame.push_to(&mut state.pending, at, round, payload);
        state.urgent |= urgency == Urgency::Promise;
        self.counters.records.fetch_add(1, Ordering::Relaxed);
        self.counters.backlog_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.wake(state);
        Position(at)
    }

    pub(super) fn end(&self) -> u64 {
        self.state.lock().end
    }

    pub(super) fn phase(&self) -> Phase {
        self.state.lock().phase
    }

    /// The batch that holds `at`, if it has not been written: read from it under the lock, or a
    /// reference to one that does not change any more.
    pub(super) fn unwritten<T>(&self, at: u64, read: impl Fn(&Batch) -> T) -> Option<T> {
        let state = self.state.lock();
        if state.pending.contains(at) {
            return Some(read(&state.pending));
        }
        let writing = state.writing.clone().filter(|batch| batch.contains(at))?;
        drop(state);
        Some(read(&writing))
    }

    /// Waits until everything before `at` is on the disk, whatever the policy.
    pub(super) fn wait_synced(&self, at: u64) -> Result<(), Error> {
        let mut state = self.state.lock();
        while state.synced < at && matches!(state.phase, Phase::Running | Phase::Closing) {
            state.sync_wanted = true;
            self.notify(&mut state);
            self.synced.wait(&mut state);
        }
        let reached = state.synced >= at;
        drop(state);
        match self.watermark.failed() {
            Some(error) => Err(Error::Failed(error)),
            None if reached => Ok(()),
            None => Err(Error::Closed),
        }
    }

    /// Moves to a phase that ends the writer, and wakes it.
    pub(super) fn stop(&self, phase: Phase) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Running | Phase::Closing) {
            state.phase = phase;
            state.sync_wanted = true;
        }
        self.notify(&mut state);
    }

    /// The writer has ended, with an error or without one.
    pub(super) fn stopped(&self, error: Option<Error>) {
        if let Some(error) = error {
            tracing::error!(%error, "the journal has stopped");
            self.watermark.fail(Arc::new(error));
        }
        self.state.lock().phase = Phase::Stopped;
        self.synced.notify_all();
    }

    /// Waits for the next round; `None` ends the writer. `sync_due` is when written data has to be
    /// synced at the latest.
    pub(super) fn next_round(&self, sync_due: Option<Instant>) -> Option<Round> {
        let mut state = self.state.lock();
        let mut linger = None;
        loop {
            let closing = state.phase == Phase::Closing;
            let idle = state.pending.is_empty() && !state.sync_wanted;
            if state.phase == Phase::Abandoned || (closing && idle) {
                return None;
            }
            if state.urgent || state.sync_wanted || closing || state.is_full() {
                return Some(self.take(&mut state, sync_due));
            }
            if !state.pending.is_empty() && linger.is_none() {
                linger = Some(Instant::now() + LAZY_WAIT);
            }
            let deadline = linger.into_iter().chain(sync_due).min();
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Some(self.take(&mut state, sync_due));
            }
            self.sleep(&mut state, linger.is_some(), deadline);
        }
    }

    /// The round is written, and synced if `synced`.
    pub(super) fn finish(&self, round: Round) {
        let Round { batch, end, sync, .. } = round;
        let bytes = batch.bytes();
        self.state.lock().writing = None;
        let spare = Arc::into_inner(batch).map(Batch::recycle).unwrap_or_default();
        let mut state = self.state.lock();
        state.spare = spare;
        if sync {
            state.synced = end;
            self.synced.notify_all();
        }
        drop(state);
        self.counters.backlog_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if sync || self.config.sync != SyncPolicy::Always {
            self.watermark.advance(end);
        }
    }

    /// Where a record of this size goes; begins a segment if it does not fit into the current one.
    fn place(&self, state: &mut State, bytes: u64) -> u64 {
        if state.end + bytes > state.segment_end {
            let base = state.end;
            let file_bytes = self.config.segment_bytes.max(SEGMENT_HEADER_BYTES + bytes);
            state.pending.roll(base, file_bytes);
            state.segment_end = base + file_bytes;
            state.end = base + SEGMENT_HEADER_BYTES;
            self.segments.add(base);
        }
        let at = state.end;
        state.end += bytes;
        at
    }

    fn take(&self, state: &mut State, sync_due: Option<Instant>) -> Round {
        let spare = mem::take(&mut state.spare);
        let batch = Arc::new(mem::replace(&mut state.pending, spare));
        let by_policy = match self.config.sync {
            SyncPolicy::Always => state.urgent,
            SyncPolicy::Interval(_) => sync_due.is_some_and(|due| due <= Instant::now()),
            SyncPolicy::Never => false,
        };
        let sync = by_policy || state.sync_wanted || state.phase == Phase::Closing;
        state.writing = (!batch.is_empty()).then(|| Arc::clone(&batch));
        state.round = state.round.wrapping_add(u32::from(sync));
        (state.urgent, state.sync_wanted) = (false, false);
        Round { batch, end: state.end, sync }
    }

    fn sleep(&self, state: &mut MutexGuard<'_, State>, light: bool, deadline: Option<Instant>) {
        state.sleep = if light { Sleep::Light } else { Sleep::Deep };
        match deadline {
            Some(deadline) => {
                self.work.wait_until(state, deadline);
            }
            None => self.work.wait(state),
        }
        state.sleep = Sleep::Awake;
    }

    /// Wakes the writer if there is something that it does not wait for already.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let wakes = match state.sleep {
            Sleep::Awake => false,
            Sleep::Light => state.urgent || state.sync_wanted || state.is_full(),
            Sleep::Deep => true,
        };
        if wakes {
            state.sleep = Sleep::Awake;
            drop(state);
            self.work.notify_one();
        }
    }

    fn notify(&self, state: &mut MutexGuard<'_, State>) {
        state.sleep = Sleep::Awake;
        self.work.notify_one();
    }
}

impl State {
    /// Whether lazy records alone are worth a write.
    fn is_full(&self) -> bool {
        self.pending.bytes() >= LAZY_BYTES
    }
}

/// Where records stand that come too late to be written: the watermark never gets there.
const DROPPED: u64 = 1 << 62;

/// How long lazy records wait for company.
const LAZY_WAIT: Duration = Duration::from_millis(1);

/// How many bytes of lazy records do not wait.
const LAZY_BYTES: u64 = 256 * 1024;
