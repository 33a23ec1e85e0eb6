//! Limits of virtual hosts and users.

use leveret_core::{Limit, NodeLimits, Outcome, TopologyErrorKind};

use super::*;

fn limit_queues(max: i64) -> TopologyCommand {
    TopologyCommand::SetVhostLimit { vhost: VHOST.into(), limit: Limit::MaxQueues, max }
}

fn limit_user(limit: Limit, max: i64) -> TopologyCommand {
    TopologyCommand::SetUserLimit { user: "jo".into(), limit, max }
}

fn with_user() -> Fixture {
    let mut fixture = Fixture::new();
    let (name, password_hash) = ("jo".into(), String::new());
    fixture
        .apply(TopologyCommand::PutUser {
            name,
            password_hash,
            scram_keys: String::new(),
            tags: Vec::new(),
        })
        .unwrap();
    fixture
}

#[test]
fn a_vhost_has_no_more_queues_than_it_may() {
    let mut fixture = Fixture::new();
    fixture.apply(limit_queues(2)).unwrap();
    let first = fixture.queue("a");
    fixture.queue_with("b", QueueSpec::default());
    let third = fixture.declare_queue("c", QueueSpec::default());
    let error = fixture.apply(third.clone()).unwrap_err();
    assert_eq!(error.kind(), TopologyErrorKind::PreconditionFailed);
    let text = "cannot declare queue 'c': queue limit in vhost '/' (2) is reached";
    assert_eq!(error.to_string(), text);
    assert_eq!(fixture.queue("a"), first, "what is there is no new queue");
    fixture.apply(TopologyCommand::DeleteQueue { id: first }).unwrap();
    fixture.apply(third).unwrap();
}

#[test]
fn a_limit_holds_for_what_is_new_and_a_negative_one_is_none() {
    let mut fixture = Fixture::new();
    fixture.queue("a");
    fixture.apply(limit_queues(0)).unwrap();
    let declare = fixture.declare_queue("b", QueueSpec::default());
    assert!(fixture.refusal(declare.clone()).contains("(0)"));
    fixture.apply(limit_queues(-1)).unwrap();
    fixture.apply(declare).unwrap();
    assert_eq!(Limit::MaxQueues.max(fixture.topology.vhost_limits(VHOST)), None);
    let clear = TopologyCommand::ClearVhostLimit { vhost: VHOST.into(), limit: Limit::MaxQueues };
    assert_eq!(fixture.apply(clear.clone()).unwrap().outcome, Outcome::Deleted);
    assert_eq!(fixture.apply(clear).unwrap().outcome, Outcome::Absent);
    assert!(fixture.topology.vhost_limits(VHOST).is_empty());
}

#[test]
fn limits_are_in_the_snapshot_behind_what_they_do_not_allow_any_more() {
    let mut fixture = with_user();
    fixture.queue("a");
    fixture.apply(limit_queues(0)).unwrap();
    let set = fixture.apply(limit_user(Limit::MaxChannels, 3)).unwrap();
    assert_eq!(set.journal, [limit_user(Limit::MaxChannels, 3)]);
    fixture.apply(limit_user(Limit::MaxConnections, -1)).unwrap();
    let mut rebuilt = Topology::default();
    for command in fixture.topology.snapshot() {
        rebuilt.apply(TopologyCommand::from_json(&command.to_json()).unwrap()).unwrap();
    }
    assert!(rebuilt.queue(VHOST, "a").is_ok());
    assert_eq!(rebuilt.vhost_limits(VHOST), fixture.topology.vhost_limits(VHOST));
    let limits = rebuilt.user_limits("jo");
    assert_eq!(Limit::MaxChannels.max(limits), Some(3));
    assert_eq!((limits.len(), Limit::MaxConnections.max(limits)), (2, None));
}

#[test]
fn replay_knows_no_limit_of_queues() {
    let mut fixture = Fixture::new();
    fixture.apply(limit_queues(0)).unwrap();
    let declare = fixture.declare_queue("a", QueueSpec { durable: true, ..Default::default() });
    assert!(fixture.topology.replay(declare).is_ok());
}

