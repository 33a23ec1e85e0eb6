//! Payloads that nobody wrote: a checksum does not help against another version's records.

use std::sync::Arc;

use bytes::Bytes;
use leveret_core::record::{Kind, Record, write};
use leveret_core::{
    Effects, EntryIndex, Message, Placement, Position, QueueId, QueueSettings, Reference, ShardId,
    ShardState, Target,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const QUEUE: QueueId = QueueId(1);

/// A shard with a durable queue that has three messages.
fn shard(fx: &mut Effects) -> ShardState {
    let mut state = ShardState::default();
    state.create(QUEUE, QueueSettings { durable: true, ..QueueSettings::default() });
    (0..3).for_each(|_| _ = publish(&mut state, fx));
    state
}

fn durable_message() -> Arc<Message> {
    Arc::new(Message::new(Draft {
        exchange: "",
        routing_key: "q",
        encoding: Encoding::None,
        properties: &[],
        body: Body::Borrowed(b"x"),
        facts: Facts { persistent: true, qos: 1, ..Facts::default() },
    }))
}

fn publish(state: &mut ShardState, fx: &mut Effects) -> EntryIndex {
    let (message, mut placements) = (durable_message(), Vec::new());
    let target = Target { queue: QUEUE, durable: true, subscription: None, deduplication: None };
    state.place(&[target], &message, None, &mut placements, fx);
    let index = placements[0].index;
    let reference = Some(Reference::new(Position(9), 0, 1));
    state.publish(0, &mut placements, message, reference, fx);
    index
}

/// Whatever it says, a shard survives it and works on.
fn replay(kind: u8, payload: &Bytes) {
    let Ok(record) = Record::decode(kind, payload) else { return };
    let mut fx = Effects::default();
    let mut state = shard(&mut fx);
    record.queues();
    let body = with_message(&durable_message(), write::body);
    let read = &mut |_| Record::decode(Kind::Body as u8, &body).ok();
    state.replay(Position(100), record, read, &mut fx);
    assert!(publish(&mut state, &mut fx) >= EntryIndex(3));
}

#[derive(Debug, Clone)]
struct Written {
    kind: Kind,
    payload: Bytes,
}

fn written() -> impl Strategy<Value = Written> {
    let to_queue = |mut placements: Vec<Placement>| {
        placements.iter_mut().for_each(|placement| placement.queue = QUEUE);
        placements
    };
    let publish =
        (messages(), origins(), placements()).prop_map(move |(message, origin, places)| {
            let places = to_queue(places);
            let payload = with_message(&message, |out, message| {
                write::publish(out, origin, &places, message)
            });
            Written { kind: Kind::Publish, payload }
        });
    let of_runs = prop_oneof![Just(Kind::Settle), Just(Kind::Deliver), Just(Kind::Receive)];
    let runs = (of_runs, runs()).prop_map(|(kind, runs)| {
        let payload = payload(|out| write::runs(out, QUEUE, &runs));
        Written { kind, payload }
    });
    let enqueue = (origins(), placements()).prop_map(move |(origin, places)| {
        let payload = payload(|out| write::enqueue(out, origin, &to_queue(places), Position(4)));
        Written { kind: Kind::Enqueue, payload }
    });
    let purge = (counters(), vec(counters(), 0..6)).prop_map(|(before, kept)| {
        let kept: Vec<_> = kept.into_iter().map(EntryIndex).collect();
        let payload = payload(|out| write::purge(out, QUEUE, EntryIndex(before), &kept));
        Written { kind: Kind::Purge, payload }
    });
    let commit = (vec(placements(), 0..3), super::runs()).prop_map(move |(places, runs)| {
        let places: Vec<_> = places.into_iter().map(to_queue).collect();
        let payload = payload(|out| {
            let enqueued = places.iter().map(|places| (&places[..], Position(4)));
            write::commit(out, enqueued, &[(QUEUE, runs)]);
        });
        Written { kind: Kind::Commit, payload }
    });
    prop_oneof![publish, runs, enqueue, purge, commit]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_bytes_of_any_kind_are_harmless(kind in any::<u8>(), payload in vec(any::<u8>(), 0..60)) {
        replay(kind, &payload.clone().into());
        replay(kind % 21, &payload.into());
    }

    #[test]
    fn a_record_with_a_changed_byte_is_harmless(
        record in written(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut payload = record.payload.to_vec();
        let at = at.index(payload.len().min(64));
        payload[at] = byte;
        replay(record.kind as u8, &payload.into());
    }

    #[test]
    fn a_record_that_ends_early_is_an_error_or_harmless(
        record in written(),
        at in any::<prop::sample::Index>(),
    ) {
        let at = at.index(record.payload.len().min(200));
        replay(record.kind as u8, &record.payload.slice(..at));
    }
}

#[test]
fn a_kind_that_nobody_knows_is_an_error() {
    let known = (0..=255).filter(|&kind| {
        let payload = Bytes::from_static(&[1; 40]);
        Record::decode(kind, &payload).is_ok() || Kind::try_from(kind).is_ok()
    });
    assert_eq!(known.collect::<Vec<u8>>(), (1..=20).collect::<Vec<u8>>());
}

#[test]
fn a_run_without_end_settles_what_is_there_and_no_more() {
    let mut fx = Effects::default();
    let mut state = shard(&mut fx);
    let runs = vec![Run { first: EntryIndex(1), len: u64::MAX / 2 }];
    for kind in [Kind::Deliver, Kind::Receive, Kind::Settle] {
        let payload = payload(|out| write::runs(out, QUEUE, &runs));
        let record = Record::decode(kind as u8, &payload).unwrap();
        state.replay(Position(1), record, &mut |_| None, &mut fx);
    }
    let stats = state.queue(QUEUE).unwrap().stats();
    assert_eq!((stats.ready, stats.unacked), (1, 0));
    assert_eq!(fx.released.len(), 2);
}

#[test]
fn a_length_is_not_believed_before_its_elements_are_read() {
    let endless = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let queue = [1u8];
    for (kind, head) in [
        (Kind::Settle, &queue[..]),
        (Kind::Purge, &[1, 0]),
        (Kind::Publish, &[0]),
        (Kind::Commit, &[]),
        (Kind::Commit, &[0]),
    ] {
        let payload: Bytes = [head, &endless, &[1; 100]].concat().into();
        assert!(Record::decode(kind as u8, &payload).is_err());
    }
}

#[test]
fn an_index_near_the_end_of_its_range_is_an_error() {
    for (index, is_known) in [(u64::MAX / 2, true), (u64::MAX / 2 + 1, false), (u64::MAX, false)] {
        let runs = [Run { first: EntryIndex(index), len: 1 }];
        let payload = payload(|out| write::runs(out, QUEUE, &runs));
        assert_eq!(Record::decode(Kind::Settle as u8, &payload).is_ok(), is_known);
    }
}

#[test]
fn a_shard_of_the_number_zero_is_an_error() {
    for (shard, is_known) in [(0, false), (1, true), (u16::MAX, true)] {
        let payload = payload(|out| write::packets(out, ShardId(shard), Position(1), &[]));
        assert_eq!(Record::decode(Kind::Packets as u8, &payload).is_ok(), is_known);
    }
}
