//! Messages that a queue has taken before: by what their publishers call them, a bounded number of names
//! for a bounded time. A restart forgets all of it.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashSet;

/// How much a queue remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeduplicationSettings {
    /// So many names; the oldest goes first.
    pub len_max: usize,
    /// For so many milliseconds; `None` is without end.
    pub ttl_ms: Option<u64>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Deduplication {
    names: HashSet<Arc<[u8]>, foldhash::fast::FixedState>,
    /// With the time at which each came, the oldest first.
    order: VecDeque<(u64, Arc<[u8]>)>,
    bytes: usize,
}

impl Deduplication {
    /// Whether a name is among those remembered.
    pub fn knows(&mut self, name: &[u8], now_ms: u64, keep: DeduplicationSettings) -> bool {
        let is_over = |since_ms: u64| keep.ttl_ms.is_some_and(|ttl| since_ms + ttl <= now_ms);
        while self.order.front().is_some_and(|(since_ms, _)| is_over(*since_ms)) {
            self.forget_oldest();
        }
        self.names.contains(name)
    }

    /// Remembers a name that is not known.
    pub fn remember(&mut self, name: &Arc<[u8]>, now_ms: u64, keep: DeduplicationSettings) {
        self.names.insert(Arc::clone(name));
        self.order.push_back((now_ms, Arc::clone(name)));
        self.bytes += name.len() + OVERHEAD_BYTES;
        while self.order.len() > keep.len_max || self.bytes > BYTES_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, name)) = self.order.pop_front() {
            self.names.remove(&name);
            self.bytes -= name.len() + OVERHEAD_BYTES;
        }
    }
}

/// What a name takes beside its own bytes, roughly.
const OVERHEAD_BYTES: usize = 100;

/// What the names of one queue may take in memory, whatever its limit of entries.
const BYTES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    impl Deduplication {
        fn is_new(&mut self, name: &Arc<[u8]>, now_ms: u64, keep: DeduplicationSettings) -> bool {
            let is_new = !self.knows(name, now_ms, keep);
            if is_new {
                self.remember(name, now_ms, keep);
            }
            is_new
        }
    }

    fn name(text: &str) -> Arc<[u8]> {
        text.as_bytes().into()
    }

    #[test]
    fn the_oldest_of_too_many_is_forgotten() {
        let keep = DeduplicationSettings { len_max: 2, ttl_ms: None };
        let mut seen = Deduplication::default();
        let mut is_new = |text| seen.is_new(&name(text), 0, keep);
        assert!(is_new("a") && is_new("b") && !is_new("a"));
        assert!(is_new("c"), "a goes");
        assert!(!is_new("b") && !is_new("c") && is_new("a"));
    }

    #[test]
    fn a_name_is_remembered_for_its_time() {
        let keep = DeduplicationSettings { len_max: 10, ttl_ms: Some(100) };
        let mut seen = Deduplication::default();
        assert!(seen.is_new(&name("a"), 1000, keep));
        assert!(!seen.is_new(&name("a"), 1099, keep));
        assert!(seen.is_new(&name("a"), 1100, keep), "a duplicate does not prolong it");
        assert_eq!((seen.order.len(), seen.names.len(), seen.bytes), (1, 1, 1 + OVERHEAD_BYTES));
    }

    #[test]
    fn long_names_take_no_more_than_their_share() {
        let keep = DeduplicationSettings { len_max: usize::MAX, ttl_ms: None };
        let mut seen = Deduplication::default();
        for number in 0..40_u8 {
            assert!(seen.is_new(&vec![number; 1024 * 1024].into(), 0, keep));
        }
        assert_eq!((seen.order.len(), seen.names.len()), (15, 15));
        assert!(seen.bytes <= BYTES_MAX);
    }
}
