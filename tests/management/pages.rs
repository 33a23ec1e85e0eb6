//! Pages: every list comes in them if it is asked to, and is found by what names its rows.

use serde_json::{Value, json};

use crate::mqtt::Client;
use crate::support::{Api, segment};

/// A broker with a few things of each kind, and the client of a session with two subscriptions.
fn furnished() -> (Api, Client) {
    let api = Api::start();
    let policy = |name| json!({"vhost": "/", "name": name, "pattern": "^q", "definition": {"max-length": 5}});
    let shovel = |name| json!({"vhost": "/", "component": "shovel", "name": name, "value": {}});
    let definitions = json!({
        "vhosts": [{"name": "/"}, {"name": "north"}, {"name": "south"}],
        "users": [
            {"name": "jo", "password_hash": "", "tags": "", "limits": {"max-connections": 5}},
            {"name": "joanna", "password_hash": "", "tags": "", "limits": {"max-channels": 5}},
        ],
        "permissions": [
            {"user": "jo", "vhost": "north", "configure": "", "write": "", "read": ""},
            {"user": "joanna", "vhost": "south", "configure": "", "write": "", "read": ""},
        ],
        "topic_permissions": [
            {"user": "jo", "vhost": "north", "exchange": "amq.topic", "write": "", "read": ""},
            {"user": "jo", "vhost": "north", "exchange": "birds", "write": "", "read": ""},
        ],
        "policies": [policy("short"), policy("shorter"), policy("long")],
        "parameters": [shovel("old"), shovel("older")],
        "global_parameters": [{"name": "colour", "value": "grey"}, {"name": "size", "value": 3}],
        "queues": [
            {"name": "q1", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}},
            {"name": "q2", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}},
        ],
        "exchanges": [{
            "name": "birds", "vhost": "/", "type": "topic", "durable": true, "auto_delete": false,
            "internal": false, "arguments": {},
        }],
        "bindings": [
            {
                "source": "birds", "vhost": "/", "destination": "q1", "destination_type": "queue",
                "routing_key": "crow", "arguments": {},
            },
            {
                "source": "birds", "vhost": "/", "destination": "q2", "destination_type": "queue",
                "routing_key": "Rook", "arguments": {},
            },
            {
                "source": "amq.topic", "vhost": "/", "destination": "birds",
                "destination_type": "exchange", "routing_key": "crow", "arguments": {},
            },
        ],
    });
    let answer = api.post("definitions", definitions);
    assert!(answer.status < 300, "{}", answer.text());
    for name in ["watch", "watcher"] {
        let policy =
            json!({"pattern": "^q", "definition": {"max-length": 9}, "apply-to": "queues"});
        assert_eq!(api.put(&format!("operator-policies/%2F/{name}"), policy).status, 201);
    }
    for vhost in ["north", "south"] {
        let limit = json!({"value": 9});
        assert_eq!(api.put(&format!("vhost-limits/{vhost}/max-queues"), limit).status, 204);
    }
    let mut client = Client::connect(&api, "sensor", 60);
    client.subscribe("a/b", 1);
    client.subscribe("c/#", 1);
    for (topic, payload) in [("a/b", "1"), ("a/c", "2"), ("d", &*"x".repeat(20_000))] {
        let message = json!({"topic": topic, "payload": payload, "retain": true});
        assert_eq!(api.post("mqtt/publish", message).status, 200);
    }
    (api, client)
}

/// Filters, and how many rows each leaves.
type Filters = &'static [(&'static str, usize)];

/// How many rows there are in all, and what filters leave of them.
const FOUND: &[(&str, usize, Filters)] = &[
    ("bindings", 8, &[("crow", 2), ("BIRDS", 3), ("q1", 2), ("rook", 1), ("sensor", 3)]),
    ("bindings/%2F", 8, &[("rook", 1)]),
    ("queues/%2F/q1/bindings", 2, &[("crow", 1)]),
    ("exchanges/%2F/birds/bindings/source", 2, &[("crow", 1)]),
    ("exchanges/%2F/birds/bindings/destination", 1, &[("topic", 1), ("q1", 0)]),
    ("bindings/%2F/e/birds/q/q1", 1, &[("crow", 1), ("rook", 0)]),
    ("consumers", 1, &[("sens", 1), ("mqtt.", 1), ("-> ", 1), ("q1", 0)]),
    ("users", 3, &[("jo", 2), ("guest", 1)]),
    ("users/without-permissions", 0, &[("jo", 0)]),
    ("vhosts", 3, &[("north", 1), ("th", 2)]),
    ("permissions", 3, &[("jo", 2), ("south", 1)]),
    ("users/jo/permissions", 1, &[("north", 1), ("south", 0)]),
    ("topic-permissions", 2, &[("birds", 1), ("jo", 2)]),
    ("topic-permissions/north/jo", 2, &[("birds", 1)]),
    ("policies", 3, &[("short", 2), ("LONG", 1)]),
    ("policies/%2F", 3, &[("short", 2)]),
    ("operator-policies", 2, &[("watcher", 1)]),
    ("parameters", 6, &[("old", 2), ("older", 1), ("shovel", 2)]),
    ("parameters/shovel", 2, &[("older", 1)]),
    ("global-parameters", 2, &[("col", 1)]),
    ("vhost-limits", 2, &[("north", 1)]),
    ("user-limits", 2, &[("joanna", 1)]),
    ("connections", 1, &[("sensor", 1), ("GUEST", 1), ("-> ", 1), ("jo", 0)]),
    ("mqtt/sessions", 1, &[("sensor", 1), ("x", 0)]),
    ("mqtt/subscriptions", 2, &[("a/", 1), ("sensor", 2)]),
    ("mqtt/sessions/sensor/subscriptions", 2, &[("c/", 1)]),
    ("mqtt/retained", 3, &[("a/", 2), ("d", 1)]),
];

