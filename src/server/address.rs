//! Where the ends of a connection are, and how it has come.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::tls::Session;

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An address and a port.
    Ip(SocketAddr),
    /// An address and a port that a proxy has named, and not the kernel.
    Relayed(SocketAddr),
    /// The file of a Unix socket.
    File(Arc<Path>),
    /// A process on this machine that has come over a Unix socket.
    Process {
        /// Its number; 0 if it cannot be told.
        pid: u32,
        /// Tells its connections apart.
        nth: u64,
        /// Whether it runs as root, or as the user that the broker runs as.
        is_operator: bool,
    },
}

/// How a client has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where the client is.
    pub peer: Address,
    /// Where it connected to.
    pub local: Address,
    /// Whether its bytes travel in WebSocket frames.
    pub is_web: bool,
    /// What was agreed on, if it speaks TLS.
    pub tls: Option<Arc<Session>>,
}

impl Link {
    /// The user of the certificate that the client has shown, if it has, and that names one.
    pub fn certificate_user(&self) -> Option<&str> {
        self.tls.as_ref()?.client()?.user.as_deref()
    }
}

impl Address {
    /// The address that counts for who may log in. Whoever can open a file is on this machine. Whom a proxy
    /// has named never is: the loopback address of a proxy's client is that of another machine.
    pub fn ip(&self) -> IpAddr {
        match self {
            Address::Relayed(address) if address.ip().to_canonical().is_loopback() => {
                Ipv4Addr::UNSPECIFIED.into()
            }
            Address::Relayed(address) => address.ip().to_canonical(),
            Address::Ip(address) => address.ip().to_canonical(),
            Address::File(_) | Address::Process { .. } => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Whether whoever is there may do everything: that process could change the broker itself.
    pub fn is_operator(&self) -> bool {
        matches!(self, Address::Process { is_operator: true, .. })
    }

    /// As management shows it, without the port. An IPv4 address in IPv6 form is shown as what it is.
    pub fn host(&self) -> String {
        match self {
            Address::Ip(address) | Address::Relayed(address) => {
                address.ip().to_canonical().to_string()
            }
            Address::File(_) => self.to_string(),
            Address::Process { pid, .. } => format!("unix:{pid}"),
        }
    }

    /// The port; 0 where there is no such thing.
    pub fn port(&self) -> u16 {
        match self {
            Address::Ip(address) | Address::Relayed(address) => address.port(),
            Address::File(_) | Address::Process { .. } => 0,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) | Address::Relayed(address) => write!(f, "{address}"),
            Address::File(path) => write!(f, "unix:{}", path.display()),
            Address::Process { pid, nth, .. } => write!(f, "unix:{pid}.{nth}"),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.peer, self.local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv4_in_ipv6_form_is_the_one_of_ipv4() {
        let address = Address::Ip("[::ffff:127.0.0.1]:5672".parse().unwrap());
        assert_eq!((address.host().as_str(), address.port()), ("127.0.0.1", 5672));
        assert!(address.ip().is_loopback());
    }

    #[test]
    fn whom_a_proxy_has_named_is_never_on_this_machine() {
        for text in ["127.0.0.1:1", "127.8.9.10:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert!(Address::Ip(address).ip().is_loopback());
            let relayed = Address::Relayed(address);
            assert!(!relayed.ip().to_canonical().is_loopback(), "{text}");
            assert_eq!((relayed.host(), relayed.port()), (Address::Ip(address).host(), 1));
        }
        let relayed = Address::Relayed("[::ffff:192.0.2.1]:1".parse().unwrap());
        assert_eq!(relayed.ip(), IpAddr::from([192, 0, 2, 1]));
    }

    #[test]
    fn a_process_on_this_machine_counts_as_loopback_and_its_connections_have_names() {
        let peer = Address::Process { pid: 42, nth: 7, is_operator: false };
        let local = Address::File(Path::new("/run/leveret.sock").into());
        assert!(peer.ip().is_loopback());
        assert_eq!((peer.host().as_str(), peer.port()), ("unix:42", 0));
        let link = Link { peer, local, is_web: false, tls: None };
        assert_eq!(link.to_string(), "unix:42.7 -> unix:/run/leveret.sock");
    }
}
