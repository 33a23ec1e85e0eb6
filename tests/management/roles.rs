//! Who may call what: every route, for every tag, in a virtual host of the user's own and in another.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Api, segment};

/// A method and a path, and who may call it:
///
/// | letter | who |
/// |---|---|
/// | `-` | everybody, without a login |
/// | `m` | whoever has a tag |
/// | `v` | whoever has a tag and sees the virtual host |
/// | `w` | whoever has a tag, and permissions in the virtual host |
/// | `p` | policymakers, where they see the virtual host, and administrators |
/// | `o` | monitoring and administrators |
/// | `a` | administrators |
const ROUTES: &str = "
    GET /openapi.json -
    GET /overview m
    GET /cluster-name m
    PUT /cluster-name a
    GET /version -
    GET /whoami m
    POST /login -
    DELETE /login -
    GET /auth -
    GET /auth/hash_password/{password} a
    GET /auth/attempts/{node} o
    DELETE /auth/attempts/{node} a
    GET /auth/attempts/{node}/source o
    GET /extensions m
    GET /feature-flags m
    PUT /feature-flags/{name}/enable a
    GET /deprecated-features m
    GET /deprecated-features/used m
    GET /config/effective a
    POST /rebalance/queues a
    DELETE /reset a
    DELETE /reset/{node} a
    GET /definitions a
    POST /definitions a
    GET /all-configuration a
    POST /all-configuration a
    GET /definitions/{vhost} a
    POST /definitions/{vhost} a
    GET /nodes o
    GET /nodes/{node} o
    GET /nodes/{node}/memory o
    GET /nodes/{node}/memory/relative o

    GET /connections m
    GET /vhosts/{vhost}/connections v
    GET /connections/{connection} m
    DELETE /connections/{connection} m
    GET /connections/username/{user} m
    DELETE /connections/username/{user} a
    GET /connections/{connection}/channels m
    GET /connections/{connection}/sessions m
    GET /channels m
    GET /vhosts/{vhost}/channels v
    GET /channels/{channel} m
    GET /consumers m
    GET /consumers/{vhost} v

    GET /exchanges m
    GET /exchanges/{vhost} v
    PUT /exchanges/{vhost}/{exchange} w
    GET /exchanges/{vhost}/{exchange} v
    GET /exchanges/{vhost}/{exchange}/bindings/source v
    GET /exchanges/{vhost}/{exchange}/bindings/destination v
    POST /exchanges/{vhost}/{exchange}/publish w
    GET /exchanges/{vhost}/{exchange}/route v
    GET /exchanges/{vhost}/{exchange}/tap w
    GET /queues m
    GET /queues/detailed m
    GET /queues/{vhost} v
    PUT /queues/{vhost}/{queue} w
    GET /queues/{vhost}/{queue} v
    GET /queues/{vhost}/{queue}/bindings v
    POST /queues/{vhost}/{queue}/get w
    DELETE /queues/{vhost}/{queue}/contents w
    POST /queues/{vhost}/{queue}/actions a
    GET /queues/quorum/{vhost}/{queue}/status v
    POST /queues/quorum/{vhost}/{queue}/replicas/add a
    DELETE /queues/quorum/{vhost}/{queue}/replicas/delete a
    POST /queues/quorum/replicas/on/{node}/grow a
    DELETE /queues/quorum/replicas/on/{node}/shrink a
    POST /exchanges/{vhost}/{exchange}/messages w
    POST /queues/{vhost}/{queue}/messages w
    GET /queues/{vhost}/{queue}/messages w
    GET /queues/{vhost}/{queue}/messages/stream w
    DELETE /queues/{vhost}/{queue}/messages/{token} w
    POST /queues/{vhost}/{queue}/messages/{token}/requeue w
    GET /queues/{vhost}/{queue}/peek w
    POST /queues/{vhost}/{queue}/move w
    GET /mqtt/sessions v
    GET /mqtt/sessions/{client_id} v
    GET /mqtt/sessions/{client_id}/subscriptions v
    GET /mqtt/subscriptions v
    GET /mqtt/retained v
    GET /mqtt/retained/{topic} w
    DELETE /mqtt/retained/{topic} w
    POST /mqtt/publish w
    GET /mqtt/route v
    GET /mqtt/tap w
    DELETE /mqtt/sessions/{client_id} a
    GET /bindings m
    GET /bindings/{vhost} v
    GET /bindings/{vhost}/e/{source}/{kind}/{destination} v
    POST /bindings/{vhost}/e/{source}/{kind}/{destination} w
    GET /bindings/{vhost}/e/{source}/{kind}/{destination}/{props} v
    DELETE /bindings/{vhost}/e/{source}/{kind}/{destination}/{props} w
    DELETE /queues/{vhost}/{queue} w
    DELETE /exchanges/{vhost}/{exchange} w

    GET /parameters p
    GET /parameters/{component} p
    GET /parameters/{component}/{vhost} p
    GET /parameters/{component}/{vhost}/{name} p
    PUT /parameters/{component}/{vhost}/{name} p
    DELETE /parameters/{component}/{vhost}/{name} p
    GET /global-parameters p
    PUT /global-parameters/{name} a
    GET /global-parameters/{name} p
    DELETE /global-parameters/{name} a
    GET /policies m
    GET /policies/{vhost} v
    PUT /policies/{vhost}/{name} p
    GET /policies/{vhost}/{name} p
    DELETE /policies/{vhost}/{name} p
    GET /operator-policies m
    GET /operator-policies/{vhost} v
    PUT /operator-policies/{vhost}/{name} a
    GET /operator-policies/{vhost}/{name} a
    DELETE /operator-policies/{vhost}/{name} a

    GET /users a
    GET /users/without-permissions a
    POST /users/bulk-delete a
    PUT /users/{user} a
    GET /users/{user} a
    GET /users/{user}/queues m
    GET /users/{user}/permissions a
    GET /users/{user}/topic-permissions a
    GET /permissions a
    PUT /permissions/{vhost}/{user} a
    GET /permissions/{vhost}/{user} a
    DELETE /permissions/{vhost}/{user} a
    GET /topic-permissions a
    PUT /topic-permissions/{vhost}/{user} a
    GET /topic-permissions/{vhost}/{user} a
    DELETE /topic-permissions/{vhost}/{user} a
    GET /topic-permissions/{vhost}/{user}/{exchange} a
    DELETE /topic-permissions/{vhost}/{user}/{exchange} a
    GET /vhost-limits m
    GET /vhost-limits/{vhost} v
    PUT /vhost-limits/{vhost}/{limit} a
    DELETE /vhost-limits/{vhost}/{limit} a
    GET /user-limits a
    GET /user-limits/{user} a
    PUT /user-limits/{user}/{limit} a
    DELETE /user-limits/{user}/{limit} a
    DELETE /users/{user} a

    GET /aliveness-test/{vhost} w
    GET /healthchecks/node m
    GET /healthchecks/node/{node} m
    GET /health/checks/alarms m
    GET /health/checks/local-alarms m
    GET /health/checks/certificate-expiration/{within}/{unit} m
    GET /health/checks/port-listener/{port} m
    GET /health/checks/protocol-listener/{protocols} m
    GET /health/checks/virtual-hosts m
    GET /health/checks/node-is-quorum-critical m
    GET /health/checks/quorum-queues-without-elected-leaders/all-vhosts m
    GET /health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/{pattern} m
    GET /health/checks/quorum-queues-without-elected-leaders/vhost/{vhost} v
    GET /health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}/pattern/{pattern} v
    GET /health/checks/metadata-store/initialized m
    GET /health/checks/metadata-store/initialized/with-data m
    GET /health/checks/is-in-service -
    GET /health/checks/ready-to-serve-clients -
    GET /health/checks/below-node-connection-limit -
    GET /health/checks/reached-target-cluster-size -

    GET /shovels o
    GET /shovels/{vhost} o
    GET /federation-links o
    GET /federation-links/{vhost} o
    GET /federation-links/{vhost}/down o
    GET /traces a
    GET /traces/{vhost} a
    GET /trace-files a
    GET /stream/connections m
    GET /stream/connections/{vhost} v
    GET /stream/publishers m
    GET /stream/publishers/{vhost} v
    GET /stream/consumers m
    GET /stream/consumers/{vhost} v

    GET /vhosts m
    GET /vhosts/{vhost} a
    PUT /vhosts/{vhost} a
    GET /vhosts/{vhost}/permissions a
    GET /vhosts/{vhost}/topic-permissions a
    GET /vhosts/{vhost}/deletion/protection a
    POST /vhosts/{vhost}/deletion/protection a
    DELETE /vhosts/{vhost}/deletion/protection a
    POST /vhosts/{vhost}/start/{node} a
    DELETE /vhosts/{vhost} a
