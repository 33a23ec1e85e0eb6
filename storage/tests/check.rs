//! What a check of a data directory finds, and that it changes nothing.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{append, append_durably, recover, reference, small, snapshot};
use leveret_core::Position;
use leveret_storage::{Checked, Damage, Error, Log, Storage, Urgency};

/// A directory with a rewritten segment, one as written before the snapshot, and more behind it.
fn written(dir: &Path, clean: bool) -> Vec<Position> {
    let log = Log::open(small(dir)).unwrap();
    recover(&log).unwrap();
    let positions: Vec<_> = (0..200).map(|i| append(&log, i, 100, Urgency::Lazy)).collect();
    let kept = |i: &usize| i.is_multiple_of(10) || *i > 100;
    (0..200).filter(kept).for_each(|i| log.retain(reference(positions[i], 100), 1));
    append_durably(&log, 200, 100);
    snapshot(&log, b"state");
    while let Some(plan) = log.plan_rewrite() {
        let live: Vec<_> = (0..200).filter(kept).map(|i| positions[i]).collect();
        snapshot(&log, b"state");
        assert!(log.rewrite(plan, &live).unwrap().segments > 1);
    }
    append_durably(&log, 201, 100);
    if clean {
        log.close().unwrap();
    }
    positions
}

fn check(dir: &Path) -> (Checked, Vec<Damage>) {
    let log = Log::open_read_only(dir).unwrap();
    let (mut damage, mut done) = (Vec::new(), 0);
    let progress = &mut |now: u64, total: u64| {
        assert!(now >= done && now <= total);
        done = now;
    };
    let checked = log.check(progress, &mut |one| damage.push(one)).unwrap();
    assert_eq!(checked.damaged, damage.len() as u64);
    (checked, damage)
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// The segment that begins last at or before a position.
fn segment(dir: &Path, at: Position) -> PathBuf {
    let files = files(dir).into_keys();
    let segments = files.filter(|path| path.extension() == Some("log".as_ref()));
    let base = |path: &PathBuf| {
        u64::from_str_radix(path.file_stem().unwrap().to_str().unwrap(), 16).unwrap()
    };
    segments.filter(|path| base(path) <= at.0).max_by_key(base).unwrap()
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 4;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sound_directory_is_read_and_stays_as_it_is() {
    for clean in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), clean);
        let before = files(folder.path());
        let (checked, damage) = check(folder.path());
        assert_eq!((damage, checked.clean), (vec![], clean));
        assert!(checked.records > 100 && checked.segments > 2, "{checked:?}");
        let log = Log::open_read_only(folder.path()).unwrap();
        let (report, found) = recover(&log).unwrap();
        assert_eq!((report.clean, found.len()), (clean, 1), "what comes after the snapshot");
        assert!(append(&log, 9, 10, Urgency::Promise) > log.end());
        log.close().unwrap();
        assert!(before == files(folder.path()), "nothing has changed");
    }
}

#[test]
fn damage_is_named_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let positions = written(folder.path(), true);
    let rewritten = segment(folder.path(), positions[20]);
    // Behind the header: position, header, payload.
    flip(&rewritten, 32 + 8 + 40 + 5);
    let as_written = segment(folder.path(), positions[150]);
    flip(&as_written, 32 + 144 + 3);
    let (_, damage) = check(folder.path());
    let found: Vec<_> =
        damage.iter().map(|one| (one.file.clone(), one.to.0 - one.from.0)).collect();
    assert_eq!(found, [(rewritten, 144), (as_written, 144)]);
    assert_eq!(damage[0].from, positions[0]);
}

#[test]
fn a_damaged_snapshot_is_named() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), true);
    let is_snapshot = |path: &PathBuf| path.extension() == Some("snapshot".as_ref());
    let newest = files(folder.path()).into_keys().rfind(is_snapshot).unwrap();
    flip(&newest, 41);
    let (_, damage) = check(folder.path());
    assert_eq!(damage[0].file, newest);
    assert_eq!(damage[0].what, "not a whole snapshot");
}

#[test]
fn a_directory_in_use_is_not_checked() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(small(folder.path())).unwrap();
    let error = Log::open_read_only(folder.path()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }));
    drop(log);
    let reader = Log::open_read_only(folder.path()).unwrap();
    assert!(matches!(Log::open(small(folder.path())), Err(Error::InUse { .. })));
    drop(reader);
    let nowhere = Log::open_read_only(folder.path().join("nowhere")).unwrap_err();
    assert!(matches!(nowhere, Error::Directory { .. }));
}
