"""What waits for a client is bounded, however little it acknowledges and reads: unacknowledged messages of a channel, what
is on its way to a connection, and the retained messages that a subscription brings.
"""

import pytest
from pika import spec

from support.amqp_client import Collector, close_of_channel, connect, fill, synchronise
from support.management import Management
from support.metrics import scrape
from support.mqtt_client import MqttClient
from support.raw_amqp import METHOD, RawAmqp
from support.raw_mqtt import (
    DISCONNECT, PUBACK, PUBLISH, SUBACK, UNSUBACK, Publish, RawMqtt, ack, closing, publish, subscribe, unsubscribe)
from support.waiting import eventually

pytestmark = pytest.mark.own_process
UNACKED_MAX = 5
REFUSED = (406, f"PRECONDITION_FAILED - reached maximum ({UNACKED_MAX}) of unacknowledged messages per channel")


@pytest.fixture
def channel(start_with):
    """A channel that may have five messages, and a queue with eight in it."""
    broker = start_with(amqp_unacked_max=UNACKED_MAX)
    connection = connect(broker.amqp)
    channel = connection.channel()
    channel.queue_declare("q")
    fill(connection.channel(), "q", [b"%d" % number for number in range(8)])
    yield channel
    connection.close()


def refusals(broker):
    return scrape(broker).series.get(("leveret_limit_refusals_total", frozenset({("limit", "amqp_unacked_max")})))


def received(collector, count):
    """The bodies, when that many have come and no more follow."""
    collector.wait_for(count)
    synchronise(collector.channel)
    return collector.bodies()


def test_a_consumer_without_prefetch_gets_as_many_as_its_channel_may_have_and_then_one_for_each_it_acknowledges(channel):
    consumer = Collector(channel, "q")
    assert received(consumer, UNACKED_MAX) == [b"0", b"1", b"2", b"3", b"4"]
    channel.basic_ack(2)
    assert received(consumer, 6)[5:] == [b"5"]
    channel.basic_ack(6, multiple=True)
    assert received(consumer, 8)[6:] == [b"6", b"7"]


def test_the_consumers_of_a_channel_share_what_it_may_have(channel):
    channel.queue_declare("r")
    fill(channel.connection.channel(), "r", [b"r0", b"r1"])
    first = Collector(channel, "q")
    received(first, UNACKED_MAX)
    second = Collector(channel, "r")
    assert received(second, 0) == []
    channel.queue_purge("q")
    channel.basic_ack(1)
    assert received(second, 1) == [b"r0"], "an acknowledgement to one queue makes room for another"
    channel.queue_delete("q")
    assert received(second, 2) == [b"r0", b"r1"], "what was in a queue that is gone counts no more"


@pytest.mark.parametrize("prefetch, count", [(0, UNACKED_MAX), (3, 3), (7, UNACKED_MAX)])
def test_a_prefetch_of_the_channel_counts_up_to_the_limit(channel, prefetch, count):
    channel.basic_qos(prefetch_count=prefetch, global_qos=True)
    assert len(received(Collector(channel, "q"), count)) == count


def test_gets_are_refused_at_the_limit_unless_they_need_no_acknowledgement(start_with):
    broker = start_with(amqp_unacked_max=UNACKED_MAX)
    connection = connect(broker.amqp)
    channel = connection.channel()
    channel.queue_declare("q")
    fill(connection.channel(), "q", [b"x"] * 8)
    for _ in range(UNACKED_MAX):
        assert channel.basic_get("q")[0]
    assert channel.basic_get("q", auto_ack=True)[0] and refusals(broker) == 0
    channel.basic_ack(1)
    assert channel.basic_get("q")[0]
    assert close_of_channel(lambda: channel.basic_get("q")) == REFUSED
    assert refusals(broker) == 1
    connection.close()


def test_without_a_limit_a_consumer_gets_everything(start_with):
    broker = start_with(amqp_unacked_max=0)
    connection = connect(broker.amqp)
    channel = connection.channel()
    channel.queue_declare("q")
    fill(connection.channel(), "q", [b"x"] * 20)
    assert len(received(Collector(channel, "q"), 20)) == 20
    connection.close()


QUEUES, MESSAGES, SIZE = 10, 30, 100_000
# What the kernel takes of a client that does not read, at the most.
SOCKET_BYTES = 8 << 20


