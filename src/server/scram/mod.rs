//! SCRAM-SHA-256: a login that never sends the password, and in which the broker proves that it
//! knows it (RFC 5802, RFC 7677). Messages in, messages out; the broker's side.
//!
//! ```text
//! client-first   n,,n=user,r=nonce
//! server-first   r=nonce+more,s=salt,i=iterations
//! client-final   c=biws,r=nonce+more,p=proof
//! server-final   v=signature
//! ```
//! Without channel binding: the broker has no TLS to bind to. A user who is not there is told a salt
//! as well, and refused as late as one with a wrong password.

mod keys;
mod message;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use keys::Keys;
use message::{ClientFinal, ClientFirst};

/// The name of the method.
pub const METHOD: &str = "SCRAM-SHA-256";

/// A login that has begun.
#[derive(Debug)]
pub struct Exchange {
    user: String,
    keys: Keys,
    /// The nonce of both sides.
    nonce: String,
    /// The base64 of what comes before the client's first message proper.
    header: String,
    /// That message and the broker's first one.
    conversation: String,
}

/// A login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The client does not follow the method.
    #[error("SCRAM message: {0}")]
    Message(&'static str),
    /// The client does not know the password, or there is no such user.
    #[error("user name or password is wrong, or the password has to be set again for SCRAM")]
    Refused,
}

impl Exchange {
    /// Takes a client's first message; gives the broker's. `keys_of` a user without keys are those of
    /// nobody, which `secret` makes.
    pub fn begin(
        client_first: &[u8],
        secret: &str,
        keys_of: impl FnOnce(&str) -> Option<Keys>,
    ) -> Result<(Self, String), ScramError> {
        Self::begin_with(client_first, &STANDARD.encode(random::<NONCE_LEN>()), |user| {
            let nobody = Keys::of_nobody(secret, user);
            keys_of(user).unwrap_or(nobody)
        })
    }

    fn begin_with(
        client_first: &[u8],
        nonce: &str,
        keys_of: impl FnOnce(&str) -> Keys,
    ) -> Result<(Self, String), ScramError> {
        let ClientFirst { header, bare, user, nonce: of_client } =
            ClientFirst::parse(client_first)?;
        let user = prepared(&user).into_owned();
        if user.is_empty() {
            return Err(ScramError::Message("user name is empty"));
        }
        let keys = keys_of(&user);
        let nonce = format!("{of_client}{nonce}");
        let salt = STANDARD.encode(&keys.salt);
        let server_first = format!("r={nonce},s={salt},i={}", keys.iterations);
        let conversation = format!("{bare},{server_first}");
        let header = STANDARD.encode(header);
        Ok((Exchange { user, keys, nonce, header, conversation }, server_first))
    }

    /// Who wants in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Takes the client's last message; gives the broker's, if the client is who it says.
    pub fn finish(&self, client_final: &[u8]) -> Result<String, ScramError> {
        let ClientFinal { header, nonce, without_proof, proof } = ClientFinal::parse(client_final)?;
        if header != self.header {
            return Err(ScramError::Message("channel binding is not that of the first message"));
        }
        if nonce != self.nonce {
            return Err(ScramError::Message("nonce is not the one that was sent"));
        }
        let proof =
            STANDARD.decode(proof).map_err(|_| ScramError::Message("proof is not base64"))?;
        let conversation = format!("{},{without_proof}", self.conversation);
        if !self.keys.fit(conversation.as_bytes(), &proof) {
            return Err(ScramError::Refused);
        }
        let signature = self.keys.server_signature(conversation.as_bytes());
        Ok(format!("v={}", STANDARD.encode(signature)))
    }
}

/// A user name or a password as both sides compute with it: by SASLprep (RFC 4013) if that takes it,
/// else as it is.
fn prepared(text: &str) -> Cow<'_, str> {
    stringprep::saslprep(text).unwrap_or(Cow::Borrowed(text))
}

/// Octets that nobody can foretell.
pub fn random<const LEN: usize>() -> [u8; LEN] {
    let mut octets = [0; LEN];
    getrandom::fill(&mut octets).expect("an operating system has random numbers");
    octets
}

const NONCE_LEN: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    fn pencil(_: &str) -> Keys {
        Keys::derive("pencil", &STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4096)
    }

    fn final_with(proof: &str) -> String {
        format!("c=biws,r=rOprNGfwEbeRWgbNEkqO{NONCE},p={proof}")
    }

    #[test]
    fn the_example_of_rfc_7677_is_followed() {
        let (exchange, server_first) = Exchange::begin_with(FIRST, NONCE, pencil).unwrap();
        assert_eq!(exchange.user(), "user");
        assert_eq!(
            server_first,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let client_final = final_with("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        assert_eq!(
            exchange.finish(client_final.as_bytes()).unwrap(),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn a_wrong_proof_a_wrong_nonce_and_another_binding_are_refused() {
        let (exchange, _) = Exchange::begin_with(FIRST, NONCE, pencil).unwrap();
        let wrong = [final_with("AAAA"), final_with(&STANDARD.encode([0; 32]))];
        for message in wrong {
            assert_eq!(exchange.finish(message.as_bytes()), Err(ScramError::Refused));
        }
        for message in [
            final_with("no base64!"),
            final_with("AAAA").replace("rOpr", "xOpr"),
            final_with("AAAA").replace("biws", "eSws"),
        ] {
            let refused = exchange.finish(message.as_bytes());
            assert!(matches!(refused, Err(ScramError::Message(_))), "{message}");
        }
    }

    #[test]
    fn a_name_of_which_nothing_is_left_is_refused() {
        let begun = Exchange::begin_with("n,,n=\u{ad},r=x".as_bytes(), NONCE, pencil);
        assert_eq!(begun.err(), Some(ScramError::Message("user name is empty")));
    }

    #[test]
    fn nobody_gets_as_far_as_a_wrong_password() {
        let begin = || Exchange::begin(FIRST, "secret", |_| None).unwrap();
        let ((exchange, first), (_, second)) = (begin(), begin());
        let salt = |message: &str| message.split_once(",s=").unwrap().1.to_owned();
        assert_eq!(salt(&first), salt(&second));
        assert_ne!(first, second);
        let nonce = &first[2..first.find(",s=").unwrap()];
        let message = format!("c=biws,r={nonce},p={}", STANDARD.encode([0; 32]));
        assert_eq!(exchange.finish(message.as_bytes()), Err(ScramError::Refused));
    }

    #[test]
    fn names_and_passwords_are_prepared() {
        assert_eq!(prepared("I\u{ad}X"), "IX");
        assert_eq!(prepared("e\u{301}"), "é");
        assert_eq!(prepared("a\u{7}"), "a\u{7}");
        let (composed, salt) = (Keys::derive("\u{e9}", b"salt", 1), b"salt");
        assert_eq!(composed, Keys::derive("e\u{301}", salt, 1));
    }
}
