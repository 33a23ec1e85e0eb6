//! Where a message would go, and why: as it goes if it is published.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::mqtt::Client;
use crate::support::{Api, segment};

/// Numbers that look as if they were drawn.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn one<'a>(&mut self, among: &[&'a str]) -> &'a str {
        among[self.below(among.len())]
    }
}

const WORDS: &[&str] = &["a", "b", "a.b", "b.a", "a.b.a", ""];
const PATTERNS: &[&str] = &["a", "b", "a.*", "#", "*.b.#", "a.b", "a.#.a", ""];

fn declare(api: &Api, vhost: &str, draw: &mut Draw) {
    assert_eq!(api.put(&format!("vhosts/{vhost}"), json!({})).status, 201);
    for number in 0..5 {
        let mut exchange = json!({"type": draw.one(&["direct", "topic", "fanout", "headers"])});
        if draw.below(2) == 0 {
            let other = format!("x{}", draw.below(5));
            exchange["arguments"] = json!({"alternate-exchange": other});
        }
        assert_eq!(api.put(&format!("exchanges/{vhost}/x{number}"), exchange).status, 201);
        assert_eq!(api.put(&format!("queues/{vhost}/q{number}"), json!({})).status, 201);
    }
    for _ in 0..10 {
        let (source, kind) = (draw.below(5), draw.one(&["q", "q", "e"]));
        let destination = format!("{}{}", if kind == "q" { "q" } else { "x" }, draw.below(5));
        let arguments = match draw.below(3) {
            0 => json!({"x-match": "any", "h": draw.below(2)}),
            1 => json!({"h": draw.below(2)}),
            _ => json!({}),
        };
        let binding = json!({"routing_key": draw.one(PATTERNS), "arguments": arguments});
        let path = format!("bindings/{vhost}/e/x{source}/{kind}/{destination}");
        assert_eq!(api.post(&path, binding).status, 201);
    }
}

/// How many messages there are in each queue, by its name.
fn counts(api: &Api, vhost: &str) -> Vec<(String, u64)> {
    let queues = api.read(&format!("queues/{vhost}"));
    let count = |queue: &Value| {
        (queue["name"].as_str().unwrap().to_owned(), queue["messages"].as_u64().unwrap())
    };
    queues.as_array().unwrap().iter().map(count).collect()
}

fn targets(explanation: &Value) -> BTreeSet<String> {
    let targets = explanation["targets"].as_array().unwrap().iter();
    targets.map(|target| target["queue"].as_str().unwrap().to_owned()).collect()
}

/// What each queue has got.
fn grown(before: &[(String, u64)], after: &[(String, u64)]) -> BTreeMap<String, u64> {
    let more =
        before.iter().zip(after).map(|(before, after)| (after.0.clone(), after.1 - before.1));
    more.filter(|(_, copies)| *copies > 0).collect()
}

/// Every step begins where the message is published or where a step before it ends.
fn check_way(exchange: &str, target: &Value) {
    let via = target["via"].as_array().unwrap();
    let mut reached = BTreeSet::from([exchange]);
    for step in via {
        assert!(reached.contains(step["source"].as_str().unwrap()), "{step} of {target}");
        if step["destination_type"] == "exchange" {
            reached.insert(step["destination"].as_str().unwrap());
        }
        assert!(!step["reason"].as_str().unwrap().is_empty());
    }
    assert_eq!(via.last().unwrap()["destination"], target["queue"]);
}

