"""Frames that are malformed, too large, or not the ones that are due."""

from pika import spec

from conformance.steps import *  # noqa: F403
from support.raw_amqp import BODY, HEADER, HEARTBEAT, METHOD, body, frame, header, method as encode, publish as content

PUBLISH = encode(1, spec.Basic.Publish(routing_key="nowhere"))
NO_METHOD = "expected method frame, got non method frame instead"
NO_HEADER = "expected content header for class 60, got non content header frame instead"
NO_BODY = "expected content body, got non content body frame instead"
OCTETS_30 = bytes(range(1, 31))


def breaks(id, data, code, text):
    """Octets on an open channel 1 that close the connection."""
    return raw_row(id, opens(), octets(data), closes(code, text))


def header_of(class_id, size=0, flags=b"\0\0"):
    """A content header of any class."""
    return frame(HEADER, 1, class_id.to_bytes(2, "big") + b"\0\0" + size.to_bytes(8, "big") + flags)


def properties(data):
    """A publish whose properties are these octets, flags included."""
    return PUBLISH + header_of(60, flags=data)


ROWS = [
    breaks("1.1 a wrong end octet", frame(METHOD, 1, b"\0\x14\0\x0a\0", end=0),
           501, "type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,0}"),
    breaks("1.1 a wrong end octet after an empty payload", frame(HEARTBEAT, 0, b"", end=1),
           501, "type 8, all octets = <<>>: {invalid_frame_end_marker,1}"),
    breaks("1.1 a wrong end octet after 16 octets", frame(BODY, 1, OCTETS_30[:16], end=7), 501,
           "type 3, all octets = <<1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16>>: {invalid_frame_end_marker,7}"),
    breaks("1.1 a wrong end octet after 17 octets", frame(BODY, 1, OCTETS_30[:17], end=255), 501,
           r"~type 3, first 16 octets = <<1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16>>: \{invalid_frame_end_marker,\s*255\}"),
    raw_row("1.1 the socket ends after a framing error", opens(), octets(frame(0, 1, b"")), closes(501, "~.*"),
        hangs_up()),
    breaks("1.1 frame type 0", frame(0, 1, b""), 501, "~.*unknown_frame.*"),
    breaks("1.1 frame type 4", frame(4, 1, b""), 501, "~.*unknown_frame.*"),
    breaks("1.1 frame type 255", frame(255, 0, b""), 501, "~.*unknown_frame.*"),
    breaks("1.1 a header frame whose payload is one octet over frame_max", frame(HEADER, 1, b"", size=131073),
           501, "type 2, all octets = <<>>: {frame_too_large,131073,131064}"),
    breaks("1.1 a body frame of 4 GiB", frame(BODY, 1, b"", size=0xFFFFFFFF),
           501, "type 3, all octets = <<>>: {frame_too_large,4294967295,131064}"),
    raw_row("1.1 a payload one octet over a smaller negotiated frame_max",
            connect(frame_max=4096), opens(), octets(frame(BODY, 1, b"", size=4097)),
            closes(501, "type 3, all octets = <<>>: {frame_too_large,4097,4088}")),
    raw_row("1.1 a frame of exactly frame_max",
            connect(frame_max=8192), queue("$q"), publish("$q", b"x" * 8184), get("$q").gives(body=b"x" * 8184)),
    raw_row("1.1 before tune-ok the limit is the one of the handshake",
            greets(), octets(frame(METHOD, 0, b"", size=131065)), hangs_up()),

    breaks("1.1 a heartbeat on a channel", frame(HEARTBEAT, 1, b""), 505, "type 8, all octets = <<>>"),
    breaks("1.1 a content header on channel 0", header(0, 0),
           505, "type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,0,0,0>>"),
    breaks("1.1 a long content header on channel 0", frame(HEADER, 0, OCTETS_30),
           505, "type 2, first 16 octets = <<1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16>>"),
    breaks("1.1 a content body on channel 0", frame(BODY, 0, b"abc"), 505, "~type 3, all octets = <<.*>>"),
    breaks("1.1 a content header without a method", header(1, 0), 505, NO_METHOD),
    breaks("1.1 a content body without a method", body(1, b"x"), 505, NO_METHOD),
    breaks("1.1 a body after a content that is complete", content(1, "", "nowhere", b"x") + body(1, b"y"), 505,
        NO_METHOD),
    breaks("1.1 a second header after an empty content", content(1, "", "nowhere", b"") + header(1, 0), 505, NO_METHOD),
    breaks("1.1 a method where a content header is due", PUBLISH + PUBLISH, 505, NO_HEADER),
    breaks("1.1 a content body where a content header is due", PUBLISH + body(1, b"x"), 505, NO_HEADER),
    breaks("1.1 a content header of class 50", PUBLISH + header_of(50),
           505, "expected content header for class 60, got one for class 50 instead"),
    breaks("1.1 a content header of class 0", PUBLISH + header_of(0),
           505, "expected content header for class 60, got one for class 0 instead"),
    breaks("1.1 a method where a content body is due", PUBLISH + header(1, 5) + PUBLISH, 505, NO_BODY),
    breaks("1.1 a content header where a content body is due", PUBLISH + header(1, 5) + header(1, 5), 505, NO_BODY),
    breaks("1.1 a method in the middle of a content body", PUBLISH + header(1, 5) + body(1, b"abc") + PUBLISH, 505,
        NO_BODY),
    breaks("1.1 a body longer than announced", PUBLISH + header(1, 2) + body(1, b"xyz"),
           501, "content body frame exceeds remaining content size"),
    breaks("1.1 a second body frame longer than what remains", PUBLISH + header(1, 3) + body(1, b"xy") + body(1, b"xy"),
           501, "content body frame exceeds remaining content size"),
    breaks("1.1 an announced body size over 512 MiB", PUBLISH + header(1, 536870913),
           501, "content body size 536870913 exceeds maximum allowed size 536870912"),
    breaks("1.1 an announced body size of 2^64 - 1", PUBLISH + header(1, 2**64 - 1),
           501, "content body size 18446744073709551615 exceeds maximum allowed size 536870912"),

    breaks("1.1 an unknown method of a known class", frame(METHOD, 1, b"\0\x3c\x03\xe7"), 503, "~.*"),
    breaks("1.1 an unknown class", frame(METHOD, 1, b"\x03\xe7\0\x0a"), 503, "~.*"),
    raw_row("1.1 empty body frames are skipped",
            queue("$q"), method(spec.Basic.Publish, routing_key="$q"),
            octets(header(1, 2) + body(1, b"") + body(1, b"a") + body(1, b"") + body(1, b"b")),
            get("$q").gives(body=b"ab"), get("$q").empty()),
    row("1.1 an empty content has no body frame", queue("$q"), publish("$q", b""), get("$q").gives(body=b"")),
    raw_row("1.1 contents of two channels interleave", queue("$q"), method(spec.Basic.Publish, routing_key="$q"),
        method(spec.Basic.Publish, routing_key="$q").on(2),
        octets(header(1, 2) + header(2, 2) + body(1, b"1") + body(2, b"2") + body(2, b"!") + body(1, b"!")),
        nothing().on(2), get("$q").gives(body=b"2!"), get("$q").gives(body=b"1!")),
    raw_row("1.1 a content that comes octet by octet",
            queue("$q"), method(spec.Basic.Publish, routing_key="$q"),
            *(octets(bytes([octet])) for octet in header(1, 5) + body(1, b"slow!")), get("$q").gives(body=b"slow!")),
    raw_row("1.1 a heartbeat between the frames of a content",
            queue("$q"), method(spec.Basic.Publish, routing_key="$q"),
            octets(frame(HEARTBEAT, 0, b"") + header(1, 1) + frame(HEARTBEAT, 0, b"") + body(1, b"x")), get("$q")),
    raw_row("1.1 a client that goes in the middle of a content leaves no message",
            declare("$q"), method(spec.Basic.Publish, routing_key="$q").by("second"),
            drop("second"), count("$q", 0)),
    row("1.1 a body of several frames", queue("$q"), publish("$q", b"ab" * 150_000),
        get("$q").gives(body=b"ab" * 150_000)),
    raw_row("1.1 a body is split for a small frame_max",
            connect(frame_max=4096), queue("$q"), publish("$q", b"x" * 10_000), get("$q").gives(body=b"x" * 10_000)),
    raw_row("1.1 a large body for a reader with frame_max 4096",
            queue("$q"), declare("$p"), confirm(), publish("$p", b"z" * 100_000), acked(1),
            connect("second", frame_max=4096), get("$p").by("second").gives(body=b"z" * 100_000)),

    breaks("8.3 an unknown type in a field table", properties(b"\x20\0\0\0\0\x03\x01a?"), 502, "~cannot decode .*"),
    breaks("8.3 a table that ends within a value", properties(b"\x20\0\0\0\0\x05\x01aS\0\0"), 502, "~cannot decode .*"),
    breaks("8.3 a table that is longer than its frame", properties(b"\x20\0\xff\xff\xff\xff"), 502,
        "~cannot decode .*"),
    breaks("1.1 a short string that is longer than its frame", properties(b"\x80\0\xffshort"), 502,
        "~cannot decode .*"),
    breaks("1.1 a method without its fields", frame(METHOD, 1, b"\0\x32\0\x0a"), 502, "~cannot decode .*"),
    breaks("1.1 a method that ends within a field", frame(METHOD, 1, b"\0\x32\0\x0a\0\0\xffabc"), 502,
        "~cannot decode .*"),
    breaks("1.1 a method frame of 0 octets", frame(METHOD, 1, b""), 502, "~cannot decode .*"),
    breaks("1.1 a method frame of 3 octets", frame(METHOD, 1, b"\0\x32\0"), 502, "~cannot decode .*"),
]
