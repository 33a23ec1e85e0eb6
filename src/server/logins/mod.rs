//! How logins by password are found right without holding anybody up.
//!
//! A hash that is slow to guess is slow to check. So a password that was right is remembered for as long as
//! this process lives, as a keyed hash of it, of the user and of the hash that it was checked against: if the
//! user's password changes, nothing that is remembered fits any more. What is not remembered is checked by
//! few threads at a time, in turns of those who come from different addresses (`turns.rs`), while the
//! connection waits and everybody else goes on.
//!
//! What is refused takes as long as a slow hash, whatever the user's hash is and whether there is such a user.
//! The very same login is refused at once for a few seconds afterwards: a client that tries again and again
//! costs nothing. An address with too many failures (`failures.rs`) is refused unseen.
//!
//! All of this is about users of the topology, and failures. Others are known by `backends`; addresses take
//! turns at asking a server as well, and leave it room for what those who are in have to ask.

mod failures;
mod known;
mod turns;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::sync::oneshot;

use super::backends::{Identity, Said};
use super::outbox::Outbox;
use super::password::{self, Algorithm, NOBODY};
use super::scram::random;
use super::{Node, clock};
use crate::config::AuthBackend;
use failures::Failures;
use known::{Known, Tag};
use turns::{Source, Turns};

/// What all logins of a node share.
#[derive(Debug)]
pub struct PasswordChecks {
    key: [u8; 32],
    right: Mutex<Known>,
    wrong: Mutex<Known>,
    /// One for each check that may run at a time.
    turns: Arc<Turns>,
    /// One for each login that a server may be asked about at a time.
    asking: Arc<Turns>,
    failures: Failures,
}

/// Who wants to come in.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// The name.
    pub user: &'a str,
    /// The password; `None` if a certificate is the proof.
    pub password: Option<&'a [u8]>,
    /// From where.
    pub from: IpAddr,
    /// The virtual host and the identifier of an MQTT client.
    pub client: Option<(&'a str, &'a str)>,
}

/// Whether a login is right.
#[derive(Debug)]
pub enum Verdict {
    /// It is known.
    Known(Option<Identity>),
    /// It is being found out; the connection's task will be woken.
    Awaited(oneshot::Receiver<Option<Identity>>),
}

impl Verdict {
    /// Who has logged in, or that it was nobody, once that is known.
    pub fn poll(&mut self) -> Option<Option<Identity>> {
        match self {
            Verdict::Known(identity) => Some(identity.take()),
            Verdict::Awaited(verdict) => match verdict.try_recv() {
                Ok(identity) => Some(identity),
                Err(oneshot::error::TryRecvError::Empty) => None,
                Err(oneshot::error::TryRecvError::Closed) => Some(None),
            },
        }
    }
}

/// What the check of a password has found.
enum Checked {
    Right,
    /// With what is to be remembered of it.
    Wrong(Tag),
    /// It is remembered.
    WrongAgain,
    /// There is no such user, and somebody else may know.
    Unknown,
    Refused(&'static str),
}

impl PasswordChecks {
    /// With so many failures of each address in a minute; 0 is no limit. Of the requests that a server gets at
    /// a time, at most half are about logins, unless there is but one.
    pub fn new(failures_max: u32, requests_max: u32) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        PasswordChecks {
            key: random(),
            right: Mutex::default(),
            wrong: Mutex::default(),
            turns: Turns::new((processors / 2).clamp(1, CHECKS_MAX)),
            asking: Turns::new((requests_max as usize / 2).max(1)),
            failures: Failures::new(failures_max),
        }
    }

    fn tag(&self, hash: &str, login: Credentials<'_>) -> Tag {
        let password = login.password.unwrap_or_default();
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        // A hash has no octet of 0, and the length keeps user and password apart.
        let user_len = (login.user.len() as u64).to_be_bytes();
        let parts = [hash.as_bytes(), &[0], &user_len, login.user.as_bytes(), password];
        parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
    }

    fn knows_right(&self, tag: Tag) -> bool {
        lock(&self.right).knows(tag)
    }