";

/// The last one, since nothing is left after it.
const TAGS: [&str; 5] = ["", "management", "policymaker", "monitoring", "administrator"];

fn routes() -> impl Iterator<Item = (&'static str, &'static str, char)> {
    ROUTES.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[0], words[1], words[2].chars().next().unwrap())
    })
}

/// Whether a user with this tag may, in a virtual host of the user's own or in another.
fn may(who: char, tag: &str, path: &str, is_own: bool) -> bool {
    // MQTT is at home in the virtual host /, which is nobody's own here.
    let is_own = (is_own || !path.contains("{vhost}")) && !path.starts_with("/mqtt/");
    let sees_all = tag == "monitoring" || tag == "administrator";
    match who {
        '-' => true,
        _ if tag.is_empty() => false,
        'm' => true,
        'v' => is_own || sees_all,
        'w' => is_own,
        'p' => tag == "administrator" || (tag == "policymaker" && is_own),
        'o' => sees_all,
        'a' => tag == "administrator",
        other => panic!("{other} is nobody"),
    }
}

/// A body that all endpoints take: they look at what is theirs.
fn body(node: &str) -> Value {
    json!({
        "properties": {}, "routing_key": "k", "payload": "p", "payload_encoding": "string",
        "count": 1, "ackmode": "ack_requeue_true", "encoding": "auto",
        "configure": ".*", "write": ".*", "read": ".*", "exchange": "amq.topic",
        "name": "n", "value": 10, "pattern": "^nothing", "definition": {"max-length": 10},
        "apply-to": "queues", "users": [], "topic": "t", "action": "sync", "node": node, "tags": "",
    })
}

