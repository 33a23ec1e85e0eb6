//! The bodies of requests: none is longer, or takes longer to come, than there is room and time for.

use std::time::Duration;

use axum::body::{Body, HttpBody as _, to_bytes};
use bytes::Bytes;

use super::auth::Who;
use super::error::Refusal;
use crate::server::Node;
use crate::server::limits::Limit;

/// Reads a body that nobody wants, if it is short: with something unread, the connection could not be
/// used again, and its client would not know.
pub async fn drain(body: Body) {
    if body.size_hint().lower() <= DRAINED_BYTES_MAX as u64 {
        // If it does not come, the connection is closed.
        _ = tokio::time::timeout(DRAIN_TIMEOUT, to_bytes(body, DRAINED_BYTES_MAX)).await;
    }
}

/// The body of a request of somebody who may make it.
///
/// # Errors
/// If it is too long, or does not come in time.
pub async fn read(node: &Node, body: Body, who: Who) -> Result<Bytes, Refusal> {
    let max = match who {
        Who::Anybody => PUBLIC_BODY_BYTES_MAX,
        _ => node.config.http_body_size_max.len(),
    };
    let too_large = || {
        node.refusals.note(Limit::HttpBody);
        Refusal::body_too_large(max)
    };
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let read = tokio::time::timeout(node.config.http_timeout.0, to_bytes(body, max)).await;
    let read = read.map_err(|_| {
        node.refusals.note(Limit::HttpTime);
        Refusal::bad_request("the request body did not come in time")
    })?;
    read.map_err(|_| too_large())
}

/// The longest body where nobody has to log in.
const PUBLIC_BODY_BYTES_MAX: usize = 16 * 1024;
/// The longest body that is read although it is not wanted, and the time for that.
const DRAINED_BYTES_MAX: usize = 64 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
