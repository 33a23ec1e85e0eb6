"""What a broker sends, taken apart; whatever breaks a rule for all packets of its kind is an AssertionError."""

from typing import NamedTuple

from support.mqtt_properties import take_apart
from support.raw_mqtt import (
    AUTH, CONNACK, DISCONNECT, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK,
)

NAMES = {
    CONNACK: "CONNACK", PUBLISH: "PUBLISH", PUBACK: "PUBACK", PUBREC: "PUBREC", PUBREL: "PUBREL", PUBCOMP: "PUBCOMP",
    SUBACK: "SUBACK", UNSUBACK: "UNSUBACK", PINGRESP: "PINGRESP", DISCONNECT: "DISCONNECT", AUTH: "AUTH",
}
ERRORS = {"user_property", "reason_string"}
MESSAGE = {
    "payload_format", "message_expiry", "content_type", "response_topic", "correlation_data", "subscription_id",
    "topic_alias", "user_property",
}
PROPERTIES_OF = {
    CONNACK: ERRORS | {
        "session_expiry", "receive_maximum", "maximum_qos", "retain_available", "maximum_packet_size",
        "assigned_client_id", "topic_alias_maximum", "wildcard_available", "subscription_ids_available",
        "shared_available", "server_keep_alive", "response_information", "server_reference", "auth_method", "auth_data",
    },
    PUBLISH: MESSAGE, PUBACK: ERRORS, PUBREC: ERRORS, PUBREL: ERRORS, PUBCOMP: ERRORS, SUBACK: ERRORS,
    UNSUBACK: ERRORS, DISCONNECT: ERRORS | {"server_reference"}, AUTH: ERRORS | {"auth_method", "auth_data"},
}
RECEIVED = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
RELEASED = {0x00, 0x92}
CODES_OF = {
    CONNACK: {0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    PUBACK: RECEIVED, PUBREC: RECEIVED, PUBREL: RELEASED, PUBCOMP: RELEASED,
    SUBACK: {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    DISCONNECT: {0x00, *range(0x80, 0x84), 0x87, 0x89, *range(0x8B, 0x91), *range(0x93, 0xA3)},
    AUTH: {0x00, 0x18},
}


class Packet(NamedTuple):
    """A packet and its fields; in MQTT 3 it has no properties, and a code in CONNACK and SUBACK only."""

    kind: int
    fields: dict

    def __str__(self):
        return f"{NAMES[self.kind]} {self.fields}"


def decode(kind, flags, content, version):
    """A packet of the broker."""
    assert kind in NAMES, f"packet type {kind} from a broker"
    if kind == PUBLISH:
        fields = decode_publish(flags, content, version)
    else:
        assert flags == (2 if kind == PUBREL else 0), f"{NAMES[kind]} with flags {flags}"
        fields = DECODERS.get(kind, decode_ack)(kind, content, version)
    unknown = fields.get("props", {}).keys() - PROPERTIES_OF.get(kind, set())
    assert not unknown, f"{NAMES[kind]} with {unknown}"
    if version == 5:
        bad = {fields.get("code", 0), *fields.get("codes", ())} - CODES_OF.get(kind, {0})
        assert not bad, f"{NAMES[kind]} with the codes {bad}"
    return Packet(kind, fields)


def decode_publish(flags, content, version):
    """PUBLISH."""
    size = int.from_bytes(content[:2])
    fields = {"qos": flags >> 1 & 3, "dup": bool(flags & 8), "retain": bool(flags & 1)}
    fields["topic"], rest = content[2:2 + size].decode(), content[2 + size:]
    assert fields["qos"] < 3 and not (fields["dup"] and fields["qos"] == 0), f"flags {flags}"
    if fields["qos"]:
        fields["packet_id"], rest = int.from_bytes(rest[:2]), rest[2:]
        assert fields["packet_id"], "packet identifier 0"
    if version == 5:
        fields["props"], rest = take_apart(rest)
    return {**fields, "payload": rest}


def decode_connack(_kind, content, version):
    """CONNACK."""
    assert content[0] in (0, 1) if version > 3 else content[0] == 0, "reserved flags"
    props, rest = take_apart(content[2:]) if version == 5 else ({}, content[2:])
    assert rest == b"" and (content[1] == 0 or content[0] == 0), content
    return {"present": content[0], "code": content[1], "props": props}


def decode_ack(_kind, content, version):
    """PUBACK, PUBREC, PUBREL and PUBCOMP."""
    assert len(content) >= 2 and (version == 5 or len(content) == 2), content
    return {"packet_id": int.from_bytes(content[:2]), **code_and_properties(content[2:])}


def decode_list(kind, content, version):
    """SUBACK and UNSUBACK."""
    packet_id, rest, props = int.from_bytes(content[:2]), content[2:], {}
    if version == 5:
        props, rest = take_apart(rest)
    assert kind == SUBACK or version == 5 or rest == b"", "UNSUBACK of MQTT 3 with a payload"
    return {"packet_id": packet_id, "codes": list(rest), "props": props}


def decode_end(_kind, content, version):
    """DISCONNECT and AUTH."""
    assert version == 5, "a packet that MQTT 3 does not have"
    return code_and_properties(content)


def decode_nothing(_kind, content, _version):
    """PINGRESP."""
    assert content == b"", content
    return {}


def code_and_properties(content):
    """What may be left out at the end of a packet."""
    props, rest = take_apart(content[1:]) if len(content) > 1 else ({}, b"")
    assert rest == b"", f"{rest} after the properties"
    return {"code": content[0] if content else 0, "props": props}


DECODERS = {
    CONNACK: decode_connack, SUBACK: decode_list, UNSUBACK: decode_list, DISCONNECT: decode_end, AUTH: decode_end,
    PINGRESP: decode_nothing,
}
