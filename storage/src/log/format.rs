//! The bytes of a segment file.
//!
//! A segment is first written in the order of its positions; what becomes of it later is in
//! `rewritten`. A file is named after the position of its first byte, `%016x.log`, and starts with a header;
//! records follow without a gap, each at a multiple of 8. Behind the last one the file is zero.
//! Numbers are little-endian.
//!
//! ```text
//! segment   0        8         12    16     24         28      32
//!           | magic  | version | key | base | reserved | check |
//!
//! record    0        4     8   9  10      12     16      24          32      36      40
//!           | length | crc | v | k | shard | term | index | timestamp | round | check | payload, 0…
//! ```
//!
//! `crc` covers the payload, `check` the 36 bytes before it and the position. So a length is
//! trusted before the payload is read, a record is valid at its own place only, and the search for
//! the next record behind damage stops at headers only. `check` starts from the key, a random
//! number of the node: a client that puts the bytes of a record into a message cannot make
//! recovery take them for one.
//!
//! `round` counts the syncs: a record of another round than the last shows that everything in its
//! own round and before was on the disk. It tells damage (skipped) from a write that a crash
//! interrupted (cut off).

use crc32fast::Hasher;
use leveret_core::RecordHeader;

use crate::{PAYLOAD_BYTES_MAX, Payload};

/// The version of records, and of segments as they are first written.
pub(super) const VERSION: u32 = 1;

/// The version of rewritten segments, the newest.
pub(super) const VERSION_REWRITTEN: u32 = 2;

/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 32;

/// Bytes of a record's header.
pub(super) const RECORD_HEADER_BYTES: usize = leveret_core::RecordHeader::BYTES;

/// Bytes that a record with a payload of `length` takes, padding included.
pub(super) fn record_bytes(length: usize) -> usize {
    (RECORD_HEADER_BYTES + length).next_multiple_of(8)
}

/// A record's header on its way in: finished when its position is known.
#[derive(Debug)]
pub(super) struct Frame {
    bytes: [u8; RECORD_HEADER_BYTES],
    partial: u32,
    length: usize,
}

impl Frame {
    /// Everything that can be computed before the journal is locked.
    pub(super) fn new(key: u32, header: &RecordHeader, payload: Payload<'_>) -> Self {
        let length = payload.checked_len();
        let mut crc = Hasher::new();
        payload.parts().iter().for_each(|part| crc.update(part.as_slice()));
        let mut bytes = [0; RECORD_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&(length as u32).to_le_bytes());
        bytes[4..8].copy_from_slice(&crc.finalize().to_le_bytes());
        bytes[8] = VERSION as u8;
        bytes[9] = header.kind;
        bytes[10..12].copy_from_slice(&header.shard.to_le_bytes());
        bytes[12..16].copy_from_slice(&header.term.to_le_bytes());
        bytes[16..24].copy_from_slice(&header.index.to_le_bytes());
        bytes[24..32].copy_from_slice(&header.timestamp_ms.to_le_bytes());
        Self { partial: crc_from(key, &bytes[..32]), bytes, length }
    }

    /// Bytes that the record takes.
    pub(super) fn record_bytes(&self) -> u64 {
        record_bytes(self.length) as u64
    }

    /// Zero bytes behind the payload.
    pub(super) fn padding(&self) -> &'static [u8] {
        let bytes = RECORD_HEADER_BYTES + self.length;
        &[0; 8][..bytes.next_multiple_of(8) - bytes]
    }

    /// The header for this position and round.
    pub(super) fn seal(&mut self, at: u64, round: u32) -> &[u8] {
        self.bytes[32..36].copy_from_slice(&round.to_le_bytes());
        let check = position_check(self.partial, round, at);
        self.bytes[36..40].copy_from_slice(&check.to_le_bytes());
        &self.bytes
    }
}

/// A record's header as it was read, found valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) header: RecordHeader,
    pub(super) length: usize,
    pub(super) round: u32,
    crc: u32,
}

