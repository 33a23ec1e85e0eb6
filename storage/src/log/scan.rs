//! Reads segments from front to back and finds what is whole in them.
//!
//! A [`Walk`] gives records and holes. It never stops at damage: a record with a valid header and
//! a damaged payload is skipped by its length, behind a damaged header the next valid one is
//! searched at multiples of 8, a missing file is a hole up to the next segment, and so is the rest
//! of one that cannot be read. What a hole means is decided by the recovery.

use std::sync::Arc;

use bytes::Bytes;

use super::files::Files;
use super::format::{Head, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, u64_at};
use super::rewritten::POSITION_BYTES;
use super::segment::{Layout, SegmentFile};
use crate::{Error, PAYLOAD_BYTES_MAX};

/// What stands at a place in the journal.
#[derive(Debug)]
pub(super) enum Item {
    Record {
        at: u64,
        head: Head,
        payload: Bytes,
    },
    Hole(Hole),
    /// Nothing is known of these positions.
    Unreadable(Hole),
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
    /// Where the way begins.
    from: u64,
    segment: Option<Scan>,
}

impl<'a> Walk<'a> {
    /// Begins at position `from`, or at the first of `bases` if that is behind it.
    pub(super) fn new(files: &'a Files, bases: &'a [u64], from: u64) -> Self {
        Self { files, bases, from, segment: None }
    }

    /// The next record or hole, `None` behind the last segment.
    ///
    /// # Errors
    ///
    /// If a newer version has written it.
    pub(super) fn next(&mut self) -> Result<Option<Item>, Error> {
        loop {
            if self.segment.is_none()
                && let Err((base, error)) = self.enter()
            {
                let room = SEGMENT_HEADER_BYTES + 2 * PAYLOAD_BYTES_MAX as u64;
                let to = self.bases.first().copied().unwrap_or(base + room);
                return unreadable(Hole { from: base, to }, error);
            }
            let Some(scan) = &mut self.segment else { return Ok(None) };
            match scan.next() {
                Ok(Some(item)) => return Ok(Some(item)),
                Ok(None) => self.segment = None,
                Err(error) => {
                    let hole = Hole { from: scan.position, to: scan.limit };
                    self.segment = None;
                    return unreadable(hole, error);
                }
            }
        }
    }

    /// Goes to the next segment that is there.
    fn enter(&mut self) -> Result<(), (u64, Error)> {
        while self.segment.is_none()
            && let Some((base, rest)) = self.bases.split_first()
        {
            self.bases = rest;
            let refused = |error| (*base, error);
            let Some(file) = self.files.open(*base).map_err(refused)? else { continue };
            let scan = Scan::new(file, rest.first().copied(), self.from).map_err(refused)?;
            self.segment = Some(scan);
        }
        Ok(())
    }
}

fn unreadable(hole: Hole, error: Error) -> Result<Option<Item>, Error> {
    if !matches!(error, Error::Io { .. }) {
        return Err(error);
    }
    tracing::error!(%error, "a part of the journal cannot be read, skipped");
    Ok(Some(Item::Unreadable(hole)))
}

/// A way through one segment. Offsets are from the start of the file.
#[derive(Debug, Clone)]
struct Scan {
    file: Arc<SegmentFile>,
    cursor: u64,
    /// Where the next record may be.
    position: u64,
    /// Where records end, in the file and as positions.
    cursor_end: u64,
    limit: u64,
    file_bytes: u64,
    window: Bytes,
    window_offset: u64,
}

impl Scan {
    fn new(file: Arc<SegmentFile>, next_base: Option<u64>, from: u64) -> Result<Self, Error> {
        let file_bytes = file.bytes()?;
        let limit = next_base.unwrap_or(file.end()?);
        let mut cursor = SEGMENT_HEADER_BYTES;
        let cursor_end = match &file.layout {
            Layout::AsWritten => {
                cursor = cursor.max(from.saturating_sub(file.base));
                limit - file.base
            }
            Layout::Rewritten(index) => index.records_end.min(file_bytes),
        };
        let (position, window) = (file.base + cursor, Bytes::new());
        Ok(Self { file, cursor, position, cursor_end, limit, file_bytes, window, window_offset: 0 })
    }

    fn next(&mut self) -> Result<Option<Item>, Error> {
        if self.cursor >= self.cursor_end {
            return Ok(None);
        }
        let Some((at, head)) = self.head_at(self.cursor)? else {
            let next = self.next_head(self.cursor + 8)?;
            return Ok(Some(self.skip_to(next)));
        };
        let payload_at = self.cursor + self.header_bytes() as u64;
        let next = payload_at + head.record_bytes() - RECORD_HEADER_BYTES as u64;
        if next > self.cursor_end.min(self.file_bytes) {
            return Ok(Some(self.skip_to((self.cursor_end, self.limit))));
        }
        let payload = self.bytes_at(payload_at, head.length)?;
        let after = at + head.record_bytes();
        if !head.matches(&payload) {
            return Ok(Some(self.skip_to((next, after))));
        }
        (self.cursor, self.position) = (next, after);
        Ok(Some(Item::Record { at, head, payload }))
    }

    fn skip_to(&mut self, (cursor, position): (u64, u64)) -> Item {
        let from = self.position;
        (self.cursor, self.position) = (cursor, position);
        Item::Hole(Hole { from, to: position })
    }

    /// Bytes before a payload.
    fn header_bytes(&self) -> usize {
        match self.file.layout {
            Layout::AsWritten => RECORD_HEADER_BYTES,
            Layout::Rewritten(_) => POSITION_BYTES + RECORD_HEADER_BYTES,
        }
    }

    /// Offset and position of the first valid header from `offset` on, or the end.
    fn next_head(&mut self, offset: u64) -> Result<(u64, u64), Error> {
        let mut offset = offset;
        let end = self.cursor_end.min(self.file_bytes);
        while offset + self.header_bytes() as u64 <= end {
            if let Some((at, _)) = self.head_at(offset)? {
                return Ok((offset, at));
            }
            offset += 8;
        }
        Ok((self.cursor_end, self.limit))
    }

    /// The position and the header of a record.
    fn head_at(&mut self, offset: u64) -> Result<Option<(u64, Head)>, Error> {
        self.fill(offset, self.header_bytes())?;
        let start = (offset - self.window_offset) as usize;
        let bytes = self.window.get(start..).unwrap_or_default();
        let (at, bytes) = match self.file.layout {
            Layout::AsWritten => (self.file.base + offset, bytes),
            Layout::Rewritten(_) => match bytes.split_at_checked(POSITION_BYTES) {
                Some((at, bytes)) => (u64_at(at, 0), bytes),
                None => return Ok(None),
            },
        };
        let head = Head::decode(self.file.key, at, bytes);
        Ok(head.filter(|_| at >= self.position).map(|head| (at, head)))
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
