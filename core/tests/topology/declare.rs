//! Declarations: what is created, what counts as equal, and the words of every refusal.

use leveret_core::{
    ConnectionId, ExchangeKind, ExchangeSpec, IntWidth, Outcome, QueueId, QueueKind, QueueSpec,
    TopologyCommand, TopologyErrorKind, Value, strip_cr_lf,
};

use super::*;

fn durable() -> QueueSpec {
    QueueSpec { durable: true, ..QueueSpec::default() }
}

fn with_argument(name: &str, value: Value) -> QueueSpec {
    QueueSpec { arguments: table([(name, value)]), ..durable() }
}

fn exclusive_to(connection: u64) -> QueueSpec {
    QueueSpec { exclusive: Some(ConnectionId(connection)), ..QueueSpec::default() }
}

#[test]
fn a_virtual_host_comes_with_its_exchanges() {
    let fixture = Fixture::new();
    let found: Vec<_> = fixture
        .topology
        .exchanges(VHOST)
        .map(|it| (&*it.name, it.spec.kind.name(), it.spec.durable, it.spec.internal))
        .collect();
    assert_eq!(
        found,
        [
            ("", "direct", true, false),
            ("amq.direct", "direct", true, false),
            ("amq.fanout", "fanout", true, false),
            ("amq.headers", "headers", true, false),
            ("amq.match", "headers", true, false),
            ("amq.rabbitmq.trace", "topic", true, true),
            ("amq.topic", "topic", true, false),
        ]
    );
}

#[test]
fn a_missing_virtual_host_is_not_allowed() {
    let mut topology = Topology::default();
    let command = declare_exchange("x", ExchangeSpec::durable(ExchangeKind::Direct));
    let error = topology.apply(command).unwrap_err();
    assert_eq!(error.to_string(), "vhost / not found");
    assert_eq!(error.kind(), TopologyErrorKind::NotAllowed);
}

#[test]
fn an_equal_declaration_changes_nothing() {
    let mut fixture = Fixture::new();
    let spec = ExchangeSpec::durable(ExchangeKind::Topic);
    let created = fixture.apply(declare_exchange("x", spec.clone())).unwrap();
    assert_eq!((created.outcome, created.journal.len()), (Outcome::Created, 1));
    let again = fixture.apply(declare_exchange("x", spec.clone())).unwrap();
    assert_eq!((again.outcome, again.journal.len()), (Outcome::Unchanged, 0));
    let predeclared = fixture.apply(declare_exchange("amq.topic", spec)).unwrap();
    assert_eq!(predeclared.outcome, Outcome::Unchanged);

    let id = fixture.queue("q");
    let generation = fixture.topology.generation();
    let command = fixture.declare_queue("q", durable());
    let again = fixture.apply(command).unwrap();
    assert_eq!((again.outcome, again.queue), (Outcome::Unchanged, Some(id)));
    assert_eq!(fixture.topology.generation(), generation);
}

#[test]
fn an_exchange_that_differs_is_refused_in_the_order_of_properties() {
    let mut fixture = Fixture::new();
    fixture.exchange("x", ExchangeKind::Direct);
    let cases = [
        (
            ExchangeSpec::transient(ExchangeKind::Fanout),
            "inequivalent arg 'type' for exchange 'x' in vhost '/': \
             received 'fanout' but current is 'direct'",
        ),
        (
            ExchangeSpec { internal: true, ..ExchangeSpec::transient(ExchangeKind::Direct) },
            "inequivalent arg 'durable' for exchange 'x' in vhost '/': \
             received 'false' but current is 'true'",
        ),
        (
            ExchangeSpec {
                auto_delete: true,
                internal: true,
                ..ExchangeSpec::durable(ExchangeKind::Direct)
            },
            "inequivalent arg 'auto_delete' for exchange 'x' in vhost '/': \
             received 'true' but current is 'false'",
        ),
        (
            ExchangeSpec { internal: true, ..ExchangeSpec::durable(ExchangeKind::Direct) },
            "inequivalent arg 'internal' for exchange 'x' in vhost '/': \
             received 'true' but current is 'false'",
        ),
        (
            ExchangeSpec {
                arguments: table([("alternate-exchange", "ae".into())]),
                ..ExchangeSpec::durable(ExchangeKind::Direct)
            },
            "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': \
             received the value 'ae' of type 'longstr' but current is none",
        ),
    ];
    for (spec, expected) in cases {
        let error = fixture.apply(declare_exchange("x", spec)).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.kind(), TopologyErrorKind::PreconditionFailed);
    }
}

