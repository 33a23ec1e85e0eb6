//! Small endpoints about the node and about what only a cluster has.

use serde_json::json;

use crate::support::{Api, segment};

#[test]
fn a_cluster_has_the_name_that_it_was_given() {
    let api = Api::start();
    let node = api.read("overview")["node"].clone();
    assert_eq!(api.read("cluster-name"), json!({ "name": node }));
    assert_eq!(api.put("cluster-name", json!({})).status, 400);
    assert_eq!(api.put("cluster-name", json!({"name": ""})).status, 400);
    assert_eq!(api.put("cluster-name", json!({"name": "plant 7"})).status, 204);
    assert_eq!(api.read("cluster-name"), json!({"name": "plant 7"}));
    assert_eq!(api.read("overview")["cluster_name"], "plant 7");
    assert_eq!(api.read("global-parameters/cluster_name")["value"], "plant 7");
}

#[test]
fn a_version_and_the_ways_to_log_in_are_told_to_everybody() {
    let api = Api::start();
    let version = api.request_as(None, "GET", "version", None);
    assert_eq!(version.json(), api.read("overview")["rabbitmq_version"]);
    assert_eq!(api.request_as(None, "GET", "auth", None).json(), json!({"oauth_enabled": false}));
}

#[test]
fn a_form_is_a_login_and_its_cookie_alone_lasts() {
    let api = Api::start();
    let answer = api.send("POST", "login", b"username=guest&password=guest");
    assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("guest")));
    assert_eq!(api.send("POST", "login", b"username=guest&password=other").status, 401);
    assert_eq!(api.send("POST", "login", b"username=guest").status, 400);
    assert_eq!(api.delete("login").status, 204);
    assert_eq!(api.request_as(None, "GET", "whoami", None).status, 401);
}

#[test]
fn a_password_is_hashed_so_that_a_user_can_be_made_of_it() {
    let api = Api::start();
    let hash = api.read("auth/hash_password/s%2Fcret")["ok"].clone();
    let user = json!({"password_hash": hash, "tags": "management"});
    assert_eq!(api.put("users/jo", user).status, 201);
    assert_eq!(api.request_as(Some(("jo", "s/cret")), "GET", "whoami", None).status, 200);
}

#[test]
fn flags_are_all_enabled_and_others_are_not_there() {
    let api = Api::start();
    let flags = api.read("feature-flags");
    let name = flags[0]["name"].as_str().unwrap();
    assert_eq!(flags[0]["state"], "enabled");
    let body = json!({ "name": name });
    assert_eq!(api.put(&format!("feature-flags/{name}/enable"), body.clone()).status, 204);
    assert_eq!(api.put("feature-flags/other/enable", body).status, 404);
    for path in ["deprecated-features", "deprecated-features/used", "extensions"] {
        assert_eq!(api.read(path), json!([]));
    }
}

#[test]
fn the_settings_in_force_are_shown_as_text() {
    let api = Api::start_with(|config| config.amqp_product = "Hare \"1\"".to_owned());
    let answer = api.get("config/effective");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert!(answer.text().lines().any(|line| line == r#"amqp_product = "Hare \"1\"""#));
    assert!(answer.text().lines().any(|line| line == r#"shards = "0""#));
}

#[test]
fn what_only_a_cluster_needs_is_honest_about_one_node() {
    let api = Api::start();
    let node = api.read("overview")["node"].as_str().unwrap().to_owned();
    let (here, this) = (segment(&node), json!({ "node": node }));
    let quorum = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    api.declare_queue("quorum", quorum);
    api.declare_queue("q", json!({}));
    let member = &api.read("queues/quorum/%2F/quorum/status")[0];
    assert_eq!((&member["Node Name"], &member["Raft State"]), (&json!(node), &json!("leader")));
    let on = |queue: &str, end: &str| format!("queues/quorum/%2F/{queue}/replicas/{end}");
    for (method, path, body, status) in [
        ("POST", "rebalance/queues".to_owned(), json!({}), 204),
        ("POST", on("quorum", "add"), this.clone(), 204),
        ("POST", on("quorum", "add"), json!({"node": "other@host"}), 400),
        ("POST", on("quorum", "add"), json!({}), 400),
        ("DELETE", on("quorum", "delete"), this.clone(), 400),
        ("POST", on("q", "add"), this, 400),
        ("GET", "queues/quorum/%2F/absent/status".to_owned(), json!({}), 404),
        ("POST", format!("queues/quorum/replicas/on/{here}/grow"), json!({}), 204),
        ("POST", "queues/quorum/replicas/on/other/grow".to_owned(), json!({}), 404),
        ("DELETE", format!("queues/quorum/replicas/on/{here}/shrink"), json!({}), 400),
        ("POST", "queues/%2F/q/actions".to_owned(), json!({"action": "sync"}), 204),
        ("POST", "queues/%2F/q/actions".to_owned(), json!({"action": "dance"}), 400),
        ("POST", "queues/%2F/q/actions".to_owned(), json!({}), 400),
        ("POST", format!("vhosts/%2F/start/{here}"), json!({}), 204),
        ("POST", "vhosts/%2F/start/other".to_owned(), json!({}), 404),
        ("DELETE", "reset".to_owned(), json!({}), 204),
        ("DELETE", format!("reset/{here}"), json!({}), 204),
        ("DELETE", "reset/other".to_owned(), json!({}), 404),
    ] {
        assert_eq!(api.request(method, &path, Some(&body)).status, status, "{method} {path}");
    }
}

#[test]
fn protection_can_be_read_as_well_as_set() {
    let api = Api::start();
    let path = "vhosts/%2F/deletion/protection";
    for is_protected in [false, true] {
        assert_eq!(api.read(path), json!({ "protected_from_deletion": is_protected }));
        assert_eq!(api.request("POST", path, None).status, 204);
    }
}

#[test]
fn what_rabbitmq_has_plugins_for_is_an_empty_list() {
    let api = Api::start();
    for path in ["shovels", "shovels/%2F", "federation-links", "traces", "stream/consumers/%2F"] {
        assert_eq!(api.read(path), json!([]), "{path}");
    }
    assert_eq!(api.get("shovels/absent").status, 404);
    assert_eq!(api.read("users/guest/queues"), json!([]));
}

#[test]
fn attempts_to_log_in_are_counted_until_they_are_forgotten() {
    let api = Api::start();
    let node = segment(api.read("overview")["node"].as_str().unwrap());
    let path = format!("auth/attempts/{node}");
    assert_eq!(api.request_as(Some(("guest", "wrong")), "GET", "whoami", None).status, 401);
    let of_http = |path: &str| {
        let attempts = api.read(path);
        attempts.as_array().unwrap().iter().find(|it| it["protocol"] == "http").unwrap().clone()
    };
    let attempts = of_http(&path);
    let count = |name: &str| attempts[name].as_u64().unwrap();
    assert_eq!(count("auth_attempts_failed"), 1);
    assert!(count("auth_attempts_succeeded") > 1);
    assert_eq!(count("auth_attempts"), count("auth_attempts_succeeded") + 1);
    assert_eq!(api.delete(&path).status, 204);
    let attempts = of_http(&path);
    assert_eq!(attempts["auth_attempts_failed"], 0);
    assert_eq!(attempts["auth_attempts"], 1, "that is the one that asks");
    assert_eq!(api.get("auth/attempts/other").status, 404);
}
