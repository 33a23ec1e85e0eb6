//! Files that somebody or something has changed: each damaged record costs itself.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{
    append, append_durably, fresh, numbers, open, reopen, segment_files, segment_of, snapshot,
    wait_until,
};
use leveret_core::Position;
use leveret_storage::faulty::FaultyDisk;
use leveret_storage::{Error, Part, Payload, Snapshot, Storage, Urgency};

/// Changes a file of which the records end at an offset.
type Change = dyn Fn(&mut Vec<u8>, usize);

/// A closed or killed journal with `count` records of 100 bytes, all in one segment or in many.
fn written(count: u64, len: usize, clean: bool) -> (FaultyDisk, Vec<Position>) {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    let at = (0..count).map(|i| append(&log, i, len, Urgency::Lazy)).collect();
    append_durably(&log, count, len);
    if clean {
        log.close().unwrap();
    }
    drop(log);
    (disk, at)
}

fn flip(disk: &FaultyDisk, at: Position, offset: usize) {
    let (file, start) = segment_of(disk, at);
    disk.edit(&file, |bytes| bytes[start + offset] ^= 0x10);
}

fn without(count: u64, missing: &[u64]) -> Vec<u64> {
    (0..=count).filter(|number| !missing.contains(number)).collect()
}

#[test]
fn a_flipped_bit_anywhere_in_a_record_costs_that_record_only() {
    for clean in [false, true] {
        for offset in 0..139 {
            let (disk, at) = written(20, 100, clean);
            flip(&disk, at[7], offset);
            let (log, report, found) = reopen(&disk);
            assert_eq!(numbers(&found), without(20, &[7]), "byte {offset}");
            assert_eq!((report.damaged, report.torn_bytes, report.clean), (1, 0, clean));
            assert!(matches!(log.read(at[7]), Err(Error::Damaged { .. })));
            assert!(log.read(at[8]).is_ok());
        }
    }
}

#[test]
fn several_damaged_records_are_counted_and_stay_counted() {
    let (disk, at) = written(200, 100, false);
    flip(&disk, at[3], 60);
    flip(&disk, at[4], 0);
    flip(&disk, at[150], 60);
    for (clean, clean_next) in [(false, false), (false, true), (true, false)] {
        let (log, report, found) = reopen(&disk);
        assert_eq!(numbers(&found), without(200, &[3, 4, 150]));
        assert_eq!((report.damaged, log.stats().damaged, report.clean), (3, 3, clean));
        if clean_next {
            log.close().unwrap();
        }
    }
}

#[test]
fn a_torn_tail_of_any_kind_is_cut_and_the_journal_goes_on() {
    let garbage = |bytes: &mut Vec<u8>, end: usize| bytes[end..end + 300].fill(0xa5);
    let zeros = |bytes: &mut Vec<u8>, end: usize| bytes.resize(end + 100_000, 0);
    let short = |bytes: &mut Vec<u8>, end: usize| bytes.truncate(end);
    let half = |bytes: &mut Vec<u8>, end: usize| {
        let start = end - 144;
        bytes.copy_within(start..start + 70, end);
    };
    let kinds: [&Change; 4] = [&garbage, &zeros, &short, &half];
    for (kind, torn_bytes) in kinds.into_iter().zip([300, 0, 0, 70]) {
        let (disk, at) = written(10, 100, false);
        let (file, start) = segment_of(&disk, at[9]);
        disk.edit(&file, |bytes| kind(bytes, start + 2 * 144));
        let (log, report, found) = reopen(&disk);
        assert_eq!(numbers(&found), without(10, &[]));
        assert_eq!((report.damaged, report.torn_bytes), (0, torn_bytes));
        assert!(!report.clean);
        append_durably(&log, 11, 100);
        drop(log);
        let (_, report, found) = reopen(&disk);
        assert_eq!(numbers(&found), without(11, &[]));
        assert_eq!((report.damaged, report.torn_bytes), (0, 0), "the cut is remembered");
    }
}

#[test]
fn a_lost_sector_costs_its_records_if_it_was_synced_and_ends_the_journal_if_not() {
    for durably in [true, false] {
        let disk = FaultyDisk::new(1);
        let log = fresh(&disk);
        (0..20).for_each(|i| {
            append(&log, i, 100, if durably { Urgency::Promise } else { Urgency::Lazy });
            wait_until(|| !durably || log.durable_position() == log.end());
        });
        append_durably(&log, 20, 100);
        drop(log);
        disk.edit(&segment_files(&disk)[0], |bytes| bytes[1024..1536].fill(0));
        let (_, report, found) = reopen(&disk);
        // Records of 144 bytes behind a header of 32: numbers 6 to 10 touch the sector.
        let expected = if durably { without(20, &[6, 7, 8, 9, 10]) } else { (0..6).collect() };
        let places = if durably { 2 } else { 0 };
        assert_eq!((numbers(&found), report.damaged), (expected, places));
    }
}

