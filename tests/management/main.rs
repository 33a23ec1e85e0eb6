//! The management API over a socket, as its clients use it.
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect fails")]

mod access;
mod amqp;
mod audit;
mod definitions;
mod definitions_at_work;
mod definitions_round_trip;
mod endpoints;
mod explain;
mod health;
mod limits;
mod lists;
mod messages;
mod metrics;
mod moving;
mod mqtt;
mod openapi;
mod operator;
mod pages;
mod roles;
mod scripts;
mod sessions;
mod statistics;
mod support;
mod tap;
mod topology;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;
use support::Api;

#[test]
fn every_endpoint_asks_for_a_login() {
    let api = Api::start();
    for path in ["overview", "queues", "nodes", "whoami", "users/guest", "bindings/%2F"] {
        let answer = api.request_as(None, "GET", path, None);
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.json(), json!({"error": "not_authorized", "reason": "Not_Authorized"}));
        assert!(answer.header("www-authenticate").starts_with("Basic realm="));
    }
}

#[test]
fn a_wrong_login_is_refused() {
    let api = Api::start();
    for login in [("guest", "wrong"), ("nobody", "guest"), ("", "")] {
        let answer = api.request_as(Some(login), "GET", "whoami", None);
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["reason"], "Not_Authorized");
    }
}

#[test]
fn whoami_and_users_name_the_guest() {
    let api = Api::start();
    let me = json!({"name": "guest", "tags": ["administrator"], "is_internal_user": true});
    assert_eq!(api.read("whoami"), me);
    let users = api.read("users");
    assert_eq!(users[0]["hashing_algorithm"], "leveret_argon2id");
    assert_eq!(api.read("users/guest"), users[0]);
    assert_eq!(api.get("users/nobody").status, 404);
}

#[test]
fn what_is_not_there_is_404_and_405_with_the_usual_body() {
    let api = Api::start();
    for path in ["nothing", "queues/%2F/absent", "queues/absent", "health/checks/other"] {
        let answer = api.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json(), json!({"error": "Object Not Found", "reason": "Not Found"}));
    }
    let answer = api.request("POST", "overview", Some(&json!({})));
    assert_eq!(answer.status, 405);
    assert_eq!(answer.json()["error"], "Method Not Allowed");
    let answer = api.request("OPTIONS", "queues/%2F/q", None);
    assert_eq!(answer.status, 200);
    assert!(answer.header("allow").contains("PUT"));
}

#[test]
fn pages_of_other_sites_are_refused_although_the_browser_knows_the_login() {
    let api = Api::start();
    let from = |site| api.send_with("GET", "whoami", &[("sec-fetch-site", site)], b"").status;
    assert_eq!((from("cross-site"), from("same-site")), (403, 403));
    assert_eq!((from("same-origin"), from("none")), (200, 200));
}

