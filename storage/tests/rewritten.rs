//! Rewritten segments, and disks that refuse in part: each damage costs itself, each refusal nothing.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::path::PathBuf;

use common::{
    DIR, Found, append, append_durably, check, fresh, numbers, open, reference, reopen,
    segment_files, segment_of, small, snapshot, wait_until,
};
use leveret_core::Position;
use leveret_storage::faulty::{Faults, FaultyDisk};
use leveret_storage::{Error, Log, Storage, Urgency};

/// Every tenth of the first hundred records is left, in one rewritten segment; the rest is as written.
fn rewritten() -> (FaultyDisk, Log, Vec<Position>) {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    let positions: Vec<_> = (0..200).map(|i| append(&log, i, 100, Urgency::Lazy)).collect();
    kept(&positions).iter().for_each(|(at, _)| log.retain(reference(*at, 100), 1));
    append_durably(&log, 200, 100);
    rewrite(&log, &positions).unwrap();
    (disk, log, positions)
}

fn rewrite(log: &Log, positions: &[Position]) -> Result<usize, Error> {
    snapshot(log, b"state");
    let mut segments = 0;
    while let Some(plan) = log.plan_rewrite() {
        let live: Vec<_> = kept(positions).iter().map(|(at, _)| *at).collect();
        snapshot(log, b"state");
        segments += log.rewrite(plan, &live)?.segments;
    }
    Ok(segments)
}

fn kept(positions: &[Position]) -> Found {
    let numbered = (0..).zip(positions);
    let kept = numbered.filter(|(number, _)| *number >= 100 || number % 10 == 0);
    kept.map(|(number, at)| (*at, number)).collect()
}

/// The numbers of the records that cannot be read.
fn lost(log: &Log, positions: &[Position]) -> Vec<u64> {
    let is_lost = |(at, number): &(Position, u64)| match log.read(*at) {
        Ok(record) => {
            check(record.header, &record.payload);
            assert_eq!(record.header.index, *number);
            false
        }
        Err(_) => true,
    };
    kept(positions).into_iter().filter(is_lost).map(|(_, number)| number).collect()
}

fn rewritten_file(disk: &FaultyDisk) -> PathBuf {
    segment_files(disk).remove(0)
}

#[test]
fn a_rewritten_segment_is_found_again() {
    let (disk, log, positions) = rewritten();
    let files = segment_files(&disk);
    assert!(lost(&log, &positions).is_empty());
    drop(log);
    let (log, report, found) = reopen(&disk);
    assert_eq!((report.damaged, found.len()), (0, 0), "nothing comes after the snapshot");
    assert!(lost(&log, &positions).is_empty());
    assert!(matches!(log.read(positions[5]), Err(Error::Gone { .. })));
    assert_eq!(files, segment_files(&disk)[..files.len()]);
}

#[test]
fn a_flipped_bit_anywhere_in_a_rewritten_segment_costs_a_record_at_the_most() {
    let (disk, log, positions) = rewritten();
    drop(log);
    let file = rewritten_file(&disk);
    let mut whole = Vec::new();
    disk.edit(&file, |bytes| whole.clone_from(bytes));
    let mut costs = 0;
    for offset in 0..whole.len() {
        disk.edit(&file, |bytes| {
            bytes.clone_from(&whole);
            bytes[offset] ^= 0x20;
        });
        let (log, ..) = reopen(&disk);
        let lost = lost(&log, &positions);
        assert!(lost.len() <= 1, "byte {offset} costs {lost:?}");
        costs += lost.len();
        log.close().unwrap();
    }
    assert!(costs > 10 * 100, "{costs} of {} bits cost something", whole.len());
}

