//! The Unix socket of the management API: whoever could change the broker itself needs no login there.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use base64::Engine as _;
use leveret::{Broker, Config};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{Api, DEADLINE};

/// A broker with a socket, and the socket.
fn start() -> (Api, PathBuf) {
    let api = Api::start_with(|config| config.http_unix_path = "local.sock".into());
    let path = api.broker.unix_sockets().next().unwrap().1.to_owned();
    (api, path)
}

/// The status and the body of an answer.
fn ask(socket: &PathBuf, method: &str, path: &str, more: &str, body: Value) -> (u16, String) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let connection = if more.contains("upgrade") { "upgrade, close" } else { "close" };
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: leveret\r\nconnection: {connection}\r\ncontent-length: {}\r\n{more}\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn login(user: &str, password: &str) -> String {
    let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("authorization: Basic {login}\r\n")
}

#[test]
fn the_operator_does_everything_without_a_login_and_without_permissions() {
    let (api, socket) = start();
    let message = json!({"properties": {}, "routing_key": "q", "payload": "m",
        "payload_encoding": "string"});
    let wanted = json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"});
    for (method, path, body, status) in [
        ("DELETE", "users/guest", Value::Null, 204),
        ("PUT", "vhosts/v", json!({}), 201),
        ("PUT", "queues/v/q", json!({}), 201),
        ("PUT", "exchanges/v/x", json!({"arguments": {"alternate-exchange": "a"}}), 201),
        ("POST", "bindings/v/e/x/q/q", json!({"routing_key": "q"}), 201),
        ("POST", "exchanges/v/x/publish", message, 200),
        ("POST", "queues/v/q/get", wanted, 200),
        ("DELETE", "queues/v/q/contents", Value::Null, 204),
        ("GET", "permissions", Value::Null, 200),
        ("GET", "users", Value::Null, 200),
        ("PUT", "exchanges/v/amq.default", json!({}), 401),
        ("PUT", "users/new", json!({"password": "p", "tags": "administrator"}), 201),
    ] {
        let (found, text) = ask(&socket, method, &format!("/api/{path}"), "", body);
        assert_eq!(found, status, "{method} {path}: {text}");
    }
    let (_, me) = ask(&socket, "GET", "/api/whoami", "", Value::Null);
    let me: Value = serde_json::from_str(&me).unwrap();
    assert_eq!((&me["name"], &me["tags"]), (&json!("operator"), &json!(["administrator"])));
    let login = Some(("new", "p"));
    let permissions = api.request_as(login, "GET", "permissions", None).json();
    assert_eq!(permissions, json!([]), "the operator is no user to whom a vhost could belong");
}

#[test]
fn who_logs_in_over_the_socket_is_that_user() {
    let (_api, socket) = start();
    let whoami = |header: &str| ask(&socket, "GET", "/api/whoami", header, Value::Null);
    let (status, me) = whoami(&login("guest", "guest"));
    assert!(status == 200 && me.contains("guest"), "{me}");
    for header in [&login("guest", "wrong"), "authorization: Bearer x\r\n"] {
        assert_eq!(whoami(header).0, 401);
    }
}

#[test]
fn only_its_owner_may_open_the_socket_and_it_goes_with_the_broker() {
    let (api, socket) = start();
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let Api { broker, runtime, .. } = api;
    runtime.block_on(broker.shutdown()).unwrap();
    assert!(!socket.exists());
}

#[test]
fn a_websocket_does_not_come_over_the_socket() {
    let (_api, socket) = start();
    let upgrade = "upgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (path, status) in [("/amqp", 426), ("/", 200)] {
        assert_eq!(ask(&socket, "GET", path, upgrade, Value::Null).0, status, "{path}");
    }
}

#[test]
fn a_broker_does_without_a_socket_in_its_data_directory_but_not_without_another() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("taken"), "mine").unwrap();
    let config = |path: PathBuf| Config { http_unix_path: path, ..Config::local(folder.path()) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(Broker::start(config("taken".into()))).unwrap();
    assert_eq!(broker.unix_sockets().count(), 0);
    runtime.block_on(broker.shutdown()).unwrap();
    let failed = runtime.block_on(Broker::start(config(folder.path().join("taken"))));
    let error = failed.err().unwrap().to_string();
    assert!(error.contains("cannot listen on unix:") && error.contains("for http"), "{error}");
}
