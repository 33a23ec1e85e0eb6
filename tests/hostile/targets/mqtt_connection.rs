//! Octets of an MQTT client, whole and in two pieces: the state machine says the same both times, and
//! holds little. The first two octets say the version and where the cut is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use leveret_mqtt::{Config, ConnAck, Connection, Deliver, Event, Qos, ReasonCode, SessionState};

use super::{KIB, within};

pub fn run(octets: &[u8]) {
    let [version, at, rest @ ..] = octets else { return };
    let connect = match version % 4 {
        0 => &b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c"[..],
        1 => b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01c",
        2 => b"\x10\x0f\0\x06MQIsdp\x03\x02\0\0\0\x01c",
        _ => b"",
    };
    let at = usize::from(*at) % (rest.len() + 1);
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    let sent = converse(&[connect, rest], &mut |event| whole.push(format!("{event:?}")));
    let parts = [connect, &rest[..at], &rest[at..]];
    let again = converse(&parts, &mut |event| pieces.push(format!("{event:?}")));
    assert_eq!((pieces, again), (whole, sent));
    within(64 * KIB + 32 * rest.len(), || converse(&[connect, rest], &mut |_| {}));
}

/// Shows the events that the parts make; gives what is sent.
fn converse(parts: &[&[u8]], show: &mut dyn FnMut(&Event<'_>)) -> Vec<u8> {
    let now = Instant::now();
    let mut connection = Connection::new(Arc::new(Config::default()), now);
    let (mut pending, mut out, mut delivered) = (Vec::new(), VecDeque::new(), 0);
    for part in parts {
        pending.extend_from_slice(part);
        let mut input = &pending[..];
        while let Some(event) = connection.poll_event(now, &mut input) {
            show(&event);
            answer(&mut connection, &event, now);
            deliver(&mut connection, &mut delivered);
        }
        pending = input.to_vec();
        connection.poll_transmit(&mut out);
    }
    out.iter().flatten().copied().collect()
}

fn answer(connection: &mut Connection, event: &Event<'_>, now: Instant) {
    match event {
        Event::Connect(connect) if connect.authentication.is_some() => {
            _ = connection.challenge(b"more");
        }
        Event::Connect(_) => {
            _ = connection.accept(now, ConnAck::default(), SessionState::default());
        }
        Event::Auth(auth) => _ = connection.challenge(auth.data.unwrap_or_default()),
        Event::Publish(publish) => {
            connection.publish_ack(publish.packet_id, publish.qos, ReasonCode::Success);
        }
        Event::Release { packet_id } => connection.release_done(*packet_id),
        Event::Subscribe(subscribe) => {
            let code =
                |filter: Result<_, _>| filter.map_or_else(|code| code, |_| ReasonCode::Success);
            let codes: Vec<_> = subscribe.filters.map(code).collect();
            connection.suback(subscribe.packet_id, &codes, "");
        }
        Event::Unsubscribe(unsubscribe) => {
            let codes: Vec<_> = unsubscribe.filters.map(|_| ReasonCode::Success).collect();
            connection.unsuback(unsubscribe.packet_id, &codes, "");
        }
        Event::Received { packet_id, .. } => connection.pubrel(*packet_id),
        Event::Settled { .. } | Event::Disconnect(_) | Event::Error(_) => {}
    }
}

/// Something that the client may acknowledge.
fn deliver(connection: &mut Connection, delivered: &mut u16) {
    if *delivered < DELIVERIES {
        *delivered += 1;
        let payload = Bytes::from_static(b"p");
        _ = connection.deliver(&Deliver {
            token: u64::from(*delivered),
            topic: "t",
            qos: if delivered.is_multiple_of(2) { Qos::AtLeastOnce } else { Qos::ExactlyOnce },
            retain: false,
            dup: false,
            packet_id: *delivered,
            properties: b"\x26\0\x01a\0\x01b",
            message_expiry: None,
            subscription_ids: &[],
            payload: &payload,
            shared: None,
        });
    }
}

const DELIVERIES: u16 = 8;
