//! Messages to the client: encoding, the QoS 1 and 2 handshakes, windows.

use bytes::Bytes;
use leveret_mqtt::{Config, ConnAck, Deliver, Delivery, Qos, ReasonCode, SessionState, Version};

use crate::support::*;

#[test]
fn qos_0_is_encoded_for_the_version_of_the_client() {
    let payload = Bytes::from_static(b"hi");
    let deliver = Deliver {
        retain: true,
        dup: true,
        properties: &[3, 0, 1, b't'],
        message_expiry: Some(4),
        subscription_ids: &[1, 300],
        ..message(&payload)
    };
    let mut server = Server::connected(Version::V3);
    assert_eq!(server.connection.deliver(&deliver), Delivery::Sent);
    assert_eq!(server.out(), packet(0x31, &[&field("a/b"), b"hi"]), "DUP is for QoS 1 and 2");
    let mut server = Server::connected(Version::V5);
    assert_eq!(server.connection.deliver(&deliver), Delivery::Sent);
    let properties = section(&[3, 0, 1, b't', 2, 0, 0, 0, 4, 11, 1, 11, 0xac, 2]);
    assert_eq!(server.out(), packet(0x31, &[&field("a/b"), &properties, b"hi"]));
}

#[test]
fn qos_1_is_settled_by_any_puback() {
    for version in BOTH {
        let mut server = Server::connected(version);
        assert_eq!(server.deliver(Qos::AtLeastOnce, 3, 77), Delivery::Sent);
        assert_eq!(server.out(), publish(version, Qos::AtLeastOnce, 3));
        assert_eq!(server.send(&ack(PUBACK, 3)), [Seen::Settled(77)]);
        assert!(server.send(&ack(PUBACK, 3)).is_empty(), "unknown by now");
        assert_eq!(server.deliver(Qos::AtLeastOnce, 3, 78), Delivery::Sent);
    }
    let mut server = Server::connected(Version::V5);
    assert_eq!(server.deliver(Qos::AtLeastOnce, 3, 77), Delivery::Sent);
    assert_eq!(server.send(&[0x40, 3, 0, 3, 0x87]), [Seen::Settled(77)]);
}

#[test]
fn qos_2_goes_through_its_four_packets() {
    for version in BOTH {
        let mut server = Server::connected(version);
        assert_eq!(server.deliver(Qos::ExactlyOnce, 3, 77), Delivery::Sent);
        assert_eq!(server.out(), publish(version, Qos::ExactlyOnce, 3));
        assert_eq!(server.send(&ack(PUBREC, 3)), [Seen::Received(77, 3)]);
        assert!(server.send(&ack(PUBREC, 3)).is_empty());
        assert!(server.out().is_empty());
        server.connection.pubrel(3);
        assert_eq!(server.out(), [0x62, 2, 0, 3]);
        assert!(server.send(&ack(PUBREC, 3)).is_empty());
        assert_eq!(server.out(), [0x62, 2, 0, 3], "a repeated PUBREC gets its PUBREL again");
        assert_eq!(server.send(&ack(PUBCOMP, 3)), [Seen::Settled(77)]);
        assert!(server.send(&ack(PUBCOMP, 3)).is_empty());
    }
}

#[test]
fn a_refusing_pubrec_settles_and_frees_the_slot() {
    let config = Config { in_flight_max: 1, ..Config::default() };
    let mut server = Server::configured(Version::V5, config);
    assert_eq!(server.deliver(Qos::ExactlyOnce, 3, 77), Delivery::Sent);
    assert_eq!(server.deliver(Qos::ExactlyOnce, 4, 78), Delivery::Blocked);
    server.out();
    assert_eq!(server.send(&[0x50, 3, 0, 3, 0x97]), [Seen::Settled(77)]);
    assert!(server.out().is_empty(), "no PUBREL");
    assert_eq!(server.deliver(Qos::ExactlyOnce, 4, 78), Delivery::Sent);
}

#[test]
fn acknowledgements_of_nothing_are_answered_where_the_standard_asks_for_it() {
    for (version, answer) in
        [(Version::V3, &[0x62, 2, 0, 9][..]), (Version::V5, &[0x62, 3, 0, 9, 0x92])]
    {
        let mut server = Server::connected(version);
        assert!(server.send(&ack(PUBREC, 9)).is_empty());
        assert_eq!(server.out(), answer);
        assert!(server.send(&ack(PUBCOMP, 9)).is_empty());
        assert!(server.send(&ack(PUBACK, 9)).is_empty());
        assert!(server.out().is_empty());
    }
}

#[test]
fn the_wrong_acknowledgement_is_a_protocol_error() {
    for (qos, first) in [
        (Qos::AtLeastOnce, PUBREC),
        (Qos::AtLeastOnce, PUBCOMP),
        (Qos::ExactlyOnce, PUBACK),
        (Qos::ExactlyOnce, PUBCOMP),
    ] {
        let mut server = Server::connected(Version::V5);
        assert_eq!(server.deliver(qos, 3, 1), Delivery::Sent);
        server.out();
        assert_eq!(reason(&server.send(&ack(first, 3))), ReasonCode::ProtocolError);
        assert_eq!(server.told(), (0xe0, 0x82));
    }
    let mut server = Server::connected(Version::V5);
    assert_eq!(server.deliver(Qos::ExactlyOnce, 3, 1), Delivery::Sent);
    server.send(&ack(PUBREC, 3));
    assert_eq!(reason(&server.send(&[0x50, 3, 0, 3, 0x80])), ReasonCode::ProtocolError);
}

