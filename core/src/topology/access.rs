//! Who may do what: the permissions of users, for what frontends do in their names.

use std::fmt;

use super::{
    Binding, Destination, ExchangeEntry, QueueSpec, Resource, ResourceKind, Right,
    TopicPermissions, Topology, TopologyError,
};
use crate::exchange::{ExchangeKind, ExchangeSpec};
use crate::value::Table;

/// In whose name something is done, and where.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// The user.
    pub user: &'a str,
    /// The virtual host.
    pub vhost: &'a str,
    /// The identifier of an MQTT client.
    pub client_id: Option<&'a str>,
    /// Who says what may be done.
    pub authority: Authority<'a>,
}

/// Who says what an actor may do.
#[derive(Debug, Clone, Copy)]
pub enum Authority<'a> {
    /// The user's permissions here.
    Permissions,
    /// Nobody: it is the operator of the node, who is no user and may do everything.
    Operator,
    /// Somebody who knows the user, while the topology does not.
    Elsewhere(&'a dyn Judge),
}

/// Says what a user may do whom the topology does not know.
pub trait Judge: fmt::Debug + Send + Sync {
    /// Whether the user may do this; `None` if that is not known yet.
    fn allows(&self, wanted: &Wanted<'_>) -> Option<bool>;
}

/// What a user wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// In which virtual host.
    pub vhost: &'a str,
    /// What.
    pub right: Right,
    /// With what.
    pub kind: ResourceKind,
    /// Its name.
    pub name: &'a str,
    /// The routing key or binding key, if that is what it is about: the exchange is a topic exchange, and
    /// what may be done with it as a whole is asked by itself.
    pub topic: Option<&'a str>,
    /// The identifier of the user's MQTT client.
    pub client_id: Option<&'a str>,
}

impl Topology {
    /// Refuses what the user may not do with an exchange; the default one is called `amq.default`.
    ///
    /// # Errors
    /// [`TopologyError::AccessRefused`].
    pub fn check_exchange_right(
        &self,
        actor: Actor<'_>,
        right: Right,
        exchange: &str,
    ) -> Result<(), TopologyError> {
        let name = if exchange.is_empty() { Resource::DEFAULT_EXCHANGE } else { exchange };
        self.check_right(actor, right, (ResourceKind::Exchange, name))
    }

    /// Refuses what the user may not do with a queue.
    ///
    /// # Errors
    /// [`TopologyError::AccessRefused`].
    pub fn check_queue_right(
        &self,
        actor: Actor<'_>,
        right: Right,
        queue: &str,
    ) -> Result<(), TopologyError> {
        self.check_right(actor, right, (ResourceKind::Queue, queue))
    }

    /// Refuses to show an exchange or a queue to a user who may do nothing with it.
    ///
    /// # Errors
    /// [`TopologyError::AccessRefused`].
    pub fn check_any_right(
        &self,
        actor: Actor<'_>,
        thing: (ResourceKind, &str),
    ) -> Result<(), TopologyError> {
        let mut refused = Ok(());
        for right in [Right::Read, Right::Write, Right::Configure] {
            refused = self.check_right(actor, right, thing);
            if matches!(refused, Ok(()) | Err(TopologyError::Undecided)) {
                break;
            }
        }
        refused
    }

    /// Refuses a declaration that the user may not make. Whoever has messages of a new queue or
    /// exchange sent on needs the rights for that.
    ///
    /// # Errors
    /// [`TopologyError::AccessRefused`].
    pub fn check_declare_queue(
        &self,
        actor: Actor<'_>,
        name: &str,
        spec: &QueueSpec,
    ) -> Result<(), TopologyError> {
        self.check_queue_right(actor, Right::Configure, name)?;
        let target = named(&spec.arguments, super::queue_arguments::DEAD_LETTER_EXCHANGE);
        let Some(target) = target.filter(|_| self.queue(actor.vhost, name).is_err()) else {
            return Ok(());
        };
        self.check_queue_right(actor, Right::Read, name)?;
        self.check_exchange_right(actor, Right::Write, target)
    }

    /// As [`Topology::check_declare_queue`].
    ///
    /// # Errors
    /// [`TopologyError::AccessRefused`].
    pub fn check_declare_exchange(
        &self,
        actor: Actor<'_>,
        name: &str,
        spec: &ExchangeSpec,
    ) -> Result<(), TopologyError> {
        if name.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        self.check_exchange_right(actor, Right::Configure, name)?;
        let target = named(&spec.arguments, super::declare::ALTERNATE);
        let Some(target) = target.filter(|_| self.exchange(actor.vhost, name).is_err()) else {
            return Ok(());
        };
        self.check_exchange_right(actor, Right::Read, name)?;
        self.check_exchange_right(actor, Right::Write, target)
    }

    /// Refuses the deletion of an exchange that stays, or that the user may not delete.
    ///
    /// # Errors
    /// As said.
    pub fn check_delete_exchange(&self, actor: Actor<'_>, name: &str) -> Result<(), TopologyError> {
        if name.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        if super::vhost::is_predeclared(name) {
            let exchange = Resource::exchange(name, actor.vhost);
            return Err(TopologyError::SystemExchange(exchange));
        }
        self.check_exchange_right(actor, Right::Configure, name)
    }

