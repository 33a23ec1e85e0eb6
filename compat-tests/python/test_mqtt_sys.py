"""The status of the broker at `$SYS/broker/…`."""

import pytest

from support.amqp_client import connect as amqp_connect
from support.broker import Broker
from support.mqtt_client import MqttClient
from support.waiting import eventually, let_time_pass

#: What Mosquitto's dashboards read.
TOPICS = [
    "version", "uptime", "clients/total", "clients/connected", "clients/active", "clients/disconnected",
    "clients/inactive", "clients/maximum", "subscriptions/count", "shared_subscriptions/count",
    "retained messages/count", "messages/stored", "store/messages/count", "store/messages/bytes", "heap/current",
    "publish/messages/received", "publish/messages/sent", "publish/messages/dropped", "publish/bytes/received",
    "publish/bytes/sent", "bytes/received", "bytes/sent",
]


@pytest.fixture
def broker(tmp_path):
    broker = Broker(tmp_path, ["--mqtt-sys-interval", "1"])
    yield broker.start()
    broker.stop()


@pytest.fixture
def watch(broker):
    """A client that keeps the latest value of each status topic."""
    client, values = MqttClient(broker.mqtt, "watcher").connect(), {}
    client.subscribe("$SYS/#")

    def latest(topic):
        while client.messages.qsize():
            message = client.messages.get()
            values[message.topic] = message.payload.decode()
        return values.get(f"$SYS/broker/{topic}")

    yield latest
    client.stop()


def test_every_topic_is_retained(watch):
    eventually(lambda: all(watch(topic) is not None for topic in TOPICS), "all come")
    assert watch("version").startswith("leveret version ")
    seconds, unit = watch("uptime").split()
    assert int(seconds) < 60 and unit == "seconds"
    eventually(lambda: int(watch("heap/current")) > 1_000_000, "the memory is measured")
    for topic in TOPICS[2:]:
        assert int(watch(topic)) >= 0
    for minutes in (1, 5, 15):
        assert float(watch(f"load/publish/messages/received/{minutes}min")) >= 0


def test_clients_and_subscriptions_are_counted(broker, watch):
    away = MqttClient(broker.mqtt, "away", expiry=60).connect()
    away.subscribe("a", 1)
    away.subscribe("$share/g/b", 1)
    away.disconnect()
    here = MqttClient(broker.mqtt, "here").connect()
    eventually(lambda: (watch("clients/total"), watch("clients/connected"), watch("clients/disconnected"))
               == ("3", "2", "1"), "clients")
    eventually(lambda: (watch("subscriptions/count"), watch("shared_subscriptions/count")) == ("3", "1"), "filters")
    here.publish("a", b"12345", 1)
    eventually(lambda: (watch("messages/stored"), watch("publish/bytes/received")) == ("1", "5"), "a message waits")
    here.stop()
    eventually(lambda: watch("clients/connected") == "1", "it has gone")
    assert int(watch("clients/maximum")) >= 2


def test_traffic_is_counted_and_that_of_closed_connections_too(broker, watch):
    before = int(eventually(lambda: watch("publish/messages/received"), "the first value"))
    client = MqttClient(broker.mqtt, "publisher").connect()
    for _ in range(10):
        client.publish("t", b"x" * 1000, 1)
    client.stop()
    eventually(lambda: int(watch("publish/messages/received")) == before + 10, "messages")
    eventually(lambda: int(watch("bytes/received")) > 10_000, "bytes")
    eventually(lambda: float(watch("load/publish/messages/received/1min")) > 1, "a mean")


def test_wildcards_and_amqp_queues_get_nothing_of_it(broker, watch):
    channel = amqp_connect(broker.amqp).channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "amq.topic", "#")
    client = MqttClient(broker.mqtt, "all").connect()
    client.subscribe("#")
    client.subscribe("+/broker/uptime")
    first = eventually(lambda: watch("uptime"), "it is published")
    eventually(lambda: watch("uptime") != first, "and again")
    let_time_pass(0.2)
    assert client.messages.empty()
    assert channel.queue_declare(queue, passive=True).method.message_count == 0
    client.stop()


def test_with_an_interval_of_0_there_is_none(tmp_path):
    broker = Broker(tmp_path, ["--mqtt-sys-interval", "0"]).start()
    client = MqttClient(broker.mqtt, "watcher").connect()
    client.subscribe("$SYS/#")
    let_time_pass(1)
    assert client.messages.empty()
    client.stop()
    broker.stop()
