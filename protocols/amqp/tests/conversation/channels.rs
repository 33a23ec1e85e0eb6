use leveret_amqp::{Config, MethodId, ReplyCode, ServerMethod};

use crate::client::*;

#[test]
fn a_channel_opens_and_closes_and_opens_again() {
    let mut client = Client::running();
    let events = client.feed(&close(1));
    assert_eq!(events, ["ChannelClose { channel: 1, unsettled: [] }"]);
    assert!(client.sent().is_empty());
    client.server.channel_close_ok(1);
    assert_eq!(client.sent(), [sent(1, 20, 41, &[])]);
    assert_eq!(client.server.channel_count(), 0);
    client.open_channel(1);
}

#[test]
fn after_an_error_everything_is_dropped_until_close_ok() {
    let mut client = Client::running();
    let declare = MethodId::new(50, 10);
    let text = "no queue 'q1' in vhost '/'";
    assert!(client.server.channel_error(1, ReplyCode::NotFound, text, declare).is_empty());
    let text = "NOT_FOUND - no queue 'q1' in vhost '/'".to_owned();
    assert_eq!(client.close_sent(), (1, 404, text, (50, 10)));

    let dropped = [publish(1, "", "q", b"x"), settle(1, 80, 99, 0), method(1, 1, 1, &[])];
    assert!(client.feed(&dropped.concat()).is_empty());
    client.server.reply(1, ServerMethod::BasicQosOk);
    client.server.channel_error(1, ReplyCode::NotFound, "again", declare);
    assert!(client.sent().is_empty());

    client.feed(&method(1, 20, 41, &[]));
    assert_eq!(client.server.channel_count(), 0);
    client.open_channel(1);
}

#[test]
fn a_crossing_close_is_answered() {
    let mut client = Client::running();
    client.server.channel_error(1, ReplyCode::NotFound, "x", MethodId::NONE);
    client.sent();
    assert!(client.feed(&close(1)).is_empty());
    assert_eq!(client.sent(), [sent(1, 20, 41, &[])]);
    client.feed(&method(1, 20, 41, &[]));
    client.open_channel(1);
}

#[test]
fn an_error_on_a_channel_that_the_client_is_closing_is_not_sent() {
    let mut client = Client::running();
    client.feed(&close(1));
    client.server.channel_error(1, ReplyCode::NotFound, "x", MethodId::NONE);
    client.server.channel_close_ok(1);
    assert_eq!(client.sent(), [sent(1, 20, 41, &[])]);
}

#[test]
fn the_number_of_channels_is_limited() {
    let config = Config { channel_max: 3, ..Config::default() };
    let text = "NOT_ALLOWED - number of channels opened (3) has reached \
                the negotiated channel_max (3)";
    let mut client = Client::fresh(config);
    client.feed(b"AMQP\x00\x00\x09\x01");
    client.feed(&start_ok("PLAIN", b"\0a\0b", &all_capabilities()));
    client.server.login_ok();
    client.feed(&[tune_ok(3, 4096, 0), method(0, 10, 40, b"\x01/\x00\x00")].concat());
    client.server.open_ok();
    client.sent();
    (1..=3).for_each(|channel| client.open_channel(channel));
    client.feed(&method(4, 20, 10, &[0]));
    assert_eq!(client.close_sent(), (0, 530, text.to_owned(), (20, 10)));
}

#[test]
fn flow_and_access_request_are_answered_here() {
    let mut client = Client::running();
    let access = [short_str("/data"), vec![0x1F]].concat();
    let events = client.feed(&[method(1, 20, 20, &[1]), method(1, 30, 10, &access)].concat());
    assert!(events.is_empty());
    assert_eq!(client.sent(), [sent(1, 20, 21, &[1]), sent(1, 30, 11, &[0, 1])]);
}

#[test]
fn basic_cancel_goes_to_those_who_asked_for_it() {
    let mut client = Client::running();
    client.server.reply(1, ServerMethod::BasicCancel { consumer_tag: "c" });
    assert_eq!(client.sent(), [sent(1, 60, 30, &[1, b'c', 1])]);
    assert!(client.feed(&method(1, 60, 31, &[1, b'c'])).is_empty());

    let mut client = Client::fresh(Config::default());
    client.feed(b"AMQP\x00\x00\x09\x01");
    client.feed(&start_ok("PLAIN", b"\0a\0b", &leveret_amqp::TableBuilder::new()));
    client.server.login_ok();
    client.feed(&[tune_ok(3, 4096, 0), method(0, 10, 40, b"\x01/\x00\x00")].concat());
    client.server.open_ok();
    client.sent();
    client.open_channel(1);
    client.server.reply(1, ServerMethod::BasicCancel { consumer_tag: "c" });
    client.server.blocked("low on memory");
    client.server.unblocked();
    assert!(client.sent().is_empty());
}

#[test]
fn blocked_and_unblocked_are_sent_on_channel_zero() {
    let mut client = Client::running();
    client.server.blocked("low on disk");
    client.server.unblocked();
    assert_eq!(client.sent(), [sent(0, 10, 60, b"\x0Blow on disk"), sent(0, 10, 61, &[])]);
}

#[test]
fn update_secret_is_the_brokers_to_answer() {
    let mut client = Client::running();
    let arguments = [long_str(b"token"), short_str("expiry")].concat();
    let events = client.feed(&method(0, 10, 70, &arguments));
    assert!(events[0].starts_with("Method { channel: 0, method: UpdateSecret("), "{events:?}");
    client.server.reply(0, ServerMethod::UpdateSecretOk);
    assert_eq!(client.sent(), [sent(0, 10, 71, &[])]);
}

#[test]
fn a_client_that_closes_the_connection_gets_close_ok_when_all_is_cleaned_up() {
    let mut client = Client::running();
    let late = publish(1, "", "late", b"x");
    let events = client.feed(&[publish(1, "", "q", b"x"), close(0), late].concat());
    assert_eq!(events.len(), 2);
    assert_eq!(events[1], "Close { reply_code: 200, reply_text: \"bye\" }");
    assert!(!client.server.is_closed() && client.sent().is_empty());
    assert_eq!(client.server.poll_timeout(), None);
    client.server.close_ok();
    assert_eq!(client.sent(), [sent(0, 10, 51, &[])]);
    assert!(client.server.is_closed());
}

#[test]
fn an_administrator_can_close_the_connection() {
    let mut client = Client::running();
    let (code, text) = (ReplyCode::ConnectionForced, "Closed via management plugin");
    client.server.connection_error(client.now, code, text, MethodId::NONE);
    let text = "CONNECTION_FORCED - Closed via management plugin".to_owned();
    assert_eq!(client.close_sent(), (0, 320, text, (0, 0)));
    assert!(client.feed(&publish(1, "", "q", b"x")).is_empty());
    client.server.reply(1, ServerMethod::BasicQosOk);
    assert!(client.sent().is_empty());
    client.feed(&close(0));
    assert_eq!(client.sent(), [sent(0, 10, 51, &[])]);
    assert!(client.server.is_closed());
}