#[test]
fn whatever_is_bound_to_what_messages_go_where_they_are_said_to_go() {
    let api = Api::start();
    let mut draw = Draw(0x9E37_79B9_7F4A_7C15);
    let mut routed = 0;
    for number in 0..12 {
        let vhost = format!("v{number}");
        declare(&api, &vhost, &mut draw);
        for _ in 0..12 {
            let exchange = draw.one(&["x0", "x1", "x2", "x3", "x4", "amq.default", "amq.fanout"]);
            let default = exchange == "amq.default";
            let key = draw.one(if default { &["q0", "q1", "q9"] } else { WORDS });
            let headers = if draw.below(2) == 0 { json!({}) } else { json!({"h": draw.below(2)}) };
            let query = format!("routing_key={key}&headers={}", segment(&headers.to_string()));
            let explanation = api.read(&format!("exchanges/{vhost}/{exchange}/route?{query}"));
            let source = if default { "" } else { exchange };
            explanation["targets"].as_array().unwrap().iter().for_each(|it| check_way(source, it));
            let before = counts(&api, &vhost);
            let message = json!({
                "properties": {"headers": headers}, "routing_key": key, "payload": "p",
                "payload_encoding": "string",
            });
            let published = api.post(&format!("exchanges/{vhost}/{exchange}/publish"), message);
            let said = targets(&explanation);
            assert_eq!(published.json()["routed"], !said.is_empty());
            let got = grown(&before, &counts(&api, &vhost));
            let once = said.iter().map(|queue| (queue.clone(), 1)).collect();
            assert_eq!(got, once, "{vhost} {exchange} {query}");
            assert_eq!(explanation["truncated"], false);
            routed += said.len();
        }
    }
    assert!(routed > 50, "{routed} are too few to tell anything");
}

#[test]
fn sessions_get_what_they_are_said_to_get_and_of_a_group_one_member_does() {
    let api = Api::start();
    let mut draw = Draw(0x2545_F491_4F6C_DD1D);
    for number in 0..6 {
        let mut client = Client::connect(&api, &format!("c{number}"), 600);
        for _ in 0..2 {
            client.subscribe(draw.one(&["a/b", "a/+", "#", "b/#", "+/+/a", "b"]), 1);
        }
        if number < 3 {
            client.subscribe("$share/group/a/#", 1);
        }
    }
    api.wait_for("mqtt/sessions", |sessions| {
        sessions.as_array().unwrap().iter().all(|session| session["connected"] == false)
    });
    api.declare_queue("q", json!({}));
    let binding = json!({"routing_key": "a.*"});
    assert_eq!(api.post("bindings/%2F/e/amq.topic/q/q", binding).status, 201);
    for topic in ["a/b", "a/c", "b", "b/c/a", "c", "a", "a/b.c"] {
        let explanation = api.read(&format!("mqtt/route?topic={}", segment(topic)));
        let before = counts(&api, "%2F");
        let message = json!({"topic": topic, "payload": "p", "qos": 1});
        assert_eq!(api.post("mqtt/publish", message).status, 200);
        let got = grown(&before, &counts(&api, "%2F"));
        let is_shared_only = |target: &&Value| {
            let mut ends = target["via"].as_array().unwrap().iter();
            ends.all(|step| {
                step["reason"].as_str().unwrap().ends_with("of the group group gets it")
            })
        };
        let all = explanation["targets"].as_array().unwrap();
        let surely: Vec<_> = all.iter().filter(|target| !is_shared_only(target)).collect();
        assert!(surely.iter().all(|it| got.contains_key(it["queue"].as_str().unwrap())), "{topic}");
        let said = targets(&explanation);
        assert!(got.keys().all(|queue| said.contains(queue)), "{topic}");
        let members = all.iter().filter(|target| target["shares"] == json!(["group"])).count();
        assert_eq!(members, if topic.starts_with('a') { 3 } else { 0 }, "{topic}");
        let copies = surely.len() + usize::from(members > 0);
        assert_eq!(got.values().sum::<u64>(), copies as u64, "{topic}: {got:?}");
    }
    assert_eq!(api.get("mqtt/route?topic=a/%23").status, 400);
}

