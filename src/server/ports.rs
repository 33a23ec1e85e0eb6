//! The sockets of a broker: those that the configuration names, and those that were opened before it
//! started, as systemd does.
//!
//! Whoever hands a socket over says by its name what is to be spoken there, and then nothing else is opened
//! for that.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use super::listener::{self, ListenError, Protocol};
use super::unix::UnixSocket;
use crate::config::{Config, Listener};

/// A socket that was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the socket {name:?} that was handed over cannot be used: {source}")]
pub struct HandOverError {
    name: String,
    source: io::Error,
}

/// Sockets that are listened on, and for what.
#[derive(Debug, Default)]
pub struct Sockets {
    /// With addresses and ports.
    pub ports: Vec<(Protocol, TcpListener)>,
    /// With files.
    pub files: Vec<(Protocol, UnixSocket)>,
}

impl Sockets {
    /// Takes over what others have opened.
    ///
    /// # Errors
    /// If a name says nothing, a socket is of another kind, or one is for TLS and there is none.
    pub fn adopt(
        handed_over: Vec<(String, OwnedFd)>,
        has_tls: bool,
    ) -> Result<Self, HandOverError> {
        let mut sockets = Sockets::default();
        for (name, socket) in handed_over {
            let adopted = sockets.adopt_one(&name, socket.into(), has_tls);
            adopted.map_err(|source| HandOverError { name, source })?;
        }
        Ok(sockets)
    }

    fn adopt_one(&mut self, name: &str, socket: Socket, has_tls: bool) -> io::Result<()> {
        let invalid = |why: String| io::Error::new(ErrorKind::InvalidInput, why);
        let protocol = protocol(name.parse().map_err(invalid)?);
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            return Err(invalid("it is no socket that is listened on".to_owned()));
        }
        if protocol.is_secure() && !has_tls {
            return Err(invalid("it is for TLS, and there is no tls_cert_path".to_owned()));
        }
        socket.set_nonblocking(true)?;
        socket.set_cloexec(true)?;
        match (socket.domain()?, protocol) {
            (Domain::IPV4 | Domain::IPV6, _) => {
                self.ports.push((protocol, TcpListener::from_std(socket.into())?));
            }
            (Domain::UNIX, Protocol::Amqp | Protocol::Mqtt | Protocol::Http) => {
                self.files.push((protocol, UnixSocket::adopt(socket)?));
            }
            _ => return Err(invalid(format!("{name} is not spoken over such a socket"))),
        }
        Ok(())
    }

    /// Opens what the configuration names beside that.
    ///
    /// # Errors
    /// If an address or a file cannot be listened on.
    pub fn open(&mut self, config: &Config, has_tls: bool) -> Result<(), ListenError> {
        self.open_files(config)?;
        for &listener in &config.listeners {
            let protocol = protocol(listener);
            let is_wanted = match protocol {
                Protocol::Metrics => config.metrics_port != 0,
                _ => has_tls || !protocol.is_secure(),
            };
            if is_wanted && !self.ports.iter().any(|(known, _)| *known == protocol) {
                let bound = listener::bind(&config.bind, port(config, listener), protocol)?;
                self.ports.extend(bound.into_iter().map(|socket| (protocol, socket)));
            }
        }
        match config.listeners.contains(&Listener::Mqtt) {
            true => self.open_mqtt_ports(config),
            false => Ok(()),
        }
    }

    /// Further ports, each for a virtual host.
    fn open_mqtt_ports(&mut self, config: &Config) -> Result<(), ListenError> {
        let named = Listener::ALL.map(|listener| port(config, listener));
        for port in config.mqtt_port_vhosts.ports().filter(|port| !named.contains(port)) {
            let bound = listener::bind(&config.bind, port, Protocol::Mqtt)?;
            self.ports.extend(bound.into_iter().map(|socket| (Protocol::Mqtt, socket)));
        }
        Ok(())
    }

    fn open_files(&mut self, config: &Config) -> Result<(), ListenError> {
        let mode = config.unix_socket_mode.0;
        for (protocol, path) in
            [(Protocol::Amqp, &config.amqp_unix_path), (Protocol::Mqtt, &config.mqtt_unix_path)]
        {
            let bound = listener::bind_unix(path, mode, protocol)?;
            self.files.extend(bound.map(|socket| (protocol, socket)));
        }
        let bound = bind_operator_socket(config)?;
        self.files.extend(bound.map(|socket| (Protocol::Http, socket)));
        Ok(())
    }
}

