//! Octets of a WebSocket client, whole and in pieces: the same payload, answers and end. The first octet
//! says how long the pieces are.

use bytes::BytesMut;
use leveret::internals::frames::{Decoder, encode_close};

use super::{KIB, within};

pub fn run(octets: &[u8]) {
    let Some((&piece, rest)) = octets.split_first() else { return };
    within(8 * KIB + 16 * octets.len(), || {
        let whole = decode(rest, rest.len().max(1));
        assert_eq!(decode(rest, usize::from(piece).max(1)), whole);
        let (payload, answers, _) = whole;
        // An answer to a ping is shorter than the ping.
        assert!(payload.len() + answers.len() <= rest.len());
    });
}

/// Payload, answers and the close frame at the end.
fn decode(octets: &[u8], at_a_time: usize) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut decoder, mut out) = (Decoder::new(MESSAGE_BYTES_MAX), BytesMut::new());
    let (mut payload, mut waiting) = (Vec::new(), Vec::new());
    for piece in octets.chunks(at_a_time) {
        waiting.extend_from_slice(piece);
        let decoded = decoder.decode(&mut waiting, &mut out);
        payload.extend_from_slice(&waiting[..decoded.payload]);
        if let Some(end) = decoded.end {
            let mut close = BytesMut::new();
            encode_close(&end, &mut close);
            assert!(close.len() <= 127, "a close frame is a control frame");
            return (payload, out.to_vec(), close.to_vec());
        }
        waiting.drain(..decoded.used);
        assert!(waiting.len() < HEADER_BYTES_MAX, "only a header is waited for");
    }
    (payload, out.to_vec(), Vec::new())
}

const MESSAGE_BYTES_MAX: u64 = 10_000;
const HEADER_BYTES_MAX: usize = 14;
