//! Taking what waits in a queue to another one.

use leveret::Config;
use serde_json::{Value, json};

use crate::mqtt::Client;
use crate::support::{Answer, Api};

fn with_queues() -> Api {
    let api = Api::start();
    declare(&api);
    api
}

fn declare(api: &Api) {
    ["from", "to"].iter().for_each(|name| api.declare_queue(name, json!({"durable": true})));
}

fn fill(api: &Api, count: usize) {
    let mut client = crate::amqp::Amqp::connect(api);
    for number in 0..count {
        client.publish(1, ("", "from"), false, number.to_string().as_bytes());
    }
    api.wait_for("queues/%2F/from", |queue| queue["messages"] == count);
}

fn move_to(api: &Api, queue: &str, body: Value) -> Answer {
    api.post(&format!("queues/%2F/{queue}/move"), body)
}

/// The bodies in a queue, in their order.
fn payloads(api: &Api, queue: &str) -> Vec<String> {
    let wanted = json!({"count": 5_000, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let messages = api.post(&format!("queues/%2F/{queue}/get"), wanted).json();
    let payload = |message: &Value| message["payload"].as_str().unwrap().to_owned();
    messages.as_array().unwrap().iter().map(payload).collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn messages_are_moved_in_their_order_as_many_as_are_wanted() {
    let api = with_queues();
    fill(&api, 1_234);
    let answer = move_to(&api, "from", json!({"destination": "to", "count": 34}));
    assert_eq!(answer.json(), json!({"moved": 34, "reason": null}));
    assert_eq!(payloads(&api, "to"), numbers(0..34));
    assert_eq!(payloads(&api, "from"), numbers(34..1_234));
    let answer = move_to(&api, "from", json!({"destination": "to", "vhost": "/"}));
    assert_eq!(answer.json(), json!({"moved": 1_200, "reason": null}));
    assert_eq!(payloads(&api, "to"), numbers(0..1_234));
    let empty = api.read("queues/%2F/from");
    assert_eq!((&empty["messages"], &empty["messages_unacknowledged"]), (&json!(0), &json!(0)));
    assert_eq!(move_to(&api, "from", json!({"destination": "to"})).json()["moved"], 0);
}

#[test]
fn a_message_stays_what_it_is() {
    let api = with_queues();
    let binding = json!({"routing_key": "a.b"});
    assert_eq!(api.post("bindings/%2F/e/amq.topic/q/from", binding).status, 201);
    let message = json!({
        "properties": {"headers": {"h": 1}, "message_id": "m", "delivery_mode": 2},
        "routing_key": "a.b", "payload": "x", "payload_encoding": "string",
    });
    assert_eq!(api.post("exchanges/%2F/amq.topic/publish", message).json()["routed"], true);
    let before = api.read("queues/%2F/from/peek");
    assert_eq!(move_to(&api, "from", json!({"destination": "to"})).json()["moved"], 1);
    assert_eq!(api.read("queues/%2F/to/peek"), before);
}

#[test]
fn what_was_moved_survives_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::start_in(Config::local(folder.path())).unwrap();
    declare(&api);
    numbers(0..20).iter().for_each(|payload| api.publish("from", payload));
    assert_eq!(
        move_to(&api, "from", json!({"destination": "to", "count": 15})).json()["moved"],
        15
    );
    api.stop();
    let api = Api::start_in(Config::local(folder.path())).unwrap();
    assert_eq!(payloads(&api, "to"), numbers(0..15));
    assert_eq!(payloads(&api, "from"), numbers(15..20));
}

#[test]
fn what_has_no_room_stays_where_it_is() {
    let api = with_queues();
    let arguments = json!({"x-max-length": 3, "x-overflow": "reject-publish"});
    api.declare_queue("small", json!({"arguments": arguments}));
    fill(&api, 5);
    let answer = move_to(&api, "from", json!({"destination": "small"}));
    let reason = "the destination has no room for more";
    assert_eq!(answer.json(), json!({"moved": 3, "reason": reason}));
    assert_eq!(payloads(&api, "small"), numbers(0..3));
    assert_eq!(payloads(&api, "from"), numbers(3..5));
    let answer = move_to(&api, "from", json!({"destination": "small"}));
    assert_eq!((answer.status, &*answer.reason()), (400, reason));
    assert_eq!(payloads(&api, "from"), numbers(3..5));
}

#[test]
fn what_comes_back_is_not_moved_again() {
    let api = with_queues();
    let arguments = json!({
        "x-max-length": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "from",
    });
    api.declare_queue("ring", json!({"arguments": arguments}));
    fill(&api, 10);
    assert_eq!(move_to(&api, "from", json!({"destination": "ring"})).json()["moved"], 10);
    api.wait_for("queues/%2F/from", |queue| queue["messages"] == 9);
    assert_eq!(payloads(&api, "ring"), ["9"]);
}

#[test]
fn messages_of_a_session_are_moved_and_messages_are_moved_to_a_session() {
    let api = with_queues();
    Client::connect(&api, "sensor", 600).subscribe("a/#", 1);
    api.wait_for("mqtt/sessions/sensor", |session| session["connected"] == false);
    for payload in ["1", "2"] {
        let message = json!({"topic": "a/b", "payload": payload, "qos": 1});
        assert_eq!(api.post("mqtt/publish", message).json()["routed"], true);
    }
    let answer = move_to(&api, "mqtt.sensor", json!({"destination": "to"}));
    assert_eq!(answer.json()["moved"], 2);
    assert_eq!(payloads(&api, "to"), ["1", "2"]);
    assert_eq!(api.read("mqtt/sessions/sensor")["messages"], 0);
    let answer = move_to(&api, "to", json!({"destination": "mqtt.sensor"}));
    assert_eq!(answer.json()["moved"], 2);
    assert_eq!(api.read("mqtt/sessions/sensor")["messages"], 2);
}

#[test]
fn what_cannot_be_moved_is_refused() {
    let api = with_queues();
    fill(&api, 1);
    for (body, reason) in [
        (json!({}), "[{key_missing,destination}]"),
        (json!({"destination": "from"}), "the messages are in this queue already"),
        (json!({"destination": "absent"}), "no queue 'absent' in vhost '/'"),
        (json!({"destination": "to", "vhost": "other"}), "messages stay in their virtual host"),
        (json!({"destination": "to", "count": -1}), "count must be a whole number"),
    ] {
        let answer = move_to(&api, "from", body);
        assert_eq!((answer.status, &*answer.reason()), (400, reason));
    }
    assert_eq!(move_to(&api, "absent", json!({"destination": "to"})).status, 404);
    let user = json!({"password": "p", "tags": "management"});
    assert_eq!(api.put("users/jo", user).status, 201);
    for (read, write, status) in
        [("^from$", "", 401), ("", "^amq\\.default$", 401), ("^from$", "^amq\\.default$", 200)]
    {
        let permissions = json!({"configure": "", "write": write, "read": read});
        assert!(api.put("permissions/%2F/jo", permissions).status < 300);
        let body = json!({"destination": "to"});
        let login = Some(("jo", "p"));
        let answer = api.request_as(login, "POST", "queues/%2F/from/move", Some(&body));
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}
