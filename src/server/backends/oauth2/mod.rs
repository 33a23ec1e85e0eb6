//! Tokens in the place of passwords: whoever has signed one says who its bearer is and what that user may do,
//! until it expires.
//!
//! Keys are in files, or at a URL from which they are fetched when they are wanted: once they are old, and when
//! a token names one that is not there, but not more often than every few seconds, whatever tokens come. If
//! they cannot be fetched, those that were there before stay.

mod key;
mod scope;
mod token;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::http::Method;

use super::client::{self, HttpClient, Url};
use super::{BackendError, Identity, Outside, Said};
use crate::config::Config;
use crate::server::clock;
use crate::server::logins::Credentials;
use key::Key;
use token::{Claims, Token};

pub use scope::Scopes;

/// Those who sign tokens.
#[derive(Debug)]
pub struct OAuth2 {
    resource_server_id: String,
    scope_prefix: String,
    issuer: String,
    username_claims: Vec<String>,
    additional_scopes_key: String,
    scope_aliases: Vec<(String, Vec<String>)>,
    verify_aud: bool,
    of_files: Vec<Key>,
    remote: Option<Remote>,
}

/// Keys at a URL.
#[derive(Debug)]
struct Remote {
    client: HttpClient,
    url: Arc<Url>,
    keys: Mutex<Fetched>,
    /// Held by whoever fetches them.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct Fetched {
    keys: Arc<[Key]>,
    /// When they were fetched, and when that was last tried.
    at: Option<Instant>,
    tried_at: Option<Instant>,
}

/// What a token allows.
#[derive(Debug)]
pub struct Grant {
    /// Its scopes.
    pub scopes: Scopes,
    /// Until when.
    pub expires_at: Instant,
}

/// Why a token is no good; nobody but the log is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Flaw {
    #[error("it is no token")]
    Form,
    #[error("it is not signed with a key that is known, by an algorithm that the key is for")]
    Signature,
    #[error("it has no expiry")]
    NoExpiry,
    #[error("it has expired, or is not good yet")]
    Time,
    #[error("it is not for this resource server")]
    Audience,
    #[error("somebody else has issued it")]
    Issuer,
    #[error("it names no user")]
    NoUser,
    #[error("it has too many scopes")]
    Scopes,
}

impl OAuth2 {
    /// As the configuration has it.
    ///
    /// # Errors
    /// If there is no resource server, or no key.
    pub fn new(config: &Config) -> Result<Self, BackendError> {
        let id = config.oauth2_resource_server_id.clone();
        if id.is_empty() {
            return Err(BackendError::Missing("oauth2_resource_server_id"));
        }
        let prefix = &config.oauth2_scope_prefix;
        let mut of_files = Vec::new();
        for path in &config.oauth2_key_paths {
            of_files.extend(read_keys(Path::new(path))?);
        }
        let remote = match config.oauth2_jwks_url.as_str() {
            "" if of_files.is_empty() => return Err(BackendError::Missing("oauth2_jwks_url")),
            "" => None,
            text => Some(Remote::new(config, super::url("oauth2_jwks_url", text)?)?),
        };
        let alias = |text: &String| {
            let (alias, scopes) = text.split_once('=')?;
            let scopes = scopes.split_whitespace().map(str::to_owned).collect();
            Some((alias.trim().to_owned(), scopes))
        };
        let scope_aliases: Option<Vec<_>> = config.oauth2_scope_aliases.iter().map(alias).collect();
        Ok(OAuth2 {
            scope_prefix: if prefix.is_empty() { format!("{id}.") } else { prefix.clone() },
            resource_server_id: id,
            issuer: config.oauth2_issuer.clone(),
            username_claims: config.oauth2_username_claims.clone(),
            additional_scopes_key: config.oauth2_additional_scopes_key.clone(),
            scope_aliases: scope_aliases.ok_or(BackendError::ScopeAlias)?,
            verify_aud: config.oauth2_verify_aud,
            of_files,
            remote,
        })
    }

    /// Who bears a token.
    pub async fn log_in(&self, login: Credentials<'_>) -> Said {
        let Some(token) = login.password else { return Said::Refused };
        match self.identity(token).await {
            Ok(identity) => Said::Welcome(identity),
            Err(flaw) => {
                tracing::info!(from = %login.from, %flaw, "the token is refused");
                // Its signature is good.
                if flaw == Flaw::Time { Said::NotNow } else { Said::Refused }
            }
        }
    }

