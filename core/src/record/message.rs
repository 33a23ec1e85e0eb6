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

/// Reads a message; the body is the rest of the record's payload.
pub(super) fn read(r: &mut Reader<'_>, payload: &Bytes) -> Result<Message, Malformed> {
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
    let exchange = r.text()?;
    let routing_key = r.text()?;
    if exchange.len().max(routing_key.len()) > usize::from(u16::MAX) {
        return Err(Malformed);
    }
    let encoding = match r.byte()? {
        0 => Encoding::None,
        1 => Encoding::Amqp,
        2 => Encoding::Mqtt,
        _ => return Err(Malformed),
    };
    let properties = r.slice()?;
    let body = if r.0.len() < LARGE_BODY_BYTES {
        Body::Borrowed(r.0)
    } else {
        Body::Owned(payload.slice(payload.len() - r.0.len()..))
    };
    Ok(Message::new(Draft { exchange, routing_key, encoding, properties, body, facts }))
}
