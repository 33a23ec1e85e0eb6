//! The configuration: one declaration per setting, three places to set it.
//!
//! Flags win over the environment, the environment wins over the file, the file wins over the
//! defaults. A key that is not declared is an error wherever it stands.

mod auth;
mod listener;
mod load;
mod mode;
mod network;
mod port_vhosts;
mod setting;
mod size;
mod sync_policy;
mod tls;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use auth::{AuthBackend, AuthBackends, HttpMethod};
pub use listener::Listener;
pub use load::{LoadError, Loaded, Task, load};
pub use mode::FileMode;
pub use network::Network;
pub use port_vhosts::PortVhosts;
pub use setting::{ConfigError, Setting};
pub use size::ByteSize;
pub use sync_policy::SyncPolicy;
pub use tls::{ClientCertificates, TlsVersion, UserNameFrom};

pub use setting::Millis;
use setting::settings;

settings! {
    /// Directory of the journal and of everything else that survives a restart.
    data_dir: PathBuf = PathBuf::from("./data"), "PATH";
    /// File with definitions in RabbitMQ's form, imported at the start if it is not the one that was
    /// imported last; empty is none.
    load_definitions: PathBuf = PathBuf::new(), "PATH";
    /// Addresses to listen on, separated by commas; 0.0.0.0 and :: are all of IPv4 and of IPv6.
    bind: Vec<IpAddr> = vec![IpAddr::from([0, 0, 0, 0]), IpAddr::from([0u16; 8])], "ADDRESSES";
    /// What is listened for, separated by commas: amqp, mqtt, http, websocket, metrics and, if there is a
    /// tls_cert_path, amqps, mqtts, https, wss. Ports of what is left out stay closed.
    listeners: Vec<Listener> = Listener::ALL.to_vec(), "NAMES";
    /// Networks of proxies, such as `10.0.0.0/8`, separated by commas: whoever connects from there, to any
    /// port, has to begin with a header of the PROXY protocol, version 1 or 2, and is taken for the client
    /// that it names. Empty is none.
    proxy_protocol_from: Vec<Network> = Vec::new(), "NETWORKS";
    /// Port for AMQP 0.9.1; 0 takes a free one.
    amqp_port: u16 = 5672, "PORT";
    /// Port for MQTT 3.1, 3.1.1 and 5; 0 takes a free one.
    mqtt_port: u16 = 1883, "PORT";
    /// Port for the management API; 0 takes a free one.
    http_port: u16 = 15672, "PORT";
    /// Port for MQTT and AMQP over WebSocket, which are on http_port as well; 0 takes a free one.
    websocket_port: u16 = 15675, "PORT";
    /// Port for metrics in the format of Prometheus, without a login; 0 is none.
    metrics_port: u16 = 15692, "PORT";
    /// Port for AMQP 0.9.1 over TLS, if there is a tls_cert_path; 0 takes a free one.
    amqps_port: u16 = 5671, "PORT";
    /// Port for MQTT over TLS, if there is a tls_cert_path; 0 takes a free one.
    mqtts_port: u16 = 8883, "PORT";
    /// Port for the management API over TLS, if there is a tls_cert_path; 0 takes a free one.
    https_port: u16 = 15671, "PORT";
    /// Port for MQTT and AMQP over WebSocket and TLS, which are on https_port as well, if there is a
    /// tls_cert_path; 0 takes a free one.
    wss_port: u16 = 15676, "PORT";
    /// Unix socket for AMQP 0.9.1; empty is none.
    amqp_unix_path: PathBuf = PathBuf::new(), "PATH";
    /// Unix socket for MQTT 3.1, 3.1.1 and 5; empty is none.
    mqtt_unix_path: PathBuf = PathBuf::new(), "PATH";
    /// Unix socket for the management API, by its place in data_dir or its whole path; only root and the
    /// user that the broker runs as may open it, and they need no login there. Empty is none.
    http_unix_path: PathBuf = PathBuf::from("leveret.sock"), "PATH";
    /// Who may connect to Unix sockets of AMQP and MQTT, as an octal file mode: who may write may connect.
    unix_socket_mode: FileMode = FileMode(0o660), "MODE";
    /// What is logged: error, warn, info, debug or trace.
    log_level: LogLevel = LogLevel::Info, "LEVEL";
    /// File that logins and changes by administrators are appended to, a line of JSON for each; `-` puts
    /// them into the log. Empty is none. It is opened again at a SIGHUP.
    audit_log_path: PathBuf = PathBuf::new(), "PATH";

    /// PEM file with the certificate that clients see, and the intermediate ones behind it. Empty is no
    /// TLS. It is read again at a SIGHUP, as the other files for TLS are.
    tls_cert_path: PathBuf = PathBuf::new(), "PATH";
    /// PEM file with the private key of the certificate; empty if it is in the same file.
    tls_key_path: PathBuf = PathBuf::new(), "PATH";
    /// Directory with certificates for further names of this machine, as NAME.pem, or NAME.crt with
    /// NAME.key; clients see the one for the name that they ask for. Empty is none.
    tls_sni_dir: PathBuf = PathBuf::new(), "PATH";
    /// Oldest version of TLS that is spoken: 1.2 or 1.3.
    tls_min_version: TlsVersion = TlsVersion::V12, "VERSION";
    /// Whether clients show certificates, at all ports for TLS: none (they are not asked), optional or
    /// required. One that tls_client_ca_path does not vouch for is refused.
    tls_client_certs: ClientCertificates = ClientCertificates::None, "HOW";
    /// PEM file with the certificates of those who vouch for the certificates of clients.
    tls_client_ca_path: PathBuf = PathBuf::new(), "PATH";
    /// What in a client's certificate is the name of its user: common-name, distinguished-name or
    /// subject-alternative-name (the first host name, or else mail address, or else URI).
    tls_user_name_from: UserNameFrom = UserNameFrom::CommonName, "WHERE";

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
    /// Deliveries on their way to all AMQP consumers of one connection before their queues wait for it.
    connection_window: ByteSize = ByteSize::mib(8), "SIZE";
    /// Time for a consumer to acknowledge a delivery, in milliseconds, where its queue names none; then
    /// its channel is closed. 0 is without end.
    consumer_timeout: Millis = Millis(Duration::ZERO), "MS";
    /// Largest message that is accepted.
    message_size_max: ByteSize = ByteSize::mib(16), "SIZE";
    /// Client connections at a time, of all protocols; no more than there are file descriptors for.
    connections_max: u32 = 100_000, "COUNT";
    /// Client connections at a time from one address, or from one IPv6 network of 64 bits; 0 is no limit.
    connections_per_address_max: u32 = 0, "COUNT";
    /// Client connections in a second from one address, or from one IPv6 network of 64 bits; 0 is no limit.
    connection_rate_max: u32 = 0, "COUNT";
    /// File descriptors that clients leave to the journal and to operators; a quarter of all, if there
    /// are few.
    open_files_reserve: u32 = 128, "COUNT";
    /// AMQP channels at a time, over all connections.
    channels_max: u32 = 1_000_000, "COUNT";
    /// Queues and MQTT sessions, over all virtual hosts.
    queues_max: u32 = 1_000_000, "COUNT";
    /// Exchanges that are declared, over all virtual hosts.
    exchanges_max: u32 = 100_000, "COUNT";
    /// Bindings and MQTT subscriptions, over all virtual hosts.
    bindings_max: u32 = 5_000_000, "COUNT";
    /// Bindings that lead to one queue or exchange.
    bindings_per_destination_max: u32 = 1_000_000, "COUNT";
    /// Users who may log in from this machine only, separated by commas; empty is nobody.
    loopback_users: Vec<String> = vec!["guest".to_owned()], "USERS";
    /// Who knows users and says what they may do, in the order in which they are asked, separated by commas:
    /// internal (the broker), http (a server, at the auth_http_…_url) and oauth2 (whoever has signed the token
    /// that is the password).
    auth_backends: AuthBackends = AuthBackends(vec![AuthBackend::Internal]), "BACKENDS";
    /// Where the server is asked whether a user may log in: `http://` or `https://`.
    auth_http_user_url: String = String::new(), "URL";
    /// Where the server is asked whether a user may enter a virtual host.
    auth_http_vhost_url: String = String::new(), "URL";
    /// Where the server is asked whether a user may do something with an exchange or a queue.
    auth_http_resource_url: String = String::new(), "URL";
    /// Where the server is asked whether a user may do something with a topic.
    auth_http_topic_url: String = String::new(), "URL";
    /// How the server is asked: get or post.
    auth_http_method: HttpMethod = HttpMethod::Get, "METHOD";
    /// Time that a server of auth_backends may take for an answer, in milliseconds; then it is no.
    auth_timeout: Millis = Millis(Duration::from_secs(5)), "MS";
    /// For how long what a server has allowed is not asked again, in milliseconds; 0 asks every time.
    auth_cache_ttl: Millis = Millis(Duration::from_secs(15)), "MS";
    /// Requests to a server of auth_backends at a time; more have to wait. At most half are about logins.
    auth_requests_max: u32 = 32, "COUNT";
    /// PEM file with the certificates of those who vouch for servers of auth_backends; empty is those whom
    /// the system trusts.
    auth_ca_path: PathBuf = PathBuf::new(), "PATH";
    /// What tokens call the broker in their audience, and in front of their scopes.
    oauth2_resource_server_id: String = String::new(), "NAME";
    /// What stands in front of scopes for the broker; empty is oauth2_resource_server_id and a dot.
    oauth2_scope_prefix: String = String::new(), "PREFIX";
    /// Where the keys are that tokens are signed with, as a JSON Web Key Set; empty is nowhere.
    oauth2_jwks_url: String = String::new(), "URL";
    /// Files with keys that tokens are signed with, separated by commas: public keys in PEM, or JSON Web Keys,
    /// among which may be secrets.
    oauth2_key_paths: Vec<String> = Vec::new(), "PATHS";
    /// Who has to have issued a token, by its claim `iss`; empty is whoever has the key.
    oauth2_issuer: String = String::new(), "ISSUER";
    /// Whether oauth2_resource_server_id has to be in the audience of a token: true or false.
    oauth2_verify_aud: bool = true, "BOOLEAN";
    /// The claims of a token that may name its user, separated by commas; the first one that is there does.
    oauth2_username_claims: Vec<String> = vec!["sub".to_owned(), "client_id".to_owned()], "CLAIMS";
    /// A claim with further scopes, such as `realm_access.roles`; empty is none.
    oauth2_additional_scopes_key: String = String::new(), "CLAIM";
    /// Scopes that stand for others, separated by commas, each as `ALIAS=SCOPE SCOPE`.
    oauth2_scope_aliases: Vec<String> = Vec::new(), "ALIASES";
    /// Logins by password of one address that may fail in a minute, of IPv6 of one network of 64 bits; with
    /// more, those that would have to be checked are refused unseen for a while. 0 is no limit.
    login_failures_max: u32 = 100, "COUNT";
    /// Whether what happens to queues, connections and other things is published to the exchange
    /// amq.rabbitmq.event of the vhost /: true or false.
    event_exchange: bool = false, "BOOLEAN";
    /// Time for a client to log in after it has connected, in milliseconds.
    handshake_timeout: Millis = Millis(Duration::from_secs(10)), "MS";
    /// TLS handshakes that go on at a port at a time; with more, those that have taken long make place.
    tls_handshakes_max: u32 = 1024, "COUNT";
    /// Headers of the PROXY protocol that are awaited at a port at a time, but for those in front of TLS, which
    /// count as handshakes; with more, those that have taken long make place.
    proxy_headers_max: u32 = 1024, "COUNT";
    /// HTTP connections to a port at a time; with more, those that the broker has waited for long make place.
    http_connections_max: u32 = 256, "COUNT";
    /// Time for an HTTP client to send the head of a request, or its body, or to take some of an answer, in
    /// milliseconds.
    http_timeout: Millis = Millis(Duration::from_secs(60)), "MS";
    /// Longest head of an HTTP request; 8 KiB at least.
    http_head_size_max: ByteSize = ByteSize::kib(64), "SIZE";
    /// Longest body of an HTTP request: a large message in base64 and what is around it.
    http_body_size_max: ByteSize = ByteSize::mib(24), "SIZE";
    /// Time for clients to take their leave at a shutdown, in milliseconds.
    shutdown_timeout: Millis = Millis(Duration::from_secs(5)), "MS";

    /// Largest WebSocket message that is accepted; 0 takes what the largest message of AMQP and packet of
    /// MQTT need.
    websocket_message_size_max: ByteSize = ByteSize(0), "SIZE";
    /// Web pages that may connect over WebSocket, by their origins, as `https://example.org`, separated
    /// by commas; * is all. Empty is all, but over the loopback address, where guest and anonymous clients
    /// are let in, only pages of this machine.
    websocket_origins: Vec<String> = Vec::new(), "ORIGINS";

    /// Largest AMQP frame, in bytes; clients may negotiate less.
    amqp_frame_max: u32 = 131_072, "BYTES";
    /// Channels per AMQP connection.
    amqp_channel_max: u16 = 2047, "COUNT";
    /// AMQP heartbeat that is proposed to clients, in seconds; 0 proposes none.
    amqp_heartbeat: u16 = 60, "SECONDS";
    /// Consumers per AMQP channel.
    amqp_consumers_max: u32 = 10_000, "COUNT";
    /// Deliveries of one AMQP channel that wait for acknowledgement, where its client asks for no prefetch
    /// or for more; 0 is no limit.
    amqp_unacked_max: u32 = 65_535, "COUNT";
    /// Tables and arrays inside each other in what AMQP clients send.
    amqp_table_depth_max: u16 = 32, "COUNT";
    /// Entries of a table that AMQP clients send, those of tables and arrays in it included.
    amqp_table_entries_max: u32 = 65_536, "COUNT";
    /// Publishes and settlements that one AMQP transaction may hold.
    amqp_transaction_max: u32 = 100_000, "COUNT";
    /// Size of the messages that one AMQP transaction may hold.
    amqp_transaction_size_max: ByteSize = ByteSize::mib(32), "SIZE";
    /// Product name that AMQP clients see.
    amqp_product: String = "Leveret".to_owned(), "NAME";
    /// Version that AMQP clients see; some of them compare it with RabbitMQ's.
    amqp_version: String = "4.0.0".to_owned(), "VERSION";

    /// The broker whose limits MQTT clients are told where these settings say nothing else: none (our
    /// own) or mosquitto.
    mqtt_compat: Compat = Compat::None, "BROKER";
    /// Whether MQTT clients without a user name are let in: loopback, always or never.
    mqtt_anonymous: Anonymous = Anonymous::Loopback, "WHERE";
    /// The user in whose name MQTT clients without a user name publish and subscribe.
    mqtt_anonymous_user: String = "guest".to_owned(), "NAME";
    /// Whether an MQTT client without a user name that has shown a certificate is the user whom
    /// tls_user_name_from finds there: true or false.
    mqtt_tls_user_from_cert: bool = false, "BOOLEAN";
    /// The virtual host of MQTT clients for which nothing else says one: no user name of the form
    /// VHOST:USER, and no port.
    mqtt_vhost: String = "/".to_owned(), "NAME";
    /// Virtual hosts of MQTT clients by the port that they connect to, as PORT=VHOST, separated by commas.
    /// A port that no other setting names is opened for MQTT without TLS.
    mqtt_port_vhosts: PortVhosts = PortVhosts::default(), "PORTS";
    /// Longest time that an MQTT session is kept without its client, in seconds.
    mqtt_session_expiry_max: u32 = u32::MAX, "SECONDS";
    /// Largest MQTT packet that is accepted; 0 takes message_size_max.
    mqtt_packet_size_max: ByteSize = ByteSize(0), "SIZE";
    /// Largest MQTT CONNECT packet: nobody knows yet who sends it.
    mqtt_connect_size_max: ByteSize = ByteSize::kib(512), "SIZE";
    /// User properties in an MQTT packet.
    mqtt_user_properties_max: u16 = 1024, "COUNT";
    /// Longest MQTT topic name or filter, in bytes.
    mqtt_topic_size_max: u16 = u16::MAX, "BYTES";
    /// Levels of an MQTT topic name or filter.
    mqtt_topic_levels_max: u16 = 200, "COUNT";
    /// QoS 1 and 2 messages that an MQTT client may send without waiting for their acknowledgement.
    mqtt_receive_max: u16 = 1024, "COUNT";
    /// QoS 1 and 2 messages in flight to an MQTT client that names no limit of its own.
    mqtt_inflight_max: u16 = 1024, "COUNT";
    /// Highest topic alias that an MQTT 5 client may use; 0 allows none.
    mqtt_topic_alias_max: u16 = 16, "COUNT";
    /// Highest topic alias that an MQTT 5 client is sent, if it allows as many; 0 sends none.
    mqtt_topic_alias_sent_max: u16 = 16, "COUNT";
    /// Longest keep alive of an MQTT 5 client, in seconds; 0 leaves it to the client.
    mqtt_keep_alive_max: u16 = 0, "SECONDS";
    /// Messages that wait for an MQTT client; with more, the oldest are dropped. A policy with another
    /// max-length or overflow wins. 0 is no limit.
    mqtt_queued_max: u32 = 1_000_000, "COUNT";
    /// Size of the messages that wait for an MQTT client; with more, the oldest are dropped. A policy with
    /// another max-length-bytes or overflow wins. 0 is no limit.
    mqtt_queued_size_max: ByteSize = ByteSize(0), "SIZE";
    /// Whether QoS 0 messages, too, wait for an MQTT client that is away: true or false.
    mqtt_queue_qos0: bool = false, "BOOLEAN";
    /// What an MQTT client gets whose subscriptions overlap: merged (each message once, with the highest
    /// QoS and all subscription identifiers) or separate (once for each subscription).
    mqtt_overlapping: Overlapping = Overlapping::Merged, "HOW";
    /// What SUBACK says to an MQTT 5 client that may not subscribe: not-authorized (0x87) or
    /// unspecified (0x80).
    mqtt_suback_refusal: SubackRefusal = SubackRefusal::NotAuthorized, "CODE";
    /// What becomes of an MQTT 3.1 or 3.1.1 client whose publish is refused, for want of rights or of
    /// room: acknowledge (as if all were well, since the client cannot be told) or close.
    mqtt_refused_publish: RefusedPublish = RefusedPublish::Acknowledge, "HOW";
    /// Time between two publications of the status at `$SYS/broker/…`, in seconds; 0 for none.
    mqtt_sys_interval: u32 = 10, "SECONDS";
    /// Retained messages, over all topics.
    mqtt_retained_max: u32 = 1_000_000, "COUNT";
    /// Size of the retained messages in memory, over all topics.
    mqtt_retained_size_max: ByteSize = ByteSize::mib(512), "SIZE";
    /// Subscriptions per MQTT session.
    mqtt_subscriptions_max: u32 = 10_000, "COUNT";
    /// Longest MQTT client identifier, in bytes.
    mqtt_client_id_max: u16 = 1024, "BYTES";
    /// What an MQTT 5 client that asks for response information is told to begin its response topics
    /// with, such as `replies/{client_id}/`; `{client_id}` and `{username}` stand for its own. It gives
    /// no rights; empty tells nothing.
    mqtt_response_information: String = String::new(), "TOPIC";
    /// Another server, such as `other.example:1883`, that MQTT 5 clients are sent to when this one
    /// stops or has as many connections as it may; empty for none.
    mqtt_server_reference: String = String::new(), "SERVER";
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

/// A broker that MQTT clients take this one for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compat {
    /// None.
    None,
    /// Eclipse Mosquitto.
    Mosquitto,
}

