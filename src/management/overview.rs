//! The overview: versions, totals over everything, and listeners.

use leveret_core::{ExchangeKind, QueueId};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::rates::{self, Thing};
use super::{list, node, totals};
use crate::server::Node;
use crate::server::listener::Protocol;

/// `GET /overview`.
pub fn show(call: &Call) -> Answer {
    let node = call.node();
    let counts = Counts::of(call);
    let stats = totals::total_of(node, &counts.queues);
    let (depth, history) = totals::measure(&call.api.rates, Thing::Node, &stats);
    let version = &node.config.amqp_version;
    let mut overview = json!({
        "management_version": version,
        "rabbitmq_version": version,
        "product_name": node.config.amqp_product,
        "product_version": env!("CARGO_PKG_VERSION"),
        "erlang_version": NO_ERLANG,
        "erlang_full_version": NO_ERLANG,
        "cluster_name": node::name(),
        "cluster_tags": [],
        "node_tags": [],
        "node": node::name(),
        "rates_mode": "basic",
        "disable_stats": false,
        "enable_queue_totals": false,
        "default_queue_type": "classic",
        "is_op_policy_updating_enabled": false,
        "statistics_db_event_queue": 0,
        "exchange_types": exchange_types(),
        "message_stats": rates::object(&history),
        "queue_totals": rates::object(&depth),
        "churn_rates": churn(call),
        "object_totals": {
            "channels": counts.channels,
            "connections": counts.connections,
            "consumers": stats.consumers,
            "exchanges": counts.exchanges,
            "queues": counts.queues.len(),
        },
    });
    if call.caller.is_monitoring() {
        overview["listeners"] = listeners(node);
    }
    list::answer_one(call, overview)
}

/// `GET /cluster-name`.
pub fn cluster_name(call: &Call) -> Answer {
    list::answer_one(call, json!({ "name": node::name() }))
}

/// The types of exchanges.
pub fn exchange_types() -> Value {
    let describe = |kind: ExchangeKind| json!({ "name": kind.name(), "description": description(kind), "enabled": true });
    ExchangeKind::ALL.map(describe).into_iter().collect()
}

fn description(kind: ExchangeKind) -> String {
    match kind {
        ExchangeKind::ConsistentHash => "One destination by a hash, with weights".to_owned(),
        ExchangeKind::ModulusHash => "One destination by a hash of the routing key".to_owned(),
        ExchangeKind::Random => "One destination at random".to_owned(),
        ExchangeKind::RecentHistory => "All bindings, and new ones get what was last".to_owned(),
        ExchangeKind::Delayed => "As another type, after the time in x-delay".to_owned(),
        ExchangeKind::LocalRandom => "One queue of this node at random".to_owned(),
        _ => format!("AMQP {kind} exchange, as per the AMQP specification"),
    }
}

struct Counts {
    queues: Vec<QueueId>,
    exchanges: usize,
    connections: usize,
    channels: usize,
}

impl Counts {
    /// What the caller sees.
    fn of(call: &Call) -> Counts {
        let node = call.node();
        let (mut queues, mut exchanges) = (Vec::new(), 0);
        {
            let topology = node.topology();
            for vhost in topology.vhosts().filter(|vhost| call.caller.sees(vhost)) {
                queues.extend(topology.queues(vhost).iter().map(|queue| queue.id));
                exchanges += topology.exchanges(vhost).count();
            }
        }
        let peers = node.connections.all();
        let channels = peers.iter().map(|peer| peer.channels().len()).sum();
        Counts { queues, exchanges, connections: peers.len(), channels }
    }
}

fn churn(call: &Call) -> Value {
    let (created, closed) = call.node().connections.churn();
    let churn = [("connection_created", created), ("connection_closed", closed)];
    rates::object(&call.api.rates.measure(Thing::Churn, &churn))
}

/// The ports of the configuration, on each of its addresses; which free ones were taken instead of
/// port 0 is not known here.
fn listeners(node: &Node) -> Value {
    let config = &node.config;
    let ports = [
        (Protocol::Amqp, config.amqp_port),
        (Protocol::Mqtt, config.mqtt_port),
        (Protocol::Http, config.http_port),
        (Protocol::WebSocket, config.websocket_port),
    ];
    let known = ports.iter().filter(|(_, port)| *port != 0);
    let listeners = known.flat_map(|(protocol, port)| {
        config.bind.iter().map(move |address| {
            json!({
                "node": node::name(),
                "protocol": protocol.name(),
                "ip_address": address.to_string(),
                "port": port,
                "socket_opts": {},
            })
        })
    });
    listeners.collect()
}

/// Clients want a text here.
const NO_ERLANG: &str = "none";
