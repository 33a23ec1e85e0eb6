//! What is written is read back.

use std::collections::BTreeSet;

use bytes::Bytes;
use leveret_core::record::{
    Kind, Record, RecordedPlacement, RecordedWill, RememberedPacket, WillParts, runs_by_queue,
    write,
};
use leveret_core::{
    Body, Draft, EntryIndex, LARGE_BODY_BYTES, Message, Placement, Position, QueueId, Reference,
    ShardId, TopologyCommand,
};
use proptest::collection::vec;
use proptest::prelude::*;
use smallvec::SmallVec;

use super::*;

/// Equal in everything that a reader can ask for; where a small body lies does not matter.
fn assert_same(found: &Message, written: &Message) {
    let parts = |message: &Message| {
        let texts = (message.exchange().to_owned(), message.routing_key().to_owned());
        let bytes = (message.properties().to_vec(), message.body().to_vec());
        (texts, bytes, message.encoding(), message.facts(), message.size_bytes())
    };
    assert_eq!(parts(found), parts(written));
}

fn assert_same_placements(found: &[RecordedPlacement], written: &[Placement]) {
    let parts = |placement: &Placement| {
        let Placement { queue, index, sequence, subscription, retained, .. } = placement.clone();
        (queue, index, sequence, subscription, retained)
    };
    let found: Vec<_> = found
        .iter()
        .map(|placement| {
            assert!(placement.0.durable);
            parts(&placement.0)
        })
        .collect();
    let durable: Vec<_> = written.iter().filter(|placement| placement.durable).map(parts).collect();
    assert_eq!(found, durable);
}

fn decode(kind: Kind, payload: &Bytes) -> Record {
    Record::decode(kind as u8, payload).unwrap()
}

