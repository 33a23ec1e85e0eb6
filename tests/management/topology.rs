//! Queues, exchanges and bindings come, are shown and go.

use serde_json::json;

use crate::support::{Api, segment};

#[test]
fn a_queue_is_made_with_201_and_found_with_204() {
    let api = Api::start();
    let spec =
        json!({"durable": true, "auto_delete": "false", "arguments": {"x-y": 1}, "node": "n"});
    assert_eq!(api.put("queues/%2F/q", spec.clone()).status, 201);
    assert_eq!(api.put("queues/%2F/q", spec).status, 204);
    let queue = api.read("queues/%2F/q");
    for (field, value) in [
        ("name", json!("q")),
        ("vhost", json!("/")),
        ("type", json!("classic")),
        ("durable", json!(true)),
        ("auto_delete", json!(false)),
        ("exclusive", json!(false)),
        ("arguments", json!({"x-y": 1})),
        ("state", json!("running")),
        ("messages", json!(0)),
        ("messages_ready", json!(0)),
        ("messages_unacknowledged", json!(0)),
        ("consumers", json!(0)),
        ("message_bytes", json!(0)),
    ] {
        assert_eq!(queue[field], value, "{field}");
    }
    assert_eq!(queue["message_stats"]["publish_details"]["rate"], 0.0);
    assert_eq!(api.delete("queues/%2F/q").status, 204);
    assert_eq!(api.delete("queues/%2F/q").status, 404);
}

#[test]
fn a_queue_that_differs_is_refused_with_the_words_of_amqp() {
    let api = Api::start();
    api.declare_queue("q", json!({"durable": true}));
    let answer = api.put("queues/%2F/q", json!({}));
    let reason = "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but \
                  current is 'true'";
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json(), json!({"error": "bad_request", "reason": reason}));
}

#[test]
fn what_a_name_cannot_be_is_refused() {
    let api = Api::start();
    let answer = api.put("queues/%2F/amq.mine", json!({}));
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json(), json!({"error": "not_authorised", "reason": "Access refused."}));
    assert_eq!(api.put(&format!("queues/%2F/{}", "q".repeat(256)), json!({})).status, 400);
    assert_eq!(api.put(&format!("exchanges/%2F/{}", "x".repeat(256)), json!({})).status, 400);
    let answer = api.put("queues/absent/q", json!({}));
    assert_eq!((answer.status, answer.reason()), (404, "vhost_not_found".to_owned()));
    assert_eq!(api.get("queues/%2F/%FF").status, 400);
}

#[test]
fn names_are_decoded_segment_by_segment() {
    let api = Api::start();
    for name in ["with/slash", "with space", "per%2Fcent", "plus+plus", "ünï", "<b>", "?&=#", "%"]
    {
        let path = format!("queues/%2f/{}", segment(name));
        assert_eq!(api.put(&path, json!({})).status, 201, "{name}");
        assert_eq!(api.read(&path)["name"], name);
        assert_eq!(api.read(&format!("{path}/bindings"))[0]["routing_key"], name);
        assert_eq!(api.delete(&path).status, 204);
    }
}

#[test]
fn a_queue_goes_only_under_its_conditions() {
    let api = Api::start();
    api.declare_queue("q", json!({}));
    api.publish("q", "one");
    let answer = api.delete("queues/%2F/q?if-empty=true");
    assert_eq!((answer.status, answer.reason()), (400, "queue 'q' in vhost '/' not empty".into()));
    assert_eq!(api.delete("queues/%2F/q/contents").status, 204);
    assert_eq!(api.read("queues/%2F/q")["messages"], 0);
    let _consumer = {
        let _runtime = api.runtime.enter();
        api.broker.client().consume("q").unwrap()
    };
    let answer = api.delete("queues/%2F/q?if-unused=true&if-empty=true");
    assert_eq!((answer.status, answer.reason()), (400, "queue 'q' in vhost '/' in use".into()));
    assert_eq!(api.delete("queues/%2F/q").status, 204);
}

#[test]
fn a_queue_that_belongs_to_a_connection_is_seen_and_not_touched() {
    let api = Api::start();
    let _subscription = {
        let _runtime = api.runtime.enter();
        api.broker.client().subscribe("a/#").unwrap()
    };
    let queues = api.read("queues");
    assert_eq!((&queues[0]["exclusive"], &queues[0]["consumers"]), (&json!(true), &json!(1)));
    let path = format!("queues/%2F/{}", segment(queues[0]["name"].as_str().unwrap()));
    for answer in [api.delete(&path), api.delete(&format!("{path}/contents"))] {
        assert_eq!(answer.status, 400);
        assert!(answer.reason().starts_with("cannot obtain exclusive access to locked queue"));
    }
}

#[test]
fn the_predeclared_exchanges_are_there_and_stay() {
    let api = Api::start();
    let exchanges = api.read("exchanges/%2F?columns=name,type");
    let expected = json!([
        {"name": "", "type": "direct"},
        {"name": "amq.direct", "type": "direct"},
        {"name": "amq.fanout", "type": "fanout"},
        {"name": "amq.headers", "type": "headers"},
        {"name": "amq.match", "type": "headers"},
        {"name": "amq.rabbitmq.trace", "type": "topic"},
        {"name": "amq.topic", "type": "topic"},
    ]);
    assert_eq!(exchanges, expected);
    assert_eq!(api.read("exchanges/%2F/amq.default")["name"], "");
    for name in ["amq.topic", "amq.default"] {
        assert_eq!(api.delete(&format!("exchanges/%2F/{name}")).status, 401);
    }
}

