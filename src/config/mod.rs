//! The configuration: one declaration per setting, three places to set it.
//!
//! Flags win over the environment, the environment wins over the file, the file wins over the
//! defaults. A key that is not declared is an error wherever it stands.

mod load;
mod setting;
mod size;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use load::{LoadError, Loaded, Task, load};
pub use setting::{ConfigError, Setting};
pub use size::ByteSize;

pub use setting::Millis;
use setting::settings;

settings! {
    /// Directory of the journal and of everything else that survives a restart.
    data_dir: PathBuf = PathBuf::from("./data"), "PATH";
    /// Addresses to listen on, separated by commas; 0.0.0.0 and :: are all of IPv4 and of IPv6.
    bind: Vec<IpAddr> = vec![IpAddr::from([0, 0, 0, 0]), IpAddr::from([0u16; 8])], "ADDRESSES";
    /// Port for AMQP 0.9.1; 0 takes a free one.
    amqp_port: u16 = 5672, "PORT";
    /// Port for MQTT 3.1.1 and 5; 0 takes a free one.
    mqtt_port: u16 = 1883, "PORT";
    /// Port for the management API; 0 takes a free one.
    http_port: u16 = 15672, "PORT";
    /// What is logged: error, warn, info, debug or trace.
    log_level: LogLevel = LogLevel::Info, "LEVEL";

    /// Where messages are kept: log (segment files), sled (a database; slower) or memory (lost at a
    /// restart).
    storage_engine: Engine = Engine::Log, "ENGINE";
    /// When a promise counts as kept: always (synced to the disk before every confirm), never (left
    /// to the operating system) or an interval in milliseconds (up to that much may be lost).
    storage_sync: SyncPolicy = SyncPolicy::Always, "POLICY";
    /// Size of a journal segment, the unit in which disk space comes back.
    storage_segment_size: ByteSize = ByteSize::mib(64), "SIZE";
    /// How much is written in a second, at the most, to give back the space of sparse segments.
    storage_rewrite_rate: ByteSize = ByteSize::mib(64), "SIZE";
    /// Journal data not yet written at which publishers are held back.
    storage_backlog_max: ByteSize = ByteSize::mib(32), "SIZE";

    /// Shards that queues are spread over; 0 takes one per processor.
    shards: u16 = 0, "COUNT";
    /// Memory for waiting messages; what is over that waits on disk.
    message_memory: ByteSize = ByteSize::mib(64), "SIZE";
    /// Free disk space below which publishers are held back, so that it lasts for what consumers do.
    /// More than three segments; 0 is no limit.
    disk_free_min: ByteSize = ByteSize::mib(200), "SIZE";
    /// Memory of the process above which publishers are held back; 0 takes 40 % of the machine's.
    memory_max: ByteSize = ByteSize(0), "SIZE";
    /// Deliveries on their way to one consumer before the queue waits for its socket.
    consumer_window: ByteSize = ByteSize::kib(512), "SIZE";
    /// Time for a consumer to acknowledge a delivery, in milliseconds, where its queue names none; then
    /// its channel is closed. 0 is without end.
    consumer_timeout: Millis = Millis(Duration::ZERO), "MS";
    /// Largest message that is accepted.
    message_size_max: ByteSize = ByteSize::mib(16), "SIZE";
    /// Client connections at a time, of all protocols.
    connections_max: u32 = 100_000, "COUNT";
    /// Time for a client to log in after it has connected, in milliseconds.
    handshake_timeout: Millis = Millis(Duration::from_secs(10)), "MS";
    /// Time for clients to take their leave at a shutdown, in milliseconds.
    shutdown_timeout: Millis = Millis(Duration::from_secs(5)), "MS";

    /// Largest AMQP frame, in bytes; clients may negotiate less.
    amqp_frame_max: u32 = 131_072, "BYTES";
    /// Channels per AMQP connection.
    amqp_channel_max: u16 = 2047, "COUNT";
    /// AMQP heartbeat that is proposed to clients, in seconds; 0 proposes none.
    amqp_heartbeat: u16 = 60, "SECONDS";
    /// Consumers per AMQP channel.
    amqp_consumers_max: u32 = 10_000, "COUNT";
    /// Publishes and settlements that one AMQP transaction may hold.
    amqp_transaction_max: u32 = 100_000, "COUNT";
    /// Size of the messages that one AMQP transaction may hold.
    amqp_transaction_size_max: ByteSize = ByteSize::mib(32), "SIZE";
    /// Product name that AMQP clients see.
    amqp_product: String = "Leveret".to_owned(), "NAME";
    /// Version that AMQP clients see; some of them compare it with RabbitMQ's.
    amqp_version: String = "4.0.0".to_owned(), "VERSION";

    /// Whether MQTT clients without a user name are let in: loopback, always or never.
    mqtt_anonymous: Anonymous = Anonymous::Loopback, "WHERE";
    /// Longest time that an MQTT session is kept without its client, in seconds.
    mqtt_session_expiry_max: u32 = u32::MAX, "SECONDS";
    /// QoS 1 and 2 messages that an MQTT client may send without waiting for their acknowledgement.
    mqtt_receive_max: u16 = 1024, "COUNT";
    /// QoS 1 and 2 messages in flight to an MQTT client that names no limit of its own.
    mqtt_inflight_max: u16 = 1024, "COUNT";
    /// Retained messages, over all topics.
    mqtt_retained_max: u32 = 1_000_000, "COUNT";
    /// Subscriptions per MQTT session.
    mqtt_subscriptions_max: u32 = 10_000, "COUNT";
    /// Longest MQTT client identifier, in bytes.
    mqtt_client_id_max: u16 = 1024, "BYTES";
}

