//! What users may do in virtual hosts, with everything and with single topics.

use std::sync::Arc;

use leveret_core::{
    NamePattern, NamePatternError, Permissions, TopicPattern, TopicPermissions, Topology,
    TopologyCommand, TopologyError, User,
};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::fields::Fields;
use super::list;
use super::reply::Reply;

/// `GET /permissions`, `/vhosts/:vhost/permissions` and `/users/:user/permissions`.
pub fn list(call: &Call) -> Answer {
    check_there(call)?;
    list::answer_items(call, described(call, &call.node().topology()), ["user", "vhost"])
}

/// `GET /permissions/:vhost/:user`.
pub fn show(call: &Call) -> Answer {
    let found = described(call, &call.node().topology()).pop();
    list::answer_one(call, found.ok_or_else(Refusal::no_such_object)?)
}

/// `PUT /permissions/:vhost/:user`.
pub fn put(call: &Call) -> Answer {
    let fields = call.fields()?;
    let permissions = of(&fields)?;
    let (user, vhost) = ends(call);
    command(call, TopologyCommand::SetPermissions { user, vhost, permissions })
}

/// `DELETE /permissions/:vhost/:user`.
pub fn clear(call: &Call) -> Answer {
    let (user, vhost) = ends(call);
    call.delete(TopologyCommand::ClearPermissions { user, vhost })
}

/// `GET /topic-permissions`, with or without a virtual host and a user.
pub fn list_topics(call: &Call) -> Answer {
    check_there(call)?;
    list::answer_items(call, described_topics(call, &call.node().topology()), TOPICS_FOUND_BY)
}

/// `GET /topic-permissions/:vhost/:user`, with or without an exchange: a list, too.
pub fn show_topics(call: &Call) -> Answer {
    let found = described_topics(call, &call.node().topology());
    match found.is_empty() {
        true => Err(Refusal::no_such_object()),
        false => list::answer_items(call, found, TOPICS_FOUND_BY),
    }
}

/// `PUT /topic-permissions/:vhost/:user`.
pub fn put_topics(call: &Call) -> Answer {
    let fields = call.fields()?;
    let (exchange, permissions) = topics_of(&fields)?;
    let (user, vhost) = ends(call);
    command(call, TopologyCommand::SetTopicPermissions { user, vhost, exchange, permissions })
}

/// `DELETE /topic-permissions/:vhost/:user`, with or without an exchange.
pub fn clear_topics(call: &Call) -> Answer {
    let exchange = Some(call.part("exchange")).filter(|name| !name.is_empty());
    let (user, vhost) = ends(call);
    let exchange = exchange.map(Arc::from);
    call.delete(TopologyCommand::ClearTopicPermissions { user, vhost, exchange })
}

/// Permissions, as fields say them.
///
/// # Errors
/// If one of the patterns is missing, or none.
pub fn of(fields: &Fields) -> Result<Permissions, Refusal> {
    fields.require(&["configure", "write", "read"])?;
    Ok(Permissions {
        configure: pattern(fields, "configure")?,
        write: pattern(fields, "write")?,
        read: pattern(fields, "read")?,
    })
}

/// An exchange, and permissions for its topics.
///
/// # Errors
/// As [`of`].
pub fn topics_of(fields: &Fields) -> Result<(Arc<str>, TopicPermissions), Refusal> {
    fields.require(&["exchange", "write", "read"])?;
    let topic = |name| {
        let text = fields.text(name)?.unwrap_or_default();
        TopicPattern::parse(text).map_err(|error| invalid(name, &error))
    };
    let permissions = TopicPermissions { write: topic("write")?, read: topic("read")? };
    Ok((fields.text("exchange")?.unwrap_or_default().into(), permissions))
}

/// The permissions of everybody.
pub fn describe_all(topology: &Topology) -> Value {
    topology.users().flat_map(|(name, user)| of_user(name, user)).map(|(_, it)| it).collect()
}

