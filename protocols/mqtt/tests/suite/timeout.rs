//! Connect timeout and keep alive, in virtual time.

use std::time::Duration;

use leveret_mqtt::{Config, ConnAck, Error, Qos, SessionState, Version};

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn connect_has_to_come_in_time() {
    let mut server = Server::new(Config::default());
    assert_eq!(server.connection.poll_timeout(), Some(server.now + 10 * SECOND));
    server.pass(9 * SECOND);
    server.send(&connect(Version::V5)[..5]);
    assert_eq!(server.connection.handle_timeout(server.now), None);
    server.pass(SECOND);
    assert_eq!(server.connection.handle_timeout(server.now), Some(Error::ConnectTimeout));
    assert!(server.connection.is_closed() && server.out().is_empty());
    assert_eq!(server.connection.poll_timeout(), None);
}

#[test]
fn no_time_runs_while_the_broker_thinks() {
    let mut server = Server::new(Config::default());
    server.send(&connect(Version::V5));
    assert_eq!(server.connection.poll_timeout(), None);
    server.pass(1000 * SECOND);
    assert_eq!(server.connection.handle_timeout(server.now), None);
    server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
    assert_eq!(server.connection.poll_timeout(), Some(server.now + 90 * SECOND));
}

#[test]
fn silence_for_one_and_a_half_keep_alives_ends_the_connection() {
    for (version, told) in [(Version::V3, &[][..]), (Version::V5, &[0xe0, 1, 0x8d])] {
        let mut server = Server::connected(version);
        server.pass(89 * SECOND);
        assert_eq!(server.connection.handle_timeout(server.now), None);
        server.pass(SECOND);
        assert_eq!(server.connection.handle_timeout(server.now), Some(Error::KeepAliveTimeout));
        assert_eq!(server.out(), told);
        assert!(server.connection.is_closed());
    }
}

#[test]
fn any_whole_packet_resets_the_keep_alive_and_half_a_one_does_not() {
    let mut server = Server::connected(Version::V5);
    server.pass(60 * SECOND);
    server.send(&publish(Version::V5, Qos::AtMostOnce, 0));
    assert_eq!(server.connection.poll_timeout(), Some(server.now + 90 * SECOND));
    let due = server.connection.poll_timeout();
    server.pass(60 * SECOND);
    server.send(&[0xc0]);
    assert_eq!(server.connection.poll_timeout(), due);
    server.send(&[0]);
    assert_eq!(server.connection.poll_timeout(), Some(server.now + 90 * SECOND));
    assert_eq!(server.out(), [0xd0, 0]);
}

#[test]
fn a_keep_alive_of_zero_never_ends() {
    let mut server = Server::new(Config::default());
    let head = [&field("MQTT")[..], &[4, 2, 0, 0]].concat();
    server.send(&packet(0x10, &[&head, &field("me")]));
    server.connection.accept(server.now, ConnAck::default(), SessionState::default()).unwrap();
    assert_eq!(server.connection.poll_timeout(), None);
}

#[test]
fn a_client_that_was_not_read_from_gets_its_keep_alive_anew() {
    let mut server = Server::connected(Version::V5);
    server.pass(100 * SECOND);
    server.connection.note_heard(server.now);
    assert_eq!(server.connection.handle_timeout(server.now), None);
    assert_eq!(server.connection.poll_timeout(), Some(server.now + 90 * SECOND));
}
