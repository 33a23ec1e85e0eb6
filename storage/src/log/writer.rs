//! The one thread that writes: take everything that is pending, write it with one vectored write
//! per segment, sync once if somebody waits, move the watermark.
//!
//! The batch is what arrived during the last sync, so there is no timer and nothing to tune. A
//! write or a sync that fails is never tried again: what the disk holds is unknown from then on,
//! and the watermark stops for good.
//!
//! A segment is reserved space. The first write into a piece of it costs metadata at its sync, which
//! is dear for a small batch. So a small batch that comes to such a piece brings zeros along, and those
//! behind it find space that is in use already.

#![allow(
    clippy::disallowed_methods,
    reason = "the writer's thread decides by the time when to sync"
)]

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::batch::Roll;
use super::config::SyncPolicy;
use super::direct::{BLOCK_BYTES, Buffer, Direct};
use super::format::SEGMENT_HEADER_BYTES;
use super::journal::{Journal, Phase, Round};
use super::segment::SegmentFile;
use crate::Error;

#[derive(Debug)]
pub(super) struct Writer {
    journal: Arc<Journal>,
    segment: Arc<SegmentFile>,
    direct: Option<Direct>,
    /// Behind the last record written.
    end: u64,
    /// Behind what was ever written of the segment: records, and zeros ahead of them.
    used_end: u64,
    /// Something was written into space that was only reserved before, and is not synced.
    used_reserved: bool,
    /// Earlier segments with writes that are not synced.
    unsynced: Vec<Arc<SegmentFile>>,
    /// When the first unsynced write was.
    dirty_since: Option<Instant>,
}

impl Writer {
    /// Starts the thread; it writes into `segment`, which is empty.
    pub(super) fn spawn(
        journal: Arc<Journal>,
        segment: Arc<SegmentFile>,
    ) -> std::io::Result<JoinHandle<()>> {
        let end = segment.base + SEGMENT_HEADER_BYTES;
        let mut writer = Self {
            journal,
            segment,
            direct: None,
            end,
            used_end: end,
            used_reserved: true,
            unsynced: Vec::new(),
            dirty_since: None,
        };
        thread::Builder::new().name("leveret-journal".into()).spawn(move || {
            let outcome = writer.begin(Buffer::new()).and_then(|()| writer.run());
            writer.journal.stopped(outcome.err());
        })
    }

    /// Goes to the beginning of its segment.
    fn begin(&mut self, buffer: Buffer) -> Result<(), Error> {
        if self.journal.config.sync == SyncPolicy::Always {
            self.direct = self.journal.files.direct(&self.segment, buffer)?;
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), Error> {
        while let Some(round) = self.journal.next_round(self.sync_due()) {
            self.write(&round)?;
            if round.sync {
                self.sync()?;
            }
            self.journal.finish(round);
        }
        if self.journal.phase() == Phase::Closing { self.close() } else { Ok(()) }
    }

    fn write(&mut self, round: &Round) -> Result<(), Error> {
        let start = self.end;
        for (roll, run) in round.batch.runs() {
            if let Some(roll) = roll {
                self.roll(roll)?;
            }
            let end = round.batch.end_of(run.clone());
            let (at, mut slices) = round.batch.slices(run);
            match &mut self.direct {
                Some(direct) => direct.append(&slices)?,
                None => self.segment.write(&mut slices, at - self.segment.base)?,
            }
            self.end = end;
        }
        if self.end > self.used_end {
            self.used_reserved = true;
            let written = (self.end - self.segment.base).next_multiple_of(BLOCK_BYTES as u64);
            self.used_end = self.segment.base + written;
            if self.end - start <= SMALL_BYTES {
                self.write_ahead()?;
            }
        }
        if !round.batch.is_empty() {
            self.dirty_since.get_or_insert_with(Instant::now);
            self.journal.counters.writes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Goes on in a new segment.
    fn roll(&mut self, roll: Roll) -> Result<(), Error> {
        self.segment.cut(self.end)?;
        let next = self.journal.files.create(roll.base, roll.file_bytes)?;
        self.used_end = next.base;
        self.unsynced.push(std::mem::replace(&mut self.segment, next));
        let direct = self.direct.take();
        self.begin(direct.map_or_else(Buffer::new, Direct::into_buffer))
    }

    /// Writes zeros into the blocks behind the last record.
    fn write_ahead(&mut self) -> Result<(), Error> {
        let room = self.segment.end()?.saturating_sub(self.used_end);
        let left = room.min(AHEAD_BYTES) as usize;
        let zeros = &ZEROS.0;
        let whole = std::iter::repeat_n(&zeros[..], left / zeros.len());
        let zeros = whole.chain([&zeros[..left % zeros.len()]]);
        let mut slices: Vec<_> = zeros.map(IoSlice::new).collect();
        let offset = self.used_end - self.segment.base;
        match &self.direct {
            Some(direct) => direct.write_zeros(&mut slices, offset)?,
            None => self.segment.write(&mut slices, offset)?,
        }
        self.used_end += left as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        if self.dirty_since.take().is_none() {
            return Ok(());
        }
        let start = Instant::now();
        self.unsynced.drain(..).try_for_each(|segment| segment.sync_reserved())?;
        match std::mem::take(&mut self.used_reserved) {
            true => self.segment.sync_reserved()?,
            false => self.segment.sync()?,
        }
        let counters = &self.journal.counters;
        counters.syncs.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counters.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
        Ok(())
    }

    /// Everything is written and synced: leaves the note that says so.
    fn close(&mut self) -> Result<(), Error> {
        self.segment.cut(self.end)?;
        self.segment.sync_reserved()?;
        self.journal.files.directory.store_clean_end(self.end)
    }

    fn sync_due(&self) -> Option<Instant> {
        let since = self.dirty_since?;
        match self.journal.config.sync {
            SyncPolicy::Interval(interval) => Some(since + interval),
            SyncPolicy::Always | SyncPolicy::Never => None,
        }
    }
}

/// A batch up to this size is small.
const SMALL_BYTES: u64 = 64 * 1024;

/// How many bytes of zeros go ahead of a small batch.
const AHEAD_BYTES: u64 = 1024 * 1024;

/// Zeros at a place in memory that direct writes may have.
#[repr(align(4096))]
struct Zeros([u8; 64 * 1024]);

static ZEROS: Zeros = Zeros([0; 64 * 1024]);
