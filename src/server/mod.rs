//! The broker at work: tokio, sockets, the journal, and the core between them.
//!
//! [`Node`] is what all connections share. Locks have one order: sessions, topology, shards,
//! then the leaves (retained messages, an outbox, the journal, lists of this module). None is held
//! across an await.

pub mod address;
pub mod alarms;
pub mod audit;
pub mod auth;
pub mod backends;
pub mod batch;
pub mod clock;
pub mod connection;
pub mod connections;
pub mod control;
pub mod counts;
pub mod dead_letters;
pub mod effects;
pub mod events;
mod exchange_tally;
pub mod files;
pub mod firehose;
pub mod frontend;
pub mod gate;
pub mod held;
mod history;
pub mod host;
pub mod http;
pub mod limits;
pub mod listener;
pub mod logins;
pub mod onlooker;
pub mod outbox;
pub mod password;
pub mod pause;
pub mod peek;
pub mod places;
pub mod ports;
pub mod proxy;
pub mod publisher;
pub mod reclaim;
pub mod recovery;
pub mod retained;
pub mod route_cache;
pub mod routed;
pub mod scram;
pub mod session;
pub mod shard;
pub mod share;
pub mod snapshot;
pub mod sys_topics;
pub mod timers;
pub mod tls;
pub mod transaction;
pub mod unix;
pub mod usage;
pub mod visitors;
pub mod websocket;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard};

use bytes::Bytes;
use leveret_core::record::Kind;
use leveret_core::{NodeLimits, Position, QueueId, RecordHeader, ShardId, Topology};
use leveret_storage::{Durability, Storage, Urgency};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::config::{Config, Overlapping};
use address::Address;
use alarms::Alarms;
use audit::Audit;
use backends::Backends;
use connections::Connections;
use counts::{ByDialect, Churn, Logins};
use dead_letters::DeadLetters;
use effects::Duty;
use events::Events;
use files::Files;
use firehose::Firehose;
use frontend::Protocols;
use held::Held;
use limits::Refusals;
use listener::Protocol;
use logins::PasswordChecks;
use outbox::Outbox;
use retained::RetainedStore;
use session::Sessions;
use shard::{Appended, Shard};
use share::Online;
use sys_topics::ClosedTraffic;
use timers::Timers;
use tls::Tls;
use usage::Usage;

/// The vhost that exists from the first start, and that MQTT clients use.
pub const DEFAULT_VHOST: &str = "/";

/// What all connections of a broker share.
pub struct Node {
    /// The settings.
    pub config: Config,
    /// The journal.
    pub storage: Arc<dyn Storage>,
    /// The executors of queues, in the order of their ids.
    pub shards: Vec<Shard>,
    /// Whether publishers have to wait for want of a resource.
    pub alarms: Alarms,
    /// The connections.
    pub connections: Connections,
    /// Who knows users; set before the first client is let in, and the topology alone without.
    pub backends: OnceLock<Backends>,
    /// How logins by password are found right.
    pub password_checks: PasswordChecks,
    /// How many of them, and of their channels, virtual hosts and users have.
    pub usage: Arc<Usage>,
    /// How often limits were in the way.
    pub refusals: Refusals,
    /// The file descriptors of the process.
    pub files: Files,
    /// The MQTT sessions.
    pub sessions: Mutex<Sessions>,
    /// The sessions whose clients are connected.
    pub online: Online,
    /// What went over MQTT connections that are closed.
    pub closed_traffic: ClosedTraffic,
    /// How many channels and queues have come and gone.
    pub churn: Churn,
    /// How often clients have logged in, or tried to.
    pub logins: Logins,
    /// The retained messages.
    pub retained: RetainedStore,
    /// Messages that are to be published elsewhere.
    pub dead_letters: DeadLetters,
    /// What has happened, for those who look on.
    pub events: Events,
    /// Which virtual hosts are traced.
    pub firehose: Firehose,
    /// Records that nothing in the shards refers to yet, or any more.
    pub held: Held,
    /// What all connections of a protocol share.
    pub protocols: Protocols,
    /// What has to happen later.
    pub timers: Timers,
    /// The certificates, if there are any; set before the first client is let in.
    pub tls: OnceLock<Arc<Tls>>,
    /// The audit log, if there is to be one; set before the first client is let in.
    pub audit: OnceLock<Audit>,
    /// The topology's generation: routes of an older one are no longer right.
    pub generation: AtomicU64,
    /// When the node started, in milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// Identifies this run of this node: names that the broker makes up begin with it.
    pub nonce: u64,
    topology: RwLock<Topology>,
    topology_index: AtomicU64,
    /// The sockets that are listened on.
    listening: Mutex<Vec<(Protocol, Address)>>,
    /// The position of the last record of the topology; 0 before the first.
    last_control: AtomicU64,
    waiting: Mutex<Vec<(Position, Arc<Outbox>)>>,
    /// Held while a snapshot is taken.
    snapshots: Mutex<()>,
    /// Held while the history of an exchange is read.
    recalling: Mutex<()>,
    names: AtomicU64,
    failed: Notify,
    stopped: watch::Sender<bool>,
}

