//! Replicas. This broker is a single node: every queue has one, which is here and leads.

use leveret_core::QueueType;
use serde_json::json;

use super::call::{Answer, Call};
use super::error::Refusal;
use super::list;
use super::node;
use super::queues::find;
use super::reply::Reply;

/// `POST /rebalance/queues`: they are where they can be.
pub fn rebalance(_: &Call) -> Answer {
    Ok(Reply::no_content())
}

/// `POST /queues/:vhost/:queue/actions`: what mirrored queues once needed.
pub fn act(call: &Call) -> Answer {
    find(call)?;
    let fields = call.fields()?;
    fields.require(&["action"])?;
    match fields.text("action")? {
        Some("sync" | "cancel_sync") => Ok(Reply::no_content()),
        action => {
            let action = action.unwrap_or_default();
            Err(Refusal::bad_request(format!("unknown action '{action}'")))
        }
    }
}

/// `GET /queues/quorum/:vhost/:queue/status`.
pub fn status(call: &Call) -> Answer {
    check_quorum(call)?;
    let member =
        json!({ "Node Name": node::name(), "Raft State": "leader", "Membership": "voter" });
    list::answer_whole(call, [member])
}

/// `POST /queues/quorum/:vhost/:queue/replicas/add`: this node has one already.
pub fn add(call: &Call) -> Answer {
    check_quorum(call)?;
    match node_in_body(call)? == node::name() {
        true => Ok(Reply::no_content()),
        false => Err(Refusal::bad_request("node_not_running")),
    }
}

/// `DELETE /queues/quorum/:vhost/:queue/replicas/delete`.
pub fn remove(call: &Call) -> Answer {
    check_quorum(call)?;
    match node_in_body(call)? == node::name() {
        true => Err(Refusal::bad_request(LAST_REPLICA)),
        false => Err(Refusal::bad_request("not_a_member")),
    }
}

/// `POST /queues/quorum/replicas/on/:node/grow`: this node has all of them.
pub fn grow(call: &Call) -> Answer {
    call.check_node()?;
    Ok(Reply::no_content())
}

/// `DELETE /queues/quorum/replicas/on/:node/shrink`.
pub fn shrink(call: &Call) -> Answer {
    call.check_node()?;
    Err(Refusal::bad_request(LAST_REPLICA))
}

fn check_quorum(call: &Call) -> Result<(), Refusal> {
    let (_, id) = find(call)?;
    let topology = call.node().topology();
    match topology.queue_by_id(id).map(|queue| queue.spec.queue_type()) {
        Some(QueueType::Quorum) => Ok(()),
        _ => Err(Refusal::bad_request("not a quorum queue")),
    }
}

fn node_in_body(call: &Call) -> Result<String, Refusal> {
    let fields = call.fields()?;
    fields.require(&["node"])?;
    Ok(fields.text("node")?.unwrap_or_default().to_owned())
}

const LAST_REPLICA: &str = "the only replica of a queue cannot be removed";
