//! Sessions, with and without their clients.

use std::sync::Arc;

use leveret_core::ConnectionId;
use serde_json::{Map, Value, json};

use super::subscriptions;
use super::vhost;
use crate::management::call::{Answer, Call};
use crate::management::error::Refusal;
use crate::management::reply::Reply;
use crate::management::{list, totals};
use crate::server::connections::{Introduction, Peer};
use crate::server::session::{Client, NEVER, SessionFacts};

/// `GET /mqtt/sessions`.
pub fn list(call: &Call) -> Answer {
    let vhost = vhost(call)?;
    let mut sessions = call.node().lock_sessions().facts(&vhost);
    sessions.sort_unstable_by(|a, b| a.client.id.cmp(&b.client.id));
    let peers = call.node().connections.all();
    let render = |sessions: &[&SessionFacts]| render(call, &peers, sessions);
    list::answer(call, sessions, |session: &SessionFacts| [&*session.client.id], render)
}

/// `GET /mqtt/sessions/:client_id`.
pub fn show(call: &Call) -> Answer {
    let session = find(call)?;
    let peers = call.node().connections.all();
    let shown = render(call, &peers, &[&session]).pop().flatten();
    list::answer_one(call, shown.ok_or_else(Refusal::no_such_object)?)
}

/// `DELETE /mqtt/sessions/:client_id`: its client has to go, and begins anew if it comes back.
pub fn end(call: &Call) -> Answer {
    let ended = call.node().end_session(&client(call)?);
    let promise = ended.ok_or_else(Refusal::no_such_object)?;
    Ok(Reply::no_content().after(promise))
}

/// The session that the path names.
///
/// # Errors
/// If it is not there.
pub fn find(call: &Call) -> Result<SessionFacts, Refusal> {
    let client = client(call)?;
    call.node().lock_sessions().facts_of(&client).ok_or_else(Refusal::no_such_object)
}

fn client(call: &Call) -> Result<Client, Refusal> {
    Ok(Client { vhost: vhost(call)?, id: call.part("client_id").into() })
}

fn render(call: &Call, peers: &[Arc<Peer>], sessions: &[&SessionFacts]) -> Vec<Option<Value>> {
    let queues: Vec<_> = sessions.iter().map(|session| session.queue).collect();
    let stats = totals::stats_of(call.node(), &queues);
    let topology = call.node().topology();
    let described = sessions.iter().zip(stats).map(|(session, stats)| {
        let queue = topology.queue_by_id(session.queue)?;
        let mut object = Map::new();
        let fields = [
            ("client_id", json!(&*session.client.id)),
            ("connected", json!(session.connection.is_some())),
            ("queue", json!(&*queue.name)),
            ("vhost", json!(&*queue.vhost)),
            ("durable", json!(queue.spec.durable)),
            ("expiry_interval", expiry(session.expiry_s)),
            ("has_will", json!(session.has_will)),
            ("away_since", json!(session.away_since_ms)),
            ("subscriptions", json!(subscriptions::count(&topology, session.queue))),
            ("messages", json!(stats.ready + stats.unacked)),
            ("messages_ready", json!(stats.ready)),
            ("messages_in_flight", json!(stats.unacked)),
            ("message_bytes", json!(stats.ready_bytes + stats.unacked_bytes)),
        ];
        object.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        let connection = session.connection.and_then(|id| connection(call, peers, id));
        object.insert("connection".to_owned(), connection.unwrap_or(Value::Null));
        Some(Value::Object(object))
    });
    described.collect()
}

/// In seconds; `null` is for ever.
fn expiry(seconds: u32) -> Value {
    if seconds == NEVER { Value::Null } else { json!(seconds) }
}

/// The connection of a session, if the caller may see it. The list is in the order of their numbers.
fn connection(call: &Call, peers: &[Arc<Peer>], id: ConnectionId) -> Option<Value> {
    let at = peers.binary_search_by_key(&id, |peer| peer.id).ok()?;
    let peer = &peers[at];
    let login = peer.login()?;
    if !call.caller.is_monitoring() && *login.user != *call.caller.name {
        return None;
    }
    Some(json!({
        "name": peer.name(),
        "user": login.user,
        "protocol": peer.protocol(&login),
        "keep_alive": login.heartbeat,
        "clean_start": matches!(login.introduction, Introduction::CleanStart(true)),
        "connected_at": peer.connected_at_ms,
        "peer_host": peer.link.peer.host(),
        "peer_port": peer.link.peer.port(),
    }))
}
