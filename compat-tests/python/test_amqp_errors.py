"""AMQP: framing errors with their exact texts, and what happens after an error."""

import re

import pytest
from pika import spec

from support.raw_amqp import BODY, HEADER, HEARTBEAT, METHOD, RawAmqp, body, frame, header, method, publish


@pytest.fixture
def raw(broker):
    with RawAmqp(broker.amqp) as connection:
        yield connection.open()


PUBLISH = method(1, spec.Basic.Publish(routing_key="nowhere"))
OTHER_CLASS = frame(HEADER, 1, b"\0\x32\0\0" + b"\0" * 8 + b"\0\0")

SEQUENCES = {
    "a content header without a method": (
        header(1, 0), 505, "UNEXPECTED_FRAME - expected method frame, got non method frame instead"),
    "a content body without a method": (
        body(1, b"x"), 505, "UNEXPECTED_FRAME - expected method frame, got non method frame instead"),
    "a method where a content header is due": (
        PUBLISH + method(1, spec.Basic.Publish(routing_key="x")), 505,
        "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead"),
    "a content body where a content header is due": (
        PUBLISH + body(1, b"x"), 505,
        "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead"),
    "a content header of another class": (
        PUBLISH + OTHER_CLASS, 505,
        "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead"),
    "a method where a content body is due": (
        PUBLISH + header(1, 5) + method(1, spec.Basic.Publish(routing_key="x")), 505,
        "UNEXPECTED_FRAME - expected content body, got non content body frame instead"),
    "a content header where a content body is due": (
        PUBLISH + header(1, 5) + header(1, 5), 505,
        "UNEXPECTED_FRAME - expected content body, got non content body frame instead"),
    "a body longer than announced": (
        PUBLISH + header(1, 2) + body(1, b"xyz"), 501,
        "FRAME_ERROR - content body frame exceeds remaining content size"),
    "a body size over 512 MiB": (
        PUBLISH + header(1, 536870913), 501,
        "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912"),
    "a heartbeat on a channel": (
        frame(HEARTBEAT, 1, b""), 505, "UNEXPECTED_FRAME - type 8, all octets = <<>>"),
    "an empty content body on channel 0": (
        frame(BODY, 0, b""), 505, "UNEXPECTED_FRAME - type 3, all octets = <<>>"),
    "a content header on channel 0": (
        header(0, 0), 505, "UNEXPECTED_FRAME - type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,0,0,0>>"),
}


@pytest.mark.parametrize("sent, code, text", SEQUENCES.values(), ids=SEQUENCES.keys())
def test_a_frame_out_of_sequence_closes_the_connection(raw, sent, code, text):
    raw.send(sent)
    closed = raw.expect_connection_close()
    assert (closed.reply_code, closed.reply_text) == (code, text)


MALFORMED = {
    "a wrong end octet": (
        frame(METHOD, 1, b"\0\x14\0\x0a\0", end=0), 501,
        r"type 1, all octets = <<0,20,0,10,0>>: \{invalid_frame_end_marker,0\}"),
    "a wrong end octet after a long payload": (
        frame(BODY, 1, bytes(range(1, 31)), end=7), 501,
        r"type 3, first 16 octets = <<1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16>>: \{invalid_frame_end_marker,\s*7\}"),
    "an unknown frame type": (frame(42, 1, b""), 501, r".*unknown_frame.*"),
    "a frame over the maximum": (
        frame(HEADER, 1, b"", size=131073), 501, r"type 2, all octets = <<>>: \{frame_too_large,131073,131064\}"),
}


