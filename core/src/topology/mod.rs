//! The topology: virtual hosts, exchanges, bindings, queue specs, users and their rights.
//!
//! It is the control plane's state machine. [`Topology::apply`] takes a command and says what
//! happened; the same commands give the same topology everywhere. It holds no messages and does no
//! I/O: whoever owns it creates and deletes the queues themselves and journals
//! [`Applied::journal`].
//!
//! Invariants:
//! - A binding is known to the slab of its virtual host, to its source and to its destination, or
//!   to none of them.
//! - What is journaled replays to the durable part of the topology. Exchanges that go because their
//!   last binding went are journaled by name, for the log does not know about transient bindings;
//!   that is why [`Topology::replay`] deletes nothing by itself.
//! - [`Topology::generation`] grows whenever a route may have changed, or who may use it.

mod access;
mod applied;
mod arguments;
mod bind;
mod binding;
mod command;
mod declare;
mod delay;
mod delete;
mod error;
mod explain;
mod limit;
mod listing;
mod parameter;
mod policy;
mod policy_keys;
mod query;
mod queue;
mod queue_arguments;
mod route;
mod snapshot;
mod topic_permission;
mod user;
mod vhost;

pub use access::{Actor, Authority, Judge, Wanted};
pub use applied::{Applied, Outcome};
pub use arguments::{ARGUMENT_DEPTH_MAX, ARGUMENT_VALUES_MAX};
pub use binding::{Binding, Destination, Share, Subscription, SubscriptionOptions};
pub use command::{CommandFormatError, TopologyCommand};
pub use delay::Delayed;
pub use error::{Resource, ResourceKind, TopologyError, TopologyErrorKind};
pub use explain::{Explanation, Step};
pub use limit::{Limit, Limits, NodeLimit, NodeLimits};
pub use listing::BindingEntry;
pub use parameter::ParameterName;
pub use policy::{ApplyTo, InForce, Policy, PolicyError, PolicyKind, UnknownApplyTo};
pub use queue::{QueueEntry, QueueKind, QueueSpec, QueueType};
pub use route::{Address, Routes, Shared, Target};
pub use topic_permission::{TopicPattern, TopicPermissions};
pub use user::{Permissions, Right, User};
pub use vhost::{ExchangeEntry, ExchangeTraffic, VhostFacts};

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::id::{ConnectionId, QueueId};
use vhost::Vhost;

/// See the module's documentation.
///
/// ```
/// use leveret_core::{Topology, TopologyCommand};
/// let mut topology = Topology::default();
/// topology.apply(TopologyCommand::DeclareVhost { vhost: "/".into() })?;
/// assert!(topology.exchange("/", "amq.topic").is_ok());
/// # Ok::<(), leveret_core::TopologyError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Topology {
    vhosts: Vhosts,
    queues: Queues,
    exclusive: BTreeMap<ConnectionId, BTreeSet<QueueId>>,
    users: BTreeMap<Arc<str>, User>,
    parameters: BTreeMap<ParameterName, serde_json::Value>,
    secret: Arc<str>,
    last_queue_id: QueueId,
    generation: u64,
    separates_subscriptions: bool,
    node_limits: NodeLimits,
}

type Vhosts = BTreeMap<Arc<str>, Vhost>;
/// Each in memory of its own: tables are half empty.
type Queues = HashMap<QueueId, Box<QueueEntry>, RandomState>;

/// Whether consequences are drawn now, or follow in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Live,
    Replay,
}

impl Topology {
    /// Without anything in it. `separates_subscriptions`: a session whose MQTT subscriptions overlap
    /// gets a message once for each of them, not once with all of them merged.
    pub fn new(separates_subscriptions: bool) -> Self {
        Topology { separates_subscriptions, ..Topology::default() }
    }

    /// Carries out a command for a client.
    ///
    /// Whatever is in [`Applied::journal`] has to be journaled before the client is told.
    ///
    /// # Errors
    /// A refusal leaves everything as it was.
    pub fn apply(&mut self, command: TopologyCommand) -> Result<Applied, TopologyError> {
        self.apply_in(Mode::Live, command)
    }

    /// Carries out a command for the broker itself, which may use names that are kept from clients.
    ///
    /// # Errors
    /// As [`Topology::apply`].
    pub fn apply_own(&mut self, command: TopologyCommand) -> Result<Applied, TopologyError> {
        self.apply_in(Mode::Replay, command)
    }

    fn apply_in(&mut self, mode: Mode, command: TopologyCommand) -> Result<Applied, TopologyError> {
        let command = self.with_own_queue(command);
        let record = self.is_durable(&command).then(|| command.clone());
        let mut applied = self.run(command, mode)?;
        if let Some(record) = record.filter(|_| applied.outcome.is_change()) {
            applied.journal.insert(0, record);
        }
        Ok(applied)
    }

