//! Why the topology refuses something, in the words that RabbitMQ's clients know.

use std::fmt;
use std::sync::Arc;

use super::{NodeLimit, PolicyError, Right};
use crate::exchange::{ExchangeError, UnknownExchangeType};
use crate::id::QueueId;

/// A refusal. Its text is what goes on the wire behind the code's name.
///
/// Text and [`kind`](TopologyError::kind) are RabbitMQ's, where RabbitMQ has the case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// There is no such virtual host.
    #[error("vhost {0} not found")]
    VhostNotFound(Arc<str>),
    /// The virtual host is to stay.
    #[error("vhost '{0}' is protected from deletion")]
    VhostProtected(Arc<str>),
    /// There is no such exchange or queue.
    #[error("no {0}")]
    NotFound(Resource),
    /// There is no such user.
    #[error("no user '{0}'")]
    UserNotFound(Arc<str>),
    /// The user may not do this.
    #[error("{right} access to {resource} refused for user '{user}'")]
    AccessRefused {
        /// What was to be done.
        right: Right,
        /// With what.
        resource: Resource,
        /// By whom.
        user: Arc<str>,
    },
    /// The user may not do this with this topic.
    #[error("{right} access to topic '{key}' in {exchange} refused for user '{user}'")]
    TopicAccessRefused {
        /// What was to be done.
        right: Right,
        /// The routing key or binding key.
        key: Arc<str>,
        /// The exchange.
        exchange: Resource,
        /// By whom.
        user: Arc<str>,
    },
    /// Whether the user may do this is not known yet: it is to be tried again once it is.
    #[error("it is not known yet whether the user may do this")]
    Undecided,
    /// A policy that makes no sense.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The default exchange can only be published to.
    #[error("operation not permitted on the default exchange")]
    DefaultExchange,
    /// Names that begin with `amq.` are the broker's.
    #[error("{} name '{}' contains reserved prefix 'amq.*'", .0.kind, .0.name)]
    ReservedName(Resource),
    /// Predeclared exchanges stay.
    #[error("deletion of system {0} not allowed")]
    SystemExchange(Resource),
    /// Clients do not publish to internal exchanges.
    #[error("cannot publish to internal {0}")]
    InternalExchange(Resource),
    /// The queue is exclusive to another connection, or is not and was asked for as exclusive.
    #[error(
        "cannot obtain exclusive access to locked {0}. It could be originally declared on another \
         connection or the exclusive property value does not match that of the original \
         declaration."
    )]
    Locked(Resource),
    /// It exists with another property.
    #[error(
        "inequivalent arg '{property}' for {resource}: received '{received}' \
         but current is '{current}'"
    )]
    InequivalentProperty {
        /// The exchange or queue.
        resource: Resource,
        /// The property's name.
        property: &'static str,
        /// What was asked for.
        received: &'static str,
        /// What it is.
        current: &'static str,
    },
    /// It exists with another argument.
    #[error(
        "inequivalent arg '{argument}' for {resource}: received {received} but current is {current}"
    )]
    InequivalentArgument {
        /// The exchange or queue.
        resource: Resource,
        /// The argument's name.
        argument: &'static str,
        /// What was asked for: the value and its type, or `none`.
        received: String,
        /// What it is: the value and its type, or `none`.
        current: String,
    },
    /// An argument has a value that cannot be.
    #[error("invalid arg '{argument}' for {resource}: {reason}")]
    InvalidArgument {
        /// The exchange, queue or binding.
        resource: Resource,
        /// The argument's name.
        argument: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An argument is for queues of another type.
    #[error("invalid arg '{argument}' for {resource} of queue type {queue_type}")]
    ArgumentOfOtherType {
        /// The queue.
        resource: Resource,
        /// The argument's name.
        argument: &'static str,
        /// RabbitMQ's name of the queue's type.
        queue_type: &'static str,
    },
    /// Queues of this type cannot have a property.
    #[error("invalid property '{property}' for {resource}")]
    InvalidProperty {
        /// The queue.
        resource: Resource,
        /// What it is not to be.
        property: &'static str,
    },
    /// Queues of this type have names that their clients give.
    #[error("Cannot declare a server-named queue for type {0}")]
    ServerNamed(&'static str),
    /// An argument has a value of the wrong type.
    #[error("invalid type '{found}' for arg '{argument}' in {resource}")]
    InvalidArgumentType {
        /// The exchange or queue.
        resource: Resource,
        /// The argument's name.
        argument: &'static str,
        /// The type's name.
        found: &'static str,
    },
    /// There are more arguments than the broker keeps.
    #[error("too many arguments for {resource}: at most {max} values")]
    TooManyArguments {
        /// The exchange, queue or binding's source.
        resource: Resource,
        /// The limit.
        max: usize,
    },
    /// There is no such exchange type.
    #[error(transparent)]
    UnknownExchangeType(#[from] UnknownExchangeType),
    /// It has bindings, and was to be deleted only if it has none.
    #[error("{0} in use")]
    InUse(Resource),
    /// The type of the exchange does not allow it.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The virtual host has as many queues as it may have.
    #[error("cannot declare queue '{queue}': queue limit in vhost '{vhost}' ({max}) is reached")]
    QueueLimit {
        /// The queue's name.
        queue: Arc<str>,
        /// The virtual host.
        vhost: Arc<str>,
        /// The limit.
        max: u64,
    },
    /// There is as much of something as the node may have.
    #[error("{limit} ({max}) is reached")]
    NodeLimit {
        /// What there is so much of.
        limit: NodeLimit,
        /// The limit.
        max: usize,
    },
    /// The caller gave a queue the identity of another.
    #[error("queue id {0} is taken")]
    QueueIdTaken(QueueId),
}

/// The class of a refusal, which decides the code on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopologyErrorKind {
    /// 404 in AMQP and HTTP.
    NotFound,
    /// 403 in AMQP.
    AccessRefused,
    /// 406 in AMQP.
    PreconditionFailed,
    /// 405 in AMQP.
    ResourceLocked,
    /// 530 in AMQP.
    NotAllowed,
}

/// An exchange or a queue, as error texts name it: `queue 'q' in vhost '/'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// Its name.
    pub name: Arc<str>,
    /// The virtual host it is in.
    pub vhost: Arc<str>,
}

