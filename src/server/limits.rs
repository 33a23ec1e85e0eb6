//! The limits that clients can reach: how often each was in the way, and how full the node is.
//!
//! A limit is called after its setting, or after what operators set for a virtual host or a user;
//! `docs/limits.md` lists them all.

use std::sync::atomic::{AtomicU64, Ordering};

use leveret_core::{NodeLimit, TopologyError};

use super::Node;
use super::usage::LimitReached;

/// How often limits were in the way since the start.
#[derive(Debug)]
pub struct Refusals([AtomicU64; Limit::ALL.len()]);

impl Default for Refusals {
    fn default() -> Self {
        Refusals(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// Declares limits with their names.
macro_rules! limits {
    ($($name:ident = $label:literal,)+) => {
        /// A limit whose refusals are counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the names are those of the settings")]
        pub enum Limit { $($name,)+ }

        impl Limit {
            /// All of them.
            pub const ALL: &[Limit] = &[$(Limit::$name,)+];

            /// What it is called.
            pub fn name(self) -> &'static str {
                match self { $(Limit::$name => $label,)+ }
            }
        }
    };
}

limits! {
    Connections = "connections_max",
    ConnectionsPerAddress = "connections_per_address_max",
    ConnectionRate = "connection_rate_max",
    OpenFiles = "open_files",
    ConnectionsOfVhost = "vhost max-connections",
    ConnectionsOfUser = "user max-connections",
    ChannelsOfUser = "user max-channels",
    QueuesOfVhost = "vhost max-queues",
    Channels = "channels_max",
    ChannelsOfConnection = "amqp_channel_max",
    Consumers = "amqp_consumers_max",
    Unacked = "amqp_unacked_max",
    Queues = "queues_max",
    Exchanges = "exchanges_max",
    Bindings = "bindings_max",
    BindingsPerDestination = "bindings_per_destination_max",
    HandshakeTime = "handshake_timeout",
    TlsHandshakes = "tls_handshakes_max",
    ProxyHeaders = "proxy_headers_max",
    HttpConnections = "http_connections_max",
    HttpTime = "http_timeout",
    HttpBody = "http_body_size_max",
    MessageSize = "message_size_max",
    FrameSize = "amqp_frame_max",
    TableDepth = "amqp_table_depth_max",
    TableEntries = "amqp_table_entries_max",
    TransactionLen = "amqp_transaction_max",
    TransactionSize = "amqp_transaction_size_max",
    WebSocketMessage = "websocket_message_size_max",
    PacketSize = "mqtt_packet_size_max",
    UserProperties = "mqtt_user_properties_max",
    ReceiveMaximum = "mqtt_receive_max",
    TopicAliases = "mqtt_topic_alias_max",
    Topics = "mqtt_topic_size_max",
    TopicLevels = "mqtt_topic_levels_max",
    ClientId = "mqtt_client_id_max",
    Subscriptions = "mqtt_subscriptions_max",
    Retained = "mqtt_retained_max",
    RetainedSize = "mqtt_retained_size_max",
}

impl Refusals {
    /// A limit was in the way.
    pub fn note(&self, limit: Limit) {
        self.0[limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What the topology refused may have been one too many.
    pub fn note_topology(&self, error: &TopologyError) {
        let limit = match error {
            TopologyError::QueueLimit { .. } => Limit::QueuesOfVhost,
            TopologyError::NodeLimit { limit: NodeLimit::Queues, .. } => Limit::Queues,
            TopologyError::NodeLimit { limit: NodeLimit::Exchanges, .. } => Limit::Exchanges,
            TopologyError::NodeLimit { limit: NodeLimit::Bindings, .. } => Limit::Bindings,
            TopologyError::NodeLimit { limit: NodeLimit::BindingsPerDestination, .. } => {
                Limit::BindingsPerDestination
            }
            _ => return,
        };
        self.note(limit);
    }

    /// All limits, with how often each was in the way.
    pub fn all(&self) -> impl Iterator<Item = (Limit, u64)> {
        Limit::ALL.iter().zip(&self.0).map(|(&limit, count)| (limit, count.load(Ordering::Relaxed)))
    }
}

impl From<&LimitReached> for Limit {
    fn from(reached: &LimitReached) -> Self {
        match reached {
            LimitReached::NodeConnections { .. } => Limit::Connections,
            LimitReached::AddressConnections { .. } => Limit::ConnectionsPerAddress,
            LimitReached::AddressRate { .. } => Limit::ConnectionRate,
            LimitReached::VhostConnections { .. } => Limit::ConnectionsOfVhost,
            LimitReached::UserConnections { .. } => Limit::ConnectionsOfUser,
            LimitReached::UserChannels { .. } => Limit::ChannelsOfUser,
            LimitReached::NodeChannels { .. } => Limit::Channels,
        }
    }
}

impl Node {
    /// How many connections there may be: no more than there are file descriptors for.
    pub fn connections_max(&self) -> u64 {
        self.files.room_for_clients().min(self.config.connections_max.into())
    }

    /// What there is a limit of on the node: how much there is, and how much there may be.
    pub fn filling(&self) -> Vec<(Limit, u64, u64)> {
        let config = &self.config;
        let (queues, exchanges, bindings) = {
            let topology = self.topology();
            let (queues, exchanges) = (topology.total_queues(), topology.total_exchanges());
            (queues as u64, exchanges as u64, topology.total_bindings() as u64)
        };
        let (retained, retained_bytes) = self.retained_totals();
        vec![
            (Limit::Connections, self.connections.len() as u64, self.connections_max()),
            (Limit::Channels, self.usage.channels(), config.channels_max.into()),
            (Limit::Queues, queues, config.queues_max.into()),
            (Limit::Exchanges, exchanges, config.exchanges_max.into()),
            (Limit::Bindings, bindings, config.bindings_max.into()),
            (Limit::Retained, retained, config.mqtt_retained_max.into()),
            (Limit::RetainedSize, retained_bytes, config.mqtt_retained_size_max.0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_counts_for_itself() {
        let refusals = Refusals::default();
        refusals.note(Limit::Connections);
        refusals.note(Limit::RetainedSize);
        refusals.note_topology(&TopologyError::NodeLimit { limit: NodeLimit::Queues, max: 1 });
        refusals.note_topology(&TopologyError::DefaultExchange);
        let counted: Vec<_> = refusals.all().filter(|(_, count)| *count > 0).collect();
        let expected = [(Limit::Connections, 1), (Limit::Queues, 1), (Limit::RetainedSize, 1)];
        assert_eq!(counted, expected);
    }

    #[test]
    fn limits_are_called_after_settings_or_what_operators_set() {
        let settings = crate::config::Config::settings();
        for limit in Limit::ALL {
            let name = limit.name();
            let is_setting = settings.iter().any(|setting| setting.name == name);
            assert!(is_setting || name.contains(" max-") || name == "open_files", "{name}");
        }
    }
}
