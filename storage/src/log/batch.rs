//! Records that are not on the disk yet: what is appended between two rounds of the writer.
//!
//! Small bytes are copied into blocks, large `Bytes` stay where they are. The pieces are in the
//! order of their positions, so the same list serves the vectored write and a read of a record
//! that has not been written.

use std::io::IoSlice;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use leveret_core::Position;

use super::format::{Frame, Head, RECORD_HEADER_BYTES};
use crate::{Error, Part, Payload, Record};

#[derive(Debug, Default)]
pub(super) struct Batch {
    pieces: Vec<Piece>,
    blocks: Vec<Vec<u8>>,
    rolls: Vec<Roll>,
    /// Behind the last record; meaningless while empty.
    end: u64,
    bytes: u64,
}

/// The first record of a new segment is at piece `first`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roll {
    pub(super) base: u64,
    /// How long the file has to be.
    pub(super) file_bytes: u64,
    first: usize,
}

#[derive(Debug)]
struct Piece {
    at: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Block { block: usize, start: usize, len: usize },
    Shared(Bytes),
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes of all records.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Notes that what is pushed next begins a segment.
    pub(super) fn roll(&mut self, base: u64, file_bytes: u64) {
        self.rolls.push(Roll { base, file_bytes, first: self.pieces.len() });
    }

    /// Adds a record. Positions grow; a gap is allowed behind a roll only.
    pub(super) fn push(&mut self, at: u64, header: &[u8], payload: Payload<'_>, padding: &[u8]) {
        let mut at = self.copy(at, header);
        for part in payload.parts() {
            at = match part {
                Part::Shared(bytes) if bytes.len() >= SHARED_BYTES_MIN => self.share(at, bytes),
                part => self.copy(at, part.as_slice()),
            };
        }
        let end = self.copy(at, padding);
        self.end = end;
    }

    /// Whether the record at `at` is here.
    pub(super) fn contains(&self, at: u64) -> bool {
        self.pieces.first().is_some_and(|first| first.at <= at && at < self.end)
    }

    /// Reads a record that is here; copies as little as a read can.
    pub(super) fn read(&self, key: u32, at: u64) -> Result<Record, Error> {
        let damaged = || Error::Damaged { at: Position(at) };
        let head = self.gather(at, RECORD_HEADER_BYTES);
        let head = head.and_then(|bytes| Head::decode(key, at, &bytes)).ok_or_else(damaged)?;
        let from = at + RECORD_HEADER_BYTES as u64;
        let payload = self.gather(from, head.length).ok_or_else(damaged)?;
        Ok(Record { at: Position(at), header: head.header, payload })
    }

    /// The parts of the batch that go to one segment each: the roll before them, and the pieces.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Option<Roll>, Range<usize>)> + '_ {
        let first = self.rolls.first().map_or(self.pieces.len(), |roll| roll.first);
        let ends = self.rolls.iter().skip(1).map(|roll| roll.first).chain([self.pieces.len()]);
        let rolled = self.rolls.iter().zip(ends).map(|(roll, end)| (Some(*roll), roll.first..end));
        [(None, 0..first)].into_iter().chain(rolled).filter(|(_, pieces)| !pieces.is_empty())
    }

    /// Where a run begins, and its bytes.
    pub(super) fn slices(&self, run: Range<usize>) -> (u64, Vec<IoSlice<'_>>) {
        let pieces = &self.pieces[run];
        let slices = pieces.iter().map(|piece| IoSlice::new(self.bytes_of(piece))).collect();
        (pieces.first().map_or(0, |first| first.at), slices)
    }

    /// Behind the last record of a run.
    pub(super) fn end_of(&self, run: Range<usize>) -> u64 {
        self.pieces[run].last().map_or(0, |last| last.at + self.bytes_of(last).len() as u64)
    }

    /// Empties the batch and keeps some of its blocks for the next records.
    pub(super) fn recycle(mut self) -> Self {
        self.pieces.clear();
        self.pieces.shrink_to(PIECES_KEPT);
        self.rolls.clear();
        self.blocks.retain(|block| block.capacity() == BLOCK_BYTES);
        self.blocks.truncate(BLOCKS_KEPT);
        self.blocks.iter_mut().for_each(Vec::clear);
        self.bytes = 0;
        self
    }

    fn copy(&mut self, at: u64, bytes: &[u8]) -> u64 {
        if bytes.is_empty() {
            return at;
        }
        let len = bytes.len();
        self.bytes += len as u64;
        if let Some(Piece { at: from, source: Source::Block { block, len: old, .. } }) =
            self.pieces.last_mut()
            && *from + *old as u64 == at
            && room(&self.blocks[*block]) >= len
        {
            self.blocks[*block].extend_from_slice(bytes);
            *old += len;
            return at + len as u64;
        }
        let block = self.block_with_room(len);
        let start = self.blocks[block].len();
        self.blocks[block].extend_from_slice(bytes);
        self.pieces.push(Piece { at, source: Source::Block { block, start, len } });
        at + len as u64
    }

    fn share(&mut self, at: u64, bytes: &Bytes) -> u64 {
        self.bytes += bytes.len() as u64;
        self.pieces.push(Piece { at, source: Source::Shared(bytes.clone()) });
        at + bytes.len() as u64
    }

    /// The block in use, the next kept one, or a new one. A block never grows: others point into
    /// it.
    fn block_with_room(&mut self, len: usize) -> usize {
        let used = self.blocks.iter().rposition(|block| !block.is_empty()).unwrap_or(0);
        let found = (used..self.blocks.len()).take(2).find(|i| room(&self.blocks[*i]) >= len);
        found.unwrap_or_else(|| {
            self.blocks.push(Vec::with_capacity(len.max(BLOCK_BYTES)));
            self.blocks.len() - 1
        })
    }

    fn bytes_of<'a>(&'a self, piece: &'a Piece) -> &'a [u8] {
        match &piece.source {
            Source::Block { block, start, len } => &self.blocks[*block][*start..*start + *len],
            Source::Shared(bytes) => bytes,
        }
    }

    /// `len` bytes from `at`, if they are all here.
    fn gather(&self, at: u64, len: usize) -> Option<Bytes> {
        let first = self.pieces.partition_point(|piece| piece.at <= at).checked_sub(1)?;
        let skip = usize::try_from(at - self.pieces[first].at).ok()?;
        if let Source::Shared(bytes) = &self.pieces[first].source
            && skip + len <= bytes.len()
        {
            return Some(bytes.slice(skip..skip + len));
        }
        let mut gathered = BytesMut::with_capacity(len);
        let mut skip = skip;
        for piece in &self.pieces[first..] {
            let bytes = self.bytes_of(piece).get(skip..)?;
            gathered.extend_from_slice(&bytes[..bytes.len().min(len - gathered.len())]);
            if gathered.len() == len {
                break;
            }
            skip = 0;
        }
        (gathered.len() == len).then(|| gathered.freeze())
    }
}

