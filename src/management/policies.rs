//! Policies and operator policies.

use std::sync::Arc;

use leveret_core::{ApplyTo, NamePattern, Policy, PolicyKind, TopologyCommand, TopologyError};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::fields::Fields;
use super::reply::Reply;
use super::{arguments, list};

/// `GET /policies` and `/policies/:vhost`.
pub fn list(call: &Call) -> Answer {
    list_of(call, PolicyKind::User)
}

/// `GET /operator-policies` and `/operator-policies/:vhost`.
pub fn list_operators(call: &Call) -> Answer {
    list_of(call, PolicyKind::Operator)
}

/// `GET /policies/:vhost/:name`.
pub fn show(call: &Call) -> Answer {
    show_of(call, PolicyKind::User)
}

/// `GET /operator-policies/:vhost/:name`.
pub fn show_operators(call: &Call) -> Answer {
    show_of(call, PolicyKind::Operator)
}

/// `PUT /policies/:vhost/:name`.
pub fn put(call: &Call) -> Answer {
    put_of(call, PolicyKind::User)
}

/// `PUT /operator-policies/:vhost/:name`.
pub fn put_operators(call: &Call) -> Answer {
    put_of(call, PolicyKind::Operator)
}

/// `DELETE /policies/:vhost/:name`.
pub fn delete(call: &Call) -> Answer {
    delete_of(call, PolicyKind::User)
}

/// `DELETE /operator-policies/:vhost/:name`.
pub fn delete_operators(call: &Call) -> Answer {
    delete_of(call, PolicyKind::Operator)
}

fn list_of(call: &Call, kind: PolicyKind) -> Answer {
    let vhosts = call.vhosts()?;
    let topology = call.node().topology();
    let of_vhost = |vhost: &Arc<str>| {
        let policies = topology.policies(vhost, kind);
        policies.map(|(name, policy)| describe(vhost, name, policy)).collect::<Vec<_>>()
    };
    list::answer_items(call, vhosts.iter().flat_map(of_vhost).collect::<Vec<_>>(), ["name"])
}

fn show_of(call: &Call, kind: PolicyKind) -> Answer {
    let vhost = call.vhost()?;
    let name = call.part("name");
    let topology = call.node().topology();
    let found = topology.policies(&vhost, kind).find(|(known, _)| *known == name);
    let (name, policy) = found.ok_or_else(Refusal::no_such_object)?;
    list::answer_one(call, describe(&vhost, name, policy))
}

fn put_of(call: &Call, kind: PolicyKind) -> Answer {
    let vhost = call.vhost()?;
    let (name, fields) = (call.part("name"), call.fields()?);
    call.check_name(name)?;
    fields.require(&["pattern", "definition"])?;
    let policy = policy(&fields, kind)?;
    let command = TopologyCommand::PutPolicy { vhost, kind, name: name.into(), policy };
    let commanded = call.node().command(command).map_err(|error| match error {
        TopologyError::Policy(flaw) => invalid(flaw),
        error => error.into(),
    })?;
    Ok(Reply::put(!commanded.applied.outcome.existed()).after(commanded.promise))
}

fn delete_of(call: &Call, kind: PolicyKind) -> Answer {
    let (vhost, name) = (call.vhost()?, call.part("name").into());
    call.delete(TopologyCommand::DeletePolicy { vhost, kind, name })
}

/// A policy, as fields say it.
///
/// # Errors
/// If it cannot be one, whatever its definition says.
pub fn policy(fields: &Fields, kind: PolicyKind) -> Result<Policy, Refusal> {
    let pattern = fields.text("pattern")?.unwrap_or_default();
    let pattern: NamePattern = pattern.parse().map_err(invalid)?;
    let apply_to = match (fields.text("apply-to")?, kind) {
        (Some(name), _) => name.parse().map_err(invalid)?,
        (None, PolicyKind::User) => ApplyTo::All,
        (None, PolicyKind::Operator) => ApplyTo::Queues,
    };
    let definition = match fields.get("definition") {
        Some(Value::Object(_)) => arguments::from_json(fields.get("definition"))?,
        _ => return Err(invalid("definition must be an object")),
    };
    let priority = match fields.get("priority") {
        None | Some(Value::Null) => 0,
        Some(number) => number.as_i64().ok_or_else(|| invalid("priority must be an integer"))?,
    };
    Ok(Policy { pattern, apply_to, definition, priority })
}

fn invalid(flaw: impl std::fmt::Display) -> Refusal {
    Refusal::bad_request(format!("Validation failed\n\n{flaw}\n"))
}

/// A policy as management shows it.
pub fn describe(vhost: &str, name: &str, policy: &Policy) -> Value {
    json!({
        "vhost": vhost,
        "name": name,
        "pattern": policy.pattern.as_str(),
        "apply-to": policy.apply_to.name(),
        "definition": arguments::to_json(&policy.definition),
        "priority": policy.priority,
    })
}