fn path_in(api: &Api, template: &str, vhost: &str, node: &str) -> String {
    let filled = template.split('/').skip(1).map(|part| match part {
        "{vhost}" => vhost.to_owned(),
        "{node}" => segment(node),
        "{port}" => api.address.port().to_string(),
        "{kind}" => "q".to_owned(),
        "{source}" | "{exchange}" => "x".to_owned(),
        "{destination}" | "{queue}" => "q".to_owned(),
        "{props}" => "k".to_owned(),
        "{limit}" => "max-connections".to_owned(),
        "{within}" => "1".to_owned(),
        "{unit}" => "weeks".to_owned(),
        "{user}" => "victim".to_owned(),
        "{protocols}" => "amqp".to_owned(),
        part => part.trim_matches(['{', '}']).to_owned(),
    });
    filled.collect::<Vec<_>>().join("/")
}

/// A stream has no end.
fn is_endless(template: &str) -> bool {
    template.ends_with("/stream") || template.ends_with("/tap")
}

fn prepare(api: &Api) {
    for vhost in ["own", "foreign"] {
        assert_eq!(api.put(&format!("vhosts/{vhost}"), json!({})).status, 201);
        assert_eq!(api.put(&format!("queues/{vhost}/q"), json!({})).status, 201);
        assert_eq!(api.put(&format!("exchanges/{vhost}/x"), json!({})).status, 201);
        let binding = json!({"routing_key": "k"});
        assert_eq!(api.post(&format!("bindings/{vhost}/e/x/q/q"), binding).status, 201);
    }
    assert_eq!(api.put("users/victim", json!({"password": "p"})).status, 201);
    for tag in TAGS {
        let user = format!("user-{tag}");
        assert_eq!(
            api.put(&format!("users/{user}"), json!({"password": "p", "tags": tag})).status,
            201
        );
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        assert_eq!(api.put(&format!("permissions/own/{user}"), all).status, 201);
    }
}

#[test]
fn no_route_is_left_out() {
    let api = Api::start();
    let description = api.read("openapi.json");
    let mut described = BTreeSet::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        let methods = operations.as_object().unwrap().keys();
        described.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    let here = routes().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(described, here);
}

#[test]
fn every_route_is_open_to_whom_it_is_for_and_to_nobody_else() {
    let api = Api::start();
    prepare(&api);
    let node = api.read("nodes")[0]["name"].as_str().unwrap().to_owned();
    let body = body(&node);
    let mut wrong = Vec::new();
    for tag in TAGS {
        let user = format!("user-{tag}");
        for (method, template, who) in routes() {
            for vhost in ["own", "foreign"] {
                let path = path_in(&api, template, vhost, &node);
                let method = if is_endless(template) { "HEAD" } else { method };
                let body = (!is_endless(template)).then_some(&body);
                let answer = api.request_as(Some((&user, "p")), method, &path, body);
                let is_open = may(who, tag, template, vhost == "own");
                // The login that is posted is another matter than the one in the header.
                let is_refused = answer.status == 401;
                if is_refused == is_open || answer.status >= 500 || answer.status == 405 {
                    wrong.push(format!("{tag:?} {method} {path}: {}", answer.status));
                }
                if !template.contains("{vhost}") {
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn without_a_login_only_what_says_nothing_of_anybody_is_open() {
    let api = Api::start();
    let node = api.read("nodes")[0]["name"].as_str().unwrap().to_owned();
    for (method, template, who) in routes() {
        let path = path_in(&api, template, "%2F", &node);
        let answer = api.request_as(None, method, &path, Some(&json!({})));
        assert_eq!(answer.status == 401, who != '-', "{method} {path}: {}", answer.status);
    }
}

#[test]
fn every_route_answers_head_and_options() {
    let api = Api::start();
    let node = api.read("nodes")[0]["name"].as_str().unwrap().to_owned();
    for (method, template, _) in routes() {
        let path = path_in(&api, template, "%2F", &node);
        let options = api.request("OPTIONS", &path, None);
        assert_eq!(options.status, 200, "{path}");
        assert!(options.header("allow").contains(method), "{path}: {}", options.header("allow"));
        if method == "GET" && !is_endless(template) {
            let (head, get) = (api.request("HEAD", &path, None), api.get(&path));
            assert_eq!((head.status, &*head.text()), (get.status, ""), "{path}");
        }
    }
}
