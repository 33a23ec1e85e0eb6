"""Data directories that earlier versions have written are read, and then written on in."""

import tarfile
from pathlib import Path

import pika
import pytest

from golden.contents import ARGUMENTS, QUEUED, RETAINED
from support.amqp_client import PERSISTENT, confirm, connect, drain, fill, get_one
from support.broker import Broker
from support.mqtt_client import MqttClient
from support.waiting import let_time_pass

pytestmark = pytest.mark.own_process
ARCHIVES = sorted((Path(__file__).parent / "golden").glob("*.tar.gz"))


def test_there_is_an_archive_of_every_format():
    assert {path.name.rsplit("-", 1)[0] for path in ARCHIVES} == {"format-1", "format-2"}


@pytest.mark.parametrize("restarts", [0, 2])
@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def test_what_an_earlier_version_has_kept_is_there(tmp_path, archive, restarts):
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    broker = Broker(tmp_path, ARGUMENTS)
    try:
        broker.start()
        for _ in range(restarts):
            # Long enough for a snapshot of this version.
            let_time_pass(1)
            broker.kill_and_restart()
        check_queues(broker)
        check_session(broker)
        check_retained(broker)
        broker.assert_sound()
        assert "is lost" not in broker.output() and "are lost" not in broker.output()
    finally:
        broker.stop()


def check_queues(broker):
    channel = connect(broker.amqp).channel()
    for queue in ("churn", "purged"):
        assert drain(channel, queue) == []
    taken = [get_one(channel, "work") for _ in range(71)]
    assert [body for _, _, body in taken] == [b"%d" % i for i in range(30, 100)] + [b"last"]
    assert [method.redelivered for method, _, _ in taken] == [True] * 5 + [False] * 66
    deep = drain(channel, "deep")
    assert deep == [b"%d %s" % (i, b"d" * 300) for i in range(0, 600, 10)]
    assert drain(channel, "logs") == [b"started"] and drain(channel, "picked") == [b"picked"]
    # The bindings are there as well.
    confirm(channel)
    channel.basic_publish("logs", "app.stop", b"stopped", PERSISTENT)
    channel.basic_publish("logs", "other", b"no", PERSISTENT)
    channel.basic_publish("picked", "", b"again", pika.BasicProperties(headers={"kind": "a"}))
    channel.basic_publish("picked", "", b"no", pika.BasicProperties(headers={"kind": "b"}))
    assert drain(channel, "logs") == [b"stopped"] and drain(channel, "picked") == [b"again"]
    fill(channel, "work", [b"new"], PERSISTENT)
    assert drain(channel, "work") == [b"new"]


def check_session(broker):
    subscriber = MqttClient(broker.mqtt, "sensor", clean=False, expiry=3600).connect()
    assert subscriber.session_present is True
    found = [(message.payload, message.qos) for message in subscriber.receive_many(len(QUEUED))]
    assert found == QUEUED
    MqttClient(broker.mqtt).connect().publish("t/y", b"new", 1)
    assert subscriber.receive().payload == b"new"


def check_retained(broker):
    watcher = MqttClient(broker.mqtt).connect()
    watcher.subscribe("r/#", 1)
    found = {message.topic: message.payload for message in watcher.receive_many(len(RETAINED))}
    assert found == RETAINED
