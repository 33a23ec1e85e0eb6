//! What the topology knows of a queue: its name, its properties and its bindings, not its messages.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Resource, TopologyError, arguments};
use crate::QueueSettings;
use crate::exchange::BindingId;
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
    pub(super) bindings: BTreeSet<BindingId>,
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
}

impl QueueSpec {
    /// What its shard has to know of it.
    pub fn settings(&self) -> QueueSettings {
        let is_set = |argument| self.arguments.get(argument) == Some(&Value::Bool(true));
        QueueSettings {
            durable: self.is_durable(),
            auto_delete: self.auto_delete,
            single_active_consumer: is_set(SINGLE_ACTIVE_CONSUMER),
            message_ttl_ms: self.number(MESSAGE_TTL),
            expires_ms: self.number(EXPIRES),
            max_length: self.number(MAX_LENGTH),
            rejects_when_full: self.arguments.get(OVERFLOW).and_then(Value::as_str)
                == Some(REJECT_PUBLISH),
            dead_letters: self.arguments.get(DEAD_LETTER_EXCHANGE).is_some(),
        }
    }

    fn number(&self, argument: &str) -> Option<u64> {
        u64::try_from(self.arguments.get(argument)?.as_integer()?).ok()
    }

    /// The exchange that gets what is rejected or dropped.
    pub fn dead_letter_exchange(&self) -> Option<&str> {
        self.arguments.get(DEAD_LETTER_EXCHANGE)?.as_str()
    }

    /// The routing key that it gets it with, in the place of the message's own.
    pub fn dead_letter_key(&self) -> Option<&str> {
        self.arguments.get(DEAD_LETTER_KEY)?.as_str()
    }

    /// Whether the queue survives a restart. An exclusive one does not, whatever was declared.
    pub fn is_durable(&self) -> bool {
        self.durable && self.exclusive.is_none()
    }
}

impl QueueKind {
    fn name(&self) -> &'static str {
        match self {
            QueueKind::Classic => "classic",
            QueueKind::MqttSession { .. } => "mqtt",
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
        QueueEntry { id, name, vhost, spec, bindings: BTreeSet::new() }
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
            COMPARED,
            &without_default_type(&received.arguments),
            &without_default_type(&current.arguments),
            || self.resource(),
        )
    }

    /// Refuses arguments that a new queue cannot have, and those that it would not obey.
    pub(super) fn check_arguments(&self) -> Result<(), TopologyError> {
        for (name, value) in self.spec.arguments.iter() {
            let reason = match name {
                QUEUE_TYPE => queue_type_flaw(value),
                SINGLE_ACTIVE_CONSUMER => flag_flaw(value),
                MESSAGE_TTL => number_flaw(value, TTL_MAX_MS),
                EXPIRES if value.as_integer() == Some(0) => Some("{value_zero,0}".to_owned()),
                EXPIRES => number_flaw(value, TTL_MAX_MS),
                MAX_LENGTH => number_flaw(value, i64::MAX),
                DEAD_LETTER_EXCHANGE | DEAD_LETTER_KEY if value.type_name() != "longstr" => {
                    return Err(TopologyError::InvalidArgumentType {
                        resource: self.resource(),
                        argument: DEAD_LETTER_ARGUMENTS[usize::from(name == DEAD_LETTER_KEY)],
                        found: value.type_name(),
                    });
                }
                DEAD_LETTER_EXCHANGE => None,
                DEAD_LETTER_KEY => {
                    let alone = self.spec.arguments.get(DEAD_LETTER_EXCHANGE).is_none();
                    alone.then(|| "routing_key_but_no_dlx_defined".to_owned())
                }
                OVERFLOW if matches!(value.as_str(), Some("drop-head" | REJECT_PUBLISH)) => None,
                "x-queue-mode" if matches!(value.as_str(), Some("default" | "lazy")) => None,
                _ => KNOWN.contains(&name).then(|| NOT_SUPPORTED.to_owned()),
            };
            if let Some(reason) = reason {
                return Err(TopologyError::InvalidArgument {
                    resource: self.resource(),
                    argument: name.to_owned(),
                    reason,
                });
            }
        }
        Ok(())
    }
}

fn queue_type_flaw(value: &Value) -> Option<String> {
    match value.as_str() {
        Some("classic") => None,
        Some("quorum" | "stream") => Some(NOT_SUPPORTED.to_owned()),
        Some(other) => Some(format!("\"unsupported queue type '{other}'\"")),
        None => Some(format!("{{unacceptable_type,{}}}", value.type_name())),
    }
}

/// What is wrong with a number that has to be between 0 and a limit, in RabbitMQ's words.
fn number_flaw(value: &Value, max: i64) -> Option<String> {
    match value.as_integer() {
        None => Some(format!("{{unacceptable_type,{}}}", value.type_name())),
        Some(number) if number < 0 => Some(format!("{{value_negative,{number}}}")),
        Some(number) if number > max => Some(format!("{{value_too_large,{number}}}")),
        Some(_) => None,
    }
}

fn flag_flaw(value: &Value) -> Option<String> {
    let is_flag = matches!(value, Value::Bool(_));
    (!is_flag).then(|| format!("{{unacceptable_type,{}}}", value.type_name()))
}

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

const QUEUE_TYPE: &str = "x-queue-type";
const SINGLE_ACTIVE_CONSUMER: &str = "x-single-active-consumer";
const MESSAGE_TTL: &str = "x-message-ttl";
const EXPIRES: &str = "x-expires";
const MAX_LENGTH: &str = "x-max-length";
const OVERFLOW: &str = "x-overflow";
const REJECT_PUBLISH: &str = "reject-publish";
const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";
const DEAD_LETTER_KEY: &str = "x-dead-letter-routing-key";
const DEAD_LETTER_ARGUMENTS: [&str; 2] = [DEAD_LETTER_EXCHANGE, DEAD_LETTER_KEY];

/// RabbitMQ's longest time to live: ten years of 365 days.
const TTL_MAX_MS: i64 = 315_360_000_000;
const NOT_SUPPORTED: &str = "not supported yet";

/// The arguments by which two declarations of a queue may differ, in the order of comparison.
const COMPARED: &[&str] = &[
    QUEUE_TYPE,
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    "x-max-priority",
    "x-single-active-consumer",
    "x-delivery-limit",
    "x-consumer-timeout",
];

/// The arguments that mean something to RabbitMQ and, so far, nothing here.
const KNOWN: &[&str] = &[
    "x-dead-letter-strategy",
    "x-max-length-bytes",
    "x-overflow",
    "x-max-priority",
    "x-delivery-limit",
    "x-consumer-timeout",
    "x-queue-mode",
    "x-queue-version",
    "x-queue-master-locator",
    "x-queue-leader-locator",
    "x-quorum-initial-group-size",
    "x-initial-cluster-size",
    "x-delayed-retry-type",
    "x-delayed-retry-min",
    "x-delayed-retry-max",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-stream-filter-size-bytes",
];
