//! Who knows users.

use std::fmt;
use std::str::FromStr;

use super::setting::words;

/// Somebody who knows users, and says what they may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthBackend {
    /// The broker itself.
    Internal,
    /// A server that is asked over HTTP.
    Http,
    /// Whoever has signed a token.
    OAuth2,
}

/// Those who are asked, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthBackends(pub Vec<AuthBackend>);

/// How forms are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    /// Behind the path.
    Get,
    /// In the body.
    Post,
}

words!(AuthBackend { Internal = "internal", Http = "http", OAuth2 = "oauth2" });
words!(HttpMethod { Get = "get", Post = "post" });

impl FromStr for AuthBackends {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let backends: Vec<AuthBackend> =
            text.split(',').map(|name| name.trim().parse()).collect::<Result<_, _>>()?;
        let is_new = |at: usize| !backends[..at].contains(&backends[at]);
        match (0..backends.len()).all(is_new) {
            true => Ok(AuthBackends(backends)),
            false => Err("a backend is named twice".to_owned()),
        }
    }
}

impl fmt::Display for AuthBackends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_named_once_each() {
        let backends: AuthBackends = "http, internal".parse().unwrap();
        assert_eq!(backends.0, [AuthBackend::Http, AuthBackend::Internal]);
        assert_eq!(backends.to_string(), "http,internal");
        for text in ["", "ldap", "http,http", "internal,"] {
            assert!(text.parse::<AuthBackends>().is_err(), "{text}");
        }
    }
}
