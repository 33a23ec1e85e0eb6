//! A client's connection, from CONNECT to the last byte.
//!
//! The caller feeds bytes and time, takes events, answers them by calling methods, and sends what
//! comes out. It is never called back, and nothing here waits.
//!
//! ```text
//!   input ──► poll_event ──► Event ──► (the broker)
//!                                          │ accept, publish_ack, suback, deliver, pubrel …
//!  socket ◄── poll_transmit ◄──────────────┘
//! ```

mod authentication;
mod input;
pub(crate) mod output;
mod timeout;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::alias::{InboundAliases, OutboundAliases};
use crate::inbound::Inbound;
use crate::outbound::Outbound;
use crate::packet::{ack, connack, disconnect, kind};
use crate::{Auth, Config, ConnAck, Connect, Deliver, Disconnect, Error, Publish, Qos, Reason};
use crate::{ReasonCode, SessionState, Subscribe, Unsubscribe, Version};
use authentication::Method;
use output::Output;

/// The server's side of one MQTT connection.
///
/// ```
/// use std::collections::VecDeque;
/// use std::time::Instant;
/// use leveret_mqtt::{Config, ConnAck, Connection, Event, SessionState};
///
/// let now = Instant::now();
/// let mut connection = Connection::new(Config::default().into(), now);
/// let mut input = &b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02me\xc0\x00"[..];
///
/// let Some(Event::Connect(connect)) = connection.poll_event(now, &mut input) else { panic!() };
/// assert_eq!(connect.client_id, "me");
/// connection.accept(now, ConnAck::default(), SessionState::default()).unwrap();
/// assert!(connection.poll_event(now, &mut input).is_none());
///
/// let mut out = VecDeque::new();
/// connection.poll_transmit(&mut out);
/// assert_eq!(out, [&b"\x20\x02\x00\x00\xd0\x00"[..]]); // CONNACK and PINGRESP
/// ```
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    output: Output,
    inbound: Inbound,
    outbound: Outbound,
    inbound_aliases: InboundAliases,
    outbound_aliases: OutboundAliases,
    /// How the client authenticates, if it is not by user name and password.
    method: Option<Box<Method>>,
    /// When the last whole packet came, or when the connection began.
    last_packet: Instant,
    needed_input: usize,
    /// What CONNECT asked for, then what is granted.
    session_expiry_s: u32,
    keep_alive_s: u16,
    /// Receive Maximum and Maximum Packet Size of the client.
    receive_maximum: u16,
    phase: Phase,
    is_bridge: bool,
    /// The client gets to know that its wish was cut down.
    is_expiry_cut: bool,
    is_keep_alive_cut: bool,
    /// CONNECT had a Session Expiry above 0, so DISCONNECT may change it.
    has_expiry: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is known of the peer, so nothing can be said to it.
    Waiting,
    /// The protocol is known; CONNACK is owed.
    Connecting,
    /// So it is, but the client has to say first who it is.
    Authenticating,
    Connected,
    /// Nothing is read or written any more.
    Closed,
}

