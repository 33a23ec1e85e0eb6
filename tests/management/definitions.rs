//! Definitions: out, in, and what is wrong with them.

use leveret::Config;
use serde_json::{Value, json};

use crate::support::Api;

/// As RabbitMQ 3.6 wrote it: virtual hosts are names, tags are a text, and much is not there yet. The
/// password is that of RabbitMQ's documentation.
fn of_rabbitmq_3() -> Value {
    json!({
        "rabbit_version": "3.6.16",
        "users": [
            {
                "name": "app", "tags": "management,monitoring",
                "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
                "hashing_algorithm": "rabbit_password_hashing_sha256"
            },
            {"name": "nobody", "password_hash": "", "tags": ""}
        ],
        "vhosts": [{"name": "/"}, {"name": "shop"}],
        "permissions": [
            {"user": "app", "vhost": "shop", "configure": "^app-", "write": ".*", "read": ".*"}
        ],
        "parameters": [],
        "global_parameters": [{"name": "cluster_name", "value": "rabbit@old"}],
        "policies": [
            {
                "vhost": "shop", "name": "ha", "pattern": "^ha\\.", "apply-to": "all", "priority": 0,
                "definition": {"ha-mode": "all", "ha-sync-mode": "automatic"}
            },
            {
                "vhost": "shop", "name": "short", "pattern": "^orders", "apply-to": "queues",
                "priority": 3, "definition": {"max-length": 1000, "ha-mode": "exactly", "ha-params": 2}
            }
        ],
        "queues": [
            {
                "name": "orders", "vhost": "shop", "durable": true, "auto_delete": false,
                "arguments": {"x-dead-letter-exchange": "dead"}
            }
        ],
        "exchanges": [
            {
                "name": "dead", "vhost": "shop", "type": "fanout", "durable": true,
                "auto_delete": false, "internal": false, "arguments": {}
            }
        ],
        "bindings": [
            {
                "source": "amq.topic", "vhost": "shop", "destination": "orders",
                "destination_type": "queue", "routing_key": "order.#", "arguments": {}
            }
        ]
    })
}

/// As RabbitMQ 4 writes it.
fn of_rabbitmq_4() -> Value {
    json!({
        "rabbit_version": "4.1.4", "rabbitmq_version": "4.1.4", "product_name": "RabbitMQ",
        "product_version": "4.1.4", "rabbitmq_definition_format": "cluster",
        "original_cluster_name": "rabbit@new", "explanation": "Definitions of cluster 'rabbit@new'",
        "users": [{
            "name": "ops", "tags": ["administrator"], "limits": {"max-connections": 20},
            "password_hash": "AQIDBPhTH2L5HGYB1LWOrn+YpvuQmVOXKGqgsuiJRIZTILRoEvblSJo/WAsym3IZTfuaIaK5\
                              KR2o5KwFfTv6KsxfMIE=",
            "hashing_algorithm": "rabbit_password_hashing_sha512"
        }],
        "vhosts": [{
            "name": "/", "description": "Default virtual host", "tags": [],
            "metadata": {"description": "Default virtual host", "tags": []}
        }, {
            "name": "iot", "description": "", "tags": ["edge"], "default_queue_type": "quorum",
            "metadata": {"description": "", "tags": ["edge"], "default_queue_type": "quorum"}
        }],
        "permissions": [
            {"user": "ops", "vhost": "iot", "configure": ".*", "write": ".*", "read": ".*"}
        ],
        "topic_permissions": [
            {"user": "ops", "vhost": "iot", "exchange": "amq.topic", "write": "^{username}", "read": ".*"}
        ],
        "parameters": [
            {
                "vhost": "iot", "component": "operator_policy", "name": "cap",
                "value": {
                    "pattern": ".*", "apply-to": "queues", "priority": 1,
                    "definition": {"max-length": 50_000}
                }
            },
            {
                "vhost": "iot", "component": "vhost-limits", "name": "limits",
                "value": {"max-queues": 1}
            },
            {
                "vhost": "iot", "component": "shovel", "name": "move",
                "value": {"src-uri": "amqp://", "dest-queue": "there"}
            }
        ],
        "global_parameters": [{"name": "internal_cluster_id", "value": "rabbitmq-cluster-id-x"}],
        "policies": [],
        "queues": [{
            "name": "q", "vhost": "iot", "type": "quorum", "durable": true, "auto_delete": false,
            "arguments": {"x-queue-type": "quorum", "x-delivery-limit": 5}
        }, {
            "name": "amq.gen-abc", "vhost": "iot", "durable": true, "auto_delete": true,
            "arguments": {}
        }, {
            "name": "mqtt-subscription-device1qos1", "vhost": "iot", "durable": true,
            "auto_delete": false, "arguments": {}
        }],
        "exchanges": [{
            "name": "late", "vhost": "iot", "type": "x-delayed-message", "durable": true,
            "auto_delete": false, "internal": false, "arguments": {"x-delayed-type": "topic"}
        }],
        "bindings": [{
            "source": "late", "vhost": "iot", "destination": "q", "destination_type": "queue",
            "routing_key": "a.*", "arguments": {}
        }, {
            "source": "amq.topic", "vhost": "iot", "destination": "mqtt-subscription-device1qos1",
            "destination_type": "queue", "routing_key": "a.b", "arguments": {}
        }]
    })
}

