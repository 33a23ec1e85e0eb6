//! Sessions of browsers: a login that lasts, and that a cookie stands for.
//!
//! The cookie is a token that nobody can guess. What is kept of it is a hash, in memory alone, so a
//! session ends with the broker. Each request asks whether what the session began with is still good: the
//! password of a user who is still there, or what somebody else has to be asked about again. A session that
//! nobody uses ends by itself.
//!
//! A browser sends its cookies by itself, also when a page of somebody else's has it ask. So the cookie
//! changes nothing without a header that such pages cannot send, and it is given to no page without it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::seal;
use crate::server::backends::Identity;
use crate::server::scram::random;

/// The sessions of all browsers. Their number has a limit: the one that was idle longest makes place.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<TokenHash, Session>>);

/// Looked up by what nobody can aim at, the time of a look-up tells nothing.
type TokenHash = [u8; 32];

/// What a cookie stands for.
#[derive(Debug, Clone)]
pub struct Session {
    /// The user.
    pub identity: Identity,
    /// What it began with, and what has to be good still: the hash of the password, or, if whoever knows the
    /// user is somebody else, the password or token itself. It is kept sealed.
    pub proof: Vec<u8>,
    /// How long it may be idle.
    pub lifetime: Lifetime,
    used_at: Instant,
}

/// How long a session lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until the browser is closed, or nobody has used it for a working day.
    Browser,
    /// Longer than the browser runs.
    Remembered,
}

impl Lifetime {
    /// How long it may be idle.
    pub fn idle_max(self) -> Duration {
        match self {
            Lifetime::Browser => BROWSER_IDLE_MAX,
            Lifetime::Remembered => REMEMBERED_IDLE_MAX,
        }
    }
}

impl Sessions {
    /// Begins a session of a user with this proof; gives the cookie.
    pub fn begin(
        &self,
        identity: impl Into<Identity>,
        proof: &[u8],
        lifetime: Lifetime,
        now: Instant,
    ) -> HeaderValue {
        let token = URL_SAFE_NO_PAD.encode(random::<TOKEN_BYTES>());
        let (identity, proof) = (identity.into(), seal::seal(&token, proof));
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.is_alive(now));
        if sessions.len() >= SESSIONS_MAX {
            let idle = sessions.iter().min_by_key(|(_, session)| session.used_at);
            let idle = idle.map(|(hash, _)| *hash);
            idle.and_then(|hash| sessions.remove(&hash));
        }
        let session = Session { identity, proof, lifetime, used_at: now };
        sessions.insert(hash(&token), session);
        cookie(&token, (lifetime == Lifetime::Remembered).then_some(REMEMBERED_IDLE_MAX))
    }

    /// The session that the cookie of a request stands for, which is used by that.
    pub fn find(&self, headers: &HeaderMap, now: Instant) -> Option<Session> {
        let mut sessions = self.lock();
        let mut found = tokens(headers).filter_map(|token| {
            let session = sessions.get_mut(&hash(token)).filter(|session| session.is_alive(now))?;
            session.used_at = now;
            Some(Session { proof: seal::open(token, &session.proof)?, ..session.clone() })
        });
        found.next()
    }

    /// Ends what the cookie of a request stands for.
    pub fn end(&self, headers: &HeaderMap) {
        let mut sessions = self.lock();
        tokens(headers).for_each(|token| _ = sessions.remove(&hash(token)));
    }

    /// Ends all sessions of a user.
    pub fn end_of(&self, user: &str) {
        self.lock().retain(|_, session| *session.identity.user != *user);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenHash, Session>> {
        self.0.lock().expect("nothing panics while it holds the sessions")
    }
}

impl Session {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used_at) < self.lifetime.idle_max()
    }
}

/// Whether a request has a cookie of ours, of whatever worth.
pub fn has_cookie(headers: &HeaderMap) -> bool {
    tokens(headers).next().is_some()
}

/// Whether a request comes from a program that asks by itself, and wants no window for a login.
pub fn is_programs(headers: &HeaderMap) -> bool {
    headers.contains_key(REQUESTED_WITH)
}

/// Whether a request comes from a page of the broker, as far as cookies are concerned.
pub fn is_own_page(headers: &HeaderMap) -> bool {
    headers.get(REQUESTED_WITH).is_some_and(|by| by.as_bytes() == OWN_PAGE)
}

/// Whether a request may have come from any page: browsers say whose it is.
pub fn is_of_some_page(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site")
}

/// The cookie that takes the place of the one there is, and is gone at once.
pub fn no_cookie() -> HeaderValue {
    cookie("", Some(Duration::ZERO))
}

/// The same cookie, but one that a browser sends over TLS alone. It has another name, since a browser lets
/// nobody without TLS replace it.
pub fn secured(cookie: &HeaderValue) -> HeaderValue {
    let cookie = [SECURE_PREFIX.as_bytes(), cookie.as_bytes(), b"; Secure"].concat();
    HeaderValue::from_bytes(&cookie).expect("what is added has no strange letters")
}

fn cookie(token: &str, age_max: Option<Duration>) -> HeaderValue {
    let mut cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict");
    if let Some(age_max) = age_max {
        cookie += &format!("; Max-Age={}", age_max.as_secs());
    }
    HeaderValue::from_str(&cookie).expect("base64 and what is here have no strange letters")
}

/// Another broker of this machine may have set a cookie of this name for another path.
fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|all| all.to_str().ok());
    let named = cookies.flat_map(|all| all.split(';')).filter_map(|one| one.trim().split_once('='));
    let is_ours = |name: &str| name.strip_prefix(SECURE_PREFIX).unwrap_or(name) == COOKIE;
    named.filter(move |(name, _)| is_ours(name)).map(|(_, token)| token).take(TOKENS_MAX)
}

