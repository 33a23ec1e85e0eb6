//! The properties of a message (AMQP 0-9-1 §4.2.6.1): flags, then the values that are present.
//!
//! ```text
//! flags(2) [content-type] [content-encoding] [headers] [delivery-mode] … [cluster-id]
//! ```
//! The flags go from bit 15 down. The specification allows more flag words behind bit 0; there are
//! 14 properties, so a second word cannot mean anything and is refused.
//!
//! A [`Properties`] is the octets as they arrived, so a message is forwarded byte for byte. They
//! are checked once, on arrival, and read lazily; only a message that the broker makes or changes
//! goes through [`PropertiesBuilder`].

use bytes::BufMut;

use crate::error::Error;
use crate::table::{Table, TableLimits};
use crate::wire::{Reader, put_long_str, put_short_str};

/// The properties of a message, in their encoding.
///
/// ```
/// use leveret_amqp::{Properties, PropertiesBuilder};
///
/// let encoded = PropertiesBuilder { delivery_mode: Some(2), ..Default::default() }.encode();
/// let properties = Properties::from_encoded(&encoded);
/// assert_eq!(properties.delivery_mode(), Some(2));
/// assert_eq!(properties.priority(), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Properties<'a> {
    encoded: &'a [u8],
}

impl Default for Properties<'_> {
    fn default() -> Self {
        Self { encoded: &[0, 0] }
    }
}

impl<'a> Properties<'a> {
    /// Checks the flags, every value and the headers.
    ///
    /// # Errors
    /// The first thing that cannot be decoded or exceeds `limits`.
    #[inline]
    pub fn parse(encoded: &'a [u8], limits: TableLimits) -> Result<Self, Error> {
        let mut reader = Reader::new(encoded);
        let flags = reader.short()?;
        if flags & UNDEFINED != 0 {
            return Err(Error::PropertyFlags(flags));
        }
        let mut left = flags;
        while left != 0 {
            let property = highest(left);
            left ^= property;
            check(property, &mut reader, limits)?;
        }
        reader.finish()?;
        Ok(Self { encoded })
    }

    /// Properties that were checked before, for example when they were stored. Of octets that
    /// never were, each property from the first malformed one on reads as absent.
    pub const fn from_encoded(encoded: &'a [u8]) -> Self {
        Self { encoded }
    }

    /// The octets, flags first.
    pub const fn as_encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// `content-type`, a MIME type.
    pub fn content_type(&self) -> Option<&'a str> {
        self.text(CONTENT_TYPE)
    }

    /// `content-encoding`.
    pub fn content_encoding(&self) -> Option<&'a str> {
        self.text(CONTENT_ENCODING)
    }

    /// `headers`, if there is such a table.
    pub fn headers(&self) -> Option<Table<'a>> {
        self.seek(HEADERS)?.long_str().ok().map(Table::from_encoded)
    }

    /// `delivery-mode`: 1 is transient, 2 persistent.
    pub fn delivery_mode(&self) -> Option<u8> {
        self.seek(DELIVERY_MODE)?.octet().ok()
    }

    /// Whether the delivery mode is 2.
    pub fn is_persistent(&self) -> bool {
        self.delivery_mode() == Some(2)
    }

    /// `priority`.
    pub fn priority(&self) -> Option<u8> {
        self.seek(PRIORITY)?.octet().ok()
    }

    /// `correlation-id`.
    pub fn correlation_id(&self) -> Option<&'a str> {
        self.text(CORRELATION_ID)
    }

    /// `reply-to`.
    pub fn reply_to(&self) -> Option<&'a str> {
        self.text(REPLY_TO)
    }

    /// `expiration`: milliseconds in decimal, unchecked.
    pub fn expiration(&self) -> Option<&'a str> {
        self.text(EXPIRATION)
    }

    /// `message-id`.
    pub fn message_id(&self) -> Option<&'a str> {
        self.text(MESSAGE_ID)
    }

    /// `timestamp`, in seconds since 1970.
    pub fn timestamp(&self) -> Option<u64> {
        self.seek(TIMESTAMP)?.long_long().ok()
    }

    /// `type`.
    pub fn kind(&self) -> Option<&'a str> {
        self.text(TYPE)
    }

    /// `user-id`.
    pub fn user_id(&self) -> Option<&'a str> {
        self.text(USER_ID)
    }

    /// `app-id`.
    pub fn app_id(&self) -> Option<&'a str> {
        self.text(APP_ID)
    }

    /// `cluster-id`, which nobody uses.
    pub fn cluster_id(&self) -> Option<&'a str> {
        self.text(CLUSTER_ID)
    }

    fn text(&self, property: u16) -> Option<&'a str> {
        self.seek(property)?.short_str().ok()
    }

    /// A reader at the value of `property`, if it is present.
    fn seek(&self, property: u16) -> Option<Reader<'a>> {
        let mut reader = Reader::new(self.encoded);
        let flags = reader.short().ok()?;
        if flags & property == 0 {
            return None;
        }
        let mut before = flags & !(property | (property - 1));
        while before != 0 {
            let skipped = highest(before);
            before ^= skipped;
            skip(skipped, &mut reader).ok()?;
        }
        Some(reader)
    }
}

