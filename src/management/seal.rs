//! What a session keeps that nobody is to read without its cookie: sealed with the token that the cookie
//! is, of which the broker itself keeps nothing but a hash.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Seals a secret with a token, which seals nothing else.
pub fn seal(token: &str, secret: &[u8]) -> Vec<u8> {
    let mut sealed = secret.to_vec();
    let done = key(token).seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed);
    done.expect("it is far shorter than what AES-GCM takes");
    sealed
}

/// What was sealed with this token.
pub fn open(token: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let mut opened = sealed.to_vec();
    let len = key(token).open_in_place(nonce(), Aad::empty(), &mut opened).ok()?.len();
    opened.truncate(len);
    Some(opened)
}

fn key(token: &str) -> LessSafeKey {
    let mac = Hmac::<Sha256>::new_from_slice(token.as_bytes());
    let mac = mac.expect("HMAC takes keys of any length").chain_update(PURPOSE);
    let key = UnboundKey::new(&AES_256_GCM, &mac.finalize().into_bytes());
    LessSafeKey::new(key.expect("SHA-256 is as long as a key of AES-256"))
}

/// Each key seals once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// Tells the key from whatever else is made of a token.
const PURPOSE: &[u8] = b"leveret session";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_with_its_token_alone() {
        for secret in [b"".as_slice(), b"secret", &[0xFF; 16 * 1024]] {
            let sealed = seal("token", secret);
            assert_eq!(open("token", &sealed).as_deref(), Some(secret));
            assert_eq!(open("other", &sealed), None);
            assert!(secret.is_empty() || !sealed.windows(secret.len()).any(|part| part == secret));
        }
        assert_eq!(open("token", b"short"), None);
    }
}
