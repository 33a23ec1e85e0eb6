//! Consumers: who takes messages from which queue.
//!
//! Those of clients within this program have no connection and are not listed.

use std::sync::Arc;

use leveret_core::{ConsumerId, QueueId};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::connections::{self, Connected};
use super::{arguments, list, node};
use crate::server::connections::ConsumerFacts;

/// `GET /consumers` and `/consumers/:vhost`.
pub fn list(call: &Call) -> Answer {
    let connected = connections::visible(call)?;
    list::answer_whole(call, connected.iter().flat_map(|it| of_connection(call, it, |_| true)))
}

/// The consumers of a channel.
pub fn of_channel(call: &Call, connected: &Connected, channel: u16) -> Value {
    of_connection(call, connected, |facts| facts.channel == channel).into()
}

/// The consumers of a queue, and what their state is.
pub struct OfQueue {
    /// As they are shown.
    pub shown: Vec<Value>,
    /// The tag of the only one that is served, if there may be one only.
    pub single_active: Option<String>,
    /// The tag of the one that has the queue alone.
    pub exclusive: Option<String>,
}

impl OfQueue {
    /// Looks for them.
    pub fn find(call: &Call, queue: QueueId) -> OfQueue {
        let (ids, active) = ids_of(call, queue);
        let mut found = OfQueue { shown: Vec::new(), single_active: None, exclusive: None };
        for id in ids {
            let Some(connected) = call.node().connections.find(id.connection) else { continue };
            let Some(connected) = Connected::of(connected) else { continue };
            let facts = connected.peer.activity().consumers.get(&id.number).cloned();
            let Some(facts) = facts else { continue };
            if active == Some(id) {
                found.single_active = Some(facts.tag.to_string());
            }
            if facts.exclusive {
                found.exclusive = Some(facts.tag.to_string());
            }
            found.shown.extend(describe(call, &connected, &facts, is_served(active, id)));
        }
        found
    }
}

fn of_connection(
    call: &Call,
    connected: &Connected,
    wanted: impl Fn(&ConsumerFacts) -> bool,
) -> Vec<Value> {
    let consumers = connected.peer.activity().consumers.clone();
    let consumers = consumers.into_iter().filter(|(_, facts)| wanted(facts));
    let describe = |(number, facts): (u64, Arc<ConsumerFacts>)| {
        let id = ConsumerId { connection: connected.peer.id, number };
        let (_, active) = ids_of(call, facts.queue);
        describe(call, connected, &facts, is_served(active, id))
    };
    consumers.filter_map(describe).collect()
}

/// All consumers of a queue, and the one that is served alone if there may be one only.
fn ids_of(call: &Call, queue: QueueId) -> (Vec<ConsumerId>, Option<ConsumerId>) {
    call.node().shard_of(queue).post(|work| match work.state.queue(queue) {
        Some(queue) => (queue.consumers().collect(), queue.active_consumer()),
        None => (Vec::new(), None),
    })
}

fn is_served(active: Option<ConsumerId>, id: ConsumerId) -> bool {
    active.is_none_or(|active| active == id)
}

/// `None` if the queue is gone.
fn describe(
    call: &Call,
    connected: &Connected,
    facts: &ConsumerFacts,
    is_served: bool,
) -> Option<Value> {
    let topology = call.node().topology();
    let queue = topology.queue_by_id(facts.queue)?;
    let status = match is_served {
        false => "waiting",
        true if queue.settings().single_active_consumer => "single_active",
        true => "up",
    };
    let timeout_ms = call.node().settings_of(queue).consumer_timeout_ms;
    Some(json!({
        "consumer_tag": &*facts.tag,
        "queue": { "name": &*queue.name, "vhost": &*queue.vhost },
        "channel_details": {
            "name": format!("{} ({})", connected.name, facts.channel),
            "node": node::name(),
            "number": facts.channel,
            "connection_name": connected.name,
            "peer_host": connected.peer_host(),
            "peer_port": connected.peer.link.peer.port(),
            "user": connected.login.user,
        },
        "ack_required": !facts.no_ack,
        "active": is_served,
        "activity_status": status,
        "arguments": arguments::to_json(&facts.arguments),
        "exclusive": facts.exclusive,
        "prefetch_count": facts.prefetch,
        "consumer_timeout": timeout_ms.unwrap_or(0),
    }))
}
