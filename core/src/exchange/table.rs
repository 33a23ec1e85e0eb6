//! From what is known of a message to the numbers of the bindings that it takes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::check::{HashOn, weight};
use super::headers::{HeaderMatch, Headers};
use super::rendezvous::{Rendezvous, stable_hash};
use super::slots::Slots;
use super::{BindingIds, ExchangeError, ExchangeKind, ExchangeSpec};
use crate::topic::{Pattern, Syntax, Trie};
use crate::value::{Table, Value};

/// The number of a binding within its virtual host; numbers are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BindingId(pub(crate) u32);

/// The bindings of one exchange, arranged for its type.
#[derive(Debug, Clone)]
pub(crate) enum RoutingTable {
    Direct(HashMap<Arc<str>, BindingIds, RandomState>),
    Fanout(BTreeSet<BindingId>),
    Topic(Trie<BindingIds>),
    Headers(BTreeMap<BindingId, HeaderMatch>),
    Hash(HashRouting),
    Random(Slots<()>),
}

/// One binding for each hash.
#[derive(Debug, Clone)]
pub(crate) struct HashRouting {
    on: HashOn,
    /// Binding keys are weights; otherwise all weigh the same.
    is_weighted: bool,
    bindings: Rendezvous,
}

/// What of a binding its exchange looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Criteria<'a> {
    pub(crate) key: &'a Arc<str>,
    pub(crate) syntax: Syntax,
    pub(crate) arguments: &'a Table,
}

/// What an exchange may ask about a message.
pub(crate) struct Asked<'a> {
    pub(crate) key: &'a str,
    pub(crate) headers: &'a dyn Headers,
    /// Another one for every message and exchange.
    pub(crate) random: u64,
}

impl RoutingTable {
    /// # Panics
    /// If the arguments were not checked.
    pub(crate) fn new(spec: &ExchangeSpec) -> Self {
        match spec.routes_as() {
            ExchangeKind::Direct => RoutingTable::Direct(HashMap::default()),
            ExchangeKind::Fanout | ExchangeKind::RecentHistory => {
                RoutingTable::Fanout(BTreeSet::new())
            }
            ExchangeKind::Topic => RoutingTable::Topic(Trie::default()),
            ExchangeKind::Headers => RoutingTable::Headers(BTreeMap::new()),
            ExchangeKind::ConsistentHash | ExchangeKind::ModulusHash => {
                RoutingTable::Hash(HashRouting::new(spec))
            }
            ExchangeKind::Random | ExchangeKind::LocalRandom => {
                RoutingTable::Random(Slots::default())
            }
            ExchangeKind::Delayed => unreachable!("declarations check it"),
        }
    }

