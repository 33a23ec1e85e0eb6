"""Settings where MQTT users and suites disagree."""

import re

import pytest

from support.accounts import EVERYTHING, Account
from support.broker import Broker
from support.management import Management
from support.mqtt_client import MqttClient
from support.raw_mqtt import (
    CONNACK, PUBACK, PUBREC, SUBACK, RawMqtt, connect, publish, subscribe, text,
)
from support.waiting import let_time_pass

pytestmark = pytest.mark.own_process


@pytest.fixture
def start(tmp_path):
    """Starts a broker with settings: `start(mqtt_overlapping="separate")`."""
    started = []

    def start(**settings):
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        started.append(Broker(tmp_path, flags).start())
        return started[-1]

    yield start
    for broker in started:
        broker.assert_sound()
        broker.stop()


def limited(broker):
    """A user who may use topics that begin with "allowed" only."""
    user = Account(Management(broker.http), broker.amqp, "limited", **EVERYTHING)
    user.permit_topics("amq.topic", write="^allowed", read="^allowed")
    return {"flags": 0xC2, "rest": text("limited") + text("secret")}


def test_mosquittos_connack_byte_for_byte(start):
    broker = start(mqtt_compat="mosquitto")
    limits = b"\x22\x00\x0a\x27\x00\x1e\x84\x80\x21\x00\x14"
    with RawMqtt(broker.mqtt) as raw:
        raw.send(connect("c"))
        assert raw.expect(CONNACK) == b"\0\0" + bytes([len(limits)]) + limits
    with RawMqtt(broker.mqtt) as raw:
        raw.send(connect(""))
        found = raw.expect(CONNACK)[3:]
        assert found.startswith(limits[:3] + b"\x12\x00\x29auto-") and found.endswith(limits[3:])
        assert re.fullmatch(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found[11:47])


def test_a_setting_wins_over_mosquittos(start):
    broker = start(mqtt_compat="mosquitto", mqtt_receive_max=7)
    with RawMqtt(broker.mqtt) as raw:
        raw.send(connect("c"))
        assert raw.expect(CONNACK).endswith(b"\x21\x00\x07")


def test_a_packet_larger_than_the_setting_is_refused(start):
    broker = start(mqtt_packet_size_max=1000)
    with RawMqtt(broker.mqtt) as raw:
        raw.open("c")
        raw.send(publish("t", b"x" * 1000, 1))
        raw.expect_disconnect(0x95)


@pytest.mark.parametrize("how, expected", [("merged", [(2, {1, 2})]), ("separate", [(0, {1}), (2, {2})])])
def test_overlapping_subscriptions(start, how, expected):
    broker = start(mqtt_overlapping=how)
    with RawMqtt(broker.mqtt) as raw:
        raw.open("c")
        raw.subscribe(("a/+", 0), properties=b"\x0b\x01")
        raw.subscribe(("a/#", 2), properties=b"\x0b\x02")
        MqttClient(broker.mqtt).connect().publish("a/b", b"x", 2)
        found = [raw.expect_publish() for _ in expected]
        # An identifier is the property 11, and less than 128 here.
        assert sorted((p.qos, set(p.properties[1::2])) for p in found) == expected
        raw.ping()


def test_separate_copies_survive_a_restart(start):
    broker = start(mqtt_overlapping="separate")
    client = MqttClient(broker.mqtt, "c", clean=False, expiry=600).connect()
    client.subscribe_many([("a/+", 1), ("a/#", 1)])
    client.disconnect()
    publisher = MqttClient(broker.mqtt).connect()
    for number in range(3):
        publisher.publish("a/b", b"%d" % number, 1)
    broker.kill_and_restart()
    client = MqttClient(broker.mqtt, "c", clean=False, expiry=600).connect()
    assert client.payloads(6) == [b"0", b"0", b"1", b"1", b"2", b"2"]
    client.stop()


@pytest.mark.parametrize("code, value", [("not-authorized", 0x87), ("unspecified", 0x80)])
def test_the_code_of_a_refused_subscription(start, code, value):
    broker = start(mqtt_suback_refusal=code)
    user = limited(broker)
    for version, expected in ((5, value), (4, 0x80)):
        with RawMqtt(broker.mqtt, version) as raw:
            raw.open("c", **user)
            raw.send(subscribe(1, ("secret", 1), ("allowed", 1), version=version))
            assert raw.expect(SUBACK)[-2:] == bytes([expected, 1])


@pytest.mark.parametrize("qos, ack", [(0, None), (1, PUBACK), (2, PUBREC)])
def test_a_refused_publisher_of_3_1_1_is_closed_if_that_is_set(start, qos, ack):
    broker = start(mqtt_refused_publish="close")
    user = limited(broker)
    with RawMqtt(broker.mqtt, 4) as raw:
        raw.open("c", **user)
        raw.send(publish("allowed", b"x", 1, 1, version=4)).expect_ack(PUBACK, 1)
        raw.send(publish("secret", b"x", qos, 2, version=4))
        assert raw.read_to_end() == b""
    with RawMqtt(broker.mqtt) as raw:
        raw.open("c", **user)
        raw.send(publish("secret", b"x", qos, 2))
        assert ack is None or raw.expect_ack(ack, 2) == 0x87
        raw.ping()


def test_a_refused_publisher_of_3_1_1_is_acknowledged_by_default(start):
    broker = start()
    user = limited(broker)
    with RawMqtt(broker.mqtt, 4) as raw:
        raw.open("c", **user)
        raw.send(publish("secret", b"x", 0, version=4))
        raw.send(publish("secret", b"x", 1, 2, version=4)).expect_ack(PUBACK, 2)
        raw.ping()


@pytest.mark.parametrize("queues", [False, True])
def test_qos_0_waits_for_a_client_that_is_away_if_that_is_set(start, queues):
    broker = start(mqtt_queue_qos0=str(queues).lower())
    client = MqttClient(broker.mqtt, "c", clean=False, expiry=600).connect()
    client.subscribe_many([("zero", 0), ("one", 1)])
    client.disconnect()
    publisher = MqttClient(broker.mqtt).connect()
    publisher.publish("zero", b"0", 0)
    publisher.publish("one", b"1", 1)
    client = MqttClient(broker.mqtt, "c", clean=False, expiry=600).connect()
    expected = [b"0", b"1"] if queues else [b"1"]
    assert client.payloads(len(expected)) == expected
    client.stop()


def test_the_oldest_messages_go_where_too_many_wait(start):
    broker = start(mqtt_queued_max=3)
    client = MqttClient(broker.mqtt, "c", clean=False, expiry=600).connect()
    client.subscribe("t", 1)
    client.disconnect()
    publisher = MqttClient(broker.mqtt).connect()
    for number in range(5):
        publisher.publish("t", b"%d" % number, 1)
    client = MqttClient(broker.mqtt, "c", clean=False, expiry=600).connect()
    assert client.payloads(3) == [b"2", b"3", b"4"]
    let_time_pass(0.1)
    assert client.messages.empty()
    client.stop()