#[test]
fn limits_stay_when_a_user_changes_and_go_with_it() {
    let mut fixture = with_user();
    fixture.apply(limit_user(Limit::MaxConnections, 1)).unwrap();
    let (name, tags) = ("jo".into(), vec!["management".into()]);
    fixture
        .apply(TopologyCommand::PutUser {
            name,
            password_hash: "h".into(),
            scram_keys: String::new(),
            tags,
        })
        .unwrap();
    assert_eq!(Limit::MaxConnections.max(fixture.topology.user_limits("jo")), Some(1));
    fixture.apply(TopologyCommand::DeleteUser { name: "jo".into() }).unwrap();
    assert_eq!(fixture.refusal(limit_user(Limit::MaxConnections, 1)), "no user 'jo'");
    let vhost = "no".into();
    let nowhere = TopologyCommand::SetVhostLimit { vhost, limit: Limit::MaxQueues, max: 1 };
    assert_eq!(fixture.refusal(nowhere), "vhost no not found");
}

#[test]
fn the_node_has_no_more_of_anything_than_it_may() {
    let mut fixture = Fixture::new();
    let limits = NodeLimits { queues: 2, exchanges: 1, bindings: 3, bindings_per_destination: 2 };
    fixture.topology.set_node_limits(limits);
    fixture.exchange("x", ExchangeKind::Topic);
    let second = declare_exchange("y", ExchangeSpec::durable(ExchangeKind::Topic));
    assert_eq!(fixture.refusal(second), "exchange limit of the node (1) is reached");
    let again = declare_exchange("x", ExchangeSpec::durable(ExchangeKind::Topic));
    assert_eq!(fixture.apply(again).unwrap().outcome, Outcome::Unchanged);
    let (a, b) = (fixture.queue("a"), fixture.queue("b"));
    let third = fixture.declare_queue("c", QueueSpec::default());
    let error = fixture.apply(third).unwrap_err();
    assert_eq!(error.to_string(), "queue limit of the node (2) is reached");
    assert_eq!(error.kind(), TopologyErrorKind::PreconditionFailed);
    let bind = |queue, key| TopologyCommand::Bind {
        vhost: VHOST.into(),
        binding: Binding::to_queue("x", queue, key),
        subscription: None,
    };
    fixture.apply(bind(a, "1")).unwrap();
    fixture.apply(bind(a, "2")).unwrap();
    let text = "binding limit of a queue or an exchange (2) is reached";
    assert_eq!(fixture.refusal(bind(a, "3")), text);
    assert_eq!(fixture.apply(bind(a, "2")).unwrap().outcome, Outcome::Unchanged);
    fixture.apply(bind(b, "1")).unwrap();
    assert_eq!(fixture.refusal(bind(b, "2")), "binding limit of the node (3) is reached");
    fixture.apply(TopologyCommand::DeleteQueue { id: a }).unwrap();
    fixture.apply(bind(b, "2")).unwrap();
    assert_eq!(fixture.topology.total_bindings(), 2);
}

#[test]
fn a_log_may_bring_back_more_than_the_limits_of_the_node_are_now() {
    let mut fixture = Fixture::new();
    let none = NodeLimits { queues: 0, exchanges: 0, bindings: 0, bindings_per_destination: 0 };
    fixture.topology.set_node_limits(none);
    let queue = fixture.declare_queue("a", QueueSpec::default());
    let id = fixture.topology.replay(queue).unwrap().queue.unwrap();
    let exchange = declare_exchange("x", ExchangeSpec::durable(ExchangeKind::Fanout));
    fixture.topology.replay(exchange).unwrap();
    let bind = TopologyCommand::Bind {
        vhost: VHOST.into(),
        binding: Binding::to_queue("x", id, ""),
        subscription: None,
    };
    fixture.topology.replay(bind).unwrap();
}
