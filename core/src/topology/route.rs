//! From an exchange and a routing key to queues.

use std::collections::BTreeSet;
use std::sync::Arc;

use smallvec::SmallVec;

use super::binding::Bound;
use super::vhost::Vhost;
use super::{
    Delayed, Destination, ExchangeEntry, Resource, Share, Subscription, Topology, TopologyError,
};
use crate::exchange::{Asked, ExchangeKind, Headers, mix, plain_bytes};
use crate::id::QueueId;
use crate::value::Value;

/// The header of a message that an exchange is not to remember.
const NO_STORE: &str = "x-recent-history-no-store";

/// Where a message is published to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// The virtual host.
    pub vhost: &'a str,
    /// The exchange; empty for the default exchange.
    pub exchange: &'a str,
    /// The routing key; an MQTT topic in its routing-key form.
    pub key: &'a str,
    /// A number that is another one for each message: exchanges that choose at random go by it.
    pub random: u64,
}

/// The queues that a message goes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// In the order of the queues' ids, each queue once; more often if MQTT subscriptions are kept
    /// separate.
    pub targets: SmallVec<[Target; 2]>,
    /// Where it waits first, each with its own delay.
    pub delayed: Vec<Delayed>,
    /// Of each, one more queue gets it.
    pub shared: Vec<Shared>,
    is_per_message: bool,
}

/// The members of a shared subscription that a message matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Which one.
    pub share: Arc<Share>,
    /// The queues of its members, in the order of their ids; one at least.
    pub members: Vec<Target>,
}

/// One queue that a message goes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The queue.
    pub queue: QueueId,
    /// Whether the queue survives a restart.
    pub durable: bool,
    /// What the MQTT subscriptions among the matching bindings ask for; `None` if all are AMQP's.
    pub subscription: Option<Arc<Subscription>>,
    /// What the message is called, if the queue takes it once only.
    pub deduplication: Option<Arc<[u8]>>,
}

impl Routes {
    /// Whether the next message of the same publisher, exchange and key goes the same way, while
    /// the [`generation`](Topology::generation) stays.
    pub fn is_cacheable(&self) -> bool {
        !self.is_per_message
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
            let mut routes = self.route_by_names(vhost, &keys);
            self.name_duplicates(&mut routes, headers);
            return Ok(routes);
        }
        let source = vhost.exchange(address.exchange)?;
        let random = address.random;
        let found = Found { is_per_message: !more.is_empty(), ..Found::default() };
        let mut walk = Walk { vhost, keys, headers, publisher, random, found, trail: () };
        walk.run(source);
        let mut routes = walk.found.into_routes(self.separates_subscriptions);
        self.name_duplicates(&mut routes, headers);
        Ok(routes)
    }

    /// Tells the queues that take a message once only what it is called.
    fn name_duplicates(&self, routes: &mut Routes, headers: &dyn Headers) {
        for target in &mut routes.targets {
            let queue = self.queues.get(&target.queue);
            let Some(header) = queue.and_then(|queue| queue.spec.deduplication_header()) else {
                continue;
            };
            routes.is_per_message = true;
            // What comes back as a dead letter is no repetition.
            let name = headers.header(header).filter(|_| headers.header("x-death").is_none());
            target.deduplication = name.map(|value| plain_bytes(&value).as_ref().into());
        }
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
                deduplication: None,
            })
            .collect();
        targets.sort_unstable_by_key(|target| target.queue);
        targets.dedup_by_key(|target| target.queue);
        Routes { targets, is_per_message: names.len() > 1, ..Routes::default() }
    }
}

/// From exchange to exchange.
pub(super) struct Walk<'a, 'k, T> {
    pub(super) vhost: &'a Vhost,
    /// One at least.
    pub(super) keys: SmallVec<[&'k str; 1]>,
    pub(super) headers: &'k dyn Headers,
    pub(super) publisher: Option<QueueId>,
    pub(super) random: u64,
    pub(super) found: Found<'a>,
    pub(super) trail: T,
}

/// Who is told which way a message takes.
pub(super) trait Trail<'a> {
    /// By this binding.
    fn took(&mut self, bound: &'a Bound);

    /// By the alternate exchange of this one.
    fn fell_back(&mut self, exchange: &'a ExchangeEntry, alternate: &'a str);
}

/// Nobody, and it costs nothing.
impl Trail<'_> for () {
    fn took(&mut self, _: &Bound) {}

    fn fell_back(&mut self, _: &ExchangeEntry, _: &str) {}
}

