//! What a message costs on its way in and out, in three ways: by hand (this crate, with its whole
//! state machine), by a small grammar in nom, and by mqtt-protocol-core's codec.
//!
//! Each iteration handles a batch, as one read of a socket would bring it.

#![allow(clippy::disallowed_methods, reason = "a benchmark has no other clock")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use leveret_mqtt::{
    Config, ConnAck, Connection, Deliver, Delivery, Event, Qos, ReasonCode, SessionState,
};
use mqtt_protocol_core::mqtt::packet::{Qos as TheirQos, v5_0};

const BATCH: usize = 256;
const TOPIC: &str = "plant/7/line/3/temperature";
const PAYLOAD: &[u8] = &[b'x'; 64];

fn connected() -> Connection {
    let now = Instant::now();
    let config = Config { receive_maximum: u16::MAX, ..Config::default() };
    let mut connection = Connection::new(Arc::new(config), now);
    let mut input = &b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02me"[..];
    assert!(matches!(connection.poll_event(now, &mut input), Some(Event::Connect(_))));
    connection.accept(now, ConnAck::default(), SessionState::default()).expect("no size limit");
    connection.poll_transmit(&mut VecDeque::new());
    connection
}

/// A batch of PUBLISH packets.
fn batch(qos: Qos, properties: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for id in 1..=BATCH as u16 {
        let id = id.to_be_bytes();
        let id = if qos == Qos::AtMostOnce { &[][..] } else { &id };
        let body = 2 + TOPIC.len() + id.len() + 1 + properties.len() + PAYLOAD.len();
        assert!(body < 128);
        bytes.extend([0x30 | (qos as u8) << 1, body as u8, 0, TOPIC.len() as u8]);
        bytes.extend(TOPIC.as_bytes());
        bytes.extend(id);
        bytes.push(properties.len() as u8);
        bytes.extend(properties);
        bytes.extend(PAYLOAD);
    }
    bytes
}

const CASES: [(&str, Qos, &[u8]); 3] = [
    ("qos0", Qos::AtMostOnce, &[]),
    ("qos1", Qos::AtLeastOnce, &[]),
    ("qos0+properties", Qos::AtMostOnce, b"\x01\x01\x03\x00\x04json\x26\x00\x01k\x00\x01v"),
];

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, qos, properties) in CASES {
        let bytes = batch(qos, properties);
        let (mut connection, now) = (connected(), Instant::now());
        let mut out = VecDeque::new();
        group.bench_function(BenchmarkId::new("hand", name), |bencher| {
            bencher.iter(|| {
                let mut input = &bytes[..];
                while let Some(event) = connection.poll_event(now, &mut input) {
                    let Event::Publish(publish) = &event else { panic!("no PUBLISH") };
                    black_box(publish);
                    if qos != Qos::AtMostOnce {
                        connection.publish_ack(publish.packet_id, qos, ReasonCode::Success);
                    }
                }
                connection.poll_transmit(&mut out);
                out.clear();
            });
        });
        group.bench_function(BenchmarkId::new("nom", name), |bencher| {
            bencher.iter(|| {
                let mut input = &bytes[..];
                while !input.is_empty() {
                    let (rest, publish) = grammar::publish(input).expect("well formed");
                    black_box(&publish);
                    input = rest;
                }
            });
        });
        group.bench_function(BenchmarkId::new("mqtt-protocol-core", name), |bencher| {
            bencher.iter(|| {
                for packet in bytes.chunks(bytes.len() / BATCH) {
                    let body: Arc<[u8]> = packet[2..].into();
                    let parsed = v5_0::Publish::parse(packet[0] & 0xf, body);
                    black_box(&parsed.expect("well formed"));
                }
            });
        });
    }
    group.finish();
}

