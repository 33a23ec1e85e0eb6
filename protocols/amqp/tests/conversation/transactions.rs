use bytes::Bytes;
use leveret_amqp::{Config, Content, Deliver, Delivery, ServerMethod, TransactionLimits};

use crate::client::*;

const SELECT: u16 = 10;
const COMMIT: u16 = 20;
const ROLLBACK: u16 = 30;

fn tx(id: u16) -> Vec<u8> {
    method(1, 90, id, &[])
}

fn select(client: &mut Client) {
    assert!(client.feed(&tx(SELECT)).is_empty());
    assert_eq!(client.sent(), [sent(1, 90, 11, &[])]);
}

fn transactional() -> Client {
    let mut client = Client::running();
    select(&mut client);
    client
}

fn limited(len_max: usize, bytes_max: u64) -> Client {
    let transactions = TransactionLimits { len_max, bytes_max };
    let mut client = Client::with_config(Config { transactions, ..Config::default() }, 131_072);
    client.open_channel(1);
    select(&mut client);
    client
}

/// Delivers entries 1 to `entries`, with tags of the same numbers.
fn deliver(client: &mut Client, entries: u64) {
    for entry in 1..=entries {
        let body = Bytes::new();
        let properties = &[0, 0];
        let (exchange, routing_key) = ("", "q");
        let content = Content { exchange, routing_key, properties, body: &body, shared: None };
        let delivery = Delivery { consumer: 7, entry };
        let (consumer_tag, no_ack, redelivered) = ("t", false, false);
        let deliver = Deliver { consumer_tag, delivery, no_ack, redelivered, content };
        assert_eq!(client.server.deliver(1, &deliver), Some(entry));
    }
    client.sent();
}

/// The entries that an event names, in order.
fn entries(event: &str) -> Vec<u64> {
    let names = event.split("entry: ").skip(1);
    names.map(|rest| rest[..rest.find(' ').unwrap()].parse().unwrap()).collect()
}

/// Settles, of which the owner hears nothing yet.
fn hold(client: &mut Client, id: u16, tag: u64, bits: u8) {
    let events = client.feed(&settle(1, id, tag, bits));
    assert_eq!(events.len(), 1);
    assert!(events[0].starts_with("Settle { channel: 1, "), "{events:?}");
    assert!(entries(&events[0]).is_empty());
}

fn failed(client: &mut Client, input: &[u8], id: (u16, u16), text: &str) -> Vec<String> {
    let events = client.feed(input);
    assert_eq!(client.close_sent(), (1, 406, format!("PRECONDITION_FAILED - {text}"), id));
    events
}

#[test]
fn a_channel_is_transactional_or_confirming_but_not_both() {
    let confirm = method(1, 85, 10, &[0]);
    let mut client = Client::running();
    client.feed(&confirm);
    client.sent();
    let text = "cannot switch from confirm to tx mode";
    failed(&mut client, &tx(SELECT), (90, SELECT), text);
    let text = "cannot switch from tx to confirm mode";
    failed(&mut transactional(), &confirm, (85, 10), text);
}

#[test]
fn commit_and_rollback_need_a_transaction() {
    for id in [COMMIT, ROLLBACK] {
        let text = "channel is not transactional";
        failed(&mut Client::running(), &tx(id), (90, id), text);
    }
    assert!(!Client::running().server.is_transactional(1));
}

#[test]
fn a_second_select_changes_nothing() {
    let mut client = transactional();
    deliver(&mut client, 1);
    hold(&mut client, 80, 1, 0);
    select(&mut client);
    assert!(client.server.is_transactional(1));
    assert_eq!(entries(&client.feed(&tx(COMMIT))[0]), [1]);
}

#[test]
fn arguments_where_there_are_none_are_malformed() {
    let mut client = Client::running();
    client.feed(&method(1, 90, SELECT, &[1]));
    assert_eq!(client.close_sent().1, 502);
}

#[test]
fn a_publish_says_that_it_waits_for_the_commit() {
    let mut client = transactional();
    let events = client.feed(&publish(1, "", "q", b"x"));
    assert!(events[0].contains(" sequence=0 transactional=true "), "{events:?}");
    let mut plain = Client::running();
    let events = plain.feed(&publish(1, "", "q", b"x"));
    assert!(events[0].contains(" transactional=false "), "{events:?}");
}

