//! What segments read and write, counted for the metrics.

#![allow(clippy::disallowed_methods, reason = "it measures how long the disk takes")]

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::IoStats;
use crate::disk::{DiskFile, read_full, write_full};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct IoCounters {
    reads: Counter,
    writes: Counter,
}

#[derive(Debug, Default)]
struct Counter {
    calls: AtomicU64,
    bytes: AtomicU64,
    nanos: AtomicU64,
}

/// A file that counts.
#[derive(Debug)]
pub(super) struct CountedFile {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) counters: Arc<IoCounters>,
}

impl IoCounters {
    pub(super) fn stats(&self) -> IoStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        IoStats {
            reads: load(&self.reads.calls),
            read_bytes: load(&self.reads.bytes),
            read_time: Duration::from_nanos(load(&self.reads.nanos)),
            writes: load(&self.writes.calls),
            written_bytes: load(&self.writes.bytes),
            write_time: Duration::from_nanos(load(&self.writes.nanos)),
        }
    }
}

impl Counter {
    fn note(&self, bytes: usize, since: Instant) {
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl CountedFile {
    /// Reads until `buffer` is full or the file ends; gives the number of bytes.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = Instant::now();
        let read = read_full(self.file.as_ref(), buffer, offset)?;
        self.counters.reads.note(read, start);
        Ok(read)
    }

    /// Writes all slices.
    pub(super) fn write(&self, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let start = Instant::now();
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        write_full(self.file.as_ref(), slices, offset)?;
        self.counters.writes.note(bytes, start);
        Ok(())
    }
}
