"""The audit log: logins, entries into virtual hosts and changes of AMQP and MQTT clients, and its file."""

import json
import os
import signal

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from support.amqp_client import connect as connect_amqp
from support.broker import Broker
from support.management import Management
from support.metrics import scrape
from support.mqtt_client import MqttClient
from support.raw_mqtt import RawMqtt, connect, text
from support.waiting import eventually

pytestmark = pytest.mark.own_process


class Log:
    """A file of JSON objects, one on each line."""

    def __init__(self, path):
        self.path = path

    def events(self, **fields):
        """The events with these fields."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [event for event in map(json.loads, lines)
                if all(event.get(name) == value for name, value in fields.items())]

    def find(self, **fields):
        """Waits for an event."""
        return eventually(lambda: next(iter(self.events(**fields)), None), f"{fields} in {self.path}")


@pytest.fixture
def audited(tmp_path):
    """A broker with an audit log."""
    broker = Broker(tmp_path, ["--audit-log-path", str(tmp_path / "audit")])
    broker.audit = Log(tmp_path / "audit")
    try:
        yield broker.start()
        broker.assert_sound()
    finally:
        broker.stop()


def test_amqp_logins_and_vhosts(audited):
    connection = connect_amqp(audited.amqp)
    login = audited.audit.find(event="login", protocol="AMQP 0-9-1")
    assert (login["outcome"], login["user"], login["mechanism"]) == ("success", "guest", "PLAIN")
    assert audited.audit.find(event="open", peer=login["peer"])["vhost"] == "/"
    connection.close()
    parameters = {"host": audited.amqp[0], "port": audited.amqp[1]}
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(pika.ConnectionParameters(
            **parameters, credentials=pika.PlainCredentials("guest", "not-the-password")))
    assert audited.audit.find(event="login", outcome="failure")["user"] == "guest"
    with pytest.raises(ProbableAccessDeniedError):
        pika.BlockingConnection(pika.ConnectionParameters(**parameters, virtual_host="absent"))
    assert "not found" in audited.audit.find(event="open", outcome="failure", vhost="absent")["reason"]
    assert "not-the-password" not in audited.audit.path.read_text()


def test_mqtt_logins(audited, name):
    client_id = name()
    MqttClient(audited.mqtt, client_id).connect().stop()
    assert audited.audit.find(event="open", vhost="/")["user"] == "guest"
    with RawMqtt(audited.mqtt) as raw:
        raw.open(name())
        login = audited.audit.find(event="login", mechanism="ANONYMOUS")
        assert login["outcome"] == "success" and login["protocol"].startswith("MQTT")
    with RawMqtt(audited.mqtt) as raw:
        raw.send(connect(name(), flags=0xC2, rest=text("guest") + text("not-the-password")))
        assert audited.audit.find(event="login", outcome="failure")["mechanism"] == "PLAIN"
    assert "not-the-password" not in audited.audit.path.read_text()


def test_amqp_deletes_purges_and_what_is_refused(audited, name):
    channel = connect_amqp(audited.amqp).channel()
    queue, exchange = name(), name()
    channel.queue_declare(queue)
    channel.exchange_declare(exchange)
    channel.queue_purge(queue)
    channel.queue_delete(queue)
    channel.queue_delete(queue)
    channel.exchange_delete(exchange)
    with pytest.raises(ChannelClosedByBroker):
        channel.exchange_delete("amq.topic")
    refused = audited.audit.find(event="refused")
    assert refused["user"] == "guest" and "amq.topic" in refused["reason"]
    changes = [(event["action"], event["name"]) for event in audited.audit.events(event="change")]
    assert changes == [("queue.purge", queue), ("queue.delete", queue), ("exchange.delete", exchange)]


def test_a_log_that_was_moved_away_goes_on_in_a_new_file_at_a_hangup(audited, tmp_path, name):
    audited.audit.path.rename(tmp_path / "audit.1")
    MqttClient(audited.mqtt, name()).connect().stop()
    Log(tmp_path / "audit.1").find(event="open")
    audited.process.send_signal(signal.SIGHUP)
    eventually(audited.audit.path.exists, "a new file")
    assert audited.audit.path.stat().st_mode & 0o777 & ~0o640 == 0
    MqttClient(audited.mqtt, name()).connect().stop()
    audited.audit.find(event="open")
    assert audited.terminate() == 0
    assert audited.audit.events()[-1]["event"] == "stop"
    audited.start()


def test_a_disk_that_is_full_is_logged_once_and_holds_nobody_up(tmp_path, name):
    broker = Broker(tmp_path, ["--audit-log-path", "/dev/full"])
    try:
        broker.start()
        for _ in range(5):
            MqttClient(broker.mqtt, name()).connect().stop()
        line = "the audit log cannot be written"
        eventually(lambda: line in broker.output(), f"the line {line!r}")
        assert broker.output().count(line) == 1
        # The start, and a login and an entry of each client.
        lost = ("leveret_audit_events_lost_total", frozenset())
        eventually(lambda: scrape(broker).series[lost] == 11, "what is lost is counted")
        assert broker.terminate() == 0
    finally:
        broker.stop()


def test_a_hyphen_is_the_log_and_a_path_that_cannot_be_stops_the_start(tmp_path, name):
    broker = Broker(tmp_path, ["--audit-log-path", "-"])
    try:
        broker.start()
        Management(broker.http).put("vhosts/v")
        eventually(lambda: '"path":"/api/vhosts/v"' in broker.output(), "the change in the log")
    finally:
        broker.stop()
    broker = Broker(tmp_path, ["--audit-log-path", str(tmp_path / "absent" / "audit")])
    broker.launch()
    assert broker.process.wait(20) == 1
    assert f"{tmp_path}/absent/audit: the audit log cannot be opened" in broker.output()
    assert not os.path.exists(tmp_path / "absent")