/// The properties of a message that the broker makes or changes.
///
/// Strings longer than 255 octets are cut between characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PropertiesBuilder<'a> {
    /// `content-type`
    pub content_type: Option<&'a str>,
    /// `content-encoding`
    pub content_encoding: Option<&'a str>,
    /// `headers`
    pub headers: Option<Table<'a>>,
    /// `delivery-mode`
    pub delivery_mode: Option<u8>,
    /// `priority`
    pub priority: Option<u8>,
    /// `correlation-id`
    pub correlation_id: Option<&'a str>,
    /// `reply-to`
    pub reply_to: Option<&'a str>,
    /// `expiration`
    pub expiration: Option<&'a str>,
    /// `message-id`
    pub message_id: Option<&'a str>,
    /// `timestamp`
    pub timestamp: Option<u64>,
    /// `type`
    pub kind: Option<&'a str>,
    /// `user-id`
    pub user_id: Option<&'a str>,
    /// `app-id`
    pub app_id: Option<&'a str>,
    /// `cluster-id`
    pub cluster_id: Option<&'a str>,
}

impl<'a> From<Properties<'a>> for PropertiesBuilder<'a> {
    fn from(from: Properties<'a>) -> Self {
        Self {
            content_type: from.content_type(),
            content_encoding: from.content_encoding(),
            headers: from.headers(),
            delivery_mode: from.delivery_mode(),
            priority: from.priority(),
            correlation_id: from.correlation_id(),
            reply_to: from.reply_to(),
            expiration: from.expiration(),
            message_id: from.message_id(),
            timestamp: from.timestamp(),
            kind: from.kind(),
            user_id: from.user_id(),
            app_id: from.app_id(),
            cluster_id: from.cluster_id(),
        }
    }
}

impl PropertiesBuilder<'_> {
    /// The encoding, flags first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.encode_into(&mut out);
        out
    }

    /// Appends the encoding to `out`.
    pub fn encode_into(&self, out: &mut impl BufMut) {
        out.put_u16(self.flags());
        put_text(out, self.content_type);
        put_text(out, self.content_encoding);
        if let Some(headers) = self.headers {
            put_long_str(out, headers.as_encoded());
        }
        put_octet(out, self.delivery_mode);
        put_octet(out, self.priority);
        put_text(out, self.correlation_id);
        put_text(out, self.reply_to);
        put_text(out, self.expiration);
        put_text(out, self.message_id);
        if let Some(seconds) = self.timestamp {
            out.put_u64(seconds);
        }
        for text in [self.kind, self.user_id, self.app_id, self.cluster_id] {
            put_text(out, text);
        }
    }

    fn flags(&self) -> u16 {
        let present = [
            (CONTENT_TYPE, self.content_type.is_some()),
            (CONTENT_ENCODING, self.content_encoding.is_some()),
            (HEADERS, self.headers.is_some()),
            (DELIVERY_MODE, self.delivery_mode.is_some()),
            (PRIORITY, self.priority.is_some()),
            (CORRELATION_ID, self.correlation_id.is_some()),
            (REPLY_TO, self.reply_to.is_some()),
            (EXPIRATION, self.expiration.is_some()),
            (MESSAGE_ID, self.message_id.is_some()),
            (TIMESTAMP, self.timestamp.is_some()),
            (TYPE, self.kind.is_some()),
            (USER_ID, self.user_id.is_some()),
            (APP_ID, self.app_id.is_some()),
            (CLUSTER_ID, self.cluster_id.is_some()),
        ];
        present.iter().filter(|(_, is)| *is).fold(0, |flags, (flag, _)| flags | flag)
    }
}

