//! Runtime parameters. Operator policies and limits of virtual hosts are among them, in RabbitMQ's form. What
//! definitions bring for components that are not here is kept; more of it cannot be set, as with RabbitMQ.

use std::sync::Arc;

use leveret_core::{Limit, ParameterName, PolicyKind, Position, TopologyCommand};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::definitions::{
    LIMITS, LIMITS_NAME, OPERATOR_POLICY, POLICY, commands_of_parameter, parameters_of,
};
use super::error::Refusal;
use super::fields::Fields;
use super::list;
use super::reply::Reply;

/// `GET /parameters`, with or without a component and a virtual host.
pub fn list(call: &Call) -> Answer {
    list::answer_items(call, described(call), ["name", "component"])
}

/// `GET /parameters/:component/:vhost/:name`.
pub fn show(call: &Call) -> Answer {
    let mut found = described(call);
    found.retain(|parameter| parameter["name"] == call.part("name"));
    list::answer_one(call, found.pop().ok_or_else(Refusal::no_such_object)?)
}

/// `PUT /parameters/:component/:vhost/:name`.
pub fn put(call: &Call) -> Answer {
    let name = name(call)?;
    let component = &*name.component;
    if ![OPERATOR_POLICY, LIMITS].contains(&component) {
        let reason = format!("Validation failed\n\ncomponent {component} not found\n");
        return Err(Refusal::bad_request(reason));
    }
    let body = call.fields()?;
    body.require(&["value"])?;
    let value = body.get("value").cloned().unwrap_or_default();
    let fields = json!({
        "vhost": name.vhost, "component": name.component, "name": name.name, "value": value,
    });
    let Value::Object(fields) = fields else { return Err(Refusal::not_json()) };
    let commands = commands_of_parameter(&Fields::from(fields))?;
    let existed = !find(call, &name).is_empty();
    Ok(Reply::put(!existed).after(carry_out(call, commands)?))
}

/// `DELETE /parameters/:component/:vhost/:name`.
pub fn delete(call: &Call) -> Answer {
    let name = name(call)?;
    let commands = find(call, &name);
    if commands.is_empty() {
        return Err(Refusal::no_such_object());
    }
    Ok(Reply::no_content().after(carry_out(call, commands)?))
}

fn carry_out(call: &Call, commands: Vec<TopologyCommand>) -> Result<Option<Position>, Refusal> {
    let mut promise = None;
    for command in commands {
        promise = promise.max(call.node().command(command)?.promise);
    }
    Ok(promise)
}

fn described(call: &Call) -> Vec<Value> {
    let wanted = |part: &str, name: &str| call.part(part).is_empty() || call.part(part) == name;
    let topology = call.node().topology();
    let vhosts = topology.vhosts().filter(|it| wanted("vhost", it) && call.caller.sees(it));
    let mut all: Vec<_> = vhosts.flat_map(|vhost| parameters_of(&topology, vhost)).collect();
    all.retain(|it| wanted("component", it["component"].as_str().unwrap_or_default()));
    all
}

/// What the path names, if the caller may change it.
fn name(call: &Call) -> Result<ParameterName, Refusal> {
    let vhost = Some(call.vhost()?);
    let (component, name) = (call.part("component"), call.part("name"));
    call.check_name(component)?;
    call.check_name(name)?;
    match component {
        OPERATOR_POLICY => call.caller.check_administrator()?,
        LIMITS => {
            call.caller.check_administrator()?;
            if name != LIMITS_NAME {
                let reason = format!("{LIMITS} have the name '{LIMITS_NAME}'");
                return Err(Refusal::bad_request(reason));
            }
        }
        POLICY => return Err(Refusal::bad_request("policies are set at /policies")),
        _ => {}
    }
    Ok(ParameterName { vhost, component: component.into(), name: name.into() })
}

/// What takes a parameter away; nothing if it is not there.
fn find(call: &Call, name: &ParameterName) -> Vec<TopologyCommand> {
    let topology = call.node().topology();
    let Some(vhost) = name.vhost.clone() else { return Vec::new() };
    match &*name.component {
        OPERATOR_POLICY => {
            let (kind, policy) = (PolicyKind::Operator, name.name.clone());
            let is_there = topology.policies(&vhost, kind).any(|(known, _)| *known == *policy);
            let command = TopologyCommand::DeletePolicy { vhost, kind, name: policy };
            is_there.then_some(command).into_iter().collect()
        }
        LIMITS => {
            let limits = topology.vhost_limits(&vhost).keys();
            let clear = |&limit: &Limit| TopologyCommand::ClearVhostLimit {
                vhost: Arc::clone(&vhost),
                limit,
            };
            limits.map(clear).collect()
        }
        _ => {
            let is_there = topology.parameter(name).is_some();
            let command = TopologyCommand::ClearParameter { name: name.clone() };
            is_there.then_some(command).into_iter().collect()
        }
    }
}

/// `GET /global-parameters`.
pub fn list_global(call: &Call) -> Answer {
    list::answer_items(call, global(call, |_| true), ["name"])
}

/// `GET /global-parameters/:name`.
pub fn show_global(call: &Call) -> Answer {
    let found = global(call, |name| name == call.part("name")).pop();
    list::answer_one(call, found.ok_or_else(Refusal::no_such_object)?)
}

/// `PUT /global-parameters/:name`.
pub fn put_global(call: &Call) -> Answer {
    call.check_name(call.part("name"))?;
    let fields = call.fields()?;
    fields.require(&["value"])?;
    let value = fields.get("value").cloned().unwrap_or_default();
    let command = TopologyCommand::SetParameter { name: global_name(call), value };
    let commanded = call.node().command(command)?;
    Ok(Reply::put(!commanded.applied.outcome.existed()).after(commanded.promise))
}

/// `DELETE /global-parameters/:name`.
pub fn delete_global(call: &Call) -> Answer {
    call.delete(TopologyCommand::ClearParameter { name: global_name(call) })
}

fn global_name(call: &Call) -> ParameterName {
    ParameterName::global(call.part("name").into())
}

fn global(call: &Call, wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    let topology = call.node().topology();
    let global = topology.parameters().filter(|(name, _)| name.is_global());
    let wanted = global.filter(|(name, _)| wanted(&name.name));
    wanted.map(|(name, value)| json!({ "name": &*name.name, "value": value })).collect()
}
