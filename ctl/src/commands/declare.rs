//! What makes things and changes them.

use serde_json::{Map, Value, json};

use super::{Session, exchange_part, object, user};
use crate::args::{Declare, Pair, Rules};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::fill;

/// Makes or changes something.
pub fn declare(session: &Session<'_>, declare: Declare) -> Result<(), Failure> {
    let vhost = session.vhost();
    let in_vhost = |template, name: &str| fill(template, &[vhost, exchange_part(name)]);
    let (path, about, body) = match declare {
        Declare::Queue { name, kind, transient, auto_delete, arguments } => {
            let flags = json!({ "durable": !transient, "auto_delete": auto_delete });
            let kind =
                kind.map(|kind| Pair { name: "x-queue-type".to_owned(), value: json!(kind) });
            let arguments = arguments.into_iter().chain(kind).collect();
            let path = in_vhost("queues/{vhost}/{name}", &name);
            (path, session.thing("queue", &name), with_arguments(flags, arguments))
        }
        Declare::Exchange { name, kind, transient, auto_delete, internal, arguments } => {
            let flags = json!({
                "type": kind, "durable": !transient, "auto_delete": auto_delete, "internal": internal,
            });
            let path = in_vhost("exchanges/{vhost}/{name}", &name);
            (path, session.thing("exchange", &name), with_arguments(flags, arguments))
        }
        Declare::Binding { source, destination, key, to_exchange, arguments } => {
            let body = with_arguments(json!({ "routing_key": key }), arguments);
            return bind(session, (&source, &destination, to_exchange), &body);
        }
        Declare::Vhost { name, description, tags, protected } => {
            let body = given([
                ("description", description.map(Value::from)),
                ("tags", tags.map(Value::from)),
                ("protected_from_deletion", protected.map(Value::from)),
            ]);
            (fill("vhosts/{name}", &[&name]), format!("vhost '{name}'"), body)
        }
        Declare::User(spec) => return user::add(session, &spec),
        Declare::Permissions { name, configure, write, read } => {
            let body = json!({ "configure": configure, "write": write, "read": read });
            let about = session.thing("permissions of user", &name);
            (fill("permissions/{vhost}/{user}", &[vhost, &name]), about, body)
        }
        Declare::TopicPermissions { name, exchange, write, read } => {
            let body = json!({ "exchange": exchange, "write": write, "read": read });
            let about = session.thing("topic permissions of user", &name);
            (fill("topic-permissions/{vhost}/{user}", &[vhost, &name]), about, body)
        }
        Declare::Policy(rules) => {
            let path = fill("policies/{vhost}/{name}", &[vhost, &rules.name]);
            (path, session.thing("policy", &rules.name), policy(rules))
        }
        Declare::OperatorPolicy(rules) => {
            let path = fill("operator-policies/{vhost}/{name}", &[vhost, &rules.name]);
            (path, session.thing("operator policy", &rules.name), policy(rules))
        }
        Declare::VhostLimit { limit, value } => {
            let path = fill("vhost-limits/{vhost}/{limit}", &[vhost, &limit]);
            (path, session.thing("limit", &limit), json!({ "value": value }))
        }
        Declare::UserLimit { name, limit, value } => {
            let about = format!("limit '{limit}' of user '{name}'");
            (fill("user-limits/{user}/{limit}", &[&name, &limit]), about, json!({ "value": value }))
        }
        Declare::Parameter { component, name, value } => {
            let path = fill("parameters/{component}/{vhost}/{name}", &[&component, vhost, &name]);
            let about = session.thing(&format!("{component} parameter"), &name);
            (path, about, json!({ "value": value.0 }))
        }
        Declare::GlobalParameter { name, value } => {
            let about = format!("global parameter '{name}'");
            (fill("global-parameters/{name}", &[&name]), about, json!({ "value": value.0 }))
        }
    };
    let created = session.client.send(Ask::put(path, &about, &body))?.created();
    session.declared(&about, created)
}

/// A binding has no name that one could put something to.
fn bind(session: &Session<'_>, ends: (&str, &str, bool), body: &Value) -> Result<(), Failure> {
    let about = binding(session, ends);
    let ask = Ask::post(binding_path(session, ends), &about, body.to_string());
    let created = session.client.send(ask)?.created();
    session.declared(&about, created)
}

/// What a binding of these ends is called.
pub fn binding(
    session: &Session<'_>,
    (source, destination, to_exchange): (&str, &str, bool),
) -> String {
    let kind = if to_exchange { "exchange" } else { "queue" };
    let vhost = session.vhost();
    format!("binding from exchange '{source}' to {kind} '{destination}' in vhost '{vhost}'")
}

/// Where the bindings of these ends are.
pub fn binding_path(
    session: &Session<'_>,
    (source, destination, to_exchange): (&str, &str, bool),
) -> String {
    let source = exchange_part(source);
    match to_exchange {
        true => {
            let parts = [session.vhost(), source, exchange_part(destination)];
            fill("bindings/{vhost}/e/{source}/e/{destination}", &parts)
        }
        false => {
            let parts = [session.vhost(), source, destination];
            fill("bindings/{vhost}/e/{source}/q/{destination}", &parts)
        }
    }
}

fn with_arguments(mut body: Value, arguments: Vec<Pair>) -> Value {
    body["arguments"] = Value::Object(object(arguments));
    body
}

fn given<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

fn policy(rules: Rules) -> Value {
    let mut body = json!({
        "pattern": rules.pattern,
        "definition": object(rules.definition),
        "priority": rules.priority,
    });
    if let Some(kind) = rules.apply_to {
        body["apply-to"] = json!(kind);
    }
    body
}
