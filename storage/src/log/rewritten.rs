//! The bytes of a rewritten segment: records that have kept their positions, but not their places.
//!
//! ```text
//! file      segment header, version 2 | position, record | position, record | … | index | trailer
//! index     position, offset of the first record and of one every 16 KiB
//! trailer   0       8     16         24        32       36      40
//!           | magic | end | index at | entries | crc of | check |
//!                                              | index  |
//! ```
//!
//! A record is as it was, header, payload and padding. `end` is behind the last position that the
//! file stands for: what is not in it and lies between `base` and `end` is gone. `check` covers the
//! trailer and starts from the key. If the trailer is damaged the records still tell everything but
//! `end`.

use std::ops::Range;

use super::format::{Head, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, crc_from, u32_at, u64_at};
use crate::Error;
use crate::directory::Draft;

/// Where the records of a rewritten segment are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    /// Behind the last position.
    pub(super) end: u64,
    /// The offset behind the last record.
    pub(super) records_end: u64,
    /// Positions and offsets, ascending.
    entries: Vec<(u64, u64)>,
}

/// What [`find`] has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The record's header is at this offset.
    At(usize),
    Nothing,
    /// Nothing, and something there is damaged.
    Damage,
}

impl Index {
    /// Reads a trailer: where the index is, and its checksum.
    pub(super) fn trailer(key: u32, bytes: &[u8]) -> Option<Trailer> {
        let valid = bytes.len() == TRAILER_BYTES
            && bytes[..8] == MAGIC
            && crc_from(key, &bytes[..36]) == u32_at(bytes, 36);
        valid.then(|| Trailer {
            end: u64_at(bytes, 8),
            index_at: u64_at(bytes, 16),
            entries: u64_at(bytes, 24),
            crc: u32_at(bytes, 32),
        })
    }

    /// The index whose bytes these are.
    pub(super) fn decode(trailer: &Trailer, bytes: &[u8]) -> Option<Self> {
        if crc32fast::hash(bytes) != trailer.crc {
            return None;
        }
        let entries = bytes.chunks_exact(16).map(|entry| (u64_at(entry, 0), u64_at(entry, 8)));
        let (end, records_end) = (trailer.end, trailer.index_at);
        Some(Self { end, records_end, entries: entries.collect() })
    }

    /// The index of a file whose own one is damaged.
    pub(super) fn rebuild(key: u32, file: &[u8]) -> Self {
        let (mut entries, mut end) = (Vec::new(), 0);
        let (mut offset, mut records_end) = (SEGMENT_HEADER_BYTES as usize, SEGMENT_HEADER_BYTES);
        while let Some((at, head)) = next_entry(key, file, &mut offset) {
            note(&mut entries, at, offset as u64);
            offset += POSITION_BYTES + head.record_bytes() as usize;
            (end, records_end) = (at + head.record_bytes(), offset as u64);
        }
        Self { end, records_end, entries }
    }

    /// The offsets between which the record at `at` begins.
    pub(super) fn block(&self, at: u64) -> Option<Range<u64>> {
        let after = self.entries.partition_point(|(position, _)| *position <= at);
        let (_, start) = self.entries[after.checked_sub(1)?];
        let end = self.entries.get(after).map_or(self.records_end, |(_, offset)| *offset);
        Some(start..end)
    }
}

/// The end of a rewritten file.
#[derive(Debug)]
pub(super) struct Trailer {
    end: u64,
    pub(super) index_at: u64,
    entries: u64,
    crc: u32,
}

impl Trailer {
    /// Bytes of the index.
    pub(super) fn index_bytes(&self) -> Option<usize> {
        usize::try_from(self.entries).ok()?.checked_mul(16)
    }
}

