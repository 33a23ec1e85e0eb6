//! The metrics of the node as a whole.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::family::{Family, OWN_PREFIX, Scope};
use super::output::Gone;
use super::scrape::Scrape;
use super::text::Metric;
use crate::management::node as machine;
use crate::server::alarms::memory_of_process;
use crate::server::{Node, clock};

const BUILD: Metric = Metric::untyped("build_info", "Versions");
const IDENTITY: Metric = Metric::untyped("identity_info", "The node and its cluster");

const REFUSALS: Metric =
    Metric::counter("limit_refusals_total", "How often a limit was in the way of a client");
const LIMIT_USED: Metric = Metric::gauge("limit_used", "How much there is of what is limited");
const LIMIT_MAX: Metric = Metric::gauge("limit_max", "How much there may be of what is limited");

const OPEN_FILES: Metric = Metric::gauge("process_open_fds", "File descriptors that are open");
const OPEN_FILES_MAX: Metric =
    Metric::gauge("process_max_fds", "File descriptors that may be open");
const MEMORY: Metric = Metric::gauge("process_resident_memory_bytes", "Resident memory");
const MEMORY_MAX: Metric = Metric::gauge(
    "resident_memory_limit_bytes",
    "Resident memory above which publishers are held back",
);
const DISK_FREE: Metric =
    Metric::gauge("disk_space_available_bytes", "Free space of the data directory's file system");
const DISK_FREE_MIN: Metric = Metric::gauge(
    "disk_space_available_limit_bytes",
    "Free space below which publishers are held back",
);
const AUDIT_LOST: Metric =
    Metric::counter("audit_events_lost_total", "Events that the audit log has no room for");
const UPTIME: Metric = Metric::gauge("erlang_uptime_seconds", "Time since the node started");

const MEMORY_ALARM: Metric =
    Metric::gauge("alarms_memory_used_watermark", "Whether publishers are held back for memory");
const DISK_ALARM: Metric = Metric::gauge(
    "alarms_free_disk_space_watermark",
    "Whether publishers are held back for disk space",
);

const WRITES: Metric = Metric::counter("io_write_ops_total", "Writes of the journal");
const WRITTEN: Metric = Metric::counter("io_write_bytes_total", "Bytes that the journal wrote");
const WRITE_TIME: Metric = Metric::counter("io_write_time_seconds_total", "Time of writes");
const SYNCS: Metric = Metric::counter("io_sync_ops_total", "Syncs of the journal");
const SYNC_TIME: Metric = Metric::counter("io_sync_time_seconds_total", "Time of syncs");
const READS: Metric = Metric::counter("io_read_ops_total", "Reads of the journal");
const READ: Metric = Metric::counter("io_read_bytes_total", "Bytes that were read of the journal");
const READ_TIME: Metric = Metric::counter("io_read_time_seconds_total", "Time of reads");

const MESSAGE_MEMORY: Metric =
    Metric::gauge("memory_binary_heap_bytes", "Memory of waiting messages");
const OTHER_MEMORY: Metric = Metric::gauge("memory_other_system_bytes", "Other resident memory");

/// What the operating system says, as far as it does.
#[derive(Default)]
struct Machine {
    open_files: Option<u64>,
    open_files_max: Option<u64>,
    memory: Option<u64>,
    disk_free: Option<u64>,
}