fn notes(api: &Api, definitions: Value) -> Vec<String> {
    let answer = api.post("definitions", definitions);
    match answer.status {
        204 => Vec::new(),
        200 => serde_json::from_value(answer.json()["notes"].clone()).unwrap(),
        _ => panic!("{}", answer.text()),
    }
}

#[test]
fn definitions_of_rabbitmq_3_are_taken_as_they_are() {
    let api = Api::start();
    let notes = notes(&api, of_rabbitmq_3());
    let expected = [
        "policies[0] 'ha' in vhost 'shop': 'ha-mode' is left out: it does nothing here",
        "policies[0] 'ha' in vhost 'shop': 'ha-sync-mode' is left out: it does nothing here",
        "policies[0] 'ha' in vhost 'shop': the policy is left out: it says nothing else",
        "policies[1] 'short' in vhost 'shop': 'ha-mode' is left out: it does nothing here",
        "policies[1] 'short' in vhost 'shop': 'ha-params' is left out: it does nothing here",
    ];
    assert_eq!(notes, expected);
    let me = api.request_as(Some(("app", "test12")), "GET", "whoami", None);
    assert_eq!(me.json()["tags"], json!(["management", "monitoring"]));
    assert_eq!(api.request_as(Some(("nobody", "")), "GET", "whoami", None).status, 401);
    let queue = api.read("queues/shop/orders");
    assert_eq!((&queue["policy"], &queue["durable"]), (&json!("short"), &json!(true)));
    assert_eq!(api.read("permissions/shop/app")["configure"], "^app-");
    let cluster = api.read("global-parameters/cluster_name");
    assert_eq!(cluster["value"], "rabbit@old");
    let bindings = api.read("bindings/shop/e/amq.topic/q/orders");
    assert_eq!(bindings[0]["routing_key"], "order.#");
}

#[test]
fn definitions_of_rabbitmq_4_are_taken_as_they_are() {
    let api = Api::start();
    let notes = notes(&api, of_rabbitmq_4());
    let expected = [
        "vhosts[1] 'iot': queues without x-queue-type are classic, not quorum",
        "parameters[2] 'move' in vhost 'iot': it is kept, but nothing here reads 'shovel'",
        "queues[2] 'mqtt-subscription-device1qos1' in vhost 'iot': it is left out: MQTT sessions \
         begin anew",
    ];
    assert_eq!(notes, expected);
    let me = api.request_as(Some(("ops", "secret")), "GET", "whoami", None);
    assert_eq!(me.json()["name"], "ops");
    assert_eq!(api.read("user-limits/ops")[0]["value"], json!({"max-connections": 20}));
    assert_eq!(api.read("vhosts/iot")["tags"], json!(["edge"]));
    let queue = api.read("queues/iot/q");
    assert_eq!((&queue["type"], &queue["operator_policy"]), (&json!("quorum"), &json!("cap")));
    assert_eq!(api.read("queues/iot/amq.gen-abc")["auto_delete"], true);
    assert_eq!(api.get("queues/iot/mqtt-subscription-device1qos1").status, 404);
    // The limit is for queues that come later.
    assert_eq!(api.read("vhost-limits/iot")[0]["value"], json!({"max-queues": 1}));
    let ops = Some(("ops", "secret"));
    assert_eq!(api.request_as(ops, "PUT", "queues/iot/more", Some(&json!({}))).status, 400);
}

