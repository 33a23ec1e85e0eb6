//! The contract of `Storage`, run over every engine.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
#[cfg(feature = "sled")]
use common::sled_config;
use common::{
    append, append_durably, header, payload, reference, small, snapshot, wait_until, with_sync,
};
use leveret_core::Position;
#[cfg(feature = "sled")]
use leveret_storage::Sled;
use leveret_storage::faulty::{Faults, FaultyDisk};
use leveret_storage::{Error, Log, Memory, Part, Payload, Storage, SyncPolicy, Urgency};

fn a_record_is_read_back_at_its_position(storage: &dyn Storage) {
    let positions: Vec<_> =
        (0..50).map(|i| append(storage, i, 8 + i as usize * 7, Urgency::Lazy)).collect();
    assert!(positions.is_sorted(), "positions grow");
    for (i, at) in positions.iter().enumerate() {
        let record = storage.read(*at).unwrap();
        assert_eq!((record.at, record.header), (*at, header(i as u64)));
        assert_eq!(record.payload[..], payload(i as u64, 8 + i * 7));
    }
}

fn parts_are_concatenated(storage: &dyn Storage) {
    let large = Bytes::from(vec![9; 20_000]);
    let parts = [Part::Copied(b"ab"), Part::Shared(&large), Part::Copied(b""), Part::Copied(b"c")];
    let at = storage.append(header(1), Payload::new(&parts), Urgency::Promise);
    let empty = storage.append(header(2), Payload::new(&[]), Urgency::Promise);
    let expected = [b"ab", &large[..], b"c"].concat();
    assert_eq!(storage.read(at).unwrap().payload[..], expected);
    wait_until(|| storage.durable_position() > empty);
    assert_eq!(storage.read(at).unwrap().payload[..], expected);
    assert_eq!(storage.read(empty).unwrap().payload.len(), 0);
}

fn a_promise_becomes_durable(storage: &dyn Storage) {
    let durable = storage.durable();
    let at = append(storage, 1, 100, Urgency::Promise);
    wait_until(|| durable.borrow().through > at);
    assert!(durable.borrow().failed.is_none());
    assert!(storage.durable_position() > at && storage.durable_position() <= storage.end());
    wait_until(|| storage.backlog_bytes() == 0);
}

fn many_are_read_in_any_order_and_a_wrong_position_costs_itself_only(storage: &dyn Storage) {
    let mut positions: Vec<_> = (0..200).map(|i| append(storage, i, 60, Urgency::Lazy)).collect();
    append_durably(storage, 200, 60);
    positions.swap(3, 150);
    positions.insert(100, Position(positions[0].0 + 1));
    let read = storage.read_many(&positions);
    for (at, record) in positions.iter().zip(&read) {
        match record {
            Ok(record) => assert_eq!((record.at, record.payload.len()), (*at, 60)),
            Err(Error::Damaged { at: p } | Error::Gone { at: p }) => assert_eq!(p, at),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(read.iter().filter(|record| record.is_err()).count(), 1);
}

fn many_are_read_while_they_are_written(storage: &dyn Storage) {
    let is_done = AtomicBool::new(false);
    let appended = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..20_000 {
                let at = append(storage, i, 40, Urgency::Promise);
                storage.retain(reference(at, 40), 1);
                appended.lock().unwrap().push(at);
            }
            is_done.store(true, Ordering::Relaxed);
        });
        while !is_done.load(Ordering::Relaxed) {
            let newest: Vec<_> = {
                let appended = appended.lock().unwrap();
                appended[appended.len().saturating_sub(300)..].to_vec()
            };
            for record in storage.read_many(&newest) {
                record.unwrap();
            }
        }
    });
}

fn segments_go_wherever_they_are_when_nothing_refers_to_them(storage: &dyn Storage) {
    let positions = retained(storage, 200);
    let before = storage.stats().segments;
    assert!(before > 3);
    release(storage, &positions[50..150]);
    assert!(storage.wants_snapshot(), "dead segments wait for one");
    snapshot(storage, b"state");
    assert!(!storage.wants_snapshot());
    assert!(storage.stats().segments < before);
    (0..50).chain(150..200).for_each(|i| assert!(storage.read(positions[i]).is_ok()));
    assert!(matches!(storage.read(positions[100]), Err(Error::Gone { .. })));
    let usage = storage.segments();
    assert!(usage.iter().any(|segment| segment.live == 0) || usage.len() > 2);
    assert!(storage.stats().bytes <= usage.iter().map(|segment| segment.bytes).sum());
}

