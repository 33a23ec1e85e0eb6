//! AMQP as a client writes and reads it, no more of it than is needed here.

use leveret_amqp::{PropertiesBuilder, TableBuilder};

/// Class and method.
pub type Id = (u16, u16);

/// A frame of the broker.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub channel: u16,
    pub payload: Vec<u8>,
}

pub const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
const END: u8 = 0xCE;
const HEAD: usize = 7;

pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&[kind][..], &channel.to_be_bytes(), &len, payload, &[END]].concat()
}

pub fn method(channel: u16, (class, method): Id, arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat())
}

pub fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

pub fn long(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes(), octets].concat()
}

pub fn table(table: &TableBuilder) -> Vec<u8> {
    long(table.as_table().as_encoded())
}

/// A message as it is published.
pub struct Message<'a> {
    pub exchange: &'a str,
    pub key: &'a str,
    pub is_mandatory: bool,
    pub properties: PropertiesBuilder<'a>,
    pub body: &'a [u8],
}

/// The frames of a publish; the body in pieces of `piece` octets.
pub fn publish(channel: u16, message: &Message<'_>, piece: usize) -> Vec<u8> {
    let Message { exchange, key, is_mandatory, properties, body } = message;
    let arguments = [&[0, 0][..], &short(exchange), &short(key), &[u8::from(*is_mandatory)]];
    let mut out = method(channel, (60, 40), &arguments.concat());
    let size = (body.len() as u64).to_be_bytes();
    let header = [&[0, 60, 0, 0][..], &size, &properties.encode()].concat();
    out.extend(frame(2, channel, &header));
    body.chunks(piece).for_each(|piece| out.extend(frame(3, channel, piece)));
    out
}

impl Frame {
    /// Takes a whole frame off the front of `octets`.
    pub fn take(octets: &mut Vec<u8>) -> Option<Frame> {
        let [kind, c0, c1, s0, s1, s2, s3, ..] = octets[..] else { return None };
        let end = HEAD + u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        let last = *octets.get(end)?;
        assert_eq!(last, END, "a frame of the broker has no end");
        let payload = octets[HEAD..end].to_vec();
        octets.drain(..=end);
        Some(Frame { kind, channel: u16::from_be_bytes([c0, c1]), payload })
    }

    /// Class and method of a method frame, and its arguments.
    pub fn method(&self) -> (Id, Fields<'_>) {
        let mut fields = Fields(&self.payload);
        ((fields.u16(), fields.u16()), fields)
    }
}

/// Fields that are still to be read.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    pub fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub fn u16(&mut self) -> u16 {
        self.take(2).iter().fold(0, |value, &octet| value << 8 | u16::from(octet))
    }

    pub fn u64(&mut self) -> u64 {
        self.take(8).iter().fold(0, |value, &octet| value << 8 | u64::from(octet))
    }

    pub fn short(&mut self) -> &'a str {
        let len = usize::from(self.u8());
        std::str::from_utf8(self.take(len)).expect("the broker writes UTF-8")
    }
}