#[test]
fn rows_are_found_by_whatever_names_them() {
    let (api, _client) = furnished();
    api.wait_for("consumers", |consumers| !consumers.as_array().unwrap().is_empty());
    for &(path, total, filters) in FOUND {
        let page = api.read(&format!("{path}?page=1"));
        assert_eq!(
            (&page["total_count"], &page["item_count"]),
            (&json!(total), &json!(total)),
            "{path}: {page}"
        );
        for (filter, count) in filters {
            let page = api.read(&format!("{path}?page=1&name={}", segment(filter)));
            let counts = (&page["total_count"], &page["filtered_count"]);
            assert_eq!(counts, (&json!(total), &json!(count)), "{path} {filter}: {page}");
            assert_eq!(page["items"].as_array().unwrap().len(), *count);
        }
    }
    let page = api.read("bindings?page=1&name=^(crow|rook)$&use_regex=true");
    assert_eq!(page["filtered_count"], 3);
}

#[test]
fn pages_make_up_the_list_in_its_order() {
    let (api, _client) = furnished();
    for &(path, total, _) in FOUND.iter().filter(|(path, ..)| *path != "mqtt/retained") {
        for order in ["", "&sort=name&sort_reverse=true", "&sort=routing_key"] {
            let whole = api.read(&format!("{path}?columns=name,user,source,routing_key{order}"));
            let mut put_together = Vec::new();
            for number in 1..=total {
                let query =
                    format!("page={number}&page_size=1&columns=name,user,source,routing_key");
                let page = api.read(&format!("{path}?{query}{order}"));
                assert_eq!((&page["page_count"], &page["page"]), (&json!(total), &json!(number)));
                put_together.extend(page["items"].as_array().unwrap().clone());
            }
            assert_eq!(Value::Array(put_together), whole, "{path} {order}");
            let beyond = format!("{path}?page={}&page_size=1{order}", total.max(1) + 1);
            assert_eq!(api.get(&beyond).status, 400, "{beyond}");
        }
    }
}

#[test]
fn every_list_that_is_described_as_coming_in_pages_does() {
    let (api, _client) = furnished();
    let description = api.read("openapi.json");
    let mut lists = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        let parameters = operations["get"]["parameters"].as_array().into_iter().flatten();
        if !parameters.clone().any(|parameter| parameter["name"] == "page") || path.contains('{') {
            continue;
        }
        let path = &path[1..];
        let (whole, page) = (api.read(path), api.read(&format!("{path}?page=1&page_size=1")));
        assert!(whole.is_array() || path == "mqtt/retained", "{path}");
        assert_eq!((&page["page"], &page["page_size"]), (&json!(1), &json!(1)), "{path}");
        lists += 1;
    }
    assert_eq!(lists, 21);
}

#[test]
fn a_page_of_retained_messages_has_the_beginning_of_each() {
    let (api, _client) = furnished();
    let page = api.read("mqtt/retained?page=1&filter=d");
    let item = &page["items"][0];
    assert_eq!((&page["total_count"], &item["payload_bytes"]), (&json!(1), &json!(20_000)));
    assert_eq!(item["payload"].as_str().unwrap().len(), 16 * 1024);
    let bare = api.read("mqtt/retained?page=1&disable_payload=true&sort=topic&sort_reverse=true");
    assert_eq!(
        (&bare["items"][0]["topic"], &bare["items"][0]["payload"]),
        (&json!("d"), &Value::Null)
    );
    let user = json!({"password": "p", "tags": "management"});
    assert_eq!(api.put("users/reader", user).status, 201);
    let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
    assert_eq!(api.put("permissions/%2F/reader", all).status, 201);
    let topics = json!({"exchange": "amq.topic", "write": "", "read": "^a\\."});
    assert_eq!(api.put("topic-permissions/%2F/reader", topics).status, 201);
    let page = api.request_as(Some(("reader", "p")), "GET", "mqtt/retained?page=1", None).json();
    assert_eq!(page["total_count"], 2, "what it may not read is not counted: {page}");
}
