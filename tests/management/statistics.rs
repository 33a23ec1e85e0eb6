//! Statistics: what clients do is counted, and by whom.

use serde_json::{Value, json};

use crate::amqp::{self, Amqp, Args};
use crate::support::Api;

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
