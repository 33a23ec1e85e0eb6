//! The control packets: reading those that clients send, writing those that a server sends.

pub(crate) mod ack;
pub(crate) mod auth;
pub(crate) mod connack;
pub(crate) mod connect;
pub(crate) mod disconnect;
pub(crate) mod publish;
pub(crate) mod subscribe;
pub(crate) mod unsubscribe;

use crate::connection::output::Output;
use crate::property::{self, id};
use crate::{Config, Error, Reason, ReasonCode};

/// The protocol that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1.
    V31,
    /// MQTT 3.1.1.
    V3,
    /// MQTT 5.
    V5,
}

/// How hard both sides try to get a message across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Qos {
    /// QoS 0: sent once, never acknowledged.
    AtMostOnce = 0,
    /// QoS 1: sent until acknowledged.
    AtLeastOnce = 1,
    /// QoS 2: handed over exactly once.
    ExactlyOnce = 2,
}

impl Qos {
    /// The QoS with this value; 3 does not exist.
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// A whole control packet, as it lies in the input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet<'a> {
    /// The type in the upper four bits, flags in the lower four.
    pub(crate) first: u8,
    /// What the remaining length counts.
    pub(crate) body: &'a [u8],
}

impl Packet<'_> {
    #[inline]
    pub(crate) const fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// Makes sure that the reserved flags have their one allowed value [MQTT-2.1.3-1].
    pub(crate) fn expect_flags(&self, flags: u8) -> Result<(), Error> {
        if self.first & 0xf == flags {
            return Ok(());
        }
        Err(Error::Malformed("reserved flags of the fixed header [MQTT-2.1.3-1]"))
    }
}

/// Packet types: the upper four bits of a packet's first byte.
pub(crate) mod kind {
    pub(crate) const CONNECT: u8 = 1;
    pub(crate) const CONNACK: u8 = 2;
    pub(crate) const PUBLISH: u8 = 3;
    pub(crate) const PUBACK: u8 = 4;
    pub(crate) const PUBREC: u8 = 5;
    pub(crate) const PUBREL: u8 = 6;
    pub(crate) const PUBCOMP: u8 = 7;
    pub(crate) const SUBSCRIBE: u8 = 8;
    pub(crate) const SUBACK: u8 = 9;
    pub(crate) const UNSUBSCRIBE: u8 = 10;
    pub(crate) const UNSUBACK: u8 = 11;
    pub(crate) const PINGREQ: u8 = 12;
    pub(crate) const PINGRESP: u8 = 13;
    pub(crate) const DISCONNECT: u8 = 14;
    pub(crate) const AUTH: u8 = 15;
}

/// What parsing a packet depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) version: Version,
    /// The client is the bridge of another broker and speaks for its own clients.
    pub(crate) is_bridge: bool,
    pub(crate) user_properties_max: u16,
}

/// The properties of a CONNACK or DISCONNECT that says no, from the most telling form to the
/// shortest: a Reason String yields to the client's Maximum Packet Size [MQTT-3.2.2-19, -3.14.2-3].
fn explanations(output: &Output, reason: Reason<'_>, config: &Config) -> [Vec<u8>; 3] {
    let reference = server_reference(reason.code, config);
    let full = [&reference[..], &output.reason_string(reason.text)].concat();
    [full, reference, Vec::new()]
}

fn server_reference(code: ReasonCode, config: &Config) -> Vec<u8> {
    let mut raw = Vec::new();
    let reference = &config.server_reference;
    if matches!(code, ReasonCode::UseAnotherServer | ReasonCode::ServerMoved)
        && !reference.is_empty()
        && property::is_string(reference)
    {
        property::put_property(&mut raw, id::SERVER_REFERENCE, reference.as_bytes());
    }
    raw
}
