//! What management shows.

use leveret_core::{BindingEntry, SubscriptionOptions};

use super::*;

fn shown(entries: &[BindingEntry<'_>]) -> Vec<String> {
    entries
        .iter()
        .map(|it| format!("{}>{} {}", it.source, it.destination_name, it.properties_key()))
        .collect()
}

#[test]
fn listings_are_sorted_and_show_implicit_bindings() {
    let mut fixture = Fixture::new();
    let (b, a) = (fixture.queue("b"), fixture.queue("a"));
    fixture.bind("amq.topic", b, "k.#");
    fixture.bind("amq.topic", a, "");
    fixture.bind_exchange("amq.direct", "amq.topic", "é");
    let topology = &fixture.topology;
    assert_eq!(
        shown(&topology.bindings(VHOST)),
        [">a a", ">b b", "amq.direct>amq.topic %C3%A9", "amq.topic>a ~", "amq.topic>b k.%23",]
    );
    assert_eq!(shown(&topology.bindings_of_queue(b)), [">b b", "amq.topic>b k.%23"]);
    assert_eq!(shown(&topology.bindings_from(VHOST, "")), [">a a", ">b b"]);
    let from = topology.bindings_from(VHOST, "amq.topic");
    assert_eq!(shown(&from), ["amq.topic>a ~", "amq.topic>b k.%23"]);
    let to = topology.bindings_to(VHOST, "amq.topic");
    assert_eq!(shown(&to), ["amq.direct>amq.topic %C3%A9"]);
    let names: Vec<_> = topology.queues(VHOST).iter().map(|queue| &*queue.name).collect();
    assert_eq!((names, topology.queue_count(VHOST)), (vec!["a", "b"], 2));
}

#[test]
fn what_does_not_exist_lists_as_nothing() {
    let fixture = Fixture::new();
    let topology = &fixture.topology;
    assert_eq!(topology.exchanges("v").count() + topology.queue_count("v"), 0);
    assert!(topology.queues("v").is_empty() && topology.bindings("v").is_empty());
    assert!(topology.bindings_of_queue(QueueId(1)).is_empty());
    assert!(topology.bindings_from(VHOST, "x").is_empty());
    assert!(topology.bindings_to("v", "x").is_empty());
}

#[test]
fn a_subscription_shows_its_options() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("mqtt.c");
    let options = SubscriptionOptions { qos: 1, no_local: true, id: Some(4), ..Default::default() };
    fixture.subscribe(queue, "a.+", options);
    let entries = fixture.topology.bindings_from(VHOST, "amq.topic");
    assert_eq!((entries[0].subscription, entries[0].syntax), (Some(options), Syntax::Mqtt));
}

#[test]
fn virtual_hosts_and_users_are_listed_by_name() {
    let mut fixture = Fixture::new();
    for vhost in ["b", "a"] {
        fixture.apply(TopologyCommand::DeclareVhost { vhost: vhost.into() }).unwrap();
    }
    for name in ["u2", "u1"] {
        let tags = vec!["administrator".to_owned()];
        let user = TopologyCommand::PutUser {
            name: name.into(),
            password_hash: String::new(),
            scram_keys: String::new(),
            tags,
        };
        fixture.apply(user).unwrap();
    }
    assert_eq!(fixture.topology.vhosts().collect::<Vec<_>>(), ["/", "a", "b"]);
    let users: Vec<_> = fixture.topology.users().map(|(name, _)| name).collect();
    assert_eq!(users, ["u1", "u2"]);
}

#[test]
fn a_binding_is_there_whatever_the_options_of_its_subscription() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    fixture.subscribe(queue, "a/+", SubscriptionOptions { qos: 2, ..Default::default() });
    let is_bound = |filter| fixture.topology.is_bound(VHOST, &filter_of(queue, filter));
    assert!(is_bound("a/+"));
    assert!(!is_bound("a/#"));
    assert!(!fixture.topology.is_bound(VHOST, &filter_of(queue, "a/+").share_as("g")));
    assert!(!fixture.topology.is_bound("no vhost", &filter_of(queue, "a/+")));
}
