//! Writing property sections: those of a forwarded PUBLISH, and those of messages that were never
//! MQTT.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use super::id;
use super::read::value_offset;
use crate::{topic, varint};

/// Builds the properties of a message that came from elsewhere.
///
/// What MQTT cannot express is left out: a string longer than 65,535 bytes or with U+0000, a
/// response topic that is no topic name.
///
/// ```
/// use leveret_mqtt::{Properties, PropertiesBuilder, Property};
///
/// let raw = PropertiesBuilder::new().content_type("text/plain").user("trace", "7").build();
/// assert_eq!(Properties::stored(&raw).iter().count(), 2);
/// ```
#[derive(Debug, Clone, Default)]
pub struct PropertiesBuilder {
    raw: Vec<u8>,
}

impl PropertiesBuilder {
    /// Starts without properties.
    pub const fn new() -> Self {
        Self { raw: Vec::new() }
    }

    /// Says that the payload is UTF-8 text.
    pub fn payload_is_text(mut self) -> Self {
        self.raw.extend([id::PAYLOAD_FORMAT, 1]);
        self
    }

    /// Seconds until the message expires.
    pub fn message_expiry(mut self, seconds: u32) -> Self {
        self.raw.push(id::MESSAGE_EXPIRY);
        self.raw.extend(seconds.to_be_bytes());
        self
    }

    /// What the payload is.
    pub fn content_type(self, value: &str) -> Self {
        if is_string(value) { self.binary(id::CONTENT_TYPE, value.as_bytes()) } else { self }
    }

    /// Where a response goes.
    pub fn response_topic(self, value: &str) -> Self {
        if is_string(value) && topic::is_name(value) {
            return self.binary(id::RESPONSE_TOPIC, value.as_bytes());
        }
        self
    }

    /// What the requester recognises a response by.
    pub fn correlation_data(self, value: &[u8]) -> Self {
        if value.len() <= LEN_MAX { self.binary(id::CORRELATION_DATA, value) } else { self }
    }

    /// A name and a value; may be called any number of times.
    pub fn user(mut self, name: &str, value: &str) -> Self {
        if is_string(name) && is_string(value) {
            self = self.binary(id::USER, name.as_bytes());
            put_binary(&mut self.raw, value.as_bytes());
        }
        self
    }

    /// The bytes, as [`crate::Deliver`] wants them.
    pub fn build(self) -> Vec<u8> {
        self.raw
    }

    fn binary(mut self, id: u8, value: &[u8]) -> Self {
        put_property(&mut self.raw, id, value);
        self
    }
}

/// The properties of a PUBLISH to a subscriber: the publisher's own bytes, the expiry put right and
/// the subscription identifiers added [MQTT-3.3.2-6, -3.3.4-3].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forwarded<'a> {
    raw: &'a [u8],
    expiry: Option<Expiry>,
    subscription_ids: &'a [u32],
    alias: Option<u16>,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Expiry {
    seconds: u32,
    /// Where the publisher's value stands; `None` if the property has to be added.
    offset: Option<usize>,
}

impl<'a> Forwarded<'a> {
    #[inline]
    pub(crate) fn new(
        raw: &'a [u8],
        expiry: Option<u32>,
        subscription_ids: &'a [u32],
        alias: Option<u16>,
    ) -> Self {
        let offset = || value_offset(raw, id::MESSAGE_EXPIRY);
        let expiry = expiry.map(|seconds| Expiry { seconds, offset: offset() });
        let added = expiry.is_some_and(|expiry| expiry.offset.is_none());
        let ids: usize = subscription_ids.iter().map(|&id| 1 + varint::len(id as usize)).sum();
        let alias_len = if alias.is_some() { ALIAS_LEN } else { 0 };
        let len = raw.len() + usize::from(added) * EXPIRY_LEN + ids + alias_len;
        Self { raw, expiry, subscription_ids, alias, len }
    }

    /// Length of the section with its own length in front.
    #[inline]
    pub(crate) const fn section_len(&self) -> usize {
        varint::len(self.len) + self.len
    }

    #[inline]
    pub(crate) fn write(&self, out: &mut BytesMut) {
        varint::write(out, self.len);
        let start = out.len();
        out.extend_from_slice(self.raw);
        if let Some(expiry) = self.expiry {
            expiry.write(out, start);
        }
        for &id in self.subscription_ids {
            out.put_u8(id::SUBSCRIPTION_ID);
            varint::write(out, id as usize);
        }
        if let Some(alias) = self.alias {
            out.put_u8(id::TOPIC_ALIAS);
            out.extend_from_slice(&alias.to_be_bytes());
        }
    }
}

