//! Looking at what is published, as it comes.

use serde_json::{Value, json};

use crate::amqp::{self, Amqp, Args};
use crate::mqtt::Client;
use crate::scripts::Events;
use crate::support::{Api, wait_until};

/// Begins to look on; what is published afterwards is seen.
fn look_on(api: &Api, login: &str, path: &str) -> Events {
    let mut events = Events::at(api, login, path);
    assert_eq!(events.event(), [":"]);
    events
}

/// The next event and what is in it.
fn next(events: &mut Events) -> (String, Value) {
    loop {
        let lines = events.event();
        match &*lines {
            [event, data] => {
                let data = data.strip_prefix("data: ").unwrap();
                let event = event.strip_prefix("event: ").unwrap();
                return (event.to_owned(), serde_json::from_str(data).unwrap());
            }
            [silence] if silence == ":" => {}
            other => panic!("{other:?}"),
        }
    }
}

fn next_message(events: &mut Events) -> Value {
    let (event, message) = next(events);
    assert_eq!(event, "message");
    message
}

fn publish(api: &Api, exchange: &str, key: &str, payload: &str) -> Value {
    let message = json!({
        "properties": {"headers": {"h": 1}}, "routing_key": key, "payload": payload,
        "payload_encoding": "string",
    });
    api.post(&format!("exchanges/%2F/{exchange}/publish"), message).json()["routed"].clone()
}

#[test]
fn whoever_publishes_is_seen_in_the_order_in_which_it_is_published() {
    let api = Api::start();
    let mut events = look_on(&api, "guest:guest", "exchanges/%2F/amq.topic/tap?routing_key=a.%23");
    let mut topics = look_on(&api, "guest:guest", "mqtt/tap?filter=a/%2B");
    publish(&api, "amq.topic", "b", "is not seen");
    publish(&api, "amq.direct", "a.b", "is not seen");
    publish(&api, "amq.topic", "a.b", "by HTTP");
    let message = next_message(&mut events);
    for (field, value) in [
        ("exchange", json!("amq.topic")),
        ("routing_key", json!("a.b")),
        ("payload", json!("by HTTP")),
        ("payload_encoding", json!("string")),
        ("payload_bytes", json!(7)),
        ("properties", json!({"headers": {"h": 1}})),
    ] {
        assert_eq!(message[field], value, "{field}");
    }
    let mut client = Amqp::connect(&api);
    client.publish(1, ("amq.topic", "a.c.d"), false, b"by AMQP");
    assert_eq!(next_message(&mut events)["payload"], "by AMQP");
    client.call(1, amqp::SELECT_TX, Args::default());
    client.publish(1, ("amq.topic", "a.x"), false, b"in a transaction");
    client.call(1, amqp::COMMIT, Args::default());
    assert_eq!(next_message(&mut events)["payload"], "in a transaction");
    let mut device = Client::connect(&api, "device", 0);
    device.publish("a/y", &[0xFF]);
    let message = next_message(&mut events);
    assert_eq!(
        (&message["payload"], &message["payload_encoding"]),
        (&json!("/w=="), &json!("base64"))
    );
    let seen: Vec<_> = (0..3).map(|_| next_message(&mut topics)["topic"].clone()).collect();
    assert_eq!(seen, ["a/b", "a/x", "a/y"]);
}

#[test]
fn nothing_goes_another_way_for_being_looked_at() {
    let api = Api::start();
    api.declare_queue("lost", json!({}));
    let spec = json!({"type": "direct", "arguments": {"alternate-exchange": "amq.fanout"}});
    assert_eq!(api.put("exchanges/%2F/x", spec).status, 201);
    assert_eq!(api.post("bindings/%2F/e/amq.fanout/q/lost", json!({})).status, 201);
    let before = (api.read("bindings"), api.read("queues?columns=name"), api.read("consumers"));
    let mut events = look_on(&api, "guest:guest", "exchanges/%2F/x/tap");
    let mut direct = look_on(&api, "guest:guest", "exchanges/%2F/amq.direct/tap");
    assert_eq!(publish(&api, "x", "k", "to the alternate exchange"), true);
    assert_eq!(publish(&api, "amq.direct", "k", "to nobody"), false);
    assert_eq!(next_message(&mut events)["payload"], "to the alternate exchange");
    assert_eq!(next_message(&mut direct)["payload"], "to nobody");
    assert_eq!(api.read("queues/%2F/lost")["messages"], 1);
    let after = (api.read("bindings"), api.read("queues?columns=name"), api.read("consumers"));
    assert_eq!(before, after);
}

