"""Policies apply to MQTT sessions, which are queues called `mqtt.<client identifier>`."""

import pytest

from support.amqp_client import get_one
from support.raw_mqtt import PUBACK, PUBCOMP, PUBREC, PUBREL, RawMqtt, ack, publish, u32
from support.waiting import eventually, let_time_pass


@pytest.fixture
def policy(management, name):
    """Makes policies for one session: `policy(client_id, {"max-length": 1})`."""
    made = []

    def make(client_id, definition):
        made.append(name("policy"))
        body = {"pattern": f"^mqtt\\.{client_id}$", "definition": definition, "apply-to": "queues"}
        assert management.put(f"policies/%2F/{made[-1]}", body).status_code == 201
    yield make
    for one in made:
        management.delete(f"policies/%2F/{one}")


@pytest.fixture
def away(mqtt, name):
    """Makes a session without its client: `away(topic)` gives the client identifier."""
    def make(topic):
        client_id = name("client")
        client = mqtt(client_id, clean=False, expiry=600)
        client.subscribe(topic, 2)
        client.disconnect()
        return client_id
    return make


def came(mqtt, client_id):
    """What waited for a client."""
    client = mqtt(client_id, clean=False, expiry=600)
    let_time_pass(0.2)
    client.disconnect()
    return [client.messages.get().payload for _ in range(client.messages.qsize())]


def test_a_maximum_length_drops_the_oldest(mqtt, name, away, policy):
    topic = name("topic")
    client_id = away(topic)
    policy(client_id, {"max-length": 2})
    publisher = mqtt()
    for number in range(4):
        publisher.publish(topic, b"%d" % number, 1)
    assert came(mqtt, client_id) == [b"2", b"3"]


def test_a_maximum_of_bytes_counts(mqtt, name, away, policy):
    topic = name("topic")
    client_id = away(topic)
    policy(client_id, {"max-length-bytes": 25})
    publisher = mqtt()
    for number in range(4):
        publisher.publish(topic, b"%d" % number * 10, 1)
    assert came(mqtt, client_id) == [b"2" * 10, b"3" * 10]


@pytest.mark.parametrize("qos, receipt", [(1, PUBACK), (2, PUBREC)])
def test_a_session_that_refuses_more_refuses_with_quota_exceeded(broker, mqtt, name, away, policy, qos, receipt):
    topic = name("topic")
    client_id = away(topic)
    policy(client_id, {"max-length": 1, "overflow": "reject-publish"})
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name(), properties=b"\x11" + u32(600))
        assert raw.send(publish(topic, b"first", qos, 1)).expect_ack(receipt, 1) == 0
        if qos == 2:
            raw.send(ack(PUBREL, 1)).expect_ack(PUBCOMP, 1)
        assert raw.send(publish(topic, b"second", qos, 2)).expect_ack(receipt, 2) == 0x97
        # The packet identifier is free again: this is another message, not a repetition.
        assert came(mqtt, client_id) == [b"first"]
        assert raw.send(publish(topic, b"third", qos, 2)).expect_ack(receipt, 2) == 0
    assert came(mqtt, client_id) == [b"third"]


def test_what_a_session_refuses_may_have_gone_elsewhere(broker, mqtt, name, away, policy):
    """A second subscriber has the message, and has it twice if the publisher repeats it; like a nack in AMQP."""
    topic = name("topic")
    full, other = away(topic), away(topic)
    policy(full, {"max-length": 0, "overflow": "reject-publish"})
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name(), properties=b"\x11" + u32(600))
        for _ in range(2):
            assert raw.send(publish(topic, b"x", 2, 1)).expect_ack(PUBREC, 1) == 0x97
    assert (came(mqtt, full), came(mqtt, other)) == ([], [b"x", b"x"])


def test_a_time_to_live_drops_what_waits_too_long(mqtt, name, away, policy):
    topic = name("topic")
    client_id = away(topic)
    policy(client_id, {"message-ttl": 1500})
    publisher = mqtt()
    publisher.publish(topic, b"old", 1)
    let_time_pass(2)
    publisher.publish(topic, b"new", 1)
    assert came(mqtt, client_id) == [b"new"]


@pytest.mark.parametrize("definition, reason", [({"max-length": 1}, "maxlen"), ({"message-ttl": 100}, "expired")])
def test_what_is_dropped_becomes_a_dead_letter(channel, mqtt, name, away, policy, definition, reason):
    topic, queue = name("topic"), name("dead")
    channel.queue_declare(queue, durable=True)
    client_id = away(topic)
    policy(client_id, {**definition, "dead-letter-exchange": "", "dead-letter-routing-key": queue})
    publisher = mqtt()
    publisher.publish(topic, b"1", 1, UserProperty=[("k", "v")])
    publisher.publish(topic, b"2", 1)
    _, properties, body = eventually(lambda: get_one(channel, queue), "a dead letter")
    assert body == b"1" and properties.headers["k"] == "v"
    assert properties.headers["x-death"][0]["queue"] == f"mqtt.{client_id}"
    assert properties.headers["x-death"][0]["reason"] == reason


def test_a_policy_is_in_force_for_what_waits_already(mqtt, name, away, policy):
    topic = name("topic")
    client_id = away(topic)
    publisher = mqtt()
    for number in range(4):
        publisher.publish(topic, b"%d" % number, 1)
    policy(client_id, {"max-length": 1})
    assert came(mqtt, client_id) == [b"3"]