/// The topic permissions of everybody.
pub fn describe_all_topics(topology: &Topology) -> Value {
    topology
        .users()
        .flat_map(|(name, user)| topics_of_user(name, user))
        .map(|(.., it)| it)
        .collect()
}

fn command(call: &Call, command: TopologyCommand) -> Answer {
    let commanded = call.node().command(command).map_err(|error| match error {
        TopologyError::VhostNotFound(_) | TopologyError::UserNotFound(_) => {
            Refusal::bad_request("vhost_or_user_not_found")
        }
        error => error.into(),
    })?;
    Ok(Reply::put(!commanded.applied.outcome.existed()).after(commanded.promise))
}

fn ends(call: &Call) -> (Arc<str>, Arc<str>) {
    (call.part("user").into(), call.part("vhost").into())
}

/// Refuses a list about a user or a virtual host that is not there.
fn check_there(call: &Call) -> Result<(), Refusal> {
    let topology = call.node().topology();
    let (user, vhost) = (call.part("user"), call.part("vhost"));
    let is_there = (user.is_empty() || topology.user(user).is_some())
        && (vhost.is_empty() || topology.has_vhost(vhost));
    if is_there { Ok(()) } else { Err(Refusal::no_such_object()) }
}

/// Whether a part of the path names this, or nothing.
fn is_wanted(call: &Call, part: &str, name: &str) -> bool {
    let wanted = call.part(part);
    wanted.is_empty() || wanted == name
}

fn described(call: &Call, topology: &Topology) -> Vec<Value> {
    let users = topology.users().filter(|(name, _)| is_wanted(call, "user", name));
    let of_users = users.flat_map(|(name, user)| of_user(name, user));
    let wanted = of_users.filter(|(vhost, _)| is_wanted(call, "vhost", vhost));
    wanted.map(|(_, described)| described).collect()
}

/// With the virtual host.
fn of_user<'a>(name: &'a str, user: &'a User) -> impl Iterator<Item = (&'a str, Value)> {
    user.permissions.iter().map(move |(vhost, permissions)| {
        let described = json!({
            "user": name,
            "vhost": &**vhost,
            "configure": permissions.configure.as_str(),
            "write": permissions.write.as_str(),
            "read": permissions.read.as_str(),
        });
        (&**vhost, described)
    })
}

fn described_topics(call: &Call, topology: &Topology) -> Vec<Value> {
    let users = topology.users().filter(|(name, _)| is_wanted(call, "user", name));
    let of_users = users.flat_map(|(name, user)| topics_of_user(name, user));
    let wanted = of_users.filter(|(vhost, exchange, _)| {
        is_wanted(call, "vhost", vhost) && is_wanted(call, "exchange", exchange)
    });
    wanted.map(|(.., described)| described).collect()
}

/// With the virtual host and the exchange.
fn topics_of_user<'a>(
    name: &'a str,
    user: &'a User,
) -> impl Iterator<Item = (&'a str, &'a str, Value)> {
    user.topic_permissions.iter().flat_map(move |(vhost, by_exchange)| {
        by_exchange.iter().map(move |(exchange, topics)| {
            let described = json!({
                "user": name,
                "vhost": &**vhost,
                "exchange": &**exchange,
                "write": topics.write.as_str(),
                "read": topics.read.as_str(),
            });
            (&**vhost, &**exchange, described)
        })
    })
}

const TOPICS_FOUND_BY: [&str; 3] = ["user", "vhost", "exchange"];

fn pattern(fields: &Fields, name: &str) -> Result<NamePattern, Refusal> {
    let text = fields.text(name)?.unwrap_or_default();
    text.parse().map_err(|error| invalid(name, &error))
}

fn invalid(name: &str, error: &NamePatternError) -> Refusal {
    Refusal::bad_request(format!("{name} is not a valid regular expression: {error}"))
}
