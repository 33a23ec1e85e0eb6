//! A TCP connection whose bytes are encrypted.
//!
//! It is `tokio-rustls`' but for one thing: a peer that takes its leave (close_notify) is answered, with the
//! next flush, before the connection is dropped. So it knows that nothing has been cut off.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream as Inner;

use super::Session;
use crate::config::UserNameFrom;

/// The server's side of a connection whose handshake is done.
#[derive(Debug)]
pub struct TlsStream {
    inner: Inner<TcpStream>,
    /// The peer has taken its leave.
    has_left: bool,
}

impl TlsStream {
    /// Goes on after the handshake.
    pub fn new(inner: Inner<TcpStream>) -> Self {
        TlsStream { inner, has_left: false }
    }

    /// What was agreed on.
    pub fn session(&self, user_from: UserNameFrom) -> Option<Session> {
        Session::of(self.inner.get_ref().1, user_from)
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        ready!(Pin::new(&mut self.inner).poll_read(context, buf))?;
        self.has_left |= room > 0 && buf.remaining() == room;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_left {
            self.inner.get_mut().1.send_close_notify();
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
