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

use super::files::Files;
use super::format::SEGMENT_HEADER_BYTES;
use super::scan::{Hole, Item, Walk};
use crate::{Error, RecoveryReport, Visit};

/// Where the journal goes on.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) report: RecoveryReport,
    /// The segments that are left, ascending.
    pub(super) bases: Vec<u64>,
    /// The base for the next segment; it may be that of an empty one.
    pub(super) next_base: u64,
    /// The round for the next records.
    pub(super) round: u32,
}

#[derive(Debug)]
pub(super) struct Recovery<'a> {
    pub(super) files: &'a Files,
    /// The newest snapshot: nothing from it on may be missing. Earlier segments are read as well,
    /// as far as they are there.
    pub(super) from: u64,
    /// Where a clean stop left the journal.
    pub(super) clean_end: Option<u64>,
}

impl Recovery<'_> {
    pub(super) fn run(&self, visit: Visit<'_>) -> Result<Recovered, Error> {
        let mut bases = self.files.bases()?;
        let mut found = self.visit_records(&bases, visit)?;
        let end = found.report.end.0;
        if let Some(hole) = found.tail {
            found.report.torn_bytes = self.cut_tail(&mut bases, hole)?;
        }
        bases.iter().try_for_each(|base| self.sync(*base))?;
        let next_base = self.next_base(&mut bases, end);
        let round = found.round.map_or(0, |round| round.wrapping_add(1));
        Ok(Recovered { report: found.report, bases, next_base, round })
    }

    fn visit_records(&self, bases: &[u64], visit: Visit<'_>) -> Result<Found, Error> {
        let mut found = Found::default();
        let start = bases.first().map_or(self.from, |base| base + SEGMENT_HEADER_BYTES);
        found.report.end.0 = start.max(self.from);
        if bases.first().is_some_and(|base| *base > self.from) {
            found.damage(&[Hole { from: self.from, to: bases[0] }]);
        }
        let oldest = bases.first().map_or(self.from, |base| self.from.min(*base));
        let mut walk = Walk::new(self.files, bases, oldest)?;
        let mut holes: Vec<Hole> = Vec::new();
        while let Some(item) = walk.next()? {
            match item {
                Item::Hole(hole) => holes.push(hole),
                Item::Record { at, head, payload } => {
                    if !holes.is_empty() && self.is_lost(&holes, bases, &walk, head.round)? {
                        break;
                    }
                    found.damage(&holes);
                    holes.clear();
                    found.round = Some(head.round);
                    found.report.records += 1;
                    found.report.bytes += head.length as u64;
                    found.report.end.0 = self.from.max(at + head.record_bytes());
                    visit(leveret_core::Position(at), head.header, payload);
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
        for hole in holes.iter().filter(|hole| hole.to > self.from) {
            lost = lost || self.has_lost_sector(bases, *hole)?;
        }
        Ok(lost && is_last_round(walk.clone(), round)?)
    }

    /// Whether a sector in the hole reads zero: all of it, or up to where the segment ends.
    fn has_lost_sector(&self, bases: &[u64], hole: Hole) -> Result<bool, Error> {
        let base = bases[bases.partition_point(|base| *base <= hole.from).saturating_sub(1)];
        let Some(file) = self.files.open(base)? else { return Ok(false) };
        let (mut offset, end) = (hole.from - base, (hole.to - base).min(file.bytes()?));
        let ends_segment = bases.binary_search(&hole.to).is_ok() || end < hole.to - base;
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
        torn += self.written(*base, cut - base)?;
        if let Some(file) = self.files.open(*base)? {
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

    fn sync(&self, base: u64) -> Result<(), Error> {
        self.files.open(base)?.map_or(Ok(()), |file| file.sync())
    }

    /// An empty last segment is used again, unless the journal had been further.
    fn next_base(&self, bases: &mut Vec<u64>, end: u64) -> u64 {
        let floor = self.from.max(self.clean_end.unwrap_or(0));
        let empty = |base: u64| end <= base + SEGMENT_HEADER_BYTES;
        if let Some(base) = bases.pop_if(|base| empty(*base) && floor <= end) {
            return base;
        }
        if bases.is_empty() && floor == 0 { 0 } else { end.max(floor) }
    }
}

/// What the walk has found so far.
#[derive(Debug, Default)]
struct Found {
    report: RecoveryReport,
    round: Option<u32>,
    /// Where to cut.
    tail: Option<u64>,
}

impl Found {
    fn damage(&mut self, holes: &[Hole]) {
        self.report.damaged += holes.len() as u64;
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
