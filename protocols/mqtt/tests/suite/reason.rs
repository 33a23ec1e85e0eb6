//! Reason Strings and Server References.

use leveret_mqtt::{Config, Qos, Reason, ReasonCode, Version};

use crate::support::*;

const WHY: &str = "the user may not";

fn explained() -> Vec<u8> {
    [&[0x1f][..], &field(WHY)].concat()
}

/// A connected client whose CONNECT had these properties.
fn connected_with(properties: &[u8]) -> Server {
    let mut server = Server::new(Config::default());
    server.send(&connect_with(5, 2, properties, &[&field("me")]));
    let (connack, session) = Default::default();
    server.connection.accept(server.now, connack, session).unwrap();
    server.out();
    server
}

/// All answers that may have a Reason String, for a refusal with one.
fn refused(mut server: Server) -> Vec<Vec<u8>> {
    let why = Reason::new(ReasonCode::NotAuthorized, WHY);
    server.send(&publish(Version::V5, Qos::AtLeastOnce, 1));
    server.send(&publish(Version::V5, Qos::ExactlyOnce, 2));
    let mut answers = Vec::new();
    server.connection.publish_ack(1, Qos::AtLeastOnce, why);
    answers.push(server.out());
    server.connection.publish_ack(2, Qos::ExactlyOnce, why);
    answers.push(server.out());
    server.connection.suback(3, &[why.code], WHY);
    answers.push(server.out());
    server.connection.unsuback(4, &[why.code], WHY);
    answers.push(server.out());
    server.connection.disconnect(why);
    answers.push(server.out());
    answers
}

fn short() -> Vec<Vec<u8>> {
    vec![
        vec![0x40, 3, 0, 1, 0x87],
        vec![0x50, 3, 0, 2, 0x87],
        vec![0x90, 4, 0, 3, 0, 0x87],
        vec![0xb0, 4, 0, 4, 0, 0x87],
        vec![0xe0, 1, 0x87],
    ]
}

#[test]
fn a_refusal_says_why() {
    let why = section(&explained());
    let expected = [
        packet(0x40, &[&[0, 1, 0x87], &why]),
        packet(0x50, &[&[0, 2, 0x87], &why]),
        packet(0x90, &[&[0, 3], &why, &[0x87]]),
        packet(0xb0, &[&[0, 4], &why, &[0x87]]),
        packet(0xe0, &[&[0x87], &why]),
    ];
    assert_eq!(refused(connected_with(&[])), expected);
    assert_eq!(refused(connected_with(&[0x17, 1])), expected);
}

#[test]
fn a_client_that_declines_problem_information_gets_codes_only() {
    assert_eq!(refused(connected_with(&[0x17, 0])), short());
}

#[test]
fn a_reason_that_is_too_large_for_the_client_is_left_out() {
    let longest = refused(connected_with(&[])).iter().map(Vec::len).max().unwrap() as u8;
    // CONNACK takes 16 bytes.
    assert_eq!(refused(connected_with(&[0x27, 0, 0, 0, 16])), short());
    let all = refused(connected_with(&[0x27, 0, 0, 0, longest]));
    assert!(all.iter().all(|answer| answer.len() > 16));
}

#[test]
fn a_text_that_mqtt_cannot_express_is_left_out() {
    for text in ["a\0", &"x".repeat(65_536)] {
        let mut server = Server::connected(Version::V5);
        server.connection.disconnect(Reason::new(ReasonCode::AdministrativeAction, text));
        assert_eq!(server.out(), [0xe0, 1, 0x98]);
    }
}

#[test]
fn mqtt_3_has_no_reasons() {
    let mut server = Server::connected(Version::V3);
    server.send(&publish(Version::V3, Qos::AtLeastOnce, 1));
    let why = Reason::new(ReasonCode::NotAuthorized, WHY);
    server.connection.publish_ack(1, Qos::AtLeastOnce, why);
    server.connection.suback(3, &[why.code], WHY);
    server.connection.unsuback(4, &[why.code], WHY);
    server.connection.disconnect(why);
    assert_eq!(server.out(), [0x40, 2, 0, 1, 0x90, 3, 0, 3, 0x80, 0xb0, 2, 0, 4]);
}

#[test]
fn a_client_that_is_sent_elsewhere_is_told_where() {
    let elsewhere = [&[0x1c][..], &field("other:1883")].concat();
    let config = || Config { server_reference: "other:1883".into(), ..Config::default() };
    let mut server = Server::configured(Version::V5, config());
    server.connection.disconnect(Reason::new(ReasonCode::UseAnotherServer, WHY));
    let properties = [&elsewhere[..], &explained()].concat();
    assert_eq!(server.out(), packet(0xe0, &[&[0x9c], &section(&properties)]));

    let mut server = Server::new(config());
    server.send(&connect_with(5, 2, &[0x17, 0], &[&field("me")]));
    server.connection.refuse(Reason::new(ReasonCode::ServerMoved, WHY));
    assert_eq!(server.out(), packet(0x20, &[&[0, 0x9d], &section(&elsewhere)]));

    let mut server = Server::new(config());
    server.send(&connect(Version::V3));
    server.connection.refuse(ReasonCode::UseAnotherServer);
    assert_eq!(server.out(), [0x20, 2, 0, 3]);

    let mut server = Server::configured(Version::V5, config());
    server.connection.disconnect(ReasonCode::ServerShuttingDown);
    assert_eq!(server.out(), [0xe0, 1, 0x8b]);
}
