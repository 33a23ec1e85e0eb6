//! The audit log of what is done through the API.

use serde_json::{Value, json};

use crate::support::Api;

/// A broker with an audit log, and what is in it after it has stopped.
struct Audited {
    api: Api,
    folder: tempfile::TempDir,
}

impl Audited {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        Audited { api: Api::start_with(|config| config.audit_log_path = path), folder }
    }

    fn stop(self) -> (String, Vec<Value>) {
        self.api.stop();
        let text = std::fs::read_to_string(self.folder.path().join("audit")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (text, lines)
    }
}

fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

#[test]
fn a_change_says_who_what_from_where_and_how_it_ended_and_nothing_secret() {
    let audited = Audited::start();
    let api = &audited.api;
    let user = json!({"password": "hush-hush", "tags": "management"});
    assert_eq!(api.put("users/jo%20%2F", user).status, 201);
    assert_eq!(api.put("policies/%2F/p?secret=hush-hush", json!({"pattern": "("})).status, 400);
    assert_eq!(api.post("definitions", json!({"users": []})).status, 204);
    let jo = Some(("jo /", "hush-hush"));
    assert_eq!(api.request_as(jo, "DELETE", "vhosts/%2F", None).status, 401);
    assert_eq!(api.delete("queues/%2F/absent").status, 404);
    let (text, lines) = audited.stop();
    let changes = of(&lines, "change");
    let seen = |name: &'static str| changes.iter().map(move |it| it[name].clone());
    let expected = [
        ("PUT", "/api/users/jo%20%2F", 201, "success", "guest"),
        ("PUT", "/api/policies/%2F/p", 400, "failure", "guest"),
        ("POST", "/api/definitions", 204, "success", "guest"),
        ("DELETE", "/api/vhosts/%2F", 401, "failure", "jo /"),
        ("DELETE", "/api/queues/%2F/absent", 404, "failure", "guest"),
    ];
    assert!(seen("action").eq(expected.map(|it| it.0)), "{text}");
    assert!(seen("path").eq(expected.map(|it| it.1)), "{text}");
    assert!(seen("status").eq(expected.map(|it| it.2)), "{text}");
    assert!(seen("outcome").eq(expected.map(|it| it.3)), "{text}");
    assert!(seen("user").eq(expected.map(|it| it.4)), "{text}");
    assert!(seen("peer").all(|peer| peer.as_str().unwrap().starts_with("127.0.0.1:")), "{text}");
    assert!(!text.contains("hush-hush"), "{text}");
    assert_eq!(
        (&lines[0]["event"], &lines.last().unwrap()["event"]),
        (&json!("start"), &json!("stop"))
    );
}

#[test]
fn what_looks_and_what_moves_messages_is_no_change() {
    let audited = Audited::start();
    let api = &audited.api;
    api.declare_queue("q", json!({}));
    api.publish("q", "m");
    let get = json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"});
    assert_eq!(api.post("queues/%2F/q/get", get).status, 200);
    assert_eq!(api.send("POST", "queues/%2F/q/messages", b"m").status, 200);
    assert_eq!(api.get("queues/%2F/q").status, 200);
    assert_eq!(api.delete("queues/%2F/q/contents").status, 204);
    let (text, lines) = audited.stop();
    let paths: Vec<_> = of(&lines, "change").iter().map(|it| it["path"].clone()).collect();
    assert_eq!(paths, ["/api/queues/%2F/q", "/api/queues/%2F/q/contents"], "{text}");
}

#[test]
fn a_login_is_noted_once_for_a_connection_and_a_refusal_each_time() {
    let audited = Audited::start();
    let api = &audited.api;
    for _ in 0..5 {
        assert_eq!(api.get("whoami").status, 200);
    }
    for _ in 0..2 {
        let answer =
            api.request_as(Some(("guest", "wrong-one")), "PUT", "vhosts/v", Some(&json!({})));
        assert_eq!(answer.status, 401);
    }
    api.put("users/nobody", json!({"password": "p", "tags": ""}));
    assert_eq!(api.request_as(Some(("nobody", "p")), "GET", "whoami", None).status, 401);
    let (text, lines) = audited.stop();
    let logins = of(&lines, "login");
    let refused: Vec<_> = logins.iter().filter(|it| it["outcome"] == "failure").collect();
    let reasons: Vec<_> = refused.iter().map(|it| it["reason"].clone()).collect();
    assert_eq!(reasons, ["Not_Authorized", "Not_Authorized", "Not management user"], "{text}");
    assert!(logins.len() - refused.len() < 5, "one for a connection: {text}");
    assert!(logins.iter().all(|it| it["protocol"] == "HTTP" && it["mechanism"] == "PLAIN"));
    let paths: Vec<_> = of(&lines, "change").iter().map(|it| it["path"].clone()).collect();
    assert_eq!(paths, ["/api/users/nobody"], "who is nobody changes nothing");
    assert!(!text.contains("wrong-one"), "{text}");
}
