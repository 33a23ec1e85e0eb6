//! CONNECT: who the client is, and its session.

use std::sync::Arc;

use leveret_core::{Body, ConsumerOptions, Draft, Encoding, Facts, Message, topic_to_key};
use leveret_mqtt::{Awaiting, ConnAck, Connect, InFlight, ReasonCode, SessionState, Version};

use super::deliver::packet_id;
use super::{Mqtt, Promise, Session, TOPIC_EXCHANGE};
use crate::config::Anonymous;
use crate::server::clock;
use crate::server::connections::Login;
use crate::server::publisher::Publisher;
use crate::server::session::{Opened, Opening, Will};

/// A client that is let in once its session is safe.
pub(super) struct Accepting {
    opened: Opened,
    expiry_s: Option<u32>,
    assigned: Option<Arc<str>>,
}

impl Mqtt {
    pub(super) fn handle_connect(&mut self, connect: &Connect<'_>) {
        if let Err(reason) = self.check(connect) {
            return self.connection.refuse(reason);
        }
        let assigned = connect.client_id.is_empty().then(|| self.node.unique_name("auto-"));
        let client_id: Arc<str> = assigned.as_deref().unwrap_or(connect.client_id).into();
        let expiry_s = connect.session_expiry_s.min(self.node.config.mqtt_session_expiry_max);
        let opened = self.node.open_session(Opening {
            client_id: client_id.clone(),
            clean_start: connect.clean_start,
            expiry_s,
            connection: self.peer.id,
            outbox: self.peer.outbox.clone(),
            will: connect.will.as_ref().map(will),
        });
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(%client_id, %error, "no session can be made");
                return self.connection.refuse(ReasonCode::UnspecifiedError);
            }
        };
        self.note_login(connect, &client_id);
        self.publisher = Publisher::new(Some(opened.queue), self.node.shard_count());
        let subscriptions = if opened.present {
            // The implicit binding to the default exchange is not a subscription.
            self.node.topology().bindings_of_queue(opened.queue).len().saturating_sub(1)
        } else {
            0
        };
        self.session = Some(Session {
            queue: opened.queue,
            consumer: opened.consumer,
            durable: expiry_s > 0,
            subscriptions,
            goodbye: None,
        });
        let expiry_s = (expiry_s != connect.session_expiry_s).then_some(expiry_s);
        let assigned = assigned.map(Arc::from);
        let promise = opened.promise;
        let accepting = Accepting { opened, expiry_s, assigned };
        self.gate.push(promise, Promise::Accept(Box::new(accepting)));
    }

    pub(super) fn accept(&mut self, accepting: Accepting) {
        if self.connection.is_closed() {
            return;
        }
        let Accepting { opened, expiry_s, assigned } = accepting;
        let in_flight: Vec<InFlight> = opened
            .received
            .iter()
            .map(|&(entry, sequence)| InFlight {
                packet_id: packet_id(sequence),
                token: entry.0,
                awaiting: Awaiting::Pubcomp,
            })
            .collect();
        let received = self.node.received_from(opened.queue);
        let connack = ConnAck {
            session_present: opened.present,
            assigned_client_id: assigned.as_deref(),
            session_expiry_s: expiry_s,
        };
        let session = SessionState { in_flight: &in_flight, received: &received };
        if self.connection.accept(clock::now(), connack, session).is_err() {
            return;
        }
        let options = ConsumerOptions {
            no_ack: false,
            exclusive: true,
            priority: 0,
            prefetch: u32::from(self.connection.receive_quota()),
            shared: None,
            window_bytes: self.node.config.consumer_window.len(),
        };
        if !self.node.start_session(opened.queue, opened.consumer, options) {
            self.connection.disconnect(ReasonCode::SessionTakenOver);
        }
    }

    /// Whether a client waits for its CONNACK.
    pub(super) fn is_accepting(&self) -> bool {
        self.session.is_some() && self.connection.receive_quota() == 0
    }

    fn check(&self, connect: &Connect<'_>) -> Result<(), ReasonCode> {
        let Some(user) = connect.username else {
            let allowed = match self.node.config.mqtt_anonymous {
                Anonymous::Always => true,
                Anonymous::Loopback => self.peer.is_loopback(),
                Anonymous::Never => false,
            };
            return if allowed { Ok(()) } else { Err(ReasonCode::NotAuthorized) };
        };
        let password = connect.password.unwrap_or_default();
        if self.node.login(user, password, self.peer.address.ip()) {
            Ok(())
        } else {
            Err(ReasonCode::BadUserNameOrPassword)
        }
    }

    fn note_login(&self, connect: &Connect<'_>, client_id: &str) {
        self.peer.set_login(Login {
            protocol: match connect.version {
                Version::V3 => "MQTT 3-1-1",
                Version::V5 => "MQTT 5-0",
            },
            user: connect.username.unwrap_or_default().to_owned(),
            vhost: self.vhost.clone(),
            client_name: Some(client_id.to_owned()),
            properties: Default::default(),
            frame_max: 0,
            channel_max: 0,
            heartbeat: connect.keep_alive_s,
            mechanism: if connect.username.is_some() { "PLAIN" } else { "ANONYMOUS" },
        });
    }
}

fn will(will: &leveret_mqtt::Will<'_>) -> Will {
    let qos = will.qos as u8;
    let message = Message::new(Draft {
        exchange: TOPIC_EXCHANGE,
        routing_key: &topic_to_key(will.topic),
        encoding: if will.properties.is_empty() { Encoding::None } else { Encoding::Mqtt },
        properties: &will.properties,
        body: Body::Borrowed(will.payload),
        facts: Facts {
            persistent: qos > 0,
            retain: will.retain,
            qos,
            timestamp_ms: clock::now_ms(),
            ..Facts::default()
        },
    });
    Will { message: Arc::new(message), delay_s: will.delay_s }
}
