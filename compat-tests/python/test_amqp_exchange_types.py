"""Exchanges that give each message to one of many: what the table of `conformance` cannot show."""

from collections import Counter

import pika
import pytest

from support.amqp_client import confirm, connect, drain
from support.mqtt_client import MqttClient
from support.waiting import eventually

HASH = "x-consistent-hash"
KEYS = [f"device-{number}" for number in range(300)]


def declare(channel, exchange, queues, **options):
    """A durable hash exchange with queues of a weight each."""
    channel.exchange_declare(exchange, HASH, durable=True, **options)
    for queue, weight in queues.items():
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, exchange, str(weight))


def homes(channel, exchange, queues, keys=KEYS):
    """Which queue the messages of each key go to."""
    for key in keys:
        channel.basic_publish(exchange, key, key.encode(), mandatory=True)
    return {body.decode(): queue for queue in queues for body in drain(channel, queue)}


def test_weights_are_the_parts_of_a_consistent_hash(channel, name):
    x = name()
    queues = {f"{x}-{weight}": weight for weight in (1, 2, 3)}
    declare(channel, x, queues)
    confirm(channel)
    keys = [f"key-{number}" for number in range(6000)]
    found = Counter(homes(channel, x, queues, keys).values())
    assert sum(found.values()) == 6000
    for queue, weight in queues.items():
        assert found[queue] == pytest.approx(1000 * weight, rel=0.12)


def test_only_the_share_of_a_queue_that_comes_or_goes_moves(channel, name):
    x = name()
    queues = {f"{x}-{number}": 1 for number in range(4)}
    declare(channel, x, queues)
    confirm(channel)
    before = homes(channel, x, queues)
    gone = f"{x}-2"
    channel.queue_unbind(gone, x, "1")
    after = homes(channel, x, queues)
    assert gone not in after.values() and gone in before.values()
    assert all(after[key] == home for key, home in before.items() if home != gone)
    channel.queue_bind(gone, x, "1")
    assert homes(channel, x, queues) == before


@pytest.mark.own_process
def test_a_key_keeps_its_queue_over_kill_9(own_broker, name):
    x = name()
    queues = {f"{x}-{number}": number + 1 for number in range(3)}
    channel = connect(own_broker.amqp).channel()
    declare(channel, x, queues, arguments={"hash-header": "tenant"})
    confirm(channel)

    def all_homes(channel):
        for key in KEYS:
            properties = pika.BasicProperties(headers={"tenant": key})
            channel.basic_publish(x, "any", key.encode(), properties, mandatory=True)
        return {body.decode(): queue for queue in queues for body in drain(channel, queue)}

    before = all_homes(channel)
    own_broker.kill_and_restart()
    channel = connect(own_broker.amqp).channel()
    confirm(channel)
    assert all_homes(channel) == before
    assert len(set(before.values())) == 3


def test_messages_of_mqtt_are_shared_out_by_their_topic(channel, broker, name):
    x = name()
    queues = {f"{x}-{number}": 1 for number in range(2)}
    declare(channel, x, queues)
    channel.exchange_bind(x, "amq.topic", f"{x}.#")
    client = MqttClient(broker.mqtt).connect()
    for _ in range(3):
        for number in range(20):
            client.publish(f"{x}/{number}", b"%d" % number, qos=1)
    found = {}

    def all_there():
        for queue in queues:
            found.setdefault(queue, []).extend(drain(channel, queue))
        return sum(len(bodies) for bodies in found.values()) == 60

    eventually(all_there, "every message in one queue")
    for bodies in found.values():
        assert set(Counter(bodies).values()) == {3}
    client.disconnect()


def test_the_management_api_has_the_types(management, name):
    x = name()
    overview = management.get("overview").json()
    types = {kind["name"] for kind in overview["exchange_types"]}
    assert {"direct", HASH, "x-modulus-hash", "x-random", "x-local-random"} <= types
    body = {"type": HASH, "durable": True, "arguments": {"hash-property": "message_id"}}
    assert management.put(f"exchanges/%2F/{x}", body).status_code == 201
    assert management.get(f"exchanges/%2F/{x}").json()["arguments"] == {"hash-property": "message_id"}
    refused = management.put(f"exchanges/%2F/{x}-2", {**body, "arguments": {"hash-property": "app_id"}})
    assert refused.status_code == 400
    assert "Unsupported property: app_id" in refused.json()["reason"]
