//! Declarations: create, or check that what exists is equal.

use std::sync::Arc;

use super::queue::text;
use super::queue_arguments::DEDUPLICATION;
use super::vhost::is_reserved;
use super::{
    Applied, ExchangeEntry, Mode, Outcome, QueueEntry, QueueKind, QueueType, Resource, Topology,
    TopologyError, arguments,
};
use crate::exchange::{DELAYED_TYPE, ExchangeSpec, HASH_HEADER, HASH_PROPERTY, check_arguments};
use crate::id::QueueId;
use crate::value::Value;

impl Topology {
    /// The id for the next queue: one more than the highest that was ever seen.
    pub fn next_queue_id(&self) -> QueueId {
        QueueId(self.last_queue_id.0 + 1)
    }

    pub(super) fn reserve_queue_ids(&mut self, up_to: QueueId) -> Applied {
        if up_to <= self.last_queue_id {
            return Outcome::Unchanged.into();
        }
        self.last_queue_id = up_to;
        Outcome::Replaced.into()
    }

    pub(super) fn declare_exchange(
        &mut self,
        vhost: &str,
        name: Arc<str>,
        mut spec: ExchangeSpec,
        (own_queue, mode): (Option<QueueId>, Mode),
    ) -> Result<Applied, TopologyError> {
        let room = if mode == Mode::Live { self.check_exchange_room() } else { Ok(()) };
        let vhost = super::vhost_mut(&mut self.vhosts, vhost)?;
        if name.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        let resource = || Resource::exchange(&name, &vhost.name);
        if let Some(current) = vhost.exchanges.get(&name) {
            check_exchange_equivalent(&current.spec, &spec, resource)?;
            return Ok(Outcome::Unchanged.into());
        }
        if is_reserved(&name) && mode == Mode::Live {
            return Err(TopologyError::ReservedName(resource()));
        }
        room?;
        check_exchange_arguments(&spec, resource)?;
        spec.arguments = arguments::normalise(spec.arguments, resource)?;
        let own_queue =
            own_queue.map(|id| QueueEntry::of_exchange(id, (&vhost.name, &name), &spec));
        let mut exchange = ExchangeEntry::new(name.clone(), spec);
        exchange.own_queue = own_queue.as_ref().map(|queue| queue.id);
        exchange.in_force = vhost.policies.for_exchange(&exchange);
        vhost.exchanges.insert(name, exchange);
        Ok(own_queue.map_or(Outcome::Created.into(), |queue| self.remember_queue(queue)))
    }

    pub(super) fn declare_queue(
        &mut self,
        mut queue: QueueEntry,
        server_named: bool,
        mode: Mode,
    ) -> Result<Applied, TopologyError> {
        let room = if mode == Mode::Live { self.check_queue_room() } else { Ok(()) };
        let Some(vhost) = self.vhosts.get_mut(&queue.vhost) else {
            return Err(TopologyError::VhostNotFound(queue.vhost));
        };
        if let Some(current) = vhost.queue_ids.get(&queue.name) {
            let current = &self.queues[current];
            current.check_equivalent(&queue.spec)?;
            return Ok(Applied::queue(Outcome::Unchanged, current.id));
        }
        let queue_type = queue.spec.queue_type();
        if server_named && queue_type == QueueType::Quorum {
            return Err(TopologyError::ServerNamed(queue_type.module()));
        }
        if is_reserved(&queue.name) && !server_named && mode == Mode::Live {
            return Err(TopologyError::ReservedName(queue.resource()));
        }
        if mode == Mode::Live {
            vhost.check_queue_limit(&queue.name)?;
        }
        room?;
        if self.queues.contains_key(&queue.id) {
            return Err(TopologyError::QueueIdTaken(queue.id));
        }
        let given = std::mem::take(&mut queue.spec.arguments);
        queue.spec.arguments = arguments::normalise(given, || queue.resource())?;
        queue.check_new()?;
        queue.vhost = Arc::clone(&vhost.name);
        queue.in_force = vhost.policies.for_queue(&queue);
        vhost.queue_ids.insert(Arc::clone(&queue.name), queue.id);
        Ok(self.remember_queue(queue))
    }

    fn remember_queue(&mut self, queue: QueueEntry) -> Applied {
        let id = queue.id;
        self.last_queue_id = self.last_queue_id.max(id);
        if let Some(owner) = queue.spec.exclusive {
            self.exclusive.entry(owner).or_default().insert(id);
        }
        self.queues.insert(id, Box::new(queue));
        Applied::queue(Outcome::Created, id)
    }

    pub(super) fn set_session_expiry(&mut self, id: QueueId, new_s: u32) -> Applied {
        let kind = self.queues.get_mut(&id).map(|queue| &mut queue.spec.kind);
        let Some(QueueKind::MqttSession { expiry_s, .. }) = kind else {
            return Outcome::Absent.into();
        };
        let before_s = std::mem::replace(expiry_s, new_s);
        if before_s == new_s { Outcome::Unchanged.into() } else { Outcome::Replaced.into() }
    }
}

fn check_exchange_equivalent(
    current: &ExchangeSpec,
    received: &ExchangeSpec,
    of: impl Fn() -> Resource,
) -> Result<(), TopologyError> {
    let properties = [
        ("type", received.kind.name(), current.kind.name()),
        ("durable", text(received.durable), text(current.durable)),
        ("auto_delete", text(received.auto_delete), text(current.auto_delete)),
        ("internal", text(received.internal), text(current.internal)),
    ];
    for (property, received, current) in properties {
        if received != current {
            let resource = of();
            return Err(TopologyError::InequivalentProperty {
                resource,
                property,
                received,
                current,
            });
        }
    }
    arguments::check_equivalent(ARGUMENTS, &received.arguments, &current.arguments, of)
}

fn check_exchange_arguments(
    spec: &ExchangeSpec,
    of: impl Fn() -> Resource,
) -> Result<(), TopologyError> {
    for argument in ARGUMENTS {
        let found = spec.arguments.get(argument).map_or("longstr", Value::type_name);
        if found != "longstr" {
            return Err(TopologyError::InvalidArgumentType { resource: of(), argument, found });
        }
    }
    if spec.arguments.get(DEDUPLICATION) == Some(&Value::Bool(true)) {
        let (argument, reason) = (DEDUPLICATION.to_owned(), "not supported yet".to_owned());
        return Err(TopologyError::InvalidArgument { resource: of(), argument, reason });
    }
    Ok(check_arguments(spec.kind, &spec.arguments)?)
}

pub(super) const ALTERNATE: &str = "alternate-exchange";

/// The arguments that mean something, all of them texts, in the order in which declarations are compared.
/// Numbers are checked by the types that have them.
const ARGUMENTS: [&str; 4] = [ALTERNATE, DELAYED_TYPE, HASH_HEADER, HASH_PROPERTY];
