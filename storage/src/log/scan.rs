//! Reads segments from front to back and finds what is whole in them.
//!
//! A [`Walk`] gives records and holes. It never stops at damage: a record with a valid header and
//! a damaged payload is skipped by its length, behind a damaged header the next valid one is
//! searched at multiples of 8, and a missing file is a hole up to the next segment. What a hole
//! means is decided by the recovery.

use std::sync::Arc;

use bytes::Bytes;

use super::files::{Files, SegmentFile};
use super::format::{Head, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use crate::Error;

/// What stands at a place in the journal.
#[derive(Debug)]
pub(super) enum Item {
    Record { at: u64, head: Head, payload: Bytes },
    Hole(Hole),
}

/// Positions without a whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// A way through consecutive segments; a clone looks ahead.
#[derive(Debug, Clone)]
pub(super) struct Walk<'a> {
    files: &'a Files,
    bases: &'a [u64],
    segment: Option<Scan>,
}

impl<'a> Walk<'a> {
    /// Begins at position `from`, or at the first of `bases` if that is behind it.
    pub(super) fn new(files: &'a Files, bases: &'a [u64], from: u64) -> Result<Self, Error> {
        let mut walk = Self { files, bases, segment: None };
        walk.enter()?;
        if let Some(scan) = &mut walk.segment {
            scan.cursor = scan.cursor.max(from.saturating_sub(scan.file.base));
        }
        Ok(walk)
    }

    /// The next record or hole, `None` behind the last segment.
    pub(super) fn next(&mut self) -> Result<Option<Item>, Error> {
        while let Some(scan) = &mut self.segment {
            if let Some(item) = scan.next()? {
                return Ok(Some(item));
            }
            self.enter()?;
        }
        Ok(None)
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.segment = None;
        while self.segment.is_none()
            && let Some((base, rest)) = self.bases.split_first()
        {
            self.bases = rest;
            let Some(file) = self.files.open(*base)? else { continue };
            self.segment = Some(Scan::new(file, rest.first().copied())?);
        }
        Ok(())
    }
}

/// A way through one segment. Offsets are from the start of the file.
#[derive(Debug, Clone)]
struct Scan {
    file: Arc<SegmentFile>,
    cursor: u64,
    file_bytes: u64,
    /// Where the next segment begins, or the file ends.
    limit: u64,
    window: Bytes,
    window_offset: u64,
}

impl Scan {
    fn new(file: Arc<SegmentFile>, next_base: Option<u64>) -> Result<Self, Error> {
        let file_bytes = file.bytes()?;
        let limit = next_base.map_or(file_bytes, |next| next - file.base);
        let (cursor, window) = (SEGMENT_HEADER_BYTES, Bytes::new());
        Ok(Self { file, cursor, file_bytes, limit, window, window_offset: 0 })
    }

    fn next(&mut self) -> Result<Option<Item>, Error> {
        if self.cursor >= self.limit {
            return Ok(None);
        }
        let at = self.cursor;
        let Some(head) = self.head_at(at)? else {
            let to = self.next_head(at + 8)?;
            return Ok(Some(self.skip_to(to)));
        };
        if at + head.record_bytes() > self.limit.min(self.file_bytes) {
            return Ok(Some(self.skip_to(self.limit)));
        }
        let payload = self.bytes_at(at + RECORD_HEADER_BYTES as u64, head.length)?;
        if !head.matches(&payload) {
            return Ok(Some(self.skip_to(at + head.record_bytes())));
        }
        self.cursor += head.record_bytes();
        Ok(Some(Item::Record { at: self.file.base + at, head, payload }))
    }

    fn skip_to(&mut self, to: u64) -> Item {
        let from = self.cursor;
        self.cursor = to;
        Item::Hole(Hole { from: self.file.base + from, to: self.file.base + to })
    }

    /// The offset of the first valid header from `offset` on, or the limit.
    fn next_head(&mut self, offset: u64) -> Result<u64, Error> {
        let mut offset = offset;
        let last = self.limit.min(self.file_bytes).saturating_sub(RECORD_HEADER_BYTES as u64);
        while offset <= last {
            if self.head_at(offset)?.is_some() {
                return Ok(offset);
            }
            offset += 8;
        }
        Ok(self.limit)
    }

    fn head_at(&mut self, offset: u64) -> Result<Option<Head>, Error> {
        self.fill(offset, RECORD_HEADER_BYTES)?;
        let start = (offset - self.window_offset) as usize;
        let bytes = self.window.get(start..).unwrap_or_default();
        Ok(Head::decode(self.file.key, self.file.base + offset, bytes))
    }

    /// `len` bytes from `offset`; fewer at the end of the file. Callers know that `len` is inside.
    fn bytes_at(&mut self, offset: u64, len: usize) -> Result<Bytes, Error> {
        self.fill(offset, len)?;
        let start = (offset - self.window_offset) as usize;
        let end = self.window.len().min(start + len);
        Ok(self.window.slice(start.min(end)..end))
    }

    /// Moves the window so that it holds `len` bytes from `offset`, as far as the file goes.
    fn fill(&mut self, offset: u64, len: usize) -> Result<(), Error> {
        let window = self.window_offset..self.window_offset + self.window.len() as u64;
        let end = (offset + len as u64).min(self.file_bytes);
        if !(window.contains(&offset) && end <= window.end) {
            self.window = self.file.read(offset, len.max(WINDOW_BYTES))?;
            self.window_offset = offset;
        }
        Ok(())
    }
}

/// Bytes read at once.
const WINDOW_BYTES: usize = 256 * 1024;
