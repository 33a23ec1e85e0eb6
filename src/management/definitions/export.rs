//! What lasts of a broker, but for messages, as definitions: sorted, the same whatever the order was in
//! which it was made.

use std::cmp::Ordering;

use leveret_core::{
    BindingEntry, Destination, ExchangeEntry, PolicyKind, QueueEntry, QueueKind, Syntax, Topology,
};
use serde_json::{Map, Value, json};

use super::{CLUSTER, LIMITS, LIMITS_NAME, OPERATOR_POLICY, SCRAM_KEYS, SINGLE_VHOST};
use crate::config::Config;
use crate::management::{arguments, limits, overview, permissions, policies, users};

/// Describes a part of a virtual host.
type Describe = fn(&Topology, &str) -> Vec<Value>;

/// Everything.
pub fn whole(config: &Config, topology: &Topology) -> Value {
    let vhosts: Vec<&str> = topology.vhosts().collect();
    let of_all = |list: Describe| -> Value {
        vhosts.iter().flat_map(|vhost| list(topology, vhost)).collect()
    };
    let mut definitions = head(config, topology, CLUSTER);
    let lists = [
        ("users", topology.users().map(|(name, user)| describe_user(name, user)).collect()),
        ("vhosts", vhosts.iter().map(|vhost| describe_vhost(topology, vhost)).collect()),
        ("permissions", permissions::describe_all(topology)),
        ("topic_permissions", permissions::describe_all_topics(topology)),
        ("parameters", of_all(parameters_of)),
        ("global_parameters", global_parameters(topology)),
        ("policies", of_all(policies_of)),
        ("queues", of_all(queues_of)),
        ("exchanges", of_all(exchanges_of)),
        ("bindings", of_all(bindings_of)),
    ];
    definitions.extend(lists.map(|(name, list)| (name.to_owned(), list)));
    Value::Object(definitions)
}

/// What is in one virtual host, without its name.
pub fn of_vhost(config: &Config, topology: &Topology, vhost: &str) -> Value {
    let mut definitions = head(config, topology, SINGLE_VHOST);
    definitions.insert("original_vhost_name".to_owned(), json!(vhost));
    let lists: [(&str, Describe); 5] = [
        ("parameters", parameters_of),
        ("policies", policies_of),
        ("queues", queues_of),
        ("exchanges", exchanges_of),
        ("bindings", bindings_of),
    ];
    for (name, list) in lists {
        let nameless = list(topology, vhost).into_iter().map(without_vhost).collect();
        definitions.insert(name.to_owned(), nameless);
    }
    Value::Object(definitions)
}

fn without_vhost(mut entry: Value) -> Value {
    if let Value::Object(fields) = &mut entry {
        fields.remove("vhost");
    }
    entry
}

