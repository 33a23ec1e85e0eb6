//! What the numbers of things are that are tracked.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashMap;
use leveret_core::{ConnectionId, ExchangeTraffic, QueueId};

use super::node;
use super::rates::{Named, Thing};
use super::totals;
use crate::server::Node;
use crate::server::connections::{ChannelFacts, Peer};
use crate::server::counts::Counts;

/// The numbers of these things, in the same order; `None` for those that are gone.
pub fn numbers(node: &Node, things: &[Thing]) -> Vec<Option<Vec<u64>>> {
    let ids: Vec<QueueId> = things.iter().filter_map(queue).collect();
    let mut queues = totals::find_stats(node, &ids).into_iter();
    let is_of_client = |thing: &Thing| matches!(thing, Thing::Connection(_) | Thing::Channel(..));
    let peers = match things.iter().any(is_of_client) {
        true => node.connections.all().into_iter().map(|peer| (peer.id, peer)).collect(),
        false => HashMap::new(),
    };
    let named = things.iter().map(|thing| match thing {
        Thing::Queue(_) => queues.next().flatten().map(|stats| totals::of_queue(&stats).to_vec()),
        thing => named(node, thing, &peers),
    });
    let plain = |named: Vec<Named>| named.into_iter().map(|(_, number)| number).collect();
    named.map(|named| named.map(plain)).collect()
}

fn queue(thing: &Thing) -> Option<QueueId> {
    match thing {
        Thing::Queue(id) => Some(*id),
        _ => None,
    }
}

fn named(
    node: &Node,
    thing: &Thing,
    peers: &HashMap<ConnectionId, Arc<Peer>>,
) -> Option<Vec<Named>> {
    Some(match thing {
        Thing::Node => node::numbers(node),
        Thing::Clients => totals::of_clients(&node.counts().total()).to_vec(),
        Thing::Churn => churn(node).to_vec(),
        Thing::AllQueues => totals::of_queue(&totals::total_of(node, &all_queues(node))).to_vec(),
        Thing::QueuesOf(vhosts) => {
            let queues = vhosts.iter().flat_map(|vhost| queues_of(node, vhost)).collect::<Vec<_>>();
            totals::of_queue(&totals::total_of(node, &queues)).to_vec()
        }
        Thing::Queue(id) => totals::of_queue(&node.queue_stats(*id)).to_vec(),
        Thing::Exchange(vhost, name) => {
            let topology = node.topology();
            of_exchange(&topology.exchange(vhost, name).ok()?.traffic).to_vec()
        }
        Thing::Connection(id) => of_connection(peers.get(id)?).to_vec(),
        Thing::Channel(id, number) => {
            let activity = peers.get(id)?.activity();
            of_channel(activity.channels.get(number)?).to_vec()
        }
    })
}

/// What went over a connection.
pub fn of_connection(peer: &Peer) -> Vec<Named> {
    let octets = [
        ("recv_oct", peer.traffic.received.load(Ordering::Relaxed)),
        ("send_oct", peer.traffic.sent.load(Ordering::Relaxed)),
    ];
    octets.into_iter().chain(totals::of_clients(&peer.counts())).collect()
}

/// How many of the numbers of a connection are octets; they come first.
pub const OCTETS: usize = 2;

/// What went over a channel.
pub fn of_channel(facts: &ChannelFacts) -> [Named; 12] {
    totals::of_clients(facts.counts.as_deref().unwrap_or(&Counts::default()))
}

/// What went through an exchange.
pub fn of_exchange(traffic: &ExchangeTraffic) -> [Named; 2] {
    [("publish_in", traffic.published()), ("publish_out", traffic.routed())]
}

/// What has come and gone.
pub fn churn(node: &Node) -> [Named; 7] {
    let (opened, closed) = node.connections.churn();
    let churn = &node.churn;
    [
        ("connection_created", opened),
        ("connection_closed", closed),
        ("channel_created", churn.channels_opened.count()),
        ("channel_closed", churn.channels_closed.count()),
        ("queue_declared", churn.queues_declared.count()),
        ("queue_created", churn.queues_created.count()),
        ("queue_deleted", churn.queues_deleted.count()),
    ]
}

/// The queues of all virtual hosts.
pub fn all_queues(node: &Node) -> Vec<QueueId> {
    let topology = node.topology();
    let queues = topology.vhosts().flat_map(|vhost| topology.queues(vhost));
    queues.map(|queue| queue.id).collect()
}

/// The queues of a virtual host.
pub fn queues_of(node: &Node, vhost: &str) -> Vec<QueueId> {
    node.topology().queues(vhost).iter().map(|queue| queue.id).collect()
}