/// What a [`Resource`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// An exchange.
    Exchange,
    /// A queue.
    Queue,
}

impl TopologyError {
    /// The class of the refusal.
    pub fn kind(&self) -> TopologyErrorKind {
        use TopologyErrorKind as Kind;
        match self {
            TopologyError::VhostNotFound(_) => Kind::NotAllowed,
            TopologyError::NotFound(_) | TopologyError::UserNotFound(_) => Kind::NotFound,
            TopologyError::AccessRefused { .. }
            | TopologyError::Undecided
            | TopologyError::TopicAccessRefused { .. }
            | TopologyError::DefaultExchange
            | TopologyError::ReservedName(_)
            | TopologyError::SystemExchange(_)
            | TopologyError::InternalExchange(_) => Kind::AccessRefused,
            TopologyError::Locked(_) => Kind::ResourceLocked,
            TopologyError::InequivalentProperty { .. }
            | TopologyError::InequivalentArgument { .. }
            | TopologyError::InvalidArgument { .. }
            | TopologyError::InvalidArgumentType { .. }
            | TopologyError::ArgumentOfOtherType { .. }
            | TopologyError::InvalidProperty { .. }
            | TopologyError::ServerNamed(_)
            | TopologyError::TooManyArguments { .. }
            | TopologyError::UnknownExchangeType(_)
            | TopologyError::InUse(_)
            | TopologyError::Exchange(_)
            | TopologyError::Policy(_)
            | TopologyError::VhostProtected(_)
            | TopologyError::QueueLimit { .. }
            | TopologyError::NodeLimit { .. }
            | TopologyError::QueueIdTaken(_) => Kind::PreconditionFailed,
        }
    }
}

impl Resource {
    /// How error texts and permissions call the exchange without a name.
    pub const DEFAULT_EXCHANGE: &str = "amq.default";

    /// An exchange.
    pub fn exchange(name: &str, vhost: &str) -> Self {
        let name = if name.is_empty() { Self::DEFAULT_EXCHANGE } else { name };
        Resource { kind: ResourceKind::Exchange, name: name.into(), vhost: vhost.into() }
    }

    /// A queue.
    pub fn queue(name: &str, vhost: &str) -> Self {
        Resource { kind: ResourceKind::Queue, name: name.into(), vhost: vhost.into() }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} '{}' in vhost '{}'", self.kind, self.name, self.vhost)
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResourceKind::Exchange => "exchange",
            ResourceKind::Queue => "queue",
        })
    }
}
