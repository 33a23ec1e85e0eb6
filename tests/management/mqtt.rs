//! MQTT as management sees it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{Api, DEADLINE, segment};

/// A client of MQTT 5 that says little.
pub struct Client(TcpStream);

impl Client {
    /// `expiry_s` is how long the session is to last.
    pub fn connect(api: &Api, client_id: &str, expiry_s: u32) -> Client {
        let mut body = b"\x00\x04MQTT\x05\x02\x00\x3c\x05\x11".to_vec();
        body.extend(expiry_s.to_be_bytes());
        body.extend(text(client_id));
        let mut client = Client(TcpStream::connect(api.broker.mqtt_address()).unwrap());
        client.0.set_read_timeout(Some(DEADLINE)).unwrap();
        client.send(0x10, &body);
        assert_eq!(client.read().0, 0x20);
        client
    }

    /// Subscribes, and waits until that is done.
    pub fn subscribe(&mut self, filter: &str, options: u8) {
        let mut body = b"\x00\x01\x02\x0b\x07".to_vec();
        body.extend(text(filter));
        body.push(options);
        self.send(0x82, &body);
        assert_eq!(self.read().0, 0x90);
    }

    /// Publishes with QoS 0.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) {
        let body = [&*text(topic), b"\0", payload].concat();
        self.send(0x30, &body);
    }

    fn send(&mut self, kind: u8, body: &[u8]) {
        let length = u8::try_from(body.len()).unwrap();
        assert!(length < 128);
        self.0.write_all(&[&[kind, length], body].concat()).unwrap();
    }

    /// The first octet of the next packet, and what is behind its length.
    fn read(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let mut body = vec![0; head[1].into()];
        self.0.read_exact(&mut body).unwrap();
        (head[0], body)
    }
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