#[test]
fn hashes_of_bcrypt_and_unnamed_ones_are_understood() {
    let api = Api::start();
    let bcrypt = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    let users = json!([
        {"name": "b", "password_hash": bcrypt, "hashing_algorithm": "lavinmq_bcrypt", "tags": "management"},
        {"name": "m", "password_hash": "AQIDBDgk9ci8Lfh6CKE9Y0AUfmU=", "tags": "management"},
        {"name": "p", "password": "open", "tags": "management"},
    ]);
    assert_eq!(notes(&api, json!({ "users": users })), [""; 0]);
    for login in [("b", "U*U"), ("m", "secret"), ("p", "open")] {
        assert_eq!(api.request_as(Some(login), "GET", "whoami", None).status, 200, "{login:?}");
        let wrong = (login.0, "wrong");
        assert_eq!(api.request_as(Some(wrong), "GET", "whoami", None).status, 401);
    }
    let algorithms: Vec<_> = ["b", "m", "p"]
        .map(|user| api.read(&format!("users/{user}"))["hashing_algorithm"].clone())
        .into();
    let expected = ["leveret_bcrypt", "rabbit_password_hashing_md5", "leveret_argon2id"];
    assert_eq!(algorithms, expected);
}

#[test]
fn everything_that_is_wrong_is_reported_and_nothing_is_done() {
    let api = Api::start();
    let before = api.read("definitions");
    let definitions = json!({
        "users": [
            {"name": "u", "password_hash": "AAAA", "tags": ""},
            {"name": "v", "tags": ""},
            {"name": "fine", "password": "x", "tags": ""},
        ],
        "vhosts": [{"name": "new"}, {}, 7],
        "permissions": [
            {"user": "fine", "vhost": "absent", "configure": "", "write": "", "read": ""},
            {"user": "fine", "vhost": "new", "configure": "(", "write": "", "read": ""},
            {"user": "fine", "vhost": "new", "write": "", "read": ""},
        ],
        "policies": [
            {"vhost": "new", "name": "p", "pattern": "", "definition": {"grow-wings": 1}},
            {"vhost": "new", "name": "r", "pattern": "[", "definition": {"max-length": 1}},
        ],
        "exchanges": [
            {"vhost": "new", "name": "x", "type": "x-unknown", "durable": true},
            {"vhost": "new", "name": "y", "type": "fanout", "durable": "maybe"},
        ],
        "queues": [
            {"vhost": "new", "name": "s", "durable": true, "arguments": {"x-queue-type": "stream"}},
            {"vhost": "new", "name": "t", "durable": true, "arguments": {"x-max-length": -1}},
            {"vhost": "new", "name": "fine", "durable": true},
        ],
        "bindings": [
            {"vhost": "new", "source": "x", "destination": "fine", "destination_type": "queue"},
            {"vhost": "new", "source": "amq.topic", "destination": "s", "destination_type": "queue"},
            {"vhost": "new", "source": "amq.topic", "destination": "fine", "destination_type": "heap"},
        ],
        "global_parameters": {},
    });
    let answer = api.post("definitions", definitions);
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("bad_request")));
    let reason = answer.reason();
    let mut lines: Vec<_> = reason.lines().collect();
    assert_eq!(lines.remove(0), "nothing is imported because of 17 problems:");
    let expected = [
        "users[0] 'u': password_hash is no hash of a supported form",
        "users[1] 'v': password_hash is missing",
        "vhosts[1]: name is missing",
        "vhosts[2]: it must be an object",
        "permissions[1] 'fine' in vhost 'new': configure is not a valid regular expression",
        "permissions[2] 'fine' in vhost 'new': [{key_missing,configure}]",
        "global_parameters: it must be a list",
        "policies[1] 'r' in vhost 'new': ",
        "exchanges[0] 'x' in vhost 'new': unknown exchange type 'x-unknown'",
        "exchanges[1] 'y' in vhost 'new': durable must be true or false",
        "bindings[2] 'amq.topic' to 'fine' in vhost 'new': destination_type must be queue or exchange",
        "permissions[0] 'fine' in vhost 'absent': vhost absent not found",
        "policies[0] 'p' in vhost 'new': [<<\"grow-wings\">>] are not recognised policy settings",
        "queues[0] 's' in vhost 'new': invalid arg 'x-queue-type' for queue 's' in vhost 'new': not \
         supported yet",
        "queues[1] 't' in vhost 'new': invalid arg 'x-max-length' for queue 't' in vhost 'new'",
        "bindings[0] 'x' to 'fine' in vhost 'new': no exchange 'x' in vhost 'new'",
        "bindings[1] 'amq.topic' to 's' in vhost 'new': no queue 's' in vhost 'new'",
    ];
    assert_eq!(lines.len(), expected.len(), "{reason}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line} is not {expected}");
    }
    assert_eq!(api.read("definitions"), before);
    for body in [&b"{no"[..], b"[]", b"\"{}\""] {
        assert_eq!(api.send("POST", "definitions", body).status, 400);
    }
}

