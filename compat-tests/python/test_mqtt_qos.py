"""MQTT: the QoS handshakes in both directions, packet by packet, and flow control."""

import pytest

from support.raw_mqtt import (
    CONNACK, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, RawMqtt, ack, connect, publish, read_varint, u16,
)


@pytest.fixture
def raw(broker, name):
    with RawMqtt(broker.mqtt) as connection:
        yield connection.open(name())


@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("subscribed", [0, 1, 2])
@pytest.mark.parametrize("version", [3, 5])
def test_the_delivered_qos_is_the_lower_one(mqtt, name, version, published, subscribed):
    topic, client = name("topic"), mqtt(version=version)
    client.subscribe(topic, subscribed)
    mqtt(version=version).publish(topic, b"x", published)
    assert client.receive().qos == min(published, subscribed)


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", [3, 5])
def test_messages_of_one_publisher_arrive_in_order(mqtt, name, version, qos):
    topic, client, publisher = name("topic"), mqtt(version=version), mqtt(version=version)
    client.subscribe(topic, qos)
    payloads = [b"%d" % i for i in range(1000)]
    for payload in payloads:
        publisher.publish_soon(topic, payload, qos)
    assert client.payloads(len(payloads), 30) == payloads


def test_qos_1_is_answered_with_puback(raw, name):
    raw.send(publish(name(), b"x", 1, packet_id=77))
    assert raw.expect_ack(PUBACK, 77) in (0x00, 0x10)


def test_qos_2_is_answered_with_pubrec_and_pubcomp(raw, name):
    raw.send(publish(name(), b"x", 2, packet_id=77))
    assert raw.expect_ack(PUBREC, 77) in (0x00, 0x10)
    raw.send(ack(PUBREL, 77))
    assert raw.expect_ack(PUBCOMP, 77) == 0


def test_acknowledgements_keep_the_order_of_the_publishes(raw, name):
    topic = name()
    raw.send(b"".join(publish(topic, b"x", 1, packet_id=i) for i in range(1, 201)))
    for i in range(1, 201):
        raw.expect_ack(PUBACK, i)


def test_a_repeated_qos_2_publish_is_delivered_once(raw, mqtt, name):
    topic, subscriber = name("topic"), mqtt()
    subscriber.subscribe(topic, 2)
    raw.send(publish(topic, b"once", 2, packet_id=5))
    raw.expect_ack(PUBREC, 5)
    raw.send(publish(topic, b"once", 2, packet_id=5, dup=True))
    raw.expect_ack(PUBREC, 5)
    raw.send(ack(PUBREL, 5))
    raw.expect_ack(PUBCOMP, 5)
    raw.send(publish(topic, b"next", 2, packet_id=5))
    raw.expect_ack(PUBREC, 5)
    raw.send(ack(PUBREL, 5))
    assert subscriber.payloads(2) == [b"once", b"next"]


def test_a_repeated_qos_2_publish_after_a_reconnect_is_delivered_once(broker, mqtt, name):
    topic, client_id, subscriber = name("topic"), name(), mqtt()
    subscriber.subscribe(topic, 2)
    session = {"properties": b"\x11\0\0\0\x3c"}
    with RawMqtt(broker.mqtt) as first:
        first.open(client_id, **session).send(publish(topic, b"once", 2, packet_id=5))
        first.expect_ack(PUBREC, 5)
    with RawMqtt(broker.mqtt) as second:
        second.open(client_id, True, flags=0, **session)
        for payload, dup in ((b"once", True), (b"next", False)):
            second.send(publish(topic, payload, 2, packet_id=5, dup=dup)).expect_ack(PUBREC, 5)
            second.send(ack(PUBREL, 5)).expect_ack(PUBCOMP, 5)
    assert subscriber.payloads(2) == [b"once", b"next"]


def test_pubrel_for_an_unknown_id_is_answered(raw):
    raw.send(ack(PUBREL, 999))
    assert raw.expect_ack(PUBCOMP, 999) in (0x00, 0x92)


