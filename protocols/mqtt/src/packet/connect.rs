//! CONNECT: the first packet of a connection.
//!
//! ```text
//! 0001 0000 │ remaining length │ "MQTT" │ level │ flags │ keep alive │ properties (MQTT 5)
//!   │ client id │ will properties (MQTT 5), topic, payload │ user name │ password
//! ```

use std::borrow::Cow;

use super::{Qos, Rules, Version};
use crate::property::{self, Properties, Property, without_will_delay};
use crate::read::Reader;
use crate::{Config, Error, ReasonCode, topic};

/// A client that wants in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The protocol it speaks.
    pub version: Version,
    /// Names the session; empty if the broker is to assign one.
    pub client_id: &'a str,
    /// Whether an existing session is to be thrown away.
    pub clean_start: bool,
    /// Longest silence between two packets in seconds, after [`Config::keep_alive_max_s`].
    pub keep_alive_s: u16,
    /// Seconds that the session outlives the connection, after [`Config::session_expiry_max_s`];
    /// [`u32::MAX`] is for ever. MQTT 3 has 0 with Clean Session and for ever without.
    pub session_expiry_s: u32,
    /// How many QoS 1 and 2 messages the client takes without acknowledging.
    pub receive_maximum: u16,
    /// The largest packet that the client takes.
    pub packet_size_max: u32,
    /// The highest topic alias that the client takes.
    pub topic_alias_max: u16,
    /// Whether the client is the bridge of another broker: its subscriptions are No Local and
    /// Retain As Published.
    pub is_bridge: bool,
    /// The enhanced authentication that it wants: answered by [`crate::Connection::challenge`],
    /// `accept` or `refuse`.
    pub authentication: Option<Authentication<'a>>,
    /// Whether it wants to be told what to begin its response topics with.
    pub wants_response_information: bool,
    /// Whether it takes Reason Strings [MQTT-3.1.2-29].
    pub takes_reasons: bool,
    /// The message to publish when the connection is lost.
    pub will: Option<Will<'a>>,
    /// User name.
    pub username: Option<&'a str>,
    /// Password; any bytes.
    pub password: Option<&'a [u8]>,
    /// All properties, among them those of the user.
    pub properties: Properties<'a>,
}

/// How a client wants to show who it is, other than by user name and password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authentication<'a> {
    /// What both sides follow, such as `SCRAM-SHA-256`.
    pub method: &'a str,
    /// The first thing that the method has to say.
    pub data: Option<&'a [u8]>,
}

/// The message to publish when a connection is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will<'a> {
    /// Where to.
    pub topic: &'a str,
    /// The message.
    pub payload: &'a [u8],
    /// Its QoS.
    pub qos: Qos,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Seconds between the loss and the publication.
    pub delay_s: u32,
    /// Seconds after its publication until it expires.
    pub message_expiry: Option<u32>,
    /// The properties of the PUBLISH that it becomes, in the client's order [MQTT-3.1.3-10].
    pub properties: Cow<'a, [u8]>,
}

/// Protocol name and level, which decide how everything behind them is read and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Spoken {
        version: Version,
        is_bridge: bool,
    },
    /// To be refused with the CONNACK of `version`.
    Unsupported {
        version: Version,
    },
}

impl Protocol {
    /// Reads the start of the packet's body; an error deserves no answer [MQTT-3.1.2-1].
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let name = reader.binary().map_err(|_| NOT_MQTT)?;
        let level = reader.u8().map_err(|_| NOT_MQTT)?;
        match (name, level) {
            (b"MQTT", 5) => Ok(Self::Spoken { version: Version::V5, is_bridge: false }),
            (b"MQTT", 4) => Ok(Self::Spoken { version: Version::V3, is_bridge: false }),
            (b"MQTT", BRIDGE_LEVEL) => Ok(Self::Spoken { version: Version::V3, is_bridge: true }),
            (b"MQIsdp", 3) => Ok(Self::Spoken { version: Version::V31, is_bridge: false }),
            (b"MQIsdp", BRIDGE_LEVEL_31) => {
                Ok(Self::Spoken { version: Version::V31, is_bridge: true })
            }
            (b"MQTT", 0..4) | (b"MQIsdp", _) => Ok(Self::Unsupported { version: Version::V3 }),
            (b"MQTT", _) | (_, 5) => Ok(Self::Unsupported { version: Version::V5 }),
            _ => Err(NOT_MQTT),
        }
    }

    /// How many bytes of the body [`Protocol::parse`] can need.
    pub(crate) const LEN_MAX: usize = 9;
}

