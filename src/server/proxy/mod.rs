//! Connections that a proxy makes for its clients, with the PROXY protocol in front: who connects is then
//! the client that the proxy names.
//!
//! Whether a header is there is never guessed: from the networks in `proxy_protocol_from` each connection
//! has to begin with one, and from elsewhere it is nothing but wrong input, so nobody gets an address by
//! saying so. It comes before everything else, a TLS handshake too.

pub mod header;

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::Node;
use super::address::{Address, Link};
use super::limits::Limit;
use super::listener::{Accept, Arrival};
use super::places::{Place, Places};
use crate::config::Network;
use header::{Header, HeaderError, needed};

/// The proxies that are believed.
#[derive(Clone)]
pub struct Proxies {
    networks: Arc<[Network]>,
    timeout: Duration,
    node: Arc<Node>,
}

impl Proxies {
    /// Those that the configuration names; `None` if it names none.
    pub fn of(node: &Arc<Node>) -> Option<Self> {
        let networks: Arc<[Network]> = node.config.proxy_protocol_from.as_slice().into();
        let timeout = node.config.handshake_timeout.0;
        (!networks.is_empty()).then(|| Proxies { networks, timeout, node: node.clone() })
    }

    fn include(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Whether a connection has to begin with a header.
    fn expects_header(&self, link: &Link) -> bool {
        self.include(link.peer.ip())
    }

    /// Reads the header, if there has to be one; gives the connection as the header has it, or `None`
    /// if the proxy is to be let go.
    pub async fn open(&self, socket: &mut TcpStream, link: Link) -> Option<Link> {
        if !self.expects_header(&link) {
            return Some(link);
        }
        let read = tokio::time::timeout(self.timeout, read(socket)).await;
        let out_of_time = |_| {
            self.node.refusals.note(Limit::HandshakeTime);
            Err(ErrorKind::TimedOut.into())
        };
        match read.unwrap_or_else(out_of_time) {
            Ok(header) => Some(link_of(header, link)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                // Proxies that look whether somebody listens do this all day.
                tracing::debug!(peer = %link.peer, "a connection ended within its PROXY header");
                None
            }
            Err(error) => {
                tracing::info!(peer = %link.peer, %error, "no PROXY protocol header came");
                None
            }
        }
    }
}

/// Only a proxy's own connections come from where it is. Where they go to is never the proxy's to say:
/// ports may decide who may do what.
fn link_of(header: Header, link: Link) -> Link {
    match (header, &link.peer) {
        (Header::Client(source), _) => Link { peer: Address::Relayed(source), ..link },
        (Header::Unknown, Address::Ip(proxy)) => Link { peer: Address::Relayed(*proxy), ..link },
        (Header::Local | Header::Unknown, _) => link,
    }
}

/// Takes the header off the front of a connection, and no octet of what follows it.
async fn read(socket: &mut TcpStream) -> io::Result<Header> {
    let invalid = |error: HeaderError| io::Error::new(ErrorKind::InvalidData, error);
    let mut arrived = Vec::new();
    loop {
        let more = match needed(&arrived).map_err(invalid)? {
            0 => return Header::parse(&arrived).map_err(invalid),
            more => more,
        };
        let mut piece = [0; PIECE_BYTES];
        let piece = &mut piece[..more.min(PIECE_BYTES)];
        match socket.read(piece).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            len => arrived.extend_from_slice(&piece[..len]),
        }
    }
}

/// A port where proxies connect to, and others.
pub struct ProxyListener {
    listener: TcpListener,
    /// A proxy that waits for the header of another one.
    next: Option<(TcpStream, Link)>,
    proxies: Proxies,
    /// For each header that is awaited.
    headers: Arc<Places>,
}

impl ProxyListener {
    /// Believes these proxies.
    pub fn new(listener: TcpListener, proxies: Proxies) -> Self {
        let node = proxies.node.clone();
        let max = node.config.proxy_headers_max;
        let headers = Places::new(node, Limit::ProxyHeaders, max);
        ProxyListener { listener, next: None, proxies, headers }
    }
}

impl Drop for ProxyListener {
    /// Clients whose header has not come are not let in any more.
    fn drop(&mut self) {
        self.headers.close();
    }
}

impl Accept for ProxyListener {
    type Socket = Relay;

    async fn accept(&mut self) -> io::Result<Option<(Relay, Link)>> {
        if self.next.is_none() {
            self.next = Accept::accept(&mut self.listener).await?;
        }
        let place = match &self.next {
            Some((_, link)) if self.proxies.expects_header(link) => {
                let Some(place) = self.headers.take().await else { return Ok(None) };
                Some((place, self.proxies.clone()))
            }
            _ => None,
        };
        Ok(self.next.take().map(|(socket, link)| (Relay { socket, place }, link)))
    }
}

/// A client that has connected, with a place for its header if there has to be one.
pub struct Relay {
    socket: TcpStream,
    place: Option<(Place, Proxies)>,
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Arrival for Relay {
    type Stream = TcpStream;

    async fn open(self, link: Link) -> Option<(TcpStream, Link)> {
        let Relay { mut socket, place } = self;
        let Some((place, proxies)) = place else { return Some((socket, link)) };
        let link = tokio::select! {
            opened = proxies.open(&mut socket, link) => opened?,
            () = place.lost() => return None,
        };
        (!place.is_closed()).then_some((socket, link))
    }

    fn when_open(self, link: Link, serve: impl FnOnce(TcpStream, Link) + Send + 'static) {
        if self.place.is_none() {
            return serve(self.socket, link);
        }
        tokio::spawn(async move {
            if let Some((socket, link)) = self.open(link).await {
                serve(socket, link);
            }
        });
    }
}

/// What is read at a time, at the most.
const PIECE_BYTES: usize = 256;
