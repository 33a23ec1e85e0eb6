//! Sockets that clients connect to and speak TLS on.
//!
//! A handshake happens in a task of its own, so a slow one holds up nobody. Who sends nothing costs a
//! socket until its time is over; who sends something else than TLS is let go at its first octet. The
//! number of handshakes at a time is limited, and further clients wait in the kernel.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use super::{Tls, TlsStream};
use crate::config::{Config, UserNameFrom};
use crate::server::address::Link;
use crate::server::listener::{Accept, Arrival};

/// A port for TLS.
#[derive(Debug)]
pub struct TlsListener {
    listener: TcpListener,
    tls: Arc<Tls>,
    options: Options,
    /// One permit for each handshake that may be going on.
    handshakes: Arc<Semaphore>,
}

/// What the configuration says of handshakes.
#[derive(Debug, Clone, Copy)]
struct Options {
    timeout: Duration,
    user_from: UserNameFrom,
}

impl TlsListener {
    /// Listens with these certificates.
    pub fn new(listener: TcpListener, tls: Arc<Tls>, config: &Config) -> Self {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let timeout = config.handshake_timeout.0;
        let options = Options { timeout, user_from: config.tls_user_name_from };
        TlsListener { listener, tls, options, handshakes }
    }
}

impl Drop for TlsListener {
    /// Clients whose handshake is not done are not let in any more.
    fn drop(&mut self) {
        self.handshakes.close();
    }
}

impl Accept for TlsListener {
    type Socket = Handshake;

    async fn accept(&mut self) -> io::Result<Option<(Handshake, Link)>> {
        let Ok(permit) = self.handshakes.clone().acquire_owned().await else { return Ok(None) };
        let Some((socket, link)) = Accept::accept(&mut self.listener).await? else {
            return Ok(None);
        };
        let (tls, options) = (self.tls.clone(), self.options);
        let handshakes = self.handshakes.clone();
        Ok(Some((Handshake { socket, tls, options, handshakes, _permit: permit }, link)))
    }
}

/// A client that has connected, and is to say with what key.
#[derive(Debug)]
pub struct Handshake {
    socket: TcpStream,
    tls: Arc<Tls>,
    options: Options,
    handshakes: Arc<Semaphore>,
    _permit: OwnedSemaphorePermit,
}

impl Arrival for Handshake {
    type Stream = TlsStream;

    async fn open(self, mut link: Link) -> Option<(Self::Stream, Link)> {
        let Handshake { socket, tls, options, handshakes, _permit } = self;
        let done = tokio::time::timeout(options.timeout, shake_hands(socket, &tls)).await;
        let peer = &link.peer;
        let stream = match done.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {
                // Those who look whether somebody listens do this all day.
                tracing::debug!(%peer, "nothing came before the end of a connection for TLS");
                return None;
            }
            Err(error) => {
                tracing::info!(%peer, %error, "TLS handshake failed");
                return None;
            }
        };
        link.tls = stream.session(options.user_from).map(Arc::new);
        (!handshakes.is_closed()).then_some((stream, link))
    }

    fn when_open(self, link: Link, serve: impl FnOnce(Self::Stream, Link) + Send + 'static) {
        tokio::spawn(async move {
            if let Some((stream, link)) = self.open(link).await {
                serve(stream, link);
            }
        });
    }
}

/// Looks at the first octet before anything is allocated.
async fn shake_hands(socket: TcpStream, tls: &Tls) -> io::Result<TlsStream> {
    let mut first = [0];
    match socket.peek(&mut first).await? {
        0 => Err(ErrorKind::ConnectionAborted.into()),
        _ if first[0] != HANDSHAKE => Err(io::Error::new(ErrorKind::InvalidData, NOT_TLS)),
        _ => TlsAcceptor::from(tls.server()).accept(socket).await.map(TlsStream::new),
    }
}

/// Handshakes on a port at a time. Each may have 64 KiB of a message in memory.
const HANDSHAKES_MAX: usize = 1024;
/// The type of the record that TLS begins with, RFC 8446 §5.1.
const HANDSHAKE: u8 = 22;
const NOT_TLS: &str = "the client does not speak TLS";