#[test]
fn names_that_are_the_brokers_are_refused() {
    let mut fixture = Fixture::new();
    let spec = ExchangeSpec::durable(ExchangeKind::Direct);
    let error = fixture.apply(declare_exchange("amq.x", spec.clone())).unwrap_err();
    assert_eq!(error.to_string(), "exchange name 'amq.x' contains reserved prefix 'amq.*'");
    assert_eq!(error.kind(), TopologyErrorKind::AccessRefused);
    let error = fixture.apply(declare_exchange("", spec)).unwrap_err();
    assert_eq!(error.to_string(), "operation not permitted on the default exchange");
    assert_eq!(error.kind(), TopologyErrorKind::AccessRefused);
    let command = fixture.declare_queue("amq.q", durable());
    let error = fixture.apply(command).unwrap_err();
    assert_eq!(error.to_string(), "queue name 'amq.q' contains reserved prefix 'amq.*'");
    assert_eq!(error.kind(), TopologyErrorKind::AccessRefused);
}

#[test]
fn a_name_that_the_broker_made_may_be_reserved_and_declared_again() {
    let mut fixture = Fixture::new();
    let declare = |server_named| TopologyCommand::DeclareQueue {
        id: QueueId(1),
        vhost: VHOST.into(),
        name: "amq.gen-x".into(),
        spec: QueueSpec::default(),
        server_named,
    };
    assert_eq!(fixture.apply(declare(true)).unwrap().outcome, Outcome::Created);
    assert_eq!(fixture.apply(declare(false)).unwrap().outcome, Outcome::Unchanged);
}

#[test]
fn a_queue_that_differs_is_refused() {
    let mut fixture = Fixture::new();
    fixture.queue("q");
    let cases = [
        (
            QueueSpec::default(),
            "inequivalent arg 'durable' for queue 'q' in vhost '/': \
             received 'false' but current is 'true'",
        ),
        (
            QueueSpec { auto_delete: true, ..durable() },
            "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': \
             received 'true' but current is 'false'",
        ),
        (
            with_argument("x-message-ttl", Value::Int(2_000, IntWidth::W32)),
            "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': \
             received the value '2000' of type 'signedint' but current is none",
        ),
        (
            with_argument("x-queue-type", "quorum".into()),
            "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': \
             received the value 'quorum' of type 'longstr' but current is none",
        ),
    ];
    for (spec, expected) in cases {
        let command = fixture.declare_queue("q", spec);
        let error = fixture.apply(command).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.kind(), TopologyErrorKind::PreconditionFailed);
    }
}

#[test]
fn an_exclusive_queue_is_locked_before_anything_is_compared() {
    let expected = "cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be \
                    originally declared on another connection or the exclusive property value does \
                    not match that of the original declaration.";
    let mut fixture = Fixture::new();
    let id = fixture.queue_with("q", exclusive_to(1));
    for spec in [exclusive_to(2), QueueSpec::default(), durable()] {
        let command = fixture.declare_queue("q", spec);
        let error = fixture.apply(command).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.kind(), TopologyErrorKind::ResourceLocked);
    }
    assert_eq!(fixture.queue_with("q", exclusive_to(1)), id);
    let topology = &fixture.topology;
    assert_eq!(topology.queue_for(VHOST, "q", ConnectionId(1)).unwrap().id, id);
    let error = topology.queue_for(VHOST, "q", ConnectionId(2)).unwrap_err();
    assert_eq!(error.to_string(), expected);
    let error = topology.queue_for(VHOST, "nope", ConnectionId(2)).unwrap_err();
    assert_eq!(error.to_string(), "no queue 'nope' in vhost '/'");
    assert_eq!(error.kind(), TopologyErrorKind::NotFound);
}

#[test]
fn a_queue_that_was_shared_cannot_become_exclusive() {
    let mut fixture = Fixture::new();
    fixture.queue_with("q", QueueSpec::default());
    let command = fixture.declare_queue("q", exclusive_to(1));
    assert_eq!(fixture.apply(command).unwrap_err().kind(), TopologyErrorKind::ResourceLocked);
}

#[test]
fn the_exclusive_queues_of_a_connection_are_known_until_they_are_gone() {
    let mut fixture = Fixture::new();
    let (a, b) =
        (fixture.queue_with("a", exclusive_to(1)), fixture.queue_with("b", exclusive_to(1)));
    fixture.queue_with("c", exclusive_to(2));
    assert_eq!(fixture.topology.exclusive_queues_of(ConnectionId(1)), [a, b]);
    fixture.apply(TopologyCommand::DeleteQueue { id: a }).unwrap();
    assert_eq!(fixture.topology.exclusive_queues_of(ConnectionId(1)), [b]);
    fixture.apply(TopologyCommand::DeleteVhost { vhost: VHOST.into() }).unwrap();
    assert_eq!(fixture.topology.exclusive_queues_of(ConnectionId(1)), []);
}

