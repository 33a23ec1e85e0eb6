"""What differs in MQTT 3.1.1 and 3.1."""

from mqtt_conformance.steps import *  # noqa: F403


def first(flags, rest=b"", name="MQTT", level=4, client_id="c"):
    """A CONNECT."""
    return raw_mqtt.connect(client_id, level, flags, 0, b"", rest, name)


def bad(name, proves, data):
    """Octets after CONNACK that just end the connection."""
    return row(name, proves, connect("a", "$a"), sends("a", data), ended("a"), versions=(4,))


def silently(name, proves, data):
    """A CONNECT that is not answered."""
    return row(name, proves, refused_bytes(None, data), versions=(4,))


ROWS = [
    silently("a wrong protocol name", "v3.1.1 MQTT-3.1.2-1", first(2, name="AMQP")),
    silently("the reserved flag", "v3.1.1 MQTT-3.1.2-3", first(3)),
    silently("a password without a user name", "v3.1.1 MQTT-3.1.2-22", first(0x42, text("p"))),
    silently("a will QoS of 3", "v3.1.1 MQTT-3.1.2-14", first(0x1E, text("t") + text("p"))),
    row("an empty client identifier with Clean Session", "v3.1.1 MQTT-3.1.3-6", connect("a", ""), versions=(4,)),
    row("an empty client identifier without Clean Session", "v3.1.1 MQTT-3.1.3-8",
        refused_bytes({2}, first(0, client_id="")), versions=(4,)),
    row("an unknown level", "v3.1.1 MQTT-3.1.2-2", refused_bytes({1}, first(2, level=2)), versions=(4,)),
    row("a session without Clean Session", "v3.1.1 MQTT-3.1.2-4, v3.1.1 MQTT-3.2.2-2", connect("a"),
        connect("b", clean=False), subscribe("b", "$t", qos=1), disconnect("b"), publish("a", "$t", qos=1),
        connect("b", clean=False, present=1), delivery("b", "$t", qos=1), disconnect("b"), connect("b"),
        versions=(4, 3)),
    row("a filter that is refused", "v3.1.1 MQTT-3.9.3-2", connect("a"),
        subscribe("a", ("$t", 0), ("$t/a#", 0), codes=[0, 0x80]), versions=(4,)),
    bad("SUBSCRIBE with flags 0", "v3.1.1 MQTT-3.8.1-1", raw_mqtt.subscribe(1, ("a", 0), version=4, flags=0)),
    bad("SUBSCRIBE without filters", "v3.1.1 MQTT-3.8.3-3", raw_mqtt.subscribe(1, version=4)),
    bad("SUBSCRIBE with QoS 3", "v3.1.1 MQTT-3.8.3-4", raw_mqtt.subscribe(1, ("a", 3), version=4)),
    bad("UNSUBSCRIBE without filters", "v3.1.1 MQTT-3.10.3-2", raw_mqtt.unsubscribe(1, version=4)),
    bad("PUBLISH to a wildcard", "v3.1.1 MQTT-3.3.2-2", raw_mqtt.publish("a/#", version=4)),
    bad("PUBLISH with packet identifier 0", "v3.1.1 MQTT-2.3.1-1",
        raw_mqtt.publish("a", b"", 1, packet_id=0, version=4)),
    bad("a topic that is no UTF-8", "v3.1.1 MQTT-1.5.3-1", raw_mqtt.publish(b"\xff", version=4)),
    bad("U+0000 in a topic", "v3.1.1 MQTT-1.5.3-2", raw_mqtt.publish(b"a\0", version=4)),
    bad("a second CONNECT", "v3.1.1 MQTT-3.1.0-2", first(2)),
]
