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

mod failures;
mod known;
mod turns;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::sync::oneshot;

use super::outbox::Outbox;
use super::password::{self, Algorithm, NOBODY};
use super::scram::random;
use super::{Node, clock};
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
    failures: Failures,
}

/// Who wants to come in.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// The name.
    pub user: &'a str,
    /// The password.
    pub password: &'a [u8],
    /// From where.
    pub from: IpAddr,
}

/// Whether a login is right.
#[derive(Debug)]
pub enum Verdict {
    /// It is known.
    Known(bool),
    /// It is being found out; the connection's task will be woken.
    Awaited(oneshot::Receiver<bool>),
}

impl Verdict {
    /// Whether the login is right, once that is known.
    pub fn poll(&mut self) -> Option<bool> {
        match self {
            Verdict::Known(is_right) => Some(*is_right),
            Verdict::Awaited(verdict) => match verdict.try_recv() {
                Ok(is_right) => Some(is_right),
                Err(oneshot::error::TryRecvError::Empty) => None,
                Err(oneshot::error::TryRecvError::Closed) => Some(false),
            },
        }
    }
}

impl PasswordChecks {
    /// With so many failures of each address in a minute; 0 is no limit.
    pub fn new(failures_max: u32) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        PasswordChecks {
            key: random(),
            right: Mutex::default(),
            wrong: Mutex::default(),
            turns: Turns::new((processors / 2).clamp(1, CHECKS_MAX)),
            failures: Failures::new(failures_max),
        }
    }

    fn tag(&self, hash: &str, login: Credentials<'_>) -> Tag {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        // A hash has no octet of 0, and the length keeps user and password apart.
        let user_len = (login.user.len() as u64).to_be_bytes();
        let parts = [hash.as_bytes(), &[0], &user_len, login.user.as_bytes(), login.password];
        parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
    }

    fn knows_right(&self, tag: Tag) -> bool {
        lock(&self.right).knows(tag)
    }

    fn knows_wrong(&self, tag: Tag) -> bool {
        lock(&self.wrong).knows_still(tag, clock::now(), WRONG_FOR)
    }

    fn note(&self, tag: Tag, is_right: bool, source: Source) {
        if is_right {
            return lock(&self.right).add(tag);
        }
        lock(&self.wrong).add(tag);
        self.failures.note(source, clock::now());
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().expect("nothing panics while it holds the list")
}

impl Node {
    /// Whether this user may log in with this password from this address. The connection with this outbox
    /// is woken if it has to wait.
    pub fn begin_login(self: &Arc<Self>, login: Credentials<'_>, outbox: &Arc<Outbox>) -> Verdict {
        if self.is_known(login) {
            return Verdict::Known(self.judged(true, login));
        }
        let (mut sender, verdict) = oneshot::channel();
        let (node, outbox) = (self.clone(), outbox.clone());
        let (user, password, from) = (login.user.to_owned(), login.password.to_owned(), login.from);
        tokio::spawn(async move {
            let login = Credentials { user: &user, password: &password, from };
            let is_right = tokio::select! {
                is_right = node.check_login(login) => is_right,
                // The client has not waited.
                () = sender.closed() => return,
            };
            if sender.send(is_right).is_ok() {
                outbox.wake();
            }
        });
        Verdict::Awaited(verdict)
    }

    /// Whether this user may log in with this password from this address.
    ///
    /// # Cancel safety
    /// Nothing is lost but the answer.
    pub async fn login(&self, login: Credentials<'_>) -> bool {
        match self.is_known(login) {
            true => self.judged(true, login),
            false => self.check_login(login).await,
        }
    }

    /// Whether the login can be seen to be right at once.
    fn is_known(&self, login: Credentials<'_>) -> bool {
        let Some(hash) = self.password_hash_of(login.user) else { return false };
        match Algorithm::of(&hash) {
            None => false,
            Some(algorithm) if algorithm.is_slow() => {
                self.password_checks.knows_right(self.password_checks.tag(&hash, login))
            }
            Some(_) => password::verify(&hash, login.password),
        }
    }

    async fn check_login(&self, login: Credentials<'_>) -> bool {
        let (checks, source) = (&self.password_checks, Source::from(login.from));
        let hash = self.password_hash_of(login.user).unwrap_or_else(|| NOBODY.to_owned());
        if checks.knows_wrong(checks.tag(&hash, login)) {
            return self.judged(false, login);
        }
        if !checks.failures.allow(source, clock::now()) {
            return refused(login, "too many logins of this address have failed");
        }
        let Some(turn) = checks.turns.take(source).await else {
            return refused(login, "too many logins are waiting");
        };
        // Many clients may have come as the same user: who waited for the first knows what it knows.
        if self.is_known(login) {
            return self.judged(true, login);
        }
        let hash = self.password_hash_of(login.user).unwrap_or_else(|| NOBODY.to_owned());
        let tag = checks.tag(&hash, login);
        if checks.knows_wrong(tag) {
            return self.judged(false, login);
        }
        let is_slow = Algorithm::of(&hash).is_some_and(Algorithm::is_slow);
        let hash = if is_slow { hash } else { NOBODY.to_owned() };
        let password = login.password.to_owned();
        let check = move || {
            // Held by the thread: whoever does not wait for it makes no room for another one.
            let _turn = turn;
            password::verify(&hash, &password)
        };
        let is_right = tokio::task::spawn_blocking(check).await.unwrap_or(false);
        checks.note(tag, is_right, source);
        self.judged(is_right, login)
    }

    fn password_hash_of(&self, user: &str) -> Option<String> {
        self.topology().user(user).map(|user| user.password_hash.clone())
    }

    /// Some users may not come from everywhere.
    fn judged(&self, is_right: bool, login: Credentials<'_>) -> bool {
        match is_right {
            true if self.may_come_from(login.user, login.from) => true,
            true => refused(login, "the user may log in from this machine only"),
            false => refused(login, "user name or password is wrong"),
        }
    }
}

fn refused(login: Credentials<'_>, why: &str) -> bool {
    tracing::warn!(user = login.user, from = %login.from, why, "login refused");
    false
}

/// Checks at a time: of the processors, at the most half, so that the others go on.
const CHECKS_MAX: usize = 4;
/// For how long a login that was wrong is refused at once, at the least.
const WRONG_FOR: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tells_users_passwords_and_hashes_apart() {
        let (logins, others) = (PasswordChecks::new(0), PasswordChecks::new(0));
        let login = |user, password: &'static str| {
            let from = IpAddr::from([127, 0, 0, 1]);
            Credentials { user, password: password.as_bytes(), from }
        };
        let known = logins.tag("h", login("ab", "c"));
        assert_eq!(known, logins.tag("h", login("ab", "c")));
        for (hash, user, password) in [("h", "a", "bc"), ("i", "ab", "c"), ("h", "ab", "d")] {
            assert_ne!(known, logins.tag(hash, login(user, password)));
        }
        assert_ne!(known, others.tag("h", login("ab", "c")));
    }
}
