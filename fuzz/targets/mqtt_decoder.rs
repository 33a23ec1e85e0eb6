//! Octets of a client, whole and cut in two: both ways the state machine says the same, and never panics.
//! The first two octets say the version and where the cut is.

#![no_main]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use leveret_mqtt::{Config, ConnAck, Connection, Event, ReasonCode, SessionState};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let [version, cut, rest @ ..] = octets else { return };
    let connect = match version % 4 {
        0 => &b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c"[..],
        1 => b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01c",
        2 => b"\x10\x0f\0\x06MQIsdp\x03\x02\0\0\0\x01c",
        _ => b"",
    };
    let cut = usize::from(*cut) % (rest.len() + 1);
    let now = Instant::now();
    let whole = converse(now, &[connect, rest]);
    assert_eq!(converse(now, &[connect, &rest[..cut], &rest[cut..]]), whole);
});

/// The events that the parts make, and what is sent.
fn converse(now: Instant, parts: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
    let mut connection = Connection::new(Arc::new(Config::default()), now);
    let (mut pending, mut seen, mut out) = (Vec::new(), Vec::new(), VecDeque::new());
    for part in parts {
        pending.extend_from_slice(part);
        let mut input = &pending[..];
        while let Some(event) = connection.poll_event(now, &mut input) {
            seen.push(format!("{event:?}"));
            answer(&mut connection, &event, now);
        }
        pending = input.to_vec();
        connection.poll_transmit(&mut out);
    }
    (seen, out.iter().flatten().copied().collect())
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
            let code = |filter: Result<_, _>| filter.map_or_else(|code| code, |_| ReasonCode::Success);
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
