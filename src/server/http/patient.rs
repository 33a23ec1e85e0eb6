//! A socket whose peer has to take what it is sent: who takes nothing for too long is let go.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::guest::Guest;

/// See the module's documentation.
pub struct Patient<S> {
    socket: S,
    patience: Duration,
    guest: Arc<Guest>,
    /// Runs while the peer takes nothing.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// Waits so long for the peer, again and again.
    pub fn new(socket: S, patience: Duration, guest: Arc<Guest>) -> Self {
        Patient { socket, patience, guest, waiting: None }
    }

    /// The socket alone.
    pub fn into_inner(self) -> S {
        self.socket
    }

    fn note<T>(
        &mut self,
        context: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.guest.set_full(done.is_pending());
        if done.is_ready() {
            self.waiting = None;
            return done;
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.note(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.note(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.socket).poll_flush(context);
        self.note(context, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.socket).poll_shutdown(context);
        self.note(context, done)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::server::places;

    async fn guest() -> Arc<Guest> {
        Guest::new(places::tests::places(1).take().await.unwrap())
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_let_go() {
        let (socket, _peer) = tokio::io::duplex(16);
        let mut socket = Patient::new(socket, Duration::from_millis(5), guest().await);
        let error = socket.write_all(&[0; 17]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_takes_something_has_all_its_time_again() {
        let (socket, mut peer) = tokio::io::duplex(16);
        let mut socket = Patient::new(socket, Duration::from_secs(600), guest().await);
        socket.write_all(&[0; 16]).await.unwrap();
        let full = poll_fn(|context| {
            Poll::Ready(Pin::new(&mut socket).poll_write(context, &[0]).is_pending())
        });
        assert!(full.await && socket.waiting.is_some());
        peer.read_exact(&mut [0; 16]).await.unwrap();
        socket.write_all(&[0]).await.unwrap();
        assert!(socket.waiting.is_none());
    }
}
