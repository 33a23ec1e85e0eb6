//! Crashes at every step, by seed: what was promised is there, what is there was appended, in order
//! and without a gap, and the next crash does not bring anything back.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeMap;

use common::{DIR, append, numbers, wait_until, with_sync};
use leveret_core::{Position, Reference};
use leveret_storage::faulty::{Faults, FaultyDisk};
use leveret_storage::{Error, Log, LogConfig, Storage, SyncPolicy, Urgency};

/// One node through several crashes, with what it should remember.
struct Node {
    disk: FaultyDisk,
    config: LogConfig,
    seed: u64,
    next: u64,
    /// All records that the next recovery may find, from the newest snapshot on.
    history: Vec<(Position, u64)>,
    /// Everything before it has to be there.
    promised: Position,
    /// References, with the number of the record.
    live: BTreeMap<Reference, u64>,
    /// The last snapshot that was stored, and those of which it is not known.
    snapshots: Vec<Option<Position>>,
    /// Segments that rewrites have replaced.
    rewritten: usize,
}

impl Node {
    fn new(seed: u64, sync: SyncPolicy) -> Self {
        let mut config = with_sync(sync);
        config.rewrite_bytes_per_second = u64::MAX;
        let disk = FaultyDisk::new(seed);
        let (history, live, snapshots) = (Vec::new(), BTreeMap::new(), vec![None]);
        let promised = Position(0);
        Self { disk, config, seed, next: 0, history, promised, live, snapshots, rewritten: 0 }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
        (self.seed >> 33) % limit
    }

    fn switch_off_after(&mut self, steps: u64) {
        let off_after = Some(1 + self.below(steps));
        let short_writes = self.below(4) == 0;
        self.disk.set_faults(Faults { off_after, short_writes, ..Faults::default() });
    }

    fn crash(&mut self, power_cut: bool) {
        if power_cut { self.disk.power_cut() } else { self.disk.kill() }
    }

    /// Opens and recovers, and checks what is found: what the snapshot refers to, and all records
    /// behind it.
    fn start(&mut self) -> Result<Log, Error> {
        let log = Log::open_on(self.disk.mount(), self.config.clone())?;
        let snapshot = log.snapshot()?;
        let from = snapshot.as_ref().map(|snapshot| snapshot.from);
        assert!(self.snapshots.contains(&from), "{from:?} of {:?}", self.snapshots);
        let referred = snapshot.map(|snapshot| decode(&snapshot.state)).unwrap_or_default();
        for (reference, number) in &referred {
            match log.read(reference.at) {
                Err(error @ Error::Io { .. }) => return Err(error),
                read => assert_eq!(read.unwrap().header.index, *number),
            }
        }
        let mut found = Vec::new();
        let report = log.recover(&mut |at, header, payload| {
            common::check(header, &payload);
            found.push((at, header.index));
        })?;
        assert_eq!(report.damaged, 0, "a crash damages nothing");
        assert_eq!(report.records, found.len() as u64);
        let from = from.unwrap_or_default();
        assert!(found.iter().all(|(at, _)| *at >= from));
        self.live.retain(|reference, _| reference.at >= from || referred.contains_key(reference));
        self.snapshots = vec![Some(from).filter(|from| from.0 > 0)];
        self.history.retain(|(at, _)| *at >= from);
        self.learn(&log, found)?;
        self.live.keys().for_each(|reference| log.retain(*reference, 1));
        Ok(log)
    }

    fn learn(&mut self, log: &Log, found: Vec<(Position, u64)>) -> Result<(), Error> {
        let promised = self.history.partition_point(|(at, _)| *at < self.promised);
        assert!(found.len() >= promised, "found {} of {promised} promised", found.len());
        assert_eq!(self.history.get(..found.len()), Some(&found[..]), "a prefix survives");
        let lost = self.history.split_off(found.len());
        self.live.retain(|reference, _| lost.iter().all(|(at, _)| *at != reference.at));
        for (reference, number) in &self.live {
            match log.read(reference.at) {
                Err(error @ Error::Io { .. }) => return Err(error),
                read => assert_eq!(read.unwrap().header.index, *number),
            }
        }
        self.promised = log.durable_position();
        assert!(found.last().is_none_or(|(last, _)| *last < self.promised));
        Ok(())
    }

    /// Appends, releases and takes snapshots until it is enough or the machine goes off.
    fn work(&mut self, log: &Log) {
        let mut durable = log.durable();
        for _ in 0..self.below(120) {
            match self.below(20) {
                0 => _ = self.snapshot(log),
                5 => self.rewrite(log),
                1..4 => self.release(log),
                4 => wait_until(|| {
                    let durability = durable.borrow_and_update();
                    durability.failed.is_some() || durability.through >= self.promised
                }),
                step => self.append(log, step),
            }
        }
        if self.below(2) == 0 {
            let at = append(log, self.next, 8, Urgency::Promise);
            self.note(log, at, 8);
            wait_until(|| log.durable_position() > at || durable.borrow().failed.is_some());
        }
        self.promised = log.durable_position();
    }

