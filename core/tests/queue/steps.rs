//! The steps that a shard takes, at random.

use std::sync::Arc;

use leveret_core::{
    Body, Draft, Encoding, Facts, Message, QueueId, QueueSettings, Settlement, Target,
};
use proptest::option;
use proptest::prelude::*;

/// Small numbers pick one of what is there.
#[derive(Debug, Clone)]
pub enum Step {
    Publish(Publish),
    Consume { queue: usize, no_ack: bool, exclusive: bool, prefetch: u32, window_bytes: usize },
    Written { queue: usize, pick: usize, all: bool },
    Settle { queue: usize, pick: usize, settlement: Settlement, count: usize },
    SettleOfOther { queue: usize, pick: usize },
    Get { queue: usize, no_ack: bool },
    Cancel { queue: usize, pick: usize },
    Receive { queue: usize, pick: usize },
    TakeOver { prefetch: u32 },
    Release { packet: u16 },
    Purge { queue: usize },
    Fetched { loses: bool },
    Wait { ms: u64 },
    ShareLimit(u32),
    Recreate { queue: usize },
    Checkpoint,
    Restart,
}

#[derive(Debug, Clone)]
pub struct Publish {
    pub queues: u8,
    pub qos: u8,
    pub priority: u8,
    pub granted: u8,
    pub body_bytes: usize,
    pub expires_in_ms: Option<u64>,
    pub packet: Option<u16>,
    pub count: usize,
}

/// Three queues of AMQP (durable, transient, durable with priorities), an MQTT session and a shared
/// subscription.
pub const QUEUES: usize = 5;
pub const SESSION: usize = 3;
/// A queue of a node.
pub fn settings(durable: bool, auto_delete: bool, max_priority: u8) -> QueueSettings {
    QueueSettings { durable, auto_delete, max_priority, ..QueueSettings::default() }
}

pub fn all_settings() -> [QueueSettings; QUEUES] {
    [
        settings(true, false, 0),
        settings(false, true, 0),
        settings(true, false, 3),
        settings(true, false, 0),
        settings(true, false, 0),
    ]
}

pub fn steps() -> impl Strategy<Value = Step> {
    let settlement = prop_oneof![
        3 => Just(Settlement::Ack),
        2 => Just(Settlement::Requeue),
        1 => Just(Settlement::Discard),
    ];
    let queue = || 0..QUEUES;
    prop_oneof![
        24 => publish().prop_map(Step::Publish),
        5 => (queue(), any::<bool>(), prop::bool::weighted(0.1), 0..4u32, 1..30_000usize).prop_map(
            |(queue, no_ack, exclusive, prefetch, window_bytes)| {
                Step::Consume { queue, no_ack, exclusive, prefetch, window_bytes }
            }
        ),
        8 => (queue(), 0..4usize, any::<bool>())
            .prop_map(|(queue, pick, all)| Step::Written { queue, pick, all }),
        14 => (queue(), 0..9usize, settlement, 1..6usize).prop_map(
            |(queue, pick, settlement, count)| Step::Settle { queue, pick, settlement, count }
        ),
        1 => (queue(), 0..9usize).prop_map(|(queue, pick)| Step::SettleOfOther { queue, pick }),
        4 => (0..SESSION, any::<bool>()).prop_map(|(queue, no_ack)| Step::Get { queue, no_ack }),
        2 => (queue(), 0..3usize).prop_map(|(queue, pick)| Step::Cancel { queue, pick }),
        4 => (SESSION..QUEUES, 0..5usize).prop_map(|(queue, pick)| Step::Receive { queue, pick }),
        2 => (0..3u32).prop_map(|prefetch| Step::TakeOver { prefetch }),
        2 => (1..4u16).prop_map(|packet| Step::Release { packet }),
        1 => queue().prop_map(|queue| Step::Purge { queue }),
        8 => prop::bool::weighted(0.1).prop_map(|loses| Step::Fetched { loses }),
        3 => (1..30u64).prop_map(|ms| Step::Wait { ms }),
        1 => (0..4u32).prop_map(Step::ShareLimit),
        1 => queue().prop_map(|queue| Step::Recreate { queue }),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
    ]
}

fn publish() -> impl Strategy<Value = Publish> {
    let body_bytes = prop_oneof![3 => 0..100usize, 2 => 5_000..20_000usize];
    let expires = option::weighted(0.2, 1..60u64);
    let packet = option::weighted(0.1, 1..4u16);
    (1..32u8, 0..3u8, 0..5u8, 0..3u8, body_bytes, expires, packet, 1..5usize).prop_map(
        |(queues, qos, priority, granted, body_bytes, expires_in_ms, packet, count)| Publish {
            queues,
            qos,
            priority,
            granted,
            body_bytes,
            expires_in_ms,
            packet,
            count,
        },
    )
}

impl Publish {
    /// To one queue of AMQP.
    pub fn target(queue: QueueId) -> [Target; 1] {
        [Target { queue, durable: true, subscription: None, deduplication: None }]
    }

    pub fn durable(text: &str) -> Arc<Message> {
        Self::of_bytes(text, 0, true)
    }

    pub fn of_bytes(text: &str, body_bytes: usize, durable: bool) -> Arc<Message> {
        let facts = Facts { persistent: durable, qos: durable.into(), ..Facts::default() };
        message(text, body_bytes, facts)
    }
}

pub fn message(text: &str, body_bytes: usize, facts: Facts) -> Arc<Message> {
    Arc::new(Message::new(Draft {
        exchange: "",
        routing_key: text,
        encoding: Encoding::None,
        properties: &[],
        body: Body::Borrowed(&vec![7; body_bytes]),
        facts,
    }))
}
