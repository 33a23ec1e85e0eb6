//! Deletions and what follows from them.

use std::sync::Arc;

use super::bind::incoming_mut;
use super::vhost::{Vhost, is_predeclared};
use super::{
    Applied, ExchangeEntry, Mode, Outcome, QueueEntry, Queues, Resource, Topology, TopologyCommand,
    TopologyError,
};
use crate::exchange::BindingId;
use crate::id::QueueId;

impl Topology {
    pub(super) fn delete_exchange(
        &mut self,
        vhost: &str,
        name: &str,
        if_unused: bool,
        mode: Mode,
    ) -> Result<Applied, TopologyError> {
        let inside = super::vhost_mut(&mut self.vhosts, vhost)?;
        let resource = || Resource::exchange(name, vhost);
        if name.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        if is_predeclared(name) {
            return Err(TopologyError::SystemExchange(resource()));
        }
        match inside.exchanges.get(name) {
            None => return Ok(Outcome::Absent.into()),
            Some(exchange) if if_unused && !exchange.outgoing.is_empty() => {
                return Err(TopologyError::InUse(resource()));
            }
            Some(_) => {}
        }
        let mut applied = Applied::from(Outcome::Deleted);
        if let Some((exchange, sources)) = take_exchange(inside, &mut self.queues, name) {
            self.note_deleted(exchange, &mut applied);
            self.cascade(vhost, sources, mode, &mut applied);
        }
        Ok(applied)
    }

    /// What an exchange kept for later goes with it.
    fn note_deleted(&mut self, exchange: ExchangeEntry, applied: &mut Applied) {
        applied.deleted_exchanges.push(exchange.name);
        if let Some(own) = exchange.own_queue.filter(|id| self.queues.remove(id).is_some()) {
            applied.deleted_queues.push(own);
        }
    }

    pub(super) fn delete_queue(&mut self, id: QueueId, mode: Mode) -> Applied {
        let Some(queue) = self.forget_queue(id) else { return Outcome::Absent.into() };
        let mut applied = Applied { deleted_queues: vec![id], ..Outcome::Deleted.into() };
        let Some(vhost) = self.vhosts.get_mut(&queue.vhost) else { return applied };
        vhost.queue_ids.remove(&queue.name);
        let unlinked = queue.bindings.iter().map(|id| unlink(vhost, &mut self.queues, id));
        let sources = unlinked.flatten().collect();
        self.cascade(&queue.vhost, sources, mode, &mut applied);
        applied
    }

    /// Takes a queue out of everything but its virtual host.
    pub(super) fn forget_queue(&mut self, id: QueueId) -> Option<Box<QueueEntry>> {
        let queue = self.queues.remove(&id)?;
        if let Some(owner) = queue.spec.exclusive
            && let Some(owned) = self.exclusive.get_mut(&owner)
        {
            owned.remove(&id);
            if owned.is_empty() {
                self.exclusive.remove(&owner);
            }
        }
        Some(queue)
    }

    /// Deletes those of the exchanges that were to go with their last binding and have none left,
    /// then the ones that were bound to them.
    pub(super) fn cascade(
        &mut self,
        vhost: &str,
        mut lost_a_binding: Vec<Arc<str>>,
        mode: Mode,
        applied: &mut Applied,
    ) {
        if mode == Mode::Replay {
            return;
        }
        while let Some(name) = lost_a_binding.pop() {
            let Some(inside) = self.vhosts.get_mut(vhost) else { return };
            let goes = |exchange: &ExchangeEntry| {
                exchange.spec.auto_delete && exchange.outgoing.is_empty()
            };
            if !inside.exchanges.get(&name).is_some_and(goes) {
                continue;
            }
            let Some((exchange, sources)) = take_exchange(inside, &mut self.queues, &name) else {
                continue;
            };
            if exchange.spec.durable {
                let (vhost, name) = (Arc::clone(&inside.name), Arc::clone(&name));
                let record = TopologyCommand::DeleteExchange { vhost, name, if_unused: false };
                applied.journal.push(record);
            }
            self.note_deleted(exchange, applied);
            lost_a_binding.extend(sources);
        }
    }
}

/// Takes a binding out of the slab, its source and its destination. Returns the name of the source.
pub(super) fn unlink(vhost: &mut Vhost, queues: &mut Queues, id: BindingId) -> Option<Arc<str>> {
    let binding = vhost.bindings.remove(id)?.binding;
    if let Some(source) = vhost.exchanges.get_mut(&binding.source) {
        source.outgoing.remove(&id);
        source.table.remove(id, binding.criteria());
    }
    if let Some(ids) = incoming_mut(&mut vhost.exchanges, queues, &binding.destination) {
        ids.remove(id);
    }
    Some(binding.source)
}

/// Takes out an exchange with all its bindings, and returns the sources that lost one.
fn take_exchange(
    vhost: &mut Vhost,
    queues: &mut Queues,
    name: &str,
) -> Option<(ExchangeEntry, Vec<Arc<str>>)> {
    let exchange = vhost.exchanges.remove(name)?;
    for id in &exchange.outgoing {
        unlink(vhost, queues, *id);
    }
    // A binding of the exchange to itself is gone already.
    let sources = exchange.incoming.iter().filter_map(|id| unlink(vhost, queues, id)).collect();
    Some((exchange, sources))
}