impl Head {
    /// The header at the start of `bytes`, if one with this key stands there at this position.
    pub(super) fn decode(key: u32, at: u64, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<RECORD_HEADER_BYTES>()?;
        let length = u32_at(bytes, 0) as usize;
        if bytes[8] != VERSION as u8 || length > PAYLOAD_BYTES_MAX {
            return None;
        }
        let round = u32_at(bytes, 32);
        let check = position_check(crc_from(key, &bytes[..32]), round, at);
        (check == u32_at(bytes, 36)).then(|| Self {
            header: RecordHeader {
                kind: bytes[9],
                shard: u16::from_le_bytes([bytes[10], bytes[11]]),
                term: u32_at(bytes, 12),
                index: u64_at(bytes, 16),
                timestamp_ms: u64_at(bytes, 24),
            },
            length,
            round,
            crc: u32_at(bytes, 4),
        })
    }

    /// Whether this is the payload that was written.
    pub(super) fn matches(&self, payload: &[u8]) -> bool {
        payload.len() == self.length && crc32fast::hash(payload) == self.crc
    }

    /// Bytes that the record takes.
    pub(super) fn record_bytes(&self) -> u64 {
        record_bytes(self.length) as u64
    }
}

/// The header of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) version: u32,
    pub(super) key: u32,
    pub(super) base: u64,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.key.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.base.to_le_bytes());
        let check = crc32fast::hash(&bytes[..28]);
        bytes[28..32].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// The header, unless it is damaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<{ SEGMENT_HEADER_BYTES as usize }>()?;
        let valid = bytes[..8] == MAGIC && crc32fast::hash(&bytes[..28]) == u32_at(bytes, 28);
        valid.then(|| Self {
            version: u32_at(bytes, 8),
            key: u32_at(bytes, 12),
            base: u64_at(bytes, 16),
        })
    }
}

/// The number at `offset`, which the caller knows to be inside.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

/// The number at `offset`, which the caller knows to be inside.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}

pub(super) fn crc_from(start: u32, bytes: &[u8]) -> u32 {
    let mut crc = Hasher::new_with_initial(start);
    crc.update(bytes);
    crc.finalize()
}

fn position_check(partial: u32, round: u32, at: u64) -> u32 {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&round.to_le_bytes());
    bytes[4..].copy_from_slice(&at.to_le_bytes());
    crc_from(partial, &bytes)
}

const MAGIC: [u8; 8] = *b"leveret\x01";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Part;

    const HEADER: RecordHeader =
        RecordHeader { kind: 7, shard: 3, term: 1, index: 99, timestamp_ms: 1_700_000_000_000 };

    #[test]
    fn a_header_is_valid_at_its_own_position_and_with_its_own_key_only() {
        let mut frame = Frame::new(5, &HEADER, Payload::new(&[Part::Copied(b"abc")]));
        let bytes = frame.seal(4096, 17).to_vec();
        let head = Head::decode(5, 4096, &bytes).unwrap();
        assert_eq!((head.header, head.length, head.round), (HEADER, 3, 17));
        assert!(head.matches(b"abc") && !head.matches(b"abd") && !head.matches(b"abcd"));
        assert!(Head::decode(5, 4104, &bytes).is_none());
        assert!(Head::decode(6, 4096, &bytes).is_none());
    }

    #[test]
    fn zeros_are_no_record() {
        assert!(Head::decode(0, 0, &[0; 64]).is_none());
        assert!(Head::decode(0, 0, &[]).is_none());
    }

    #[test]
    fn a_segment_header_comes_back_unless_it_is_damaged() {
        let header = SegmentHeader { version: 1, key: 2, base: 3 };
        let mut bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        bytes[9] ^= 1;
        assert_eq!(SegmentHeader::decode(&bytes), None);
    }

    proptest! {
        #[test]
        fn every_flipped_bit_of_a_header_is_noticed(bit in 0usize..320, at in any::<u64>()) {
            let mut frame = Frame::new(5, &HEADER, Payload::new(&[Part::Copied(b"abc")]));
            let mut bytes = frame.seal(at, 17).to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Head::decode(5, at, &bytes).is_none());
        }

        #[test]
        fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Head::decode(1, 8, &bytes);
            let _ = SegmentHeader::decode(&bytes);
        }
    }
}
