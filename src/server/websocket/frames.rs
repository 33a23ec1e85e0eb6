//! The frames of a WebSocket, from the server's side: a state machine without a socket.
//!
//! ```text
//! 0               1               2 …
//! +-+-+-+-+-------+-+-------------+----------------+----------+---------
//! |F|R|R|R| opcode|M| length      | 2 or 8 octets, | mask,    | payload
//! |I|S|S|S|       |A| up to 125,  | if length is   | 4 octets,|
//! |N|V|V|V|       |S| 126 or 127  | 126 or 127     | if MASK  |
//! +-+-+-+-+-------+-+-------------+----------------+----------+---------
//! ```
//!
//! Payload is passed on as it comes, in the place where it was read, so a frame is never held; what is
//! kept are the octets of a control frame, 125 at the most. RFC 6455, section 5.

use std::io::Cursor;

use bytes::{BufMut as _, BytesMut};
use smallvec::SmallVec;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// What of a client's frames is known.
#[derive(Debug)]
pub struct Decoder {
    within: Within,
    /// The length of the fragments of a message whose last one has not come.
    fragments: Option<u64>,
    message_bytes_max: u64,
}

#[derive(Debug)]
enum Within {
    Header,
    Data(Payload),
    Control(Control, Payload, SmallVec<[u8; 16]>),
}

#[derive(Debug)]
struct Payload {
    left: u64,
    mask: [u8; MASK_BYTES],
}

/// What was taken from the octets of a socket.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Octets that were used; those behind them have to come again, with more.
    pub used: usize,
    /// Octets of payload, which are at the front now.
    pub payload: usize,
    /// Why nothing after them is taken.
    pub end: Option<Refusal>,
}

/// Why a WebSocket ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code of the close frame.
    pub code: CloseCode,
    /// What the peer did wrong; empty if it has taken its leave.
    pub reason: &'static str,
}

impl Decoder {
    /// For a client that has sent nothing yet. Messages of more than `message_bytes_max` are refused.
    pub fn new(message_bytes_max: u64) -> Self {
        Decoder { within: Within::Header, fragments: None, message_bytes_max }
    }

    /// Takes what it can, and puts answers to pings into `out`.
    pub fn decode(&mut self, octets: &mut [u8], out: &mut BytesMut) -> Decoded {
        let mut decoded = Decoded::default();
        while decoded.end.is_none() && self.step(octets, &mut decoded, out) {}
        decoded
    }

    /// Says whether there may be more to do.
    fn step(&mut self, octets: &mut [u8], decoded: &mut Decoded, out: &mut BytesMut) -> bool {
        match &mut self.within {
            Within::Header => {
                let mut cursor = Cursor::new(&octets[decoded.used..]);
                match FrameHeader::parse(&mut cursor) {
                    Ok(Some((header, len))) => {
                        decoded.used += cursor.position() as usize;
                        decoded.end = self.begin(&header, len).err();
                    }
                    Ok(None) => return false,
                    Err(_) => decoded.end = Some(broken("there is no such frame")),
                }
            }
            Within::Data(payload) => {
                let taken = payload.unmask(&mut octets[decoded.used..]).len();
                octets.copy_within(decoded.used..decoded.used + taken, decoded.payload);
                decoded.used += taken;
                decoded.payload += taken;
                if payload.left > 0 {
                    return false;
                }
                self.within = Within::Header;
            }
            Within::Control(kind, payload, content) => {
                let taken = payload.unmask(&mut octets[decoded.used..]);
                content.extend_from_slice(taken);
                decoded.used += taken.len();
                if payload.left > 0 {
                    return false;
                }
                decoded.end = handle_control(*kind, content, out);
                self.within = Within::Header;
            }
        }
        true
    }