#[test]
fn what_a_rewrite_has_left_behind_is_removed_by_the_next_start() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    let positions: Vec<_> = (0..200).map(|i| append(&log, i, 100, Urgency::Lazy)).collect();
    kept(&positions).iter().for_each(|(at, _)| log.retain(reference(*at, 100), 1));
    append_durably(&log, 200, 100);
    let old = segment_of(&disk, positions[50]).0;
    let mut content = Vec::new();
    disk.edit(&old, |bytes| content.clone_from(bytes));
    assert!(rewrite(&log, &positions).unwrap() > 1);
    assert!(!segment_files(&disk).contains(&old));
    drop(log);
    disk.put(&old, content);
    let (log, ..) = reopen(&disk);
    assert!(!segment_files(&disk).contains(&old));
    assert!(lost(&log, &positions).is_empty());
    assert!(matches!(log.read(positions[51]), Err(Error::Gone { .. })));
}

#[test]
fn a_full_disk_ends_a_rewrite_and_a_snapshot_and_changes_nothing() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    let positions: Vec<_> = (0..200).map(|i| append(&log, i, 100, Urgency::Lazy)).collect();
    kept(&positions).iter().for_each(|(at, _)| log.retain(reference(*at, 100), 1));
    append_durably(&log, 200, 100);
    snapshot(&log, b"older");
    let plan = log.plan_rewrite().unwrap();
    snapshot(&log, b"old");
    let files = disk.files();
    disk.set_faults(Faults { capacity: Some(0), ..Faults::default() });
    let live: Vec<_> = kept(&positions).iter().map(|(at, _)| *at).collect();
    assert!(matches!(log.rewrite(plan, &live), Err(Error::Io { .. })));
    let from = log.begin_snapshot();
    assert!(log.store_snapshot(from, log.end(), &[7; 10_000]).is_err());
    assert_eq!(disk.files(), files, "what was begun is removed");
    assert_eq!(log.snapshot().unwrap().unwrap().state, b"old");
    assert!(lost(&log, &positions).is_empty());
    disk.set_faults(Faults::default());
    assert!(rewrite(&log, &positions).unwrap() > 1);
    assert!(lost(&log, &positions).is_empty());
}

#[test]
fn an_unreadable_segment_costs_its_own_records_while_it_is_unreadable() {
    let (disk, log, positions) = rewritten();
    drop(log);
    let file = segment_of(&disk, positions[150]).0;
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    disk.set_faults(Faults { reads_fail_of: Some(name), ..Faults::default() });
    let (log, report, _) = reopen(&disk);
    assert_eq!(report.damaged, 0, "it lies before the snapshot, and is not read");
    let missing = lost(&log, &positions);
    assert!(missing.contains(&150) && missing.len() < 40, "{missing:?}");
    assert!(matches!(log.read(positions[150]), Err(Error::Io { .. })));
    append_durably(&log, 201, 100);
    disk.set_faults(Faults::default());
    assert!(lost(&log, &positions).is_empty());
}

#[test]
fn an_unreadable_segment_behind_the_snapshot_stops_no_start() {
    for at in [30, 199] {
        let disk = FaultyDisk::new(1);
        let log = fresh(&disk);
        let positions: Vec<_> = (0..200).map(|i| append(&log, i, 100, Urgency::Lazy)).collect();
        append_durably(&log, 200, 100);
        let end = log.end();
        drop(log);
        let file = segment_of(&disk, positions[at]).0;
        let inside = |number: usize| segment_of(&disk, positions[number]).0 == file;
        let expected: Vec<_> = (0..200).filter(|number| !inside(*number)).collect();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        disk.set_faults(Faults { reads_fail_of: Some(name), ..Faults::default() });
        let (log, report, found) = reopen(&disk);
        let found: Vec<_> = numbers(&found).iter().map(|number| *number as usize).collect();
        assert_eq!(found[..expected.len()], expected);
        assert_eq!(report.damaged, 1);
        let next = append_durably(&log, 201, 100);
        assert!(next >= end, "no position is used twice");
        drop(log);
        disk.set_faults(Faults::default());
        let (log, _, found) = reopen(&disk);
        assert!(numbers(&found).contains(&(at as u64)), "nothing of it was cut off");
        assert_eq!(log.read(next).unwrap().header.index, 201);
    }
}