#[test]
fn settlements_come_with_the_commit_in_the_order_of_the_client() {
    let mut client = transactional();
    deliver(&mut client, 9);
    hold(&mut client, 80, 6, 0);
    hold(&mut client, 80, 3, 1);
    hold(&mut client, 120, 5, 0b11);
    hold(&mut client, 90, 7, 0);
    hold(&mut client, 90, 8, 0);
    assert_eq!(client.server.unsettled_len(1), 1);
    assert_eq!(client.server.uncommitted_settlements(1), 8);
    let events = client.feed(&tx(COMMIT));
    let outcomes: Vec<_> = events[0]
        .split("(")
        .skip(1)
        .map(|run| (run.split(',').next().unwrap(), entries(run)))
        .collect();
    let expected = [("Ack", vec![6, 1, 2, 3]), ("Requeue", vec![4, 5]), ("Discard", vec![7, 8])];
    assert_eq!(outcomes, expected);
    assert_eq!(client.server.uncommitted_settlements(1), 0);
    assert!(client.sent().is_empty());
    client.server.reply(1, ServerMethod::TxCommitOk);
    assert_eq!(client.sent(), [sent(1, 90, 21, &[])]);
    assert_eq!(client.feed(&tx(COMMIT)), ["Commit { channel: 1, settlements: [] }"]);
}

#[test]
fn a_rollback_gives_the_tags_back() {
    let mut client = transactional();
    deliver(&mut client, 4);
    hold(&mut client, 80, 2, 1);
    hold(&mut client, 120, 4, 0);
    assert_eq!(client.feed(&tx(ROLLBACK)), ["Rollback { channel: 1 }"]);
    client.server.reply(1, ServerMethod::TxRollbackOk);
    assert_eq!(client.sent(), [sent(1, 90, 31, &[])]);
    assert_eq!(client.server.unsettled_len(1), 4);
    hold(&mut client, 80, 1, 0);
    hold(&mut client, 80, 0, 1);
    assert_eq!(entries(&client.feed(&tx(COMMIT))[0]), [1, 2, 3, 4]);
}

#[test]
fn a_tag_is_checked_when_it_is_settled_and_not_at_the_commit() {
    let again: [(u16, u64, u8); 4] = [(80, 2, 0), (80, 2, 1), (120, 1, 0b10), (90, 9, 0)];
    for (id, tag, bits) in again {
        let mut client = transactional();
        deliver(&mut client, 3);
        hold(&mut client, 80, 2, 1);
        let text = format!("unknown delivery tag {tag}");
        let events = failed(&mut client, &settle(1, id, tag, bits), (60, id), &text);
        assert!(events[0].starts_with("ChannelFailed"));
        assert_eq!(entries(&events[0]), [1, 2, 3]);
    }
}

#[test]
fn recover_leaves_alone_what_the_transaction_settles() {
    let mut client = transactional();
    deliver(&mut client, 3);
    hold(&mut client, 80, 2, 0);
    assert_eq!(entries(&client.feed(&method(1, 60, 110, &[1]))[0]), [1, 3]);
    assert_eq!(entries(&client.feed(&tx(COMMIT))[0]), [2]);
}

#[test]
fn an_end_without_commit_gives_everything_back() {
    let mut client = transactional();
    deliver(&mut client, 3);
    hold(&mut client, 80, 2, 0);
    let events = client.feed(&close(1));
    assert_eq!(entries(&events[0]), [1, 2, 3]);

    let mut client = transactional();
    deliver(&mut client, 3);
    hold(&mut client, 80, 3, 1);
    client.feed(&close(0));
    let left = client.server.drain_unsettled();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].1.iter().map(|it| it.entry).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_transaction_holds_as_many_publishes_and_settlements_as_it_may() {
    let mut client = limited(3, u64::MAX);
    deliver(&mut client, 2);
    hold(&mut client, 80, 1, 0);
    client.feed(&[publish(1, "", "q", b""), publish(1, "", "q", b"")].concat());
    assert_eq!(client.feed(&tx(COMMIT)).len(), 1);
    // The next one begins at nothing.
    hold(&mut client, 80, 2, 0);
    client.feed(&[publish(1, "", "q", b""), publish(1, "", "q", b"")].concat());
    assert_eq!(client.feed(&tx(ROLLBACK)), ["Rollback { channel: 1 }"]);
    hold(&mut client, 80, 2, 0);
    client.feed(&[publish(1, "", "q", b""), publish(1, "", "q", b"")].concat());
    let text = "transaction of more than 3 publishes and settlements";
    let events = failed(&mut client, &publish(1, "", "q", b""), (60, 40), text);
    assert_eq!(entries(&events[0]), [2]);

    let mut client = limited(3, u64::MAX);
    deliver(&mut client, 4);
    let events = failed(&mut client, &settle(1, 80, 0, 1), (60, 80), text);
    assert_eq!(entries(&events[0]), [1, 2, 3, 4]);
}

#[test]
fn a_transaction_holds_as_many_octets_as_it_may() {
    // Exchange, key and properties are 4 of the octets.
    let of_10 = publish(1, "", "q", b"123456");
    let mut client = limited(100, 20);
    client.feed(&[of_10.clone(), of_10.clone()].concat());
    assert_eq!(client.feed(&tx(COMMIT)).len(), 1);
    client.feed(&of_10);
    let text = "transaction of more than 20 bytes";
    failed(&mut client, &publish(1, "", "q", b"1234567"), (60, 40), text);
}
