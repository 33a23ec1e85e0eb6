use leveret_amqp::{Config, Event, MethodId, ReplyCode, TableBuilder, Value};

use crate::client::*;

const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// Up to connection.tune.
fn tuning(config: Config) -> Client {
    let mut client = Client::fresh(config);
    client.feed(HEADER);
    client.feed(&start_ok("PLAIN", b"\0guest\0secret", &all_capabilities()));
    client.server.login_ok();
    client.sent();
    client
}

#[test]
fn a_client_that_does_everything_right_gets_to_run() {
    let mut client = Client::fresh(Config::default());
    assert!(client.feed(HEADER).is_empty());
    let start = &client.sent()[0];
    assert_eq!(start.payload[..6], [0, 10, 0, 10, 0, 9]);

    let events = client.feed(&start_ok("PLAIN", b"\0guest\0se\xFFcret", &all_capabilities()));
    assert_eq!(events.len(), 1);
    assert!(events[0].starts_with("Login(Login { mechanism: \"PLAIN\", user: \"guest\""));
    assert_eq!(client.server.connection_name(), Some("a test"));
    assert!(client.server.capabilities().consumer_cancel_notify);

    client.server.login_ok();
    let tune = [&2047u16.to_be_bytes()[..], &131_072u32.to_be_bytes(), &60u16.to_be_bytes()];
    assert_eq!(client.sent(), [sent(0, 10, 30, &tune.concat())]);
    let open = method(0, 10, 40, b"\x05vhost\x00\x00");
    let events = client.feed(&[tune_ok(100, 4096, 10), open].concat());
    assert_eq!(events, ["Open { vhost: \"vhost\" }"]);
    assert_eq!((client.server.channel_max(), client.server.frame_max()), (100, 4096));
    client.server.open_ok();
    assert_eq!(client.sent(), [sent(0, 10, 41, &[0])]);
    assert!(client.server.is_running());
}

#[test]
fn start_names_the_mechanisms_and_the_capabilities() {
    let mut client = Client::fresh(Config::default());
    client.feed(b"AMQP\x01\x01\x00\x09");
    let payload = &client.sent()[0].payload;
    let len = u32::from_be_bytes(payload[6..10].try_into().unwrap()) as usize;
    let table = leveret_amqp::Table::parse(&payload[10..10 + len], Default::default()).unwrap();
    let capabilities = table.find("capabilities").unwrap().as_table().unwrap();
    assert_eq!(capabilities.iter().count(), 9);
    assert!(capabilities.iter().all(|(_, value)| value == Value::Bool(true)));
    assert_eq!(table.find("product").unwrap().as_str(), Some("Leveret"));
    let rest = [long_str(b"PLAIN AMQPLAIN"), long_str(b"en_US")].concat();
    assert_eq!(payload[10 + len..], rest);
}

#[test]
fn any_other_protocol_header_is_answered_with_ours_and_the_end() {
    let wrong: [&[u8]; 6] = [
        b"AMQP\x03\x01\x00\x00",
        b"AMQP\x00\x00\x09\x02",
        b"AMQP\x01\x01\x08\x00",
        b"HTTP",
        b"G",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC",
    ];
    for header in wrong {
        let mut client = Client::fresh(Config::default());
        assert!(client.feed(header).is_empty());
        assert_eq!(client.octets(), HEADER, "{header:?}");
        assert!(client.server.is_closed());
        assert!(client.feed(b"more").is_empty());
        assert!(client.octets().is_empty());
    }
}

