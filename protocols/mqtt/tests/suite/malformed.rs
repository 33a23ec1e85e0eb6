//! What must not be sent, row by row of the standard, and how each is answered.

use leveret_mqtt::{Config, ReasonCode as R, Version};

use crate::support::*;

/// A statement, the bytes that break it, and the reason.
type Row = (&'static str, Vec<u8>, R);

fn connect_flags(flags: u8) -> Vec<u8> {
    connect_with(5, flags, &[], &[&field("me")])
}

fn connect_properties(properties: &[u8]) -> Vec<u8> {
    connect_with(5, 2, properties, &[&field("me")])
}

/// CONNECT with a will of these properties and this topic.
fn connect_will(properties: &[u8], topic: &str) -> Vec<u8> {
    let payload = [field("me"), section(properties), field(topic), field("bye")];
    connect_with(5, 0b110, &[], &[&payload.concat()])
}

fn connect_rows() -> Vec<Row> {
    let mut truncated = connect_with(5, 0b110, &[], &[&field("me")]);
    truncated[1] = (truncated.len() - 2) as u8;
    vec![
        ("3.1.2-3 reserved flag", connect_flags(0b11), R::MalformedPacket),
        (
            "2.1.3-1 fixed header flags",
            [&[0x11], &connect_flags(2)[1..]].concat(),
            R::MalformedPacket,
        ),
        ("3.1.2-9 will flag without a will", truncated, R::MalformedPacket),
        ("3.1.2-11 will QoS without a will", connect_flags(0b1010), R::MalformedPacket),
        ("3.1.2-13 will retain without a will", connect_flags(0b10_0010), R::MalformedPacket),
        (
            "3.1.2-12 will QoS 3",
            connect_with(5, 0b1_1110, &[], &[&field("me"), &[0], &field("t"), &field("")]),
            R::MalformedPacket,
        ),
        ("3.1.2-17 user name flag without one", connect_flags(0b1000_0010), R::MalformedPacket),
        ("3.1.2-19 password flag without one", connect_flags(0b0100_0010), R::MalformedPacket),
        (
            "3.1.2-16 user name without its flag",
            connect_with(5, 2, &[], &[&field("me"), &field("user")]),
            R::MalformedPacket,
        ),
        ("3.1.3-3 no client id", connect_with(5, 2, &[], &[]), R::MalformedPacket),
        (
            "3.1.3-4 client id",
            connect_with(5, 2, &[], &[&field([0xff])]),
            R::ClientIdentifierNotValid,
        ),
        (
            "1.5.4-2 client id",
            connect_with(5, 2, &[], &[&field("a\0")]),
            R::ClientIdentifierNotValid,
        ),
        (
            "3.1.3-8 client id too long",
            connect_with(5, 2, &[], &[&field("x".repeat(251))]),
            R::ClientIdentifierNotValid,
        ),
        (
            "3.1.3-12 user name",
            connect_with(5, 0b1000_0010, &[], &[&field("me"), &field([0xc0, 0x80])]),
            R::MalformedPacket,
        ),
        ("3.1.3-11 will topic", connect_will(&[], "a\0"), R::MalformedPacket),
        ("4.7.0-1 will topic", connect_will(&[], "a/#"), R::TopicNameInvalid),
        ("4.7.3-1 will topic", connect_will(&[], ""), R::TopicNameInvalid),
        ("will response topic", connect_will(&[8, 0, 1, b'+'], "t"), R::ProtocolError),
        ("will payload format", connect_will(&[1, 2], "t"), R::ProtocolError),
        (
            "will delay twice",
            connect_will(&[24, 0, 0, 0, 0, 24, 0, 0, 0, 0], "t"),
            R::ProtocolError,
        ),
        ("will with an alias", connect_will(&[35, 0, 1], "t"), R::ProtocolError),
        ("will with an unknown property", connect_will(&[5], "t"), R::MalformedPacket),
        ("receive maximum 0", connect_properties(&[33, 0, 0]), R::ProtocolError),
        ("receive maximum twice", connect_properties(&[33, 0, 1, 33, 0, 1]), R::ProtocolError),
        ("maximum packet size 0", connect_properties(&[39, 0, 0, 0, 0]), R::ProtocolError),
        ("request problem information 2", connect_properties(&[23, 2]), R::ProtocolError),
        ("request response information 2", connect_properties(&[25, 2]), R::ProtocolError),
        ("authentication data alone", connect_properties(&[22, 0, 0]), R::ProtocolError),
        ("property of another packet", connect_properties(&[1, 0]), R::ProtocolError),
        ("unknown property", connect_properties(&[0]), R::MalformedPacket),
        ("property id of two bytes", connect_properties(&[0x91, 0]), R::MalformedPacket),
        ("property cut short", connect_properties(&[17, 0, 0]), R::MalformedPacket),
        ("bytes left over", connect_with(5, 2, &[], &[&field("me"), &[0]]), R::MalformedPacket),
        ("1.5.5-1 property length", connect_prop_len(&[0x80, 0]), R::MalformedPacket),
        (
            "five-byte property length",
            connect_prop_len(&[0xff, 0xff, 0xff, 0xff, 1]),
            R::MalformedPacket,
        ),
        ("property length past the packet", connect_prop_len(&[200]), R::MalformedPacket),
        (
            "3.1.2-2 level 6",
            connect_with(6, 2, &[], &[&field("me")]),
            R::UnsupportedProtocolVersion,
        ),
        (
            "3.1.2-1 name",
            packet(0x10, &[&field("MQTX"), &[5, 2, 0, 0, 0, 0, 0]]),
            R::UnsupportedProtocolVersion,
        ),
    ]
}

fn connect_prop_len(len: &[u8]) -> Vec<u8> {
    packet(0x10, &[&field("MQTT"), &[5, 2, 0, 0], len, &field("me")])
}

#[test]
fn a_bad_v5_connect_is_refused_with_connack() {
    for (rule, bytes, expected) in connect_rows() {
        let mut server = Server::new(Config::default());
        assert_eq!(reason(&server.send(&bytes)), expected, "{rule}");
        assert_eq!(server.told(), (0x20, expected as u8), "{rule}");
        assert!(server.connection.is_closed(), "{rule}");
    }
}

#[test]
fn a_bad_v3_connect_gets_a_return_code_if_there_is_one() {
    let rows: Vec<(&str, Vec<u8>, &[u8])> = vec![
        ("3.1.2-2 level 3", connect_with(3, 2, &[], &[&field("me")]), &[0x20, 2, 0, 1]),
        ("3.1.2-2 level 0", connect_with(0, 2, &[], &[&field("me")]), &[0x20, 2, 0, 1]),
        (
            "MQIsdp with the level of MQTT 3.1.1",
            packet(0x10, &[&field("MQIsdp"), &[4, 2, 0, 60], &field("me")]),
            &[0x20, 2, 0, 1],
        ),
        (
            "MQTT 3.1 without an id",
            packet(0x10, &[&field("MQIsdp"), &[3, 2, 0, 60], &field("")]),
            &[0x20, 2, 0, 2],
        ),
        ("3.1.3-8 no id for a session", connect_with(4, 0, &[], &[&field("")]), &[0x20, 2, 0, 2]),
        (
            "client id too long",
            connect_with(4, 2, &[], &[&field("x".repeat(251))]),
            &[0x20, 2, 0, 2],
        ),
        ("3.1.2-3 reserved flag", connect_with(4, 3, &[], &[&field("me")]), &[]),
        ("3.1.2-22 password alone", connect_with(4, 0x42, &[], &[&field("me"), &field("")]), &[]),
        ("1.5.3-1 client id", connect_with(4, 2, &[], &[&field([0xff])]), &[]),
        ("will topic", connect_with(4, 6, &[], &[&field("me"), &field("+"), &field("")]), &[]),
        ("bytes left over", connect_with(4, 2, &[], &[&field("me"), &[0]]), &[]),
        ("3.1.2-1 name", packet(0x10, &[&field("MQTX"), &[4, 2, 0, 0, 0, 0]]), &[]),
        ("empty", vec![0x10, 0], &[]),
    ];
    for (rule, bytes, answer) in rows {
        let mut server = Server::new(Config::default());
        assert!(matches!(server.send(&bytes)[..], [Seen::Error(_)]), "{rule}");
        assert_eq!(server.out(), answer, "{rule}");
        assert!(server.connection.is_closed(), "{rule}");
    }
}

#[test]
fn a_peer_that_does_not_start_with_connect_gets_no_answer() {
    for first in (0..=255).filter(|first| first >> 4 != 1) {
        let mut server = Server::new(Config::default());
        assert!(matches!(server.send(&[first])[..], [Seen::Error(_)]), "{first}");
        assert!(server.out().is_empty() && server.connection.is_closed());
    }
}

fn publish_rows() -> Vec<Row> {
    let to = |topic: &[u8]| packet(0x30, &[&field(topic), &[0], b"hi"]);
    let with = |properties: &[u8]| publish_with(Version::V5, 0, 0, properties);
    vec![
        ("3.3.1-4 QoS 3", publish_with(Version::V5, 0b110, 1, &[]), R::MalformedPacket),
        ("3.3.1-2 DUP on QoS 0", publish_with(Version::V5, 0b1000, 0, &[]), R::MalformedPacket),
        ("2.2.1-3 packet id 0", publish_with(Version::V5, 0b010, 0, &[]), R::ProtocolError),
        ("3.3.2-1 topic", to(&[0xed, 0xa0, 0x80]), R::MalformedPacket),
        ("1.5.4-2 topic", to(b"a\0b"), R::MalformedPacket),
        ("3.3.2-2 wildcard", to(b"a/+"), R::TopicNameInvalid),
        ("empty topic", to(b""), R::ProtocolError),
        ("topic past the packet", packet(0x30, &[&[0, 9, b'a']]), R::MalformedPacket),
        ("no topic", packet(0x30, &[]), R::MalformedPacket),
        ("ends behind the topic", packet(0x32, &[&field("a")]), R::MalformedPacket),
        ("ends behind the packet id", packet(0x32, &[&field("a"), &[0, 1]]), R::MalformedPacket),
        (
            "property length past the packet",
            packet(0x30, &[&field("a"), &[9], b"hi"]),
            R::MalformedPacket,
        ),
        (
            "five-byte property length",
            packet(0x30, &[&field("a"), &[0xff, 0xff, 0xff, 0xff, 1]]),
            R::MalformedPacket,
        ),
        ("3.3.2-8 alias 0", with(&[35, 0, 0]), R::TopicAliasInvalid),
        ("3.3.2-9 alias above the maximum", with(&[35, 0, 17]), R::TopicAliasInvalid),
        ("3.3.2-13 response topic", with(&[8, 0, 1, 0xff]), R::MalformedPacket),
        ("3.3.2-14 response topic", with(&[8, 0, 1, b'#']), R::ProtocolError),
        ("3.3.2-19 content type", with(&[3, 0, 1, 0xff]), R::MalformedPacket),
        ("3.3.4-6 subscription identifier", with(&[11, 1]), R::ProtocolError),
        ("payload format 2", with(&[1, 2]), R::ProtocolError),
        ("content type twice", with(&[3, 0, 0, 3, 0, 0]), R::ProtocolError),
        ("unknown property", with(&[43]), R::MalformedPacket),
        ("1.5.7-1 user property", with(&[38, 0, 1, b'k', 0, 1, 0xff]), R::MalformedPacket),
        ("value crosses the section", with(&[9, 0, 3, 1]), R::MalformedPacket),
    ]
}

fn ack_rows() -> Vec<Row> {
    let release_flags = |first: u8| vec![first, 2, 0, 1];
    vec![
        ("2.1.3-1 PUBACK", release_flags(0x42), R::MalformedPacket),
        ("2.1.3-1 PUBREC", release_flags(0x52), R::MalformedPacket),
        ("3.6.1-1 PUBREL", release_flags(0x60), R::MalformedPacket),
        ("2.1.3-1 PUBCOMP", release_flags(0x72), R::MalformedPacket),
        ("PUBACK 0", ack(PUBACK, 0), R::ProtocolError),
        ("PUBREC 0", ack(PUBREC, 0), R::ProtocolError),
        ("PUBREL 0", ack(PUBREL, 0), R::ProtocolError),
        ("PUBCOMP 0", ack(PUBCOMP, 0), R::ProtocolError),
        ("PUBACK of one byte", vec![0x40, 1, 0], R::MalformedPacket),
        ("3.4.2-1 PUBACK", vec![0x40, 3, 0, 1, 0x92], R::ProtocolError),
        ("3.5.2-1 PUBREC", vec![0x50, 3, 0, 1, 0x01], R::ProtocolError),
        ("3.6.2-1 PUBREL", vec![0x62, 3, 0, 1, 0x80], R::ProtocolError),
        ("3.7.2-1 PUBCOMP", vec![0x70, 3, 0, 1, 0xff], R::ProtocolError),
        ("reason string twice", vec![0x40, 10, 0, 1, 0, 6, 31, 0, 0, 31, 0, 0], R::ProtocolError),
        ("property of another packet", vec![0x40, 6, 0, 1, 0, 2, 1, 0], R::ProtocolError),
        ("bytes left over", vec![0x40, 5, 0, 1, 0, 0, 0], R::MalformedPacket),
        ("property length past the packet", vec![0x40, 4, 0, 1, 0, 1], R::MalformedPacket),
    ]
}

fn subscribe_rows() -> Vec<Row> {
    let subscribe = |parts: &[&[u8]]| packet(0x82, parts);
    let option = |bits: u8| packet(0x82, &[&[0, 1, 0], &field("a"), &[bits]]);
    let unsubscribe = |parts: &[&[u8]]| packet(0xa2, parts);
    vec![
        ("3.8.1-1", packet(0x80, &[&[0, 1, 0], &field("a"), &[0]]), R::MalformedPacket),
        ("SUBSCRIBE 0", subscribe(&[&[0, 0, 0], &field("a"), &[0]]), R::ProtocolError),
        ("3.8.3-1", subscribe(&[&[0, 1, 0], &field([0xff]), &[0]]), R::MalformedPacket),
        ("3.8.3-2", subscribe(&[&[0, 1, 0]]), R::ProtocolError),
        ("3.8.3-4", subscribe(&[&[0, 1, 0], &field("$share/g/t"), &[4]]), R::ProtocolError),
        ("3.8.3-5", option(0x40), R::MalformedPacket),
        ("3.8.3-5", option(0x80), R::MalformedPacket),
        ("QoS 3", option(3), R::ProtocolError),
        ("Retain Handling 3", option(0x30), R::ProtocolError),
        ("4.7.3-1", subscribe(&[&[0, 1, 0], &field(""), &[0]]), R::ProtocolError),
        ("no options", subscribe(&[&[0, 1, 0], &field("a")]), R::MalformedPacket),
        (
            "second filter cut",
            subscribe(&[&[0, 1, 0], &field("a"), &[0], &[0, 9]]),
            R::MalformedPacket,
        ),
        ("identifier 0", subscribe(&[&[0, 1, 2, 11, 0], &field("a"), &[0]]), R::ProtocolError),
        (
            "identifier twice",
            subscribe(&[&[0, 1, 4, 11, 1, 11, 1], &field("a"), &[0]]),
            R::ProtocolError,
        ),
        (
            "identifier of five bytes",
            subscribe(&[&[0, 1, 6, 11, 0xff, 0xff, 0xff, 0xff, 1], &field("a"), &[0]]),
            R::MalformedPacket,
        ),
        ("3.10.1-1", packet(0xa0, &[&[0, 1, 0], &field("a")]), R::MalformedPacket),
        ("UNSUBSCRIBE 0", unsubscribe(&[&[0, 0, 0], &field("a")]), R::ProtocolError),
        ("3.10.3-1", unsubscribe(&[&[0, 1, 0], &field([0xff])]), R::MalformedPacket),
        ("3.10.3-2", unsubscribe(&[&[0, 1, 0]]), R::ProtocolError),
        ("UNSUBSCRIBE of nothing", unsubscribe(&[&[0, 1, 0], &field("")]), R::ProtocolError),
        (
            "identifier in UNSUBSCRIBE",
            unsubscribe(&[&[0, 1, 2, 11, 1], &field("a")]),
            R::ProtocolError,
        ),
    ]
}

fn other_rows() -> Vec<Row> {
    vec![
        ("3.1.0-2 second CONNECT", connect(Version::V5), R::ProtocolError),
        ("reserved type 0", vec![0x00, 0], R::MalformedPacket),
        ("CONNACK", vec![0x20, 3, 0, 0, 0], R::ProtocolError),
        ("SUBACK", vec![0x90, 4, 0, 1, 0, 0], R::ProtocolError),
        ("UNSUBACK", vec![0xb0, 4, 0, 1, 0, 0], R::ProtocolError),
        ("PINGRESP", vec![0xd0, 0], R::ProtocolError),
        ("PINGREQ flags", vec![0xc1, 0], R::MalformedPacket),
        ("PINGREQ with a body", vec![0xc0, 1, 0], R::MalformedPacket),
        ("4.12.0-7 AUTH", vec![0xf0, 0], R::ProtocolError),
        ("4.12.0-7 AUTH", vec![0xf0, 2, 0x19, 0], R::ProtocolError),
        ("3.15.1-1 AUTH flags", vec![0xf1, 0], R::MalformedPacket),
        ("3.14.1-1", vec![0xe1, 0], R::MalformedPacket),
        ("3.14.2-1", vec![0xe0, 1, 0x10], R::ProtocolError),
        ("3.14.2-1", vec![0xe0, 1, 0xa3], R::ProtocolError),
        ("session expiry out of nothing", vec![0xe0, 7, 0, 5, 17, 0, 0, 0, 1], R::ProtocolError),
        ("bytes left over", vec![0xe0, 3, 0, 0, 0], R::MalformedPacket),
        ("1.5.5-1 remaining length", vec![0xc0, 0x80, 0], R::MalformedPacket),
        (
            "1.5.5-1 remaining length of five bytes",
            vec![0xc0, 0xff, 0xff, 0xff, 0xff],
            R::MalformedPacket,
        ),
        ("256 MB", vec![0x30, 0xff, 0xff, 0xff, 0x7f], R::PacketTooLarge),
    ]
}

#[test]
fn a_v5_client_that_breaks_a_rule_is_told_which() {
    for rows in [publish_rows(), ack_rows(), subscribe_rows(), other_rows()] {
        for (rule, bytes, expected) in rows {
            let mut server = Server::connected(Version::V5);
            assert_eq!(reason(&server.send(&bytes)), expected, "{rule}");
            assert_eq!(server.told(), (0xe0, expected as u8), "{rule}");
            assert!(server.connection.is_closed(), "{rule}");
        }
    }
}

#[test]
fn a_v3_client_that_breaks_a_rule_is_cut_off() {
    let to = |topic: &[u8]| packet(0x30, &[&field(topic), b"hi"]);
    let rows = [
        ("QoS 3", publish_with(Version::V3, 0b110, 1, &[])),
        ("DUP on QoS 0", publish_with(Version::V3, 0b1000, 0, &[])),
        ("packet id 0", publish_with(Version::V3, 0b010, 0, &[])),
        ("wildcard", to(b"#")),
        ("empty topic", to(b"")),
        ("not UTF-8", to(&[0xff])),
        ("U+0000", to(b"\0")),
        ("PUBACK with a code", vec![0x40, 3, 0, 1, 0]),
        ("PUBREL flags", vec![0x60, 2, 0, 1]),
        ("SUBSCRIBE flags", packet(0x80, &[&[0, 1], &field("a"), &[0]])),
        ("SUBSCRIBE without filters", packet(0x82, &[&[0, 1]])),
        ("SUBSCRIBE option of v5", packet(0x82, &[&[0, 1], &field("a"), &[4]])),
        ("SUBSCRIBE QoS 3", packet(0x82, &[&[0, 1], &field("a"), &[3]])),
        ("UNSUBSCRIBE without filters", packet(0xa2, &[&[0, 1]])),
        ("DISCONNECT with a code", vec![0xe0, 1, 0]),
        ("AUTH", vec![0xf0, 0]),
        ("second CONNECT", connect(Version::V3)),
        ("256 MB", vec![0x30, 0xff, 0xff, 0xff, 0x7f]),
    ];
    for (rule, bytes) in rows {
        let mut server = Server::connected(Version::V3);
        assert!(matches!(server.send(&bytes)[..], [Seen::Error(_)]), "{rule}");
        assert!(server.out().is_empty() && server.connection.is_closed(), "{rule}");
    }
}

#[test]
fn every_short_form_of_an_acknowledgement_is_taken() {
    for bytes in [&[0x40, 2, 0, 1][..], &[0x40, 3, 0, 1, 0x10], &[0x40, 4, 0, 1, 0, 0]] {
        let mut server = Server::connected(Version::V5);
        let _ = server.deliver(leveret_mqtt::Qos::AtLeastOnce, 1, 5);
        assert_eq!(server.send(bytes), [Seen::Settled(5)]);
    }
}
