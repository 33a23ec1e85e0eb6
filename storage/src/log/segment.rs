//! A segment file that is open.

use std::io::IoSlice;
use std::path::PathBuf;

use bytes::Bytes;

use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, VERSION, VERSION_REWRITTEN};
use super::io::CountedFile;
use super::rewritten::{Index, TRAILER_BYTES};
use crate::Error;

/// An open segment.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) base: u64,
    pub(super) key: u32,
    pub(super) layout: Layout,
    pub(super) path: PathBuf,
    file: CountedFile,
}

/// How a record is found by its position.
#[derive(Debug)]
pub(super) enum Layout {
    /// By its distance from the base.
    AsWritten,
    Rewritten(Index),
}

impl SegmentFile {
    /// A segment that is about to be written.
    pub(super) fn new(base: u64, key: u32, file: CountedFile, path: PathBuf) -> Self {
        Self { base, key, layout: Layout::AsWritten, path, file }
    }

    /// A segment that is there; `key` is for one whose header is damaged.
    pub(super) fn open(
        base: u64,
        key: u32,
        file: CountedFile,
        path: PathBuf,
    ) -> Result<Self, Error> {
        let mut segment = Self::new(base, key, file, path);
        let header = SegmentHeader::decode(&segment.read(0, SEGMENT_HEADER_BYTES as usize)?);
        let version = header.map(|header| header.version);
        if let Some(header) = header {
            segment.key = header.key;
        }
        match version {
            Some(found) if found > VERSION_REWRITTEN => {
                let (path, supported) = (segment.path, VERSION_REWRITTEN);
                return Err(Error::NewerFormat { path, found, supported });
            }
            Some(VERSION) => {}
            // The header is damaged: the trailer tells as well.
            _ => {
                if let Some(index) = segment.index(version == Some(VERSION_REWRITTEN))? {
                    segment.layout = Layout::Rewritten(index);
                }
            }
        }
        Ok(segment)
    }

    fn index(&self, is_rewritten: bool) -> Result<Option<Index>, Error> {
        let trailer_at = self.bytes()?.saturating_sub(TRAILER_BYTES as u64);
        let trailer = Index::trailer(self.key, &self.read(trailer_at, TRAILER_BYTES)?);
        let bytes = trailer.as_ref().and_then(|trailer| trailer.index_bytes());
        if let (Some(trailer), Some(bytes)) = (&trailer, bytes)
            && let Some(index) = Index::decode(trailer, &self.read(trailer.index_at, bytes)?)
        {
            return Ok(Some(index));
        }
        if !is_rewritten && trailer.is_none() {
            return Ok(None);
        }
        tracing::error!(file = %self.path.display(), "the index of a segment is damaged, it is made again");
        let bytes = usize::try_from(self.bytes()?).unwrap_or(usize::MAX);
        Ok(Some(Index::rebuild(self.key, &self.read(0, bytes)?)))
    }

    /// Behind the last position that the file stands for, or has room for.
    pub(super) fn end(&self) -> Result<u64, Error> {
        match &self.layout {
            Layout::AsWritten => Ok(self.base + self.bytes()?),
            Layout::Rewritten(index) => Ok(index.end),
        }
    }

    /// Up to `len` bytes from `offset`; fewer at the end of the file.
    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Bytes, Error> {
        let mut buffer = vec![0; len];
        let read = self.file.read(&mut buffer, offset).map_err(Error::io("read", &self.path))?;
        buffer.truncate(read);
        Ok(buffer.into())
    }

    pub(super) fn write(&self, slices: &mut [IoSlice<'_>], offset: u64) -> Result<(), Error> {
        self.file.write(slices, offset).map_err(Error::io("write", &self.path))
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.file.sync().map_err(Error::io("sync", &self.path))
    }

    /// As [`sync`](Self::sync), after writes into reserved space.
    pub(super) fn sync_reserved(&self) -> Result<(), Error> {
        self.file.file.sync_reserved().map_err(Error::io("sync", &self.path))
    }

    /// Cuts off everything from position `end` on.
    pub(super) fn cut(&self, end: u64) -> Result<(), Error> {
        self.file.file.truncate(end - self.base).map_err(Error::io("truncate", &self.path))
    }

    pub(super) fn bytes(&self) -> Result<u64, Error> {
        self.file.file.bytes().map_err(Error::io("examine", &self.path))
    }
}
