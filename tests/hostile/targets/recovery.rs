//! A journal and a snapshot that hold anything, with the right checksums: a broker starts with what it
//! can use, answers, stops, and can be started again.
//!
//! ```text
//! how │ record │ record │ …
//! record:  kind │ length, 2 octets │ payload
//! ```
//! If `how` is odd, the second half of the records is the state of a snapshot, else all of them are in
//! the journal.

use std::sync::Arc;

use leveret::config::ByteSize;
use leveret::{Broker, Config};
use leveret_core::RecordHeader;
use leveret_storage::faulty::FaultyDisk;
use leveret_storage::{Log, LogConfig, Part, Payload, Storage, Urgency};
use tokio::runtime::Builder;

use super::site;

pub fn run(octets: &[u8]) {
    let Some((&how, rest)) = octets.split_first() else { return };
    let (disk, records) = (FaultyDisk::new(1), records(rest));
    write(&disk, &records, how & 1 != 0);
    start(&disk);
    start(&disk);
}

fn records(mut rest: &[u8]) -> Vec<(u8, &[u8])> {
    let mut records = Vec::new();
    while let [kind, low, high, after @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(after.len());
        records.push((*kind, &after[..len]));
        rest = &after[len..];
    }
    records
}

fn write(disk: &FaultyDisk, records: &[(u8, &[u8])], has_snapshot: bool) {
    let log = open(disk);
    log.recover(&mut |_, _, _| {}).expect("the disk is empty");
    let in_journal = if has_snapshot { records.len() / 2 } else { records.len() };
    let (journal, snapshot) = records.split_at(in_journal);
    for (index, (kind, payload)) in (1..).zip(journal) {
        let header = RecordHeader { kind: *kind, shard: 0, term: 1, index, timestamp_ms: 1 };
        log.append(header, Payload::new(&[Part::Copied(payload)]), Urgency::Lazy);
    }
    if has_snapshot {
        let from = log.begin_snapshot();
        log.store_snapshot(from, log.end(), &state(snapshot)).expect("the disk has room");
    }
    log.close().expect("the disk works");
}

/// The records as a snapshot has them: kind, length in four octets, payload.
fn state(records: &[(u8, &[u8])]) -> Vec<u8> {
    let one = |(kind, payload): &(u8, &[u8])| {
        [&[*kind][..], &(payload.len() as u32).to_le_bytes(), payload].concat()
    };
    records.iter().flat_map(one).collect()
}

/// Starts a broker, asks it something and stops it.
fn start(disk: &FaultyDisk) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let log: Arc<dyn Storage> = Arc::new(open(disk));
        let config = Config {
            shards: 2,
            disk_free_min: ByteSize(0),
            memory_max: ByteSize(u64::MAX),
            ..Config::local("not-used")
        };
        let broker = Broker::start_with(config, log).await;
        let broker = broker.expect("no record keeps a broker from starting");
        let alive = site::ask(broker.http_address(), b"GET /api/queues HTTP/1.0\r\n\r\n", false);
        assert!(alive.await.is_some_and(|answer| answer.status == 401), "it does not answer");
        broker.shutdown().await.expect("a broker stops");
    })
}

fn open(disk: &FaultyDisk) -> Log {
    let mut config = LogConfig::new("/data");
    config.segment_bytes = 4096;
    Log::open_on(disk.mount(), config).expect("nothing is damaged")
}
