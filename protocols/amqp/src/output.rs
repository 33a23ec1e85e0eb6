//! What is to be written: small things gathered in one buffer, large bodies as they are.
//!
//! A body of [`COPY_MAX`] octets or more that has memory of its own is not copied: its frames are
//! slices of the message, with a few octets of the buffer between them.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use crate::frame::{self, HEAD_LEN, OVERHEAD};
use crate::method::{MethodId, basic};
use crate::unsettled::Delivery;
use crate::wire::cut;

/// What a message brings along wherever it is sent: in basic.deliver, get-ok and return.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The exchange it was published to.
    pub exchange: &'a str,
    /// Its routing key; what is over 255 octets is cut off.
    pub routing_key: &'a str,
    /// Its properties, encoded.
    pub properties: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
    /// The body again, if it has memory of its own: a large one is then shared and not copied. It
    /// has no effect if its length is not that of the body.
    pub shared: Option<&'a Bytes>,
}

/// A message for a consumer.
#[derive(Debug, Clone, Copy)]
pub struct Deliver<'a> {
    /// The name of the consumer.
    pub consumer_tag: &'a str,
    /// What to know again when it is settled.
    pub delivery: Delivery,
    /// It is settled as it is sent.
    pub no_ack: bool,
    /// It may have been delivered before.
    pub redelivered: bool,
    /// The message.
    pub content: Content<'a>,
}

/// A message in answer to basic.get.
#[derive(Debug, Clone, Copy)]
pub struct Get<'a> {
    /// What to know again when it is settled.
    pub delivery: Delivery,
    /// It is settled as it is sent.
    pub no_ack: bool,
    /// It may have been delivered before.
    pub redelivered: bool,
    /// Messages that are left in the queue.
    pub message_count: u32,
    /// The message.
    pub content: Content<'a>,
}

/// What is to be written to one connection.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// The largest payload of a frame.
    payload_max: usize,
    buffer: BytesMut,
    chunks: VecDeque<Bytes>,
    chunk_bytes: usize,
}

impl Output {
    pub(crate) fn set_payload_max(&mut self, payload_max: usize) {
        self.payload_max = payload_max;
    }

