"""MQTT 3.1.1 and 5 alike: connecting, subscribing, wildcards, payloads, keep alive, take-over."""

import pytest

from support.mqtt_client import MqttClient
from support.raw_mqtt import CONNACK, PINGRESP, RawMqtt, connect, packet, publish, text, varint

VERSIONS = [3, 5]


@pytest.fixture(params=VERSIONS, ids=["v3.1.1", "v5"])
def version(request):
    return request.param


def test_a_client_connects_and_disconnects(mqtt, name, version):
    client = mqtt(name(), version=version)
    assert client.session_present is False
    client.disconnect()


def test_a_message_reaches_its_subscriber(mqtt, name, version):
    topic, subscriber = name("topic"), mqtt(version=version)
    assert subscriber.subscribe(topic) == 0
    mqtt(version=version).publish(topic, b"hello")
    message = subscriber.receive()
    assert (message.topic, message.payload, message.qos, message.retain) == (topic, b"hello", 0, False)


def test_a_client_receives_its_own_messages(mqtt, name, version):
    topic, client = name("topic"), mqtt(version=version)
    client.subscribe(topic)
    client.publish(topic, b"mine")
    assert client.receive().payload == b"mine"


@pytest.mark.parametrize("publisher, subscriber", [(3, 5), (5, 3)])
def test_the_versions_talk_to_each_other(mqtt, name, publisher, subscriber):
    topic, receiving = name("topic"), mqtt(version=subscriber)
    receiving.subscribe(topic, 1)
    mqtt(version=publisher).publish(topic, b"across", 1)
    assert receiving.receive().payload == b"across"


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_suback_grants_the_qos_asked_for(mqtt, name, version, qos):
    assert mqtt(version=version).subscribe(name("topic"), qos) == qos


def test_several_filters_are_granted_in_order(mqtt, name, version):
    assert mqtt(version=version).subscribe_many([(name(), 2), (name(), 0), (name(), 1)]) == [2, 0, 1]


def test_unsubscribe_stops_the_flow(mqtt, name, version):
    topic, last, client = name("topic"), name("last"), mqtt(version=version)
    client.subscribe(topic)
    client.subscribe(last)
    client.unsubscribe(topic)
    client.publish(topic, b"not wanted")
    client.publish(last, b"last")
    assert client.receive().payload == b"last"


MATCHES = [
    ("a/b", "a/b", True), ("a/b", "a/c", False), ("a/b", "A/b", False), ("a/b", "a/b/", False),
    ("a/#", "a", True), ("a/#", "a/b/c", True), ("a/#", "ab", False), ("#", "a/b", True), ("#", "/", True),
    ("+", "a", True), ("+", "a/b", False), ("+", "/a", False), ("+/+", "/x", True), ("/+", "/x", True),
    ("/+", "x", False), ("a/+/b", "a//b", True), ("a/+/b", "a/x/b", True), ("a/+", "a", False),
    ("a/+", "a/", True), ("+/b/#", "a/b", True), ("+/b/#", "a/b/c/d", True), ("a//b", "a//b", True),
    ("é/+", "é/x", True), ("+/é", "x/é", True), ("a.b", "a.b", True), ("*/x", "y/x", False),
]


@pytest.mark.parametrize("pattern, topic, matches", MATCHES)
def test_filters_match_topics(mqtt, name, version, pattern, topic, matches):
    """Below a level of the test's own: all rules but those for a leading wildcard."""
    base, end, client = name("base"), name("end"), mqtt(version=version)
    client.subscribe(f"{base}/{pattern}")
    client.subscribe(end)
    client.publish(f"{base}/{topic}", b"match")
    client.publish(end, b"end")
    assert client.receive().payload == (b"match" if matches else b"end")


@pytest.mark.parametrize("pattern", ["#", "+/{0}", "+/#"])
def test_a_leading_wildcard_does_not_match_topics_with_a_dollar(mqtt, name, version, pattern):
    level, client = name("level"), mqtt(version=version)
    client.subscribe(pattern.format(level))
    client.subscribe("$hidden/" + level + "/seen")
    client.publish("$hidden/" + level, b"hidden")
    client.publish("$hidden/" + level + "/seen", b"seen")
    client.publish("shown/" + level, b"shown")
    mine = (m.payload for m in iter(client.receive, None) if level in m.topic)
    assert [next(mine), next(mine)] == [b"seen", b"shown"]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 70_000, 1_000_000, 5_000_000])
