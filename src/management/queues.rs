//! Queues: lists, single ones, declare, delete and purge.

use std::sync::Arc;

use leveret_core::{ConnectionId, QueueEntry, QueueId, QueueSpec, QueueStats, Right, Topology};
use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::consumers::OfQueue;
use super::error::Refusal;
use super::rates::{self, Thing};
use super::reply::{self, Reply};
use super::{arguments, list, node, totals};
use crate::server::clock;
use crate::server::connections::Peer;
use crate::server::control::DeleteIf;

/// Whoever works with queues here has no connection, so that an exclusive queue is always that of
/// somebody else. Connections are numbered from 1.
pub const NOBODY: ConnectionId = ConnectionId(0);

struct Row {
    id: QueueId,
    name: Arc<str>,
}

/// `GET /queues`, `/queues/detailed` and `/queues/:vhost`.
pub fn list(call: &Call) -> Answer {
    let vhosts = call.vhosts()?;
    let rows = {
        let topology = call.node().topology();
        let queues = vhosts.iter().flat_map(|vhost| topology.queues(vhost));
        queues.map(|queue| Row { id: queue.id, name: queue.name.clone() }).collect()
    };
    list::answer(call, rows, |row: &Row| [&*row.name], |rows| render(call, rows))
}

/// `GET /users/:user/queues`: the exclusive ones of the user's connections.
pub fn of_user(call: &Call) -> Answer {
    let user = call.part("user");
    let peers = call.node().connections.all().into_iter();
    let theirs: Vec<ConnectionId> = peers
        .filter(|peer| peer.login().is_some_and(|login| *login.user == *user))
        .map(|peer| peer.id)
        .collect();
    let vhosts = call.vhosts()?;
    let rows = {
        let topology = call.node().topology();
        let queues = vhosts.iter().flat_map(|vhost| topology.queues(vhost));
        let owned = queues
            .filter(|queue| queue.spec.exclusive.is_some_and(|owner| theirs.contains(&owner)));
        owned.map(|queue| Row { id: queue.id, name: queue.name.clone() }).collect()
    };
    list::answer(call, rows, |row: &Row| [&*row.name], |rows| render(call, rows))
}

/// `GET /queues/:vhost/:name`.
pub fn show(call: &Call) -> Answer {
    let vhost = call.vhost()?;
    let row = {
        let topology = call.node().topology();
        let queue = topology.queue(&vhost, call.part("queue"));
        let queue = queue.map_err(|_| Refusal::no_such_object())?;
        Row { id: queue.id, name: queue.name.clone() }
    };
    let queue = render(call, &[&row]).pop().flatten();
    let mut queue = queue.ok_or_else(Refusal::no_such_object)?;
    let consumers = OfQueue::find(call, row.id);
    queue["consumer_details"] = consumers.shown.into();
    queue["single_active_consumer_tag"] = consumers.single_active.into();
    queue["exclusive_consumer_tag"] = consumers.exclusive.into();
    list::answer_one(call, queue)
}

/// `PUT /queues/:vhost/:name`.
pub fn declare(call: &Call) -> Answer {
    let vhost = call.vhost().map_err(no_such_vhost)?;
    let name = call.part("queue");
    let fields = call.fields()?;
    let spec = QueueSpec {
        durable: fields.boolean("durable")?,
        auto_delete: fields.boolean("auto_delete")?,
        arguments: arguments::from_json(fields.get("arguments"))?,
        ..QueueSpec::default()
    };
    if name.len() > NAME_BYTES_MAX {
        return Err(Refusal::bad_request("a queue name has at most 255 bytes"));
    }
    call.node().topology().check_declare_queue(call.caller.actor(&vhost), name, &spec)?;
    let (_, commanded) = call.node().declare_queue(&vhost, name, spec, false)?;
    Ok(Reply::put(!commanded.applied.outcome.existed()).after(commanded.promise))
}

/// `DELETE /queues/:vhost/:name?if-unused=true&if-empty=true`.
pub fn delete(call: &Call) -> Answer {
    let (vhost, _) = find(call)?;
    let name = call.part("queue");
    call.check_queue(Right::Configure, &vhost, name)?;
    let only = DeleteIf { unused: call.flag("if-unused"), empty: call.flag("if-empty") };
    let commanded = call.node().delete_queue(&vhost, name, NOBODY, only)?;
    Ok(Reply::no_content().after(commanded.promise))
}

/// `DELETE /queues/:vhost/:name/contents`.
pub fn purge(call: &Call) -> Answer {
    let (vhost, id) = find(call)?;
    call.check_queue(Right::Read, &vhost, call.part("queue"))?;
    let (_, promise) = call.node().purge_queue(id);
    Ok(Reply::no_content().after(promise))
}

