//! What an import means for what is at work, and how passwords are kept.

use serde_json::{Value, json};

use crate::support::Api;

fn import(api: &Api, definitions: serde_json::Value) {
    let answer = api.post("definitions", definitions);
    assert_eq!(answer.status, 204, "{}", answer.text());
}

#[test]
fn an_imported_policy_counts_for_queues_that_are_there() {
    let api = Api::start();
    api.declare_queue("q", json!({"durable": true}));
    (0..5).for_each(|_| api.publish("q", "x"));
    let policy =
        json!({"vhost": "/", "name": "p", "pattern": "q", "definition": {"max-length": 2}});
    import(&api, json!({ "policies": [policy] }));
    let queue = api.wait_for("queues/%2F/q", |queue| queue["messages"] == 2);
    assert_eq!(queue["policy"], "p");
    api.publish("q", "y");
    api.wait_for("queues/%2F/q", |queue| queue["messages"] == 2);
}

#[test]
fn an_imported_binding_gets_what_an_exchange_remembers() {
    let api = Api::start();
    let exchange = json!({"type": "x-recent-history", "durable": true});
    assert_eq!(api.put("exchanges/%2F/x", exchange).status, 201);
    let message = json!({
        "properties": {}, "routing_key": "k", "payload": "remembered", "payload_encoding": "string",
    });
    assert_eq!(api.post("exchanges/%2F/x/publish", message).status, 200);
    let binding = json!({
        "vhost": "/", "source": "x", "destination": "q", "destination_type": "queue",
        "routing_key": "", "arguments": {},
    });
    let queue = json!({"vhost": "/", "name": "q", "durable": true, "arguments": {}});
    import(&api, json!({ "queues": [queue], "bindings": [binding] }));
    api.wait_for("queues/%2F/q", |queue| queue["messages"] == 1);
}

#[test]
fn an_import_is_told_as_events() {
    let api = Api::start_with(|config| config.event_exchange = true);
    let client = api.broker.client();
    let bound = api.runtime.block_on(async {
        client.declare_queue("events", true).await?;
        client.bind("events", "amq.rabbitmq.event", "vhost.created").await?;
        client.bind("events", "amq.rabbitmq.event", "queue.created").await
    });
    bound.unwrap();
    let queues: Vec<_> = (0..3).map(|n| json!({"vhost": "v", "name": format!("q{n}")})).collect();
    import(&api, json!({ "vhosts": [{"name": "v"}], "queues": queues }));
    // What happened before is told late, and may be among them.
    let is_of_import = |message: &&Value| {
        let headers = &message["properties"]["headers"];
        headers["vhost"] == "v" || headers["name"] == "v"
    };
    api.wait_for("queues/%2F/events/peek?count=100", |events| {
        events.as_array().unwrap().iter().filter(is_of_import).count() == 4
    });
}

#[test]
fn a_new_password_is_hashed_as_the_request_says() {
    let api = Api::start();
    for (algorithm, kept) in [
        (json!(null), "leveret_argon2id"),
        (json!("rabbit_password_hashing_sha256"), "rabbit_password_hashing_sha256"),
        (json!("rabbit_password_hashing_sha512"), "rabbit_password_hashing_sha512"),
    ] {
        let user = json!({"password": kept, "tags": "management", "hashing_algorithm": algorithm});
        assert!(api.put("users/jo", user).status < 300);
        let shown = api.read("users/jo");
        assert_eq!(shown["hashing_algorithm"], kept);
        // Twice: the second time it may be remembered.
        for _ in 0..2 {
            assert_eq!(api.request_as(Some(("jo", kept)), "GET", "whoami", None).status, 200);
            assert_eq!(api.request_as(Some(("jo", "wrong")), "GET", "whoami", None).status, 401);
        }
        let hash = json!({
            "password_hash": shown["password_hash"], "hashing_algorithm": kept, "tags": "management",
        });
        assert!(api.put("users/al", hash).status < 300);
        assert_eq!(api.request_as(Some(("al", kept)), "GET", "whoami", None).status, 200);
    }
}

#[test]
fn a_login_that_was_right_is_forgotten_with_its_password_and_its_user() {
    let api = Api::start();
    let status = |password| api.request_as(Some(("jo", password)), "GET", "whoami", None).status;
    let user = |password: &str| json!({"password": password, "tags": "management"});
    assert_eq!(api.put("users/jo", user("one")).status, 201);
    assert_eq!((status("one"), status("one")), (200, 200));
    assert_eq!(api.put("users/jo", user("two")).status, 204);
    assert_eq!((status("one"), status("two")), (401, 200));
    assert_eq!(api.delete("users/jo").status, 204);
    assert_eq!(status("two"), 401);
    assert_eq!(api.put("users/jo", json!({"password_hash": "", "tags": "management"})).status, 201);
    assert_eq!((status("two"), status("")), (401, 401));
}

#[test]
fn keys_for_scram_move_with_their_user_and_stay_with_the_same_hash() {
    let (from, to) = (Api::start(), Api::start());
    assert_eq!(from.put("users/jo", json!({"password": "secret", "tags": ""})).status, 201);
    let of_jo = |api: &Api| {
        let users = api.read("definitions")["users"].clone();
        users.as_array().unwrap().iter().find(|user| user["name"] == "jo").cloned().unwrap()
    };
    let jo = of_jo(&from);
    import(&to, json!({ "users": [jo] }));
    assert_eq!(of_jo(&to), jo);
    let mut without = jo.clone();
    without.as_object_mut().unwrap().remove("scram_sha256");
    import(&to, json!({ "users": [without] }));
    assert_eq!(of_jo(&to), jo, "the password is the same");
    let mut other = without.clone();
    other["password_hash"] = json!("AQIDBDgk9ci8Lfh6CKE9Y0AUfmU=");
    other["hashing_algorithm"] = json!("rabbit_password_hashing_md5");
    import(&to, json!({ "users": [other] }));
    assert_eq!(of_jo(&to).get("scram_sha256"), None);
    let mut nonsense = jo;
    nonsense["scram_sha256"] = json!("SCRAM-SHA-1$1:$:");
    assert_eq!(to.post("definitions", json!({ "users": [nonsense] })).status, 400);
}
