//! Runtime parameters. No component of this broker has any yet, so that global ones alone can be set.

use leveret_core::{ParameterName, TopologyCommand};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::list;
use super::reply::Reply;

/// `GET /parameters`, with or without a component and a virtual host.
pub fn list(call: &Call) -> Answer {
    call.caller.check_policymaker()?;
    let wanted = |part: &str, name: &str| call.part(part).is_empty() || call.part(part) == name;
    let topology = call.node().topology();
    let described = topology.parameters().filter_map(|(name, value)| {
        let (vhost, component) = (name.vhost.as_deref()?, &*name.component);
        let is_wanted = wanted("component", component) && wanted("vhost", vhost);
        (is_wanted && call.caller.sees(vhost)).then(|| {
            json!({ "vhost": vhost, "component": component, "name": &*name.name, "value": value })
        })
    });
    list::answer_whole(call, described.collect::<Vec<_>>())
}

/// `GET` and `DELETE /parameters/:component/:vhost/:name`.
pub fn none(call: &Call) -> Answer {
    call.caller.check_policymaker()?;
    Err(Refusal::no_such_object())
}

/// `PUT /parameters/:component/:vhost/:name`.
pub fn put(call: &Call) -> Answer {
    call.caller.check_policymaker()?;
    call.vhost()?;
    let component = call.part("component");
    Err(Refusal::bad_request(format!("Validation failed\n\ncomponent {component} not found\n")))
}

/// `GET /global-parameters`.
pub fn list_global(call: &Call) -> Answer {
    call.caller.check_policymaker()?;
    list::answer_whole(call, global(call, |_| true))
}

/// `GET /global-parameters/:name`.
pub fn show_global(call: &Call) -> Answer {
    call.caller.check_policymaker()?;
    let found = global(call, |name| name == call.part("name")).pop();
    list::answer_one(call, found.ok_or_else(Refusal::no_such_object)?)
}

/// `PUT /global-parameters/:name`.
pub fn put_global(call: &Call) -> Answer {
    call.caller.check_administrator()?;
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
    call.caller.check_administrator()?;
    call.delete(TopologyCommand::ClearParameter { name: global_name(call) })
}

fn global_name(call: &Call) -> ParameterName {
    ParameterName { vhost: None, component: "".into(), name: call.part("name").into() }
}

fn global(call: &Call, wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    let topology = call.node().topology();
    let global = topology.parameters().filter(|(name, _)| name.vhost.is_none());
    let wanted = global.filter(|(name, _)| wanted(&name.name));
    wanted.map(|(name, value)| json!({ "name": &*name.name, "value": value })).collect()
}
