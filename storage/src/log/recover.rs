//! What a start makes of the segments that the last run left.
//!
//! Whole records are given to the visitor in order. A hole between them is one of two things:
//!
//! - *Damage* costs the records it hit and is counted. It is damage if anything behind it belongs
//!   to a later round, because then a sync had put it on the disk whole.
//! - *A lost write*: the machine stopped during the last round, and the disk had written some of
//!   its sectors and not others. Nothing in that round was promised, and records behind the hole
//!   may build on records in it, so the journal ends at the hole. It is a lost write only if it
//!   belongs to the last round and a whole sector in it reads zero, as reserved space does; any
//!   other hole in the last round is taken for damage, so that one flipped bit cannot cost
//!   promised records behind it.
//!
//! What is left behind the last whole record is cut off. Then everything is synced, because a
//! record that a killed process has left in the page cache is about to be taken for durable.

use leveret_core::Position;

use super::files::Files;
use super::format::SEGMENT_HEADER_BYTES;
use super::scan::{Hole, Item, Walk};
use super::segment::Layout;
use crate::segments::Segments;
use crate::{Error, RecoveryReport, Visit};

/// Where a start begins, as the newest snapshot says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ReplayStart {
    /// The first position to replay.
    pub(super) from: u64,
    /// Everything before it was on the disk.
    pub(super) through: u64,
}

/// Where the journal goes on.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) report: RecoveryReport,
    /// The base for the next segment; it may be that of an empty one.
    pub(super) next_base: u64,
    /// The round for the next records.
    pub(super) round: u32,
}

#[derive(Debug)]
pub(super) struct Recovery<'a> {
    pub(super) files: &'a Files,
    pub(super) start: ReplayStart,
    /// Where a clean stop left the journal.
    pub(super) clean_end: Option<u64>,
}