impl Node {
    /// A node without queues and connections.
    pub fn new(config: Config, storage: Arc<dyn Storage>, runtime: &Handle) -> Arc<Node> {
        let count = config.shard_count();
        let memory = config.message_memory.len() / usize::from(count);
        Arc::new_cyclic(|node| {
            let shard = |number: u16| {
                let duty = Duty::new(node.clone(), runtime.clone());
                Shard::new(ShardId(number + 1), storage.clone(), memory, duty)
            };
            Node {
                shards: (0..count).map(shard).collect(),
                storage: storage.clone(),
                alarms: Alarms::new(config.disk_free_min.0, config.memory_max.0),
                connections: Connections::default(),
                backends: OnceLock::new(),
                password_checks: PasswordChecks::new(
                    config.login_failures_max,
                    config.auth_requests_max,
                ),
                usage: Arc::default(),
                refusals: Refusals::default(),
                files: Files::new(config.open_files_reserve),
                sessions: Mutex::default(),
                online: Online::default(),
                closed_traffic: ClosedTraffic::default(),
                churn: Churn::default(),
                logins: Logins::default(),
                retained: RetainedStore::default(),
                dead_letters: DeadLetters::default(),
                events: Events::new(config.event_exchange, config.amqp_frame_max),
                firehose: Firehose::default(),
                held: Held::default(),
                protocols: Protocols::new(&config),
                timers: Timers::default(),
                tls: OnceLock::new(),
                audit: OnceLock::new(),
                generation: AtomicU64::new(0),
                started_at_ms: clock::now_ms(),
                nonce: random_number(),
                topology: RwLock::new(empty_topology(&config)),
                topology_index: AtomicU64::new(0),
                listening: Mutex::default(),
                last_control: AtomicU64::new(0),
                waiting: Mutex::default(),
                snapshots: Mutex::default(),
                recalling: Mutex::default(),
                names: AtomicU64::new(0),
                failed: Notify::new(),
                stopped: watch::Sender::default(),
                config,
            }
        })
    }

