//! Records on their way into the database, and when the writer thread takes them.
//!
//! The same rounds as in the log: everything that is pending, and a sync if a promise is among it.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use leveret_core::RecordHeader;
use parking_lot::{Condvar, Mutex};

use crate::Urgency;

#[derive(Debug)]
pub(super) struct Queue {
    segment_bytes: u64,
    state: Mutex<State>,
    work: Condvar,
    synced: Condvar,
}

/// Records by position.
pub(super) type Batch = BTreeMap<u64, (RecordHeader, Bytes)>;

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    end: u64,
    pending: Batch,
    writing: Arc<Batch>,
    backlog_bytes: u64,
    appended: u64,
    /// Bytes of records that came too late to be written.
    dropped: u64,
    urgent: bool,
    sync_wanted: bool,
    synced: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Opened,
    Running,
    /// Everything is written, then the writer stops.
    Finishing,
    /// The writer stops at once.
    Abandoned,
    Stopped,
}

/// One round of the writer.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) batch: Arc<Batch>,
    pub(super) end: u64,
    pub(super) sync: bool,
    bytes: u64,
}

impl Queue {
    pub(super) fn new(segment_bytes: u64, end: u64) -> Self {
        let state = Mutex::new(State { end, synced: end, ..State::default() });
        Self { segment_bytes, state, work: Condvar::new(), synced: Condvar::new() }
    }

    pub(super) fn start(&self) {
        self.state.lock().phase = Phase::Running;
    }

    /// Adds a record that counts `bytes` and gives its position; `begin` is told of a new segment.
    pub(super) fn push(
        &self,
        record: (RecordHeader, Bytes),
        bytes: u64,
        urgency: Urgency,
        begin: impl FnOnce(u64),
    ) -> u64 {
        let mut state = self.state.lock();
        assert!(state.phase != Phase::Opened, "append before recover");
        if state.phase != Phase::Running {
            // Not a place in the journal: the last round must not pass it.
            state.dropped += bytes;
            return DROPPED + state.dropped;
        }
        let at = state.end;
        state.end += bytes;
        let (old, new) = (at / self.segment_bytes, state.end / self.segment_bytes);
        if new != old {
            begin(new * self.segment_bytes);
        }
        state.pending.insert(at, record);
        state.backlog_bytes += bytes;
        state.appended += 1;
        state.urgent |= urgency == Urgency::Promise;
        drop(state);
        self.work.notify_one();
        at
    }

    /// A record that has not been written.
    pub(super) fn find(&self, at: u64) -> Option<(RecordHeader, Bytes)> {
        let state = self.state.lock();
        state.pending.get(&at).or_else(|| state.writing.get(&at)).cloned()
    }

    pub(super) fn end(&self) -> u64 {
        self.state.lock().end
    }

    pub(super) fn backlog_bytes(&self) -> u64 {
        self.state.lock().backlog_bytes
    }

    pub(super) fn appended(&self) -> u64 {
        self.state.lock().appended
    }

    /// Whether the writer stopped because everything was to be finished.
    pub(super) fn finishes(&self) -> bool {
        self.state.lock().phase == Phase::Finishing
    }

    pub(super) fn is_running(&self) -> bool {
        self.state.lock().phase == Phase::Running
    }

    /// Waits until everything before `at` is synced, or the writer has stopped.
    pub(super) fn wait_synced(&self, at: u64) {
        let mut state = self.state.lock();
        while state.synced < at && matches!(state.phase, Phase::Running | Phase::Finishing) {
            state.sync_wanted = true;
            self.work.notify_one();
            self.synced.wait(&mut state);
        }
    }

    /// Ends the writer, after everything is written or at once.
    pub(super) fn stop(&self, finish: bool) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Running | Phase::Finishing) {
            state.phase = if finish { Phase::Finishing } else { Phase::Abandoned };
            state.sync_wanted = true;
        }
        self.work.notify_one();
    }

    /// The writer has stopped.
    pub(super) fn stopped(&self) {
        self.state.lock().phase = Phase::Stopped;
        self.synced.notify_all();
    }

    /// Waits for the next round; `None` ends the writer.
    pub(super) fn next_round(&self) -> Option<Round> {
        let mut state = self.state.lock();
        while state.phase == Phase::Running && state.pending.is_empty() && !state.sync_wanted {
            self.work.wait(&mut state);
        }
        let idle = state.pending.is_empty() && !state.sync_wanted;
        if state.phase == Phase::Abandoned || idle {
            return None;
        }
        let sync = state.urgent || state.sync_wanted || state.phase == Phase::Finishing;
        (state.urgent, state.sync_wanted) = (false, false);
        let batch = Arc::new(mem::take(&mut state.pending));
        state.writing = Arc::clone(&batch);
        Some(Round { batch, end: state.end, sync, bytes: state.backlog_bytes })
    }

    /// The round is written.
    pub(super) fn finish(&self, round: &Round) {
        let mut state = self.state.lock();
        state.writing = Arc::default();
        state.backlog_bytes -= round.bytes;
        if round.sync {
            state.synced = round.end;
            self.synced.notify_all();
        }
    }
}

/// Where records stand that come too late to be written: the watermark never gets there.
const DROPPED: u64 = 1 << 62;
