//! The journal and snapshots bring back what is durable.

use leveret_core::{
    ConnectionId, ExchangeKind, ExchangeSpec, Outcome, Permissions, QueueKind, QueueSpec,
    SubscriptionOptions, TopologyErrorKind, Value, VhostFacts,
};

use super::access::pattern;
use super::*;

fn rebuilt(commands: &[TopologyCommand]) -> Topology {
    let mut topology = Topology::default();
    for command in commands {
        let read = TopologyCommand::from_json(&command.to_json()).unwrap();
        assert_eq!(read, *command);
        topology.apply(read).unwrap();
    }
    topology
}

#[test]
fn a_snapshot_has_everything_durable_and_nothing_else() {
    let mut fixture = Fixture::new();
    fixture.exchange("x", ExchangeKind::Headers);
    fixture.apply(declare_exchange("t", ExchangeSpec::transient(ExchangeKind::Fanout))).unwrap();
    let kind = QueueKind::MqttSession { client_id: "c".into(), expiry_s: 60 };
    let session =
        fixture.queue_with("mqtt.c", QueueSpec { durable: true, kind, ..QueueSpec::default() });
    let queue = fixture.queue("q");
    let exclusive =
        QueueSpec { durable: true, exclusive: Some(ConnectionId(1)), ..QueueSpec::default() };
    let gone = fixture.queue_with("e", exclusive);
    let options = SubscriptionOptions { qos: 2, id: Some(3), ..Default::default() };
    fixture.subscribe(session, "a.+", options);
    let arguments = table([("a", Value::from("é")), ("x-match", "any".into())]);
    fixture.apply(bind(Binding { arguments, ..Binding::to_queue("x", queue, "k") })).unwrap();
    fixture.bind("t", queue, "");
    fixture.bind("amq.topic", gone, "#");
    fixture.bind_exchange("amq.topic", "x", "h.#");

    let snapshot = fixture.topology.snapshot();
    let rebuilt = rebuilt(&snapshot);
    assert_eq!(rebuilt.snapshot(), snapshot);
    assert_eq!(rebuilt.next_queue_id(), fixture.topology.next_queue_id());
    assert!(rebuilt.exchange(VHOST, "t").is_err() && rebuilt.queue(VHOST, "e").is_err());
    assert_eq!(rebuilt.queue(VHOST, "q").unwrap().id, queue);
    let headers = table([("a", Value::from("é"))]);
    for (exchange, key) in [("amq.topic", "a.b"), ("amq.topic", "h.x"), ("", "q"), ("x", "")] {
        let route = |topology: &Topology| topology.route(address(exchange, key), &headers, None);
        let mut before = route(&fixture.topology).unwrap();
        before.targets.retain(|target| target.queue != gone);
        assert_eq!(route(&rebuilt).unwrap(), before);
    }
}

#[test]
fn users_and_permissions_are_in_the_snapshot() {
    let mut fixture = Fixture::new();
    let put = |hash: &str, keys: &str| TopologyCommand::PutUser {
        name: "u".into(),
        password_hash: hash.into(),
        scram_keys: keys.into(),
        tags: vec!["monitoring".into()],
    };
    let permissions =
        Permissions { configure: pattern("^a"), write: pattern(".*"), read: pattern("") };
    let permit = TopologyCommand::SetPermissions {
        user: "u".into(),
        vhost: VHOST.into(),
        permissions: permissions.clone(),
    };
    let error = fixture.apply(permit.clone()).unwrap_err();
    assert_eq!(
        (error.to_string(), error.kind()),
        ("no user 'u'".into(), TopologyErrorKind::NotFound)
    );
    assert_eq!(fixture.apply(put("h", "")).unwrap().outcome, Outcome::Created);
    assert_eq!(fixture.apply(permit.clone()).unwrap().outcome, Outcome::Created);
    assert_eq!(fixture.apply(permit).unwrap().outcome, Outcome::Unchanged);
    assert_eq!(fixture.apply(put("h", "")).unwrap().outcome, Outcome::Unchanged);
    assert_eq!(fixture.apply(put("i", "")).unwrap().outcome, Outcome::Replaced);
    assert_eq!(fixture.apply(put("i", "k")).unwrap().outcome, Outcome::Replaced);
    let rebuilt = rebuilt(&fixture.topology.snapshot());
    let user = rebuilt.user("u").unwrap();
    assert_eq!(
        (user.password_hash.as_str(), user.scram_keys.as_str(), &user.tags[..]),
        ("i", "k", &["monitoring".to_owned()][..])
    );
    assert_eq!(user.permissions.get(VHOST), Some(&permissions));
    let clear = TopologyCommand::ClearPermissions { user: "u".into(), vhost: VHOST.into() };
    assert_eq!(fixture.apply(clear).unwrap().outcome, Outcome::Deleted);
    assert!(fixture.topology.user("u").unwrap().permissions.is_empty());
}

#[test]
fn a_user_of_an_earlier_version_is_read_without_scram_keys() {
    let json =
        br#"{"version":1,"command":{"put_user":{"name":"u","password_hash":"h","tags":[]}}}"#;
    let command = TopologyCommand::from_json(json).unwrap();
    assert_eq!(command.to_json(), json);
    let user = rebuilt(&[command]).user("u").cloned().unwrap();
    assert_eq!((&*user.password_hash, &*user.scram_keys), ("h", ""));
}

