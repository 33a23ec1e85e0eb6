//! Retained messages of all vhosts, and their records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use leveret_core::record::{self, Kind};
use leveret_core::{Message, Pattern, Position, Retained};
use leveret_storage::Urgency;

use super::Node;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct RetainedStore {
    vhosts: Mutex<BTreeMap<Arc<str>, Retained>>,
}

/// There are as many retained messages as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are as many retained messages as there may be")]
pub struct TooManyRetained;

impl RetainedStore {
    /// The retained messages by vhost.
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Retained>> {
        self.vhosts.lock().expect("nothing panics while it holds the retained messages")
    }
}

impl Node {
    /// Replaces the retained message of the message's routing key, or removes it if the body is
    /// empty. Gives what has to be durable before the publisher is told.
    ///
    /// # Errors
    /// If it would be one too many.
    pub fn retain(
        &self,
        vhost: &Arc<str>,
        message: &Arc<Message>,
    ) -> Result<Option<Position>, TooManyRetained> {
        let mut vhosts = self.retained.lock();
        let key = message.routing_key();
        let store = vhosts.entry(vhost.clone()).or_default();
        if message.body().is_empty() {
            return Ok(store.remove(key).map(|_| {
                self.append(Kind::Unretain, Urgency::Promise, |out| {
                    record::write::unretain(out, vhost, key);
                    None
                })
            }));
        }
        let max = self.config.mqtt_retained_max as usize;
        if store.len() >= max && store.get(key, 0).is_none() {
            return Err(TooManyRetained);
        }
        store.set(key, message.clone());
        let write = |out: &mut Vec<u8>| record::write::retain(out, vhost, message);
        Ok(Some(self.append(Kind::Retain, Urgency::Promise, write)))
    }

    /// The retained messages that match a pattern now.
    pub fn retained_matching(
        &self,
        vhost: &str,
        pattern: Pattern<'_>,
        now_ms: u64,
    ) -> Vec<Arc<Message>> {
        let vhosts = self.retained.lock();
        let Some(store) = vhosts.get(vhost) else { return Vec::new() };
        store.matching(pattern, now_ms).map(|(_, message)| message.clone()).collect()
    }
}
