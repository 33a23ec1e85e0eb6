"""Shared subscriptions."""

from mqtt_conformance.steps import *  # noqa: F403

KEEP = {"clean": False, "session_expiry": 60}

ROWS = [
    row("a message goes to one member", "4.8.2, MQTT-4.8.2-3", connect("a"), connect("b"),
        subscribe("b", "$share/$g/$t", qos=1), publish("a", "$t", qos=2), delivery("b", "$t", qos=1)),
    row("each group gets a copy", "4.8.2", connect("a"), connect("b"), connect("c"), subscribe("b", "$share/$g/$t"),
        subscribe("c", "$share/$h/$t"), publish("a", "$t"), delivery("b", "$t"), delivery("c", "$t")),
    row("a shared subscription gets no retained messages", "3.3.1.3", connect("a"), publish("a", "$t", retain=True),
        subscribe("a", "$share/$g/$t"), silent("a"), unsubscribe("a", "$share/$g/$t"),
        publish("a", "$t", b"", retain=True)),
    row("a shared and an ordinary subscription are two", "4.8.2", connect("a"), subscribe("a", "$share/$g/$t"),
        unsubscribe("a", "$t", codes=[0x11]), publish_only("a", "$t"), delivery("a", "$t"),
        unsubscribe("a", "$share/$g/$t"), publish("a", "$t")),
    row("who has unsubscribed gets nothing", "MQTT-3.10.4-2", connect("a"), connect("b"), connect("c"),
        subscribe("b", "$share/$g/$t"), subscribe("c", "$share/$g/$t"), unsubscribe("b", "$share/$g/$t"),
        publish("a", "$t"), publish("a", "$t"), delivery("c", "$t"), delivery("c", "$t")),
    row("the identifier of a shared subscription", "MQTT-3.3.4-3", connect("a"), connect("b"),
        subscribe("b", "$share/$g/$t", subscription_id=3), publish("a", "$t"),
        delivery("b", "$t", props={"subscription_id": [3]})),
    row("a message that its member refused goes to nobody", "MQTT-4.8.2-6", connect("a"), connect("b"),
        subscribe("b", "$share/$g/$t", qos=1), publish("a", "$t", qos=1), delivery("b", "$t", qos=1, settle=False),
        ack("b", PUBACK, code=0x80), silent("b")),
    row("QoS 2 is finished with the member that it began with", "MQTT-4.8.2-4", connect("a"), connect("b", **KEEP),
        subscribe("b", "$share/$g/$t", qos=2), publish("a", "$t", qos=2), delivery("b", "$t", qos=2, settle=False),
        connect("c"), subscribe("c", "$share/$g/$t", qos=2), drop("b"), silent("c"),
        connect("b", clean=False, present=1), delivery("b", "$t", qos=2, dup=True, again=True), silent("c")),
    row("QoS 2 after PUBREC is finished with the member that it began with", "MQTT-4.8.2-4", connect("a"),
        connect("b", **KEEP), subscribe("b", "$share/$g/$t", qos=2), publish("a", "$t", qos=2),
        delivery("b", "$t", qos=2, settle=False, packet_id=1), ack("b", PUBREC), got("b", PUBREL, packet_id=1),
        connect("c"), subscribe("c", "$share/$g/$t", qos=2), drop("b"), silent("c"),
        connect("b", clean=False, present=1), got("b", PUBREL, packet_id=1), ack("b", PUBCOMP, 1), silent("c")),
    row("QoS 2 ends with the session of the member that it began with", "MQTT-4.8.2-5", connect("a"), connect("b"),
        subscribe("b", "$share/$g/$t", qos=2), publish("a", "$t", b"begun", qos=2),
        delivery("b", "$t", b"begun", qos=2, settle=False), connect("c"), subscribe("c", "$share/$g/$t", qos=2),
        disconnect("b"), publish("a", "$t", b"next", qos=2), delivery("c", "$t", b"next", qos=2), silent("c")),
    *(row(f"the filter {wrong!r}", proves, connect("a"), subscribe("a", wrong, codes=[0x8F]))
      for wrong, proves in [("$share//t", "MQTT-4.8.2-1"), ("$share/g", "MQTT-4.8.2-2"), ("$share/g/", "MQTT-4.8.2-2"),
                            ("$share/g+/t", "MQTT-4.8.2-1"), ("$share/#/t", "MQTT-4.8.2-1")]),
]
