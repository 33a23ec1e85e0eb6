//! PUBLISH and PUBREL from a client.

use std::sync::Arc;

use leveret_core::record::Packet;
use leveret_core::{Body, Draft, Encoding, Facts, Message, Position, QueueId, topic_to_key};
use leveret_mqtt::{Publish, Qos, ReasonCode};

use super::{Mqtt, Promise, Session, TOPIC_EXCHANGE};
use crate::server::{Node, clock};

impl Mqtt {
    pub(super) fn handle_publish(&mut self, publish: &Publish<'_>) {
        let reason = self.publish(publish).unwrap_or_else(|refusal| refusal);
        if publish.qos != Qos::AtMostOnce {
            self.acks.push((publish.packet_id, publish.qos, reason));
        }
    }

    fn publish(&mut self, publish: &Publish<'_>) -> Result<ReasonCode, ReasonCode> {
        if is_reserved(publish.topic) {
            return Err(ReasonCode::NotAuthorized);
        }
        let message = Arc::new(message(publish));
        if publish.retain {
            let retained = self.node.retain(&self.vhost, &message);
            let position = retained.map_err(|_| ReasonCode::QuotaExceeded)?;
            self.batch_promise = self.batch_promise.max(position);
        }
        let to = (TOPIC_EXCHANGE, message.routing_key());
        let routed = self
            .publisher
            .route(&self.node, &self.vhost, to, &no_headers)
            .map_err(|_| ReasonCode::ImplementationSpecificError)?;
        if routed.is_empty() {
            return Ok(ReasonCode::NoMatchingSubscribers);
        }
        let origin = self.packet(publish);
        self.publisher.add(&self.node, message, routed, (origin, None));
        Ok(ReasonCode::Success)
    }

    /// Hands the batch over; its acknowledgements leave once it is safe.
    pub(super) fn flush_batch(&mut self) {
        let mut promise = self.batch_promise.take();
        if !self.publisher.is_empty() {
            self.pause.note_publish();
            promise = promise.max(self.publisher.flush(&self.node));
        }
        if !self.acks.is_empty() {
            let acks = std::mem::take(&mut self.acks);
            self.gate.push(promise, Promise::Acks(acks));
        }
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

fn message(publish: &Publish<'_>) -> Message {
    let now_ms = clock::now_ms();
    let qos = publish.qos as u8;
    let expires = publish.message_expiry.map(|seconds| now_ms + u64::from(seconds) * 1000);
    Message::new(Draft {
        exchange: TOPIC_EXCHANGE,
        routing_key: &topic_to_key(publish.topic),
        encoding: if publish.properties.is_empty() { Encoding::None } else { Encoding::Mqtt },
        properties: publish.properties.as_bytes(),
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

/// Topics that only the broker publishes to.
fn is_reserved(topic: &str) -> bool {
    topic.starts_with("$SYS/") || topic == "$SYS" || topic.starts_with("$share/")
}

fn no_headers(_: &str) -> Option<leveret_core::Value> {
    None
}
