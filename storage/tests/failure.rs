//! Disks that refuse, and many appenders at once.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::time::Duration;

use common::{
    append, append_durably, fresh, numbers, open, reference, reopen, snapshot, wait_until,
};
use leveret_storage::faulty::{Faults, FaultyDisk};
use leveret_storage::{Error, Storage, Urgency};

#[test]
fn a_failed_sync_stops_the_watermark_for_good() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    let kept = append_durably(&log, 0, 100);
    disk.set_faults(Faults { syncs_left: Some(0), ..Faults::default() });
    let lost = append(&log, 1, 100, Urgency::Promise);
    wait_until(|| log.durable().borrow().failed.is_some());
    disk.set_faults(Faults::default());
    let syncs = disk.syncs();
    let later = append(&log, 2, 100, Urgency::Promise);
    assert!(log.store_snapshot(log.begin_snapshot(), log.end(), b"").is_err());
    assert!(matches!(log.close(), Err(Error::Failed(_))));
    assert_eq!(disk.syncs(), syncs, "nothing is tried again");
    assert!(log.durable_position() > kept && log.durable_position() <= lost && lost < later);
    assert!(log.read(kept).is_ok());
    disk.power_cut();
    drop(log);
    assert_eq!(numbers(&reopen(&disk).2), [0]);
}

#[test]
fn where_direct_writes_are_refused_ordinary_ones_keep_what_is_promised() {
    let disk = FaultyDisk::new(1);
    disk.set_faults(Faults { no_direct_writes: true, ..Faults::default() });
    let log = fresh(&disk);
    for index in 0..20 {
        append_durably(&log, index, 500);
    }
    disk.power_cut();
    drop(log);
    assert_eq!(numbers(&reopen(&disk).2), Vec::from_iter(0..20));
}

#[test]
fn a_full_disk_stops_the_journal_and_costs_nothing_promised() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    disk.set_faults(Faults { capacity: Some(20_000), ..Faults::default() });
    let durable = log.durable();
    let mut appended = 0;
    while durable.borrow().failed.is_none() {
        append(&log, appended, 500, Urgency::Promise);
        appended += 1;
        std::thread::yield_now();
    }
    let promised = log.durable_position();
    assert!(durable.borrow().failed.as_ref().unwrap().to_string().contains("/data/"));
    drop(log);
    disk.kill();
    let (log, report, found) = reopen(&disk);
    assert!(report.end >= promised && found.len() > 10);
    append_durably(&log, found.len() as u64, 500);
}

#[test]
fn a_disk_that_cannot_be_read_is_told_and_changes_nothing() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    let at = append_durably(&log, 0, 100);
    wait_until(|| log.backlog_bytes() == 0);
    disk.set_faults(Faults { reads_fail: true, ..Faults::default() });
    wait_until(|| matches!(log.read(at), Err(Error::Io { .. })));
    drop(log);
    assert!(open(&disk).is_err());
    disk.set_faults(Faults::default());
    assert_eq!(numbers(&reopen(&disk).2), [0]);
}

#[test]
fn one_sync_serves_everybody_who_waits() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    disk.set_faults(Faults { sync_takes: Duration::from_millis(2), ..Faults::default() });
    let before = log.stats().syncs;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = &log;
            scope.spawn(move || {
                (0..250).for_each(|i| {
                    append(log, thread * 1000 + i, 100, Urgency::Promise);
                })
            });
        }
    });
    wait_until(|| log.durable_position() >= log.end());
    let stats = log.stats();
    assert_eq!(stats.records, 2000);
    assert!(stats.syncs - before < 200, "{} syncs for 2000 promises", stats.syncs - before);
    assert!(stats.sync_time >= Duration::from_millis(2));
}

#[test]
fn records_are_read_while_they_wait_for_the_disk() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    disk.set_faults(Faults { syncs_wait: true, ..Faults::default() });
    let writing = append(&log, 0, 100, Urgency::Promise);
    wait_until(|| log.stats().writes > 0);
    let pending = append(&log, 1, 10_000, Urgency::Promise);
    assert!(log.durable_position() <= writing);
    assert!(log.backlog_bytes() > 10_000 && !log.is_backlogged());
    for (number, at) in [(0, writing), (1, pending)] {
        let record = log.read(at).unwrap();
        common::check(record.header, &record.payload);
        assert_eq!(record.header.index, number);
    }
    assert_eq!(log.read_many(&[pending, writing]).len(), 2);
    disk.set_faults(Faults::default());
    wait_until(|| log.durable_position() > pending);
}

#[test]
fn lazy_records_are_written_soon_but_wait_for_a_promise_to_be_durable() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    let syncs = disk.syncs();
    let at = append(&log, 0, 100, Urgency::Lazy);
    wait_until(|| log.backlog_bytes() == 0);
    assert!(log.durable_position() <= at && disk.syncs() == syncs);
    append_durably(&log, 1, 100);
    assert!(log.durable_position() > at);
}

#[test]
fn a_segment_stays_until_what_replaced_its_records_is_on_the_disk() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    let old = append_durably(&log, 0, 100);
    log.retain(reference(old, 100), 1);
    for i in 1..60 {
        append_durably(&log, i, 100);
    }
    snapshot(&log, b"refers to the old");
    disk.set_faults(Faults { syncs_left: Some(0), ..Faults::default() });
    let moved = append(&log, 60, 100, Urgency::Lazy);
    log.retain(reference(moved, 100), 1);
    log.release(reference(old, 100));
    let from = log.begin_snapshot();
    assert!(log.store_snapshot(from, log.end(), b"refers to the new").is_err());
    disk.power_cut();
    drop(log);
    let log = open(&disk).unwrap();
    assert_eq!(log.snapshot().unwrap().unwrap().state, b"refers to the old");
    log.recover(&mut |_, _, _| {}).unwrap();
    assert_eq!(log.read(old).unwrap().header.index, 0);
}

#[test]
fn nothing_is_changed_in_the_directory_once_the_journal_is_closed() {
    let disk = FaultyDisk::new(1);
    let log = fresh(&disk);
    let from = log.begin_snapshot();
    log.close().unwrap();
    let files = disk.files();
    assert!(matches!(log.store_snapshot(from, log.end(), b""), Err(Error::Closed)));
    assert_eq!(disk.files(), files);
}
