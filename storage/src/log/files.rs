//! Segment files: created ahead of their records, opened when somebody reads, a few kept open.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use leveret_core::Position;
use parking_lot::Mutex;

use super::direct::{BLOCK_BYTES, Buffer, Direct};
use super::format::{Head, RECORD_HEADER_BYTES, SegmentHeader, VERSION, VERSION_REWRITTEN};
use super::io::{CountedFile, IoCounters};
use super::rewritten::{self, ENTRY_HEADER_BYTES, Found, Index, Writer, find};
use super::segment::{Layout, SegmentFile};
use crate::directory::Directory;
use crate::disk::DiskFile;
use crate::{Error, Record};

#[derive(Debug)]
pub(super) struct Files {
    pub(super) directory: Directory,
    /// What all segments read and write.
    pub(super) io: Arc<IoCounters>,
    open: Mutex<OpenFiles>,
}

#[derive(Debug, Default)]
struct OpenFiles {
    /// The segments used last, the most recent one first.
    recent: Vec<Arc<SegmentFile>>,
    /// Grows when files get other names: what was opened before is not kept after it.
    generation: u64,
}

/// A record as its file has it.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) head: Head,
    /// Header and payload.
    pub(super) bytes: Bytes,
}

/// A piece of a segment that has been read, to serve several records.
#[derive(Debug)]
pub(super) struct Window {
    segment: Arc<SegmentFile>,
    offset: u64,
    bytes: Bytes,
}

impl Files {
    pub(super) fn new(directory: Directory) -> Self {
        Self { directory, io: Arc::default(), open: Mutex::default() }
    }

    /// Creates a segment that survives a crash before its first record does.
    pub(super) fn create(&self, base: u64, file_bytes: u64) -> Result<Arc<SegmentFile>, Error> {
        let (name, key) = (name(base), self.directory.key());
        let file = self.directory.create(&name, file_bytes.next_multiple_of(BLOCK_BYTES as u64))?;
        let segment =
            Arc::new(SegmentFile::new(base, key, self.counted(file), self.directory.path(&name)));
        let header = SegmentHeader { version: VERSION, key, base }.encode();
        segment.write(&mut [IoSlice::new(&header)], 0)?;
        segment.sync()?;
        self.directory.sync()?;
        self.close(base);
        self.keep_open(&segment, self.generation());
        Ok(segment)
    }

    /// The way past the system's cache to the end of a new segment, if there is one.
    pub(super) fn direct(
        &self,
        segment: &Arc<SegmentFile>,
        buffer: Buffer,
    ) -> Result<Option<Direct>, Error> {
        match self.directory.open_direct(&name(segment.base))? {
            Some(file) => Direct::begin(segment, self.counted(file), buffer),
            None => Ok(None),
        }
    }

    /// Begins a file to put in the place of the segment at `base`.
    pub(super) fn rewrite(&self, base: u64) -> Result<Writer<'_>, Error> {
        let key = self.directory.key();
        let header = SegmentHeader { version: VERSION_REWRITTEN, key, base }.encode();
        Ok(Writer::new(self.directory.draft(&name(base))?, key, &header))
    }

    /// Opens a segment, or gives `None` if it is not there.
    pub(super) fn open(&self, base: u64) -> Result<Option<Arc<SegmentFile>>, Error> {
        if let Some(segment) = self.find_open(base) {
            return Ok(Some(segment));
        }
        let (name, generation) = (name(base), self.generation());
        let Some(file) = self.directory.open_file(&name)? else { return Ok(None) };
        let (key, path) = (self.directory.key(), self.directory.path(&name));
        let segment = Arc::new(SegmentFile::open(base, key, self.counted(file), path)?);
        self.keep_open(&segment, generation);
        Ok(Some(segment))
    }

    /// Opens a segment anew when it is needed next; readers that have it open finish.
    pub(super) fn close(&self, base: u64) {
        let mut open = self.open.lock();
        open.generation += 1;
        open.recent.retain(|segment| segment.base != base);
    }

    /// Removes a segment; readers that have it open finish.
    pub(super) fn remove(&self, base: u64) -> Result<(), Error> {
        self.close(base);
        self.directory.remove(&name(base))
    }

    /// The file of the segment at `base`.
    pub(super) fn path(&self, base: u64) -> PathBuf {
        self.directory.path(&name(base))
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
        let Raw { head, bytes } = self.read_raw(base, at, ahead, window)?;
        Ok(Record { at, header: head.header, payload: bytes.slice(RECORD_HEADER_BYTES..) })
    }

    /// As [`read`](Self::read).
    pub(super) fn read_raw(
        &self,
        base: u64,
        at: Position,
        ahead: usize,
        window: &mut Option<Window>,
    ) -> Result<Raw, Error> {
        let segment = self.open(base)?.ok_or(Error::Gone { at })?;
        if window.is_some() {
            // What was read ahead may have been written since.
            match read_from(&segment, at, ahead, window) {
                Err(Error::Damaged { .. } | Error::Gone { .. }) => *window = None,
                read => return read,
            }
        }
        read_from(&segment, at, ahead, window)
    }

    fn counted(&self, file: Arc<dyn DiskFile>) -> CountedFile {
        CountedFile { file, counters: Arc::clone(&self.io) }
    }

    fn find_open(&self, base: u64) -> Option<Arc<SegmentFile>> {
        let recent = &mut self.open.lock().recent;
        let index = recent.iter().position(|segment| segment.base == base)?;
        recent[..=index].rotate_right(1);
        recent.first().cloned()
    }

    fn keep_open(&self, segment: &Arc<SegmentFile>, generation: u64) {
        let mut open = self.open.lock();
        if open.generation == generation {
            open.recent.insert(0, Arc::clone(segment));
            open.recent.truncate(OPEN_FILES_MAX);
        }
    }

    fn generation(&self) -> u64 {
        self.open.lock().generation
    }
}

