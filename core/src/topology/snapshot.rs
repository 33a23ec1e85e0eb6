//! The durable part of a topology as the commands that make it.

use std::sync::Arc;

use super::vhost::{Vhost, is_predeclared, is_reserved};
use super::{QueueEntry, Topology, TopologyCommand, User, VhostFacts};

impl Topology {
    /// The commands that turn an empty topology into the durable part of this one, in an order in
    /// which each finds what it needs: virtual hosts, policies, exchanges, queues, bindings, users,
    /// permissions, limits.
    ///
    /// Routes and listings come out the same. Numbers of queues are kept, and
    /// [`next_queue_id`](Topology::next_queue_id) too.
    pub fn snapshot(&self) -> Vec<TopologyCommand> {
        let mut commands: Vec<_> = self
            .vhosts
            .keys()
            .map(|name| TopologyCommand::DeclareVhost { vhost: Arc::clone(name) })
            .collect();
        commands.extend(self.vhosts.values().filter_map(describe));
        commands.extend(self.vhosts.values().flat_map(policies));
        commands.extend(self.vhosts.values().flat_map(exchanges));
        commands.extend(self.durable_queues());
        commands.extend(self.vhosts.values().flat_map(|vhost| self.durable_bindings(vhost)));
        commands.extend(self.put_users());
        commands.extend(self.set_limits());
        commands.extend(self.parameters.iter().map(|(name, value)| {
            TopologyCommand::SetParameter { name: name.clone(), value: value.clone() }
        }));
        if !self.secret.is_empty() {
            commands.push(TopologyCommand::SetSecret { secret: Arc::clone(&self.secret) });
        }
        commands.push(TopologyCommand::ReserveQueueIds { up_to: self.last_queue_id });
        commands
    }

    fn durable_queues(&self) -> impl Iterator<Item = TopologyCommand> {
        let mut queues: Vec<_> = self.queues.values().filter(|queue| is_declared(queue)).collect();
        queues.sort_unstable_by_key(|queue| queue.id);
        queues.into_iter().map(|queue| declare_queue(queue))
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
                scram_keys: user.scram_keys.clone(),
                tags: user.tags.clone(),
            };
            let permit = user.permissions.iter().map(|(vhost, permissions)| {
                TopologyCommand::SetPermissions {
                    user: Arc::clone(name),
                    vhost: Arc::clone(vhost),
                    permissions: permissions.clone(),
                }
            });
            std::iter::once(put).chain(permit).chain(topic_permissions(name, user))
        })
    }

    /// At the end, for they are no rule for what is there already.
    fn set_limits(&self) -> impl Iterator<Item = TopologyCommand> {
        let vhosts = self.vhosts.iter().flat_map(|(vhost, it)| {
            it.limits.iter().map(|(&limit, &max)| {
                let vhost = Arc::clone(vhost);
                TopologyCommand::SetVhostLimit { vhost, limit, max }
            })
        });
        let users = self.users.iter().flat_map(|(user, it)| {
            it.limits.iter().map(|(&limit, &max)| {
                let user = Arc::clone(user);
                TopologyCommand::SetUserLimit { user, limit, max }
            })
        });
        vhosts.chain(users)
    }
}

fn topic_permissions<'a>(
    name: &'a Arc<str>,
    user: &'a User,
) -> impl Iterator<Item = TopologyCommand> + 'a {
    user.topic_permissions.iter().flat_map(move |(vhost, by_exchange)| {
        by_exchange.iter().map(move |(exchange, permissions)| {
            TopologyCommand::SetTopicPermissions {
                user: Arc::clone(name),
                vhost: Arc::clone(vhost),
                exchange: Arc::clone(exchange),
                permissions: permissions.clone(),
            }
        })
    })
}

fn policies(vhost: &Vhost) -> impl Iterator<Item = TopologyCommand> {
    vhost.policies.iter().map(|(kind, name, policy)| TopologyCommand::PutPolicy {
        vhost: Arc::clone(&vhost.name),
        kind,
        name: Arc::clone(name),
        policy: policy.clone(),
    })
}

fn describe(vhost: &Vhost) -> Option<TopologyCommand> {
    let facts = Some(vhost.facts.clone()).filter(|facts| *facts != VhostFacts::default())?;
    Some(TopologyCommand::DescribeVhost { vhost: Arc::clone(&vhost.name), facts })
}

fn exchanges(vhost: &Vhost) -> impl Iterator<Item = TopologyCommand> {
    let kept = vhost.exchanges.values().filter(|it| it.spec.durable && !is_predeclared(&it.name));
    kept.map(|exchange| TopologyCommand::DeclareExchange {
        vhost: Arc::clone(&vhost.name),
        name: Arc::clone(&exchange.name),
        spec: exchange.spec.clone(),
        own_queue: exchange.own_queue,
    })
}

/// Exchanges bring their own queues along.
fn is_declared(queue: &QueueEntry) -> bool {
    queue.spec.is_durable() && !queue.spec.kind.is_of_exchange()
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