#[test]
fn an_exchange_is_made_shown_and_deleted() {
    let api = Api::start();
    assert_eq!(api.put("exchanges/%2F/x", json!({"type": "topic"})).status, 201);
    assert_eq!(api.put("exchanges/%2F/x", json!({"type": "topic"})).status, 204);
    let expected = json!({
        "name": "x", "vhost": "/", "type": "topic", "durable": false, "auto_delete": false,
        "internal": false, "arguments": {},
    });
    assert_eq!(api.read("exchanges/%2F/x?disable_stats=true"), expected);
    let answer = api.put("exchanges/%2F/x", json!({}));
    let reason = "inequivalent arg 'type' for exchange 'x' in vhost '/': received 'direct' but \
                  current is 'topic'";
    assert_eq!((answer.status, answer.reason()), (400, reason.to_owned()));
    assert_eq!(api.put("exchanges/%2F/y", json!({"type": "x-odd"})).status, 400);
    api.declare_queue("q", json!({}));
    assert_eq!(api.post("bindings/%2F/e/x/q/q", json!({})).status, 201);
    let answer = api.delete("exchanges/%2F/x?if-unused=true");
    assert_eq!((answer.status, answer.reason()), (400, "exchange 'x' in vhost '/' in use".into()));
    assert_eq!(api.delete("exchanges/%2F/x").status, 204);
    assert_eq!(api.delete("exchanges/%2F/x").status, 404);
}

#[test]
fn a_binding_is_named_by_its_location_and_by_its_properties_key() {
    let api = Api::start();
    api.declare_queue("q/1", json!({}));
    let ends = "bindings/%2F/e/amq.topic/q/q%2F1";
    for (key, arguments) in [
        ("a.#", json!({})),
        ("", json!({})),
        ("a/é~%", json!({"k": [1, "v"]})),
        ("plain", json!({})),
    ] {
        let made = api.post(ends, json!({"routing_key": key, "arguments": arguments}));
        assert_eq!((made.status, made.text()), (201, String::new()));
        let found = api.read(ends);
        assert_eq!(found.as_array().unwrap().len(), 1);
        assert_eq!(found[0]["routing_key"], key);
        assert_eq!(found[0]["arguments"], arguments);
        assert_eq!(found[0]["destination_type"], "queue");
        let properties_key = found[0]["properties_key"].as_str().unwrap().to_owned();

        let by_location = format!("bindings/%2F/e/amq.topic/q/{}", made.header("location"));
        assert_eq!(api.read(&by_location), found[0]);
        assert_eq!(api.read(&format!("{ends}/{properties_key}")), found[0]);
        let quoted = format!("{ends}/{}", segment(&properties_key));
        assert_eq!(api.read(&quoted), found[0]);
        assert_eq!(api.delete(&quoted).status, 204);
        assert_eq!(api.delete(&quoted).status, 404);
    }
}

#[test]
fn exchanges_are_bound_to_exchanges() {
    let api = Api::start();
    assert_eq!(api.put("exchanges/%2F/x", json!({"type": "fanout"})).status, 201);
    let ends = "bindings/%2F/e/amq.direct/e/x";
    assert_eq!(api.post(ends, json!({"routing_key": "k"})).status, 201);
    let found = api.read(ends);
    assert_eq!(found[0]["destination_type"], "exchange");
    assert_eq!(api.read("exchanges/%2F/amq.direct/bindings/source"), found);
    assert_eq!(api.read("exchanges/%2F/x/bindings/destination"), found);
    assert_eq!(api.read("exchanges/%2F/x/bindings/source"), json!([]));
    assert_eq!(api.delete(&format!("{ends}/k")).status, 204);
    assert_eq!(api.read(ends), json!([]));
}

#[test]
fn bindings_are_listed_with_the_implicit_ones_of_the_default_exchange() {
    let api = Api::start();
    api.declare_queue("q", json!({}));
    let implicit = json!({
        "source": "", "vhost": "/", "destination": "q", "destination_type": "queue",
        "routing_key": "q", "arguments": {}, "properties_key": "q",
    });
    for path in ["bindings", "bindings/%2F", "queues/%2F/q/bindings"] {
        assert_eq!(api.read(path), json!([implicit]), "{path}");
    }
    assert_eq!(api.read("bindings/%2F/e/amq.default/q/q/q"), implicit);
    assert_eq!(api.delete("bindings/%2F/e/amq.default/q/q/q").status, 401);
    assert_eq!(api.post("bindings/%2F/e/amq.default/q/q", json!({})).status, 401);
}

#[test]
fn a_binding_without_its_ends_is_404() {
    let api = Api::start();
    api.declare_queue("q", json!({}));
    for ends in ["absent/q/q", "amq.topic/q/absent", "amq.topic/e/absent", "amq.topic/x/q"] {
        assert_eq!(api.post(&format!("bindings/%2F/e/{ends}"), json!({})).status, 404, "{ends}");
    }
}