    /// Carries out a command of the journal or of a snapshot: without the deletion of auto-delete
    /// exchanges, which the journal tells by itself, and without the rules about names.
    ///
    /// # Errors
    /// The log does not fit to what was replayed before.
    pub fn replay(&mut self, command: TopologyCommand) -> Result<Applied, TopologyError> {
        self.run(command, Mode::Replay)
    }

    /// A number that changes with every command that may change a route, or who may use it. Created
    /// exchanges do not count, since a refusal is not a route.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn run(&mut self, command: TopologyCommand, mode: Mode) -> Result<Applied, TopologyError> {
        let may_reroute = command.may_reroute();
        let applied = self.execute(command, mode)?;
        if may_reroute && applied.outcome.is_change() {
            self.generation += 1;
        }
        Ok(applied)
    }

    fn execute(&mut self, command: TopologyCommand, mode: Mode) -> Result<Applied, TopologyError> {
        use TopologyCommand as Command;
        match command {
            Command::DeclareVhost { vhost } => Ok(self.declare_vhost(vhost)),
            Command::DescribeVhost { vhost, facts } => self.describe_vhost(&vhost, facts),
            Command::DeleteVhost { vhost } => self.delete_vhost(vhost, mode),
            Command::DeclareExchange { vhost, name, spec, own_queue } => {
                self.declare_exchange(&vhost, strip_arc(name), spec, (own_queue, mode))
            }
            Command::DeleteExchange { vhost, name, if_unused } => {
                self.delete_exchange(&vhost, &name, if_unused, mode)
            }
            Command::DeclareQueue { id, vhost, name, spec, server_named } => {
                let queue = QueueEntry::new(id, vhost, strip_arc(name), spec);
                self.declare_queue(queue, server_named, mode)
            }
            Command::DeleteQueue { id } => Ok(self.delete_queue(id, mode)),
            Command::SetSessionExpiry { id, expiry_s } => Ok(self.set_session_expiry(id, expiry_s)),
            Command::Bind { vhost, binding, subscription } => {
                self.bind(&vhost, binding, (subscription, mode))
            }
            Command::Unbind { vhost, binding } => self.unbind(&vhost, binding, mode),
            Command::PutUser { name, password_hash, scram_keys, tags } => {
                Ok(self.put_user(name, (password_hash, scram_keys), tags))
            }
            Command::DeleteUser { name } => Ok(self.delete_user(&name)),
            Command::SetPermissions { user, vhost, permissions } => {
                self.set_permissions(user, vhost, permissions)
            }
            Command::ClearPermissions { user, vhost } => Ok(self.clear_permissions(&user, &vhost)),
            Command::SetTopicPermissions { user, vhost, exchange, permissions } => {
                self.set_topic_permissions(user, vhost, exchange, permissions)
            }
            Command::ClearTopicPermissions { user, vhost, exchange } => {
                Ok(self.clear_topic_permissions(&user, &vhost, exchange.as_deref()))
            }
            Command::PutPolicy { vhost, kind, name, policy } => {
                self.put_policy(&vhost, (kind, name), policy)
            }
            Command::DeletePolicy { vhost, kind, name } => {
                self.delete_policy(&vhost, (kind, &name))
            }
            Command::SetVhostLimit { vhost, limit, max } => {
                self.set_vhost_limit(&vhost, limit, max)
            }
            Command::ClearVhostLimit { vhost, limit } => Ok(self.clear_vhost_limit(&vhost, limit)),
            Command::SetUserLimit { user, limit, max } => self.set_user_limit(user, limit, max),
            Command::ClearUserLimit { user, limit } => Ok(self.clear_user_limit(&user, limit)),
            Command::SetParameter { name, value } => self.set_parameter(name, value),
            Command::ClearParameter { name } => Ok(self.clear_parameter(&name)),
            Command::SetSecret { secret } => Ok(self.set_secret(secret)),
            Command::ReserveQueueIds { up_to } => Ok(self.reserve_queue_ids(up_to)),
        }
    }

    fn vhost(&self, name: &str) -> Result<&Vhost, TopologyError> {
        self.vhosts.get(name).ok_or_else(|| TopologyError::VhostNotFound(name.into()))
    }
}

fn vhost_mut<'a>(vhosts: &'a mut Vhosts, name: &str) -> Result<&'a mut Vhost, TopologyError> {
    vhosts.get_mut(name).ok_or_else(|| TopologyError::VhostNotFound(name.into()))
}

/// A name without carriage returns and line feeds, which declarations drop.
pub fn strip_cr_lf(name: &str) -> Cow<'_, str> {
    if name.contains(['\r', '\n']) {
        Cow::Owned(name.replace(['\r', '\n'], ""))
    } else {
        Cow::Borrowed(name)
    }
}

fn strip_arc(name: Arc<str>) -> Arc<str> {
    match strip_cr_lf(&name) {
        Cow::Borrowed(_) => name,
        Cow::Owned(stripped) => stripped.into(),
    }
}
