//! Who may log in.
//!
//! Passwords are kept as RabbitMQ keeps them: base64 of four octets of salt and the SHA-256 of salt
//! and password, so that users move between the two with their definitions. Beside that stand the keys
//! of SCRAM-SHA-256, if the password itself was there when they could be made.

use std::fmt::Display;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Node;
use super::scram::{Exchange, Keys, ScramError};

/// The user that exists from the first start.
pub const GUEST: &str = "guest";

const SALT_LEN: usize = 4;

/// Hashes a password with a salt.
pub fn hash_password(salt: [u8; SALT_LEN], password: &[u8]) -> String {
    let mut hashed = salt.to_vec();
    hashed.extend_from_slice(&digest(&salt, password));
    STANDARD.encode(hashed)
}

/// A new salt.
pub fn salt() -> [u8; SALT_LEN] {
    let [a, b, c, d, ..] = RandomState::new().hash_one(()).to_be_bytes();
    [a, b, c, d]
}

/// Whether a password is the one that was hashed. Takes the same time whatever is wrong.
pub fn verify_password(hash: &str, password: &[u8]) -> bool {
    let Ok(bytes) = STANDARD.decode(hash) else { return false };
    let Some((salt, expected)) = bytes.split_at_checked(SALT_LEN) else { return false };
    digest(salt, password).as_slice().ct_eq(expected).into()
}

fn digest(salt: &[u8], password: &[u8]) -> Vec<u8> {
    Sha256::new().chain_update(salt).chain_update(password).finalize().to_vec()
}

impl Node {
    /// Whether this user may log in with this password from this address.
    pub fn login(&self, user: &str, password: &[u8], from: IpAddr) -> bool {
        let hash = self.topology().user(user).map(|user| user.password_hash.clone());
        // An unknown user costs the same time as a wrong password.
        let known = verify_password(hash.as_deref().unwrap_or(NOBODY), password) && hash.is_some();
        let allowed = known && self.may_come_from(user, from);
        if !allowed {
            tracing::warn!(user, %from, "login refused");
        }
        allowed
    }

    /// Takes the first message of a SCRAM client; gives the answer to it.
    ///
    /// # Errors
    /// If it is not one. That there is no such user is found out at the end only.
    pub fn begin_scram(&self, client_first: &[u8]) -> Result<(Exchange, String), ScramError> {
        let topology = self.topology();
        let keys_of = |name: &str| topology.user(name)?.scram_keys.parse().ok();
        Exchange::begin(client_first, topology.secret(), keys_of)
    }

    /// Takes the last message of a SCRAM client from this address; gives the answer to it.
    ///
    /// # Errors
    /// If the client is not who it says, or may not be here.
    pub fn finish_scram(
        &self,
        exchange: &Exchange,
        client_final: &[u8],
        from: IpAddr,
    ) -> Result<String, ScramError> {
        let user = exchange.user();
        let answer = exchange.finish(client_final).and_then(|answer| {
            let is_allowed = self.may_come_from(user, from);
            is_allowed.then_some(answer).ok_or(ScramError::Refused)
        });
        answer.inspect_err(|error| {
            let why = if self.lacks_scram_keys(user) { &NO_KEYS as &dyn Display } else { error };
            tracing::warn!(user, %from, error = %why, "login refused");
        })
    }

    fn lacks_scram_keys(&self, user: &str) -> bool {
        let topology = self.topology();
        topology.user(user).is_some_and(|user| user.scram_keys.parse::<Keys>().is_err())
    }

    fn may_come_from(&self, user: &str, from: IpAddr) -> bool {
        from.to_canonical().is_loopback() || !self.is_local_only(user)
    }

    fn is_local_only(&self, user: &str) -> bool {
        self.config.loopback_users.iter().any(|local| local == user)
    }
}

/// For the log alone: the client is told the same as one that guesses.
const NO_KEYS: &str = "the user has no SCRAM keys; set its password again";

/// The hash of no password that anybody knows.
const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_hash_and_no_other() {
        let hash = hash_password([1, 2, 3, 4], b"secret");
        assert!(verify_password(&hash, b"secret"));
        assert!(!verify_password(&hash, b"Secret"));
        assert!(!verify_password("not base64!", b"secret"));
        assert!(!verify_password("", b""));
    }

    #[test]
    fn a_hash_made_by_rabbitmq_is_understood() {
        // The example of RabbitMQ's documentation: salt 908DC60A, password "test12".
        let hash = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
        assert!(verify_password(hash, b"test12"));
    }
}
