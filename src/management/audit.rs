//! What the audit log is told of calls: who asked for what, and how that ended. Bodies and queries are not
//! told, because there may be passwords in them.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{Method, StatusCode};

use super::auth::{Origin, Who};
use crate::server::Node;
use crate::server::address::Address;
use crate::server::audit::{Record, outcome};

/// What a route says of those who call it.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// Who may.
    pub who: Who,
    /// Whether the audit log is told.
    pub is_audited: bool,
}

/// A call that may change something. It is noted when this is dropped, also if nobody waits for its answer
/// any more: the change may be done all the same.
pub struct Audited {
    node: Arc<Node>,
    method: Method,
    path: String,
    peer: Address,
    user: Option<String>,
    status: Option<StatusCode>,
}

impl Audited {
    /// A request that has come.
    pub fn new(node: &Arc<Node>, request: &Request, origin: &Origin) -> Self {
        Audited {
            node: node.clone(),
            method: request.method().clone(),
            // The router has taken the front off.
            path: format!("/api{}", request.uri().path()),
            peer: origin.peer.clone(),
            user: None,
            status: None,
        }
    }

    /// Whose it is. Without that it is not noted, but the login that was refused is.
    pub fn by(&mut self, user: &str) {
        self.user = Some(user.to_owned());
    }

    /// How it ended.
    pub fn end(&mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Audited {
    fn drop(&mut self) {
        let Some(user) = &self.user else { return };
        self.node.audit(|| {
            let done = self.status.map_or("unknown", |it| outcome(it.is_success()));
            let record = Record::new("change").text("outcome", done).text("user", user);
            let record = record.text("peer", &self.peer.to_string());
            let record = record.text("action", self.method.as_str()).text("path", &self.path);
            match self.status {
                Some(status) => record.value("status", status.as_u16()),
                None => record,
            }
        });
    }
}
