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
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

/// Serves on a socket until the task is aborted; that ends its connections too. `head_timeout` is the
/// time for the head of a request, and for the next one to follow on the same connection.
///
/// # Cancel safety
/// Requests that are being answered are given up. What they had done stays done.
pub async fn serve(router: Router, listener: TcpListener, head_timeout: Duration) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, peer)) => {
                let router = router.clone();
                connections.spawn(async move {
                    serve_one(router, socket, peer, head_timeout).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn serve_one(router: Router, socket: TcpStream, peer: SocketAddr, head_timeout: Duration) {
    // Without it answers may wait for an acknowledgement of the peer; that is slow and not wrong.
    _ = socket.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
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

/// The time for the head of a request to the management API.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections to a port at a time.
const CONNECTIONS_MAX: usize = 256;
/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The pause when descriptors have run out.
const RETRY: Duration = Duration::from_millis(50);
