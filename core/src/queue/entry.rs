//! One message in one queue.

use std::sync::Arc;

use crate::{EntryIndex, Message, Reference, Subscription};

/// What the queue keeps of a message while it waits or is in flight.
#[derive(Debug)]
pub(super) struct Entry {
    pub index: EntryIndex,
    /// The message, while it is in memory; a stored message may be put out of memory.
    pub message: Option<Arc<Message>>,
    pub stored: Stored,
    pub subscription: Option<Arc<Subscription>>,
    /// Counts the entries of an MQTT session that need an acknowledgement; 0 elsewhere.
    pub sequence: u64,
    pub size_bytes: u32,
    /// How often it was handed out.
    pub deliveries: u32,
    /// The quality of service at which it is delivered.
    pub qos: u8,
    /// It comes from the retained store, because of a subscription.
    pub retained: bool,
    /// MQTT QoS 2: its receiver has taken it over.
    pub received: bool,
    /// Settled while it waited (only replay does this); skipped when its turn comes.
    pub dead: bool,
}

/// Where the message is in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// Only in memory.
    No,
    /// Promised to the publisher: there after a restart.
    Durable(Reference),
    /// Put there to save memory: forgotten by a restart.
    Spilled(Reference),
}

impl Stored {
    pub fn reference(self) -> Option<Reference> {
        match self {
            Stored::No => None,
            Stored::Durable(reference) | Stored::Spilled(reference) => Some(reference),
        }
    }
}

impl Entry {
    pub fn is_durable(&self) -> bool {
        matches!(self.stored, Stored::Durable(_))
    }

    /// Whether a consumer with acknowledgements has to settle it: MQTT QoS 0 needs none.
    pub fn needs_settlement(&self) -> bool {
        self.subscription.is_none() || self.qos > 0
    }

    /// When it expires, by its own time to live or by that of its queue, as far as its message is
    /// known.
    pub fn expires_at_ms(&self, ttl_ms: Option<u64>) -> Option<u64> {
        let facts = self.message.as_ref()?.facts();
        let by_queue = ttl_ms.map(|ttl_ms| facts.timestamp_ms.saturating_add(ttl_ms));
        facts.expires_at_ms.into_iter().chain(by_queue).min()
    }

    pub fn is_expired(&self, now_ms: u64, ttl_ms: Option<u64>) -> bool {
        self.expires_at_ms(ttl_ms).is_some_and(|at_ms| at_ms <= now_ms)
    }

    /// Whether it waits and its message has to be read before it can be handed out.
    pub fn lacks_message(&self) -> bool {
        self.message.is_none() && !self.dead
    }

    /// Frees the message's memory if the journal has it; says how many bytes that were.
    pub fn put_out_of_memory(&mut self) -> usize {
        if self.stored.reference().is_none() || self.message.take().is_none() {
            return 0;
        }
        self.size_bytes as usize
    }

    /// The bytes of memory that the message takes now.
    pub fn resident_bytes(&self) -> usize {
        if self.message.is_some() { self.size_bytes as usize } else { 0 }
    }
}
