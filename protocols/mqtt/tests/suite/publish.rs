//! Messages from the client: QoS 0, 1 and 2, quota, order of acknowledgements.

use leveret_mqtt::{Config, Qos, ReasonCode, Version};

use crate::support::*;

const OK: ReasonCode = ReasonCode::Success;

fn seen(qos: Qos, packet_id: u16) -> Seen {
    Seen::Publish(Message {
        topic: "a/b".into(),
        qos,
        retain: false,
        dup: false,
        packet_id,
        properties: vec![],
        payload: b"hi".into(),
    })
}

#[test]
fn qos_0_is_handed_on_and_not_answered() {
    for version in BOTH {
        let mut server = Server::connected(version);
        let events = server.send(&publish(version, Qos::AtMostOnce, 0));
        assert_eq!(events, [seen(Qos::AtMostOnce, 0)]);
        assert!(server.out().is_empty());
    }
}

#[test]
fn qos_1_is_acknowledged_once_the_broker_owns_it() {
    for version in BOTH {
        let mut server = Server::connected(version);
        let events = server.send(&publish(version, Qos::AtLeastOnce, 7));
        assert_eq!(events, [seen(Qos::AtLeastOnce, 7)]);
        assert!(server.out().is_empty());
        server.connection.publish_ack(7, Qos::AtLeastOnce, OK);
        assert_eq!(server.out(), [0x40, 2, 0, 7]);
        let again = server.send(&publish(version, Qos::AtLeastOnce, 7));
        assert_eq!(again, [seen(Qos::AtLeastOnce, 7)]);
    }
}

#[test]
fn reasons_are_told_in_v5_only() {
    for (version, answer) in
        [(Version::V3, &[0x40, 2, 0, 7][..]), (Version::V5, &[0x40, 3, 0, 7, 0x10])]
    {
        let mut server = Server::connected(version);
        server.send(&publish(version, Qos::AtLeastOnce, 7));
        server.connection.publish_ack(7, Qos::AtLeastOnce, ReasonCode::NoMatchingSubscribers);
        assert_eq!(server.out(), answer);
    }
}

#[test]
fn acknowledgements_leave_in_the_order_of_the_messages() {
    let mut server = Server::connected(Version::V5);
    for (id, qos) in [(1, Qos::AtLeastOnce), (2, Qos::ExactlyOnce), (3, Qos::AtLeastOnce)] {
        server.send(&publish(Version::V5, qos, id));
    }
    server.connection.publish_ack(3, Qos::AtLeastOnce, ReasonCode::NotAuthorized);
    server.connection.publish_ack(2, Qos::ExactlyOnce, OK);
    assert!(server.out().is_empty());
    server.connection.publish_ack(1, Qos::AtLeastOnce, OK);
    assert_eq!(server.out(), [0x40, 2, 0, 1, 0x50, 2, 0, 2, 0x40, 3, 0, 3, 0x87]);
}

#[test]
fn one_identifier_used_twice_gets_two_answers() {
    let mut server = Server::connected(Version::V3);
    server.send(&publish(Version::V3, Qos::AtLeastOnce, 1));
    server.send(&publish(Version::V3, Qos::AtLeastOnce, 1));
    server.connection.publish_ack(1, Qos::AtLeastOnce, OK);
    assert_eq!(server.out(), [0x40, 2, 0, 1]);
    server.connection.publish_ack(1, Qos::AtLeastOnce, OK);
    assert_eq!(server.out(), [0x40, 2, 0, 1]);
    server.connection.publish_ack(1, Qos::AtLeastOnce, OK);
    assert!(server.out().is_empty());
}

#[test]
fn qos_2_goes_through_its_four_packets() {
    for version in BOTH {
        let mut server = Server::connected(version);
        let events = server.send(&publish(version, Qos::ExactlyOnce, 5));
        assert_eq!(events, [seen(Qos::ExactlyOnce, 5)]);
        server.connection.publish_ack(5, Qos::ExactlyOnce, OK);
        assert_eq!(server.out(), [0x50, 2, 0, 5]);
        assert_eq!(server.send(&ack(PUBREL, 5)), [Seen::Release(5)]);
        assert!(server.out().is_empty());
        server.connection.release_done(5);
        assert_eq!(server.out(), [0x70, 2, 0, 5]);
        let again = server.send(&publish(version, Qos::ExactlyOnce, 5));
        assert_eq!(again, [seen(Qos::ExactlyOnce, 5)], "[MQTT-4.3.3-12]");
    }
}

#[test]
fn a_repeated_qos_2_message_is_not_handed_on_again() {
    for version in BOTH {
        let mut server = Server::connected(version);
        let repeated = publish_with(version, 0b1100, 5, &[]);
        server.send(&publish(version, Qos::ExactlyOnce, 5));
        assert!(server.send(&repeated).is_empty());
        assert!(server.out().is_empty(), "the first is not owned yet");
        server.connection.publish_ack(5, Qos::ExactlyOnce, OK);
        assert_eq!(server.out(), [0x50, 2, 0, 5]);
        assert!(server.send(&repeated).is_empty());
        assert_eq!(server.out(), [0x50, 2, 0, 5]);
    }
}

