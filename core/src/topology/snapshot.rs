//! The durable part of a topology as the commands that make it.

use std::sync::Arc;

use super::vhost::{Vhost, is_predeclared, is_reserved};
use super::{QueueEntry, Topology, TopologyCommand};

impl Topology {
    /// The commands that turn an empty topology into the durable part of this one, in an order in
    /// which each finds what it needs: virtual hosts, exchanges, queues, bindings, users,
    /// permissions.
    ///
    /// Routes and listings come out the same. Numbers of queues are kept, and
    /// [`next_queue_id`](Topology::next_queue_id) too.
    pub fn snapshot(&self) -> Vec<TopologyCommand> {
        let mut commands: Vec<_> = self
            .vhosts
            .keys()
            .map(|name| TopologyCommand::DeclareVhost { vhost: Arc::clone(name) })
            .collect();
        commands.extend(self.vhosts.values().flat_map(exchanges));
        commands.extend(self.durable_queues());
        commands.extend(self.vhosts.values().flat_map(|vhost| self.durable_bindings(vhost)));
        commands.extend(self.put_users());
        commands.push(TopologyCommand::ReserveQueueIds { up_to: self.last_queue_id });
        commands
    }

    fn durable_queues(&self) -> impl Iterator<Item = TopologyCommand> {
        let mut queues: Vec<_> =
            self.queues.values().filter(|queue| queue.spec.is_durable()).collect();
        queues.sort_unstable_by_key(|queue| queue.id);
        queues.into_iter().map(declare_queue)
    }

    fn durable_bindings<'a>(
        &'a self,
        vhost: &'a Vhost,
    ) -> impl Iterator<Item = TopologyCommand> + 'a {
        let durable = |binding: &super::Binding| self.is_binding_durable(&vhost.name, binding);
        vhost.bindings.iter().filter(move |bound| durable(&bound.binding)).map(|bound| {
            TopologyCommand::Bind {
                vhost: Arc::clone(&vhost.name),
                binding: bound.binding.clone(),
                subscription: bound.options,
            }
        })
    }

    fn put_users(&self) -> impl Iterator<Item = TopologyCommand> {
        self.users.iter().flat_map(|(name, user)| {
            let put = TopologyCommand::PutUser {
                name: Arc::clone(name),
                password_hash: user.password_hash.clone(),
                tags: user.tags.clone(),
            };
            let permit = user.permissions.iter().map(|(vhost, permissions)| {
                TopologyCommand::SetPermissions {
                    user: Arc::clone(name),
                    vhost: Arc::clone(vhost),
                    permissions: permissions.clone(),
                }
            });
            std::iter::once(put).chain(permit)
        })
    }
}

fn exchanges(vhost: &Vhost) -> impl Iterator<Item = TopologyCommand> {
    let kept = vhost.exchanges.values().filter(|it| it.spec.durable && !is_predeclared(&it.name));
    kept.map(|exchange| TopologyCommand::DeclareExchange {
        vhost: Arc::clone(&vhost.name),
        name: Arc::clone(&exchange.name),
        spec: exchange.spec.clone(),
    })
}

fn declare_queue(queue: &QueueEntry) -> TopologyCommand {
    TopologyCommand::DeclareQueue {
        id: queue.id,
        vhost: Arc::clone(&queue.vhost),
        name: Arc::clone(&queue.name),
        spec: queue.spec.clone(),
        server_named: is_reserved(&queue.name),
    }
}
