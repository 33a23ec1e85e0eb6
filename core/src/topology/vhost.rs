//! A virtual host: the namespace of exchanges, queues and bindings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::binding::Bindings;
use super::policy::Policies;
use super::{Applied, InForce, Limits, Mode, Outcome, Resource, Topology, TopologyError};
use crate::exchange::{BindingId, BindingIds, ExchangeKind, ExchangeSpec, RoutingTable};
use crate::id::QueueId;

/// A declared exchange.
#[derive(Debug, Clone)]
pub struct ExchangeEntry {
    /// Its name; empty for the default exchange.
    pub name: Arc<str>,
    /// Its properties.
    pub spec: ExchangeSpec,
    /// The queue in which it keeps messages, if its type does: until their time, or for those who come
    /// later.
    pub own_queue: Option<QueueId>,
    /// What clients have published to it.
    pub traffic: Arc<ExchangeTraffic>,
    pub(super) table: RoutingTable,
    /// The bindings it is the source of.
    pub(super) outgoing: BTreeSet<BindingId>,
    /// The bindings it is the destination of.
    pub(super) incoming: BindingIds,
    pub(super) in_force: Option<Box<InForce>>,
}

/// What has gone through an exchange since it was made here.
#[derive(Debug, Default)]
pub struct ExchangeTraffic {
    published: AtomicU64,
    routed: AtomicU64,
}

impl ExchangeTraffic {
    /// So many messages were published to it, and so many copies of them went to queues.
    pub fn note(&self, published: u64, routed: u64) {
        self.published.fetch_add(published, Ordering::Relaxed);
        self.routed.fetch_add(routed, Ordering::Relaxed);
    }

    /// Messages that were published to it.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Copies of them that went to queues.
    pub fn routed(&self) -> u64 {
        self.routed.load(Ordering::Relaxed)
    }
}

/// What is known of a virtual host besides what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VhostFacts {
    /// What it is for.
    pub description: String,
    /// Words that it can be found by.
    pub tags: Vec<String>,
    /// Whether its deletion is refused.
    pub protected: bool,
}

pub(super) type Exchanges = BTreeMap<Arc<str>, ExchangeEntry>;

#[derive(Debug, Clone)]
pub(super) struct Vhost {
    pub(super) name: Arc<str>,
    pub(super) exchanges: Exchanges,
    /// Its order never shows: listings are sorted.
    pub(super) queue_ids: HashMap<Arc<str>, QueueId, RandomState>,
    pub(super) bindings: Bindings,
    pub(super) policies: Policies,
    pub(super) limits: Limits,
    pub(super) facts: VhostFacts,
}

impl ExchangeEntry {
    pub(super) fn new(name: Arc<str>, spec: ExchangeSpec) -> Self {
        let table = RoutingTable::new(&spec);
        ExchangeEntry {
            name,
            spec,
            own_queue: None,
            traffic: Arc::default(),
            table,
            outgoing: BTreeSet::new(),
            incoming: BindingIds::default(),
            in_force: None,
        }
    }

    /// How many bindings it is the source of. Those of the default exchange, which are implicit, do not
    /// count.
    pub fn binding_count(&self) -> usize {
        self.outgoing.len()
    }
}

impl Vhost {
    fn new(name: Arc<str>) -> Self {
        let predeclared = PREDECLARED.iter().map(|&(name, kind, internal)| {
            let spec = ExchangeSpec { internal, ..ExchangeSpec::durable(kind) };
            (name.into(), ExchangeEntry::new(name.into(), spec))
        });
        Vhost {
            name,
            exchanges: predeclared.collect(),
            queue_ids: HashMap::default(),
            bindings: Bindings::default(),
            policies: Policies::default(),
            limits: Limits::new(),
            facts: VhostFacts::default(),
        }
    }

    pub(super) fn exchange(&self, name: &str) -> Result<&ExchangeEntry, TopologyError> {
        let missing = || TopologyError::NotFound(Resource::exchange(name, &self.name));
        self.exchanges.get(name).ok_or_else(missing)
    }
}

impl Topology {
    pub(super) fn declare_vhost(&mut self, name: Arc<str>) -> Applied {
        if self.vhosts.contains_key(&name) {
            return Outcome::Unchanged.into();
        }
        self.vhosts.insert(Arc::clone(&name), Vhost::new(name));
        Outcome::Created.into()
    }

    /// The name of a virtual host: if it is there, one that all share who ask for it.
    pub fn vhost_name(&self, name: &str) -> Arc<str> {
        self.vhosts.get(name).map_or_else(|| name.into(), |vhost| vhost.name.clone())
    }

    /// What is known of a virtual host, if it is there.
    pub fn vhost_facts(&self, vhost: &str) -> Option<&VhostFacts> {
        self.vhosts.get(vhost).map(|vhost| &vhost.facts)
    }

    pub(super) fn describe_vhost(
        &mut self,
        vhost: &str,
        facts: VhostFacts,
    ) -> Result<Applied, TopologyError> {
        let known = &mut super::vhost_mut(&mut self.vhosts, vhost)?.facts;
        if *known == facts {
            return Ok(Outcome::Unchanged.into());
        }
        *known = facts;
        Ok(Outcome::Replaced.into())
    }

    pub(super) fn delete_vhost(
        &mut self,
        name: Arc<str>,
        mode: Mode,
    ) -> Result<Applied, TopologyError> {
        if mode == Mode::Live && self.vhost_facts(&name).is_some_and(|facts| facts.protected) {
            return Err(TopologyError::VhostProtected(name));
        }
        Ok(self.remove_vhost(&name))
    }

    fn remove_vhost(&mut self, name: &str) -> Applied {
        let Some(vhost) = self.vhosts.remove(name) else { return Outcome::Absent.into() };
        let kept = vhost.exchanges.values().filter_map(|exchange| exchange.own_queue);
        let mut deleted: Vec<_> = vhost.queue_ids.into_values().chain(kept).collect();
        deleted.sort_unstable();
        for id in &deleted {
            self.forget_queue(*id);
        }
        for user in self.users.values_mut() {
            user.permissions.remove(name);
            user.topic_permissions.remove(name);
        }
        self.parameters.retain(|parameter, _| parameter.vhost.as_deref() != Some(name));
        Applied { deleted_queues: deleted, ..Outcome::Deleted.into() }
    }
}

/// Whether clients can neither declare nor delete an exchange or a queue of this name.
pub(super) fn is_reserved(name: &str) -> bool {
    name.starts_with("amq.")
}

/// Whether a virtual host has this exchange from the start.
pub(super) fn is_predeclared(exchange: &str) -> bool {
    PREDECLARED.iter().any(|(name, ..)| *name == exchange)
}

/// How many exchanges every virtual host has.
pub(super) const PREDECLARED_LEN: usize = PREDECLARED.len();

/// Name, type, internal.
const PREDECLARED: &[(&str, ExchangeKind, bool)] = &[
    ("", ExchangeKind::Direct, false),
    ("amq.direct", ExchangeKind::Direct, false),
    ("amq.fanout", ExchangeKind::Fanout, false),
    ("amq.headers", ExchangeKind::Headers, false),
    ("amq.match", ExchangeKind::Headers, false),
    ("amq.rabbitmq.trace", ExchangeKind::Topic, true),
    ("amq.topic", ExchangeKind::Topic, false),
];
