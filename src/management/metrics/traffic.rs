//! The metrics of what clients do, by what they speak.
//!
//! They count since the start of the node and do not fall when clients, channels or queues go.

use leveret_core::DeathReason;

use super::family::Family;
use super::scrape::{Column, Scrape};
use super::text::Metric;
use crate::server::connections::Peer;
use crate::server::counts::{Counts, Dialect, SIZE_BOUNDS};

type OfClients = Column<Counts>;

const PUBLISHED: &[OfClients] = &[
    Column::counter("global_messages_received_total", "Messages from publishers", |counts| {
        counts.published
    }),
    Column::counter(
        "global_messages_received_confirm_total",
        "Messages from publishers that want them confirmed",
        |counts| counts.confirmable,
    ),
    Column::counter("global_messages_routed_total", "Copies that went to queues", |counts| {
        counts.routed
    }),
    Column::counter("global_messages_confirmed_total", "Messages that were confirmed", |counts| {
        counts.confirmed
    }),
    Column::counter(
        "global_messages_unroutable_dropped_total",
        "Messages that no queue got, and that are lost",
        |counts| counts.dropped,
    ),
    Column::counter(
        "global_messages_unroutable_returned_total",
        "Messages that no queue got, and that were returned",
        |counts| counts.returned,
    ),
];

const DELIVERED: &[OfClients] = &[
    Column::counter(
        "global_messages_delivered_total",
        "Messages that were handed out",
        Counts::handed_out,
    ),
    Column::counter(
        "global_messages_delivered_consume_auto_ack_total",
        "Messages to consumers that need not acknowledge them",
        |counts| counts.delivered_auto,
    ),
    Column::counter(
        "global_messages_delivered_consume_manual_ack_total",
        "Messages to consumers that have to acknowledge them",
        |counts| counts.delivered_manual,
    ),
    Column::counter(
        "global_messages_delivered_get_auto_ack_total",
        "Messages that were got and need not be acknowledged",
        |counts| counts.got_auto,
    ),
    Column::counter(
        "global_messages_delivered_get_manual_ack_total",
        "Messages that were got and have to be acknowledged",
        |counts| counts.got_manual,
    ),
    Column::counter("global_messages_get_empty_total", "Gets that found nothing", |counts| {
        counts.got_empty
    }),
    Column::counter(
        "global_messages_redelivered_total",
        "Messages that were handed out again",
        |counts| counts.redelivered,
    ),
    Column::counter(
        "global_messages_acknowledged_total",
        "Messages that were acknowledged",
        |counts| counts.acked,
    ),
];

const CONNECTIONS: Metric = Metric::gauge("connections", "Connections that have logged in");
const CHANNELS: Metric = Metric::gauge("channels", "Channels that are open");
const CLIENTS: &[Column<Clients>] = &[
    Column::gauge(
        "global_publishers",
        "Channels, and clients of MQTT, that have published",
        |clients| clients.publishers,
    ),
    Column::gauge("global_consumers", "Consumers; a client of MQTT counts as one", |clients| {
        clients.consumers
    }),
];
const SIZES: Metric = Metric::histogram("message_size_bytes", "Sizes of messages from publishers");

/// The bounds of sizes as RabbitMQ writes them; dashboards compare texts.
const BOUNDS: [&str; SIZE_BOUNDS.len() + 1] =
    ["100.0", "1000.0", "10000.0", "100000.0", "1e+06", "1e+07", "5e+07", "1e+08", "+Inf"];

const CONNECTIONS_OPENED: Metric =
    Metric::counter("connections_opened_total", "Connections that were opened");
const CONNECTIONS_CLOSED: Metric =
    Metric::counter("connections_closed_total", "Connections that were closed");
const CHANNELS_OPENED: Metric =
    Metric::counter("channels_opened_total", "Channels that were opened");
const CHANNELS_CLOSED: Metric =
    Metric::counter("channels_closed_total", "Channels that were closed");
const QUEUES_DECLARED: Metric = Metric::counter("queues_declared_total", "Declarations of queues");
const QUEUES_CREATED: Metric = Metric::counter("queues_created_total", "Queues that were new");
const QUEUES_DELETED: Metric = Metric::counter("queues_deleted_total", "Queues that were deleted");

/// Of those that succeeded and those that failed.
const LOGINS: &[Column<(u64, u64)>] = &[
    Column::counter("auth_attempts_total", "Attempts to log in", |logins| logins.0 + logins.1),
    Column::counter(
        "auth_attempts_succeeded_total",
        "Attempts to log in that succeeded",
        |logins| logins.0,
    ),
    Column::counter("auth_attempts_failed_total", "Attempts to log in that failed", |logins| {
        logins.1
    }),
];

const DEAD_LETTERS: &[(DeathReason, &Metric)] = &[
    (
        DeathReason::DeliveryLimit,
        &Metric::counter(
            "global_messages_dead_lettered_delivery_limit_total",
            "Dead letters that came back too often",
        ),
    ),
    (
        DeathReason::Expired,
        &Metric::counter(
            "global_messages_dead_lettered_expired_total",
            "Dead letters whose time was over",
        ),
    ),
    (
        DeathReason::MaxLength,
        &Metric::counter(
            "global_messages_dead_lettered_maxlen_total",
            "Dead letters that made place for newer messages",
        ),
    ),
    (
        DeathReason::Rejected,
        &Metric::counter(
            "global_messages_dead_lettered_rejected_total",
            "Dead letters that were rejected",
        ),
    ),
];
const DEAD_LETTERS_PLACED: Metric = Metric::counter(
    "global_messages_dead_lettered_confirmed_total",
    "Dead letters that other queues have got",
);

