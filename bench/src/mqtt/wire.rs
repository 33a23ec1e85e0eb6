//! The few packets that a client needs, written and read. This is not the broker's codec: the two
//! would share their mistakes.
//!
//! ```text
//!  0              1              1 to 4 octets later
//!  ┌──────┬───────┬──────────────┬─────────────────┐
//!  │ kind │ flags │ length       │ body            │   [MQTT-2.1]
//!  └──────┴───────┴──────────────┴─────────────────┘
//! ```

use crate::error::Error;

/// A version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1.
    V311,
    /// 5.
    V5,
}

impl Version {
    /// As it is asked for.
    pub fn parse(text: &str) -> Option<Version> {
        match text {
            "3.1.1" | "4" => Some(Version::V311),
            "5" | "5.0" => Some(Version::V5),
            _ => None,
        }
    }
}

/// Kinds of packets.
pub mod kind {
    pub const CONNECT: u8 = 1;
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBREC: u8 = 5;
    pub const PUBREL: u8 = 6;
    pub const PUBCOMP: u8 = 7;
    pub const SUBSCRIBE: u8 = 8;
    pub const SUBACK: u8 = 9;
    pub const PINGREQ: u8 = 12;
    pub const PINGRESP: u8 = 13;
    pub const DISCONNECT: u8 = 14;
}

/// A packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub kind: u8,
    /// The flags beside it.
    pub flags: u8,
    /// What follows the length.
    pub body: &'a [u8],
}

/// Reads the first packet of an input, and says how long it is; nothing if it is not all there.
pub fn packet(input: &[u8]) -> Result<Option<(Packet<'_>, usize)>, Error> {
    let Some((&first, rest)) = input.split_first() else { return Ok(None) };
    let Some((length, digits)) = number(rest)? else { return Ok(None) };
    let Some(body) = rest.get(digits..digits + length) else { return Ok(None) };
    let packet = Packet { kind: first >> 4, flags: first & 15, body };
    Ok(Some((packet, 1 + digits + length)))
}

/// Reads a variable byte integer, and says how long it is.
fn number(input: &[u8]) -> Result<Option<(usize, usize)>, Error> {
    let mut value = 0;
    for (place, octet) in input.iter().take(4).enumerate() {
        value |= usize::from(octet & 127) << (7 * place);
        if octet & 128 == 0 {
            return Ok(Some((value, place + 1)));
        }
    }
    if input.len() >= 4 { Err(protocol("a length of more than four octets")) } else { Ok(None) }
}

/// The body of a packet, from front to back.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// So many octets.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let split = self.0.split_at_checked(count);
        let (taken, rest) = split.ok_or(protocol("a packet is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// An octet.
    pub fn octet(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    /// 16 bits.
    pub fn short(&mut self) -> Result<u16, Error> {
        let taken = self.take(2)?;
        Ok(u16::from_be_bytes([taken[0], taken[1]]))
    }

    /// A string.
    pub fn string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.short()?;
        self.take(length.into())
    }

    /// The properties of MQTT 5.
    pub fn properties(&mut self) -> Result<Fields<'a>, Error> {
        let Some((length, digits)) = number(self.0)? else {
            return Err(protocol("properties are missing"));
        };
        self.take(digits)?;
        Ok(Fields(self.take(length)?))
    }
}

/// Writes a packet.
pub fn write(out: &mut Vec<u8>, kind: u8, flags: u8, body: &[u8]) {
    out.push(kind << 4 | flags);
    let mut left = body.len();
    loop {
        let digit = (left & 127) as u8;
        left >>= 7;
        out.push(if left > 0 { digit | 128 } else { digit });
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
}

/// Writes a PUBACK or one of its like. Success needs no reason code, also in MQTT 5.
pub fn write_ack(out: &mut Vec<u8>, kind: u8, identifier: u16) {
    // [MQTT-3.6.1-1]
    let flags = if kind == kind::PUBREL { 2 } else { 0 };
    let [high, low] = identifier.to_be_bytes();
    out.extend([kind << 4 | flags, 2, high, low]);
}

/// Writes a string. Longer ones are refused where the options are read.
pub fn string(out: &mut Vec<u8>, octets: &[u8]) {
    let octets = &octets[..octets.len().min(65_535)];
    out.extend((octets.len() as u16).to_be_bytes());
    out.extend_from_slice(octets);
}

/// What a reason code of MQTT 5, or a return code of a CONNACK of MQTT 3.1.1, says.
pub fn reason(code: u8) -> String {
    let text = match code {
        0x01 | 0x84 => "unsupported protocol version",
        0x02 | 0x85 => "client identifier not valid",
        0x03 | 0x88 => "server unavailable",
        0x04 | 0x86 => "bad user name or password",
        0x05 | 0x87 => "not authorized",
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x8B => "server shutting down",
        0x8D => "keep alive timeout",
        0x8E => "session taken over",
        0x8F => "topic filter invalid",
        0x90 => "topic name invalid",
        0x93 => "receive maximum exceeded",
        0x95 => "packet too large",
        0x96 => "message rate too high",
        0x97 => "quota exceeded",
        0x98 => "administrative action",
        0x9B => "QoS not supported",
        _ => "unspecified error",
    };
    format!("0x{code:02X}, {text}")
}

/// An error of the broker's.
pub fn protocol(what: &'static str) -> Error {
    Error::Protocol { protocol: "MQTT", what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_as_they_were_written_and_not_before_they_are_all_there() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let body = vec![7; length];
            let mut out = Vec::new();
            write(&mut out, kind::PUBLISH, 5, &body);
            let expected = Packet { kind: kind::PUBLISH, flags: 5, body: &body };
            assert_eq!(packet(&out).unwrap(), Some((expected, out.len())), "{length}");
            assert_eq!(packet(&out[..out.len() - 1]).unwrap(), None, "{length}");
        }
        assert_eq!(packet(&[]).unwrap(), None);
        assert_eq!(packet(&[0x30, 0x80]).unwrap(), None);
    }

    #[test]
    fn a_length_of_five_octets_is_an_error() {
        assert!(packet(&[0x30, 0x80, 0x80, 0x80, 0x80, 1]).is_err());
    }

    #[test]
    fn fields_that_are_not_there_are_errors() {
        assert!(Fields(&[0, 2, b'a']).string().is_err());
        assert!(Fields(&[2, 1]).properties().is_err());
        assert!(Fields(&[]).octet().is_err());
        let mut fields = Fields(&[1, 9, b'x']);
        assert_eq!((fields.properties().unwrap().0, fields.0), (&[9][..], &b"x"[..]));
    }

    #[test]
    fn a_release_has_its_flags() {
        let mut out = Vec::new();
        write_ack(&mut out, kind::PUBREL, 0x0102);
        write_ack(&mut out, kind::PUBACK, 0x0304);
        assert_eq!(out, [0x62, 2, 1, 2, 0x40, 2, 3, 4]);
    }
}