    fn begin(&mut self, header: &FrameHeader, len: u64) -> Result<(), Refusal> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(broken("a reserved bit is set"));
        }
        let mask = header.mask.ok_or(broken("a frame has no mask"))?;
        let payload = Payload { left: len, mask };
        self.within = match header.opcode {
            OpCode::Control(kind) => {
                if !header.is_final || len > CONTROL_BYTES_MAX {
                    return Err(broken("a control frame is long or in fragments"));
                }
                Within::Control(kind, payload, SmallVec::new())
            }
            OpCode::Data(kind) => {
                self.begin_data(kind, header.is_final, len)?;
                Within::Data(payload)
            }
        };
        Ok(())
    }

    fn begin_data(&mut self, kind: Data, is_final: bool, len: u64) -> Result<(), Refusal> {
        let before = match (kind, self.fragments) {
            (Data::Continue, Some(before)) => before,
            (Data::Continue, None) => return Err(broken("there is nothing to continue")),
            (_, Some(_)) => return Err(broken("a message is not complete")),
            (Data::Binary, None) => 0,
            // [MQTT-6.0.0-1]; AMQP is no text either.
            (Data::Text | Data::Reserved(_), None) => {
                let reason = "only binary frames are taken";
                return Err(Refusal { code: CloseCode::Unsupported, reason });
            }
        };
        let message = before.saturating_add(len);
        if message > self.message_bytes_max {
            return Err(Refusal { code: CloseCode::Size, reason: "a message is too large" });
        }
        self.fragments = (!is_final).then_some(message);
        Ok(())
    }
}

impl Payload {
    /// The beginning of `octets` that belongs to it, without its mask.
    fn unmask<'a>(&mut self, octets: &'a mut [u8]) -> &'a mut [u8] {
        let len = octets.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let octets = &mut octets[..len];
        let mut words = octets.chunks_exact_mut(MASK_BYTES);
        let mask = u32::from_ne_bytes(self.mask);
        for word in &mut words {
            let hidden = u32::from_ne_bytes(word.try_into().expect("it has the length of a mask"));
            word.copy_from_slice(&(hidden ^ mask).to_ne_bytes());
        }
        let rest = words.into_remainder();
        rest.iter_mut().zip(self.mask).for_each(|(octet, mask)| *octet ^= mask);
        self.mask.rotate_left(len % MASK_BYTES);
        self.left -= len as u64;
        octets
    }
}

/// Answers a ping; says whether it is the end.
fn handle_control(kind: Control, content: &[u8], out: &mut BytesMut) -> Option<Refusal> {
    match kind {
        Control::Ping if out.len() <= ANSWERS_BYTES_MAX => {
            encode(OpCode::Control(Control::Pong), content.len(), out);
            out.put_slice(content);
            None
        }
        // Who does not read the answers gets fewer.
        Control::Ping | Control::Pong | Control::Reserved(_) => None,
        Control::Close => Some(leave(content)),
    }
}

/// The answer to a close frame.
fn leave(content: &[u8]) -> Refusal {
    let (code, reason) = match content {
        [] => (CloseCode::Normal, ""),
        [high, low, reason @ ..] if str::from_utf8(reason).is_ok() => {
            (CloseCode::from(u16::from_be_bytes([*high, *low])), "")
        }
        _ => return broken("a close frame is malformed"),
    };
    if code.is_allowed() { Refusal { code, reason } } else { broken("there is no such close code") }
}

fn broken(reason: &'static str) -> Refusal {
    Refusal { code: CloseCode::Protocol, reason }
}

/// Writes the header of a frame that is whole.
pub fn encode(opcode: OpCode, len: usize, out: &mut BytesMut) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    header.format(len as u64, &mut out.writer()).expect("memory takes what is written to it");
}

/// Writes a close frame.
pub fn encode_close(refusal: &Refusal, out: &mut BytesMut) {
    encode(OpCode::Control(Control::Close), 2 + refusal.reason.len(), out);
    out.put_u16(refusal.code.into());
    out.put_slice(refusal.reason.as_bytes());
}

