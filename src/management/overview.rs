//! The overview: versions, totals over everything, and listeners.

use leveret_core::{ExchangeKind, ParameterName, QueueId, QueueStats, Topology, TopologyCommand};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::rates::{self, Rated, Thing};
use super::reply::Reply;
use super::{list, node, sampler, totals};
use crate::server::Node;
use crate::server::listener::Protocol;

/// `GET /overview`.
pub fn show(call: &Call) -> Answer {
    let node = call.node();
    let counts = Counts::of(call);
    let stats = totals::total_of(node, &counts.queues);
    let (depth, history) = totals_of(call, &stats)?;
    let version = &node.config.amqp_version;
    let mut overview = json!({
        "management_version": version,
        "rabbitmq_version": version,
        "product_name": node.config.amqp_product,
        "product_version": env!("CARGO_PKG_VERSION"),
        "erlang_version": NO_ERLANG,
        "erlang_full_version": NO_ERLANG,
        "cluster_name": name_of_cluster(&node.topology()),
        "cluster_tags": {},
        "node_tags": {},
        "node": node::name(),
        "rates_mode": "basic",
        "sample_retention_policies": {
            "global": [600, 3600, 28800, 86400],
            "basic": [600],
            "detailed": [600],
        },
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
        overview["contexts"] = contexts(node);
    }
    list::answer_one(call, overview)
}

/// `GET /cluster-name`.
pub fn cluster_name(call: &Call) -> Answer {
    list::answer_one(call, json!({ "name": name_of_cluster(&call.node().topology()) }))
}

/// `PUT /cluster-name`.
pub fn name_cluster(call: &Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["name"])?;
    let name = fields.text("name")?.unwrap_or_default();
    call.check_name(name)?;
    let command =
        TopologyCommand::SetParameter { name: cluster_name_parameter(), value: name.into() };
    Ok(Reply::no_content().after(call.node().command(command)?.promise))
}

/// The name that somebody gave the cluster, or that of its only node.
pub fn name_of_cluster(topology: &Topology) -> String {
    let wanted = cluster_name_parameter();
    let mut parameters = topology.parameters();
    let found = parameters.find(|(name, _)| **name == wanted);
    let given = found.and_then(|(_, value)| value.as_str());
    given.map_or_else(|| node::name().to_owned(), str::to_owned)
}

/// It is a global parameter, as elsewhere.
fn cluster_name_parameter() -> ParameterName {
    ParameterName::global("cluster_name".into())
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

/// What waits, and what has happened: all that clients did for those who may see everything, for
/// others what their queues have seen.
fn totals_of(call: &Call, stats: &QueueStats) -> Result<(Vec<Rated>, Vec<Rated>), Refusal> {
    if !call.caller.is_monitoring() {
        return Ok(totals::measure(call, Thing::QueuesOf(call.vhosts()?), stats));
    }
    let (depth, _) = totals::measure(call, Thing::AllQueues, stats);
    let of_clients = totals::of_clients(&call.node().counts().total());
    Ok((depth, call.measure(Thing::Clients, &of_clients)))
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
        let channels = peers.iter().map(|peer| peer.activity().channels.len()).sum();
        Counts { queues, exchanges, connections: peers.len(), channels }
    }
}

fn churn(call: &Call) -> Value {
    rates::object(&call.measure(Thing::Churn, &sampler::churn(call.node())))
}

/// Where this API is, over TCP and TLS.
fn contexts(node: &Node) -> Value {
    let open = node.listening();
    let here = open
        .iter()
        .filter(|(protocol, _)| matches!(protocol, Protocol::Http | Protocol::Https))
        .filter(|(_, address)| address.port() != 0);
    let contexts = here.map(|(protocol, address)| {
        json!({
            "description": "Leveret management",
            "path": "/",
            "ip": address.host(),
            "port": address.port(),
            "ssl": protocol.is_secure(),
            "node": node::name(),
        })
    });
    contexts.collect()
}

/// The sockets that are open.
fn listeners(node: &Node) -> Value {
    let open = node.listening();
    let listeners = open.iter().map(|(protocol, address)| {
        json!({
            "node": node::name(),
            "protocol": protocol.name(),
            "ip_address": address.host(),
            "port": address.port(),
            "tls": protocol.is_secure(),
            "socket_opts": {},
        })
    });
    listeners.collect()
}

/// Clients want a text here.
const NO_ERLANG: &str = "none";
