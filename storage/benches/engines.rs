//! The storage engines side by side, and what the disk itself can do.
//!
//! The work is that of a queue: a batch of records is appended and has to be durable, then read, then
//! released; snapshots are stored when the engine wants them. CPU is that of the whole process.
//!
//! ```sh
//! cargo bench -p leveret-storage --features sled --bench engines [-- DIRECTORY]
//! ```
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use leveret_core::{Position, RecordHeader, Reference};
use leveret_storage::{
    Log, LogConfig, Memory, Part, Payload, Sled, SledConfig, Storage, SyncPolicy, Urgency,
};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};

/// How a queue is used.
struct Load {
    name: &'static str,
    batch: usize,
    bytes: usize,
    /// Batches that wait before the oldest is read and released.
    depth: usize,
    batches: usize,
}

const LOADS: [Load; 3] = [
    Load { name: "1 KiB, batches of 1", batch: 1, bytes: 1024, depth: 1, batches: 2_000 },
    Load { name: "1 KiB, batches of 100", batch: 100, bytes: 1024, depth: 1, batches: 1_000 },
    Load {
        name: "100 B, batches of 1,000, depth 100,000",
        batch: 1000,
        bytes: 100,
        depth: 100,
        batches: 500,
    },
];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match &arguments[..] {
        [dir, engine, load] => {
            one(Path::new(dir), engine, &LOADS[load.parse::<usize>().expect("a number")])
        }
        [dir] => all(Path::new(dir)),
        _ => all(Path::new("target/bench-engines")),
    }
}

/// Each engine under each load, in a process of its own.
fn all(dir: &Path) {
    println!("fdatasync of 4 KiB: {} per second", fdatasync_rate(dir));
    println!("per record: wall clock, CPU; resident and on disk at the end");
    for (number, load) in LOADS.iter().enumerate() {
        println!("{}", load.name);
        for engine in ["memory", "log", "log, never synced", "sled"] {
            clear(&dir.join("data"));
            let program = std::env::current_exe().expect("it has a path");
            let mut command = Command::new(program);
            command.arg(dir).arg(engine).arg(number.to_string());
            assert!(command.status().expect("it starts").success());
        }
    }
    clear(dir);
}

fn one(dir: &Path, engine: &str, load: &Load) {
    let dir = dir.join("data");
    let storage = open(engine, &dir);
    println!("  {engine:<18} {}", measure(storage.as_ref(), load, &dir));
    storage.close().expect("it closes");
}

fn open(engine: &str, dir: &Path) -> Box<dyn Storage> {
    let mut log = LogConfig::new(dir);
    let storage: Box<dyn Storage> = match engine {
        "memory" => Box::new(Memory::new()),
        "sled" => Box::new(Sled::open(SledConfig::new(dir)).expect("sled opens")),
        engine => {
            if engine.contains("never") {
                log.sync = SyncPolicy::Never;
            }
            Box::new(Log::open(log).expect("the log opens"))
        }
    };
    storage.recover(&mut |_, _, _| {}).expect("there is nothing to recover");
    storage
}

fn measure(storage: &dyn Storage, load: &Load, dir: &Path) -> String {
    let payload = vec![7; load.bytes];
    let runtime = Builder::new_current_thread().build().expect("a runtime starts");
    let (started, cpu) = (Instant::now(), cpu_time());
    let mut waiting: Vec<Vec<Position>> = Vec::new();
    for number in 0..load.batches {
        waiting.push(append(&runtime, storage, load, number, &payload));
        if waiting.len() > load.depth {
            settle(storage, &waiting.remove(0), load.bytes);
        }
        if number % 50 == 0 && storage.wants_snapshot() {
            let from = storage.begin_snapshot();
            storage.store_snapshot(from, storage.end(), b"").expect("it is stored");
        }
    }
    let records = (load.batches * load.batch) as f64;
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / records;
    format!(
        "{:>8.2} µs {:>8.2} µs {:>6} MiB {:>6} MiB",
        micros(started.elapsed()),
        micros(cpu_time() - cpu),
        resident_bytes() >> 20,
        disk_bytes(dir) >> 20
    )
}

fn append(
    runtime: &Runtime,
    storage: &dyn Storage,
    load: &Load,
    number: usize,
    payload: &[u8],
) -> Vec<Position> {
    let mut at = Vec::with_capacity(load.batch);
    for i in 0..load.batch {
        let index = (number * load.batch + i) as u64;
        let header = RecordHeader { kind: 1, shard: 1, term: 1, index, timestamp_ms: 0 };
        let urgency = if i + 1 == load.batch { Urgency::Promise } else { Urgency::Lazy };
        at.push(storage.append(header, Payload::new(&[Part::Copied(payload)]), urgency));
    }
    at.iter().for_each(|at| storage.retain(Reference::new(*at, payload.len(), 1), 1));
    let last = at[at.len() - 1];
    let mut durable = storage.durable();
    let reached = runtime.block_on(durable.wait_for(|durability| durability.through > last));
    drop(reached.expect("the engine is there"));
    at
}

fn settle(storage: &dyn Storage, at: &[Position], len: usize) {
    for record in storage.read_many(at) {
        assert_eq!(record.expect("it is there").payload.len(), len);
    }
    at.iter().for_each(|at| storage.release(Reference::new(*at, len, 1)));
}

fn fdatasync_rate(dir: &Path) -> u64 {
    clear(dir);
    fs::create_dir_all(dir).expect("the directory is made");
    let file = File::create(dir.join("file")).expect("the file is made");
    let (started, mut syncs) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(2) {
        file.write_all_at(&[1; 4096], 4096 * (syncs % 1024)).expect("it is written");
        file.sync_data().expect("it is synced");
        syncs += 1;
    }
    syncs / 2
}

fn clear(dir: &Path) {
    if dir.exists() {
        fs::remove_dir_all(dir).expect("it is ours");
    }
}

fn disk_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => disk_bytes(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
