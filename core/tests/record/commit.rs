//! A transaction, replayed.

use leveret_core::record::{Kind, Record, write};
use leveret_core::{Effects, Position, QueueSettings, ShardState};

use super::*;

const QUEUES: [QueueId; 2] = [QueueId(1), QueueId(2)];

fn place(queue: QueueId, index: u64) -> Placement {
    let index = EntryIndex(index);
    Placement { queue, index, sequence: 0, subscription: None, retained: false, durable: true }
}

/// Two messages for both queues; the first one of the first queue is done with.
fn commit() -> Record {
    let places: Vec<_> = (0..2).map(|at| QUEUES.map(|queue| place(queue, at))).collect();
    let settled = [(QUEUES[0], vec![Run { first: EntryIndex(0), len: 1 }])];
    let enqueued = places.iter().zip([Position(1), Position(2)]);
    let enqueued = enqueued.map(|(places, at)| (&places[..], at)).collect::<Vec<_>>();
    let payload = payload(|out| write::commit(out, enqueued.into_iter(), &settled));
    Record::decode(Kind::Commit as u8, &payload).unwrap()
}

/// How many messages wait in each queue of a shard that has these queues and replays the commit.
fn replayed(here: &[QueueId], mut read: impl FnMut(Position) -> Option<Record>) -> Vec<usize> {
    let (mut state, mut fx) = (ShardState::default(), Effects::default());
    for &queue in here {
        state.create(queue, QueueSettings { durable: true, ..QueueSettings::default() });
    }
    state.replay(Position(9), commit(), &mut read, &mut fx);
    here.iter().map(|&queue| state.queue(queue).unwrap().stats().ready).collect()
}

fn body(_: Position) -> Option<Record> {
    let message = Message::new(Draft {
        exchange: "",
        routing_key: "q",
        encoding: Encoding::None,
        properties: &[],
        body: Body::Borrowed(b"x"),
        facts: Facts { persistent: true, qos: 1, ..Facts::default() },
    });
    let payload = with_message(&message, write::body);
    Record::decode(Kind::Body as u8, &payload).ok()
}

#[test]
fn a_commit_places_and_settles_in_every_queue() {
    assert_eq!(replayed(&QUEUES, body), [1, 2]);
}

#[test]
fn a_shard_takes_its_part_of_a_commit() {
    assert_eq!(replayed(&QUEUES[1..], body), [2]);
    assert_eq!(commit().queues().unwrap().len(), 5);
}

#[test]
fn a_lost_body_costs_its_message_only() {
    assert_eq!(replayed(&QUEUES[1..], |at| body(at).filter(|_| at == Position(2))), [1]);
}
