"""A disk that is nearly full, full, or broken: nobody loses what was promised, and who can go on does."""

import threading

import pytest
from pika import spec

from support.amqp_client import PERSISTENT, confirm, connect, drain, fill, get_one
from support.broker import Broker
from support.management import Management
from support.mqtt_client import MqttClient
from support.raw_amqp import RawAmqp, method, publish
from support.raw_mqtt import PUBACK, RawMqtt
from support.raw_mqtt import publish as mqtt_publish
from support.small_disk import MIB, SmallDisk
from support.waiting import eventually, let_time_pass

pytestmark = pytest.mark.own_process
FLOOR = 40 * MIB
HEARTBEAT = 8
SEGMENT = ["--storage-segment-size", "1MiB"]


@pytest.fixture
def disk(tmp_path):
    """A file system of 96 MiB."""
    disk = SmallDisk(tmp_path)
    yield disk
    disk.unmount()


@pytest.fixture
def broker_on(tmp_path, disk):
    """Starts a broker that keeps its data there, and its log elsewhere."""
    started = []

    def start(*arguments):
        (tmp_path / "data").symlink_to(disk.path)
        broker = Broker(tmp_path, [*SEGMENT, *arguments])
        started.append(broker)
        return broker.start()

    yield start
    for broker in started:
        broker.stop()


class Publisher(threading.Thread):
    """An AMQP connection that publishes with confirms, and notes what it is told."""

    def __init__(self, broker, queue):
        super().__init__(daemon=True)
        self.queue, self.confirmed, self.told = queue, 0, []
        self.connection = connect(broker.amqp, blocked_connection_timeout=None)
        self.connection.add_on_connection_blocked_callback(lambda _c, frame: self.told.append(frame.method.reason))
        self.connection.add_on_connection_unblocked_callback(lambda _c, _f: self.told.append("unblocked"))
        self.stopped = threading.Event()

    def run(self):
        """Until it is stopped, or the broker is gone."""
        channel = self.connection.channel()
        channel.confirm_delivery()
        try:
            while not self.stopped.is_set():
                channel.basic_publish("", self.queue, b"%d %s" % (self.confirmed, b"x" * 2000), PERSISTENT)
                self.confirmed += 1
                self.connection.process_data_events(0.001)
        except Exception:  # noqa: BLE001: whatever the client makes of a broker that stops
            pass


def test_below_the_floor_publishers_wait_and_consumers_go_on(broker_on, disk):
    broker = broker_on("--disk-free-min", str(FLOOR))
    channel = connect(broker.amqp).channel()
    channel.queue_declare("q", durable=True)
    channel.queue_bind("q", "amq.topic", "t")
    fill(channel, "q", [b"before"], PERSISTENT)
    publisher, mqtt = Publisher(broker, "q"), MqttClient(broker.mqtt).connect()
    publisher.start()
    eventually(lambda: publisher.confirmed > 10, "it publishes")
    disk.leave(FLOOR - MIB)
    eventually(lambda: publisher.told == ["low on disk"], "the publisher is told", 10)
    waiting = [mqtt.publish_soon("t", b"late", 1) for _ in range(2)]
    let_time_pass(0.5)
    confirmed = publisher.confirmed
    node = Management(broker.http).read("nodes")[0]
    assert node["disk_free_alarm"] is True and node["disk_free"] < FLOOR and node["mem_alarm"] is False
    # Somebody who only consumes is not held back, nor is its acknowledgement.
    tag, _, body = get_one(channel, "q", auto_ack=False)
    channel.basic_ack(tag.delivery_tag)
    assert body == b"before" and get_one(channel, "q")[2].startswith(b"0 ")
    let_time_pass(0.5)
    assert publisher.confirmed == confirmed and publisher.told == ["low on disk"]
    assert not waiting[1].is_published(), "MQTT publishers wait too, after the first"
    disk.give_back()
    eventually(lambda: publisher.told == ["low on disk", "unblocked"], "it ends by itself", 10)
    eventually(lambda: publisher.confirmed > confirmed + 10, "it publishes again")
    eventually(waiting[1].is_published, "MQTT publishers go on as well")
    publisher.stopped.set()
    publisher.join(10)
    broker.assert_sound()


@pytest.fixture
def low(broker_on, disk):
    """A broker under an alarm."""
    broker = broker_on("--disk-free-min", str(FLOOR))
    connection = connect(broker.amqp)
    connection.channel().queue_declare("q", durable=True)
    connection.close()
    disk.leave(FLOOR - MIB)
    eventually(lambda: Management(broker.http).read("nodes")[0]["disk_free_alarm"], "the alarm")
    yield broker
    broker.assert_sound()


def states(broker):
    """The states of all connections."""
    return sorted(each["state"] for each in Management(broker.http).read("connections"))