/// The queue that the path names, with its virtual host.
///
/// # Errors
/// If it is not there, or belongs to a connection alone.
pub fn find(call: &Call) -> Result<(Arc<str>, QueueId), Refusal> {
    let vhost = call.vhost()?;
    let topology = call.node().topology();
    let queue = topology.queue(&vhost, call.part("queue"));
    let queue = queue.map_err(|_| Refusal::no_such_object())?;
    queue.check_access(NOBODY)?;
    let id = queue.id;
    Ok((vhost, id))
}

/// A declaration names the virtual host that is missing.
pub fn no_such_vhost(refusal: Refusal) -> Refusal {
    if refusal == Refusal::no_such_object() {
        return Refusal::not_found("vhost_not_found");
    }
    refusal
}

fn render(call: &Call, rows: &[&Row]) -> Vec<Option<Value>> {
    let ids: Vec<QueueId> = rows.iter().map(|row| row.id).collect();
    let mut queues = described(&call.node().topology(), &ids);
    let with_numbers = !call.flag("disable_stats");
    if with_numbers || call.flag("enable_queue_totals") {
        let stats = totals::stats_of(call.node(), &ids);
        for ((id, queue), stats) in ids.iter().zip(&mut queues).zip(&stats) {
            if let Some(queue) = queue {
                put_numbers(call, &mut queue.object, *id, stats, with_numbers);
            }
        }
    }
    put_owners(call, &mut queues);
    queues.into_iter().map(|queue| Some(Value::Object(queue?.object))).collect()
}

struct Described {
    owner: Option<ConnectionId>,
    object: Map<String, Value>,
}

fn described(topology: &Topology, ids: &[QueueId]) -> Vec<Option<Described>> {
    let describe = |id: &QueueId| {
        let queue = topology.queue_by_id(*id)?;
        Some(Described { owner: queue.spec.exclusive, object: describe(queue) })
    };
    ids.iter().map(describe).collect()
}

fn describe(queue: &QueueEntry) -> Map<String, Value> {
    let in_force = queue.in_force();
    let object = json!({
        "name": &*queue.name,
        "vhost": &*queue.vhost,
        "type": queue.spec.queue_type().name(),
        "durable": queue.spec.durable,
        "auto_delete": queue.spec.auto_delete,
        "exclusive": queue.spec.exclusive.is_some(),
        "arguments": arguments::to_json(&queue.spec.arguments),
        "node": node::name(),
        "state": "running",
        "policy": in_force.and_then(|it| it.policy.as_deref()),
        "operator_policy": in_force.and_then(|it| it.operator_policy.as_deref()),
        "effective_policy_definition":
            in_force.map_or_else(|| json!({}), |it| arguments::to_json(&it.definition)),
    });
    match object {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn put_numbers(
    call: &Call,
    queue: &mut Map<String, Value>,
    id: QueueId,
    stats: &QueueStats,
    all: bool,
) {
    let (depth, history) = totals::measure(call, Thing::Queue(id), stats);
    rates::put(queue, &depth);
    if !all {
        return;
    }
    let bytes = [
        ("consumers", stats.consumers as u64),
        ("message_bytes", stats.ready_bytes + stats.unacked_bytes),
        ("message_bytes_ready", stats.ready_bytes),
        ("message_bytes_unacknowledged", stats.unacked_bytes),
        ("message_bytes_ram", stats.resident_bytes),
    ];
    queue.extend(bytes.map(|(name, number)| (name.to_owned(), json!(number))));
    queue.insert("message_stats".to_owned(), rates::object(&history));
    let idle_ms = clock::now_ms().saturating_sub(stats.pumped_at_ms);
    if stats.pumped_at_ms > 0 && idle_ms >= IDLE_AFTER_MS {
        queue.insert("idle_since".to_owned(), json!(reply::timestamp(stats.pumped_at_ms)));
    }
}

/// Says whose exclusive queues are.
fn put_owners(call: &Call, queues: &mut [Option<Described>]) {
    let mut owned = queues.iter_mut().flatten().filter(|queue| queue.owner.is_some()).peekable();
    if owned.peek().is_none() {
        return;
    }
    let peers = call.node().connections.all();
    for Described { owner, object } in owned {
        // The list is in the order of the numbers.
        let found = peers.binary_search_by_key(owner, |peer| Some(peer.id));
        if let Ok(at) = found {
            object.insert("owner_pid_details".to_owned(), owner_details(&peers[at]));
        }
    }
}

fn owner_details(peer: &Peer) -> Value {
    json!({
        "name": peer.name(),
        "peer_host": peer.link.peer.host(),
        "peer_port": peer.link.peer.port(),
    })
}

/// The longest name that AMQP can say.
const NAME_BYTES_MAX: usize = 255;
/// A queue that nobody has used for so long is idle.
const IDLE_AFTER_MS: u64 = 5_000;
