//! The codec and the state machine of an MQTT connection.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use leveret_mqtt::{
    Config, ConnAck, Connection, Deliver, Delivery, Event, Qos, ReasonCode, SessionState,
};

use super::{Case, Work};

pub const CASES: &[Case] = &[
    Case {
        name: "mqtt_parse_publish_qos0",
        messages: MESSAGES,
        prepare: || parse(Qos::AtMostOnce),
    },
    Case {
        name: "mqtt_parse_publish_qos1",
        messages: MESSAGES,
        prepare: || parse(Qos::AtLeastOnce),
    },
    Case {
        name: "mqtt_write_publish_qos0",
        messages: MESSAGES,
        prepare: || write(Qos::AtMostOnce),
    },
    Case {
        name: "mqtt_write_publish_qos1",
        messages: MESSAGES,
        prepare: || write(Qos::AtLeastOnce),
    },
];

/// With QoS 1, the acknowledgement as well.
fn parse(qos: Qos) -> Work {
    let (mut connection, mut out, now) = (connected(), VecDeque::new(), Instant::now());
    let packet = |id: u16| {
        let id = if qos == Qos::AtMostOnce { Vec::new() } else { id.to_be_bytes().to_vec() };
        let len = 2 + TOPIC.len() + id.len() + 1 + PAYLOAD.len();
        let head = [0x30 | (qos as u8) << 1, len as u8, 0, TOPIC.len() as u8];
        [&head[..], TOPIC.as_bytes(), &id, &[0], PAYLOAD].concat()
    };
    let input: Vec<u8> = (1..=MESSAGES as u16).flat_map(packet).collect();
    Box::new(move || {
        let mut rest = black_box(input.as_slice());
        while let Some(event) = connection.poll_event(now, &mut rest) {
            let Event::Publish(publish) = &event else { panic!("no PUBLISH") };
            let packet_id = black_box(publish).packet_id;
            if qos != Qos::AtMostOnce {
                connection.publish_ack(packet_id, qos, ReasonCode::Success);
            }
        }
        assert!(rest.is_empty());
        connection.poll_transmit(&mut out);
        out.clear();
    })
}

/// With QoS 1, the acknowledgement as well.
fn write(qos: Qos) -> Work {
    let (mut connection, mut out, now) = (connected(), VecDeque::new(), Instant::now());
    let payload = Bytes::from_static(PAYLOAD);
    let ids = || 1..=MESSAGES as u16;
    let acks: Vec<u8> = ids().flat_map(|id| [0x40, 2, (id >> 8) as u8, id as u8]).collect();
    Box::new(move || {
        for id in ids() {
            let delivery = connection.deliver(black_box(&Deliver {
                token: u64::from(id),
                topic: TOPIC,
                qos,
                retain: false,
                dup: false,
                packet_id: if qos == Qos::AtMostOnce { 0 } else { id },
                properties: &[],
                message_expiry: None,
                subscription_ids: &[],
                payload: &payload,
                shared: None,
            }));
            assert_eq!(delivery, Delivery::Sent);
        }
        connection.poll_transmit(&mut out);
        black_box(&out);
        out.clear();
        if qos != Qos::AtMostOnce {
            let mut rest = acks.as_slice();
            while let Some(event) = connection.poll_event(now, &mut rest) {
                black_box(event);
            }
            assert!(rest.is_empty());
        }
    })
}

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

const MESSAGES: u64 = 250;
const TOPIC: &str = "plant/7/line/3/temperature";
const PAYLOAD: &[u8] = &[b'x'; 64];
