//! Frames (AMQP 0-9-1 §2.3.5).
//!
//! ```text
//! type(1) channel(2) size(4) payload(size) end(1) = 0xCE
//! type: 1 method, 2 content header, 3 content body, 8 heartbeat
//! ```
//! [`Frame::split`] takes a whole frame off the front of a slice. The size is checked as soon as it
//! is there, so nobody waits for, or makes room for, a frame that is too large. A payload may be
//! [`SLACK`] octets over the limit: AMQPStorm and rabbitpy count `frame_max` without the overhead.

use bytes::BufMut;

use crate::error::{Exception, Limit, ReplyCode};
use crate::method::MethodId;

pub(crate) const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 8;
pub(crate) const END: u8 = 0xCE;
/// Octets before the payload.
pub(crate) const HEAD_LEN: usize = 7;
/// Octets of a frame that are not payload.
pub(crate) const OVERHEAD: usize = HEAD_LEN + 1;
/// What a payload may be over the limit.
const SLACK: usize = OVERHEAD;

/// A whole frame. The type is not checked yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) payload: &'a [u8],
}

/// What the front of the input is, if it is not a whole frame.
#[derive(Debug)]
pub(crate) enum Unframed {
    /// A frame of this many octets has begun.
    Partial(usize),
    /// The framing is lost.
    Lost(Exception),
}

impl<'a> Frame<'a> {
    /// Takes one frame off the front of `input`.
    #[inline]
    pub(crate) fn split(input: &'a [u8], payload_max: usize) -> Result<(Self, &'a [u8]), Unframed> {
        let Some((head, rest)) = input.split_first_chunk::<HEAD_LEN>() else {
            return Err(Unframed::Partial(OVERHEAD));
        };
        let [kind, c0, c1, s0, s1, s2, s3] = *head;
        let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        if size > payload_max + SLACK {
            return Err(Unframed::Lost(too_large(kind, size, payload_max)));
        }
        if rest.len() <= size {
            return Err(Unframed::Partial(size + OVERHEAD));
        }
        let (payload, rest) = rest.split_at(size);
        let frame = Self { kind, channel: u16::from_be_bytes([c0, c1]), payload };
        match rest.split_first() {
            Some((&END, rest)) => Ok((frame, rest)),
            Some((end, _)) => Err(Unframed::Lost(frame.wrong_end(*end))),
            None => Err(Unframed::Partial(size + OVERHEAD)),
        }
    }

    /// 505 for a frame that has no business where it is.
    pub(crate) fn unexpected(&self) -> Exception {
        let text = describe(self.kind, self.payload);
        Exception::new(ReplyCode::UnexpectedFrame, text, MethodId::NONE)
    }

    /// 501 for a frame type that nobody defined.
    pub(crate) fn unknown(&self) -> Exception {
        frame_error(format!("{}: unknown_frame", describe(self.kind, self.payload)))
    }

    fn wrong_end(&self, end: u8) -> Exception {
        let what = describe(self.kind, self.payload);
        frame_error(format!("{what}: {{invalid_frame_end_marker,{end}}}"))
    }
}

/// Writes what precedes a payload of `size` octets.
#[inline]
pub(crate) fn put_head(out: &mut impl BufMut, kind: u8, channel: u16, size: usize) {
    out.put_slice(&head(kind, channel, size));
}

/// What precedes a payload of `size` octets.
#[inline]
pub(crate) fn head(kind: u8, channel: u16, size: usize) -> [u8; HEAD_LEN] {
    let [c0, c1] = channel.to_be_bytes();
    let [s0, s1, s2, s3] = (size as u32).to_be_bytes();
    [kind, c0, c1, s0, s1, s2, s3]
}

fn too_large(kind: u8, size: usize, payload_max: usize) -> Exception {
    frame_error(format!("{}: {{frame_too_large,{size},{payload_max}}}", describe(kind, &[])))
        .beyond(Limit::FrameSize)
}

fn frame_error(text: String) -> Exception {
    Exception::new(ReplyCode::FrameError, text, MethodId::NONE)
}

/// `type 2, first 16 octets = <<1,2,…>>`: the notation is Erlang's, since clients have seen it.
fn describe(kind: u8, payload: &[u8]) -> String {
    let (which, shown) = match payload.split_at_checked(SNIPPET_LEN) {
        Some((first, [_, ..])) => ("first 16", first),
        _ => ("all", payload),
    };
    format!("type {kind}, {which} octets = {}", octets(shown))
}

/// Octets as an Erlang binary: a string when all of them print, else numbers.
fn octets(shown: &[u8]) -> String {
    let is_text = |octet: &u8| matches!(octet, b' '..=b'~');
    if !shown.is_empty() && shown.iter().all(is_text) {
        let text = String::from_utf8_lossy(shown).replace('\\', "\\\\").replace('"', "\\\"");
        return format!("<<\"{text}\">>");
    }
    let numbers: Vec<String> = shown.iter().map(u8::to_string).collect();
    format!("<<{}>>", numbers.join(","))
}

const SNIPPET_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(input: &[u8]) -> String {
        match Frame::split(input, 4088) {
            Err(Unframed::Lost(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_partial_frame_tells_how_long_it_will_be() {
        let frame = [1, 0, 1, 0, 0, 0, 2, 7, 8, END];
        for len in 0..frame.len() {
            let wanted = if len < HEAD_LEN { OVERHEAD } else { frame.len() };
            let split = Frame::split(&frame[..len], 4088);
            assert!(matches!(split, Err(Unframed::Partial(n)) if n == wanted), "{len}: {split:?}");
        }
        assert!(Frame::split(&frame, 4088).is_ok());
    }

    #[test]
    fn a_payload_may_be_8_octets_over_the_limit_and_no_larger() {
        assert!(matches!(
            Frame::split(&[2, 0, 1, 0, 0, 0x10, 0x00], 4088),
            Err(Unframed::Partial(4104))
        ));
        assert_eq!(
            lost(&[2, 0, 1, 0, 0, 0x10, 0x01]),
            "FRAME_ERROR - type 2, all octets = <<>>: {frame_too_large,4097,4088}"
        );
        assert_eq!(
            lost(&[2, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]),
            "FRAME_ERROR - type 2, all octets = <<>>: {frame_too_large,4294967295,4088}"
        );
    }

    #[test]
    fn a_wrong_end_octet_is_described_in_erlang() {
        assert_eq!(
            lost(&[1, 0, 1, 0, 0, 0, 2, 7, 8, 0]),
            "FRAME_ERROR - type 1, all octets = <<7,8>>: {invalid_frame_end_marker,0}"
        );
        let mut long = vec![3, 0, 1, 0, 0, 0, 17];
        long.extend_from_slice(b"abcdefghijklmnop\"!");
        assert_eq!(
            lost(&long),
            "FRAME_ERROR - type 3, first 16 octets = <<\"abcdefghijklmnop\">>: \
             {invalid_frame_end_marker,33}"
        );
    }
}
