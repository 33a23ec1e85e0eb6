//! SUBSCRIBE, UNSUBSCRIBE and their answers.

use leveret_mqtt::{Config, Event, Qos, ReasonCode, RetainHandling, Version};

use crate::support::*;

#[test]
fn options_are_read_bit_by_bit() {
    let bytes = packet(
        0x82,
        &[
            &[0, 1],
            &section(&[11, 0xac, 2]),
            &field("a/+"),
            &[0b0001_0110],
            &field("é"),
            &[0b10_1001],
        ],
    );
    let mut server = Server::connected(Version::V5);
    let mut input = &bytes[..];
    let event = server.connection.poll_event(server.now, &mut input);
    let Some(Event::Subscribe(subscribe)) = event else { panic!("no SUBSCRIBE") };
    assert_eq!((subscribe.packet_id, subscribe.subscription_id), (1, Some(300)));
    let filters: Vec<_> = subscribe.filters.map(Result::unwrap).collect();
    let [first, second] = &filters[..] else { panic!("{filters:?}") };
    assert_eq!((first.filter, first.qos), ("a/+", Qos::ExactlyOnce));
    assert_eq!((first.no_local, first.retain_as_published), (true, false));
    assert_eq!(first.retain_handling, RetainHandling::SendIfNew);
    assert_eq!((second.filter, second.qos), ("é", Qos::AtLeastOnce));
    assert_eq!((second.no_local, second.retain_as_published), (false, true));
    assert_eq!(second.retain_handling, RetainHandling::DoNotSend);
}

#[test]
fn a_bad_filter_is_refused_in_its_place() {
    let mut server = Server::connected(Version::V5);
    let filters = ["a", "a#", "$share/g/t", "$share/g", "a/#/c/d", "#"];
    let body: Vec<u8> = filters.iter().flat_map(|it| [field(it), vec![1]].concat()).collect();
    let seen = server.send(&packet(0x82, &[&[0, 1, 0], &body]));
    let [Seen::Subscribe(1, None, results)] = &seen[..] else { panic!("{seen:?}") };
    let codes: Vec<_> = results.iter().map(|it| it.as_ref().err().copied()).collect();
    let invalid = Some(ReasonCode::TopicFilterInvalid);
    assert_eq!(codes, [None, invalid, None, invalid, invalid, None]);
}

#[test]
fn one_code_goes_out_for_each_filter() {
    let codes = [ReasonCode::GrantedQos1, ReasonCode::TopicFilterInvalid, ReasonCode::Success];
    let mut server = Server::connected(Version::V5);
    server.connection.suback(0x0102, &codes, "");
    assert_eq!(server.out(), [0x90, 6, 1, 2, 0, 1, 0x8f, 0]);
    let mut server = Server::connected(Version::V3);
    server.connection.suback(0x0102, &codes, "");
    assert_eq!(server.out(), [0x90, 5, 1, 2, 1, 0x80, 0]);
}

#[test]
fn unsubscribing_names_the_filters_and_is_answered() {
    for (version, properties) in [(Version::V3, &[][..]), (Version::V5, &[0])] {
        let mut server = Server::connected(version);
        let filters = [field("a"), field("b+"), field("$share/g/t")].concat();
        let seen = server.send(&packet(0xa2, &[&[0, 9], properties, &filters]));
        let invalid = Err(ReasonCode::TopicFilterInvalid);
        let expected = vec![Ok("a".into()), invalid, Ok("$share/g/t".into())];
        assert_eq!(seen, [Seen::Unsubscribe(9, expected)]);
        let codes = [ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
        server.connection.unsuback(9, &codes, "");
        let answer: &[u8] = match version {
            Version::V31 | Version::V3 => &[0xb0, 2, 0, 9],
            Version::V5 => &[0xb0, 5, 0, 9, 0, 0, 0x11],
        };
        assert_eq!(server.out(), answer);
    }
}

#[test]
fn more_codes_than_the_client_takes_are_not_sent() {
    let mut server = Server::new(Config::default());
    server.send(&connect_with(5, 2, &[0x27, 0, 0, 0, 20], &[&field("me")]));
    let (connack, session) = Default::default();
    server.connection.accept(server.now, connack, session).unwrap();
    server.out();
    server.connection.suback(1, &[ReasonCode::Success; 16], "");
    assert!(server.out().is_empty());
    server.connection.suback(1, &[ReasonCode::Success; 15], "");
    assert_eq!(server.out().len(), 20);
}
