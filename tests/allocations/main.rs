//! What a message costs in memory allocations, from socket to socket, once everything has been warmed up.
//!
//! The broker and its clients are in this process, and every allocation of the process counts. So the
//! clients make none: what they send is made beforehand, and they read into buffers that they have.
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect fails")]

mod amqp;
mod mqtt;
mod socket;

use std::alloc::System;

use leveret::{Broker, Config};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tempfile::TempDir;

use amqp::{Amqp, Publisher};
use mqtt::Mqtt;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations that a message of 16 bytes may cost: itself and properties that have to be made for another
/// protocol, and a little for what the broker does beside.
const ALLOWED: f64 = 2.1;
/// What it may cost if the journal has a round for it alone.
const ALLOWED_WITH_A_ROUND: f64 = 4.5;
/// Messages that go through the broker before it is counted, and then while it is.
const WARM_UP: usize = 1_000;
const COUNTED: usize = 3_000;

/// So many messages at a time: one that is alone, and as many as a read may have.
const BURSTS: [usize; 2] = [1, 100];

#[test]
fn a_small_message_costs_no_more_than_two_allocations() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let dir = TempDir::new().unwrap();
    let broker = runtime.block_on(Broker::start(Config::local(dir.path()))).unwrap();
    let mut figures = Vec::new();
    for burst in BURSTS {
        figures.push(amqp_without_acknowledgements(&broker, burst));
        figures.push(amqp_with_acknowledgements(&broker, burst));
        figures.push(amqp_persistent_with_confirms(&broker, burst));
        figures.push(mqtt(&broker, burst, 0));
        figures.push(mqtt(&broker, burst, 1));
        figures.push(mqtt_to_ten(&broker, burst));
        figures.push(mqtt_to_amqp(&broker, burst));
        figures.push(amqp_to_many_keys(&broker, burst));
    }
    runtime.block_on(broker.shutdown()).unwrap();
    for (name, burst, allocations) in &figures {
        println!("{allocations:.2} allocations: {name}, {burst} at a time");
    }
    let is_over = |&&(name, burst, allocations): &&Figure| {
        let has_round = name == CONFIRMED && burst == 1;
        allocations > if has_round { ALLOWED_WITH_A_ROUND } else { ALLOWED }
    };
    let over: Vec<_> = figures.iter().filter(is_over).collect();
    assert!(over.is_empty(), "{over:#?}");
}

const CONFIRMED: &str = "AMQP, persistent, confirmed and acknowledged";

type Figure = (&'static str, usize, f64);

/// Counts the allocations of each message that `round` has go through the broker, `per_round` at a time.
fn count(per_round: usize, mut round: impl FnMut()) -> f64 {
    (0..WARM_UP.div_ceil(per_round)).for_each(|_| round());
    let rounds = COUNTED.div_ceil(per_round);
    let region = Region::new(ALLOCATOR);
    (0..rounds).for_each(|_| round());
    let change = region.change();
    (change.allocations + change.reallocations) as f64 / (rounds * per_round) as f64
}

fn amqp_without_acknowledgements(broker: &Broker, burst: usize) -> Figure {
    let mut consumer = Amqp::connect(broker);
    let queue = format!("no-ack.{burst}");
    consumer.declare(&queue, false);
    consumer.consume(&queue, true);
    let mut publisher = Publisher::new(broker, &[&queue], burst, false);
    let allocations = count(burst, || {
        publisher.publish();
        consumer.receive(burst);
    });
    ("AMQP, transient, no acknowledgement", burst, allocations)
}

fn amqp_with_acknowledgements(broker: &Broker, burst: usize) -> Figure {
    let mut consumer = Amqp::connect(broker);
    let queue = format!("ack.{burst}");
    consumer.declare(&queue, false);
    consumer.consume(&queue, false);
    let mut publisher = Publisher::new(broker, &[&queue], burst, false);
    let allocations = count(burst, || {
        publisher.publish();
        consumer.receive(burst);
        consumer.acknowledge(burst);
    });
    ("AMQP, transient, each acknowledged", burst, allocations)
}

fn amqp_persistent_with_confirms(broker: &Broker, burst: usize) -> Figure {
    let mut consumer = Amqp::connect(broker);
    let queue = format!("durable.{burst}");
    consumer.declare(&queue, true);
    consumer.consume(&queue, false);
    let mut publisher = Publisher::new(broker, &[&queue], burst, true);
    let allocations = count(burst, || {
        publisher.publish();
        publisher.wait_for_confirms();
        consumer.receive(burst);
        consumer.acknowledge(burst);
    });
    (CONFIRMED, burst, allocations)
}

fn amqp_to_many_keys(broker: &Broker, burst: usize) -> Figure {
    let mut consumer = Amqp::connect(broker);
    let queues: Vec<String> = (0..8).map(|n| format!("key.{burst}.{n}")).collect();
    for queue in &queues {
        consumer.declare(queue, false);
        consumer.consume(queue, true);
    }
    let names: Vec<&str> = queues.iter().map(String::as_str).collect();
    let per_round = burst.max(names.len());
    let mut publisher = Publisher::new(broker, &names, per_round, false);
    let allocations = count(per_round, || {
        publisher.publish();
        consumer.receive(per_round);
    });
    ("AMQP, transient, eight keys in turn", burst, allocations)
}

fn mqtt(broker: &Broker, burst: usize, qos: u8) -> Figure {
    let topic = format!("one/{burst}/{qos}");
    let mut subscriber = Mqtt::subscribe(broker, &topic, qos);
    let mut publisher = Mqtt::connect(broker);
    publisher.prepare(&topic, qos, burst);
    let allocations = count(burst, || {
        publisher.publish();
        subscriber.receive(burst);
        publisher.wait_for_acknowledgements(qos, burst);
    });
    let name = if qos == 0 { "MQTT, QoS 0" } else { "MQTT, QoS 1" };
    (name, burst, allocations)
}

fn mqtt_to_ten(broker: &Broker, burst: usize) -> Figure {
    let topic = format!("ten/{burst}");
    let mut subscribers: Vec<Mqtt> = (0..10).map(|_| Mqtt::subscribe(broker, &topic, 0)).collect();
    let mut publisher = Mqtt::connect(broker);
    publisher.prepare(&topic, 0, burst);
    let allocations = count(10 * burst, || {
        publisher.publish();
        subscribers.iter_mut().for_each(|subscriber| subscriber.receive(burst));
    });
    ("MQTT, QoS 0, each delivery to ten subscribers", burst, allocations)
}

fn mqtt_to_amqp(broker: &Broker, burst: usize) -> Figure {
    let mut consumer = Amqp::connect(broker);
    let queue = format!("from-mqtt.{burst}");
    consumer.declare(&queue, false);
    consumer.bind(&queue, "amq.topic", &queue);
    consumer.consume(&queue, true);
    let mut publisher = Mqtt::connect(broker);
    publisher.prepare(&queue.replace('.', "/"), 0, burst);
    let allocations = count(burst, || {
        publisher.publish();
        consumer.receive(burst);
    });
    ("MQTT, QoS 0, to an AMQP consumer", burst, allocations)
}
