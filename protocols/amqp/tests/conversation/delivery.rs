use std::collections::VecDeque;

use bytes::Bytes;
use leveret_amqp::{Config, Content, Deliver, Delivery, Get, ReplyCode};

use crate::client::*;

fn delivery(entry: u64) -> Delivery {
    Delivery { consumer: 7, entry }
}

fn content(body: &Bytes) -> Content<'_> {
    let properties = &[0x10, 0, 2];
    Content { exchange: "ex", routing_key: "rk", properties, body, shared: Some(body) }
}

fn deliver(client: &mut Client, entry: u64, body: &Bytes) -> Option<u64> {
    let deliver = Deliver {
        consumer_tag: "ctag",
        delivery: delivery(entry),
        no_ack: false,
        redelivered: true,
        content: content(body),
    };
    client.server.deliver(1, &deliver)
}

fn delivered(entries: u64) -> Client {
    let mut client = Client::running();
    for entry in 1..=entries {
        assert_eq!(deliver(&mut client, entry, &Bytes::new()), Some(entry));
    }
    client.sent();
    client
}

#[test]
fn a_delivery_is_method_header_and_body() {
    let mut client = Client::running();
    deliver(&mut client, 1, &Bytes::from_static(b"hello"));
    let frames = client.sent();
    let tag = 1u64.to_be_bytes();
    let arguments = [&b"\x04ctag"[..], &tag, b"\x01\x02ex\x02rk"].concat();
    assert_eq!(frames[0], sent(1, 60, 60, &arguments));
    let header = Sent {
        kind: 2,
        channel: 1,
        payload: [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5][..], &[0x10, 0, 2]].concat(),
    };
    assert_eq!(frames[1], header);
    assert_eq!(frames[2], Sent { kind: 3, channel: 1, payload: b"hello".to_vec() });
    assert_eq!(frames.len(), 3);
}

#[test]
fn bodies_are_split_at_the_negotiated_frame_size() {
    for len in [0, 1, 4087, 4088, 4089, 8176, 16_383, 16_384, 100_000] {
        let mut client = Client::with_config(Config::default(), 4096);
        client.open_channel(1);
        let body = Bytes::from(vec![b'x'; len]);
        deliver(&mut client, 1, &body);
        let frames = client.sent();
        assert_eq!(frames.len(), 2 + len.div_ceil(4088));
        assert!(frames.iter().skip(2).all(|frame| frame.kind == 3 && frame.payload.len() <= 4088));
        let total: usize = frames.iter().skip(2).map(|frame| frame.payload.len()).sum();
        assert_eq!(total, len);
    }
}

#[test]
fn a_large_body_is_not_copied() {
    let mut client = Client::running();
    let body = Bytes::from(vec![b'x'; 200_000]);
    deliver(&mut client, 1, &body);
    deliver(&mut client, 2, &body);
    let mut out = VecDeque::new();
    let len = client.server.transmit_len();
    client.server.poll_transmit(&mut out);
    assert_eq!(out.iter().map(Bytes::len).sum::<usize>(), len);
    let range = body.as_ptr_range();
    let shared: usize =
        out.iter().filter(|chunk| range.contains(&chunk.as_ptr())).map(Bytes::len).sum();
    assert_eq!(shared, 400_000);
}

#[test]
fn a_large_body_without_memory_of_its_own_is_copied() {
    let body = vec![b'x'; 200_000];
    for shared in [None, Some(&Bytes::from_static(b"of another length"))] {
        let mut client = Client::running();
        let own = Bytes::new();
        let content = Content { body: &body, shared, ..content(&own) };
        let deliver = Deliver {
            consumer_tag: "c",
            delivery: delivery(1),
            no_ack: true,
            redelivered: false,
            content,
        };
        client.server.deliver(1, &deliver);
        let frames = client.sent();
        let sent: Vec<u8> = frames[2..].iter().flat_map(|frame| frame.payload.clone()).collect();
        assert_eq!(sent, body);
    }
}

#[test]
fn get_ok_and_return_carry_their_content() {
    let mut client = Client::running();
    let body = Bytes::from_static(b"b");
    let get = Get {
        delivery: delivery(1),
        no_ack: true,
        redelivered: false,
        message_count: 3,
        content: content(&body),
    };
    assert_eq!(client.server.get_ok(1, &get), Some(1));
    client.server.return_(1, ReplyCode::NoRoute, &content(&body));
    let frames = client.sent();
    let tag = 1u64.to_be_bytes();
    let get_ok = [&tag[..], b"\x00\x02ex\x02rk\x00\x00\x00\x03"].concat();
    assert_eq!(frames[0], sent(1, 60, 71, &get_ok));
    assert_eq!(frames[3], sent(1, 60, 50, b"\x01\x38\x08NO_ROUTE\x02ex\x02rk"));
    assert_eq!(frames.len(), 6);
    assert_eq!(client.server.unsettled_len(1), 0);
}

