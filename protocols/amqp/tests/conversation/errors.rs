use crate::client::*;

fn connection_error(input: &[u8], code: u16, text: &str, id: (u16, u16)) {
    let mut client = Client::running();
    let events = client.feed(input);
    let error = events.last().unwrap();
    assert!(error.starts_with("Failed { error:"), "{events:?}");
    assert_eq!(client.close_sent(), (0, code, text.to_owned(), id));
    assert!(client.feed(&publish(1, "", "q", b"x")).is_empty());
    assert!(!client.server.is_closed());
}

#[test]
fn frames_have_their_order() {
    let method_due = "UNEXPECTED_FRAME - expected method frame, got non method frame instead";
    let header_due = "UNEXPECTED_FRAME - expected content header for class 60, \
                      got non content header frame instead";
    let body_due = "UNEXPECTED_FRAME - expected content body, \
                    got non content body frame instead";
    let start = publish_method(1, "", "q", 0);
    let begun = [start.clone(), header(1, 5, &[0, 0])].concat();
    let qos = method(1, 60, 10, &[0; 7]);
    connection_error(&header(1, 5, &[0, 0]), 505, method_due, (0, 0));
    connection_error(&body(1, b"x"), 505, method_due, (0, 0));
    connection_error(&body(2, b"x"), 505, method_due, (0, 0));
    connection_error(&[start.clone(), qos.clone()].concat(), 505, header_due, (60, 40));
    connection_error(&[start.clone(), body(1, b"x")].concat(), 505, header_due, (60, 40));
    connection_error(&[begun.clone(), qos].concat(), 505, body_due, (60, 40));
    let again = header(1, 5, &[0, 0]);
    connection_error(&[begun.clone(), again].concat(), 505, body_due, (60, 40));
    let other = frame(2, 1, &[0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
    let text = "UNEXPECTED_FRAME - expected content header for class 60, \
                got one for class 10 instead";
    connection_error(&[start, other].concat(), 505, text, (60, 40));
    let text = "FRAME_ERROR - content body frame exceeds remaining content size";
    connection_error(&[begun, body(1, b"123456")].concat(), 501, text, (60, 40));
}

#[test]
fn frames_have_their_channel() {
    let text = "UNEXPECTED_FRAME - type 8, all octets = <<>>";
    connection_error(&frame(8, 1, b""), 505, text, (0, 0));
    let text = "UNEXPECTED_FRAME - type 3, first 16 octets = <<\"0123456789abcdef\">>";
    connection_error(&frame(3, 0, b"0123456789abcdefg"), 505, text, (0, 0));
    let text = "FRAME_ERROR - type 4, all octets = <<1,2>>: unknown_frame";
    connection_error(&frame(4, 1, &[1, 2]), 501, text, (0, 0));
    connection_error(&frame(4, 0, &[1, 2]), 501, text, (0, 0));
}

#[test]
fn methods_have_their_channel() {
    let text = "CHANNEL_ERROR - expected 'channel.open'";
    connection_error(&method(2, 60, 10, &[0; 7]), 504, text, (60, 10));
    let text = "CHANNEL_ERROR - second 'channel.open' seen";
    connection_error(&method(1, 20, 10, &[0]), 504, text, (20, 10));
    let text = "CHANNEL_ERROR - unexpected method in connection state running";
    connection_error(&method(0, 60, 10, &[0; 7]), 504, text, (60, 10));
}

#[test]
fn methods_that_nobody_has_are_unimplemented() {
    let text = "COMMAND_INVALID - unimplemented method";
    connection_error(&method(1, 60, 999, &[]), 503, text, (60, 999));
    connection_error(&method(1, 99, 10, &[]), 503, text, (99, 10));
    connection_error(&method(1, 10, 70, &[]), 503, text, (10, 70));
    connection_error(&method(1, 60, 60, &[]), 503, text, (60, 60));
}

#[test]
fn what_nobody_implements_is_540() {
    let text = "NOT_IMPLEMENTED - immediate=true";
    connection_error(&publish_method(1, "", "q", 2), 540, text, (60, 40));
    let text = "NOT_IMPLEMENTED - prefetch_size!=0 (9)";
    connection_error(&method(1, 60, 10, &[0, 0, 0, 9, 0, 0, 0]), 540, text, (60, 10));
    let text = "NOT_IMPLEMENTED - requeue=false";
    connection_error(&method(1, 60, 110, &[0]), 540, text, (60, 110));
    let text = "NOT_IMPLEMENTED - active=false";
    connection_error(&method(1, 20, 20, &[0]), 540, text, (20, 20));
}

#[test]
fn fields_that_cannot_be_decoded_are_502() {
    let broken = method(1, 60, 40, b"\x00\x00\x00\x01\xFF\x00");
    let text = "SYNTAX_ERROR - cannot decode method 60.40: short string is not UTF-8";
    connection_error(&broken, 502, text, (60, 40));
    let text = "SYNTAX_ERROR - cannot decode method 60.80: field is cut short";
    connection_error(&method(1, 60, 80, &[0; 8]), 502, text, (60, 80));
    let text = "SYNTAX_ERROR - cannot decode method 60.80: 1 octets follow the last field";
    connection_error(&method(1, 60, 80, &[0; 10]), 502, text, (60, 80));
    connection_error(
        &frame(1, 1, &[0, 60]),
        502,
        "SYNTAX_ERROR - cannot decode method 0.0: field is cut short",
        (0, 0),
    );
    // A header table that says it has 4 GiB.
    let lying = header(1, 0, &[0x20, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
    let text = "SYNTAX_ERROR - cannot decode method 60.40: field is cut short";
    connection_error(&[publish_method(1, "", "q", 0), lying].concat(), 502, text, (60, 40));
    let flags = header(1, 0, &[0, 1]);
    let text = "SYNTAX_ERROR - cannot decode method 60.40: \
                property flags 0x0001 are not defined";
    connection_error(&[publish_method(1, "", "q", 0), flags].concat(), 502, text, (60, 40));
}

#[test]
fn headers_nested_too_deeply_are_refused() {
    let mut encoded = Vec::new();
    for _ in 0..10_000 {
        encoded = [&[1, b'a', b'F'][..], &long_str(&encoded)].concat();
    }
    let properties = [&[0x20, 0][..], &long_str(&encoded)].concat();
    let text = "SYNTAX_ERROR - cannot decode method 60.40: \
                tables are nested deeper than 32 levels";
    let input = [publish_method(1, "", "q", 0), header(1, 0, &properties)].concat();
    connection_error(&input, 502, text, (60, 40));
}

#[test]
fn a_lost_framing_is_told_and_then_nothing_is_read() {
    let cases = [
        (
            vec![1, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF],
            "type 1, all octets = <<>>: {frame_too_large,4294967295,131064}",
        ),
        (
            vec![1, 0, 1, 0, 0, 0, 1, 7, 9],
            "type 1, all octets = <<7>>: {invalid_frame_end_marker,9}",
        ),
    ];
    for (input, text) in cases {
        let mut client = Client::running();
        assert!(client.feed(&input)[0].starts_with("Failed"));
        assert_eq!(client.close_sent(), (0, 501, format!("FRAME_ERROR - {text}"), (0, 0)));
        assert!(client.feed(&method(0, 10, 51, &[])).is_empty());
        assert!(!client.server.is_closed());
        let deadline = client.server.poll_timeout().unwrap();
        assert_eq!(deadline - client.now, std::time::Duration::from_secs(3));
        client.server.handle_timeout(deadline);
        assert!(client.server.is_closed());
    }
}
