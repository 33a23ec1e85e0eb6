//! Who knows users, beside the topology: HTTP servers, and those who sign tokens.
//!
//! The configuration names backends in an order. A login is right if one of them says so, and that one says
//! from then on what the user may do. What is not decided here is asked for while nothing is held up but the
//! client: see [`Outside`].

mod client;
mod http;
mod oauth2;
mod outside;

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{AuthBackend, Config};
use crate::server::logins::Credentials;
use client::{Url, UrlError};
use http::HttpAuth;
use oauth2::OAuth2;

pub use outside::{Identity, Outside};

/// The backends of a node.
#[derive(Debug)]
pub struct Backends {
    order: Vec<AuthBackend>,
    http: Option<Arc<HttpAuth>>,
    oauth2: Option<OAuth2>,
}

/// The configuration of a backend makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// A URL is none.
    #[error("{setting} = {url:?}: {reason}")]
    Url {
        /// The setting.
        setting: &'static str,
        /// What it is.
        url: String,
        /// What is wrong with it.
        reason: UrlError,
    },
    /// A setting is needed.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A scope alias is none.
    #[error("oauth2_scope_aliases: an alias is ALIAS=SCOPE SCOPE …")]
    ScopeAlias,
    /// A file with keys cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificates of those who vouch for servers cannot be used.
    #[error(transparent)]
    Tls(#[from] crate::server::tls::TlsError),
}

/// What a backend says of a login.
#[derive(Debug)]
pub enum Said {
    /// It is right.
    Welcome(Identity),
    /// It is not.
    Refused,
    /// It was right once, or will be.
    NotNow,
    /// It cannot be found out.
    Unknown,
}

impl Default for Backends {
    fn default() -> Self {
        Backends { order: vec![AuthBackend::Internal], http: None, oauth2: None }
    }
}

impl Backends {
    /// As the configuration has them.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn load(config: &Config) -> Result<Self, BackendError> {
        let order = config.auth_backends.0.clone();
        let is_on = |backend| order.contains(&backend);
        let http = is_on(AuthBackend::Http).then(|| HttpAuth::new(config).map(Arc::new));
        let oauth2 = is_on(AuthBackend::OAuth2).then(|| OAuth2::new(config)).transpose()?;
        Ok(Backends { http: http.transpose()?, oauth2, order })
    }

    /// The backends, in their order.
    pub fn order(&self) -> &[AuthBackend] {
        &self.order
    }

    /// Whether users of the topology may log in.
    pub fn knows_internal(&self) -> bool {
        self.order.contains(&AuthBackend::Internal)
    }

    /// Who logs in, if a backend other than the topology has said so a short while ago.
    pub fn known(&self, backend: AuthBackend, login: Credentials<'_>) -> Option<Identity> {
        match backend {
            AuthBackend::Internal | AuthBackend::OAuth2 => None,
            AuthBackend::Http => HttpAuth::known(self.http.as_ref()?, login),
        }
    }

    /// Asks a backend other than the topology.
    pub async fn ask(&self, backend: AuthBackend, login: Credentials<'_>) -> Said {
        match (backend, &self.http, &self.oauth2) {
            (AuthBackend::Http, Some(http), _) => http.log_in(login).await,
            (AuthBackend::OAuth2, _, Some(oauth2)) => oauth2.log_in(login).await,
            _ => Said::Refused,
        }
    }

    /// Who has logged in before, by the word of whoever knew the user then: with the same password, or with a
    /// token that may be another one. It has to be the same user.
    pub async fn renew(&self, identity: &Identity, login: Credentials<'_>) -> Said {
        match self.ask(identity.backend(), login).await {
            Said::Welcome(renewed) if renewed.user != identity.user => Said::Refused,
            said => said,
        }
    }
}

fn url(setting: &'static str, text: &str) -> Result<Arc<Url>, BackendError> {
    let error = |reason| BackendError::Url { setting, url: text.to_owned(), reason };
    text.parse().map(Arc::new).map_err(error)
}
