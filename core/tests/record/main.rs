//! Records: what is written is read back, and what nobody wrote is an error or harmless, never a
//! panic, an endless loop or a great allocation.

#![allow(clippy::unwrap_used, reason = "a test stops where it is surprised")]

mod commit;
mod damaged;
mod round_trip;

use std::sync::Arc;

use bytes::Bytes;
use leveret_core::record::{Origin, Packet, Run};
use leveret_core::{
    Body, Draft, Encoding, EntryIndex, Facts, LARGE_BODY_BYTES, Message, Placement, QueueId,
    Subscription,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A payload without a message.
fn payload(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = Vec::new();
    write(&mut bytes);
    bytes.into()
}

/// A payload as the journal would have it: a large body follows its head.
fn with_message(
    message: &Message,
    write: impl for<'a> FnOnce(&mut Vec<u8>, &'a Message) -> Option<&'a Bytes>,
) -> Bytes {
    let mut head = Vec::new();
    let large = write(&mut head, message);
    head.extend_from_slice(large.map(|body| &body[..]).unwrap_or_default());
    head.into()
}

fn messages() -> impl Strategy<Value = Message> {
    let encoding = prop_oneof![Just(Encoding::None), Just(Encoding::Amqp), Just(Encoding::Mqtt)];
    let body = prop_oneof![
        4 => vec(any::<u8>(), 0..200),
        1 => (LARGE_BODY_BYTES - 2..LARGE_BODY_BYTES + 3, any::<u8>()).prop_map(|(n, b)| vec![b; n]),
    ];
    (
        facts(),
        "[a-zé.]{0,12}",
        "[a-zß./#]{0,40}",
        encoding,
        vec(any::<u8>(), 0..40),
        body,
        any::<bool>(),
    )
        .prop_map(|(facts, exchange, key, encoding, properties, body, owned)| {
            Message::new(Draft {
                exchange: &exchange,
                routing_key: &key,
                encoding,
                properties: &properties,
                body: match owned {
                    true => Body::Owned(body.into()),
                    false => Body::Borrowed(&body),
                },
                facts,
            })
        })
}

fn facts() -> impl Strategy<Value = Facts> {
    let flags = (any::<bool>(), any::<bool>());
    (flags, 0..3u8, any::<u8>(), any::<u64>(), option::of(any::<u64>())).prop_map(
        |((persistent, retain), qos, priority, timestamp_ms, expires_at_ms)| Facts {
            persistent,
            retain,
            qos,
            priority,
            timestamp_ms,
            expires_at_ms,
        },
    )
}

fn placements() -> impl Strategy<Value = Vec<Placement>> {
    vec(placement(), 0..6)
}

fn placement() -> impl Strategy<Value = Placement> {
    let subscription = (0..3u8, any::<bool>(), vec(any::<u32>(), 0..4), counters());
    let flags = (any::<bool>(), any::<bool>());
    (any::<u64>(), counters(), option::of(subscription), flags).prop_map(
        |(queue, index, subscription, (retained, durable))| Placement {
            queue: QueueId(queue),
            index: EntryIndex(index),
            sequence: subscription.as_ref().map_or(0, |subscription| subscription.3),
            subscription: subscription.map(|(qos, retain_as_published, ids, _)| {
                Arc::new(Subscription { qos, retain_as_published, ids: ids.into(), share: None })
            }),
            retained,
            durable,
        },
    )
}

fn origins() -> impl Strategy<Value = Option<Origin>> {
    option::of((packets(), any::<u16>()).prop_map(|(packet, shards)| Origin { packet, shards }))
}

fn packets() -> impl Strategy<Value = Packet> {
    (any::<u64>(), 1..=u16::MAX)
        .prop_map(|(session, packet_id)| Packet { session: QueueId(session), packet_id })
}

fn runs() -> impl Strategy<Value = Vec<Run>> {
    vec((counters(), 1..u64::MAX / 2), 0..8).prop_map(|runs| {
        runs.into_iter().map(|(first, len)| Run { first: EntryIndex(first), len }).collect()
    })
}

fn counters() -> impl Strategy<Value = u64> {
    prop_oneof![0..300u64, 0..=u64::MAX / 2, Just(u64::MAX / 2)]
}
