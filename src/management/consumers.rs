//! Consumers: who takes messages from which queue.
//!
//! Those of clients within this program have no connection and are not listed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use leveret_core::{ConnectionId, ConsumerId, ConsumerOptions, QueueId, Table};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::connections::{self, Connected};
use super::{arguments, list, node};
use crate::server::connections::ConsumerFacts;
use crate::server::session::QUEUE_PREFIX;

/// `GET /consumers` and `/consumers/:vhost`.
pub fn list(call: &Call) -> Answer {
    let connected = connections::visible(call)?;
    let looked_at = RefCell::new(LookedAt::default());
    let render = |rows: &[&Row<'_>]| {
        let mut looked_at = looked_at.borrow_mut();
        rows.iter().map(|row| looked_at.describe(call, row.connected, &row.facts)).collect()
    };
    list::answer(call, rows(call, &connected), Row::names, render)
}

struct Row<'a> {
    connected: &'a Connected,
    facts: Arc<ConsumerFacts>,
    /// The name of the queue.
    queue: Arc<str>,
}

impl Row<'_> {
    fn names(&self) -> [&str; 3] {
        [&self.facts.tag, &self.queue, &self.connected.name]
    }
}

fn rows<'a>(call: &Call, connected: &'a [Connected]) -> Vec<Row<'a>> {
    let of = |it: &'a Connected| facts_of(call, it).into_iter().map(move |facts| (it, facts));
    let consumers: Vec<_> = connected.iter().flat_map(of).collect();
    let topology = call.node().topology();
    let row = |(connected, facts): (_, Arc<ConsumerFacts>)| {
        let queue = topology.queue_by_id(facts.queue)?.name.clone();
        Some(Row { connected, facts, queue })
    };
    consumers.into_iter().filter_map(row).collect()
}

/// The consumers of a channel.
pub fn of_channel(call: &Call, connected: &Connected, channel: u16) -> Value {
    let mut looked_at = LookedAt::default();
    let facts = facts_of(call, connected).into_iter().filter(|facts| facts.channel == channel);
    facts.filter_map(|facts| looked_at.describe(call, connected, &facts)).collect()
}

/// The consumers of a queue, and which of them have a part of their own.
#[derive(Default)]
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
        let served = Served::of(call, queue);
        let mut connections: Vec<ConnectionId> =
            served.options.keys().map(|id| id.connection).collect();
        connections.dedup();
        let mut found = OfQueue::default();
        for id in connections {
            let peer = call.node().connections.find(id);
            let Some(connected) = peer.and_then(Connected::of) else { continue };
            for facts in facts_of(call, &connected).iter().filter(|facts| facts.queue == queue) {
                let Some((id, options)) = served.find(&connected, facts) else { continue };
                if served.active == Some(*id) {
                    found.single_active = Some(facts.tag.to_string());
                }
                if options.exclusive {
                    found.exclusive = Some(facts.tag.to_string());
                }
                found.shown.extend(served.describe(call, &connected, facts));
            }
        }
        found
    }
}

/// Queues whose consumers are known already.
#[derive(Default)]
struct LookedAt(HashMap<QueueId, Served>);

impl LookedAt {
    fn describe(
        &mut self,
        call: &Call,
        connected: &Connected,
        facts: &ConsumerFacts,
    ) -> Option<Value> {
        let served = self.0.entry(facts.queue).or_insert_with(|| Served::of(call, facts.queue));
        served.describe(call, connected, facts)
    }
}

/// The consumers of one queue.
struct Served {
    options: BTreeMap<ConsumerId, ConsumerOptions>,
    /// The one that alone is served, if there may be one only.
    active: Option<ConsumerId>,
}

impl Served {
    fn of(call: &Call, queue: QueueId) -> Served {
        call.node().shard_of(queue).post(|work| match work.state.queue(queue) {
            None => Served { options: BTreeMap::new(), active: None },
            Some(queue) => Served {
                options: queue.consumers().map(|(id, it)| (id, it.clone())).collect(),
                active: queue.active_consumer(),
            },
        })
    }

    fn find(
        &self,
        connected: &Connected,
        facts: &ConsumerFacts,
    ) -> Option<(&ConsumerId, &ConsumerOptions)> {
        let wanted = ConsumerId { connection: connected.peer.id, number: facts.number };
        let (id, options) = self.options.range(wanted..).next()?;
        let is_it = match facts.number {
            OF_SESSION => id.connection == wanted.connection,
            _ => *id == wanted,
        };
        is_it.then_some((id, options))
    }

    /// `None` if the queue or the consumer is gone.
    fn describe(&self, call: &Call, connected: &Connected, facts: &ConsumerFacts) -> Option<Value> {
        let (id, options) = self.find(connected, facts)?;
        let is_served = self.active.is_none_or(|active| active == *id);
        let topology = call.node().topology();
        let queue = topology.queue_by_id(facts.queue)?;
        let status = match is_served {
            false => "waiting",
            true if self.active.is_some() => "single_active",
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
            "ack_required": !options.no_ack,
            "active": is_served,
            "activity_status": status,
            "arguments": arguments::to_json(&facts.arguments),
            "exclusive": options.exclusive,
            "prefetch_count": options.prefetch,
            "consumer_timeout": timeout_ms.unwrap_or(0),
        }))
    }
}

/// The consumers of a connection. That of an MQTT client is the one of its session: its tag is the
/// client identifier, its channel 0.
fn facts_of(call: &Call, connected: &Connected) -> Vec<Arc<ConsumerFacts>> {
    let Connected { peer, login, .. } = connected;
    if !login.protocol.is_mqtt() {
        return peer.activity().consumers.clone();
    }
    let Some(client_id) = login.client_name.as_deref() else { return Vec::new() };
    let queue = {
        let topology = call.node().topology();
        let queue = topology.queue(&login.vhost, &format!("{QUEUE_PREFIX}{client_id}"));
        queue.map(|queue| queue.id)
    };
    let session = |queue| ConsumerFacts {
        number: OF_SESSION,
        tag: client_id.into(),
        channel: 0,
        queue,
        arguments: Table::default(),
    };
    queue.into_iter().map(|queue| Arc::new(session(queue))).collect()
}

/// A session has one consumer, whatever its number. Those of AMQP are numbered from 1.
const OF_SESSION: u64 = 0;