#[test]
fn what_is_there_stays_but_users_and_policies_are_replaced() {
    let api = Api::start();
    api.declare_queue("q", json!({"durable": true, "arguments": {"x-max-length": 5}}));
    api.declare_queue("other", json!({"durable": true}));
    api.publish("q", "one");
    let policy = json!({"pattern": "^a", "definition": {"max-length": 1}});
    assert_eq!(api.put("policies/%2F/p", policy).status, 201);
    let queue = |name: &str| json!({"vhost": "/", "name": name, "durable": true});
    let notes = notes(
        &api,
        json!({
            "users": [{"name": "guest", "password": "guest", "tags": "administrator,other"}],
            "policies": [{"vhost": "/", "name": "p", "pattern": "^b", "definition": {"max-length": 2}}],
            "queues": [queue("q"), queue("other"), queue("new")],
            "exchanges": [{"vhost": "/", "name": "amq.topic", "type": "fanout", "durable": true}],
            "friends": [],
        }),
    );
    let expected = [
        "friends: it is left out: nobody knows what it is",
        "exchanges[0] 'amq.topic' in vhost '/': it stays as it is: inequivalent arg 'type' for \
         exchange 'amq.topic' in vhost '/': received 'fanout' but current is 'topic'",
        "queues[0] 'q' in vhost '/': it stays as it is: inequivalent arg 'x-max-length' for queue 'q' \
         in vhost '/': received none but current is the value '5' of type 'long'",
    ];
    assert_eq!(notes, expected);
    let kept = api.read("queues/%2F/q");
    assert_eq!((&kept["messages"], &kept["arguments"]), (&json!(1), &json!({"x-max-length": 5})));
    assert_eq!(api.read("policies/%2F/p")["pattern"], "^b");
    assert_eq!(api.read("whoami")["tags"], json!(["administrator", "other"]));
    assert_eq!(api.read("queues/%2F/new")["durable"], true);
}