    async fn identity(&self, token: &[u8]) -> Result<Identity, Flaw> {
        let token = Token::parse(token).ok_or(Flaw::Form)?;
        let claims = match token.claims(&self.of_files) {
            Some(claims) => claims,
            None => match &self.remote {
                Some(remote) => remote.claims(&token).await.ok_or(Flaw::Signature)?,
                None => return Err(Flaw::Signature),
            },
        };
        let expires_at = self.check(&claims)?;
        let mut names = self.username_claims.iter().filter_map(|name| claims.text(name));
        let user = names.find(|name| !name.is_empty()).ok_or(Flaw::NoUser)?;
        let scopes = self.scopes(&claims)?;
        Ok(Identity::outside(user, Outside::Token(Grant { scopes, expires_at })))
    }

    /// Until when the token is good.
    fn check(&self, claims: &Claims) -> Result<Instant, Flaw> {
        let expiry = claims.seconds("exp").map_err(|()| Flaw::NoExpiry)?.ok_or(Flaw::NoExpiry)?;
        let since = claims.seconds("nbf").map_err(|()| Flaw::Time)?.unwrap_or(0);
        let now_ms = clock::now_ms();
        let left_ms = expiry.saturating_mul(1000).saturating_sub(now_ms);
        if left_ms == 0 || since.saturating_mul(1000) > now_ms {
            return Err(Flaw::Time);
        }
        if self.verify_aud && !claims.words("aud").contains(&&*self.resource_server_id) {
            return Err(Flaw::Audience);
        }
        if !self.issuer.is_empty() && claims.text("iss") != Some(&self.issuer) {
            return Err(Flaw::Issuer);
        }
        Ok(clock::now() + Duration::from_millis(left_ms).min(LIFE_MAX))
    }

    fn scopes(&self, claims: &Claims) -> Result<Scopes, Flaw> {
        let more = claims.words(&self.additional_scopes_key);
        let own: Vec<&str> = claims.words("scope").into_iter().chain(more).collect();
        let meant = |scope: &str| self.scope_aliases.iter().find(|(alias, _)| alias == scope);
        let aliased = own.iter().filter_map(|scope| meant(scope)).flat_map(|(_, scopes)| scopes);
        let all: Vec<&str> = own.iter().copied().chain(aliased.map(String::as_str)).collect();
        match all.len() {
            0..=SCOPES_MAX => Ok(Scopes::of(all.into_iter(), &self.scope_prefix)),
            _ => Err(Flaw::Scopes),
        }
    }
}

impl Remote {
    fn new(config: &Config, url: Arc<Url>) -> Result<Self, BackendError> {
        let tls = url.is_secure().then(|| client::tls(&config.auth_ca_path)).transpose()?;
        Ok(Remote {
            client: HttpClient::new(tls, config.auth_timeout.0, 1),
            url,
            keys: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    async fn claims(&self, token: &Token<'_>) -> Option<Claims> {
        let keys = self.keys(|keys| token.names_one_of(keys)).await;
        token.claims(&keys)
    }

    /// The keys, which are fetched if that may help.
    async fn keys(&self, is_there: impl Fn(&[Key]) -> bool) -> Arc<[Key]> {
        let is_good = |fetched: &Fetched| {
            let now = clock::now();
            let within = |at: Option<Instant>, max| at.is_some_and(|at| now < at + max);
            let is_young = within(fetched.at, KEYS_AGE_MAX) && is_there(&fetched.keys);
            is_young || within(fetched.tried_at, RETRY_AFTER)
        };
        let known = self.lock().clone();
        if is_good(&known) {
            return known.keys;
        }
        let _fetching = self.fetching.lock().await;
        // Somebody else may have fetched them meanwhile.
        let known = self.lock().clone();
        if is_good(&known) {
            return known.keys;
        }
        let fetched = self.client.send(&self.url, &Method::GET, None).await;
        let now = clock::now();
        let mut known = self.lock();
        known.tried_at = Some(now);
        match fetched.map(|json| Key::of_json(&json, false)) {
            Ok(Some(keys)) => {
                known.keys = keys.into();
                known.at = Some(now);
            }
            Ok(None) => tracing::warn!(url = %self.url, "this is no set of keys"),
            Err(error) => tracing::warn!(url = %self.url, %error, "keys cannot be fetched"),
        }
        known.keys.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Fetched> {
        self.keys.lock().expect("nothing panics while it holds the keys")
    }
}

fn read_keys(path: &Path) -> Result<Vec<Key>, BackendError> {
    let failed = |reason: String| BackendError::Key { path: path.to_owned(), reason };
    let content = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    Key::of_file(&content).map_err(|reason| failed(reason.to_owned()))
}

/// What a token may have, as in RabbitMQ.
const SCOPES_MAX: usize = 2048;
/// As long as a clock can tell.
const LIFE_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// After this, keys are fetched anew: those that are gone are not to be trusted for ever.
const KEYS_AGE_MAX: Duration = Duration::from_secs(300);
/// Between two attempts to fetch them.
const RETRY_AFTER: Duration = Duration::from_secs(5);