fn nothing_goes_without_a_snapshot(storage: &dyn Storage) {
    assert!(storage.snapshot().unwrap().is_none());
    let positions = retained(storage, 100);
    release(storage, &positions);
    let before = storage.stats().segments;
    assert!(storage.read(positions[0]).is_ok());
    let from = snapshot(storage, b"half");
    let stored = storage.snapshot().unwrap().unwrap();
    assert_eq!((stored.from, stored.state), (from, b"half".to_vec()));
    assert!(storage.stats().segments < before);
    assert!(storage.read(positions[0]).is_err());
}

fn what_the_newest_snapshot_may_refer_to_stays_until_the_next(storage: &dyn Storage) {
    let positions = retained(storage, 100);
    let from = storage.begin_snapshot();
    release(storage, &positions);
    storage.store_snapshot(from, storage.end(), b"refers to all").unwrap();
    positions.iter().for_each(|at| assert!(storage.read(*at).is_ok()));
    snapshot(storage, b"refers to nothing");
    assert!(storage.read(positions[0]).is_err());
}

fn a_rewrite_keeps_what_is_referred_to(storage: &dyn Storage) {
    let positions = retained(storage, 300);
    let kept: Vec<_> = positions.iter().copied().step_by(10).collect();
    let gone: Vec<_> = positions.iter().copied().filter(|at| !kept.contains(at)).collect();
    release(storage, &gone);
    snapshot(storage, b"");
    let bytes = storage.stats().bytes;
    let (mut late, mut segments) = (Vec::new(), 0);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                let read = storage.read_many(&kept);
                assert!(read.iter().all(|record| record.is_ok()), "reads go on meanwhile");
            }
        });
        while let Some(plan) = storage.plan_rewrite() {
            // Somebody who has the message puts it into another queue.
            let range = plan.range();
            if let Some(at) = gone.iter().find(|at| range.contains(at)) {
                storage.retain(reference(*at, 100), 1);
                late.push(*at);
            }
            snapshot(storage, b"");
            segments += storage.rewrite(plan, &kept).unwrap().segments;
        }
        is_done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    assert!(segments > 3 && !late.is_empty());
    for at in kept.iter().chain(&late) {
        let number = positions.iter().position(|other| other == at).unwrap() as u64;
        let record = storage.read(*at).unwrap();
        assert_eq!((record.at, record.header), (*at, header(number)));
        assert_eq!(record.payload[..], payload(number, 100));
    }
    let usage = storage.segments();
    let last = usage.last().unwrap().base;
    for at in gone.iter().filter(|at| !late.contains(at) && **at < last) {
        assert!(matches!(storage.read(*at), Err(Error::Gone { .. })));
    }
    assert!(storage.stats().bytes * 3 < bytes, "{} of {bytes}", storage.stats().bytes);
}

fn a_rewrite_without_a_newer_snapshot_does_nothing(storage: &dyn Storage) {
    let positions = retained(storage, 100);
    release(storage, &positions[1..]);
    snapshot(storage, b"");
    append_durably(storage, 100, 100);
    let plan = storage.plan_rewrite().unwrap();
    assert_eq!(storage.rewrite(plan.clone(), &[]).unwrap().segments, 0);
    assert!(storage.read(positions[0]).is_ok());
    let newer = storage.plan_rewrite().unwrap();
    snapshot(storage, b"");
    assert!(storage.rewrite(newer, &positions[..1]).unwrap().segments > 0);
    assert_eq!(storage.rewrite(plan, &[]).unwrap().segments, 0, "a plan is carried out once");
    assert!(storage.read(positions[0]).is_ok());
}

/// Steady traffic at a depth of 400 records, of which each waits for a while or for long.
fn space_comes_back_under_steady_traffic(storage: &dyn Storage) {
    let mut live = std::collections::VecDeque::new();
    let mut dice = 1u64;
    let mut below = |limit: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
        (dice >> 33) % limit
    };
    for number in 0..6000 {
        let at = append(storage, number, 100, Urgency::Lazy);
        storage.retain(reference(at, 100), 1);
        live.push_back(at);
        if live.len() > 400 {
            let pick = if below(20) == 0 { below(400) } else { below(40) } as usize;
            storage.release(reference(live.remove(pick).unwrap(), 100));
        }
        if number % 50 == 0 {
            reclaim(storage, live.make_contiguous());
            let stats = storage.stats();
            let most = 2 * stats.live_bytes + 2 * 4096 + 1024;
            assert!(stats.bytes <= most, "{} of {most} bytes at {number}", stats.bytes);
        }
    }
    live.iter().for_each(|at| assert!(storage.read(*at).is_ok()));
}

fn reclaim(storage: &dyn Storage, live: &[Position]) {
    if storage.wants_snapshot() {
        snapshot(storage, b"");
    }
    while let Some(plan) = storage.plan_rewrite() {
        snapshot(storage, b"");
        assert!(storage.rewrite(plan, live).unwrap().segments > 0);
    }
}

