//! A payload as the caller has it: in parts, so that nobody concatenates before the journal does.

use bytes::Bytes;

/// The longest payload that a record can have.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// The parts of a record's payload, in order.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a>(&'a [Part<'a>]);

impl<'a> Payload<'a> {
    /// A payload of these parts.
    #[must_use]
    pub fn new(parts: &'a [Part<'a>]) -> Self {
        Self(parts)
    }

    /// The parts in order.
    #[must_use]
    pub fn parts(&self) -> &'a [Part<'a>] {
        self.0
    }

    /// The bytes of all parts.
    ///
    /// # Panics
    ///
    /// If it is more than [`PAYLOAD_BYTES_MAX`]; callers limit messages long before.
    pub(crate) fn checked_len(&self) -> usize {
        let len = self.0.iter().map(|part| part.as_slice().len()).sum();
        assert!(len <= PAYLOAD_BYTES_MAX, "a payload of {len} bytes exceeds {PAYLOAD_BYTES_MAX}");
        len
    }

    /// All parts in one buffer.
    pub(crate) fn concat(&self) -> Bytes {
        match self.0 {
            [Part::Shared(bytes)] => (*bytes).clone(),
            parts => parts.iter().map(Part::as_slice).collect::<Vec<_>>().concat().into(),
        }
    }
}

/// One part of a payload.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// Copied while appending.
    Copied(&'a [u8]),
    /// Kept by reference until it is written, if it is large; copied if it is small.
    Shared(&'a Bytes),
}

impl<'a> Part<'a> {
    /// The bytes of the part.
    #[must_use]
    pub fn as_slice(&self) -> &'a [u8] {
        match self {
            Part::Copied(slice) => slice,
            Part::Shared(bytes) => bytes,
        }
    }
}
