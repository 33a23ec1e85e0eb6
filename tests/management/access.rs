//! Users, virtual hosts and permissions.

use serde_json::{Value, json};

use crate::support::Api;

const EVERYTHING: &str = r#"{"configure": ".*", "write": ".*", "read": ".*"}"#;

fn everything() -> Value {
    serde_json::from_str(EVERYTHING).unwrap()
}

impl Api {
    fn status_as(&self, user: &str, method: &str, path: &str, body: Value) -> u16 {
        self.request_as(Some((user, "secret")), method, path, Some(&body)).status
    }

    fn make_user(&self, name: &str, tags: &str) {
        let user = json!({"password": "secret", "tags": tags});
        assert_eq!(self.put(&format!("users/{name}"), user).status, 201);
    }
}

#[test]
fn a_user_is_made_changed_and_deleted() {
    let api = Api::start();
    api.make_user("jo", "management, monitoring,");
    let user = api.read("users/jo");
    assert_eq!(user["tags"], json!(["management", "monitoring"]));
    assert_eq!(user["limits"], json!({}));
    assert_eq!(api.status_as("jo", "GET", "whoami", json!({})), 200);
    assert_eq!(api.put("users/jo", json!({"tags": ["management"]})).status, 204);
    assert_eq!(api.status_as("jo", "GET", "whoami", json!({})), 200, "the password stays");
    let hash = json!({"password_hash": user["password_hash"], "tags": ""});
    assert_eq!(api.put("users/other", hash).status, 201);
    let answer = api.request_as(Some(("other", "secret")), "GET", "whoami", None);
    assert_eq!((answer.status, &*answer.reason()), (401, "Not management user"));
    assert_eq!(api.put("users/other", json!({"password_hash": ""})).status, 204);
    let answer = api.request_as(Some(("other", "")), "GET", "whoami", None);
    assert_eq!(answer.reason(), "Not_Authorized");
    assert_eq!(api.delete("users/jo").status, 204);
    assert_eq!(api.delete("users/jo").status, 404);
    assert_eq!(api.status_as("jo", "GET", "whoami", json!({})), 401);
}

#[test]
fn what_is_no_user_is_refused() {
    let api = Api::start();
    for user in [
        json!({"password": ""}),
        json!({"password": 1}),
        json!({"password": "a", "password_hash": ""}),
        json!({"password_hash": "not base64"}),
        json!({"password_hash": "AAAA"}),
        json!({"password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha1"}),
        json!({"password": "a", "hashing_algorithm": "rabbit_password_hashing_md5"}),
        json!({
            "password_hash": "AQIDBDgk9ci8Lfh6CKE9Y0AUfmU=",
            "hashing_algorithm": "rabbit_password_hashing_sha256",
        }),
        json!({"password": "a", "tags": 1}),
        json!({"password": "a", "tags": [1]}),
    ] {
        assert_eq!(api.put("users/jo", user.clone()).status, 400, "{user}");
    }
    assert_eq!(api.put(&format!("users/{}", "u".repeat(256)), json!({})).status, 400);
    assert_eq!(api.get("users/jo").status, 404);
}

#[test]
fn a_vhost_is_made_with_all_rights_for_its_maker_and_goes_with_what_is_in_it() {
    let api = Api::start();
    assert_eq!(api.put("vhosts/v", json!({"description": "d"})).status, 201);
    assert_eq!(api.put("vhosts/v", json!({})).status, 204);
    let mut expected = everything();
    expected["user"] = json!("guest");
    expected["vhost"] = json!("v");
    assert_eq!(api.read("vhosts/v/permissions"), json!([expected]));
    assert_eq!(api.put("queues/v/q", json!({"durable": true})).status, 201);
    for (body, status) in [
        (json!({"tracing": "loud"}), 400),
        (json!({"default_queue_type": "stream"}), 400),
        (json!({"default_queue_type": "classic"}), 201),
    ] {
        assert_eq!(api.put("vhosts/w", body).status, status);
    }
    assert_eq!(api.delete("vhosts/v").status, 204);
    assert_eq!(api.delete("vhosts/v").status, 404);
    assert_eq!(api.get("queues/v").status, 404);
    assert_eq!(api.read("users/guest/permissions").as_array().unwrap().len(), 2);
}