    /// Octets that wait to be written.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.chunk_bytes + self.buffer.len()
    }

    /// Hands everything over.
    pub(crate) fn take(&mut self, out: &mut VecDeque<Bytes>) {
        self.seal();
        self.chunk_bytes = 0;
        out.append(&mut self.chunks);
    }

    /// Gives back the memory of a burst that is over.
    pub(crate) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        if self.chunks.is_empty() {
            self.chunks = VecDeque::new();
        }
    }

    pub(crate) fn put_static(&mut self, octets: &'static [u8]) {
        self.push(Bytes::from_static(octets));
    }

    /// A method frame.
    pub(crate) fn method(
        &mut self,
        channel: u16,
        id: MethodId,
        arguments: impl FnOnce(&mut BytesMut),
    ) {
        let start = self.buffer.len();
        frame::put_head(&mut self.buffer, frame::METHOD, channel, 0);
        self.buffer.put_slice(&id.encoded());
        arguments(&mut self.buffer);
        let size = self.buffer.len() - start - HEAD_LEN;
        let head = frame::head(frame::METHOD, channel, size);
        self.buffer[start..start + HEAD_LEN].copy_from_slice(&head);
        self.buffer.put_u8(frame::END);
    }

    /// basic.ack or basic.nack of the server.
    pub(crate) fn confirm(&mut self, channel: u16, id: MethodId, sequence: u64, bits: u8) {
        let mut out = [0; HEAD_LEN + 14];
        out[..HEAD_LEN].copy_from_slice(&frame::head(frame::METHOD, channel, 13));
        out[7..11].copy_from_slice(&id.encoded());
        out[11..19].copy_from_slice(&sequence.to_be_bytes());
        out[19] = bits;
        out[20] = frame::END;
        self.buffer.put_slice(&out);
    }

    /// basic.deliver with its content.
    #[inline]
    pub(crate) fn deliver(&mut self, channel: u16, tag: u64, deliver: &Deliver<'_>) {
        let content = &deliver.content;
        let (consumer_tag, exchange) = (cut(deliver.consumer_tag), cut(content.exchange));
        let routing_key = cut(content.routing_key);
        let size = 16 + consumer_tag.len() + exchange.len() + routing_key.len();
        self.reserve(size, content);
        let out = &mut self.buffer;

        let mut front = [0; HEAD_LEN + 5];
        front[..HEAD_LEN].copy_from_slice(&frame::head(frame::METHOD, channel, size));
        front[7..11].copy_from_slice(&basic::DELIVER.encoded());
        front[11] = consumer_tag.len() as u8;
        out.extend_from_slice(&front);
        out.extend_from_slice(consumer_tag.as_bytes());
        let mut middle = [0; 10];
        middle[..8].copy_from_slice(&tag.to_be_bytes());
        middle[8] = u8::from(deliver.redelivered);
        middle[9] = exchange.len() as u8;
        out.extend_from_slice(&middle);
        out.extend_from_slice(exchange.as_bytes());
        out.extend_from_slice(&[routing_key.len() as u8]);
        out.extend_from_slice(routing_key.as_bytes());
        self.content(channel, content);
    }

    /// The end of a method frame, a header frame and the body frames.
    #[inline]
    fn content(&mut self, channel: u16, content: &Content<'_>) {
        let mut header = [0; 1 + HEAD_LEN + 12];
        header[0] = frame::END;
        let size = 12 + content.properties.len();
        header[1..8].copy_from_slice(&frame::head(frame::HEADER, channel, size));
        header[9] = 60;
        header[12..20].copy_from_slice(&(content.body.len() as u64).to_be_bytes());
        self.buffer.extend_from_slice(&header);
        self.buffer.extend_from_slice(content.properties);
        if content.body.len() < COPY_MAX && content.body.len() <= self.payload_max {
            self.small_body(channel, content.body);
        } else {
            self.large_body(channel, content);
        }
        if self.buffer.len() >= CHUNK_MIN {
            self.seal();
        }
    }

    #[inline]
    fn small_body(&mut self, channel: u16, body: &[u8]) {
        if !body.is_empty() {
            let mut between = [frame::END; 1 + HEAD_LEN];
            between[1..].copy_from_slice(&frame::head(frame::BODY, channel, body.len()));
            self.buffer.extend_from_slice(&between);
            self.buffer.extend_from_slice(body);
        }
        self.buffer.extend_from_slice(&[frame::END]);
    }

    fn large_body(&mut self, channel: u16, content: &Content<'_>) {
        let body = content.body;
        let is_worth_it = |shared: &&Bytes| body.len() >= COPY_MAX && shared.len() == body.len();
        let shared = content.shared.filter(is_worth_it);
        self.buffer.put_u8(frame::END);
        let mut start = 0;
        while start < body.len() {
            let end = body.len().min(start + self.payload_max);
            frame::put_head(&mut self.buffer, frame::BODY, channel, end - start);
            match shared {
                Some(shared) => self.push(shared.slice(start..end)),
                None => self.buffer.extend_from_slice(&body[start..end]),
            }
            self.buffer.put_u8(frame::END);
            start = end;
        }
    }

    /// A method frame with fields of its own, and a content behind it.
    pub(crate) fn method_with_content(
        &mut self,
        channel: u16,
        id: MethodId,
        content: &Content<'_>,
        arguments: impl FnOnce(&mut BytesMut),
    ) {
        self.method(channel, id, arguments);
        // The content begins with the end octet of the method frame.
        self.buffer.truncate(self.buffer.len() - 1);
        self.content(channel, content);
    }

    #[inline]
    fn reserve(&mut self, method: usize, content: &Content<'_>) {
        let body = if content.body.len() < COPY_MAX { content.body.len() } else { 0 };
        self.buffer.reserve(method + content.properties.len() + body + 3 * OVERHEAD + 12);
    }

    fn push(&mut self, chunk: Bytes) {
        self.seal();
        self.chunk_bytes += chunk.len();
        self.chunks.push_back(chunk);
    }

    fn seal(&mut self) {
        if !self.buffer.is_empty() {
            self.chunk_bytes += self.buffer.len();
            self.chunks.push_back(self.buffer.split().freeze());
        }
    }
}

/// Bodies from here on are not copied, if they can be shared.
pub(crate) const COPY_MAX: usize = 16 << 10;
/// A buffer of this size is closed, so that a long run of messages is not moved as it grows.
const CHUNK_MIN: usize = 64 << 10;