#[test]
fn a_routing_key_that_is_too_long_is_cut() {
    let mut client = Client::running();
    let (key, body) = ("é".repeat(300), Bytes::new());
    let content = Content { routing_key: &key, ..content(&body) };
    let deliver = Deliver {
        consumer_tag: "c",
        delivery: delivery(1),
        no_ack: true,
        redelivered: false,
        content,
    };
    client.server.deliver(1, &deliver);
    let frames = client.sent();
    assert!(frames[0].payload.ends_with("é".repeat(127).as_bytes()));
}

#[test]
fn nothing_is_delivered_on_a_channel_that_is_not_open() {
    let mut client = Client::running();
    client.feed(&close(1));
    assert_eq!(deliver(&mut client, 1, &Bytes::new()), None);
    client.server.channel_close_ok(1);
    assert_eq!(deliver(&mut client, 1, &Bytes::new()), None);
    assert_eq!(client.sent().len(), 1);
}

#[test]
fn acks_settle_one_or_all_up_to_a_tag() {
    let mut client = delivered(10);
    let entry = |entry: u64| format!("{:?}", delivery(entry));
    let events = client.feed(&settle(1, 80, 2, 0));
    assert_eq!(
        events,
        [format!("Settle {{ channel: 1, outcome: Ack, deliveries: [{}] }}", entry(2))]
    );
    let events = client.feed(&settle(1, 80, 4, 1));
    let all = [entry(1), entry(3), entry(4)].join(", ");
    assert_eq!(events, [format!("Settle {{ channel: 1, outcome: Ack, deliveries: [{all}] }}")]);
    assert_eq!(client.server.unsettled_len(1), 6);
    let events = client.feed(&settle(1, 80, 0, 1));
    assert!(events[0].contains(&entry(10)));
    let nothing = client.feed(&settle(1, 80, 0, 1));
    assert_eq!(nothing, ["Settle { channel: 1, outcome: Ack, deliveries: [] }"]);
    assert!(client.sent().is_empty());
}

#[test]
fn nack_and_reject_requeue_or_discard() {
    let mut client = delivered(5);
    let cases = [
        (settle(1, 120, 1, 0), "Discard"),
        (settle(1, 120, 2, 2), "Requeue"),
        (settle(1, 90, 3, 0), "Discard"),
        (settle(1, 90, 4, 1), "Requeue"),
        (settle(1, 120, 0, 3), "Requeue"),
    ];
    for (frame, outcome) in cases {
        let events = client.feed(&frame);
        assert!(events[0].contains(&format!("outcome: {outcome}")), "{events:?}");
    }
    assert_eq!(client.server.unsettled_len(1), 0);
}

#[test]
fn an_unknown_tag_closes_the_channel_and_gives_the_rest_back() {
    for (method, bits) in [(80, 0), (80, 1), (120, 0), (90, 1)] {
        let mut client = delivered(3);
        let events = client.feed(&settle(1, method, 82, bits));
        assert!(events[0].starts_with("ChannelFailed"), "{events:?}");
        assert_eq!(events[0].matches("Delivery {").count(), 3);
        let text = "PRECONDITION_FAILED - unknown delivery tag 82".to_owned();
        assert_eq!(client.close_sent(), (1, 406, text, (60, method)));
    }
    let mut client = delivered(3);
    client.feed(&settle(1, 80, 1, 0));
    client.feed(&settle(1, 80, 1, 0));
    assert_eq!(client.close_sent().2, "PRECONDITION_FAILED - unknown delivery tag 1");
}

#[test]
fn recover_gives_everything_back() {
    let mut client = delivered(2);
    let events = client.feed(&method(1, 60, 110, &[1]));
    assert!(
        events[0].starts_with("Recover { channel: 1") && events[0].ends_with("no_wait: false }")
    );
    assert_eq!(events[0].matches("Delivery {").count(), 2);
    client.server.reply(1, leveret_amqp::ServerMethod::BasicRecoverOk);
    assert_eq!(client.sent(), [sent(1, 60, 111, &[])]);
    assert!(client.feed(&method(1, 60, 100, &[1]))[0].ends_with("no_wait: true }"));
}

#[test]
fn closing_with_ten_thousand_unsettled_gives_all_back_in_order() {
    let mut client = delivered(10_000);
    (1..5_000).step_by(2).for_each(|tag| {
        client.feed(&settle(1, 80, tag, 0));
    });
    client.feed(&close(0));
    let unsettled = client.server.drain_unsettled();
    let entries: Vec<u64> = unsettled[0].1.iter().map(|delivery| delivery.entry).collect();
    assert_eq!(entries.len(), 7_500);
    assert!(entries.is_sorted());
    assert!(client.server.drain_unsettled().is_empty());
}
