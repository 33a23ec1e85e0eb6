//! From a routing key, or headers, to the numbers of the bindings that match.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::ExchangeKind;
use super::headers::{HeaderMatch, Headers, HeadersError};
use crate::topic::{Pattern, Syntax, Trie};
use crate::value::Table;

/// The number of a binding within its virtual host; numbers are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BindingId(pub(crate) u32);

/// The bindings of one exchange, arranged for its type.
#[derive(Debug)]
pub(crate) enum RoutingTable {
    Direct(HashMap<Arc<str>, BTreeSet<BindingId>, RandomState>),
    Fanout(BTreeSet<BindingId>),
    Topic(Trie<BTreeSet<BindingId>>),
    Headers(BTreeMap<BindingId, HeaderMatch>),
}

/// What of a binding its exchange looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Criteria<'a> {
    pub(crate) key: &'a Arc<str>,
    pub(crate) syntax: Syntax,
    pub(crate) arguments: &'a Table,
}

impl RoutingTable {
    pub(crate) fn new(kind: ExchangeKind) -> Self {
        match kind {
            ExchangeKind::Direct => RoutingTable::Direct(HashMap::default()),
            ExchangeKind::Fanout => RoutingTable::Fanout(BTreeSet::new()),
            ExchangeKind::Topic => RoutingTable::Topic(Trie::default()),
            ExchangeKind::Headers => RoutingTable::Headers(BTreeMap::new()),
        }
    }

    /// # Errors
    /// The arguments make no sense to a headers exchange.
    pub(crate) fn insert(
        &mut self,
        id: BindingId,
        criteria: Criteria<'_>,
    ) -> Result<(), HeadersError> {
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
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, id: BindingId, criteria: Criteria<'_>) {
        match self {
            RoutingTable::Direct(keys) => {
                let Some(ids) = keys.get_mut(criteria.key) else { return };
                ids.remove(&id);
                if ids.is_empty() {
                    keys.remove(criteria.key);
                }
            }
            RoutingTable::Fanout(all) => {
                all.remove(&id);
            }
            RoutingTable::Topic(trie) => {
                let Some(ids) = trie.get_mut(criteria.pattern()) else { return };
                ids.remove(&id);
                if ids.is_empty() {
                    trie.remove(criteria.pattern());
                }
            }
            RoutingTable::Headers(all) => {
                all.remove(&id);
            }
        }
    }

    /// Calls `visit` with every binding that matches, each once.
    pub(crate) fn for_each_match(
        &self,
        key: &str,
        headers: &dyn Headers,
        mut visit: impl FnMut(BindingId),
    ) {
        match self {
            RoutingTable::Direct(keys) => {
                keys.get(key).into_iter().flatten().copied().for_each(visit);
            }
            RoutingTable::Fanout(all) => all.iter().copied().for_each(visit),
            RoutingTable::Topic(trie) => {
                trie.for_each_match(key, |ids| ids.iter().copied().for_each(&mut visit));
            }
            RoutingTable::Headers(all) => {
                let matching = all.iter().filter(|(_, wanted)| wanted.matches(headers));
                matching.map(|(id, _)| *id).for_each(visit);
            }
        }
    }

    /// Whether routes through it depend on more than the routing key.
    pub(crate) fn reads_headers(&self) -> bool {
        matches!(self, RoutingTable::Headers(_))
    }
}

impl<'a> Criteria<'a> {
    fn pattern(self) -> Pattern<'a> {
        Pattern::new(self.key, self.syntax)
    }
}