fn put_text(out: &mut impl BufMut, text: Option<&str>) {
    if let Some(text) = text {
        put_short_str(out, text);
    }
}

fn put_octet(out: &mut impl BufMut, octet: Option<u8>) {
    if let Some(octet) = octet {
        out.put_u8(octet);
    }
}

/// The highest flag that is set in `flags`, which are not zero.
#[inline]
const fn highest(flags: u16) -> u16 {
    0x8000 >> flags.leading_zeros()
}

#[inline]
fn check(property: u16, reader: &mut Reader<'_>, limits: TableLimits) -> Result<(), Error> {
    match property {
        HEADERS => reader.table(limits).map(drop),
        DELIVERY_MODE | PRIORITY => reader.octet().map(drop),
        TIMESTAMP => reader.long_long().map(drop),
        _ => reader.short_str().map(drop),
    }
}

#[inline]
fn skip(property: u16, reader: &mut Reader<'_>) -> Result<(), Error> {
    match property {
        HEADERS => reader.long_str().map(drop),
        DELIVERY_MODE | PRIORITY => reader.octet().map(drop),
        TIMESTAMP => reader.long_long().map(drop),
        _ => reader.short_bytes().map(drop),
    }
}

const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;
const TYPE: u16 = 1 << 5;
const USER_ID: u16 = 1 << 4;
const APP_ID: u16 = 1 << 3;
const CLUSTER_ID: u16 = 1 << 2;
const UNDEFINED: u16 = 0b11;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TableBuilder;

    #[test]
    fn every_property_survives_a_round_trip() {
        let mut headers = TableBuilder::new();
        headers.insert("k", "v");
        let built = PropertiesBuilder {
            content_type: Some("a/b"),
            content_encoding: Some("gzip"),
            headers: Some(headers.as_table()),
            delivery_mode: Some(2),
            priority: Some(9),
            correlation_id: Some("c"),
            reply_to: Some("r"),
            expiration: Some("1000"),
            message_id: Some("m"),
            timestamp: Some(u64::MAX),
            kind: Some("t"),
            user_id: Some("guest"),
            app_id: Some("app"),
            cluster_id: Some(""),
        };
        let encoded = built.encode();
        let parsed = Properties::parse(&encoded, TableLimits::default()).unwrap();
        assert_eq!(PropertiesBuilder::from(parsed), built);
        assert!(parsed.is_persistent());
    }

    #[test]
    fn malformed_properties_are_refused() {
        let parse = |octets: &[u8]| Properties::parse(octets, TableLimits::default()).map(drop);
        assert_eq!(parse(&[0]), Err(Error::Truncated));
        assert_eq!(parse(&[0, 1]), Err(Error::PropertyFlags(1)));
        assert_eq!(parse(&[0x10, 0]), Err(Error::Truncated));
        assert_eq!(parse(&[0x10, 0, 2, 0]), Err(Error::Trailing(1)));
        assert_eq!(parse(&[0x80, 0, 1, 0xFF]), Err(Error::NotUtf8));
        assert_eq!(parse(&[0x20, 0, 0xFF, 0xFF, 0xFF, 0xFF]), Err(Error::Truncated));
    }

    #[test]
    fn unchecked_octets_read_as_absent() {
        let properties = Properties::from_encoded(&[0xFF, 0xFC, 9]);
        assert_eq!(PropertiesBuilder::from(properties), PropertiesBuilder::default());
        assert_eq!(Properties::from_encoded(&[]).priority(), None);
    }
}
