//! The status of the broker as retained messages of `$SYS/broker/…`, with the topics that Mosquitto's
//! dashboards read. They are only in memory, and only MQTT subscribers get them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use leveret_core::{Address, Body, Draft, Encoding, Facts, Message, QueueId, topic_to_key};

use super::counts::{Counter, Counts, Dialect};
use super::publisher::Publisher;
use super::routed::Routed;
use super::snapshot::QUEUES_PER_LOCK;
use super::{DEFAULT_VHOST, Node, clock, random_number};

/// Bytes on the wire of MQTT connections that are closed.
#[derive(Debug, Default)]
pub struct ClosedTraffic {
    received_bytes: Counter,
    sent_bytes: Counter,
}

impl ClosedTraffic {
    /// A connection is closed.
    pub fn note(&self, received_bytes: u64, sent_bytes: u64) {
        self.received_bytes.add(received_bytes);
        self.sent_bytes.add(sent_bytes);
    }
}

/// Publishes what has changed, every so often.
pub async fn run(node: Arc<Node>) {
    let interval = Duration::from_secs(node.config.mqtt_sys_interval.into());
    if interval.is_zero() {
        return;
    }
    let mut status = Status { interval, ..Status::default() };
    loop {
        status.publish(&node);
        tokio::time::sleep(interval).await;
    }
}

#[derive(Default)]
struct Status {
    interval: Duration,
    published: BTreeMap<String, String>,
    clients_max: usize,
    loads: BTreeMap<&'static str, Load>,
}

/// What happens in a minute, as a mean over one, five and fifteen.
#[derive(Default)]
struct Load {
    total: u64,
    means: [f64; 3],
}

const LOAD_MINUTES: [u32; 3] = [1, 5, 15];

impl Load {
    fn note(&mut self, total: u64, interval: Duration) {
        let minutes = interval.as_secs_f64() / 60.0;
        let per_minute = total.saturating_sub(self.total) as f64 / minutes;
        self.total = total;
        for (mean, over) in self.means.iter_mut().zip(LOAD_MINUTES) {
            *mean += (per_minute - *mean) * (1.0 - (-minutes / f64::from(over)).exp());
        }
    }
}

impl Status {
    fn publish(&mut self, node: &Node) {
        for (topic, value) in self.values(node) {
            if self.published.get(&topic) != Some(&value) {
                node.publish_status(&format!("$SYS/broker/{topic}"), &value);
                self.published.insert(topic, value);
            }
        }
    }

    fn values(&mut self, node: &Node) -> Vec<(String, String)> {
        let mut values = vec![
            ("version".to_owned(), format!("leveret version {}", env!("CARGO_PKG_VERSION"))),
            ("uptime".to_owned(), format!("{} seconds", uptime_s(node))),
        ];
        let mut add = |topic: &str, value: u64| values.push((topic.to_owned(), value.to_string()));
        let clients = node.mqtt_clients();
        self.clients_max = self.clients_max.max(clients.connected);
        let away = clients.sessions.saturating_sub(clients.connected);
        for (topic, count) in [
            ("clients/total", clients.sessions),
            ("clients/connected", clients.connected),
            ("clients/active", clients.connected),
            ("clients/disconnected", away),
            ("clients/inactive", away),
            ("clients/maximum", self.clients_max),
        ] {
            add(topic, count as u64);
        }
        let (subscriptions, shared) = node.topology().subscriptions(DEFAULT_VHOST);
        add("subscriptions/count", subscriptions as u64);
        add("shared_subscriptions/count", shared as u64);
        let retained = node.retained.lock().get(DEFAULT_VHOST).map_or(0, |store| store.len());
        add("retained messages/count", retained as u64);
        let (messages, bytes) = node.stored_for_sessions();
        add("messages/stored", messages);
        add("store/messages/count", messages);
        add("store/messages/bytes", bytes);
        add("heap/current", node.alarms.state().memory.unwrap_or(0));
        let traffic = node.traffic_totals(clients.bytes);
        traffic.iter().for_each(|(topic, total)| add(topic, *total));
        values.extend(self.loads(&traffic));
        values
    }