fn publish(api: &Api, message: Value) -> Value {
    let answer = api.post("mqtt/publish", message);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn a_session_is_seen_with_and_without_its_client() {
    let api = Api::start();
    let mut client = Client::connect(&api, "sensor/1", 60);
    client.subscribe("jobs/+", 0x01);
    let path = format!("mqtt/sessions/{}", segment("sensor/1"));
    let session = api.read(&path);
    for (name, value) in [
        ("client_id", json!("sensor/1")),
        ("connected", json!(true)),
        ("queue", json!("mqtt.sensor/1")),
        ("vhost", json!("/")),
        ("expiry_interval", json!(60)),
        ("durable", json!(true)),
        ("has_will", json!(false)),
        ("away_since", Value::Null),
        ("subscriptions", json!(1)),
        ("messages", json!(0)),
    ] {
        assert_eq!(session[name], value, "{name}");
    }
    let connection = &session["connection"];
    assert_eq!(
        (&connection["protocol"], &connection["keep_alive"]),
        (&json!("MQTT 5-0"), &json!(60))
    );
    assert_eq!((&connection["clean_start"], &connection["user"]), (&json!(true), &json!("guest")));
    let row = &api.read("connections")[0];
    assert_eq!(row["name"], connection["name"]);
    assert_eq!(row["client_properties"]["client_id"], "sensor/1");
    assert_eq!(row["variable_map"], json!({"client_id": "sensor/1"}));
    assert_eq!(
        publish(&api, json!({"topic": "jobs/1", "payload": "x", "qos": 1})),
        json!({"routed": true})
    );
    api.wait_for(&path, |session| session["messages_in_flight"] == 1);
    drop(client);
    let away = api.wait_for(&path, |session| session["connected"] == false);
    assert!(away["connection"].is_null() && away["away_since"].as_u64().unwrap() > 0);
    assert_eq!((&away["messages_ready"], &away["messages_in_flight"]), (&json!(1), &json!(0)));
    let page = api.read("mqtt/sessions?page=1&name=sensor");
    assert_eq!(
        (&page["total_count"], &page["items"][0]["client_id"]),
        (&json!(1), &json!("sensor/1"))
    );
    assert_eq!(api.get("mqtt/sessions/other").status, 404);
}

#[test]
fn a_session_is_ended_and_its_client_with_it() {
    let api = Api::start();
    let mut client = Client::connect(&api, "c", 60);
    assert_eq!(api.delete("mqtt/sessions/c").status, 204);
    assert_eq!(client.read().0, 0xe0, "DISCONNECT");
    assert_eq!(api.delete("mqtt/sessions/c").status, 404);
    assert_eq!(api.read("mqtt/sessions"), json!([]));
    assert_eq!(api.get("queues/%2F/mqtt.c").status, 404);
    Client::connect(&api, "c", 60);
    assert_eq!(api.get("mqtt/sessions/c").status, 200);
}

#[test]
fn subscriptions_are_listed_as_they_were_made() {
    let api = Api::start();
    let mut a = Client::connect(&api, "a", 0);
    let mut b = Client::connect(&api, "b", 0);
    a.subscribe("x.y/#", 0x0e);
    b.subscribe("$share/g/jobs/+", 0x01);
    let expected = json!([{
        "client_id": "a", "topic_filter": "x.y/#", "qos": 2, "no_local": true,
        "retain_as_published": true, "subscription_id": 7,
    }]);
    assert_eq!(api.read("mqtt/sessions/a/subscriptions"), expected);
    let all = api.read("mqtt/subscriptions?sort=client_id&columns=topic_filter,qos");
    let shared = json!({"topic_filter": "$share/g/jobs/+", "qos": 1});
    assert_eq!(all, json!([{"topic_filter": "x.y/#", "qos": 2}, shared]));
    let page = api.read("mqtt/subscriptions?page=1&name=share");
    assert_eq!((&page["filtered_count"], &page["total_count"]), (&json!(1), &json!(2)));
    assert_eq!(api.get("mqtt/sessions/other/subscriptions").status, 404);
}

#[test]
fn a_publish_reaches_subscribers_with_its_properties() {
    let api = Api::start();
    let mut client = Client::connect(&api, "c", 0);
    client.subscribe("a/+", 0x01);
    let properties = json!({
        "content_type": "text/plain", "response_topic": "r/1", "correlation_data": "id",
        "user_properties": {"k": "v"}, "message_expiry_interval": 600,
        "payload_format_indicator": 1,
    });
    let message = json!({
        "topic": "a/b", "payload": "aGk=", "payload_encoding": "base64", "qos": 1,
        "properties": properties,
    });
    assert_eq!(publish(&api, message), json!({"routed": true}));
    let (kind, body) = client.read();
    assert_eq!(kind, 0x32);
    assert!(body.starts_with(b"\x00\x03a/b") && body.ends_with(b"hi"));
    for part in [
        &b"\x03\x00\x0atext/plain"[..],
        b"\x08\x00\x03r/1",
        b"\x09\x00\x02id",
        b"\x00\x01k\x00\x01v",
    ] {
        assert!(body.windows(part.len()).any(|window| window == part), "{part:?}");
    }
    assert_eq!(publish(&api, json!({"topic": "other", "payload": ""})), json!({"routed": false}));
}

#[test]
fn what_is_no_publish_is_refused() {
    let api = Api::start();
    for message in [
        json!({}),
        json!({"topic": "", "payload": ""}),
        json!({"topic": "a/+", "payload": ""}),
        json!({"topic": "$SYS/x", "payload": ""}),
        json!({"topic": "$delayed/1/a", "payload": ""}),
        json!({"topic": "a", "payload": 1}),
        json!({"topic": "a", "payload": "", "qos": 3}),
        json!({"topic": "a", "payload": "", "retain": 1}),
        json!({"topic": "a", "payload": "", "properties": []}),
        json!({"topic": "a", "payload": "", "properties": {"content_type": 1}}),
        json!({"topic": "a", "payload": "", "properties": {"user_properties": {"k": 1}}}),
        json!({"topic": "a", "payload": "", "properties": {"message_expiry_interval": -1}}),
        json!({"topic": "a".repeat(65_536), "payload": ""}),
    ] {
        assert_eq!(api.post("mqtt/publish", message.clone()).status, 400, "{message}");
    }
}

#[test]
fn retained_messages_come_in_pieces_and_one_by_one() {
    let api = Api::start_with(|config| {
        config.mqtt_retained_max = 5;
        config.mqtt_sys_interval = 0;
    });
    for topic in ["a/1", "a/2", "a/3", "b/1", "b/2"] {
        publish(&api, json!({"topic": topic, "payload": topic, "qos": 1, "retain": true}));
    }
    let message = json!({"topic": "c", "payload": "x", "retain": true});
    assert_eq!(api.post("mqtt/publish", message).status, 400, "one too many");
    let topics = |query: &str| -> (Vec<Value>, Value) {
        let piece = api.read(&format!("mqtt/retained{query}"));
        assert_eq!(piece["total_count"], 5);
        let items = piece["items"].as_array().unwrap();
        (items.iter().map(|item| item["topic"].clone()).collect(), piece["next"].clone())
    };
    assert_eq!(topics("").0.len(), 5);
    assert_eq!(topics("?limit=2"), (vec![json!("a/1"), json!("a/2")], json!("a/2")));
    assert_eq!(topics("?limit=2&after=a/2"), (vec![json!("a/3"), json!("b/1")], json!("b/1")));
    assert_eq!(topics("?limit=2&after=b/1"), (vec![json!("b/2")], Value::Null));
    assert_eq!(topics("?filter=%2B/1").0, ["a/1", "b/1"]);
    assert_eq!(topics("?filter=b/%23").0, ["b/1", "b/2"]);
    for query in ["limit=0", "limit=1001", "limit=x"] {
        assert_eq!(api.get(&format!("mqtt/retained?{query}")).status, 400);
    }
    let one = api.read("mqtt/retained/a%2F1");
    for (name, value) in [
        ("topic", json!("a/1")),
        ("payload", json!("a/1")),
        ("payload_encoding", json!("string")),
        ("qos", json!(1)),
        ("expires_at", Value::Null),
    ] {
        assert_eq!(one[name], value, "{name}");
    }
    let bare = api.read("mqtt/retained?limit=1&disable_payload=true");
    assert!(bare["items"][0].get("payload").is_none());
    assert_eq!(api.delete("mqtt/retained/a%2F1").status, 204);
    assert_eq!(api.delete("mqtt/retained/a%2F1").status, 404);
    assert_eq!(api.get("mqtt/retained/a%2F1").status, 404);
}

#[test]
fn rights_are_those_of_the_caller() {
    let api = Api::start();
    let jo = |method: &str, path: &str, body: Value| {
        api.request_as(Some(("jo", "p")), method, path, Some(&body))
    };
    assert_eq!(api.put("users/jo", json!({"password": "p", "tags": "management"})).status, 201);
    assert_eq!(jo("GET", "mqtt/sessions", json!({})).status, 401, "not jo's virtual host");
    let rights = json!({"configure": "", "write": "amq.topic", "read": "amq.topic"});
    assert_eq!(api.put("permissions/%2F/jo", rights).status, 201);
    let topics = json!({"exchange": "amq.topic", "write": "^mine", "read": "^mine"});
    assert_eq!(api.put("topic-permissions/%2F/jo", topics).status, 201);
    for topic in ["mine/1", "theirs/1"] {
        publish(&api, json!({"topic": topic, "payload": "x", "retain": true}));
    }
    let to = |topic: &str| json!({"topic": topic, "payload": "y", "retain": true});
    assert_eq!(jo("POST", "mqtt/publish", to("mine/2")).status, 200);
    assert!(jo("POST", "mqtt/publish", to("theirs/2")).status >= 400);
    assert_eq!(jo("GET", "mqtt/sessions", json!({})).status, 200);
    assert_eq!(jo("DELETE", "mqtt/sessions/any", json!({})).status, 401);
    let seen = jo("GET", "mqtt/retained?filter=%23", json!({})).json();
    let seen = seen["items"].as_array().unwrap().iter().map(|item| item["topic"].clone());
    assert_eq!(seen.collect::<Vec<_>>(), ["mine/1", "mine/2"]);
    let one = jo("GET", "mqtt/retained?limit=1", json!({})).json();
    assert_eq!((&one["next"], &one["total_count"]), (&json!("mine/1"), &Value::Null));
    let rest = jo("GET", "mqtt/retained?limit=1&after=mine/2", json!({})).json();
    assert_eq!(
        (&rest["items"], &rest["next"]),
        (&json!([]), &Value::Null),
        "nor that there are others"
    );
    for method in ["GET", "DELETE"] {
        assert_eq!(jo(method, "mqtt/retained/theirs%2F1", json!({})).status, 401, "{method}");
    }
    assert_eq!(jo("GET", "mqtt/retained/mine%2F1", json!({})).status, 200);
    assert_eq!(jo("DELETE", "mqtt/retained/mine%2F1", json!({})).status, 204);
}
