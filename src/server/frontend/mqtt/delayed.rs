//! Publishes to `$delayed/<seconds>/<topic>`, which reach their topic later, as EMQX has them.
//!
//! Until then they are in the queue of an exchange that is there for nothing else.

use std::sync::Arc;

use leveret_core::{Address, ExchangeKind, ExchangeSpec, Facts, Message, Target, Topology};
use leveret_mqtt::{Properties, Property, ReasonCode};

use super::TOPIC_EXCHANGE;
use crate::server::frontend::headers_of;
use crate::server::routed::Routed;
use crate::server::{Node, clock, random_number};

/// The exchange whose queue has what is delayed.
pub const EXCHANGE: &str = "amq.mqtt.delayed";

const PREFIX: &str = "$delayed/";

/// Whether a topic is one that no message reaches by itself.
pub(super) fn is_delayed(topic: &str) -> bool {
    topic.starts_with(PREFIX)
}

/// For how long a message waits, in seconds, and its topic.
///
/// # Errors
/// [`ReasonCode::TopicNameInvalid`] if it is `$delayed/` with something else behind it than a number
/// below 2^32 and a topic that is not delayed again.
pub(super) fn split(topic: &str) -> Result<(u32, &str), ReasonCode> {
    let Some(rest) = topic.strip_prefix(PREFIX) else { return Ok((0, topic)) };
    let (seconds, topic) = rest.split_once('/').ok_or(ReasonCode::TopicNameInvalid)?;
    let is_number = seconds.bytes().all(|byte| byte.is_ascii_digit());
    match seconds.parse() {
        Ok(delay_s) if is_number && !topic.is_empty() && !is_delayed(topic) => Ok((delay_s, topic)),
        _ => Err(ReasonCode::TopicNameInvalid),
    }
}

impl Node {
    /// Where messages for topics wait; `None` if the exchange cannot be made.
    pub(super) fn delayed_topics(&self, vhost: &Arc<str>) -> Option<Target> {
        let target = |topology: &Topology| {
            let queue = topology.exchange(vhost, EXCHANGE).ok()?.own_queue?;
            Some(Target { queue, durable: true, ..Target::default() })
        };
        if let Some(found) = target(&self.topology()) {
            return Some(found);
        }
        let spec = ExchangeSpec::durable(ExchangeKind::Topic).delayed();
        self.declare_own_exchange(vhost, EXCHANGE, ExchangeSpec { internal: true, ..spec });
        target(&self.topology())
    }

    /// A message whose delay is over, on its way to its topic. Its expiry begins now. `None` if nobody
    /// gets it.
    pub(in crate::server) fn released_to_topic(
        &self,
        message: &Message,
        topology: &Topology,
        vhost: &Arc<str>,
    ) -> Option<(Arc<Message>, Arc<Routed>)> {
        let now_ms = clock::now_ms();
        let expires_at_ms =
            Properties::stored(message.properties()).iter().find_map(|property| match property {
                Property::MessageExpiry(seconds) => Some(now_ms + u64::from(seconds) * 1000),
                _ => None,
            });
        let facts = Facts { timestamp_ms: now_ms, expires_at_ms, ..message.facts() };
        let message = Arc::new(message.clone().with_facts(facts));
        if facts.retain
            && let Err(error) = self.retain(vhost, &message)
        {
            tracing::warn!(%error, topic = message.routing_key(), "a delayed message is not retained");
        }
        let address = Address {
            vhost,
            exchange: TOPIC_EXCHANGE,
            key: message.routing_key(),
            random: random_number(),
        };
        let routes = topology.route(address, &*headers_of(&message), None).ok()?;
        let routed = Arc::new(Routed::group(&routes, self.shard_count())).choose(self);
        (!routed.is_empty()).then_some((message, routed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_a_number_of_seconds_before_a_topic() {
        assert_eq!(split("a/b"), Ok((0, "a/b")));
        assert_eq!(split("$delayed"), Ok((0, "$delayed")));
        assert_eq!(split("$delayed/15/a/b"), Ok((15, "a/b")));
        assert_eq!(split("$delayed/0/a"), Ok((0, "a")));
        assert_eq!(split("$delayed/1//"), Ok((1, "/")));
        assert_eq!(split("$delayed/4294967295/a"), Ok((u32::MAX, "a")));
        for topic in [
            "$delayed/",
            "$delayed/1",
            "$delayed/1/",
            "$delayed//a",
            "$delayed/x/a",
            "$delayed/+1/a",
            "$delayed/-1/a",
            "$delayed/1.5/a",
            "$delayed/4294967296/a",
            "$delayed/1/$delayed/1/a",
        ] {
            assert_eq!(split(topic), Err(ReasonCode::TopicNameInvalid), "{topic}");
        }
    }
}
