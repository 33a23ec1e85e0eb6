//! Writes whole blocks past the system's cache.
//!
//! What is written to a segment and synced at once is seldom read back: in the cache it would be one more
//! copy, and dirty pages to be looked for. Direct writes take both away, and leave a sync nothing to
//! do but to flush the disk's own cache. They come out of an aligned buffer. The last block is filled up
//! with zeros, and written again with what comes next; what was synced in it stays as it is.

use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;

use super::format::SEGMENT_HEADER_BYTES;
use super::io::CountedFile;
use super::segment::SegmentFile;
use crate::Error;

/// The end of a segment that is written like this.
#[derive(Debug)]
pub(super) struct Direct {
    segment: Arc<SegmentFile>,
    file: CountedFile,
    buffer: Buffer,
    /// Where the buffer begins in the file.
    offset: u64,
}

/// Aligned bytes: those of the last block on the disk, and what comes next.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Direct {
    /// Goes on behind the header of a segment. `None` if the file system has no direct writes.
    pub(super) fn begin(
        segment: &Arc<SegmentFile>,
        file: CountedFile,
        mut buffer: Buffer,
    ) -> Result<Option<Self>, Error> {
        buffer.len = 0;
        buffer.push(&segment.read(0, SEGMENT_HEADER_BYTES as usize)?);
        let mut direct = Self { segment: Arc::clone(segment), file, buffer, offset: 0 };
        match direct.write_buffer() {
            // What the file system thinks of such writes shows with the first one.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::InvalidInput => Ok(None),
            written => written.map(|()| Some(direct)),
        }
    }

    /// Writes behind what was written last.
    pub(super) fn append(&mut self, slices: &[IoSlice<'_>]) -> Result<(), Error> {
        for slice in slices {
            let mut bytes = &slice[..];
            while !bytes.is_empty() {
                bytes = self.buffer.push(bytes);
                if self.buffer.is_full() {
                    self.write_buffer()?;
                }
            }
        }
        self.write_buffer()
    }

    /// Writes zeros from `offset` on, both in whole blocks.
    pub(super) fn write_zeros(&self, slices: &mut [IoSlice<'_>], offset: u64) -> Result<(), Error> {
        let path = &self.segment.path;
        self.file.write(slices, offset).map_err(Error::io("write", path))
    }

    /// The buffer, for the next segment.
    pub(super) fn into_buffer(self) -> Buffer {
        self.buffer
    }

    /// Writes what is in the buffer and keeps the last block, unless it is full.
    fn write_buffer(&mut self) -> Result<(), Error> {
        if self.buffer.len == 0 {
            return Ok(());
        }
        let path = &self.segment.path;
        let mut slices = [IoSlice::new(self.buffer.blocks())];
        self.file.write(&mut slices, self.offset).map_err(Error::io("write", path))?;
        self.offset += self.buffer.keep_last_block() as u64;
        Ok(())
    }
}

impl Buffer {
    pub(super) fn new() -> Self {
        let bytes = vec![0; BUFFER_BYTES + BLOCK_BYTES];
        let start = bytes.as_ptr().align_offset(BLOCK_BYTES);
        Self { bytes, start, len: 0 }
    }

    /// Adds what there is room for, and gives the rest.
    fn push<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, rest) = bytes.split_at(bytes.len().min(BUFFER_BYTES - self.len));
        let at = self.start + self.len;
        self.bytes[at..at + now.len()].copy_from_slice(now);
        self.len += now.len();
        rest
    }

    fn is_full(&self) -> bool {
        self.len == BUFFER_BYTES
    }

    /// All bytes, with zeros up to the end of the last block.
    fn blocks(&mut self) -> &[u8] {
        let (from, to) =
            (self.start + self.len, self.start + self.len.next_multiple_of(BLOCK_BYTES));
        self.bytes[from..to].fill(0);
        &self.bytes[self.start..to]
    }

    /// Drops whole blocks, and says how many bytes that were.
    fn keep_last_block(&mut self) -> usize {
        let kept = self.len % BLOCK_BYTES;
        let whole = self.len - kept;
        let from = self.start + whole;
        self.bytes.copy_within(from..from + kept, self.start);
        self.len = kept;
        whole
    }
}

/// What direct writes are made of: no file system that is in use wants larger ones.
pub(super) const BLOCK_BYTES: usize = 4096;

/// Bytes that one write takes at the most.
const BUFFER_BYTES: usize = 1024 * 1024;