    /// Refuses to bind or unbind what the user may not. `destination` is the destination's name.
    ///
    /// # Errors
    /// [`TopologyError::AccessRefused`], [`TopologyError::TopicAccessRefused`].
    pub fn check_bind(
        &self,
        actor: Actor<'_>,
        binding: &Binding,
        destination: &str,
    ) -> Result<(), TopologyError> {
        match binding.destination {
            Destination::Queue(_) => {
                self.check_queue_right(actor, Right::Write, destination)?;
            }
            Destination::Exchange(_) => {
                self.check_exchange_right(actor, Right::Write, destination)?;
            }
        }
        if binding.source.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        self.check_exchange_right(actor, Right::Read, &binding.source)?;
        match self.exchange(actor.vhost, &binding.source) {
            Ok(source) => self.check_topic_right(actor, Right::Read, source, &binding.key),
            Err(_) => Ok(()),
        }
    }

    /// Refuses a publish that the user may not make, or to an exchange that takes none.
    ///
    /// # Errors
    /// As said.
    pub fn check_publish_by(
        &self,
        actor: Actor<'_>,
        exchange: &str,
        keys: &[&str],
    ) -> Result<(), TopologyError> {
        self.check_exchange_right(actor, Right::Write, exchange)?;
        self.check_publish(actor.vhost, exchange)?;
        let exchange = self.exchange(actor.vhost, exchange)?;
        keys.iter().try_for_each(|key| self.check_topic_right(actor, Right::Write, exchange, key))
    }

    /// Refuses to let the user read what is published to an exchange with a key, or with those that
    /// a binding key stands for.
    ///
    /// # Errors
    /// [`TopologyError::AccessRefused`], [`TopologyError::TopicAccessRefused`].
    pub fn check_read_topic(
        &self,
        actor: Actor<'_>,
        exchange: &str,
        key: &str,
    ) -> Result<(), TopologyError> {
        self.check_exchange_right(actor, Right::Read, exchange)?;
        let exchange = self.exchange(actor.vhost, exchange)?;
        self.check_topic_right(actor, Right::Read, exchange, key)
    }

    /// Whether the user may read whatever is published to an exchange, as far as that is looked at once more
    /// when it is delivered. What is decided elsewhere is decided when it is subscribed to.
    pub fn reads_all_topics(&self, actor: Actor<'_>, exchange: &str) -> bool {
        if let Authority::Elsewhere(_) = actor.authority {
            return true;
        }
        self.check_exchange_right(actor, Right::Read, exchange).is_ok()
            && self.topic_permissions(actor, exchange).is_none()
    }

    fn check_right(
        &self,
        actor: Actor<'_>,
        right: Right,
        (kind, name): (ResourceKind, &str),
    ) -> Result<(), TopologyError> {
        let is_allowed = match actor.authority {
            Authority::Operator => true,
            Authority::Permissions => {
                let user = self.users.get(actor.user);
                let permissions = user.and_then(|user| user.permissions.get(actor.vhost));
                permissions.is_some_and(|permissions| permissions.allow(right, name))
            }
            Authority::Elsewhere(judge) => {
                let (vhost, client_id) = (actor.vhost, actor.client_id);
                let wanted = Wanted { vhost, right, kind, name, topic: None, client_id };
                judge.allows(&wanted).ok_or(TopologyError::Undecided)?
            }
        };
        if is_allowed {
            return Ok(());
        }
        let resource = Resource { kind, name: name.into(), vhost: actor.vhost.into() };
        Err(TopologyError::AccessRefused { right, resource, user: actor.user.into() })
    }

    fn topic_permissions(&self, actor: Actor<'_>, exchange: &str) -> Option<&TopicPermissions> {
        let Authority::Permissions = actor.authority else { return None };
        let user = self.users.get(actor.user)?;
        user.topic_permissions.get(actor.vhost)?.get(exchange)
    }

    fn check_topic_right(
        &self,
        actor: Actor<'_>,
        right: Right,
        exchange: &ExchangeEntry,
        key: &str,
    ) -> Result<(), TopologyError> {
        if exchange.spec.routes_as() != ExchangeKind::Topic {
            return Ok(());
        }
        let is_allowed = match actor.authority {
            Authority::Elsewhere(judge) => {
                let (vhost, kind, name) = (actor.vhost, ResourceKind::Exchange, &exchange.name);
                let (topic, client_id) = (Some(key), actor.client_id);
                let wanted = Wanted { vhost, right, kind, name, topic, client_id };
                judge.allows(&wanted).ok_or(TopologyError::Undecided)?
            }
            Authority::Permissions | Authority::Operator => self
                .topic_permissions(actor, &exchange.name)
                .is_none_or(|permissions| permissions.allow(&actor, right, key)),
        };
        if is_allowed {
            return Ok(());
        }
        let exchange = Resource::exchange(&exchange.name, actor.vhost);
        let (key, user) = (key.into(), actor.user.into());
        Err(TopologyError::TopicAccessRefused { right, key, exchange, user })
    }
}

fn named<'a>(arguments: &'a Table, argument: &str) -> Option<&'a str> {
    arguments.get(argument)?.as_str()
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Right::Configure => "configure",
            Right::Write => "write",
            Right::Read => "read",
        })
    }
}