proptest! {
    #[test]
    fn a_publish_survives(message in messages(), origin in origins(), placements in placements()) {
        let bytes = with_message(&message, |out, message| {
            write::publish(out, origin, &placements, message)
        });
        let record = decode(Kind::Publish, &bytes);
        let durable = placements.iter().filter(|p| p.durable).map(|p| p.queue).collect();
        prop_assert_eq!(record.queues(), Some(durable));
        let Record::Publish { origin: found, placements: places, message: back } = record else {
            panic!("another kind")
        };
        prop_assert_eq!(found, origin);
        assert_same_placements(&places, &placements);
        assert_same(&back.into_message().unwrap(), &message);
    }

    #[test]
    fn an_enqueue_survives(origin in origins(), placements in placements(), at in any::<u64>()) {
        let bytes = payload(|out| write::enqueue(out, origin, &placements, Position(at)));
        let Record::Enqueue { origin: found, placements: places, at: position } =
            decode(Kind::Enqueue, &bytes)
        else {
            panic!("another kind")
        };
        prop_assert_eq!((found, position), (origin, Position(at)));
        assert_same_placements(&places, &placements);
    }

    #[test]
    fn a_commit_survives(
        enqueued in vec((placements(), counters()), 0..4),
        settled in vec((any::<u64>(), runs()), 0..4),
    ) {
        let settled: Vec<_> = settled.into_iter().map(|(q, runs)| (QueueId(q), runs)).collect();
        let bytes = payload(|out| {
            let enqueued = enqueued.iter().map(|(places, at)| (&places[..], Position(*at)));
            write::commit(out, enqueued, &settled);
        });
        let record = decode(Kind::Commit, &bytes);
        let durable = enqueued.iter().flat_map(|(places, _)| places).filter(|p| p.durable);
        let queues = durable.map(|p| p.queue).chain(settled.iter().map(|(queue, _)| *queue));
        prop_assert_eq!(record.queues(), Some(queues.collect()));
        let Record::Commit { enqueued: e, settled: s } = record else { panic!("another kind") };
        prop_assert_eq!((e.len(), s), (enqueued.len(), settled));
        for ((found, at), (places, position)) in e.iter().zip(&enqueued) {
            prop_assert_eq!(*at, Position(*position));
            assert_same_placements(found, places);
        }
    }

    #[test]
    fn messages_alone_survive(message in messages(), vhost in "[a-z/é]{0,20}") {
        let bytes = with_message(&message, write::body);
        for kind in [Kind::Body, Kind::Spill] {
            let back = decode(kind, &bytes).into_message().unwrap();
            assert_eq!(back.size_bytes(), message.size_bytes());
            assert_same(&back.into_message().unwrap(), &message);
        }
        let bytes = with_message(&message, |out, message| write::retain(out, &vhost, message));
        let Record::Retain { vhost: found, message: back } = decode(Kind::Retain, &bytes) else {
            panic!("another kind")
        };
        prop_assert_eq!(found, vhost);
        assert_same(&back.into_message().unwrap(), &message);
    }

    #[test]
    fn sessions_survive(
        queue in any::<u64>(),
        away_since_ms in proptest::option::of(any::<u64>()),
        message in messages(),
        times in (any::<u32>(), proptest::option::of(any::<u32>())),
        names in ("[a-z]{0,9}", "[a-zé/]{0,9}"),
    ) {
        let queue = QueueId(queue);
        let bytes = payload(|out| _ = write::session(out, queue, away_since_ms, None));
        let Record::Session(found) = decode(Kind::Session, &bytes) else { panic!("another kind") };
        prop_assert_eq!((found.queue, found.away_since_ms), (queue, away_since_ms));
        prop_assert!(found.will.is_none());
        let bytes = with_message(&message, |out, message| {
            let (delay_s, expiry_s) = times;
            let (user, client_id) = (&*names.0, &*names.1);
            let will = WillParts { delay_s, expiry_s, user, client_id, message };
            // Only the message is borrowed for as long as its body.
            write::session(out, queue, away_since_ms, Some(will)).and(message.large_body())
        });
        let Record::Session(found) = decode(Kind::Session, &bytes) else { panic!("another kind") };
        prop_assert_eq!((found.queue, found.away_since_ms), (queue, away_since_ms));
        let RecordedWill { delay_s, expiry_s, user, client_id, message: back } = found.will.unwrap();
        prop_assert_eq!(((delay_s, expiry_s), (user, client_id)), (times, names));
        assert_same(&back.into_message().unwrap(), &message);
    }

    #[test]
    fn batches_survive(ids in vec(any::<u64>(), 0..5)) {
        let commands: Vec<_> =
            ids.into_iter().map(|id| TopologyCommand::DeleteQueue { id: QueueId(id) }).collect();
        let bytes = payload(|out| write::batch(out, &commands));
        let Record::Batch(found) = decode(Kind::Batch, &bytes) else { panic!("another kind") };
        prop_assert_eq!(found, commands);
    }

    #[test]
    fn runs_survive(queue in any::<u64>(), runs in runs()) {
        let queue = QueueId(queue);
        let bytes = payload(|out| write::runs(out, queue, &runs));
        for kind in [Kind::Settle, Kind::Deliver, Kind::Receive] {
            let record = decode(kind, &bytes);
            prop_assert_eq!(record.queues(), Some(SmallVec::from_elem(queue, 1)));
            let (Record::Settle { queue: found, runs: back }
            | Record::Deliver { queue: found, runs: back }
            | Record::Receive { queue: found, runs: back }) = record
            else {
                panic!("another kind")
            };
            prop_assert_eq!((found, &back), (queue, &runs));
        }
    }

    #[test]
    fn the_small_kinds_survive(
        packet in packets(),
        queue in any::<u64>(),
        before in counters(),
        kept in vec(counters(), 0..20),
        texts in ("[a-zé]{0,9}", "[a-z./]{0,30}"),
    ) {
        let bytes = payload(|out| write::release(out, packet));
        assert!(matches!(decode(Kind::Release, &bytes), Record::Release(found) if found == packet));
        let (queue, before) = (QueueId(queue), EntryIndex(before));
        let kept: Vec<EntryIndex> = kept.into_iter().map(EntryIndex).collect();
        let bytes = payload(|out| write::purge(out, queue, before, &kept));
        let Record::Purge { queue: q, before: b, kept: k } = decode(Kind::Purge, &bytes) else {
            panic!("another kind")
        };
        prop_assert_eq!((q, b, k), (queue, before, kept));
        let bytes = payload(|out| write::unretain(out, &texts.0, &texts.1));
        let Record::Unretain { vhost, key } = decode(Kind::Unretain, &bytes) else {
            panic!("another kind")
        };
        prop_assert_eq!((vhost, key), texts);
    }

    #[test]
    fn the_kinds_of_a_snapshot_survive(
        packets in vec(packets(), 0..5),
        numbers in (any::<u64>(), counters(), 1..=u16::MAX, any::<u32>()),
        texts in ("[a-zé]{0,9}", "[a-z./]{0,30}"),
        state: Vec<u8>,
    ) {
        let (queue, as_of, shard) = (QueueId(numbers.0), Position(numbers.1), ShardId(numbers.2));
        let at = Reference { at: as_of, bytes: numbers.3 };
        let bytes = payload(|out| write::control(out, as_of));
        assert!(matches!(decode(Kind::Control, &bytes), Record::Control(found) if found == as_of));
        let bytes = payload(|out| {
            write::queue(out, queue, as_of);
            out.extend_from_slice(&state);
        });
        let Record::Queue { queue: q, as_of: a, state: s } = decode(Kind::Queue, &bytes) else {
            panic!("another kind")
        };
        prop_assert_eq!((q, a, &s[..]), (queue, as_of, &state[..]));
        let remembered: Vec<RememberedPacket> = packets
            .iter()
            .map(|&packet| RememberedPacket { origin: Origin { packet, shards: 2 }, at })
            .collect();
        let bytes = payload(|out| write::packets(out, shard, as_of, &remembered));
        let Record::Packets { shard: s, as_of: a, packets: p } = decode(Kind::Packets, &bytes) else {
            panic!("another kind")
        };
        prop_assert_eq!((s, a, p), (shard, as_of, remembered));
        let bytes = payload(|out| write::retained(out, &texts.0, &texts.1, at));
        let Record::Retained { vhost, key, at: found } = decode(Kind::Retained, &bytes) else {
            panic!("another kind")
        };
        prop_assert_eq!((vhost, key, found), (texts.0, texts.1, at));
    }

    #[test]
    fn entries_become_the_fewest_runs(entries in vec((0..3u64, 0..60u64), 0..80)) {
        let all: BTreeSet<(QueueId, EntryIndex)> =
            entries.into_iter().map(|(queue, index)| (QueueId(queue), EntryIndex(index))).collect();
        let mut list: Vec<_> = all.iter().rev().copied().collect();
        let queues: Vec<_> = runs_by_queue(&mut list).collect();
        let flat = queues.iter().flat_map(|(queue, runs)| {
            runs.iter().flat_map(|run| run.indexes()).map(|index| (*queue, index))
        });
        prop_assert_eq!(flat.collect::<Vec<_>>(), all.iter().copied().collect::<Vec<_>>());
        for (_, runs) in &queues {
            let gap = |pair: &[Run]| pair[0].first.0 + pair[0].len < pair[1].first.0;
            prop_assert!(runs.windows(2).all(gap));
        }
    }
}

#[test]
fn a_topology_command_survives() {
    let command = TopologyCommand::DeclareVhost { vhost: "café".into() };
    let bytes = payload(|out| write::topology(out, &command));
    let Record::Topology(found) = decode(Kind::Topology, &bytes) else { panic!("another kind") };
    assert_eq!(found.to_json(), command.to_json());
}

#[test]
fn a_large_body_is_appended_and_read_without_a_copy() {
    let body = Bytes::from(vec![7; LARGE_BODY_BYTES]);
    let message = Message::new(Draft {
        exchange: "",
        routing_key: "q",
        encoding: Encoding::None,
        properties: &[],
        body: Body::Owned(body.clone()),
        facts: Facts::default(),
    });
    let mut head = Vec::new();
    let large = write::body(&mut head, &message).unwrap();
    assert_eq!(large.as_ptr(), body.as_ptr());
    let bytes: Bytes = [&head[..], large].concat().into();
    let back = decode(Kind::Body, &bytes).into_message().unwrap().into_message().unwrap();
    assert_eq!(back.large_body().unwrap().as_ptr(), bytes[head.len()..].as_ptr());
}
