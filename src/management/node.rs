//! The node: one process on one machine, and what it uses of it.

use std::fs;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::rates::{self, Named, Thing};
use super::{list, memory, overview, sampler};
use crate::server::alarms::memory_of_process;
pub use crate::server::host::node_name as name;
use crate::server::{Node, clock};

/// `GET /nodes`.
pub fn list(call: &Call) -> Answer {
    list::answer_whole(call, vec![describe(call)])
}

/// `GET /nodes/:node`.
pub fn show(call: &Call) -> Answer {
    match call.part("node") == name() {
        true => {
            let mut described = describe(call);
            if call.flag("memory") {
                described["memory"] = memory::of_node(call.node());
            }
            list::answer_one(call, described)
        }
        false => Err(Refusal::no_such_object()),
    }
}

/// What the node uses that changes, as far as the system says.
pub fn numbers(node: &Node) -> Vec<Named> {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let numbers = [
        ("sockets_used", Some(node.connections.len() as u64)),
        ("proc_used", Some(tasks as u64)),
        ("fd_used", open_files()),
        ("mem_used", memory_of_process()),
        ("disk_free", node.alarms.state().disk_free),
    ];
    numbers.into_iter().filter_map(|(name, number)| Some((name, number?))).collect()
}

fn describe(call: &Call) -> Value {
    let mut described = facts(call);
    if let Value::Object(object) = &mut described {
        rates::put(object, &call.measure(Thing::Node, &numbers(call.node())));
        rates::put(object, &call.measure(Thing::Churn, &sampler::churn(call.node())));
    }
    described
}

fn facts(call: &Call) -> Value {
    let node = call.node();
    let (alarms, limits) = (node.alarms.state(), node.alarms.limits());
    let runtime = tokio::runtime::Handle::current().metrics();
    json!({
        "name": name(),
        "type": "disc",
        "running": true,
        "being_drained": false,
        "partitions": [],
        "cluster_links": [],
        "os_pid": std::process::id().to_string(),
        "uptime": clock::now_ms().saturating_sub(node.started_at_ms),
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
        "run_queue": runtime.global_queue_depth(),
        "proc_total": node.connections_max(),
        "sockets_total": node.connections_max(),
        "fd_total": open_files_max(),
        "mem_limit": limits.memory_max,
        "mem_alarm": alarms.memory_alarm,
        "mem_calculation_strategy": "rss",
        "disk_free_limit": limits.disk_free_min,
        "disk_free_alarm": alarms.disk_alarm,
        "db_dir": node.config.data_dir.display().to_string(),
        "rates_mode": "basic",
        "exchange_types": overview::exchange_types(),
        "auth_mechanisms": [
            { "name": "PLAIN", "description": "SASL PLAIN", "enabled": true },
            { "name": "AMQPLAIN", "description": "AMQPLAIN of AMQP 0-8", "enabled": true },
        ],
        "applications": [{
            "name": "leveret",
            "description": env!("CARGO_PKG_DESCRIPTION"),
            "version": env!("CARGO_PKG_VERSION"),
        }],
        "enabled_plugins": [],
    })
}

/// Newer kernels say it as the size of the folder. In others, the entries are counted.
pub(super) fn open_files() -> Option<u64> {
    match fs::metadata("/proc/self/fd").ok()?.len() {
        0 => Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64),
        count => Some(count),
    }
}

/// The soft limit of the process.
pub(super) fn open_files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    limit.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_files() {
        assert!(open_files().unwrap() > 0);
        assert!(open_files_max().unwrap() > 0);
    }

    #[test]
    fn the_node_is_named_after_its_machine() {
        assert!(name().strip_prefix("leveret@").is_some_and(|host| !host.is_empty()));
    }
}
