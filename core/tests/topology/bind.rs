//! Bindings: which are the same, and the words of every refusal.

use leveret_core::{
    ExchangeKind, IntWidth, Outcome, SubscriptionOptions, TopologyErrorKind, Value,
};

use super::*;

#[test]
fn the_same_binding_again_is_no_second_one() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    assert_eq!(fixture.bind("amq.direct", queue, "k").outcome, Outcome::Created);
    let generation = fixture.topology.generation();
    assert_eq!(fixture.bind("amq.direct", queue, "k").outcome, Outcome::Unchanged);
    assert_eq!(fixture.topology.generation(), generation);
    assert_eq!(fixture.bind("amq.direct", queue, "l").outcome, Outcome::Created);
    assert_eq!(fixture.topology.bindings_from(VHOST, "amq.direct").len(), 2);
}

#[test]
fn arguments_make_another_binding_by_value_and_not_by_order_or_width() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    let with = |arguments| Binding { arguments, ..Binding::to_queue("amq.headers", queue, "") };
    let a = || ("a", Value::Int(1, IntWidth::W8));
    let b = || ("b", Value::from("x"));
    let mut outcome = |command| fixture.apply(command).unwrap().outcome;
    assert_eq!(outcome(bind(with(table([a(), b()])))), Outcome::Created);
    let wide = ("a", Value::Unsigned(1, IntWidth::W32));
    assert_eq!(outcome(bind(with(table([b(), wide])))), Outcome::Unchanged);
    assert_eq!(outcome(bind(with(table([a()])))), Outcome::Created);
    assert_eq!(outcome(bind(with(table([])))), Outcome::Created);
    assert_eq!(outcome(unbind(with(table([b(), a()])))), Outcome::Deleted);
    assert_eq!(outcome(unbind(with(table([b(), a()])))), Outcome::Absent);
    assert_eq!(fixture.topology.bindings_from(VHOST, "amq.headers").len(), 2);
}

#[test]
fn a_name_that_repeats_in_arguments_does_not_make_a_binding_unlike_itself() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    let arguments = table([("a", Value::from(1)), ("a", Value::from(2))]);
    let binding = Binding { arguments, ..Binding::to_queue("amq.headers", queue, "") };
    assert_eq!(fixture.apply(bind(binding.clone())).unwrap().outcome, Outcome::Created);
    assert_eq!(fixture.apply(bind(binding.clone())).unwrap().outcome, Outcome::Unchanged);
    assert_eq!(fixture.apply(unbind(binding)).unwrap().outcome, Outcome::Deleted);
}

#[test]
fn the_source_is_missed_before_the_destination() {
    let mut fixture = Fixture::new();
    let nowhere = QueueId(9);
    let cases = [
        (Binding::to_queue("x", nowhere, ""), "no exchange 'x' in vhost '/'"),
        (Binding::to_queue("amq.direct", nowhere, ""), "no queue '9' in vhost '/'"),
        (between("x", "y", ""), "no exchange 'x' in vhost '/'"),
        (between("amq.direct", "y", ""), "no exchange 'y' in vhost '/'"),
    ];
    for (binding, expected) in cases {
        let error = fixture.apply(bind(binding)).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.kind(), TopologyErrorKind::NotFound);
    }
}

#[test]
fn a_queue_of_another_virtual_host_is_not_there() {
    let mut fixture = Fixture::new();
    fixture.apply(TopologyCommand::DeclareVhost { vhost: "other".into() }).unwrap();
    let queue = fixture.queue("q");
    let command = TopologyCommand::Bind {
        vhost: "other".into(),
        binding: Binding::to_queue("amq.direct", queue, ""),
        subscription: None,
    };
    assert_eq!(fixture.apply(command).unwrap_err().kind(), TopologyErrorKind::NotFound);
}

#[test]
fn the_default_exchange_is_neither_bound_nor_unbound() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    for binding in [Binding::to_queue("", queue, "k"), between("amq.direct", "", "k")] {
        for command in [bind(binding.clone()), unbind(binding)] {
            let error = fixture.apply(command).unwrap_err();
            assert_eq!(error.to_string(), "operation not permitted on the default exchange");
            assert_eq!(error.kind(), TopologyErrorKind::AccessRefused);
        }
    }
}