    fn loads(&mut self, traffic: &[(&'static str, u64)]) -> Vec<(String, String)> {
        let mut values = Vec::new();
        for &(topic, total) in traffic {
            let load = self.loads.entry(topic).or_default();
            load.note(total, self.interval);
            for (mean, minutes) in load.means.iter().zip(LOAD_MINUTES) {
                values.push((format!("load/{topic}/{minutes}min"), format!("{mean:.2}")));
            }
        }
        values
    }
}

fn uptime_s(node: &Node) -> u64 {
    clock::now_ms().saturating_sub(node.started_at_ms) / 1000
}

/// The clients of MQTT now.
struct Clients {
    connected: usize,
    sessions: usize,
    /// On the wire, received and sent, of those that are connected.
    bytes: (u64, u64),
}

impl Node {
    fn mqtt_clients(&self) -> Clients {
        let mut clients =
            Clients { connected: 0, sessions: self.session_queues().len(), bytes: (0, 0) };
        for peer in self.connections.all() {
            if peer.dialect().is_some_and(Dialect::is_mqtt) {
                clients.connected += 1;
                clients.bytes.0 += peer.traffic.received.load(Ordering::Relaxed);
                clients.bytes.1 += peer.traffic.sent.load(Ordering::Relaxed);
            }
        }
        clients
    }

    /// How many messages the queues of sessions hold, and how large these are.
    fn stored_for_sessions(&self) -> (u64, u64) {
        let (mut messages, mut bytes) = (0, 0);
        for queues in self.session_queues().chunks(QUEUES_PER_LOCK) {
            for &queue in queues {
                let stats =
                    self.shard_of(queue).post(|work| Some(work.state.queue(queue)?.stats()));
                let Some(stats) = stats else { continue };
                messages += (stats.ready + stats.unacked) as u64;
                bytes += stats.ready_bytes + stats.unacked_bytes;
            }
        }
        (messages, bytes)
    }

    fn traffic_totals(&self, (received, sent): (u64, u64)) -> [(&'static str, u64); 7] {
        let (counts, mut all) = (self.counts(), Counts::default());
        for dialect in Dialect::ALL.into_iter().filter(|dialect| dialect.is_mqtt()) {
            all += *counts.of(dialect);
        }
        let closed = &self.closed_traffic;
        [
            ("publish/messages/received", all.published),
            ("publish/messages/sent", all.delivered_auto + all.delivered_manual),
            ("publish/messages/dropped", all.failed),
            ("publish/bytes/received", all.sizes.sum_bytes),
            ("publish/bytes/sent", all.delivered_bytes),
            ("bytes/received", received + closed.received_bytes.count()),
            ("bytes/sent", sent + closed.sent_bytes.count()),
        ]
    }

    /// Retains a message in memory, and gives it to those who have subscribed to it.
    fn publish_status(&self, topic: &str, value: &str) {
        let key = topic_to_key(topic);
        let message = Arc::new(Message::new(Draft {
            exchange: TOPIC_EXCHANGE,
            routing_key: &key,
            encoding: Encoding::None,
            properties: &[],
            body: Body::Borrowed(value.as_bytes()),
            facts: Facts { retain: true, timestamp_ms: clock::now_ms(), ..Facts::default() },
        }));
        let mut vhosts = self.retained.lock();
        vhosts.entry(DEFAULT_VHOST.into()).or_default().set(&key, message.clone(), None);
        drop(vhosts);
        let address = Address {
            vhost: DEFAULT_VHOST,
            exchange: TOPIC_EXCHANGE,
            key: &key,
            random: random_number(),
        };
        let routes = self.topology().route(address, &leveret_core::Table::default(), None);
        let Ok(mut routes) = routes else { return };
        routes.targets.retain(|target| target.subscription.is_some());
        let routed = Arc::new(Routed::group(&routes, self.shard_count())).choose(self);
        let mut publisher = Publisher::new(None);
        publisher.add_routed(self, message, routed);
        publisher.flush(self);
    }

    fn session_queues(&self) -> Vec<QueueId> {
        self.lock_sessions().queues()
    }
}

/// The exchange that topics belong to.
const TOPIC_EXCHANGE: &str = "amq.topic";
