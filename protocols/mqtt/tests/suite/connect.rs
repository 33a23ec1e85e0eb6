//! CONNECT and CONNACK.

use leveret_mqtt::{
    Config, ConnAck, Connection, Event, Properties, Property, Qos, ReasonCode, SessionState,
    Version,
};

use crate::support::*;

#[test]
fn all_fields_of_a_v5_connect_are_given_out() {
    let properties = [
        &[0x11, 0, 0, 0, 9][..],
        &[0x21, 0, 7],
        &[0x27, 0, 0, 1, 0],
        &[0x26, 0, 1, b'k', 0, 1, b'v'],
    ]
    .concat();
    let will_properties = [1, 1, 24, 0, 0, 0, 30, 2, 0, 0, 0, 5];
    let payload = [
        field("client"),
        section(&will_properties),
        field("w/t"),
        field([0xff]),
        field("user"),
        field([0, 1]),
    ]
    .concat();
    let bytes = connect_with(5, 0b1111_0110, &properties, &[&payload]);
    let mut server = Server::new(Config::default());
    let mut input = &bytes[..];
    let Some(Event::Connect(connect)) = server.connection.poll_event(server.now, &mut input) else {
        panic!("no CONNECT")
    };
    assert_eq!((connect.version, connect.client_id), (Version::V5, "client"));
    assert_eq!((connect.clean_start, connect.keep_alive_s), (true, 60));
    assert_eq!((connect.session_expiry_s, connect.receive_maximum), (9, 7));
    assert_eq!((connect.packet_size_max, connect.is_bridge), (256, false));
    assert_eq!((connect.username, connect.password), (Some("user"), Some(&[0, 1][..])));
    assert!(connect.properties.iter().any(|it| it == Property::User("k", "v")));
    let will = connect.will.expect("a will was sent");
    assert_eq!((will.topic, will.payload, will.qos), ("w/t", &[0xff][..], Qos::ExactlyOnce));
    assert_eq!((will.retain, will.delay_s, will.message_expiry), (true, 30, Some(5)));
    let properties = Properties::stored(&will.properties);
    assert!(properties.iter().eq([Property::PayloadFormat(true), Property::MessageExpiry(5)]));
}

#[test]
fn will_qos_and_retain_are_read_from_the_flags() {
    for (flags, qos, retain) in [
        (0b0000_0110, Qos::AtMostOnce, false),
        (0b0010_1110, Qos::AtLeastOnce, true),
        (0b0011_0110, Qos::ExactlyOnce, true),
    ] {
        let bytes = connect_with(4, flags, &[], &[&field("me"), &field("w"), &field("")]);
        let mut connection = Connection::new(Config::default().into(), std::time::Instant::now());
        let mut input = &bytes[..];
        let event = connection.poll_event(std::time::Instant::now(), &mut input);
        let Some(Event::Connect(connect)) = event else { panic!("no CONNECT") };
        let will = connect.will.expect("a will was sent");
        assert_eq!((will.qos, will.retain, will.payload), (qos, retain, &[][..]));
    }
}

#[test]
fn a_v3_session_lives_for_ever_or_not_at_all() {
    for (flags, expiry) in [(0b10, 0), (0b00, u32::MAX)] {
        let mut server = Server::new(Config::default());
        server.send(&connect_with(4, flags, &[], &[&field("me")]));
        assert_eq!(server.connection.session_expiry_s(), expiry);
    }
}

#[test]
fn connack_announces_limits_and_what_was_cut_down() {
    let config = Config {
        receive_maximum: 20,
        packet_size_max: 2_000_000,
        keep_alive_max_s: 30,
        session_expiry_max_s: 100,
        ..Config::default()
    };
    let mut server = Server::new(config);
    server.send(&connect_with(5, 0, &[0x11, 0xff, 0xff, 0xff, 0xff], &[&field("")]));
    assert_eq!(server.connection.session_expiry_s(), 100);
    let connack = ConnAck {
        session_present: true,
        assigned_client_id: Some("x1"),
        session_expiry_s: Some(50),
        response_information: Some("reply/x1/"),
        authentication_data: b"of no authentication",
    };
    server.connection.accept(server.now, connack, SessionState::default()).unwrap();
    assert_eq!(server.connection.session_expiry_s(), 50);
    let properties = [
        &[0x11, 0, 0, 0, 50][..],
        &[0x22, 0, 16],
        &[0x12, 0, 2, b'x', b'1'],
        &[0x27, 0x00, 0x1e, 0x84, 0x80],
        &[0x21, 0, 20],
        &[0x13, 0, 30],
        &[0x1a, 0, 9],
        b"reply/x1/",
    ]
    .concat();
    assert_eq!(server.out(), packet(0x20, &[&[1, 0], &section(&properties)]));
}

