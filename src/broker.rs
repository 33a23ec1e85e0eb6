//! A broker from its start to its end.

use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use leveret_storage::{Log, LogConfig, Memory, Storage, SyncPolicy as LogSync};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::config::{Config, Engine, SyncPolicy};
use crate::management::{LoadDefinitionsError, load_configured};
use crate::server::address::Address;
use crate::server::audit::{Audit, Record};
use crate::server::backends::{BackendError, Backends};
use crate::server::listener::{self, Accept, ListenError, Protocol};
use crate::server::outbox::CloseReason;
use crate::server::ports::{HandOverError, Sockets};
use crate::server::proxy::{Proxies, ProxyListener};
use crate::server::recovery::RecoveryError;
use crate::server::tls::{Tls, TlsError, TlsListener};
use crate::server::unix::UnixSocket;
use crate::server::{
    Node, alarms, clock, dead_letters, events, follow_durable, frontend, http, reclaim, sys_topics,
    timers, websocket,
};

/// A running broker. It stops when it is [shut down](Broker::shutdown), or when it is dropped, then
/// without taking leave of its clients.
pub struct Broker {
    node: Arc<Node>,
    /// The management API: one for all of its sockets, so that they share what it remembers.
    management: Router,
    addresses: Vec<(Protocol, SocketAddr)>,
    /// Unix sockets.
    files: Vec<(Protocol, PathBuf)>,
    /// Tasks that go on until the broker stops: listeners first to go.
    listeners: Vec<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
}

/// The certificates of a broker.
#[derive(Clone)]
pub struct Certificates(Arc<Node>);

impl Certificates {
    /// Reads the files for TLS once more, for clients that connect from now on; says whether there are
    /// any. Waits for the disk.
    ///
    /// # Errors
    /// If the files cannot be used. Those that were read before stay in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let tls = self.0.tls.get();
        tls.map(|tls| tls.reload(&self.0.config)).transpose().map(|done| done.is_some())
    }
}

/// Feels whether a broker is at work.
#[derive(Clone)]
pub struct Pulse(Arc<Node>);

impl Pulse {
    /// Returns once everything that all clients need has been free for a moment. It does not while
    /// something holds it for ever.
    pub fn feel(&self) {
        drop(self.0.topology());
        self.0.shards.iter().for_each(|shard| shard.post(|_| ()));
    }
}

/// The audit log of a broker.
#[derive(Clone)]
pub struct AuditLog(Arc<Node>);

impl AuditLog {
    /// Goes on in a new file if the one that was written has been moved away; says whether there is an
    /// audit log. Waits for the disk.
    pub fn reopen(&self) -> bool {
        self.0.reopen_audit()
    }
}

