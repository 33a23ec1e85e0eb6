//! CONNECT: whether its user may be here, and its session.

use std::sync::Arc;

use leveret_core::{
    Actor, Body, ConsumerOptions, Draft, Encoding, Facts, Message, TopologyError, key_to_topic,
    topic_to_key,
};
use leveret_mqtt::{Awaiting, ConnAck, Connect, InFlight, Reason, ReasonCode, SessionState};

use super::authenticate::dialect;
use super::deliver::packet_id;
use super::reader::Reader;
use super::topic::{is_reserved, is_too_long};
use super::{Mqtt, Promise, Session, TAKEN_OVER, TOPIC_EXCHANGE, delayed};
use crate::server::backends::Identity;
use crate::server::clock;
use crate::server::connections::{Introduction, Login};
use crate::server::publisher::Publisher;
use crate::server::scram;
use crate::server::session::{Client, Opened, Opening, Will};
use crate::server::usage::LimitReached;

/// What a client came for, as its CONNECT says.
pub(super) struct Arrival {
    client_id: String,
    /// The client has named none.
    is_id_assigned: bool,
    clean_start: bool,
    session_expiry_s: u32,
    keep_alive_s: u16,
    wants_response_information: bool,
    will: Option<Wish>,
    pub username: Option<String>,
    pub mechanism: &'static str,
}

/// A will whose client is not known yet.
struct Wish {
    message: Message,
    delay_s: u32,
    expiry_s: Option<u32>,
}

/// A client that is let in once its session is safe.
pub(super) struct Accepting {
    opened: Opened,
    expiry_s: Option<u32>,
    assigned: Option<String>,
    response_information: Option<String>,
    /// The last word of its authentication.
    authentication: String,
}

impl Arrival {
    /// With the name of its user, without the virtual host.
    pub fn of(connect: &Connect<'_>, username: Option<&str>) -> Self {
        Arrival {
            client_id: connect.client_id.to_owned(),
            is_id_assigned: false,
            clean_start: connect.clean_start,
            session_expiry_s: connect.session_expiry_s,
            keep_alive_s: connect.keep_alive_s,
            wants_response_information: connect.wants_response_information,
            will: connect.will.as_ref().map(Wish::of),
            username: username.map(str::to_owned),
            mechanism: match (connect.authentication, username) {
                (Some(_), _) => scram::METHOD,
                (None, Some(_)) => "PLAIN",
                (None, None) => "ANONYMOUS",
            },
        }
    }
}

