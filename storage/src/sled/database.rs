//! The database of the sled engine: one tree, position to record.
//!
//! ```text
//! key     position, big-endian, so that keys are in the order of the journal
//! value   0   1        3      7       15          23
//!         | k | shard  | term | index | timestamp | payload     numbers little-endian
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use leveret_core::{Position, RecordHeader};
use parking_lot::Mutex;

use super::engine;
use crate::log::{u32_at, u64_at};
use crate::{Error, Visit};

/// Bytes of a value before its payload.
pub(super) const VALUE_HEADER_BYTES: usize = 23;

#[derive(Debug)]
pub(super) struct Database {
    tree: ::sled::Tree,
    db: ::sled::Db,
    path: PathBuf,
    /// Large values are files of their own, which sled never syncs; these have been synced here.
    synced_blobs: Mutex<BTreeSet<PathBuf>>,
}

impl Database {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        // The periodic flush would only compete with the writer thread.
        let config = ::sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .mode(::sled::Mode::HighThroughput);
        let db = config.open().map_err(engine)?;
        let tree = db.open_tree("records").map_err(engine)?;
        let (path, synced_blobs) = (path.to_owned(), Mutex::default());
        let database = Self { tree, db, path, synced_blobs };
        database.sync_dir(&database.path)?;
        Ok(database)
    }

    /// Behind the last record.
    pub(super) fn end(&self) -> Result<u64, Error> {
        let last = self.tree.last().map_err(engine)?;
        Ok(last.map_or(0, |(key, value)| position(&key) + value.len() as u64))
    }

    pub(super) fn insert(
        &self,
        records: &BTreeMap<u64, (RecordHeader, Bytes)>,
    ) -> Result<(), Error> {
        let mut batch = ::sled::Batch::default();
        for (at, (header, payload)) in records {
            batch.insert(&at.to_be_bytes(), encode(header, payload));
        }
        self.tree.apply_batch(batch).map_err(engine)
    }

    pub(super) fn read(&self, at: Position) -> Result<(RecordHeader, Bytes), Error> {
        let value = self.tree.get(at.0.to_be_bytes()).map_err(engine)?;
        let value = value.ok_or(Error::Gone { at })?;
        decode(&value).ok_or(Error::Damaged { at })
    }

    /// Gives all records from a position on. Says how many values are none.
    pub(super) fn visit(&self, from: u64, visit: Visit<'_>) -> Result<u64, Error> {
        let mut damaged = 0;
        for entry in self.tree.range(from.to_be_bytes()..) {
            let (key, value) = entry.map_err(engine)?;
            let at = Position(position(&key));
            match decode(&value) {
                Some((header, payload)) => visit(at, header, payload),
                None => damaged += 1,
            }
        }
        Ok(damaged)
    }

    /// Removes the records of a range that are not wanted.
    pub(super) fn remove(
        &self,
        range: Range<u64>,
        keeps: impl Fn(u64) -> bool,
    ) -> Result<(), Error> {
        for key in self.tree.range(range.start.to_be_bytes()..range.end.to_be_bytes()).keys() {
            let key = key.map_err(engine)?;
            if !keeps(position(&key)) {
                self.tree.remove(key).map_err(engine)?;
            }
        }
        Ok(())
    }

    /// Bytes of the records in a range.
    pub(super) fn bytes(&self, range: Range<u64>) -> Result<u64, Error> {
        let values = self.tree.range(range.start.to_be_bytes()..range.end.to_be_bytes()).values();
        let sizes = values.map(|value| Ok(value.map_err(engine)?.len() as u64));
        sizes.sum()
    }

    /// Bytes of the records in each slice of `slice_bytes` positions that has any, ascending.
    pub(super) fn slices(&self, slice_bytes: u64) -> Result<BTreeMap<u64, u64>, Error> {
        let mut slices = BTreeMap::new();
        for entry in &self.tree {
            let (key, value) = entry.map_err(engine)?;
            *slices.entry(position(&key) / slice_bytes).or_default() += value.len() as u64;
        }
        Ok(slices)
    }

    /// Returns when everything inserted is on the disk: sled's own flush, then a sync of each file
    /// that it has written.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.db.flush().map_err(engine)?;
        self.sync_blobs()?;
        let path = self.path.join("db");
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        file.sync_data().map_err(Error::io("sync", &path))
    }

    fn sync_blobs(&self) -> Result<(), Error> {
        let dir = self.path.join("blobs");
        let list = || fs::read_dir(&dir)?.map(|entry| Ok(entry?.path())).collect();
        let present: io::Result<BTreeSet<PathBuf>> = list();
        let present = present.map_err(Error::io("list", &dir))?;
        let mut synced = self.synced_blobs.lock();
        let new: Vec<_> = present.difference(&synced).collect();
        for path in &new {
            match File::open(path).and_then(|file| file.sync_all()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("sync", path)(error));
                }
                _ => {}
            }
        }
        if !new.is_empty() {
            self.sync_dir(&dir)?;
        }
        *synced = present;
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), Error> {
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(Error::io("sync directory", dir))
    }
}

fn encode(header: &RecordHeader, payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(VALUE_HEADER_BYTES + payload.len());
    value.push(header.kind);
    value.extend_from_slice(&header.shard.to_le_bytes());
    value.extend_from_slice(&header.term.to_le_bytes());
    value.extend_from_slice(&header.index.to_le_bytes());
    value.extend_from_slice(&header.timestamp_ms.to_le_bytes());
    value.extend_from_slice(payload);
    value
}

fn decode(value: &[u8]) -> Option<(RecordHeader, Bytes)> {
    let (fields, payload) = value.split_at_checked(VALUE_HEADER_BYTES)?;
    let header = RecordHeader {
        kind: fields[0],
        shard: u16::from_le_bytes([fields[1], fields[2]]),
        term: u32_at(fields, 3),
        index: u64_at(fields, 7),
        timestamp_ms: u64_at(fields, 15),
    };
    Some((header, Bytes::copy_from_slice(payload)))
}

/// A key that is none of ours sorts to the front and is never read.
fn position(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}

/// What sled may keep of the database in memory; its default is a gigabyte.
const CACHE_BYTES: u64 = 64 << 20;