#[test]
fn a_damaged_last_record_does_not_block_the_start() {
    for offset in [0, 36, 60] {
        let (disk, at) = written(10, 100, false);
        flip(&disk, Position(at[9].0 + 144), offset);
        let (_, report, found) = reopen(&disk);
        assert_eq!(numbers(&found), without(10, &[10]));
        assert!(report.torn_bytes > 0);
    }
}

#[test]
fn a_missing_segment_costs_its_own_records() {
    for lost in [0, 1, 3] {
        let (disk, at) = written(200, 100, true);
        let file = segment_files(&disk)[lost].clone();
        let inside =
            |number: &u64| *number < 200 && segment_of(&disk, at[*number as usize]).0 == file;
        let missing: Vec<_> = (0..200).filter(inside).collect();
        assert!(missing.len() > 10);
        disk.lose_file(&file);
        let (log, report, found) = reopen(&disk);
        assert_eq!(numbers(&found), without(200, &missing));
        assert_eq!(report.damaged, 1);
        assert!(log.read(at[missing[0] as usize]).is_err());
        append_durably(&log, 201, 100);
    }
}

#[test]
fn a_damaged_segment_header_costs_no_record() {
    let (disk, _) = written(200, 100, false);
    for file in segment_files(&disk) {
        disk.edit(&file, |bytes| bytes[5] ^= 1);
    }
    let (_, report, found) = reopen(&disk);
    assert_eq!((found.len(), report.damaged), (201, 0));
}

#[test]
fn bytes_of_a_record_inside_a_payload_are_not_taken_for_one() {
    let (disk, at) = written(1, 100, false);
    let (file, start) = segment_of(&disk, at[0]);
    let mut forged = Vec::new();
    disk.edit(&file, |bytes| forged = bytes[start..start + 144].to_vec());
    let disk = FaultyDisk::new(2);
    let log = fresh(&disk);
    append(&log, 0, 100, Urgency::Lazy);
    let carrier = log.append(
        common::header(1),
        Payload::new(&[Part::Copied(&forged), Part::Copied(&forged)]),
        Urgency::Lazy,
    );
    append_durably(&log, 2, 100);
    drop(log);
    flip(&disk, carrier, 0);
    let (_, report, found) = reopen(&disk);
    assert_eq!((numbers(&found), report.damaged), (vec![0, 2], 1));
}

#[test]
fn the_snapshot_before_is_used_if_the_newest_is_damaged() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    let mut taken = Vec::new();
    for (number, state) in [(0, b"first"), (1, b"later")] {
        let from = snapshot(&log, state);
        taken.push(Snapshot { at: from, from, state: state.to_vec() });
        append_durably(&log, number, 100);
    }
    log.close().unwrap();
    drop(log);
    let (log, _, found) = reopen(&disk);
    assert_eq!((numbers(&found), log.snapshot().unwrap()), (vec![1], taken.pop()));
    drop(log);
    let newest =
        disk.files().into_iter().rfind(|path| path.extension() == Some("snapshot".as_ref()));
    disk.edit(&newest.unwrap(), |bytes| bytes[33] ^= 1);
    let (log, _, found) = reopen(&disk);
    assert_eq!((numbers(&found), log.snapshot().unwrap()), (vec![0, 1], taken.pop()));
}

#[test]
fn records_behind_the_end_of_a_lost_log_never_reuse_its_positions() {
    let (disk, _) = written(100, 100, true);
    let (log, ..) = reopen(&disk);
    let end = log.end();
    snapshot(&log, b"state");
    log.close().unwrap();
    drop(log);
    segment_files(&disk).iter().for_each(|file| disk.lose_file(file));
    let (log, report, found) = reopen(&disk);
    assert!(found.is_empty() && report.end >= end);
    let at = append_durably(&log, 101, 100);
    assert!(at >= end);
    drop(log);
    assert_eq!(numbers(&reopen(&disk).2), [101]);
}

#[test]
fn a_newer_segment_is_refused() {
    let (disk, _) = written(10, 100, true);
    disk.edit(&segment_files(&disk)[0], |bytes| {
        bytes[8] = 3;
        let check = crc32fast::hash(&bytes[..28]);
        bytes[28..32].copy_from_slice(&check.to_le_bytes());
    });
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, Error::NewerFormat { found: 3, supported: 2, .. }));
}
