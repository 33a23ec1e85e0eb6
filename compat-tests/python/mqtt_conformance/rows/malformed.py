"""Packets that break a rule after CONNACK: each ends its connection, and no other."""

from mqtt_conformance.steps import *  # noqa: F403

EMPTY = props()
EITHER = (MALFORMED, PROTOCOL_ERROR)


def bad(name, proves, data, *codes, versions=(5,)):
    """Octets that end the connection with one of these codes; another connection goes on."""
    return row(name, f"{proves}, MQTT-4.13.1-1", connect("a", "$a"), connect("b", "$b"), sends("a", data),
               ended("a", *codes), silent("b"), versions=versions)


def acks_with(content, reason, *codes):
    """The same content in all four acknowledgements."""
    return [bad(f"{name} {reason}", f"MQTT-{section}-1", packet(kind, 2 if kind == PUBREL else 0, content), *codes)
            for name, kind, section in [("PUBACK", PUBACK, "3.4.2"), ("PUBREC", PUBREC, "3.5.2"),
                                        ("PUBREL", PUBREL, "3.6.2"), ("PUBCOMP", PUBCOMP, "3.7.2")]]


def publishing(**values):
    """A PUBLISH with properties."""
    return raw_mqtt.publish("t", properties=encode(**values))


ROWS = [
    row("the DISCONNECT of the broker is its last packet", "MQTT-3.14.4-1, MQTT-3.14.4-2", connect("a"), connect("b"),
        subscribe("b", "$t"), sends("b", packet(PINGREQ, 1, b"") + packet(PINGREQ, 0, b"")),
        got("b", DISCONNECT, code=MALFORMED), publish("a", "$t"), closed("b")),
    row("the DISCONNECT of the broker has no Session Expiry Interval", "MQTT-3.14.2-2",
        connect("a", session_expiry=60), sends("a", packet(PINGREQ, 1, b"")),
        got("a", DISCONNECT, code=MALFORMED, props={"session_expiry": None}), closed("a")),
    bad("SUBSCRIBE with flags 0", "MQTT-3.8.1-1, MQTT-2.1.3-1", raw_mqtt.subscribe(1, ("a", 0), flags=0), MALFORMED),
    bad("UNSUBSCRIBE with flags 0", "MQTT-3.10.1-1", raw_mqtt.unsubscribe(1, "a", flags=0), MALFORMED),
    bad("PUBREL with flags 0", "MQTT-3.6.1-1", packet(PUBREL, 0, u16(1)), MALFORMED, versions=(5, 4)),
    *(bad(f"{name} with flags", proves, packet(kind, 1, content), MALFORMED) for name, proves, kind, content in [
        ("PUBACK", "MQTT-2.1.3-1", PUBACK, u16(1)), ("PUBREC", "MQTT-2.1.3-1", PUBREC, u16(1)),
        ("PUBCOMP", "MQTT-2.1.3-1", PUBCOMP, u16(1)), ("PINGREQ", "MQTT-2.1.3-1", PINGREQ, b""),
        ("DISCONNECT", "MQTT-3.14.1-1", DISCONNECT, b""), ("AUTH", "MQTT-3.15.1-1", AUTH, b"")]),
    bad("PINGREQ with content", "3.12", packet(PINGREQ, 0, b"x"), MALFORMED, versions=(5, 4)),
    bad("packet type 0", "2.1.2", packet(0, 0, b""), *EITHER, versions=(5, 4)),
    bad("CONNACK from a client", "2.1.2", packet(CONNACK, 0, b"\0\0\0"), *EITHER),
    bad("SUBACK from a client", "2.1.2", packet(SUBACK, 0, u16(1) + EMPTY + b"\0"), *EITHER),
    bad("UNSUBACK from a client", "2.1.2", packet(UNSUBACK, 0, u16(1) + EMPTY + b"\0"), *EITHER),
    bad("PINGRESP from a client", "2.1.2", packet(PINGRESP, 0, b""), *EITHER, versions=(5, 4)),
    bad("AUTH without a method", "MQTT-4.12.0-7", closing(AUTH, 0x18, encode(auth_method="x")), PROTOCOL_ERROR, 0x8C),
    bad("AUTH with an unknown code", "MQTT-3.15.2-1", closing(AUTH, 0x17, encode(auth_method="x")), *EITHER),
    bad("AUTH in MQTT 3", "v3.1.1 MQTT-2.2.2-2", packet(AUTH, 0, b""), versions=(4,)),
    bad("five octets of Remaining Length", "MQTT-1.5.5-1", b"\x30\xff\xff\xff\xff\x01", MALFORMED, versions=(5, 4)),
    bad("a Remaining Length over the limit", "MQTT-3.2.2-15, 3.2.2.3.6", b"\x30\xff\xff\xff\x7f", 0x95, MALFORMED),
    bad("five octets of property length", "MQTT-1.5.5-1", packet(PUBLISH, 0, text("a") + b"\x80\x80\x80\x80\x01"),
        MALFORMED),
    bad("five octets of Subscription Identifier", "MQTT-1.5.5-1",
        packet(SUBSCRIBE, 2, u16(1) + props(b"\x0b\xff\xff\xff\xff\x01") + text("a") + b"\0"), MALFORMED),
    bad("PUBLISH with QoS 3", "MQTT-3.3.1-4", packet(PUBLISH, 6, text("a") + u16(1) + EMPTY), MALFORMED,
        versions=(5, 4)),
    bad("DUP with QoS 0", "MQTT-3.3.1-2", packet(PUBLISH, 8, text("a") + EMPTY), MALFORMED),
    bad("+ in a topic", "MQTT-3.3.2-2, MQTT-4.7.0-1", raw_mqtt.publish("a/+"), 0x90, MALFORMED, versions=(5,)),
    bad("# in a topic", "MQTT-3.3.2-2, MQTT-4.7.0-1", raw_mqtt.publish("#"), 0x90, MALFORMED),
    bad("an empty topic", "3.3.2.1, MQTT-4.7.3-1", raw_mqtt.publish(""), *EITHER, 0x90),
    bad("a topic that is no UTF-8", "MQTT-3.3.2-1, MQTT-1.5.4-1", raw_mqtt.publish(b"\xff\xfe"), MALFORMED),
    bad("an overlong form in a topic", "MQTT-1.5.4-1", raw_mqtt.publish(b"\xc0\xaf"), MALFORMED),
    bad("a surrogate in a topic", "MQTT-1.5.4-1", raw_mqtt.publish(b"\xed\xa0\x80"), MALFORMED),
    bad("U+0000 in a topic", "MQTT-1.5.4-2, MQTT-4.7.3-2", raw_mqtt.publish(b"a\0b"), MALFORMED),
    bad("PUBLISH with packet identifier 0", "MQTT-2.2.1-3", raw_mqtt.publish("a", b"", 1, packet_id=0), *EITHER),
    bad("SUBSCRIBE with packet identifier 0", "MQTT-2.2.1-3", raw_mqtt.subscribe(0, ("a", 0)), *EITHER),
    bad("UNSUBSCRIBE with packet identifier 0", "MQTT-2.2.1-3", raw_mqtt.unsubscribe(0, "a"), *EITHER),
    bad("PUBLISH that ends inside its topic", "3.3.2.1", packet(PUBLISH, 0, b"\0\5ab"), MALFORMED, versions=(5, 4)),
    bad("PUBLISH that ends after its topic", "3.3.2.2", packet(PUBLISH, 2, text("a")), MALFORMED, versions=(5, 4)),
    bad("PUBLISH without a property length", "MQTT-2.2.2-1", packet(PUBLISH, 0, text("a")), MALFORMED),
    bad("a property length past the packet", "2.2.2.1", packet(PUBLISH, 0, text("a") + b"\x7f"), MALFORMED),
    bad("an unknown property", "2.2.2.2", raw_mqtt.publish("a", properties=b"\x7f\0"), MALFORMED),
    bad("property 0", "2.2.2.2", raw_mqtt.publish("a", properties=b"\0\0"), MALFORMED),
    bad("a property of two octets that is unknown", "2.2.2.2", raw_mqtt.publish("a", properties=b"\x80\x01\0"),
        MALFORMED),
    bad("five octets of a property", "MQTT-1.5.5-1", raw_mqtt.publish("a", properties=b"\x80\x80\x80\x80\x01\0"),
        MALFORMED),
    bad("binary data that is longer than its packet", "2.2.2.2", raw_mqtt.publish("a", properties=b"\x09\xff\xffab"),
        MALFORMED),
    bad("a property value past its section", "2.2.2.2", raw_mqtt.publish("a", properties=b"\2\0"), MALFORMED),
    bad("a string that is longer than its section", "2.2.2.2", raw_mqtt.publish("a", properties=b"\3\0\x09a"),
        MALFORMED),
    bad("a property of CONNECT in PUBLISH", "2.2.2.2", publishing(session_expiry=1), *EITHER),
    bad("a property of a will in PUBLISH", "2.2.2.2", publishing(will_delay=1), *EITHER),
    *(bad(f"{name} twice", f"3.3.2.3.{section}", publishing(**{name: [value, value]}), *EITHER)
      for section, name, value in [(2, "payload_format", 0), (3, "message_expiry", 1), (4, "topic_alias", 1),
                                   (5, "response_topic", "r"), (6, "correlation_data", b"c"), (9, "content_type", "c")]),
    bad("a Payload Format Indicator of 2", "3.3.2.3.2", publishing(payload_format=2), *EITHER),
    bad("a Response Topic with a wildcard", "MQTT-3.3.2-14", publishing(response_topic="b/#"), *EITHER, 0x90),
    bad("a Response Topic that is no UTF-8", "MQTT-3.3.2-13", publishing(response_topic=b"\xff"), MALFORMED),
    bad("a Content Type that is no UTF-8", "MQTT-3.3.2-19", publishing(content_type=b"\xff"), MALFORMED),
    bad("the key of a User Property is no UTF-8", "MQTT-1.5.7-1", publishing(user_property=(b"\xff", "v")), MALFORMED),
    bad("the value of a User Property is no UTF-8", "MQTT-1.5.7-1", publishing(user_property=("k", b"\xff")),
        MALFORMED),
    bad("a Subscription Identifier from a client", "MQTT-3.3.4-6", publishing(subscription_id=1), PROTOCOL_ERROR),
    bad("SUBSCRIBE without filters", "MQTT-3.8.3-2", raw_mqtt.subscribe(1), *EITHER),
    bad("a filter that is no UTF-8", "MQTT-3.8.3-1", raw_mqtt.subscribe(1, (b"\xff", 0)), MALFORMED),
    bad("U+0000 in a filter", "MQTT-4.7.3-2", raw_mqtt.subscribe(1, (b"a\0", 0)), MALFORMED),
    bad("bit 6 of the options", "MQTT-3.8.3-5", raw_mqtt.subscribe(1, ("a", 0x40)), *EITHER),
    bad("bit 7 of the options", "MQTT-3.8.3-5", raw_mqtt.subscribe(1, ("a", 0x80)), *EITHER),
    bad("a Maximum QoS of 3", "3.8.3.1", raw_mqtt.subscribe(1, ("a", 3)), *EITHER),
    bad("Retain Handling 3", "3.8.3.1", raw_mqtt.subscribe(1, ("a", 0x30)), *EITHER),
    bad("a Subscription Identifier of 0", "3.8.2.1.2", raw_mqtt.subscribe(1, ("a", 0), properties=b"\x0b\0"), *EITHER),
    bad("two Subscription Identifiers", "3.8.2.1.2", raw_mqtt.subscribe(1, ("a", 0), properties=b"\x0b\1\x0b\2"),
        PROTOCOL_ERROR),
    bad("SUBSCRIBE that ends after a filter", "3.8.3", packet(SUBSCRIBE, 2, u16(1) + EMPTY + text("a")), MALFORMED),
    bad("a property of PUBLISH in SUBSCRIBE", "2.2.2.2", raw_mqtt.subscribe(1, ("a", 0), properties=b"\1\1"), *EITHER),
    bad("UNSUBSCRIBE without filters", "MQTT-3.10.3-2", raw_mqtt.unsubscribe(1), *EITHER),
    bad("an unsubscribed filter that is no UTF-8", "MQTT-3.10.3-1", raw_mqtt.unsubscribe(1, b"\xff"), MALFORMED),
    bad("UNSUBSCRIBE that ends inside a filter", "3.10.3", packet(UNSUBSCRIBE, 2, u16(1) + EMPTY + b"\0\5ab"),
        MALFORMED),
    *acks_with(u16(1) + b"\x05", "with an unknown code", *EITHER),
    *acks_with(u16(0), "with packet identifier 0", *EITHER),
    *acks_with(b"\0", "of one octet", MALFORMED),
    *acks_with(u16(1) + b"\0\2\1\1", "with a property of PUBLISH", *EITHER),
    *acks_with(u16(1) + b"\0" + props(encode(reason_string=["a", "b"])), "with two Reason Strings", *EITHER),
    bad("DISCONNECT with an unknown code", "MQTT-3.14.2-1", closing(DISCONNECT, 0x05), *EITHER),
    bad("DISCONNECT with a property of PUBLISH", "2.2.2.2", closing(DISCONNECT, 0, b"\1\1"), *EITHER),
    bad("DISCONNECT with two Session Expiry Intervals", "3.14.2.2.2",
        closing(DISCONNECT, 0, encode(session_expiry=[0, 0])), *EITHER),
    bad("DISCONNECT of a session without expiry that asks for one", "3.14.2.2.2",
        closing(DISCONNECT, 0, encode(session_expiry=5)), PROTOCOL_ERROR),
]
