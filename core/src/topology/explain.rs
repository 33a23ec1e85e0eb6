//! Why a message goes where it goes: the way that routing takes, written down while it takes it.

use std::collections::BTreeMap;

use super::binding::Bound;
use super::listing::implicit;
use super::route::{Address, Found, Trail, Walk};
use super::vhost::Vhost;
use super::{BindingEntry, Destination, ExchangeEntry, Topology, TopologyError};
use crate::exchange::Headers;

/// The ways of one message.
#[derive(Debug)]
pub struct Explanation<'a> {
    /// The bindings by which it gets into queues, in the order in which they were found.
    pub bindings: Vec<BindingEntry<'a>>,
    /// Whether these are all.
    pub is_whole: bool,
    /// How each exchange but the first one is reached, by its name.
    reached: BTreeMap<&'a str, Step<'a>>,
}

/// What leads from one exchange to another.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<'a> {
    /// A binding that matches.
    Binding(BindingEntry<'a>),
    /// Nothing matches at this exchange, which has the other one for that.
    Alternate {
        /// The name of the exchange at which nothing matches.
        exchange: &'a str,
        /// The name of the other one.
        alternate: &'a str,
    },
}

impl<'a> Explanation<'a> {
    /// The steps from the exchange that is published to, to this one.
    pub fn way_to(&self, exchange: &str) -> Vec<&Step<'a>> {
        let mut way = Vec::new();
        let mut here = exchange;
        while let Some(step) = self.reached.get(here) {
            way.push(step);
            here = step.source();
        }
        way.reverse();
        way
    }
}

impl Step<'_> {
    fn source(&self) -> &str {
        match self {
            Step::Binding(binding) => binding.source,
            Step::Alternate { exchange, .. } => exchange,
        }
    }
}

impl Topology {
    /// The way of a message from nobody's session, with up to `bindings_max` bindings of queues.
    ///
    /// # Errors
    /// The virtual host or the exchange does not exist.
    pub fn explain(
        &self,
        address: Address<'_>,
        headers: &dyn Headers,
        bindings_max: usize,
    ) -> Result<Explanation<'_>, TopologyError> {
        let vhost = self.vhost(address.vhost)?;
        if address.exchange.is_empty() {
            let queue = vhost.queue_ids.get(address.key).and_then(|id| self.queue_by_id(*id));
            let bindings = queue.map(implicit).into_iter().collect();
            return Ok(Explanation { bindings, is_whole: true, reached: BTreeMap::new() });
        }
        let source = vhost.exchange(address.exchange)?;
        let trail = Written { source: &source.name, bindings_max, ..Written::default() };
        let keys = smallvec::smallvec![address.key];
        let (random, found) = (address.random, Found::default());
        let mut walk = Walk { vhost, keys, headers, publisher: None, random, found, trail };
        walk.run(source);
        Ok(walk.trail.read(self, vhost))
    }
}

/// What is written down.
#[derive(Default)]
struct Written<'a> {
    source: &'a str,
    bindings: Vec<&'a Bound>,
    bindings_max: usize,
    is_cut: bool,
    reached: BTreeMap<&'a str, Reached<'a>>,
}

/// What leads to an exchange first. It was found at one that was visited before, so no way is a circle.
enum Reached<'a> {
    By(&'a Bound),
    From(&'a str),
}

impl<'a> Trail<'a> for Written<'a> {
    fn took(&mut self, bound: &'a Bound) {
        match &bound.binding.destination {
            Destination::Queue(_) if self.bindings.len() < self.bindings_max => {
                self.bindings.push(bound);
            }
            Destination::Queue(_) => self.is_cut = true,
            Destination::Exchange(name) => self.reach(name, Reached::By(bound)),
        }
    }

    fn fell_back(&mut self, exchange: &'a ExchangeEntry, alternate: &'a str) {
        self.reach(alternate, Reached::From(&exchange.name));
    }
}

impl<'a> Written<'a> {
    fn reach(&mut self, exchange: &'a str, by: Reached<'a>) {
        if exchange != self.source {
            self.reached.entry(exchange).or_insert(by);
        }
    }

    fn read(self, topology: &'a Topology, vhost: &'a Vhost) -> Explanation<'a> {
        let bindings = self.bindings.iter().filter_map(|bound| topology.entry(vhost, bound));
        let step = |(name, by): (&'a str, Reached<'a>)| {
            let step = match by {
                Reached::By(bound) => Step::Binding(topology.entry(vhost, bound)?),
                Reached::From(exchange) => Step::Alternate { exchange, alternate: name },
            };
            Some((name, step))
        };
        Explanation {
            bindings: bindings.collect(),
            is_whole: !self.is_cut,
            reached: self.reached.into_iter().filter_map(step).collect(),
        }
    }
}