impl<'a> Connect<'a> {
    /// Reads what stands behind name and level.
    pub(crate) fn parse(
        mut reader: Reader<'a>,
        rules: Rules,
        config: &Config,
    ) -> Result<Self, Error> {
        let flags = Flags::parse(reader.u8()?, rules.version)?;
        let keep_alive_s = reader.u16()?;
        let asked = match rules.version {
            Version::V31 | Version::V3 => Asked::of_v3(flags.clean_start()),
            Version::V5 => Asked::parse(reader.section()?, rules)?,
        };
        let client_id = parse_client_id(&mut reader, rules, config)?;
        let will = flags.has(WILL).then(|| Will::parse(&mut reader, flags, rules)).transpose()?;
        let username = flags.has(USERNAME).then(|| reader.string()).transpose()?;
        let password = flags.has(PASSWORD).then(|| reader.binary()).transpose()?;
        reader.finish()?;
        let needs_id = match rules.version {
            Version::V31 => true,
            Version::V3 => !flags.clean_start(),
            Version::V5 => false,
        };
        if client_id.is_empty() && needs_id {
            return Err(Error::rule(INVALID_ID, "no client identifier where one is needed"));
        }
        Ok(Self {
            version: rules.version,
            client_id,
            clean_start: flags.clean_start(),
            keep_alive_s,
            session_expiry_s: asked.session_expiry_s,
            receive_maximum: asked.receive_maximum,
            packet_size_max: asked.packet_size_max,
            topic_alias_max: asked.topic_alias_max,
            is_bridge: rules.is_bridge,
            authentication: asked.authentication,
            wants_response_information: asked.wants_response_information,
            takes_reasons: asked.takes_reasons,
            will,
            username,
            password,
            properties: asked.properties,
        })
    }
}

fn parse_client_id<'a>(
    reader: &mut Reader<'a>,
    rules: Rules,
    config: &Config,
) -> Result<&'a str, Error> {
    let bytes = reader.binary()?;
    let client_id = crate::string::parse(bytes).map_err(|error| match rules.version {
        Version::V31 | Version::V3 => error,
        Version::V5 => Error::rule(INVALID_ID, "client identifier is no valid string"),
    })?;
    if client_id.len() > usize::from(config.client_id_len_max) {
        return Err(Error::CLIENT_ID_TOO_LONG);
    }
    Ok(client_id)
}

#[derive(Debug, Clone, Copy)]
struct Flags(u8);

impl Flags {
    fn parse(bits: u8, version: Version) -> Result<Self, Error> {
        let flags = Self(bits);
        if flags.has(RESERVED) {
            return Err(Error::Malformed("reserved connect flag [MQTT-3.1.2-3]"));
        }
        if !flags.has(WILL) && bits & (WILL_QOS | WILL_RETAIN) != 0 {
            return Err(Error::Malformed("will flags without a will [MQTT-3.1.2-11, -13]"));
        }
        if version != Version::V5 && flags.has(PASSWORD) && !flags.has(USERNAME) {
            return Err(Error::Malformed("password without a user name [MQTT-3.1.2-22]"));
        }
        Ok(flags)
    }

    const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    const fn clean_start(self) -> bool {
        self.has(CLEAN_START)
    }

    fn will_qos(self) -> Result<Qos, Error> {
        Qos::from_u8((self.0 & WILL_QOS) >> 3)
            .ok_or(Error::Malformed("QoS of the will is 3 [MQTT-3.1.2-12]"))
    }
}

