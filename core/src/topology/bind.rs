//! Binding and unbinding.

use std::sync::Arc;

use super::binding::Bound;
use super::delete::unlink;
use super::vhost::Vhost;
use super::{
    Applied, Binding, Destination, Mode, Outcome, Queues, Resource, SubscriptionOptions, Topology,
    TopologyError, arguments,
};

impl Topology {
    pub(super) fn bind(
        &mut self,
        vhost: &str,
        mut binding: Binding,
        options: Option<SubscriptionOptions>,
    ) -> Result<Applied, TopologyError> {
        let destination_durable = self.check_ends(vhost, &binding)?;
        binding.arguments = normalised(&mut binding, vhost)?;
        let vhost = super::vhost_mut(&mut self.vhosts, vhost)?;
        let Some(id) = vhost.bindings.find(&binding) else {
            let bound = Bound::new(binding, options, destination_durable);
            link(vhost, &mut self.queues, bound)?;
            return Ok(Outcome::Created.into());
        };
        let bound = vhost.bindings.bound_mut(id);
        if bound.options == options {
            return Ok(Outcome::Unchanged.into());
        }
        bound.set_options(options);
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
    let id = vhost.bindings.insert(bound);
    let binding = &vhost.bindings.bound(id).binding;
    if let Some(source) = vhost.exchanges.get_mut(&binding.source) {
        if let Err(error) = source.table.insert(id, binding.criteria()) {
            vhost.bindings.remove(id);
            return Err(error.into());
        }
        source.outgoing.insert(id);
    }
    match &binding.destination {
        Destination::Queue(queue) => {
            queues.get_mut(queue).map(|queue| queue.bindings.insert(id));
        }
        Destination::Exchange(name) => {
            vhost.exchanges.get_mut(name).map(|exchange| exchange.incoming.insert(id));
        }
    }
    Ok(())
}
