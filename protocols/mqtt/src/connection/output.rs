//! What a connection still has to send.
//!
//! Small packets gather in one buffer; a large payload is a chunk of its own, shared with whoever
//! else gets it. A short buffer with messages or acknowledgements is used again once it is written,
//! so that a quiet stream of messages allocates nothing; any other is given away with what is in
//! it. So a connection that is idle from the start, or only pings, holds none. Nothing is written that
//! the client does not take [MQTT-3.1.2-24], nor anything after the last packet [MQTT-3.14.4-1].

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use crate::packet::kind;
use crate::property::{self, id};
use crate::{Version, varint};

#[derive(Debug)]
pub(crate) struct Output {
    buffer: BytesMut,
    /// There is a message in the buffer, or an acknowledgement of one.
    is_of_messages: bool,
    chunks: VecDeque<Bytes>,
    /// Bytes in `chunks`.
    chunks_len: usize,
    /// Size of the next buffer: as much as the last one held.
    next_capacity: u32,
    /// The largest packet that the client takes.
    packet_size_max: u32,
    version: Version,
    /// The client did not decline Reason Strings.
    takes_reasons: bool,
    is_open: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            is_of_messages: false,
            chunks: VecDeque::new(),
            chunks_len: 0,
            next_capacity: CAPACITY_MIN,
            packet_size_max: u32::MAX,
            version: Version::V3,
            takes_reasons: true,
            is_open: true,
        }
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    pub(crate) fn set_packet_size_max(&mut self, packet_size_max: u32) {
        self.packet_size_max = packet_size_max;
    }

    /// The client's Request Problem Information.
    pub(crate) fn set_takes_reasons(&mut self, takes_reasons: bool) {
        self.takes_reasons = takes_reasons;
    }

    /// The property Reason String. Nothing without a text, and where none may be sent: the packets
    /// that may have one all the same [MQTT-3.1.2-29] do without.
    pub(crate) fn reason_string(&self, text: &str) -> Vec<u8> {
        let mut raw = Vec::new();
        let is_taken = self.takes_reasons && self.version == Version::V5;
        if is_taken && !text.is_empty() && property::is_string(text) {
            property::put_property(&mut raw, id::REASON_STRING, text.as_bytes());
        }
        raw
    }

    /// Nothing is written any more.
    pub(crate) fn close(&mut self) {
        self.is_open = false;
    }

    /// Starts a packet and gives the buffer for its body, of which `inline` bytes will be written
    /// there. `None` if the packet must not be sent.
    #[inline]
    pub(crate) fn packet(
        &mut self,
        first: u8,
        remaining: usize,
        inline: usize,
    ) -> Option<&mut BytesMut> {
        let head = 1 + varint::len(remaining);
        let is_too_large = head + remaining > self.packet_size_max as usize;
        if is_too_large || remaining > varint::MAX as usize || !self.is_open {
            return None;
        }
        self.reserve(head + inline);
        self.is_of_messages |= (kind::PUBLISH..=kind::PUBCOMP).contains(&(first >> 4));
        self.buffer.put_u8(first);
        varint::write(&mut self.buffer, remaining);
        Some(&mut self.buffer)
    }

    #[inline]
    fn reserve(&mut self, len: usize) {
        if self.buffer.capacity() - self.buffer.len() < len {
            let wanted = if self.buffer.is_empty() { self.next_capacity as usize } else { 0 };
            self.buffer.reserve(len.max(wanted));
        }
    }

    /// Appends a payload without copying it.
    pub(crate) fn share(&mut self, payload: Bytes) {
        self.flush();
        self.chunks_len += payload.len();
        self.chunks.push_back(payload);
    }

    fn flush(&mut self) {
        let buffer = self.take_buffer();
        self.chunks_len += buffer.as_ref().map_or(0, Bytes::len);
        self.chunks.extend(buffer);
    }

    fn take_buffer(&mut self) -> Option<Bytes> {
        if self.buffer.is_empty() {
            return None;
        }
        let octets = self.buffer.split().freeze();
        self.next_capacity = (octets.len() as u32).clamp(CAPACITY_MIN, CAPACITY_MAX);
        // What is left of a large block is large, however little of it was used.
        let is_large = octets.len().max(self.buffer.capacity()) > KEPT_MAX;
        if !std::mem::take(&mut self.is_of_messages) || is_large {
            self.buffer = BytesMut::new();
        }
        Some(octets)
    }

    /// Moves everything to `out`.
    pub(crate) fn take(&mut self, out: &mut VecDeque<Bytes>) {
        out.append(&mut self.chunks);
        out.extend(self.take_buffer());
        self.chunks_len = 0;
        if self.chunks.capacity() > IDLE_CHUNKS_MAX {
            self.chunks = VecDeque::new();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.chunks_len + self.buffer.len()
    }

    /// Payloads below this length are copied into the buffer.
    pub(crate) const fn inline_max(&self) -> usize {
        INLINE_MAX
    }
}

const INLINE_MAX: usize = 16 << 10;
const CAPACITY_MIN: u32 = 32;
const CAPACITY_MAX: u32 = 64 << 10;
const IDLE_CHUNKS_MAX: usize = 4;
/// The longest buffer that is used again.
const KEPT_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn write(output: &mut Output, len: usize) {
        let body = output.packet(kind::PUBLISH << 4, len, len).unwrap();
        body.extend_from_slice(&vec![0; len]);
        output.take(&mut VecDeque::new());
    }

    #[test]
    fn a_short_buffer_is_used_again_and_a_large_block_is_not_kept() {
        let mut output = Output::new();
        write(&mut output, 20);
        write(&mut output, 20);
        assert!(output.buffer.capacity() > 0);
        write(&mut output, 40_000);
        assert_eq!(output.buffer.capacity(), 0);
        // The next block is as large as the last packet was, and this one is small.
        write(&mut output, 20);
        assert!(output.buffer.capacity() <= KEPT_MAX, "{}", output.buffer.capacity());
    }
}
