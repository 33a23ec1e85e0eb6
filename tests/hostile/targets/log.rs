//! Files of the log that somebody or something has changed: a start finds every record that the changes
//! did not reach, and no other; what it has found it finds again, with what was added since.
//!
//! ```text
//! how it was written │ change │ change │ …
//! change:  file │ offset, 2 octets │ kind │ octet
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_core::{Position, RecordHeader};
use leveret_storage::faulty::FaultyDisk;
use leveret_storage::{Error, Log, LogConfig, Part, Payload, Storage, Urgency};

pub fn run(octets: &[u8]) {
    let Some((&how, changes)) = octets.split_first() else { return };
    let disk = FaultyDisk::new(1);
    let (mut written, from) = write(&disk, how);
    for change in changes.chunks_exact(CHANGE_BYTES).take(CHANGES_MAX) {
        apply(&disk, change, &mut written);
    }
    let expected = |(at, _): &(Position, u64)| *at >= from;
    let expected: Vec<_> = written.intact().into_iter().filter(expected).collect();
    let Some((log, found)) = recover(&disk) else { return };
    for record in &expected {
        assert!(found.contains(record), "{record:?} is lost: {found:?}");
    }
    let added = append_durably(&log, ADDED);
    drop(log);
    let (_, again) = recover(&disk).expect("it could be opened before");
    assert_eq!(again, [found, vec![(added, ADDED)]].concat());
}

/// What was written, and where each file is damaged first.
struct Written {
    records: Vec<(Position, u64)>,
    damage: BTreeMap<PathBuf, u64>,
    files: Vec<PathBuf>,
}

impl Written {
    /// The records before all damage. Those between places of damage may be lost with them, if they
    /// look like a tail that was being written.
    fn intact(&self) -> Vec<(Position, u64)> {
        let first = self.damage.iter().map(|(file, offset)| base(file) + offset).min();
        let end = |(at, number): &(Position, u64)| {
            at.0 + RECORD_BYTES_MAX + payload(*number).len() as u64
        };
        let is_intact = |record: &&(Position, u64)| first.is_none_or(|first| end(record) <= first);
        self.records.iter().filter(is_intact).copied().collect()
    }
}

/// A journal of a few segments, closed or not, with a snapshot or not; and where a start begins.
fn write(disk: &FaultyDisk, how: u8) -> (Written, Position) {
    let log = open(disk).expect("the disk is empty");
    log.recover(&mut |_, _, _| {}).expect("the disk is empty");
    let (count, mut from, mut records) = (5 + u64::from(how >> 3), Position(0), Vec::new());
    for number in 0..count {
        if how & 1 != 0 && number == count / 2 {
            from = log.begin_snapshot();
            log.store_snapshot(from, log.end(), b"state").expect("the disk has room");
        }
        records.push((append(&log, number, Urgency::Lazy), number));
    }
    records.push((append_durably(&log, count), count));
    if how & 2 != 0 {
        log.close().expect("the disk works");
    }
    drop(log);
    let is_changed =
        |file: &PathBuf| file.extension().is_some_and(|it| it == "log" || it == "snapshot");
    let files = disk.files().into_iter().filter(is_changed).collect();
    (Written { records, damage: BTreeMap::new(), files }, from)
}

fn apply(disk: &FaultyDisk, change: &[u8], written: &mut Written) {
    let [file, high, low, kind, octet] = *change else { return };
    let file = written.files[usize::from(file) % written.files.len()].clone();
    let wanted = usize::from(u16::from_be_bytes([high, low]));
    let mut reached = u64::MAX;
    if kind % 8 == 7 {
        disk.put(&file, Vec::new());
        reached = 0;
    } else {
        disk.edit(&file, |content| {
            let before = content.clone();
            let at = wanted % (content.len() + 1);
            let len = usize::from(octet).min(content.len() - at);
            match kind % 8 {
                0 | 1 if at < content.len() => content[at] ^= octet,
                2 => content[at..at + len].fill(0),
                3 => content[at..at + len].fill(0xff),
                4 => content.truncate(at),
                5 => _ = content.drain(at..at + len),
                6 => content.extend(before[at..at + len].repeat(1 + len % 3)),
                _ => content.insert(at, octet),
            }
            let same = before.iter().zip(&*content).take_while(|(a, b)| a == b).count();
            if before != *content {
                reached = same as u64;
            }
        });
    }
    if reached < u64::MAX && file.extension().is_some_and(|it| it == "log") {
        let first = written.damage.entry(file).or_insert(reached);
        *first = reached.min(*first);
    }
}

/// Opens it and reads it back; `None` if it says that a newer version wrote it.
fn recover(disk: &FaultyDisk) -> Option<(Log, Vec<(Position, u64)>)> {
    let log = match open(disk) {
        Err(Error::NewerFormat { .. }) => return None,
        log => log.expect("damage does not keep a log from being opened"),
    };
    let mut found = Vec::new();
    log.recover(&mut |at, header, content| {
        check(header, &content);
        found.push((at, header.index));
    })
    .expect("damage does not keep a log from being read");
    Some((log, found))
}

fn check(found: RecordHeader, content: &Bytes) {
    assert_eq!((found, &content[..]), (header(found.index), &payload(found.index)[..]));
}

fn open(disk: &FaultyDisk) -> Result<Log, Error> {
    let mut config = LogConfig::new("/data");
    config.segment_bytes = SEGMENT_BYTES;
    Log::open_on(disk.mount(), config)
}

fn append(log: &Log, number: u64, urgency: Urgency) -> Position {
    log.append(header(number), Payload::new(&[Part::Copied(&payload(number))]), urgency)
}

fn append_durably(log: &Log, number: u64) -> Position {
    let at = append(log, number, Urgency::Promise);
    let deadline = Instant::now() + Duration::from_secs(20);
    while log.durable_position() <= at {
        assert!(Instant::now() < deadline, "the record does not become durable");
        std::thread::yield_now();
    }
    at
}

fn header(index: u64) -> RecordHeader {
    RecordHeader { kind: (index % 7) as u8, shard: 3, term: 1, index, timestamp_ms: 1_000 + index }
}

/// A content that shows which record it belongs to, of any length.
fn payload(number: u64) -> Vec<u8> {
    let len = 8 + number * 37 % 300;
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((8..len).map(|at| (number as u8).wrapping_mul(31).wrapping_add(at as u8)));
    bytes
}

/// Where the log has its first octet, which is its name.
fn base(file: &Path) -> u64 {
    let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    u64::from_str_radix(name, 16).expect("a segment is named after its position")
}

const SEGMENT_BYTES: u64 = 4096;
/// A header, and what fills up to a multiple of 8.
const RECORD_BYTES_MAX: u64 = 56;
const CHANGE_BYTES: usize = 5;
const CHANGES_MAX: usize = 4;
const ADDED: u64 = 1000;