def test_pubrec_for_an_unknown_id_is_answered(raw):
    raw.send(ack(PUBREC, 999))
    assert raw.expect_ack(PUBREL, 999) in (0x00, 0x92)


@pytest.mark.parametrize("kind", [PUBACK, PUBCOMP])
def test_an_unknown_acknowledgement_is_ignored(raw, kind):
    raw.send(ack(kind, 999)).ping()


def test_qos_2_is_delivered_with_the_whole_handshake(raw, mqtt, name):
    topic = name()
    raw.subscribe((topic, 2))
    mqtt().publish(topic, b"x", 2)
    delivered = raw.expect_publish()
    assert (delivered.qos, delivered.dup) == (2, False)
    raw.send(ack(PUBREC, delivered.packet_id)).expect_ack(PUBREL, delivered.packet_id)
    raw.send(ack(PUBCOMP, delivered.packet_id)).ping()


def test_the_dup_of_a_publisher_is_not_passed_on(broker, raw, name):
    topic = name()
    raw.subscribe((topic, 1))
    with RawMqtt(broker.mqtt) as publisher:
        publisher.open("").send(publish(topic, b"x", 1, packet_id=1, dup=True)).expect_ack(PUBACK, 1)
    assert raw.expect_publish().dup is False


def two_messages(raw, topic, qos):
    """Publishes "1" and "2" with the whole handshake of `qos`."""
    for packet_id in (1, 2):
        raw.send(publish(topic, b"%d" % packet_id, qos, packet_id=packet_id))
        raw.expect_ack(PUBACK if qos == 1 else PUBREC, packet_id)
        if qos == 2:
            raw.send(ack(PUBREL, packet_id)).expect_ack(PUBCOMP, packet_id)


@pytest.fixture
def quota_one(broker, name):
    """A subscriber with Receive Maximum 1 and a publisher."""
    topic = name("topic")
    with RawMqtt(broker.mqtt) as subscriber, RawMqtt(broker.mqtt) as publisher:
        subscriber.open(name(), properties=b"\x21" + u16(1)).subscribe((topic, 2))
        yield topic, subscriber, publisher.open(name())


def test_receive_maximum_holds_back_the_second_message(quota_one):
    topic, subscriber, publisher = quota_one
    two_messages(publisher, topic, 1)
    first = subscriber.expect_publish()
    assert first.payload == b"1"
    subscriber.ping()  # answered although the quota is used up, and nothing comes before the answer
    subscriber.send(ack(PUBACK, first.packet_id))
    assert subscriber.expect_publish().payload == b"2"


def test_qos_0_messages_pass_the_quota_or_wait_but_are_not_lost(quota_one):
    topic, subscriber, publisher = quota_one
    two_messages(publisher, topic, 1)
    first = subscriber.expect_publish()
    subscriber.subscribe((topic + "/0", 0))
    publisher.send(publish(topic + "/0", b"free", 0)).ping()
    subscriber.send(ack(PUBACK, first.packet_id))
    assert sorted(subscriber.expect_publish().payload for _ in range(2)) == [b"2", b"free"]


def test_a_successful_pubrec_does_not_give_the_quota_back_but_pubcomp_does(quota_one):
    topic, subscriber, publisher = quota_one
    two_messages(publisher, topic, 2)
    first = subscriber.expect_publish()
    subscriber.send(ack(PUBREC, first.packet_id)).expect_ack(PUBREL, first.packet_id)
    subscriber.ping()
    subscriber.send(ack(PUBCOMP, first.packet_id))
    assert subscriber.expect_publish().payload == b"2"


def test_a_refusing_pubrec_ends_the_exchange_and_gives_the_quota_back(quota_one):
    topic, subscriber, publisher = quota_one
    two_messages(publisher, topic, 2)
    subscriber.send(ack(PUBREC, subscriber.expect_publish().packet_id, 0x83))
    assert subscriber.expect_publish().payload == b"2"


def test_a_refusing_puback_counts_as_acknowledged(quota_one):
    topic, subscriber, publisher = quota_one
    two_messages(publisher, topic, 1)
    subscriber.send(ack(PUBACK, subscriber.expect_publish().packet_id, 0x97))
    assert subscriber.expect_publish().payload == b"2"


