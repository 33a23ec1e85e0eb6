//! Where messages go.

use leveret_core::{
    ExchangeKind, ExchangeSpec, Headers, QueueSpec, Subscription, SubscriptionOptions,
    TopologyErrorKind, Value,
};

use super::*;

fn options(qos: u8, id: u32) -> SubscriptionOptions {
    SubscriptionOptions { qos, id: Some(id), ..SubscriptionOptions::default() }
}

#[test]
fn the_default_exchange_routes_by_the_name_of_the_queue() {
    let mut fixture = Fixture::new();
    let q = fixture.queue("q");
    let t = fixture.queue_with("t", QueueSpec::default());
    assert_eq!(fixture.queues_routed("", "q"), [q.0]);
    assert!(fixture.route("", "q").targets[0].durable);
    assert!(!fixture.route("", "t").targets[0].durable);
    assert_eq!(fixture.queues_routed("", "t"), [t.0]);
    assert!(fixture.queues_routed("", "nobody").is_empty());
    assert!(fixture.route("", "nobody").is_cacheable());
}

#[test]
fn every_type_of_exchange_has_its_rule() {
    let mut fixture = Fixture::new();
    let (a, b) = (fixture.queue("a"), fixture.queue("b"));
    for source in ["amq.direct", "amq.fanout", "amq.topic"] {
        fixture.bind(source, b, "x.*");
        fixture.bind(source, a, "x.y");
    }
    assert_eq!(fixture.queues_routed("amq.direct", "x.y"), [a.0]);
    assert_eq!(fixture.queues_routed("amq.direct", "x.*"), [b.0]);
    assert_eq!(fixture.queues_routed("amq.fanout", "whatever"), [a.0, b.0]);
    assert_eq!(fixture.queues_routed("amq.topic", "x.y"), [a.0, b.0]);
    assert_eq!(fixture.queues_routed("amq.topic", "x.z"), [b.0]);
}

#[test]
fn a_queue_gets_one_copy_however_often_it_is_bound() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    for key in ["#", "a.*", "*.b", "a.b", "#.b", "a.#.b"] {
        fixture.bind("amq.topic", queue, key);
        fixture.bind("amq.fanout", queue, key);
    }
    assert_eq!(fixture.queues_routed("amq.topic", "a.b"), [queue.0]);
    assert_eq!(fixture.queues_routed("amq.fanout", "a.b"), [queue.0]);
    assert_eq!(fixture.route("amq.topic", "a.b").targets[0].subscription, None);
}

#[test]
fn headers_are_asked_for_and_such_routes_are_not_cacheable() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    let arguments = table([("x-match", "any".into()), ("a", Value::from(1))]);
    fixture
        .apply(bind(Binding { arguments, ..Binding::to_queue("amq.match", queue, "k") }))
        .unwrap();
    let route = |headers: &dyn Headers| {
        fixture.topology.route(address("amq.match", ""), headers, None).unwrap()
    };
    assert_eq!(route(&table([("a", Value::from(1))])).targets.len(), 1);
    assert!(route(&|_: &str| None).targets.is_empty());
    assert!(!route(&Table::default()).is_cacheable());
    assert!(fixture.route("amq.topic", "a").is_cacheable());
    fixture.bind_exchange("amq.direct", "amq.match", "a");
    assert!(!fixture.route("amq.direct", "a").is_cacheable());
    assert!(fixture.route("amq.direct", "b").is_cacheable());
}

#[test]
fn bindings_between_exchanges_may_form_cycles() {
    let mut fixture = Fixture::new();
    let (q, r) = (fixture.queue("q"), fixture.queue("r"));
    for name in ["a", "b", "c"] {
        fixture.exchange(name, ExchangeKind::Topic);
    }
    fixture.bind_exchange("a", "b", "k.*");
    fixture.bind_exchange("b", "c", "#");
    fixture.bind_exchange("c", "a", "#");
    fixture.bind_exchange("c", "c", "#");
    fixture.bind("c", q, "#");
    fixture.bind("a", q, "#");
    fixture.bind("b", r, "k.x");
    assert_eq!(fixture.queues_routed("a", "k.x"), [q.0, r.0]);
    assert_eq!(fixture.queues_routed("a", "other"), [q.0]);
    assert_eq!(fixture.queues_routed("c", "k.x"), [q.0, r.0]);
}

