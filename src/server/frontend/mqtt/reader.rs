//! Which topics a client may read.
//!
//! A filter is checked when it is subscribed to. But a wildcard matches topics that its subscriber may not
//! read, and what a user may do changes while subscriptions stay. So every topic is checked when it is
//! delivered, too: once, as long as the topology stays as it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashMap;
use leveret_core::{Actor, TopologyError};

use super::TOPIC_EXCHANGE;
use crate::server::Node;
use crate::server::backends::Identity;

/// A client in the name of its user.
#[derive(Debug)]
pub(super) struct Reader {
    pub identity: Identity,
    pub client_id: Arc<str>,
    pub vhost: Arc<str>,
    generation: u64,
    /// What was found out of single topics; `None` if the user may read all of them.
    known: Option<Box<Known>>,
}

type Known = HashMap<Box<str>, bool, foldhash::fast::RandomState>;

impl Reader {
    pub fn new(identity: Identity, client_id: Arc<str>, vhost: Arc<str>) -> Self {
        Reader { identity, client_id, vhost, generation: u64::MAX, known: None }
    }

    pub fn actor(&self) -> Actor<'_> {
        self.identity.actor(&self.vhost, Some(&self.client_id))
    }

    /// Whether the client may get what is published with a routing key.
    pub fn may_read(&mut self, node: &Node, key: &str) -> bool {
        let generation = node.generation.load(Ordering::Acquire);
        if self.generation != generation {
            self.generation = generation;
            let reads_all = node.topology().reads_all_topics(self.actor(), TOPIC_EXCHANGE);
            self.known = (!reads_all).then(Box::default);
        }
        let Some(known) = &mut self.known else { return true };
        if let Some(&may_read) = known.get(key) {
            return may_read;
        }
        let may_read = self.check(node, key).is_ok();
        let Some(known) = &mut self.known else { return true };
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(key.into(), may_read);
        may_read
    }

    /// Refuses a key, or a filter in the form of one, that the client may not read.
    pub fn check(&self, node: &Node, key: &str) -> Result<(), TopologyError> {
        node.topology().check_read_topic(self.actor(), TOPIC_EXCHANGE, key)
    }
}

/// How many topics are remembered at a time.
const KNOWN_MAX: usize = 512;
