//! Reading a property section: once with all checks, later on demand.

use super::{Ids, KNOWN, Property, id};
use crate::read::Reader;
use crate::{Error, ReasonCode, topic};

/// The properties of one packet, as they stand in it. Iterating decodes them one by one.
///
/// ```
/// use leveret_mqtt::{Properties, Property};
///
/// let properties = Properties::stored(b"\x03\x00\x04text\x01\x01");
/// assert!(properties.iter().eq([Property::ContentType("text"), Property::PayloadFormat(true)]));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Properties<'a> {
    raw: &'a [u8],
}

impl<'a> Properties<'a> {
    /// Properties from bytes that [`Properties::as_bytes`] or [`crate::PropertiesBuilder`] gave.
    /// With any other bytes, iterating ends at the first that make no sense.
    pub const fn stored(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The section without its length, for keeping and forwarding.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.raw
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// Decodes the properties in the order of the sender.
    pub fn iter(self) -> impl Iterator<Item = Property<'a>> {
        let mut reader = Reader::new(self.raw);
        std::iter::from_fn(move || next(&mut reader).ok().map(|(_, property)| property))
    }
}

/// Checks a whole section: known ids, those `allowed` in this packet, once each but for user
/// properties, of which there are at most `users_max`. Every other property is given to `visit`.
#[inline]
pub(crate) fn scan<'a>(
    raw: &'a [u8],
    allowed: Ids,
    users_max: u16,
    mut visit: impl FnMut(Property<'a>),
) -> Result<Properties<'a>, Error> {
    let mut reader = Reader::new(raw);
    let mut seen = Ids::of(&[]);
    let mut users = 0;
    while let Some(&id) = reader.rest().first() {
        check_place(id, allowed)?;
        let (_, property) = next(&mut reader)?;
        if id == id::USER {
            users += 1;
            check_users(users, users_max)?;
        } else if seen.insert(id) {
            visit(property);
        } else {
            return Err(Error::Protocol("property is given twice"));
        }
    }
    Ok(Properties { raw })
}

fn check_place(id: u8, allowed: Ids) -> Result<(), Error> {
    if !KNOWN.contains(id) {
        return Err(Error::Malformed("unknown property"));
    }
    if !allowed.contains(id) {
        return Err(Error::Protocol("property does not belong in this packet"));
    }
    Ok(())
}

fn check_users(users: u32, users_max: u16) -> Result<(), Error> {
    if users > u32::from(users_max) {
        return Err(Error::rule(ReasonCode::QuotaExceeded, "too many user properties"));
    }
    Ok(())
}

/// Inlined so that each packet's scan becomes one switch without an intermediate value.
#[inline(always)]
fn next<'a>(reader: &mut Reader<'a>) -> Result<(u8, Property<'a>), Error> {
    let id = reader.u8()?;
    let property = match id {
        id::PAYLOAD_FORMAT => Property::PayloadFormat(flag(reader)?),
        id::MESSAGE_EXPIRY => Property::MessageExpiry(reader.u32()?),
        id::CONTENT_TYPE => Property::ContentType(reader.string()?),
        id::RESPONSE_TOPIC => Property::ResponseTopic(response_topic(reader)?),
        id::CORRELATION_DATA => Property::CorrelationData(reader.binary()?),
        id::SUBSCRIPTION_ID => Property::SubscriptionId(not_zero(reader.varint()?)?),
        id::SESSION_EXPIRY => Property::SessionExpiry(reader.u32()?),
        id::AUTHENTICATION_METHOD => Property::AuthenticationMethod(reader.string()?),
        id::AUTHENTICATION_DATA => Property::AuthenticationData(reader.binary()?),
        id::REQUEST_PROBLEM_INFORMATION => Property::RequestProblemInformation(flag(reader)?),
        id::WILL_DELAY => Property::WillDelay(reader.u32()?),
        id::REQUEST_RESPONSE_INFORMATION => Property::RequestResponseInformation(flag(reader)?),
        id::REASON_STRING => Property::ReasonString(reader.string()?),
        id::RECEIVE_MAXIMUM => Property::ReceiveMaximum(not_zero(reader.u16()?)?),
        id::TOPIC_ALIAS_MAXIMUM => Property::TopicAliasMaximum(reader.u16()?),
        id::TOPIC_ALIAS => Property::TopicAlias(reader.u16()?),
        id::USER => Property::User(reader.string()?, reader.string()?),
        id::MAXIMUM_PACKET_SIZE => Property::MaximumPacketSize(not_zero(reader.u32()?)?),
        _ => return Err(Error::Malformed("unknown property")),
    };
    Ok((id, property))
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Error> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::Protocol("property is neither 0 nor 1")),
    }
}

