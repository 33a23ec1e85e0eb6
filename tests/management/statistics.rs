//! Statistics: what clients do is counted, and by whom.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::amqp::{self, Amqp, Args};
use crate::support::{Api, mqtt, segment};

/// The numbers of `message_stats` that are not 0.
fn counted(stats: &Value) -> Value {
    let numbers = stats.as_object().unwrap().iter();
    let numbers = numbers.filter(|(_, value)| value.as_u64().is_some_and(|number| number > 0));
    numbers.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn wait_for_counts(api: &Api, path: &str, expected: &Value) {
    api.wait_for(path, |found| counted(&found["message_stats"]) == *expected);
}

/// Publishes and takes messages in every way that there is.
fn converse(client: &mut Amqp) {
    client.declare("q", false);
    client.call(1, amqp::CONFIRM, Args::default().bits(0));
    for body in ["1", "2", "3", "4"] {
        client.publish(1, ("", "q"), false, body.as_bytes());
    }
    client.publish(1, ("", "nowhere"), false, b"");
    client.publish(1, ("", "nowhere"), true, b"");
    client.expect(amqp::RETURN);
    client.get("q", true, amqp::GET_OK);
    client.get("q", false, amqp::GET_OK);
    client.send(1, amqp::REJECT, Args::default().tag(2).bits(1));
    client.get("q", false, amqp::GET_OK);
    client.send(1, amqp::ACK, Args::default().tag(3).bits(0));
    client.call(2, amqp::OPEN_CHANNEL, Args::default().text(""));
    client.consume(2, "q", "manual", false);
    client.expect(amqp::DELIVER);
    client.expect(amqp::DELIVER);
    client.send(2, amqp::ACK, Args::default().tag(2).bits(1));
    client.call(2, amqp::CANCEL, Args::default().text("manual").bits(0));
    client.get("q", false, amqp::GET_EMPTY);
    client.consume(1, "q", "automatic", true);
    client.publish(1, ("", "q"), false, b"5");
    client.expect(amqp::DELIVER);
}

fn after_conversation() -> Value {
    json!({
        "publish": 7, "confirm": 7, "deliver": 2, "deliver_no_ack": 1, "get": 2, "get_no_ack": 1,
        "get_empty": 1, "deliver_get": 6, "redeliver": 1, "ack": 3, "return_unroutable": 1,
        "drop_unroutable": 1,
    })
}

#[test]
fn totals_count_what_clients_do_and_do_not_fall_when_they_go() {
    let api = Api::start();
    let mut client = Amqp::connect(&api);
    converse(&mut client);
    wait_for_counts(&api, "overview", &after_conversation());
    client.call(2, amqp::CLOSE_CHANNEL, Args::default().short(0).text("").short(0).short(0));
    assert_eq!(api.delete("queues/%2F/q").status, 204);
    drop(client);
    api.wait_for("overview", |found| found["object_totals"]["connections"] == 0);
    assert_eq!(counted(&api.read("overview")["message_stats"]), after_conversation());
}

#[test]
fn a_transaction_counts_from_its_commit_on() {
    let api = Api::start();
    let mut client = Amqp::connect(&api);
    client.declare("q", false);
    client.call(1, amqp::SELECT_TX, Args::default());
    client.publish(1, ("", "q"), false, b"1");
    client.publish(1, ("", "nowhere"), false, b"2");
    assert_eq!(counted(&api.read("overview")["message_stats"]), json!({}));
    client.call(1, amqp::COMMIT, Args::default());
    let expected = json!({"publish": 2, "drop_unroutable": 1});
    wait_for_counts(&api, "overview", &expected);
    client.get("q", false, amqp::GET_OK);
    client.send(1, amqp::ACK, Args::default().tag(1).bits(0));
    client.call(1, amqp::COMMIT, Args::default());
    let expected =
        json!({"publish": 2, "drop_unroutable": 1, "get": 1, "deliver_get": 1, "ack": 1});
    wait_for_counts(&api, "overview", &expected);
}

#[test]
fn the_management_api_counts_as_a_client() {
    let api = Api::start();
    api.declare_queue("q", json!({}));
    api.publish("q", "1");
    let get = json!({"count": 2, "ackmode": "ack_requeue_false", "encoding": "auto"});
    api.post("queues/%2F/q/get", get.clone());
    api.post("queues/%2F/q/get", get);
    let expected = json!({
        "publish": 1, "confirm": 1, "get": 1, "get_empty": 1, "deliver_get": 1, "ack": 1,
    });
    assert_eq!(counted(&api.read("overview")["message_stats"]), expected);
}

#[test]
fn a_channel_a_connection_a_queue_and_an_exchange_count_what_is_theirs() {
    let api = Api::start();
    let mut client = Amqp::connect(&api);
    converse(&mut client);
    let name = api.wait_for("connections", |list| list[0]["channels"] == 2)[0]["name"].clone();
    let path = format!("connections/{}", segment(name.as_str().unwrap()));
    wait_for_counts(&api, &path, &after_conversation());
    let connection = api.read(&path);
    assert!(connection["recv_oct"].as_u64() > Some(0) && connection["send_oct"].as_u64() > Some(0));
    assert_eq!(connection["recv_oct_details"]["rate"], 0.0);

    let channel = |number| format!("channels/{}%20%28{number}%29", segment(name.as_str().unwrap()));
    let expected = json!({
        "publish": 7, "confirm": 7, "deliver_no_ack": 1, "get": 2, "get_no_ack": 1, "get_empty": 1,
        "deliver_get": 4, "redeliver": 1, "ack": 1, "return_unroutable": 1, "drop_unroutable": 1,
    });
    wait_for_counts(&api, &channel(1), &expected);
    let expected = json!({"deliver": 2, "deliver_get": 2, "ack": 2});
    wait_for_counts(&api, &channel(2), &expected);

    let expected = json!({
        "publish": 5, "deliver": 2, "deliver_no_ack": 1, "get": 2, "get_no_ack": 1, "get_empty": 1,
        "deliver_get": 6, "redeliver": 1, "ack": 3,
    });
    wait_for_counts(&api, "queues/%2F/q", &expected);
    let expected = json!({"publish_in": 7, "publish_out": 5});
    wait_for_counts(&api, "exchanges/%2F/amq.default", &expected);
    assert_eq!(counted(&api.read("exchanges/%2F/amq.direct")["message_stats"]), json!({}));
}

#[test]
fn an_mqtt_connection_counts_what_it_publishes_and_gets() {
    let api = Api::start();
    let mut client = mqtt(&api, "client-1");
    // SUBSCRIBE to t with QoS 1.
    client.write_all(&[0x82, 6, 0, 1, 0, 1, b't', 1]).unwrap();
    // PUBLISH with QoS 0, with QoS 1, and to a topic that nobody has subscribed to.
    client.write_all(&[0x30, 4, 0, 1, b't', b'a']).unwrap();
    client.write_all(&[0x32, 6, 0, 1, b't', 0, 7, b'b']).unwrap();
    client.write_all(&[0x30, 4, 0, 1, b'u', b'c']).unwrap();
    // SUBACK, both messages and a PUBACK.
    client.read_exact(&mut [0; 5 + 6 + 8 + 4]).unwrap();
    // PUBACK of what came back with QoS 1.
    client.write_all(&[0x40, 2, 0, 1]).unwrap();
    let expected = json!({
        "publish": 3, "confirm": 1, "deliver": 1, "deliver_no_ack": 1, "deliver_get": 2, "ack": 1,
        "drop_unroutable": 1,
    });
    wait_for_counts(&api, "overview", &expected);
    let list = api.read("connections");
    assert_eq!(counted(&list[0]["message_stats"]), expected);
    wait_for_counts(&api, "exchanges/%2F/amq.topic", &json!({"publish_in": 3, "publish_out": 2}));
    drop(client);
    api.wait_for("connections", |list| list.as_array().unwrap().is_empty());
    assert_eq!(counted(&api.read("overview")["message_stats"]), expected);
}

#[test]
fn what_comes_and_goes_is_counted() {
    let api = Api::start();
    let mut client = Amqp::connect(&api);
    client.declare("q", false);
    client.declare("q", false);
    client.call(2, amqp::OPEN_CHANNEL, Args::default().text(""));
    client.call(2, amqp::CLOSE_CHANNEL, Args::default().short(0).text("").short(0).short(0));
    api.delete("queues/%2F/q");
    let churn = api.read("overview")["churn_rates"].clone();
    let expected = json!({
        "connection_created": 1, "channel_created": 2, "channel_closed": 1, "queue_declared": 2,
        "queue_created": 1, "queue_deleted": 1,
    });
    assert_eq!(counted(&churn), expected);
    assert_eq!(churn["connection_closed_details"]["rate"], 0.0);
    drop(client);
    api.wait_for("overview", |found| {
        let churn = &found["churn_rates"];
        (&churn["connection_closed"], &churn["channel_closed"]) == (&json!(1), &json!(2))
    });
}

#[test]
fn rates_and_histories_follow_what_is_asked_for() {
    let api = Api::start();
    ["busy", "idle"].iter().for_each(|queue| api.declare_queue(queue, json!({})));
    let ranges = "lengths_age=60&lengths_incr=5&msg_rates_age=60&msg_rates_incr=5";
    let path = format!("queues/%2F/busy?{ranges}");
    let first = api.read(&path);
    assert_eq!(first["messages_details"]["samples"].as_array().unwrap().len(), 1);
    assert_eq!(first["messages_details"]["samples"][0]["sample"], 0);
    assert_eq!(first["message_stats"]["publish_details"]["rate"], 0.0);
    assert_eq!(first["message_stats"]["publish_details"]["avg_rate"], 0.0);
    api.publish("busy", "1");
    let later = api.wait_for(&path, |queue| {
        queue["message_stats"]["publish_details"]["rate"].as_f64() > Some(0.0)
    });
    let details = &later["messages_details"];
    assert!(details["rate"].as_f64() > Some(0.0) && details["avg"].as_f64() > Some(0.0));
    let samples = details["samples"].as_array().unwrap();
    assert_eq!((samples[0]["sample"].as_u64(), samples[1]["sample"].as_u64()), (Some(1), Some(0)));
    let at = |at: usize| samples[at]["timestamp"].as_u64().unwrap();
    assert_eq!(at(0) - at(1), 5_000);

    let path = format!("overview?{ranges}");
    let overview = api.read(&path);
    assert!(overview["queue_totals"]["messages_details"]["samples"].as_array().unwrap().len() > 1);
    assert!(overview["message_stats"]["publish_details"]["samples"].is_array());
    assert!(api.read("overview")["message_stats"]["publish_details"].get("samples").is_none());
    let node = &api.read("nodes?node_stats_age=60&node_stats_incr=5")[0];
    assert!(node["mem_used_details"]["samples"][0]["sample"].as_u64() > Some(0));

    api.read("queues");
    api.publish("busy", "2");
    let sorted = "queues?sort=message_stats.publish_details.rate&sort_reverse=true";
    let sorted = api.wait_for(sorted, |list| {
        list[0]["message_stats"]["publish_details"]["rate"].as_f64() > Some(0.0)
    });
    assert_eq!((&sorted[0]["name"], &sorted[1]["name"]), (&json!("busy"), &json!("idle")));
}

#[test]
fn consumers_are_listed_with_their_channels_and_queues() {
    let api = Api::start();
    let arguments = json!({"arguments": {"x-single-active-consumer": true}});
    api.declare_queue("alone", arguments);
    let mut client = Amqp::connect(&api);
    client.declare("q", false);
    client.consume(1, "q", "ctag-1", true);
    client.call(2, amqp::OPEN_CHANNEL, Args::default().text(""));
    client.consume(2, "alone", "first", false);
    client.consume(2, "alone", "second", false);
    let list = api.wait_for("consumers", |list| list.as_array().unwrap().len() == 3);
    let name = api.read("connections")[0]["name"].clone();
    let connection = name.as_str().unwrap();
    let (host, port) = connection.split_once(" -> ").unwrap().0.rsplit_once(':').unwrap();
    let expected = json!({
        "consumer_tag": "ctag-1", "queue": {"name": "q", "vhost": "/"}, "ack_required": false,
        "active": true, "activity_status": "up", "arguments": {}, "exclusive": false,
        "prefetch_count": 0, "consumer_timeout": 0,
        "channel_details": {
            "name": format!("{connection} (1)"), "node": api.read("overview")["node"], "number": 1,
            "connection_name": connection, "peer_host": host,
            "peer_port": port.parse::<u16>().unwrap(), "user": "guest",
        },
    });
    assert_eq!(list[0], expected);
    assert_eq!(api.read("consumers/%2F"), list);
    assert_eq!(api.get("consumers/absent").status, 404);

    assert_eq!(api.read("queues/%2F/q")["consumer_details"], json!([list[0]]));
    let alone = api.read("queues/%2F/alone");
    assert_eq!(alone["single_active_consumer_tag"], "first");
    let state = |at: usize| {
        let consumer = &alone["consumer_details"][at];
        (consumer["active"].clone(), consumer["activity_status"].clone())
    };
    assert_eq!(state(0), (json!(true), json!("single_active")));
    assert_eq!(state(1), (json!(false), json!("waiting")));
    let channel = format!("channels/{}%20%282%29", segment(connection));
    let tags = api.read(&channel)["consumer_details"].clone();
    assert_eq!(
        (&tags[0]["consumer_tag"], &tags[1]["consumer_tag"]),
        (&json!("first"), &json!("second"))
    );

    client.call(1, amqp::CANCEL, Args::default().text("ctag-1").bits(0));
    client.call(2, amqp::CLOSE_CHANNEL, Args::default().short(0).text("").short(0).short(0));
    api.wait_for("consumers", |list| *list == json!([]));
    let _mqtt = mqtt(&api, "client-1");
    let list = api.wait_for("consumers", |list| list.as_array().unwrap().len() == 1);
    assert_eq!(list[0]["consumer_tag"], "client-1");
    assert_eq!(list[0]["queue"]["name"], "mqtt.client-1");
}

#[test]
fn a_queue_that_nobody_uses_is_idle() {
    let api = Api::start();
    api.declare_queue("q", json!({}));
    assert!(api.read("queues/%2F/q").get("idle_since").is_none());
    api.publish("q", "1");
    let idle = api.wait_for("queues/%2F/q", |queue| queue["idle_since"].is_string());
    assert!(idle["idle_since"].as_str().unwrap().ends_with('Z'));
    assert!(idle["message_bytes_ram"].as_u64() > Some(0));
}

#[test]
fn the_memory_of_the_node_is_all_accounted_for() {
    let api = Api::start();
    let node = api.read("overview")["node"].as_str().unwrap().to_owned();
    let path = format!("nodes/{}", segment(&node));
    let memory = api.read(&format!("{path}/memory"))["memory"].clone();
    let parts = memory.as_object().unwrap().values().filter_map(Value::as_u64);
    let rss = memory["total"]["rss"].as_u64().unwrap();
    assert!(rss > 0 && parts.sum::<u64>() > 0);
    assert_eq!(memory["strategy"], "rss");
    let relative = api.read(&format!("{path}/memory/relative"))["memory"].clone();
    assert_eq!(relative["total"], 100);
    assert!(relative["other_system"].as_u64() <= Some(100));
    assert!(api.read(&format!("{path}?memory=true"))["memory"]["total"].is_object());
    assert!(api.read(&path).get("memory").is_none());
    assert_eq!(api.get("nodes/absent/memory").status, 404);
}
