//! What the scopes of a token allow, in the form of RabbitMQ's `rabbitmq_auth_backend_oauth2`:
//!
//! ```text
//! <prefix>read:<vhost>/<name>[/<routing key>]      write and configure alike
//! <prefix>tag:<tag>
//! ```
//!
//! Each part is a pattern in which `*` stands for anything; `%2F` and its like stand for single octets, also
//! for `*` and `/` themselves. A topic exchange wants a scope with a routing key, beside one for the exchange.

use leveret_core::{Right, Wanted};

/// What somebody may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    grants: Vec<Grant>,
    tags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    right: Right,
    vhost: Wildcard,
    name: Wildcard,
    topic: Option<Wildcard>,
}

/// The pieces between the `*` of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wildcard(Vec<Vec<u8>>);

impl Scopes {
    /// Those that begin with the prefix and make sense; the others are for somebody else.
    pub fn of<'a>(scopes: impl Iterator<Item = &'a str>, prefix: &str) -> Self {
        let mut all = Scopes::default();
        for scope in scopes.filter_map(|scope| scope.strip_prefix(prefix)) {
            match scope.strip_prefix("tag:") {
                Some(tag) => all.tags.push(tag.to_owned()),
                None => all.grants.extend(Grant::parse(scope)),
            }
        }
        all
    }

    /// The tags.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Whether anything is allowed in a virtual host.
    pub fn allow_entry(&self, vhost: &str) -> bool {
        self.grants.iter().any(|grant| grant.vhost.matches(vhost))
    }

    /// Whether something is allowed.
    pub fn allow(&self, wanted: &Wanted<'_>) -> bool {
        self.grants.iter().any(|grant| grant.allows(wanted))
    }
}

impl Grant {
    fn parse(scope: &str) -> Option<Grant> {
        let (right, resource) = scope.split_once(':')?;
        let right = match right {
            "read" => Right::Read,
            "write" => Right::Write,
            "configure" => Right::Configure,
            _ => return None,
        };
        let mut parts = resource.split('/').map(Wildcard::parse);
        let (vhost, name) = (parts.next()??, parts.next()??);
        let topic = match parts.next() {
            Some(topic) => Some(topic?),
            None => None,
        };
        parts.next().is_none().then_some(Grant { right, vhost, name, topic })
    }

    fn allows(&self, wanted: &Wanted<'_>) -> bool {
        let allows_topic = match (wanted.topic, &self.topic) {
            (None, _) => true,
            (Some(key), Some(topic)) => topic.matches(key),
            (Some(_), None) => false,
        };
        allows_topic
            && self.right == wanted.right
            && self.vhost.matches(wanted.vhost)
            && self.name.matches(wanted.name)
    }
}

impl Wildcard {
    /// `None` if there is something wrong with a `%`.
    fn parse(text: &str) -> Option<Wildcard> {
        text.split('*').map(decode).collect::<Option<_>>().map(Wildcard)
    }

    fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else { return false };
        if self.0.len() == 1 {
            return first == text;
        }
        let Some(text) = text.strip_prefix(&**first) else { return false };
        let Some(mut text) = text.strip_suffix(&**last) else { return false };
        for piece in &self.0[1..self.0.len() - 1] {
            let found = text.windows(piece.len().max(1)).position(|at| at.starts_with(piece));
            match found {
                Some(at) => text = &text[at + piece.len()..],
                None if piece.is_empty() => {}
                None => return false,
            }
        }
        true
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                (high * 16 + low) as u8
            }
            byte => byte,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use leveret_core::ResourceKind;

    use super::*;

    fn wanted<'a>(right: Right, vhost: &'a str, name: &'a str) -> Wanted<'a> {
        let kind = ResourceKind::Queue;
        Wanted { vhost, right, kind, name, topic: None, client_id: None }
    }

    #[test]
    fn a_pattern_matches_from_end_to_end() {
        let matches = |pattern: &str, text| Wildcard::parse(pattern).unwrap().matches(text);
        for (pattern, text, does) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*b", "ab", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a**c", "abc", true),
            ("*a*a*", "a", false),
            ("*a*a*", "xaya", true),
            ("%2F", "/", true),
            ("%2f%2A", "/*", true),
            ("%2A", "a", false),
            ("a%20b", "a b", true),
            ("%C3%A4", "ä", true),
        ] {
            assert_eq!(matches(pattern, text), does, "{pattern} {text}");
        }
        for nonsense in ["%", "%2", "%zz", "a%2*"] {
            assert_eq!(Wildcard::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_scope_allows_one_right_and_others_mean_nothing() {
        let scopes =
            ["r.read:%2F/a*", "s.write:*/*", "r.tag:administrator", "r.write:v/q/k", "read:*/*"];
        let scopes = Scopes::of(scopes.into_iter(), "r.");
        assert_eq!(scopes.tags(), ["administrator"]);
        assert!(scopes.allow_entry("/") && scopes.allow_entry("v") && !scopes.allow_entry("w"));
        assert!(scopes.allow(&wanted(Right::Read, "/", "abc")));
        assert!(!scopes.allow(&wanted(Right::Read, "/", "bc")));
        assert!(!scopes.allow(&wanted(Right::Write, "/", "abc")));
        assert!(scopes.allow(&wanted(Right::Write, "v", "q")));
        for nonsense in ["r.read:v", "r.read:v/q/k/l", "r.delete:v/q", "r.read", "r.", "r.read:%/q"]
        {
            let scopes = Scopes::of([nonsense].into_iter(), "r.");
            assert_eq!(scopes, Scopes::default(), "{nonsense}");
        }
    }

    #[test]
    fn a_topic_wants_a_scope_with_a_routing_key() {
        let scopes = ["read:v/x/a.*", "write:v/x"];
        let scopes = Scopes::of(scopes.into_iter(), "");
        let allows =
            |right, topic| scopes.allow(&Wanted { topic: Some(topic), ..wanted(right, "v", "x") });
        assert!(allows(Right::Read, "a.b.c") && !allows(Right::Read, "b"));
        assert!(scopes.allow(&wanted(Right::Write, "v", "x")) && !allows(Right::Write, "a.b"));
    }
}
