//! The retained messages of a virtual host: the last one of each topic, found by pattern.
//!
//! They are one ordered map whose order is that of *words*: `a` < `a.b` < `a-b`. In that order all
//! keys below a prefix are neighbours, so the map is a trie without nodes. A search walks it
//! forward and, where a key does not fit, jumps to the first one that could: `a.+.c` at `a.b.d`
//! goes on behind `a.b`. It visits about what it returns, plus one jump per word tried in the place
//! of a `+`. It is not an index of patterns; that is [`Trie`](crate::Trie).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;
use std::sync::Arc;

use crate::message::Message;
use crate::position::Reference;
use crate::topic::{Pattern, Token, words};

/// See the module's documentation.
///
/// ```
/// use std::sync::Arc;
/// use leveret_core::{Body, Draft, Encoding, Facts, Message, Pattern, Retained};
/// let message = Arc::new(Message::new(Draft {
///     exchange: "amq.topic",
///     routing_key: "room.temp",
///     encoding: Encoding::None,
///     properties: &[],
///     body: Body::Borrowed(b"21"),
///     facts: Facts::default(),
/// }));
/// let mut retained = Retained::default();
/// retained.set("room.temp", message, None);
/// assert_eq!(retained.matching(Pattern::mqtt("room.+"), 0).count(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Retained {
    messages: BTreeMap<Key, Kept>,
    bytes: usize,
}

/// A retained message, and where the journal has it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The message.
    pub message: Arc<Message>,
    /// Its record; `None` while it is not in the journal.
    pub at: Option<Reference>,
}

impl Retained {
    /// Keeps a message for a key, in the place of the one before, which it returns.
    pub fn set(&mut self, key: &str, message: Arc<Message>, at: Option<Reference>) -> Option<Kept> {
        self.bytes += key.len() + message.size_bytes();
        let before = self.messages.insert(Key::new(key), Kept { message, at })?;
        self.bytes -= key.len() + before.message.size_bytes();
        Some(before)
    }

    /// Forgets the message of a key and returns it.
    pub fn remove(&mut self, key: &str) -> Option<Kept> {
        let kept = self.messages.remove(&Key::new(key))?;
        self.bytes -= key.len() + kept.message.size_bytes();
        Some(kept)
    }

    /// The message of a key, unless it has expired at `now_ms`.
    pub fn get(&self, key: &str, now_ms: u64) -> Option<&Arc<Message>> {
        let message = &self.messages.get(&Key::new(key))?.message;
        (!message.is_expired(now_ms)).then_some(message)
    }

    /// Keys that match, with their messages, in the order of their words, without those that have
    /// expired at `now_ms`.
    pub fn matching<'a>(&'a self, pattern: Pattern<'a>, now_ms: u64) -> Matching<'a> {
        let start = Key::new(&literal_prefix(pattern));
        Matching { messages: &self.messages, range: self.messages.range(start..), pattern, now_ms }
    }

    /// As [`Retained::matching`], behind a key.
    pub fn matching_after<'a>(
        &'a self,
        pattern: Pattern<'a>,
        after: Option<&str>,
        now_ms: u64,
    ) -> Matching<'a> {
        let mut matching = self.matching(pattern, now_ms);
        let start = Key::new(&literal_prefix(pattern));
        if let Some(after) = after.map(Key::new).filter(|after| *after >= start) {
            matching.range = self.messages.range((Bound::Excluded(after), Bound::Unbounded));
        }
        matching
    }

    /// All keys and messages in the order of their words, expired ones too.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Kept)> {
        self.messages.iter().map(|(key, kept)| (&*key.0, kept))
    }

    /// Forgets what has expired at `now_ms` and returns it.
    pub fn remove_expired(&mut self, now_ms: u64) -> Vec<Kept> {
        let expired: Vec<(Key, Kept)> =
            self.messages.extract_if(.., |_, kept| kept.message.is_expired(now_ms)).collect();
        let sizes = expired.iter().map(|(key, kept)| key.0.len() + kept.message.size_bytes());
        self.bytes -= sizes.sum::<usize>();
        expired.into_iter().map(|(_, kept)| kept).collect()
    }

    /// How many messages there are, expired ones included.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// What they cost in memory, in bytes, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The iterator of [`Retained::matching`].
