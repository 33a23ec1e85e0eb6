//! Routing keys, and the patterns and tries that match them.
//!
//! There is one form of key for both protocols: words split by `.`, the empty key having none. An
//! MQTT topic takes that form by swapping every `/` and `.`, which loses nothing: `a/b.c` is the
//! key `a.b/c`, and the swap of that is `a/b.c` again.

mod pattern;
mod trie;

pub use pattern::{Pattern, Syntax, Token};
pub use trie::Trie;

use std::borrow::Cow;

/// The routing key of an MQTT topic or filter.
///
/// ```
/// assert_eq!(leveret_core::topic_to_key("sensors/v1.2/temp"), "sensors.v1/2.temp");
/// ```
pub fn topic_to_key(topic: &str) -> Cow<'_, str> {
    swap_separators(topic)
}

/// The MQTT topic of a routing key: the inverse of [`topic_to_key`].
pub fn key_to_topic(key: &str) -> Cow<'_, str> {
    swap_separators(key)
}

/// The words of a routing key; the empty key has none.
pub fn words(key: &str) -> impl Iterator<Item = &str> + Clone {
    key.split('.').skip(usize::from(key.is_empty()))
}

fn swap_separators(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'.' | b'/')) {
        return Cow::Borrowed(text);
    }
    let mut swapped = text.as_bytes().to_vec();
    for byte in &mut swapped {
        // The two differ in their lowest bit.
        *byte ^= u8::from(*byte | 1 == b'/');
    }
    Cow::Owned(String::from_utf8(swapped).expect("one ASCII character in the place of another"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_becomes_a_key_and_back() {
        for (topic, key) in [
            ("a/b", "a.b"),
            ("a.b", "a/b"),
            ("/", "."),
            ("é/x.y", "é.x/y"),
            ("plain", "plain"),
            ("", ""),
            ("a//b/", "a..b."),
        ] {
            assert_eq!(topic_to_key(topic), key);
            assert_eq!(key_to_topic(key), topic);
        }
    }

    #[test]
    fn a_key_without_separators_is_not_copied() {
        assert!(matches!(topic_to_key("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn the_empty_key_has_no_words_and_a_dot_has_two() {
        assert_eq!(words("").count(), 0);
        assert_eq!(words(".").collect::<Vec<_>>(), ["", ""]);
        assert_eq!(words("a..b").collect::<Vec<_>>(), ["a", "", "b"]);
    }
}