#[test]
fn a_refused_qos_2_message_ends_its_exchange() {
    let mut server = Server::connected(Version::V5);
    server.send(&publish(Version::V5, Qos::ExactlyOnce, 5));
    server.connection.publish_ack(5, Qos::ExactlyOnce, ReasonCode::QuotaExceeded);
    assert_eq!(server.out(), [0x50, 3, 0, 5, 0x97]);
    let again = server.send(&publish(Version::V5, Qos::ExactlyOnce, 5));
    assert_eq!(again, [seen(Qos::ExactlyOnce, 5)], "[MQTT-4.3.3-9]");
}

#[test]
fn a_release_of_nothing_is_answered_at_once() {
    for (version, answer) in
        [(Version::V3, &[0x70, 2, 0, 9][..]), (Version::V5, &[0x70, 3, 0, 9, 0x92])]
    {
        let mut server = Server::connected(version);
        assert!(server.send(&ack(PUBREL, 9)).is_empty());
        assert_eq!(server.out(), answer);
        server.connection.release_done(9);
        assert!(server.out().is_empty());
    }
}

#[test]
fn a_repeated_release_waits_for_the_first() {
    let mut server = Server::connected(Version::V5);
    server.send(&publish(Version::V5, Qos::ExactlyOnce, 5));
    server.connection.publish_ack(5, Qos::ExactlyOnce, OK);
    assert_eq!(server.send(&[ack(PUBREL, 5), ack(PUBREL, 5)].concat()), [Seen::Release(5)]);
    server.out();
    server.connection.release_done(5);
    server.connection.release_done(5);
    assert_eq!(server.out(), [0x70, 2, 0, 5]);
}

#[test]
fn steps_out_of_turn_are_protocol_errors() {
    let mut server = Server::connected(Version::V5);
    server.send(&publish(Version::V5, Qos::ExactlyOnce, 5));
    assert_eq!(reason(&server.send(&ack(PUBREL, 5))), ReasonCode::ProtocolError);

    let mut server = Server::connected(Version::V5);
    server.send(&publish(Version::V5, Qos::ExactlyOnce, 5));
    server.connection.publish_ack(5, Qos::ExactlyOnce, OK);
    server.send(&ack(PUBREL, 5));
    let early = server.send(&publish(Version::V5, Qos::ExactlyOnce, 5));
    assert_eq!(reason(&early), ReasonCode::ProtocolError);
}

#[test]
fn the_receive_maximum_counts_until_puback_and_pubcomp() {
    let config = Config { receive_maximum: 2, ..Config::default() };
    let mut server = Server::configured(Version::V5, config);
    server.send(&publish(Version::V5, Qos::AtLeastOnce, 1));
    server.send(&publish(Version::V5, Qos::ExactlyOnce, 2));
    server.connection.publish_ack(1, Qos::AtLeastOnce, OK);
    server.connection.publish_ack(2, Qos::ExactlyOnce, OK);
    let third = server.send(&publish(Version::V5, Qos::AtLeastOnce, 3));
    assert_eq!(third, [seen(Qos::AtLeastOnce, 3)]);
    assert_eq!(server.send(&publish(Version::V5, Qos::AtMostOnce, 0)).len(), 1);
    server.out();
    let fourth = server.send(&publish(Version::V5, Qos::AtLeastOnce, 4));
    assert_eq!(reason(&fourth), ReasonCode::ReceiveMaximumExceeded);
    assert_eq!(server.told(), (0xe0, 0x93));
}

#[test]
fn a_v3_client_is_bounded_by_its_identifiers_only() {
    let config = Config { receive_maximum: 2, ..Config::default() };
    let mut server = Server::configured(Version::V3, config);
    for id in 1..=u16::MAX {
        assert_eq!(server.send(&publish(Version::V3, Qos::AtLeastOnce, id)).len(), 1);
    }
    let one_more = server.send(&publish(Version::V3, Qos::AtLeastOnce, 1));
    assert_eq!(reason(&one_more), ReasonCode::ReceiveMaximumExceeded);
    assert!(server.out().is_empty());
}

#[test]
fn properties_are_handed_on_as_they_came() {
    let properties = [1, 1, 2, 0, 0, 0, 9, 38, 0, 1, b'b', 0, 0, 38, 0, 1, b'a', 0, 0];
    let mut server = Server::connected(Version::V5);
    let seen = server.send(&publish_with(Version::V5, 1, 0, &properties));
    let [Seen::Publish(message)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(message.properties, properties);
    assert!(message.retain);
}
