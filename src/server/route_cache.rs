//! The routes that one publisher has used, so that most messages are not routed anew.

use std::sync::Arc;

use hashbrown::HashMap;

use super::routed::Routed;

/// The routes that were used last, as long as the topology stays as it is.
#[derive(Default)]
pub struct Cache {
    generation: Generation,
    routes: HashMap<CacheKey, Arc<Routed>, foldhash::fast::RandomState>,
    last: Option<(CacheKey, Arc<Routed>)>,
}

/// That of the topology, and of what its publisher may do.
type Generation = (u64, u64);

#[derive(Clone, PartialEq, Eq, Hash)]
struct CacheKey {
    vhost: Arc<str>,
    exchange: Box<str>,
    key: Box<str>,
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
    pub fn find(&mut self, vhost: &Arc<str>, exchange: &str, key: &str) -> Option<Arc<Routed>> {
        if let Some((last, routed)) = &self.last
            && is_same(&last.key, key)
            && is_same(&last.exchange, exchange)
            && (Arc::ptr_eq(&last.vhost, vhost) || last.vhost == *vhost)
        {
            return Some(routed.clone());
        }
        let wanted = CacheKey::new(vhost, exchange, key);
        let routed = self.routes.get(&wanted)?.clone();
        self.last = Some((wanted, routed.clone()));
        Some(routed)
    }

    /// Remembers routes.
    pub fn insert(&mut self, vhost: &Arc<str>, exchange: &str, key: &str, routed: &Arc<Routed>) {
        if self.routes.len() >= CACHED_ROUTES_MAX {
            self.routes.clear();
        }
        let key = CacheKey::new(vhost, exchange, key);
        self.routes.insert(key.clone(), routed.clone());
        self.last = Some((key, routed.clone()));
    }
}

/// As `==`. An empty `Box<str>` has no address, and a vectorised `memcmp` of no bytes there costs more
/// than all else that a route from the cache does.
fn is_same(known: &str, wanted: &str) -> bool {
    known.len() == wanted.len() && (known.is_empty() || known == wanted)
}

impl CacheKey {
    fn new(vhost: &Arc<str>, exchange: &str, key: &str) -> Self {
        CacheKey { vhost: vhost.clone(), exchange: exchange.into(), key: key.into() }
    }
}
