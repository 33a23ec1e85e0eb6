//! A message: immutable, shared by every queue that it is in and every socket that it goes to.
//!
//! The texts and a small body live in one block, which is a part of the message if it is short. So a
//! small message costs one allocation (the `Arc` around it), and any other one two or three:
//!
//! ```text
//! ┌──────────┬─────────────┬────────────┬──────────────────────┐
//! │ exchange │ routing key │ properties │ body, if it is small │     a large body is its own Bytes
//! └──────────┴─────────────┴────────────┴──────────────────────┘
//! ```
//!
//! Properties stay in the encoding that they arrived in; what the core itself needs of them is in
//! [`Facts`], which the frontend fills in.

use bytes::Bytes;

/// What a publisher said of a message that queues act on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// The publisher asked for the message to survive a restart.
    pub persistent: bool,
    /// The MQTT retain flag of the publish.
    pub retain: bool,
    /// The quality of service at which it was published; AMQP persistent counts as 1, transient as 0.
    pub qos: u8,
    /// AMQP priority; 0 where there is none.
    pub priority: u8,
    /// When the broker took it, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expires_at_ms: Option<u64>,
}

/// The wire format of a message's properties.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// There are none.
    #[default]
    None,
    /// AMQP 0-9-1: property flags, then the property list.
    Amqp,
    /// MQTT 5: the properties of a PUBLISH without their length.
    Mqtt,
}

/// A body as a frontend has it.
#[derive(Debug, Clone)]
pub enum Body<'a> {
    /// Still in a read buffer.
    Borrowed(&'a [u8]),
    /// Already in memory of its own.
    Owned(Bytes),
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    block: Block,
    large_body: Option<Box<Bytes>>,
    timestamp_ms: u64,
    /// [`NEVER`] if it does not expire.
    expires_at_ms: u64,
    block_len: u32,
    properties_len: u32,
    key_len: u16,
    exchange_len: u16,
    encoding: Encoding,
    persistent: bool,
    retain: bool,
    qos: u8,
    priority: u8,
}

/// The texts and a small body, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Block {
    /// With zeros behind them.
    Inline([u8; INLINE_BYTES]),
    Heap(Box<[u8]>),
}

/// The longest block that is a part of the message: with its `Arc`, that is 128 bytes.
const INLINE_BYTES: usize = 63;

/// When a message expires that does not.
const NEVER: u64 = u64::MAX;

/// The parts that a message is made from.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// The exchange it was published to; empty for the default exchange.
    pub exchange: &'a str,
    /// The routing key; an MQTT topic in its routing-key form. At most 65,535 bytes.
    pub routing_key: &'a str,
    /// The encoding of `properties`.
    pub encoding: Encoding,
    /// The properties as they arrived.
    pub properties: &'a [u8],
    /// The body.
    pub body: Body<'a>,
    /// What queues act on.
    pub facts: Facts,
}

/// Bodies of at least this many bytes are kept apart, so that they can be written without a copy.
pub const LARGE_BODY_BYTES: usize = 16 * 1024;

impl Message {
    /// What a message costs in memory beside its content, in bytes, roughly.
    pub const OVERHEAD_BYTES: usize = 256;

    /// Makes a message of its parts.
    ///
    /// # Panics
    /// If a name or the properties are longer than the wire formats allow (65,535 bytes, 4 GiB).
    pub fn new(draft: Draft<'_>) -> Self {
        let (small, large_body) = match draft.body {
            Body::Borrowed(body) if body.len() < LARGE_BODY_BYTES => (body, None),
            Body::Borrowed(body) => (&[][..], Some(Box::new(Bytes::copy_from_slice(body)))),
            Body::Owned(body) if body.is_empty() => (&[][..], None),
            Body::Owned(body) => (&[][..], Some(Box::new(body))),
        };
        let (exchange, key) = (draft.exchange.as_bytes(), draft.routing_key.as_bytes());
        let parts = [exchange, key, draft.properties, small];
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        // The block is filled where it stays: what has just been written is slow to be moved.
        let mut message = Message {
            block: Block::Inline([0; INLINE_BYTES]),
            large_body,
            block_len: u32::try_from(len).expect("texts and a small body under 4 GiB"),
            timestamp_ms: draft.facts.timestamp_ms,
            expires_at_ms: draft.facts.expires_at_ms.unwrap_or(NEVER),
            properties_len: u32::try_from(draft.properties.len()).expect("properties under 4 GiB"),
            key_len: u16::try_from(key.len()).expect("a routing key under 64 KiB"),
            exchange_len: u16::try_from(exchange.len()).expect("an exchange name under 64 KiB"),
            encoding: draft.encoding,
            persistent: draft.facts.persistent,
            retain: draft.facts.retain,
            qos: draft.facts.qos,
            priority: draft.facts.priority,
        };
        message.block.fill(parts, len);
        message
    }

    /// The exchange it was published to; empty for the default exchange.
    pub fn exchange(&self) -> &str {
        text(&self.block()[..usize::from(self.exchange_len)])
    }

    /// The routing key.
    pub fn routing_key(&self) -> &str {
        text(self.routing_key_bytes())
    }

