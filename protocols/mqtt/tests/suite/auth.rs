//! Enhanced authentication: AUTH, and what CONNACK says of it.

use std::time::Duration;

use leveret_mqtt::{
    Config, ConnAck, Disconnect, Event, ReasonCode, SessionState, Version, WillFate,
};

use crate::support::*;

const CONTINUE: u8 = 0x18;
const AGAIN: u8 = 0x19;

fn method_and_data(method: &str, data: &[u8]) -> Vec<u8> {
    [&[0x15][..], &field(method), &[0x16], &field(data)].concat()
}

fn auth(code: u8, properties: &[u8]) -> Vec<u8> {
    packet(0xf0, &[&[code], &section(properties)])
}

/// Where CONNECT named the method "M" and it is the broker's turn.
fn begun() -> Server {
    let mut server = Server::new(Config::default());
    let connect = connect_with(5, 2, &method_and_data("M", b"first"), &[&field("me")]);
    assert_eq!(server.send(&connect), [Seen::Connect("me".into())]);
    server
}

/// Where it is the client's turn.
fn challenged() -> Server {
    let mut server = begun();
    server.connection.challenge(b"more").unwrap();
    server.out();
    server
}

/// Where it has come to its end.
fn authenticated() -> Server {
    let mut server = begun();
    server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
    server.out();
    server
}

#[test]
fn connect_gives_out_its_method_and_the_wishes_that_go_with_it() {
    let properties = [&method_and_data("M", b"d")[..], &[0x17, 0], &[0x19, 1]].concat();
    let bytes = connect_with(5, 2, &properties, &[&field("me")]);
    let mut server = Server::new(Config::default());
    let mut input = &bytes[..];
    let Some(Event::Connect(connect)) = server.connection.poll_event(server.now, &mut input) else {
        panic!("no CONNECT")
    };
    let authentication = connect.authentication.expect("a method was sent");
    assert_eq!((authentication.method, authentication.data), ("M", Some(&b"d"[..])));
    assert!(connect.wants_response_information && !connect.takes_reasons);
}

#[test]
fn a_client_says_more_until_it_is_let_in() {
    let mut server = begun();
    server.connection.challenge(b"more").unwrap();
    assert_eq!(server.out(), auth(CONTINUE, &method_and_data("M", b"more")));
    let seen = server.send(&auth(CONTINUE, &method_and_data("M", b"second")));
    let expected = Seen::Auth(ReasonCode::ContinueAuthentication, Some(b"second".to_vec()));
    assert_eq!(seen, [expected]);
    let connack = ConnAck { authentication_data: b"last", ..ConnAck::default() };
    server.connection.accept(server.now, connack, SessionState::default()).unwrap();
    let out = server.out();
    assert!(out.starts_with(&[0x20]) && out.ends_with(&method_and_data("M", b"last")), "{out:?}");
}

#[test]
fn a_client_without_a_method_hears_nothing_of_one() {
    let mut server = Server::new(Config::default());
    server.send(&connect(Version::V5));
    server.connection.challenge(b"more").unwrap();
    assert!(server.out().is_empty());
    let connack = ConnAck { authentication_data: b"last", ..ConnAck::default() };
    server.connection.accept(server.now, connack, SessionState::default()).unwrap();
    assert!(!server.out().contains(&0x15));
    assert_eq!(reason(&server.send(&auth(AGAIN, &[]))), ReasonCode::ProtocolError);
}

#[test]
fn nothing_is_read_while_it_is_the_brokers_turn() {
    let mut server = begun();
    assert!(server.send(&auth(CONTINUE, &method_and_data("M", b"early"))).is_empty());
    assert_eq!(server.connection.needed_input(), 0);
    server.connection.challenge(b"more").unwrap();
    assert!(matches!(server.send(&[])[..], [Seen::Auth(..)]));
}

#[test]
fn until_connack_a_client_sends_auth_and_disconnect_only() {
    for bytes in [
        publish(Version::V5, leveret_mqtt::Qos::AtMostOnce, 0),
        vec![0xc0, 0],
        packet(0x82, &[&[0, 1, 0], &field("a"), &[0]]),
        connect(Version::V5),
        auth(AGAIN, &method_and_data("M", b"")),
        auth(0, &method_and_data("M", b"")),
        vec![0xf0, 0],
        auth(CONTINUE, &[0x16, 0, 0]),
    ] {
        let mut server = challenged();
        assert_eq!(reason(&server.send(&bytes)), ReasonCode::ProtocolError, "{bytes:?}");
        assert_eq!(server.told(), (0x20, 0x82), "{bytes:?}");
    }
    let mut server = challenged();
    let goodbye =
        Disconnect { reason: ReasonCode::Success, session_expiry_s: None, will: WillFate::Drop };
    assert_eq!(server.send(&[0xe0, 0]), [Seen::Disconnect(goodbye)]);
    assert!(server.connection.is_closed() && server.out().is_empty());
}

