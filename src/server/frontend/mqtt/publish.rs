//! PUBLISH and PUBREL from a client.

use std::num::NonZeroU64;
use std::sync::Arc;

use leveret_core::record::Packet;
use leveret_core::{Body, Draft, Encoding, Facts, Message, Position, QueueId, TopologyError};
use leveret_mqtt::{Publish, Qos, Reason, ReasonCode, Version};

use super::held::Held;
use super::topic::{is_reserved, is_too_long};
use super::{Ack, Mqtt, Promise, Session, TOPIC_EXCHANGE, UserProperties, delayed};
use crate::config::RefusedPublish;
use crate::server::Node;
use crate::server::counts::Fate;
use crate::server::firehose::Tap;
use crate::server::publisher::{Confirm, Way};
use crate::server::retained::TooManyRetained;
use crate::server::routed::Routed;

impl Mqtt {
    pub(super) fn handle_publish(&mut self, publish: &Publish<'_>) {
        let published = self.publish(publish);
        if published.is_err() && self.must_ask() {
            return self.hold(Held::Publish(publish.owned()));
        }
        self.counts().note_publish(publish.payload.len(), publish.qos != Qos::AtMostOnce);
        let reason = published.map_or_else(
            |refusal| {
                self.counts().failed += 1;
                refusal
            },
            Reason::from,
        );
        if publish.qos != Qos::AtMostOnce {
            self.acks.push((publish.packet_id, publish.qos, reason));
        } else if reason.code.is_failure() && self.leaves_at_refusal() {
            self.connection.disconnect(reason);
        }
    }

    /// Whether a publisher that cannot be told of a refusal has to go.
    fn leaves_at_refusal(&self) -> bool {
        let closes = self.node.config.mqtt_refused_publish == RefusedPublish::Close;
        closes && self.connection.version() != Version::V5
    }

    /// Acknowledges publishes in the order in which they came.
    pub(super) fn acknowledge(&mut self, acks: &[Ack]) {
        for &(packet_id, qos, reason) in acks {
            if reason.code.is_failure() && self.leaves_at_refusal() {
                return self.connection.disconnect(reason);
            }
            self.counts().confirmed += u64::from(!reason.code.is_failure());
            self.connection.publish_ack(packet_id, qos, reason);
        }
    }

    fn publish(&mut self, publish: &Publish<'_>) -> Result<ReasonCode, Reason<'static>> {
        let (delay_s, topic) =
            delayed::split(&publish.topic).map_err(|code| Reason::new(code, NO_DELAY))?;
        if is_reserved(topic) {
            return Err(RESERVED);
        }
        if let Some(limit) = is_too_long(topic, &self.node.config) {
            self.node.refusals.note(limit);
            return Err(LONG_TOPIC);
        }
        let key = self.received_topic.key_of(topic);
        let message = message(publish, key, self.read_at_ms);
        if delay_s > 0 {
            return self.publish_later(publish, message, delay_s);
        }
        let to = (TOPIC_EXCHANGE, key);
        let way = self
            .publisher
            .route(&self.node, &self.vhost, to, &UserProperties(publish.properties))
            .map_err(|error| refusal(&error, MAY_NOT_PUBLISH))?;
        let message = Arc::new(message);
        if publish.retain {
            let retained = self.node.retain(&self.vhost, &message);
            let position = retained.map_err(too_much_retained)?;
            self.batch_promise = self.batch_promise.max(position);
        }
        let routed = self.publisher.routed(way);
        self.node.tap(&self.peer, 0, Tap::Publish(&message, routed));
        let (is_empty, copies) = (routed.is_empty(), routed.copies);
        if is_empty {
            self.counts().note_fate(Fate::Dropped);
            return Ok(ReasonCode::NoMatchingSubscribers);
        }
        self.counts().note_fate(Fate::Routed(copies));
        self.add(publish, message, way);
        Ok(ReasonCode::Success)
    }

    fn publish_later(
        &mut self,
        publish: &Publish<'_>,
        message: Message,
        delay_s: u32,
    ) -> Result<ReasonCode, Reason<'static>> {
        let to = (&*self.vhost, TOPIC_EXCHANGE);
        let checked = self.publisher.check(&self.node.topology(), to, &[message.routing_key()]);
        checked.map_err(|error| refusal(&error, MAY_NOT_PUBLISH))?;
        let target =
            self.node.delayed_topics(&self.vhost).ok_or(ReasonCode::ImplementationSpecificError)?;
        let facts = message.facts();
        let expires_at_ms = Some(facts.timestamp_ms + u64::from(delay_s) * 1000);
        let message = Arc::new(message.with_facts(Facts { expires_at_ms, ..facts }));
        let routed = Arc::new(Routed::to(target, self.node.shard_count()));
        self.counts().note_fate(Fate::Routed(routed.copies));
        let way = self.publisher.way(&self.node, routed);
        self.add(publish, message, way);
        Ok(ReasonCode::Success)
    }

    fn add(&mut self, publish: &Publish<'_>, message: Arc<Message>, way: Way) {
        let origin = self.packet(publish);
        // The place of its acknowledgement, from one on, should a queue refuse the message.
        let place = NonZeroU64::MIN.saturating_add(self.acks.len() as u64);
        let confirm =
            (publish.qos != Qos::AtMostOnce).then_some(Confirm { sequence: place, channel: 0 });
        self.publisher.add(&self.node, message, way, (origin, confirm));
    }

