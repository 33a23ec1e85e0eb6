//! The codec and the state machine of an AMQP connection.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use leveret_amqp::{Config, Connection, Content, Deliver, Delivery, Event};

use super::{Case, Work};

pub const CASES: &[Case] = &[
    Case { name: "amqp_parse_publish", messages: MESSAGES, prepare: parse },
    Case { name: "amqp_write_deliver", messages: MESSAGES, prepare: || deliver(true) },
    Case { name: "amqp_deliver_and_ack", messages: MESSAGES, prepare: || deliver(false) },
];

fn parse() -> Work {
    let (mut connection, now) = (open(), Instant::now());
    let header = [&[0, 60, 0, 0][..], &(BODY.len() as u64).to_be_bytes(), &[0x10, 0, 2]].concat();
    let publish = method(1, 60, 40, b"\x00\x00\x08exchange\x0brouting.key\x00");
    let message = [publish, frame(2, 1, &header), frame(3, 1, BODY)].concat();
    let input = message.repeat(MESSAGES as usize);
    Box::new(move || {
        let mut rest = black_box(input.as_slice());
        while let Some(Event::Publish(publish)) = connection.poll_event(now, &mut rest) {
            black_box((publish.routing_key(), publish.properties().is_persistent()));
        }
        assert!(rest.is_empty());
    })
}

fn deliver(no_ack: bool) -> Work {
    let (mut connection, mut out, now) = (open(), VecDeque::new(), Instant::now());
    let body = Bytes::from_static(BODY);
    Box::new(move || {
        let mut acks = Vec::new();
        for entry in 0..MESSAGES {
            let content = Content {
                exchange: "exchange",
                routing_key: "routing.key",
                properties: &[0x10, 0, 2],
                body: &body,
                shared: Some(&body),
            };
            let delivery = Delivery { consumer: 1, entry };
            let deliver =
                Deliver { consumer_tag: "consumer", delivery, no_ack, redelivered: false, content };
            let tag = connection.deliver(1, black_box(&deliver));
            if !no_ack {
                let tag = tag.expect("the channel is open").to_be_bytes();
                acks.extend(method(1, 60, 80, &[&tag[..], &[0]].concat()));
            }
        }
        connection.poll_transmit(&mut out);
        black_box(&out);
        out.clear();
        let mut rest = acks.as_slice();
        while let Some(event) = connection.poll_event(now, &mut rest) {
            black_box(event);
        }
        assert!(rest.is_empty());
    })
}

/// A connection with one channel.
fn open() -> Connection {
    let now = Instant::now();
    let mut connection = Connection::new(Arc::new(Config::default()), now);
    let feed = |connection: &mut Connection, mut octets: &[u8]| {
        black_box(connection.poll_event(now, &mut octets));
    };
    feed(&mut connection, b"AMQP\x00\x00\x09\x01");
    let start_ok = b"\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x04\x00a\x00b\x05en_US";
    feed(&mut connection, &method(0, 10, 11, start_ok));
    connection.login_ok();
    feed(&mut connection, &method(0, 10, 31, &[7, 255, 0, 2, 0, 0, 0, 0]));
    feed(&mut connection, &method(0, 10, 40, b"\x01/\x00\x00"));
    connection.open_ok();
    feed(&mut connection, &method(1, 20, 10, &[0]));
    connection.channel_open_ok(1);
    assert_eq!(connection.channel_count(), 1);
    connection.poll_transmit(&mut VecDeque::new());
    connection
}

fn method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat())
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&[kind][..], &channel.to_be_bytes(), &len, payload, &[0xCE]].concat()
}

const MESSAGES: u64 = 500;
const BODY: &[u8] = b"0123456789abcdef";
