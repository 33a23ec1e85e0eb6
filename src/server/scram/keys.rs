//! What is kept of a password for SCRAM-SHA-256, instead of the password.
//!
//! ```text
//! SaltedPassword = PBKDF2(HMAC-SHA-256, password, salt, iterations)
//! StoredKey      = SHA-256(HMAC(SaltedPassword, "Client Key"))
//! ServerKey      = HMAC(SaltedPassword, "Server Key")
//!
//! SCRAM-SHA-256$iterations:base64(salt)$base64(StoredKey):base64(ServerKey)
//! ```
//! The last line is the form in which they are kept (RFC 5803). Whoever reads it can pretend to be
//! the broker, but not the user.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{METHOD, prepared, random};

/// An HMAC-SHA-256, or a SHA-256.
pub(super) type Octets = [u8; 32];

/// What is kept of one password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
    stored_key: Octets,
    server_key: Octets,
}

impl Keys {
    /// Those of a new password.
    pub fn of_password(password: &str) -> Self {
        Keys::derive(password, &random::<SALT_LEN>(), ITERATIONS)
    }

    pub(super) fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let mut salted = Octets::default();
        let password = prepared(password);
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut salted);
        Keys {
            salt: salt.to_vec(),
            iterations,
            stored_key: Sha256::digest(hmac(&salted, b"Client Key")).into(),
            server_key: hmac(&salted, b"Server Key"),
        }
    }

    /// Those of a user who is not there, or has none: the same each time, so that asking twice
    /// tells nothing. No proof fits them.
    pub(super) fn of_nobody(secret: &str, user: &str) -> Self {
        let derived = |what: &str| hmac(secret.as_bytes(), format!("{what} {user}").as_bytes());
        Keys {
            salt: derived("salt")[..SALT_LEN].to_vec(),
            iterations: ITERATIONS,
            stored_key: derived("stored key"),
            server_key: derived("server key"),
        }
    }

    /// Whether whoever made this proof of a conversation knows the password.
    pub(super) fn fit(&self, conversation: &[u8], proof: &[u8]) -> bool {
        let signature = hmac(&self.stored_key, conversation);
        let client_key: Vec<u8> = signature.iter().zip(proof).map(|(a, b)| a ^ b).collect();
        let is_known = Sha256::digest(client_key).as_slice().ct_eq(&self.stored_key);
        proof.len() == signature.len() && is_known.into()
    }

    /// By which the broker proves that it knows the keys.
    pub(super) fn server_signature(&self, conversation: &[u8]) -> Octets {
        hmac(&self.server_key, conversation)
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] =
            [&self.salt[..], &self.stored_key, &self.server_key].map(|it| STANDARD.encode(it));
        write!(f, "{METHOD}${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl FromStr for Keys {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.strip_prefix(METHOD).ok_or(())?.split(['$', ':']);
        let mut next = |is_first: bool| parts.next().filter(|part| part.is_empty() == is_first);
        next(true).ok_or(())?;
        let iterations = next(false).and_then(|text| text.parse().ok()).ok_or(())?;
        let mut octets = || STANDARD.decode(next(false).ok_or(())?).map_err(|_| ());
        let salt = octets()?;
        let stored_key = octets()?.try_into().map_err(|_| ())?;
        let server_key = octets()?.try_into().map_err(|_| ())?;
        Ok(Keys { salt, iterations, stored_key, server_key })
    }
}

fn hmac(key: &[u8], data: &[u8]) -> Octets {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(data).finalize().into_bytes().into()
}

/// The fewest that RFC 7677 allows: more would slow small clients down. So whoever reads the keys tries
/// passwords faster by them than by the Argon2id hash that is kept beside them.
const ITERATIONS: u32 = 4096;
const SALT_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let keys = Keys::of_password("secret");
        assert_eq!(keys.to_string().parse(), Ok(keys.clone()));
        assert_ne!(Keys::of_password("secret"), keys);
        for text in ["", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:AA==$AA==:AA==", "SCRAM-SHA-1$1:$:"]
        {
            assert_eq!(text.parse::<Keys>(), Err(()), "{text}");
        }
    }

    #[test]
    fn nobody_has_the_same_keys_every_time() {
        let nobody = Keys::of_nobody("secret", "jo");
        assert_eq!(nobody, Keys::of_nobody("secret", "jo"));
        assert_ne!(nobody.salt, Keys::of_nobody("secret", "al").salt);
        assert_ne!(nobody.salt, Keys::of_nobody("another", "jo").salt);
        let real = Keys::of_password("x");
        assert_eq!((nobody.salt.len(), nobody.iterations), (real.salt.len(), real.iterations));
    }
}
