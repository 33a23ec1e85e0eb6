"""Packets for clients with a small Maximum Packet Size; a conversation measures each packet that comes."""

from mqtt_conformance.steps import *  # noqa: F403

SMALL = connect("a", maximum_packet_size=20)
FORBIDDEN = {0x87, 0x90}

ROWS = [
    row("PUBACK that refuses", "MQTT-3.4.2-2, MQTT-3.4.2-3", SMALL, publish("a", "$SYS/x", qos=1, code=FORBIDDEN)),
    row("PUBREC that refuses", "MQTT-3.5.2-2, MQTT-3.5.2-3", SMALL, publish("a", "$SYS/x", qos=2, code=FORBIDDEN)),
    row("PUBREL of an unknown identifier", "MQTT-3.6.2-2, MQTT-3.6.2-3", SMALL, ack("a", PUBREC, 77),
        got("a", PUBREL, packet_id=77, code={0, 0x92})),
    row("PUBCOMP of an unknown identifier", "MQTT-3.7.2-2, MQTT-3.7.2-3", SMALL, ack("a", PUBREL, 77),
        got("a", PUBCOMP, packet_id=77, code={0, 0x92})),
    row("SUBACK that refuses", "MQTT-3.9.2-1, MQTT-3.9.2-2", SMALL, subscribe("a", "$t/a#", codes=[0x8F])),
    row("UNSUBACK of what was not subscribed to", "MQTT-3.11.2-1, MQTT-3.11.2-2", SMALL,
        unsubscribe("a", "$t", codes=[0x11])),
    row("DISCONNECT after an error", "MQTT-3.14.2-3, MQTT-3.14.2-4", SMALL, sends("a", packet(PINGREQ, 1, b"")),
        ended("a", MALFORMED)),
    row("DISCONNECT of who is taken over", "MQTT-3.14.2-3, MQTT-3.14.2-4", SMALL, connect("b", "$a"),
        ended("a", 0x8E)),
    row("CONNACK that refuses", "MQTT-3.2.2-19, MQTT-3.2.2-20, MQTT-3.2.2-8",
        refused({0x86, 0x87}, user="guest", password="no", maximum_packet_size=20)),
    row("a retained message that is too large", "MQTT-3.1.2-24, MQTT-3.1.2-25", connect("b"),
        publish("b", "$t", b"l" * 200, qos=1, retain=True), connect("a", maximum_packet_size=100),
        subscribe("a", "$t", qos=1), silent("a"), publish("b", "$t", b"", retain=True), delivery("a", "$t", b"")),
    row("a message that waited and is too large", "MQTT-3.1.2-24, MQTT-3.1.2-25", connect("b"),
        connect("a", session_expiry=60), subscribe("a", "$t", qos=1), disconnect("a"),
        publish("b", "$t", b"l" * 200, qos=1), publish("b", "$t", b"short", qos=1),
        connect("a", clean=False, present=1, maximum_packet_size=100), delivery("a", "$t", b"short", qos=1)),
    row("a Maximum Packet Size that fits to the octet", "MQTT-3.1.2-24", connect("b"),
        connect("a", maximum_packet_size=5 + len("t01234567t") + 25), subscribe("a", "$t"),
        publish("b", "$t", b"x" * 25), delivery("a", "$t", b"x" * 25), publish("b", "$t", b"x" * 26), silent("a")),
]
