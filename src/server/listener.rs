//! Listening sockets: accepts connections and starts their tasks.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use super::Node;

/// A protocol that clients connect with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// AMQP 0-9-1.
    Amqp,
    /// MQTT 3.1.1 and 5.
    Mqtt,
    /// The management API.
    Http,
}

impl Protocol {
    /// Its name as RabbitMQ's management shows it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Amqp => "amqp",
            Protocol::Mqtt => "mqtt",
            Protocol::Http => "http",
        }
    }
}

/// A socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {}: {source}", protocol.name())]
pub struct ListenError {
    address: SocketAddr,
    protocol: Protocol,
    source: std::io::Error,
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
            Err(source) => return Err(ListenError { address, protocol, source }),
        }
    }
    Ok(listeners)
}

fn bind_one(address: SocketAddr) -> std::io::Result<TcpListener> {
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

fn has_no_such_family(error: &std::io::Error, address: SocketAddr) -> bool {
    use std::io::ErrorKind::{AddrNotAvailable, Unsupported};
    const NO_FAMILY: i32 = 97;
    address.is_ipv6()
        && (error.raw_os_error() == Some(NO_FAMILY)
            || matches!(error.kind(), AddrNotAvailable | Unsupported))
}

/// Accepts until the task is aborted. Descriptors may run out; then it waits a little and goes on.
pub async fn accept(
    listener: TcpListener,
    node: Arc<Node>,
    serve: impl Fn(&Arc<Node>, TcpStream, SocketAddr, SocketAddr),
) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let Ok(local) = socket.local_addr() else { continue };
                if socket.set_nodelay(true).is_ok() {
                    serve(&node, socket, peer, local);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

const BACKLOG: i32 = 1024;
const RETRY: std::time::Duration = std::time::Duration::from_millis(50);
