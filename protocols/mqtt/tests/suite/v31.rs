//! What is different in MQTT 3.1.

use leveret_mqtt::{Config, ConnAck, ReasonCode, SessionState, Version};

use crate::support::*;

#[test]
fn the_flags_of_connack_are_reserved() {
    let mut server = Server::new(Config::default());
    assert_eq!(server.send(&connect(Version::V31)), [Seen::Connect("me".into())]);
    let connack = ConnAck { session_present: true, ..ConnAck::default() };
    server.connection.accept(server.now, connack, SessionState::default()).unwrap();
    assert_eq!((server.out(), server.connection.version()), (vec![0x20, 2, 0, 0], Version::V31));
}

#[test]
fn a_bridge_is_recognised_by_the_highest_bit_of_the_level() {
    let mut server = Server::new(Config::default());
    let connect = packet(0x10, &[&field("MQIsdp"), &[0x83, 2, 0, 60], &field("me")]);
    assert_eq!(server.send(&connect), [Seen::Connect("me".into())]);
    server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
    let seen = server.send(&packet(0x82, &[&[0, 1], &field("a"), &[1]]));
    let [Seen::Subscribe(1, None, filters)] = &seen[..] else { panic!("{seen:?}") };
    assert!(filters[0].as_ref().unwrap().contains("no_local: true"));
}

#[test]
fn acknowledged_requests_may_be_marked_as_repeated() {
    let mut server = Server::connected(Version::V31);
    for first in [0x82, 0x8a] {
        let seen = server.send(&packet(first, &[&[0, 1], &field("a"), &[1]]));
        assert!(matches!(seen[..], [Seen::Subscribe(1, None, _)]), "{seen:?}");
    }
    let seen = server.send(&packet(0xaa, &[&[0, 2], &field("a")]));
    assert_eq!(seen, [Seen::Unsubscribe(2, vec![Ok("a".into())])]);
    assert_eq!(server.send(&ack(0x6a, 7)), [], "PUBREL of nothing");
    assert_eq!(server.out(), [0x70, 2, 0, 7]);
    let error = server.send(&packet(0xca, &[]));
    assert_eq!(reason(&error), ReasonCode::MalformedPacket, "PINGREQ is not acknowledged");
}

#[test]
fn a_subscription_that_is_refused_closes_the_connection() {
    let mut server = Server::connected(Version::V31);
    server.connection.suback(1, &[ReasonCode::GrantedQos1], "");
    assert_eq!(server.out(), [0x90, 3, 0, 1, 1]);
    server.connection.suback(2, &[ReasonCode::Success, ReasonCode::NotAuthorized], "");
    assert_eq!(server.out().len(), 0);
    assert!(server.connection.is_closed());
}
