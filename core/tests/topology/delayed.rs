//! Exchanges that delay: where their messages wait, and what becomes of that place.

use leveret_core::{Delayed, IntWidth, QueueKind};

use super::*;

fn spec(kind: &str) -> ExchangeSpec {
    let arguments = table([("x-delayed-type", kind.into())]);
    ExchangeSpec { arguments, ..ExchangeSpec::durable(ExchangeKind::Delayed) }
}

fn later(milliseconds: i64) -> Table {
    table([(Delayed::HEADER, Value::Int(milliseconds, IntWidth::W32))])
}

/// An exchange `later` that routes as `topic`, and the queue that it keeps messages in.
fn delaying() -> (Fixture, QueueId) {
    let mut fixture = Fixture::new();
    let applied = fixture.apply(declare_exchange("later", spec("topic"))).unwrap();
    (fixture, applied.queue.unwrap())
}

#[test]
fn a_message_with_a_delay_waits_and_goes_nowhere_else() {
    let (mut fixture, waiting) = delaying();
    let queue = fixture.queue("q");
    fixture.bind("later", queue, "a.*");
    let route = |headers: Table| {
        let routes = fixture.topology.route(address("later", "a.b"), &headers, None).unwrap();
        assert!(!routes.is_cacheable());
        (routes.targets.iter().map(|it| it.queue).collect::<Vec<_>>(), routes.delayed)
    };
    let delayed = Delayed { queue: waiting, durable: true, delay_ms: 70 };
    assert_eq!(route(later(70)), (vec![], vec![delayed]));
    for headers in [Table::default(), later(0), later(-70)] {
        assert_eq!(route(headers), (vec![queue], vec![]));
    }
}

#[test]
fn over_a_binding_it_waits_beside_what_goes_at_once() {
    let (mut fixture, waiting) = delaying();
    fixture.exchange("x", ExchangeKind::Fanout);
    let queue = fixture.queue("q");
    fixture.bind("x", queue, "");
    fixture.bind_exchange("x", "later", "");
    let routes = fixture.topology.route(address("x", "k"), &later(5), None).unwrap();
    assert_eq!((routes.targets[0].queue, routes.delayed[0].queue), (queue, waiting));
}

#[test]
fn its_queue_is_of_no_name_and_comes_back_with_it() {
    let (fixture, waiting) = delaying();
    assert!(fixture.topology.queue(VHOST, "later").is_err());
    assert!(fixture.topology.queues(VHOST).is_empty());
    let mut rebuilt = Topology::default();
    for command in fixture.topology.snapshot() {
        rebuilt.replay(command).unwrap();
    }
    assert_eq!(rebuilt.exchange(VHOST, "later").unwrap().own_queue, Some(waiting));
    let queue = rebuilt.queue_by_id(waiting).unwrap();
    assert_eq!((&queue.spec.kind, &*queue.name), (&QueueKind::Delay, "later"));
    assert!(queue.settings().durable && queue.settings().dead_letters);
    assert_eq!(rebuilt.snapshot(), fixture.topology.snapshot());
}

#[test]
fn the_journal_names_the_queue_of_a_new_exchange() {
    let mut fixture = Fixture::new();
    fixture.queue_with("transient", QueueSpec::default());
    let applied = fixture.apply(declare_exchange("later", spec("direct"))).unwrap();
    let recorded = match &applied.journal[..] {
        [TopologyCommand::DeclareExchange { own_queue, .. }] => *own_queue,
        other => panic!("{other:?}"),
    };
    assert_eq!((recorded, applied.queue), (Some(QueueId(2)), Some(QueueId(2))));
    let again = fixture.apply(declare_exchange("later", spec("direct"))).unwrap();
    assert_eq!((again.queue, again.journal), (None, vec![]));
}

#[test]
fn what_waits_goes_with_its_exchange_or_vhost() {
    let (mut fixture, waiting) = delaying();
    assert_eq!(fixture.apply(delete_exchange("later")).unwrap().deleted_queues, [waiting]);
    assert!(fixture.topology.queue_by_id(waiting).is_none());

    let auto_delete = ExchangeSpec { auto_delete: true, ..spec("fanout") };
    let waiting = fixture.apply(declare_exchange("later", auto_delete)).unwrap().queue.unwrap();
    let queue = fixture.queue("q");
    fixture.bind("later", queue, "");
    let applied = fixture.apply(unbind(Binding::to_queue("later", queue, ""))).unwrap();
    assert_eq!(applied.deleted_queues, [waiting]);

    let waiting = fixture.apply(declare_exchange("later", spec("fanout"))).unwrap().queue.unwrap();
    let applied = fixture.apply(TopologyCommand::DeleteVhost { vhost: VHOST.into() }).unwrap();
    assert_eq!(applied.deleted_queues, [queue, waiting]);
    assert!(fixture.topology.queue_by_id(waiting).is_none());
}

#[test]
fn the_delayed_type_has_to_be_another_type() {
    let mut fixture = Fixture::new();
    let unknown = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    let without = ExchangeSpec::durable(ExchangeKind::Delayed);
    for bad in [without, spec("nonsense")] {
        assert_eq!(fixture.refusal(declare_exchange("later", bad)), unknown);
    }
    assert_eq!(
        fixture.refusal(declare_exchange("later", spec("x-delayed-message"))),
        "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'"
    );
    fixture.apply(declare_exchange("hashed", spec("x-consistent-hash"))).unwrap();
    let queue = fixture.queue("q");
    let binding = Binding::to_queue("hashed", queue, "no weight");
    assert!(fixture.refusal(bind(binding)).starts_with("The binding key must be an integer"));
}

#[test]
fn an_exchange_that_remembers_keeps_a_copy_and_names_it_to_new_bindings() {
    let mut fixture = Fixture::new();
    let arguments = table([("x-recent-history-length", Value::Int(7, IntWidth::W32))]);
    let spec = ExchangeSpec { arguments, ..ExchangeSpec::durable(ExchangeKind::RecentHistory) };
    let history = fixture.apply(declare_exchange("x", spec)).unwrap().queue.unwrap();
    let entry = fixture.topology.queue_by_id(history).unwrap();
    let settings = entry.settings();
    assert_eq!((&entry.spec.kind, settings.max_length), (&QueueKind::History, Some(7)));
    assert_eq!(settings.max_length_bytes, Some(64 << 20));
    let queue = fixture.queue("q");
    assert_eq!(fixture.bind("x", queue, "any").recalled_from, Some(history));
    assert_eq!(fixture.bind("x", queue, "any").recalled_from, None, "it is bound already");
    assert_eq!(fixture.bind("amq.direct", queue, "any").recalled_from, None);
    assert_eq!(fixture.queues_routed("x", "k"), [history.0, queue.0]);
    let not_stored = table([("x-recent-history-no-store", Value::Bool(true))]);
    let routes = fixture.topology.route(address("x", "k"), &not_stored, None).unwrap();
    assert_eq!(routes.targets.iter().map(|it| it.queue).collect::<Vec<_>>(), [queue]);
    assert_eq!(fixture.apply(delete_exchange("x")).unwrap().deleted_queues, [history]);
}