/// What an MQTT client gets whose subscriptions overlap [MQTT-3.3.4-2, -3].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlapping {
    /// One copy of a message.
    Merged,
    /// One copy for each subscription.
    Separate,
}

/// The reason code for a subscription that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubackRefusal {
    /// 0x87.
    NotAuthorized,
    /// 0x80.
    Unspecified,
}

/// What becomes of a publisher that cannot be told of a refusal [MQTT-3.3.5-2 of version 3.1.1].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedPublish {
    /// It is told that all is well.
    Acknowledge,
    /// Its connection is closed.
    Close,
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
setting::words!(Compat { None = "none", Mosquitto = "mosquitto" });
setting::words!(Overlapping { Merged = "merged", Separate = "separate" });
setting::words!(SubackRefusal { NotAuthorized = "not-authorized", Unspecified = "unspecified" });
setting::words!(RefusedPublish { Acknowledge = "acknowledge", Close = "close" });
setting::words!(LogLevel {
    Error = "error",
    Warn = "warn",
    Info = "info",
    Debug = "debug",
    Trace = "trace",
});

impl Config {
    /// The defaults, but on free ports of the loopback address, with none for metrics, with data in
    /// `data_dir` and without a Unix socket there: for tests and for programs that embed a broker.
    pub fn local(data_dir: impl Into<PathBuf>) -> Self {
        Config {
            data_dir: data_dir.into(),
            bind: vec![IpAddr::from([127, 0, 0, 1])],
            amqp_port: 0,
            mqtt_port: 0,
            http_port: 0,
            websocket_port: 0,
            amqps_port: 0,
            mqtts_port: 0,
            https_port: 0,
            wss_port: 0,
            metrics_port: 0,
            http_unix_path: PathBuf::new(),
            ..Config::default()
        }
    }

    /// The defaults for [`Config::mqtt_compat`].
    pub fn compatible(with: Compat) -> Self {
        let own = Config { mqtt_compat: with, ..Config::default() };
        match with {
            Compat::None => own,
            Compat::Mosquitto => Config {
                mqtt_topic_alias_max: 10,
                mqtt_packet_size_max: ByteSize(2_000_000),
                mqtt_receive_max: 20,
                ..own
            },
        }
    }

    /// The largest MQTT packet, in bytes.
    pub(crate) fn mqtt_packet_len(&self) -> u32 {
        let max = match self.mqtt_packet_size_max.0 {
            0 => self.message_size_max.0,
            max => max,
        };
        u32::try_from(max).unwrap_or(u32::MAX)
    }

    /// The largest WebSocket message, in bytes.
    pub(crate) fn websocket_message_len(&self) -> u64 {
        /// Frames and properties of a message.
        const AROUND: u64 = 256 * 1024;
        let largest = self.message_size_max.0.max(self.mqtt_packet_len().into());
        match self.websocket_message_size_max.0 {
            0 => largest.saturating_add(AROUND),
            max => max,
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
