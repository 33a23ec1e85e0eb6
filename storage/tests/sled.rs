//! What the sled engine keeps between runs.
#![cfg(feature = "sled")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::path::Path;

use bytes::Bytes;
use common::{append, append_durably, numbers, recover, sled_config, snapshot, wait_until};
use leveret_storage::{Error, Log, Part, Payload, Sled, Storage, Urgency};

fn open(dir: &Path) -> Sled {
    Sled::open(sled_config(dir)).unwrap()
}

#[test]
fn records_and_the_clean_stop_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let sled = open(folder.path());
    recover(&sled).unwrap();
    (0..100).for_each(|i| {
        append(&sled, i, 100, Urgency::Lazy);
    });
    sled.close().unwrap();
    let end = sled.end();
    drop(sled);
    let sled = open(folder.path());
    let (report, found) = recover(&sled).unwrap();
    assert!(report.clean && report.end == end);
    assert_eq!(numbers(&found), (0..100).collect::<Vec<_>>());
    assert!(append_durably(&sled, 100, 100) >= end);
    drop(sled);
    let sled = open(folder.path());
    let (report, found) = recover(&sled).unwrap();
    assert!(!report.clean && found.len() == 101);
    assert_eq!(sled.read(found[70].0).unwrap().header.index, 70);
}

#[test]
fn removed_segments_stay_removed_and_positions_are_not_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let sled = open(folder.path());
    recover(&sled).unwrap();
    let first = append_durably(&sled, 0, 100);
    (1..200).for_each(|i| {
        append(&sled, i, 100, Urgency::Lazy);
    });
    snapshot(&sled, b"all");
    wait_until(|| sled.stats().segments == 1);
    let end = sled.end();
    sled.close().unwrap();
    drop(sled);
    let sled = open(folder.path());
    assert!(recover(&sled).unwrap().1.is_empty());
    assert!(matches!(sled.read(first), Err(Error::Gone { .. })));
    assert!(append_durably(&sled, 200, 100) >= end);
}

#[test]
fn a_large_payload_survives() {
    let folder = tempfile::tempdir().unwrap();
    let sled = open(folder.path());
    recover(&sled).unwrap();
    let large = Bytes::from(common::payload(5, 3_000_000));
    let payload = [Part::Shared(&large)];
    let at = sled.append(common::header(5), Payload::new(&payload), Urgency::Promise);
    wait_until(|| sled.durable_position() > at);
    drop(sled);
    let sled = open(folder.path());
    assert_eq!(recover(&sled).unwrap().1, [(at, 5)]);
    assert_eq!(sled.read(at).unwrap().payload, large);
}

#[test]
fn a_directory_belongs_to_one_process_and_one_engine() {
    let folder = tempfile::tempdir().unwrap();
    let sled = open(folder.path());
    let again = Sled::open(sled_config(folder.path()));
    assert!(matches!(again, Err(Error::InUse { .. })));
    drop(sled);
    let log = Log::open(common::small(folder.path()));
    assert!(matches!(log, Err(Error::OtherEngine { .. })));
}