/// What the properties of CONNECT ask for, or their defaults.
struct Asked<'a> {
    session_expiry_s: u32,
    receive_maximum: u16,
    packet_size_max: u32,
    topic_alias_max: u16,
    authentication: Option<Authentication<'a>>,
    wants_response_information: bool,
    takes_reasons: bool,
    properties: Properties<'a>,
}

impl<'a> Asked<'a> {
    fn of_v3(clean_session: bool) -> Self {
        let session_expiry_s = if clean_session { 0 } else { u32::MAX };
        Self { session_expiry_s, ..Self::NOTHING }
    }

    fn parse(raw: &'a [u8], rules: Rules) -> Result<Self, Error> {
        let (mut asked, mut method, mut data) = (Self::NOTHING, None, None);
        asked.properties =
            property::scan(raw, property::CONNECT, rules.user_properties_max, |property| {
                match property {
                    Property::SessionExpiry(seconds) => asked.session_expiry_s = seconds,
                    Property::ReceiveMaximum(count) => asked.receive_maximum = count,
                    Property::MaximumPacketSize(size) => asked.packet_size_max = size,
                    Property::TopicAliasMaximum(max) => asked.topic_alias_max = max,
                    Property::AuthenticationMethod(name) => method = Some(name),
                    Property::AuthenticationData(bytes) => data = Some(bytes),
                    Property::RequestResponseInformation(is_wanted) => {
                        asked.wants_response_information = is_wanted;
                    }
                    Property::RequestProblemInformation(is_taken) => asked.takes_reasons = is_taken,
                    _ => (),
                }
            })?;
        if method.is_none() && data.is_some() {
            return Err(Error::Protocol("authentication data without a method"));
        }
        asked.authentication = method.map(|method| Authentication { method, data });
        Ok(asked)
    }

    const NOTHING: Self = Self {
        session_expiry_s: 0,
        receive_maximum: u16::MAX,
        packet_size_max: u32::MAX,
        topic_alias_max: 0,
        authentication: None,
        wants_response_information: false,
        takes_reasons: true,
        properties: Properties::stored(&[]),
    };
}

impl<'a> Will<'a> {
    fn parse(reader: &mut Reader<'a>, flags: Flags, rules: Rules) -> Result<Self, Error> {
        let (mut delay_s, mut message_expiry) = (0, None);
        let section = match rules.version {
            Version::V31 | Version::V3 => &[],
            Version::V5 => reader.section()?,
        };
        property::scan(
            section,
            property::WILL,
            rules.user_properties_max,
            |property| match property {
                Property::WillDelay(seconds) => delay_s = seconds,
                Property::MessageExpiry(seconds) => message_expiry = Some(seconds),
                _ => (),
            },
        )?;
        Ok(Self {
            topic: parse_will_topic(reader)?,
            payload: reader.binary()?,
            qos: flags.will_qos()?,
            retain: flags.has(WILL_RETAIN),
            delay_s,
            message_expiry,
            properties: without_will_delay(section),
        })
    }
}

fn parse_will_topic<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Error> {
    let name = reader.string()?;
    if !topic::is_name(name) {
        return Err(Error::rule(ReasonCode::TopicNameInvalid, "topic of the will [MQTT-4.7.0-1]"));
    }
    Ok(name)
}

const NOT_MQTT: Error = Error::NotMqtt("CONNECT does not name the protocol [MQTT-3.1.2-1]");
const INVALID_ID: ReasonCode = ReasonCode::ClientIdentifierNotValid;

/// Bridges of some brokers mark themselves by the highest bit of the level.
const BRIDGE_LEVEL: u8 = 0x84;
const BRIDGE_LEVEL_31: u8 = 0x83;

const RESERVED: u8 = 0b0000_0001;
const CLEAN_START: u8 = 0b0000_0010;
const WILL: u8 = 0b0000_0100;
const WILL_QOS: u8 = 0b0001_1000;
const WILL_RETAIN: u8 = 0b0010_0000;
const PASSWORD: u8 = 0b0100_0000;
const USERNAME: u8 = 0b1000_0000;
