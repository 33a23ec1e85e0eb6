//! Topics and routing keys of the messages of one connection. Most have the same as the one before.

use leveret_core::{Message, key_to_topic, topic_to_key};

/// What was converted last.
#[derive(Debug, Default)]
pub(super) struct LastTopic {
    topic: String,
    key: String,
    is_topic: bool,
}

impl LastTopic {
    /// The routing key of a topic.
    pub fn key_of(&mut self, topic: &str) -> &str {
        if self.topic != topic {
            topic.clone_into(&mut self.topic);
            self.key = topic_to_key(topic).into_owned();
        }
        &self.key
    }

    /// The routing key of a message, and its topic; `None` if the key is none of a topic.
    pub fn names_of(&mut self, message: &Message) -> Option<(&str, &str)> {
        if self.key.as_bytes() != message.routing_key_bytes() {
            message.routing_key().clone_into(&mut self.key);
            self.topic = key_to_topic(&self.key).into_owned();
            self.is_topic = is_topic(&self.key);
        }
        self.is_topic.then_some((&self.key, &self.topic))
    }
}

/// Whether a topic name of MQTT can stand for a routing key.
pub(super) fn is_topic(key: &str) -> bool {
    !key.is_empty() && !key.contains(['+', '#', '\0'])
}

/// Topics that only the broker publishes to.
pub(super) fn is_reserved(topic: &str) -> bool {
    let is_special = topic.starts_with('$');
    is_special && (topic.starts_with("$SYS/") || topic == "$SYS" || topic.starts_with("$share/"))
}