#[test]
fn what_does_not_last_is_not_exported() {
    let api = Api::start();
    api.declare_queue("kept", json!({"durable": true, "auto_delete": true}));
    api.declare_queue("transient", json!({}));
    let exchange = json!({"type": "fanout", "durable": true});
    assert_eq!(api.put("exchanges/%2F/x", exchange).status, 201);
    assert_eq!(api.put("exchanges/%2F/y", json!({"type": "fanout"})).status, 201);
    for (source, destination) in
        [("x", "q/kept"), ("x", "q/transient"), ("y", "q/kept"), ("x", "e/y"), ("amq.topic", "e/x")]
    {
        let path = format!("bindings/%2F/e/{source}/{destination}");
        assert_eq!(api.post(&path, json!({})).status, 201);
    }
    let client = api.broker.client();
    let _exclusive = api.runtime.block_on(async { client.subscribe("a/#") }).unwrap();
    assert_eq!(api.read("queues").as_array().unwrap().len(), 3);
    let definitions = api.read("definitions");
    let names = |list: &str, field: &str| -> Vec<String> {
        let items = definitions[list].as_array().unwrap().iter();
        items.map(|item| item[field].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("queues", "name"), ["kept"]);
    assert_eq!(names("exchanges", "name"), ["x"]);
    assert_eq!(names("bindings", "destination"), ["x", "kept"]);
    assert_eq!(names("users", "name"), ["guest"]);
    assert_eq!(names("vhosts", "name"), ["/"]);
    let guest = &definitions["users"][0];
    assert!(guest["scram_sha256"].as_str().unwrap().starts_with("SCRAM-SHA-256$"));
}

#[test]
fn one_vhost_moves_into_another() {
    let api = Api::start();
    notes(&api, of_rabbitmq_4());
    let definitions = api.read("definitions/iot");
    assert_eq!(definitions["rabbitmq_definition_format"], "single_virtual_host");
    assert!(definitions.get("users").is_none() && definitions["queues"][0].get("vhost").is_none());
    assert_eq!(api.put("vhosts/copy", json!({})).status, 201);
    let imported = api.post("definitions/copy", definitions.clone());
    assert_eq!(imported.status, 200, "{}", imported.text());
    let mut copied = api.read("definitions/copy");
    copied["original_vhost_name"] = json!("iot");
    assert_eq!(copied, definitions);
    let whole = api.post("definitions", definitions.clone());
    assert_eq!(
        (whole.status, &*whole.reason()),
        (400, "these are the definitions of one vhost: import them into one")
    );
    let users = json!({"users": [], "queues": [{"name": "x", "vhost": "other", "durable": true}]});
    let answer = api.post("definitions/%2F", users);
    assert_eq!(
        answer.json()["notes"],
        json!(["users: they are left out: they are not of one vhost"])
    );
    assert_eq!(api.read("queues/%2F/x")["vhost"], "/");
    assert_eq!(api.post("definitions/absent", definitions).status, 404);
    assert_eq!(api.get("definitions/absent").status, 404);
}

#[test]
fn browsers_save_a_file_and_send_one() {
    let api = Api::start();
    let saved = api.get("definitions?download=my%22%2Ffile.json");
    assert_eq!(saved.header("content-disposition"), "attachment; filename=\"myfile.json\"");
    assert_eq!(api.get("all-configuration").json(), saved.json());
    let file = json!({"vhosts": [{"name": "sent"}]}).to_string();
    assert_eq!(api.post_file("definitions", "file", &file).status, 204);
    assert_eq!(api.read("vhosts/sent")["name"], "sent");
    let answer = api.post_file("all-configuration", "other", &file);
    assert_eq!((answer.status, &*answer.reason()), (400, "there is no field 'file' in the form"));
    assert_eq!(api.post_file("definitions", "file", "{no").reason(), "not_json");
}

#[test]
fn definitions_are_for_administrators() {
    let api = Api::start();
    let user = json!({"password": "secret", "tags": "policymaker"});
    assert_eq!(api.put("users/p", user).status, 201);
    for (method, path) in
        [("GET", "definitions"), ("POST", "definitions"), ("GET", "definitions/%2F")]
    {
        let answer = api.request_as(Some(("p", "secret")), method, path, Some(&json!({})));
        assert_eq!(answer.status, 401, "{method} {path}");
    }
}

#[test]
fn parameters_are_kept_shown_and_deleted() {
    let api = Api::start();
    let path = "parameters/shovel/%2F/my";
    let shovel = json!({
        "vhost": "/", "component": "shovel", "name": "my", "value": {"src-uri": "amqps://"},
    });
    assert_eq!(notes(&api, json!({ "parameters": [shovel] })).len(), 1);
    let refused = api.put("parameters/shovel/%2F/other", json!({"value": {}}));
    assert_eq!(refused.reason(), "Validation failed\n\ncomponent shovel not found\n");
    let shown = json!({
        "vhost": "/", "component": "shovel", "name": "my", "value": {"src-uri": "amqps://"},
    });
    assert_eq!(api.read(path), shown);
    assert_eq!(api.read("parameters/shovel"), json!([shown]));
    assert_eq!(
        api.put("parameters/vhost-limits/%2F/limits", json!({"value": {"max-queues": 3}})).status,
        201
    );
    assert_eq!(api.read("vhost-limits/%2F")[0]["value"], json!({"max-queues": 3}));
    let limits = json!({"value": {"max-connections": 9}});
    assert_eq!(api.put("parameters/vhost-limits/%2F/limits", limits).status, 204);
    assert_eq!(api.read("vhost-limits/%2F")[0]["value"], json!({"max-connections": 9}));
    let policy = json!({"value": {"pattern": ".*", "definition": {"max-length": 1}}});
    assert_eq!(api.put("parameters/operator_policy/%2F/cap", policy).status, 201);
    assert_eq!(api.read("operator-policies/%2F/cap")["apply-to"], "queues");
    let names: Vec<_> =
        api.read("parameters").as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["cap", "my", "limits"]);
    for (path, value) in [
        ("parameters/vhost-limits/%2F/other", json!({"value": {}})),
        ("parameters/vhost-limits/%2F/limits", json!({"value": {"max-wings": 2}})),
        ("parameters/policy/%2F/p", json!({"value": {}})),
        ("parameters/shovel/%2F/my", json!({})),
    ] {
        assert_eq!(api.put(path, value).status, 400, "{path}");
    }
    for path in [path, "parameters/vhost-limits/%2F/limits", "parameters/operator_policy/%2F/cap"] {
        assert_eq!((api.delete(path).status, api.delete(path).status), (204, 404), "{path}");
    }
    assert_eq!(api.read("parameters"), json!([]));
}