/// A broker cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Storage(#[from] leveret_storage::Error),
    /// The program was built without the storage engine.
    #[error("this leveret was built without the storage engine {0}")]
    NotBuiltIn(Engine),
    /// A port cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A socket that was handed over cannot be used.
    #[error(transparent)]
    HandOver(#[from] HandOverError),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The audit log cannot be opened.
    #[error("{path}: the audit log cannot be opened: {source}", path = path.display())]
    Audit {
        /// Where it was to be.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Those who know users cannot be asked.
    #[error(transparent)]
    Backends(#[from] BackendError),
    /// What is in the data directory cannot be read.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The definitions that the configuration names cannot be imported.
    #[error("definitions are not imported: {0}")]
    Definitions(#[from] LoadDefinitionsError),
}

/// A broker had to stop, or could not stop cleanly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The disk failed: no promise could be kept any more.
    #[error("{0}")]
    Failed(String),
    /// The last sync failed.
    #[error("the data could not be synced at the end: {0}")]
    Close(#[from] leveret_storage::Error),
}

impl Broker {
    /// Starts a broker with the storage engine that its configuration names.
    ///
    /// # Errors
    /// If the data directory or a port cannot be used.
    pub async fn start(config: Config) -> Result<Broker, StartError> {
        Broker::start_on(config, Vec::new()).await
    }

    /// The same on sockets that are listened on already, by the names of [`Listener`](crate::config::Listener); what there is a socket
    /// for is not opened once more.
    ///
    /// # Errors
    /// If the data directory, a port or one of the sockets cannot be used.
    pub async fn start_on(
        config: Config,
        sockets: Vec<(String, OwnedFd)>,
    ) -> Result<Broker, StartError> {
        let storage: Arc<dyn Storage> = match config.storage_engine {
            Engine::Memory => Arc::new(Memory::new()),
            Engine::Log => Arc::new(Log::open(log_config(&config))?),
            Engine::Sled => open_sled(&config)?,
        };
        Broker::start_with_all(config, storage, sockets).await
    }

    /// Starts a broker on a storage engine that has been opened and holds nothing, or what an
    /// earlier broker left in it.
    ///
    /// # Errors
    /// If a port cannot be used or what is in the engine cannot be read.
    pub async fn start_with(
        config: Config,
        storage: Arc<dyn Storage>,
    ) -> Result<Broker, StartError> {
        Broker::start_with_all(config, storage, Vec::new()).await
    }

    async fn start_with_all(
        config: Config,
        storage: Arc<dyn Storage>,
        handed_over: Vec<(String, OwnedFd)>,
    ) -> Result<Broker, StartError> {
        let tls = Tls::load(&config)?;
        let backends = Backends::load(&config)?;
        let mut sockets = Sockets::adopt(handed_over, tls.is_some())?;
        sockets.open(&config, tls.is_some())?;
        let audit = Audit::open(&config.audit_log_path);
        let audit = audit.map_err(|source| {
            let path = config.audit_log_path.clone();
            StartError::Audit { path, source }
        })?;
        let node = Node::new(config, storage, &Handle::current());
        node.backends.get_or_init(|| backends);
        if let Some(audit) = audit {
            node.audit.get_or_init(|| audit);
            node.audit(|| Record::new("start").text("version", env!("CARGO_PKG_VERSION")));
        }
        if let Some(tls) = tls {
            node.tls.get_or_init(|| Arc::new(tls));
        }
        let recovering = node.clone();
        let recover = move || -> Result<_, StartError> {
            let report = recovering.recover()?;
            load_configured(&recovering)?;
            recovering.set_up()?;
            Ok(report)
        };
        let recovered = tokio::task::spawn_blocking(recover).await;
        let report = recovered.expect("recovery does not panic")?;
        tracing::info!(?report, "recovered");
        node.declare_event_exchange();
        let durable = node.storage.durable();
        let mut broker = Broker {
            management: crate::management::router(node.clone()),
            node,
            addresses: Vec::new(),
            files: Vec::new(),
            listeners: Vec::new(),
            tasks: Vec::new(),
        };
        broker.tasks = vec![
            tokio::spawn(follow_durable(broker.node.clone(), durable)),
            tokio::spawn(timers::run(broker.node.clone())),
            tokio::spawn(reclaim::run(broker.node.clone())),
            tokio::spawn(alarms::run(broker.node.clone())),
            tokio::spawn(dead_letters::run(broker.node.clone())),
            tokio::spawn(events::run(broker.node.clone())),
            tokio::spawn(sys_topics::run(broker.node.clone())),
        ];
        for (protocol, socket) in sockets.ports {
            broker.listen(protocol, socket);
        }
        for (protocol, socket) in sockets.files {
            broker.listen_on_file(protocol, socket);
        }
        Ok(broker)
    }

    /// Where AMQP clients connect to.
    ///
    /// # Panics
    /// If there is no such port, as of all these addresses.
    pub fn amqp_address(&self) -> SocketAddr {
        self.address(Protocol::Amqp)
    }

    /// Where MQTT clients connect to.
    pub fn mqtt_address(&self) -> SocketAddr {
        self.address(Protocol::Mqtt)
    }

    /// Where the management API is.
    pub fn http_address(&self) -> SocketAddr {
        self.address(Protocol::Http)
    }

    /// Where clients of MQTT and AMQP over WebSocket connect to.
    pub fn websocket_address(&self) -> SocketAddr {
        self.address(Protocol::WebSocket)
    }

    /// The Unix sockets, with the name of the protocol that is spoken there.
    pub fn unix_sockets(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.files.iter().map(|(protocol, path)| (protocol.name(), path.as_path()))
    }

    /// All addresses, with the name of the protocol that is spoken there.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        self.addresses.iter().map(|(protocol, address)| (protocol.name(), *address))
    }

    /// A client within this program.
    pub fn client(&self) -> Client {
        Client::new(self.node.clone())
    }

    /// Whether the broker is at work.
    pub fn pulse(&self) -> Pulse {
        Pulse(self.node.clone())
    }

    /// The certificates, to be read again.
    pub fn certificates(&self) -> Certificates {
        Certificates(self.node.clone())
    }

    /// The audit log, to be opened again.
    pub fn audit_log(&self) -> AuditLog {
        AuditLog(self.node.clone())
    }

    /// Runs until `stop` is ready, then shuts down. Ends earlier if the disk fails.
    ///
    /// # Errors
    /// If the disk failed, or the last sync did.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let node = self.node.clone();
        tokio::select! {
            () = stop => self.shutdown().await,
            reason = node.failure() => {
                // What cannot be made durable any more is not promised to anybody.
                drop(self);
                Err(RunError::Failed(reason))
            }
        }
    }

    /// Takes leave of all clients, syncs everything and stops.
    ///
    /// # Errors
    /// If the last sync fails.
    pub async fn shutdown(mut self) -> Result<(), RunError> {
        self.node.listening().clear();
        for listener in self.listeners.drain(..) {
            listener.abort();
            // Its port and its file are free once it is gone. That it was aborted is no news.
            _ = listener.await;
        }
        self.node.connections.close_all(&CloseReason::Shutdown);
        let until = clock::now() + self.node.config.shutdown_timeout.0;
        while self.node.connections.len() > 0 && clock::now() < until {
            tokio::time::sleep(POLL).await;
        }
        let node = self.node.clone();
        let close = move || {
            // The next start then has nothing to replay.
            if let Err(error) = node.store_snapshot() {
                tracing::warn!(%error, "no snapshot at the end: the next start takes longer");
            }
            let closed = node.storage.close();
            node.end_audit();
            closed
        };
        tokio::task::spawn_blocking(close).await.expect("closing the storage does not panic")?;
        Ok(())
    }

    fn address(&self, wanted: Protocol) -> SocketAddr {
        let found = self.addresses.iter().find(|(protocol, _)| *protocol == wanted);
        found.expect("the configuration names the listener").1
    }

    fn listen(&mut self, protocol: Protocol, socket: TcpListener) {
        let Ok(address) = socket.local_addr() else { return };
        self.addresses.push((protocol, address));
        self.node.listening().push((protocol, Address::Ip(address)));
        let tls = self.node.tls.get().filter(|_| protocol.is_secure());
        self.listeners.push(match (tls, Proxies::of(&self.node)) {
            (Some(tls), _) => {
                self.serve(protocol, TlsListener::new(socket, tls.clone(), self.node.clone()))
            }
            (None, Some(proxies)) => self.serve(protocol, ProxyListener::new(socket, proxies)),
            (None, None) => self.serve(protocol, socket),
        });
    }

    fn serve(&self, protocol: Protocol, listener: impl Accept + 'static) -> JoinHandle<()> {
        let node = self.node.clone();
        let patience = http::Patience::new(&node.config);
        match protocol {
            Protocol::Amqp | Protocol::Amqps => {
                tokio::spawn(listener::accept(listener, node, frontend::serve_amqp))
            }
            Protocol::Mqtt | Protocol::Mqtts => {
                tokio::spawn(listener::accept(listener, node, frontend::serve_mqtt))
            }
            Protocol::Http | Protocol::Https => {
                tokio::spawn(http::serve(node, self.management.clone(), listener, patience))
            }
            Protocol::WebSocket | Protocol::SecureWebSocket => {
                let patience = http::Patience { head: node.config.handshake_timeout.0, ..patience };
                let router = websocket::router(node.clone());
                tokio::spawn(http::serve(node, router, listener, patience))
            }
            Protocol::Metrics => {
                let router = crate::management::metrics::router(node.clone());
                tokio::spawn(http::serve(node, router, listener, patience))
            }
        }
    }

    fn listen_on_file(&mut self, protocol: Protocol, socket: UnixSocket) {
        self.files.push((protocol, socket.path().to_owned()));
        self.node.listening().push((protocol, Address::File(socket.path().into())));
        self.listeners.push(self.serve(protocol, socket));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.listeners.iter().chain(&self.tasks).for_each(JoinHandle::abort);
        self.node.stop();
        self.node.connections.close_all(&CloseReason::Shutdown);
    }
}

#[cfg(feature = "sled")]
fn open_sled(config: &Config) -> Result<Arc<dyn Storage>, StartError> {
    let mut sled = leveret_storage::SledConfig::new(&config.data_dir);
    sled.segment_bytes = config.storage_segment_size.0;
    Ok(Arc::new(leveret_storage::Sled::open(sled)?))
}

#[cfg(not(feature = "sled"))]
fn open_sled(_config: &Config) -> Result<Arc<dyn Storage>, StartError> {
    Err(StartError::NotBuiltIn(Engine::Sled))
}

fn log_config(config: &Config) -> LogConfig {
    let mut log = LogConfig::new(&config.data_dir);
    log.segment_bytes = config.storage_segment_size.0;
    log.rewrite_bytes_per_second = config.storage_rewrite_rate.0;
    log.sync = match config.storage_sync {
        SyncPolicy::Always => LogSync::Always,
        SyncPolicy::Interval(interval) => LogSync::Interval(interval),
        SyncPolicy::Never => LogSync::Never,
    };
    log
}

/// How often a shutdown looks whether all clients have gone.
const POLL: Duration = Duration::from_millis(5);