#[derive(Debug)]
pub struct Matching<'a> {
    messages: &'a BTreeMap<Key, Kept>,
    range: Range<'a, Key, Kept>,
    pattern: Pattern<'a>,
    now_ms: u64,
}

impl<'a> Iterator for Matching<'a> {
    type Item = (&'a str, &'a Arc<Message>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (key, Kept { message, .. }) = self.range.next()?;
            match fit(self.pattern, &key.0) {
                Fit::Matches if message.is_expired(self.now_ms) => {}
                Fit::Matches => return Some((&key.0, message)),
                Fit::Skip => {}
                Fit::Seek(to) => {
                    self.range = self.messages.range((Bound::Included(to), Bound::Unbounded));
                }
                Fit::Over => return None,
            }
        }
    }
}

/// How a key stands to a pattern, given that all keys before it are done.
enum Fit {
    Matches,
    /// It does not, but the next one may.
    Skip,
    /// No key before this one does.
    Seek(Key),
    /// No further key does.
    Over,
}

fn fit(pattern: Pattern<'_>, key: &str) -> Fit {
    if key.starts_with('$') && pattern.hides_dollar() {
        return Fit::Seek(Key::new("%"));
    }
    let mut tokens = pattern.tokens();
    let mut prefix_len = 0;
    for word in words(key) {
        match tokens.next() {
            None => return behind(key, prefix_len),
            Some(Token::Many) if tokens.next().is_none() => return Fit::Matches,
            Some(Token::Many) if pattern.matches(key) => return Fit::Matches,
            Some(Token::Many) => return Fit::Skip,
            Some(Token::One) => {}
            Some(Token::Word(wanted)) => match word.cmp(wanted) {
                Ordering::Equal => {}
                Ordering::Less => return at_word(key, prefix_len, wanted),
                Ordering::Greater => return behind(key, prefix_len),
            },
        }
        prefix_len += word.len() + 1;
    }
    if tokens.all(|token| token == Token::Many) { Fit::Matches } else { Fit::Skip }
}

/// Goes on at `word` below the prefix of `key` that fits; `prefix_len` counts the dot behind it.
fn at_word(key: &str, prefix_len: usize, word: &str) -> Fit {
    Fit::Seek(Key([&key[..prefix_len], word].concat().into()))
}

/// Goes on behind everything below the prefix of `key` that fits.
fn behind(key: &str, prefix_len: usize) -> Fit {
    match prefix_len.checked_sub(1) {
        None => Fit::Over,
        // Nothing lies between a word and the same word with a NUL behind it.
        Some(end) => Fit::Seek(Key([&key[..end], "\0"].concat().into())),
    }
}

fn literal_prefix(pattern: Pattern<'_>) -> String {
    let mut prefix = String::new();
    for (i, token) in pattern.tokens().enumerate() {
        let Token::Word(word) = token else { break };
        if i > 0 {
            prefix.push('.');
        }
        prefix.push_str(word);
    }
    prefix
}

/// A routing key in the order of its words: a separator comes before every other byte.
#[derive(Debug, PartialEq, Eq)]
struct Key(Box<str>);

impl Key {
    fn new(key: &str) -> Self {
        Key(key.into())
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |byte: u8| if byte == b'.' { 0 } else { u16::from(byte) + 1 };
        self.0.bytes().map(rank).cmp(other.0.bytes().map(rank))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Body, Draft, Encoding, Facts};

    fn message(key: &str, expires_at_ms: Option<u64>) -> Arc<Message> {
        Arc::new(Message::new(Draft {
            exchange: "amq.topic",
            routing_key: key,
            encoding: Encoding::None,
            properties: &[],
            body: Body::Borrowed(b"body"),
            facts: Facts { expires_at_ms, ..Facts::default() },
        }))
    }

