//! The codec work of one small message, published and delivered: this crate's code, the same
//! grammar in nom 8, and amq-protocol.
//!
//! The nom grammar reads what the hand-written code reads for a publish: three frames, the fields
//! of the method, the flags and properties without headers. It has no state machine around it, no
//! limits and no errors worth reading, so it is the lower bound of what nom could do here.

#![allow(clippy::disallowed_methods, reason = "a benchmark has no other clock")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leveret_amqp::{Config, Connection, Content, Deliver, Delivery, Event};

/// Messages in one round: about what one read of a socket brings.
const BATCH: usize = 500;
const BODY: &[u8; 16] = b"0123456789abcdef";

fn parse(criterion: &mut Criterion) {
    let input = published().repeat(BATCH);
    let mut group = criterion.benchmark_group("parse basic.publish");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("leveret-amqp", |bencher| {
        let (mut connection, now) = (running(), Instant::now());
        bencher.iter(|| {
            let mut rest = black_box(input.as_slice());
            let mut octets = 0;
            while let Some(Event::Publish(publish)) = connection.poll_event(now, &mut rest) {
                octets += publish.routing_key().len() + publish.body.as_slice().len();
                octets += usize::from(publish.properties().is_persistent());
            }
            assert!(rest.is_empty());
            octets
        });
    });
    group.bench_function("nom 8", |bencher| {
        bencher.iter(|| {
            let mut rest = black_box(input.as_slice());
            let mut octets = 0;
            while !rest.is_empty() {
                let (next, message) = grammar::message(rest).expect("a whole message");
                octets += message.routing_key.len() + message.body.len();
                octets += usize::from(message.delivery_mode == Some(2));
                rest = next;
            }
            octets
        });
    });
    group.bench_function("amq-protocol", |bencher| {
        bencher.iter(|| {
            let mut rest = black_box(input.as_slice());
            let mut frames = 0;
            while !rest.is_empty() {
                let (next, frame) = parse_frame(rest).expect("a whole frame");
                black_box(frame);
                frames += 1;
                rest = next;
            }
            frames
        });
    });
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write basic.deliver");
    group.throughput(Throughput::Elements(BATCH as u64));
    let body = Bytes::from_static(BODY);
    group.bench_function("leveret-amqp", |bencher| {
        let (mut connection, mut out) = (running(), VecDeque::new());
        bencher.iter(|| {
            for entry in 0..BATCH as u64 {
                let content = Content {
                    exchange: "",
                    routing_key: "bench-queue",
                    properties: &[0x10, 0, 2],
                    body: &body,
                    shared: Some(&body),
                };
                let deliver = Deliver {
                    consumer_tag: "ctag-1",
                    delivery: Delivery { consumer: 1, entry },
                    no_ack: true,
                    redelivered: false,
                    content,
                };
                connection.deliver(1, black_box(&deliver));
            }
            connection.poll_transmit(&mut out);
            black_box(&out);
            out.clear();
        });
    });
    group.bench_function("amq-protocol", |bencher| {
        let mut buffer = Vec::with_capacity(BATCH * 256);
        bencher.iter(|| {
            buffer.clear();
            for tag in 0..BATCH as u64 {
                for frame in delivery_frames(tag) {
                    let out = std::mem::take(&mut buffer);
                    buffer = gen_frame(&frame)(out.into()).expect("it fits").write;
                }
            }
            black_box(&buffer);
        });
    });
    group.finish();
}

/// Acknowledged deliveries, and confirmed publishes: the bookkeeping beside the codec.
fn settle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("settle");
    group.throughput(Throughput::Elements(BATCH as u64));
    let body = Bytes::from_static(BODY);
    group.bench_function("deliver and ack one by one", |bencher| {
        let (mut connection, mut out, now) = (running(), VecDeque::new(), Instant::now());
        bencher.iter(|| {
            let mut acks = Vec::with_capacity(BATCH * 21);
            for entry in 0..BATCH as u64 {
                let (properties, shared) = (&[0, 0][..], None);
                let content =
                    Content { exchange: "", routing_key: "q", properties, body: &body, shared };
                let deliver = Deliver {
                    consumer_tag: "ctag-1",
                    delivery: Delivery { consumer: 1, entry },
                    no_ack: false,
                    redelivered: false,
                    content,
                };
                let tag = connection.deliver(1, &deliver).expect("the channel is open");
                let arguments = [&tag.to_be_bytes()[..], &[0]].concat();
                acks.extend(method(1, 60, 80, &arguments));
            }
            let mut rest = acks.as_slice();
            while let Some(event) = connection.poll_event(now, &mut rest) {
                black_box(event);
            }
            connection.poll_transmit(&mut out);
            out.clear();
        });
    });
    group.finish();
}