    fn knows_wrong(&self, tag: Tag) -> bool {
        lock(&self.wrong).knows_still(tag, clock::now(), WRONG_FOR)
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().expect("nothing panics while it holds the list")
}

impl Node {
    /// Who logs in. The connection with this outbox is woken if it has to wait.
    pub fn begin_login(self: &Arc<Self>, login: Credentials<'_>, outbox: &Arc<Outbox>) -> Verdict {
        if let Some(identity) = self.known(login) {
            return Verdict::Known(self.let_in(identity, login));
        }
        let (mut sender, verdict) = oneshot::channel();
        let (node, outbox) = (self.clone(), outbox.clone());
        let (user, password) = (login.user.to_owned(), login.password.map(<[u8]>::to_vec));
        let from = login.from;
        let client = login.client.map(|(vhost, id)| (vhost.to_owned(), id.to_owned()));
        tokio::spawn(async move {
            let client = client.as_ref().map(|(vhost, id)| (vhost.as_str(), id.as_str()));
            let login = Credentials { user: &user, password: password.as_deref(), from, client };
            let identity = tokio::select! {
                identity = node.check_login(login) => identity,
                // The client has not waited.
                () = sender.closed() => return,
            };
            if sender.send(identity).is_ok() {
                outbox.wake();
            }
        });
        Verdict::Awaited(verdict)
    }

    /// Who logs in.
    ///
    /// # Cancel safety
    /// Nothing is lost but the answer.
    pub async fn login(&self, login: Credentials<'_>) -> Option<Identity> {
        match self.known(login) {
            Some(identity) => self.let_in(identity, login),
            None => self.check_login(login).await,
        }
    }

    /// Who logs in, if that can be seen at once.
    fn known(&self, login: Credentials<'_>) -> Option<Identity> {
        for &backend in self.backends().order() {
            match backend {
                AuthBackend::Internal if self.is_known(login) => {
                    return Some(Identity::internal(self.topology().user_name(login.user)));
                }
                AuthBackend::Internal if self.topology().user(login.user).is_some() => return None,
                // What is somebody's password here is no token.
                AuthBackend::Internal | AuthBackend::OAuth2 => {}
                // Those behind it have no say before it has said no.
                AuthBackend::Http => return self.backends().known(backend, login),
            }
        }
        None
    }

    /// Whether a login can be seen at once to be that of a user of the topology.
    fn is_known(&self, login: Credentials<'_>) -> bool {
        let Some(hash) = self.password_hash_of(login.user) else { return false };
        let Some(password) = login.password else { return true };
        match Algorithm::of(&hash) {
            None => false,
            Some(algorithm) if algorithm.is_slow() => {
                self.password_checks.knows_right(self.password_checks.tag(&hash, login))
            }
            // Whoever guesses does it no faster than those with slow hashes let him.
            Some(_) => self.may_try(login.from.into()) && password::verify(&hash, password),
        }
    }

    /// Whether an address has failures left.
    pub(super) fn may_try(&self, source: Source) -> bool {
        self.password_checks.failures.allow(source, clock::now())
    }

    /// A login from an address has failed.
    pub(super) fn note_failure(&self, source: Source) {
        self.password_checks.failures.note(source, clock::now());
    }

    /// Asks all backends in their order, until one knows the user.
    async fn check_login(&self, login: Credentials<'_>) -> Option<Identity> {
        let (checks, source) = (&self.password_checks, Source::from(login.from));
        if !self.may_try(source) {
            return refused(login, TOO_MANY_FAILURES);
        }
        let (mut is_failure, mut wrong) = (true, None);
        for &backend in self.backends().order() {
            let said = match backend {
                AuthBackend::Internal => match self.check_password(login, source).await {
                    Checked::Right => {
                        Said::Welcome(Identity::internal(self.topology().user_name(login.user)))
                    }
                    Checked::Refused(why) => return refused(login, why),
                    Checked::Wrong(tag) => {
                        wrong = Some(tag);
                        Said::Refused
                    }
                    Checked::WrongAgain => {
                        // It has been counted.
                        is_failure = false;
                        Said::Refused
                    }
                    Checked::Unknown => Said::Refused,
                },
                AuthBackend::Http => match checks.asking.take(source).await {
                    Some(_turn) if self.may_try(source) => {
                        self.backends().ask(backend, login).await
                    }
                    Some(_) => return refused(login, TOO_MANY_FAILURES),
                    None => Said::Unknown,
                },
                AuthBackend::OAuth2 => self.backends().ask(backend, login).await,
            };
            match said {
                Said::Welcome(identity) => return self.let_in(identity, login),
                Said::Refused => {}
                // Nobody is to blame for that, or has guessed.
                Said::Unknown | Said::NotNow => is_failure = false,
            }
        }
        wrong.into_iter().for_each(|tag| lock(&checks.wrong).add(tag));
        if is_failure {
            self.note_failure(source);
        }
        refused(login, "no user with this name and this proof")
    }