#[test]
fn a_rewritten_segment_stays_whole_when_everything_behind_it_is_lost() {
    let (disk, log, _) = rewritten();
    drop(log);
    let rewritten = rewritten_file(&disk);
    let files = disk.files().into_iter().filter(|path| path.extension().is_some());
    files.filter(|path| *path != rewritten).for_each(|path| disk.lose_file(&path));
    // The last record in it is damaged, so that a hole stands at the end.
    let mut end = 0;
    disk.edit(&rewritten, |bytes| {
        let number = |from_end: usize| bytes[bytes.len() - from_end..][..8].try_into().unwrap();
        let index_at = u64::from_le_bytes(number(24)) as usize;
        end = u64::from_le_bytes(number(32));
        bytes[index_at - 10] ^= 1;
    });
    let mut before = Vec::new();
    disk.edit(&rewritten, |bytes| before.clone_from(bytes));
    let (log, report, found) = reopen(&disk);
    assert_eq!((report.damaged, numbers(&found).len() > 5), (0, true));
    let mut after = Vec::new();
    disk.edit(&rewritten, |bytes| after.clone_from(bytes));
    assert!(before == after, "nothing of it is cut off");
    let next = append_durably(&log, 201, 100);
    assert!(next.0 > end, "no position is used twice");
    drop(log);
    let (log, _, found) = reopen(&disk);
    assert_eq!(log.read(next).unwrap().header.index, 201);
    assert!(numbers(&found).contains(&10) && numbers(&found).contains(&201));
}

#[test]
fn a_snapshot_of_the_first_format_has_the_whole_journal_replayed() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    (0..100).for_each(|i| _ = append(&log, i, 100, Urgency::Lazy));
    let at = append_durably(&log, 100, 100);
    drop(log);
    let mut bytes = b"leveret\x02\x01\0\0\0".to_vec();
    let fields = [at.0.to_le_bytes(), 5u64.to_le_bytes()].concat();
    let crc = crc32fast::hash(&[&fields[..], b"state"].concat());
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&fields);
    bytes.extend_from_slice(b"state");
    disk.put(&PathBuf::from(DIR).join(format!("{:016x}.snapshot", at.0)), bytes);
    let (log, report, found) = reopen(&disk);
    let stored = log.snapshot().unwrap().unwrap();
    assert_eq!((stored.at, stored.from, &stored.state[..]), (at, Position(0), &b"state"[..]));
    assert_eq!((numbers(&found), report.damaged), ((0..=100).collect(), 0));
    let from = snapshot(&log, b"newer");
    drop(log);
    let (log, _, found) = reopen(&disk);
    assert!(found.is_empty());
    assert_eq!(log.snapshot().unwrap().unwrap().from, from);
}

#[test]
fn a_rewrite_keeps_to_its_rate_and_ends_when_the_log_is_closed() {
    let disk = FaultyDisk::new(1);
    let mut config = small(DIR);
    config.segment_bytes = 1 << 20;
    config.rewrite_bytes_per_second = 64 * 1024;
    let log = Log::open_on(disk.mount(), config).unwrap();
    log.recover(&mut |_, _, _| {}).unwrap();
    let live: Vec<_> = (0..300).map(|i| append(&log, i, 1000, Urgency::Lazy)).collect();
    live.iter().for_each(|at| log.retain(reference(*at, 1000), 1));
    (300..1200).for_each(|i| _ = append(&log, i, 1000, Urgency::Lazy));
    append_durably(&log, 1200, 100);
    snapshot(&log, b"");
    let plan = log.plan_rewrite().unwrap();
    snapshot(&log, b"");
    std::thread::scope(|scope| {
        let rewrite = scope.spawn(|| log.rewrite(plan, &live));
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!rewrite.is_finished(), "300 KiB take some seconds");
        log.close().unwrap();
        assert!(matches!(rewrite.join().unwrap(), Err(Error::Closed)));
    });
    assert!(disk.files().iter().all(|path| path.extension() != Some("tmp".as_ref())));
    drop(log);
    let log = open(&disk).unwrap();
    live.iter().for_each(|at| assert!(log.read(*at).is_ok()));
    wait_until(|| log.segments().len() > 1);
}