#[test]
fn permissions_are_set_shown_and_cleared() {
    let api = Api::start();
    api.make_user("jo", "management");
    let path = "permissions/%2F/jo";
    assert_eq!(api.get(path).status, 404);
    let given = json!({"configure": "^a", "write": "", "read": ".*"});
    assert_eq!(api.put(path, given.clone()).status, 201);
    assert_eq!(api.put(path, given.clone()).status, 204);
    let mut expected = given;
    expected["user"] = json!("jo");
    expected["vhost"] = json!("/");
    assert_eq!(api.read(path), expected);
    assert_eq!(api.read("users/jo/permissions"), json!([expected]));
    assert_eq!(api.read("permissions").as_array().unwrap().len(), 2);
    for (queue, status) in [("a1", 201), ("b1", 401)] {
        assert_eq!(api.status_as("jo", "PUT", &format!("queues/%2F/{queue}"), json!({})), status);
    }
    let dlx = json!({"arguments": {"x-dead-letter-exchange": "amq.fanout"}});
    assert_eq!(api.status_as("jo", "PUT", "queues/%2F/a2", dlx), 401);
    assert_eq!(api.delete(path).status, 204);
    assert_eq!(api.delete(path).status, 404);
    assert_eq!(api.status_as("jo", "GET", "queues/%2F/a1", json!({})), 401);
}

#[test]
fn permissions_that_cannot_be_are_refused() {
    let api = Api::start();
    api.make_user("jo", "");
    let answer = api.put("permissions/%2F/jo", json!({"write": ".*"}));
    let missing = "[{key_missing,configure},{key_missing,read}]";
    assert_eq!((answer.status, &*answer.reason()), (400, missing));
    for path in ["permissions/absent/jo", "permissions/%2F/absent"] {
        let answer = api.put(path, everything());
        assert_eq!((answer.status, &*answer.reason()), (400, "vhost_or_user_not_found"));
    }
    let mut broken = everything();
    broken["read"] = json!("(");
    let answer = api.put("permissions/%2F/jo", broken);
    let reason = "read is not a valid regular expression: unclosed group";
    assert_eq!((answer.status, &*answer.reason()), (400, reason));
    assert_eq!(api.get("users/absent/permissions").status, 404);
    assert_eq!(api.get("vhosts/absent/permissions").status, 404);
}

#[test]
fn topic_permissions_are_set_shown_and_cleared_one_by_one_or_all() {
    let api = Api::start();
    api.make_user("jo", "management");
    assert_eq!(api.put("permissions/%2F/jo", everything()).status, 201);
    let path = "topic-permissions/%2F/jo";
    assert_eq!(api.get(path).status, 404);
    let topics = |exchange| json!({"exchange": exchange, "write": "^w", "read": "^r"});
    assert_eq!(api.put(path, topics("amq.topic")).status, 201);
    assert_eq!(api.put(path, topics("other")).status, 201);
    assert_eq!(api.put(path, topics("other")).status, 204);
    assert_eq!(api.put(path, json!({"exchange": "x", "write": "(", "read": ""})).status, 400);
    let mut expected = topics("amq.topic");
    expected["user"] = json!("jo");
    expected["vhost"] = json!("/");
    assert_eq!(api.read(&format!("{path}/amq.topic")), json!([expected]));
    for list in ["topic-permissions", path, "users/jo/topic-permissions"] {
        assert_eq!(api.read(list).as_array().unwrap().len(), 2, "{list}");
    }
    assert_eq!(api.put("queues/%2F/q", json!({})).status, 201);
    let bind = |key| json!({"routing_key": key});
    let ends = "bindings/%2F/e/amq.topic/q/q";
    assert_eq!(api.status_as("jo", "POST", ends, bind("r.1")), 201);
    assert_eq!(api.status_as("jo", "POST", ends, bind("x.1")), 401);
    assert_eq!(api.delete(&format!("{path}/other")).status, 204);
    assert_eq!(api.delete(&format!("{path}/other")).status, 404);
    assert_eq!(api.delete(path).status, 204);
    assert_eq!(api.get(path).status, 404);
}

