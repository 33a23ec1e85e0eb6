//! Random commands: the journal and the snapshot rebuild the durable part, and routes are those
//! that the listed bindings say.

use std::collections::BTreeSet;

use leveret_core::{
    BindingEntry, ConnectionId, Destination, ExchangeKind, ExchangeSpec, Pattern, QueueKind,
    QueueSpec, SubscriptionOptions,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const EXCHANGES: &[&str] = &["x", "y", "z", "amq.topic", "amq.fanout", "amq.direct"];
const QUEUES: &[&str] = &["q", "r", "s", "t"];
const KEYS: &[&str] = &["", "a", "a.b", "*", "#", "a.#", "+", "a.+", "$s", "q"];

/// A command without ids, which depend on what was applied before.
#[derive(Debug, Clone)]
enum Step {
    DeclareExchange { name: &'static str, kind: ExchangeKind, durable: bool, auto_delete: bool },
    DeleteExchange { name: &'static str, if_unused: bool },
    DeclareQueue { name: &'static str, durable: bool, exclusive: bool, session: bool },
    DeleteQueue { name: &'static str },
    Expire { name: &'static str, expiry_s: u32 },
    Bind { ends: Ends, qos: Option<u8>, undo: bool },
    Reset,
}

#[derive(Debug, Clone)]
struct Ends {
    source: &'static str,
    to_queue: bool,
    queue: &'static str,
    exchange: &'static str,
    key: &'static str,
    mqtt: bool,
}

fn of(names: &'static [&'static str]) -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(names)
}

fn kind() -> impl Strategy<Value = ExchangeKind> {
    prop::sample::select(&[ExchangeKind::Direct, ExchangeKind::Fanout, ExchangeKind::Topic][..])
}

fn ends() -> impl Strategy<Value = Ends> {
    (of(EXCHANGES), any::<bool>(), of(QUEUES), of(EXCHANGES), of(KEYS), any::<bool>()).prop_map(
        |(source, to_queue, queue, exchange, key, mqtt)| Ends {
            source,
            to_queue,
            queue,
            exchange,
            key,
            mqtt,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let flag = any::<bool>;
    prop_oneof![
        4 => (of(EXCHANGES), kind(), flag(), flag()).prop_map(
            |(name, kind, durable, auto_delete)| Step::DeclareExchange {
                name, kind, durable, auto_delete
            }
        ),
        1 => (of(EXCHANGES), flag())
            .prop_map(|(name, if_unused)| Step::DeleteExchange { name, if_unused }),
        4 => (of(QUEUES), flag(), prop::bool::weighted(0.2), flag()).prop_map(
            |(name, durable, exclusive, session)| Step::DeclareQueue {
                name, durable, exclusive, session
            }
        ),
        2 => of(QUEUES).prop_map(|name| Step::DeleteQueue { name }),
        1 => (of(QUEUES), 0..3u32).prop_map(|(name, expiry_s)| Step::Expire { name, expiry_s }),
        12 => (ends(), prop::option::of(0..3u8), prop::bool::weighted(0.3))
            .prop_map(|(ends, qos, undo)| Step::Bind { ends, qos, undo }),
        1 => prop::bool::weighted(0.05).prop_map(|reset| match reset {
            true => Step::Reset,
            false => Step::DeleteQueue { name: "q" },
        }),
    ]
}

fn command(topology: &Topology, step: &Step) -> TopologyCommand {
    let id = |name: &str| topology.queue(VHOST, name).map_or(QueueId(u64::MAX), |queue| queue.id);
    match step {
        Step::DeclareExchange { name, kind, durable, auto_delete } => {
            let (durable, auto_delete) = (*durable, *auto_delete);
            let spec = ExchangeSpec { durable, auto_delete, ..ExchangeSpec::transient(*kind) };
            declare_exchange(name, spec)
        }
        Step::DeleteExchange { name, if_unused } => TopologyCommand::DeleteExchange {
            vhost: VHOST.into(),
            name: (*name).into(),
            if_unused: *if_unused,
        },
        Step::DeclareQueue { name, durable, exclusive, session } => TopologyCommand::DeclareQueue {
            id: topology.next_queue_id(),
            vhost: VHOST.into(),
            name: (*name).into(),
            spec: queue_spec(name, *durable, *exclusive, *session),
            server_named: false,
        },
        Step::DeleteQueue { name } => TopologyCommand::DeleteQueue { id: id(name) },
        Step::Expire { name, expiry_s } => {
            TopologyCommand::SetSessionExpiry { id: id(name), expiry_s: *expiry_s }
        }
        Step::Bind { ends, qos, undo } => bind_command(ends, id(ends.queue), *qos, *undo),
        Step::Reset => TopologyCommand::DeleteVhost { vhost: VHOST.into() },
    }
}

fn queue_spec(name: &str, durable: bool, exclusive: bool, session: bool) -> QueueSpec {
    let kind = match session {
        true => QueueKind::MqttSession { client_id: name.into(), expiry_s: 9 },
        false => QueueKind::Classic,
    };
    let exclusive = exclusive.then_some(ConnectionId(1));
    QueueSpec { durable, exclusive, kind, ..QueueSpec::default() }
}

fn bind_command(ends: &Ends, queue: QueueId, qos: Option<u8>, undo: bool) -> TopologyCommand {
    let destination = match ends.to_queue {
        true => Destination::Queue(queue),
        false => Destination::Exchange(ends.exchange.into()),
    };
    let syntax = if ends.mqtt { Syntax::Mqtt } else { Syntax::Amqp };
    let binding =
        Binding { destination, syntax, ..Binding::to_queue(ends.source, queue, ends.key) };
    if undo {
        return unbind(binding);
    }
    let subscription = qos.map(|qos| SubscriptionOptions { qos, ..Default::default() });
    TopologyCommand::Bind { vhost: VHOST.into(), binding, subscription }
}

/// What is in a topology, whatever the order in which it came there.
fn content(topology: &Topology) -> BTreeSet<String> {
    let texts = topology.snapshot().into_iter().map(|command| command.to_json());
    texts.map(|json| String::from_utf8(json).unwrap()).collect()
}

/// Routes by the listing: from exchange to exchange until nothing new is reached.
fn routed_by_listing(
    bindings: &[BindingEntry<'_>],
    topology: &Topology,
    at: &str,
    key: &str,
) -> BTreeSet<QueueId> {
    let (mut queues, mut reached, mut open) =
        (BTreeSet::new(), BTreeSet::new(), vec![at.to_owned()]);
    while let Some(source) = open.pop() {
        if !reached.insert(source.clone()) {
            continue;
        }
        let kind = topology.exchange(VHOST, &source).unwrap().spec.kind;
        for entry in bindings.iter().filter(|entry| entry.source == source) {
            let matches = match kind {
                ExchangeKind::Direct => entry.key == key,
                ExchangeKind::Fanout => true,
                ExchangeKind::Topic => Pattern::new(entry.key, entry.syntax).matches(key),
                _ => unreachable!("none is declared or asked"),
            };
            match &entry.destination {
                _ if !matches => {}
                Destination::Queue(id) => {
                    queues.insert(*id);
                }
                Destination::Exchange(name) => open.push(name.to_string()),
            }
        }
    }
    queues
}

proptest! {
    #[test]
    fn the_journal_and_the_snapshot_rebuild_what_is_durable(steps in vec(step(), 1..60)) {
        let declare = TopologyCommand::DeclareVhost { vhost: VHOST.into() };
        let mut live = Topology::default();
        let mut replayed = Topology::default();
        for step in std::iter::once(None).chain(steps.iter().map(Some)) {
            let next = step.map_or(declare.clone(), |step| command(&live, step));
            let next_id = live.next_queue_id();
            if let Ok(applied) = live.apply(next) {
                for record in &applied.journal {
                    let read = TopologyCommand::from_json(&record.to_json()).unwrap();
                    replayed.replay(read).unwrap();
                }
            }
            prop_assert!(live.next_queue_id() >= next_id);
            if !live.has_vhost(VHOST) {
                live.apply(declare.clone()).unwrap();
                replayed.replay(declare.clone()).unwrap();
            }
        }
        // Ids of transient queues are not in the journal: nothing durable names them.
        replayed.replay(TopologyCommand::ReserveQueueIds {
            up_to: QueueId(live.next_queue_id().0 - 1),
        }).unwrap();
        prop_assert_eq!(content(&replayed), content(&live));
        let mut restored = Topology::default();
        for command in live.snapshot() {
            restored.apply(command).unwrap();
        }
        prop_assert_eq!(restored.snapshot(), live.snapshot());
    }

    #[test]
    fn routes_are_what_the_listed_bindings_say(steps in vec(step(), 1..60)) {
        let mut fixture = Fixture::new();
        for step in &steps {
            let command = command(&fixture.topology, step);
            let generation = fixture.topology.generation();
            let before = all_routes(&fixture.topology);
            // A refusal is part of the walk.
            let _refused = fixture.apply(command).is_err();
            if !fixture.topology.has_vhost(VHOST) {
                fixture = Fixture::new();
            } else if generation == fixture.topology.generation() {
                let after = all_routes(&fixture.topology);
                for (place, routes) in &before {
                    prop_assert_eq!(after.get(place), Some(routes), "stale at {:?}", place);
                }
            }
        }
        let bindings = fixture.topology.bindings(VHOST);
        for ((exchange, key), routes) in all_routes(&fixture.topology) {
            let found: BTreeSet<QueueId> = routes.targets.iter().map(|it| it.queue).collect();
            prop_assert_eq!(found.len(), routes.targets.len(), "a queue twice");
            let expected = routed_by_listing(&bindings, &fixture.topology, exchange, key);
            prop_assert_eq!(found, expected, "exchange {:?}, key {:?}", exchange, key);
        }
    }
}

fn all_routes(
    topology: &Topology,
) -> std::collections::BTreeMap<(&'static str, &'static str), Routes> {
    let places = EXCHANGES.iter().chain(&[""]).flat_map(|x| KEYS.iter().map(move |key| (*x, *key)));
    places
        .filter_map(|(exchange, key)| {
            let routes = topology.route(address(exchange, key), &Table::default(), None).ok()?;
            Some(((exchange, key), routes))
        })
        .collect()
}