    /// The topology, to be looked at.
    pub fn topology(&self) -> RwLockReadGuard<'_, Topology> {
        self.topology.read().expect("topology commands never panic")
    }

    /// Who knows users.
    pub fn backends(&self) -> &Backends {
        self.backends.get_or_init(Backends::default)
    }

    /// The sockets that are listened on, to be looked at or changed.
    pub fn listening(&self) -> MutexGuard<'_, Vec<(Protocol, Address)>> {
        self.listening.lock().expect("nothing panics while it holds the list")
    }

    /// Why no client can be served; `None` while they are.
    pub fn out_of_service(&self) -> Option<&'static str> {
        let is_let_in = self.listening().iter().any(|(protocol, _)| protocol.is_messaging());
        if *self.stopped.borrow() || !is_let_in {
            return Some("nobody is let in");
        }
        self.storage.durable().borrow().failed.is_some().then_some("the journal has failed")
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> u16 {
        self.shards.len() as u16
    }

    /// The shard of a queue.
    pub fn shard_of(&self, queue: QueueId) -> &Shard {
        &self.shards[usize::from(queue.shard(self.shard_count()).0) - 1]
    }

    /// What all clients have published and were sent since the start, by what they speak.
    pub fn counts(&self) -> ByDialect {
        self.connections.counts()
    }

    /// Memory of the messages that wait, in bytes.
    pub fn message_memory_used(&self) -> u64 {
        let of_shard = self.config.message_memory.len() / self.shards.len();
        let free = |shard: &Shard| shard.post(|work| work.fx.resident_bytes_free);
        let used = |shard| u64::try_from(of_shard as i64 - free(shard)).unwrap_or(0);
        self.shards.iter().map(used).sum()
    }

    /// The durable watermark.
    pub fn durable(&self) -> Position {
        self.storage.durable_position()
    }

    /// Has a connection woken once the watermark has passed a position.
    pub fn wake_when_durable(&self, position: Position, outbox: &Arc<Outbox>) {
        self.lock_waiting().push((position, outbox.clone()));
    }

    /// Waits until the watermark has passed a position; says whether it ever will.
    pub async fn wait_durable(&self, position: Position) -> bool {
        let passed =
            |durability: &Durability| durability.through > position || durability.failed.is_some();
        let mut durable = self.storage.durable();
        tokio::select! {
            biased;
            reached = durable.wait_for(passed) => reached.is_ok_and(|at| at.failed.is_none()),
            () = self.stopped() => false,
        }
    }

    /// Tells clients in this program that the broker has stopped.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Waits until the broker has stopped.
    pub async fn stopped(&self) {
        // The sender lives as long as the node does, so there is no error.
        _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Whether the disk, or whoever publishes dead letters, is so far behind that publishers have to
    /// wait.
    pub fn is_backlogged(&self) -> bool {
        self.storage.backlog_bytes() > self.config.storage_backlog_max.0
            || self.dead_letters.are_many()
    }

    /// A name that no other thing of this node has, nor had in an earlier run.
    pub fn unique_name(&self, prefix: &str) -> String {
        use base64::Engine as _;
        let bytes = self.unique_number().to_be_bytes();
        format!("{prefix}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
    }

    /// As [`Node::unique_name`], in the form of a UUID.
    pub fn unique_uuid(&self, prefix: &str) -> String {
        let hex = format!("{:032x}", self.unique_number());
        let (time, rest) = (&hex[..8], &hex[8..]);
        format!("{prefix}{time}-{}-{}-{}-{}", &rest[..4], &rest[4..8], &rest[8..12], &rest[12..])
    }

    fn unique_number(&self) -> u128 {
        u128::from(self.nonce) << 64 | u128::from(self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits until the journal has failed.
    pub async fn failure(&self) -> String {
        self.failed.notified().await;
        match &self.storage.durable().borrow().failed {
            Some(error) => format!("the journal has failed: {error}"),
            None => "the journal has failed".to_owned(),
        }
    }

    /// Appends a record that belongs to no shard.
    fn append<'a>(
        &self,
        kind: Kind,
        urgency: Urgency,
        write: impl FnOnce(&mut Vec<u8>) -> Option<&'a Bytes>,
    ) -> Appended {
        let mut payload = Vec::new();
        let large = write(&mut payload);
        let header = RecordHeader {
            kind: kind as u8,
            shard: 0,
            term: 1,
            index: self.topology_index.fetch_add(1, Ordering::Relaxed) + 1,
            timestamp_ms: clock::now_ms(),
        };
        shard::append(&*self.storage, header, &payload, large, urgency)
    }

    fn lock_waiting(&self) -> MutexGuard<'_, Vec<(Position, Arc<Outbox>)>> {
        self.waiting.lock().expect("nothing panics while it holds the list")
    }
}

fn empty_topology(config: &Config) -> Topology {
    let mut topology = Topology::new(config.mqtt_overlapping == Overlapping::Separate);
    topology.set_node_limits(NodeLimits {
        queues: config.queues_max as usize,
        exchanges: config.exchanges_max as usize,
        bindings: config.bindings_max as usize,
        bindings_per_destination: config.bindings_per_destination_max as usize,
    });
    topology
}

/// A number that nobody can foretell.
pub fn random_number() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0)
}

/// Follows the durable watermark and wakes whoever waits for it. Ends when the journal fails.
///
/// `durable` has to be older than the first connection: what moves before the task runs for the
/// first time counts as well.
pub async fn follow_durable(node: Arc<Node>, mut durable: watch::Receiver<Durability>) {
    while durable.changed().await.is_ok() {
        let (through, failed) = {
            let durability = durable.borrow_and_update();
            (durability.through, durability.failed.is_some())
        };
        let due: Vec<_> = node.lock_waiting().extract_if(.., |(at, _)| *at < through).collect();
        due.iter().for_each(|(_, outbox)| outbox.wake());
        if failed {
            return node.failed.notify_one();
        }
    }
}
