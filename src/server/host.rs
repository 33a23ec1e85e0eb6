//! The machine that the broker runs on.

use std::fs;
use std::sync::OnceLock;

/// What the machine calls itself.
pub fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        if host.is_empty() { "localhost" } else { host }.to_owned()
    })
}

/// What the node is called: RabbitMQ's form, with this product's name in front.
pub fn node_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| format!("leveret@{}", name()))
}
