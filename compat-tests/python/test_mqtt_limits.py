"""Settings that limit what MQTT clients may have: at the limit, and one past it."""

import pytest

from support.broker import Broker
from support.mqtt_client import MqttClient
from support.raw_mqtt import CONNACK, PUBACK, RawMqtt, ack, connect, publish

pytestmark = pytest.mark.own_process
QUOTA_EXCEEDED = 0x97
SETTINGS = {"retained-max": 2, "subscriptions-max": 2, "client-id-max": 30, "inflight-max": 2, "sys-interval": 0}


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A broker that allows two of everything."""
    flags = [f"--mqtt-{name}={value}" for name, value in SETTINGS.items()]
    broker = Broker(tmp_path_factory.mktemp("limited"), flags)
    try:
        yield broker.start()
        broker.assert_sound()
    finally:
        broker.stop()


@pytest.fixture
def raw(limited):
    with RawMqtt(limited.mqtt) as connection:
        yield connection.open("")


def retain(raw, topic, payload=b"x"):
    """Publishes a retained message: the code of its PUBACK."""
    return raw.send(publish(topic, payload, 1, retain=True)).expect_ack(PUBACK, 1)


def test_no_more_retained_messages_than_the_limit(raw):
    assert retain(raw, "a") < 0x80 and retain(raw, "b") < 0x80
    assert retain(raw, "c") == QUOTA_EXCEEDED
    assert retain(raw, "b", b"another") < 0x80
    assert retain(raw, "a", b"") < 0x80
    assert retain(raw, "c") < 0x80
    raw.subscribe(("#", 0))
    kept = {(message.topic, message.payload) for message in (raw.expect_publish(), raw.expect_publish())}
    raw.ping()
    assert kept == {("b", b"another"), ("c", b"x")}


def test_no_more_subscriptions_than_the_limit(raw):
    assert raw.subscribe(("a", 0), ("b", 1), ("c", 2)) == bytes([0, 1, QUOTA_EXCEEDED])


def test_a_subscription_may_be_replaced_at_the_limit(raw):
    """[MQTT-3.8.4-3]"""
    raw.subscribe(("a", 0), ("$share/g/b", 0))
    assert raw.subscribe(("a", 1), ("$share/g/b", 2), ("b", 1)) == bytes([1, 2, QUOTA_EXCEEDED])


def test_a_subscription_that_has_gone_gives_room(limited):
    client = MqttClient(limited.mqtt).connect()
    assert client.subscribe_many([("a", 0), ("b", 0), ("c", 0)]) == [0, 0, QUOTA_EXCEEDED]
    client.unsubscribe("a")
    assert client.subscribe_many([("c", 0), ("d", 0)]) == [0, QUOTA_EXCEEDED]
    client.stop()


def test_the_limit_of_subscriptions_holds_for_a_session_that_is_resumed(limited):
    for codes in ([0, 0, QUOTA_EXCEEDED], [0, QUOTA_EXCEEDED]):
        client = MqttClient(limited.mqtt, "resumed", clean=False, expiry=60).connect()
        assert client.subscribe_many([("a", 0), ("b", 0), ("c", 0)][-len(codes):]) == codes
        client.disconnect()


@pytest.mark.parametrize("length, code", [(30, 0), (31, 0x85)])
def test_no_longer_client_identifier_than_the_limit(limited, length, code):
    with RawMqtt(limited.mqtt) as raw:
        assert raw.send(connect("i" * length)).expect(CONNACK)[1] == code


@pytest.mark.parametrize("version", [3, 5])
def test_no_more_messages_in_flight_than_the_limit(limited, version):
    with RawMqtt(limited.mqtt, version) as raw:
        raw.send(connect("", version=4 if version == 3 else 5)).expect(CONNACK)
        raw.subscribe(("flight", 1))
        publisher = MqttClient(limited.mqtt).connect()
        for number in b"123":
            publisher.publish("flight", bytes([number]), 1)
        publisher.stop()
        first, second = raw.expect_publish(), raw.expect_publish()
        raw.ping()
        raw.send(ack(PUBACK, first.packet_id))
        assert [first.payload, second.payload, raw.expect_publish().payload] == [b"1", b"2", b"3"]
