"""MQTT: packets that break the rules, each with the rule it breaks and the answer that is due."""

import pytest

from support.raw_mqtt import (
    CONNACK, CONNECT, DISCONNECT, PINGREQ, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, RawMqtt, SUBSCRIBE,
    UNSUBSCRIBE, connect, packet, props, publish, subscribe, text, u16, u32,
)

M, P = 0x81, 0x82  # malformed packet, protocol error
EMPTY = props()


@pytest.fixture
def raw(broker):
    with RawMqtt(broker.mqtt) as connection:
        yield connection


AFTER_CONNECT = {
    "2.1.3-1 SUBSCRIBE with flags 0": (subscribe(1, ("a", 0), flags=0), [M]),
    "2.1.3-1 UNSUBSCRIBE with flags 0": (packet(UNSUBSCRIBE, 0, u16(1) + EMPTY + text("a")), [M]),
    "2.1.3-1 PUBREL with flags 0": (packet(PUBREL, 0, u16(1)), [M]),
    "2.1.3-1 PUBACK with flags": (packet(PUBACK, 1, u16(1)), [M]),
    "2.1.3-1 PINGREQ with flags": (packet(PINGREQ, 1, b""), [M]),
    "3.14.1-1 DISCONNECT with flags": (packet(DISCONNECT, 1, b""), [M]),
    "PINGREQ with content": (packet(PINGREQ, 0, b"x"), [M]),
    "packet type 0": (packet(0, 0, b""), [M, P]),
    "CONNACK from a client": (packet(CONNACK, 0, b"\0\0\0"), [M, P]),
    "SUBACK from a client": (packet(9, 0, u16(1) + EMPTY + b"\0"), [M, P]),
    "UNSUBACK from a client": (packet(11, 0, u16(1) + EMPTY + b"\0"), [M, P]),
    "PINGRESP from a client": (packet(13, 0, b""), [M, P]),
    "3.1.0-2 a second CONNECT": (connect("again"), [P]),
    "3.3.1-4 PUBLISH with QoS 3": (packet(PUBLISH, 6, text("a") + u16(1) + EMPTY), [M]),
    "3.3.1-2 DUP with QoS 0": (packet(PUBLISH, 8, text("a") + EMPTY), [M]),
    "3.3.2-2 + in a topic": (publish("a/+"), [0x90, M]),
    "3.3.2-2 # in a topic": (publish("#"), [0x90, M]),
    "an empty topic": (publish(""), [P, M]),
    "1.5.4-1 a topic that is no UTF-8": (publish(b"\xff\xfe"), [M]),
    "1.5.4-1 a surrogate in a topic": (publish(b"\xed\xa0\x80"), [M]),
    "1.5.4-2 U+0000 in a topic": (publish(b"a\0b"), [M]),
    "2.2.1-3 PUBLISH with packet id 0": (publish("a", b"", 1, packet_id=0), [P, M]),
    "2.2.1-3 SUBSCRIBE with packet id 0": (subscribe(0, ("a", 0)), [P, M]),
    "PUBLISH that ends inside the topic": (packet(PUBLISH, 0, b"\0\x05ab"), [M]),
    "PUBLISH with QoS 1 that ends after the topic": (packet(PUBLISH, 2, text("a")), [M]),
    "PUBLISH without a property length": (packet(PUBLISH, 0, text("a")), [M]),
    "property length past the packet": (packet(PUBLISH, 0, text("a") + b"\x7f"), [M]),
    "an unknown property": (publish("a", properties=b"\x7f\0"), [M]),
    "property id 0": (publish("a", properties=b"\0\0"), [M]),
    "a property of CONNECT in PUBLISH": (publish("a", properties=b"\x11" + u32(1)), [P, M]),
    "a property twice": (publish("a", properties=b"\x01\x01\x01\x01"), [P]),
    "a property value past its section": (publish("a", properties=b"\x02\0"), [M]),
    "payload format 2": (publish("a", properties=b"\x01\x02"), [P]),
    "3.3.2-14 a response topic with a wildcard": (publish("a", properties=b"\x08" + text("b/#")), [P, M]),
    "3.3.2-13 a response topic that is no UTF-8": (publish("a", properties=b"\x08" + text(b"\xff")), [M]),
    "3.3.2-19 a content type that is no UTF-8": (publish("a", properties=b"\x03" + text(b"\xff")), [M]),
    "1.5.7-1 a user property that is no UTF-8": (publish("a", properties=b"\x26" + text("k") + text(b"\xff")), [M]),
    "3.3.4-6 a subscription identifier from a client": (publish("a", properties=b"\x0b\x01"), [P]),
    "3.8.3-2 SUBSCRIBE without filters": (subscribe(1), [P, M]),
    "3.8.3-1 a filter that is no UTF-8": (subscribe(1, (b"\xff", 0)), [M]),
    "4.7.3-2 U+0000 in a filter": (subscribe(1, (b"a\0", 0)), [M]),
    "3.8.3-5 reserved option bits": (subscribe(1, ("a", 0x40)), [M, P]),
    "SUBSCRIBE with QoS 3": (subscribe(1, ("a", 3)), [P, M]),
    "SUBSCRIBE with retain handling 3": (subscribe(1, ("a", 0x30)), [P, M]),
    "subscription identifier 0": (subscribe(1, ("a", 0), properties=b"\x0b\0"), [P, M]),
    "two subscription identifiers": (subscribe(1, ("a", 0), properties=b"\x0b\x01\x0b\x02"), [P]),
    "SUBSCRIBE that ends after the filter": (packet(SUBSCRIBE, 2, u16(1) + EMPTY + text("a")), [M]),
    "3.10.3-2 UNSUBSCRIBE without filters": (packet(UNSUBSCRIBE, 2, u16(1) + EMPTY), [P, M]),
    "3.10.3-1 an unsubscribed filter that is no UTF-8": (packet(UNSUBSCRIBE, 2, u16(1) + EMPTY + text(b"\xff")), [M]),
    "PUBACK with packet id 0": (packet(PUBACK, 0, u16(0)), [P, M]),
    "PUBACK of one byte": (packet(PUBACK, 0, b"\0"), [M]),
    "3.4.2-1 PUBACK with an unknown reason": (packet(PUBACK, 0, u16(1) + b"\x05"), [P, M]),
    "3.5.2-1 PUBREC with an unknown reason": (packet(PUBREC, 0, u16(1) + b"\x05"), [P, M]),
    "3.7.2-1 PUBCOMP with an unknown reason": (packet(PUBCOMP, 0, u16(1) + b"\x05"), [P, M]),
    "DISCONNECT with a property of PUBLISH": (packet(DISCONNECT, 0, b"\0\x02\x01\x01"), [P, M]),
    "1.5.5-1 five bytes of remaining length": (b"\x30\xff\xff\xff\xff\x01", [M]),
    "1.5.5-1 an overlong property length": (packet(PUBLISH, 0, text("a") + b"\x80\x80\x80\x80\x01"), [M]),
}


