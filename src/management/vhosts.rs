//! Virtual hosts.

use std::sync::Arc;

use leveret_core::{Permissions, TopologyCommand, VhostFacts};
use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::fields::Fields;
use super::rates::{self, Thing};
use super::reply::Reply;
use super::{list, node, sampler, totals};

/// `GET /vhosts`.
pub fn list(call: &Call) -> Answer {
    let render =
        |vhosts: &[&Arc<str>]| vhosts.iter().map(|vhost| Some(describe(call, vhost))).collect();
    list::answer(call, call.vhosts()?, |vhost: &Arc<str>| [&**vhost], render)
}

/// `GET /vhosts/:vhost`.
pub fn show(call: &Call) -> Answer {
    let vhost = call.vhost()?;
    list::answer_one(call, describe(call, &vhost))
}

/// `PUT /vhosts/:vhost`: whoever makes one may do everything in it.
pub fn put(call: &Call) -> Answer {
    let (name, fields) = (call.part("vhost"), call.fields()?);
    call.check_name(name)?;
    let traced = fields.boolean("tracing")?;
    if !matches!(fields.text("default_queue_type")?, None | Some("" | "undefined" | "classic")) {
        return Err(Refusal::bad_request("default_queue_type can be classic only"));
    }
    let vhost: Arc<str> = name.into();
    let before = call.node().topology().vhost_facts(name).cloned();
    let facts = facts(&fields, before.unwrap_or_default())?;
    let commanded = call.node().command(TopologyCommand::DeclareVhost { vhost: vhost.clone() })?;
    let command = TopologyCommand::DescribeVhost { vhost: vhost.clone(), facts };
    let promise = call.node().command(command)?.promise.max(commanded.promise);
    if fields.get("tracing").is_some() {
        call.node().firehose.set(&vhost, traced);
    }
    if commanded.applied.outcome.existed() {
        return Ok(Reply::no_content().after(promise));
    }
    if call.caller.is_operator() || !call.caller.identity().is_internal() {
        return Ok(Reply::created().after(promise));
    }
    let (user, permissions) = (call.caller.name.as_str().into(), Permissions::everything());
    let command = TopologyCommand::SetPermissions { user, vhost, permissions };
    let promise = call.node().command(command)?.promise.max(promise);
    Ok(Reply::created().after(promise))
}

/// What is not given stays as it was.
fn facts(fields: &Fields, before: VhostFacts) -> Result<VhostFacts, Refusal> {
    Ok(VhostFacts {
        description: fields.text("description")?.map_or(before.description, str::to_owned),
        tags: fields.words("tags")?.unwrap_or(before.tags),
        protected: match fields.get("protected_from_deletion") {
            None => before.protected,
            Some(_) => fields.boolean("protected_from_deletion")?,
        },
    })
}

/// `GET /vhosts/:vhost/deletion/protection`.
pub fn protection(call: &Call) -> Answer {
    let vhost = call.vhost()?;
    let is_protected =
        call.node().topology().vhost_facts(&vhost).is_some_and(|facts| facts.protected);
    Ok(Reply::json(&json!({ "protected_from_deletion": is_protected })))
}

/// `POST /vhosts/:vhost/start/:node`: it runs already, as they all do.
pub fn start(call: &Call) -> Answer {
    call.vhost()?;
    call.check_node()?;
    Ok(Reply::no_content())
}

/// `POST /vhosts/:vhost/deletion/protection`.
pub fn protect(call: &Call) -> Answer {
    set_protected(call, true)
}

/// `DELETE /vhosts/:vhost/deletion/protection`.
pub fn unprotect(call: &Call) -> Answer {
    set_protected(call, false)
}

fn set_protected(call: &Call, protected: bool) -> Answer {
    let vhost = call.vhost()?;
    let before = call.node().topology().vhost_facts(&vhost).cloned();
    let facts = VhostFacts { protected, ..before.unwrap_or_default() };
    let commanded = call.node().command(TopologyCommand::DescribeVhost { vhost, facts })?;
    Ok(Reply::no_content().after(commanded.promise))
}

/// `DELETE /vhosts/:vhost`: ends the connections in it as well.
pub fn delete(call: &Call) -> Answer {
    let name = call.part("vhost");
    let reply = call.delete(TopologyCommand::DeleteVhost { vhost: name.into() })?;
    call.node().firehose.set(&name.into(), false);
    let reason = format!("vhost '{name}' is deleted");
    call.node().connections.close_where(&reason, |login| &*login.vhost == name);
    Ok(reply)
}

fn describe(call: &Call, vhost: &Arc<str>) -> Value {
    let queues = sampler::queues_of(call.node(), vhost);
    let stats = totals::total_of(call.node(), &queues);
    let thing = Thing::QueuesOf(vec![vhost.clone()]);
    let (depth, history) = totals::measure(call, thing, &stats);
    let facts = call.node().topology().vhost_facts(vhost).cloned().unwrap_or_default();
    let metadata = json!({ "description": facts.description, "tags": facts.tags });
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(&**vhost));
    object.insert("description".to_owned(), json!(facts.description));
    object.insert("tags".to_owned(), json!(facts.tags));
    object.insert("metadata".to_owned(), metadata);
    object.insert("default_queue_type".to_owned(), json!("classic"));
    object.insert("tracing".to_owned(), json!(call.node().firehose.traces(vhost)));
    object.insert("protected_from_deletion".to_owned(), json!(facts.protected));
    object.insert("cluster_state".to_owned(), json!({ node::name(): "running" }));
    object.insert("message_stats".to_owned(), rates::object(&history));
    rates::put(&mut object, &depth);
    Value::Object(object)
}