impl Recovery<'_> {
    pub(super) fn run(&self, visit: Visit<'_>) -> Result<Recovered, Error> {
        let mut bases = self.bases()?;
        let mut found = self.visit_records(&bases, visit)?;
        let end = found.report.end.0;
        if let Some(hole) = found.tail {
            found.report.torn_bytes = self.cut_tail(&mut bases, hole)?;
        }
        bases.iter().try_for_each(|base| self.sync(*base))?;
        let next_base = self.next_base(&bases, end)?;
        let round = found.round.map_or(0, |round| round.wrapping_add(1));
        Ok(Recovered { report: found.report, next_base, round })
    }

    /// The segments that are replayed.
    pub(super) fn bases(&self) -> Result<Vec<u64>, Error> {
        let mut bases = self.files.bases()?;
        let before = bases.partition_point(|base| *base <= self.start.from).saturating_sub(1);
        bases.drain(..before);
        Ok(bases)
    }

    /// Visits the records without changing anything.
    pub(super) fn visit_records(&self, bases: &[u64], visit: Visit<'_>) -> Result<Found, Error> {
        let from = self.start.from;
        let mut found = Found::default();
        found.report.end.0 =
            bases.first().map_or(from, |base| base + SEGMENT_HEADER_BYTES).max(from);
        // The first format replays what is left, and deleted segments before the snapshot.
        let needed = if from > 0 { from } else { self.start.through };
        if let Some(base) = bases.first().filter(|base| **base > needed) {
            found.damage(&[Hole { from, to: *base }]);
        }
        let mut walk = Walk::new(self.files, bases, from);
        let mut holes: Vec<Hole> = Vec::new();
        while let Some(item) = walk.next()? {
            match item {
                Item::Hole(hole) if hole.to <= from => {}
                Item::Hole(hole) => holes.push(Hole { from: hole.from.max(from), ..hole }),
                Item::Unreadable(hole) => {
                    holes.push(hole);
                    found.damage(&holes);
                    holes.clear();
                    found.report.end.0 = found.report.end.0.max(hole.to);
                }
                Item::Record { at, .. } if at < from => holes.clear(),
                Item::Record { at, head, payload } => {
                    if !holes.is_empty() && self.is_lost(&holes, bases, &walk, head.round)? {
                        break;
                    }
                    found.damage(&holes);
                    holes.clear();
                    found.round = Some(head.round);
                    found.report.records += 1;
                    found.report.bytes += head.length as u64;
                    found.report.end.0 = at + head.record_bytes();
                    visit(Position(at), head.header, payload);
                }
            }
        }
        found.finish(&holes, self.clean_end);
        Ok(found)
    }

    /// Whether `holes`, before a record of `round`, are writes that a crash has interrupted.
    fn is_lost(
        &self,
        holes: &[Hole],
        bases: &[u64],
        walk: &Walk<'_>,
        round: u32,
    ) -> Result<bool, Error> {
        if self.clean_end.is_some() {
            return Ok(false);
        }
        // A snapshot is stored only after everything before it has been synced.
        let mut lost = false;
        for hole in holes.iter().filter(|hole| hole.to > self.start.through) {
            lost = lost || self.has_lost_sector(bases, *hole)?;
        }
        Ok(lost && is_last_round(walk.clone(), round)?)
    }

    /// Whether a sector in the hole reads zero: all of it, or up to where the segment ends.
    fn has_lost_sector(&self, bases: &[u64], hole: Hole) -> Result<bool, Error> {
        let base = bases[bases.partition_point(|base| *base <= hole.from).saturating_sub(1)];
        let Some(file) = self.files.open(base)? else { return Ok(false) };
        let (mut offset, end) = (hole.from - base, hole.to - base);
        if end > file.bytes()? {
            // The next segment does not follow on this one: a start began it there, or one is missing.
            return Ok(false);
        }
        let ends_segment = bases.binary_search(&hole.to).is_ok();
        while offset < end {
            let sector_end = (offset + 1).next_multiple_of(SECTOR_BYTES);
            let whole = sector_end <= end || ends_segment;
            let bytes = file.read(offset, (sector_end.min(end) - offset) as usize)?;
            if whole && bytes.iter().all(|byte| *byte == 0) {
                return Ok(true);
            }
            offset = sector_end;
        }
        Ok(false)
    }

    /// Removes everything from `cut` on and tells how much of it had been written.
    ///
    /// Later segments go first, from the last: whatever is left after another crash leads to the
    /// same cut.
    fn cut_tail(&self, bases: &mut Vec<u64>, cut: u64) -> Result<u64, Error> {
        let mut torn = 0;
        while let Some(base) = bases.pop_if(|base| *base > cut) {
            torn += self.written(base, SEGMENT_HEADER_BYTES)?;
            self.files.remove(base)?;
            self.files.directory.sync()?;
        }
        let Some(base) = bases.last() else { return Ok(torn) };
        // A rewritten segment was put in its place whole: nothing in it is a write cut short.
        if let Some(file) = self.files.open(*base)?
            && matches!(file.layout, Layout::AsWritten)
        {
            torn += self.written(*base, cut - base)?;
            file.cut(cut)?;
        }
        Ok(torn)
    }

    /// Bytes from `offset` to the last one that is not zero.
    fn written(&self, base: u64, offset: u64) -> Result<u64, Error> {
        let Some(file) = self.files.open(base)? else { return Ok(0) };
        let (mut at, mut last) = (offset, offset);
        loop {
            let bytes = file.read(at, BLOCK_BYTES)?;
            if bytes.is_empty() {
                return Ok(last - offset);
            }
            if let Some(index) = bytes.iter().rposition(|byte| *byte != 0) {
                last = at + index as u64 + 1;
            }
            at += bytes.len() as u64;
        }
    }

    /// What cannot be read is not taken for durable either.
    fn sync(&self, base: u64) -> Result<(), Error> {
        match self.files.open(base) {
            Ok(Some(file)) => file.sync(),
            Ok(None) | Err(Error::Io { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An empty last segment is used again, unless the journal had been further.
    fn next_base(&self, bases: &[u64], end: u64) -> Result<u64, Error> {
        let mut floor = self.start.through.max(self.clean_end.unwrap_or(0));
        if let Some(base) = bases.last()
            && let Ok(Some(file)) = self.files.open(*base)
            && matches!(file.layout, Layout::Rewritten(_))
        {
            floor = floor.max(file.end()?);
        }
        Ok(match bases.last() {
            Some(base) if end <= base + SEGMENT_HEADER_BYTES && floor <= end => *base,
            None if floor == 0 => 0,
            _ => end.max(floor),
        })
    }
}

/// Notes the segments that are there. A file whose positions are all in the one before is left from
/// a rewrite, and goes.
pub(super) fn list_segments(
    files: &Files,
    segments: &Segments,
    is_read_only: bool,
) -> Result<(), Error> {
    let bases = files.bases()?;
    let mut last_end = 0;
    for (index, base) in bases.iter().enumerate() {
        if *base < last_end {
            if !is_read_only {
                files.remove(*base)?;
            }
            continue;
        }
        let next = bases.get(index + 1).copied();
        let (end, bytes) = match files.open(*base) {
            Ok(Some(file)) => {
                last_end = match file.layout {
                    Layout::AsWritten => 0,
                    Layout::Rewritten(_) => file.end()?,
                };
                (file.end()?, file.bytes()?)
            }
            Ok(None) | Err(Error::Io { .. }) => (next.unwrap_or(u64::MAX), 0),
            Err(error) => return Err(error),
        };
        let next = next.filter(|next| *next >= last_end).unwrap_or(u64::MAX);
        segments.add_stored(*base..end.min(next), bytes);
    }
    Ok(())
}

/// What the walk has found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) report: RecoveryReport,
    round: Option<u32>,
    /// Where to cut.
    tail: Option<u64>,
    /// Where records were damaged or missing.
    pub(super) damage: Vec<Hole>,
}

impl Found {
    fn damage(&mut self, holes: &[Hole]) {
        self.report.damaged += holes.len() as u64;
        self.damage.extend_from_slice(holes);
        for hole in holes {
            tracing::warn!(from = hole.from, to = hole.to, "damaged part of the journal skipped");
        }
    }

    /// The walk is over, or stopped at a lost write; `holes` are behind the last record.
    fn finish(&mut self, holes: &[Hole], clean_end: Option<u64>) {
        self.tail = holes.first().map(|hole| hole.from);
        if clean_end.is_some() {
            self.damage(holes);
        }
    }
}

/// Whether all records from here to the end belong to `round`.
fn is_last_round(mut walk: Walk<'_>, round: u32) -> Result<bool, Error> {
    while let Some(item) = walk.next()? {
        if matches!(item, Item::Record { head, .. } if head.round != round) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The smallest unit that a disk writes.
const SECTOR_BYTES: u64 = 512;

/// Bytes read at once from a torn tail.
const BLOCK_BYTES: usize = 256 * 1024;