#[test]
fn bodies_have_limits() {
    let api = Api::start();
    assert_eq!(api.send("POST", "login", &b"a&".repeat(10_000)).status, 413);
    let nested = |depth: usize| {
        let body = format!("{{\"value\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        api.send("PUT", "global-parameters/nested", body.as_bytes()).status
    };
    assert_eq!((nested(63), nested(64), nested(125), nested(200)), (201, 400, 400, 400));
}

#[test]
fn slashes_too_many_do_not_keep_from_looking() {
    let api = Api::start();
    for path in ["queues/", "queues//", "/queues//?columns=name"] {
        assert_eq!(api.read(path), json!([]), "{path}");
    }
    assert_eq!(api.request("PUT", "queues/%2F/contents", Some(&json!({}))).status, 201);
    assert_eq!(api.request("DELETE", "queues/%2F//contents", None).status, 404);
    assert_eq!(api.read("queues/%2F/contents")["name"], "contents");
}

#[test]
fn answers_are_json_and_not_cached() {
    let api = Api::start();
    let answer = api.get("whoami");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-cache");
    let page = api.at_root("/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("/api"));
}

#[test]
fn the_overview_counts_what_there_is() {
    let api = Api::start();
    api.declare_queue("q", json!({}));
    api.publish("q", "one");
    let overview = api.read("overview");
    assert_eq!(overview["queue_totals"]["messages"], 1);
    assert_eq!(overview["queue_totals"]["messages_details"]["rate"], 0.0);
    assert_eq!(overview["message_stats"]["publish"], 1);
    let totals =
        json!({"channels": 0, "connections": 0, "consumers": 0, "exchanges": 7, "queues": 1});
    assert_eq!(overview["object_totals"], totals);
    assert_eq!(overview["node"], api.read("nodes")[0]["name"]);
    let vhost = api.read("vhosts/%2F");
    assert_eq!((&vhost["name"], &vhost["messages_ready"]), (&json!("/"), &json!(1)));
    assert_eq!(api.read("vhosts").as_array().unwrap().len(), 1);
}

#[test]
fn a_node_tells_what_it_uses() {
    let api = Api::start();
    let nodes = api.read("nodes");
    let node = &nodes[0];
    assert_eq!((&node["running"], &node["type"]), (&json!(true), &json!("disc")));
    for number in ["mem_used", "mem_limit", "fd_used", "fd_total", "processors", "proc_used"] {
        assert!(node[number].as_u64().unwrap() > 0, "{number}");
    }
    let path = format!("nodes/{}", support::segment(node["name"].as_str().unwrap()));
    assert_eq!(api.read(&path)["os_pid"], node["os_pid"]);
    assert_eq!(api.get("nodes/other").status, 404);
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    let api = Api::start();
    for (body, reason) in [
        ("{no", "not_json"),
        ("[]", "not_json"),
        (
            "\"{}\"",
            "invalid payload: the request body JSON-decoded to a string. Is the input \
             doubly-JSON-encoded?",
        ),
    ] {
        let answer = api.send("PUT", "queues/%2F/q", body.as_bytes());
        assert_eq!((answer.status, answer.reason()), (400, reason.to_owned()));
    }
    assert_eq!(api.send("PUT", "queues/%2F/q", b"null").status, 201);
}

#[test]
fn a_body_that_is_announced_as_too_long_is_refused_before_it_comes() {
    let api = Api::start();
    let head = "PUT /api/queues/%2F/q HTTP/1.1\r\nhost: x\r\n\
        authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\ncontent-length: 99999999999\r\n\r\n";
    assert!(raw(&api, head.as_bytes()).starts_with("HTTP/1.1 413"));
}

#[test]
fn a_connection_outlives_refusals_whose_body_comes_late() {
    let api = Api::start();
    let mut socket = TcpStream::connect(api.address).unwrap();
    socket.set_read_timeout(Some(support::DEADLINE)).unwrap();
    for (path, status) in [("/api/whoami", "405"), ("/api/nothing", "404"), ("/api/login", "401")] {
        let body = if status == "401" { "username=a&password=b" } else { "0123456789" };
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(body.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let length = socket.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[test]
fn a_head_that_is_broken_or_too_long_gets_an_answer_and_harms_nobody() {
    let api = Api::start();
    assert!(raw(&api, b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    let flood = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(1_000_000));
    // It may be closed before the answer can be read.
    assert!(["", "HTTP/1.1 431"].contains(&raw(&api, flood.as_bytes()).get(..12).unwrap_or("")));
    assert_eq!(api.get("whoami").status, 200);
}

/// What comes back for these bytes, as far as it comes before the connection is closed.
fn raw(api: &Api, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(api.address).unwrap();
    socket.set_read_timeout(Some(support::DEADLINE)).unwrap();
    let mut answer = [0; 64];
    let read = socket.write_all(request).and_then(|()| socket.read(&mut answer)).unwrap_or(0);
    String::from_utf8(answer[..read].to_vec()).unwrap()
}
