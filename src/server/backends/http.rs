//! An HTTP server that knows users, in the form of RabbitMQ's `rabbitmq_auth_backend_http`: four URLs, a form
//! with what is asked, and an answer of one line.
//!
//! ```text
//! user      username password [vhost client_id]                 allow [tag …] | deny [reason]
//! vhost     username vhost ip tags [client_id]                  allow | deny [reason]
//! resource  username vhost resource name permission tags [client_id]
//! topic     as resource, and routing_key variable_map.username variable_map.vhost [variable_map.client_id]
//! ```
//!
//! What is allowed is remembered for a while, by a keyed hash of the question; what is denied is not. Whatever
//! is no answer denies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::http::Method;
use form_urlencoded::Serializer;
use hashbrown::HashMap;
use hmac::{Hmac, Mac as _};
use leveret_core::{ResourceKind, Wanted};
use sha2::Sha256;
use tokio::task::JoinSet;

use super::client::{self, HttpClient, RequestError, Url};
use super::{BackendError, Identity, Outside, Said};
use crate::config::{Config, HttpMethod};
use crate::server::clock;
use crate::server::logins::Credentials;
use crate::server::scram::random;

/// The server.
#[derive(Debug)]
pub struct HttpAuth {
    client: HttpClient,
    /// In the order of [`About`].
    urls: [Arc<Url>; 4],
    method: Method,
    remember_for: Duration,
    key: [u8; 32],
    allowed: Mutex<HashMap<[u8; 32], Allowed, foldhash::fast::RandomState>>,
}

#[derive(Debug, Clone)]
struct Allowed {
    tags: Arc<[String]>,
    until: Instant,
}

/// What a question is about: the URL that it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum About {
    User,
    Vhost,
    Resource,
    Topic,
}

/// A form for one of the URLs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    about: About,
    form: String,
}

/// A server gives no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the answer is neither allow nor deny")]
    Form,
}

impl HttpAuth {
    /// As the configuration has it.
    ///
    /// # Errors
    /// If a URL is none, or there are no certificates to trust.
    pub fn new(config: &Config) -> Result<Self, BackendError> {
        let urls = [
            super::url("auth_http_user_url", &config.auth_http_user_url)?,
            super::url("auth_http_vhost_url", &config.auth_http_vhost_url)?,
            super::url("auth_http_resource_url", &config.auth_http_resource_url)?,
            super::url("auth_http_topic_url", &config.auth_http_topic_url)?,
        ];
        let is_secure = urls.iter().any(|url| url.is_secure());
        let tls = is_secure.then(|| client::tls(&config.auth_ca_path)).transpose()?;
        let requests_max = config.auth_requests_max as usize;
        Ok(HttpAuth {
            client: HttpClient::new(tls, config.auth_timeout.0, requests_max),
            urls,
            method: match config.auth_http_method {
                HttpMethod::Get => Method::GET,
                HttpMethod::Post => Method::POST,
            },
            remember_for: config.auth_cache_ttl.0,
            key: random(),
            allowed: Mutex::default(),
        })
    }

    /// Who logs in, if that was allowed a short while ago.
    pub fn known(http: &Arc<Self>, login: Credentials<'_>) -> Option<Identity> {
        let allowed = http.remembered(http.tag(&Question::of_login(login)), clock::now())?;
        Some(http.identity(login, allowed.tags))
    }

    /// Asks who logs in.
    pub async fn log_in(self: &Arc<Self>, login: Credentials<'_>) -> Said {
        match self.answer(&Question::of_login(login)).await {
            Ok(Some(allowed)) => Said::Welcome(self.identity(login, allowed.tags)),
            Ok(None) => Said::Refused,
            Err(NoAnswer::Request(_) | NoAnswer::Form) => Said::Unknown,
        }
    }

    fn identity(self: &Arc<Self>, login: Credentials<'_>, tags: Arc<[String]>) -> Identity {
        let decisions = Decisions {
            http: self.clone(),
            user: login.user.into(),
            from: login.from.to_canonical().to_string(),
            tags,
            known: Mutex::default(),
            epoch: AtomicU64::new(0),
        };
        Identity::outside(login.user, Outside::Http(decisions))
    }

