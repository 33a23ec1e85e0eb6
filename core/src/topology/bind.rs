//! Binding and unbinding.

use std::sync::Arc;

use super::binding::Bound;
use super::delete::unlink;
use super::vhost::{Exchanges, Vhost};
use super::{
    Applied, Binding, Destination, Mode, Outcome, Queues, Resource, SubscriptionOptions, Topology,
    TopologyError, arguments,
};
use crate::exchange::{BindingIds, ExchangeKind, check_binding, stable_hash};

impl Topology {
    pub(super) fn bind(
        &mut self,
        vhost: &str,
        mut binding: Binding,
        (options, mode): (Option<SubscriptionOptions>, Mode),
    ) -> Result<Applied, TopologyError> {
        let destination_durable = self.check_ends(vhost, &binding)?;
        binding.arguments = normalised(&mut binding, vhost)?;
        let found = self.vhost(vhost)?.bindings.find(&binding);
        if found.is_none() && mode == Mode::Live {
            self.check_binding_room(self.vhost(vhost)?, &binding)?;
        }
        let vhost = super::vhost_mut(&mut self.vhosts, vhost)?;
        let Some(id) = found else {
            if takes_no_more(vhost, &self.queues, &binding)? {
                return Ok(Outcome::Unchanged.into());
            }
            let bound = Bound::new(binding, options, destination_durable, &vhost.name);
            let source = vhost.exchange(&bound.binding.source)?;
            let remembers = source.spec.kind == ExchangeKind::RecentHistory;
            let recalled_from = source.own_queue.filter(|_| remembers);
            link(vhost, &mut self.queues, bound)?;
            return Ok(Applied { recalled_from, ..Outcome::Created.into() });
        };
        let name = vhost.name.clone();
        let bound = vhost.bindings.bound_mut(id);
        if bound.options == options {
            return Ok(Outcome::Unchanged.into());
        }
        bound.set_options(options, &name);
        Ok(Outcome::Replaced.into())
    }

    pub(super) fn unbind(
        &mut self,
        vhost: &str,
        mut binding: Binding,
        mode: Mode,
    ) -> Result<Applied, TopologyError> {
        if leads_over_default(&binding) {
            return Err(TopologyError::DefaultExchange);
        }
        binding.arguments = normalised(&mut binding, vhost)?;
        let inside = super::vhost_mut(&mut self.vhosts, vhost)?;
        let Some(id) = inside.bindings.find(&binding) else {
            return Ok(Outcome::Absent.into());
        };
        let mut applied = Outcome::Deleted.into();
        let source = unlink(inside, &mut self.queues, id);
        self.cascade(vhost, source.into_iter().collect(), mode, &mut applied);
        Ok(applied)
    }

    /// Whether both ends are there, the source first, and whether the destination is durable.
    fn check_ends(&self, vhost: &str, binding: &Binding) -> Result<bool, TopologyError> {
        let inside = self.vhost(vhost)?;
        if leads_over_default(binding) {
            return Err(TopologyError::DefaultExchange);
        }
        inside.exchange(&binding.source)?;
        match &binding.destination {
            Destination::Exchange(name) => Ok(inside.exchange(name)?.spec.durable),
            Destination::Queue(id) => match self.queues.get(id) {
                Some(queue) if queue.vhost == inside.name => Ok(queue.spec.is_durable()),
                _ => Err(TopologyError::NotFound(Resource::queue(&id.to_string(), vhost))),
            },
        }
    }
}

fn leads_over_default(binding: &Binding) -> bool {
    let into_default =
        matches!(&binding.destination, Destination::Exchange(name) if name.is_empty());
    binding.source.is_empty() || into_default
}

/// Whether a new binding means nothing to its source, which leads to the destination already.
fn takes_no_more(vhost: &Vhost, queues: &Queues, binding: &Binding) -> Result<bool, TopologyError> {
    let source = vhost.exchange(&binding.source)?;
    let is_to_queue = matches!(binding.destination, Destination::Queue(_));
    let kind = source.spec.routes_as();
    check_binding(kind, binding.criteria(), is_to_queue)?;
    let incoming = match &binding.destination {
        Destination::Queue(id) => queues.get(id).map(|queue| &queue.bindings),
        Destination::Exchange(name) => vhost.exchanges.get(name).map(|exchange| &exchange.incoming),
    };
    let is_bound = || incoming.is_some_and(|ids| ids.meet(&source.outgoing));
    Ok(kind.binds_once() && is_bound())
}

fn normalised(binding: &mut Binding, vhost: &str) -> Result<crate::value::Table, TopologyError> {
    let given = std::mem::take(&mut binding.arguments);
    arguments::normalise(given, || Resource::exchange(&binding.source, vhost))
}

/// Makes a binding known to the slab, its source and its destination.
fn link(vhost: &mut Vhost, queues: &mut Queues, mut bound: Bound) -> Result<(), TopologyError> {
    let binding = &mut bound.binding;
    if let Some(source) = vhost.exchanges.get(&binding.source) {
        binding.source = Arc::clone(&source.name);
    }
    let called = called(queues, &binding.destination);
    let id = vhost.bindings.insert(bound);
    let binding = &vhost.bindings.bound(id).binding;
    if let Some(source) = vhost.exchanges.get_mut(&binding.source) {
        if let Err(error) = source.table.insert(id, binding.criteria(), called) {
            vhost.bindings.remove(id);
            return Err(error.into());
        }
        source.outgoing.insert(id);
    }
    if let Some(ids) = incoming_mut(&mut vhost.exchanges, queues, &binding.destination) {
        ids.insert(id);
    }
    Ok(())
}

/// The bindings that lead to a destination.
pub(super) fn incoming_mut<'a>(
    exchanges: &'a mut Exchanges,
    queues: &'a mut Queues,
    destination: &Destination,
) -> Option<&'a mut BindingIds> {
    match destination {
        Destination::Queue(id) => queues.get_mut(id).map(|queue| &mut queue.bindings),
        Destination::Exchange(name) => {
            exchanges.get_mut(name).map(|exchange| &mut exchange.incoming)
        }
    }
}

/// A hash of what a destination is called: it is the same for a queue that is declared again.
fn called(queues: &Queues, destination: &Destination) -> u64 {
    let (kind, name) = match destination {
        Destination::Queue(id) => (b'q', queues.get(id).map_or("", |queue| &queue.name)),
        Destination::Exchange(name) => (b'x', &**name),
    };
    stable_hash([kind].iter().chain(name.as_bytes()))
}