#[test]
fn dead_letters_are_seen_where_they_go() {
    let api = Api::start();
    let arguments = json!({"x-dead-letter-exchange": "amq.fanout", "x-max-length": 1});
    api.declare_queue("q", json!({"arguments": arguments}));
    let mut events = look_on(&api, "guest:guest", "exchanges/%2F/amq.fanout/tap");
    ["first", "second"].iter().for_each(|payload| api.publish("q", payload));
    assert_eq!(next_message(&mut events)["payload"], "first");
}

#[test]
fn what_is_too_much_is_skipped_and_counted() {
    let api = Api::start();
    let mut events = look_on(&api, "guest:guest", "exchanges/%2F/amq.fanout/tap?rate=10");
    let mut client = Amqp::connect(&api);
    for number in 0..500 {
        client.publish(1, ("amq.fanout", &number.to_string()), false, b"x");
    }
    let (mut shown, mut skipped) = (0, 0);
    while shown + skipped < 500 {
        match next(&mut events) {
            (event, message) if event == "message" => {
                assert_eq!(message["payload"], "x");
                shown += 1;
            }
            (event, count) => {
                assert_eq!(event, "skipped");
                skipped += count["count"].as_u64().unwrap();
            }
        }
    }
    assert_eq!(shown + skipped, 500);
    assert!((10..250).contains(&shown), "{shown}");
}

#[test]
fn payloads_are_cut_between_letters() {
    let api = Api::start();
    let mut events = look_on(&api, "guest:guest", "exchanges/%2F/amq.fanout/tap?truncate=3");
    for (payload, shown) in [("ééé", "é"), ("abcdef", "abc"), ("ab", "ab")] {
        publish(&api, "amq.fanout", "", payload);
        let message = next_message(&mut events);
        assert_eq!(
            (&message["payload"], &message["payload_encoding"]),
            (&json!(shown), &json!("string"))
        );
        assert_eq!(message["payload_bytes"], payload.len());
    }
}

#[test]
fn it_takes_the_right_to_read_the_exchange_and_the_topic() {
    let api = Api::start();
    let user = json!({"password": "p", "tags": "management"});
    assert_eq!(api.put("users/jo", user).status, 201);
    let permit = |read: &str| {
        let permissions = json!({"configure": "", "write": "", "read": read});
        assert!(api.put("permissions/%2F/jo", permissions).status < 300);
    };
    permit("^other$");
    let path = "exchanges/%2F/amq.topic/tap";
    for path in [path, "mqtt/tap"] {
        assert_eq!(api.request_as(Some(("jo", "p")), "GET", path, None).status, 401);
    }
    permit("^amq\\.topic$");
    let topics = json!({"exchange": "amq.topic", "write": "", "read": "^public\\."});
    assert_eq!(api.put("topic-permissions/%2F/jo", topics).status, 201);
    let mut events = look_on(&api, "jo:p", path);
    for key in ["secret.a", "public.a"] {
        publish(&api, "amq.topic", key, key);
    }
    assert_eq!(next_message(&mut events)["payload"], "public.a");
    permit("");
    publish(&api, "amq.topic", "public.b", "not any more");
    assert_eq!(events.event(), Vec::<String>::new(), "it is over");
    for wrong in ["?rate=x", "?truncate=-1"] {
        assert_eq!(api.get(&format!("{path}{wrong}")).status, 400);
    }
    assert_eq!(api.get("exchanges/%2F/absent/tap").status, 404);
}

#[test]
fn a_tap_ends_with_its_client_and_goes_by_the_name_of_its_exchange() {
    let api = Api::start();
    let path = "exchanges/%2F/x/tap";
    assert_eq!(api.put("exchanges/%2F/x", json!({"type": "fanout"})).status, 201);
    let taps: Vec<Events> = (0..128).map(|_| look_on(&api, "guest:guest", path)).collect();
    assert_eq!(api.get(path).status, 503, "there are so many places");
    drop(taps);
    let wait = "queues/%2F/q/messages?wait=1ms";
    api.declare_queue("q", json!({}));
    wait_until(|| api.get(wait).status == 204);
    let mut events = look_on(&api, "guest:guest", path);
    assert_eq!(api.delete("exchanges/%2F/x").status, 204);
    assert_eq!(api.put("exchanges/%2F/x", json!({"type": "fanout"})).status, 201);
    publish(&api, "x", "", "of the new one");
    assert_eq!(next_message(&mut events)["payload"], "of the new one");
}