fn deliver(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deliver");
    group.throughput(Throughput::Elements(BATCH as u64));
    let payload = Bytes::from_static(PAYLOAD);
    for (name, qos, properties) in CASES {
        let (mut connection, mut out) = (connected(), VecDeque::new());
        let acks: Vec<u8> = (1..=BATCH as u16)
            .flat_map(|id| [0x40, 2, id.to_be_bytes()[0], id.to_be_bytes()[1]])
            .collect();
        let now = Instant::now();
        group.bench_function(BenchmarkId::new("hand", name), |bencher| {
            bencher.iter(|| {
                for id in 1..=BATCH as u16 {
                    let delivery = connection.deliver(&Deliver {
                        token: u64::from(id),
                        topic: TOPIC,
                        qos,
                        retain: false,
                        dup: false,
                        packet_id: if qos == Qos::AtMostOnce { 0 } else { id },
                        properties,
                        message_expiry: None,
                        subscription_ids: &[],
                        payload: &payload,
                        shared: None,
                    });
                    assert_eq!(delivery, Delivery::Sent);
                }
                connection.poll_transmit(&mut out);
                out.clear();
                if qos != Qos::AtMostOnce {
                    let mut input = &acks[..];
                    while let Some(event) = connection.poll_event(now, &mut input) {
                        black_box(event);
                    }
                }
            });
        });
        if !properties.is_empty() {
            continue;
        }
        group.bench_function(BenchmarkId::new("mqtt-protocol-core", name), |bencher| {
            bencher.iter(|| {
                for id in 1..=BATCH as u16 {
                    let builder = v5_0::Publish::builder().topic_name(TOPIC).expect("valid");
                    let builder = match qos {
                        Qos::AtMostOnce => builder,
                        _ => builder.qos(TheirQos::AtLeastOnce).packet_id(id),
                    };
                    let publish = builder.payload(PAYLOAD).build().expect("valid");
                    black_box(publish.to_continuous_buffer());
                }
            });
        });
    }
    group.finish();
}

/// PUBLISH of MQTT 5 as a grammar, with the checks that the other two make on topic and flags.
mod grammar {
    use nom::bytes::complete::take;
    use nom::combinator::{cond, map_opt, map_res, rest};
    use nom::multi::length_data;
    use nom::number::complete::{be_u8, be_u16};
    use nom::{IResult, Parser};

    /// First byte, topic, packet identifier, properties, payload.
    pub type Publish<'a> = (u8, &'a str, Option<u16>, &'a [u8], &'a [u8]);

    pub fn publish(input: &[u8]) -> IResult<&[u8], Publish<'_>> {
        let (input, first) =
            map_opt(be_u8, |byte: u8| (byte & 6 != 6).then_some(byte)).parse(input)?;
        let (input, body) = length_data(varint).parse(input)?;
        let packet_id = cond(first & 6 != 0, map_opt(be_u16, |id: u16| (id != 0).then_some(id)));
        let properties = map_opt(length_data(varint), |raw| properties(raw).then_some(raw));
        let (_, (topic, packet_id, properties, payload)) =
            (topic, packet_id, properties, rest).parse(body)?;
        Ok((input, (first, topic, packet_id, properties, payload)))
    }

    fn topic(input: &[u8]) -> IResult<&[u8], &str> {
        let is_plain = |text: &&str| !text.bytes().any(|b| b < 0x20 || b == b'+' || b == b'#');
        let text = map_res(length_data(be_u16), std::str::from_utf8);
        map_opt(text, |text| Some(text).filter(is_plain)).parse(input)
    }

    fn varint(input: &[u8]) -> IResult<&[u8], u32> {
        let (mut input, mut value) = (input, 0);
        for shift in [0, 7, 14, 21] {
            let (rest, byte) = be_u8(input)?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((rest, value));
            }
            input = rest;
        }
        nom::combinator::fail().parse(input)
    }

    fn properties(mut raw: &[u8]) -> bool {
        while !raw.is_empty() {
            let Ok((rest, ())) = property(raw) else { return false };
            raw = rest;
        }
        true
    }

    fn property(input: &[u8]) -> IResult<&[u8], ()> {
        let (input, id) = be_u8(input)?;
        let string = |input| map_res(length_data(be_u16), std::str::from_utf8).parse(input);
        match id {
            1 => be_u8(input).map(|(rest, _)| (rest, ())),
            2 => take(4_usize).parse(input).map(|(rest, _): (_, &[u8])| (rest, ())),
            3 | 8 => string(input).map(|(rest, _)| (rest, ())),
            9 => length_data(be_u16).parse(input).map(|(rest, _): (_, &[u8])| (rest, ())),
            38 => (string, string).parse(input).map(|(rest, _)| (rest, ())),
            _ => nom::combinator::fail().parse(input),
        }
    }
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
}

criterion_group! {
    name = codec;
    config = short();
    targets = parse, deliver
}
criterion_main!(codec);