def test_a_burst_over_the_receive_maximum_arrives_whole(broker, mqtt, name):
    topic, publisher = name("topic"), mqtt()
    with RawMqtt(broker.mqtt) as subscriber:
        subscriber.open(name(), properties=b"\x21" + u16(7)).subscribe((topic, 1))
        for i in range(500):
            publisher.publish_soon(topic, b"%d" % i, 1)
        received = []
        for _ in range(500):
            message = subscriber.expect_publish()
            received.append(message.payload)
            subscriber.send(ack(PUBACK, message.packet_id))
    assert received == [b"%d" % i for i in range(500)]


@pytest.mark.parametrize("wrong", [(1, PUBREC), (1, PUBCOMP), (2, PUBACK), (2, PUBCOMP)])
def test_a_wrong_acknowledgement_for_the_state_is_a_protocol_error(raw, mqtt, name, wrong):
    qos, kind = wrong
    topic = name()
    raw.subscribe((topic, qos))
    mqtt().publish(topic, b"x", qos)
    raw.send(ack(kind, raw.expect_publish().packet_id))
    raw.expect_disconnect(0x82)


def announced_receive_maximum(connack):
    """The Receive Maximum in a CONNACK, 65 535 when it is not there."""
    size, used = read_varint(connack[2:])
    section, numbers = connack[2 + used:2 + used + size], {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x27: 4,
                                                           0x24: 1, 0x25: 1, 0x28: 1, 0x29: 1, 0x2A: 1}
    while section:
        kind, rest = section[0], section[1:]
        length = numbers.get(kind) or 2 + int.from_bytes(rest[:2], "big")
        if kind == 0x21:
            return int.from_bytes(rest[:2], "big")
        section = rest[length:]
    return 65535


def test_more_unreleased_qos_2_messages_than_the_receive_maximum_are_refused(raw, name):
    limit = announced_receive_maximum(raw.connack)
    assert limit < 65535, "the broker has to announce how many it keeps"
    topic = name()
    raw.send(b"".join(publish(topic, b"", 2, packet_id=i) for i in range(1, limit + 1)))
    for i in range(1, limit + 1):
        raw.expect_ack(PUBREC, i)
    raw.send(publish(topic, b"", 2, packet_id=limit + 1))
    raw.expect_disconnect(0x93)


def test_broker_and_client_number_their_packets_separately(raw, mqtt, name):
    topic = name()
    raw.subscribe((topic, 1))
    mqtt().publish(topic, b"x", 1)
    packet_id = raw.expect_publish().packet_id
    raw.send(publish(name(), b"y", 1, packet_id=packet_id)).expect_ack(PUBACK, packet_id)
    raw.send(ack(PUBACK, packet_id)).ping()


def test_a_version_3_client_has_a_bounded_window_and_loses_nothing(broker, mqtt, name):
    topic, publisher = name("topic"), mqtt()
    with RawMqtt(broker.mqtt, 3) as subscriber:
        subscriber.send(connect(name(), version=4)).expect(CONNACK)
        subscriber.subscribe((topic, 1))
        for i in range(3000):
            publisher.publish_soon(topic, b"%d" % i, 1)
        for i in range(3000):
            kind, flags, content = subscriber.read_packet()
            assert kind == PUBLISH and flags & 6 == 2
            start = 2 + len(topic)
            assert content[start + 2:] == b"%d" % i
            subscriber.send(ack(PUBACK, int.from_bytes(content[start:start + 2], "big")))


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("window", [1, 2, 7, 100, 1000, 65535])
def test_no_window_of_a_subscriber_stalls(mqtt, name, window, qos):
    topic, client = name("topic"), mqtt(connect={"ReceiveMaximum": window})
    client.subscribe(topic, qos)
    publisher = mqtt()
    sent = [publisher.publish_soon(topic, b"%d" % number, qos) for number in range(1200)]
    assert client.payloads(1200) == [b"%d" % number for number in range(1200)]
    for info in sent:
        info.wait_for_publish(10)