const MASK_BYTES: usize = 4;
/// The payload of a control frame, at the most. RFC 6455, section 5.5.
const CONTROL_BYTES_MAX: u64 = 125;
/// What may wait for the socket so that a ping is answered still.
const ANSWERS_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [7, 77, 0, 200];
        let mut octets = vec![first];
        match payload.len() {
            len @ ..=125 => octets.push(0x80 | len as u8),
            len => {
                octets.push(0x80 | 126);
                octets.extend((len as u16).to_be_bytes());
            }
        }
        octets.extend(mask);
        octets.extend(payload.iter().zip(mask.iter().cycle()).map(|(octet, mask)| octet ^ mask));
        octets
    }

    /// Payload, answers and the end of octets that come so many at a time.
    fn decode(octets: &[u8], at_a_time: usize) -> (Vec<u8>, Vec<u8>, Option<CloseCode>) {
        let (mut decoder, mut out) = (Decoder::new(1000), BytesMut::new());
        let (mut payload, mut waiting) = (Vec::new(), Vec::new());
        for piece in octets.chunks(at_a_time) {
            waiting.extend_from_slice(piece);
            let decoded = decoder.decode(&mut waiting, &mut out);
            payload.extend_from_slice(&waiting[..decoded.payload]);
            waiting.drain(..decoded.used);
            assert!(decoded.end.is_some() || waiting.len() < 14, "only a header is waited for");
            if let Some(end) = decoded.end {
                return (payload, out.to_vec(), Some(end.code));
            }
        }
        (payload, out.to_vec(), None)
    }

    #[test]
    fn pieces_of_any_length_give_the_same() {
        let long: Vec<u8> = (0..=255).collect();
        let octets = [
            frame(0x82, b"one"),
            frame(0x82, b""),
            frame(0x02, &long),
            frame(0x89, b"ping"),
            frame(0x00, b"two"),
            frame(0x80, b"three"),
            frame(0x8a, b"pong"),
            frame(0x88, &[0x03, 0xe8, b'x']),
            frame(0x82, b"not any more"),
        ]
        .concat();
        let payload = [&b"one"[..], &long, b"two", b"three"].concat();
        for at_a_time in 1..=octets.len() {
            let decoded = decode(&octets, at_a_time);
            let pong = b"\x8a\x04ping".to_vec();
            assert_eq!(decoded, (payload.clone(), pong, Some(CloseCode::Normal)), "{at_a_time}");
        }
    }

    #[test]
    fn what_is_against_the_rules_ends_it_with_their_code() {
        use CloseCode::{Protocol, Size, Unsupported};
        let cases: [(&[u8], CloseCode); 15] = [
            (&[0x82, 0x01, 0], Protocol),
            (&frame(0xc2, b""), Protocol),
            (&frame(0x83, b""), Protocol),
            (&frame(0x8b, b""), Protocol),
            (&frame(0x80, b""), Protocol),
            (&[frame(0x02, b""), frame(0x82, b"")].concat(), Protocol),
            (&frame(0x09, b""), Protocol),
            (&frame(0x89, &[0; 126]), Protocol),
            (&frame(0x88, &[3]), Protocol),
            (&frame(0x88, &[3, 237]), Protocol),
            (&frame(0x88, &[3, 232, 0xff]), Protocol),
            (&frame(0x81, b"text"), Unsupported),
            (&frame(0x01, b""), Unsupported),
            (&frame(0x82, &[0; 1001]), Size),
            (&[frame(0x02, &[0; 900]), frame(0x80, &[0; 101])].concat(), Size),
        ];
        for (octets, code) in cases {
            assert_eq!(decode(octets, octets.len()).2, Some(code), "{octets:?}");
        }
        assert_eq!(decode(&frame(0x82, &[0; 1000]), 2000).2, None);
    }

    #[test]
    fn pings_are_not_answered_without_end() {
        let (mut decoder, mut out) = (Decoder::new(1000), BytesMut::new());
        for _ in 0..10_000 {
            decoder.decode(&mut frame(0x89, &[0; 125]), &mut out);
        }
        assert!(out.len() <= ANSWERS_BYTES_MAX + 127);
    }
}