fn head(config: &Config, topology: &Topology, format: &str) -> Map<String, Value> {
    let version = &config.amqp_version;
    let cluster = overview::name_of_cluster(topology);
    let head = [
        ("rabbit_version", json!(version)),
        ("rabbitmq_version", json!(version)),
        ("product_name", json!(config.amqp_product)),
        ("product_version", json!(env!("CARGO_PKG_VERSION"))),
        ("rabbitmq_definition_format", json!(format)),
        ("original_cluster_name", json!(cluster)),
        ("explanation", json!(format!("Definitions of {cluster}"))),
    ];
    head.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

fn describe_user(name: &str, user: &leveret_core::User) -> Value {
    let mut described = users::describe(name, user);
    if !user.scram_keys.is_empty() {
        described[SCRAM_KEYS] = json!(user.scram_keys);
    }
    described
}

fn describe_vhost(topology: &Topology, vhost: &str) -> Value {
    let facts = topology.vhost_facts(vhost).cloned().unwrap_or_default();
    json!({
        "name": vhost,
        "description": facts.description,
        "tags": facts.tags,
        "default_queue_type": "classic",
        "metadata": {
            "description": facts.description,
            "tags": facts.tags,
            "default_queue_type": "classic",
            "protected_from_deletion": facts.protected,
        },
    })
}

/// The parameters of a virtual host. RabbitMQ keeps operator policies and limits as such.
pub fn parameters_of(topology: &Topology, vhost: &str) -> Vec<Value> {
    let parameter = |component: &str, name: &str, value: &Value| json!({ "vhost": vhost, "component": component, "name": name, "value": value });
    let named = topology.parameters_of(vhost);
    let mut parameters: Vec<Value> =
        named.map(|(name, value)| parameter(&name.component, &name.name, value)).collect();
    let operators = topology.policies(vhost, PolicyKind::Operator);
    parameters.extend(operators.map(|(name, policy)| {
        let mut value = without_vhost(policies::describe(vhost, name, policy));
        value.as_object_mut().and_then(|value| value.remove("name"));
        parameter(OPERATOR_POLICY, name, &value)
    }));
    let of_vhost = topology.vhost_limits(vhost);
    if !of_vhost.is_empty() {
        parameters.push(parameter(LIMITS, LIMITS_NAME, &limits::object(of_vhost)));
    }
    sorted(parameters, &["component", "name"])
}

/// Those that have a component are the broker's own.
fn global_parameters(topology: &Topology) -> Value {
    let global = topology.parameters().filter(|(name, _)| name.is_global());
    global.map(|(name, value)| json!({ "name": &*name.name, "value": value })).collect()
}

fn policies_of(topology: &Topology, vhost: &str) -> Vec<Value> {
    let policies = topology.policies(vhost, PolicyKind::User);
    policies.map(|(name, policy)| policies::describe(vhost, name, policy)).collect()
}

fn queues_of(topology: &Topology, vhost: &str) -> Vec<Value> {
    let kept = topology.queues(vhost).into_iter().filter(|queue| is_kept(queue));
    let described = kept.map(|queue| {
        json!({
            "name": &*queue.name,
            "vhost": vhost,
            "durable": true,
            "auto_delete": queue.spec.auto_delete,
            "arguments": arguments::to_json(&queue.spec.arguments),
        })
    });
    described.collect()
}

/// Sessions of MQTT are not made by declarations.
fn is_kept(queue: &QueueEntry) -> bool {
    queue.spec.is_durable() && queue.spec.kind == QueueKind::Classic
}

fn exchanges_of(topology: &Topology, vhost: &str) -> Vec<Value> {
    let is_own = |exchange: &ExchangeEntry| exchange.name.is_empty() || is_reserved(&exchange.name);
    let kept = topology.exchanges(vhost).filter(|it| it.spec.durable && !is_own(it));
    let described = kept.map(|exchange| {
        json!({
            "name": &*exchange.name,
            "vhost": vhost,
            "type": exchange.spec.kind.name(),
            "durable": true,
            "auto_delete": exchange.spec.auto_delete,
            "internal": exchange.spec.internal,
            "arguments": arguments::to_json(&exchange.spec.arguments),
        })
    });
    described.collect()
}

fn is_reserved(name: &str) -> bool {
    name.starts_with("amq.")
}

fn bindings_of(topology: &Topology, vhost: &str) -> Vec<Value> {
    let is_durable = |name: &str| topology.exchange(vhost, name).is_ok_and(|it| it.spec.durable);
    let lasts = |binding: &BindingEntry<'_>| {
        let is_explicit = !binding.source.is_empty() && binding.syntax == Syntax::Amqp;
        let leads_somewhere = match &binding.destination {
            Destination::Queue(id) => topology.queue_by_id(*id).is_some_and(is_kept),
            Destination::Exchange(name) => is_durable(name),
        };
        is_explicit && is_durable(binding.source) && leads_somewhere
    };
    let described = topology.bindings(vhost).into_iter().filter(lasts).map(|binding| {
        json!({
            "source": binding.source,
            "vhost": vhost,
            "destination": binding.destination_name,
            "destination_type": match binding.destination {
                Destination::Queue(_) => "queue",
                Destination::Exchange(_) => "exchange",
            },
            "routing_key": binding.key,
            "arguments": arguments::to_json(binding.arguments),
        })
    });
    // Not in the order of lists, which depends on types that JSON has not.
    let order = ["source", "destination_type", "destination", "routing_key", "arguments"];
    sorted(described.collect(), &order)
}

fn sorted(mut entries: Vec<Value>, by: &[&str]) -> Vec<Value> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    entries.sort_by(|a, b| {
        let orders = by.iter().map(|field| text(&a[field]).cmp(&text(&b[field])));
        orders.fold(Ordering::Equal, Ordering::then)
    });
    entries
}