#[test]
fn unbinding_what_is_not_bound_is_fine() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    for binding in [
        Binding::to_queue("amq.direct", queue, "k"),
        Binding::to_queue("x", queue, "k"),
        Binding::to_queue("amq.direct", QueueId(9), "k"),
        between("x", "y", ""),
    ] {
        let applied = fixture.apply(unbind(binding)).unwrap();
        assert_eq!((applied.outcome, applied.journal.len()), (Outcome::Absent, 0));
    }
}

#[test]
fn a_refused_headers_binding_leaves_nothing_behind() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    let arguments = table([("x-match", "most".into())]);
    let binding = Binding { arguments, ..Binding::to_queue("amq.headers", queue, "") };
    let error = fixture.apply(bind(binding.clone())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Invalid x-match field value <<\"most\">>; expected all, any, all-with-x, or any-with-x"
    );
    assert_eq!(error.kind(), TopologyErrorKind::PreconditionFailed);
    assert_eq!(fixture.topology.bindings_of_queue(queue).len(), 1);
    assert_eq!(fixture.apply(unbind(binding)).unwrap().outcome, Outcome::Absent);
    assert!(fixture.queues_routed("amq.headers", "").is_empty());
}

#[test]
fn a_subscription_again_replaces_its_options() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("mqtt.c");
    let at = |qos| SubscriptionOptions { qos, ..SubscriptionOptions::default() };
    let first = fixture.subscribe(queue, "a.+", at(0));
    assert_eq!((first.outcome, first.outcome.existed()), (Outcome::Created, false));
    let generation = fixture.topology.generation();
    let equal = fixture.subscribe(queue, "a.+", at(0));
    assert_eq!((equal.outcome, equal.outcome.existed()), (Outcome::Unchanged, true));
    assert_eq!(fixture.topology.generation(), generation);
    let other = fixture.subscribe(queue, "a.+", at(2));
    assert_eq!((other.outcome, other.outcome.existed()), (Outcome::Replaced, true));
    assert_eq!(other.journal.len(), 1);
    assert_ne!(fixture.topology.generation(), generation);
    assert_eq!(fixture.route("amq.topic", "a.b").targets[0].subscription.as_ref().unwrap().qos, 2);
    let binding = Binding { syntax: Syntax::Mqtt, ..Binding::to_queue("amq.topic", queue, "a.+") };
    assert_eq!(fixture.apply(unbind(binding.clone())).unwrap().outcome, Outcome::Deleted);
    assert_eq!(fixture.apply(unbind(binding)).unwrap().outcome, Outcome::Absent);
}

#[test]
fn the_syntax_makes_another_binding() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    fixture.bind("amq.topic", queue, "#");
    fixture.subscribe(queue, "#", SubscriptionOptions::default());
    assert_eq!(fixture.topology.bindings_from(VHOST, "amq.topic").len(), 2);
    fixture.apply(unbind(Binding::to_queue("amq.topic", queue, "#"))).unwrap();
    assert!(fixture.queues_routed("amq.topic", "$SYS.x").is_empty());
    assert_eq!(fixture.queues_routed("amq.topic", "x"), [queue.0]);
}

#[test]
fn only_bindings_between_durable_ends_are_journaled() {
    let mut fixture = Fixture::new();
    let (durable, transient) =
        (fixture.queue("d"), fixture.queue_with("t", leveret_core::QueueSpec::default()));
    let spec = leveret_core::ExchangeSpec::transient(ExchangeKind::Fanout);
    assert!(fixture.apply(declare_exchange("x", spec)).unwrap().journal.is_empty());
    assert_eq!(fixture.bind("amq.fanout", durable, "").journal.len(), 1);
    assert_eq!(fixture.bind("amq.fanout", transient, "").journal.len(), 0);
    assert_eq!(fixture.bind("x", durable, "").journal.len(), 0);
    assert_eq!(fixture.bind_exchange("amq.fanout", "x", "").journal.len(), 0);
    assert_eq!(fixture.bind_exchange("amq.fanout", "amq.direct", "").journal.len(), 1);
}
