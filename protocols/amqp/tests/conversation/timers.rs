use std::time::Duration;

use leveret_amqp::{Config, MethodId, ReplyCode, Timeout};

use crate::client::*;

const HEARTBEAT: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, 0xCE];

fn with_heartbeat(secs: u16) -> Client {
    let config = Config { heartbeat_secs: secs, ..Config::default() };
    Client::with_config(config, 131_072)
}

/// Lets time pass in the steps that the connection asks for.
fn pass(client: &mut Client, until: Duration) -> (Vec<Duration>, Option<Timeout>) {
    let start = client.now;
    let mut heartbeats = Vec::new();
    while let Some(due) = client.server.poll_timeout().filter(|due| *due <= start + until) {
        client.now = due;
        if let Some(timeout) = client.server.handle_timeout(due) {
            return (heartbeats, Some(timeout));
        }
        if client.octets() == HEARTBEAT {
            heartbeats.push(due - start);
        }
    }
    (heartbeats, None)
}

#[test]
fn a_silent_server_sends_a_heartbeat_every_half_interval() {
    let mut client = with_heartbeat(10);
    // The open-ok counts as sent for the first half interval.
    let (heartbeats, timeout) = pass(&mut client, Duration::from_secs(19));
    assert_eq!(heartbeats, [10, 15].map(Duration::from_secs));
    assert_eq!(timeout, None);
}

#[test]
fn a_silent_client_is_dropped_between_two_and_three_intervals() {
    let mut client = with_heartbeat(10);
    client.now += Duration::from_secs(4);
    client.feed(&frame(8, 0, b""));
    let last = client.now;
    let (_, timeout) = pass(&mut client, Duration::from_secs(100));
    assert_eq!(timeout, Some(Timeout::Heartbeat));
    let silence = client.now - last;
    assert!(silence >= Duration::from_secs(20) && silence <= Duration::from_secs(30));
    assert!(client.server.is_closed());
    assert_eq!(client.server.poll_timeout(), None);
}

#[test]
fn any_octet_is_a_sign_of_life() {
    let mut client = with_heartbeat(10);
    let frame = publish(1, "", "q", b"a body that takes its time");
    for octet in &frame[..10] {
        let (_, timeout) = pass(&mut client, Duration::from_secs(15));
        assert_eq!(timeout, None);
        client.feed(&[*octet]);
    }
}

#[test]
fn looking_at_the_same_octets_again_is_not_a_sign_of_life() {
    let mut client = with_heartbeat(10);
    client.feed(&[1, 0, 1]);
    let (_, first) = pass(&mut client, Duration::from_secs(15));
    client.feed(b"");
    let (_, second) = pass(&mut client, Duration::from_secs(100));
    assert_eq!((first, second), (None, Some(Timeout::Heartbeat)));
    assert!(client.now.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_client_that_is_not_read_is_not_silent() {
    let mut client = with_heartbeat(10);
    client.server.set_reading_paused(true);
    assert_eq!(pass(&mut client, Duration::from_secs(1000)).1, None);
    client.server.set_reading_paused(false);
    assert_eq!(pass(&mut client, Duration::from_secs(40)).1, Some(Timeout::Heartbeat));
}

#[test]
fn zero_switches_heartbeats_off() {
    let client = with_heartbeat(0);
    assert_eq!(client.server.poll_timeout(), None);
    assert_eq!(client.server.heartbeat(), None);
}

#[test]
fn the_handshake_has_ten_seconds() {
    let mut client = Client::fresh(Config::default());
    let start = client.now;
    client.feed(b"AMQP\x00\x00\x09\x01");
    assert_eq!(pass(&mut client, Duration::from_secs(60)).1, Some(Timeout::Handshake));
    assert_eq!(client.now - start, Duration::from_secs(10));
}

#[test]
fn a_close_waits_for_its_answer_no_longer_than_a_heartbeat() {
    for (heartbeat, patience) in [(10, 10), (60, 30), (0, 30)] {
        let mut client = with_heartbeat(heartbeat);
        let now = client.now;
        client.server.connection_error(now, ReplyCode::InternalError, "x", MethodId::NONE);
        assert_eq!(pass(&mut client, Duration::from_secs(100)).1, Some(Timeout::Close));
        assert_eq!(client.now - now, Duration::from_secs(patience));
    }
}

#[test]
fn time_that_jumps_is_one_look() {
    let mut client = with_heartbeat(10);
    let later = client.now + Duration::from_secs(10_000);
    assert_eq!(client.server.handle_timeout(later), None);
    assert!(client.server.poll_timeout().unwrap() > later);
}
