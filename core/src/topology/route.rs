//! From an exchange and a routing key to queues.

use std::collections::BTreeSet;
use std::sync::Arc;

use smallvec::SmallVec;

use super::binding::Bound;
use super::vhost::Vhost;
use super::{Destination, ExchangeEntry, Resource, Subscription, Topology, TopologyError};
use crate::exchange::Headers;
use crate::id::QueueId;

/// Where a message is published to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// The virtual host.
    pub vhost: &'a str,
    /// The exchange; empty for the default exchange.
    pub exchange: &'a str,
    /// The routing key; an MQTT topic in its routing-key form.
    pub key: &'a str,
}

/// The queues that a message goes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// Each queue once, in the order of their ids.
    pub targets: SmallVec<[Target; 2]>,
    header_dependent: bool,
}

/// One queue that a message goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The queue.
    pub queue: QueueId,
    /// Whether the queue survives a restart.
    pub durable: bool,
    /// What the MQTT subscriptions among the matching bindings ask for; `None` if all are AMQP's.
    pub subscription: Option<Arc<Subscription>>,
}

impl Routes {
    /// Whether the next message of the same publisher, exchange and key goes the same way, while
    /// the [`generation`](Topology::generation) stays.
    pub fn is_cacheable(&self) -> bool {
        !self.header_dependent
    }
}

impl Topology {
    /// The queues that a message goes to. `publisher` is the queue of the session that published
    /// it, which subscriptions without local messages leave out.
    ///
    /// # Errors
    /// The virtual host or the exchange does not exist.
    pub fn route(
        &self,
        address: Address<'_>,
        headers: &dyn Headers,
        publisher: Option<QueueId>,
    ) -> Result<Routes, TopologyError> {
        self.route_by_keys(address, &[], headers, publisher)
    }

    /// The queues that a message with several routing keys goes to: that of the address, and more.
    /// Each queue gets one copy. Such routes are not cacheable, as the address does not tell them.
    ///
    /// # Errors
    /// The virtual host or the exchange does not exist.
    pub fn route_by_keys(
        &self,
        address: Address<'_>,
        more: &[&str],
        headers: &dyn Headers,
        publisher: Option<QueueId>,
    ) -> Result<Routes, TopologyError> {
        let vhost = self.vhost(address.vhost)?;
        let mut keys = SmallVec::from_slice(more);
        keys.insert(0, address.key);
        if address.exchange.is_empty() {
            return Ok(self.route_by_names(vhost, &keys));
        }
        let source = vhost.exchange(address.exchange)?;
        let mut walk = Walk { vhost, keys, headers, publisher, found: Found::default() };
        walk.found.header_dependent = !more.is_empty();
        walk.visit(source);
        if !walk.found.exchanges.is_empty() {
            walk.visit_reachable(source);
        }
        Ok(walk.found.into_routes())
    }

    /// Refuses a publish by a client to an exchange that is not there, or internal.
    ///
    /// # Errors
    /// As said.
    pub fn check_publish(&self, vhost: &str, exchange: &str) -> Result<(), TopologyError> {
        if self.vhost(vhost)?.exchange(exchange)?.spec.internal {
            return Err(TopologyError::InternalExchange(Resource::exchange(exchange, vhost)));
        }
        Ok(())
    }

    fn route_by_names(&self, vhost: &Vhost, names: &[&str]) -> Routes {
        let ids = names.iter().filter_map(|name| vhost.queue_ids.get(*name));
        let queues = ids.filter_map(|id| self.queues.get(id));
        let mut targets: SmallVec<[Target; 2]> = queues
            .map(|queue| Target {
                queue: queue.id,
                durable: queue.spec.is_durable(),
                subscription: None,
            })
            .collect();
        targets.sort_unstable_by_key(|target| target.queue);
        targets.dedup_by_key(|target| target.queue);
        Routes { targets, header_dependent: names.len() > 1 }
    }
}

struct Walk<'a> {
    vhost: &'a Vhost,
    /// One at least.
    keys: SmallVec<[&'a str; 1]>,
    headers: &'a dyn Headers,
    publisher: Option<QueueId>,
    found: Found<'a>,
}

/// What the bindings visited so far lead to.
#[derive(Default)]
struct Found<'a> {
    queues: SmallVec<[(QueueId, &'a Bound); 4]>,
    exchanges: Vec<&'a str>,
    header_dependent: bool,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, exchange: &'a ExchangeEntry) {
        let Walk { vhost, keys, publisher, found, .. } = self;
        let mut leads_somewhere = false;
        found.header_dependent |= exchange.table.reads_headers();
        for (number, key) in keys.iter().enumerate() {
            exchange.table.for_each_match(key, self.headers, |id| {
                leads_somewhere = true;
                let bound = vhost.bindings.bound(id);
                match &bound.binding.destination {
                    Destination::Queue(queue) if bound.leaves_out(*queue, *publisher) => {}
                    // A binding that matches another key as well counts once.
                    Destination::Queue(_) if number > 0 && found.has(bound) => {}
                    Destination::Queue(queue) => found.queues.push((*queue, bound)),
                    Destination::Exchange(name) => found.exchanges.push(name),
                }
            });
        }
        if !leads_somewhere {
            found.exchanges.extend(exchange.alternate());
        }
    }

    /// Visits what bindings between exchanges and alternate exchanges lead to, each exchange once, so
    /// that cycles end.
    fn visit_reachable(&mut self, source: &'a ExchangeEntry) {
        let mut visited = BTreeSet::from([&*source.name]);
        while let Some(name) = self.found.exchanges.pop() {
            if let Some(exchange) = self.vhost.exchanges.get(name)
                && visited.insert(name)
            {
                self.visit(exchange);
            }
        }
    }
}

impl Found<'_> {
    fn has(&self, bound: &Bound) -> bool {
        self.queues.iter().any(|(_, known)| std::ptr::eq(*known, bound))
    }

    fn into_routes(mut self) -> Routes {
        // A stable sort: identifiers of subscriptions keep the order in which they matched.
        self.queues.sort_by_key(|(queue, _)| *queue);
        let mut targets: SmallVec<[Target; 2]> = SmallVec::new();
        for (queue, bound) in self.queues {
            match targets.last_mut() {
                Some(last) if last.queue == queue => last.merge(bound.subscription.as_ref()),
                _ => targets.push(Target {
                    queue,
                    durable: bound.destination_durable,
                    subscription: bound.subscription.clone(),
                }),
            }
        }
        Routes { targets, header_dependent: self.header_dependent }
    }
}

impl Bound {
    fn leaves_out(&self, queue: QueueId, publisher: Option<QueueId>) -> bool {
        publisher == Some(queue) && self.options.is_some_and(|options| options.no_local)
    }
}

impl Target {
    fn merge(&mut self, other: Option<&Arc<Subscription>>) {
        match (&mut self.subscription, other) {
            (_, None) => {}
            (Some(subscription), Some(other)) => Arc::make_mut(subscription).merge(other),
            (none, Some(other)) => *none = Some(Arc::clone(other)),
        }
    }
}