/// Writes a rewritten segment.
pub(super) struct Writer<'a> {
    draft: Draft<'a>,
    key: u32,
    entries: Vec<(u64, u64)>,
    buffer: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(draft: Draft<'a>, key: u32, header: &[u8]) -> Self {
        Self { draft, key, entries: Vec::new(), buffer: header.to_vec() }
    }

    /// Adds a record, header and payload, behind the ones before it. Says how much is in the file.
    pub(super) fn push(&mut self, at: u64, record: &[u8]) -> Result<u64, Error> {
        let offset = self.bytes();
        note(&mut self.entries, at, offset);
        self.buffer.extend_from_slice(&at.to_le_bytes());
        self.buffer.extend_from_slice(record);
        self.buffer.resize(self.buffer.len().next_multiple_of(8), 0);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(self.draft.bytes())
    }

    /// Writes the rest, puts the file in its place and gives its length.
    pub(super) fn finish(mut self, end: u64) -> Result<u64, Error> {
        let index_at = self.bytes();
        let index: Vec<_> = self.entries.iter().flat_map(|(at, offset)| [*at, *offset]).collect();
        let index: Vec<u8> = index.into_iter().flat_map(u64::to_le_bytes).collect();
        let mut trailer = MAGIC.to_vec();
        trailer.extend_from_slice(&end.to_le_bytes());
        trailer.extend_from_slice(&index_at.to_le_bytes());
        trailer.extend_from_slice(&(self.entries.len() as u64).to_le_bytes());
        trailer.extend_from_slice(&crc32fast::hash(&index).to_le_bytes());
        trailer.extend_from_slice(&crc_from(self.key, &trailer).to_le_bytes());
        self.buffer.extend_from_slice(&index);
        self.buffer.extend_from_slice(&trailer);
        self.flush()?;
        let bytes = self.draft.bytes();
        self.draft.put_in_place()?;
        Ok(bytes)
    }

    fn bytes(&self) -> u64 {
        self.draft.bytes() + self.buffer.len() as u64
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.draft.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

fn note(entries: &mut Vec<(u64, u64)>, at: u64, offset: u64) {
    if entries.last().is_none_or(|(_, last)| offset >= last + BLOCK_BYTES as u64) {
        entries.push((at, offset));
    }
}

/// Looks for the record at `at` in bytes that begin with an entry.
pub(super) fn find(key: u32, bytes: &[u8], at: u64) -> Found {
    let mut offset = 0;
    while let Some(entry) = bytes.get(offset..offset + ENTRY_HEADER_BYTES) {
        match u64_at(entry, 0) {
            position if position == at => return Found::At(offset + POSITION_BYTES),
            position if position > at => break,
            _ => offset += POSITION_BYTES + super::format::record_bytes(u32_at(entry, 8) as usize),
        }
    }
    // Either it is not there, or a damaged length has led past it.
    let (mut offset, mut is_whole) = (0, true);
    loop {
        let before = offset;
        let Some((position, head)) = next_entry(key, bytes, &mut offset) else { break };
        is_whole &= before == offset;
        match position.cmp(&at) {
            std::cmp::Ordering::Less => offset += POSITION_BYTES + head.record_bytes() as usize,
            std::cmp::Ordering::Equal => return Found::At(offset + POSITION_BYTES),
            std::cmp::Ordering::Greater => break,
        }
    }
    if is_whole { Found::Nothing } else { Found::Damage }
}

/// Moves `offset` to the next entry with a valid header.
fn next_entry(key: u32, bytes: &[u8], offset: &mut usize) -> Option<(u64, Head)> {
    loop {
        let entry = bytes.get(*offset..*offset + ENTRY_HEADER_BYTES)?;
        let at = u64_at(entry, 0);
        if let Some(head) = Head::decode(key, at, &entry[POSITION_BYTES..]) {
            return Some((at, head));
        }
        *offset += 8;
    }
}

/// Bytes of a position before its record.
pub(super) const POSITION_BYTES: usize = 8;

/// Bytes before a payload.
pub(super) const ENTRY_HEADER_BYTES: usize = POSITION_BYTES + RECORD_HEADER_BYTES;

/// Bytes of the trailer.
pub(super) const TRAILER_BYTES: usize = 40;

/// So far apart are the records of the index, or a record apart if that is longer.
pub(super) const BLOCK_BYTES: usize = 16 * 1024;

/// Bytes written at once.
const BUFFER_BYTES: usize = 256 * 1024;

const MAGIC: [u8; 8] = *b"leveret\x03";