#[test]
fn what_leads_nowhere_goes_to_the_alternate_exchange() {
    let mut fixture = Fixture::new();
    let (a, rest) = (fixture.queue("a"), fixture.queue("rest"));
    let with_alternate = |alternate: &str| ExchangeSpec {
        arguments: table([("alternate-exchange", alternate.into())]),
        ..ExchangeSpec::durable(ExchangeKind::Direct)
    };
    for (name, alternate) in [("first", "second"), ("second", "third"), ("third", "first")] {
        fixture.apply(declare_exchange(name, with_alternate(alternate))).unwrap();
    }
    assert!(fixture.queues_routed("first", "k").is_empty(), "a cycle of alternates ends");
    fixture.bind("third", rest, "k");
    assert_eq!(fixture.queues_routed("first", "k"), [rest.0], "over several alternates");
    fixture.bind("first", a, "k");
    assert_eq!(fixture.queues_routed("first", "k"), [a.0], "only what leads nowhere");
    assert_eq!(fixture.queues_routed("second", "k"), [rest.0]);
    fixture.apply(declare_exchange("lost", with_alternate("nowhere"))).unwrap();
    assert!(fixture.queues_routed("lost", "k").is_empty());
}

#[test]
fn a_message_with_several_keys_goes_to_each_queue_once() {
    let mut fixture = Fixture::new();
    let (a, b, c) = (fixture.queue("a"), fixture.queue("b"), fixture.queue("c"));
    fixture.bind("amq.topic", a, "x.*");
    fixture.bind("amq.topic", b, "y");
    let route = |fixture: &Fixture, exchange: &str, key: &str, more: &[&str]| {
        let to = address(exchange, key);
        let routes = fixture.topology.route_by_keys(to, more, &Table::default(), None).unwrap();
        let ids: Vec<_> = routes.targets.iter().map(|target| target.queue.0).collect();
        (ids, routes.is_cacheable())
    };
    assert_eq!(route(&fixture, "amq.topic", "x.1", &["x.2", "y"]), (vec![a.0, b.0], false));
    assert_eq!(route(&fixture, "amq.topic", "z", &["y"]), (vec![b.0], false));
    assert_eq!(route(&fixture, "amq.topic", "x.1", &[]), (vec![a.0], true));
    assert_eq!(route(&fixture, "", "c", &["a", "c", "nobody"]), (vec![a.0, c.0], false));
    fixture.subscribe(c, "#", options(1, 7));
    let to = address("amq.topic", "x.1");
    let routes = fixture.topology.route_by_keys(to, &["y"], &Table::default(), None).unwrap();
    let merged = routes.targets.last().unwrap().subscription.clone().unwrap();
    assert_eq!(merged.ids.as_slice(), [7], "a subscription that matches twice counts once");
}

#[test]
fn an_internal_exchange_is_reached_through_others_only() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("q");
    let spec = ExchangeSpec { internal: true, ..ExchangeSpec::durable(ExchangeKind::Fanout) };
    fixture.apply(declare_exchange("in", spec)).unwrap();
    fixture.bind("in", queue, "");
    fixture.bind_exchange("amq.fanout", "in", "");
    assert_eq!(fixture.queues_routed("amq.fanout", ""), [queue.0]);
    let error = fixture.topology.check_publish(VHOST, "in").unwrap_err();
    assert_eq!(error.to_string(), "cannot publish to internal exchange 'in' in vhost '/'");
    assert_eq!(error.kind(), TopologyErrorKind::AccessRefused);
    let error = fixture.topology.check_publish(VHOST, "x").unwrap_err();
    assert_eq!(error.to_string(), "no exchange 'x' in vhost '/'");
    assert!(fixture.topology.check_publish(VHOST, "").is_ok());
}

#[test]
fn overlapping_subscriptions_become_one_delivery() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("mqtt.c");
    fixture.subscribe(queue, "a.#", options(0, 7));
    let retained = SubscriptionOptions { retain_as_published: true, ..options(2, 8) };
    fixture.subscribe(queue, "a.+", retained);
    fixture.subscribe(queue, "a.b", SubscriptionOptions { qos: 1, ..Default::default() });
    fixture.subscribe(queue, "x.b", options(2, 9));
    fixture.bind("amq.topic", queue, "a.b");
    let routes = fixture.route("amq.topic", "a.b");
    assert_eq!(routes.targets.len(), 1);
    let subscription = routes.targets[0].subscription.as_deref().unwrap();
    let mut ids = subscription.ids.to_vec();
    ids.sort_unstable();
    assert_eq!((subscription.qos, subscription.retain_as_published), (2, true));
    assert_eq!(ids, [7, 8]);
    assert_eq!(fixture.route("amq.topic", "a.b"), routes, "merging has changed no binding");
}

#[test]
fn one_subscription_is_shared_and_not_copied() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("mqtt.c");
    fixture.subscribe(queue, "a", options(1, 3));
    let (one, two) = (fixture.route("amq.topic", "a"), fixture.route("amq.topic", "a"));
    let (one, two) = (&one.targets[0].subscription, &two.targets[0].subscription);
    assert!(std::sync::Arc::ptr_eq(one.as_ref().unwrap(), two.as_ref().unwrap()));
    let expected =
        Subscription { qos: 1, ids: [3].into_iter().collect(), ..Subscription::default() };
    assert_eq!(**one.as_ref().unwrap(), expected);
}

