//! A server's connection with a clock, and the packets of a client.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_mqtt::{
    Config, ConnAck, Connection, Deliver, Delivery, Disconnect, Error, Event, Publish, Qos,
    ReasonCode, SessionState, Subscribe, Unsubscribe, Version,
};

/// The connection under test, with the input it has not taken yet.
pub struct Server {
    pub connection: Connection,
    pub now: Instant,
    pending: Vec<u8>,
    sent: Vec<u8>,
}

/// An event that owns what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Connect(String),
    /// Reason code and data.
    Auth(ReasonCode, Option<Vec<u8>>),
    Publish(Message),
    Release(u16),
    /// Filters with their options, or the code that refuses them.
    Subscribe(u16, Option<u32>, Vec<Result<String, ReasonCode>>),
    Unsubscribe(u16, Vec<Result<String, ReasonCode>>),
    Settled(u64),
    Received(u64, u16),
    Disconnect(Disconnect),
    Error(Error),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub qos: Qos,
    pub retain: bool,
    pub dup: bool,
    pub packet_id: u16,
    pub properties: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Server {
    pub fn new(config: Config) -> Self {
        let now = Instant::now();
        let connection = Connection::new(Arc::new(config), now);
        Self { connection, now, pending: Vec::new(), sent: Vec::new() }
    }

    /// A connected client of `version`, everything at its default.
    pub fn connected(version: Version) -> Self {
        Self::resumed(version, Config::default(), SessionState::default())
    }

    pub fn configured(version: Version, config: Config) -> Self {
        Self::resumed(version, config, SessionState::default())
    }

    /// A connected client with a session; what was sent to it is still to be taken.
    pub fn resumed(version: Version, config: Config, session: SessionState<'_>) -> Self {
        let mut server = Self::new(config);
        assert_eq!(server.send(&connect(version)), [Seen::Connect("me".into())]);
        server.connection.accept(server.now, ConnAck::default(), session).unwrap();
        server.skip_connack();
        server
    }

    /// Leaves what follows the CONNACK to [`Server::out`].
    fn skip_connack(&mut self) {
        let out = self.out();
        assert_eq!(out[0], 0x20);
        self.sent = out[2 + usize::from(out[1])..].to_vec();
    }

    /// Input in addition to what was not taken yet; gives the events.
    pub fn send(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut input = &pending[..];
        let mut seen = Vec::new();
        while let Some(event) = self.connection.poll_event(self.now, &mut input) {
            seen.push(Seen::from(event));
        }
        self.pending = input.to_vec();
        seen
    }

    /// Everything sent since the last call.
    pub fn out(&mut self) -> Vec<u8> {
        let mut out = VecDeque::new();
        let len = self.connection.transmit_len();
        self.connection.poll_transmit(&mut out);
        let bytes: Vec<u8> = out.into_iter().flatten().collect();
        assert_eq!(bytes.len(), len);
        assert_eq!(self.connection.transmit_len(), 0);
        [std::mem::take(&mut self.sent), bytes].concat()
    }

    /// The CONNACK or DISCONNECT that is the only packet sent: its first byte and its code. It says
    /// why in a Reason String.
    pub fn told(&mut self) -> (u8, u8) {
        let out = self.out();
        let fixed = if out[0] == 0x20 { 3 } else { 2 };
        let text_len = out.len() - fixed - 5;
        assert_eq!(usize::from(out[1]), out.len() - 2);
        assert_eq!(out[fixed + 1..][..4], [text_len as u8 + 3, 0x1f, 0, text_len as u8]);
        (out[0], out[fixed])
    }

    pub fn deliver(&mut self, qos: Qos, packet_id: u16, token: u64) -> Delivery {
        let payload = Bytes::from_static(b"hi");
        self.connection.deliver(&Deliver { qos, packet_id, token, ..message(&payload) })
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

/// A message to deliver with QoS 0.
pub fn message(payload: &Bytes) -> Deliver<'_> {
    Deliver {
        token: 0,
        topic: "a/b",
        qos: Qos::AtMostOnce,
        retain: false,
        dup: false,
        packet_id: 0,
        properties: &[],
        message_expiry: None,
        subscription_ids: &[],
        payload,
        shared: Some(payload),
    }
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Connect(connect) => Self::Connect(connect.client_id.into()),
            Event::Auth(auth) => Self::Auth(auth.reason, auth.data.map(<[u8]>::to_vec)),
            Event::Publish(publish) => Self::Publish(publish.into()),
            Event::Release { packet_id } => Self::Release(packet_id),
            Event::Subscribe(Subscribe { packet_id, subscription_id, filters, .. }) => {
                let filters = filters.map(|filter| filter.map(|filter| format!("{filter:?}")));
                Self::Subscribe(packet_id, subscription_id, filters.collect())
            }
            Event::Unsubscribe(Unsubscribe { packet_id, filters, .. }) => {
                Self::Unsubscribe(packet_id, filters.map(|it| it.map(str::to_owned)).collect())
            }
            Event::Settled { token } => Self::Settled(token),
            Event::Received { token, packet_id } => Self::Received(token, packet_id),
            Event::Disconnect(disconnect) => Self::Disconnect(disconnect),
            Event::Error(error) => Self::Error(error),
        }
    }
}