def test_what_is_on_its_way_to_a_connection_is_bounded_and_all_of_it_comes_once_the_client_reads(start_with):
    broker = start_with(connection_window="256KiB", consumer_window="2MiB", message_memory="8MiB")
    connection = connect(broker.amqp)
    channel = connection.channel()
    with RawAmqp(broker.amqp, seconds=30) as slow:
        slow.open()
        for queue in range(QUEUES):
            channel.queue_declare(str(queue))
            fill(channel, str(queue), [bytes(SIZE)] * MESSAGES)
        for queue in range(QUEUES):
            slow.method(1, spec.Basic.Consume(queue=str(queue), consumer_tag=str(queue)))
        taken = settled_count(lambda: unacknowledged(broker))
        assert 256 * 1024 <= sum(taken) * SIZE < 256 * 1024 + 2 * SIZE + SOCKET_BYTES < QUEUES * (2 << 20)
        bodies = dict.fromkeys(map(str, range(QUEUES)), 0)
        while sum(bodies.values()) < QUEUES * MESSAGES:
            kind, _, payload = slow.read_frame()
            if kind == METHOD and payload[:4] == spec.Basic.Deliver.INDEX.to_bytes(4, "big"):
                bodies[payload[5:5 + payload[4]].decode()] += 1
        assert set(bodies.values()) == {MESSAGES}
    connection.close()


def unacknowledged(broker):
    """What consumers have of each queue."""
    queues = Management(broker.http).read("queues")
    return tuple(queue["messages_unacknowledged"] for queue in queues)


def settled_count(count):
    """A count, once it is not zero and does not change any more."""
    seen = []

    def is_settled():
        seen.append(count())
        return sum(seen[-1]) > 0 and len(seen) > 4 and len(set(seen[-4:])) == 1

    eventually(is_settled, "nothing more is handed out", 30)
    return seen[-1]


RETAINED = 3000


@pytest.fixture
def retained(start_with):
    """A broker with three batches of retained messages."""
    broker = start_with(mqtt_sys_interval=0)
    with RawMqtt(broker.mqtt) as raw:
        raw.open("")
        raw.send(b"".join(publish(f"t/{number}", b"%d" % number, retain=True) for number in range(RETAINED))).ping()
    return broker


def read_all(raw, payloads, count, *others):
    """Reads and acknowledges until there are `count` payloads."""
    while len(payloads) < count:
        kind, flags, content = raw.read_packet()
        assert kind in (PUBLISH, SUBACK, *others)
        if kind == PUBLISH:
            message = Publish(flags, content, 5)
            payloads.append(int(message.payload))
            if message.qos:
                raw.send(ack(PUBACK, message.packet_id))
    return payloads


@pytest.mark.parametrize("expiry", [b"", b"\x11\0\0\1\0"], ids=["transient", "lasting"])
def test_a_subscription_brings_all_retained_messages_once_and_others_are_served_meanwhile(retained, expiry):
    with RawMqtt(retained.mqtt) as raw:
        raw.open("all", properties=expiry).send(subscribe(1, ("t/+", 0), ("t/1", 0)))
        assert sorted(read_all(raw, [], RETAINED + 1)) == sorted([*range(RETAINED), 1])
        raw.ping()


def test_what_is_said_behind_a_subscribe_takes_none_of_its_retained_messages_away(retained):
    with RawMqtt(retained.mqtt) as raw:
        # All of it arrives in one read, before any of it is answered.
        raw.open("").send(subscribe(1, ("t/+", 0)) + subscribe(2, ("t/1", 0)) + unsubscribe(3, "t/+"))
        assert sorted(read_all(raw, [], RETAINED + 1, UNSUBACK)) == sorted([*range(RETAINED), 1])


@pytest.mark.parametrize("leaves", ["disconnect", "takeover"])
def test_a_session_gets_the_rest_of_its_retained_messages_when_its_client_comes_back(start_with, leaves):
    broker = start_with(mqtt_sys_interval=0)
    with RawMqtt(broker.mqtt) as raw:
        # The subscription is no longer than a batch, its messages are.
        raw.open("")
        for first in range(0, RETAINED, 500):
            raw.send(b"".join(publish(f"t/{n}", b"%d" % n, 1, n + 1, retain=True) for n in range(first, first + 500)))
            for number in range(first, first + 500):
                raw.expect_ack(PUBACK, number + 1)
    session = {"properties": b"\x11\0\0\1\0", "flags": 0}
    first = RawMqtt(broker.mqtt).open("s", **session)
    first.send(subscribe(1, ("#", 1)))
    # The answer comes after the first batch was queued, and before the others.
    assert first.expect(SUBACK)[-1] == 1
    if leaves == "disconnect":
        first.send(closing(DISCONNECT))
        first.read_to_end()
    with RawMqtt(broker.mqtt) as again:
        again.open("s", expect_present=True, **session)
        assert sorted(set(read_all(again, [], RETAINED))) == list(range(RETAINED))
        again.ping()
    first.socket.close()


def test_a_retained_message_that_is_published_meanwhile_is_not_lost(retained):
    with RawMqtt(retained.mqtt) as raw:
        raw.open("").send(subscribe(1, ("#", 0)))
        publisher = MqttClient(retained.mqtt).connect()
        publisher.publish("t/z", b"9999", 1, retain=True)
        publisher.stop()
        payloads = read_all(raw, [], RETAINED + 1)
        assert set(payloads) >= {*range(RETAINED), 9999}
