//! From exchanges to queues, and what it takes to bind and unbind many of them. Cases that differ in
//! the number of bindings alone show that a message does not pay for it.

use std::hint::black_box;
use std::sync::Arc;

use leveret_core::{
    Address, Binding, Draft, Encoding, ExchangeKind, ExchangeSpec, Facts, Headers, Message,
    Pattern, QueueId, QueueSpec, Retained, Topology, TopologyCommand as Command, Value,
};

use super::{Case, Work};

pub const CASES: &[Case] = &[
    Case { name: "route_direct_of_1000", messages: 1_000, prepare: || direct(1_000) },
    Case { name: "route_direct_of_100000", messages: 1_000, prepare: || direct(100_000) },
    Case { name: "route_topic_of_1000", messages: 1_000, prepare: || topic(1_000) },
    Case { name: "route_topic_of_100000", messages: 1_000, prepare: || topic(100_000) },
    Case { name: "route_fanout_to_100", messages: 100, prepare: fanout },
    Case { name: "bind_and_delete_exchange", messages: 10_000, prepare: || bind(true) },
    Case { name: "bind_and_delete_queue", messages: 10_000, prepare: || bind(false) },
    Case { name: "match_retained_of_100000", messages: 1_000, prepare: retained },
];

fn direct(bindings: usize) -> Work {
    let topology = bound(ExchangeKind::Direct, (0..bindings).map(|n| (n % QUEUES, key(n))));
    let keys = (0..1_000).map(|n| key(n * 7919 % bindings)).collect();
    route(topology, keys, 1)
}

/// A pattern with a word of its own, and one of each kind that matches everything.
fn topic(bindings: usize) -> Work {
    let patterns = (0..bindings).map(|n| (n % QUEUES, format!("device.{n}.*")));
    let all = ["#", "*.*.state", "device.#"].map(|pattern| (QUEUES, pattern.to_owned()));
    let topology = bound(ExchangeKind::Topic, patterns.chain(all));
    let keys = (0..1_000).map(|n| format!("device.{}.state", n * 7919 % bindings)).collect();
    route(topology, keys, 2)
}

fn fanout() -> Work {
    let topology = bound(ExchangeKind::Fanout, (0..100).map(|n| (n, String::new())));
    route(topology, vec![String::from("key"); 100], 100)
}

fn route(topology: Topology, keys: Vec<String>, targets: usize) -> Work {
    Box::new(move || {
        for key in &keys {
            let address = Address { vhost: "/", exchange: EXCHANGE, key, random: 0 };
            let routes = topology.route(black_box(address), &NoHeaders, None);
            assert_eq!(black_box(routes).expect("it is there").targets.len(), targets);
        }
    })
}

/// Bindings of a topic exchange that come and go with one of their ends.
fn bind(deletes_exchange: bool) -> Work {
    let mut topology = Topology::default();
    run(&mut topology, Command::DeclareVhost { vhost: "/".into() });
    Box::new(move || {
        let id = declare(&mut topology, ExchangeKind::Topic, 1);
        for n in 0..10_000 {
            let binding = Binding::to_queue(EXCHANGE, id, &format!("device.{n}.*"));
            run(&mut topology, Command::Bind { vhost: "/".into(), binding, subscription: None });
        }
        if deletes_exchange {
            delete_exchange(&mut topology);
            run(&mut topology, Command::DeleteQueue { id });
        } else {
            run(&mut topology, Command::DeleteQueue { id });
            delete_exchange(&mut topology);
        }
    })
}

/// A subscription to one of many retained messages, by a wildcard.
fn retained() -> Work {
    let mut retained = Retained::default();
    for n in 0..100_000 {
        let key = format!("device.{n}.state");
        let draft = Draft {
            exchange: "amq.topic",
            routing_key: &key,
            encoding: Encoding::None,
            properties: &[],
            body: leveret_core::Body::Borrowed(b"on"),
            facts: Facts::default(),
        };
        retained.set(&key, Arc::new(Message::new(draft)), None);
    }
    let patterns: Vec<_> = (0..1_000).map(|n| format!("device.{}.*", n * 7919 % 100_000)).collect();
    Box::new(move || {
        for pattern in &patterns {
            let found = retained.matching(Pattern::amqp(black_box(pattern)), 0);
            assert_eq!(found.count(), 1);
        }
    })
}

/// An exchange with these bindings: number of the queue and key.
fn bound(kind: ExchangeKind, bindings: impl Iterator<Item = (usize, String)>) -> Topology {
    let mut topology = Topology::default();
    run(&mut topology, Command::DeclareVhost { vhost: "/".into() });
    let first = declare(&mut topology, kind, QUEUES + 1).0;
    for (queue, key) in bindings {
        let binding = Binding::to_queue(EXCHANGE, QueueId(first + queue as u64), &key);
        run(&mut topology, Command::Bind { vhost: "/".into(), binding, subscription: None });
    }
    topology
}

/// The exchange and some queues; gives the first of them, which the others follow.
fn declare(topology: &mut Topology, kind: ExchangeKind, queues: usize) -> QueueId {
    let spec = ExchangeSpec::transient(kind);
    let (vhost, name) = ("/".into(), EXCHANGE.into());
    run(topology, Command::DeclareExchange { vhost, name, spec, own_queue: None });
    let first = topology.next_queue_id();
    for n in 0..queues {
        let (id, vhost, name) = (topology.next_queue_id(), "/".into(), format!("q{n}").into());
        let spec = QueueSpec::default();
        run(topology, Command::DeclareQueue { id, vhost, name, spec, server_named: false });
    }
    first
}

fn delete_exchange(topology: &mut Topology) {
    let (vhost, name) = ("/".into(), EXCHANGE.into());
    run(topology, Command::DeleteExchange { vhost, name, if_unused: false });
}

fn run(topology: &mut Topology, command: Command) {
    topology.apply(command).expect("nothing forbids it");
}

fn key(number: usize) -> String {
    format!("key.{number}")
}

struct NoHeaders;

impl Headers for NoHeaders {
    fn header(&self, _: &str) -> Option<Value> {
        None
    }
}

const EXCHANGE: &str = "counted";
const QUEUES: usize = 1_000;