/// Appends records of 100 bytes with a reference each, durably, and one more.
fn retained(storage: &dyn Storage, count: u64) -> Vec<Position> {
    let positions: Vec<_> = (0..count).map(|i| append(storage, i, 100, Urgency::Lazy)).collect();
    positions.iter().for_each(|at| storage.retain(reference(*at, 100), 1));
    append_durably(storage, count, 100);
    positions
}

fn release(storage: &dyn Storage, positions: &[Position]) {
    positions.iter().for_each(|at| storage.release(reference(*at, 100)));
}

fn after_close_appends_are_dropped_and_reads_still_work(storage: &dyn Storage) {
    let at = append(storage, 1, 50, Urgency::Lazy);
    storage.close().unwrap();
    storage.close().unwrap();
    assert!(storage.durable_position() > at, "closing makes everything durable");
    assert_eq!(storage.read(at).unwrap().payload[..], payload(1, 50));
    let dropped = append(storage, 2, 50, Urgency::Promise);
    assert!(dropped > at && storage.durable_position() <= dropped);
}

fn appends_from_many_threads_all_arrive(storage: &dyn Storage) {
    let appended = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4u64)
            .map(|thread| {
                let append_one = move |i: u64| {
                    let number = thread * 1000 + i;
                    (append(storage, number, 20, Urgency::Promise), number)
                };
                scope.spawn(move || (0..500).map(append_one).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let last = appended.iter().map(|(at, _)| *at).max().unwrap();
    wait_until(|| storage.durable_position() > last);
    for (at, number) in appended {
        assert_eq!(storage.read(at).unwrap().header.index, number);
    }
    assert_eq!(storage.stats().records, 2000);
}

/// An engine, opened and recovered, with segments of about 4 KiB.
struct Opened {
    storage: Box<dyn Storage>,
    /// Goes after the storage.
    _folder: Option<tempfile::TempDir>,
}

fn opened(storage: impl Storage, folder: Option<tempfile::TempDir>) -> Opened {
    assert!(storage.recover(&mut |_, _, _| {}).unwrap().clean);
    Opened { storage: Box::new(storage), _folder: folder }
}

fn memory() -> Opened {
    opened(Memory::with_segment_bytes(4096), None)
}

fn log_on(faults: Faults, sync: SyncPolicy) -> Opened {
    let disk = FaultyDisk::new(1);
    disk.set_faults(faults);
    opened(Log::open_on(disk.mount(), with_sync(sync)).unwrap(), None)
}

fn log() -> Opened {
    log_on(Faults::default(), SyncPolicy::Always)
}

fn log_synced_at_intervals() -> Opened {
    log_on(Faults::default(), SyncPolicy::Interval(Duration::from_millis(5)))
}

fn log_never_synced() -> Opened {
    log_on(Faults::default(), SyncPolicy::Never)
}

fn log_with_short_writes() -> Opened {
    log_on(Faults { short_writes: true, ..Faults::default() }, SyncPolicy::Always)
}

fn log_in_a_real_directory() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    opened(Log::open(small(folder.path().join("data"))).unwrap(), Some(folder))
}

#[cfg(feature = "sled")]
fn sled() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    opened(Sled::open(sled_config(folder.path())).unwrap(), Some(folder))
}

/// One test per engine for each promise of the contract.
macro_rules! contract {
    ($($promise:ident),* $(,)?) => {
        contract!(@engines [
            memory, log, log_synced_at_intervals, log_never_synced, log_with_short_writes,
            log_in_a_real_directory,
        ] [$($promise),*]);
        #[cfg(feature = "sled")]
        contract!(@engine sled [$($promise),*]);
    };
    (@engines [$($engine:ident,)*] $promises:tt) => {
        $(contract!(@engine $engine $promises);)*
    };
    (@engine $engine:ident [$($promise:ident),*]) => {
        mod $engine {
            $(#[test]
            fn $promise() {
                super::$promise(super::$engine().storage.as_ref());
            })*
        }
    };
}

contract! {
    a_record_is_read_back_at_its_position,
    parts_are_concatenated,
    a_promise_becomes_durable,
    many_are_read_in_any_order_and_a_wrong_position_costs_itself_only,
    many_are_read_while_they_are_written,
    segments_go_wherever_they_are_when_nothing_refers_to_them,
    nothing_goes_without_a_snapshot,
    what_the_newest_snapshot_may_refer_to_stays_until_the_next,
    a_rewrite_keeps_what_is_referred_to,
    a_rewrite_without_a_newer_snapshot_does_nothing,
    space_comes_back_under_steady_traffic,
    after_close_appends_are_dropped_and_reads_still_work,
    appends_from_many_threads_all_arrive,
}
