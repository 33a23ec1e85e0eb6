//! What the tests of the journal share: records that carry a number, engines on a faulty disk.

#![allow(clippy::disallowed_methods, reason = "a deadline of a test")]
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_core::{Position, RecordHeader, Reference};
use leveret_storage::faulty::FaultyDisk;
use leveret_storage::{
    Error, Log, LogConfig, Part, Payload, RecoveryReport, Storage, SyncPolicy, Urgency,
};

pub const DIR: &str = "/data";

pub fn header(index: u64) -> RecordHeader {
    RecordHeader { kind: (index % 7) as u8, shard: 3, term: 1, index, timestamp_ms: 1_000 + index }
}

/// A payload that shows which record it belongs to, `len` bytes long at least.
pub fn payload(index: u64, len: usize) -> Vec<u8> {
    let mut bytes = index.to_le_bytes().to_vec();
    bytes.extend((8..len).map(|i| (index as u8).wrapping_mul(31).wrapping_add(i as u8)));
    bytes
}

pub fn append(storage: &dyn Storage, index: u64, len: usize, urgency: Urgency) -> Position {
    let bytes = payload(index, len);
    storage.append(header(index), Payload::new(&[Part::Copied(&bytes)]), urgency)
}

/// Appends, and waits until it is durable.
pub fn append_durably(storage: &dyn Storage, index: u64, len: usize) -> Position {
    let at = append(storage, index, len, Urgency::Promise);
    wait_until(|| storage.durable_position() > at);
    at
}

/// The one reference to a record with a payload of `len` bytes.
pub fn reference(at: Position, len: usize) -> Reference {
    Reference::new(at, len, 1)
}

/// Stores a snapshot of now, and gives where its replay begins.
pub fn snapshot(storage: &dyn Storage, state: &[u8]) -> Position {
    let from = storage.begin_snapshot();
    storage.store_snapshot(from, storage.end(), state).unwrap();
    from
}

pub fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "the condition did not become true");
        std::thread::yield_now();
    }
}

pub fn small(dir: impl Into<PathBuf>) -> LogConfig {
    let mut config = LogConfig::new(dir);
    config.segment_bytes = 4096;
    config
}

#[cfg(feature = "sled")]
pub fn sled_config(dir: impl Into<PathBuf>) -> leveret_storage::SledConfig {
    let mut config = leveret_storage::SledConfig::new(dir);
    config.segment_bytes = 4096;
    config
}

pub fn with_sync(sync: SyncPolicy) -> LogConfig {
    let mut config = small(DIR);
    config.sync = sync;
    config
}

pub fn open(disk: &FaultyDisk) -> Result<Log, Error> {
    Log::open_on(disk.mount(), small(DIR))
}

/// Opens and recovers an empty journal.
pub fn fresh(disk: &FaultyDisk) -> Log {
    let log = open(disk).unwrap();
    log.recover(&mut |_, _, _| {}).unwrap();
    log
}

/// Opens and recovers; gives the numbers of the records found, each checked against its payload.
pub fn reopen(disk: &FaultyDisk) -> (Log, RecoveryReport, Vec<(Position, u64)>) {
    let log = open(disk).unwrap();
    let (report, found) = recover(&log).unwrap();
    (log, report, found)
}

pub type Found = Vec<(Position, u64)>;

pub fn recover(log: &dyn Storage) -> Result<(RecoveryReport, Found), Error> {
    let mut found = Vec::new();
    let report = log.recover(&mut |at, header, bytes| {
        check(header, &bytes);
        found.push((at, header.index));
    })?;
    Ok((report, found))
}

pub fn check(found: RecordHeader, bytes: &Bytes) {
    assert_eq!(found, header(found.index));
    assert_eq!(bytes[..], payload(found.index, bytes.len()));
}

pub fn numbers(found: &[(Position, u64)]) -> Vec<u64> {
    found.iter().map(|(_, number)| *number).collect()
}

/// The segment files, oldest first.
pub fn segment_files(disk: &FaultyDisk) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == "log");
    disk.files().into_iter().filter(is_segment).collect()
}

/// The segment that holds a position.
pub fn segment_of(disk: &FaultyDisk, at: Position) -> (PathBuf, usize) {
    let base = |path: &Path| u64::from_str_radix(path.file_stem().unwrap().to_str()?, 16).ok();
    let files = segment_files(disk);
    let file = files.iter().rfind(|path| base(path).unwrap() <= at.0).unwrap();
    (file.clone(), (at.0 - base(file).unwrap()) as usize)
}
