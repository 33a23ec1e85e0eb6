//! The node: one process on one machine, and what it uses of it.

use std::fs;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::{list, overview};
use crate::server::clock;

/// What the node is called: RabbitMQ's form, with this product's name in front.
pub fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        format!("leveret@{}", if host.is_empty() { "localhost" } else { host })
    })
}

/// `GET /nodes`.
pub fn list(call: &Call) -> Answer {
    call.caller.check_monitoring()?;
    list::answer_whole(call, vec![describe(call)])
}

/// `GET /nodes/:node`.
pub fn show(call: &Call) -> Answer {
    call.caller.check_monitoring()?;
    match call.part("node") == name() {
        true => list::answer_one(call, describe(call)),
        false => Err(Refusal::no_such_object()),
    }
}

fn describe(call: &Call) -> Value {
    let node = call.node();
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
        "proc_used": runtime.num_alive_tasks(),
        "proc_total": node.config.connections_max,
        "sockets_used": node.connections.len(),
        "sockets_total": node.config.connections_max,
        "fd_used": open_files(),
        "fd_total": open_files_max(),
        "mem_used": memory_bytes(),
        "mem_limit": memory_bytes_max(),
        "mem_alarm": false,
        "mem_calculation_strategy": "rss",
        "disk_free_limit": 0,
        "disk_free_alarm": false,
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

/// Resident memory of the process, in bytes; `None` where the system does not say.
fn memory_bytes() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Memory of the machine, in bytes.
fn memory_bytes_max() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

fn open_files() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}

/// The soft limit of the process.
fn open_files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    limit.split_whitespace().next()?.parse().ok()
}

/// The value of a line such as `VmRSS:   1234 kB`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_in_bytes() {
        let text = "Name:\tleveret\nVmRSS:\t    12 kB\nVmData:\tx kB\n";
        assert_eq!(kibibytes(text, "VmRSS:"), Some(12 * 1024));
        assert_eq!(kibibytes(text, "VmData:"), None);
        assert_eq!(kibibytes(text, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_files_and_memory() {
        assert!(memory_bytes().unwrap() < memory_bytes_max().unwrap());
        assert!(open_files().unwrap() > 0);
        assert!(open_files_max().unwrap() > 0);
    }

    #[test]
    fn the_node_is_named_after_its_machine() {
        assert!(name().strip_prefix("leveret@").is_some_and(|host| !host.is_empty()));
    }
}
