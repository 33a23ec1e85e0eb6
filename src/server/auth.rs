//! Who may log in.
//!
//! Passwords are kept as RabbitMQ keeps them: base64 of four octets of salt and the SHA-256 of salt
//! and password, so that users move between the two with their definitions.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Node;

/// The user that exists from the first start; it may log in from this machine only.
pub const GUEST: &str = "guest";

const SALT_LEN: usize = 4;

/// Hashes a password with a salt.
pub fn hash_password(salt: [u8; SALT_LEN], password: &[u8]) -> String {
    let mut hashed = salt.to_vec();
    hashed.extend_from_slice(&digest(&salt, password));
    STANDARD.encode(hashed)
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
        let allowed = known && (user != GUEST || from.to_canonical().is_loopback());
        if !allowed {
            tracing::warn!(user, %from, "login refused");
        }
        allowed
    }
}

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