    fn append(&mut self, log: &Log, step: u64) {
        let len = 8 + self.below(if step == 19 { 9000 } else { 300 }) as usize;
        let urgency = if step.is_multiple_of(2) { Urgency::Promise } else { Urgency::Lazy };
        let at = append(log, self.next, len, urgency);
        self.note(log, at, len);
    }

    fn note(&mut self, log: &Log, at: Position, len: usize) {
        let reference = common::reference(at, len);
        log.retain(reference, 1);
        self.live.insert(reference, self.next);
        self.history.push((at, self.next));
        self.next += 1;
    }

    /// Releases the oldest, or here and there.
    fn release(&mut self, log: &Log) {
        for _ in 0..self.below(12) {
            let places = if self.below(2) == 0 { 1 } else { self.live.len() as u64 };
            let pick = self.below(places.max(1)) as usize;
            if let Some(reference) = self.live.keys().nth(pick).copied() {
                self.live.remove(&reference);
                log.release(reference);
            }
        }
    }

    fn snapshot(&mut self, log: &Log) -> bool {
        let from = log.begin_snapshot();
        let stored = log.store_snapshot(from, log.end(), &encode(&self.live));
        match stored {
            Ok(()) => self.snapshots = vec![Some(from)],
            Err(_) => self.snapshots.push(Some(from)),
        }
        stored.is_ok()
    }

    fn rewrite(&mut self, log: &Log) {
        if !self.snapshot(log) {
            return;
        }
        while let Some(plan) = log.plan_rewrite() {
            let live: Vec<_> = self.live.keys().map(|reference| reference.at).collect();
            if self.below(3) == 0 {
                self.append(log, 6);
            }
            if !self.snapshot(log) {
                return;
            }
            let Ok(rewritten) = log.rewrite(plan, &live) else { return };
            assert!(rewritten.bytes_after < rewritten.bytes_before, "{rewritten:?}");
            self.rewritten += rewritten.segments;
        }
    }
}

/// A snapshot holds what is live.
fn encode(live: &BTreeMap<Reference, u64>) -> Vec<u8> {
    let numbers = live.iter().flat_map(|(reference, number)| {
        [reference.at.0, reference.bytes.into(), *number].map(u64::to_le_bytes)
    });
    numbers.flatten().collect()
}

fn decode(state: &[u8]) -> BTreeMap<Reference, u64> {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let entries = state.chunks_exact(24).map(|entry| {
        let at = Position(number(&entry[..8]));
        (Reference { at, bytes: number(&entry[8..16]) as u32 }, number(&entry[16..]))
    });
    entries.collect()
}

#[test]
fn nothing_promised_is_lost_and_nothing_lost_comes_back_after_power_cuts() {
    let mut rewritten = 0;
    for seed in 0..600 {
        let mut node = Node::new(seed, SyncPolicy::Always);
        for _ in 0..6 {
            let starts_badly = node.below(3) == 0;
            if starts_badly {
                node.switch_off_after(20);
            }
            match node.start() {
                Ok(log) => {
                    node.switch_off_after(80);
                    node.work(&log);
                    let power_cut = node.below(4) > 0;
                    node.crash(power_cut);
                }
                Err(_) => {
                    assert!(starts_badly, "seed {seed}");
                    node.crash(true);
                }
            }
        }
        node.start().unwrap().close().unwrap();
        let found = node.history.clone();
        node.start().unwrap();
        assert_eq!(numbers(&node.history), numbers(&found), "a clean stop keeps everything");
        rewritten += node.rewritten;
    }
    assert!(rewritten > 100, "{rewritten} segments were rewritten");
}

#[test]
fn what_was_written_survives_a_killed_process_under_every_sync_policy() {
    let interval = SyncPolicy::Interval(std::time::Duration::from_millis(1));
    for seed in 0..100 {
        for sync in [SyncPolicy::Always, interval, SyncPolicy::Never] {
            let mut node = Node::new(seed, sync);
            for _ in 0..3 {
                let log = node.start().unwrap();
                node.work(&log);
                node.crash(false);
            }
            node.start().unwrap();
        }
    }
}

#[test]
fn what_a_killed_process_left_is_on_the_disk_after_the_next_start() {
    for seed in 0..50 {
        let mut node = Node::new(seed, SyncPolicy::Never);
        let log = node.start().unwrap();
        node.work(&log);
        node.crash(false);
        drop(node.start().unwrap());
        node.crash(true);
        node.start().unwrap();
    }
}

#[test]
fn starts_without_records_leave_one_segment() {
    let disk = FaultyDisk::new(3);
    for _ in 0..5 {
        drop(common::fresh(&disk));
        disk.power_cut();
    }
    common::fresh(&disk).close().unwrap();
    drop(common::fresh(&disk));
    assert_eq!(common::segment_files(&disk).len(), 1);
    assert!(disk.files().iter().all(|path| path.starts_with(DIR)));
}
