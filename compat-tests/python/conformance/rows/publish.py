"""basic.publish and what becomes of a message: properties, returns, copies."""

import struct

from conformance.steps import *  # noqa: F403
from support.raw_amqp import Encoded, table

X = "exchange '$x' in vhost '/'"
PROPERTIES = {
    "content_type": "text/plain", "content_encoding": "utf-8", "delivery_mode": 2, "priority": 9, "correlation_id": "c",
    "reply_to": "r", "expiration": "60000", "message_id": "m", "timestamp": 2**40, "type": "t", "app_id": "a", "cluster_id": "cl",
}
VALUES = {
    "a text": "text", "an empty text": "", "a text that is not ASCII": "жö", "true": True, "false": False, "0": 0, "a large integer": 2**31 - 1,
    "a negative integer": -5, "an integer of 64 bits": 2**62, "the least integer of 64 bits": -(2**63), "octets": b"\x00\xff", "void": None,
    "an empty table": {}, "a table": {"a": 1, "b": {"c": "d"}}, "an empty list": [], "tables in tables": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}, "lists in lists": [[[[[[1]]]]]],
    "a list": [1, "two", [3], {"four": None}],
}
TYPES = {
    "b": b"\x80", "B": b"\xff", "s": b"\x80\0", "u": b"\xff\xff", "I": b"\x80\0\0\0", "i": b"\xff" * 4, "l": b"\x80" + b"\0" * 7,
    "f": struct.pack(">f", 1.5), "d": struct.pack(">d", -2.25), "D": b"\x02\0\0\x01\x3a", "T": b"\0" * 4 + b"\x65" * 4, "t": b"\x01", "V": b"",
    "S": b"\0\0\0\x02\xff\xfe", "x": b"\0\0\0\x02\xff\xfe", "A": b"\0\0\0\x04s\0\x07V", "F": b"\0\0\0\x05\x02abb\x01",
}


def after_round_trip(type, octets):
    """A header with a type that pika does not send comes back octet for octet."""
    sent = {"h": Encoded(type.encode(), octets)}
    return raw_row(f"8.3 the field type {type} comes back as it was", queue("$q"), publish("$q", headers=sent), get("$q").gives(table=table(sent)))


def unacceptable(name, value, type):
    """A CC or BCC header that is no list of texts."""
    return row(f"6.2 {name} as a {type}", queue("$q"), publish("$q", headers={name: value}).refused(
        406, f'invalid message: {{unacceptable_type_in_header,"{name}",{type}}}'), get("$q").empty())