impl Mqtt {
    /// Lets a client in whose user is known, with the last word to it on that.
    pub(super) fn enter(&mut self, mut arrival: Arrival, identity: Identity, last_word: &str) {
        let user = identity.user.clone();
        if arrival.client_id.is_empty() {
            arrival.client_id = self.node.unique_uuid("auto-");
            arrival.is_id_assigned = true;
        }
        let client_id: Arc<str> = arrival.client_id.as_str().into();
        let reader = Reader::new(identity, client_id.clone(), self.vhost.clone());
        let authorised = self.authorise(&reader, arrival.will.as_ref());
        if reader.identity.must_ask() {
            return self.enter_later(arrival, reader.identity);
        }
        match self.node.admit(&self.peer, &user, &self.vhost) {
            Ok(admission) => self.admission = Some(admission),
            Err(error) => {
                tracing::info!(peer = %self.peer.link.peer, %error, "connection refused");
                let code = match error {
                    LimitReached::NodeConnections { .. } => {
                        self.or_elsewhere(ReasonCode::QuotaExceeded)
                    }
                    LimitReached::AddressRate { .. } => ReasonCode::ConnectionRateExceeded,
                    _ => ReasonCode::QuotaExceeded,
                };
                return self.connection.refuse(Reason::new(code, &error.to_string()));
            }
        }
        if let Err(reason) = authorised {
            return self.connection.refuse(reason);
        }
        let expiry_s = arrival.session_expiry_s.min(self.node.config.mqtt_session_expiry_max);
        let opened = self.node.open_session(Opening {
            client: Client { vhost: self.vhost.clone(), id: client_id.clone() },
            clean_start: arrival.clean_start,
            expiry_s,
            connection: self.peer.id,
            outbox: self.peer.outbox.clone(),
            will: arrival.will.map(|wish| wish.of_client(&reader)),
        });
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(%client_id, %error, "no session can be made");
                let code = match error {
                    TopologyError::QueueLimit { .. } | TopologyError::NodeLimit { .. } => {
                        ReasonCode::QuotaExceeded
                    }
                    _ => ReasonCode::UnspecifiedError,
                };
                return self.connection.refuse(Reason::new(code, &error.to_string()));
            }
        };
        self.peer.set_login(Login {
            protocol: dialect(self.connection.version()),
            user,
            vhost: self.vhost.clone(),
            client_name: Some(client_id.clone()),
            introduction: Introduction::CleanStart(arrival.clean_start),
            frame_max: 0,
            channel_max: 0,
            heartbeat: arrival.keep_alive_s,
            mechanism: arrival.mechanism,
        });
        self.node.announce_connection(&self.peer);
        self.publisher = Publisher::new(Some(opened.queue))
            .on_behalf_of(&reader.identity)
            .with_client_id(&client_id);
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
            is_retained_due: false,
            subscriptions,
            goodbye: None,
        });
        let promise = opened.promise;
        let accepting = Accepting {
            opened,
            expiry_s: (expiry_s != arrival.session_expiry_s).then_some(expiry_s),
            assigned: arrival.is_id_assigned.then(|| client_id.to_string()),
            response_information: arrival
                .wants_response_information
                .then(|| self.response_information(reader.actor()))
                .flatten(),
            authentication: last_word.to_owned(),
        };
        self.reader = Some(reader);
        self.gate.push(promise, Promise::Accept(Box::new(accepting)));
    }

    /// What a client may begin its response topics with.
    fn response_information(&self, actor: Actor<'_>) -> Option<String> {
        let prefix = &self.node.config.mqtt_response_information;
        let prefix = prefix.replace("{username}", actor.user);
        let prefix = prefix.replace("{client_id}", actor.client_id.unwrap_or_default());
        Some(prefix).filter(|prefix| !prefix.is_empty())
    }

    pub(super) fn accept(&mut self, accepting: Accepting) {
        if self.connection.is_closed() {
            return;
        }
        let Accepting { opened, expiry_s, assigned, .. } = &accepting;
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
            session_expiry_s: *expiry_s,
            response_information: accepting.response_information.as_deref(),
            authentication_data: accepting.authentication.as_bytes(),
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
            shared_window: None,
        };
        if !self.node.start_session(opened.queue, opened.consumer, options) {
            return self.connection.disconnect(TAKEN_OVER);
        }
        if accepting.opened.present {
            self.bring_due();
        }
    }

    /// Whether a client waits for its CONNACK.
    pub(super) fn is_accepting(&self) -> bool {
        self.session.is_some() && self.connection.receive_quota() == 0
    }

    /// Whether the client may be here at all, and leave its will. While that has to be asked, the refusal
    /// is not the last word.
    fn authorise(&self, reader: &Reader, will: Option<&Wish>) -> Result<(), Reason<'static>> {
        let (topology, actor) = (self.node.topology(), reader.actor());
        let may_enter = reader.identity.may_enter(&topology, actor.vhost, actor.client_id);
        if may_enter.is_none() {
            return Err(NO_ACCESS);
        }
        if may_enter == Some(false) {
            tracing::info!(peer = %self.peer.link.peer, user = actor.user, "access to vhost refused");
            let (user, vhost) = (actor.user, actor.vhost);
            self.node.audit_entry(&self.peer, (user, vhost), Some(NO_ACCESS_TEXT));
            return Err(NO_ACCESS);
        }
        let Some(will) = will else { return Ok(()) };
        let key = will.message.routing_key();
        let topic = key_to_topic(key);
        if is_reserved(&topic) {
            return Err(NO_WILL);
        }
        if let Some(limit) = is_too_long(&topic, &self.node.config) {
            self.node.refusals.note(limit);
            return Err(LONG_WILL);
        }
        if delayed::is_delayed(&topic) {
            return Err(DELAYED_WILL);
        }
        topology.check_publish_by(actor, TOPIC_EXCHANGE, &[key]).map_err(|_| NO_WILL)
    }
}

impl Wish {
    fn of(will: &leveret_mqtt::Will<'_>) -> Self {
        let qos = will.qos as u8;
        let message = Message::new(Draft {
            exchange: TOPIC_EXCHANGE,
            routing_key: &topic_to_key(will.topic),
            encoding: if will.properties.is_empty() { Encoding::None } else { Encoding::Mqtt },
            properties: &will.properties,
            body: Body::Borrowed(will.payload),
            facts: Facts { persistent: qos > 0, retain: will.retain, qos, ..Facts::default() },
        });
        Wish { message, delay_s: will.delay_s, expiry_s: will.message_expiry }
    }

    fn of_client(self, reader: &Reader) -> Will {
        Will {
            message: self.message,
            delay_s: self.delay_s,
            expiry_s: self.expiry_s,
            identity: reader.identity.clone(),
            client_id: reader.client_id.clone(),
        }
    }
}

const NO_ACCESS: Reason<'_> = Reason::new(ReasonCode::NotAuthorized, NO_ACCESS_TEXT);
const NO_ACCESS_TEXT: &str = "the user has no access to the virtual host";
const DELAYED_WILL: Reason<'_> =
    Reason::new(ReasonCode::TopicNameInvalid, "a will has a delay of its own");
const LONG_WILL: Reason<'_> =
    Reason::new(ReasonCode::TopicNameInvalid, "the topic of the will is longer than it may be");
const NO_WILL: Reason<'_> =
    Reason::new(ReasonCode::NotAuthorized, "the user may not publish to the topic of the will");
