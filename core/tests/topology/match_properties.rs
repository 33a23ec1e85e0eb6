//! The trie and the retained store against a matcher that is too simple to be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_core::{
    Body, Draft, Encoding, Facts, Message, Pattern, Retained, Syntax, Trie, key_to_topic,
    topic_to_key,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["a", "b", "", "$s", "a-", "\0", "*", "+", "#", "é"][..])
}

fn pattern_word() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => word(), 2 => prop::sample::select(&["*", "+", "#"][..])]
}

fn key() -> impl Strategy<Value = String> {
    vec(word(), 0..6).prop_map(|words| words.join("."))
}

fn pattern() -> impl Strategy<Value = (String, Syntax)> {
    let text = vec(pattern_word(), 0..6).prop_map(|words| words.join("."));
    (text, prop_oneof![Just(Syntax::Amqp), Just(Syntax::Mqtt)])
}

/// By the book: `#` takes nothing, or one word and then whatever it takes of the rest.
fn matches(pattern: &str, syntax: Syntax, key: &str) -> bool {
    fn rest(pattern: &[&str], syntax: Syntax, key: &[&str]) -> bool {
        let Some((first, behind)) = pattern.split_first() else { return key.is_empty() };
        let many = *first == "#" && (syntax == Syntax::Amqp || behind.is_empty());
        let one = *first == if syntax == Syntax::Amqp { "*" } else { "+" };
        if many && rest(behind, syntax, key) {
            return true;
        }
        let Some((word, further)) = key.split_first() else { return false };
        if many {
            rest(pattern, syntax, further)
        } else {
            (one || first == word) && rest(behind, syntax, further)
        }
    }
    let words = |text: &str| -> Vec<String> {
        if text.is_empty() { Vec::new() } else { text.split('.').map(str::to_owned).collect() }
    };
    let (pattern, key_words) = (words(pattern), words(key));
    let pattern: Vec<&str> = pattern.iter().map(String::as_str).collect();
    let key_words: Vec<&str> = key_words.iter().map(String::as_str).collect();
    let wildcard_first = matches!(pattern[..], ["+", ..] | ["#"]);
    if syntax == Syntax::Mqtt && wildcard_first && key.starts_with('$') {
        return false;
    }
    rest(&pattern, syntax, &key_words)
}

/// Patterns that mean the same are one to the trie, whatever their syntax.
fn meaning(pattern: Pattern<'_>) -> String {
    format!("{:?} {}", pattern.tokens().collect::<Vec<_>>(), pattern.hides_dollar())
}

fn message(key: &str) -> Arc<Message> {
    Arc::new(Message::new(Draft {
        exchange: "",
        routing_key: key,
        encoding: Encoding::None,
        properties: &[],
        body: Body::Borrowed(&[]),
        facts: Facts::default(),
    }))
}

proptest! {
    #[test]
    fn a_single_pattern_matches_as_the_book_says((text, syntax) in pattern(), key in key()) {
        let expected = matches(&text, syntax, &key);
        prop_assert_eq!(Pattern::new(&text, syntax).matches(&key), expected);
    }

    #[test]
    fn the_trie_finds_what_matches_through_insertions_and_removals(
        steps in vec((pattern(), any::<bool>()), 1..40),
        keys in vec(key(), 1..10),
    ) {
        let mut trie: Trie<usize> = Trie::default();
        let mut model: BTreeMap<String, (String, Syntax, usize)> = BTreeMap::new();
        for (number, ((text, syntax), insert)) in steps.into_iter().enumerate() {
            let pattern = Pattern::new(&text, syntax);
            if insert {
                *trie.entry(pattern) = number;
                model.insert(meaning(pattern), (text, syntax, number));
            } else {
                let expected = model.remove(&meaning(pattern)).map(|(.., number)| number);
                prop_assert_eq!(trie.remove(pattern), expected);
            }
        }
        for key in keys {
            let mut found = Vec::new();
            trie.for_each_match(&key, |number| found.push(*number));
            found.sort_unstable();
            let mut expected: Vec<usize> = model
                .values()
                .filter(|(text, syntax, _)| matches(text, *syntax, &key))
                .map(|(.., number)| *number)
                .collect();
            expected.sort_unstable();
            prop_assert_eq!(found, expected, "key {:?}", key);
        }
    }

    #[test]
    fn the_retained_store_finds_what_matches_in_order(
        keys in vec(key(), 0..40),
        removed in vec(key(), 0..10),
        patterns in vec(pattern(), 1..10),
    ) {
        let mut retained = Retained::default();
        let mut model: Vec<Vec<String>> = Vec::new();
        let words = |key: &str| -> Vec<String> { key.split('.').map(str::to_owned).collect() };
        for key in &keys {
            retained.set(key, message(key), None);
            model.push(words(key));
        }
        for key in &removed {
            retained.remove(key);
            model.retain(|kept| *kept != words(key));
        }
        model.sort();
        model.dedup();
        prop_assert_eq!(retained.len(), model.len());
        for (text, syntax) in &patterns {
            let found: Vec<&str> =
                retained.matching(Pattern::new(text, *syntax), 0).map(|(key, _)| key).collect();
            let expected: Vec<String> = model
                .iter()
                .map(|words| words.join("."))
                .filter(|key| matches(text, *syntax, key))
                .collect();
            prop_assert_eq!(found, expected, "pattern {:?} {:?}", text, syntax);
        }
        for words in &model {
            prop_assert!(retained.remove(&words.join(".")).is_some());
        }
        prop_assert_eq!(retained.bytes(), 0);
    }

    #[test]
    fn topics_survive_the_way_to_a_key_and_back(topic in "[a-c./+#é]{0,12}") {
        let key = topic_to_key(&topic).into_owned();
        let there_and_back = key_to_topic(&key);
        prop_assert_eq!(there_and_back.as_ref(), topic.as_str());
    }
}