    /// `destination` is what the binding leads to, as a hash.
    ///
    /// # Errors
    /// The binding makes no sense to this type of exchange.
    pub(crate) fn insert(
        &mut self,
        id: BindingId,
        criteria: Criteria<'_>,
        destination: u64,
    ) -> Result<(), ExchangeError> {
        match self {
            RoutingTable::Direct(keys) => {
                keys.entry(Arc::clone(criteria.key)).or_default().insert(id);
            }
            RoutingTable::Fanout(all) => {
                all.insert(id);
            }
            RoutingTable::Topic(trie) => {
                trie.entry(criteria.pattern()).insert(id);
            }
            RoutingTable::Headers(all) => {
                all.insert(id, HeaderMatch::new(criteria.arguments)?);
            }
            RoutingTable::Hash(hash) => hash.insert(id, criteria.key, destination)?,
            RoutingTable::Random(all) => all.insert(id, ()),
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, id: BindingId, criteria: Criteria<'_>) {
        match self {
            RoutingTable::Direct(keys) => {
                let Some(ids) = keys.get_mut(criteria.key) else { return };
                ids.remove(id);
                if ids.is_empty() {
                    keys.remove(criteria.key);
                }
            }
            RoutingTable::Fanout(all) => {
                all.remove(&id);
            }
            RoutingTable::Topic(trie) => {
                let Some(ids) = trie.get_mut(criteria.pattern()) else { return };
                ids.remove(id);
                if ids.is_empty() {
                    trie.remove(criteria.pattern());
                }
            }
            RoutingTable::Headers(all) => {
                all.remove(&id);
            }
            RoutingTable::Hash(hash) => hash.remove(id, criteria.key),
            RoutingTable::Random(all) => all.remove(id),
        }
    }

    /// Calls `visit` with every binding that matches, each once.
    pub(crate) fn for_each_match(&self, asked: &Asked<'_>, mut visit: impl FnMut(BindingId)) {
        match self {
            RoutingTable::Direct(keys) => {
                keys.get(asked.key).into_iter().flat_map(BindingIds::iter).for_each(visit);
            }
            RoutingTable::Fanout(all) => all.iter().copied().for_each(visit),
            RoutingTable::Topic(trie) => {
                trie.for_each_match(asked.key, |ids| ids.iter().for_each(&mut visit));
            }
            RoutingTable::Headers(all) => {
                let matching = all.iter().filter(|(_, wanted)| wanted.matches(asked.headers));
                matching.map(|(id, _)| *id).for_each(visit);
            }
            RoutingTable::Hash(hash) => hash.choose(asked).into_iter().for_each(visit),
            RoutingTable::Random(all) => all.pick(asked.random).into_iter().for_each(visit),
        }
    }

    /// Whether routes through it depend on more than the routing key.
    pub(crate) fn looks_beyond_key(&self) -> bool {
        match self {
            RoutingTable::Direct(_) | RoutingTable::Fanout(_) | RoutingTable::Topic(_) => false,
            RoutingTable::Hash(hash) => hash.on != HashOn::Key,
            RoutingTable::Headers(_) | RoutingTable::Random(_) => true,
        }
    }

    /// Whether a message takes one binding, however many keys it has: the first one counts.
    pub(crate) fn chooses_one(&self) -> bool {
        matches!(self, RoutingTable::Hash(_) | RoutingTable::Random(_))
    }
}

impl HashRouting {
    fn new(spec: &ExchangeSpec) -> Self {
        let is_weighted = spec.routes_as() == ExchangeKind::ConsistentHash;
        let on = match is_weighted {
            true => HashOn::new(&spec.arguments).expect("declarations check it"),
            false => HashOn::Key,
        };
        HashRouting { on, is_weighted, bindings: Rendezvous::default() }
    }

    /// Where keys are no weights, there may be several bindings to one destination, and each draws for
    /// itself.
    fn insert(&mut self, id: BindingId, key: &str, destination: u64) -> Result<(), ExchangeError> {
        let (weight, called) = match self.is_weighted {
            true => (weight(key)?, destination),
            false => (1, destination ^ stable_hash(key.as_bytes())),
        };
        self.bindings.insert(id, weight, called);
        Ok(())
    }

    fn remove(&mut self, id: BindingId, key: &str) {
        let weight = if self.is_weighted { weight(key) } else { Ok(1) };
        if let Ok(weight) = weight {
            self.bindings.remove(id, weight);
        }
    }

    /// Messages without the header or property all take the same binding.
    fn choose(&self, asked: &Asked<'_>) -> Option<BindingId> {
        let found = match &self.on {
            HashOn::Key => return self.bindings.choose(stable_hash(asked.key.as_bytes())),
            HashOn::Header(name) => asked.headers.header(name),
            HashOn::Property(property) => asked.headers.property(*property),
        };
        let bytes = found.as_ref().map(plain_bytes).unwrap_or_default();
        self.bindings.choose(stable_hash(bytes.iter()))
    }
}

/// What a value is by itself: numbers as decimal text, whatever their width.
pub(crate) fn plain_bytes(value: &Value) -> Cow<'_, [u8]> {
    match value {
        Value::LongString(bytes) | Value::ByteArray(bytes) => Cow::Borrowed(bytes),
        Value::Array(_) | Value::Table(_) => {
            Cow::Owned(serde_json::to_vec(value).unwrap_or_default())
        }
        other => Cow::Owned(other.to_string().into_bytes()),
    }
}

impl<'a> Criteria<'a> {
    fn pattern(self) -> Pattern<'a> {
        Pattern::new(self.key, self.syntax)
    }
}