/// All queues are of one kind here.
pub const QUEUE_TYPE: &str = "rabbit_classic_queue";

impl Scrape {
    /// Writes what clients have done, and what they are doing.
    pub fn write_traffic(&mut self) {
        if self.scope.has_totals() {
            self.write_counts(PUBLISHED, None);
            self.write_counts(DELIVERED, Some(QUEUE_TYPE));
            self.write_sizes();
            self.write_clients();
            self.write_dead_letters();
        }
        if self.has(Family::Churn) {
            self.write_churn();
        }
        if self.has(Family::AuthAttempts) {
            self.write_logins();
        }
    }

    fn write_counts(&mut self, columns: &[OfClients], queue_type: Option<&str>) {
        for column in columns {
            self.head(&column.metric);
            for dialect in Dialect::ALL {
                let labels =
                    [("protocol", dialect.label()), ("queue_type", queue_type.unwrap_or_default())];
                let labels = &labels[..1 + usize::from(queue_type.is_some())];
                self.out.text.sample(labels, (column.of)(self.counts.of(dialect)));
            }
        }
    }

    fn write_sizes(&mut self) {
        self.head(&SIZES);
        for dialect in Dialect::ALL {
            let sizes = &self.counts.of(dialect).sizes;
            let protocol = ("protocol", dialect.label());
            let mut count = 0;
            for (bound, class) in BOUNDS.iter().zip(sizes.classes) {
                count += class;
                self.out.text.sample_of("_bucket", &[protocol, ("le", bound)], count);
            }
            self.out.text.sample_of("_sum", &[protocol], sizes.sum_bytes);
            self.out.text.sample_of("_count", &[protocol], count);
        }
    }

    fn write_clients(&mut self) {
        let peers = self.peers();
        let mut clients = [Clients::default(); Dialect::ALL.len()];
        for peer in &peers {
            if let Some(dialect) = peer.dialect() {
                clients[dialect as usize].add(peer, dialect);
            }
        }
        self.one(&CONNECTIONS, peers.len());
        self.one(&CHANNELS, clients.iter().map(|clients| clients.channels).sum::<u64>());
        for column in CLIENTS {
            self.head(&column.metric);
            for dialect in Dialect::ALL {
                let count = (column.of)(&clients[dialect as usize]);
                self.out.text.sample(&[("protocol", dialect.label())], count);
            }
        }
    }

    fn write_churn(&mut self) {
        let (opened, closed) = self.node.connections.churn();
        let churn = &self.node.clone().churn;
        for (metric, count) in [
            (&CONNECTIONS_OPENED, opened),
            (&CONNECTIONS_CLOSED, closed),
            (&CHANNELS_OPENED, churn.channels_opened.count()),
            (&CHANNELS_CLOSED, churn.channels_closed.count()),
            (&QUEUES_DECLARED, churn.queues_declared.count()),
            (&QUEUES_CREATED, churn.queues_created.count()),
            (&QUEUES_DELETED, churn.queues_deleted.count()),
        ] {
            self.one(metric, count);
        }
    }

    fn write_logins(&mut self) {
        let mut mqtt = (0, 0);
        for dialect in Dialect::ALL.into_iter().filter(|dialect| dialect.is_mqtt()) {
            let (succeeded, failed) = self.node.logins.of(dialect);
            mqtt = (mqtt.0 + succeeded, mqtt.1 + failed);
        }
        let logins = [
            ("amqp091", self.node.logins.of(Dialect::Amqp091)),
            ("mqtt", mqtt),
            ("http", self.node.logins.of(Dialect::Http)),
        ];
        for column in LOGINS {
            self.head(&column.metric);
            for (protocol, logins) in &logins {
                self.out.text.sample(&[("protocol", protocol)], (column.of)(logins));
            }
        }
    }

    fn write_dead_letters(&mut self) {
        let labels = [("queue_type", QUEUE_TYPE), ("dead_letter_strategy", "at_least_once")];
        let node = self.node.clone();
        for (reason, metric) in DEAD_LETTERS {
            self.head(metric);
            self.out.text.sample(&labels, node.dead_letters.count(*reason));
        }
        self.head(&DEAD_LETTERS_PLACED);
        self.out.text.sample(&labels, node.dead_letters.placed());
    }
}

/// Who is there now.
#[derive(Debug, Clone, Copy, Default)]
struct Clients {
    channels: u64,
    publishers: u64,
    consumers: u64,
}

impl Clients {
    fn add(&mut self, peer: &Peer, dialect: Dialect) {
        let activity = peer.activity();
        if dialect.is_mqtt() {
            self.publishers += u64::from(has_published(&activity.beside));
            self.consumers += 1;
        }
        for channel in activity.channels.values() {
            self.channels += 1;
            self.publishers += u64::from(has_published(&channel.counts));
            self.consumers += channel.consumers as u64;
        }
    }
}

fn has_published(counts: &Option<Box<Counts>>) -> bool {
    counts.as_ref().is_some_and(|counts| counts.published > 0)
}
