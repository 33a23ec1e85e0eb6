//! Topic aliases, both ways.

use bytes::Bytes;
use leveret_mqtt::{Config, ConnAck, Delivery, Qos, ReasonCode, SessionState, Version};

use crate::support::*;

/// PUBLISH with QoS 0 to a topic with an alias.
fn aliased(topic: &str, alias: u16) -> Vec<u8> {
    let [high, low] = alias.to_be_bytes();
    packet(0x30, &[&field(topic), &section(&[35, high, low]), b"hi"])
}

fn topics(seen: &[Seen]) -> Vec<&str> {
    let topic = |seen: &'_ Seen| matches!(seen, Seen::Publish(_));
    assert!(seen.iter().all(topic), "{seen:?}");
    seen.iter()
        .filter_map(|seen| match seen {
            Seen::Publish(message) => Some(&*message.topic),
            _ => None,
        })
        .collect()
}

#[test]
fn an_alias_stands_for_the_topic_that_was_given_last() {
    let mut server = Server::connected(Version::V5);
    let packets = [("a", 1), ("", 1), ("b", 16), ("", 16), ("c", 1), ("", 1)];
    let bytes: Vec<u8> = packets.iter().flat_map(|&(topic, alias)| aliased(topic, alias)).collect();
    assert_eq!(topics(&server.send(&bytes)), ["a", "a", "b", "b", "c", "c"]);
}

#[test]
fn aliases_that_stand_for_nothing_end_the_connection() {
    for (alias, expected) in [
        (0, ReasonCode::TopicAliasInvalid),
        (17, ReasonCode::TopicAliasInvalid),
        (2, ReasonCode::ProtocolError),
    ] {
        let mut server = Server::connected(Version::V5);
        server.send(&aliased("a", 1));
        assert_eq!(reason(&server.send(&aliased("", alias))), expected, "{alias}");
        assert_eq!(server.told(), (0xe0, expected as u8));
    }
}

#[test]
fn a_message_with_an_alias_and_a_wildcard_is_refused() {
    let mut server = Server::connected(Version::V5);
    let seen = server.send(&aliased("a/#", 1));
    assert_eq!(reason(&seen), ReasonCode::TopicNameInvalid);
}

fn connected_with_aliases(allowed: u16, config: Config) -> Server {
    let mut server = Server::new(config);
    let [high, low] = allowed.to_be_bytes();
    server.send(&connect_with(5, 2, &[34, high, low], &[&field("me")]));
    server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
    server.out();
    server
}

fn deliver(server: &mut Server, topic: &str) -> Vec<u8> {
    let payload = Bytes::from_static(b"hi");
    let message = leveret_mqtt::Deliver { topic, ..message(&payload) };
    assert_eq!(server.connection.deliver(&message), Delivery::Sent);
    server.out()
}

#[test]
fn the_first_topics_are_sent_by_alias_and_no_more_than_both_sides_allow() {
    for (allowed, sent_max, aliases) in [(2, 16, 2), (16, 2, 2), (0, 16, 0), (16, 0, 0)] {
        let config = Config { topic_alias_sent_max: sent_max, ..Config::default() };
        let mut server = connected_with_aliases(allowed, config);
        for number in 0..3u8 {
            let topic = format!("t/{number}");
            let (name, alias) = (field(&topic), [35, 0, number + 1]);
            let has_alias = u16::from(number) < aliases;
            let properties = if has_alias { &alias[..] } else { &[] };
            let plain = packet(0x30, &[&name, &section(&[]), b"hi"]);
            let first = packet(0x30, &[&name, &section(properties), b"hi"]);
            let later = packet(0x30, &[&field(""), &section(properties), b"hi"]);
            assert_eq!(deliver(&mut server, &topic), first);
            assert_eq!(deliver(&mut server, &topic), if has_alias { later } else { plain });
        }
    }
}

#[test]
fn a_message_that_was_too_large_sets_no_alias() {
    let mut server = Server::new(Config::default());
    let limits = [34, 0, 1, 39, 0, 0, 0, 40];
    server.send(&connect_with(5, 2, &limits, &[&field("me")]));
    server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
    server.out();
    let payload = Bytes::from(vec![b'x'; 100]);
    assert_eq!(server.connection.deliver(&message(&payload)), Delivery::Dropped);
    assert_eq!(deliver(&mut server, "a/b")[..7], [0x30, 11, 0, 3, b'a', b'/', b'b']);
}

#[test]
fn aliases_work_with_every_qos() {
    let mut server = connected_with_aliases(1, Config::default());
    for (qos, name) in [(Qos::AtLeastOnce, "a/b"), (Qos::ExactlyOnce, "")] {
        let id = qos as u16;
        assert_eq!(server.deliver(qos, id, 1), Delivery::Sent);
        let first = 0x30 | (qos as u8) << 1;
        let expected = [&field(name)[..], &id.to_be_bytes(), &section(&[35, 0, 1]), b"hi"].concat();
        assert_eq!(server.out(), packet(first, &[&expected]));
    }
}