fn hash(token: &str) -> TokenHash {
    Sha256::digest(token).into()
}

/// The name of the cookie.
const COOKIE: &str = "leveret_session";
/// Browsers take a cookie of such a name over TLS alone, and from the very host that it is for.
const SECURE_PREFIX: &str = "__Host-";
/// The header that pages of others cannot send, and what is in it.
const REQUESTED_WITH: &str = "x-requested-with";
const OWN_PAGE: &[u8] = b"leveret";
const TOKEN_BYTES: usize = 32;
/// Cookies of our name that are looked at.
const TOKENS_MAX: usize = 4;
/// Sessions that there are at a time.
const SESSIONS_MAX: usize = 1_000;
const BROWSER_IDLE_MAX: Duration = Duration::from_secs(8 * 60 * 60);
const REMEMBERED_IDLE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::clock;

    /// The headers with which a browser sends a cookie back.
    fn sent(cookie: &HeaderValue) -> HeaderMap {
        let token = cookie.to_str().unwrap().split(';').next().unwrap();
        let sent = format!("theme=dark; {token}; other={token}").parse().unwrap();
        HeaderMap::from_iter([(header::COOKIE, sent)])
    }

    #[test]
    fn a_session_lasts_while_it_is_used_and_ends_when_it_was_idle_for_long() {
        for lifetime in [Lifetime::Browser, Lifetime::Remembered] {
            let (sessions, start) = (Sessions::default(), clock::now());
            let headers = sent(&sessions.begin("jo", b"hash", lifetime, start));
            let almost = lifetime.idle_max() - Duration::from_millis(1);
            let found = sessions.find(&headers, start + almost).unwrap();
            assert_eq!((&*found.identity.user, &*found.proof), ("jo", b"hash".as_slice()));
            assert!(sessions.find(&headers, start + 2 * almost).is_some());
            assert!(sessions.find(&headers, start + 2 * almost + lifetime.idle_max()).is_none());
        }
    }

    #[test]
    fn there_are_so_many_sessions_and_the_one_that_is_idle_longest_goes() {
        let (sessions, start) = (Sessions::default(), clock::now());
        let at = |second| start + Duration::from_secs(second);
        let begin = |second| sent(&sessions.begin("jo", b"", Lifetime::Browser, at(second)));
        let (first, second) = (begin(0), begin(1));
        (2..SESSIONS_MAX as u64).for_each(|second| _ = begin(second));
        assert!(sessions.find(&first, at(SESSIONS_MAX as u64)).is_some());
        let last = begin(SESSIONS_MAX as u64 + 1);
        let later = at(SESSIONS_MAX as u64 + 2);
        let is_there = |headers| sessions.find(headers, later).is_some();
        assert!(is_there(&first) && !is_there(&second) && is_there(&last));
        assert_eq!(sessions.lock().len(), SESSIONS_MAX);
    }

    #[test]
    fn sessions_that_are_over_make_place_before_others_do() {
        let (sessions, start) = (Sessions::default(), clock::now());
        let kept = sent(&sessions.begin("jo", b"", Lifetime::Remembered, start));
        (1..SESSIONS_MAX).for_each(|_| _ = sessions.begin("jo", b"", Lifetime::Browser, start));
        let later = start + BROWSER_IDLE_MAX;
        sessions.begin("jo", b"", Lifetime::Browser, later);
        assert!(sessions.find(&kept, later).is_some());
        assert_eq!(sessions.lock().len(), 2);
    }

    #[test]
    fn neither_the_token_nor_the_proof_is_kept_as_it_is() {
        let sessions = Sessions::default();
        let cookie = sessions.begin("jo", b"secret", Lifetime::Browser, clock::now());
        let token = cookie.to_str().unwrap().split([';', '=']).nth(1).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(token).unwrap().len(), TOKEN_BYTES);
        let kept = sessions.lock();
        let (kept_hash, session) = kept.iter().next().unwrap();
        assert_eq!(*kept_hash, hash(token));
        assert!(!session.proof.windows(6).any(|part| part == b"secret"));
    }

    #[test]
    fn the_sessions_of_a_user_end_and_those_of_others_do_not() {
        let (sessions, now) = (Sessions::default(), clock::now());
        let begin = |user| sent(&sessions.begin(user, b"", Lifetime::Browser, now));
        let (first, second, other) = (begin("jo"), begin("jo"), begin("joe"));
        sessions.end(&first);
        assert!(sessions.find(&first, now).is_none() && sessions.find(&second, now).is_some());
        sessions.end_of("jo");
        assert!(sessions.find(&second, now).is_none() && sessions.find(&other, now).is_some());
    }

    #[test]
    fn a_session_that_began_over_tls_has_a_cookie_for_tls_alone() {
        let (sessions, now) = (Sessions::default(), clock::now());
        let cookie = secured(&sessions.begin("jo", b"", Lifetime::Browser, now));
        let text = cookie.to_str().unwrap();
        assert!(text.starts_with("__Host-leveret_session=") && text.ends_with("; Secure"));
        assert!(sessions.find(&sent(&cookie), now).is_some());
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let tokens_of = |text: &'static str| {
            let value = HeaderValue::from_static(text);
            let headers = HeaderMap::from_iter([(header::COOKIE, value)]);
            tokens(&headers).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(tokens_of("a=b;leveret_session=x=y ; leveret_session=z"), ["x=y", "z"]);
        assert_eq!(tokens_of("xleveret_session=x; leveret_session"), Vec::<String>::new());
        assert_eq!(tokens_of("leveret_session="), [""]);
    }
}