impl From<Publish<'_>> for Message {
    fn from(publish: Publish<'_>) -> Self {
        Self {
            topic: (*publish.topic).into(),
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
            packet_id: publish.packet_id,
            properties: publish.properties.as_bytes().into(),
            payload: publish.payload.into(),
        }
    }
}

/// The reason of the only event, an error.
pub fn reason(seen: &[Seen]) -> ReasonCode {
    let [Seen::Error(error)] = seen else { panic!("no lone error: {seen:?}") };
    error.reason()
}

/// A packet with its remaining length put in.
pub fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[first][..], &varint(body.len()), &body].concat()
}

pub fn varint(value: usize) -> Vec<u8> {
    let mut rest = value;
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// A string or binary field.
pub fn field(value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [&(value.len() as u16).to_be_bytes()[..], value].concat()
}

/// A property section with its length.
pub fn section(properties: &[u8]) -> Vec<u8> {
    [&varint(properties.len())[..], properties].concat()
}

pub fn connect(version: Version) -> Vec<u8> {
    match version {
        Version::V31 => packet(0x10, &[&field("MQIsdp"), &[3, 0b10, 0, 60], &field("me")]),
        Version::V3 => connect_with(4, 0b10, &[], &[&field("me")]),
        Version::V5 => connect_with(5, 0b10, &[], &[&field("me")]),
    }
}

/// CONNECT with keep alive 60; `properties` only go into level 5.
pub fn connect_with(level: u8, flags: u8, properties: &[u8], payload: &[&[u8]]) -> Vec<u8> {
    let properties = if level == 5 { section(properties) } else { Vec::new() };
    let head = [&field("MQTT")[..], &[level, flags, 0, 60]].concat();
    packet(0x10, &[&head, &properties, &payload.concat()])
}

/// PUBLISH to a/b with the payload "hi".
pub fn publish(version: Version, qos: Qos, packet_id: u16) -> Vec<u8> {
    publish_with(version, (qos as u8) << 1, packet_id, &[])
}

pub fn publish_with(version: Version, flags: u8, packet_id: u16, properties: &[u8]) -> Vec<u8> {
    let id = packet_id.to_be_bytes();
    let id = if flags & 0b110 == 0 { &[][..] } else { &id };
    let properties = if version == Version::V5 { section(properties) } else { Vec::new() };
    packet(0x30 | flags, &[&field("a/b"), id, &properties, b"hi"])
}

/// PUBACK and the like with a two-byte body.
pub fn ack(first: u8, packet_id: u16) -> Vec<u8> {
    packet(first, &[&packet_id.to_be_bytes()])
}

pub const PUBACK: u8 = 0x40;
pub const PUBREC: u8 = 0x50;
pub const PUBREL: u8 = 0x62;
pub const PUBCOMP: u8 = 0x70;
pub const BOTH: [Version; 2] = [Version::V3, Version::V5];
