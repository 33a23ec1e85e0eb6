//! An export of everything that was imported into an empty broker is the same wherever it goes.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use crate::support::Api;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_export_comes_back_as_it_was(definitions in definitions()) {
        let first = Api::start();
        let answer = first.post("definitions", definitions.clone());
        prop_assert!(answer.status < 300, "{} for {definitions}", answer.text());
        let exported = first.read("definitions");
        let counted = ["users", "vhosts", "queues", "exchanges", "global_parameters"];
        for list in counted {
            let len = |value: &Value| value[list].as_array().unwrap().len();
            // The user guest and the vhost / are there anyway.
            prop_assert!(len(&exported) >= len(&definitions), "{list} of {definitions}");
        }
        let second = Api::start();
        let answer = second.post("definitions", exported.clone());
        prop_assert!(answer.status < 300, "{} for {exported}", answer.text());
        prop_assert_eq!(&second.read("definitions"), &exported);
        let again = first.post("definitions", exported.clone());
        prop_assert!(again.status < 300, "{}", again.text());
        prop_assert_eq!(&first.read("definitions"), &exported);
    }
}

/// Names of things that other things name.
#[derive(Debug, Clone)]
struct Names {
    users: Vec<String>,
    vhosts: Vec<String>,
    exchanges: Vec<String>,
    queues: Vec<String>,
}

fn definitions() -> impl Strategy<Value = Value> {
    names().prop_flat_map(|names| {
        let Names { users, vhosts, .. } = names.clone();
        let lists = (
            users.into_iter().map(user).collect::<Vec<_>>(),
            vhosts.into_iter().map(vhost).collect::<Vec<_>>(),
            vec(permission(names.clone()), 0..4),
            vec(topic_permission(names.clone()), 0..4),
            vec(parameter(names.clone()), 0..5),
            btree_map(name(), json(), 0..3),
            vec(policy(names.clone()), 0..4),
            vec(binding(names.clone()), 0..6),
        );
        let exchanges = each(&names.exchanges, &names.vhosts, exchange);
        let queues = each(&names.queues, &names.vhosts, queue);
        (lists, exchanges, queues).prop_map(|(lists, exchanges, queues)| {
            let (users, vhosts, permissions, topic_permissions, parameters, global, ..) = &lists;
            let (policies, bindings) = (&lists.6, &lists.7);
            let global = global.iter().map(|(name, value)| json!({"name": name, "value": value}));
            json!({
                "users": users, "vhosts": vhosts, "permissions": permissions,
                "topic_permissions": topic_permissions, "parameters": parameters,
                "global_parameters": global.collect::<Vec<_>>(), "policies": policies,
                "exchanges": exchanges, "queues": queues, "bindings": bindings,
            })
        })
    })
}

fn name() -> impl Strategy<Value = String> {
    "[a-z#*./% é]{1,9}"
}

fn names() -> impl Strategy<Value = Names> {
    let set = |len| {
        proptest::collection::btree_set(name(), len).prop_map(|set| set.into_iter().collect())
    };
    (set(1..4), set(1..3), set(1..4), set(1..5))
        .prop_map(|(users, vhosts, exchanges, queues)| Names { users, vhosts, exchanges, queues })
}

/// Each name in each virtual host.
fn each<S: Strategy<Value = Value>>(
    names: &[String],
    vhosts: &[String],
    describe: impl Fn(String, String) -> S,
) -> Vec<S> {
    let pairs = vhosts.iter().flat_map(|vhost| names.iter().map(move |name| (vhost, name)));
    pairs.map(|(vhost, name)| describe(vhost.clone(), name.clone())).collect()
}

fn user(name: String) -> impl Strategy<Value = Value> {
    let password = select(vec![
        json!({"password_hash": ""}),
        json!({"password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"}),
        json!({"password_hash": "AQIDBDgk9ci8Lfh6CKE9Y0AUfmU="}),
        json!({"password_hash": "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}),
        json!({"password": "secret"}),
    ]);
    let tags = prop_oneof![
        vec("[a-z]{1,5}", 0..3).prop_map(|tags| json!(tags)),
        vec("[a-z]{1,5}", 0..3).prop_map(|tags| json!(tags.join(","))),
    ];
    let limits =
        select(vec![json!({}), json!({"max-connections": 5}), json!({"max-channels": -1})]);
    (password, tags, limits).prop_map(move |(mut user, tags, limits)| {
        user["name"] = json!(name);
        user["tags"] = tags;
        user["limits"] = limits;
        user
    })
}

fn vhost(name: String) -> impl Strategy<Value = Value> {
    let facts = (name_or_nothing(), vec("[a-z]{1,5}", 0..3), any::<bool>());
    facts.prop_map(move |(description, tags, protected)| {
        let metadata = json!({"tags": tags, "protected_from_deletion": protected});
        json!({"name": name, "description": description, "metadata": metadata})
    })
}

fn name_or_nothing() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), name()]
}

fn pattern() -> impl Strategy<Value = &'static str> {
    select(vec!["", ".*", "^a", "^(?!amq\\.).*", "[a-c]{2}|é$"])
}

