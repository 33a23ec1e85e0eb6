//! Deletions and what goes along.

use leveret_core::{ConnectionId, ExchangeKind, Outcome, QueueSpec, TopologyErrorKind};

use super::*;

fn delete_queue(id: QueueId) -> TopologyCommand {
    TopologyCommand::DeleteQueue { id }
}

fn names(applied: &Applied) -> Vec<&str> {
    applied.deleted_exchanges.iter().map(|name| &**name).collect()
}

#[test]
fn what_is_not_there_can_be_deleted() {
    let mut fixture = Fixture::new();
    let generation = fixture.topology.generation();
    for command in [
        delete_exchange("x"),
        delete_queue(QueueId(7)),
        TopologyCommand::DeleteVhost { vhost: "v".into() },
        TopologyCommand::DeleteUser { name: "u".into() },
    ] {
        let applied = fixture.apply(command).unwrap();
        assert_eq!((applied.outcome, applied.journal.len()), (Outcome::Absent, 0));
    }
    assert_eq!(fixture.topology.generation(), generation);
}

#[test]
fn predeclared_exchanges_stay() {
    let mut fixture = Fixture::new();
    let error = fixture.apply(delete_exchange("amq.topic")).unwrap_err();
    let expected = "deletion of system exchange 'amq.topic' in vhost '/' not allowed";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.kind(), TopologyErrorKind::AccessRefused);
    let error = fixture.apply(delete_exchange("")).unwrap_err();
    assert_eq!(error.to_string(), "operation not permitted on the default exchange");
}

#[test]
fn an_exchange_in_use_is_only_deleted_when_that_is_meant() {
    let mut fixture = Fixture::new();
    fixture.exchange("x", ExchangeKind::Fanout);
    let queue = fixture.queue("q");
    fixture.bind("x", queue, "");
    fixture.bind_exchange("amq.fanout", "x", "");
    let if_unused = |name: &str| TopologyCommand::DeleteExchange {
        vhost: VHOST.into(),
        name: name.into(),
        if_unused: true,
    };
    let error = fixture.apply(if_unused("x")).unwrap_err();
    assert_eq!(error.to_string(), "exchange 'x' in vhost '/' in use");
    assert_eq!(error.kind(), TopologyErrorKind::PreconditionFailed);
    fixture.apply(unbind(Binding::to_queue("x", queue, ""))).unwrap();
    assert_eq!(names(&fixture.apply(if_unused("x")).unwrap()), ["x"]);
    assert!(fixture.topology.bindings_from(VHOST, "amq.fanout").is_empty());
}

#[test]
fn a_deleted_queue_takes_its_bindings_along() {
    let mut fixture = Fixture::new();
    let (q, r) = (fixture.queue("q"), fixture.queue("r"));
    for source in ["amq.direct", "amq.fanout", "amq.topic", "amq.headers"] {
        fixture.bind(source, q, "k");
        fixture.bind(source, r, "k");
    }
    let applied = fixture.apply(delete_queue(q)).unwrap();
    assert_eq!((applied.outcome, &applied.deleted_queues[..]), (Outcome::Deleted, &[q][..]));
    for source in ["amq.direct", "amq.fanout", "amq.topic", "amq.headers"] {
        assert_eq!(fixture.queues_routed(source, "k"), [r.0], "{source}");
    }
    assert!(fixture.queues_routed("", "q").is_empty());
    let again = fixture.queue("q");
    assert_ne!(again, q);
    assert_eq!(fixture.queues_routed("amq.fanout", ""), [r.0]);
}

#[test]
fn an_exchange_deleted_and_declared_again_has_no_bindings() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    fixture.exchange("x", ExchangeKind::Topic);
    fixture.bind("x", queue, "#");
    fixture.bind_exchange("x", "x", "#");
    fixture.apply(delete_exchange("x")).unwrap();
    assert_eq!(fixture.topology.bindings_of_queue(queue).len(), 1);
    let error = fixture.topology.route(address("x", "k"), &Table::default(), None).unwrap_err();
    assert_eq!(error.to_string(), "no exchange 'x' in vhost '/'");
    fixture.exchange("x", ExchangeKind::Topic);
    assert!(fixture.queues_routed("x", "k").is_empty());
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding_and_never_before_one() {
    let mut fixture = Fixture::new();
    fixture.auto_delete_exchange("x", true);
    let (q, r) = (fixture.queue("q"), fixture.queue("r"));
    fixture.bind_exchange("amq.fanout", "x", "");
    fixture.apply(unbind(between("amq.fanout", "x", ""))).unwrap();
    assert!(fixture.has_exchange("x"), "it was only a destination");
    fixture.bind("x", q, "");
    fixture.bind("x", r, "");
    assert!(names(&fixture.apply(unbind(Binding::to_queue("x", q, ""))).unwrap()).is_empty());
    let applied = fixture.apply(delete_queue(r)).unwrap();
    assert_eq!(names(&applied), ["x"]);
    assert_eq!(applied.journal, [delete_queue(r), delete_exchange("x")]);
    assert!(!fixture.has_exchange("x"));
}