#[test]
fn the_window_is_the_smaller_of_both_sides() {
    for (asked, expected) in [(3, 3), (500, 10)] {
        let config = Config { in_flight_max: 10, ..Config::default() };
        let mut server = Server::new(config);
        assert_eq!(server.connection.receive_quota(), 0);
        let [high, low] = u16::to_be_bytes(asked);
        server.send(&connect_with(5, 2, &[0x21, high, low], &[&field("me")]));
        server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
        assert_eq!(server.connection.receive_quota(), expected);
        for id in 1..=expected {
            assert_eq!(server.deliver(Qos::AtLeastOnce, id, 0), Delivery::Sent);
        }
        assert_eq!(server.deliver(Qos::AtLeastOnce, expected + 1, 0), Delivery::Blocked);
        assert_eq!(server.deliver(Qos::AtMostOnce, 0, 0), Delivery::Sent, "[MQTT-3.3.4-10]");
    }
}

#[test]
fn an_identifier_in_flight_is_not_used_again() {
    let mut server = Server::connected(Version::V5);
    assert_eq!(server.deliver(Qos::AtLeastOnce, 3, 1), Delivery::Sent);
    assert_eq!(server.deliver(Qos::AtLeastOnce, 3, 2), Delivery::Blocked);
    assert_eq!(server.deliver(Qos::AtLeastOnce, 0, 2), Delivery::Blocked);
    assert_eq!(server.send(&ack(PUBACK, 3)), [Seen::Settled(1)]);
}

#[test]
fn what_the_client_cannot_take_is_dropped_and_frees_its_place() {
    let mut server = Server::new(Config::default());
    server.send(&connect_with(5, 2, &[0x27, 0, 0, 0, 30], &[&field("me")]));
    server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
    server.out();
    // Two bytes of header, five of topic, two of identifier, one of property length.
    let payload = Bytes::from(vec![0; 30 - 10]);
    let fits = Deliver { qos: Qos::AtLeastOnce, packet_id: 1, ..message(&payload) };
    assert_eq!(server.connection.deliver(&fits), Delivery::Sent);
    assert_eq!(server.out().len(), 30);
    let payload = Bytes::from(vec![0; 30 - 9]);
    let too_large = Deliver { qos: Qos::AtLeastOnce, packet_id: 2, ..message(&payload) };
    assert_eq!(server.connection.deliver(&too_large), Delivery::Dropped);
    assert!(server.out().is_empty());
    assert_eq!(server.deliver(Qos::AtLeastOnce, 2, 0), Delivery::Sent);
}

#[test]
fn a_topic_that_mqtt_cannot_carry_is_dropped() {
    let mut server = Server::connected(Version::V5);
    let payload = Bytes::new();
    let long = "x".repeat(65_536);
    for topic in ["", &long] {
        let deliver = Deliver { topic, ..message(&payload) };
        assert_eq!(server.connection.deliver(&deliver), Delivery::Dropped);
    }
    let deliver = Deliver { topic: &long[1..], ..message(&payload) };
    assert_eq!(server.connection.deliver(&deliver), Delivery::Sent);
}

#[test]
fn large_payloads_are_shared_and_keep_their_place() {
    for len in [16 * 1024 - 1, 16 * 1024, 100_000] {
        let mut server = Server::connected(Version::V5);
        let payload = Bytes::from(vec![7; len]);
        let large = Deliver { ..message(&payload) };
        assert_eq!(server.deliver(Qos::AtLeastOnce, 1, 1), Delivery::Sent);
        assert_eq!(server.connection.deliver(&large), Delivery::Sent);
        assert_eq!(server.deliver(Qos::AtLeastOnce, 2, 2), Delivery::Sent);
        let mut out = std::collections::VecDeque::new();
        server.connection.poll_transmit(&mut out);
        let is_shared = out.iter().any(|chunk| chunk.as_ptr() == payload.as_ptr());
        assert_eq!(is_shared, len >= 16 * 1024);
        let expected = [
            publish(Version::V5, Qos::AtLeastOnce, 1),
            packet(0x30, &[&field("a/b"), &[0], &payload]),
            publish(Version::V5, Qos::AtLeastOnce, 2),
        ];
        assert!(out.into_iter().flatten().eq(expected.concat()));
    }
}

#[test]
fn nothing_is_delivered_before_connack_or_after_the_end() {
    let mut server = Server::new(Config::default());
    assert_eq!(server.deliver(Qos::AtMostOnce, 0, 0), Delivery::Blocked);
    server.send(&connect(Version::V5));
    assert_eq!(server.deliver(Qos::AtMostOnce, 0, 0), Delivery::Blocked);
    assert!(server.out().is_empty());

    let mut server = Server::connected(Version::V5);
    server.send(&publish(Version::V5, Qos::AtLeastOnce, 1));
    server.connection.disconnect(ReasonCode::ServerShuttingDown);
    assert_eq!(server.deliver(Qos::AtMostOnce, 0, 0), Delivery::Blocked);
    server.connection.publish_ack(1, Qos::AtLeastOnce, ReasonCode::Success);
    server.connection.suback(1, &[ReasonCode::Success], "");
    server.connection.disconnect(ReasonCode::ServerBusy);
    assert_eq!(server.out(), [0xe0, 1, 0x8b], "[MQTT-3.14.4-1]");
}

#[test]
fn the_server_says_goodbye_in_v5_only() {
    let mut server = Server::connected(Version::V5);
    server.connection.disconnect(ReasonCode::SessionTakenOver);
    assert_eq!(server.out(), [0xe0, 1, 0x8e]);
    assert!(server.connection.is_closed());
    let mut server = Server::connected(Version::V3);
    server.connection.disconnect(ReasonCode::SessionTakenOver);
    assert!(server.out().is_empty() && server.connection.is_closed());
}