#[test]
fn users_vhosts_and_permissions_are_for_administrators() {
    let api = Api::start();
    api.make_user("jo", "monitoring policymaker");
    api.make_user("al", "monitoring");
    for (method, path) in [
        ("PUT", "users/x"),
        ("DELETE", "users/al"),
        ("PUT", "vhosts/x"),
        ("DELETE", "vhosts/%2F"),
        ("GET", "permissions"),
        ("GET", "permissions/%2F/guest"),
        ("PUT", "permissions/%2F/al"),
        ("DELETE", "permissions/%2F/guest"),
        ("GET", "topic-permissions"),
        ("PUT", "topic-permissions/%2F/al"),
        ("DELETE", "topic-permissions/%2F/al"),
    ] {
        assert_eq!(api.status_as("al", method, path, json!({})), 401, "{method} {path}");
    }
}

#[test]
fn users_are_deleted_by_the_dozen_and_those_without_permissions_are_found() {
    let api = Api::start();
    for name in ["a", "b", "c"] {
        api.make_user(name, "management");
    }
    assert_eq!(api.put("permissions/%2F/b", everything()).status, 201);
    let names = |path: &str| -> Vec<Value> {
        api.read(path).as_array().unwrap().iter().map(|user| user["name"].clone()).collect()
    };
    assert_eq!(names("users/without-permissions"), ["a", "c"]);
    let post = |body: Value| api.request("POST", "users/bulk-delete", Some(&body)).status;
    for body in [json!({}), json!({"users": "a"}), json!({"users": ["a", 1]})] {
        assert_eq!(post(body.clone()), 400, "{body}");
    }
    let users = json!({"users": ["a", "b", "absent"]});
    assert_eq!(api.status_as("c", "POST", "users/bulk-delete", users.clone()), 401);
    assert_eq!(api.status_as("c", "GET", "users/without-permissions", json!({})), 401);
    assert_eq!(names("users"), ["a", "b", "c", "guest"]);
    assert_eq!(post(users), 204);
    assert_eq!(names("users"), ["c", "guest"]);
}

#[test]
fn a_vhost_is_described_and_protected() {
    let api = Api::start();
    let vhost = json!({"description": "for tests", "tags": "a, b"});
    assert_eq!(api.put("vhosts/v", vhost).status, 201);
    assert_eq!(api.put("vhosts/v", json!({"protected_from_deletion": true})).status, 204);
    let shown = api.read("vhosts/v");
    let metadata = json!({"description": "for tests", "tags": ["a", "b"]});
    assert_eq!((&shown["description"], &shown["metadata"]), (&json!("for tests"), &metadata));
    assert_eq!(shown["protected_from_deletion"], true);
    let refused = api.delete("vhosts/v");
    let reason = "vhost 'v' is protected from deletion";
    assert_eq!((refused.status, &*refused.reason()), (412, reason));
    assert_eq!(api.put("vhosts/v", json!({"tags": 1})).status, 400);
    let protection = "vhosts/v/deletion/protection";
    assert_eq!(api.delete(protection).status, 204);
    assert_eq!(api.request("POST", protection, None).status, 204);
    assert_eq!(api.delete("vhosts/v").status, 412);
    assert_eq!(api.delete(protection).status, 204);
    assert_eq!(api.delete("vhosts/v").status, 204);
    assert_eq!(api.delete(protection).status, 404);
}
