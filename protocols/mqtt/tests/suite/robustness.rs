//! Random input: any split of a stream gives the same events, and nothing panics.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use leveret_mqtt::{
    Config, ConnAck, Connection, Deliver, Delivery, Event, Qos, ReasonCode, SessionState, Version,
};
use proptest::prelude::*;

use crate::support::*;

/// A client's packet that is fine by itself.
fn client_packet(version: Version) -> impl Strategy<Value = Vec<u8>> {
    let message = (0..3u8, 1..20u16, prop::collection::vec(any::<u8>(), 0..300));
    prop_oneof![
        4 => message.prop_map(move |(qos, id, payload)| {
            let id = id.to_be_bytes();
            let id = if qos == 0 { &[][..] } else { &id };
            let properties = if version == Version::V5 { &[2, 1, 1][..] } else { &[] };
            packet(0x30 | qos << 1, &[&field("t/é"), id, properties, &payload])
        }),
        2 => (1..20u16).prop_map(|id| ack(PUBREL, id)),
        1 => (1..20u16).prop_map(move |id| {
            let properties = if version == Version::V5 { &[0][..] } else { &[] };
            packet(0x82, &[&id.to_be_bytes(), properties, &field("a/#"), &[1], &field("b"), &[0]])
        }),
        1 => Just(vec![0xc0, 0]),
        1 => (100..120u16).prop_map(|id| ack(PUBACK, id)),
    ]
}

fn stream() -> impl Strategy<Value = (Version, Vec<u8>)> {
    prop::sample::select(&BOTH[..]).prop_flat_map(|version| {
        let packets = prop::collection::vec(client_packet(version), 1..30);
        (Just(version), packets.prop_map(|packets| packets.concat()))
    })
}

/// Feeds `parts` and answers every event at once; gives the events and the output.
fn converse(version: Version, parts: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
    let mut server = Server::connected(version);
    let mut pending = Vec::new();
    let mut seen = Vec::new();
    for part in parts {
        pending.extend_from_slice(part);
        let mut input = &pending[..];
        while let Some(event) = server.connection.poll_event(server.now, &mut input) {
            seen.push(format!("{event:?}"));
            answer(&mut server.connection, &event, server.now);
        }
        let needed = server.connection.needed_input();
        assert!(server.connection.is_closed() || input.len() < needed);
        pending = input.to_vec();
    }
    (seen, server.out())
}

fn answer(connection: &mut Connection, event: &Event<'_>, now: Instant) {
    match event {
        Event::Connect(connect) if connect.authentication.is_some() => {
            let _ = connection.challenge(b"more");
        }
        Event::Connect(_) => {
            let _ = connection.accept(now, ConnAck::default(), SessionState::default());
        }
        Event::Auth(auth) => {
            let _ = connection.challenge(auth.data.unwrap_or_default());
        }
        Event::Publish(publish) => {
            connection.publish_ack(publish.packet_id, publish.qos, ReasonCode::Success);
        }
        Event::Release { packet_id } => connection.release_done(*packet_id),
        Event::Subscribe(subscribe) => {
            let codes: Vec<_> = subscribe
                .filters
                .map(|filter| filter.map_or_else(|code| code, |_| ReasonCode::Success))
                .collect();
            connection.suback(subscribe.packet_id, &codes, "");
        }
        Event::Unsubscribe(unsubscribe) => {
            let codes: Vec<_> = unsubscribe.filters.map(|_| ReasonCode::Success).collect();
            connection.unsuback(unsubscribe.packet_id, &codes, "");
        }
        Event::Received { packet_id, .. } => connection.pubrel(*packet_id),
        Event::Settled { .. } | Event::Disconnect(_) | Event::Error(_) => (),
    }
}

