//! PUBLISH, both ways.
//!
//! ```text
//! 0011 DUP QoS QoS RETAIN │ remaining length │ topic │ packet id (QoS > 0)
//!   │ properties (MQTT 5) │ payload
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::{Qos, Rules, Version, kind};
use crate::alias::{InboundAliases, OutboundAliases, Sent, Topic};
use crate::connection::output::Output;
use crate::property::{self, Forwarded, Properties, Property, without_topic_alias};
use crate::read::Reader;
use crate::{Error, topic};

/// A message that a client publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Where to; not empty, without wildcards.
    pub topic: Topic<'a>,
    /// How it was sent.
    pub qos: Qos,
    /// Whether it replaces the retained message of its topic.
    pub retain: bool,
    /// Whether the client says that it sent this before.
    pub dup: bool,
    /// What the acknowledgement is to name; 0 for QoS 0.
    pub packet_id: u16,
    /// Seconds until it expires, if the properties say so.
    pub message_expiry: Option<u32>,
    /// All properties, a topic alias among them; empty for MQTT 3.
    pub properties: Properties<'a>,
    has_alias: bool,
    /// The message itself.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    #[inline(always)]
    pub(crate) fn parse(
        first: u8,
        body: &'a [u8],
        rules: Rules,
        aliases: (&mut InboundAliases, u16),
    ) -> Result<Self, Error> {
        let (qos, dup) = parse_flags(first)?;
        let mut reader = Reader::new(body);
        let name = reader.binary()?;
        let packet_id = if qos == Qos::AtMostOnce { 0 } else { reader.packet_id()? };
        let Found { properties, message_expiry, alias } = match rules.version {
            Version::V31 | Version::V3 => Found::default(),
            Version::V5 => parse_properties(reader.section()?, rules)?,
        };
        let topic = match alias {
            None => Topic::Name(topic::parse_name(name)?),
            Some(alias) => parse_alias(name, alias, aliases)?,
        };
        let retain = first & RETAIN != 0;
        let (payload, has_alias) = (reader.rest(), alias.is_some());
        Ok(Self {
            topic,
            qos,
            retain,
            dup,
            packet_id,
            message_expiry,
            properties,
            has_alias,
            payload,
        })
    }

    /// The same, on its own.
    pub fn owned(&self) -> OwnedPublish {
        OwnedPublish {
            topic: (*self.topic).into(),
            qos: self.qos,
            retain: self.retain,
            dup: self.dup,
            packet_id: self.packet_id,
            message_expiry: self.message_expiry,
            properties: self.properties.as_bytes().into(),
            has_alias: self.has_alias,
            payload: self.payload.into(),
        }
    }

    /// The properties that belong to the message: all but a topic alias.
    pub fn message_properties(&self) -> Cow<'a, [u8]> {
        match self.has_alias {
            false => Cow::Borrowed(self.properties.as_bytes()),
            true => without_topic_alias(self.properties.as_bytes()),
        }
    }
}

/// A [`Publish`] of an owner who could not deal with it at once.
#[derive(Debug, Clone)]
pub struct OwnedPublish {
    topic: Arc<str>,
    qos: Qos,
    retain: bool,
    dup: bool,
    packet_id: u16,
    message_expiry: Option<u32>,
    properties: Box<[u8]>,
    has_alias: bool,
    payload: Box<[u8]>,
}

impl OwnedPublish {
    /// As it came.
    pub fn publish(&self) -> Publish<'_> {
        Publish {
            topic: Topic::Alias(self.topic.clone()),
            qos: self.qos,
            retain: self.retain,
            dup: self.dup,
            packet_id: self.packet_id,
            message_expiry: self.message_expiry,
            properties: Properties::stored(&self.properties),
            has_alias: self.has_alias,
            payload: &self.payload,
        }
    }
}

#[cold]
fn parse_alias<'a>(
    name: &'a [u8],
    alias: u16,
    (aliases, max): (&mut InboundAliases, u16),
) -> Result<Topic<'a>, Error> {
    let name = if name.is_empty() { "" } else { topic::parse_name(name)? };
    aliases.resolve(alias, name, max)
}

#[inline]
fn parse_flags(first: u8) -> Result<(Qos, bool), Error> {
    let Some(qos) = Qos::from_u8(first >> 1 & 3) else {
        return Err(Error::Malformed("both QoS bits are set [MQTT-3.3.1-4]"));
    };
    let dup = first & DUP != 0;
    if dup && qos == Qos::AtMostOnce {
        return Err(Error::Malformed("DUP is set on QoS 0 [MQTT-3.3.1-2]"));
    }
    Ok((qos, dup))
}