ROWS = [
    *(row(f"6.2 the property {name} comes back", queue("$q"), publish("$q", **{name: value}),
          get("$q").gives(**{name: value})) for name, value in PROPERTIES.items()),
    row("6.2 all properties together", queue("$q"), publish("$q", headers={"h": 1}, **PROPERTIES),
        get("$q").gives(headers={"h": 1}, **PROPERTIES)),
    row("6.2 no properties", queue("$q"), publish("$q"),
        get("$q").gives(content_type=None, headers=None, delivery_mode=None, message_id=None)),
    row("6.2 empty properties are not absent", queue("$q"), publish("$q", content_type="", headers={}),
        get("$q").gives(content_type="", headers={})),
    row("6.2 delivery mode 1", queue("$q"), publish("$q", delivery_mode=1), get("$q").gives(delivery_mode=1)),
    row("6.2 properties of 255 octets", queue("$q"), publish("$q", message_id="m" * 255),
        get("$q").gives(message_id="m" * 255)),
    *(row(f"8.3 a header with {what} comes back", queue("$q"), publish("$q", headers={"h": value}),
          get("$q").gives(headers={"h": value})) for what, value in VALUES.items()),
    *(after_round_trip(type, octets) for type, octets in TYPES.items()),
    row("8.3 a header with a name of 255 octets", queue("$q"), publish("$q", headers={"h" * 255: 1}),
        get("$q").gives(headers={"h" * 255: 1})),
    row("8.3 a header with an empty name", queue("$q"), publish("$q", headers={"": 1}),
        get("$q").gives(headers={"": 1})),
    row("8.3 a hundred headers", queue("$q"), publish("$q", headers={f"h{n}": n for n in range(100)}),
        get("$q").gives(headers={f"h{n}": n for n in range(100)})),
    row("6.2 a body of every octet", queue("$q"), publish("$q", bytes(range(256))),
        get("$q").gives(body=bytes(range(256)))),
    row("6.2 messages keep their order", queue("$q"), *(publish("$q", b"%d" % n) for n in range(5)),
        *(get("$q").gives(body=b"%d" % n, message_count=4 - n) for n in range(5)), get("$q").empty()),

    row("6.2 the exchange is absent", publish("k", exchange="$x").refused(404, f"no {X}")),
    row("6.2 the exchange is absent, with mandatory",
        publish("k", exchange="$x", mandatory=True).refused(404, f"no {X}")),
    raw_row("6.2 immediate", queue("$q"), publish("$q", immediate=True).ends(540, "immediate=true")),
    row("6.2 the user-id of the login", queue("$q"), publish("$q", user_id="guest"), get("$q").gives(user_id="guest")),
    row("6.2 another user-id", publish("k", user_id="somebody").refused(
        406, "user_id property set to 'somebody' but authenticated user was 'guest'")),
    row("6.2 routed nowhere", publish("$nowhere"), nothing()),
    row("6.2 routed nowhere, with mandatory",
        publish("$nowhere", b"back", mandatory=True, message_id="m", headers={"h": [1]}),
        returned(exchange="", routing_key="$nowhere", body=b"back", message_id="m", headers={"h": [1]})),
    row("6.2 an empty message is returned too", publish("$nowhere", b"", mandatory=True), returned(body=b"")),
    row("6.2 a message of several frames is returned whole", publish("$nowhere", b"ab" * 100_000, mandatory=True),
        returned(body=b"ab" * 100_000)),
    row("6.2 mandatory and routed", queue("$q"), publish("$q", mandatory=True), get("$q")),
    row("6.2 returns keep the order of publishing", *(publish(f"$nowhere{n}", mandatory=True) for n in range(3)),
        *(returned(routing_key=f"$nowhere{n}") for n in range(3))),
    row("6.2 a message over 16 MiB", confirm(), queue("$q"), publish("$q", b"x" * (16 * 2**20 + 1)).refused(
        406, "message size 16777217 is larger than configured max size 16777216")),
    row("6.2 a message of 16 MiB", confirm(), queue("$q"), publish("$q", b"x" * 16 * 2**20), acked(1),
        get("$q").gives(body=b"x" * 16 * 2**20)),

    row("6.2 CC adds routing keys", queue("$q"), queue("$p"), publish("$q", headers={"CC": ["$p"]}),
        get("$q").gives(headers={"CC": ["$p"]}), get("$p").gives(routing_key="$q", headers={"CC": ["$p"]})),
    row("6.2 BCC adds routing keys and is removed", queue("$q"), queue("$p"),
        publish("$q", headers={"BCC": ["$p"], "h": 1}), get("$q").gives(headers={"h": 1}),
        get("$p").gives(headers={"h": 1})),
    row("6.2 CC and BCC together", queue("$q"), queue("$p"), queue("$r"),
        publish("$q", headers={"CC": ["$p"], "BCC": ["$r"]}), get("$q").gives(headers={"CC": ["$p"]}), get("$p"),
        get("$r")),
    row("6.2 one copy for a queue that key, CC and BCC name", queue("$q"),
        publish("$q", headers={"CC": ["$q", "$q"], "BCC": ["$q"]}), get("$q"), get("$q").empty()),
    row("6.2 CC through a direct exchange", exchange("$x"), queue("$q"), bind("$q", "$x", "cc"),
        publish("k", exchange="$x", headers={"CC": ["cc"]}), get("$q").gives(routing_key="k")),
    row("6.2 CC through a topic exchange", exchange("$x", "topic"), queue("$q"), bind("$q", "$x", "c.*"),
        publish("k", exchange="$x", headers={"CC": ["c.c"]}), get("$q")),
    row("6.2 CC saves a mandatory message", queue("$q"), publish("$nowhere", mandatory=True, headers={"CC": ["$q"]}),
        get("$q")),
    row("6.2 an empty CC", queue("$q"), publish("$q", headers={"CC": []}), get("$q").gives(headers={"CC": []})),
    unacceptable("CC", "a text", "longstr"), unacceptable("BCC", "a text", "longstr"), unacceptable("CC", 1, "signedint"), unacceptable("CC", {}, "table"),
    row("6.2 headers of other names are no CC", queue("$q"), queue("$p"), publish("$q", headers={"cc": ["$p"]}),
        get("$p").empty(), get("$q")),

    row("6.2 one queue through two exchanges has two messages", exchange("$x", "fanout"), exchange("$y", "fanout"),
        queue("$q"), bind("$q", "$x"), bind("$q", "$y"), publish(exchange="$x", body=b"1"),
        publish(exchange="$y", body=b"2"), get("$q").gives(exchange="$x", body=b"1"),
        get("$q").gives(exchange="$y", body=b"2"), get("$q").empty()),
]
