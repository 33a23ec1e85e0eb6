//! Topics and routing keys of the messages of one connection. Most have the same as the one before.

use leveret_core::{Message, key_to_topic, topic_to_key};

use crate::config::Config;
use crate::server::limits::Limit;

/// What was converted last, if anything was.
#[derive(Debug, Default)]
pub(super) struct LastTopic(Option<Box<Last>>);

#[derive(Debug, Default)]
struct Last {
    topic: String,
    key: String,
    is_topic: bool,
}

impl LastTopic {
    /// The routing key of a topic.
    pub fn key_of(&mut self, topic: &str) -> &str {
        let last = self.0.get_or_insert_default();
        if last.topic != topic {
            topic.clone_into(&mut last.topic);
            last.key = topic_to_key(topic).into_owned();
        }
        &last.key
    }

    /// The routing key of a message, and its topic; `None` if the key is none of a topic.
    pub fn names_of(&mut self, message: &Message) -> Option<(&str, &str)> {
        let last = self.0.get_or_insert_default();
        if last.key.as_bytes() != message.routing_key_bytes() {
            message.routing_key().clone_into(&mut last.key);
            last.topic = key_to_topic(&last.key).into_owned();
            last.is_topic = is_topic(&last.key);
        }
        last.is_topic.then_some((&last.key, &last.topic))
    }
}

/// Whether a topic name of MQTT can stand for a routing key.
pub(super) fn is_topic(key: &str) -> bool {
    !key.is_empty() && !key.contains(['+', '#', '\0'])
}

/// Whether a topic name or filter is longer than the limits allow: in bytes, or in levels.
pub(super) fn is_too_long(topic: &str, config: &Config) -> Option<Limit> {
    let levels_max = usize::from(config.mqtt_topic_levels_max);
    if topic.len() > usize::from(config.mqtt_topic_size_max) {
        return Some(Limit::Topics);
    }
    // With fewer bytes there cannot be as many levels.
    let has_levels =
        topic.len() >= levels_max && topic.split('/').take(levels_max + 1).count() > levels_max;
    has_levels.then_some(Limit::TopicLevels)
}

/// Topics that only the broker publishes to.
pub(super) fn is_reserved(topic: &str) -> bool {
    let is_special = topic.starts_with('$');
    is_special && (topic.starts_with("$SYS/") || topic == "$SYS" || topic.starts_with("$share/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_a_longest_length_and_a_number_of_levels() {
        let config =
            Config { mqtt_topic_size_max: 9, mqtt_topic_levels_max: 3, ..Config::default() };
        for fine in ["a", "a/b/c", "//", "123456789"] {
            assert_eq!(is_too_long(fine, &config), None, "{fine}");
        }
        assert_eq!(is_too_long("1234567890", &config), Some(Limit::Topics));
        assert_eq!(is_too_long("a/b/c/d", &config), Some(Limit::TopicLevels));
        assert_eq!(is_too_long("///", &config), Some(Limit::TopicLevels));
    }
}
