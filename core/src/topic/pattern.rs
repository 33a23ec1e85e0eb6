//! One pattern over routing keys, in the syntax of either protocol.
//!
//! | | one word | zero or more words | keys that start with `$` |
//! |---|---|---|---|
//! | AMQP | `*` | `#`, anywhere | are like any other |
//! | MQTT | `+` | `#`, as the last word | hidden from a wildcard in first place |
//!
//! MQTT filters come with swapped separators; what they hide is `[MQTT-4.7.2-1]`. A wildcard is a
//! whole word; everything else is literal, byte for byte.

use serde::{Deserialize, Serialize};

use super::words;

/// Whose wildcards a pattern uses.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Syntax {
    /// `*` and `#`.
    #[default]
    Amqp,
    /// `+` and a last `#`, in routing-key form.
    Mqtt,
}

/// A pattern in routing-key form.
///
/// ```
/// use leveret_core::Pattern;
/// assert!(Pattern::amqp("stock.#.nyse").matches("stock.usd.tech.nyse"));
/// assert!(Pattern::mqtt("a.+").matches("a.b") && !Pattern::mqtt("#").matches("$SYS.load"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern<'a> {
    text: &'a str,
    syntax: Syntax,
}

/// One word of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// This word.
    Word(&'a str),
    /// Any one word.
    One,
    /// Any words, or none.
    Many,
}

impl<'a> Pattern<'a> {
    /// A pattern in the given syntax.
    pub fn new(text: &'a str, syntax: Syntax) -> Self {
        Pattern { text, syntax }
    }

    /// A pattern with `*` and `#`.
    pub fn amqp(text: &'a str) -> Self {
        Pattern::new(text, Syntax::Amqp)
    }

    /// An MQTT filter that [`topic_to_key`](super::topic_to_key) has been applied to.
    pub fn mqtt(text: &'a str) -> Self {
        Pattern::new(text, Syntax::Mqtt)
    }

    /// The words of the pattern.
    pub fn tokens(self) -> impl Iterator<Item = Token<'a>> + Clone {
        let mut words = words(self.text).peekable();
        std::iter::from_fn(move || {
            let word = words.next()?;
            Some(token(self.syntax, word, words.peek().is_none()))
        })
    }

    /// Whether keys that start with `$` are out of its sight.
    pub fn hides_dollar(self) -> bool {
        self.syntax == Syntax::Mqtt
            && matches!(self.tokens().next(), Some(Token::One | Token::Many))
    }

    /// Whether it matches `key`, in time proportional to the product of both lengths at worst.
    pub fn matches(self, key: &str) -> bool {
        if key.starts_with('$') && self.hides_dollar() {
            return false;
        }
        let (mut tokens, mut words) = (self.tokens(), words(key));
        // Behind the last `#`: if the rest does not fit there, `#` takes one more word. Trying only
        // the last one is enough, because an earlier `#` could not reach anything more.
        let mut retry = None;
        loop {
            let token = tokens.next();
            if token == Some(Token::Many) {
                retry = Some((tokens.clone(), words.clone()));
                continue;
            }
            match (token, words.next()) {
                (None, None) => return true,
                (Some(Token::One), Some(_)) => {}
                (Some(Token::Word(wanted)), Some(word)) if wanted == word => {}
                _ => {
                    let Some((behind, swallowed)) = &mut retry else { return false };
                    if swallowed.next().is_none() {
                        return false;
                    }
                    (tokens, words) = (behind.clone(), swallowed.clone());
                }
            }
        }
    }
}

fn token(syntax: Syntax, word: &str, last: bool) -> Token<'_> {
    match (syntax, word) {
        (Syntax::Amqp, "*") | (Syntax::Mqtt, "+") => Token::One,
        (Syntax::Amqp, "#") => Token::Many,
        (Syntax::Mqtt, "#") if last => Token::Many,
        _ => Token::Word(word),
    }
}

/// Both references' corner cases: pattern, key, whether they match. The trie is tested with them
/// too.
#[cfg(test)]
pub(super) const AMQP_CASES: &[(&str, &str, bool)] = &[
    ("", "", true),
    ("#", "", true),
    ("*", "", false),
    ("", "a", false),
    ("a", "", false),
    ("#", "a.b.c", true),
    ("#", "$SYS.x", true),
    ("*.x", "$SYS.x", true),
    ("a.*.b", "a..b", true),
    ("*", ".", false),
    ("*.*", ".", true),
    ("a.b", "a.b", true),
    ("a.b", "a.B", false),
    ("a.#", "a", true),
    ("a.#", "a.b.c", true),
    ("a.#", "b.a", false),
    ("#.b", "b", true),
    ("#.b", "a.b", true),
    ("#.b", "a.b.c", false),
    ("a.#.b", "a.b", true),
    ("a.#.b", "a.x.y.b", true),
    ("a.#.b", "a.b.b", true),
    ("a.#.b", "a", false),
    ("#.#", "", true),
    ("#.#", "a.b", true),
    ("*.#", "", false),
    ("*.#", "a", true),
    ("#.*", "a.b.c", true),
    ("#.*.#", "", false),
    ("#.a.#.a.#", "a", false),
    ("#.a.#.a.#", "x.a.x.a", true),
    ("a*", "a*", true),
    ("a*", "ab", false),
    ("a.+", "a.b", false),
    ("a.+", "a.+", true),
    ("a.*", "a.*", true),
    ("a.b", "a.*", false),
    ("é.*", "é.x", true),
];

/// MQTT filters and topics with swapped separators.
#[cfg(test)]
pub(super) const MQTT_CASES: &[(&str, &str, bool)] = &[
    ("a.#", "a", true),
    ("a.#", "a.b.c", true),
    ("a.#", "ab", false),
    ("+.+", ".x", true),
    ("+", "a.b", false),
    (".+", ".x", true),
    (".+", "x", false),
    ("+", "", false),
    ("#", "a.b", true),
    ("#", ".", true),
    ("#", "$SYS.x", false),
    ("+.x", "$SYS.x", false),
    ("+", "$x", false),
    ("$SYS.#", "$SYS.x", true),
    ("$SYS.#", "$SYS", true),
    ("$SYS.+", "$SYS.x", true),
    ("a.#", "a.$x", true),
    ("a.+.b", "a..b", true),
    ("a..b", "a..b", true),
    ("a.+", "a.", true),
    ("a.+", "a", false),
    ("a.*", "a.b", false),
    ("a.*", "a.*", true),
    ("#.b", "a.b", false),
    ("#.b", "#.b", true),
    ("a+.b", "ax.b", false),
    ("a.b/c", "a.b/c", true),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corner_cases_of_amqp_hold() {
        for &(pattern, key, expected) in AMQP_CASES {
            assert_eq!(Pattern::amqp(pattern).matches(key), expected, "{pattern:?} on {key:?}");
        }
    }

    #[test]
    fn the_corner_cases_of_mqtt_hold() {
        for &(pattern, key, expected) in MQTT_CASES {
            assert_eq!(Pattern::mqtt(pattern).matches(key), expected, "{pattern:?} on {key:?}");
        }
    }

    #[test]
    fn many_hashes_take_no_exponential_time() {
        let (pattern, key) = (["#.a"; 60].join(".") + ".b", ["a"; 500].join("."));
        assert!(!Pattern::amqp(&pattern).matches(&key));
    }
}