@pytest.mark.parametrize("sent, code, text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_frame_closes_the_connection(raw, sent, code, text):
    raw.send(sent)
    closed = raw.expect_connection_close()
    assert closed.reply_code == code
    assert re.fullmatch("FRAME_ERROR - " + text, closed.reply_text), closed.reply_text


@pytest.mark.parametrize("payload", [b"\0\x3c\x03\xe7", b"\x03\xe7\0\x0a", b"\xff\xff\xff\xff"])
def test_an_unknown_method_closes_the_connection(raw, payload):
    raw.send(frame(METHOD, 1, payload))
    assert raw.expect_connection_close().reply_code in (501, 502, 503)


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\x3c", b"\0\x32\0\x0a\0\0\xff", b"\0\x32\0\x0a\0\0\x01\xff\0\0\0\0\0"])
def test_a_truncated_method_closes_the_connection(raw, payload):
    raw.send(frame(METHOD, 1, payload))
    assert raw.expect_connection_close().reply_code in (501, 502, 503)


@pytest.mark.parametrize("properties", [
    b"\x80\0\xffshort", b"\x20\0\0\0\0\x05\x01aS", b"\x20\0\0\0\0\x03\x01a?", b"\x20\0\xff\xff\xff\xff", b"\x10",
])
def test_malformed_properties_close_the_connection(raw, properties):
    raw.send(PUBLISH + frame(HEADER, 1, b"\0\x3c\0\0" + b"\0" * 8 + properties))
    assert raw.expect_connection_close().reply_code in (501, 502, 541)


def test_the_smallest_frame_over_a_negotiated_maximum_is_refused(broker):
    with RawAmqp(broker.amqp) as raw:
        raw.open(frame_max=8192)
        raw.send(frame(HEADER, 1, b"", size=8193))
        closed = raw.expect_connection_close()
    assert closed.reply_text == "FRAME_ERROR - type 2, all octets = <<>>: {frame_too_large,8193,8184}"


def test_the_largest_frame_within_a_negotiated_maximum_is_accepted(broker):
    with RawAmqp(broker.amqp) as raw:
        queue = raw.open(frame_max=8192).declare(exclusive=True)
        raw.send(publish(1, "", queue, b"x" * 8184))
        assert raw.call(1, spec.Basic.Get(queue=queue, no_ack=True), spec.Basic.GetOk)


def test_a_client_that_counts_the_maximum_without_the_overhead_is_put_up_with(broker):
    with RawAmqp(broker.amqp) as raw:
        queue = raw.open(frame_max=8192).declare(exclusive=True)
        raw.send(method(1, spec.Basic.Publish(routing_key=queue)) + header(1, 8192) + body(1, b"x" * 8192))
        assert raw.call(1, spec.Basic.Get(queue=queue, no_ack=True), spec.Basic.GetOk)


def test_empty_body_frames_are_skipped(raw):
    queue = raw.declare(exclusive=True)
    raw.send(method(1, spec.Basic.Publish(routing_key=queue)) + header(1, 2))
    raw.send(body(1, b"") + body(1, b"a") + body(1, b"") + body(1, b"b"))
    raw.call(1, spec.Basic.Get(queue=queue, no_ack=True), spec.Basic.GetOk)
    raw.read_frame()
    assert raw.read_frame() == (BODY, 1, b"ab")


def test_contents_of_two_channels_may_interleave(raw):
    raw.open_channel(2)
    queue = raw.declare(exclusive=True)
    for channel in (1, 2):
        raw.method(channel, spec.Basic.Publish(routing_key=queue))
    for channel in (1, 2):
        raw.send(header(channel, 2) + body(channel, b"%d" % channel))
    for channel in (2, 1):
        raw.send(body(channel, b"!"))
    bodies = []
    for _ in range(2):
        raw.call(1, spec.Basic.Get(queue=queue, no_ack=True), spec.Basic.GetOk)
        raw.read_frame()
        bodies.append(raw.read_frame()[2])
    assert sorted(bodies) == [b"1!", b"2!"]


def test_bytes_may_arrive_one_by_one(raw):
    queue = raw.declare(exclusive=True)
    for octet in publish(1, "", queue, b"slowly"):
        raw.send(bytes([octet]))
    raw.call(1, spec.Basic.Get(queue=queue, no_ack=True), spec.Basic.GetOk)
    raw.read_frame()
    assert raw.read_frame()[2] == b"slowly"


@pytest.mark.parametrize("failing, where", [
    (spec.Queue.Declare(queue="no such queue", passive=True), (50, 10)),
    (spec.Exchange.Declare(exchange="no such exchange", passive=True), (40, 10)),
    (spec.Queue.Bind(queue="no such queue", exchange="amq.direct"), (50, 20)),
    (spec.Basic.Consume(queue="no such queue"), (60, 20)),
    (spec.Basic.Get(queue="no such queue"), (60, 70)),
    (spec.Basic.Nack(7), (60, 120)),
    (spec.Basic.Reject(7), (60, 90)),
])
def test_a_channel_error_names_the_failing_method(raw, failing, where):
    raw.method(1, failing)
    closed = raw.expect(spec.Channel.Close)
    assert (closed.class_id, closed.method_id) == where


def test_a_publish_to_an_absent_exchange_names_publish(raw):
    raw.send(publish(1, "no such exchange", "k", b"x"))
    closed = raw.expect(spec.Channel.Close)
    assert (closed.reply_code, closed.class_id, closed.method_id) == (404, 60, 40)


def test_after_a_channel_error_frames_are_dropped_until_close_ok(raw):
    queue = raw.declare(exclusive=True)
    raw.method(1, spec.Queue.Declare(queue="no such queue", passive=True))
    raw.send(publish(1, "", queue, b"dropped"))
    raw.method(1, spec.Queue.Purge(queue=queue))
    raw.expect(spec.Channel.Close)
    raw.send(publish(1, "", queue, b"dropped too"))
    raw.method(1, spec.Channel.CloseOk())
    raw.open_channel(1)
    raw.call(1, spec.Basic.Get(queue=queue, no_ack=True), spec.Basic.GetEmpty)


def test_a_crossing_channel_close_is_answered(raw):
    raw.method(1, spec.Queue.Declare(queue="no such queue", passive=True))
    raw.method(1, spec.Channel.Close(200, "", 0, 0))
    raw.expect(spec.Channel.Close)
    raw.expect(spec.Channel.CloseOk)
    raw.method(1, spec.Channel.CloseOk())
    raw.open_channel(2)


def test_a_channel_error_leaves_other_channels_alone(raw):
    raw.open_channel(2)
    raw.method(1, spec.Queue.Declare(queue="no such queue", passive=True))
    raw.expect(spec.Channel.Close)
    raw.declare(channel=2, exclusive=True)


def test_after_a_connection_error_nothing_more_is_done(raw, amqp, name):
    queue = name()
    raw.send(PUBLISH + body(1, b"x") + method(1, spec.Queue.Declare(queue=queue)))
    raw.expect_connection_close()
    channel = amqp().channel()
    with pytest.raises(Exception) as caught:
        channel.queue_declare(queue, passive=True)
    assert caught.value.reply_code == 404


def test_reply_texts_are_cut_to_a_short_string(raw):
    raw.method(1, spec.Queue.Declare(queue="q" * 255, passive=True))
    closed = raw.expect(spec.Channel.Close)
    assert closed.reply_text.startswith("NOT_FOUND - no queue 'qqqq")
    assert len(closed.reply_text.encode()) <= 255
