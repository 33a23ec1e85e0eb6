"""AMQP and MQTT over Unix sockets. pika knows none, so AMQP is spoken by hand."""

import os
import stat
import subprocess

import pytest
from pika import spec

from support.broker import Broker, clean_environment
from support.management import Management, segment
from support.mqtt_client import MqttClient
from support.raw_amqp import RawAmqp, publish
from support.raw_mqtt import RawMqtt
from support.waiting import eventually

pytestmark = pytest.mark.own_process


@pytest.fixture
def local(tmp_path):
    """A broker with both sockets."""
    broker = Broker(tmp_path, [
        "--amqp-unix-path", str(tmp_path / "amqp"), "--mqtt-unix-path", str(tmp_path / "mqtt"), "--event-exchange", "true"])
    broker.amqp_path, broker.mqtt_path = tmp_path / "amqp", tmp_path / "mqtt"
    try:
        yield broker.start()
        broker.assert_sound()
    finally:
        broker.stop()


def second(tmp_path, *arguments):
    """Another broker, which has to fail: what it says."""
    broker = Broker(tmp_path, arguments)
    broker.data = tmp_path / "second"
    finished = subprocess.run(
        broker.command(), capture_output=True, text=True, timeout=20, env=clean_environment(), check=False)
    assert finished.returncode not in (0, None)
    lines = [line for line in finished.stderr.splitlines() if line.startswith("leveret: ")]
    assert len(lines) == 1 and "panicked" not in finished.stderr, finished.stderr
    return lines[0]


@pytest.mark.parametrize("version", [3, 5])
def test_paho_speaks_qos_2_with_large_payloads(local, name, version):
    client = MqttClient((str(local.mqtt_path), 1883), name(), version, transport="unix").connect()
    try:
        client.subscribe("t", 2)
        for payload in (b"hello", bytes(3_000_000)):
            client.publish("t", payload, 2)
            assert client.receive().payload == payload
    finally:
        client.stop()


def test_amqp_publishes_and_consumes(local):
    with RawAmqp(local.amqp_path).open() as client:
        queue = client.declare("q")
        client.call(1, spec.Confirm.Select(), spec.Confirm.SelectOk)
        client.send(publish(1, "", queue, b"hello"))
        client.expect(spec.Basic.Ack)
        assert client.call(1, spec.Basic.Get(queue=queue), spec.Basic.GetOk).routing_key == queue


def test_guest_and_anonymous_clients_are_let_in_as_from_this_machine(local, name):
    with RawMqtt(local.mqtt_path) as mqtt, RawAmqp(local.amqp_path) as amqp:
        mqtt.open(name())
        amqp.open()


def test_management_and_events_show_process_and_path(local, name):
    management = Management(local.http)
    with RawAmqp(local.amqp) as watcher:
        watcher.open()
        queue = watcher.declare("events")
        bind = spec.Queue.Bind(queue=queue, exchange="amq.rabbitmq.event", routing_key="connection.created")
        watcher.call(1, bind, spec.Queue.BindOk)
        with RawMqtt(local.mqtt_path).open(name()), RawMqtt(local.mqtt_path).open(name()):
            names = [f"unix:{os.getpid()}.{number} -> unix:{local.mqtt_path}" for number in (1, 2)]
            for shown in [management.find("connections", name=known) for known in names]:
                assert (shown["peer_host"], shown["peer_port"]) == (f"unix:{os.getpid()}", 0)
                assert (shown["host"], shown["port"]) == (f"unix:{local.mqtt_path}", 0)
                assert shown["protocol"] == "MQTT 5-0"
            # The event of the watcher's own connection may come late, in front of it.
            seen = []

            def is_seen():
                got = management.post("queues/%2F/events/get", {
                    "count": 10, "ackmode": "ack_requeue_false", "encoding": "auto"}).json()
                seen.extend(event["properties"]["headers"]["name"] for event in got)
                return names[0] in seen

            eventually(is_seen, f"the event of {names[0]} among {seen}")


def test_an_operator_closes_a_connection_by_its_name(local, name):
    management = Management(local.http)
    with RawMqtt(local.mqtt_path).open(name()) as client:
        shown = management.find("connections", state="running")
        assert management.delete(f"connections/{segment(shown['name'])}").status_code == 204
        client.expect_disconnect(0x98)


@pytest.mark.parametrize("arguments, mode", [([], 0o660), (["--unix-socket-mode", "600"], 0o600)])
def test_the_file_has_the_mode_that_is_set(tmp_path, arguments, mode):
    broker = Broker(tmp_path, ["--amqp-unix-path", str(tmp_path / "amqp"), *arguments])
    try:
        broker.start()
        assert stat.S_IMODE((tmp_path / "amqp").stat().st_mode) == mode
    finally:
        broker.stop()


def test_a_stop_removes_the_files_and_a_start_replaces_those_of_a_killed_broker(local, name):
    assert local.terminate() == 0
    assert not local.amqp_path.exists() and not local.mqtt_path.exists()
    local.start()
    local.kill()
    assert local.amqp_path.exists() and local.mqtt_path.exists()
    local.start()
    with RawMqtt(local.mqtt_path) as client:
        client.open(name())


def test_the_socket_of_a_running_broker_is_left_alone(local, tmp_path, name):
    line = second(tmp_path, "--amqp-unix-path", str(local.amqp_path))
    assert str(local.amqp_path) in line and "another program listens there" in line
    with RawAmqp(local.amqp_path) as client:
        client.open()


def test_what_is_no_socket_is_left_alone(tmp_path):
    (tmp_path / "notes").write_text("mine")
    line = second(tmp_path, "--mqtt-unix-path", str(tmp_path / "notes"))
    assert str(tmp_path / "notes") in line and "not a socket" in line
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_path_that_cannot_be_is_one_clear_line(tmp_path):
    for path in (tmp_path / "absent" / "s", tmp_path / ("x" * 120)):
        line = second(tmp_path, "--mqtt-unix-path", str(path))
        assert str(path) in line


def test_the_broker_prints_the_paths(local):
    for protocol, path in (("amqp", local.amqp_path), ("mqtt", local.mqtt_path)):
        line = f"listening for {protocol} on {path}"
        eventually(lambda line=line: line in local.output(), f"the line {line!r}")


def test_a_client_that_says_nothing_is_let_go(tmp_path):
    broker = Broker(tmp_path, ["--mqtt-unix-path", str(tmp_path / "mqtt"), "--handshake-timeout", "300"])
    try:
        broker.start()
        with RawMqtt(tmp_path / "mqtt") as client:
            assert client.seconds_to_end()[0] < 5
    finally:
        broker.stop()
