"""Retained messages."""

from mqtt_conformance.steps import *  # noqa: F403

BOTH = (5, 4, 3)
GONE = publish("a", "$t", b"", retain=True)

ROWS = [
    row("a retained message is sent to who subscribes", "MQTT-3.3.1-5, MQTT-3.3.1-9, v3.1.1 MQTT-3.3.1-8", connect("a"),
        publish("a", "$t", retain=True), connect("b"), subscribe("b", "$t"), delivery("b", "$t", retain=True), GONE,
        delivery("b", "$t", b""), versions=BOTH),
    row("the newest is retained", "MQTT-3.3.1-5", connect("a"), publish("a", "$t", b"1", retain=True),
        publish("a", "$t", b"2", retain=True), subscribe("a", "$t"), delivery("a", "$t", b"2", retain=True),
        unsubscribe("a", "$t"), GONE, versions=BOTH),
    row("an empty payload takes it away", "MQTT-3.3.1-6, MQTT-3.3.1-7", connect("a"), publish("a", "$t", retain=True),
        GONE, subscribe("a", "$t"), silent("a"), versions=BOTH),
    row("RETAIN 0 leaves it alone", "MQTT-3.3.1-8", connect("a"), publish("a", "$t", b"1", retain=True),
        publish("a", "$t", b"2"), publish("a", "$t", b""), subscribe("a", "$t"),
        delivery("a", "$t", b"1", retain=True), unsubscribe("a", "$t"), GONE, versions=BOTH),
    row("Retain Handling 0 sends it each time", "MQTT-3.3.1-9, MQTT-3.8.4-4, v3.1.1 MQTT-3.8.4-3", connect("a"),
        publish("a", "$t", retain=True), subscribe("a", "$t"), delivery("a", "$t", retain=True), subscribe("a", "$t"),
        delivery("a", "$t", retain=True), unsubscribe("a", "$t"), GONE, versions=BOTH),
    row("Retain Handling 1 sends it to a new subscription", "MQTT-3.3.1-10", connect("a"),
        publish("a", "$t", retain=True), subscribe("a", "$t", handling=1), delivery("a", "$t", retain=True),
        subscribe("a", "$t", handling=1), silent("a"), unsubscribe("a", "$t"), GONE),
    row("Retain Handling 2 never sends it", "MQTT-3.3.1-11", connect("a"), publish("a", "$t", retain=True),
        subscribe("a", "$t", handling=2), silent("a"), unsubscribe("a", "$t"), GONE),
    *(row(f"retained with QoS {sent}, subscribed with QoS {granted}", "MQTT-3.8.4-8", connect("a"),
          publish("a", "$t", qos=sent, retain=True), subscribe("a", "$t", qos=granted),
          delivery("a", "$t", qos=min(sent, granted), retain=True), unsubscribe("a", "$t"), GONE)
      for sent, granted in [(0, 2), (1, 0), (2, 1), (2, 2)]),
    row("properties are retained, with the subscription's identifier", "MQTT-3.3.1-5, MQTT-3.3.4-3", connect("a"),
        publish("a", "$t", retain=True, content_type="c", response_topic="r", user_property=[("b", "1"), ("a", "2")]),
        subscribe("a", "$t", subscription_id=4),
        delivery("a", "$t", retain=True, props={"content_type": "c", "response_topic": "r", "subscription_id": [4],
                                                "user_property": [("b", "1"), ("a", "2")]}),
        unsubscribe("a", "$t"), GONE),
    row("a retained message expires", "MQTT-3.3.2-5", connect("a"), publish("a", "$t", retain=True, message_expiry=1),
        pause(1.3), subscribe("a", "$t"), silent("a")),
    row("what is left of its expiry is sent", "MQTT-3.3.2-6", connect("a"),
        publish("a", "$t", retain=True, message_expiry=100), pause(1.2), subscribe("a", "$t"),
        delivery("a", "$t", retain=True, props={"message_expiry": {98, 99}}), unsubscribe("a", "$t"), GONE),
    row("# gets no retained messages of topics with a dollar", "MQTT-4.7.2-1", connect("a"),
        publish("a", "$DOLLAR/$t", retain=True), subscribe("a", "+/$t"), silent("a"),
        publish("a", "$DOLLAR/$t", b"", retain=True)),
]