    /// As [`Message::routing_key`], without the look at each byte that a text takes.
    pub fn routing_key_bytes(&self) -> &[u8] {
        let start = usize::from(self.exchange_len);
        &self.block()[start..start + usize::from(self.key_len)]
    }

    /// The encoding of [`Message::properties`].
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The properties as they arrived.
    pub fn properties(&self) -> &[u8] {
        let start = self.properties_start();
        &self.block()[start..start + self.properties_len as usize]
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        match self.large_body() {
            Some(body) => body,
            None => &self.block()[self.properties_start() + self.properties_len as usize..],
        }
    }

    /// The body where it has memory of its own and can be shared without a copy.
    pub fn large_body(&self) -> Option<&Bytes> {
        self.large_body.as_deref()
    }

    /// What queues act on.
    #[inline]
    pub fn facts(&self) -> Facts {
        Facts {
            persistent: self.persistent,
            retain: self.retain,
            qos: self.qos,
            priority: self.priority,
            timestamp_ms: self.timestamp_ms,
            expires_at_ms: (self.expires_at_ms != NEVER).then_some(self.expires_at_ms),
        }
    }

    /// The same message with other facts.
    pub fn with_facts(self, facts: Facts) -> Self {
        let Facts { persistent, retain, qos, priority, timestamp_ms, expires_at_ms } = facts;
        let expires_at_ms = expires_at_ms.unwrap_or(NEVER);
        Message { persistent, retain, qos, priority, timestamp_ms, expires_at_ms, ..self }
    }

    /// What the message costs in memory, in bytes, roughly: the measure of every byte limit.
    pub fn size_bytes(&self) -> usize {
        Self::OVERHEAD_BYTES + self.block_len as usize + self.large_body().map_or(0, Bytes::len)
    }

    /// Whether it has expired at `now_ms`.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms <= now_ms
    }

    #[inline]
    fn block(&self) -> &[u8] {
        match &self.block {
            Block::Inline(block) => &block[..self.block_len as usize],
            Block::Heap(block) => block,
        }
    }

    fn properties_start(&self) -> usize {
        usize::from(self.exchange_len) + usize::from(self.key_len)
    }
}

impl Block {
    /// Puts the parts of a new block into it, which have a length of `len` together.
    #[inline]
    fn fill(&mut self, parts: [&[u8]; 4], len: usize) {
        let Block::Inline(block) = self else { return };
        if len > block.len() {
            *self = Block::Heap(parts.concat().into_boxed_slice());
            return;
        }
        let mut rest = &mut block[..];
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let (front, behind) = rest.split_at_mut(part.len());
            front.copy_from_slice(part);
            rest = behind;
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    // The bytes were copied from a `&str`; the check is cheap and keeps this crate free of unsafe.
    std::str::from_utf8(bytes).expect("copied from a str")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft<'a>(body: Body<'a>) -> Draft<'a> {
        Draft {
            exchange: "amq.topic",
            routing_key: "a.é",
            encoding: Encoding::Amqp,
            properties: &[0x10, 0, 2],
            body,
            facts: Facts::default(),
        }
    }

    #[test]
    fn a_small_message_gives_back_its_parts() {
        let message = Message::new(draft(Body::Borrowed(b"hello")));
        assert_eq!(message.exchange(), "amq.topic");
        assert_eq!(message.routing_key(), "a.é");
        assert_eq!(message.properties(), &[0x10, 0, 2]);
        assert_eq!(message.body(), b"hello");
        assert!(message.large_body().is_none());
    }

    #[test]
    fn a_small_message_with_its_arc_fills_two_cache_lines() {
        assert_eq!(size_of::<Message>() + 2 * size_of::<usize>(), 128);
        let message = Message::new(draft(Body::Borrowed(&[7; INLINE_BYTES - 16])));
        assert!(matches!(message.block, Block::Inline(_)));
        assert_eq!(message.body(), [7; INLINE_BYTES - 16]);
        let message = Message::new(draft(Body::Borrowed(&[7; INLINE_BYTES - 15])));
        assert!(matches!(message.block, Block::Heap(_)));
        assert_eq!(message.body(), [7; INLINE_BYTES - 15]);
    }

    #[test]
    fn facts_are_given_back_and_can_be_others() {
        let facts = Facts {
            persistent: true,
            retain: true,
            qos: 2,
            priority: 9,
            timestamp_ms: 5,
            expires_at_ms: Some(7),
        };
        let message = Message::new(Draft { facts, ..draft(Body::Borrowed(b"")) });
        assert_eq!(message.facts(), facts);
        assert!(message.is_expired(7) && !message.is_expired(6));
        let message = message.with_facts(Facts::default());
        assert_eq!(message.facts(), Facts::default());
        assert!(!message.is_expired(u64::MAX - 1));
    }

    #[test]
    fn a_large_body_is_shared_and_not_copied_again() {
        let body = Bytes::from(vec![7; LARGE_BODY_BYTES]);
        let message = Message::new(draft(Body::Owned(body.clone())));
        assert_eq!(message.large_body().map(|b| b.as_ptr()), Some(body.as_ptr()));
        assert_eq!(message.body(), &body[..]);
    }
}