impl Frame {
    /// Adds the record to a batch.
    pub(super) fn push_to(&mut self, batch: &mut Batch, at: u64, round: u32, payload: Payload<'_>) {
        let padding = self.padding();
        batch.push(at, self.seal(at, round), payload, padding);
    }
}

fn room(block: &Vec<u8>) -> usize {
    block.capacity() - block.len()
}

/// Shorter `Bytes` are copied: a piece of its own costs more, and would keep a read buffer alive.
const SHARED_BYTES_MIN: usize = 4096;

/// Bytes of a block.
const BLOCK_BYTES: usize = 256 * 1024;

/// Blocks kept for the next round.
const BLOCKS_KEPT: usize = 8;

/// Pieces whose space is kept for the next round.
const PIECES_KEPT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_core::RecordHeader;

    const HEADER: RecordHeader =
        RecordHeader { kind: 1, shard: 0, term: 1, index: 1, timestamp_ms: 0 };

    fn push(batch: &mut Batch, at: u64, parts: &[Part<'_>]) -> u64 {
        let payload = Payload::new(parts);
        let mut frame = Frame::new(9, &HEADER, payload);
        frame.push_to(batch, at, 1, payload);
        at + frame.record_bytes()
    }

    #[test]
    fn records_come_back_before_they_are_written() {
        let large = Bytes::from(vec![7; 10_000]);
        let mut batch = Batch::default();
        let a = 32;
        let b = push(&mut batch, a, &[Part::Copied(b"abc"), Part::Copied(b"d")]);
        let c = push(&mut batch, b, &[Part::Copied(b"head"), Part::Shared(&large)]);
        let d = push(&mut batch, c, &[Part::Shared(&large)]);
        let end = push(&mut batch, d, &[]);
        assert_eq!(batch.read(9, a).unwrap().payload, "abcd");
        assert_eq!(batch.read(9, b).unwrap().payload.len(), 10_004);
        assert_eq!(batch.read(9, c).unwrap().payload.as_ptr(), large.as_ptr(), "no copy");
        assert_eq!(batch.read(9, d).unwrap().payload, "");
        assert!(batch.contains(d) && !batch.contains(end));
        assert!(batch.read(9, a + 8).is_err());
        assert_eq!(batch.bytes(), end - a);
    }

    #[test]
    fn small_records_share_a_piece_and_a_roll_separates_them() {
        let mut batch = Batch::default();
        let end = (0..100).fold(32, |at, _| push(&mut batch, at, &[Part::Copied(b"x")]));
        batch.roll(end, 1 << 20);
        push(&mut batch, end + 32, &[Part::Copied(b"y")]);
        let runs: Vec<_> = batch.runs().map(|(roll, run)| (roll.map(|r| r.base), run)).collect();
        assert_eq!(runs, [(None, 0..1), (Some(end), 1..2)]);
        assert_eq!(batch.end_of(0..1), end);
    }

    #[test]
    fn a_recycled_batch_is_empty_and_keeps_few_blocks() {
        let mut batch = Batch::default();
        let part = vec![1; 100_000];
        (0..100).fold(32, |at, _| push(&mut batch, at, &[Part::Copied(&part)]));
        let mut batch = batch.recycle();
        assert!(batch.is_empty() && batch.blocks.len() <= BLOCKS_KEPT && batch.bytes() == 0);
        assert!(!batch.contains(32));
        push(&mut batch, 32, &[Part::Copied(b"again")]);
        assert_eq!(batch.read(9, 32).unwrap().payload, "again");
    }
}