#[test]
fn an_endless_keep_alive_is_cut_down_too() {
    let config = Config { keep_alive_max_s: 30, ..Config::default() };
    let mut server = Server::new(config);
    let head = [&field("MQTT")[..], &[5, 2, 0, 0, 0]].concat();
    server.send(&packet(0x10, &[&head, &field("me")]));
    server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
    assert!(server.out().windows(3).any(|window| window == [0x13, 0, 30]));
    assert!(server.connection.poll_timeout().is_some());
}

#[test]
fn a_v3_connack_is_four_bytes() {
    let mut server = Server::new(Config::default());
    server.send(&connect(Version::V3));
    let connack = ConnAck { session_present: true, ..ConnAck::default() };
    server.connection.accept(server.now, connack, SessionState::default()).unwrap();
    assert_eq!(server.out(), [0x20, 2, 1, 0]);
}

#[test]
fn nothing_is_read_until_connect_is_answered() {
    for version in BOTH {
        let mut server = Server::new(Config::default());
        let bytes = [connect(version), publish(version, Qos::AtMostOnce, 0)].concat();
        assert_eq!(server.send(&bytes), [Seen::Connect("me".into())]);
        assert_eq!(server.connection.needed_input(), 0);
        server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
        assert!(matches!(server.send(&[])[..], [Seen::Publish(_)]));
    }
}

#[test]
fn a_refusal_speaks_the_protocol_of_the_client() {
    for (reason, v3) in [
        (ReasonCode::ClientIdentifierNotValid, Some(2)),
        (ReasonCode::ServerBusy, Some(3)),
        (ReasonCode::QuotaExceeded, Some(3)),
        (ReasonCode::BadUserNameOrPassword, Some(4)),
        (ReasonCode::NotAuthorized, Some(5)),
        (ReasonCode::Banned, Some(5)),
        (ReasonCode::ProtocolError, None),
    ] {
        let mut server = Server::new(Config::default());
        server.send(&connect(Version::V5));
        server.connection.refuse(reason);
        assert_eq!(server.out(), [0x20, 3, 0, reason as u8, 0]);
        assert!(server.connection.is_closed());

        let mut server = Server::new(Config::default());
        server.send(&connect(Version::V3));
        server.connection.refuse(reason);
        assert_eq!(server.out(), v3.map_or(vec![], |code| vec![0x20, 2, 0, code]));
        assert!(server.send(&connect(Version::V3)).is_empty());
    }
}

#[test]
fn a_client_that_cannot_take_the_connack_is_let_go() {
    let mut server = Server::new(Config::default());
    server.send(&connect_with(5, 2, &[0x27, 0, 0, 0, 4], &[&field("me")]));
    let accepted =
        server.connection.accept(server.now, ConnAck::default(), SessionState::default());
    assert_eq!(accepted.unwrap_err().reason(), ReasonCode::PacketTooLarge);
    assert!(server.out().is_empty() && server.connection.is_closed());
}

#[test]
fn a_marked_bridge_subscribes_without_its_own_messages() {
    let mut server = Server::new(Config::default());
    let seen = server.send(&connect_with(0x84, 2, &[], &[&field("me")]));
    assert_eq!(seen, [Seen::Connect("me".into())]);
    server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
    let seen = server.send(&packet(0x82, &[&[0, 1], &field("#"), &[1]]));
    let [Seen::Subscribe(1, None, filters)] = &seen[..] else { panic!("{seen:?}") };
    let filter = filters[0].as_ref().unwrap();
    assert!(filter.contains("no_local: true, retain_as_published: true"), "{filter}");
}

#[test]
fn shutting_down_before_connect_is_answered_refuses_it() {
    let mut server = Server::new(Config::default());
    server.send(&connect(Version::V5));
    server.connection.disconnect(ReasonCode::ServerBusy);
    assert_eq!(server.out(), [0x20, 3, 0, 0x89, 0]);
    let accepted =
        server.connection.accept(server.now, ConnAck::default(), SessionState::default());
    assert!(accepted.is_ok() && server.out().is_empty());
}
