//! Start, snapshots and rewrites, as the server does them.

use leveret_core::record::{Kind, Record, write};
use leveret_core::{PageEntries, Position, Reference, RestoreFrom, ShardId};
use leveret_storage::{Error, Log, Storage};

use super::node::{Node, QUEUES, Shard, Stopped};

impl Node {
    /// Takes the newest snapshot and replays what came after it.
    pub(super) fn recover(&mut self) -> Result<(), Stopped> {
        let Node { log, shards, seen, .. } = self;
        let snapshot = log.snapshot()?;
        for record in snapshot.map(|snapshot| records(snapshot.state)).unwrap_or_default() {
            match record {
                Record::Queue { queue, as_of, state } => {
                    let shard = &mut shards[queue.0 as usize - 1];
                    let Shard { state: queues, fx } = shard;
                    let journal = &mut Journal(log);
                    let restored = queues.restore(queue, (as_of, &state), journal, fx).unwrap();
                    seen.restored += 1;
                    assert_eq!(restored, Default::default(), "what a snapshot refers to is there");
                    shard.settle_references(log)?;
                }
                Record::Packets { shard, as_of, packets } => {
                    let shard = &mut shards[usize::from(shard.0) - 1];
                    shard.state.restore_packets(as_of, packets, &mut shard.fx);
                    shard.settle_references(log)?;
                }
                other => panic!("{other:?} in a snapshot"),
            }
        }
        let mut stopped = Ok(());
        let report = log.recover(&mut |at, header, payload| {
            let record = Record::decode(header.kind, &payload).expect("a crash damages nothing");
            if matches!(record, Record::Body(_)) {
                return;
            }
            let shard = &mut shards[usize::from(header.shard)];
            shard.state.replay(at, record, &mut |at| read(log, at), &mut shard.fx);
            if let Err(error) = shard.settle_references(log) {
                stopped = Err(error);
            }
        })?;
        assert_eq!(report.damaged, 0, "a crash damages nothing");
        stopped
    }

    /// Gives space back. It may fail with the disk.
    pub fn reclaim(&mut self, always: bool) -> Result<(), Error> {
        if always || self.log.wants_snapshot() {
            self.snapshot()?;
        }
        while let Some(plan) = self.log.plan_rewrite() {
            let range = plan.range();
            let mut live = self.live_positions()?;
            live.retain(|at| range.contains(at));
            self.snapshot()?;
            let rewritten = self.log.rewrite(plan, &live)?;
            self.seen.rewritten += rewritten.segments;
            assert!(rewritten.segments > 0 && rewritten.bytes_after < rewritten.bytes_before);
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<(), Error> {
        let from = self.log.begin_snapshot();
        let as_of = self.log.end();
        let mut state = Vec::new();
        for (number, queue) in QUEUES.into_iter().enumerate() {
            let packets = self.shards[number].state.recorded_packets();
            put(&mut state, Kind::Packets, |out| {
                write::packets(out, ShardId(number as u16 + 1), as_of, &packets);
            });
            let queues = self.shard(queue).state.queue(queue).unwrap();
            put(&mut state, Kind::Queue, |out| {
                write::queue(out, queue, as_of);
                queues.write_state(out);
            });
        }
        self.log.store_snapshot(from, self.log.end(), &state)
    }

    fn live_positions(&mut self) -> Result<Vec<Position>, Error> {
        let mut live = Vec::new();
        let mut pages = Vec::new();
        for queue in QUEUES {
            let shard = self.shard(queue);
            live.extend(shard.state.recorded_packets().iter().map(|packet| packet.at.at));
            let queue = shard.state.queue(queue).unwrap();
            queue.references(|at| live.push(at));
            pages.extend(queue.pages_about(Position(0), Position(u64::MAX)));
        }
        for page in pages {
            let record = self.log.read(page)?;
            let Ok(Record::Page { entries, .. }) =
                Record::decode(record.header.kind, &record.payload)
            else {
                panic!("no page at {page:?}")
            };
            live.extend(PageEntries::positions(&entries).unwrap());
        }
        Ok(live)
    }
}

struct Journal<'a>(&'a Log);

impl RestoreFrom for Journal<'_> {
    fn read(&mut self, at: Position) -> Option<Record> {
        read(self.0, at)
    }

    fn retain(&mut self, reference: Reference) {
        self.0.retain(reference, 1);
    }
}

fn read(log: &impl Storage, at: Position) -> Option<Record> {
    let record = log.read(at).ok()?;
    Some(Record::decode(record.header.kind, &record.payload).unwrap())
}

/// A record of a snapshot: kind, length, payload.
fn put(state: &mut Vec<u8>, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
    let mut payload = Vec::new();
    write(&mut payload);
    state.push(kind as u8);
    state.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    state.append(&mut payload);
}

fn records(state: Vec<u8>) -> Vec<Record> {
    let mut rest = bytes::Bytes::from(state);
    let mut records = Vec::new();
    while !rest.is_empty() {
        let head = rest.split_to(5);
        let len = u32::from_le_bytes(head[1..].try_into().unwrap()) as usize;
        records.push(Record::decode(head[0], &rest.split_to(len)).unwrap());
    }
    records
}
