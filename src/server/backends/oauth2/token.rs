//! JSON Web Tokens (RFC 7519), signed in the compact form: `header.claims.signature`, each in base64url.
//!
//! Nothing of the claims is looked at before the signature has been.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::key::Key;

/// A token that may be one.
#[derive(Debug)]
pub struct Token<'a> {
    /// What is signed.
    signed: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
    algorithm: String,
    key_id: Option<String>,
}

/// What is said in a token that is genuine.
#[derive(Debug)]
pub struct Claims(Map<String, Value>);

impl<'a> Token<'a> {
    /// Takes a token apart. `None` if it is none.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= BYTES_MAX)?;
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        // What is critical and not known makes a token one that cannot be used (RFC 7515 §4.1.11).
        if header.get("crit").is_some() {
            return None;
        }
        let part = |name| header.get(name).and_then(Value::as_str).map(str::to_owned);
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Token { signed, claims, signature, algorithm: part("alg")?, key_id: part("kid") })
    }

    /// Whether one of these keys may have signed it, as far as its name says.
    pub fn names_one_of(&self, keys: &[Key]) -> bool {
        keys.iter().any(|key| key.is_named(self.key_id.as_deref()))
    }

    /// What it says, if one of these keys has signed it.
    pub fn claims(&self, keys: &[Key]) -> Option<Claims> {
        let message = self.signed.as_bytes();
        let mut named = keys.iter().filter(|key| key.is_named(self.key_id.as_deref()));
        if !named.any(|key| key.has_signed(&self.algorithm, message, &self.signature)) {
            return None;
        }
        let claims = URL_SAFE_NO_PAD.decode(self.claims).ok()?;
        serde_json::from_slice(&claims).ok().map(Claims)
    }
}

impl Claims {
    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A moment, in seconds since the Unix epoch. `Err` if it is there and none.
    pub fn seconds(&self, name: &str) -> Result<Option<u64>, ()> {
        match self.0.get(name) {
            None => Ok(None),
            // A fraction of a second is cut off.
            Some(value) => match value.as_f64() {
                Some(seconds) if seconds >= 0.0 => Ok(Some(seconds as u64)),
                _ => Err(()),
            },
        }
    }

    /// A claim that is a list of words, one after another or one by one. `path` has the names of objects
    /// around it, with dots between.
    pub fn words(&self, path: &str) -> Vec<&str> {
        let mut names = path.split('.');
        let first = names.next().and_then(|name| self.0.get(name));
        match names.try_fold(first, |value, name| Some(value?.get(name))).flatten() {
            Some(Value::String(words)) => words.split_whitespace().collect(),
            Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// The longest token.
const BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: Value) -> Claims {
        match json {
            Value::Object(claims) => Claims(claims),
            _ => panic!("no object"),
        }
    }

    fn secret(alg: &str) -> Vec<Key> {
        let json = serde_json::json!({ "kty": "oct", "kid": "k", "alg": alg, "k": "c".repeat(43) });
        Key::of_file(json.to_string().as_bytes()).unwrap()
    }

    fn signed(header: &Value, claims: &Value) -> String {
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let secret = URL_SAFE_NO_PAD.decode("c".repeat(43)).unwrap();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
        let signature = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    #[test]
    fn a_token_says_something_if_it_is_signed_by_the_key_that_it_names() {
        let said = serde_json::json!({ "sub": "jo" });
        let is_genuine = |header: Value, keys: &[Key]| {
            let token = signed(&header, &said);
            Token::parse(token.as_bytes()).and_then(|token| token.claims(keys)).is_some()
        };
        let header = |alg: &str| serde_json::json!({ "alg": alg, "kid": "k" });
        let keys = secret("HS256");
        assert!(is_genuine(header("HS256"), &keys));
        assert!(is_genuine(serde_json::json!({ "alg": "HS256" }), &keys));
        for wrong in [
            header("none"),
            header("HS384"),
            header("RS256"),
            serde_json::json!({ "alg": "HS256", "kid": "other" }),
            serde_json::json!({ "alg": "HS256", "crit": ["exp"] }),
            serde_json::json!({ "kid": "k" }),
        ] {
            assert!(!is_genuine(wrong.clone(), &keys), "{wrong}");
        }
        assert!(!is_genuine(header("HS256"), &secret("HS512")), "the key is for something else");
    }

    #[test]
    fn what_is_changed_or_no_token_says_nothing() {
        let keys = secret("HS256");
        let header = serde_json::json!({ "alg": "HS256" });
        let token = signed(&header, &serde_json::json!({ "sub": "jo" }));
        let other = signed(&header, &serde_json::json!({ "sub": "ko" }));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (other, _) = other.rsplit_once('.').unwrap();
        let says = |token: &str| {
            Token::parse(token.as_bytes()).and_then(|token| token.claims(&keys)).is_some()
        };
        assert!(says(&token));
        assert!(!says(&format!("{other}.{signature}")) && !says(&format!("{signed}.")));
        for nonsense in ["", ".", "..", "...", "a.b.c", signed, &format!("{token}.x")] {
            assert!(!says(nonsense), "{nonsense}");
        }
    }

    #[test]
    fn scopes_are_words_or_a_list() {
        let json = serde_json::json!({
            "scope": "a  b", "list": ["a", 1, "b"], "realm": { "roles": ["c"] }, "number": 1
        });
        let claims = claims(json);
        assert_eq!(claims.words("scope"), ["a", "b"]);
        assert_eq!(claims.words("list"), ["a", "b"]);
        assert_eq!(claims.words("realm.roles"), ["c"]);
        for nothing in ["number", "realm", "realm.roles.x", "none", ""] {
            assert!(claims.words(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn a_moment_is_a_number_of_seconds() {
        let json = serde_json::json!({ "exp": 1.5, "nbf": 7, "iat": "7", "auth_time": -1 });
        let claims = claims(json);
        assert_eq!((claims.seconds("exp"), claims.seconds("nbf")), (Ok(Some(1)), Ok(Some(7))));
        assert_eq!(claims.seconds("none"), Ok(None));
        assert_eq!((claims.seconds("iat"), claims.seconds("auth_time")), (Err(()), Err(())));
    }
}
