//! Who a client is, and who says what that user may do.
//!
//! What a user of an HTTP server may do is not known before the server is asked, and nothing that holds a lock,
//! or a worker, waits for that. So a check may end undecided. The frontend then keeps what it was about to do,
//! has it asked, takes nothing more from its client, and does it again once the answer is there.

use std::sync::Arc;
use std::time::Instant;

use leveret_core::{Actor, Authority, Judge, Topology, Wanted};
use tokio::sync::oneshot;

use super::http::Decisions;
use super::oauth2::Grant;
use crate::config::AuthBackend;
use crate::server::outbox::Outbox;

/// A user, and by whose word.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The name.
    pub user: Arc<str>,
    /// Who decides instead of the topology.
    outside: Option<Arc<Outside>>,
}

/// Who decides instead of the topology what a user may do.
#[derive(Debug)]
pub enum Outside {
    /// An HTTP server.
    Http(Decisions),
    /// Whoever has signed a token.
    Token(Grant),
}

impl Identity {
    /// A user of the topology.
    pub fn internal(user: impl Into<Arc<str>>) -> Self {
        Identity { user: user.into(), outside: None }
    }

    /// A user whom the topology need not know.
    pub fn outside(user: impl Into<Arc<str>>, outside: Outside) -> Self {
        Identity { user: user.into(), outside: Some(Arc::new(outside)) }
    }

    /// Whether it is a user of the topology.
    pub fn is_internal(&self) -> bool {
        self.outside.is_none()
    }

    /// By whose word.
    pub fn backend(&self) -> AuthBackend {
        match self.outside.as_deref() {
            Some(Outside::Http(_)) => AuthBackend::Http,
            Some(Outside::Token(_)) => AuthBackend::OAuth2,
            None => AuthBackend::Internal,
        }
    }

    /// When it is over, if that is known.
    pub fn expires_at(&self) -> Option<Instant> {
        match self.outside.as_deref() {
            Some(Outside::Token(grant)) => Some(grant.expires_at),
            Some(Outside::Http(_)) | None => None,
        }
    }

    /// Returns once it is over, and not at all if nothing is known of that.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn expired(&self) {
        match self.expires_at() {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Whether it is over.
    pub fn has_expired(&self, now: Instant) -> bool {
        self.expires_at().is_some_and(|at| at <= now)
    }

    /// In whose name something is done in a virtual host.
    pub fn actor<'a>(&'a self, vhost: &'a str, client_id: Option<&'a str>) -> Actor<'a> {
        let authority = match self.outside.as_deref() {
            None => Authority::Permissions,
            Some(outside) => Authority::Elsewhere(outside),
        };
        Actor { user: &self.user, vhost, client_id, authority }
    }

    /// Whether the user may enter a virtual host; `None` if that is not known yet.
    pub fn may_enter(
        &self,
        topology: &Topology,
        vhost: &str,
        client_id: Option<&str>,
    ) -> Option<bool> {
        if let Some(outside) = self.outside.as_deref() {
            return outside.may_enter(vhost, client_id);
        }
        let user = topology.user(&self.user);
        Some(user.is_some_and(|user| user.permissions.contains_key(vhost)))
    }

    /// The same, of a user whom the topology does not know; `None` of any other.
    pub fn outside_may_enter(&self, vhost: &str) -> Option<Option<bool>> {
        Some(self.outside.as_deref()?.may_enter(vhost, None))
    }

    /// The tags of a user whom the topology does not know.
    pub fn outside_tags(&self) -> Option<&[String]> {
        match self.outside.as_deref()? {
            Outside::Http(decisions) => Some(decisions.tags()),
            Outside::Token(grant) => Some(grant.scopes.tags()),
        }
    }

    /// Whether the user has a tag.
    pub fn has_tag(&self, topology: &Topology, tag: &str) -> bool {
        match self.outside_tags() {
            Some(tags) => tags.iter().any(|known| known == tag),
            None => topology.user(&self.user).is_some_and(|user| user.has_tag(tag)),
        }
    }

    /// Whether a check has ended undecided.
    pub fn must_ask(&self) -> bool {
        match self.outside.as_deref() {
            Some(Outside::Http(decisions)) => decisions.must_ask(),
            Some(Outside::Token(_)) | None => false,
        }
    }

    /// Finds out what a check could not decide.
    pub async fn ask(&self) {
        match self.outside.as_deref() {
            Some(Outside::Http(decisions)) => decisions.ask().await,
            Some(Outside::Token(_)) | None => {}
        }
    }

    /// As [`Identity::ask`], for a connection that is woken once it is done.
    pub fn ask_for(&self, outbox: &Arc<Outbox>) -> oneshot::Receiver<()> {
        let (sender, answered) = oneshot::channel();
        let (identity, outbox) = (self.clone(), outbox.clone());
        tokio::spawn(async move {
            identity.ask().await;
            if sender.send(()).is_ok() {
                outbox.wake();
            }
        });
        answered
    }

    /// Forgets what is not to be relied on any more, before something new is done.
    pub fn forget_old(&self, now: Instant) {
        match self.outside.as_deref() {
            Some(Outside::Http(decisions)) => decisions.forget_old(now),
            Some(Outside::Token(_)) | None => {}
        }
    }

    /// Changes whenever something is no longer allowed that was.
    pub fn epoch(&self) -> u64 {
        match self.outside.as_deref() {
            Some(Outside::Http(decisions)) => decisions.epoch(),
            Some(Outside::Token(_)) | None => 0,
        }
    }
}

impl From<&str> for Identity {
    fn from(user: &str) -> Self {
        Identity::internal(user)
    }
}

impl Outside {
    fn may_enter(&self, vhost: &str, client_id: Option<&str>) -> Option<bool> {
        match self {
            Outside::Http(decisions) => decisions.may_enter(vhost, client_id),
            Outside::Token(grant) => Some(grant.scopes.allow_entry(vhost)),
        }
    }
}

impl Judge for Outside {
    fn allows(&self, wanted: &Wanted<'_>) -> Option<bool> {
        match self {
            Outside::Http(decisions) => decisions.allows(wanted),
            Outside::Token(grant) => Some(grant.scopes.allow(wanted)),
        }
    }
}
