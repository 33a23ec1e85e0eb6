//! How logins by password are found right without holding anybody up.
//!
//! A hash that is slow to guess is slow to check. So a password that was right is remembered for as long as
//! this process lives, as a keyed hash of it, of the user and of the hash that it was checked against: if the
//! user's password changes, nothing that is remembered fits any more. What is not remembered is checked by
//! few threads at a time, while the connection waits and everybody else goes on.
//!
//! What is refused takes as long as a slow hash, whatever the user's hash is and whether there is such a user.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::sync::{Semaphore, oneshot};

use super::Node;
use super::outbox::Outbox;
use super::password::{self, Algorithm, NOBODY};
use super::scram::random;

/// What all logins of a node share.
#[derive(Debug)]
pub struct PasswordChecks {
    key: [u8; 32],
    known: Mutex<Known>,
    /// One permit for each check that may run at a time.
    checks: Arc<Semaphore>,
}

/// The logins that were right, in two generations: when the younger one is full, the older one goes.
#[derive(Debug, Default)]
struct Known {
    young: HashSet<Tag>,
    old: HashSet<Tag>,
}

type Tag = [u8; 32];

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

impl Default for PasswordChecks {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let checks = Arc::new(Semaphore::new((processors / 2).clamp(1, CHECKS_MAX)));
        PasswordChecks { key: random(), known: Mutex::default(), checks }
    }
}

impl PasswordChecks {
    fn tag(&self, hash: &str, login: Credentials<'_>) -> Tag {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        // A hash has no octet of 0, and the length keeps user and password apart.
        let user_len = (login.user.len() as u64).to_be_bytes();
        let parts = [hash.as_bytes(), &[0], &user_len, login.user.as_bytes(), login.password];
        parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
    }

    fn knows(&self, tag: Tag) -> bool {
        let mut known = self.lock();
        if known.young.contains(&tag) {
            return true;
        }
        let was_known = known.old.contains(&tag);
        if was_known {
            known.add(tag);
        }
        was_known
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while it holds the list")
    }
}

impl Known {
    fn add(&mut self, tag: Tag) {
        if self.young.len() >= KNOWN_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(tag);
    }
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
                self.password_checks.knows(self.password_checks.tag(&hash, login))
            }
            Some(_) => password::verify(&hash, login.password),
        }
    }

    async fn check_login(&self, login: Credentials<'_>) -> bool {
        let permit = self.password_checks.checks.clone().acquire_owned().await;
        // Many clients may have come as the same user: who waited for the first knows what it knows.
        if self.is_known(login) {
            return self.judged(true, login);
        }
        let hash = self.password_hash_of(login.user);
        let is_slow = |hash: &String| Algorithm::of(hash).is_some_and(Algorithm::is_slow);
        let hash = hash.filter(is_slow).unwrap_or_else(|| NOBODY.to_owned());
        let tag = self.password_checks.tag(&hash, login);
        let password = login.password.to_owned();
        let check = move || {
            // Held by the thread: whoever does not wait for it makes no room for another one.
            let _permit = permit;
            password::verify(&hash, &password)
        };
        let is_right = tokio::task::spawn_blocking(check).await.unwrap_or(false);
        if is_right {
            self.password_checks.lock().add(tag);
        }
        self.judged(is_right, login)
    }

    fn password_hash_of(&self, user: &str) -> Option<String> {
        self.topology().user(user).map(|user| user.password_hash.clone())
    }

    /// Some users may not come from everywhere.
    fn judged(&self, is_right: bool, login: Credentials<'_>) -> bool {
        let is_allowed = is_right && self.may_come_from(login.user, login.from);
        if !is_allowed {
            tracing::warn!(user = login.user, from = %login.from, "login refused");
        }
        is_allowed
    }
}

/// PasswordChecks that are remembered in each generation, with 32 bytes each.
const KNOWN_MAX: usize = 8192;
/// Checks at a time: of the processors, at the most half, so that the others go on.
const CHECKS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(number: usize) -> Tag {
        let mut tag = Tag::default();
        tag[..8].copy_from_slice(&number.to_be_bytes());
        tag
    }

    #[test]
    fn as_many_logins_are_remembered_as_there_is_room_for_and_those_in_use_stay() {
        let logins = PasswordChecks::default();
        for number in 0..3 * KNOWN_MAX {
            assert!(!logins.knows(tag(number)));
            logins.lock().add(tag(number));
            assert!(logins.knows(tag(number)) && logins.knows(tag(0)), "{number}");
        }
        let known = logins.lock();
        assert!(known.young.len() + known.old.len() <= 2 * KNOWN_MAX);
        drop(known);
        assert!(!logins.knows(tag(1)));
    }

    #[test]
    fn a_tag_tells_users_passwords_and_hashes_apart() {
        let logins = PasswordChecks::default();
        let tag = |hash, user, password: &'static str| {
            let from = IpAddr::from([127, 0, 0, 1]);
            logins.tag(hash, Credentials { user, password: password.as_bytes(), from })
        };
        let known = tag("h", "ab", "c");
        assert_eq!(known, tag("h", "ab", "c"));
        for other in [tag("h", "a", "bc"), tag("i", "ab", "c"), tag("h", "ab", "d")] {
            assert_ne!(known, other);
        }
        assert_ne!(
            PasswordChecks::default().tag(
                "h",
                Credentials { user: "ab", password: b"c", from: IpAddr::from([127, 0, 0, 1]) }
            ),
            known
        );
    }
}
