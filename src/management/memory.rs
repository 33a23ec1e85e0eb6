//! What the memory of the node is used for, in the shape of RabbitMQ's breakdown.
//!
//! Two things are known: what the process has, and what of it are messages. RabbitMQ's other parts are
//! those of an Erlang virtual machine, which clients want to see; here they are 0.

use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::{list, node, sampler, totals};
use crate::server::Node;
use crate::server::alarms::memory_of_process;

/// `GET /nodes/:node/memory`, in bytes.
pub fn show(call: &Call) -> Answer {
    let (memory, bytes) = (parts(call)?, process_bytes());
    let total = json!({ "erlang": bytes, "rss": bytes, "allocated": bytes });
    list::answer_one(call, breakdown(memory, total))
}

/// `GET /nodes/:node/memory/relative`, in percent.
pub fn show_relative(call: &Call) -> Answer {
    let (memory, bytes) = (parts(call)?, process_bytes().max(1));
    let percent = memory.into_iter().map(|(name, part)| (name, part * 100 / bytes)).collect();
    list::answer_one(call, breakdown(percent, json!(100)))
}

/// The breakdown as a field of the node.
pub fn of_node(node: &Node) -> Value {
    let bytes = process_bytes();
    let total = json!({ "erlang": bytes, "rss": bytes, "allocated": bytes });
    breakdown(parts_of(node), total)["memory"].take()
}

type Parts = Vec<(&'static str, u64)>;

fn breakdown(parts: Parts, total: Value) -> Value {
    let parts = parts.into_iter().map(|(name, part)| (name.to_owned(), json!(part)));
    let mut memory: Map<String, Value> = parts.collect();
    memory.insert("strategy".to_owned(), json!("rss"));
    memory.insert("total".to_owned(), total);
    json!({ "memory": memory })
}

fn parts(call: &Call) -> Result<Parts, Refusal> {
    match call.part("node") == node::name() {
        true => Ok(parts_of(call.node())),
        false => Err(Refusal::no_such_object()),
    }
}

fn parts_of(node: &Node) -> Parts {
    let queues = sampler::all_queues(node);
    let messages = totals::total_of(node, &queues).resident_bytes;
    let known = [("binary", messages), ("other_system", process_bytes().saturating_sub(messages))];
    known.into_iter().chain(OF_ERLANG.map(|name| (name, 0))).collect()
}

fn process_bytes() -> u64 {
    memory_of_process().unwrap_or(0)
}

const OF_ERLANG: [&str; 24] = [
    "connection_readers",
    "connection_writers",
    "connection_channels",
    "connection_other",
    "queue_procs",
    "quorum_queue_procs",
    "quorum_queue_dlx_procs",
    "stream_queue_procs",
    "stream_queue_replica_reader_procs",
    "stream_queue_coordinator_procs",
    "plugins",
    "metadata_store",
    "metadata_store_ets",
    "other_proc",
    "metrics",
    "mgmt_db",
    "mnesia",
    "quorum_ets",
    "other_ets",
    "msg_index",
    "code",
    "atom",
    "allocated_unused",
    "reserved_unallocated",
];
