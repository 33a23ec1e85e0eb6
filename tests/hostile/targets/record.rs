//! Payloads of the journal that nobody wrote: an error or harmless. The first octet is the kind.

use std::sync::Arc;

use bytes::Bytes;
use leveret_core::record::{Record, write};
use leveret_core::{
    Body, Draft, Effects, Encoding, EntryIndex, Facts, Message, Position, QueueId, QueueSettings,
    Reference, RestoreFrom, ShardState, Target, Topology,
};

use super::{KIB, within};

pub fn run(octets: &[u8]) {
    let Some((&kind, payload)) = octets.split_first() else { return };
    let payload = Bytes::copy_from_slice(payload);
    // An entry of three octets takes a hundred bytes, here in two queues, and in lists that grow.
    within(256 * KIB + 512 * octets.len(), || {
        for kind in [kind, kind % KINDS] {
            if let Ok(record) = Record::decode(kind, &payload) {
                replay(record);
            }
        }
    });
}

fn replay(record: Record) {
    record.queues();
    match record {
        Record::Topology(command) => {
            let mut topology = Topology::new(true);
            if topology.replay(command).is_ok() {
                again(&topology);
            }
        }
        Record::Batch(commands) => {
            let mut topology = Topology::new(true);
            if commands.into_iter().try_for_each(|it| topology.replay(it).map(|_| ())).is_ok() {
                again(&topology);
            }
        }
        Record::Queue { queue, as_of, state } => restore(queue, as_of, &state),
        record => replay_in_shard(record),
    }
}

/// What a snapshot says of a topology makes the same one.
fn again(topology: &Topology) {
    let snapshot = topology.snapshot();
    let mut second = Topology::new(true);
    for command in snapshot.iter().cloned() {
        second.replay(command).expect("a snapshot can be replayed");
    }
    assert_eq!(format!("{:?}", second.snapshot()), format!("{snapshot:?}"));
}

/// A queue of a snapshot, all of whose pages are the same octets, can be used and written again.
fn restore(queue: QueueId, as_of: Position, state: &Bytes) {
    let (mut shard, mut fx) = (shard(), Effects::default());
    let mut journal = Pages(state);
    if shard.restore(QUEUE, (as_of, state), &mut journal, &mut fx).is_err() {
        return;
    }
    assert!(shard.queue(queue).is_none() || queue == QUEUE);
    publish(&mut shard, &mut fx);
    shard.page_out(&mut fx);
    let mut written = Vec::new();
    shard.queue(QUEUE).expect("it was created").write_state(&mut written);
    let again = self::shard().restore(QUEUE, (as_of, &written.into()), &mut journal, &mut fx);
    again.expect("the broker wrote it");
}

struct Pages<'a>(&'a Bytes);

impl RestoreFrom for Pages<'_> {
    fn read(&mut self, _: Position) -> Option<Record> {
        Some(Record::Page { queue: QUEUE, entries: self.0.clone() })
    }

    fn retain(&mut self, _: Reference) {}
}

fn shard() -> ShardState {
    let mut state = ShardState::default();
    state.create(QUEUE, QueueSettings { durable: true, ..QueueSettings::default() });
    state
}

/// A shard with three messages survives it, and works on.
fn replay_in_shard(record: Record) {
    let (mut state, mut fx) = (shard(), Effects::default());
    (0..3).for_each(|_| _ = publish(&mut state, &mut fx));
    let mut body = Vec::new();
    write::body(&mut body, &message());
    let body = Bytes::from(body);
    let read = &mut |_| Record::decode(BODY, &body).ok();
    state.replay(Position(100), record, read, &mut fx);
    assert!(publish(&mut state, &mut fx) >= EntryIndex(3));
}

fn publish(state: &mut ShardState, fx: &mut Effects) -> EntryIndex {
    let (message, mut placements) = (Arc::new(message()), Vec::new());
    let target = Target { queue: QUEUE, durable: true, subscription: None, deduplication: None };
    state.place(&[target], &message, None, &mut placements, fx);
    let index = placements[0].index;
    let reference = Some(Reference::new(Position(9), 0, 1));
    state.publish(0, &mut placements, message, reference, fx);
    index
}

fn message() -> Message {
    Message::new(Draft {
        exchange: "",
        routing_key: "q",
        encoding: Encoding::None,
        properties: &[],
        body: Body::Borrowed(b"x"),
        facts: Facts { persistent: true, qos: 1, ..Facts::default() },
    })
}

const QUEUE: QueueId = QueueId(1);
/// One more than the highest kind.
const KINDS: u8 = 21;
const BODY: u8 = leveret_core::record::Kind::Body as u8;