fn one_of(names: &[String]) -> impl Strategy<Value = String> + use<> {
    select(names.to_vec())
}

fn permission(names: Names) -> impl Strategy<Value = Value> {
    let ends = (one_of(&names.users), one_of(&names.vhosts));
    (ends, pattern(), pattern(), pattern()).prop_map(|((user, vhost), configure, write, read)| {
        json!({"user": user, "vhost": vhost, "configure": configure, "write": write, "read": read})
    })
}

fn topic_permission(names: Names) -> impl Strategy<Value = Value> {
    let ends = (one_of(&names.users), one_of(&names.vhosts), one_of(&names.exchanges));
    (ends, pattern(), pattern()).prop_map(|((user, vhost, exchange), write, read)| {
        json!({"user": user, "vhost": vhost, "exchange": exchange, "write": write, "read": read})
    })
}

fn parameter(names: Names) -> impl Strategy<Value = Value> {
    let of = |component: &'static str, name, value| move |vhost| json!({"vhost": vhost, "component": component, "name": name, "value": value});
    let vhost = one_of(&names.vhosts);
    let limits = select(vec![json!({}), json!({"max-queues": 2}), json!({"max-connections": 7})]);
    let kinds = prop_oneof![
        (name(), json()).prop_map(|(name, value)| ("shovel", name, value)),
        limits.prop_map(|value| ("vhost-limits", "limits".to_owned(), value)),
        (name(), pattern(), 0..9_i64).prop_map(|(name, pattern, priority)| {
            let definition = json!({"max-length": priority});
            let value = json!({"pattern": pattern, "definition": definition, "priority": priority});
            ("operator_policy", name, value)
        }),
    ];
    (vhost, kinds)
        .prop_map(move |(vhost, (component, name, value))| of(component, name, value)(vhost))
}

fn policy(names: Names) -> impl Strategy<Value = Value> {
    let definition = select(vec![
        json!({"max-length": 7, "overflow": "reject-publish"}),
        json!({"message-ttl": 1000}),
        json!({"alternate-exchange": "é"}),
        json!({"dead-letter-exchange": "", "dead-letter-routing-key": "x"}),
    ]);
    let apply_to = select(vec!["all", "queues", "exchanges", "classic_queues", "streams"]);
    let parts = (one_of(&names.vhosts), name(), pattern(), definition, apply_to, -9..9_i64);
    parts.prop_map(|(vhost, name, pattern, definition, apply_to, priority)| {
        json!({
            "vhost": vhost, "name": name, "pattern": pattern, "definition": definition,
            "apply-to": apply_to, "priority": priority,
        })
    })
}

fn exchange(vhost: String, name: String) -> impl Strategy<Value = Value> {
    let kinds = select(vec![
        ("direct", json!({})),
        ("fanout", json!({"alternate-exchange": "elsewhere"})),
        ("topic", json!({"x-mine": [1, 2.5, null, {"a": true}]})),
        ("headers", json!({})),
        ("x-delayed-message", json!({"x-delayed-type": "headers"})),
        ("x-recent-history", json!({"x-recent-history-length": 3})),
    ]);
    (kinds, any::<bool>(), any::<bool>()).prop_map(move |((kind, arguments), auto_delete, internal)| {
        json!({
            "vhost": vhost, "name": name, "type": kind, "durable": true, "auto_delete": auto_delete,
            "internal": internal, "arguments": arguments,
        })
    })
}

fn queue(vhost: String, name: String) -> impl Strategy<Value = Value> {
    let arguments = select(vec![
        json!({}),
        json!({"x-queue-type": "quorum", "x-delivery-limit": 3}),
        json!({"x-queue-type": "classic", "x-max-priority": 5}),
        json!({"x-message-ttl": 60_000, "x-dead-letter-exchange": "é", "x-mine": {"z": 1, "a": []}}),
        json!({"x-single-active-consumer": true, "x-expires": 1_800_000}),
    ]);
    (arguments, any::<bool>()).prop_map(move |(arguments, auto_delete)| {
        let auto_delete = auto_delete && arguments["x-queue-type"] != "quorum";
        json!({
            "vhost": vhost, "name": name, "durable": true, "auto_delete": auto_delete,
            "arguments": arguments,
        })
    })
}

fn binding(names: Names) -> impl Strategy<Value = Value> {
    let sources: Vec<_> = names.exchanges.iter().cloned().chain(["amq.topic".to_owned()]).collect();
    let ends = (one_of(&names.vhosts), select(sources), any::<bool>(), any::<Index>());
    let arguments = select(vec![json!({}), json!({"x-match": "any", "k": 1}), json!({"é": "v"})]);
    (ends, name_or_nothing(), arguments).prop_map(move |(ends, key, arguments)| {
        let (vhost, source, is_to_queue, index) = ends;
        let to = if is_to_queue { &names.queues } else { &names.exchanges };
        json!({
            "vhost": vhost, "source": source, "destination": index.get(to),
            "destination_type": if is_to_queue { "queue" } else { "exchange" },
            "routing_key": key, "arguments": arguments,
        })
    })
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        name_or_nothing().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(name(), inner, 0..3).prop_map(|map| Value::from(Map::from_iter(map))),
        ]
    })
}
