//! Records that are referred to by something that is neither in a shard nor in a snapshot yet.
//!
//! A message for several shards is held until all of them refer to it, a discarded page until what
//! it refers to is released. Whoever collects what is live has to know both.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

use leveret_core::record::{self, Kind};
use leveret_core::{Message, Position, Reference};
use leveret_storage::Urgency;

use super::Node;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Held(Mutex<BTreeMap<Position, u32>>);

impl Held {
    /// Holds a record; the same may be held several times.
    pub fn add(&self, at: Position) {
        *self.lock().entry(at).or_default() += 1;
    }

    /// Holds the record that `append` gives. A snapshot that is begun meanwhile waits for it.
    pub fn add_appended(&self, append: impl FnOnce() -> Position) {
        let mut held = self.lock();
        *held.entry(append()).or_default() += 1;
    }

    /// Holds a record once less.
    pub fn remove(&self, at: Position) {
        let mut held = self.lock();
        if let Some(count) = held.get_mut(&at) {
            *count -= 1;
            if *count == 0 {
                held.remove(&at);
            }
        }
    }

    /// The positions in a range.
    pub fn within(&self, range: Range<Position>) -> Vec<Position> {
        self.lock().range(range).map(|(at, _)| *at).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Position, u32>> {
        self.0.lock().expect("nothing panics while it holds the list")
    }
}

impl Node {
    /// A message that several records refer to is in the journal once, before them. The reference
    /// made here bridges the time until the queues have made theirs.
    pub fn hold_body(&self, message: &Message, shares: usize) -> Reference {
        let write = |out: &mut Vec<u8>| record::write::body(out, message);
        let mut body = None;
        self.held.add_appended(|| {
            let reference = self.append(Kind::Body, Urgency::Lazy, write).reference(shares);
            self.storage.retain(reference, 1);
            body.insert(reference).at
        });
        body.expect("the record was appended")
    }

    /// The queues have made theirs.
    pub fn let_go(&self, body: Reference) {
        self.held.remove(body.at);
        self.storage.release(body);
    }
}