/// Reads a record out of the window or, if it is not there, the file.
fn read_from(
    segment: &Arc<SegmentFile>,
    at: Position,
    ahead: usize,
    window: &mut Option<Window>,
) -> Result<Raw, Error> {
    let offset = match &segment.layout {
        Layout::AsWritten => at.0 - segment.base,
        Layout::Rewritten(index) => locate(segment, index, at, ahead, window)?,
    };
    let header = Window::fill(window, segment, offset, RECORD_HEADER_BYTES, ahead)?;
    let damaged = || Error::Damaged { at };
    let head = Head::decode(segment.key, at.0, &header).ok_or_else(damaged)?;
    let len = RECORD_HEADER_BYTES + head.length;
    if offset + len as u64 > segment.bytes()? {
        return Err(damaged());
    }
    let cached = window.as_ref().and_then(|window| window.slice(offset, len));
    let bytes = cached.map_or_else(|| segment.read(offset, len), Ok)?;
    let payload = bytes.get(RECORD_HEADER_BYTES..).unwrap_or_default();
    if head.matches(payload) { Ok(Raw { head, bytes }) } else { Err(damaged()) }
}

/// Where in a rewritten segment a record is.
fn locate(
    segment: &Arc<SegmentFile>,
    index: &Index,
    at: Position,
    ahead: usize,
    window: &mut Option<Window>,
) -> Result<u64, Error> {
    let block = index.block(at.0).ok_or(Error::Gone { at })?;
    let len = (block.end - block.start).min((rewritten::BLOCK_BYTES + ENTRY_HEADER_BYTES) as u64)
        as usize;
    let bytes = Window::fill(window, segment, block.start, len, ahead)?;
    match find(segment.key, &bytes, at.0) {
        Found::At(offset) => Ok(block.start + offset as u64),
        Found::Nothing => Err(Error::Gone { at }),
        Found::Damage => Err(Error::Damaged { at }),
    }
}

impl Window {
    /// `len` bytes of a segment from `offset`, fewer at its end: out of the window, or out of a new
    /// one of at least `ahead` bytes.
    fn fill(
        window: &mut Option<Window>,
        segment: &Arc<SegmentFile>,
        offset: u64,
        len: usize,
        ahead: usize,
    ) -> Result<Bytes, Error> {
        if let Some(window) = window
            && Arc::ptr_eq(&window.segment, segment)
            && let Some(bytes) = window.slice(offset, len)
        {
            return Ok(bytes);
        }
        let bytes = segment.read(offset, len.max(ahead))?;
        let wanted = bytes.slice(..len.min(bytes.len()));
        *window = Some(Window { segment: Arc::clone(segment), offset, bytes });
        Ok(wanted)
    }

    fn slice(&self, offset: u64, len: usize) -> Option<Bytes> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let end = start.checked_add(len)?;
        (end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }
}

fn name(base: u64) -> String {
    format!("{base:016x}{SUFFIX}")
}

const SUFFIX: &str = ".log";

/// Segments kept open: enough for queues that read in different places, far below any limit on
/// open files.
const OPEN_FILES_MAX: usize = 32;