#[test]
fn arguments_that_would_be_ignored_are_refused() {
    let mut fixture = Fixture::new();
    let cases = [
        ("x-message-ttl", Value::from(-1), "{value_negative,-1}"),
        ("x-message-ttl", Value::from(315_360_000_001i64), "{value_too_large,315360000001}"),
        ("x-max-length", "1".into(), "{unacceptable_type,longstr}"),
        ("x-dead-letter-routing-key", "k".into(), "routing_key_but_no_dlx_defined"),
        ("x-overflow", "drop-tail".into(), "invalid_overflow"),
        ("x-expires", Value::from(0), "{value_zero,0}"),
        ("x-max-length-bytes", Value::from(-1), "{value_negative,-1}"),
        ("x-max-priority", Value::from(256), "{max_value_exceeded,256}"),
        ("x-delivery-limit", Value::from(-2), "{value_negative,-2}"),
        ("x-single-active-consumer", "yes".into(), "{unacceptable_type,longstr}"),
        ("x-queue-mode", "eager".into(), "invalid_queue_mode"),
        ("x-queue-type", "stream".into(), "not supported yet"),
        ("x-queue-type", "pile".into(), "\"unsupported queue type 'pile'\""),
        ("x-queue-type", Value::Int(1, IntWidth::W32), "{unacceptable_type,signedint}"),
    ];
    for (name, value, reason) in cases {
        let command = fixture.declare_queue("q", with_argument(name, value));
        let error = fixture.apply(command).unwrap_err();
        let expected = format!("invalid arg '{name}' for queue 'q' in vhost '/': {reason}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.kind(), TopologyErrorKind::PreconditionFailed);
    }
    assert!(fixture.topology.queue(VHOST, "q").is_err());
}

#[test]
fn a_quorum_queue_is_durable_named_and_shared() {
    let mut fixture = Fixture::new();
    let quorum = |argument: Option<(&'static str, Value)>| {
        let both = [("x-queue-type", Value::from("quorum"))].into_iter().chain(argument);
        QueueSpec { durable: true, arguments: both.collect(), ..QueueSpec::default() }
    };
    let cases = [
        (QueueSpec { durable: false, ..quorum(None) }, "invalid property 'non-durable' for"),
        (QueueSpec { auto_delete: true, ..quorum(None) }, "invalid property 'auto-delete' for"),
        (
            QueueSpec { exclusive: Some(ConnectionId(1)), ..quorum(None) },
            "invalid property 'exclusive-owner' for",
        ),
        (quorum(Some(("x-max-priority", 5.into()))), "invalid arg 'x-max-priority' for"),
        (quorum(Some(("x-overflow", "reject-publish-dlx".into()))), "invalid arg 'x-overflow' for"),
    ];
    for (spec, expected) in cases {
        let command = fixture.declare_queue("q", spec);
        let refusal = fixture.refusal(command);
        assert!(refusal.starts_with(&format!("{expected} queue 'q' in vhost '/'")), "{refusal}");
    }
    let id = fixture.queue_with("q", quorum(None));
    let settings = fixture.topology.queue_by_id(id).unwrap().settings();
    assert_eq!((settings.delivery_limit, settings.counts_deliveries), (Some(20), true));
    let id = fixture.queue_with("r", quorum(Some(("x-delivery-limit", (-1).into()))));
    let settings = fixture.topology.queue_by_id(id).unwrap().settings();
    assert_eq!((settings.delivery_limit, settings.counts_deliveries), (None, true));
}

#[test]
fn arguments_that_change_nothing_are_accepted_and_not_compared() {
    let mut fixture = Fixture::new();
    let id = fixture.queue_with("q", with_argument("x-queue-type", "classic".into()));
    assert_eq!(fixture.queue("q"), id);
    assert_eq!(fixture.queue_with("q", with_argument("x-queue-mode", "lazy".into())), id);
    assert_eq!(fixture.queue_with("q", with_argument("mine", Value::from(1))), id);
    let other = fixture.queue_with("r", with_argument("mine", Value::from(1)));
    let stored = &fixture.topology.queue_by_id(other).unwrap().spec.arguments;
    assert_eq!(*stored, table([("mine", Value::from(1))]));
    assert_eq!(fixture.queue_with("r", with_argument("mine", Value::from(2))), other);
}

#[test]
fn an_alternate_exchange_is_named_by_a_text() {
    let mut fixture = Fixture::new();
    let spec = |value: Value| {
        let arguments = table([("alternate-exchange", value)]);
        ExchangeSpec { arguments, ..ExchangeSpec::durable(ExchangeKind::Direct) }
    };
    assert_eq!(
        fixture.refusal(declare_exchange("x", spec(true.into()))),
        "invalid type 'bool' for arg 'alternate-exchange' in exchange 'x' in vhost '/'"
    );
    fixture.apply(declare_exchange("x", spec("ae".into()))).unwrap();
    assert_eq!(
        fixture.refusal(declare_exchange("x", spec("other".into()))),
        "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received the value \
         'other' of type 'longstr' but current is the value 'ae' of type 'longstr'"
    );
}

#[test]
fn exchange_types_are_known_by_name() {
    for name in ["direct", "fanout", "topic", "headers", "x-consistent-hash", "x-random"] {
        assert_eq!(name.parse::<ExchangeKind>().unwrap().name(), name);
    }
    for kind in ExchangeKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    let error = TopologyError::from("x-jms-topic".parse::<ExchangeKind>().unwrap_err());
    assert_eq!(error.to_string(), "unknown exchange type 'x-jms-topic'");
    assert_eq!(error.kind(), TopologyErrorKind::PreconditionFailed);
}

#[test]
fn a_passive_declaration_of_an_exchange_only_looks() {
    let fixture = Fixture::new();
    let find = |name| fixture.topology.exchange_passively(VHOST, name);
    assert!(find("amq.direct").is_ok());
    assert_eq!(find("x").unwrap_err().to_string(), "no exchange 'x' in vhost '/'");
    assert_eq!(find("x").unwrap_err().kind(), TopologyErrorKind::NotFound);
    assert_eq!(
        find("").unwrap_err().to_string(),
        "operation not permitted on the default exchange"
    );
}

#[test]
fn line_ends_are_dropped_from_names() {
    assert_eq!(strip_cr_lf("a\r\nb\n"), "ab");
    let mut fixture = Fixture::new();
    fixture.queue("q\r\n");
    fixture.exchange("x\n", ExchangeKind::Direct);
    assert!(fixture.topology.queue(VHOST, "q").is_ok());
    assert!(fixture.has_exchange("x"));
}

#[test]
fn queue_ids_grow_and_cannot_be_taken_twice() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.topology.next_queue_id(), QueueId(1));
    let declare = |id, name: &str| TopologyCommand::DeclareQueue {
        id: QueueId(id),
        vhost: VHOST.into(),
        name: name.into(),
        spec: QueueSpec::default(),
        server_named: false,
    };
    fixture.apply(declare(5, "a")).unwrap();
    assert_eq!(fixture.topology.next_queue_id(), QueueId(6));
    assert_eq!(fixture.refusal(declare(5, "b")), "queue id 5 is taken");
    fixture.apply(TopologyCommand::DeleteQueue { id: QueueId(5) }).unwrap();
    assert_eq!(fixture.topology.next_queue_id(), QueueId(6));
}

