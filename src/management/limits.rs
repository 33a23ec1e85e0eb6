//! Limits of virtual hosts and users.

use std::sync::Arc;

use leveret_core::{Limit, Limits, TopologyCommand};
use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::list;
use super::reply::Reply;

/// `GET /vhost-limits`, with or without a virtual host: those that have limits.
pub fn list_of_vhosts(call: &Call) -> Answer {
    let vhosts = call.vhosts()?;
    let topology = call.node().topology();
    let limited = vhosts.iter().map(|vhost| (&**vhost, topology.vhost_limits(vhost)));
    list::answer_items(call, describe("vhost", limited), ["vhost"])
}

/// `GET /user-limits`, with or without a user: those that have limits.
pub fn list_of_users(call: &Call) -> Answer {
    let (wanted, caller) = (call.part("user"), &call.caller);
    if wanted != caller.name {
        caller.check_administrator()?;
    }
    let topology = call.node().topology();
    if !wanted.is_empty() && topology.user(wanted).is_none() {
        return Err(Refusal::no_such_object());
    }
    let users = topology.users().filter(|(name, _)| wanted.is_empty() || *name == wanted);
    let limited = users.map(|(name, user)| (name, &user.limits));
    list::answer_items(call, describe("user", limited), ["user"])
}

/// `PUT /vhost-limits/:vhost/:limit`.
pub fn put_of_vhost(call: &Call) -> Answer {
    let (vhost, limit) = (call.vhost()?, limit(call, Limit::OF_VHOSTS)?);
    let max = value(call)?;
    done(call, TopologyCommand::SetVhostLimit { vhost, limit, max })
}

/// `DELETE /vhost-limits/:vhost/:limit`.
pub fn clear_of_vhost(call: &Call) -> Answer {
    let (vhost, limit) = (call.vhost()?, limit(call, Limit::OF_VHOSTS)?);
    done(call, TopologyCommand::ClearVhostLimit { vhost, limit })
}

/// `PUT /user-limits/:user/:limit`.
pub fn put_of_user(call: &Call) -> Answer {
    let (user, limit) = (user(call)?, limit(call, Limit::OF_USERS)?);
    let max = value(call)?;
    done(call, TopologyCommand::SetUserLimit { user, limit, max })
}

/// `DELETE /user-limits/:user/:limit`.
pub fn clear_of_user(call: &Call) -> Answer {
    let (user, limit) = (user(call)?, limit(call, Limit::OF_USERS)?);
    done(call, TopologyCommand::ClearUserLimit { user, limit })
}

/// Limits as an object.
pub fn object(limits: &Limits) -> Value {
    limits.iter().map(|(limit, max)| (limit.name().to_owned(), json!(max))).collect()
}

fn describe<'a>(
    kind: &'a str,
    limited: impl Iterator<Item = (&'a str, &'a Limits)> + 'a,
) -> impl Iterator<Item = Value> + 'a {
    limited.filter(|(_, limits)| !limits.is_empty()).map(move |(name, limits)| {
        let mut item = Map::new();
        item.insert(kind.to_owned(), json!(name));
        item.insert("value".to_owned(), object(limits));
        Value::Object(item)
    })
}

fn user(call: &Call) -> Result<Arc<str>, Refusal> {
    let name = call.part("user");
    match call.node().topology().user(name) {
        Some(_) => Ok(name.into()),
        None => Err(Refusal::no_such_object()),
    }
}

fn limit(call: &Call, known: &[Limit]) -> Result<Limit, Refusal> {
    let name = call.part("limit");
    let found = known.iter().find(|limit| limit.name() == name);
    found.copied().ok_or_else(|| Refusal::bad_request(format!("there is no limit '{name}'")))
}

fn value(call: &Call) -> Result<i64, Refusal> {
    let fields = call.fields()?;
    fields.require(&["value"])?;
    let value = fields.get("value").and_then(Value::as_i64);
    value.ok_or_else(|| Refusal::bad_request("value must be a whole number"))
}

/// Setting what is so already and clearing what is not set are as good.
fn done(call: &Call, command: TopologyCommand) -> Answer {
    Ok(Reply::no_content().after(call.node().command(command)?.promise))
}
