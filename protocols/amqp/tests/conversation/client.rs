//! The other side: writes frames as a client does and reads what the server answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use leveret_amqp::{Config, Connection, Event, TableBuilder};

/// A connection under test with the input that it has not read.
pub struct Client {
    pub server: Connection,
    pub now: Instant,
    input: Vec<u8>,
}

/// A frame that the server sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    pub kind: u8,
    pub channel: u16,
    pub payload: Vec<u8>,
}

impl Client {
    /// A connection of which nothing has been read.
    pub fn fresh(config: Config) -> Self {
        let now = Instant::now();
        Self { server: Connection::new(Arc::new(config), now), now, input: Vec::new() }
    }

    /// A running connection with channel 1 open, whose client can do everything.
    pub fn running() -> Self {
        let mut client = Self::with_config(Config::default(), 131_072);
        client.open_channel(1);
        client
    }

    /// A running connection without channels.
    pub fn with_config(config: Config, frame_max: u32) -> Self {
        let heartbeat = config.heartbeat_secs;
        let mut client = Self::fresh(config);
        client.feed(b"AMQP\x00\x00\x09\x01");
        client.feed(&start_ok("PLAIN", b"\0guest\0secret", &all_capabilities()));
        client.server.login_ok();
        client.feed(&tune_ok(2047, frame_max, heartbeat));
        client.feed(&method(0, 10, 40, b"\x01/\x00\x00"));
        client.server.open_ok();
        client.sent();
        assert!(client.server.is_running());
        client
    }

    pub fn open_channel(&mut self, channel: u16) {
        self.feed(&method(channel, 20, 10, &[0]));
        self.server.channel_open_ok(channel);
        assert_eq!(self.sent(), [sent(channel, 20, 11, &[0; 4])]);
    }

    /// Reads `octets` behind what is unread, and describes the events.
    pub fn feed(&mut self, octets: &[u8]) -> Vec<String> {
        self.input.extend_from_slice(octets);
        let input = std::mem::take(&mut self.input);
        let mut rest = input.as_slice();
        let mut events = Vec::new();
        while let Some(event) = self.server.poll_event(self.now, &mut rest) {
            events.push(describe(&event));
        }
        self.input = rest.to_vec();
        events
    }

    /// What the server has sent since the last look, joined.
    pub fn octets(&mut self) -> Vec<u8> {
        let mut out: VecDeque<Bytes> = VecDeque::new();
        let len = self.server.transmit_len();
        self.server.poll_transmit(&mut out);
        assert_eq!(self.server.transmit_len(), 0);
        let octets: Vec<u8> = out.into_iter().flatten().collect();
        assert!(len > 0 || octets.is_empty());
        octets
    }

    /// The frames that the server has sent since the last look.
    pub fn sent(&mut self) -> Vec<Sent> {
        let octets = self.octets();
        let mut rest = octets.as_slice();
        let mut frames = Vec::new();
        while let [kind, c0, c1, s0, s1, s2, s3, ..] = *rest {
            let end = 7 + u32::from_be_bytes([s0, s1, s2, s3]) as usize;
            assert_eq!(rest[end], 0xCE);
            let payload = rest[7..end].to_vec();
            frames.push(Sent { kind, channel: u16::from_be_bytes([c0, c1]), payload });
            rest = &rest[end + 1..];
        }
        assert!(rest.is_empty());
        frames
    }

    /// The one close frame that was sent: channel, code, text, class and method.
    pub fn close_sent(&mut self) -> (u16, u16, String, (u16, u16)) {
        let frames = self.sent();
        let [Sent { kind: 1, channel, payload }] = frames.as_slice() else {
            panic!("one close frame expected: {frames:?}")
        };
        let id = if *channel == 0 { [0, 10, 0, 50] } else { [0, 20, 0, 40] };
        assert_eq!(payload[..4], id);
        let short = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
        let end = 7 + usize::from(payload[6]);
        let text = String::from_utf8(payload[7..end].to_vec()).unwrap();
        (*channel, short(4), text, (short(end), short(end + 2)))
    }
}

/// An event in words: the same whether its parts are borrowed or owned.
pub fn describe(event: &Event<'_>) -> String {
    match event {
        Event::Publish(publish) => format!(
            "publish {} '{}' '{}' mandatory={} sequence={} transactional={} properties={:?} body={:?}",
            publish.channel,
            publish.exchange(),
            publish.routing_key(),
            publish.mandatory,
            publish.sequence,
            publish.is_transactional,
            publish.properties().as_encoded(),
            Bytes::copy_from_slice(publish.body.as_slice()),
        ),
        other => format!("{other:?}"),
    }
}

pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(0xCE);
    out
}

pub fn method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &with_id(class, method, arguments))
}

pub fn sent(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Sent {
    Sent { kind: 1, channel, payload: with_id(class, method, arguments) }
}

fn with_id(class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat()
}

pub fn short_str(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

pub fn long_str(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes(), octets].concat()
}

pub fn all_capabilities() -> TableBuilder {
    let mut capabilities = TableBuilder::new();
    for name in ["connection.blocked", "consumer_cancel_notify", "authentication_failure_close"] {
        capabilities.insert(name, true);
    }
    let mut properties = TableBuilder::new();
    properties.insert("capabilities", capabilities.as_table());
    properties.insert("connection_name", "a test");
    properties
}

pub fn start_ok(mechanism: &str, response: &[u8], properties: &TableBuilder) -> Vec<u8> {
    let properties = long_str(properties.as_table().as_encoded());
    let parts = [properties, short_str(mechanism), long_str(response), short_str("en_US")];
    method(0, 10, 11, &parts.concat())
}

pub fn tune_ok(channel_max: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
    let mut arguments = channel_max.to_be_bytes().to_vec();
    arguments.extend_from_slice(&frame_max.to_be_bytes());
    arguments.extend_from_slice(&heartbeat.to_be_bytes());
    method(0, 10, 31, &arguments)
}

/// The three kinds of frames of a publish; bits: 1 mandatory, 2 immediate.
pub fn publish_method(channel: u16, exchange: &str, routing_key: &str, bits: u8) -> Vec<u8> {
    let arguments = [&[0, 0][..], &short_str(exchange), &short_str(routing_key), &[bits]].concat();
    method(channel, 60, 40, &arguments)
}

pub fn header(channel: u16, body_size: u64, properties: &[u8]) -> Vec<u8> {
    let payload = [&[0, 60, 0, 0][..], &body_size.to_be_bytes(), properties].concat();
    frame(2, channel, &payload)
}

pub fn body(channel: u16, octets: &[u8]) -> Vec<u8> {
    frame(3, channel, octets)
}

/// A publish of one body frame.
pub fn publish(channel: u16, exchange: &str, routing_key: &str, octets: &[u8]) -> Vec<u8> {
    let mut out = publish_method(channel, exchange, routing_key, 0);
    out.extend(header(channel, octets.len() as u64, &[0x10, 0, 2]));
    if !octets.is_empty() {
        out.extend(body(channel, octets));
    }
    out
}

/// basic.ack, basic.nack or basic.reject, by method number.
pub fn settle(channel: u16, id: u16, tag: u64, bits: u8) -> Vec<u8> {
    method(channel, 60, id, &[&tag.to_be_bytes()[..], &[bits]].concat())
}

/// connection.close and channel.close.
pub fn close(channel: u16) -> Vec<u8> {
    let (class, id) = if channel == 0 { (10, 50) } else { (20, 40) };
    method(channel, class, id, &[0, 200, 3, b'b', b'y', b'e', 0, 0, 0, 0])
}
