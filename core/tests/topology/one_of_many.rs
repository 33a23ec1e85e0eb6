//! Exchanges that give each message to one of their bindings: by a hash, or at random.

use std::collections::BTreeMap;

use leveret_core::{ExchangeKind, ExchangeSpec, Headers, Outcome, Property, QueueSpec, Value};

use super::*;

fn hash_exchange(fixture: &mut Fixture, arguments: Table) {
    let spec = ExchangeSpec { arguments, ..ExchangeSpec::durable(ExchangeKind::ConsistentHash) };
    fixture.apply(declare_exchange("hash", spec)).unwrap();
}

/// Queues `q1`, `q2` and so on, each bound with its weight.
fn weighted(weights: &[u32]) -> (Fixture, Vec<QueueId>) {
    let mut fixture = Fixture::new();
    hash_exchange(&mut fixture, Table::default());
    let queues = weights.iter().enumerate().map(|(number, weight)| {
        let queue = fixture.queue(&format!("q{}", number + 1));
        fixture.bind("hash", queue, &weight.to_string());
        queue
    });
    let queues = queues.collect();
    (fixture, queues)
}

fn keys(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("order.{number}"))
}

/// The one queue that each key goes to.
fn owners(fixture: &Fixture, count: u32) -> BTreeMap<String, u64> {
    let owner = |key: String| {
        let routed = fixture.queues_routed("hash", &key);
        assert_eq!(routed.len(), 1, "{key}");
        (key, routed[0])
    };
    keys(count).map(owner).collect()
}

fn declared_hash(fixture: &mut Fixture, arguments: Table) -> Result<Applied, TopologyError> {
    let spec = ExchangeSpec { arguments, ..ExchangeSpec::durable(ExchangeKind::ConsistentHash) };
    fixture.apply(declare_exchange("hash", spec))
}

#[test]
fn each_queue_gets_the_share_that_its_weight_is() {
    let (fixture, queues) = weighted(&[1, 2, 3]);
    let mut counts = BTreeMap::new();
    owners(&fixture, 100_000)
        .into_values()
        .for_each(|queue| *counts.entry(queue).or_default() += 1);
    for (queue, share) in queues.iter().zip([1, 2, 3]) {
        let (count, fair): (u32, u32) = (counts[&queue.0], 100_000 * share / 6);
        assert!(count.abs_diff(fair) < fair / 25, "{queue}: {count}, fair is {fair}");
    }
}

#[test]
fn a_binding_that_goes_or_comes_moves_its_own_share_only() {
    let (mut fixture, queues) = weighted(&[10, 20, 30, 40]);
    let before = owners(&fixture, 20_000);
    fixture.apply(unbind(Binding::to_queue("hash", queues[1], "20"))).unwrap();
    let without = owners(&fixture, 20_000);
    let mut moved = 0u32;
    for (key, owner) in &before {
        assert!(without[key] == *owner || *owner == queues[1].0, "{key}");
        moved += u32::from(without[key] != *owner);
    }
    assert!(moved.abs_diff(4_000) < 300, "{moved}");
    fixture.bind("hash", queues[1], "20");
    assert_eq!(owners(&fixture, 20_000), before, "it takes its share back, and nothing else");
}

#[test]
fn what_goes_depends_on_names_and_weights_and_not_on_history() {
    let (fixture, _) = weighted(&[1, 2, 3]);
    let by_name = |fixture: &Fixture| {
        let named = |id| fixture.topology.queue_by_id(QueueId(id)).unwrap().name.clone();
        owners(fixture, 2_000).into_iter().map(|(key, id)| (key, named(id))).collect::<Vec<_>>()
    };
    let mut other = Fixture::new();
    hash_exchange(&mut other, Table::default());
    for (name, weight) in [("gone", "7"), ("q3", "3"), ("q1", "1"), ("q2", "2")] {
        let queue = other.queue(name);
        other.bind("hash", queue, weight);
    }
    let gone = other.topology.queue(VHOST, "gone").unwrap().id;
    other.apply(TopologyCommand::DeleteQueue { id: gone }).unwrap();
    assert_eq!(by_name(&other), by_name(&fixture));
    let mut restarted = Fixture { topology: Topology::default() };
    for command in other.topology.snapshot() {
        restarted.topology.replay(command).unwrap();
    }
    assert_eq!(by_name(&restarted), by_name(&fixture));
}

