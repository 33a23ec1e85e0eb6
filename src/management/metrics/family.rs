//! What a scrape is about: everything or some families of metrics, sums or single objects.

/// How much of what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// `/metrics`: everything, summed up.
    Aggregated,
    /// `/metrics/per-object`: everything, for each queue, connection and channel.
    PerObject,
    /// `/metrics/detailed`: some families, for each object.
    Detailed(Vec<Family>),
    /// `/metrics/memory-breakdown`.
    Memory,
}

/// Metrics that are asked for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names that follow are the documentation")]
pub enum Family {
    AuthAttempts,
    Churn,
    NodeCoarse,
    Node,
    NodePersister,
    Limits,
    QueueCoarse,
    QueueConsumerCount,
    Queue,
    QueueDelivery,
    QueuePublish,
    ConnectionCoarse,
    Connection,
    Channel,
    ChannelExchange,
    ChannelQueue,
    Exchange,
    ExchangeBindings,
    ExchangeNames,
    VhostStatus,
}

/// What requests call them.
const NAMES: &[(&str, Family)] = &[
    ("auth_attempt_metrics", Family::AuthAttempts),
    ("connection_churn_metrics", Family::Churn),
    ("node_coarse_metrics", Family::NodeCoarse),
    ("node_metrics", Family::Node),
    ("node_persister_metrics", Family::NodePersister),
    ("limit_metrics", Family::Limits),
    ("queue_coarse_metrics", Family::QueueCoarse),
    ("queue_consumer_count", Family::QueueConsumerCount),
    ("queue_metrics", Family::Queue),
    ("queue_delivery_metrics", Family::QueueDelivery),
    ("channel_queue_exchange_metrics", Family::QueuePublish),
    ("connection_coarse_metrics", Family::ConnectionCoarse),
    ("connection_metrics", Family::Connection),
    ("channel_metrics", Family::Channel),
    ("channel_exchange_metrics", Family::ChannelExchange),
    ("channel_queue_metrics", Family::ChannelQueue),
    ("exchange_metrics", Family::Exchange),
    ("exchange_bindings", Family::ExchangeBindings),
    ("exchange_names", Family::ExchangeNames),
    ("vhost_status", Family::VhostStatus),
];

impl Family {
    /// The family of this name; there are others that this broker has nothing to say about.
    pub fn named(name: &str) -> Option<Family> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, family)| *family)
    }

    /// Whether it is only there for those who ask for it.
    fn is_extra(self) -> bool {
        matches!(self, Family::ExchangeBindings | Family::ExchangeNames | Family::VhostStatus)
    }
}

impl Scope {
    /// Whether a family belongs to it.
    pub fn has(&self, family: Family) -> bool {
        match self {
            Scope::Aggregated | Scope::PerObject => !family.is_extra(),
            Scope::Detailed(families) => families.contains(&family),
            Scope::Memory => false,
        }
    }

    /// Whether what is of the node as a whole, and of no family, belongs to it.
    pub fn has_totals(&self) -> bool {
        matches!(self, Scope::Aggregated | Scope::PerObject)
    }

    /// Whether objects are told apart.
    pub fn is_per_object(&self) -> bool {
        matches!(self, Scope::PerObject | Scope::Detailed(_))
    }

    /// What names begin with.
    pub fn prefix(&self) -> &'static str {
        match self {
            Scope::Detailed(_) => "rabbitmq_detailed_",
            Scope::Aggregated | Scope::PerObject | Scope::Memory => PREFIX,
        }
    }

    /// What `rabbitmq_identity_info` says of it.
    pub fn endpoint(&self) -> &'static str {
        match self {
            Scope::Aggregated => "aggregated",
            Scope::PerObject => "per-object",
            Scope::Detailed(_) => "detailed",
            Scope::Memory => "memory-breakdown",
        }
    }
}

/// What most names begin with.
pub const PREFIX: &str = "rabbitmq_";
/// What names begin with that RabbitMQ does not have.
pub const OWN_PREFIX: &str = "leveret_";