/// Cuts `bytes` at `cuts`, in any order and number.
fn split<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_conversation(
        (version, bytes) in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let whole = converse(version, &[&bytes]);
        prop_assert_eq!(&converse(version, &split(&bytes, &cuts)), &whole);
        let single: Vec<_> = bytes.chunks(1).collect();
        prop_assert_eq!(&converse(version, &single), &whole);
    }

    #[test]
    fn random_bytes_never_panic_and_end_in_one_error(
        version in prop::sample::select(&BOTH[..]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (seen, _) = converse(version, &[&bytes]);
        prop_assert!(seen.iter().filter(|seen| seen.starts_with("Error")).count() <= 1);
    }

    #[test]
    fn damaged_packets_never_panic(
        (version, mut bytes) in stream(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        for (index, byte) in damage {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        converse(version, &[&bytes]);
    }

    #[test]
    fn a_damaged_connect_never_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let will = [&[12u8, 1, 1, 24, 0, 0, 0, 30, 2, 0, 0, 0, 5][..], &field("w"), &field("x")];
        let mut bytes = connect_with(5, 0xf6, &[0x11, 0, 0, 0, 9, 0x21, 0, 7, 0x26, 0, 0, 0, 0], &[
            &field("me"), &will.concat(), &field("user"), &field("pass"),
        ]);
        for (index, byte) in damage {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        let mut server = Server::new(Config::default());
        let mut input = &bytes[..];
        while let Some(event) = server.connection.poll_event(server.now, &mut input) {
            answer(&mut server.connection, &event, server.now);
        }
    }

    #[test]
    fn a_delivery_is_what_a_client_would_have_published(
        version in prop::sample::select(&BOTH[..]),
        topic in "[a-z/é]{1,40}",
        qos in 0..3u8,
        (retain, dup) in any::<(bool, bool)>(),
        packet_id in 1..=u16::MAX,
        payload in prop::collection::vec(any::<u8>(), 0..40_000),
        expiry in any::<Option<u32>>(),
        user in prop::collection::vec(("[a-z]{0,9}", "[a-z]{0,200}"), 0..4),
    ) {
        let qos = Qos::from_u8(qos).expect("in range");
        let properties: Vec<u8> = user
            .iter()
            .flat_map(|(name, value)| [vec![38], field(name), field(value)].concat())
            .collect();
        let packet_id = if qos == Qos::AtMostOnce { 0 } else { packet_id };
        let payload = Bytes::from(payload);
        let mut server = Server::connected(version);
        let delivery = server.connection.deliver(&Deliver {
            topic: &topic, qos, retain, dup, packet_id, properties: &properties,
            message_expiry: expiry, ..message(&payload)
        });
        prop_assert_eq!(delivery, Delivery::Sent);

        let bytes = server.out();
        let mut peer = Server::connected(version);
        let mut input = &bytes[..];
        let Some(Event::Publish(publish)) = peer.connection.poll_event(peer.now, &mut input) else {
            panic!("no PUBLISH")
        };
        prop_assert!(input.is_empty());
        prop_assert_eq!((&*publish.topic, publish.qos, publish.retain), (&*topic, qos, retain));
        prop_assert_eq!(publish.dup, dup && qos != Qos::AtMostOnce);
        prop_assert_eq!((publish.packet_id, publish.payload), (packet_id, &payload[..]));
        if version == Version::V5 {
            prop_assert_eq!(publish.message_expiry, expiry);
            prop_assert!(publish.properties.as_bytes().starts_with(&properties));
        }
    }
}

#[test]
fn thousands_of_user_properties_take_linear_time() {
    let config = Config { user_properties_max: u16::MAX, ..Config::default() };
    let user = [38, 0, 1, b'k', 0, 1, b'v'];
    let time = |count: usize| {
        let bytes = publish_with(Version::V5, 0, 0, &user.repeat(count));
        let mut server = Server::configured(Version::V5, config.clone());
        let start = Instant::now();
        assert!(matches!(server.send(&bytes)[..], [Seen::Publish(_)]));
        start.elapsed()
    };
    let best = |count| (0..3).map(|_| time(count)).min().expect("three runs");
    let (few, many) = (best(4_000), best(64_000));
    assert!(many < few * 160, "{few:?} for 4,000 but {many:?} for 64,000");
}

#[test]
fn a_full_window_of_answers_in_reverse_is_bearable() {
    let config = Config { receive_maximum: 4096, ..Config::default() };
    let mut server = Server::configured(Version::V5, config);
    for id in 1..=4096 {
        server.send(&publish(Version::V5, Qos::AtLeastOnce, id));
    }
    for id in (1..=4096).rev() {
        server.connection.publish_ack(id, Qos::AtLeastOnce, ReasonCode::Success);
    }
    let expected: Vec<u8> = (1..=4096).flat_map(|id| ack(PUBACK, id)).collect();
    assert_eq!(server.out(), expected);
    let mut out = VecDeque::new();
    server.connection.poll_transmit(&mut out);
    assert!(out.is_empty());
}