#[test]
fn the_method_stays_the_one_of_connect() {
    let other = auth(CONTINUE, &method_and_data("N", b""));
    let mut server = challenged();
    assert_eq!(reason(&server.send(&other)), ReasonCode::BadAuthenticationMethod);
    assert_eq!(server.told(), (0x20, 0x8c));

    let mut server = authenticated();
    let other = auth(AGAIN, &method_and_data("N", b""));
    assert_eq!(reason(&server.send(&other)), ReasonCode::BadAuthenticationMethod);
    assert_eq!(server.told(), (0xe0, 0x8c));
}

#[test]
fn a_client_authenticates_again_while_everything_else_goes_on() {
    let mut server = authenticated();
    let seen = server.send(&auth(AGAIN, &method_and_data("M", b"first")));
    assert_eq!(seen, [Seen::Auth(ReasonCode::ReAuthenticate, Some(b"first".to_vec()))]);
    server.connection.challenge(b"more").unwrap();
    assert_eq!(server.send(&publish(Version::V5, leveret_mqtt::Qos::AtMostOnce, 0)).len(), 1);
    assert!(server.send(&[0xc0, 0]).is_empty());
    assert_eq!(server.send(&auth(CONTINUE, &method_and_data("M", b"second"))).len(), 1);
    server.out();
    server.connection.authenticated(b"last").unwrap();
    assert_eq!(server.out(), auth(0, &method_and_data("M", b"last")));
    server.connection.authenticated(b"once more").unwrap();
    assert!(server.out().is_empty());
    assert_eq!(server.send(&auth(AGAIN, &method_and_data("M", b""))).len(), 1);
}

#[test]
fn steps_out_of_turn_are_protocol_errors() {
    let again = auth(AGAIN, &method_and_data("M", b""));
    let on = auth(CONTINUE, &method_and_data("M", b""));
    assert_eq!(reason(&authenticated().send(&on)), ReasonCode::ProtocolError);
    let mut server = authenticated();
    server.send(&again);
    assert_eq!(reason(&server.send(&again)), ReasonCode::ProtocolError);
    let mut server = authenticated();
    server.send(&again);
    assert_eq!(reason(&server.send(&on)), ReasonCode::ProtocolError);
}

#[test]
fn an_exchange_ends_with_the_connect_timeout() {
    let timeout = Config::default().connect_timeout;
    let mut server = challenged();
    assert_eq!(server.connection.poll_timeout(), Some(server.now + timeout));
    server.pass(timeout - Duration::from_millis(1));
    assert_eq!(server.connection.handle_timeout(server.now), None);
    server.pass(Duration::from_millis(1));
    assert!(server.connection.handle_timeout(server.now).is_some());
    assert_eq!(server.told(), (0x20, 0x87));

    let mut server = authenticated();
    server.send(&auth(AGAIN, &method_and_data("M", b"first")));
    server.connection.challenge(b"more").unwrap();
    server.out();
    server.pass(timeout);
    server.send(&[0xc0, 0]);
    server.out();
    assert!(server.connection.handle_timeout(server.now).is_some());
    assert_eq!(server.told(), (0xe0, 0x87));
}

#[test]
fn an_exchange_that_is_over_has_no_timeout() {
    let timeout = Config::default().connect_timeout;
    let mut server = authenticated();
    assert_eq!(server.connection.poll_timeout(), Some(server.now + Duration::from_secs(90)));
    server.send(&auth(AGAIN, &method_and_data("M", b"first")));
    assert_eq!(server.connection.poll_timeout(), Some(server.now + timeout));
    server.connection.authenticated(b"").unwrap();
    assert_eq!(server.connection.poll_timeout(), Some(server.now + Duration::from_secs(90)));
}

#[test]
fn a_client_that_cannot_take_auth_is_let_go() {
    let properties = [&method_and_data("M", b"")[..], &[0x27, 0, 0, 0, 20]].concat();
    let mut server = Server::new(Config::default());
    server.send(&connect_with(5, 2, &properties, &[&field("me")]));
    let error = server.connection.challenge(&[b'x'; 20]).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::PacketTooLarge);
    assert_eq!(server.out(), [0x20, 3, 0, 0x95, 0]);
}

#[test]
fn mqtt_3_has_no_auth() {
    let mut server = Server::connected(Version::V3);
    assert_eq!(reason(&server.send(&[0xf0, 0])), ReasonCode::MalformedPacket);
    assert!(server.out().is_empty());
}
