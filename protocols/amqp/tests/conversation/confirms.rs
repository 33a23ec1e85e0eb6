use bytes::Bytes;
use leveret_amqp::{Content, ReplyCode};

use crate::client::*;

fn confirming(publishes: u64) -> Client {
    let mut client = Client::running();
    assert!(client.feed(&method(1, 85, 10, &[0])).is_empty());
    assert_eq!(client.sent(), [sent(1, 85, 11, &[])]);
    for sequence in 1..=publishes {
        let events = client.feed(&publish(1, "", "q", b""));
        assert!(events[0].contains(&format!("sequence={sequence} ")));
    }
    client
}

fn ack(sequence: u64, multiple: u8) -> Sent {
    sent(1, 60, 80, &[&sequence.to_be_bytes()[..], &[multiple]].concat())
}

#[test]
fn a_run_of_confirms_is_one_frame() {
    let mut client = confirming(100);
    (1..=60).for_each(|sequence| client.server.confirm(1, sequence, true));
    assert!(client.server.transmit_len() > 0);
    assert_eq!(client.sent(), [ack(60, 1)]);
    client.server.confirm(1, 61, true);
    assert_eq!(client.sent(), [ack(61, 0)]);
    client.server.confirm_through(1, 100);
    assert_eq!(client.sent(), [ack(100, 1)]);
    assert_eq!(client.server.unconfirmed_len(1), 0);
    assert!(client.sent().is_empty());
}

#[test]
fn a_nack_goes_out_alone() {
    let mut client = confirming(3);
    client.server.confirm(1, 1, true);
    client.server.confirm(1, 2, false);
    client.server.confirm(1, 3, true);
    let nack = sent(1, 60, 120, &[&2u64.to_be_bytes()[..], &[0]].concat());
    assert_eq!(client.sent(), [nack, ack(1, 0), ack(3, 0)]);
}

#[test]
fn a_return_comes_before_its_confirm() {
    let mut client = confirming(1);
    client.server.confirm(1, 1, true);
    let body = Bytes::new();
    let (exchange, routing_key, properties) = ("", "q", &[0, 0][..]);
    let content = Content { exchange, routing_key, properties, body: &body, shared: Some(&body) };
    client.server.return_(1, ReplyCode::NoRoute, &content);
    let frames = client.sent();
    assert_eq!(frames[0].payload[..4], [0, 60, 0, 50]);
    assert_eq!(frames[2], ack(1, 0));
}

#[test]
fn confirms_are_told_before_the_channel_or_the_connection_closes() {
    let mut client = confirming(2);
    client.server.confirm(1, 1, true);
    client.feed(&close(1));
    client.server.confirm(1, 2, true);
    client.server.channel_close_ok(1);
    assert_eq!(client.sent(), [ack(2, 1), sent(1, 20, 41, &[])]);

    let mut client = confirming(1);
    client.server.confirm(1, 1, true);
    client.feed(&close(0));
    client.server.close_ok();
    assert_eq!(client.sent(), [ack(1, 0), sent(0, 10, 51, &[])]);
    assert!(client.server.is_closed());
}

#[test]
fn a_second_select_is_fine_and_no_wait_is_silent() {
    let mut client = confirming(1);
    client.feed(&method(1, 85, 10, &[1]));
    assert!(client.sent().is_empty());
    assert!(client.server.is_confirming(1));
    assert!(client.feed(&publish(1, "", "q", b""))[0].contains("sequence=2 "));
}
