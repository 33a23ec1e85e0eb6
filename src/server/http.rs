//! The HTTP server: accepts connections and gives their requests to a router.
//!
//! Who connects and says nothing, or speaks slowly, is let go after a while; the number of
//! connections is limited, and further ones wait in the kernel. One that becomes a WebSocket no longer
//! counts here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::UPGRADE;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::address::{Address, Link};
use super::frontend::Socket;
use super::listener::{Accept, Arrival as _};

/// Marks a request of the operator: of a process that could change the broker itself.
#[derive(Debug, Clone, Copy)]
pub struct ByOperator;

/// Serves on a socket until the task is aborted; that ends its connections too. `head_timeout` is the
/// time for the head of a request, and for the next one to follow on the same connection.
///
/// # Cancel safety
/// Requests that are being answered are given up. What they had done stays done.
pub async fn serve(router: Router, mut listener: impl Accept, head_timeout: Duration) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok(Some((socket, link))) => {
                let router = router.clone();
                connections.spawn(async move {
                    if let Some((stream, link)) = socket.open(link).await {
                        serve_one(router, stream, link, head_timeout).await;
                    }
                    drop(slot);
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

async fn serve_one(router: Router, socket: impl Socket, link: Link, head_timeout: Duration) {
    let peer = link.peer.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        router.clone().oneshot(marked(request.map(Body::new), &link))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
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
    if !matches!(from, Address::Ip(_)) {
        // Only TCP connections become WebSockets: AMQP and MQTT have Unix sockets of their own.
        request.headers_mut().remove(UPGRADE);
    }
    request
}

/// The time for the head of a request to the management API.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections to a port at a time.
const CONNECTIONS_MAX: usize = 256;
/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The pause when descriptors have run out.
const RETRY: Duration = Duration::from_millis(50);