#[test]
fn no_local_leaves_out_the_publisher_and_nobody_else() {
    let mut fixture = Fixture::new();
    let (a, b) = (fixture.queue("mqtt.a"), fixture.queue("mqtt.b"));
    let no_local = SubscriptionOptions { no_local: true, ..options(1, 1) };
    fixture.subscribe(a, "t", no_local);
    fixture.subscribe(b, "t", no_local);
    let from = |publisher| {
        let routes =
            fixture.topology.route(address("amq.topic", "t"), &Table::default(), publisher);
        routes.unwrap().targets.iter().map(|target| target.queue).collect::<Vec<_>>()
    };
    assert_eq!(from(None), [a, b]);
    assert_eq!(from(Some(a)), [b]);
    assert_eq!(from(Some(b)), [a]);
}

#[test]
fn no_local_holds_for_the_subscription_that_has_it_only() {
    let mut fixture = Fixture::new();
    let queue = fixture.queue("mqtt.a");
    fixture.subscribe(queue, "t", SubscriptionOptions { no_local: true, ..options(2, 1) });
    fixture.subscribe(queue, "#", options(0, 2));
    let routes =
        fixture.topology.route(address("amq.topic", "t"), &Table::default(), Some(queue)).unwrap();
    let subscription = routes.targets[0].subscription.as_deref().unwrap();
    assert_eq!((subscription.qos, &subscription.ids[..]), (0, &[2][..]));
}

#[test]
fn wildcard_subscriptions_do_not_see_dollar_topics_and_bindings_do() {
    let mut fixture = Fixture::new();
    let (mqtt, amqp) = (fixture.queue("mqtt.a"), fixture.queue("b"));
    fixture.subscribe(mqtt, "#", options(0, 1));
    fixture.subscribe(mqtt, "+.x", options(0, 2));
    fixture.bind("amq.topic", amqp, "#");
    assert_eq!(fixture.queues_routed("amq.topic", "$SYS.x"), [amqp.0]);
    fixture.subscribe(mqtt, "$SYS.#", options(0, 3));
    assert_eq!(fixture.queues_routed("amq.topic", "$SYS.x"), [mqtt.0, amqp.0]);
}

#[test]
fn the_generation_changes_with_routes_and_with_nothing_else() {
    let mut fixture = Fixture::new();
    let mut generation = fixture.topology.generation();
    let mut changed = |fixture: &Fixture| {
        let before = std::mem::replace(&mut generation, fixture.topology.generation());
        before != generation
    };
    fixture.exchange("x", ExchangeKind::Fanout);
    assert!(!changed(&fixture), "a new exchange has no bindings");
    let queue = fixture.queue("q");
    assert!(changed(&fixture), "the default exchange routes to it");
    fixture.bind("x", queue, "");
    assert!(changed(&fixture));
    let user = TopologyCommand::PutUser {
        name: "u".into(),
        password_hash: String::new(),
        scram_keys: String::new(),
        tags: Vec::new(),
    };
    fixture.apply(user).unwrap();
    assert!(!changed(&fixture));
    fixture.apply(delete_exchange("x")).unwrap();
    assert!(changed(&fixture));
    fixture.apply(TopologyCommand::DeleteQueue { id: queue }).unwrap();
    assert!(changed(&fixture));
}

#[test]
fn the_members_of_a_shared_subscription_are_apart_from_other_targets() {
    let mut fixture = Fixture::new();
    let (a, b) = (fixture.queue("mqtt.a"), fixture.queue("mqtt.b"));
    fixture.share(b, "t", "one", options(1, 2));
    fixture.share(a, "t", "one", options(2, 1));
    fixture.share(a, "#", "one", options(0, 3));
    fixture.subscribe(a, "t", options(1, 4));
    let routes = fixture.route("amq.topic", "t");
    assert_eq!(routes.targets.iter().map(|target| target.queue).collect::<Vec<_>>(), [a]);
    assert_eq!(&routes.targets[0].subscription.as_ref().unwrap().ids[..], [4]);
    let groups: Vec<(&str, Vec<_>)> = routes
        .shared
        .iter()
        .map(|shared| (&*shared.share.key, shared.members.iter().map(|it| it.queue).collect()))
        .collect();
    assert_eq!(groups, [("#", vec![a]), ("t", vec![a, b])]);
    assert!(routes.is_cacheable());
}

#[test]
fn fellow_members_have_a_shared_subscription_in_common() {
    let mut fixture = Fixture::new();
    let queues = ["mqtt.a", "mqtt.b", "mqtt.c"].map(|name| fixture.queue(name));
    let [a, b, c] = queues;
    fixture.share(a, "t", "one", options(1, 1));
    fixture.share(b, "t", "one", options(1, 1));
    fixture.share(c, "t", "two", options(1, 1));
    fixture.subscribe(c, "t", options(1, 1));
    let fellows = queues.map(|queue| fixture.topology.fellow_members(queue));
    assert_eq!(fellows, [vec![b], vec![a], vec![]]);
}
