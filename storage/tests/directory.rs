//! The data directory on a real disk: lock, identity, what an operator is told.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::fs;
use std::path::Path;

use common::{append_durably, numbers, recover, reference, small, snapshot};
use leveret_storage::{Error, Log, Snapshot, Storage};

fn start(dir: &Path) -> Log {
    let log = Log::open(small(dir)).unwrap();
    recover(&log).unwrap();
    log
}

#[test]
fn a_second_process_is_told_who_has_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("deep/down");
    let log = start(&dir);
    let error = Log::open(small(&dir)).unwrap_err();
    let pid = std::process::id().to_string();
    assert!(matches!(&error, Error::InUse { pid: found, .. } if *found == pid));
    assert!(error.to_string().contains("is in use by another leveret"), "{error}");
    drop(log);
    start(&dir).close().unwrap();
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Log::open(small(file.join("data"))).unwrap_err();
    assert!(matches!(error, Error::Directory { .. }));
    assert!(error.to_string().contains("file/data cannot be used"), "{error}");
}

#[test]
fn a_newer_or_foreign_identity_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path()).close().unwrap();
    let identity = folder.path().join("identity");
    let text = fs::read_to_string(&identity).unwrap();
    fs::write(&identity, text.replace("format 2", "format 3")).unwrap();
    let error = Log::open(small(folder.path())).unwrap_err();
    assert!(matches!(error, Error::NewerFormat { found: 3, supported: 2, .. }));
    assert!(error.to_string().contains("start the newer version again"), "{error}");
    fs::write(&identity, "hello").unwrap();
    assert!(matches!(Log::open(small(folder.path())), Err(Error::Identity { .. })));
}

#[test]
fn records_snapshots_and_the_clean_stop_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(small(folder.path())).unwrap();
    assert!(recover(&log).unwrap().0.clean, "a new directory");
    for i in 0..100 {
        append_durably(&log, i, 100);
    }
    log.close().unwrap();
    drop(log);
    let log = Log::open(small(folder.path())).unwrap();
    let (report, found) = recover(&log).unwrap();
    assert!(report.clean && numbers(&found) == (0..100).collect::<Vec<_>>());
    assert_eq!((report.records, report.bytes, report.torn_bytes), (100, 10_000, 0));
    log.retain(reference(found[50].0, 100), 1);
    let from = snapshot(&log, b"state");
    append_durably(&log, 100, 100);
    drop(log);
    let log = Log::open(small(folder.path())).unwrap();
    let state = b"state".to_vec();
    assert_eq!(log.snapshot().unwrap(), Some(Snapshot { at: from, from, state }));
    let (report, later) = recover(&log).unwrap();
    assert_eq!((report.clean, numbers(&later)), (false, vec![100]));
    assert_eq!(log.read(found[50].0).unwrap().header.index, 50);
}

#[test]
fn files_that_were_being_written_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let leftover = folder.path().join("0000000000000020.snapshot.1-1.tmp");
    fs::write(&leftover, "half").unwrap();
    start(folder.path());
    assert!(!leftover.exists());
}

#[test]
fn a_lost_identity_costs_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    append_durably(&log, 0, 100);
    drop(log);
    fs::remove_file(folder.path().join("identity")).unwrap();
    let log = Log::open(small(folder.path())).unwrap();
    assert_eq!(numbers(&recover(&log).unwrap().1), [0]);
    let at = append_durably(&log, 1, 100);
    assert_eq!(log.read(at).unwrap().header.index, 1);
    drop(log);
    let log = Log::open(small(folder.path())).unwrap();
    assert_eq!(numbers(&recover(&log).unwrap().1), [0, 1]);
}

#[test]
fn a_directory_of_another_engine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path()).close().unwrap();
    let identity = folder.path().join("identity");
    let text = fs::read_to_string(&identity).unwrap();
    fs::write(&identity, text.replace("engine log", "engine sled")).unwrap();
    let error = Log::open(small(folder.path())).unwrap_err();
    assert!(error.to_string().contains("configure sled"), "{error}");
}