    fn retained(keys: &[&str]) -> Retained {
        let mut retained = Retained::default();
        for key in keys {
            retained.set(key, message(key, None), None);
        }
        retained
    }

    fn found<'a>(retained: &'a Retained, filter: &'a str) -> Vec<&'a str> {
        retained.matching(Pattern::mqtt(filter), 0).map(|(key, _)| key).collect()
    }

    #[test]
    fn messages_come_in_the_order_of_words() {
        let retained = retained(&["a-b", "a.b", "a", "a.b.c", "b", "$SYS.a", "a.", ".x"]);
        assert_eq!(found(&retained, "#"), [".x", "a", "a.", "a.b", "a.b.c", "a-b", "b"]);
        assert_eq!(found(&retained, "a.#"), ["a", "a.", "a.b", "a.b.c"]);
        assert_eq!(found(&retained, "+"), ["a", "a-b", "b"]);
        assert_eq!(found(&retained, "+.+"), [".x", "a.", "a.b"]);
        assert_eq!(found(&retained, "a.b"), ["a.b"]);
        assert_eq!(found(&retained, "$SYS.#"), ["$SYS.a"]);
        assert_eq!(found(&retained, "+.a"), Vec::<&str>::new());
    }

    #[test]
    fn a_search_goes_on_behind_a_key() {
        let retained = retained(&["a", "a.b", "a.c", "b.b", "c"]);
        let after = |filter, key| -> Vec<&str> {
            let found = retained.matching_after(Pattern::mqtt(filter), Some(key), 0);
            found.map(|(key, _)| key).collect()
        };
        assert_eq!(after("#", "a.b"), ["a.c", "b.b", "c"]);
        assert_eq!(after("#", "a.bb"), ["a.c", "b.b", "c"]);
        assert_eq!(after("+.b", "a.b"), ["b.b"]);
        assert_eq!(after("b.#", "a"), ["b.b"], "what is before the filter does not count");
        assert!(after("#", "c").is_empty());
    }

    #[test]
    fn a_hash_in_the_middle_works_too() {
        let retained = retained(&["a.b", "a.x.b", "a.x.c", "b"]);
        let found: Vec<_> = retained.matching(Pattern::amqp("a.#.b"), 0).map(|(k, _)| k).collect();
        assert_eq!(found, ["a.b", "a.x.b"]);
    }

    #[test]
    fn expired_messages_are_skipped_and_can_be_swept() {
        let mut retained = retained(&["a", "b"]);
        retained.set("c", message("c", Some(100)), None);
        assert_eq!(retained.matching(Pattern::mqtt("#"), 99).count(), 3);
        assert_eq!(retained.matching(Pattern::mqtt("#"), 100).count(), 2);
        assert!(retained.get("c", 99).is_some() && retained.get("c", 100).is_none());
        assert_eq!((retained.remove_expired(100).len(), retained.len()), (1, 2));
    }

    #[test]
    fn bytes_follow_what_is_there() {
        let mut retained = Retained::default();
        retained.set("a.b", message("a.b", None), None);
        let once = retained.bytes();
        assert!(once > 0);
        assert!(retained.set("a.b", message("a.b", None), None).is_some());
        assert_eq!(retained.bytes(), once);
        assert!(retained.remove("a.b").is_some() && retained.remove("a.b").is_none());
        assert_eq!((retained.bytes(), retained.len(), retained.is_empty()), (0, 0, true));
    }

    #[test]
    fn a_search_jumps_over_what_cannot_match() {
        let keys: Vec<String> =
            (0..200).flat_map(|i| (0..50).map(move |j| format!("d{i:03}.{j:02}"))).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let retained = retained(&keys);
        assert_eq!(found(&retained, "+.07").len(), 200);
        assert_eq!(found(&retained, "d100.+").len(), 50);
        assert_eq!(found(&retained, "e.+").len(), 0);
    }
}