    fn is_repeated(&self, login: Credentials<'_>) -> bool {
        let hash = self.password_hash_of(login.user).unwrap_or_else(|| NOBODY.to_owned());
        self.password_checks.knows_wrong(self.password_checks.tag(&hash, login))
    }

    /// Whether it is a user of the topology, and the password the right one.
    async fn check_password(&self, login: Credentials<'_>, source: Source) -> Checked {
        let Some(password) = login.password else {
            let is_user = self.topology().user(login.user).is_some();
            return if is_user { Checked::Right } else { Checked::Unknown };
        };
        let is_last = self.backends().order().last() == Some(&AuthBackend::Internal);
        if !is_last && self.topology().user(login.user).is_none() {
            return Checked::Unknown;
        }
        if self.is_repeated(login) {
            return Checked::WrongAgain;
        }
        let Some(turn) = self.password_checks.turns.take(source).await else {
            return Checked::Refused(TOO_MANY_WAIT);
        };
        if !self.may_try(source) {
            return Checked::Refused(TOO_MANY_FAILURES);
        }
        // Many clients may have come as the same user: who waited for the first knows what it knows.
        if self.is_known(login) {
            return Checked::Right;
        }
        if self.is_repeated(login) {
            return Checked::WrongAgain;
        }
        let hash = self.password_hash_of(login.user).unwrap_or_else(|| NOBODY.to_owned());
        let tag = self.password_checks.tag(&hash, login);
        let is_slow = Algorithm::of(&hash).is_some_and(Algorithm::is_slow);
        let hash = if is_slow { hash } else { NOBODY.to_owned() };
        let password = password.to_owned();
        let check = move || {
            // Held by the thread: whoever does not wait for it makes no room for another one.
            let _turn = turn;
            password::verify(&hash, &password)
        };
        if !tokio::task::spawn_blocking(check).await.unwrap_or(false) {
            return Checked::Wrong(tag);
        }
        lock(&self.password_checks.right).add(tag);
        Checked::Right
    }

    fn password_hash_of(&self, user: &str) -> Option<String> {
        self.topology().user(user).map(|user| user.password_hash.clone())
    }

    /// Some users may not come from everywhere.
    fn let_in(&self, identity: Identity, login: Credentials<'_>) -> Option<Identity> {
        match self.may_come_from(&identity.user, login.from) {
            true => Some(identity),
            false => refused(login, "the user may log in from this machine only"),
        }
    }
}

fn refused(login: Credentials<'_>, why: &str) -> Option<Identity> {
    tracing::warn!(user = login.user, from = %login.from, why, "login refused");
    None
}

const TOO_MANY_FAILURES: &str = "too many logins of this address have failed";
const TOO_MANY_WAIT: &str = "too many logins are waiting";
/// Checks at a time: of the processors, at the most half, so that the others go on.
const CHECKS_MAX: usize = 4;
/// For how long a login that was wrong is refused at once, at the least.
const WRONG_FOR: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tells_users_passwords_and_hashes_apart() {
        let (logins, others) = (PasswordChecks::new(0, 1), PasswordChecks::new(0, 1));
        let login = |user, password: &'static str| {
            let from = IpAddr::from([127, 0, 0, 1]);
            Credentials { user, password: Some(password.as_bytes()), from, client: None }
        };
        let known = logins.tag("h", login("ab", "c"));
        assert_eq!(known, logins.tag("h", login("ab", "c")));
        for (hash, user, password) in [("h", "a", "bc"), ("i", "ab", "c"), ("h", "ab", "d")] {
            assert_ne!(known, logins.tag(hash, login(user, password)));
        }
        assert_ne!(known, others.tag("h", login("ab", "c")));
    }
}