#[test]
fn amqplain_takes_its_fields_from_a_table() {
    let mut response = TableBuilder::new();
    response.insert("LOGIN", "me").insert("PASSWORD", "pw");
    let mut client = Client::fresh(Config::default());
    client.feed(HEADER);
    let frame = start_ok("AMQPLAIN", &response.into_encoded(), &TableBuilder::new());
    let mut input = frame.as_slice();
    match client.server.poll_event(client.now, &mut input) {
        Some(Event::Login(login)) => assert_eq!((login.user, login.password), ("me", &b"pw"[..])),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_input_is_read_until_the_login_is_answered() {
    let mut client = Client::fresh(Config::default());
    client.feed(HEADER);
    let early = method(0, 10, 40, b"\x01/\x00\x00");
    let login = start_ok("PLAIN", b"\0a\0b", &TableBuilder::new());
    let events = client.feed(&[login, tune_ok(0x7FF, 131_072, 0), early].concat());
    assert_eq!(events.len(), 1);
    client.server.login_ok();
    assert_eq!(client.feed(b""), ["Open { vhost: \"/\" }"]);
}

#[test]
fn a_refused_login_is_told_only_to_those_who_understand() {
    let mut client = Client::fresh(Config::default());
    client.feed(HEADER);
    client.feed(&start_ok("PLAIN", b"\0a\0b", &all_capabilities()));
    client.sent();
    client.server.login_refused(client.now);
    let text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
                For details see the broker logfile.";
    assert_eq!(client.close_sent(), (0, 403, text.to_owned(), (0, 0)));
    client.feed(&method(0, 10, 51, &[]));
    assert!(client.server.is_closed());

    let mut client = Client::fresh(Config::default());
    client.feed(HEADER);
    client.feed(&start_ok("PLAIN", b"\0a\0b", &TableBuilder::new()));
    client.sent();
    client.server.login_refused(client.now);
    assert!(client.server.is_closed());
    assert!(client.octets().is_empty());
}

#[test]
fn mechanisms_that_are_off_or_unknown_and_malformed_responses_are_refused() {
    let cases: [(&str, &[u8], u16, &str); 5] = [
        ("EXTERNAL", b"", 503, "COMMAND_INVALID - invalid authentication mechanism 'EXTERNAL'"),
        ("X", b"", 503, "COMMAND_INVALID - unknown authentication mechanism 'X'"),
        ("PLAIN", b"guest", 502, "SYNTAX_ERROR - response <<...>> invalid"),
        ("PLAIN", b"\0a\0b\0c", 502, "SYNTAX_ERROR - response <<...>> invalid"),
        (
            "AMQPLAIN",
            b"\x05LOGINS\0\0\0\x01a",
            502,
            "SYNTAX_ERROR - AMQPLAIN auth info <<...>> is missing LOGIN or PASSWORD field",
        ),
    ];
    for (mechanism, response, code, text) in cases {
        let mut client = Client::fresh(Config::default());
        client.feed(HEADER);
        client.sent();
        client.feed(&start_ok(mechanism, response, &TableBuilder::new()));
        assert_eq!(client.close_sent(), (0, code, text.to_owned(), (10, 11)));
    }
}

#[test]
fn a_mechanism_without_a_password_is_handed_over_as_it_came() {
    let config = Config { mechanisms: "PLAIN EXTERNAL".to_owned(), ..Config::default() };
    let mut client = Client::fresh(config);
    client.feed(HEADER);
    let events = client.feed(&start_ok("EXTERNAL", b"me", &TableBuilder::new()));
    assert!(events[0].contains("mechanism: \"EXTERNAL\", user: \"\""), "{events:?}");
}

#[test]
fn what_is_negotiated_stays_within_the_proposal() {
    let cases = [
        (2047, 4095, "frame_max = 4095 is lower than the minimum allowed value (4096)"),
        (2047, 131_073, "frame_max = 131073 is higher than the maximum allowed value (131072)"),
        (2047, 0, "frame_max = 0 (no limit) is higher than the maximum allowed value (131072)"),
        (2048, 4096, "channel_max = 2048 is higher than the maximum allowed value (2047)"),
        (0, 4096, "channel_max = 0 (no limit) is higher than the maximum allowed value (2047)"),
    ];
    for (channel_max, frame_max, text) in cases {
        let mut client = tuning(Config::default());
        client.feed(&tune_ok(channel_max, frame_max, 0));
        let text = format!("NOT_ALLOWED - negotiated {text}");
        assert_eq!(client.close_sent(), (0, 530, text, (10, 31)));
    }
    let mut client = tuning(Config { channel_max: 0, ..Config::default() });
    assert!(client.feed(&tune_ok(0, 131_072, 0)).is_empty());
    assert!(client.sent().is_empty());
}

#[test]
fn methods_out_of_sequence_name_the_state() {
    let mut client = tuning(Config::default());
    client.feed(&method(0, 10, 40, b"\x01/\x00\x00"));
    let text = "CHANNEL_ERROR - unexpected method in connection state tuning".to_owned();
    assert_eq!(client.close_sent(), (0, 504, text, (10, 40)));

    let mut client = Client::running();
    client.feed(&tune_ok(1, 4096, 0));
    let text = "CHANNEL_ERROR - unexpected method in connection state running".to_owned();
    assert_eq!(client.close_sent(), (0, 504, text, (10, 31)));
}

#[test]
fn frames_of_channels_have_no_place_in_the_handshake() {
    let mut client = tuning(Config::default());
    client.feed(&method(1, 20, 10, &[0]));
    let text = "UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>".to_owned();
    assert_eq!(client.close_sent(), (0, 505, text, (0, 0)));
}

#[test]
fn the_frame_limit_is_8192_until_tune_ok() {
    let mut client = Client::fresh(Config::default());
    client.feed(HEADER);
    client.sent();
    client.feed(&[1, 0, 0, 0, 0, 0x20, 0x01]);
    let text = "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,8193,8184}".to_owned();
    assert_eq!(client.close_sent(), (0, 501, text, (0, 0)));
}

#[test]
fn a_refused_vhost_closes_the_connection() {
    let mut client = tuning(Config::default());
    client.feed(&[tune_ok(2047, 4096, 0), method(0, 10, 40, b"\x03foo\x00\x00")].concat());
    let open = MethodId::new(10, 40);
    let now = client.now;
    client.server.connection_error(now, ReplyCode::NotAllowed, "vhost foo not found", open);
    let text = "NOT_ALLOWED - vhost foo not found".to_owned();
    assert_eq!(client.close_sent(), (0, 530, text, (10, 40)));
    client.feed(&method(0, 10, 51, &[]));
    assert!(client.server.is_closed());
}

#[test]
fn a_start_ok_with_tables_ten_thousand_deep_is_refused() {
    let mut encoded = Vec::new();
    for _ in 0..1_100 {
        encoded = [&[1, b'a', b'F'][..], &long_str(&encoded)].concat();
    }
    let arguments =
        [long_str(&encoded), short_str("PLAIN"), long_str(b"\0a\0b"), short_str("en_US")].concat();
    let mut client = Client::fresh(Config { frame_max: 131_072, ..Config::default() });
    client.feed(HEADER);
    client.sent();
    client.feed(&method(0, 10, 11, &arguments));
    let text = "SYNTAX_ERROR - cannot decode method 10.11: \
                tables are nested deeper than 32 levels";
    assert_eq!(client.close_sent(), (0, 502, text.to_owned(), (10, 11)));
}