/// Something for the broker to do.
#[derive(Debug)]
pub enum Event<'a> {
    /// A client wants in. Nothing more is read until [`Connection::accept`],
    /// [`Connection::challenge`] or [`Connection::refuse`].
    Connect(Box<Connect<'a>>),
    /// The next step of an enhanced authentication. Before CONNACK it is answered as `Connect`; after
    /// it by [`Connection::challenge`], [`Connection::authenticated`] or
    /// [`Connection::disconnect`].
    Auth(Auth<'a>),
    /// A message. QoS 1 and 2: call [`Connection::publish_ack`] once the broker owns it.
    Publish(Publish<'a>),
    /// The client will not repeat this QoS 2 message: forget the identifier, then call
    /// [`Connection::release_done`].
    Release {
        /// The identifier of the PUBLISH.
        packet_id: u16,
    },
    /// Subscriptions are wanted: call [`Connection::suback`].
    Subscribe(Subscribe<'a>),
    /// Subscriptions are to be deleted: call [`Connection::unsuback`].
    Unsubscribe(Unsubscribe<'a>),
    /// The client has finished with a delivery, or refused it: it is never sent again.
    Settled {
        /// From [`Deliver::token`].
        token: u64,
    },
    /// The client has a QoS 2 delivery: note it, then call [`Connection::pubrel`].
    Received {
        /// From [`Deliver::token`].
        token: u64,
        /// From [`Deliver::packet_id`].
        packet_id: u16,
    },
    /// The client said goodbye. The connection is over.
    Disconnect(Disconnect),
    /// The client broke a rule. The connection is over, the will is due.
    Error(Error),
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Delivery {
    /// It will be transmitted. QoS 1 and 2 are followed by [`Event::Settled`].
    Sent,
    /// This client can never be sent it: the packet is larger than the client takes, or the topic
    /// is empty or longer than 65,535 bytes. To be treated as acknowledged [MQTT-3.1.2-25].
    Dropped,
    /// Not now: the window is full, the packet identifier is in flight, or the connection is not
    /// open. Nothing has changed.
    Blocked,
}

impl Connection {
    /// A connection that began at `now` and waits for CONNECT.
    pub fn new(config: Arc<Config>, now: Instant) -> Self {
        Self {
            config,
            output: Output::new(),
            inbound: Inbound::new(),
            outbound: Outbound::new(),
            inbound_aliases: InboundAliases::default(),
            outbound_aliases: OutboundAliases::default(),
            method: None,
            last_packet: now,
            needed_input: 0,
            session_expiry_s: 0,
            keep_alive_s: 0,
            receive_maximum: 0,
            phase: Phase::Waiting,
            is_bridge: false,
            is_expiry_cut: false,
            is_keep_alive_cut: false,
            has_expiry: false,
        }
    }

    /// Accepts the client of [`Event::Connect`] and goes on with its session.
    ///
    /// # Errors
    ///
    /// The connection is closed instead if the client does not take packets of the size of the
    /// CONNACK.
    pub fn accept(
        &mut self,
        now: Instant,
        connack: ConnAck<'_>,
        session: SessionState<'_>,
    ) -> Result<(), Error> {
        if self.phase != Phase::Connecting {
            return Ok(());
        }
        self.method.iter_mut().for_each(|method| method.finish());
        self.cut_expiry(&connack);
        let announced = connack::Announced {
            session_expiry_s: self.is_expiry_cut.then_some(self.session_expiry_s),
            keep_alive_s: self.is_keep_alive_cut.then_some(self.keep_alive_s),
            method: self.method.as_ref().map(|method| method.name()),
        };
        if !connack::write_accept(&mut self.output, &connack, announced, &self.config) {
            return Err(self.fail(Error::rule(
                ReasonCode::PacketTooLarge,
                "CONNACK is larger than the client takes [MQTT-3.1.2-24]",
            )));
        }
        self.phase = Phase::Connected;
        self.last_packet = now;
        self.resume(session);
        Ok(())
    }

    fn cut_expiry(&mut self, connack: &ConnAck<'_>) {
        let shorter = connack.session_expiry_s.filter(|&seconds| seconds < self.session_expiry_s);
        self.is_expiry_cut |= shorter.is_some();
        self.session_expiry_s = shorter.unwrap_or(self.session_expiry_s);
    }

    fn resume(&mut self, session: SessionState<'_>) {
        let receive_maximum = match self.version() {
            Version::V31 | Version::V3 => u16::MAX,
            Version::V5 => self.config.receive_maximum,
        };
        self.inbound.resume(session.received, receive_maximum);
        let window = self.receive_maximum.min(self.config.in_flight_max);
        self.outbound.resume(session.in_flight, window);
        for flight in session.in_flight {
            if flight.awaiting == crate::Awaiting::Pubcomp {
                self.ack(kind::PUBREL, flight.packet_id);
            }
        }
    }

    /// Refuses the client of [`Event::Connect`], at once or during its authentication, and closes.
    pub fn refuse<'a>(&mut self, reason: impl Into<Reason<'a>>) {
        if matches!(self.phase, Phase::Connecting | Phase::Authenticating) {
            connack::write_refuse(&mut self.output, reason.into(), &self.config);
            self.close();
        }
    }

    /// The broker owns the message, or refuses it with a `reason` of 0x80 and above. Any order will
    /// do; PUBACK and PUBREC leave in the order of the PUBLISH packets.
    #[inline]
    pub fn publish_ack(&mut self, packet_id: u16, qos: Qos, reason: impl Into<Reason<'static>>) {
        self.inbound.answer((packet_id, qos), reason.into(), &mut self.output);
    }

    /// The identifier of [`Event::Release`] is forgotten: PUBCOMP leaves.
    pub fn release_done(&mut self, packet_id: u16) {
        self.inbound.release_done(packet_id, &mut self.output);
    }

    /// Answers SUBSCRIBE: one code for each filter, in order, and if not all are granted the Reason
    /// String that says why, or an empty one. MQTT 3.1 has no code for a refusal: the connection is
    /// closed instead.
    pub fn suback(&mut self, packet_id: u16, codes: &[ReasonCode], text: &str) {
        if self.version() == Version::V31
            && let Some(&reason) = codes.iter().find(|code| code.is_failure())
        {
            return self.disconnect(reason);
        }
        ack::write_suback(&mut self.output, packet_id, codes, text);
    }

    /// Answers UNSUBSCRIBE: one code for each filter, in order, and a Reason String, or an empty one.
    pub fn unsuback(&mut self, packet_id: u16, codes: &[ReasonCode], text: &str) {
        ack::write_unsuback(&mut self.output, packet_id, codes, text);
    }

    /// Sends a message to the client.
    #[inline]
    pub fn deliver(&mut self, message: &Deliver<'_>) -> Delivery {
        if self.phase != Phase::Connected {
            return Delivery::Blocked;
        }
        let Deliver { packet_id, qos, dup, token, .. } = *message;
        if qos == Qos::AtMostOnce {
            return if message.write(&mut self.output, &mut self.outbound_aliases) {
                Delivery::Sent
            } else {
                Delivery::Dropped
            };
        }
        if !self.outbound.has_room(packet_id, qos, dup) {
            return Delivery::Blocked;
        }
        if !message.write(&mut self.output, &mut self.outbound_aliases) {
            self.outbound.dropped(packet_id);
            return Delivery::Dropped;
        }
        self.outbound.sent(packet_id, qos, token);
        Delivery::Sent
    }

    /// [`Event::Received`] is noted: PUBREL leaves.
    pub fn pubrel(&mut self, packet_id: u16) {
        if self.outbound.release(packet_id) {
            self.ack(kind::PUBREL, packet_id);
        }
    }

    fn ack(&mut self, kind: u8, packet_id: u16) {
        ack::write(&mut self.output, kind, packet_id, ReasonCode::Success.into());
    }

    /// How many QoS 1 and 2 deliveries may be unacknowledged: the client's Receive Maximum, or the
    /// configured window if that is smaller. 0 until the client is accepted.
    pub const fn receive_quota(&self) -> u16 {
        self.outbound.window()
    }

    /// Ends the connection from this side. An MQTT 5 client is told why, with DISCONNECT or, if it
    /// was not accepted yet, with CONNACK.
    pub fn disconnect<'a>(&mut self, reason: impl Into<Reason<'a>>) {
        let reason = reason.into();
        match self.phase {
            Phase::Connecting | Phase::Authenticating => self.refuse(reason),
            Phase::Connected => disconnect::write(&mut self.output, reason, &self.config),
            Phase::Waiting | Phase::Closed => (),
        }
        self.close();
    }

    fn fail(&mut self, error: Error) -> Error {
        self.disconnect(error.told());
        error
    }

    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.output.close();
    }

    /// Moves everything that is to be sent to the end of `out`.
    pub fn poll_transmit(&mut self, out: &mut VecDeque<Bytes>) {
        self.output.take(out);
    }

    /// How many bytes [`Connection::poll_transmit`] has ready. But for Reason Strings, answers are
    /// not larger than what they answer, so a caller that sends before it reads on bounds this by its
    /// read buffer and its deliveries.
    pub fn transmit_len(&self) -> usize {
        self.output.len()
    }

    /// Whether the connection is over: after sending what is left, the socket can be closed. To let
    /// the client read the last packet, shut down the sending half and read on for a while.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// How many bytes from the start of the remaining input the next event takes, as far as that is
    /// known. 0 if input makes no difference.
    pub const fn needed_input(&self) -> usize {
        self.needed_input
    }

    /// The protocol of the client; MQTT 3.1.1 until CONNECT has come.
    pub const fn version(&self) -> Version {
        self.output.version()
    }

    /// Seconds that the session outlives the connection.
    pub const fn session_expiry_s(&self) -> u32 {
        self.session_expiry_s
    }
}
