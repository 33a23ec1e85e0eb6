//! Limits of virtual hosts and users. The topology counts queues itself; whoever has the connections
//! counts them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::user::{deleted, put};
use super::vhost::Vhost;
use super::{Applied, Topology, TopologyError, vhost_mut};

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
