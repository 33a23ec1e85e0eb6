//! Policies: which one is in force, and what it changes.

use leveret_core::{ApplyTo, IntWidth, Overflow, Policy, PolicyKind, QueueSettings};

use super::*;

fn number(value: i64) -> Value {
    Value::Int(value, IntWidth::W64)
}

fn policy<const N: usize>(pattern: &str, priority: i64, says: [(&str, Value); N]) -> Policy {
    let (pattern, definition) = (pattern.parse().unwrap(), table(says));
    Policy { pattern, apply_to: ApplyTo::Queues, definition, priority }
}

fn put(name: &str, policy: Policy) -> TopologyCommand {
    put_as(PolicyKind::User, name, policy)
}

fn put_as(kind: PolicyKind, name: &str, policy: Policy) -> TopologyCommand {
    TopologyCommand::PutPolicy { vhost: VHOST.into(), kind, name: name.into(), policy }
}

fn delete(name: &str) -> TopologyCommand {
    let (kind, name) = (PolicyKind::User, name.into());
    TopologyCommand::DeletePolicy { vhost: VHOST.into(), kind, name }
}

fn settings(fixture: &Fixture, id: QueueId) -> QueueSettings {
    fixture.topology.queue_by_id(id).unwrap().settings()
}

#[test]
fn the_greatest_priority_is_in_force_and_among_equals_the_first_name() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    let limit = |fixture: &Fixture| settings(fixture, queue).max_length;
    for (name, priority, max) in [("b", 5, 2), ("a", 5, 1), ("c", 7, 3), ("d", -1, 4)] {
        let command = put(name, policy("q", priority, [("max-length", number(max))]));
        fixture.apply(command).unwrap();
    }
    assert_eq!(limit(&fixture), Some(3));
    fixture.apply(delete("c")).unwrap();
    assert_eq!(limit(&fixture), Some(1));
    fixture.apply(delete("a")).unwrap();
    assert_eq!(limit(&fixture), Some(2));
    for name in ["b", "d"] {
        fixture.apply(delete(name)).unwrap();
    }
    assert_eq!(limit(&fixture), None);
    assert!(fixture.topology.queue_by_id(queue).unwrap().in_force().is_none());
}

#[test]
fn a_command_names_the_queues_that_it_changes() {
    let mut fixture = Fixture::new();
    let ids = ["a1", "b", "a2", "a3"].map(|name| fixture.queue(name));
    let command = put("p", policy("^a", 0, [("max-length", number(1))]));
    let applied = fixture.apply(command.clone()).unwrap();
    assert_eq!(applied.reconfigured_queues, [ids[0], ids[2], ids[3]]);
    assert_eq!(applied.journal, std::slice::from_ref(&command));
    let again = fixture.apply(command).unwrap();
    assert_eq!((again.reconfigured_queues.len(), again.journal.len()), (0, 0));
    let narrower = put("p", policy("^a1", 0, [("max-length", number(1))]));
    assert_eq!(fixture.apply(narrower).unwrap().reconfigured_queues, [ids[2], ids[3]]);
    let new = fixture.queue("a1-new");
    assert_eq!(settings(&fixture, new).max_length, Some(1));
}

#[test]
fn least_numbers_count_and_words_of_those_who_come_first() {
    let mut fixture = Fixture::new();
    let arguments = table([
        ("x-max-length", number(5)),
        ("x-message-ttl", number(100)),
        ("x-overflow", "reject-publish".into()),
        ("x-delivery-limit", number(-1)),
    ]);
    let queue =
        fixture.queue_with("q", QueueSpec { arguments, durable: true, ..QueueSpec::default() });
    let says = [
        ("max-length", number(9)),
        ("message-ttl", number(50)),
        ("overflow", "drop-head".into()),
        ("delivery-limit", number(7)),
        ("dead-letter-exchange", "dlx".into()),
    ];
    fixture.apply(put("p", policy("q", 0, says))).unwrap();
    let found = settings(&fixture, queue);
    assert_eq!((found.max_length, found.message_ttl_ms), (Some(5), Some(50)));
    assert_eq!((found.overflow, found.delivery_limit), (Overflow::RejectPublish, Some(7)));
    assert!(found.dead_letters);
    assert_eq!(fixture.topology.queue_by_id(queue).unwrap().dead_letter_exchange(), Some("dlx"));
    let says =
        [("max-length", number(3)), ("overflow", "drop-head".into()), ("expires", number(9))];
    fixture.apply(put_as(PolicyKind::Operator, "o", policy("q", 0, says))).unwrap();
    let found = settings(&fixture, queue);
    assert_eq!((found.max_length, found.overflow), (Some(3), Overflow::DropHead));
    assert_eq!((found.message_ttl_ms, found.expires_ms), (Some(50), Some(9)));
}

#[test]
fn it_is_for_what_it_says() {
    let mut fixture = Fixture::new();
    let classic = fixture.queue("q");
    let arguments = table([("x-queue-type", "quorum".into())]);
    let quorum =
        fixture.queue_with("qq", QueueSpec { arguments, durable: true, ..QueueSpec::default() });
    for (apply_to, on_classic, on_quorum) in [
        (ApplyTo::All, true, true),
        (ApplyTo::Queues, true, true),
        (ApplyTo::ClassicQueues, true, false),
        (ApplyTo::QuorumQueues, false, true),
        (ApplyTo::Streams, false, false),
        (ApplyTo::Exchanges, false, false),
    ] {
        let policy = Policy { apply_to, ..policy("", 0, [("max-length", number(1))]) };
        let policy = Policy { pattern: "q".parse().unwrap(), ..policy };
        fixture.apply(put("p", policy)).unwrap();
        let has = |id| settings(&fixture, id).max_length.is_some();
        assert_eq!((has(classic), has(quorum)), (on_classic, on_quorum), "{apply_to:?}");
    }
}

#[test]
fn an_alternate_exchange_by_policy_counts_at_once() {
    let mut fixture = Fixture::new();
    fixture.exchange("x", ExchangeKind::Direct);
    let queue = fixture.queue("q");
    fixture.bind("amq.fanout", queue, "");
    assert_eq!(fixture.queues_routed("x", "k").len(), 0);
    let generation = fixture.topology.generation();
    let says = policy("^x$", 0, [("alternate-exchange", "amq.fanout".into())]);
    fixture.apply(put("p", Policy { apply_to: ApplyTo::Exchanges, ..says })).unwrap();
    assert_eq!(fixture.queues_routed("x", "k"), [queue.0]);
    assert!(fixture.topology.generation() > generation);
    fixture.apply(delete("p")).unwrap();
    assert_eq!(fixture.queues_routed("x", "k").len(), 0);
}

#[test]
fn policies_are_in_the_snapshot() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    fixture.apply(put("p", policy("q", 3, [("max-length", number(4))]))).unwrap();
    let operators = policy("q", 0, [("expires", number(5))]);
    fixture.apply(put_as(PolicyKind::Operator, "p", operators)).unwrap();
    let mut rebuilt = Topology::default();
    for command in fixture.topology.snapshot() {
        rebuilt.replay(command).unwrap();
    }
    assert_eq!(rebuilt.snapshot(), fixture.topology.snapshot());
    let found = rebuilt.queue_by_id(queue).unwrap();
    assert_eq!(found.settings(), settings(&fixture, queue));
    assert_eq!((found.settings().max_length, found.settings().expires_ms), (Some(4), Some(5)));
    assert_eq!(rebuilt.policies(VHOST, PolicyKind::User).count(), 1);
}
