//! The HTTP server: accepts connections and gives their requests to the router.
//!
//! Who connects and says nothing, or speaks slowly, is let go after a while; the number of
//! connections is limited, and further ones wait in the kernel.

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

use crate::server::Node;

/// Serves the API on a socket until the task is aborted; that ends its connections too.
///
/// # Cancel safety
/// Requests that are being answered are given up. What they had done stays done.
pub async fn serve(node: Arc<Node>, listener: TcpListener) {
    let router = super::router(node);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, peer)) => {
                let router = router.clone();
                connections.spawn(async move {
                    serve_one(router, socket, peer).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection to the management API");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn serve_one(router: Router, socket: TcpStream, peer: SocketAddr) {
    // Without it answers may wait for an acknowledgement of the peer; that is slow and not wrong.
    _ = socket.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection to the management API ended");
    }
}

/// Connections at a time.
const CONNECTIONS_MAX: usize = 256;
/// The time for the head of a request, and for the next one to follow on the same connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest head of a request.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// The pause when descriptors have run out.
const RETRY: Duration = Duration::from_millis(50);
