"""The properties of MQTT 5 by name: encoded for a packet, and taken apart."""

import struct

from support.raw_mqtt import read_varint, text, u16, u32, varint

BYTE, TWO, FOUR, VARINT, STRING, BINARY, PAIR = range(7)
PROPERTIES = {
    "payload_format": (0x01, BYTE), "message_expiry": (0x02, FOUR), "content_type": (0x03, STRING),
    "response_topic": (0x08, STRING), "correlation_data": (0x09, BINARY), "subscription_id": (0x0B, VARINT),
    "session_expiry": (0x11, FOUR), "assigned_client_id": (0x12, STRING), "server_keep_alive": (0x13, TWO),
    "auth_method": (0x15, STRING), "auth_data": (0x16, BINARY), "request_problem": (0x17, BYTE),
    "will_delay": (0x18, FOUR), "request_response": (0x19, BYTE), "response_information": (0x1A, STRING),
    "server_reference": (0x1C, STRING), "reason_string": (0x1F, STRING), "receive_maximum": (0x21, TWO),
    "topic_alias_maximum": (0x22, TWO), "topic_alias": (0x23, TWO), "maximum_qos": (0x24, BYTE),
    "retain_available": (0x25, BYTE), "user_property": (0x26, PAIR), "maximum_packet_size": (0x27, FOUR),
    "wildcard_available": (0x28, BYTE), "subscription_ids_available": (0x29, BYTE),
    "shared_available": (0x2A, BYTE),
}
BY_ID = {number: (name, kind) for name, (number, kind) in PROPERTIES.items()}
REPEATABLE = ("user_property", "subscription_id")
ENCODERS = {
    BYTE: lambda value: bytes([value]), TWO: u16, FOUR: u32, VARINT: varint, STRING: text, BINARY: text,
    PAIR: lambda pair: text(pair[0]) + text(pair[1]),
}


def encode(**values):
    """The octets of properties without their length; a list stands for a property that comes more than once."""
    encoded = b""
    for name, value in values.items():
        number, kind = PROPERTIES[name]
        for one in value if isinstance(value, list) else [value]:
            encoded += bytes([number]) + ENCODERS[kind](one)
    return encoded


def take_apart(data):
    """A property section at the beginning of `data`, as (properties, what follows); repeatable ones are lists."""
    size, used = read_varint(data)
    section, rest = data[used:used + size], data[used + size:]
    assert len(section) == size, "a property section that is longer than its packet"
    found = {}
    while section:
        name, kind = BY_ID[section[0]]
        value, section = take_value(kind, section[1:])
        if name in REPEATABLE:
            found.setdefault(name, []).append(value)
        else:
            assert name not in found, f"{name} twice"
            found[name] = value
    return found, rest


def take_value(kind, data):
    """(value, what follows)."""
    if kind in (BYTE, TWO, FOUR):
        size = {BYTE: 1, TWO: 2, FOUR: 4}[kind]
        return int.from_bytes(take(data, size)), data[size:]
    if kind == VARINT:
        value, used = read_varint(data)
        return value, data[used:]
    first, rest = take_text(data)
    if kind == PAIR:
        second, rest = take_text(rest)
        return (first.decode(), second.decode()), rest
    return first if kind == BINARY else first.decode(), rest


def take_text(data):
    """A length-prefixed run of octets, and what follows."""
    size = struct.unpack(">H", take(data, 2))[0]
    return take(data[2:], size), data[2 + size:]


def take(data, size):
    """The first octets, all of which have to be there."""
    assert len(data) >= size, "a property that is longer than its section"
    return data[:size]
