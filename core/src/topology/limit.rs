//! Limits of the node, of virtual hosts and of users. The topology counts what is in it; whoever has the
//! connections counts them.
//!
//! Limits hold for what clients want to add. A log that is replayed may hold more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::user::{deleted, put};
use super::vhost::{PREDECLARED_LEN, Vhost};
use super::{Applied, Binding, Destination, Topology, TopologyError, vhost_mut};

/// What can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// AMQP channels of a user, over all connections.
    MaxChannels,
    /// Connections in a virtual host, or of a user.
    MaxConnections,
    /// Queues in a virtual host.
    MaxQueues,
}

/// Limits by what they are for. A negative one is none; none may be where it is 0.
pub type Limits = BTreeMap<Limit, i64>;

impl Limit {
    /// Those that a virtual host can have.
    pub const OF_VHOSTS: &[Limit] = &[Limit::MaxConnections, Limit::MaxQueues];
    /// Those that a user can have.
    pub const OF_USERS: &[Limit] = &[Limit::MaxChannels, Limit::MaxConnections];

    /// RabbitMQ's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Limit::MaxChannels => "max-channels",
            Limit::MaxConnections => "max-connections",
            Limit::MaxQueues => "max-queues",
        }
    }

    /// The most that there may be, unless there is no limit.
    pub fn max(self, limits: &Limits) -> Option<u64> {
        limits.get(&self).and_then(|&max| u64::try_from(max).ok())
    }
}

/// How much there may be on the node, over all virtual hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLimits {
    /// Queues, sessions of MQTT clients among them.
    pub queues: usize,
    /// Exchanges that were declared: those that every virtual host has do not count.
    pub exchanges: usize,
    /// Bindings, subscriptions of MQTT clients among them.
    pub bindings: usize,
    /// Bindings that lead to one queue or one exchange.
    pub bindings_per_destination: usize,
}

impl Default for NodeLimits {
    /// None.
    fn default() -> Self {
        NodeLimits {
            queues: usize::MAX,
            exchanges: usize::MAX,
            bindings: usize::MAX,
            bindings_per_destination: usize::MAX,
        }
    }
}

/// One of [`NodeLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "they are documented there")]
pub enum NodeLimit {
    Queues,
    Exchanges,
    Bindings,
    BindingsPerDestination,
}

impl NodeLimit {
    /// Refuses one more than `max`.
    pub(super) fn check(self, count: usize, max: usize) -> Result<(), TopologyError> {
        match count < max {
            true => Ok(()),
            false => Err(TopologyError::NodeLimit { limit: self, max }),
        }
    }
}

impl fmt::Display for NodeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NodeLimit::Queues => "queue limit of the node",
            NodeLimit::Exchanges => "exchange limit of the node",
            NodeLimit::Bindings => "binding limit of the node",
            NodeLimit::BindingsPerDestination => "binding limit of a queue or an exchange",
        })
    }
}

impl Vhost {
    /// Refuses a queue that would be one too many.
    pub(super) fn check_queue_limit(&self, queue: &Arc<str>) -> Result<(), TopologyError> {
        let max = Limit::MaxQueues.max(&self.limits);
        match max.filter(|&max| self.queue_ids.len() as u64 >= max) {
            None => Ok(()),
            Some(max) => Err(TopologyError::QueueLimit {
                queue: Arc::clone(queue),
                vhost: Arc::clone(&self.name),
                max,
            }),
        }
    }
}

impl Topology {
    /// Sets the limits of the node. What is there already stays.
    pub fn set_node_limits(&mut self, limits: NodeLimits) {
        self.node_limits = limits;
    }

    /// How many queues there are.
    pub fn total_queues(&self) -> usize {
        self.queues.len()
    }

    /// How many exchanges were declared.
    pub fn total_exchanges(&self) -> usize {
        self.vhosts.values().map(|vhost| vhost.exchanges.len() - PREDECLARED_LEN).sum()
    }

    /// How many bindings there are.
    pub fn total_bindings(&self) -> usize {
        self.vhosts.values().map(|vhost| vhost.bindings.len()).sum()
    }

    pub(super) fn check_queue_room(&self) -> Result<(), TopologyError> {
        NodeLimit::Queues.check(self.total_queues(), self.node_limits.queues)
    }

    pub(super) fn check_exchange_room(&self) -> Result<(), TopologyError> {
        NodeLimit::Exchanges.check(self.total_exchanges(), self.node_limits.exchanges)
    }

    /// Refuses a binding that would be one too many.
    pub(super) fn check_binding_room(
        &self,
        vhost: &Vhost,
        binding: &Binding,
    ) -> Result<(), TopologyError> {
        let NodeLimits { bindings, bindings_per_destination, .. } = self.node_limits;
        NodeLimit::Bindings.check(self.total_bindings(), bindings)?;
        let incoming = match &binding.destination {
            Destination::Queue(id) => self.queues.get(id).map(|queue| &queue.bindings),
            Destination::Exchange(name) => vhost.exchanges.get(name).map(|it| &it.incoming),
        };
        let count = incoming.map_or(0, |ids| ids.len());
        NodeLimit::BindingsPerDestination.check(count, bindings_per_destination)
    }

    /// The limits of a virtual host; empty if it is not there.
    pub fn vhost_limits(&self, vhost: &str) -> &Limits {
        self.vhosts.get(vhost).map_or(&NONE, |vhost| &vhost.limits)
    }

    /// The limits of a user; empty if it is not there.
    pub fn user_limits(&self, user: &str) -> &Limits {
        self.users.get(user).map_or(&NONE, |user| &user.limits)
    }

    pub(super) fn set_vhost_limit(
        &mut self,
        vhost: &str,
        limit: Limit,
        max: i64,
    ) -> Result<Applied, TopologyError> {
        Ok(put(&mut vhost_mut(&mut self.vhosts, vhost)?.limits, limit, max))
    }

    pub(super) fn clear_vhost_limit(&mut self, vhost: &str, limit: Limit) -> Applied {
        let vhost = self.vhosts.get_mut(vhost);
        deleted(vhost.is_some_and(|vhost| vhost.limits.remove(&limit).is_some()))
    }

    pub(super) fn set_user_limit(
        &mut self,
        user: Arc<str>,
        limit: Limit,
        max: i64,
    ) -> Result<Applied, TopologyError> {
        let found = self.users.get_mut(&user).ok_or(TopologyError::UserNotFound(user))?;
        Ok(put(&mut found.limits, limit, max))
    }

    pub(super) fn clear_user_limit(&mut self, user: &str, limit: Limit) -> Applied {
        let user = self.users.get_mut(user);
        deleted(user.is_some_and(|user| user.limits.remove(&limit).is_some()))
    }
}

static NONE: Limits = Limits::new();
