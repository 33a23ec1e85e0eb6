"""MQTT 3.1, on the same port: what is different from 3.1.1."""

import pytest

from support.amqp_client import connect as amqp_connect
from support.amqp_client import get_one
from support.raw_mqtt import (
    CONNACK, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBACK, UNSUBACK, UNSUBSCRIBE, RawMqtt, ack, connect, packet, publish,
    subscribe, text, u16,
)


def connect_31(client_id, level=3, **options):
    """CONNECT of MQTT 3.1."""
    return connect(client_id, version=level, name="MQIsdp", **options)


@pytest.fixture
def raw(broker, name):
    with RawMqtt(broker.mqtt, 3) as raw:
        raw.send(connect_31(name()))
        assert raw.expect(CONNACK) == b"\0\0"
        yield raw


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_of_every_qos_come_and_go(raw, name, qos):
    topic = name()
    raw.subscribe((topic, 2))
    raw.send(publish(topic, b"hello", qos, 7, version=3))
    if qos == 1:
        raw.expect_ack(PUBACK, 7)
    if qos == 2:
        raw.expect_ack(PUBREC, 7)
    message = raw.expect_publish()
    assert (message.topic, message.payload, message.qos) == (topic, b"hello", qos)
    if qos == 2:
        raw.send(ack(PUBREL, 7))
        raw.expect_ack(PUBCOMP, 7)


def test_an_amqp_queue_gets_what_is_published(raw, broker, name):
    channel = amqp_connect(broker.amqp).channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    topic = name()
    channel.queue_bind(queue, "amq.topic", topic)
    raw.send(publish(topic, b"hello", version=3)).ping()
    assert get_one(channel, queue)[2] == b"hello"


def test_a_session_is_kept_and_connack_does_not_say_so(broker, name):
    client_id, topic = name(), name("topic")
    for is_second in (False, True):
        with RawMqtt(broker.mqtt, 3) as raw:
            raw.send(connect_31(client_id, flags=0))
            assert raw.expect(CONNACK) == b"\0\0"
            if is_second:
                assert raw.expect_publish().payload == b"waited"
            else:
                raw.subscribe((topic, 1))
        with RawMqtt(broker.mqtt) as other:
            other.open(name()).send(publish(topic, b"waited", 1)).expect_ack(PUBACK, 1)


def test_a_client_without_an_id_is_refused(broker):
    with RawMqtt(broker.mqtt, 3) as raw:
        raw.send(connect_31(""))
        assert raw.read_to_end() == b"\x20\x02\0\x02"


def test_requests_may_be_marked_as_repeated(raw, name):
    topic = name()
    for flags in (2, 10):
        raw.send(subscribe(5, (topic, 1), version=3, flags=flags))
        assert raw.expect(SUBACK) == u16(5) + b"\1"
    raw.send(packet(UNSUBSCRIBE, 10, u16(6) + text(topic)))
    assert raw.expect(UNSUBACK) == u16(6)


def test_a_filter_that_is_refused_closes_the_connection(raw):
    raw.send(subscribe(5, ("a#", 1), version=3))
    assert raw.read_to_end() == b""


@pytest.mark.parametrize("level", [0, 1, 2, 4, 5, 255])
def test_another_level_under_that_name_is_refused(broker, level):
    with RawMqtt(broker.mqtt, 3) as raw:
        raw.send(connect("c", version=3, name="MQIsdp").replace(b"MQIsdp\3", b"MQIsdp" + bytes([level])))
        assert raw.read_to_end() == b"\x20\x02\0\x01"