#[test]
fn a_session_is_not_mistaken_for_a_classic_queue() {
    let session = |expiry_s| QueueSpec {
        kind: QueueKind::MqttSession { client_id: "c".into(), expiry_s },
        ..durable()
    };
    let mut fixture = Fixture::new();
    let id = fixture.queue_with("mqtt.c", session(10));
    assert_eq!(fixture.queue_with("mqtt.c", session(20)), id);
    let command = fixture.declare_queue("mqtt.c", durable());
    assert_eq!(
        fixture.refusal(command),
        "inequivalent arg 'x-queue-type' for queue 'mqtt.c' in vhost '/': \
         received 'classic' but current is 'mqtt'"
    );
}

#[test]
fn a_sessions_expiry_can_be_changed() {
    let mut fixture = Fixture::new();
    let kind = QueueKind::MqttSession { client_id: "c".into(), expiry_s: 10 };
    let id = fixture.queue_with("mqtt.c", QueueSpec { kind, ..durable() });
    let plain = fixture.queue("q");
    let mut outcome = |id, expiry_s| {
        let applied = fixture.apply(TopologyCommand::SetSessionExpiry { id, expiry_s }).unwrap();
        (applied.outcome, applied.journal.len())
    };
    assert_eq!(outcome(id, 20), (Outcome::Replaced, 1));
    assert_eq!(outcome(id, 20), (Outcome::Unchanged, 0));
    assert_eq!(outcome(plain, 20), (Outcome::Absent, 0));
    assert_eq!(outcome(QueueId(99), 20), (Outcome::Absent, 0));
    let kind = &fixture.topology.queue_by_id(id).unwrap().spec.kind;
    assert!(matches!(kind, QueueKind::MqttSession { expiry_s: 20, .. }));
}