fn running() -> Connection {
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
    connection
}

fn published() -> Vec<u8> {
    let header = [&[0, 60, 0, 0][..], &(BODY.len() as u64).to_be_bytes(), &[0x10, 0, 2]].concat();
    [method(1, 60, 40, b"\x00\x00\x00\x0Bbench-queue\x00"), frame(2, 1, &header), frame(3, 1, BODY)]
        .concat()
}

fn method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
    frame(1, channel, &payload)
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(0xCE);
    out
}

fn delivery_frames(delivery_tag: u64) -> [AMQPFrame; 3] {
    let deliver = basic::Deliver {
        consumer_tag: "ctag-1".into(),
        delivery_tag,
        redelivered: false,
        exchange: "".into(),
        routing_key: "bench-queue".into(),
    };
    let header = AMQPContentHeader {
        class_id: 60,
        body_size: BODY.len() as u64,
        properties: basic::AMQPProperties::default().with_delivery_mode(2),
    };
    [
        AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver))),
        AMQPFrame::Header(1, header),
        AMQPFrame::Body(1, BODY.to_vec()),
    ]
}

mod grammar {
    use nom::bytes::complete::{tag, take};
    use nom::combinator::{all_consuming, cond, map_res, verify};
    use nom::multi::{length_data, length_value};
    use nom::number::complete::{be_u8, be_u16, be_u32, be_u64};
    use nom::{IResult, Parser};

    pub struct Message<'a> {
        pub routing_key: &'a str,
        pub delivery_mode: Option<u8>,
        pub body: &'a [u8],
    }

    pub fn message(input: &[u8]) -> IResult<&[u8], Message<'_>> {
        let (rest, routing_key) = frame(1, publish).parse(input)?;
        let (rest, (size, delivery_mode)) = frame(2, header).parse(rest)?;
        let (rest, body) = frame(3, take(size as usize)).parse(rest)?;
        Ok((rest, Message { routing_key, delivery_mode, body }))
    }

    fn frame<'a, O>(
        kind: u8,
        payload: impl Parser<&'a [u8], Output = O, Error = nom::error::Error<&'a [u8]>>,
    ) -> impl Parser<&'a [u8], Output = O, Error = nom::error::Error<&'a [u8]>> {
        let head = (verify(be_u8, move |octet| *octet == kind), be_u16);
        let payload = length_value(verify(be_u32, |size| *size <= 131_064), all_consuming(payload));
        (head, payload, tag(&[0xCE][..])).map(|(_, payload, _)| payload)
    }

    fn publish(input: &[u8]) -> IResult<&[u8], &str> {
        let id = verify(be_u32, |id| *id == 60 << 16 | 40);
        let fields = (id, be_u16, short_str, short_str, be_u8);
        fields.map(|(_, _, _, routing_key, _)| routing_key).parse(input)
    }

    fn header(input: &[u8]) -> IResult<&[u8], (u64, Option<u8>)> {
        let (rest, (_, size, flags)) = (be_u32, be_u64, be_u16).parse(input)?;
        let has = |bit: u16| flags >> bit & 1 == 1;
        let texts = (cond(has(15), short_str), cond(has(14), short_str));
        let headers = cond(has(13), length_data(be_u32));
        let octets = (cond(has(12), be_u8), cond(has(11), be_u8));
        let (rest, (_, _, (mode, _))) = (texts, headers, octets).parse(rest)?;
        let texts = |range: std::ops::RangeInclusive<u16>| range.rev().filter(|bit| has(*bit));
        let mut rest = rest;
        for _ in texts(7..=10) {
            (rest, _) = short_str(rest)?;
        }
        (rest, _) = cond(has(6), be_u64).parse(rest)?;
        for _ in texts(2..=5) {
            (rest, _) = short_str(rest)?;
        }
        Ok((rest, (size, mode)))
    }

    fn short_str(input: &[u8]) -> IResult<&[u8], &str> {
        map_res(length_data(be_u8), std::str::from_utf8).parse(input)
    }
}

criterion_group!(benches, parse, write, settle);
criterion_main!(benches);