    /// What is allowed; `None` is denied.
    async fn answer(&self, question: &Question) -> Result<Option<Allowed>, NoAnswer> {
        let tag = self.tag(question);
        if let Some(allowed) = self.remembered(tag, clock::now()) {
            return Ok(Some(allowed));
        }
        let url = &self.urls[question.about as usize];
        let answer = self.client.send(url, &self.method, Some(&question.form)).await;
        let tags = match answer.map_err(NoAnswer::from).and_then(|body| tags(&body, question.about))
        {
            Ok(Some(tags)) => tags,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::warn!(%url, %error, "the backend of users does not answer: refused");
                return Err(error);
            }
        };
        let allowed = Allowed { tags: tags.into(), until: clock::now() + self.remember_for };
        self.remember(tag, allowed.clone());
        Ok(Some(allowed))
    }

    fn tag(&self, question: &Question) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        let mac = mac.chain_update([question.about as u8]).chain_update(&question.form);
        mac.finalize().into_bytes().into()
    }

    fn remembered(&self, tag: [u8; 32], now: Instant) -> Option<Allowed> {
        self.lock().get(&tag).filter(|allowed| allowed.until > now).cloned()
    }

    fn remember(&self, tag: [u8; 32], allowed: Allowed) {
        if self.remember_for.is_zero() {
            return;
        }
        let mut all = self.lock();
        if all.len() >= ALLOWED_MAX {
            let now = clock::now();
            all.retain(|_, allowed| allowed.until > now);
            if all.len() >= ALLOWED_MAX {
                all.clear();
            }
        }
        all.insert(tag, allowed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Allowed, foldhash::fast::RandomState>> {
        self.allowed.lock().expect("nothing panics while it holds the answers")
    }
}

impl Question {
    fn of_login(login: Credentials<'_>) -> Question {
        let mut form = Serializer::new(String::new());
        form.append_pair("username", login.user);
        let mut form = form.finish();
        if let Some(password) = login.password {
            form.push_str("&password=");
            form.extend(form_urlencoded::byte_serialize(password));
        }
        if let Some((vhost, client_id)) = login.client {
            let pairs = [("vhost", vhost), ("client_id", client_id)];
            form = Serializer::new(form).extend_pairs(pairs).finish();
        }
        Question { about: About::User, form }
    }
}

/// The tags of an allowed user; `None` if the answer is no.
fn tags(body: &[u8], about: About) -> Result<Option<Vec<String>>, NoAnswer> {
    let body = std::str::from_utf8(body).map_err(|_| NoAnswer::Form)?.trim().to_lowercase();
    let mut words = body.split_whitespace();
    match words.next() {
        Some("deny") => Ok(None),
        Some("allow") => {
            let tags: Vec<String> = words.map(str::to_owned).collect();
            match about {
                About::User => Ok(Some(tags)),
                _ if tags.is_empty() => Ok(Some(tags)),
                _ => Err(NoAnswer::Form),
            }
        }
        _ => Err(NoAnswer::Form),
    }
}

/// What the server has said of one user to one connection, or to one request.
#[derive(Debug)]
pub struct Decisions {
    http: Arc<HttpAuth>,
    user: Box<str>,
    from: String,
    tags: Arc<[String]>,
    known: Mutex<Known>,
    epoch: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    decided: HashMap<Question, Decision, foldhash::fast::RandomState>,
    /// What has to be asked.
    asked: Vec<Question>,
    /// When the first decision is no longer good.
    until: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Decision {
    is_allowed: bool,
    until: Instant,
}

impl Decisions {
    /// The user's tags.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Whether the user may enter a virtual host, if that is known.
    pub fn may_enter(&self, vhost: &str, client_id: Option<&str>) -> Option<bool> {
        let tags = self.tags.join(" ");
        let pairs = [("vhost", vhost), ("ip", self.from.as_str()), ("tags", tags.as_str())];
        self.decide(self.question(About::Vhost, &pairs, client_id))
    }

    /// Whether the user may do this, if that is known.
    pub fn allows(&self, wanted: &Wanted<'_>) -> Option<bool> {
        let (tags, permission) = (self.tags.join(" "), wanted.right.to_string());
        let resource = match (wanted.topic, wanted.kind) {
            (Some(_), _) => "topic",
            (None, ResourceKind::Exchange) => "exchange",
            (None, ResourceKind::Queue) => "queue",
        };
        let pairs = [
            ("vhost", wanted.vhost),
            ("resource", resource),
            ("name", wanted.name),
            ("permission", permission.as_str()),
            ("tags", tags.as_str()),
        ];
        let Some(key) = wanted.topic else {
            return self.decide(self.question(About::Resource, &pairs, wanted.client_id));
        };
        let variables = [
            ("routing_key", key),
            ("variable_map.username", &*self.user),
            ("variable_map.vhost", wanted.vhost),
        ];
        let client_id = wanted.client_id.map(|client_id| ("variable_map.client_id", client_id));
        let pairs: Vec<_> = pairs.into_iter().chain(variables).chain(client_id).collect();
        self.decide(self.question(About::Topic, &pairs, None))
    }

    /// Whether something has to be asked.
    pub fn must_ask(&self) -> bool {
        !self.lock().asked.is_empty()
    }

    /// Asks what has to be asked.
    pub async fn ask(&self) {
        let mut asking = JoinSet::new();
        for question in std::mem::take(&mut self.lock().asked) {
            let http = self.http.clone();
            asking.spawn(async move {
                let answer = http.answer(&question).await;
                (question, answer.ok().flatten())
            });
        }
        while let Some(answered) = asking.join_next().await {
            let Ok((question, allowed)) = answered else { continue };
            let until = allowed.as_ref().map_or_else(clock::now, |allowed| allowed.until);
            let decision = Decision { is_allowed: allowed.is_some(), until };
            let mut known = self.lock();
            known.until = Some(known.until.map_or(until, |first| first.min(until)));
            known.decided.insert(question, decision);
        }
    }

    /// Forgets what is no longer good, before something new is done: what is once known holds until that
    /// is done.
    pub fn forget_old(&self, now: Instant) {
        let mut known = self.lock();
        known.asked.clear();
        let is_full = known.decided.len() >= DECIDED_MAX;
        if known.until.is_none_or(|until| until > now) && !is_full {
            return;
        }
        let mut is_changed = false;
        known.decided.retain(|_, decision| {
            let stays = decision.until > now && !is_full;
            is_changed |= decision.is_allowed && !stays;
            stays
        });
        known.until = known.decided.values().map(|decision| decision.until).min();
        self.epoch.fetch_add(u64::from(is_changed), Ordering::Release);
    }

    /// Changes whenever something is no longer allowed that was.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn question(&self, about: About, pairs: &[(&str, &str)], client_id: Option<&str>) -> Question {
        let mut form = Serializer::new(String::new());
        form.append_pair("username", &self.user).extend_pairs(pairs);
        form.extend_pairs(client_id.map(|client_id| ("client_id", client_id)));
        Question { about, form: form.finish() }
    }

    fn decide(&self, question: Question) -> Option<bool> {
        let mut known = self.lock();
        if let Some(decision) = known.decided.get(&question) {
            return Some(decision.is_allowed);
        }
        // The rest is asked when what waits for it is done again.
        if known.asked.len() < ASKED_MAX && !known.asked.contains(&question) {
            known.asked.push(question);
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while it holds the decisions")
    }
}

/// Questions of one connection at a time.
const ASKED_MAX: usize = 256;
/// Answers that are remembered for everybody, and for one connection.
const ALLOWED_MAX: usize = 16_384;
const DECIDED_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_allows_with_tags_or_denies_or_is_none() {
        let tags = |text: &str, about| tags(text.as_bytes(), about);
        let some = |tags: &[&str]| Some(tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>());
        assert_eq!(tags("allow\n", About::User).unwrap(), some(&[]));
        assert_eq!(
            tags(" Allow administrator  monitoring", About::User).unwrap(),
            some(&["administrator", "monitoring"])
        );
        for denied in ["deny", "DENY", "deny for a reason"] {
            assert_eq!(tags(denied, About::User).unwrap(), None, "{denied}");
        }
        for nonsense in ["", "allowed", "yes", "<html>allow</html>", "denyx"] {
            assert!(tags(nonsense, About::User).is_err(), "{nonsense}");
        }
        assert!(tags("allow administrator", About::Vhost).is_err());
    }

    #[test]
    fn a_login_may_have_octets_that_are_no_text() {
        let from = std::net::IpAddr::from([127, 0, 0, 1]);
        let login = |password, client| Credentials { user: "j&o", password, from, client };
        let form = |login| Question::of_login(login).form;
        assert_eq!(form(login(Some(b"a b\xff"), None)), "username=j%26o&password=a+b%FF");
        assert_eq!(
            form(login(None, Some(("/", "c=d")))),
            "username=j%26o&vhost=%2F&client_id=c%3Dd"
        );
    }
}