#[test]
fn auto_delete_runs_up_a_chain_of_exchanges() {
    let mut fixture = Fixture::new();
    for name in ["a", "b", "c"] {
        fixture.auto_delete_exchange(name, name != "b");
    }
    let queue = fixture.queue_with("q", QueueSpec::default());
    fixture.bind_exchange("a", "b", "");
    fixture.bind_exchange("b", "c", "");
    fixture.bind("c", queue, "");
    let applied = fixture.apply(delete_queue(queue)).unwrap();
    assert_eq!(names(&applied), ["c", "b", "a"]);
    assert_eq!(applied.journal, [delete_exchange("c"), delete_exchange("a")]);
}

#[test]
fn auto_delete_runs_up_when_an_exchange_is_deleted() {
    let mut fixture = Fixture::new();
    fixture.auto_delete_exchange("up", true);
    fixture.exchange("x", ExchangeKind::Fanout);
    fixture.bind_exchange("up", "x", "");
    let applied = fixture.apply(delete_exchange("x")).unwrap();
    assert_eq!(names(&applied), ["x", "up"]);
    assert_eq!(applied.journal, [delete_exchange("x"), delete_exchange("up")]);
}

#[test]
fn a_long_chain_of_auto_delete_exchanges_is_no_recursion() {
    let mut fixture = Fixture::new();
    let name = |i: u32| format!("x{i}");
    for i in 0..20_000 {
        fixture.auto_delete_exchange(&name(i), false);
        if i > 0 {
            fixture.bind_exchange(&name(i - 1), &name(i), "");
        }
    }
    let queue = fixture.queue("q");
    fixture.bind(&name(19_999), queue, "");
    assert_eq!(fixture.queues_routed("x0", ""), [queue.0]);
    assert_eq!(fixture.apply(delete_queue(queue)).unwrap().deleted_exchanges.len(), 20_000);
}

#[test]
fn a_virtual_host_takes_everything_along() {
    let mut fixture = Fixture::new();
    let (q, r) = (fixture.queue("q"), fixture.queue("r"));
    fixture.bind("amq.direct", q, "k");
    let user = || TopologyCommand::PutUser {
        name: "u".into(),
        password_hash: "h".into(),
        scram_keys: String::new(),
        tags: Vec::new(),
    };
    fixture.apply(user()).unwrap();
    let permit = TopologyCommand::SetPermissions {
        user: "u".into(),
        vhost: VHOST.into(),
        permissions: leveret_core::Permissions::default(),
    };
    fixture.apply(permit.clone()).unwrap();
    let applied = fixture.apply(TopologyCommand::DeleteVhost { vhost: VHOST.into() }).unwrap();
    assert_eq!(applied.deleted_queues, [q, r]);
    assert!(fixture.topology.queue_by_id(q).is_none() && !fixture.topology.has_vhost(VHOST));
    assert!(fixture.topology.user("u").unwrap().permissions.is_empty());
    assert_eq!(fixture.refusal(permit), "vhost / not found");
    fixture.apply(TopologyCommand::DeclareVhost { vhost: VHOST.into() }).unwrap();
    assert!(fixture.topology.queues(VHOST).is_empty());
    assert!(fixture.queues_routed("amq.direct", "k").is_empty());
}

#[test]
fn an_exclusive_queue_is_never_journaled_but_what_follows_from_it_is() {
    let mut fixture = Fixture::new();
    fixture.auto_delete_exchange("x", true);
    let spec =
        QueueSpec { durable: true, exclusive: Some(ConnectionId(1)), ..QueueSpec::default() };
    let declare = fixture.declare_queue("q", spec);
    let declared = fixture.apply(declare).unwrap();
    assert!(declared.journal.is_empty());
    let queue = declared.queue.unwrap();
    assert!(fixture.bind("x", queue, "").journal.is_empty());
    assert!(!fixture.route("x", "").targets[0].durable);
    assert_eq!(fixture.apply(delete_queue(queue)).unwrap().journal, [delete_exchange("x")]);
}
