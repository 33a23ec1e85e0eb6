//! The journal: a record is put together, checksummed and appended, and released again. The thread
//! that writes it to the disk is not counted. The working directory is where it is.

use std::hint::black_box;

use leveret_core::{RecordHeader, Reference};
use leveret_storage::{Log, LogConfig, Part, Payload, Storage, SyncPolicy, Urgency};

use super::{Case, Work};

pub const CASES: &[Case] = &[
    Case { name: "log_append_100_bytes", messages: RECORDS, prepare: || append(100) },
    Case { name: "log_append_1_kib", messages: RECORDS, prepare: || append(1024) },
];

fn append(len: usize) -> Work {
    let mut config = LogConfig::new("journal");
    config.sync = SyncPolicy::Never;
    let log = Log::open(config).expect("the directory is new");
    log.recover(&mut |_, _, _| {}).expect("it is empty");
    let (payload, mut index) = (vec![b'x'; len], 0);
    Box::new(move || {
        for _ in 0..RECORDS {
            index += 1;
            let header = RecordHeader { kind: 2, shard: 1, term: 1, index, timestamp_ms: 0 };
            let parts = [Part::Copied(black_box(&payload))];
            let at = log.append(header, Payload::new(&parts), Urgency::Lazy);
            let reference = Reference::new(at, len, 1);
            log.retain(reference, 1);
            log.release(reference);
        }
    })
}

const RECORDS: u64 = 500;