fn not_zero<T: Default + PartialEq>(value: T) -> Result<T, Error> {
    if value == T::default() {
        return Err(Error::Protocol("property is 0"));
    }
    Ok(value)
}

fn response_topic<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Error> {
    let name = reader.string()?;
    if !topic::is_name(name) {
        return Err(Error::Protocol("response topic is not a topic name [MQTT-3.3.2-14]"));
    }
    Ok(name)
}

/// Where the value of the property `wanted` of a PUBLISH or a will stands in `raw`.
pub(super) fn value_offset(raw: &[u8], wanted: u8) -> Option<usize> {
    let mut reader = Reader::new(raw);
    while let Ok(id) = reader.u8() {
        if id == wanted {
            return Some(raw.len() - reader.rest().len());
        }
        skip_value(&mut reader, id).ok()?;
    }
    None
}

/// Steps over the value of a property that a PUBLISH or a will can have.
fn skip_value(reader: &mut Reader<'_>, id: u8) -> Result<(), Error> {
    match id {
        id::PAYLOAD_FORMAT => reader.u8().map(drop),
        id::MESSAGE_EXPIRY | id::WILL_DELAY => reader.u32().map(drop),
        id::CONTENT_TYPE | id::RESPONSE_TOPIC | id::CORRELATION_DATA => reader.binary().map(drop),
        id::TOPIC_ALIAS => reader.u16().map(drop),
        id::USER => reader.binary().and_then(|_| reader.binary()).map(drop),
        _ => Err(Error::Malformed("unknown property")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ACK, PUBLISH, SUBSCRIBE};
    use super::*;

    fn check(raw: &[u8], allowed: Ids) -> Result<(), ReasonCode> {
        scan(raw, allowed, 2, |_| ()).map(drop).map_err(|error| error.reason())
    }

    #[test]
    fn unknown_ids_are_malformed_and_misplaced_ones_a_protocol_error() {
        for id in (0..=255).filter(|&id| !KNOWN.contains(id)) {
            assert_eq!(check(&[id, 0, 0, 0, 0], PUBLISH), Err(ReasonCode::MalformedPacket));
        }
        for id in (0..=255).filter(|&id| KNOWN.contains(id) && !PUBLISH.contains(id)) {
            assert_eq!(check(&[id, 0, 0, 0, 0], PUBLISH), Err(ReasonCode::ProtocolError));
        }
    }

    #[test]
    fn a_property_comes_once_but_user_properties_up_to_their_limit() {
        assert_eq!(check(&[1, 0, 1, 0], PUBLISH), Err(ReasonCode::ProtocolError));
        let user = [38, 0, 1, b'k', 0, 0];
        assert_eq!(check(&user.repeat(2), ACK), Ok(()));
        assert_eq!(check(&user.repeat(3), ACK), Err(ReasonCode::QuotaExceeded));
    }

    #[test]
    fn values_have_their_limits() {
        assert_eq!(check(&[1, 2], PUBLISH), Err(ReasonCode::ProtocolError));
        assert_eq!(check(&[11, 0], SUBSCRIBE), Err(ReasonCode::ProtocolError));
        assert_eq!(check(&[11, 0xff, 0xff, 0xff, 0x7f], SUBSCRIBE), Ok(()));
        assert_eq!(
            check(&[11, 0xff, 0xff, 0xff, 0xff, 1], SUBSCRIBE),
            Err(ReasonCode::MalformedPacket)
        );
        assert_eq!(check(&[8, 0, 0], PUBLISH), Err(ReasonCode::ProtocolError));
        assert_eq!(check(&[8, 0, 3, b'a', b'/', b'#'], PUBLISH), Err(ReasonCode::ProtocolError));
        assert_eq!(check(&[2, 0, 0, 0], PUBLISH), Err(ReasonCode::MalformedPacket));
        assert_eq!(check(&[9, 0, 3, 1, 2], PUBLISH), Err(ReasonCode::MalformedPacket));
    }

    #[test]
    fn the_expiry_is_found_behind_other_properties() {
        let raw = [1, 1, 38, 0, 1, b'k', 0, 1, b'v', 9, 0, 1, 2, 2, 0, 0, 0, 7];
        assert_eq!(value_offset(&raw, id::MESSAGE_EXPIRY), Some(14));
        assert_eq!(value_offset(&raw[..13], id::MESSAGE_EXPIRY), None);
    }
}
