"""Deep queues and many queues: a backlog costs disk and not memory, keeps its order, and survives."""

import itertools

import pytest
from pika import spec

from support.broker import Broker
from support.raw_amqp import RawAmqp, publish
from support.waiting import eventually

pytestmark = [pytest.mark.own_process, pytest.mark.timeout(180)]
PERSISTENT = spec.BasicProperties(delivery_mode=2)
MIB = 1024 * 1024
# What a backlog may take beyond the memory for messages: buffers on the way to the disk.
MEMORY_MIB, BUFFERS_MIB, SEGMENT_MIB = 4, 40, 4
ARGUMENTS = ["--message-memory", f"{MEMORY_MIB}MiB", "--storage-segment-size", f"{SEGMENT_MIB}MiB",
             "--storage-backlog-max", "8MiB"]
BATCH = 5000


@pytest.fixture
def small(tmp_path):
    """A broker with little memory for messages."""
    broker = Broker(tmp_path, ARGUMENTS)
    try:
        yield broker.start()
        assert "is lost" not in broker.output()
        broker.assert_sound()
    finally:
        broker.stop()


def declare(raw, queues):
    for queue in queues:
        raw.method(1, spec.Queue.Declare(queue=queue, durable=True, nowait=True))
    raw.call(1, spec.Confirm.Select(), spec.Confirm.SelectOk)


def fill(raw, queues, per_queue):
    """Messages of 100 bytes with growing numbers, to each queue in turn, confirmed."""
    sent, confirmed = 0, 0
    numbers = ((queue, number) for number in range(per_queue) for queue in queues)
    while batch := list(itertools.islice(numbers, BATCH)):
        raw.socket.sendall(b"".join(publish(1, "", q, b"%08d" % n + b"x" * 92, PERSISTENT) for q, n in batch))
        sent += len(batch)
        while confirmed < sent:
            confirmed = raw.expect(spec.Basic.Ack).delivery_tag


def take(raw, queues, per_queue):
    """Consumes and acknowledges everything, and checks the order in each queue."""
    raw.call(1, spec.Basic.Qos(prefetch_count=500), spec.Basic.QosOk)
    for queue in queues:
        raw.method(1, spec.Basic.Consume(queue=queue, consumer_tag=queue, nowait=True))
    expected = dict.fromkeys(queues, 0)
    for count in range(1, len(queues) * per_queue + 1):
        delivery = raw.expect(spec.Basic.Deliver)
        raw.read_frame()
        number = int(raw.read_frame()[2][:8])
        assert number == expected[delivery.routing_key], delivery.routing_key
        expected[delivery.routing_key] += 1
        if count % 100 == 0:
            raw.method(1, spec.Basic.Ack(delivery.delivery_tag, True))
    assert set(expected.values()) == {per_queue}


def disk_mib(broker):
    return sum(path.stat().st_size for path in broker.data.iterdir()) / MIB


@pytest.mark.parametrize("queues, per_queue", [(1, 300_000), (2000, 100)])
def test_a_backlog_costs_disk_and_not_memory(small, queues, per_queue):
    names = [f"q{number}" for number in range(queues)]
    with RawAmqp(small.amqp, 30) as raw:
        declare(raw.open(), names)
        before = small.resident_bytes()
        fill(raw, names, per_queue)
        grown = (small.resident_bytes() - before) / MIB
        # As objects in memory they would take 300 bytes and more each.
        assert grown < MEMORY_MIB + BUFFERS_MIB, f"{grown} MiB"
    small.kill_and_restart()
    assert (small.resident_bytes() - before) / MIB < MEMORY_MIB + BUFFERS_MIB
    with RawAmqp(small.amqp, 30) as raw:
        take(raw.open(), names, per_queue)
        eventually(lambda: disk_mib(small) <= 3 * SEGMENT_MIB, "the disk space comes back", 20)
