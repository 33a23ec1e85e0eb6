//! A WebSocket as a stream of bytes, so that the connection loop sees no difference to TCP.
//!
//! Frames and packets have nothing to do with each other, in both directions [MQTT-6.0.0-2]. A peer
//! that sends text, or breaks the rules of RFC 6455, gets a close frame that says so, and what it sends
//! after that is not looked at.
//!
//! Nothing is held while nothing comes: payload is read into the caller's buffer, and what is to be
//! sent leaves memory when it has been sent.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use super::frames::{Decoder, Refusal, encode, encode_close};

/// The server's side of a WebSocket whose handshake is done.
#[derive(Debug)]
pub struct WebSocket<S> {
    socket: S,
    decoder: Decoder,
    /// What was read and could not be decoded yet: the beginning of a header.
    begun: Bytes,
    /// Frames for the socket.
    out: BytesMut,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The server has taken its leave, and waits for the peer to do so.
    Closing,
    /// The peer has taken its leave.
    Left,
    /// The peer broke a rule; the reader has still to hear of it.
    Broken(ErrorKind, &'static str),
    /// It has; what comes is thrown away.
    Refused,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Goes on after the handshake; `begun` is what came behind it. Messages longer than
    /// `message_bytes_max` are refused.
    pub fn new(socket: S, begun: Bytes, message_bytes_max: u64) -> Self {
        let decoder = Decoder::new(message_bytes_max);
        let begun = join(&begun, &[]);
        WebSocket { socket, decoder, begun, out: BytesMut::new(), state: State::Open }
    }

    /// Reads once, into a buffer that is longer than a header; says whether the socket has ended.
    fn poll_frames(
        &mut self,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let octets = buf.initialize_unfilled();
        let begun = self.begun.len().min(octets.len());
        octets[..begun].copy_from_slice(&self.begun[..begun]);
        let mut rest = ReadBuf::new(&mut octets[begun..]);
        // What came together with the handshake may be complete.
        if begun < HEADER_BYTES_MAX {
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut rest))?;
            if rest.filled().is_empty() {
                return Poll::Ready(Ok(true));
            }
        }
        let len = begun + rest.filled().len();
        let decoded = self.decoder.decode(&mut octets[..len], &mut self.out);
        self.begun = join(&octets[decoded.used..len], &self.begun[begun..]);
        buf.advance(decoded.payload);
        if let Some(end) = decoded.end {
            self.end(&end);
        }
        Poll::Ready(Ok(false))
    }

    fn end(&mut self, end: &Refusal) {
        self.begun = Bytes::new();
        if self.state == State::Open {
            encode_close(end, &mut self.out);
        }
        self.state = match end.reason {
            "" => State::Left,
            reason => {
                tracing::debug!(code = u16::from(end.code), reason, "WebSocket refused");
                let is_size = end.code == CloseCode::Size;
                let kind = if is_size { ErrorKind::FileTooLarge } else { ErrorKind::InvalidData };
                State::Broken(kind, reason)
            }
        };
    }

    /// Writes what there is.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(context, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        self.out = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.state {
                State::Open | State::Closing => {
                    let before = buf.filled().len();
                    let is_end = ready!(self.poll_frames(context, buf))?;
                    if is_end || buf.filled().len() > before {
                        return Poll::Ready(Ok(()));
                    }
                }
                State::Left => return Poll::Ready(Ok(())),
                State::Broken(kind, reason) => {
                    self.state = State::Refused;
                    return Poll::Ready(Err(io::Error::new(kind, reason)));
                }
                State::Refused => return Pin::new(&mut self.socket).poll_read(context, buf),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_out(context))?;
        if self.state != State::Open {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let len: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut left = len.min(FRAME_BYTES);
        let taken = left;
        self.out.reserve(HEADER_BYTES_MAX + taken);
        encode(OpCode::Data(Data::Binary), taken, &mut self.out);
        for slice in slices {
            let part = &slice[..slice.len().min(left)];
            self.out.extend_from_slice(part);
            left -= part.len();
        }
        match self.poll_out(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // The frame is taken, though it may be on its way still.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(context))?;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// Takes leave. Only a peer whose frames are in order is waited for.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state == State::Open {
            let normal = Refusal { code: CloseCode::Normal, reason: "" };
            encode_close(&normal, &mut self.out);
            self.state = State::Closing;
        }
        ready!(self.poll_out(context))?;
        if self.state == State::Closing {
            return Pin::new(&mut self.socket).poll_flush(context);
        }
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// In memory of their own: what they were cut from may be large.
fn join(first: &[u8], second: &[u8]) -> Bytes {
    // An empty one has no memory.
    [first, second].concat().into()
}

/// The longest header of a frame.
const HEADER_BYTES_MAX: usize = 14;
/// The payload of a frame that is sent, at the most.
const FRAME_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    const LARGE: u64 = 1 << 20;

    fn pair(begun: &'static [u8]) -> (WebSocket<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(100);
        (WebSocket::new(server, Bytes::from_static(begun), LARGE), client)
    }

    /// Frames of the client with the mask 0, which hides nothing.
    const HELLO: &[u8] = b"\x82\x85\0\0\0\0hello";
    const PING: &[u8] = b"\x89\x81\0\0\0\0?";

    #[tokio::test]
    async fn what_a_socket_takes_in_parts_arrives_in_frames() {
        let (mut server, mut client) = pair(b"");
        let sent: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            server.write_all(&sent).await.unwrap();
            server.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        while received.len() < expected.len() {
            let mut head = [0; 4];
            client.read_exact(&mut head).await.unwrap();
            assert_eq!(head[..2], [0x82, 126]);
            let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
            assert!(len <= FRAME_BYTES);
            let start = received.len();
            received.resize(start + len, 0);
            client.read_exact(&mut received[start..]).await.unwrap();
        }
        assert_eq!(received, expected);
        writing.await.unwrap();
        let mut close = [0; 4];
        client.read_exact(&mut close).await.unwrap();
        assert_eq!(close, [0x88, 2, 3, 232]);
    }

    #[tokio::test]
    async fn what_came_with_the_handshake_is_read_first_and_its_end_waits_for_the_rest() {
        let (mut server, mut client) = pair(&HELLO[..8]);
        client.write_all(&[&HELLO[8..], PING, HELLO].concat()).await.unwrap();
        let mut buf = [0; 64];
        assert_eq!(server.read(&mut buf).await.unwrap(), 10);
        assert_eq!(&buf[..10], b"hellohello");
        server.flush().await.unwrap();
        let mut pong = [0; 3];
        client.read_exact(&mut pong).await.unwrap();
        assert_eq!(&pong, b"\x8a\x01?");
    }

    #[tokio::test]
    async fn a_rule_that_is_broken_is_an_error_once_and_told_with_the_last_words() {
        let (mut server, mut client) = pair(HELLO);
        client.write_all(b"\x81\x80\0\0\0\0").await.unwrap();
        let mut buf = [0; 64];
        assert_eq!(server.read(&mut buf).await.unwrap(), 5);
        assert_eq!(server.read(&mut buf).await.unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(server.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        server.shutdown().await.unwrap();
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.unwrap();
        assert_eq!((told[0], &told[2..4]), (0x88, &[3, 235][..]));
    }

    #[tokio::test]
    async fn a_close_frame_is_answered_and_is_the_end() {
        let (mut server, mut client) = pair(b"");
        client.write_all(b"\x88\x82\0\0\0\0\x03\xe9").await.unwrap();
        assert_eq!(server.read(&mut [0; 64]).await.unwrap(), 0);
        server.flush().await.unwrap();
        let mut answer = [0; 4];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0x88, 2, 3, 233]);
    }
}
