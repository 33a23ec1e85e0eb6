"""What an MQTT client may publish and subscribe to, by user, topic and client identifier."""

import pytest

from support.accounts import EVERYTHING
from support.management import Management
from support.raw_mqtt import (
    CONNACK, PUBACK, PUBREC, SUBACK, RawMqtt, connect, publish, subscribe, text,
)
from support.waiting import eventually, let_time_pass


@pytest.fixture
def client(mqtt):
    return lambda account, **options: mqtt(user=account.name, password="secret", **options)


def refused(broker, account, version=5, will=b""):
    """The code of the CONNACK that refuses a user."""
    with RawMqtt(broker.mqtt, version) as raw:
        flags = 0xC2 | (4 if will else 0)
        raw.send(connect("c", version=version, flags=flags, rest=will + text(account.name) + text("secret")))
        code = raw.expect(CONNACK)[1]
        assert raw.read_to_end() == b""
        return code


@pytest.mark.parametrize("version, code", [(5, 0x87), (4, 5)])
def test_a_user_without_permissions_in_the_vhost_is_not_let_in(broker, management, account, version, code):
    user = account()
    management.delete(f"permissions/%2F/{user.name}")
    assert refused(broker, user, version) == code


@pytest.mark.parametrize("qos, ack", [(1, PUBACK), (2, PUBREC)])
def test_a_publish_that_is_not_allowed_is_refused_and_the_connection_goes_on(broker, account, name, qos, ack):
    user = account(**EVERYTHING)
    user.permit_topics("amq.topic", write="^allowed")
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name(), flags=0xC2, rest=text(user.name) + text("secret"))
        raw.send(publish("secret/x", b"x", qos, 1)).expect_ack(ack, 1)
        raw.send(publish("secret/x", b"x", qos, 2))
        assert raw.expect_ack(ack, 2) == 0x87
        raw.send(publish("allowed/x", b"x", qos, 3))
        assert raw.expect_ack(ack, 3) in (0, 0x10)


def test_a_refused_publish_is_neither_delivered_nor_retained(account, client, mqtt, name):
    topic, user, watcher = name(), account(**EVERYTHING), mqtt()
    user.permit_topics("amq.topic", write="^allowed")
    watcher.subscribe(f"{topic}/#")
    publisher = client(user)
    for qos in (0, 1):
        publisher.publish(f"{topic}/x", b"x", qos, retain=True)
    let_time_pass(0.1)
    assert watcher.messages.empty()
    late = mqtt()
    late.subscribe(f"{topic}/#")
    let_time_pass(0.1)
    assert late.messages.empty()


def test_without_the_right_to_write_to_the_exchange_nothing_is_published(broker, account, name):
    user = account(read=".*")
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name(), flags=0xC2, rest=text(user.name) + text("secret"))
        raw.send(publish("a", b"x", 1, 1))
        assert raw.expect_ack(PUBACK, 1) == 0x87


@pytest.mark.parametrize("version, code", [(5, 0x87), (4, 0x80)])
def test_a_filter_that_is_not_allowed_is_refused_alone(broker, account, name, version, code):
    user = account(**EVERYTHING)
    user.permit_topics("amq.topic", read=r"^allowed\.")
    with RawMqtt(broker.mqtt, version) as raw:
        raw.open(name(), flags=0xC2, rest=text(user.name) + text("secret"))
        raw.send(subscribe(1, ("secret/#", 1), ("allowed/#", 1), ("#", 1), version=version))
        assert raw.expect(SUBACK)[-3:] == bytes([code, 1, code])


