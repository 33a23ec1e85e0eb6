//! One message in one queue.

use std::sync::Arc;

use super::extent::Extent;
use crate::{EntryIndex, Message, Reference, Share, Subscription};

/// When something expires that does not.
pub(super) const NEVER: u64 = u64::MAX;

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
    /// When it is dropped, in milliseconds since the Unix epoch; [`NEVER`] if it is not.
    pub expires_at_ms: u64,
    pub size_bytes: u32,
    /// The size of the body alone.
    pub body_bytes: u32,
    /// How often it was handed out.
    pub deliveries: u32,
    /// Its level; 0 in a queue without priorities.
    pub priority: u8,
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
    /// An entry with nothing in it.
    pub fn blank(index: EntryIndex) -> Self {
        Entry {
            index,
            message: None,
            stored: Stored::No,
            subscription: None,
            sequence: 0,
            expires_at_ms: NEVER,
            size_bytes: 0,
            body_bytes: 0,
            deliveries: 0,
            priority: 0,
            qos: 1,
            retained: false,
            received: false,
            dead: false,
        }
    }

    pub fn extent(&self) -> Extent {
        Extent { len: 1, size_bytes: self.size_bytes.into(), body_bytes: self.body_bytes.into() }
    }

    /// The shared subscription that it is of.
    pub fn share(&self) -> Option<&Arc<Share>> {
        self.subscription.as_ref()?.share.as_ref()
    }

    /// Whether another member of its shared subscription may get it.
    pub fn may_be_handed_on(&self) -> bool {
        self.share().is_some() && !self.received && (self.qos < 2 || self.deliveries == 0)
    }

    pub fn is_durable(&self) -> bool {
        matches!(self.stored, Stored::Durable(_))
    }

    /// Whether a consumer with acknowledgements has to settle it: MQTT QoS 0 needs none.
    pub fn needs_settlement(&self) -> bool {
        self.subscription.is_none() || self.qos > 0
    }

    /// A QoS 2 message that was sent does not expire any more [MQTT-4.3.3-7].
    pub fn keep_if_begun(&mut self) {
        if self.qos == 2 && self.deliveries > 0 {
            self.expires_at_ms = NEVER;
        }
    }

    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms <= now_ms
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
