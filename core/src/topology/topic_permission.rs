//! What a user may do with single topics of a topic exchange.

use std::borrow::Cow;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::{Actor, Authority, Right};
use crate::pattern::{NamePattern, NamePatternError};

/// Patterns for routing keys and binding keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPermissions {
    /// What may be published.
    pub write: TopicPattern,
    /// What may be bound.
    pub read: TopicPattern,
}

/// A pattern in which `{username}`, `{vhost}` and `{client_id}` stand for those of whoever asks. What
/// has no client identifier is matched by nothing that has a place for one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct TopicPattern {
    text: String,
    /// With the user's name and virtual host, which never change where the pattern is.
    expanded: OnceLock<NamePattern>,
}

impl TopicPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// If it is none, whatever stands in the places.
    pub fn parse(text: &str) -> Result<Self, NamePatternError> {
        let anybody = Actor {
            user: "u",
            vhost: "v",
            client_id: Some("c"),
            authority: Authority::Permissions,
        };
        expand(text, &anybody).parse::<NamePattern>()?;
        Ok(text.to_owned().into())
    }

    /// Whether it is found in a key.
    pub fn matches(&self, actor: &Actor<'_>, key: &str) -> bool {
        let expand = || NamePattern::from(expand(&self.text, actor).into_owned());
        if self.text.contains(CLIENT_ID) {
            return expand().matches(key);
        }
        self.expanded.get_or_init(expand).matches(key)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl TopicPermissions {
    /// Whether this may be done with a key.
    pub fn allow(&self, actor: &Actor<'_>, right: Right, key: &str) -> bool {
        match right {
            Right::Configure => true,
            Right::Write => self.write.matches(actor, key),
            Right::Read => self.read.matches(actor, key),
        }
    }
}

/// Names are taken literally: nobody gets more by being called `.*`.
fn expand<'a>(text: &'a str, actor: &Actor<'_>) -> Cow<'a, str> {
    if !text.contains('{') {
        return Cow::Borrowed(text);
    }
    let client_id = actor.client_id.map_or(NOTHING.to_owned(), regex::escape);
    let text = text.replace(CLIENT_ID, &client_id);
    let text = text.replace(USERNAME, &regex::escape(actor.user));
    Cow::Owned(text.replace(VHOST, &regex::escape(actor.vhost)))
}

/// Without a look at it: for what was checked before.
impl From<String> for TopicPattern {
    fn from(text: String) -> Self {
        TopicPattern { text, expanded: OnceLock::new() }
    }
}

impl From<TopicPattern> for String {
    fn from(pattern: TopicPattern) -> Self {
        pattern.text
    }
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TopicPattern {}

const USERNAME: &str = "{username}";
const VHOST: &str = "{vhost}";
const CLIENT_ID: &str = "{client_id}";
/// Is found in no text.
const NOTHING: &str = r"[^\s\S]";

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, actor: Actor<'_>, key: &str) -> bool {
        TopicPattern::parse(pattern).unwrap().matches(&actor, key)
    }

    const JO: Actor<'static> =
        Actor { user: "jo", vhost: "/", client_id: None, authority: Authority::Permissions };

    #[test]
    fn places_stand_for_who_asks() {
        assert!(matches("^{username}\\.", JO, "jo.x") && !matches("^{username}\\.", JO, "al.x"));
        assert!(matches("^{vhost}{username}$", JO, "/jo"));
        let device = Actor { client_id: Some("d1"), ..JO };
        assert!(matches("^{client_id}$", device, "d1") && !matches("^{client_id}$", device, "d2"));
        assert!(matches("^a{2}$", JO, "aa"), "other braces stay");
    }

    #[test]
    fn without_a_client_identifier_its_place_matches_nothing() {
        for key in ["", "{client_id}", "x", "\n"] {
            assert!(!matches("{client_id}", JO, key), "{key}");
        }
    }

    #[test]
    fn a_name_is_no_pattern() {
        let sly = Actor {
            user: ".*",
            vhost: "/",
            client_id: Some("a|.*"),
            authority: Authority::Permissions,
        };
        assert!(!matches("^{username}$", sly, "x") && matches("^{username}$", sly, ".*"));
        assert!(!matches("^{client_id}$", sly, "x"));
        let nested = Actor { client_id: Some("{username}"), ..JO };
        assert!(!matches("^{client_id}$", nested, "jo"));
    }

    #[test]
    fn a_broken_pattern_is_refused() {
        assert!(TopicPattern::parse("({username}").is_err());
    }
}
