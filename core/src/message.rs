//! A message: immutable, shared by every queue that it is in and every socket that it goes to.
//!
//! The texts and a small body live in one block, so that a message costs two allocations (the block
//! and the `Arc` around it) whatever it carries:
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
    block: Box<[u8]>,
    large_body: Bytes,
    facts: Facts,
    properties_len: u32,
    key_len: u16,
    exchange_len: u16,
    encoding: Encoding,
}

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
            Body::Borrowed(body) if body.len() < LARGE_BODY_BYTES => (body, Bytes::new()),
            Body::Borrowed(body) => (&[][..], Bytes::copy_from_slice(body)),
            Body::Owned(body) => (&[][..], body),
        };
        let (exchange, key) = (draft.exchange.as_bytes(), draft.routing_key.as_bytes());
        let mut block =
            Vec::with_capacity(exchange.len() + key.len() + draft.properties.len() + small.len());
        block.extend_from_slice(exchange);
        block.extend_from_slice(key);
        block.extend_from_slice(draft.properties);
        block.extend_from_slice(small);
        Message {
            block: block.into_boxed_slice(),
            large_body,
            facts: draft.facts,
            properties_len: u32::try_from(draft.properties.len()).expect("properties under 4 GiB"),
            key_len: u16::try_from(key.len()).expect("a routing key under 64 KiB"),
            exchange_len: u16::try_from(exchange.len()).expect("an exchange name under 64 KiB"),
            encoding: draft.encoding,
        }
    }

    /// The exchange it was published to; empty for the default exchange.
    pub fn exchange(&self) -> &str {
        text(&self.block[..usize::from(self.exchange_len)])
    }

    /// The routing key.
    pub fn routing_key(&self) -> &str {
        text(self.routing_key_bytes())
    }

    /// As [`Message::routing_key`], without the look at each byte that a text takes.
    pub fn routing_key_bytes(&self) -> &[u8] {
        let start = usize::from(self.exchange_len);
        &self.block[start..start + usize::from(self.key_len)]
    }

    /// The encoding of [`Message::properties`].
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The properties as they arrived.
    pub fn properties(&self) -> &[u8] {
        let start = self.properties_start();
        &self.block[start..start + self.properties_len as usize]
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        match self.large_body() {
            Some(body) => body,
            None => &self.block[self.properties_start() + self.properties_len as usize..],
        }
    }

    /// The body where it has memory of its own and can be shared without a copy.
    pub fn large_body(&self) -> Option<&Bytes> {
        (!self.large_body.is_empty()).then_some(&self.large_body)
    }

    /// What queues act on.
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// The same message with other facts.
    pub fn with_facts(self, facts: Facts) -> Self {
        Message { facts, ..self }
    }

    /// What the message costs in memory, in bytes, roughly: the measure of every byte limit.
    pub fn size_bytes(&self) -> usize {
        Self::OVERHEAD_BYTES + self.block.len() + self.large_body.len()
    }

    /// Whether it has expired at `now_ms`.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.facts.expires_at_ms.is_some_and(|at| at <= now_ms)
    }

    fn properties_start(&self) -> usize {
        usize::from(self.exchange_len) + usize::from(self.key_len)
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
    fn a_large_body_is_shared_and_not_copied_again() {
        let body = Bytes::from(vec![7; LARGE_BODY_BYTES]);
        let message = Message::new(draft(Body::Owned(body.clone())));
        assert_eq!(message.large_body().map(|b| b.as_ptr()), Some(body.as_ptr()));
        assert_eq!(message.body(), &body[..]);
    }
}
