use leveret_amqp::{Body, Config, Event};

use crate::client::*;

fn large(len: usize) -> Vec<u8> {
    (0..len).map(|index| index as u8).collect()
}

#[test]
fn a_publish_in_one_piece_is_borrowed() {
    let mut client = Client::running();
    let octets = publish(1, "amq.topic", "a.b", b"hello");
    let mut input = octets.as_slice();
    match client.server.poll_event(client.now, &mut input) {
        Some(Event::Publish(publish)) => {
            assert_eq!(publish.exchange(), "amq.topic");
            assert_eq!(publish.routing_key(), "a.b");
            assert!(publish.properties().is_persistent());
            assert!(matches!(publish.body, Body::Borrowed(b"hello")));
            assert_eq!(publish.sequence, 0);
        }
        other => panic!("{other:?}"),
    }
    assert!(input.is_empty());
}

#[test]
fn the_owner_can_answer_while_it_holds_the_event() {
    let mut client = Client::running();
    let octets = publish(1, "", "q", b"x");
    let mut input = octets.as_slice();
    let Some(Event::Publish(publish)) = client.server.poll_event(client.now, &mut input) else {
        panic!("a publish")
    };
    client.server.confirm(publish.channel, publish.sequence, true);
    assert_eq!(publish.routing_key(), "q");
}

#[test]
fn a_body_of_several_frames_arrives_whole() {
    let mut client = Client::with_config(Config::default(), 4096);
    client.open_channel(7);
    let content = large(10_000);
    let mut octets = publish_method(7, "", "q", 1);
    octets.extend(header(7, 10_000, &[0, 0]));
    for piece in content.chunks(4088) {
        octets.extend(body(7, b"")); // has no effect
        octets.extend(frame(8, 0, b"")); // nor does a heartbeat
        octets.extend(body(7, piece));
    }
    let expected = client.feed(&octets);
    assert_eq!(expected.len(), 1);
    assert!(expected[0].starts_with("publish 7 '' 'q' mandatory=true"));
    let mut input = octets.as_slice();
    match client.server.poll_event(client.now, &mut input) {
        Some(Event::Publish(publish)) => assert_eq!(publish.body.into_bytes(), content),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_body_needs_no_frame() {
    let mut client = Client::running();
    let events = client.feed(&publish(1, "", "q", b""));
    assert_eq!(events.len(), 1);
    assert!(events[0].ends_with("body=b\"\""));
}

#[test]
fn contents_of_two_channels_may_interleave() {
    let mut client = Client::running();
    client.open_channel(2);
    let parts = [
        publish_method(1, "", "one", 0),
        publish_method(2, "", "two", 0),
        header(2, 2, &[0, 0]),
        header(1, 2, &[0, 0]),
        body(1, b"1"),
        body(2, b"22"),
        body(1, b"1"),
    ];
    let events = client.feed(&parts.concat());
    assert_eq!(events.len(), 2);
    assert!(events[0].starts_with("publish 2 '' 'two'") && events[0].ends_with("b\"22\""));
    assert!(events[1].starts_with("publish 1 '' 'one'") && events[1].ends_with("b\"11\""));
}

#[test]
fn a_message_may_be_as_large_as_the_limit_and_no_larger() {
    let config = Config { message_size_max: 5, ..Config::default() };
    let mut client = Client::with_config(config, 131_072);
    client.open_channel(1);
    assert_eq!(client.feed(&publish(1, "", "q", b"12345")).len(), 1);
    let events = client.feed(&publish(1, "", "q", b"123456"));
    assert_eq!(events.len(), 1);
    assert!(events[0].starts_with("ChannelFailed { channel: 1"));
    let text =
        "PRECONDITION_FAILED - message size 6 is larger than configured max size 5".to_owned();
    assert_eq!(client.close_sent(), (1, 406, text, (60, 40)));
    assert!(client.server.is_running());
}

#[test]
fn nobody_makes_room_for_an_announced_size() {
    let config = Config { message_size_max: u64::MAX, ..Config::default() };
    let mut client = Client::with_config(config.clone(), 131_072);
    client.open_channel(1);
    client.feed(&publish_method(1, "", "q", 0));
    assert!(client.feed(&header(1, 536_870_912, &[0, 0])).is_empty());
    assert!(client.feed(&body(1, b"a little")).is_empty());
    assert!(client.server.is_running());

    let mut client = Client::with_config(config, 131_072);
    client.open_channel(1);
    client.feed(&publish_method(1, "", "q", 0));
    client.feed(&header(1, 536_870_913, &[0, 0]));
    let text = "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912";
    assert_eq!(client.close_sent(), (0, 501, text.to_owned(), (60, 40)));
}

#[test]
fn names_of_255_octets_and_non_ascii_names_pass() {
    let mut client = Client::running();
    let name = "n".repeat(255);
    let events = client.feed(&publish(1, &name, "é/x", b""));
    assert!(events[0].starts_with(&format!("publish 1 '{name}' 'é/x'")));
}

#[test]
fn a_partial_frame_asks_for_what_it_lacks_and_no_more() {
    let mut client = Client::running();
    let octets = publish(1, "", "q", &large(1000));
    let body_frame = 1000 + 8;
    client.feed(&octets[..octets.len() - 1]);
    assert_eq!(client.server.needed_input(), body_frame);
    assert_eq!(client.feed(&octets[octets.len() - 1..]).len(), 1);
}

#[test]
fn headers_come_through_octet_by_octet() {
    // A duplicate key, both tags of int64, a void and a decimal.
    let table = b"\x01aI\x00\x00\x00\x01\x01aL\x00\x00\x00\x00\x00\x00\x00\x02\x01bV\x01cD\x02\x00\x00\x01\x3A";
    let properties = [&[0x20, 0][..], &long_str(table)].concat();
    let octets = [publish_method(1, "", "q", 0), header(1, 0, &properties)].concat();
    let mut client = Client::running();
    let mut input = octets.as_slice();
    match client.server.poll_event(client.now, &mut input) {
        Some(Event::Publish(publish)) => {
            assert_eq!(publish.properties().as_encoded(), properties);
            assert_eq!(publish.properties().headers().unwrap().iter().count(), 4);
        }
        other => panic!("{other:?}"),
    }
}