def test_a_wildcard_brings_only_what_may_be_read(account, client, mqtt, name):
    topic, user, publisher = name(), account(**EVERYTHING), mqtt()
    user.permit_topics("amq.topic", read=rf"^{topic}\.(#|open)")
    for retain in (False, True):
        reader = client(user)
        if retain:
            publisher.publish(f"{topic}/closed", b"closed", 1, retain=True)
            publisher.publish(f"{topic}/open", b"open", 1, retain=True)
            reader.subscribe(f"{topic}/#", 1)
        else:
            reader.subscribe(f"{topic}/#", 1)
            publisher.publish(f"{topic}/closed", b"closed", 1)
            publisher.publish(f"{topic}/open", b"open", 1)
        assert reader.receive().payload == b"open"
        let_time_pass(0.1)
        assert reader.messages.empty()


def test_a_permission_that_is_taken_away_holds_for_subscriptions_that_are_there(account, client, mqtt, name):
    topic, user, publisher = name(), account(**EVERYTHING), mqtt()
    reader = client(user)
    reader.subscribe(topic, 1)
    publisher.publish(topic, b"1", 1)
    assert reader.receive().payload == b"1"
    user.permit_topics("amq.topic", read="^nothing")
    publisher.publish(topic, b"2", 1)
    user.permit_topics("amq.topic", read=".*")
    publisher.publish(topic, b"3", 1)
    assert reader.receive().payload == b"3"


def test_patterns_name_the_user_and_the_client(broker, account, name):
    user, client_id = account(**EVERYTHING), name("a+b.c")
    user.permit_topics("amq.topic", write="^{username}-{client_id}$")
    with RawMqtt(broker.mqtt) as raw:
        raw.open(client_id, flags=0xC2, rest=text(user.name) + text("secret"))
        for packet_id, (topic, allowed) in enumerate([
            (f"{user.name}-{client_id}".replace("+", "x"), False),
            (f"{user.name}-other", False),
        ], 1):
            raw.send(publish(topic, b"x", 1, packet_id))
            assert (raw.expect_ack(PUBACK, packet_id) != 0x87) == allowed
    plain = name("id")
    with RawMqtt(broker.mqtt) as raw:
        raw.open(plain, flags=0xC2, rest=text(user.name) + text("secret"))
        raw.send(publish(f"{user.name}-{plain}", b"x", 1, 1))
        assert raw.expect_ack(PUBACK, 1) != 0x87


def will_of(topic):
    """The fields of a will in CONNECT of MQTT 5."""
    return b"\0" + text(topic) + text("gone")


def test_a_will_that_may_not_be_published_is_refused_at_connect(broker, account):
    user = account(**EVERYTHING)
    user.permit_topics("amq.topic", write="^allowed")
    assert refused(broker, user, will=will_of("secret")) == 0x87
    assert refused(broker, user, will=will_of("$SYS/x")) == 0x87


def test_a_will_that_may_no_longer_be_published_is_not(account, client, mqtt, name):
    topic, user, watcher = name(), account(**EVERYTHING), mqtt()
    watcher.subscribe(f"{topic}/#", 1)
    for number, is_allowed in enumerate([True, False]):
        leaver = client(user, will={"topic": f"{topic}/{number}", "payload": b"gone", "qos": 1})
        if not is_allowed:
            user.permit_topics("amq.topic", write="^nothing")
        leaver.vanish()
        if is_allowed:
            assert watcher.receive().payload == b"gone"
    let_time_pass(0.3)
    assert watcher.messages.empty()


def test_who_has_no_name_has_the_rights_of_guest(own_broker, mqtt):
    management = Management(own_broker.http)
    management.put("topic-permissions/%2F/guest", {"exchange": "amq.topic", "write": "^open", "read": ".*"})
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("c")
        for packet_id, (topic, reason) in enumerate([("open", 0x10), ("closed", 0x87)], 1):
            raw.send(publish(topic, b"x", 1, packet_id))
            assert raw.expect_ack(PUBACK, packet_id) == reason


def test_connections_are_shown_with_their_user(broker, management, account, client):
    user = account(**EVERYTHING)
    client(user)

    def users():
        return [connection["user"] for connection in management.read("connections")]

    eventually(lambda: user.name in users(), "it is shown")