/// The socket of the management API. One in the data directory is a convenience: not every file system
/// has sockets, and their paths are short.
fn bind_operator_socket(config: &Config) -> Result<Option<UnixSocket>, ListenError> {
    let wanted = &config.http_unix_path;
    if wanted.as_os_str().is_empty() {
        return Ok(None);
    }
    let path = config.data_dir.join(wanted);
    match listener::bind_unix(&path, OPERATOR_SOCKET_MODE, Protocol::Http) {
        Err(error) if wanted.is_relative() => {
            tracing::warn!(%error, "no Unix socket for management; see http_unix_path");
            Ok(None)
        }
        bound => bound,
    }
}

fn protocol(listener: Listener) -> Protocol {
    match listener {
        Listener::Amqp => Protocol::Amqp,
        Listener::Mqtt => Protocol::Mqtt,
        Listener::Http => Protocol::Http,
        Listener::WebSocket => Protocol::WebSocket,
        Listener::Metrics => Protocol::Metrics,
        Listener::Amqps => Protocol::Amqps,
        Listener::Mqtts => Protocol::Mqtts,
        Listener::Https => Protocol::Https,
        Listener::Wss => Protocol::SecureWebSocket,
    }
}

fn port(config: &Config, listener: Listener) -> u16 {
    match listener {
        Listener::Amqp => config.amqp_port,
        Listener::Mqtt => config.mqtt_port,
        Listener::Http => config.http_port,
        Listener::WebSocket => config.websocket_port,
        Listener::Metrics => config.metrics_port,
        Listener::Amqps => config.amqps_port,
        Listener::Mqtts => config.mqtts_port,
        Listener::Https => config.https_port,
        Listener::Wss => config.wss_port,
    }
}

/// Only the broker's own user opens the socket of the management API, and root, whom nothing stops.
const OPERATOR_SOCKET_MODE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;

    fn adopt(name: &str, socket: impl Into<OwnedFd>) -> Result<Sockets, HandOverError> {
        Sockets::adopt(vec![(name.to_owned(), socket.into())], false)
    }

    #[tokio::test]
    async fn a_socket_that_was_handed_over_is_listened_on_instead_of_its_port() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::local(folder.path());
        config.listeners = vec![Listener::Amqp, Listener::Mqtt, Listener::Amqps];
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let mut sockets = adopt("amqp", socket).unwrap();
        sockets.open(&config, false).unwrap();
        let protocols: Vec<_> = sockets.ports.iter().map(|it| it.0).collect();
        assert_eq!(protocols, [Protocol::Amqp, Protocol::Mqtt]);
        assert_eq!(sockets.ports[0].1.local_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn a_unix_socket_that_was_handed_over_stays_when_its_listener_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let sockets =
            adopt("mqtt", std::os::unix::net::UnixListener::bind(&path).unwrap()).unwrap();
        assert_eq!(sockets.files[0].1.path(), path);
        drop(sockets);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_cannot_be_listened_on_is_refused_by_its_name() {
        let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| std::os::unix::net::UnixListener::bind(folder.path().join(name));
        let refused = [
            adopt("leveret.socket", port()),
            adopt("", port()),
            adopt("amqp", std::net::UdpSocket::bind("127.0.0.1:0").unwrap()),
            adopt("amqp", std::os::unix::net::UnixStream::pair().unwrap().0),
            adopt("amqp", std::fs::File::open("/dev/null").unwrap()),
            adopt("amqps", port()),
            adopt("websocket", file("a").unwrap()),
        ];
        for refused in refused {
            assert!(refused.unwrap_err().to_string().contains("handed over"));
        }
    }
}
