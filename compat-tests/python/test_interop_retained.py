"""AMQP clients set the retained messages of MQTT topics, with the header `x-mqtt-retain`."""

import pika
import pytest

from support.amqp_client import confirm, connect
from support.mqtt_client import MqttClient
from support.waiting import let_time_pass


def retained(value=True, **options):
    return pika.BasicProperties(headers={"x-mqtt-retain": value, "k": "v"}, **options)


def late(mqtt, pattern):
    """What a client gets that subscribes now: its messages by topic."""
    client = mqtt()
    client.subscribe(pattern, 1)
    let_time_pass(0.2)
    messages = [client.messages.get() for _ in range(client.messages.qsize())]
    return {message.topic: message for message in messages}


def test_a_message_with_the_header_is_retained(channel, mqtt, name):
    room = name("room")
    now = mqtt()
    now.subscribe(f"{room}/#", 1)
    confirm(channel)
    channel.basic_publish("amq.topic", f"{room}.temp", b"21", retained(content_type="text/plain", delivery_mode=2))
    message = now.receive()
    assert (message.payload, message.retain) == (b"21", False)
    message = late(mqtt, f"{room}/+")[f"{room}/temp"]
    assert (message.payload, message.retain, message.qos) == (b"21", True, 1)
    assert message.properties.ContentType == "text/plain"
    assert message.properties.UserProperty == [("k", "v")]
    channel.basic_publish("amq.topic", f"{room}.temp", b"22", retained())
    assert late(mqtt, f"{room}/+")[f"{room}/temp"].payload == b"22"


def test_an_empty_body_ends_it(channel, mqtt, name):
    topic = name("topic")
    confirm(channel)
    mqtt().publish(topic, b"from mqtt", 1, retain=True)
    channel.basic_publish("amq.topic", topic, b"", retained())
    assert late(mqtt, topic) == {}


@pytest.mark.parametrize("exchange, value", [("amq.topic", False), ("amq.fanout", True)])
def test_only_the_header_and_only_the_exchange_of_topics_count(channel, mqtt, name, exchange, value):
    topic = name("topic")
    confirm(channel)
    channel.basic_publish(exchange, topic, b"x", retained(value))
    assert late(mqtt, topic) == {}


@pytest.mark.parametrize("key, value, flaw", [
    ("a", "true", "is no boolean"), ("a", 1, "is no boolean"), ("a.#", True, "needs a routing key"),
    ("", True, "needs a routing key"), ("$SYS.broker.uptime", True, "needs a routing key"),
])
def test_what_cannot_be_retained_is_refused(amqp, key, value, flaw):
    channel = amqp().channel()
    channel.basic_publish("amq.topic", key, b"x", retained(value))
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as closed:
        channel.queue_declare("", exclusive=True)
    assert closed.value.reply_code == 406
    assert closed.value.reply_text.startswith(f"PRECONDITION_FAILED - invalid message: x-mqtt-retain {flaw}")


def test_a_transaction_cannot_retain(channel):
    channel.tx_select()
    channel.basic_publish("amq.topic", "a", b"x", retained())
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as closed:
        channel.tx_commit()
    assert (closed.value.reply_code, "transaction" in closed.value.reply_text) == (406, True)


@pytest.mark.own_process
def test_a_confirmed_one_survives_kill_9_although_no_queue_has_it(own_broker):
    channel = connect(own_broker.amqp).channel()
    confirm(channel)
    for number in range(50):
        channel.basic_publish("amq.topic", f"t.{number}", b"%d" % number, retained())
    own_broker.kill_and_restart()
    client = MqttClient(own_broker.mqtt).connect()
    client.subscribe("t/+")
    messages = client.receive_many(50)
    assert {m.topic: m.payload for m in messages} == {f"t/{n}": b"%d" % n for n in range(50)}
    client.stop()