#[test]
fn definitions_are_loaded_at_the_start_if_they_are_new() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("definitions.json");
    let start = || {
        let config = Config::local(folder.path().join("data"));
        Api::start_in(Config { load_definitions: file.clone(), ..config })
    };
    std::fs::write(&file, r#"{"vhosts":[{"name":"v"}],"queues":[{"vhost":"v"}]}"#).unwrap();
    let error = start().err().unwrap().to_string();
    let expected = format!(
        "definitions are not imported: {}: nothing is imported because of 1 problem:\n\
         queues[0] in vhost 'v': name is missing",
        file.display()
    );
    assert_eq!(error, expected);
    let user = json!({"name": "jo", "password": "secret", "tags": "administrator"});
    let access =
        json!({"user": "jo", "vhost": "v", "configure": ".*", "write": ".*", "read": ".*"});
    let definitions = json!({
        "users": [user], "vhosts": [{"name": "v"}], "permissions": [access],
        "queues": [{"vhost": "v", "name": "q", "durable": true}],
    });
    std::fs::write(&file, definitions.to_string()).unwrap();
    let as_jo = |api: &Api, method: &str, path: &str| {
        api.request_as(Some(("jo", "secret")), method, path, None).status
    };
    let api = start().unwrap();
    assert_eq!(as_jo(&api, "DELETE", "queues/v/q"), 204);
    assert_eq!(api.get("whoami").status, 401, "nobody needs a guest");
    assert_eq!(as_jo(&api, "GET", "vhosts/%2F"), 200);
    api.stop();
    let api = start().unwrap();
    assert_eq!(as_jo(&api, "GET", "queues/v/q"), 404, "it was imported before");
    let shown = api.request_as(Some(("jo", "secret")), "GET", "definitions", None).json();
    assert_eq!(shown["global_parameters"], json!([]));
    api.stop();
    std::fs::write(&file, format!("{definitions} ")).unwrap();
    let api = start().unwrap();
    assert_eq!(as_jo(&api, "GET", "queues/v/q"), 200);
    api.stop();
    std::fs::remove_file(&file).unwrap();
    assert!(start().err().unwrap().to_string().contains("No such file"));
}

#[test]
fn a_queue_that_is_imported_and_never_used_expires() {
    let api = Api::start();
    let queue = json!({"name": "q", "vhost": "/", "durable": true, "auto_delete": false,
                       "arguments": {"x-expires": 100}});
    assert_eq!(api.post("definitions", json!({"queues": [queue]})).status, 204);
    crate::support::wait_until(|| api.get("queues/%2F/q").status == 404);
}