@pytest.mark.parametrize("sent, reasons", AFTER_CONNECT.values(), ids=AFTER_CONNECT.keys())
def test_a_malformed_packet_ends_the_connection_with_its_reason(raw, sent, reasons):
    raw.open("").send(sent)
    raw.expect_disconnect(*reasons)


VERSION_3 = {
    "SUBSCRIBE with flags 0": subscribe(1, ("a", 0), version=3, flags=0),
    "SUBSCRIBE without filters": subscribe(1, version=3),
    "SUBSCRIBE with QoS 3": subscribe(1, ("a", 3), version=3),
    "PUBLISH with QoS 3": packet(PUBLISH, 6, text("a") + u16(1)),
    "PUBLISH to a wildcard": publish("a/#", version=3),
    "PUBLISH with packet id 0": publish("a", b"", 1, packet_id=0, version=3),
    "a topic that is no UTF-8": publish(b"\xff", version=3),
    "a second CONNECT": connect("again", version=4),
    "an AUTH packet": packet(15, 0, b""),
    "five bytes of remaining length": b"\x30\xff\xff\xff\xff\x01",
}


@pytest.mark.parametrize("sent", VERSION_3.values(), ids=VERSION_3.keys())
def test_a_malformed_packet_of_version_3_just_ends_the_connection(raw, sent):
    raw.send(connect("", version=4)).expect(CONNACK)
    raw.send(sent)
    assert raw.read_to_end() == b""