/// What the properties of a PUBLISH say.
#[derive(Default)]
struct Found<'a> {
    properties: Properties<'a>,
    message_expiry: Option<u32>,
    alias: Option<u16>,
}

#[inline]
fn parse_properties(raw: &[u8], rules: Rules) -> Result<Found<'_>, Error> {
    let mut found = Found::default();
    if raw.is_empty() {
        return Ok(found);
    }
    found.properties = property::scan(
        raw,
        property::PUBLISH,
        rules.user_properties_max,
        |property| match property {
            Property::MessageExpiry(seconds) => found.message_expiry = Some(seconds),
            Property::TopicAlias(alias) => found.alias = Some(alias),
            _ => (),
        },
    )?;
    Ok(found)
}

/// A message for a client.
///
/// The topic is a topic name; nothing checks that again on the way out.
#[derive(Debug, Clone, Copy)]
pub struct Deliver<'a> {
    /// What [`crate::Event::Settled`] will name. Unused for QoS 0.
    pub token: u64,
    /// The topic it was published to.
    pub topic: &'a str,
    /// The lower of the publisher's QoS and the granted one [MQTT-3.8.4-8].
    pub qos: Qos,
    /// Sent because of a new subscription, or Retain As Published and published as retained.
    pub retain: bool,
    /// Whether this client was sent it before.
    pub dup: bool,
    /// Names the delivery for QoS 1 and 2: not 0 and not in flight. 0 for QoS 0.
    pub packet_id: u16,
    /// Properties of a PUBLISH as they arrived or were built. Not sent to MQTT 3.1.1.
    pub properties: &'a [u8],
    /// Seconds left until it expires. `None` leaves the properties as they are.
    pub message_expiry: Option<u32>,
    /// Identifiers of the matching subscriptions, each between 1 and 268,435,455.
    pub subscription_ids: &'a [u32],
    /// The message itself.
    pub payload: &'a [u8],
    /// The payload again, if it has memory of its own: a large one is then shared and not copied.
    pub shared: Option<&'a Bytes>,
}

impl Deliver<'_> {
    /// Writes the PUBLISH; false if it cannot be sent to this client at all.
    #[inline]
    pub(crate) fn write(&self, output: &mut Output, aliases: &mut OutboundAliases) -> bool {
        if self.topic.is_empty() || self.topic.len() > TOPIC_LEN_MAX {
            return false;
        }
        let sent = aliases.find(self.topic);
        let (name, alias) = match sent {
            Sent::Name => (self.topic, None),
            Sent::New(alias) => (self.topic, Some(alias)),
            Sent::Alias(alias) => ("", Some(alias)),
        };
        if !self.write_as(name, alias, output) {
            return false;
        }
        if let Sent::New(alias) = sent {
            aliases.set(self.topic, alias);
        }
        true
    }

    #[inline]
    fn write_as(&self, name: &str, alias: Option<u16>, output: &mut Output) -> bool {
        let properties = match output.version() {
            Version::V31 | Version::V3 => None,
            Version::V5 => {
                let ids = self.subscription_ids;
                Some(Forwarded::new(self.properties, self.message_expiry, ids, alias))
            }
        };
        let packet_id = if self.qos == Qos::AtMostOnce { 0 } else { 2 };
        let section = properties.as_ref().map_or(0, Forwarded::section_len);
        let head = 2 + name.len() + packet_id + section;
        let shared = self.shared.filter(|payload| payload.len() >= output.inline_max());
        let inline = if shared.is_some() { 0 } else { self.payload.len() };
        let remaining = head + self.payload.len();
        let Some(out) = output.packet(self.first(), remaining, head + inline) else {
            return false;
        };
        out.extend_from_slice(&(name.len() as u16).to_be_bytes());
        out.extend_from_slice(name.as_bytes());
        if self.qos != Qos::AtMostOnce {
            out.extend_from_slice(&self.packet_id.to_be_bytes());
        }
        if let Some(properties) = properties {
            properties.write(out);
        }
        match shared {
            None => out.extend_from_slice(self.payload),
            Some(payload) => output.share(payload.clone()),
        }
        true
    }

    #[inline]
    fn first(&self) -> u8 {
        let dup = u8::from(self.dup && self.qos != Qos::AtMostOnce) * DUP;
        kind::PUBLISH << 4 | dup | (self.qos as u8) << 1 | u8::from(self.retain)
    }
}

const RETAIN: u8 = 0b0001;
const DUP: u8 = 0b1000;
const TOPIC_LEN_MAX: usize = u16::MAX as usize;