def test_who_publishes_nothing_is_not_told_and_does_not_wait(low):
    with RawAmqp(low.amqp) as raw:
        raw.open().declare("other", durable=True)
        raw.declare("other", durable=True)
        assert states(low)[-1] == "running"
        raw.send(publish(1, "", "q", b"x"))
        assert raw.expect(spec.Connection.Blocked).reason == "low on disk"
        assert "blocked" in states(low)


def test_a_blocked_client_is_not_dropped_for_its_silence_and_hears_heartbeats(low, disk):
    with RawAmqp(low.amqp) as raw:
        raw.open(heartbeat=1).send(publish(1, "", "q", b"x"))
        raw.expect(spec.Connection.Blocked)
        for _ in range(8):
            assert raw.read_frame()[0] == HEARTBEAT
        disk.give_back()
        eventually(lambda: raw.read_frame()[0] != HEARTBEAT, "connection.unblocked")
        raw.declare("q", durable=True)


def test_a_blocked_client_hears_that_the_broker_stops(low):
    with RawAmqp(low.amqp) as raw:
        raw.open().send(publish(1, "", "q", b"x"))
        raw.expect(spec.Connection.Blocked)
        raw.send(publish(1, "", "q", b"x" * MIB))
        low.process.terminate()
        assert raw.expect(spec.Connection.Close).reply_code == 320
        raw.send(method(0, spec.Connection.CloseOk()))
        assert low.process.wait(5) == 0
    low.start()


def test_mqtt_clients_outlive_an_alarm_that_is_longer_than_their_keep_alive(low, disk):
    subscriber = MqttClient(low.mqtt, keep_alive=1).connect()
    subscriber.subscribe("t", 1)
    with RawMqtt(low.mqtt) as raw:
        raw.open("publisher", keep_alive=1).send(mqtt_publish("t", b"the last", 1, packet_id=1))
        raw.expect_ack(PUBACK, 1)
        raw.send(mqtt_publish("t", b"later", 1, packet_id=2))
        assert subscriber.receive().payload == b"the last"
        let_time_pass(3)
        assert subscriber.messages.empty() and subscriber.paho.is_connected()
        disk.give_back()
        raw.expect_ack(PUBACK, 2)
        assert subscriber.receive().payload == b"later"


def test_short_memory_holds_publishers_back_too(tmp_path):
    broker = Broker(tmp_path, ["--memory-max", "1MiB"])
    try:
        broker.start()
        channel = connect(broker.amqp).channel()
        channel.queue_declare("q")
        publisher = Publisher(broker, "q")
        publisher.start()
        eventually(lambda: publisher.told == ["low on memory"], "the publisher is told", 10)
        answer = Management(broker.http).post("exchanges/%2F/amq.default/publish", {
            "properties": {}, "routing_key": "q", "payload": "x", "payload_encoding": "string"})
        assert (answer.status_code, answer.json()["reason"]) == (503, "low on memory")
        broker.assert_sound()
    finally:
        broker.stop()


def test_a_full_disk_stops_the_broker_and_loses_nothing(broker_on, disk):
    broker = broker_on("--disk-free-min", "0")
    connect(broker.amqp).channel().queue_declare("q", durable=True)
    disk.leave(2 * MIB)
    publisher = Publisher(broker, "q")
    publisher.start()
    eventually(lambda: not broker.is_running(), "the broker stops", 30)
    publisher.join(10)
    assert broker.process.returncode == 1
    assert "the journal has failed" in broker.output() and "No space left on device" in broker.output()
    disk.give_back()
    broker.start()
    check_all_there(broker, publisher)


def test_a_disk_that_becomes_read_only_stops_the_broker_and_loses_nothing(broker_on, disk):
    broker = broker_on("--disk-free-min", "0")
    connect(broker.amqp).channel().queue_declare("q", durable=True)
    publisher = Publisher(broker, "q")
    publisher.start()
    eventually(lambda: publisher.confirmed > 200, "it publishes")
    disk.break_down()
    eventually(lambda: not broker.is_running(), "the broker stops", 30)
    publisher.join(10)
    assert "the journal has failed" in broker.output()
    again = Broker(broker.directory, broker.arguments)
    with pytest.raises(AssertionError, match="ended with status 1"):
        again.start()
    assert "cannot be used" in again.output() or "Read-only file system" in again.output()
    disk.repair()
    broker.start()
    check_all_there(broker, publisher)


def check_all_there(broker, publisher):
    """What was confirmed, in order, and at the most one more that was under way."""
    found = [int(body.split()[0]) for body in drain(connect(broker.amqp).channel(), "q")]
    assert found == list(range(len(found)))
    assert publisher.confirmed <= len(found) <= publisher.confirmed + 1