    /// Hands the batch over; its acknowledgements leave once it is safe.
    pub(super) fn flush_batch(&mut self) {
        let mut promise = self.batch_promise.take();
        self.publisher.count_at_exchanges();
        if !self.publisher.is_empty() {
            self.pause.note_publish();
            promise = promise.max(self.publisher.flush(&self.node));
            promise = promise.max(self.note_refused());
        }
        if !self.acks.is_empty() {
            let acks = std::mem::take(&mut self.acks);
            self.gate.push(promise, Promise::Acks(acks));
        }
    }

    /// Says of messages that a queue had no room for that they were refused, by whichever queues got
    /// them. Gives what the acknowledgements have to wait for.
    fn note_refused(&mut self) -> Option<Position> {
        let mut promise = None;
        for Confirm { sequence, .. } in self.publisher.refused().iter().flatten() {
            let place = sequence.get() as usize - 1;
            let Some((packet_id, qos, reason)) = self.acks.get_mut(place) else {
                continue;
            };
            *reason = NO_ROOM;
            // The client is free to use the packet identifier for another message.
            if let (Qos::ExactlyOnce, Some(session)) = (*qos, &self.session) {
                promise = promise.max(self.node.release(session.queue, *packet_id));
            }
        }
        promise
    }

    /// A QoS 2 message of a session that outlives its connection is recorded with its packet
    /// identifier, so that a repetition after a crash is recognised.
    fn packet(&self, publish: &Publish<'_>) -> Option<Packet> {
        let session = self.session.as_ref()?;
        (publish.qos == Qos::ExactlyOnce && session.durable)
            .then_some(Packet { session: session.queue, packet_id: publish.packet_id })
    }

    pub(super) fn handle_release(&mut self, packet_id: u16) {
        let promise = match &self.session {
            Some(Session { queue, durable: true, .. }) => self.node.release(*queue, packet_id),
            _ => None,
        };
        self.gate.push(promise, Promise::Released(packet_id));
    }
}

impl Node {
    /// Forgets a QoS 2 packet that a client has released.
    fn release(&self, session: QueueId, packet_id: u16) -> Option<Position> {
        use leveret_core::record::{Kind, write};
        let packet = Packet { session, packet_id };
        let mut promise = None;
        for shard in &self.shards {
            let position = shard.post(|work| {
                work.state.release(packet, &mut work.fx).then(|| {
                    let promise = leveret_storage::Urgency::Promise;
                    let appended = work.journal.append(Kind::Release, promise, |out| {
                        write::release(out, packet);
                        None
                    });
                    appended.at
                })
            });
            promise = promise.max(position);
        }
        promise
    }

    /// The last record that remembers a QoS 2 packet of a session.
    pub(in crate::server) fn received_until(&self, session: QueueId) -> Option<Position> {
        let shards = self.shards.iter();
        shards.filter_map(|shard| shard.post(|work| work.state.received_until(session))).max()
    }

    /// The QoS 2 packets of a session that were published and not released.
    pub(super) fn received_from(&self, session: QueueId) -> Vec<u16> {
        let mut found: Vec<(Packet, u16)> = self
            .shards
            .iter()
            .flat_map(|shard| shard.post(|work| work.state.received_from(session)))
            .collect();
        found.sort_unstable();
        found
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|shards| shards.len() >= usize::from(shards[0].1))
            .map(|shards| shards[0].0.packet_id)
            .collect()
    }
}

fn message(publish: &Publish<'_>, routing_key: &str, now_ms: u64) -> Message {
    let qos = publish.qos as u8;
    let properties = publish.message_properties();
    let expires = publish.message_expiry.map(|seconds| now_ms + u64::from(seconds) * 1000);
    Message::new(Draft {
        exchange: TOPIC_EXCHANGE,
        routing_key,
        encoding: if properties.is_empty() { Encoding::None } else { Encoding::Mqtt },
        properties: &properties,
        body: Body::Borrowed(publish.payload),
        facts: Facts {
            persistent: qos > 0,
            retain: publish.retain,
            qos,
            priority: 0,
            timestamp_ms: now_ms,
            expires_at_ms: expires,
        },
    })
}

/// What a client is told that cannot do something, or may not.
pub(super) fn refusal(error: &TopologyError, may_not: &'static str) -> Reason<'static> {
    match error {
        TopologyError::AccessRefused { .. } | TopologyError::TopicAccessRefused { .. } => {
            Reason::new(ReasonCode::NotAuthorized, may_not)
        }
        TopologyError::NodeLimit { .. } => NODE_FULL,
        _ => ReasonCode::ImplementationSpecificError.into(),
    }
}

fn too_much_retained(error: TooManyRetained) -> Reason<'static> {
    let text = match error {
        TooManyRetained::Messages => "there are too many retained messages",
        TooManyRetained::Bytes => "retained messages take too much memory",
    };
    Reason::new(ReasonCode::QuotaExceeded, text)
}

const RESERVED: Reason<'_> =
    Reason::new(ReasonCode::NotAuthorized, "only the broker publishes to this topic");
const LONG_TOPIC: Reason<'_> =
    Reason::new(ReasonCode::TopicNameInvalid, "the topic is longer or has more levels than it may");
const NO_DELAY: &str = "a delayed topic is $delayed/<seconds>/<topic>";
const NODE_FULL: Reason<'_> =
    Reason::new(ReasonCode::QuotaExceeded, "the node has as many bindings as it may");
const NO_ROOM: Reason<'_> = Reason::new(ReasonCode::QuotaExceeded, "a queue has no room");
const MAY_NOT_PUBLISH: &str = "the user may not publish to this topic";
