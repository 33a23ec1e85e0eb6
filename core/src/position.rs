//! Where a record stands in the journal.

use serde::{Deserialize, Serialize};

/// The byte offset of a record in a node's journal: it grows with every record and is never reused.
///
/// A record at `position` is on the disk once the journal's durable watermark is greater.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position(pub u64);

/// A reference to a record of the journal: it keeps the record there until it is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The record.
    pub at: Position,
    /// The part of the record's bytes that this reference stands for: all of them, or an equal
    /// share where there are several. The sum over a segment tells how much of it is alive.
    pub bytes: u32,
}

impl Reference {
    /// One of `shares` references to a record with a payload of `payload_len` bytes.
    pub fn new(at: Position, payload_len: usize, shares: usize) -> Self {
        let bytes = (RecordHeader::BYTES + payload_len).next_multiple_of(8) / shares.max(1);
        Reference { at, bytes: bytes.try_into().unwrap_or(u32::MAX) }
    }
}

/// What a journal knows about a record without reading its payload.
///
/// `term` is there for replication; a single node writes 1. `index` counts the records of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the payload is; the values are named in `record::Kind`.
    pub kind: u8,
    /// The shard that wrote it; 0 is the topology.
    pub shard: u16,
    /// The replication term.
    pub term: u32,
    /// The record's number within its shard.
    pub index: u64,
    /// When it was written, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
}

impl RecordHeader {
    /// What a header takes in the log, in bytes; a record as a whole is padded to a multiple of 8.
    pub const BYTES: usize = 40;
}
