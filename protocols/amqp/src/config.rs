//! What every connection of a listener has in common: limits, proposals and server properties.

use std::time::Duration;

use crate::table::{TableBuilder, TableLimits};
use crate::value::Value;

/// Settings shared by connections through an `Arc`.
///
/// ```
/// use leveret_amqp::{Config, server_properties};
///
/// let config = Config {
///     server_properties: server_properties("Leveret", "4.1.0").into_encoded(),
///     ..Config::default()
/// };
/// assert_eq!(config.channel_max, 2047);
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// The largest frame in octets, proposed to the client and never exceeded: at least 4096.
    pub frame_max: u32,
    /// The highest channel number; 0 is no limit.
    pub channel_max: u16,
    /// The proposed heartbeat interval in seconds; 0 is off.
    pub heartbeat_secs: u16,
    /// The table of connection.start, as [`server_properties`] builds it.
    pub server_properties: Vec<u8>,
    /// Names of the mechanisms that are on, with spaces between: `PLAIN`, `AMQPLAIN`, `EXTERNAL`
    /// and `ANONYMOUS` are known.
    pub mechanisms: String,
    /// The largest message body in octets; 512 MiB is the most that has an effect.
    pub message_size_max: u64,
    /// How long a client may take until its connection.open is answered.
    pub handshake_timeout: Duration,
    /// Limits of every table that a client sends.
    pub tables: TableLimits,
    /// Limits of what a transaction holds.
    pub transactions: TransactionLimits,
}

/// What one transaction may hold. What is over closes its channel, with 406.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionLimits {
    /// Publishes and settlements.
    pub len_max: usize,
    /// Octets of the messages: names, properties and bodies.
    pub bytes_max: u64,
}

impl Default for TransactionLimits {
    fn default() -> Self {
        Self { len_max: 100_000, bytes_max: 32 << 20 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            frame_max: 131_072,
            channel_max: 2047,
            heartbeat_secs: 60,
            server_properties: server_properties("Leveret", "4.1.0").into_encoded(),
            mechanisms: "PLAIN AMQPLAIN".to_owned(),
            message_size_max: 16 << 20,
            handshake_timeout: Duration::from_secs(10),
            tables: TableLimits::default(),
            transactions: TransactionLimits::default(),
        }
    }
}

impl Config {
    /// The frame size that is proposed: the specification's minimum is also ours.
    pub(crate) fn frame_max(&self) -> u32 {
        self.frame_max.max(FRAME_MIN)
    }
}

/// The beginning of a server-properties table: `product`, `version` and the capabilities that
/// a broker of this state machine has. A broker adds its own entries.
pub fn server_properties(product: &str, version: &str) -> TableBuilder {
    let mut capabilities = TableBuilder::new();
    for name in CAPABILITIES {
        capabilities.insert(name, true);
    }
    let mut table = TableBuilder::new();
    table.insert("capabilities", Value::Table(capabilities.as_table()));
    table.insert("product", product).insert("version", version);
    table
}

/// The smallest frame_max that may be negotiated (AMQP 0-9-1 §4.2.3, frame-min-size).
pub(crate) const FRAME_MIN: u32 = 4096;

const CAPABILITIES: [&str; 9] = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
];
