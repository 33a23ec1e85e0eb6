//! Messages, connections and how the broker does.
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect fails")]

mod support;

use std::io::Read as _;

use serde_json::json;
use support::{Local, Stub, run_in};

#[test]
fn messages_are_published_looked_at_taken_and_thrown_away() {
    let local = Local::start();
    local.ok(&["declare", "queue", "q"]);
    assert_eq!(local.ok(&["publish", "q", "one"]), "the message is published\n");
    let properties = ["--property", "content_type=text/plain", "--header", "n=1", "--persistent"];
    local.ok(&[&["publish", "q", "two"], &properties[..]].concat());
    for _ in 0..2 {
        let peeked = local.json(&["peek", "q", "--count", "5"]);
        let payloads = peeked.as_array().unwrap().iter().map(|it| it["payload"].as_str().unwrap());
        assert_eq!(payloads.collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(peeked[0]["redelivered"], false);
    }
    let table = local.ok(&["peek", "q"]);
    assert!(table.lines().count() == 2 && table.ends_with("one\n"), "{table}");
    local.ok(&["get", "q"]);
    let message = &local.json(&["get", "q", "-n", "9"])[0];
    assert_eq!(message["payload"], "two");
    let properties = &message["properties"];
    assert_eq!(
        (&properties["content_type"], &properties["delivery_mode"]),
        (&json!("text/plain"), &json!(2))
    );
    assert_eq!(properties["headers"], json!({"n": 1}));
    local.ok(&["publish", "q", "three"]);
    assert_eq!(local.json(&["purge", "q"]), json!({"result": "purged"}));
    assert_eq!(local.json(&["get", "q"]), json!([]));
}

#[test]
fn a_payload_comes_from_standard_input_and_may_be_no_text() {
    let local = Local::start();
    local.ok(&["declare", "queue", "q"]);
    let ran = run_in(local.folder.path(), &[], b"\xff\x00", &["publish", "q"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let message = &local.json(&["get", "q"])[0];
    assert_eq!(
        (&message["payload"], &message["payload_encoding"]),
        (&json!("/wA="), &json!("base64"))
    );
    local.ok(&["publish", "q", &"x".repeat(1_000)]);
    assert_eq!(local.json(&["peek", "q"])[0]["payload"].as_str().unwrap().len(), 1_000);
    assert!(!local.ok(&["peek", "q"]).contains(&"x".repeat(201)));
    assert!(local.ok(&["peek", "q", "--truncate", "900"]).contains(&"x".repeat(900)));
}

#[test]
fn a_message_that_no_queue_takes_is_a_failure() {
    let local = Local::start();
    let error = local.fails(1, &["publish", "nobody", "x"]);
    assert!(error.contains("no queue took the message") && error.contains("'nobody'"), "{error}");
    let error = local.fails(1, &["publish", "k", "x", "--exchange", "none"]);
    assert_eq!(error, "leveretctl: there is no exchange 'none' in vhost '/'.\n");
    for command in ["peek", "get", "purge"] {
        let error = local.fails(1, &[command, "none"]);
        assert_eq!(error, "leveretctl: there is no queue 'none' in vhost '/'.\n");
    }
    let error = local.fails(2, &["publish", "k", "x", "--header", "no-value"]);
    assert!(error.contains("expected NAME=VALUE"), "{error}");
}

#[test]
fn connections_are_closed_by_name_by_user_and_all_at_once() {
    let local = Local::start();
    let is_closed = |mut client: std::net::TcpStream| client.read_to_end(&mut Vec::new()).is_ok();
    let client = local.mqtt_client("one");
    let connections = local.json(&["list", "connections", "--columns", "name,user"]);
    assert_eq!(connections[0]["user"], "guest");
    assert!(local.ok(&["list", "connections"]).contains("MQTT"));
    let name = connections[0]["name"].as_str().unwrap();
    assert_eq!(local.json(&["show", "connection", name])["vhost"], "/");
    let closed = local.json(&["close", "connection", name, "--reason", "bye"]);
    assert_eq!(closed, json!({"result": "closed"}));
    assert!(is_closed(client));
    for which in [&["--of-user", "guest"][..], &["--all"], &["--all", "-V", "/"]] {
        let client = local.mqtt_client("two");
        let close = [&["close", "connection"], which].concat();
        let error = local.fails(2, &close);
        assert!(error.contains("--yes"), "{error}");
        local.ok(&[&close[..], &["--yes"]].concat());
        assert!(is_closed(client));
    }
    let error = local.fails(1, &["close", "connection", "none"]);
    assert_eq!(error, "leveretctl: there is no connection 'none'.\n");
}

#[test]
fn the_status_has_what_is_looked_at_first() {
    let local = Local::start();
    local.ok(&["declare", "queue", "q"]);
    local.ok(&["publish", "q", "m"]);
    let status = local.json(&["status"]);
    assert_eq!(
        (&status["objects"]["queues"], &status["messages"]["messages"]),
        (&json!(1), &json!(1))
    );
    let table = local.ok(&["status"]);
    assert!(table.contains("broker.product_version") && table.contains("node.mem_used"), "{table}");
}

#[test]
fn a_broker_is_well_and_says_where_it_does_not_listen() {
    let local = Local::start();
    let checks = local.json(&["health"]);
    let status = checks.as_array().unwrap().iter().map(|check| check["status"].as_str().unwrap());
    assert_eq!(status.collect::<Vec<_>>(), ["ok"; 4]);
    let port = local.broker.amqp_address().port().to_string();
    local.ok(&["health", "port-listener", &port]);
    let ran = local.run(&["health", "port-listener", "1"]);
    assert!(ran.code == 1 && ran.out.contains("No active listener"), "{ran:?}");
    let error = local.fails(1, &["health", "port-listener", "x"]);
    assert_eq!(error, "leveretctl: health check 'port-listener/x': Invalid port.\n");
    let error = local.fails(1, &["health", "none"]);
    assert_eq!(error, "leveretctl: there is no health check 'none'.\n");
}

#[test]
fn a_health_check_that_fails_is_a_failure_with_its_reason() {
    let well = Stub::start(200, r#"{"status":"ok"}"#);
    let ran = well.run(&["health"]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 5), "{ran:?}");
    assert!(well.asked().contains(&"GET /api/health/checks/alarms".to_owned()));
    assert_eq!(well.run(&["health", "port-listener", "5672"]).code, 0);
    assert!(well.asked().contains(&"GET /api/health/checks/port-listener/5672".to_owned()));

    let ill = Stub::start(503, r#"{"status":"failed","reason":"memory alarm"}"#);
    let ran = ill.run(&["health", "alarms"]);
    assert_eq!((ran.code, &*ran.err), (1, "leveretctl: a health check failed\n"));
    assert!(ran.out.contains("memory alarm"), "{ran:?}");
    let ran = ill.run(&["health", "--format", "json"]);
    assert!(ran.code == 1 && ran.out.matches("failed").count() == 4, "{ran:?}");
}

#[test]
fn a_look_at_messages_takes_and_returns_them_where_the_broker_knows_no_other_way() {
    let stub = Stub::start(404, r#"{"error":"Object Not Found","reason":"Not Found"}"#);
    let ran = stub.run(&["peek", "q", "-n", "3"]);
    assert_eq!((ran.code, &*ran.err), (1, "leveretctl: there is no queue 'q' in vhost '/'.\n"));
    let path = "/api/queues/%2F/q";
    let asked = [format!("GET {path}/peek?count=3&truncate=200"), format!("POST {path}/get")];
    assert_eq!(stub.asked(), asked);
    assert!(stub.requests.lock().unwrap()[1].contains("ack_requeue_true"));
}

#[test]
fn sessions_and_subscriptions_are_those_of_mqtt() {
    let local = Local::start();
    let _client = local.mqtt_client("a/b c");
    let sessions = local.json(&["list", "sessions", "--filter", "A/B"]);
    assert_eq!(
        (&sessions[0]["client_id"], &sessions[0]["connected"]),
        (&json!("a/b c"), &json!(true))
    );
    assert!(local.ok(&["list", "sessions"]).contains("guest"));
    assert_eq!(local.json(&["show", "session", "a/b c"])["subscriptions"], 0);
    assert!(local.ok(&["list", "subscriptions"]).starts_with("topic_filter"));
    assert_eq!(local.json(&["delete", "session", "a/b c"]), json!({"result": "deleted"}));
    let error = local.fails(1, &["delete", "session", "a/b c"]);
    assert_eq!(error, "leveretctl: there is no session 'a/b c'.\n");
}

#[test]
fn consumers_are_listed_with_their_queues() {
    let local = Local::start();
    let _client = local.mqtt_client("c");
    let table = local.ok(&["list", "consumers"]);
    assert!(table.starts_with("consumer_tag") && table.contains("mqtt.c"), "{table}");
    let consumers = local.json(&["list", "consumers", "-V", "/"]);
    assert_eq!(consumers[0]["queue"], json!({"name": "mqtt.c", "vhost": "/"}));
}

#[test]
fn consumers_and_parameters_are_asked_for_by_their_vhosts() {
    let stub = Stub::start(200, r#"[{"consumer_tag":"c","queue":{"name":"q","vhost":"v"}}]"#);
    let ran = stub.run(&["list", "consumers", "-V", "v"]);
    assert!(ran.code == 0 && ran.out.contains("queue.name"), "{ran:?}");
    assert!(stub.asked()[0].starts_with("GET /api/consumers/v?"));
    let stub = Stub::start(200, r#"[{"name":"a","vhost":"v"},{"name":"b","vhost":"w"}]"#);
    let ran = stub.run(&["list", "parameters", "-V", "v", "--columns", "name", "-f", "json"]);
    assert_eq!(ran.out, "[{\"name\":\"a\"}]\n");
    let stub = Stub::start(204, "");
    stub.run(&["declare", "parameter", "c", "n", "{\"a\":1}", "-V", "v"]);
    stub.run(&["delete", "parameter", "c", "n", "-V", "v"]);
    assert_eq!(stub.asked(), ["PUT /api/parameters/c/v/n", "DELETE /api/parameters/c/v/n"]);
    assert!(stub.requests.lock().unwrap()[0].ends_with(r#"{"value":{"a":1}}"#));
}
