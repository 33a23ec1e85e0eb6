"""Topic aliases."""

from mqtt_conformance.steps import *  # noqa: F403

ROWS = [
    row("an alias stands for its topic", "3.3.2.3.4", connect("a"), connect("b"), subscribe("b", "$t"),
        publish("a", "$t", b"1", topic_alias=1), delivery("b", "$t", b"1"), publish("a", "", b"2", topic_alias=1),
        delivery("b", "$t", b"2")),
    row("an alias changes its topic", "3.3.2.3.4", connect("a"), connect("b"), subscribe("b", "$t", "$z"),
        publish("a", "$t", topic_alias=1), delivery("b", "$t"), publish("a", "$z", topic_alias=1), delivery("b", "$z"),
        publish("a", "", topic_alias=1), delivery("b", "$z")),
    row("the highest alias announced", "MQTT-3.3.2-12", connect("a", gives={"topic_alias_maximum": 16}),
        publish("a", "$t", topic_alias=16), publish("a", "", topic_alias=16)),
    row("an alias over the maximum", "MQTT-3.3.2-9, MQTT-3.2.2-17", connect("a", gives={"topic_alias_maximum": 16}),
        publish_only("a", "$t", topic_alias=17), ended("a", 0x94)),
    row("alias 0", "MQTT-3.3.2-8", connect("a"), publish_only("a", "$t", topic_alias=0), ended("a", 0x94)),
    row("an alias that stands for nothing", "3.3.2.3.4", connect("a"), publish_only("a", "", topic_alias=2),
        ended("a", PROTOCOL_ERROR, 0x94)),
    row("aliases end with their connection", "MQTT-3.3.2-7", connect("a", session_expiry=60),
        publish("a", "$t", topic_alias=1), disconnect("a"), connect("a", clean=False, present=1),
        publish_only("a", "", topic_alias=1), ended("a", PROTOCOL_ERROR, 0x94)),
    row("aliases of two connections are apart", "MQTT-3.3.2-7", connect("a"), connect("b"),
        publish("a", "$t", topic_alias=1), publish_only("b", "", topic_alias=1), ended("b", PROTOCOL_ERROR, 0x94)),
    row("an alias goes no further", "MQTT-3.1.2-27", connect("a"), connect("b"), subscribe("b", "$t"),
        publish("a", "$t", topic_alias=1), delivery("b", "$t", props={"topic_alias": None})),
    row("a client gets no alias over its maximum", "MQTT-3.1.2-26, MQTT-3.3.2-11", connect("a"),
        connect("b", topic_alias_maximum=1), subscribe("b", "$t", "$z"),
        *(step for topic in ("$t", "$z") for step in (
            publish("a", topic), got("b", PUBLISH, topic=topic, props={"topic_alias": {None, 1}})))),
]