impl Expiry {
    fn write(self, out: &mut BytesMut, start: usize) {
        let seconds = self.seconds.to_be_bytes();
        let Some(offset) = self.offset else {
            out.put_u8(id::MESSAGE_EXPIRY);
            out.extend_from_slice(&seconds);
            return;
        };
        if let Some(value) = out.get_mut(start + offset..start + offset + seconds.len()) {
            value.copy_from_slice(&seconds);
        }
    }
}

/// The properties of a will as those of the PUBLISH that it becomes: without the delay.
pub(crate) fn without_will_delay(raw: &[u8]) -> Cow<'_, [u8]> {
    without(raw, id::WILL_DELAY, WILL_DELAY_LEN)
}

/// The properties of a PUBLISH as those of its message: without the alias.
pub(crate) fn without_topic_alias(raw: &[u8]) -> Cow<'_, [u8]> {
    without(raw, id::TOPIC_ALIAS, ALIAS_LEN)
}

/// Without one property, which has a length of `len` with its id.
fn without(raw: &[u8], id: u8, len: usize) -> Cow<'_, [u8]> {
    let Some(value) = value_offset(raw, id) else {
        return Cow::Borrowed(raw);
    };
    let (before, rest) = raw.split_at(value - 1);
    let after = rest.get(len..).unwrap_or_default();
    if before.is_empty() { Cow::Borrowed(after) } else { Cow::Owned([before, after].concat()) }
}

/// Appends a value behind its two-byte length; it is not longer than [`LEN_MAX`].
fn put_binary(out: &mut impl BufMut, value: &[u8]) {
    debug_assert!(value.len() <= LEN_MAX);
    out.put_u16(value.len() as u16);
    out.put_slice(value);
}

/// Appends a property whose value is a string or binary, not longer than [`LEN_MAX`].
pub(crate) fn put_property(out: &mut impl BufMut, id: u8, value: &[u8]) {
    out.put_u8(id);
    put_binary(out, value);
}

/// Length of the properties in `raw` with their own length in front.
pub(crate) const fn section_len(raw: &[u8]) -> usize {
    varint::len(raw.len()) + raw.len()
}

/// Appends the properties in `raw` behind their length.
pub(crate) fn put_section(out: &mut impl BufMut, raw: &[u8]) {
    varint::write(out, raw.len());
    out.put_slice(raw);
}

/// Whether MQTT can express a text [MQTT-1.5.4-2].
pub(crate) fn is_string(value: &str) -> bool {
    value.len() <= LEN_MAX && !value.contains('\0')
}

const LEN_MAX: usize = u16::MAX as usize;
const EXPIRY_LEN: usize = 5;
const WILL_DELAY_LEN: usize = 5;
const ALIAS_LEN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Properties;

    fn written(raw: &[u8], expiry: Option<u32>, ids: &[u32]) -> Vec<u8> {
        let forwarded = Forwarded::new(raw, expiry, ids, None);
        let mut out = BytesMut::from(&[0xaa][..]);
        forwarded.write(&mut out);
        assert_eq!(out.len(), 1 + forwarded.section_len());
        out[1..].to_vec()
    }

    #[test]
    fn the_expiry_is_replaced_where_it_stands_or_added() {
        assert_eq!(written(&[1, 1], None, &[]), [2, 1, 1]);
        assert_eq!(written(&[2, 0, 0, 0, 9, 1, 1], Some(5), &[]), [7, 2, 0, 0, 0, 5, 1, 1]);
        assert_eq!(written(&[1, 1], Some(5), &[]), [7, 1, 1, 2, 0, 0, 0, 5]);
        assert_eq!(written(&[], None, &[1, 200]), [5, 11, 1, 11, 0xc8, 1]);
    }

    #[test]
    fn a_will_loses_its_delay_and_nothing_else() {
        assert_eq!(without_will_delay(&[1, 0]), Cow::Borrowed(&[1, 0]));
        assert_eq!(*without_will_delay(&[1, 0, 24, 0, 0, 0, 9, 3, 0, 0]), [1, 0, 3, 0, 0]);
    }

    #[test]
    fn a_message_loses_its_alias_and_nothing_else() {
        assert_eq!(*without_topic_alias(&[35, 0, 7]), []);
        assert_eq!(*without_topic_alias(&[1, 0, 35, 0, 7, 3, 0, 0]), [1, 0, 3, 0, 0]);
        assert_eq!(*without_topic_alias(&[35, 0, 7, 1, 0]), [1, 0]);
    }

    #[test]
    fn what_mqtt_cannot_say_is_left_out() {
        let long = "x".repeat(65_536);
        let raw = PropertiesBuilder::new()
            .content_type("a\0")
            .content_type(&long)
            .response_topic("a/#")
            .response_topic("")
            .correlation_data(long.as_bytes())
            .user("k", &long)
            .build();
        assert!(Properties::stored(&raw).is_empty());
    }
}
