//! The HTTP server: accepts connections and gives their requests to a router.
//!
//! Who connects and says nothing, speaks slowly, or takes none of its answer is let go after a while; the
//! number of connections is limited, and further ones wait in the kernel. While they do, clients that the
//! broker waits for make place ([`Places`]). One that becomes a WebSocket no longer counts here.

mod guest;
mod patient;

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::UPGRADE;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::Node;
use super::address::{Address, Link};
use super::frontend::Socket;
use super::limits::Limit;
use super::listener::{Accept, Arrival as _};
use super::places::Places;
use crate::config::Config;
use guest::Guest;

pub use patient::Patient;

/// Marks a request of the operator: of a process that could change the broker itself.
#[derive(Debug, Clone, Copy)]
pub struct ByOperator;

/// What an HTTP client may do.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The time for the head of a request, and for the next one to follow on the same connection.
    pub head: Duration,
    /// The time for the client to take some of an answer.
    pub send: Duration,
    /// The longest head, in bytes.
    pub head_bytes_max: usize,
}

impl Patience {
    /// As the configuration says.
    pub fn new(config: &Config) -> Self {
        let time = config.http_timeout.0;
        let head_bytes_max = config.http_head_size_max.len().max(HEAD_BYTES_MIN);
        Patience { head: time, send: time, head_bytes_max }
    }
}

/// The user that requests on a connection have come from, so that a login is noted once and not with each.
#[derive(Debug, Clone, Default)]
pub struct LastUser(Arc<Mutex<String>>);

impl LastUser {
    /// Whether it is another user than before.
    pub fn changes_to(&self, user: &str) -> bool {
        let mut last = self.0.lock().expect("nothing panics while it holds the name");
        let changes = *last != user;
        if changes {
            user.clone_into(&mut last);
        }
        changes
    }
}

/// Serves on a socket until the task is aborted; that ends its connections too.
///
/// # Cancel safety
/// Requests that are being answered are given up. What they had done stays done.
pub async fn serve(node: Arc<Node>, router: Router, mut listener: impl Accept, patience: Patience) {
    let max = node.config.http_connections_max;
    let places = Places::new(node.clone(), Limit::HttpConnections, max);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok(Some((socket, link))) if is_too_many(&node, &socket, &link) => {}
            Ok(Some((socket, link))) => {
                let Some(place) = places.take().await else { return };
                let (node, router, guest) = (node.clone(), router.clone(), Guest::new(place));
                connections.spawn(async move {
                    let served = async {
                        if let Some((stream, link)) = socket.open(link).await {
                            serve_one(&node, router, stream, link, patience, &guest).await;
                        }
                    };
                    tokio::select! {
                        () = guest.lost() => {}
                        () = served => {}
                    }
                });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Whether there is no file descriptor for a client. Operators on this machine are let in while there is
/// any.
fn is_too_many(node: &Node, socket: &impl AsFd, link: &Link) -> bool {
    let is_too_many = !link.peer.is_operator() && node.files.are_very_short(socket.as_fd());
    if is_too_many {
        node.refusals.note(Limit::OpenFiles);
        tracing::warn!(address = %link.peer, "refused: file descriptors are short");
    }
    is_too_many
}

async fn serve_one(
    node: &Node,
    router: Router,
    socket: impl Socket,
    link: Link,
    patience: Patience,
    guest: &Arc<Guest>,
) {
    let peer = link.peer.clone();
    let last_user = LastUser::default();
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (head, body) = request.into_parts();
        let asked = guest.asks(body).map(|body| {
            let mut request = marked(Request::from_parts(head, body), &link);
            request.extensions_mut().insert(last_user.clone());
            router.clone().oneshot(request)
        });
        async move {
            let Ok(response) = asked?.await;
            Ok::<_, io::Error>(response.map(|body| guest.answer(body)))
        }
    });
    let socket = Patient::new(socket, patience.send, guest.clone());
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(patience.head_bytes_max)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        let took_nothing = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        if took_nothing.is_some_and(|it| it.kind() == io::ErrorKind::TimedOut) {
            node.refusals.note(Limit::HttpTime);
        }
        tracing::debug!(%peer, %error, "an HTTP connection ended");
    }
}

/// Adds to a request where it comes from.
fn marked(mut request: Request, link: &Link) -> Request {
    let from = &link.peer;
    let address = SocketAddr::new(from.ip(), from.port());
    request.extensions_mut().insert(ConnectInfo(address));
    request.extensions_mut().insert(link.clone());
    if from.is_operator() {
        request.extensions_mut().insert(ByOperator);
    }
    if !matches!(from, Address::Ip(_) | Address::Relayed(_)) {
        // Only TCP connections become WebSockets: AMQP and MQTT have Unix sockets of their own.
        request.headers_mut().remove(UPGRADE);
    }
    request
}

/// The HTTP implementation wants so much room for a head at least.
const HEAD_BYTES_MIN: usize = 8 * 1024;
/// The pause when descriptors have run out.
const RETRY: Duration = Duration::from_millis(50);
