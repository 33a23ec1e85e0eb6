//! Coming back to a session, and leaving it.

use bytes::Bytes;
use leveret_mqtt::{
    Awaiting, Config, ConnAck, Deliver, Delivery, Disconnect, InFlight, Qos, ReasonCode,
    SessionState, Version, WillFate,
};

use crate::support::*;

const IN_FLIGHT: &[InFlight] = &[
    InFlight { packet_id: 3, token: 30, awaiting: Awaiting::Pubcomp },
    InFlight { packet_id: 1, token: 10, awaiting: Awaiting::Puback },
    InFlight { packet_id: 2, token: 20, awaiting: Awaiting::Pubrec },
    InFlight { packet_id: 4, token: 40, awaiting: Awaiting::Pubcomp },
];

fn resumed(version: Version) -> Server {
    let session = SessionState { in_flight: IN_FLIGHT, received: &[8] };
    Server::resumed(version, Config { receive_maximum: 1, ..Config::default() }, session)
}

#[test]
fn pubrel_is_sent_again_right_behind_connack() {
    for version in BOTH {
        let mut server = resumed(version);
        assert_eq!(server.out(), [0x62, 2, 0, 3, 0x62, 2, 0, 4]);
        let events = server.send(&[ack(PUBCOMP, 3), ack(PUBCOMP, 4)].concat());
        assert_eq!(events, [Seen::Settled(30), Seen::Settled(40)]);
    }
}

#[test]
fn messages_are_sent_again_with_dup_and_their_old_identifier() {
    let payload = Bytes::from_static(b"hi");
    let again = |packet_id, qos| Deliver { packet_id, qos, dup: true, ..message(&payload) };
    for version in BOTH {
        let mut server = resumed(version);
        server.out();
        let first = again(1, Qos::AtLeastOnce);
        let second = Deliver { token: 20, ..again(2, Qos::ExactlyOnce) };
        assert_eq!(server.connection.deliver(&first), Delivery::Sent);
        assert_eq!(server.connection.deliver(&first), Delivery::Blocked, "only once");
        assert_eq!(server.connection.deliver(&second), Delivery::Sent);
        let expected =
            [publish_with(version, 0b1010, 1, &[]), publish_with(version, 0b1100, 2, &[])];
        assert_eq!(server.out(), expected.concat());
        assert_eq!(server.send(&ack(PUBREC, 2)), [Seen::Received(20, 2)]);
    }
}

#[test]
fn an_old_identifier_is_not_given_to_another_message() {
    let mut server = resumed(Version::V5);
    for id in 1..=4 {
        assert_eq!(server.deliver(Qos::AtLeastOnce, id, 9), Delivery::Blocked);
    }
    assert_eq!(server.deliver(Qos::AtLeastOnce, 5, 9), Delivery::Sent);
}

#[test]
fn a_late_acknowledgement_counts_for_the_old_delivery() {
    let mut server = resumed(Version::V5);
    assert_eq!(server.send(&ack(PUBACK, 1)), [Seen::Settled(10)]);
    assert_eq!(server.send(&ack(PUBREC, 2)), [Seen::Received(20, 2)]);
}

#[test]
fn deliveries_of_earlier_connections_do_not_use_up_the_window() {
    let config = Config { in_flight_max: 1, ..Config::default() };
    let session = SessionState { in_flight: IN_FLIGHT, received: &[] };
    let mut server = Server::resumed(Version::V5, config, session);
    server.send(&[ack(PUBCOMP, 3), ack(PUBACK, 1)].concat());
    assert_eq!(server.deliver(Qos::AtLeastOnce, 7, 9), Delivery::Sent);
    assert_eq!(server.deliver(Qos::AtLeastOnce, 8, 9), Delivery::Blocked);
}

#[test]
fn a_received_identifier_is_known_after_the_reconnect() {
    for version in BOTH {
        let mut server = resumed(version);
        server.out();
        assert!(server.send(&publish_with(version, 0b1100, 8, &[])).is_empty());
        assert_eq!(server.out(), [0x50, 2, 0, 8]);
        assert_eq!(server.send(&ack(PUBREL, 8)), [Seen::Release(8)]);
        server.connection.release_done(8);
        assert_eq!(server.out(), [0x70, 2, 0, 8]);
        assert_eq!(server.send(&publish(version, Qos::ExactlyOnce, 8)).len(), 1);
    }
}

#[test]
fn a_received_identifier_counts_once_it_is_sent_again() {
    let mut server = resumed(Version::V5);
    assert_eq!(server.send(&publish(Version::V5, Qos::ExactlyOnce, 9)).len(), 1);
    let repeated = server.send(&publish_with(Version::V5, 0b1100, 8, &[]));
    assert_eq!(reason(&repeated), ReasonCode::ReceiveMaximumExceeded);
}

#[test]
fn a_clean_goodbye_drops_the_will_and_any_other_keeps_it() {
    let goodbye = |reason, session_expiry_s, will| {
        [Seen::Disconnect(Disconnect { reason, session_expiry_s, will })]
    };
    let clean = goodbye(ReasonCode::Success, None, WillFate::Drop);
    for (version, bytes) in [
        (Version::V3, &[0xe0, 0][..]),
        (Version::V5, &[0xe0, 0]),
        (Version::V5, &[0xe0, 1, 0]),
        (Version::V5, &[0xe0, 2, 0, 0]),
    ] {
        let mut server = Server::connected(version);
        assert_eq!(server.send(bytes), clean);
        assert!(server.connection.is_closed() && server.out().is_empty());
        assert!(server.send(&[0xc0, 0]).is_empty() && server.out().is_empty());
    }
    for reason in [ReasonCode::DisconnectWithWill, ReasonCode::UnspecifiedError] {
        let mut server = Server::connected(Version::V5);
        let seen = server.send(&[0xe0, 1, reason as u8]);
        assert_eq!(seen, goodbye(reason, None, WillFate::Keep));
    }
}

#[test]
fn a_goodbye_may_change_the_session_expiry_if_there_was_one() {
    let leaving = [0xe0, 7, 0, 5, 0x11, 0, 0, 1, 0];
    for (asked, max, expected) in [(9, u32::MAX, 256), (9, 100, 100)] {
        let config = Config { session_expiry_max_s: max, ..Config::default() };
        let mut server = Server::new(config);
        server.send(&connect_with(5, 2, &[0x11, 0, 0, 0, asked], &[&field("me")]));
        server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
        let seen = server.send(&leaving);
        let [Seen::Disconnect(disconnect)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(disconnect.session_expiry_s, Some(expected));
        assert_eq!(server.connection.session_expiry_s(), expected);
    }
    let mut server = Server::connected(Version::V5);
    assert_eq!(reason(&server.send(&leaving)), ReasonCode::ProtocolError);
    assert_eq!(server.told(), (0xe0, 0x82));
}
