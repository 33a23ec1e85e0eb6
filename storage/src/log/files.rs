//! Segment files: created ahead of their records, opened when somebody reads, a few kept open.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use leveret_core::Position;
use parking_lot::Mutex;

use super::format::{Head, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, VERSION};
use crate::directory::Directory;
use crate::disk::{DiskFile, read_full, write_full};
use crate::{Error, Record};

#[derive(Debug)]
pub(super) struct Files {
    pub(super) directory: Directory,
    /// The segments used last, the most recent one first.
    open: Mutex<Vec<Arc<SegmentFile>>>,
}

/// An open segment.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) base: u64,
    pub(super) key: u32,
    file: Arc<dyn DiskFile>,
    path: std::path::PathBuf,
}

/// A piece of a segment that has been read, to serve several records.
#[derive(Debug)]
pub(super) struct Window {
    base: u64,
    offset: u64,
    bytes: Bytes,
}

impl Files {
    pub(super) fn new(directory: Directory) -> Self {
        Self { directory, open: Mutex::default() }
    }

    /// Creates a segment that survives a crash before its first record does.
    pub(super) fn create(&self, base: u64, file_bytes: u64) -> Result<Arc<SegmentFile>, Error> {
        let (name, key) = (name(base), self.directory.key());
        let file = self.directory.create(&name, file_bytes)?;
        let segment = Arc::new(SegmentFile { base, key, file, path: self.directory.path(&name) });
        let header = SegmentHeader { version: VERSION, key, base }.encode();
        segment.write(&mut [IoSlice::new(&header)], 0)?;
        segment.sync()?;
        self.directory.sync()?;
        self.open.lock().retain(|old| old.base != base);
        self.keep_open(&segment);
        Ok(segment)
    }

    /// Opens a segment, or gives `None` if it is not there.
    pub(super) fn open(&self, base: u64) -> Result<Option<Arc<SegmentFile>>, Error> {
        if let Some(segment) = self.find_open(base) {
            return Ok(Some(segment));
        }
        let name = name(base);
        let Some(file) = self.directory.open_file(&name)? else { return Ok(None) };
        let path = self.directory.path(&name);
        let mut header = [0; SEGMENT_HEADER_BYTES as usize];
        read_full(file.as_ref(), &mut header, 0).map_err(Error::io("read", &path))?;
        let key = match SegmentHeader::decode(&header) {
            Some(SegmentHeader { version: found, .. }) if found > VERSION => {
                return Err(Error::NewerFormat { path, found, supported: VERSION });
            }
            Some(header) => header.key,
            None => self.directory.key(),
        };
        let segment = Arc::new(SegmentFile { base, key, file, path });
        self.keep_open(&segment);
        Ok(Some(segment))
    }

    /// Removes a segment; readers that have it open finish.
    pub(super) fn remove(&self, base: u64) -> Result<(), Error> {
        self.open.lock().retain(|segment| segment.base != base);
        self.directory.remove(&name(base))
    }

    /// The bases of all segments, ascending.
    pub(super) fn bases(&self) -> Result<Vec<u64>, Error> {
        self.directory.positions(SUFFIX)
    }

    /// Reads the record at `at` in the segment at `base`, from `window` if it is there; otherwise
    /// fills the window with `ahead` bytes from the record on.
    pub(super) fn read(
        &self,
        base: u64,
        at: Position,
        ahead: usize,
        window: &mut Option<Window>,
    ) -> Result<Record, Error> {
        let segment = self.open(base)?.ok_or(Error::Gone { at })?;
        if window.as_ref().is_none_or(|window| window.head(&segment, at).is_none()) {
            let (offset, bytes) = (at.0 - base, segment.read(at.0 - base, ahead)?);
            *window = Some(Window { base, offset, bytes });
        }
        let damaged = || Error::Damaged { at };
        let window = window.as_ref().ok_or_else(damaged)?;
        let head = window.head(&segment, at).ok_or_else(damaged)?;
        let from = at.0 - base + RECORD_HEADER_BYTES as u64;
        let payload = match window.slice(from, head.length) {
            Some(payload) => payload,
            None if from + head.length as u64 <= segment.bytes()? => {
                segment.read(from, head.length)?
            }
            None => return Err(damaged()),
        };
        let record = Record { at, header: head.header, payload };
        if head.matches(&record.payload) { Ok(record) } else { Err(damaged()) }
    }

    fn find_open(&self, base: u64) -> Option<Arc<SegmentFile>> {
        let mut open = self.open.lock();
        let index = open.iter().position(|segment| segment.base == base)?;
        open[..=index].rotate_right(1);
        open.first().cloned()
    }

    fn keep_open(&self, segment: &Arc<SegmentFile>) {
        let mut open = self.open.lock();
        open.insert(0, Arc::clone(segment));
        open.truncate(OPEN_FILES_MAX);
    }
}

impl Window {
    fn head(&self, segment: &SegmentFile, at: Position) -> Option<Head> {
        if self.base != segment.base {
            return None;
        }
        let head = self.slice(at.0 - segment.base, RECORD_HEADER_BYTES)?;
        Head::decode(segment.key, at.0, &head)
    }

    fn slice(&self, offset: u64, len: usize) -> Option<Bytes> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let end = start.checked_add(len)?;
        (end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }
}

impl SegmentFile {
    /// Up to `len` bytes from `offset`; fewer at the end of the file.
    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Bytes, Error> {
        let mut buffer = vec![0; len];
        let read = read_full(self.file.as_ref(), &mut buffer, offset)
            .map_err(Error::io("read", &self.path))?;
        buffer.truncate(read);
        Ok(buffer.into())
    }

    pub(super) fn write(&self, slices: &mut [IoSlice<'_>], offset: u64) -> Result<(), Error> {
        write_full(self.file.as_ref(), slices, offset).map_err(Error::io("write", &self.path))
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.sync().map_err(Error::io("sync", &self.path))
    }

    /// Cuts off everything from position `end` on.
    pub(super) fn cut(&self, end: u64) -> Result<(), Error> {
        self.file.truncate(end - self.base).map_err(Error::io("truncate", &self.path))
    }

    pub(super) fn bytes(&self) -> Result<u64, Error> {
        self.file.bytes().map_err(Error::io("examine", &self.path))
    }
}

fn name(base: u64) -> String {
    format!("{base:016x}{SUFFIX}")
}

const SUFFIX: &str = ".log";

/// Segments kept open: enough for queues that read in different places, far below any limit on
/// open files.
const OPEN_FILES_MAX: usize = 32;
