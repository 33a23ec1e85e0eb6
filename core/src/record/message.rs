//! A message in a record.

use bytes::Bytes;

use super::Malformed;
use super::bytes::{Reader, put as put_integer, put_slice};
use crate::{Body, Draft, Encoding, Facts, LARGE_BODY_BYTES, Message};

const PERSISTENT: u8 = 1;
const RETAIN: u8 = 2;
const EXPIRES: u8 = 4;

/// Writes a message; a large body is given back and has to follow.
pub(super) fn put<'a>(out: &mut Vec<u8>, message: &'a Message) -> Option<&'a Bytes> {
    let facts = message.facts();
    let flags = u8::from(facts.persistent) * PERSISTENT
        + u8::from(facts.retain) * RETAIN
        + u8::from(facts.expires_at_ms.is_some()) * EXPIRES;
    out.extend_from_slice(&[flags, facts.qos, facts.priority]);
    put_integer(out, facts.timestamp_ms);
    if let Some(at) = facts.expires_at_ms {
        put_integer(out, at);
    }
    put_slice(out, message.exchange().as_bytes());
    put_slice(out, message.routing_key().as_bytes());
    out.push(match message.encoding() {
        Encoding::None => 0,
        Encoding::Amqp => 1,
        Encoding::Mqtt => 2,
    });
    put_slice(out, message.properties());
    let large = message.large_body();
    if large.is_none() {
        out.extend_from_slice(message.body());
    }
    large
}

/// A message in a record, read as far as a queue has to know it.
#[derive(Debug, Clone)]
pub struct RecordedMessage {
    facts: Facts,
    parts: Parts,
    payload_len: usize,
    /// The message's bytes: behind what comes before it in the payload.
    bytes: Bytes,
}

/// How long the parts of a message are.
#[derive(Debug, Clone, Copy)]
struct Parts {
    exchange: usize,
    routing_key: usize,
    properties: usize,
    body: usize,
}

impl RecordedMessage {
    /// What queues act on.
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// What the message would cost in memory, as [`Message::size_bytes`] says.
    pub fn size_bytes(&self) -> usize {
        let Parts { exchange, routing_key, properties, body } = self.parts;
        Message::OVERHEAD_BYTES + exchange + routing_key + properties + body
    }

    /// The length of the body, in bytes.
    pub fn body_len(&self) -> usize {
        self.parts.body
    }

    /// The length of the record's payload.
    pub fn payload_len(&self) -> usize {
        self.payload_len
    }

    /// The same without the content: what it has to be read for is gone.
    #[must_use]
    pub fn without_content(&self) -> Self {
        RecordedMessage { bytes: Bytes::new(), ..self.clone() }
    }

    /// The message. Its large body is shared with the payload.
    ///
    /// # Errors
    /// If the content is not there, or its texts are none.
    pub fn into_message(self) -> Result<Message, Malformed> {
        let mut r = Reader(&self.bytes);
        let content = read_content(&mut r)?;
        let body = if r.0.len() < LARGE_BODY_BYTES {
            Body::Borrowed(r.0)
        } else {
            Body::Owned(self.bytes.slice(self.bytes.len() - r.0.len()..))
        };
        Ok(Message::new(Draft {
            exchange: text(content.exchange)?,
            routing_key: text(content.routing_key)?,
            encoding: content.encoding,
            properties: content.properties,
            body,
            facts: self.facts,
        }))
    }
}

/// What stands before a body.
struct Content<'a> {
    exchange: &'a [u8],
    routing_key: &'a [u8],
    encoding: Encoding,
    properties: &'a [u8],
}

/// Reads a message; the body is the rest of the record's payload.
pub(super) fn read(r: &mut Reader<'_>, payload: &Bytes) -> Result<RecordedMessage, Malformed> {
    let flags = r.byte()?;
    let mut facts = Facts {
        persistent: flags & PERSISTENT != 0,
        retain: flags & RETAIN != 0,
        qos: r.byte()?,
        priority: r.byte()?,
        timestamp_ms: r.integer()?,
        expires_at_ms: None,
    };
    if flags & EXPIRES != 0 {
        facts.expires_at_ms = Some(r.integer()?);
    }
    let bytes = payload.slice(payload.len() - r.0.len()..);
    let content = read_content(r)?;
    let parts = Parts {
        exchange: content.exchange.len(),
        routing_key: content.routing_key.len(),
        properties: content.properties.len(),
        body: r.0.len(),
    };
    Ok(RecordedMessage { facts, parts, payload_len: payload.len(), bytes })
}

fn read_content<'a>(r: &mut Reader<'a>) -> Result<Content<'a>, Malformed> {
    let (exchange, routing_key) = (r.slice()?, r.slice()?);
    if exchange.len().max(routing_key.len()) > usize::from(u16::MAX) {
        return Err(Malformed);
    }
    let encoding = match r.byte()? {
        0 => Encoding::None,
        1 => Encoding::Amqp,
        2 => Encoding::Mqtt,
        _ => return Err(Malformed),
    };
    Ok(Content { exchange, routing_key, encoding, properties: r.slice()? })
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}
