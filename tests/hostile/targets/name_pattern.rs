//! The regular expressions of permissions and policies: they take little memory, whatever they are, and
//! mean the same when they come out of the journal.

use leveret_core::NamePattern;

use super::within;

pub fn run(octets: &[u8]) {
    let Ok(text) = str::from_utf8(octets) else { return };
    let (text, name) = text.split_once('\n').unwrap_or((text, "orders.eu"));
    within(MEMORY_MAX, || {
        let Ok(pattern) = text.parse::<NamePattern>() else { return };
        let stored = serde_json::to_string(&pattern).expect("a pattern is a text");
        let again: NamePattern = serde_json::from_str(&stored).expect("it was one before");
        assert_eq!(pattern.matches(name), again.matches(name));
        assert_eq!(again.as_str(), text);
    });
}

/// What compiling one, twice, may take for a moment.
const MEMORY_MAX: usize = 16 << 20;
