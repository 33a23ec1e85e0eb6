//! Patterns of both protocols and a key: all together they match what each of them matches alone, and
//! nothing is left when they have gone. The first line is the key; the others are filters of MQTT if
//! they begin with `m`, else patterns of AMQP.

use std::sync::Arc;

use leveret_core::{
    Body, Draft, Encoding, Facts, Message, Pattern, Retained, Syntax, Trie, key_to_topic,
    topic_to_key,
};
use leveret_mqtt::split_shared;

use super::{KIB, within};

pub fn run(octets: &[u8]) {
    let Ok(text) = str::from_utf8(octets) else { return };
    let mut lines = text.split('\n');
    let Some(key) = lines.next() else { return };
    let patterns: Vec<_> = lines.take(PATTERNS_MAX).map(pattern).collect();
    assert_eq!(key_to_topic(&topic_to_key(key)), key);
    within(64 * KIB + 512 * octets.len(), || {
        match_together(key, &patterns);
        match_retained(key, &patterns);
    });
}

fn pattern(line: &str) -> Pattern<'_> {
    match line.strip_prefix('m') {
        Some(filter) => {
            let inner = split_shared(filter).map_or(filter, |(_, inner)| inner);
            Pattern::new(inner, Syntax::Mqtt)
        }
        None => Pattern::new(line, Syntax::Amqp),
    }
}

fn match_together(key: &str, patterns: &[Pattern<'_>]) {
    let mut trie: Trie<Vec<usize>> = Trie::default();
    for (number, pattern) in patterns.iter().enumerate() {
        trie.entry(*pattern).push(number);
    }
    let mut found = Vec::new();
    trie.for_each_match(key, |numbers| found.extend_from_slice(numbers));
    found.sort_unstable();
    let alone = |number: &usize| patterns[*number].matches(key);
    assert_eq!(found, (0..patterns.len()).filter(alone).collect::<Vec<_>>());
    for pattern in patterns {
        _ = trie.remove(*pattern);
    }
    trie.for_each_match(key, |_| panic!("a pattern is left"));
}

fn match_retained(key: &str, patterns: &[Pattern<'_>]) {
    let mut retained = Retained::default();
    retained.set(key, message(key), None);
    for pattern in patterns {
        assert_eq!(retained.matching(*pattern, 0).count(), usize::from(pattern.matches(key)));
    }
    assert!(retained.remove(key).is_some());
    assert_eq!((retained.len(), retained.bytes()), (0, 0));
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

const PATTERNS_MAX: usize = 64;
