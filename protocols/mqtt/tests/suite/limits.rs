//! Limits at their value and one past it; memory.

use std::collections::VecDeque;

use leveret_mqtt::{Config, Connection, Error, Qos, ReasonCode, Version};

use crate::support::*;

#[test]
fn a_packet_may_be_as_large_as_announced() {
    let config = Config { packet_size_max: 100, ..Config::default() };
    let message = |len: usize| packet(0x30, &[&field("a"), &[0], &vec![0; len - 6]]);
    let mut server = Server::configured(Version::V5, config);
    assert_eq!(message(100).len(), 100);
    assert!(matches!(server.send(&message(100))[..], [Seen::Publish(_)]));
    assert_eq!(reason(&server.send(&message(101)[..2])), ReasonCode::PacketTooLarge);
    assert_eq!(server.told(), (0xe0, 0x95));
}

#[test]
fn a_large_connect_is_refused_in_its_own_protocol_before_it_has_arrived() {
    for level in [4, 5] {
        let config = Config { connect_size_max: 100, ..Config::default() };
        let mut server = Server::new(config);
        let head = [&[0x10, 0xff, 0xff, 0xff, 0x7f][..], &field("MQTT")].concat();
        assert!(server.send(&head).is_empty());
        assert_eq!(server.connection.needed_input(), 5 + 9);
        assert_eq!(reason(&server.send(&[level, 2, 0])), ReasonCode::PacketTooLarge);
        match level {
            4 => assert!(server.out().is_empty()),
            _ => assert_eq!(server.told(), (0x20, 0x95)),
        }
    }
}

#[test]
fn a_first_packet_that_is_too_large_and_names_no_protocol_is_refused_alike_whole_and_in_parts() {
    let name = [b'x'; 23];
    let packet =
        [&[0x10, 0xff, 0xff, 0x7f][..], &field(std::str::from_utf8(&name).unwrap())].concat();
    let whole = Server::new(Config::default()).send(&packet);
    let mut in_parts = Server::new(Config::default());
    let first = in_parts.send(&packet[..13]);
    assert_eq!(first, whole);
    assert!(matches!(whole[..], [Seen::Error(Error::NotMqtt(_))]));
}

#[test]
fn a_connect_may_be_as_large_as_configured() {
    let bytes = connect(Version::V5);
    for (connect_size_max, taken) in [(bytes.len() as u32, true), (bytes.len() as u32 - 1, false)] {
        let mut server = Server::new(Config { connect_size_max, ..Config::default() });
        let seen = server.send(&bytes);
        assert_eq!(seen == [Seen::Connect("me".into())], taken);
    }
}

#[test]
fn the_needed_input_is_known_from_the_header_on() {
    let mut server = Server::connected(Version::V5);
    assert!(server.send(&[]).is_empty());
    assert_eq!(server.connection.needed_input(), 2);
    assert!(server.send(&[0x30]).is_empty());
    assert_eq!(server.connection.needed_input(), 2);
    assert!(server.send(&[0x80]).is_empty());
    assert_eq!(server.connection.needed_input(), 3);
    assert!(server.send(&[0x08]).is_empty());
    assert_eq!(server.connection.needed_input(), 3 + 1024);
}

#[test]
fn client_ids_have_a_longest() {
    for version in [4, 5] {
        let config = Config { client_id_len_max: 5, ..Config::default() };
        let mut server = Server::new(config.clone());
        let seen = server.send(&connect_with(version, 2, &[], &[&field("12345")]));
        assert_eq!(seen, [Seen::Connect("12345".into())]);
        let mut server = Server::new(config);
        let seen = server.send(&connect_with(version, 2, &[], &[&field("123456")]));
        assert_eq!(reason(&seen), ReasonCode::ClientIdentifierNotValid);
    }
}

#[test]
fn user_properties_are_counted() {
    let user = [38, 0, 1, b'k', 0, 1, b'v'];
    let config = Config { user_properties_max: 10, ..Config::default() };
    let mut server = Server::configured(Version::V5, config);
    let seen = server.send(&publish_with(Version::V5, 0, 0, &user.repeat(10)));
    assert!(matches!(seen[..], [Seen::Publish(_)]));
    let seen = server.send(&publish_with(Version::V5, 0, 0, &user.repeat(11)));
    assert_eq!(reason(&seen), ReasonCode::QuotaExceeded);
}

#[test]
fn deep_topics_and_filters_need_no_stack() {
    let slashes = "/".repeat(65_535);
    let mut server = Server::connected(Version::V5);
    let seen = server.send(&packet(0x30, &[&field(&slashes), &[0]]));
    assert!(matches!(seen[..], [Seen::Publish(_)]));
    let seen = server.send(&packet(0x82, &[&[0, 1, 0], &field(&slashes), &[0]]));
    assert!(matches!(&seen[..], [Seen::Subscribe(1, None, results)] if results[0].is_ok()));
}

#[test]
fn an_idle_connection_is_small_and_holds_no_buffer() {
    assert!(size_of::<Connection>() <= 384, "{}", size_of::<Connection>());
    let mut server = Server::connected(Version::V5);
    for id in 1..=1000 {
        let _ = server.deliver(Qos::AtLeastOnce, id, 0);
    }
    let mut out = VecDeque::new();
    server.connection.poll_transmit(&mut out);
    assert_eq!(out.len(), 1);
    assert!(format!("{:?}", server.connection).contains("buffer: b\"\""));
}

#[test]
fn a_flood_of_one_identifier_does_not_grow_anything() {
    let mut server = Server::connected(Version::V5);
    let repeated = publish_with(Version::V5, 0b1100, 5, &[]);
    assert_eq!(server.send(&repeated).len(), 1);
    for _ in 0..10_000 {
        assert!(server.send(&repeated).is_empty());
    }
    assert!(server.out().is_empty());
}
