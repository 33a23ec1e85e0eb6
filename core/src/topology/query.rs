//! Look-ups for frontends, with the errors that clients get, and what has to be journaled.

use super::{
    Binding, Destination, ExchangeEntry, QueueEntry, Resource, Topology, TopologyCommand,
    TopologyError,
};
use crate::id::{ConnectionId, QueueId};

impl Topology {
    /// Whether there is a virtual host of this name.
    pub fn has_vhost(&self, name: &str) -> bool {
        self.vhosts.contains_key(name)
    }

    /// An exchange; the default one has the empty name.
    ///
    /// # Errors
    /// `no exchange 'x' in vhost '/'`, or no such virtual host.
    pub fn exchange(&self, vhost: &str, name: &str) -> Result<&ExchangeEntry, TopologyError> {
        self.vhost(vhost)?.exchange(name)
    }

    /// What a passive `exchange.declare` finds.
    ///
    /// # Errors
    /// As [`Topology::exchange`], and the default exchange is refused.
    pub fn exchange_passively(
        &self,
        vhost: &str,
        name: &str,
    ) -> Result<&ExchangeEntry, TopologyError> {
        if name.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        self.exchange(vhost, name)
    }

    /// A queue by name.
    ///
    /// # Errors
    /// `no queue 'q' in vhost '/'`, or no such virtual host.
    pub fn queue(&self, vhost: &str, name: &str) -> Result<&QueueEntry, TopologyError> {
        let id = self.vhost(vhost)?.queue_ids.get(name);
        let queue = id.and_then(|id| self.queue_by_id(*id));
        queue.ok_or_else(|| TopologyError::NotFound(Resource::queue(name, vhost)))
    }

    /// A queue by name, for anything that a connection does with it but publishing: a passive
    /// declare, consume, get, bind, purge, delete.
    ///
    /// # Errors
    /// As [`Topology::queue`], and [`TopologyError::Locked`] if it is exclusive to another
    /// connection.
    pub fn queue_for(
        &self,
        vhost: &str,
        name: &str,
        connection: ConnectionId,
    ) -> Result<&QueueEntry, TopologyError> {
        let queue = self.queue(vhost, name)?;
        queue.check_access(connection)?;
        Ok(queue)
    }

    /// A queue by its identity.
    pub fn queue_by_id(&self, id: QueueId) -> Option<&QueueEntry> {
        self.queues.get(&id).map(|queue| &**queue)
    }

    /// The queues that end with a connection, in the order of their ids.
    pub fn exclusive_queues_of(&self, connection: ConnectionId) -> Vec<QueueId> {
        self.exclusive.get(&connection).into_iter().flatten().copied().collect()
    }

    /// Whether a command concerns something that survives a restart. It has to be asked before the
    /// command is applied. What follows from a command is not in it: that is in
    /// [`Applied::journal`](super::Applied::journal).
    pub fn is_durable(&self, command: &TopologyCommand) -> bool {
        use TopologyCommand as Command;
        match command {
            Command::DeclareExchange { spec, .. } => spec.durable,
            Command::DeleteExchange { vhost, name, .. } => self.is_exchange_durable(vhost, name),
            Command::DeclareQueue { spec, .. } => spec.is_durable(),
            Command::DeleteQueue { id } | Command::SetSessionExpiry { id, .. } => {
                self.is_queue_durable(*id)
            }
            Command::Bind { vhost, binding, .. } | Command::Unbind { vhost, binding } => {
                self.is_binding_durable(vhost, binding)
            }
            Command::DeclareVhost { .. }
            | Command::DescribeVhost { .. }
            | Command::DeleteVhost { .. }
            | Command::PutUser { .. }
            | Command::DeleteUser { .. }
            | Command::SetPermissions { .. }
            | Command::ClearPermissions { .. }
            | Command::SetTopicPermissions { .. }
            | Command::ClearTopicPermissions { .. }
            | Command::PutPolicy { .. }
            | Command::DeletePolicy { .. }
            | Command::SetVhostLimit { .. }
            | Command::ClearVhostLimit { .. }
            | Command::SetUserLimit { .. }
            | Command::ClearUserLimit { .. }
            | Command::SetParameter { .. }
            | Command::ClearParameter { .. }
            | Command::SetSecret { .. }
            | Command::ReserveQueueIds { .. } => true,
        }
    }

    pub(super) fn is_binding_durable(&self, vhost: &str, binding: &Binding) -> bool {
        self.is_exchange_durable(vhost, &binding.source)
            && match &binding.destination {
                Destination::Queue(id) => self.is_queue_durable(*id),
                Destination::Exchange(name) => self.is_exchange_durable(vhost, name),
            }
    }

    fn is_exchange_durable(&self, vhost: &str, name: &str) -> bool {
        self.exchange(vhost, name).is_ok_and(|exchange| exchange.spec.durable)
    }

    fn is_queue_durable(&self, id: QueueId) -> bool {
        self.queues.get(&id).is_some_and(|queue| queue.spec.is_durable())
    }
}
