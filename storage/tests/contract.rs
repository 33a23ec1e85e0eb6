//! The contract of `Storage`, run over every engine.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::time::Duration;

use bytes::Bytes;
#[cfg(feature = "sled")]
use common::sled_config;
use common::{append, append_durably, header, payload, small, wait_until, with_sync};
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
            Err(error) => assert!(matches!(error, Error::Damaged { at: p } if p == at)),
        }
    }
    assert_eq!(read.iter().filter(|record| record.is_err()).count(), 1);
}

fn segments_go_from_the_front_when_dead_and_before_the_snapshot(storage: &dyn Storage) {
    let positions: Vec<_> = (0..200).map(|i| append(storage, i, 100, Urgency::Lazy)).collect();
    positions.iter().for_each(|at| storage.retain(*at, 2));
    append_durably(storage, 200, 100);
    let before = storage.stats().segments;
    assert!(before > 3);
    let release = |range: std::ops::Range<usize>| {
        positions[range].iter().for_each(|at| storage.release(*at));
    };
    release(0..200);
    release(1..150);
    storage.store_snapshot(storage.end(), b"state").unwrap();
    assert_eq!(storage.stats().segments, before, "one live record keeps everything behind it");
    assert!(!storage.wants_snapshot());
    release(0..1);
    wait_until(|| storage.segments()[0].live > 0);
    assert!(storage.stats().segments < before);
    assert!(matches!(storage.read(positions[0]), Err(Error::Gone { .. })));
    (150..200).for_each(|i| assert!(storage.read(positions[i]).is_ok()));
    let oldest = storage.segments()[0];
    assert!(oldest.base <= positions[150] && positions[150] < oldest.end);
}

fn nothing_goes_without_a_snapshot(storage: &dyn Storage) {
    assert!(storage.snapshot().unwrap().is_none());
    let middle = (0..100).map(|i| append(storage, i, 100, Urgency::Lazy)).nth(50).unwrap();
    append_durably(storage, 100, 100);
    let before = storage.stats().segments;
    assert!(storage.wants_snapshot(), "dead segments wait for one");
    storage.store_snapshot(middle, b"half").unwrap();
    assert_eq!(storage.snapshot().unwrap(), Some((middle, b"half".to_vec())));
    wait_until(|| storage.stats().segments < before);
    assert!(storage.read(middle).is_ok(), "what the snapshot does not cover stays");
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
    segments_go_from_the_front_when_dead_and_before_the_snapshot,
    nothing_goes_without_a_snapshot,
    after_close_appends_are_dropped_and_reads_still_work,
    appends_from_many_threads_all_arrive,
}