/// What the bindings visited so far lead to.
#[derive(Default)]
pub(super) struct Found<'a> {
    queues: SmallVec<[(QueueId, &'a Bound); 4]>,
    shared: Vec<(&'a Arc<Share>, QueueId, &'a Bound)>,
    exchanges: Vec<&'a str>,
    delayed: Vec<Delayed>,
    /// Queues of exchanges that remember what they route.
    kept: Vec<Target>,
    is_per_message: bool,
}

impl<'a, T: Trail<'a>> Walk<'a, '_, T> {
    /// Visits an exchange, and what it leads to.
    pub(super) fn run(&mut self, source: &'a ExchangeEntry) {
        self.visit(source);
        if !self.found.exchanges.is_empty() {
            self.visit_reachable(source);
        }
    }

    fn visit(&mut self, exchange: &'a ExchangeEntry) {
        self.random = mix(self.random.wrapping_add(1));
        let Walk { vhost, keys, headers, publisher, random, found, trail } = self;
        if let Some(queue) = exchange.own_queue {
            let durable = exchange.spec.durable;
            found.is_per_message = true;
            if exchange.spec.kind == ExchangeKind::RecentHistory {
                if headers.header(NO_STORE) != Some(Value::Bool(true)) {
                    found.kept.push(Target { queue, durable, ..Target::default() });
                }
            } else if let Some(delay_ms) = Delayed::of(*headers) {
                return found.delayed.push(Delayed { queue, durable, delay_ms });
            }
        }
        let mut leads_somewhere = false;
        found.is_per_message |= exchange.table.looks_beyond_key();
        let keys_len = if exchange.table.chooses_one() { 1 } else { keys.len() };
        for (number, key) in keys[..keys_len].iter().enumerate() {
            let asked = Asked { key, headers: *headers, random: *random };
            exchange.table.for_each_match(&asked, |id| {
                leads_somewhere = true;
                let bound = vhost.bindings.bound(id);
                match &bound.binding.destination {
                    Destination::Queue(queue) if bound.leaves_out(*queue, *publisher) => {}
                    // A binding that matches another key as well counts once.
                    Destination::Queue(_) if number > 0 && found.has(bound) => {}
                    Destination::Queue(queue) => {
                        trail.took(bound);
                        found.add(*queue, bound);
                    }
                    Destination::Exchange(name) => {
                        trail.took(bound);
                        found.exchanges.push(name);
                    }
                }
            });
        }
        if !leads_somewhere && let Some(alternate) = exchange.alternate() {
            trail.fell_back(exchange, alternate);
            found.exchanges.push(alternate);
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

impl<'a> Found<'a> {
    fn has(&self, bound: &Bound) -> bool {
        self.queues.iter().any(|(_, known)| std::ptr::eq(*known, bound))
            || self.shared.iter().any(|(.., known)| std::ptr::eq(*known, bound))
    }

    fn add(&mut self, queue: QueueId, bound: &'a Bound) {
        match bound.share() {
            None => self.queues.push((queue, bound)),
            Some(share) => self.shared.push((share, queue, bound)),
        }
    }

    fn members(&mut self) -> Vec<Shared> {
        self.shared.sort_unstable_by_key(|(share, queue, _)| (*share, *queue));
        let groups = self.shared.chunk_by(|a, b| a.0 == b.0);
        let target = |(_, queue, bound): &(_, QueueId, &Bound)| bound.target(*queue);
        groups
            .map(|group| Shared {
                share: group[0].0.clone(),
                members: group.iter().map(target).collect(),
            })
            .collect()
    }

    fn into_routes(mut self, separates_subscriptions: bool) -> Routes {
        let shared = self.members();
        // A stable sort: identifiers of subscriptions keep the order in which they matched.
        self.queues.sort_by_key(|(queue, _)| *queue);
        let mut targets: SmallVec<[Target; 2]> = SmallVec::new();
        for (queue, bound) in self.queues {
            match targets.last_mut() {
                Some(last)
                    if last.queue == queue
                        && !(separates_subscriptions && last.is_of_other(bound)) =>
                {
                    last.merge(bound.subscription.as_ref());
                }
                _ => targets.push(bound.target(queue)),
            }
        }
        targets.extend(self.kept);
        targets.sort_unstable_by_key(|target| target.queue);
        let Found { delayed, is_per_message, .. } = self;
        Routes { targets, delayed, shared, is_per_message }
    }
}

impl Bound {
    fn target(&self, queue: QueueId) -> Target {
        let (durable, subscription) = (self.destination_durable, self.subscription.clone());
        Target { queue, durable, subscription, deduplication: None }
    }

    fn leaves_out(&self, queue: QueueId, publisher: Option<QueueId>) -> bool {
        publisher == Some(queue) && self.options.is_some_and(|options| options.no_local)
    }
}

impl Target {
    /// Whether both come from subscriptions of MQTT.
    fn is_of_other(&self, bound: &Bound) -> bool {
        self.subscription.is_some() && bound.subscription.is_some()
    }

    fn merge(&mut self, other: Option<&Arc<Subscription>>) {
        match (&mut self.subscription, other) {
            (_, None) => {}
            (Some(subscription), Some(other)) => Arc::make_mut(subscription).merge(other),
            (none, Some(other)) => *none = Some(Arc::clone(other)),
        }
    }
}
