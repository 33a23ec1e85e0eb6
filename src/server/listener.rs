//! Listening sockets: accepts connections and starts their tasks.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::Node;
use super::address::{Address, Link};
use super::frontend::Socket;
use super::limits::Limit;
use super::unix::UnixSocket;

/// A protocol that clients connect with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// AMQP 0-9-1.
    Amqp,
    /// MQTT 3.1, 3.1.1 and 5.
    Mqtt,
    /// The management API.
    Http,
    /// Both of the first two over WebSocket.
    WebSocket,
    /// Metrics for Prometheus.
    Metrics,
    /// AMQP 0-9-1 over TLS.
    Amqps,
    /// MQTT over TLS.
    Mqtts,
    /// The management API over TLS.
    Https,
    /// AMQP and MQTT over WebSocket and TLS.
    SecureWebSocket,
}

impl Protocol {
    /// Its name as RabbitMQ's management shows it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Amqp => "amqp",
            Protocol::Mqtt => "mqtt",
            Protocol::Http => "http",
            Protocol::WebSocket => "http/web-mqtt",
            Protocol::Metrics => "http/prometheus",
            Protocol::Amqps => "amqp/ssl",
            Protocol::Mqtts => "mqtt/ssl",
            Protocol::Https => "https",
            Protocol::SecureWebSocket => "https/web-mqtt",
        }
    }

    /// Whether it is spoken over TLS.
    pub fn is_secure(self) -> bool {
        use Protocol::{Amqps, Https, Mqtts, SecureWebSocket};
        matches!(self, Amqps | Mqtts | Https | SecureWebSocket)
    }

    /// Whether clients publish and consume over it.
    pub fn is_messaging(self) -> bool {
        !matches!(self, Protocol::Http | Protocol::Https | Protocol::Metrics)
    }
}

/// A socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {}: {source}", protocol.name())]
pub struct ListenError {
    address: Address,
    protocol: Protocol,
    source: io::Error,
}

/// Binds a port on all addresses. With port 0, all addresses get the same free port.
///
/// # Errors
/// If an address cannot be bound. IPv6 is left out where the machine has none.
pub fn bind(
    addresses: &[IpAddr],
    port: u16,
    protocol: Protocol,
) -> Result<Vec<TcpListener>, ListenError> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    for &address in addresses {
        let chosen = listeners.first().and_then(|first| first.local_addr().ok());
        let address = SocketAddr::new(address, chosen.map_or(port, |first| first.port()));
        match bind_one(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if has_no_such_family(&error, address) && addresses.len() > 1 => {}
            Err(source) => {
                return Err(ListenError { address: Address::Ip(address), protocol, source });
            }
        }
    }
    Ok(listeners)
}

/// Binds a Unix socket, if there is to be one.
///
/// # Errors
/// As [`UnixSocket::bind`].
pub fn bind_unix(
    path: &Path,
    mode: u32,
    protocol: Protocol,
) -> Result<Option<UnixSocket>, ListenError> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let failed = |source| ListenError { address: Address::File(path.into()), protocol, source };
    UnixSocket::bind(path, mode).map(Some).map_err(failed)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn has_no_such_family(error: &io::Error, address: SocketAddr) -> bool {
    use io::ErrorKind::{AddrNotAvailable, Unsupported};
    const NO_FAMILY: i32 = 97;
    address.is_ipv6()
        && (error.raw_os_error() == Some(NO_FAMILY)
            || matches!(error.kind(), AddrNotAvailable | Unsupported))
}

/// A socket that clients connect to.
pub trait Accept: Send {
    /// A client that has connected.
    type Socket: Arrival;

    /// Waits for the next client; there is none if it has gone already.
    ///
    /// # Errors
    /// If the kernel has no client to give, for example for want of descriptors.
    ///
    /// # Cancel safety
    /// No client is lost.
    fn accept(&mut self) -> impl Future<Output = io::Result<Option<(Self::Socket, Link)>>> + Send;
}

impl Accept for TcpListener {
    type Socket = TcpStream;

    async fn accept(&mut self) -> io::Result<Option<(TcpStream, Link)>> {
        let (socket, _) = TcpListener::accept(self).await?;
        let link = tcp_link(&socket);
        Ok(link.ok().filter(|_| socket.set_nodelay(true).is_ok()).map(|link| (socket, link)))
    }
}

/// The two ends of a TCP connection, if it is still connected.
fn tcp_link(socket: &TcpStream) -> io::Result<Link> {
    let (peer, local) = (socket.peer_addr()?, socket.local_addr()?);
    Ok(Link { peer: Address::Ip(peer), local: Address::Ip(local), is_web: false, tls: None })
}

/// A client that has connected. Before its bytes can be read, something may have to be agreed on.
pub trait Arrival: AsFd + Send + Sized + 'static {
    /// What its bytes go through.
    type Stream: Socket;

    /// Gives the stream; none if the client does not get that far.
    ///
    /// # Cancel safety
    /// The client is let go.
    fn open(self, link: Link) -> impl Future<Output = Option<(Self::Stream, Link)>> + Send;

    /// Serves the stream, at once or in a task that waits for it.
    fn when_open(self, link: Link, serve: impl FnOnce(Self::Stream, Link) + Send + 'static);
}

/// Nothing has to be agreed on.
macro_rules! open_already {
    ($($socket:ty),+) => {
        $(impl Arrival for $socket {
            type Stream = Self;

            fn open(self, link: Link) -> impl Future<Output = Option<(Self, Link)>> + Send {
                std::future::ready(Some((self, link)))
            }

            fn when_open(self, link: Link, serve: impl FnOnce(Self, Link) + Send + 'static) {
                serve(self, link);
            }
        })+
    };
}

open_already!(TcpStream, UnixStream);

/// Accepts until the task is aborted. Descriptors may run out; then it waits a little and goes on.
pub async fn accept<L: Accept>(
    mut listener: L,
    node: Arc<Node>,
    serve: impl Fn(&Arc<Node>, <L::Socket as Arrival>::Stream, Link) + Copy + Send + 'static,
) {
    loop {
        match listener.accept().await {
            Ok(Some((socket, link))) if node.files.are_short(socket.as_fd()) => {
                node.refusals.note(Limit::OpenFiles);
                tracing::warn!(address = %link.peer, "refused: file descriptors are short");
            }
            Ok(Some((socket, link))) => {
                let node = node.clone();
                socket.when_open(link, move |stream, link| serve(&node, stream, link));
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Connections that the kernel holds for a listener.
pub const BACKLOG: i32 = 1024;
const RETRY: std::time::Duration = std::time::Duration::from_millis(50);
