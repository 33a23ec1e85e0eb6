//! Connections: lists, single ones, and how to close them.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::rates::{self, Thing};
use super::reply::Reply;
use super::{arguments, list, node, sampler};
use crate::server::connections::{Login, Peer};
use crate::server::outbox::{CloseReason, Notice};
use crate::server::tls::Session;

/// A connection that has logged in: others are nobody's business yet.
pub struct Connected {
    /// The connection.
    pub peer: Arc<Peer>,
    /// What it said of itself.
    pub login: Login,
    /// Its name.
    pub name: String,
}

/// `GET /connections` and `/vhosts/:vhost/connections`.
pub fn list(call: &Call) -> Answer {
    let connected = visible(call)?;
    answer_list(call, connected)
}

/// `GET /connections/username/:user`.
pub fn of_user(call: &Call) -> Answer {
    let mut connected = visible(call)?;
    connected.retain(|it| *it.login.user == *call.part("user"));
    answer_list(call, connected)
}

/// `GET /connections/:connection`.
pub fn show(call: &Call) -> Answer {
    let connected = find(call)?;
    list::answer_one(call, describe(call, &connected))
}

/// `GET /connections/:connection/sessions`: those of AMQP 1.0, which nobody has here.
pub fn sessions(call: &Call) -> Answer {
    find(call)?;
    list::answer_whole(call, [])
}

/// `DELETE /connections/:connection`.
pub fn close(call: &Call) -> Answer {
    let connected = find(call)?;
    if *connected.login.user != *call.caller.name {
        call.caller.check_administrator()?;
    }
    close_one(call, &connected);
    Ok(Reply::no_content())
}

/// `DELETE /connections/username/:user`.
pub fn close_of_user(call: &Call) -> Answer {
    if call.part("user") != call.caller.name {
        call.caller.check_administrator()?;
    }
    let connected = visible(call)?;
    let theirs = connected.iter().filter(|it| *it.login.user == *call.part("user"));
    theirs.for_each(|it| close_one(call, it));
    Ok(Reply::no_content())
}

/// The connections that the caller sees, in the virtual host that the path names, if it names one.
///
/// # Errors
/// If that virtual host is not there, or not to be seen.
pub fn visible(call: &Call) -> Result<Vec<Connected>, Refusal> {
    let vhosts = call.vhosts()?;
    let connected = call.node().connections.all().into_iter().filter_map(Connected::of);
    let sees = |it: &Connected| {
        vhosts.contains(&it.login.vhost)
            && (call.caller.is_monitoring() || *it.login.user == *call.caller.name)
    };
    Ok(connected.filter(sees).collect())
}

/// The connection that the path names.
///
/// # Errors
/// If it is not there, or not the caller's business.
pub fn find(call: &Call) -> Result<Connected, Refusal> {
    let wanted = call.part("connection");
    let found = visible(call)?.into_iter().find(|it| it.name == wanted);
    found.ok_or_else(Refusal::no_such_object)
}

impl Connected {
    /// `None` if it has not.
    pub fn of(peer: Arc<Peer>) -> Option<Self> {
        let login = peer.login()?;
        let name = peer.name();
        Some(Connected { peer, login, name })
    }

    /// What it is found by: its name, its user and what the client calls itself.
    pub fn names(&self) -> [&str; 3] {
        [&self.name, &self.login.user, self.login.client_name.as_deref().unwrap_or_default()]
    }

    /// The client's address.
    pub fn peer_host(&self) -> String {
        self.peer.link.peer.host()
    }
}

fn answer_list(call: &Call, connected: Vec<Connected>) -> Answer {
    let render =
        |connected: &[&Connected]| connected.iter().map(|it| Some(describe(call, it))).collect();
    list::answer(call, connected, Connected::names, render)
}

fn close_one(call: &Call, connected: &Connected) {
    let reason = call.headers.get("x-reason").and_then(|reason| reason.to_str().ok());
    let reason = reason.unwrap_or(DEFAULT_REASON).chars().take(REASON_CHARS_MAX).collect();
    connected.peer.outbox.notify(Notice::Close(CloseReason::Operator(reason)));
}

fn describe(call: &Call, connected: &Connected) -> Value {
    let Connected { peer, login, name } = connected;
    let mut object = Map::new();
    let fields = [
        ("name", json!(name)),
        ("node", json!(node::name())),
        ("vhost", json!(&*login.vhost)),
        ("user", json!(login.user)),
        ("user_who_performed_action", json!(login.user)),
        ("state", json!(if peer.is_blocked() { "blocked" } else { "running" })),
        ("type", json!("network")),
        ("protocol", json!(peer.protocol(login))),
        ("host", json!(peer.link.local.host())),
        ("port", json!(peer.link.local.port())),
        ("peer_host", json!(connected.peer_host())),
        ("peer_port", json!(peer.link.peer.port())),
        ("ssl", json!(peer.link.tls.is_some())),
        ("auth_mechanism", json!(login.mechanism)),
        ("timeout", json!(login.heartbeat)),
        ("frame_max", json!(login.frame_max)),
        ("channel_max", json!(login.channel_max)),
        ("channels", json!(peer.activity().channels.len())),
        ("client_properties", arguments::to_json(&login.properties())),
        ("connected_at", json!(peer.connected_at_ms)),
    ];
    object.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    if let Some(session) = &peer.link.tls {
        object.extend(describe_tls(session));
    }
    if let Some(client_id) = login.properties().get("client_id").and_then(|id| id.as_str()) {
        object.insert("variable_map".to_owned(), json!({ "client_id": client_id }));
    }
    if let Some(client_name) = &login.client_name {
        object.insert("user_provided_name".to_owned(), json!(client_name));
    }
    let numbers = sampler::of_connection(peer);
    let mut octets = call.measure(Thing::Connection(peer.id), &numbers);
    let messages = octets.split_off(sampler::OCTETS);
    rates::put(&mut object, &octets);
    object.insert("message_stats".to_owned(), rates::object(&messages));
    Value::Object(object)
}

fn describe_tls(session: &Session) -> impl Iterator<Item = (String, Value)> {
    let client = session.client();
    let of_client = client.into_iter().flat_map(|client| {
        [
            ("peer_cert_subject", json!(client.subject)),
            ("peer_cert_issuer", json!(client.issuer)),
            ("peer_cert_validity", json!(client.validity)),
        ]
    });
    let fields = [
        ("ssl_protocol", json!(session.version())),
        ("ssl_key_exchange", json!(session.key_exchange())),
        ("ssl_cipher", json!(session.cipher())),
        ("ssl_hash", json!(CIPHERS_HAVE_THEIR_OWN)),
    ];
    fields.into_iter().chain(of_client).map(|(name, value)| (name.to_owned(), value))
}

/// What RabbitMQ says of ciphers that need no hash to authenticate what they encrypt.
const CIPHERS_HAVE_THEIR_OWN: &str = "aead";
const DEFAULT_REASON: &str = "Closed via management API";
/// What of a reason, which is ASCII, fits into the method that ends a connection.
const REASON_CHARS_MAX: usize = 200;
