//! The routes that one publisher has used, so that most messages are not routed anew.

use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

use super::routed::Routed;

/// The routes that were used last, as long as the topology stays as it is.
#[derive(Default)]
pub struct Cache {
    generation: Generation,
    routes: HashMap<Arc<CacheKey>, Arc<Routed>, foldhash::fast::RandomState>,
    last: Option<(Arc<CacheKey>, Arc<Routed>)>,
}

/// That of the topology, and of what its publisher may do.
type Generation = (u64, u64);

#[derive(PartialEq, Eq, Hash)]
struct CacheKey {
    vhost: Arc<str>,
    exchange: Box<str>,
    key: Box<str>,
}

/// What is looked for, without memory of its own. Its hash is that of the key with the same fields.
#[derive(Hash)]
struct Wanted<'a> {
    vhost: &'a Arc<str>,
    exchange: &'a str,
    key: &'a str,
}

impl Equivalent<Arc<CacheKey>> for Wanted<'_> {
    fn equivalent(&self, known: &Arc<CacheKey>) -> bool {
        is_same(&known.key, self.key)
            && is_same(&known.exchange, self.exchange)
            && (Arc::ptr_eq(&known.vhost, self.vhost) || known.vhost == *self.vhost)
    }
}

/// Routes that one connection remembers.
const CACHED_ROUTES_MAX: usize = 512;

impl Cache {
    /// Forgets what was known of an older topology, or of a publisher who was allowed more.
    pub fn keep_to(&mut self, generation: Generation) {
        if self.generation != generation {
            *self = Cache { generation, ..Cache::default() };
        }
    }

    /// The routes of messages with this exchange and key.
    pub fn find(&mut self, vhost: &Arc<str>, exchange: &str, key: &str) -> Option<&Arc<Routed>> {
        let wanted = Wanted { vhost, exchange, key };
        if !self.last.as_ref().is_some_and(|(last, _)| wanted.equivalent(last)) {
            let (known, routed) = self.routes.get_key_value(&wanted)?;
            self.last = Some((known.clone(), routed.clone()));
        }
        self.last.as_ref().map(|(_, routed)| routed)
    }

    /// Remembers routes.
    pub fn insert(&mut self, vhost: &Arc<str>, exchange: &str, key: &str, routed: &Arc<Routed>) {
        if self.routes.len() >= CACHED_ROUTES_MAX {
            self.routes.clear();
        }
        let (vhost, exchange, key) = (vhost.clone(), exchange.into(), key.into());
        let key = Arc::new(CacheKey { vhost, exchange, key });
        self.routes.insert(key.clone(), routed.clone());
        self.last = Some((key, routed.clone()));
    }
}

/// As `==`. An empty `Box<str>` has no address, and a vectorised `memcmp` of no bytes there costs more
/// than all else that a route from the cache does.
fn is_same(known: &str, wanted: &str) -> bool {
    known.len() == wanted.len() && (known.is_empty() || known == wanted)
}