/// A storage engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The journal in segment files.
    Log,
    /// The journal in a sled database.
    Sled,
    /// Memory only.
    Memory,
}

/// When the journal is synced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before every promise.
    Always,
    /// Every so often; promises do not wait for it.
    Interval(Duration),
    /// When the operating system likes.
    Never,
}

/// Where clients need no user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymous {
    /// From this machine only.
    Loopback,
    /// From everywhere.
    Always,
    /// From nowhere.
    Never,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

setting::words!(Engine { Log = "log", Sled = "sled", Memory = "memory" });
setting::words!(Anonymous { Loopback = "loopback", Always = "always", Never = "never" });
setting::words!(LogLevel {
    Error = "error",
    Warn = "warn",
    Info = "info",
    Debug = "debug",
    Trace = "trace",
});

impl std::str::FromStr for SyncPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "always" => Ok(SyncPolicy::Always),
            "never" => Ok(SyncPolicy::Never),
            _ => match text.parse::<Millis>() {
                Ok(Millis(interval)) if !interval.is_zero() => Ok(SyncPolicy::Interval(interval)),
                _ => Err("expected always, never or an interval in milliseconds".to_owned()),
            },
        }
    }
}

impl std::fmt::Display for SyncPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SyncPolicy::Always => f.write_str("always"),
            SyncPolicy::Never => f.write_str("never"),
            SyncPolicy::Interval(interval) => write!(f, "{}", interval.as_millis()),
        }
    }
}

impl Config {
    /// The defaults, but on free ports of the loopback address and with data in `data_dir`: for tests
    /// and for programs that embed a broker.
    pub fn local(data_dir: impl Into<PathBuf>) -> Self {
        Config {
            data_dir: data_dir.into(),
            bind: vec![IpAddr::from([127, 0, 0, 1])],
            amqp_port: 0,
            mqtt_port: 0,
            http_port: 0,
            ..Config::default()
        }
    }

    /// How many shards there are.
    pub(crate) fn shard_count(&self) -> u16 {
        match self.shards {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(64) as u16),
            count => count,
        }
    }
}