#[test]
fn keys_go_where_they_always_went() {
    let (fixture, _) = weighted(&[1, 2, 3]);
    let went: Vec<u64> = owners(&fixture, 10).into_values().collect();
    assert_eq!(went, [3, 3, 2, 2, 3, 3, 2, 2, 1, 2], "an upgrade would move messages");
}

#[test]
fn a_second_binding_of_a_destination_is_ignored() {
    let (mut fixture, queues) = weighted(&[1, 1]);
    let before = owners(&fixture, 1_000);
    let applied = fixture.bind("hash", queues[0], "100");
    assert_eq!((applied.outcome, applied.journal.len()), (Outcome::Unchanged, 0));
    assert_eq!(owners(&fixture, 1_000), before);
    let removed = fixture.apply(unbind(Binding::to_queue("hash", queues[0], "100"))).unwrap();
    assert_eq!(removed.outcome, Outcome::Absent);
    assert_eq!(owners(&fixture, 1_000), before, "what was ignored takes nothing with it");
    let error = fixture.refusal(bind(Binding::to_queue("hash", queues[0], "x")));
    assert_eq!(error, "The binding key must be an integer: <<\"x\">>");
    fixture.bind("amq.direct", queues[0], "1");
    fixture.apply(unbind(Binding::to_queue("hash", queues[0], "1"))).unwrap();
    assert_eq!(fixture.bind("hash", queues[0], "100").outcome, Outcome::Created);
    assert!(owners(&fixture, 1_000) != before);
}

#[test]
fn bad_weights_are_refused_in_the_known_words() {
    let (mut fixture, _) = weighted(&[]);
    let queue = fixture.queue("q");
    for (key, text) in [
        ("0", "The binding key must be greater than 0"),
        ("10001", "The binding key must not exceed 10000"),
        ("one", "The binding key must be an integer: <<\"one\">>"),
    ] {
        let error = fixture.apply(bind(Binding::to_queue("hash", queue, key))).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.kind(), leveret_core::TopologyErrorKind::PreconditionFailed);
    }
    assert!(fixture.queues_routed("hash", "k").is_empty());
    assert!(fixture.topology.bindings_from(VHOST, "hash").is_empty());
}

#[test]
fn what_is_hashed_is_said_once_and_compared() {
    let mut fixture = Fixture::new();
    let error = |fixture: &mut Fixture, arguments| {
        declared_hash(fixture, arguments).unwrap_err().to_string()
    };
    let header = || ("hash-header", Value::from("h"));
    let both = table([header(), ("hash-property", "message_id".into())]);
    assert_eq!(error(&mut fixture, both), "hash-header and hash-property are mutually exclusive");
    let unknown = table([("hash-property", "priority".into())]);
    assert_eq!(error(&mut fixture, unknown), "Unsupported property: priority");
    let number = table([("hash-header", Value::from(1))]);
    assert_eq!(
        error(&mut fixture, number),
        "invalid type 'long' for arg 'hash-header' in exchange 'hash' in vhost '/'"
    );
    assert!(!fixture.has_exchange("hash"));
    declared_hash(&mut fixture, table([header()])).unwrap();
    assert_eq!(declared_hash(&mut fixture, table([header()])).unwrap().outcome, Outcome::Unchanged);
    assert_eq!(
        error(&mut fixture, Table::default()),
        "inequivalent arg 'hash-header' for exchange 'hash' in vhost '/': received none \
         but current is the value 'h' of type 'longstr'"
    );
}