/// The reasons on the way to the only queue.
fn reasons(api: &Api, path: &str) -> Vec<String> {
    let explanation = api.read(path);
    let via = explanation["targets"][0]["via"].as_array().unwrap().iter();
    via.map(|step| step["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_type_of_exchange_has_its_reason() {
    let api = Api::start();
    api.declare_queue("q", json!({}));
    let exchange = |name: &str, spec: Value| {
        assert_eq!(api.put(&format!("exchanges/%2F/{name}"), spec).status, 201);
    };
    let bind = |source: &str, to: &str, binding: Value| {
        assert_eq!(api.post(&format!("bindings/%2F/e/{source}/{to}"), binding).status, 201);
    };
    let alternate = json!({"type": "direct", "arguments": {"alternate-exchange": "amq.topic"}});
    exchange("first", alternate);
    exchange("hash", json!({"type": "x-consistent-hash"}));
    exchange("random", json!({"type": "x-random"}));
    let delayed = json!({"type": "x-delayed-message", "arguments": {"x-delayed-type": "direct"}});
    exchange("late", delayed);
    bind("amq.topic", "e/amq.fanout", json!({"routing_key": "a.#"}));
    bind("amq.fanout", "q/q", json!({}));
    bind("amq.direct", "q/q", json!({"routing_key": "k"}));
    bind("amq.headers", "q/q", json!({"arguments": {"h": 1}}));
    bind("hash", "q/q", json!({"routing_key": "1"}));
    bind("random", "q/q", json!({}));
    bind("late", "q/q", json!({"routing_key": "k"}));
    let of = |exchange: &str, query: &str| {
        reasons(&api, &format!("exchanges/%2F/{exchange}/route?{query}"))
    };
    let expected = [
        "no binding of the exchange first matches, so its alternate exchange gets it",
        "the pattern a.# matches a.b",
        "the exchange amq.fanout sends to all that is bound to it",
    ];
    assert_eq!(of("first", "routing_key=a.b"), expected);
    let default = "the default exchange sends to the queue of the name q";
    assert_eq!(of("amq.default", "routing_key=q"), [default]);
    assert_eq!(of("amq.direct", "routing_key=k"), ["the binding key is k"]);
    let headers = segment("{\"h\": 1, \"x-delay\": 1000}");
    let of_headers = of("amq.headers", &format!("headers={headers}"));
    assert_eq!(of_headers, ["the headers match the arguments"]);
    assert!(
        of("hash", "routing_key=z")[0].starts_with("the exchange takes one binding, by a hash")
    );
    assert!(of("random", "")[0].starts_with("the exchange takes one binding at random"));
    assert_eq!(of("late", &format!("routing_key=k&headers={headers}")), ["the binding key is k"]);
    let mut client = Client::connect(&api, "sensor", 60);
    client.subscribe("x/+", 1);
    let path = "mqtt/route?topic=x/y";
    assert_eq!(reasons(&api, path), ["the filter x/+ matches x/y"]);
    assert_eq!(api.read(path)["targets"][0]["client_id"], "sensor");
    assert_eq!(api.get("exchanges/%2F/absent/route").status, 404);
    for headers in ["1", "[", "[]"] {
        assert_eq!(api.get(&format!("exchanges/%2F/first/route?headers={headers}")).status, 400);
    }
}

#[test]
fn an_answer_has_a_thousand_queues_and_says_if_there_are_more() {
    let api = Api::start();
    let queues = |from: usize, to: usize| {
        let queues = (from..to).map(|number| {
            json!({"name": format!("q{number}"), "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}})
        });
        let bindings = (from..to).map(|number| {
            json!({
                "source": "amq.fanout", "vhost": "/", "destination": format!("q{number}"),
                "destination_type": "queue", "routing_key": "", "arguments": {},
            })
        });
        let definitions =
            json!({"queues": queues.collect::<Value>(), "bindings": bindings.collect::<Value>()});
        assert!(api.post("definitions", definitions).status < 300);
        let explanation = api.read("exchanges/%2F/amq.fanout/route");
        (targets(&explanation).len(), explanation["truncated"].clone())
    };
    assert_eq!(queues(0, 1_000), (1_000, json!(false)));
    assert_eq!(queues(1_000, 1_001), (1_000, json!(true)));
}