def body_of(flags, rest, name="MQTT", version=5, properties=b""):
    return connect("c", version, flags, 60, properties, rest, name)


WILL = EMPTY + text("t") + text("p")
REFUSED_CONNECTS = {
    "3.1.2-3 the reserved flag": (body_of(0x03, b""), [M]),
    "3.1.2-9 a will that is missing": (body_of(0x06, b""), [M]),
    "3.1.2-11 will QoS without a will": (body_of(0x0A, b""), [M]),
    "3.1.2-13 will retain without a will": (body_of(0x22, b""), [M]),
    "3.1.2-12 will QoS 3": (body_of(0x1E, WILL), [M]),
    "3.1.3-11 a will topic that is no UTF-8": (body_of(0x06, EMPTY + text(b"\xff") + text("p")), [M]),
    "a will topic with a wildcard": (body_of(0x06, EMPTY + text("a/#") + text("p")), [M, P, 0x90]),
    "3.1.2-16 a user name that is missing": (body_of(0x82, b""), [M]),
    "3.1.3-12 a user name that is no UTF-8": (body_of(0x82, text(b"\xff")), [M]),
    "data after the payload": (body_of(0x02, b"more"), [M]),
    "Receive Maximum 0": (connect("c", properties=b"\x21\0\0"), [P]),
    "Maximum Packet Size 0": (connect("c", properties=b"\x27" + u32(0)), [P]),
    "a property twice": (connect("c", properties=b"\x21\0\x05\x21\0\x05"), [P]),
    "Request Problem Information 2": (connect("c", properties=b"\x17\x02"), [P]),
    "Request Response Information 2": (connect("c", properties=b"\x19\x02"), [P]),
    "authentication data without a method": (connect("c", properties=b"\x16" + text("x")), [P]),
    "a property of PUBLISH": (connect("c", properties=b"\x01\x01"), [P, M]),
    "an unknown property": (connect("c", properties=b"\x7f\0"), [M]),
    "3.1.3-4 a client id that is no UTF-8": (connect(b"\xff"), [M, 0x85]),
    "U+0000 in the client id": (connect(b"a\0b"), [M, 0x85]),
    "CONNECT with flags in the fixed header": (b"\x11" + connect("c")[1:], [M]),
    "CONNECT that ends inside the client id": (packet(CONNECT, 0, text("MQTT") + b"\x05\x02\0\x3c\0\0\x05c"), [M]),
    "another protocol name": (body_of(0x02, b"", name="MQTX"), [0x84]),
}


@pytest.mark.parametrize("sent, reasons", REFUSED_CONNECTS.values(), ids=REFUSED_CONNECTS.keys())
def test_a_malformed_connect_is_refused_or_closed(raw, sent, reasons):
    raw.send(sent)
    answer = raw.read_to_end()
    assert answer == b"" or (answer[0] == 0x20 and answer[2] == 0 and answer[3] in reasons), answer


@pytest.mark.parametrize("first", [
    packet(PINGREQ, 0, b""), publish("a"), subscribe(1, ("a", 0)), packet(DISCONNECT, 0, b""), packet(15, 0, b""),
    packet(CONNACK, 0, b"\0\0\0"), packet(9, 0, u16(1) + EMPTY + b"\0"), packet(13, 0, b""), packet(PUBACK, 0, u16(1)),
    packet(PUBREL, 2, u16(1)), b"\0\0", b"GET / HTTP/1.1\r\n\r\n",
])
def test_anything_but_connect_first_is_closed_in_silence(raw, first):
    raw.send(first)
    assert raw.read_to_end() == b""


def test_a_password_without_a_user_name_is_refused_in_version_3(raw):
    raw.send(connect("c", version=4, flags=0x42, rest=text("secret")))
    answer = raw.read_to_end()
    assert answer in (b"", b"\x20\x02\x00\x04", b"\x20\x02\x00\x05")


def test_a_malformed_client_leaves_the_others_alone(broker, mqtt, name):
    topic, subscriber = name("topic"), mqtt()
    subscriber.subscribe(topic, 1)
    for sent, _ in AFTER_CONNECT.values():
        with RawMqtt(broker.mqtt) as raw:
            raw.open("").send(sent)
    mqtt().publish(topic, b"still here", 1)
    assert subscriber.receive().payload == b"still here"