/// Says what property is asked for.
struct Only(Property, &'static str);

impl Headers for Only {
    fn header(&self, name: &str) -> Option<Value> {
        (name == "h").then(|| Value::from(self.1))
    }

    fn property(&self, property: Property) -> Option<Value> {
        (property == self.0).then(|| Value::from(self.1))
    }
}

#[test]
fn a_header_or_a_property_is_hashed_in_the_place_of_the_key() {
    for (argument, named, property) in [
        ("hash-header", "h", Property::MessageId),
        ("hash-property", "message_id", Property::MessageId),
        ("hash-property", "correlation_id", Property::CorrelationId),
        ("hash-property", "timestamp", Property::Timestamp),
    ] {
        let mut fixture = Fixture::new();
        hash_exchange(&mut fixture, table([(argument, named.into())]));
        for name in ["a", "b", "c"] {
            let queue = fixture.queue(name);
            fixture.bind("hash", queue, "1");
        }
        let route = |key: &str, headers: &dyn Headers| {
            let routes = fixture.topology.route(address("hash", key), headers, None).unwrap();
            assert!(!routes.is_cacheable() && routes.targets.len() == 1, "{named}");
            routes.targets[0].queue
        };
        let texts = ["1", "2", "3", "4", "5", "6", "7", "8"];
        let reached: std::collections::BTreeSet<_> =
            texts.iter().map(|text| route("k", &Only(property, text))).collect();
        assert!(reached.len() > 1, "{named}");
        assert_eq!(route("k", &Only(property, "1")), route("j", &Only(property, "1")));
        let absent: &dyn Headers = &|_: &str| None::<Value>;
        assert_eq!(route("k", absent), route("j", absent));
    }
}

#[test]
fn numbers_of_different_widths_are_hashed_alike() {
    let mut fixture = Fixture::new();
    hash_exchange(&mut fixture, table([("hash-header", "h".into())]));
    for number in 0..50 {
        let queue = fixture.queue(&format!("q{number}"));
        fixture.bind("hash", queue, "1");
    }
    let route = |value: Value| {
        let headers = table([("h", value)]);
        fixture.topology.route(address("hash", ""), &headers, None).unwrap().targets[0].queue
    };
    use leveret_core::IntWidth;
    for number in 0..20 {
        let wide = route(Value::Int(number, IntWidth::W64));
        assert_eq!(wide, route(Value::Unsigned(number as u32, IntWidth::W8)));
    }
    let list = |number: i64| Value::Array(vec![number.into()]);
    assert!((0..20).any(|number| route(list(number)) != route(list(0))));
}

#[test]
fn one_destination_gets_a_message_with_several_keys_and_it_may_be_an_exchange() {
    let (mut fixture, _) = weighted(&[1]);
    let behind = fixture.queue("behind");
    fixture.bind("amq.fanout", behind, "");
    fixture.bind_exchange("hash", "amq.fanout", "1");
    let mut reached = [0; 2];
    for key in keys(200) {
        let (to, more) = (address("hash", &key), ["a", "b", "c"]);
        let routes = fixture.topology.route_by_keys(to, &more, &Table::default(), None).unwrap();
        assert_eq!(routes.targets.len(), 1);
        reached[usize::from(routes.targets[0].queue == behind)] += 1;
    }
    assert!(reached.iter().all(|count| *count > 50), "{reached:?}");
    assert!(fixture.route("hash", "k").is_cacheable());
}

#[test]
fn a_queue_that_is_deleted_leaves_the_others_alone() {
    let (mut fixture, queues) = weighted(&[1, 1, 1]);
    let before = owners(&fixture, 3_000);
    fixture.apply(TopologyCommand::DeleteQueue { id: queues[2] }).unwrap();
    for (key, owner) in owners(&fixture, 3_000) {
        assert!(owner == before[&key] || before[&key] == queues[2].0);
    }
    fixture.apply(TopologyCommand::DeleteQueue { id: queues[1] }).unwrap();
    assert!(owners(&fixture, 100).into_values().all(|owner| owner == queues[0].0));
    fixture.apply(TopologyCommand::DeleteQueue { id: queues[0] }).unwrap();
    assert!(fixture.queues_routed("hash", "k").is_empty());
}

#[test]
fn a_modulus_exchange_spreads_over_its_bindings_whatever_their_keys() {
    let mut fixture = Fixture::new();
    fixture.exchange("mod", ExchangeKind::ModulusHash);
    let (a, b) = (fixture.queue("a"), fixture.queue("b"));
    fixture.bind("mod", a, "x");
    fixture.bind("mod", a, "y");
    fixture.bind("mod", b, "");
    let count = |fixture: &Fixture, queue: QueueId| {
        let routed = |key: &String| fixture.queues_routed("mod", key) == [queue.0];
        keys(3_000).filter(routed).count()
    };
    assert!(count(&fixture, a).abs_diff(2_000) < 150);
    assert_eq!(count(&fixture, a) + count(&fixture, b), 3_000);
    fixture.apply(unbind(Binding::to_queue("mod", a, "x"))).unwrap();
    assert!(count(&fixture, a).abs_diff(1_500) < 150, "the other binding stays");
    assert!(fixture.route("mod", "k").is_cacheable());
}

#[test]
fn a_random_exchange_chooses_by_the_number_that_it_is_given() {
    let mut fixture = Fixture::new();
    for (name, kind) in [("x", ExchangeKind::Random), ("y", ExchangeKind::LocalRandom)] {
        fixture.exchange(name, kind);
        let queues: Vec<_> =
            (0..4).map(|number| fixture.queue(&format!("{name}{number}"))).collect();
        queues.iter().for_each(|queue| _ = fixture.bind(name, *queue, ""));
        let mut counts = BTreeMap::new();
        for random in 0..4_000 {
            let to = Address { random, ..address(name, "k") };
            let routes = fixture.topology.route(to, &Table::default(), None).unwrap();
            assert!(!routes.is_cacheable() && routes.targets.len() == 1);
            *counts.entry(routes.targets[0].queue).or_insert(0u32) += 1;
            assert_eq!(fixture.topology.route(to, &Table::default(), None).unwrap(), routes);
        }
        assert!(queues.iter().all(|queue| counts[queue].abs_diff(1_000) < 150), "{counts:?}");
    }
}

#[test]
fn random_exchanges_in_a_row_choose_each_for_itself() {
    let mut fixture = Fixture::new();
    for name in ["first", "left", "right"] {
        fixture.exchange(name, ExchangeKind::Random);
    }
    fixture.bind_exchange("first", "left", "");
    fixture.bind_exchange("first", "right", "");
    for number in 0..4 {
        let queue = fixture.queue(&format!("q{number}"));
        fixture.bind(if number < 2 { "left" } else { "right" }, queue, "");
    }
    let mut counts = BTreeMap::new();
    for random in 0..4_000 {
        let to = Address { random, ..address("first", "") };
        let routes = fixture.topology.route(to, &Table::default(), None).unwrap();
        *counts.entry(routes.targets[0].queue).or_insert(0u32) += 1;
    }
    assert!(counts.len() == 4 && counts.values().all(|count| count.abs_diff(1_000) < 150));
}

#[test]
fn a_local_random_exchange_takes_queues_without_a_key_only() {
    let mut fixture = Fixture::new();
    fixture.exchange("local", ExchangeKind::LocalRandom);
    let queue = fixture.queue("q");
    let error = fixture.refusal(bind(Binding::to_queue("local", queue, "k")));
    assert_eq!(error, "Non empty binding 'k' key not permitted");
    assert_eq!(fixture.refusal(bind(between("local", "amq.fanout", ""))), "Destination not found");
    fixture.bind("local", queue, "");
    assert_eq!(fixture.queues_routed("local", "whatever"), [queue.0]);
}

#[test]
fn bindings_to_a_queue_that_is_not_durable_do_not_come_back() {
    let (mut fixture, _) = weighted(&[1]);
    let transient = fixture.queue_with("t", QueueSpec::default());
    fixture.bind("hash", transient, "5");
    let mut restarted = Fixture { topology: Topology::default() };
    for command in fixture.topology.snapshot() {
        restarted.topology.replay(command).unwrap();
    }
    assert!(owners(&restarted, 100).into_values().all(|owner| owner != transient.0));
}
