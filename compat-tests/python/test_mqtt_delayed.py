"""Publishes to `$delayed/<seconds>/<topic>`, which reach their topic later."""

import time

import pytest

from support.accounts import EVERYTHING
from support.amqp_client import get_one
from support.mqtt_client import MqttClient
from support.raw_mqtt import (
    CONNACK, PUBACK, PUBCOMP, PUBREC, PUBREL, RawMqtt, ack, connect, publish, text, u32,
)
from support.waiting import let_time_pass


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_reaches_its_topic_after_its_delay(mqtt, name, version, qos):
    topic, client = name("topic"), mqtt(version=version)
    client.subscribe(topic, 2)
    publisher, started = mqtt(version=version), time.monotonic()
    publisher.publish(f"$delayed/1/{topic}", b"later", qos)
    assert client.receive().payload == b"later"
    assert 0.9 < time.monotonic() - started < 4


def test_delays_are_kept_in_due_order(mqtt, name):
    topic, client, publisher = name("topic"), mqtt(), mqtt()
    client.subscribe(f"{topic}/#", 1)
    publisher.publish(f"$delayed/2/{topic}/a", b"third", 1)
    publisher.publish(f"$delayed/1/{topic}/a", b"second", 1)
    publisher.publish(f"$delayed/0/{topic}/a", b"first", 1)
    messages = client.receive_many(3)
    assert [m.payload for m in messages] == [b"first", b"second", b"third"]
    assert {m.topic for m in messages} == {f"{topic}/a"}


def test_properties_are_kept_and_the_expiry_begins_when_the_delay_is_over(mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, 1)
    mqtt().publish(f"$delayed/2/{topic}", b"x", 1, MessageExpiryInterval=1, ContentType="text/plain",
                   UserProperty=[("k", "v")])
    found = client.receive().properties
    assert (found.ContentType, found.UserProperty, found.MessageExpiryInterval) == ("text/plain", [("k", "v")], 1)


def test_a_delayed_message_is_retained_when_it_is_due(mqtt, name):
    topic = name("topic")
    mqtt().publish(f"$delayed/1/{topic}", b"kept", 1, retain=True)
    early = mqtt()
    early.subscribe(topic, 1)
    assert early.receive().retain == 0
    late = mqtt()
    late.subscribe(topic, 1)
    message = late.receive()
    assert (message.payload, message.retain) == (b"kept", 1)
    mqtt().publish(topic, b"", 1, retain=True)


def test_an_amqp_queue_gets_it_too(mqtt, channel, name):
    topic, queue = name("topic"), name("queue")
    channel.queue_declare(queue)
    channel.queue_bind(queue, "amq.topic", topic)
    mqtt().publish(f"$delayed/1/{topic}", b"x", 1)
    assert get_one(channel, queue)[2] == b"x"


@pytest.mark.parametrize("topic", ["$delayed/", "$delayed/1", "$delayed/1/", "$delayed/x/a", "$delayed/-1/a",
                                   "$delayed/4294967296/a", "$delayed/1/$delayed/1/a"])
def test_what_is_no_delay_is_refused(broker, name, topic):
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name())
        assert raw.send(publish(topic, b"x", 1, 1)).expect_ack(PUBACK, 1) == 0x90
        assert raw.send(publish(topic, b"x", 2, 2)).expect_ack(PUBREC, 2) == 0x90
        raw.ping()


def test_the_topic_behind_the_delay_has_its_rules(broker, account, name):
    user = account(**EVERYTHING)
    user.permit_topics("amq.topic", write="^allowed")
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name(), flags=0xC2, rest=text(user.name) + text("secret"))
        assert raw.send(publish("$delayed/1/secret", b"x", 1, 1)).expect_ack(PUBACK, 1) == 0x87
        assert raw.send(publish("$delayed/1/$SYS/x", b"x", 1, 2)).expect_ack(PUBACK, 2) == 0x87
        assert raw.send(publish("$delayed/1/allowed", b"x", 1, 3)).expect_ack(PUBACK, 3) == 0


def test_a_will_has_a_delay_of_its_own(broker, name):
    with RawMqtt(broker.mqtt) as raw:
        raw.send(connect(name(), flags=0x06, rest=b"\0" + text("$delayed/1/a") + text("gone")))
        assert raw.expect(CONNACK)[1] == 0x90


@pytest.mark.own_process
@pytest.mark.parametrize("qos", [1, 2])
def test_delayed_messages_survive_kill_9_once_each(own_broker, qos):
    client = MqttClient(own_broker.mqtt, "c", clean=False, expiry=600).connect()
    client.subscribe("t", 2)
    client.disconnect()
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("p", properties=b"\x11" + u32(600))
        for number in range(1, 21):
            raw.send(publish("$delayed/2/t", b"%d" % number, qos, number))
            assert raw.expect_ack(PUBACK if qos == 1 else PUBREC, number) == 0
        own_broker.kill_and_restart()
    if qos == 2:
        # The publisher does not know what became of its last handshakes, and repeats them.
        with RawMqtt(own_broker.mqtt) as raw:
            raw.open("p", flags=0, properties=b"\x11" + u32(600), expect_present=True)
            for number in range(1, 21):
                raw.send(publish("$delayed/2/t", b"%d" % number, 2, number, dup=True)).expect_ack(PUBREC, number)
                raw.send(ack(PUBREL, number)).expect_ack(PUBCOMP, number)
    client = MqttClient(own_broker.mqtt, "c", clean=False, expiry=600).connect()
    assert client.payloads(20) == [b"%d" % number for number in range(1, 21)]
    let_time_pass(1)
    assert client.messages.empty()
    client.stop()


def test_management_shows_how_many_wait(mqtt, management, name):
    mqtt().publish(f"$delayed/3/{name('topic')}", b"x", 1)
    exchange = management.read("exchanges/%2F/amq.mqtt.delayed")
    assert (exchange["type"], exchange["internal"], exchange["durable"]) == ("x-delayed-message", True, True)
    assert exchange["messages_delayed"] >= 1
