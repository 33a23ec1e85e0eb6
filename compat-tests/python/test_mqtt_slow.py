"""Subscribers that do not read, or are away: what they cost, and whom."""

import time

import pytest

from support.broker import Broker
from support.mqtt_client import MqttClient
from support.raw_mqtt import PUBACK, RawMqtt, ack, publish, u32

pytestmark = [pytest.mark.own_process, pytest.mark.timeout(180)]
MIB = 1024 * 1024
COUNT, BODY = 40_000, 2000
# What 80 MB of messages may take: two buffers on the way to the disk, and what the allocator has not given back.
MEMORY_MAX = 70 * MIB
# With little memory for messages, and for what is on its way to the disk.
ARGUMENTS = ["--message-memory", "4MiB", "--storage-segment-size", "4MiB", "--storage-backlog-max", "8MiB"]
EXPIRY = b"\x11" + u32(3600)


@pytest.fixture
def small(tmp_path):
    """A broker with little memory."""
    broker = Broker(tmp_path, ARGUMENTS)
    try:
        yield broker.start()
        broker.assert_sound()
    finally:
        broker.stop()


def fill(broker, qos):
    """Publishes 80 MB; with QoS 1, a hundred at a time are unacknowledged. Gives the largest memory in bytes."""
    largest = 0
    with RawMqtt(broker.mqtt, seconds=60) as raw:
        raw.open("publisher")
        for start in range(0, COUNT, 100):
            numbers = range(start, start + 100)
            raw.send(b"".join(publish("t", b"%08d" % n + b"x" * BODY, qos, n - start + 1) for n in numbers))
            for number in numbers if qos else ():
                assert raw.expect_ack(PUBACK, number - start + 1) == 0
            if start % 2000 == 0:
                largest = max(largest, broker.resident_bytes())
        raw.ping()
    return max(largest, broker.resident_bytes())


@pytest.mark.parametrize("is_connected", [False, True])
def test_a_backlog_of_a_session_costs_disk_and_no_memory_and_comes_in_order(small, is_connected):
    stuck = RawMqtt(small.mqtt, seconds=60)
    stuck.open("stuck", properties=EXPIRY)
    stuck.subscribe(("t", 1))
    if not is_connected:
        stuck.socket.close()
    before = small.resident_bytes()
    assert fill(small, 1) < before + MEMORY_MAX
    stuck.socket.close()
    with RawMqtt(small.mqtt, seconds=60) as raw:
        raw.open("stuck", flags=0, properties=EXPIRY, expect_present=True)
        for number in range(COUNT):
            message = raw.expect_publish()
            assert message.payload.startswith(b"%08d" % number)
            raw.send(ack(PUBACK, message.packet_id))


def test_qos_0_for_a_client_that_does_not_read_has_a_limit(tmp_path):
    broker = Broker(tmp_path, [*ARGUMENTS, "--mqtt-queued-max", "1000"])
    try:
        broker.start()
        with RawMqtt(broker.mqtt, seconds=60) as stuck:
            stuck.open("stuck")
            stuck.subscribe(("t", 0))
            before = broker.resident_bytes()
            # What waits in the broker is less than 10 MiB; the rest is what allocators keep.
            assert fill(broker, 0) < before + 40 * MIB
            assert sum(path.stat().st_size for path in broker.data.iterdir()) < 40 * MIB
            # What was on its way to the socket comes, then the newest.
            numbers = [int(stuck.expect_publish().payload[:8])]
            while numbers[-1] != COUNT - 1:
                numbers.append(int(stuck.expect_publish().payload[:8]))
            assert numbers == sorted(numbers) and numbers[0] == 0
            assert numbers[-1000:] == list(range(COUNT - 1000, COUNT)) and len(numbers) < COUNT
        broker.assert_sound()
    finally:
        broker.stop()


def test_a_client_that_does_not_read_delays_no_other(small):
    with RawMqtt(small.mqtt, seconds=60) as stuck:
        stuck.open("stuck", properties=EXPIRY)
        stuck.subscribe(("#", 1))
        fill(small, 1)
        client = MqttClient(small.mqtt, "quick").connect()
        client.subscribe("quick", 0)
        publisher = MqttClient(small.mqtt, "other").connect()
        delays = []
        for number in range(200):
            started = time.monotonic()
            publisher.publish("quick", b"%d" % number, 0)
            assert client.receive().payload == b"%d" % number
            delays.append(time.monotonic() - started)
        assert sorted(delays)[100] < 0.02, "the median is what it would be alone, with room for a busy machine"
        client.stop()
        publisher.stop()
