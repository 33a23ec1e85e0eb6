//! What the topology knows of a queue: its name, its properties and its bindings, not its messages.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::queue_arguments::{self, QUEUE_TYPE};
use super::{InForce, Resource, TopologyError, arguments};
use crate::exchange::{BindingIds, ExchangeSpec};
use crate::id::{ConnectionId, QueueId};
use crate::value::{Table, Value};

/// A declared queue.
#[derive(Debug, Clone)]
pub struct QueueEntry {
    /// Its identity.
    pub id: QueueId,
    /// Its name, unique within the virtual host.
    pub name: Arc<str>,
    /// The virtual host it is in.
    pub vhost: Arc<str>,
    /// Its properties.
    pub spec: QueueSpec,
    pub(super) bindings: BindingIds,
    pub(super) in_force: Option<Box<InForce>>,
}

/// The properties of a queue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueSpec {
    /// It was declared as durable; see [`QueueSpec::is_durable`].
    #[serde(default)]
    pub durable: bool,
    /// The connection that it belongs to and ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<ConnectionId>,
    /// It goes with its last consumer.
    #[serde(default)]
    pub auto_delete: bool,
    /// Further arguments, kept as they were given.
    #[serde(default)]
    pub arguments: Table,
    /// What sort of queue it is.
    #[serde(default)]
    pub kind: QueueKind,
}

/// What sort of queue it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// An AMQP queue.
    #[default]
    Classic,
    /// The queue of an MQTT session.
    MqttSession {
        /// The client that the session belongs to.
        client_id: Arc<str>,
        /// The session expiry interval in seconds; `u32::MAX` is for ever.
        expiry_s: u32,
    },
    /// Where an exchange keeps messages until their time. It has the name of the exchange, and is not
    /// among the queues of the virtual host.
    Delay,
    /// Where an exchange keeps what was published last. As nameless as the other one.
    History,
}

/// The types of AMQP queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueType {
    /// The usual one.
    Classic,
    /// One that counts deliveries and always is durable. On one node, it is kept as every other.
    Quorum,
}

impl QueueType {
    /// As `x-queue-type` names it.
    pub fn name(self) -> &'static str {
        match self {
            QueueType::Classic => "classic",
            QueueType::Quorum => "quorum",
        }
    }

    /// As error texts and metrics name it.
    pub fn module(self) -> &'static str {
        match self {
            QueueType::Classic => "rabbit_classic_queue",
            QueueType::Quorum => "rabbit_quorum_queue",
        }
    }
}

impl QueueSpec {
    /// Its type, as its declaration says.
    pub fn queue_type(&self) -> QueueType {
        match self.arguments.get(QUEUE_TYPE).and_then(Value::as_str) {
            Some("quorum") => QueueType::Quorum,
            _ => QueueType::Classic,
        }
    }

    /// The header by which it knows messages that it has taken before, if it takes each once only.
    pub(super) fn deduplication_header(&self) -> Option<&str> {
        queue_arguments::deduplication_header(&self.arguments)
    }

    /// Whether the queue survives a restart. An exclusive one does not, whatever was declared.
    pub fn is_durable(&self) -> bool {
        self.durable && self.exclusive.is_none()
    }
}

impl QueueKind {
    /// Whether it belongs to an exchange, so that nobody else sees it.
    pub(super) fn is_of_exchange(&self) -> bool {
        matches!(self, QueueKind::Delay | QueueKind::History)
    }

    fn name(&self) -> &'static str {
        match self {
            QueueKind::Classic => "classic",
            QueueKind::MqttSession { .. } => "mqtt",
            QueueKind::Delay => "delay",
            QueueKind::History => "history",
        }
    }

    /// Equal but for what may change in a queue's life.
    fn is_equivalent(&self, other: &QueueKind) -> bool {
        match (self, other) {
            (QueueKind::Classic, QueueKind::Classic) => true,
            (
                QueueKind::MqttSession { client_id: a, .. },
                QueueKind::MqttSession { client_id: b, .. },
            ) => a == b,
            _ => false,
        }
    }
}