def test_payloads_of_every_size_arrive_whole(mqtt, name, version, size):
    topic, client = name("topic"), mqtt(version=version)
    payload = bytes(i % 256 for i in range(256)) * (size // 256 + 1)
    client.subscribe(topic, 1)
    client.publish(topic, payload[:size], 1)
    assert client.receive().payload == payload[:size]


def test_an_empty_client_id_with_a_clean_session_is_accepted(mqtt, version):
    assert mqtt("", version=version).session_present is False


def test_an_empty_client_id_without_a_clean_session_is_refused_in_version_3(broker):
    with RawMqtt(broker.mqtt, 3) as raw:
        raw.send(connect("", version=4, flags=0))
        assert raw.expect(CONNACK) == b"\0\x02"
        assert raw.read_to_end() == b""


def test_a_user_with_the_right_password_is_accepted(mqtt, version):
    assert mqtt(version=version, user="guest", password="guest").session_present is False


def test_a_user_with_a_wrong_password_is_refused(broker, version):
    client = MqttClient(broker.mqtt, version=version, user="guest", password="wrong")
    code = client.try_connect()
    client.stop()
    assert code.is_failure and code.value in (0x86, 4, 5)


def test_a_wrong_password_has_the_reason_code_of_its_version(broker):
    login = text("guest") + text("wrong")
    for version, level, answer in ((3, 4, b"\0\x04"), (5, 5, b"\0\x86")):
        with RawMqtt(broker.mqtt, version) as raw:
            raw.send(connect("c", version=level, flags=0xC2, rest=login))
            assert raw.expect(CONNACK)[:2] == answer
            assert raw.read_to_end() == b""


def test_pingreq_is_answered(broker, version):
    with RawMqtt(broker.mqtt, version) as raw:
        raw.send(connect("", version=4 if version == 3 else 5)).expect(CONNACK)
        raw.send(packet(12, 0, b""))
        assert raw.expect(PINGRESP) == b""


def test_a_silent_client_is_dropped_after_one_and_a_half_keep_alives(broker):
    with RawMqtt(broker.mqtt) as raw:
        seconds, data = raw.open("", keep_alive=2).seconds_to_end()
    assert 2.5 <= seconds <= 5
    assert data[:1] == b"\xe0" and data[2] == 0x8D


def test_a_silent_client_of_version_3_is_dropped_without_a_word(broker):
    with RawMqtt(broker.mqtt, 3) as raw:
        raw.send(connect("", version=4, keep_alive=1)).expect(CONNACK)
        seconds, data = raw.seconds_to_end()
    assert 1 <= seconds <= 4
    assert data == b""


def test_keep_alive_zero_is_never_dropped_before_others_with_one(broker):
    with RawMqtt(broker.mqtt) as patient, RawMqtt(broker.mqtt) as silent:
        patient.open("", keep_alive=0)
        silent.open("", keep_alive=1).read_to_end()
        patient.ping()


def test_a_second_connection_with_the_same_id_takes_over(broker, name, version):
    client_id, level = name(), 4 if version == 3 else 5
    with RawMqtt(broker.mqtt, version) as first, RawMqtt(broker.mqtt, version) as second:
        first.send(connect(client_id, version=level)).expect(CONNACK)
        second.send(connect(client_id, version=level)).expect(CONNACK)
        first.expect_disconnect(0x8E)
        second.ping()


def test_overlapping_subscriptions_deliver_at_the_highest_qos(mqtt, name, version):
    topic, client = name("topic"), mqtt(version=version)
    client.subscribe(f"{topic}/#", 0)
    client.subscribe(f"{topic}/+", 2)
    client.publish(f"{topic}/x", b"once", 2)
    client.publish(f"{topic}/y", b"last", 2)
    received = client.receive_many(2)
    assert [(m.payload, m.qos) for m in received] == [(b"once", 2), (b"last", 2)]


def test_subscribing_again_replaces_the_subscription(mqtt, name, version):
    topic, client = name("topic"), mqtt(version=version)
    client.subscribe(topic, 0)
    client.subscribe(topic, 1)
    client.publish(topic, b"1", 1)
    client.publish(topic, b"2", 1)
    assert [(m.payload, m.qos) for m in client.receive_many(2)] == [(b"1", 1), (b"2", 1)]


def test_every_subscriber_gets_its_copy(mqtt, name, version):
    topic = name("topic")
    subscribers = [mqtt(version=version) for _ in range(5)]
    for subscriber in subscribers:
        subscriber.subscribe(topic, 1)
    mqtt(version=version).publish(topic, b"to all", 1)
    assert [s.receive().payload for s in subscribers] == [b"to all"] * 5


def test_packets_may_arrive_byte_by_byte_and_many_at_once(broker, name):
    topic = name("topic")
    with RawMqtt(broker.mqtt) as raw:
        for octet in connect(name()):
            raw.send(bytes([octet]))
        raw.expect(CONNACK)
        raw.subscribe((topic, 0))
        raw.send(b"".join(publish(topic, b"%d" % i) for i in range(100)))
        assert [raw.expect_publish().payload for _ in range(100)] == [b"%d" % i for i in range(100)]


def test_topics_and_ids_of_any_length_are_handled(broker):
    topic = "/".join("x" * 100 for _ in range(180))
    assert len(varint(len(topic))) == 3
    with RawMqtt(broker.mqtt) as raw:
        raw.open("")
        raw.subscribe((topic, 1))
        raw.send(publish(topic, b"deep", 0))
        assert raw.expect_publish().topic == topic
