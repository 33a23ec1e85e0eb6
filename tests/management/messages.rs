//! Messages are published and looked at.

use leveret::Config;
use serde_json::{Value, json};

use crate::support::Api;

fn get(api: &Api, count: usize, ackmode: &str) -> Value {
    let wanted = json!({"count": count, "ackmode": ackmode, "encoding": "auto"});
    let answer = api.post("queues/%2F/q/get", wanted);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn payloads(messages: &Value) -> Vec<String> {
    let payload = |message: &Value| message["payload"].as_str().unwrap().to_owned();
    messages.as_array().unwrap().iter().map(payload).collect()
}

#[test]
fn a_message_comes_back_as_it_was_published() {
    let api = Api::start();
    api.declare_queue("q", json!({"durable": true}));
    let properties = json!({
        "content_type": "text/plain", "delivery_mode": 2, "headers": {"a": {"b": [1, null]}},
        "user_id": "guest",
    });
    let message = json!({
        "properties": properties, "routing_key": "q", "payload": "hellö",
        "payload_encoding": "string", "vhost": "/", "name": "amq.default",
    });
    let answer = api.post("exchanges/%2F/amq.default/publish", message);
    assert_eq!((answer.status, answer.json()), (200, json!({"routed": true})));
    let expected = json!([{
        "payload": "hellö", "payload_bytes": 6, "payload_encoding": "string",
        "redelivered": false, "exchange": "", "routing_key": "q", "message_count": 0,
        "properties": properties,
    }]);
    assert_eq!(get(&api, 5, "ack_requeue_false"), expected);
    assert_eq!(get(&api, 5, "ack_requeue_false"), json!([]));
}

#[test]
fn the_mode_of_a_get_says_what_becomes_of_the_messages() {
    let api = Api::start();
    api.declare_queue("q", json!({}));
    for (mode, left) in [
        ("ack_requeue_true", 3),
        ("reject_requeue_true", 3),
        ("ack_requeue_false", 1),
        ("reject_requeue_false", 1),
    ] {
        assert_eq!(api.delete("queues/%2F/q/contents").status, 204);
        ["a", "b", "c"].iter().for_each(|payload| api.publish("q", payload));
        let got = get(&api, 2, mode);
        assert_eq!(payloads(&got), ["a", "b"]);
        assert_eq!((&got[0]["message_count"], &got[1]["message_count"]), (&json!(2), &json!(1)));
        let queue = api.read("queues/%2F/q");
        assert_eq!(
            (&queue["messages_ready"], &queue["messages_unacknowledged"]),
            (&json!(left), &json!(0))
        );
        let again = get(&api, 5, "ack_requeue_false");
        assert_eq!(again[0]["redelivered"], left == 3, "{mode}");
    }
}

#[test]
fn binary_payloads_travel_in_base64_and_long_ones_are_cut() {
    let api = Api::start();
    api.declare_queue("q", json!({}));
    let message = json!({
        "properties": [], "routing_key": "q", "payload": "AP/+", "payload_encoding": "base64",
    });
    api.post("exchanges/%2F/amq.default/publish", message);
    let got = get(&api, 1, "ack_requeue_false");
    assert_eq!(
        (&got[0]["payload"], &got[0]["payload_encoding"]),
        (&json!("AP/+"), &json!("base64"))
    );
    assert_eq!(got[0]["properties"], json!({}));

    api.publish("q", "hello");
    let wanted = json!({
        "count": 1, "ackmode": "ack_requeue_false", "encoding": "base64", "truncate": 2,
    });
    let got = api.post("queues/%2F/q/get", wanted).json();
    assert_eq!((&got[0]["payload"], &got[0]["payload_bytes"]), (&json!("aGU="), &json!(5)));
}

#[test]
fn a_publish_says_whether_any_queue_got_it() {
    let api = Api::start();
    let message = |key: &str| json!({"properties": {}, "routing_key": key, "payload": "", "payload_encoding": "string"});
    let answer = api.post("exchanges/%2F/amq.topic/publish", message("a.b"));
    assert_eq!(answer.json(), json!({"routed": false}));
    api.declare_queue("q", json!({}));
    api.post("bindings/%2F/e/amq.topic/q/q", json!({"routing_key": "a.*"}));
    let answer = api.post("exchanges/%2F/amq.topic/publish", message("a.b"));
    assert_eq!(answer.json(), json!({"routed": true}));
    assert_eq!(api.read("queues/%2F/q")["messages"], 1);
}

#[test]
fn headers_route() {
    let api = Api::start();
    api.declare_queue("q", json!({}));
    let arguments = json!({"arguments": {"x-match": "all", "kind": "a", "n": 1}});
    assert_eq!(api.post("bindings/%2F/e/amq.headers/q/q", arguments).status, 201);
    for (headers, routed) in
        [(json!({"kind": "a", "n": 1, "more": true}), true), (json!({"kind": "a"}), false)]
    {
        let message = json!({
            "properties": {"headers": headers}, "routing_key": "", "payload": "",
            "payload_encoding": "string",
        });
        let answer = api.post("exchanges/%2F/amq.headers/publish", message);
        assert_eq!(answer.json(), json!({ "routed": routed }));
    }
}

#[test]
fn a_publish_that_cannot_be_is_refused() {
    let api = Api::start();
    let whole = json!({
        "properties": {}, "routing_key": "q", "payload": "", "payload_encoding": "string",
    });
    let answer = api.post("exchanges/%2F/absent/publish", whole.clone());
    let expected = json!({"error": "not_found", "reason": "exchange_not_found"});
    assert_eq!((answer.status, answer.json()), (404, expected));
    for missing in ["properties", "routing_key", "payload", "payload_encoding"] {
        let mut message = whole.clone();
        message.as_object_mut().unwrap().remove(missing);
        let answer = api.post("exchanges/%2F/amq.default/publish", message);
        assert_eq!((answer.status, answer.reason()), (400, format!("[{{key_missing,{missing}}}]")));
    }
    for (field, value, reason) in [
        ("payload", json!({}), "payload_not_string"),
        ("payload_encoding", json!("rot13"), "unsupported payload_encoding"),
        ("properties", json!(1), "properties must be an object"),
        ("routing_key", json!("k".repeat(256)), "a routing key has at most 255 bytes"),
        (
            "properties",
            json!({"user_id": "other"}),
            "406 PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was \
             'guest'",
        ),
        (
            "properties",
            json!({"expiration": "x"}),
            "406 PRECONDITION_FAILED - invalid expiration 'x'",
        ),
    ] {
        let mut message = whole.clone();
        message[field] = value;
        let answer = api.post("exchanges/%2F/amq.default/publish", message);
        assert_eq!((answer.status, answer.reason()), (400, reason.to_owned()));
    }
    let answer = api.post("exchanges/%2F/amq.rabbitmq.trace/publish", whole);
    let reason = "403 ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.trace' \
                  in vhost '/'";
    assert_eq!((answer.status, answer.reason()), (400, reason.to_owned()));
}

#[test]
fn a_message_may_be_as_large_as_the_limit_and_no_larger() {
    let api = Api::start_with(|config| set(config, "message_size_max", "1KiB"));
    api.declare_queue("q", json!({}));
    let message = |len: usize| {
        json!({
            "properties": {}, "routing_key": "q", "payload": "x".repeat(len),
            "payload_encoding": "string",
        })
    };
    assert_eq!(api.post("exchanges/%2F/amq.default/publish", message(1024)).status, 200);
    let answer = api.post("exchanges/%2F/amq.default/publish", message(1025));
    let reason = "406 PRECONDITION_FAILED - message size 1025 is larger than configured max size \
                  1024";
    assert_eq!((answer.status, answer.reason()), (400, reason.to_owned()));
}

#[test]
fn messages_that_wait_on_the_disk_are_brought_back() {
    let api = Api::start_with(|config| set(config, "message_memory", "1KiB"));
    api.declare_queue("q", json!({"durable": true}));
    let payload = |number: usize| format!("{number:05}-{}", "x".repeat(4_000));
    (0..50).for_each(|number| api.publish("q", &payload(number)));
    let expected: Vec<String> = (0..50).map(payload).collect();
    assert_eq!(payloads(&get(&api, 100, "ack_requeue_true")), expected);
    assert_eq!(payloads(&get(&api, 100, "ack_requeue_false")), expected);
    assert_eq!(api.read("queues/%2F/q")["messages"], 0);
}

#[test]
fn a_message_that_came_over_mqtt_is_shown_with_its_topic_as_key() {
    let api = Api::start();
    api.declare_queue("q", json!({}));
    api.post("bindings/%2F/e/amq.topic/q/q", json!({"routing_key": "a.#"}));
    api.runtime.block_on(api.broker.client().publish_topic("a/b", "21.5")).unwrap();
    let got = get(&api, 1, "ack_requeue_false");
    assert_eq!((&got[0]["routing_key"], &got[0]["exchange"]), (&json!("a.b"), &json!("amq.topic")));
    assert_eq!(got[0]["properties"], json!({"delivery_mode": 2}));
}

#[test]
fn a_get_that_cannot_be_is_refused() {
    let api = Api::start();
    let wanted = json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let answer = api.post("queues/%2F/absent/get", wanted.clone());
    let expected = json!({"error": "not_found", "reason": "queue_not_found"});
    assert_eq!((answer.status, answer.json()), (404, expected));
    assert_eq!(api.post("queues/absent/q/get", wanted).reason(), "vhost_not_found");
    api.declare_queue("q", json!({}));
    let wanted = json!({"count": 1, "ackmode": "keep", "encoding": "auto"});
    let answer = api.post("queues/%2F/q/get", wanted);
    assert_eq!(answer.status, 400);
    assert!(answer.reason().contains("reject_requeue_false"));
}

fn set(config: &mut Config, name: &str, value: &str) {
    config.set(name, value, "test").unwrap();
}