#[test]
fn the_secret_is_in_the_snapshot() {
    let mut fixture = Fixture::new();
    let set = |secret: &str| TopologyCommand::SetSecret { secret: secret.into() };
    assert_eq!(fixture.apply(set("s")).unwrap().outcome, Outcome::Created);
    assert_eq!(fixture.apply(set("s")).unwrap().outcome, Outcome::Unchanged);
    assert_eq!(fixture.apply(set("t")).unwrap().outcome, Outcome::Replaced);
    assert_eq!(rebuilt(&fixture.topology.snapshot()).secret(), "t");
}

#[test]
fn what_is_known_of_a_vhost_is_in_the_snapshot_and_protects_it() {
    let mut fixture = Fixture::new();
    let (description, tags) = ("d".to_owned(), vec!["t".to_owned()]);
    let facts = VhostFacts { description, tags, protected: true };
    let describe = TopologyCommand::DescribeVhost { vhost: VHOST.into(), facts: facts.clone() };
    assert_eq!(fixture.apply(describe.clone()).unwrap().outcome, Outcome::Replaced);
    assert_eq!(fixture.apply(describe).unwrap().outcome, Outcome::Unchanged);
    assert_eq!(rebuilt(&fixture.topology.snapshot()).vhost_facts(VHOST), Some(&facts));
    let delete = TopologyCommand::DeleteVhost { vhost: VHOST.into() };
    assert_eq!(fixture.refusal(delete.clone()), "vhost '/' is protected from deletion");
    assert_eq!(fixture.topology.replay(delete).unwrap().outcome, Outcome::Deleted);
}

#[test]
fn a_server_named_durable_queue_survives_a_snapshot() {
    let mut fixture = Fixture::new();
    let declare = TopologyCommand::DeclareQueue {
        id: QueueId(3),
        vhost: VHOST.into(),
        name: "amq.gen-x".into(),
        spec: QueueSpec { durable: true, ..QueueSpec::default() },
        server_named: true,
    };
    fixture.apply(declare).unwrap();
    assert!(rebuilt(&fixture.topology.snapshot()).queue(VHOST, "amq.gen-x").is_ok());
}

#[test]
fn ids_of_deleted_queues_are_not_given_out_again_after_a_snapshot() {
    let mut fixture = Fixture::new();
    fixture.queue("a");
    let last = fixture.queue("b");
    fixture.apply(TopologyCommand::DeleteQueue { id: last }).unwrap();
    assert_eq!(rebuilt(&fixture.topology.snapshot()).next_queue_id(), QueueId(last.0 + 1));
}

/// The exchange outlives its durable binding thanks to a transient one, which the log does not
/// know.
#[test]
fn replay_does_not_delete_exchanges_by_itself() {
    let mut fixture = Fixture::new();
    let mut journal = fixture.topology.snapshot();
    fixture.auto_delete_exchange("x", true);
    let durable = fixture.queue("d");
    let transient = fixture.queue_with("t", QueueSpec::default());
    journal.extend(fixture.topology.snapshot());
    journal.extend(fixture.bind("x", durable, "").journal);
    journal.extend(fixture.bind("x", transient, "").journal);
    let delete = |id| TopologyCommand::DeleteQueue { id };
    journal.extend(fixture.apply(delete(durable)).unwrap().journal);
    let replayed = |journal: &[TopologyCommand]| {
        let mut topology = Topology::default();
        for command in journal {
            topology.replay(command.clone()).unwrap();
        }
        topology
    };
    assert!(fixture.has_exchange("x"));
    assert!(replayed(&journal).exchange(VHOST, "x").is_ok());
    journal.extend(fixture.apply(delete(transient)).unwrap().journal);
    assert!(!fixture.has_exchange("x"));
    assert!(replayed(&journal).exchange(VHOST, "x").is_err());
}

#[test]
fn durability_is_known_before_a_command_is_applied() {
    let mut fixture = Fixture::new();
    let (d, t) = (fixture.queue("d"), fixture.queue_with("t", QueueSpec::default()));
    let is_durable = |command| fixture.topology.is_durable(&command);
    assert!(is_durable(TopologyCommand::DeleteQueue { id: d }));
    assert!(!is_durable(TopologyCommand::DeleteQueue { id: t }));
    assert!(is_durable(bind(Binding::to_queue("amq.direct", d, ""))));
    assert!(!is_durable(bind(Binding::to_queue("amq.direct", t, ""))));
    assert!(!is_durable(delete_exchange("x")));
    assert!(is_durable(TopologyCommand::DeclareVhost { vhost: "v".into() }));
}

#[test]
fn parameters_are_in_the_snapshot_and_go_with_their_vhost() {
    let mut fixture = Fixture::new();
    let name = |vhost: Option<&str>, name: &str| {
        let (vhost, component) = (vhost.map(Into::into), "c".into());
        leveret_core::ParameterName { vhost, component, name: name.into() }
    };
    let set = |name, number: u64| TopologyCommand::SetParameter { name, value: number.into() };
    fixture.apply(set(name(None, "everywhere"), 1)).unwrap();
    fixture.apply(set(name(Some(VHOST), "here"), 2)).unwrap();
    assert!(fixture.apply(set(name(Some("elsewhere"), "there"), 3)).is_err());
    let rebuilt = rebuilt(&fixture.topology.snapshot());
    assert_eq!(rebuilt.parameters().count(), 2);
    assert_eq!(rebuilt.snapshot(), fixture.topology.snapshot());
    fixture.apply(TopologyCommand::DeleteVhost { vhost: VHOST.into() }).unwrap();
    let left: Vec<_> = fixture.topology.parameters().map(|(name, _)| &*name.name).collect();
    assert_eq!(left, ["everywhere"]);
}
