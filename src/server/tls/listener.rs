//! Sockets that clients connect to and speak TLS on.
//!
//! A handshake happens in a task of its own, so a slow one holds up nobody. Who sends nothing costs a
//! socket until its time is over; who sends something else than TLS is let go at its first octet. The
//! number of handshakes at a time is limited; further clients wait in the kernel.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Tls, TlsStream};
use crate::config::UserNameFrom;
use crate::server::Node;
use crate::server::address::Link;
use crate::server::limits::Limit;
use crate::server::listener::{Accept, Arrival};
use crate::server::places::{Place, Places};
use crate::server::proxy::Proxies;

/// A port for TLS.
pub struct TlsListener {
    listener: TcpListener,
    /// A client that waits for another handshake to end.
    next: Option<(TcpStream, Link)>,
    tls: Arc<Tls>,
    options: Options,
    proxies: Option<Proxies>,
    handshakes: Arc<Places>,
    node: Arc<Node>,
}

/// What the configuration says of handshakes.
#[derive(Debug, Clone, Copy)]
struct Options {
    timeout: Duration,
    user_from: UserNameFrom,
}

impl TlsListener {
    /// Listens with these certificates.
    pub fn new(listener: TcpListener, tls: Arc<Tls>, node: Arc<Node>) -> Self {
        let options = Options {
            timeout: node.config.handshake_timeout.0,
            user_from: node.config.tls_user_name_from,
        };
        let proxies = Proxies::of(&node);
        let max = node.config.tls_handshakes_max;
        let handshakes = Places::new(node.clone(), Limit::TlsHandshakes, max);
        TlsListener { listener, next: None, tls, options, proxies, handshakes, node }
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
        if self.next.is_none() {
            self.next = Accept::accept(&mut self.listener).await?;
        }
        if self.next.is_none() {
            return Ok(None);
        }
        let place = self.handshakes.take().await;
        let (Some(place), Some((socket, link))) = (place, self.next.take()) else {
            return Ok(None);
        };
        let (tls, options, node) = (self.tls.clone(), self.options, self.node.clone());
        let proxies = self.proxies.clone();
        Ok(Some((Handshake { socket, tls, options, proxies, place, node }, link)))
    }
}

/// A client that has connected, and is to say with what key.
pub struct Handshake {
    socket: TcpStream,
    tls: Arc<Tls>,
    options: Options,
    proxies: Option<Proxies>,
    place: Place,
    node: Arc<Node>,
}

impl AsFd for Handshake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Arrival for Handshake {
    type Stream = TlsStream;

    async fn open(self, mut link: Link) -> Option<(Self::Stream, Link)> {
        let Handshake { mut socket, tls, options, proxies, place, node } = self;
        if let Some(proxies) = proxies {
            link = tokio::select! {
                opened = proxies.open(&mut socket, link) => opened?,
                () = place.lost() => return None,
            };
        }
        let done = tokio::select! {
            done = tokio::time::timeout(options.timeout, shake_hands(socket, &tls)) => {
                done.unwrap_or_else(|_| Err(out_of_time(&node)))
            }
            () = place.lost() => Err(io::Error::new(ErrorKind::TimedOut, NO_PLACE)),
        };
        let peer = &link.peer;
        let stream = match done {
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
        (!place.is_closed()).then_some((stream, link))
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

fn out_of_time(node: &Node) -> io::Error {
    node.refusals.note(Limit::HandshakeTime);
    ErrorKind::TimedOut.into()
}

/// The type of the record that TLS begins with, RFC 8446 §5.1.
const HANDSHAKE: u8 = 22;
const NOT_TLS: &str = "the client does not speak TLS";
const NO_PLACE: &str = "others wait, and the handshake has taken long";
