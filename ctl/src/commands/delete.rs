//! What takes things away.

use serde_json::{Value, json};

use super::declare::{binding, binding_path};
use super::{Session, exchange_part, object, user};
use crate::args::{Delete, Pair};
use crate::ask;
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::{encoded, fill};

/// Deletes something.
pub fn delete(session: &Session<'_>, delete: Delete) -> Result<(), Failure> {
    let vhost = session.vhost();
    let in_vhost = |template, name: &str| fill(template, &[vhost, name]);
    let (path, about) = match delete {
        Delete::Queue { name, if_unused, if_empty } => {
            let path = in_vhost("queues/{vhost}/{name}", &name);
            let path = format!("{path}?if-unused={if_unused}&if-empty={if_empty}");
            (path, session.thing("queue", &name))
        }
        Delete::Exchange { name, if_unused } => {
            let path = in_vhost("exchanges/{vhost}/{name}", exchange_part(&name));
            (format!("{path}?if-unused={if_unused}"), session.thing("exchange", &name))
        }
        Delete::Binding { source, destination, key, to_exchange, arguments } => {
            return unbind(session, (&source, &destination, to_exchange), &key, arguments);
        }
        Delete::Vhost { name, yes } => {
            ask::confirm(yes, &format!("delete the vhost '{name}' with everything in it"))?;
            (fill("vhosts/{name}", &[&name]), format!("vhost '{name}'"))
        }
        Delete::Session { client_id } => {
            (fill("mqtt/sessions/{client_id}", &[&client_id]), format!("session '{client_id}'"))
        }
        Delete::User { name } => return user::delete(session, &name),
        Delete::Permissions { name } => {
            let about = session.thing("permissions of user", &name);
            (in_vhost("permissions/{vhost}/{user}", &name), about)
        }
        Delete::TopicPermissions { name, exchange } => {
            let path = in_vhost("topic-permissions/{vhost}/{user}", &name);
            let exchange = exchange.map(|exchange| format!("/{}", encoded(&exchange)));
            let about = session.thing("topic permissions of user", &name);
            (path + &exchange.unwrap_or_default(), about)
        }
        Delete::Policy { name } => {
            (in_vhost("policies/{vhost}/{name}", &name), session.thing("policy", &name))
        }
        Delete::OperatorPolicy { name } => {
            let path = in_vhost("operator-policies/{vhost}/{name}", &name);
            (path, session.thing("operator policy", &name))
        }
        Delete::VhostLimit { limit } => {
            (in_vhost("vhost-limits/{vhost}/{limit}", &limit), session.thing("limit", &limit))
        }
        Delete::UserLimit { name, limit } => {
            let about = format!("limit '{limit}' of user '{name}'");
            (fill("user-limits/{user}/{limit}", &[&name, &limit]), about)
        }
        Delete::Parameter { component, name } => {
            let path = fill("parameters/{component}/{vhost}/{name}", &[&component, vhost, &name]);
            (path, session.thing(&format!("{component} parameter"), &name))
        }
        Delete::GlobalParameter { name } => {
            (fill("global-parameters/{name}", &[&name]), format!("global parameter '{name}'"))
        }
    };
    session.client.send(Ask::delete(path, &about))?;
    session.deleted(&about)
}

/// The API knows a binding by a key that it gives it: the one with this routing key and these arguments
/// is looked for.
fn unbind(
    session: &Session<'_>,
    ends: (&str, &str, bool),
    key: &str,
    arguments: Vec<Pair>,
) -> Result<(), Failure> {
    let (about, path) = (binding(session, ends), binding_path(session, ends));
    let bindings = session.client.json(Ask::read(&*path, &about))?;
    let (key, arguments) = (json!(key), Value::Object(object(arguments)));
    let found = bindings.as_array().and_then(|bindings| {
        bindings.iter().find(|it| it["routing_key"] == key && it["arguments"] == arguments)
    });
    let Some(properties_key) = found.and_then(|found| found["properties_key"].as_str()) else {
        let text = format!("there is no {about} with the key {key} and these arguments.");
        return Err(Failure::new(text));
    };
    let path = format!("{path}/{}", encoded(properties_key));
    session.client.send(Ask::delete(path, &about))?;
    session.deleted(&about)
}
