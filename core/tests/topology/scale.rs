//! Costs that must not grow with what is there. The bounds are generous: a search through
//! everything would miss them by far, an unoptimised build on a busy machine does not.

#![allow(clippy::disallowed_methods, reason = "it measures a time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_core::{Body, Draft, Encoding, Facts, Message, Pattern, Retained, SubscriptionOptions};

use super::*;

const BINDINGS: u64 = 100_000;

#[test]
fn routing_over_a_hundred_thousand_bindings_is_no_search() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    for i in 0..BINDINGS {
        fixture.bind("amq.topic", queue, &format!("device.{i}.temp"));
    }
    fixture.bind("amq.topic", queue, "device.*.load");
    fixture.bind("amq.topic", queue, "other.#");
    let keys: Vec<_> = (0..1_000).map(|i| format!("device.{}.temp", i * 97)).collect();
    let elapsed = took(|| {
        for key in &keys {
            assert_eq!(fixture.route("amq.topic", key).targets.len(), 1);
        }
    });
    assert!(elapsed < Duration::from_millis(500), "1,000 routes took {elapsed:?}");
}

#[test]
fn subscribers_to_one_topic_come_and_go_without_a_search() {
    let mut fixture = Fixture::new();
    let elapsed = took(|| {
        for i in 0..20_000 {
            let queue = fixture.queue(&format!("mqtt.{i}"));
            fixture.subscribe(queue, "all.+", SubscriptionOptions::default());
        }
        assert_eq!(fixture.route("amq.topic", "all.x").targets.len(), 20_000);
        for id in 1..=20_000 {
            fixture.apply(TopologyCommand::DeleteQueue { id: QueueId(id) }).unwrap();
        }
    });
    assert!(fixture.queues_routed("amq.topic", "all.x").is_empty());
    assert!(elapsed < Duration::from_secs(10), "20,000 subscribers took {elapsed:?}");
}

#[test]
fn a_hash_over_ten_thousand_bindings_costs_the_same_whatever_their_weights() {
    for weight in ["1", "10000"] {
        let mut fixture = Fixture::new();
        fixture.exchange("hash", ExchangeKind::ConsistentHash);
        for i in 0..10_000 {
            let queue = fixture.queue(&format!("q{i}"));
            fixture.bind("hash", queue, weight);
        }
        let elapsed = took(|| {
            for i in 0..200 {
                assert_eq!(fixture.route("hash", &format!("order.{i}")).targets.len(), 1);
            }
        });
        assert!(elapsed < Duration::from_secs(2), "200 routes took {elapsed:?}");
        let elapsed = took(|| {
            for id in 1..=10_000 {
                fixture.apply(TopologyCommand::DeleteQueue { id: QueueId(id) }).unwrap();
            }
        });
        assert!(elapsed < Duration::from_secs(5), "10,000 queues took {elapsed:?} to go");
        assert!(fixture.queues_routed("hash", "order.1").is_empty());
    }
}

#[test]
fn ten_thousand_retained_messages_are_found_among_more() {
    let message = Arc::new(Message::new(Draft {
        exchange: "amq.topic",
        routing_key: "k",
        encoding: Encoding::None,
        properties: &[],
        body: Body::Borrowed(b"21"),
        facts: Facts::default(),
    }));
    let mut retained = Retained::default();
    for i in 0..50_000 {
        retained.set(&format!("site{}.dev{i}.temp", i % 5), Arc::clone(&message), None);
    }
    for filter in ["site3.#", "site3.+.temp", "site3.+.+"] {
        let mut found = 0;
        let elapsed = took(|| found = retained.matching(Pattern::mqtt(filter), 0).count());
        assert_eq!(found, 10_000);
        assert!(elapsed < Duration::from_millis(500), "{filter} took {elapsed:?}");
    }
}

fn took(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
