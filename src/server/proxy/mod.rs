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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::address::{Address, Link};
use super::listener::{Accept, Arrival};
use crate::config::{Config, Network};
use header::{Header, HeaderError, needed};

/// The proxies that are believed.
#[derive(Debug, Clone)]
pub struct Proxies {
    networks: Arc<[Network]>,
    timeout: Duration,
}

impl Proxies {
    /// Those that the configuration names; `None` if it names none.
    pub fn of(config: &Config) -> Option<Self> {
        let networks: Arc<[Network]> = config.proxy_protocol_from.as_slice().into();
        let timeout = config.handshake_timeout.0;
        (!networks.is_empty()).then_some(Proxies { networks, timeout })
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
        match read.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
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
#[derive(Debug)]
pub struct ProxyListener {
    listener: TcpListener,
    proxies: Proxies,
    /// One permit for each header that may be awaited.
    headers: Arc<Semaphore>,
}

impl ProxyListener {
    /// Believes these proxies.
    pub fn new(listener: TcpListener, proxies: Proxies) -> Self {
        ProxyListener { listener, proxies, headers: Arc::new(Semaphore::new(HEADERS_MAX)) }
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
        let Ok(permit) = self.headers.clone().acquire_owned().await else { return Ok(None) };
        let Some((socket, link)) = Accept::accept(&mut self.listener).await? else {
            return Ok(None);
        };
        let (proxies, headers) = (self.proxies.clone(), self.headers.clone());
        Ok(Some((Relay { socket, proxies, headers, _permit: permit }, link)))
    }
}

/// A connection whose header has not been read.
#[derive(Debug)]
pub struct Relay {
    socket: TcpStream,
    proxies: Proxies,
    headers: Arc<Semaphore>,
    _permit: OwnedSemaphorePermit,
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Arrival for Relay {
    type Stream = TcpStream;

    async fn open(self, link: Link) -> Option<(TcpStream, Link)> {
        let Relay { mut socket, proxies, headers, _permit } = self;
        let link = proxies.open(&mut socket, link).await?;
        (!headers.is_closed()).then_some((socket, link))
    }

    fn when_open(self, link: Link, serve: impl FnOnce(TcpStream, Link) + Send + 'static) {
        if !self.proxies.expects_header(&link) {
            return serve(self.socket, link);
        }
        tokio::spawn(async move {
            if let Some((socket, link)) = self.open(link).await {
                serve(socket, link);
            }
        });
    }
}

/// Headers that are awaited on a port at a time.
const HEADERS_MAX: usize = 1024;
/// What is read at a time, at the most.
const PIECE_BYTES: usize = 256;