impl QueueEntry {
    pub(super) fn new(id: QueueId, vhost: Arc<str>, name: Arc<str>, spec: QueueSpec) -> Self {
        QueueEntry { id, name, vhost, spec, bindings: BindingIds::default(), in_force: None }
    }

    /// The queue in which an exchange keeps messages.
    pub(super) fn of_exchange(
        id: QueueId,
        (vhost, exchange): (&Arc<str>, &Arc<str>),
        spec: &ExchangeSpec,
    ) -> Self {
        let (kind, arguments) = match spec.history_len() {
            None => (QueueKind::Delay, Table::default()),
            Some(len) => (QueueKind::History, queue_arguments::max_lengths(len, HISTORY_BYTES_MAX)),
        };
        let spec = QueueSpec { durable: spec.durable, kind, arguments, ..QueueSpec::default() };
        QueueEntry::new(id, Arc::clone(vhost), Arc::clone(exchange), spec)
    }

    /// How error texts name it.
    pub fn resource(&self) -> Resource {
        Resource::queue(&self.name, &self.vhost)
    }

    /// Refuses a connection that an exclusive queue does not belong to.
    ///
    /// # Errors
    /// [`TopologyError::Locked`].
    pub fn check_access(&self, connection: ConnectionId) -> Result<(), TopologyError> {
        match self.spec.exclusive {
            Some(owner) if owner != connection => Err(TopologyError::Locked(self.resource())),
            _ => Ok(()),
        }
    }

    /// Refuses a second declaration that is not equal to the first.
    pub(super) fn check_equivalent(&self, received: &QueueSpec) -> Result<(), TopologyError> {
        let current = &self.spec;
        if received.exclusive != current.exclusive {
            return Err(TopologyError::Locked(self.resource()));
        }
        let differs = |property, received, current| {
            Err(TopologyError::InequivalentProperty {
                resource: self.resource(),
                property,
                received,
                current,
            })
        };
        if received.durable != current.durable {
            return differs("durable", text(received.durable), text(current.durable));
        }
        if received.auto_delete != current.auto_delete {
            return differs("auto_delete", text(received.auto_delete), text(current.auto_delete));
        }
        if !received.kind.is_equivalent(&current.kind) {
            return differs(QUEUE_TYPE, received.kind.name(), current.kind.name());
        }
        arguments::check_equivalent(
            queue_arguments::compared_names(),
            &without_default_type(&received.arguments),
            &without_default_type(&current.arguments),
            || self.resource(),
        )
    }

    /// Refuses what a new queue of its type cannot be.
    pub(super) fn check_new(&self) -> Result<(), TopologyError> {
        queue_arguments::check(self)?;
        if self.spec.queue_type() == QueueType::Classic {
            return Ok(());
        }
        let flaws = [
            ("non-durable", !self.spec.durable),
            ("auto-delete", self.spec.auto_delete),
            ("exclusive-owner", self.spec.exclusive.is_some()),
        ];
        match flaws.iter().find(|(_, is_so)| *is_so) {
            None => Ok(()),
            Some(&(property, _)) => {
                Err(TopologyError::InvalidProperty { resource: self.resource(), property })
            }
        }
    }
}

/// All of what an exchange remembers is in memory at once while a new binding gets it.
const HISTORY_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// `x-queue-type: classic` says the same as nothing.
fn without_default_type(arguments: &Table) -> Table {
    let is_default = |name: &str, value: &Value| {
        name == QUEUE_TYPE && value.as_str() == Some(QueueKind::Classic.name())
    };
    arguments
        .iter()
        .filter(|(name, value)| !is_default(name, value))
        .map(|(name, value)| (name, value.clone()))
        .collect()
}

pub(super) fn text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