impl Machine {
    async fn look(node: &Node) -> Machine {
        let storage = node.storage.clone();
        let look = move || Machine {
            open_files: machine::open_files(),
            open_files_max: machine::open_files_max(),
            memory: memory_of_process(),
            disk_free: storage.free_bytes().ok().flatten(),
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

impl Scrape {
    /// Writes what is asked for of the node.
    ///
    /// # Errors
    /// If nobody wants it any more.
    pub async fn write_node(&mut self) -> Result<(), Gone> {
        if self.scope == Scope::Memory {
            self.write_memory();
        }
        if self.scope.has_totals() {
            self.write_alarms();
        }
        if self.has(Family::NodeCoarse) || self.has(Family::Node) {
            let machine = Machine::look(&self.node).await;
            self.write_machine(&machine);
        }
        if self.has(Family::NodePersister) {
            self.write_journal();
        }
        if self.has(Family::Limits) {
            self.write_limits();
        }
        self.out.pause().await
    }

    /// Writes what dashboards join everything else with.
    pub fn write_identity(&mut self) {
        let node = self.node.clone();
        let own_version = env!("CARGO_PKG_VERSION");
        let build = [
            ("rabbitmq_version", &*node.config.amqp_version),
            ("prometheus_plugin_version", own_version),
            ("prometheus_client_version", own_version),
            ("erlang_version", "none"),
            ("product_name", &node.config.amqp_product),
            ("product_version", own_version),
        ];
        self.labels(&BUILD, &build);
        let identity = [
            ("rabbitmq_node", machine::name()),
            ("rabbitmq_cluster", machine::name()),
            ("rabbitmq_cluster_permanent_id", &permanent_id(&node)),
            ("rabbitmq_endpoint", self.scope.endpoint()),
        ];
        self.labels(&IDENTITY, &identity);
    }

    fn write_alarms(&mut self) {
        let alarms = self.node.alarms.state();
        self.one(&MEMORY_ALARM, u8::from(alarms.memory_alarm));
        self.one(&DISK_ALARM, u8::from(alarms.disk_alarm));
    }

    fn write_machine(&mut self, machine: &Machine) {
        let limits = self.node.alarms.limits();
        if self.has(Family::NodeCoarse) {
            self.one_if_known(&OPEN_FILES, machine.open_files);
            self.one_if_known(&MEMORY, machine.memory);
            self.one_if_known(&DISK_FREE, machine.disk_free);
        }
        if self.has(Family::Node) {
            self.one_if_known(&OPEN_FILES_MAX, machine.open_files_max);
            self.one(&MEMORY_MAX, limits.memory_max);
            self.one(&DISK_FREE_MIN, limits.disk_free_min);
            self.one(&UPTIME, seconds(clock::now_ms().saturating_sub(self.node.started_at_ms)));
            if let Some(lost) = self.node.audit_events_lost() {
                // It has no counterpart in RabbitMQ.
                self.out.text.head(OWN_PREFIX, &AUDIT_LOST);
                self.out.text.sample(&[], lost);
            }
        }
    }

    /// These have no counterpart in RabbitMQ, and names of their own.
    fn write_limits(&mut self) {
        let node = self.node.clone();
        let text = &mut self.out.text;
        text.head(OWN_PREFIX, &REFUSALS);
        for (limit, count) in node.refusals.all() {
            text.sample(&[("limit", limit.name())], count);
        }
        let filling = node.filling();
        text.head(OWN_PREFIX, &LIMIT_USED);
        for (limit, used, _) in &filling {
            text.sample(&[("limit", limit.name())], used);
        }
        text.head(OWN_PREFIX, &LIMIT_MAX);
        for (limit, _, max) in &filling {
            text.sample(&[("limit", limit.name())], max);
        }
    }

    fn write_journal(&mut self) {
        let stats = self.node.storage.stats();
        self.one(&SYNCS, stats.syncs);
        self.one(&SYNC_TIME, stats.sync_time.as_secs_f64());
        let Some(io) = stats.io else { return };
        self.one(&WRITES, io.writes);
        self.one(&WRITTEN, io.written_bytes);
        self.one(&WRITE_TIME, io.write_time.as_secs_f64());
        self.one(&READS, io.reads);
        self.one(&READ, io.read_bytes);
        self.one(&READ_TIME, io.read_time.as_secs_f64());
    }

    fn write_memory(&mut self) {
        let messages = self.node.message_memory_used();
        self.one(&MESSAGE_MEMORY, messages);
        let others = memory_of_process().map(|bytes| bytes.saturating_sub(messages));
        self.one_if_known(&OTHER_MEMORY, others);
    }
}

/// Tells this node's data from all others', for as long as it is there.
fn permanent_id(node: &Node) -> String {
    let topology = node.topology();
    let secret = topology.secret().as_bytes();
    let mut hash = Hmac::<Sha256>::new_from_slice(secret).expect("any key will do");
    hash.update(b"rabbitmq_cluster_permanent_id");
    format!("leveret-cluster-id-{}", URL_SAFE_NO_PAD.encode(&hash.finalize().into_bytes()[..16]))
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
