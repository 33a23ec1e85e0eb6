//! Limits of virtual hosts and users.

use serde_json::{Value, json};

use crate::support::Api;

impl Api {
    fn limit(&self, path: &str, value: Value) -> u16 {
        self.put(path, json!({ "value": value })).status
    }
}

#[test]
fn limits_of_a_vhost_are_set_listed_and_cleared() {
    let api = Api::start();
    assert_eq!(api.read("vhost-limits"), json!([]));
    assert_eq!(api.limit("vhost-limits/%2F/max-queues", json!(1)), 204);
    assert_eq!(api.limit("vhost-limits/%2F/max-connections", json!(-1)), 204);
    let limits = json!([{"vhost": "/", "value": {"max-queues": 1, "max-connections": -1}}]);
    assert_eq!(api.read("vhost-limits"), limits);
    assert_eq!(api.read("vhost-limits/%2F"), limits);
    assert_eq!(api.put("queues/%2F/a", json!({"durable": true})).status, 201);
    let refused = api.put("queues/%2F/b", json!({"durable": true}));
    let reason = "cannot declare queue 'b': queue limit in vhost '/' (1) is reached";
    assert_eq!((refused.status, &*refused.reason()), (400, reason));
    assert_eq!(api.delete("vhost-limits/%2F/max-queues").status, 204);
    assert_eq!(api.delete("vhost-limits/%2F/max-queues").status, 204);
    assert_eq!(api.put("queues/%2F/b", json!({"durable": true})).status, 201);
    assert_eq!(api.delete("vhost-limits/%2F/max-connections").status, 204);
    assert_eq!(api.read("vhost-limits/%2F"), json!([]));
}

#[test]
fn limits_of_a_user_are_set_listed_and_cleared() {
    let api = Api::start();
    assert_eq!(api.limit("user-limits/guest/max-channels", json!(3)), 204);
    assert_eq!(api.limit("user-limits/guest/max-connections", json!(0)), 204);
    let limits = json!({"max-channels": 3, "max-connections": 0});
    assert_eq!(api.read("user-limits"), json!([{"user": "guest", "value": limits}]));
    assert_eq!(api.read("user-limits/guest"), json!([{"user": "guest", "value": limits}]));
    assert_eq!(api.read("users/guest")["limits"], limits);
    assert_eq!(api.delete("user-limits/guest/max-channels").status, 204);
    assert_eq!(api.read("users/guest")["limits"], json!({"max-connections": 0}));
}

#[test]
fn what_is_no_limit_is_refused() {
    let api = Api::start();
    for (path, value, status) in [
        ("vhost-limits/%2F/max-channels", json!(1), 400),
        ("vhost-limits/%2F/max-fun", json!(1), 400),
        ("vhost-limits/%2F/max-queues", json!("1"), 400),
        ("vhost-limits/%2F/max-queues", json!(1.5), 400),
        ("vhost-limits/no/max-queues", json!(1), 404),
        ("user-limits/guest/max-queues", json!(1), 400),
        ("user-limits/no/max-channels", json!(1), 404),
    ] {
        assert_eq!(api.limit(path, value), status, "{path}");
    }
    assert_eq!(api.put("user-limits/guest/max-channels", json!({})).status, 400);
    for path in ["vhost-limits/no", "user-limits/no"] {
        assert_eq!(api.get(path).status, 404, "{path}");
    }
    assert_eq!(api.read("user-limits"), json!([]));
}

#[test]
fn users_see_their_own_limits_and_change_none() {
    let api = Api::start();
    assert_eq!(
        api.put("users/jo", json!({"password": "secret", "tags": "management"})).status,
        201
    );
    let as_jo = |method, path, body: Option<&Value>| {
        api.request_as(Some(("jo", "secret")), method, path, body).status
    };
    let body = json!({"value": -1});
    assert_eq!(as_jo("PUT", "user-limits/jo/max-channels", Some(&body)), 401);
    assert_eq!(as_jo("PUT", "vhost-limits/%2F/max-queues", Some(&body)), 401);
    assert_eq!(as_jo("DELETE", "vhost-limits/%2F/max-queues", None), 401);
    assert_eq!(as_jo("GET", "user-limits/jo", None), 200);
    for path in ["user-limits", "user-limits/guest", "vhost-limits/%2F"] {
        assert_eq!(as_jo("GET", path, None), 401, "{path}");
    }
    assert_eq!(as_jo("GET", "vhost-limits", None), 200, "of no vhost");
}
