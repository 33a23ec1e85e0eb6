"""The command: options, configuration, clear failures, orderly shutdown."""

import os
import re
import signal
import socket
import subprocess

import pika
import pytest
from pika import spec

from support.amqp_client import PERSISTENT, connect, drain, fill
from support.broker import BINARY, Broker, accepts, clean_environment, free_port
from support.management import Management
from support.mqtt_client import MqttClient
from support.raw_amqp import RawAmqp
from support.raw_mqtt import CONNACK, RawMqtt, connect as mqtt_connect
from support.waiting import eventually

pytestmark = pytest.mark.own_process


def run(*arguments, environment=None, directory=None):
    """Runs the binary to its end."""
    return subprocess.run([str(BINARY), *map(str, arguments)], capture_output=True, text=True, timeout=20,
                          env=clean_environment(environment), cwd=directory, check=False)


def fails_clearly(finished, *words):
    """A non-zero status and one line on standard error with these words."""
    lines = [line for line in finished.stderr.splitlines() if line.strip()]
    assert finished.returncode not in (0, None) and finished.returncode > 0
    assert len(lines) == 1, finished.stderr
    assert "panicked" not in finished.stderr
    for word in words:
        assert str(word) in lines[0], lines[0]


def ports(*skipped):
    """Free ports as flags."""
    flags = {"--amqp-port", "--mqtt-port", "--http-port", "--websocket-port", "--metrics-port"} - set(skipped)
    return [part for flag in sorted(flags) for part in (flag, free_port())]


@pytest.mark.parametrize("option", ["--config", "--data-dir", "--bind", "--amqp-port", "--mqtt-port", "--http-port", "--websocket-port",
                                    "--metrics-port"])
def test_help_documents_the_option(option):
    finished = run("--help")
    assert finished.returncode == 0
    assert option in finished.stdout


@pytest.mark.parametrize("default", ["5672", "1883", "15672", "15675", "15692", "./data"])
def test_help_tells_the_default(default):
    assert default in run("--help").stdout


def test_version_is_printed():
    finished = run("--version")
    assert finished.returncode == 0
    assert re.search(r"\d+\.\d+\.\d+", finished.stdout)


def test_the_broker_prints_where_it_listens(own_broker):
    listening = [f"{address}:{port}" for address, port in (own_broker.amqp, own_broker.mqtt, own_broker.http)]
    eventually(lambda: all(line in own_broker.output() for line in listening), f"lines with {listening}")


@pytest.mark.parametrize("flag", ["--amqp-port", "--mqtt-port", "--http-port", "--websocket-port",
                                    "--metrics-port"])
def test_a_port_in_use_is_one_clear_line(tmp_path, flag):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finished = run("--bind", "127.0.0.1", "--data-dir", tmp_path / "data", flag, port, *ports(flag))
    fails_clearly(finished, port)


def test_a_locked_data_directory_is_one_clear_line_and_harms_nobody(own_broker):
    fails_clearly(run("--bind", "127.0.0.1", "--data-dir", own_broker.data, *ports()), own_broker.data)
    assert connect(own_broker.amqp).channel().queue_declare("", exclusive=True).method.queue


def test_an_unwritable_data_directory_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    place = tmp_path / "file" / "data"
    fails_clearly(run("--bind", "127.0.0.1", "--data-dir", place, *ports()), place)


@pytest.mark.parametrize("arguments, word", [
    (["--no-such-option"], "--no-such-option"),
    (["--amqp-port", "70000"], "70000"),
    (["--amqp-port", "many"], "many"),
    (["--amqp-port"], "--amqp-port"),
    (["--bind", "not an address"], "not an address"),
    (["stray"], "stray"),
])
def test_a_bad_option_is_one_clear_line(tmp_path, arguments, word):
    fails_clearly(run("--data-dir", tmp_path / "data", *arguments, directory=tmp_path), word)


@pytest.mark.parametrize("content, words", [
    ("no_such_key = 1\n", ["no_such_key"]),
    ("amqp_port = 'many'\n", ["amqp_port"]),
    ("this is no TOML\n", ["leveret.toml"]),
])
def test_a_bad_configuration_file_is_one_clear_line(tmp_path, content, words):
    file = tmp_path / "leveret.toml"
    file.write_text(content)
    fails_clearly(run("--config", file, "--data-dir", tmp_path / "data"), *words)


def test_a_missing_configuration_file_is_one_clear_line(tmp_path):
    fails_clearly(run("--config", tmp_path / "absent.toml"), tmp_path / "absent.toml")


def test_an_unknown_environment_variable_is_one_clear_line(tmp_path):
    fails_clearly(run(environment={"LEVERET_NO_SUCH_SETTING": "1"}, directory=tmp_path), "LEVERET_NO_SUCH_SETTING")


def test_flags_win_over_the_environment_and_the_environment_over_the_file(tmp_path):
    from_file, from_environment, never = free_port(), free_port(), free_port()
    broker = Broker(tmp_path, environment={"LEVERET_AMQP_PORT": str(never), "LEVERET_MQTT_PORT": str(from_environment)})
    broker.mqtt, broker.http = ("127.0.0.1", from_environment), ("127.0.0.1", from_file)
    (tmp_path / "c.toml").write_text(
        f"amqp_port = {never}\nmqtt_port = {never}\nhttp_port = {from_file}\nwebsocket_port = {broker.websocket[1]}\n"
        f"metrics_port = {broker.metrics[1]}\n")
    broker.command = lambda: [str(BINARY), "--config", str(tmp_path / "c.toml"), "--data-dir", str(broker.data),
                              "--bind", "127.0.0.1", "--amqp-port", str(broker.amqp[1])]
    try:
        broker.start()
        assert not accepts(("127.0.0.1", never))
    finally:
        broker.stop()


def test_leveret_toml_of_the_current_directory_is_read(tmp_path):
    broker = Broker(tmp_path)
    (tmp_path / "leveret.toml").write_text(
        f"bind = '127.0.0.1'\namqp_port = {broker.amqp[1]}\nmqtt_port = {broker.mqtt[1]}\nhttp_port = {broker.http[1]}\nwebsocket_port = {broker.websocket[1]}\n"
        f"metrics_port = {broker.metrics[1]}\n")
    broker.command = lambda: [str(BINARY)]
    try:
        broker.start()
        assert (tmp_path / "data").is_dir()
    finally:
        broker.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_an_orderly_stop_tells_the_clients_and_ends_with_status_0(own_broker, number):
    with RawAmqp(own_broker.amqp) as amqp, RawMqtt(own_broker.mqtt) as five, RawMqtt(own_broker.mqtt, 3) as three:
        amqp.open()
        five.open("five")
        three.send(mqtt_connect("three", version=4)).expect(CONNACK)
        own_broker.process.send_signal(number)
        closed = amqp.expect(spec.Connection.Close)
        amqp.method(0, spec.Connection.CloseOk())
        five.expect_disconnect(0x8B)
        three.expect_disconnect()
    assert own_broker.process.wait(20) == 0
    assert (closed.reply_code, closed.reply_text) == (
        320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'")


def test_clients_that_do_not_answer_do_not_hold_up_the_stop(own_broker):
    with RawAmqp(own_broker.amqp) as amqp, RawMqtt(own_broker.mqtt) as mqtt, RawAmqp(own_broker.amqp) as half:
        amqp.open()
        mqtt.open("silent")
        half.begin()
        assert own_broker.terminate() == 0


def test_everything_confirmed_is_there_after_an_orderly_stop(own_broker):
    channel = connect(own_broker.amqp).channel()
    channel.queue_declare("q", durable=True)
    fill(channel, "q", [b"1", b"2", b"3"], PERSISTENT)
    MqttClient(own_broker.mqtt).connect().publish("kept", b"retained", 1, True)
    assert own_broker.terminate() == 0
    own_broker.start()
    assert drain(connect(own_broker.amqp).channel(), "q") == [b"1", b"2", b"3"]
    watcher = MqttClient(own_broker.mqtt).connect()
    watcher.subscribe("kept", 1)
    assert watcher.receive().payload == b"retained"
    watcher.stop()


def test_a_stopped_broker_can_be_started_again_at_once(own_broker):
    for _ in range(3):
        assert own_broker.terminate() == 0
        own_broker.start()


def test_without_an_address_the_broker_listens_on_both_protocols_of_the_internet(tmp_path):
    broker = everywhere(tmp_path)
    try:
        broker.start()
        for _, port in (broker.amqp, broker.mqtt, broker.http):
            assert accepts(("127.0.0.1", port)) and accepts(("::1", port))
        assert connect(("::1", broker.amqp[1])).is_open
    finally:
        broker.stop()


def everywhere(directory):
    """A broker on all addresses."""
    broker = Broker(directory)
    command = Broker.command(broker)
    at = command.index("--bind")
    broker.command = lambda: command[:at] + command[at + 2:]
    return broker


def own_address():
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # a datagram socket: nothing is sent
        address = probe.getsockname()[0]
    assert not address.startswith("127."), "this test needs an address that is not loopback"
    return address


def test_guest_and_anonymous_clients_are_let_in_from_loopback_only(tmp_path):
    broker, address = everywhere(tmp_path), own_address()
    try:
        broker.start()
        with pytest.raises((pika.exceptions.AuthenticationError, pika.exceptions.ProbableAuthenticationError)):
            connect((address, broker.amqp[1]))
        with RawMqtt((address, broker.mqtt[1])) as raw:
            raw.send(mqtt_connect("remote"))
            assert raw.expect(CONNACK)[1] in (0x86, 0x87)
        assert Management((address, broker.http[1])).get("whoami").status_code == 401
        assert Management(broker.http).get("whoami").status_code == 200
    finally:
        broker.stop()


def test_the_users_of_loopback_only_can_be_chosen(tmp_path):
    broker, address = everywhere(tmp_path), own_address()
    (tmp_path / "leveret.toml").write_text("loopback_users = ['local', 'other']\n")
    try:
        broker.start()
        remote = Management((address, broker.http[1]))
        assert remote.get("whoami").status_code == 200
        assert connect((address, broker.amqp[1])).is_open
        assert remote.put("users/local", {"password": "secret", "tags": "management"}).status_code == 201
        for where, status in [(address, 401), ("127.0.0.1", 200)]:
            local = Management((where, broker.http[1]), user="local", password="secret")
            assert local.get("whoami").status_code == status
    finally:
        broker.stop()


def test_the_process_keeps_its_files_inside_the_data_directory(own_broker):
    fill_one = connect(own_broker.amqp).channel()
    fill_one.queue_declare("q", durable=True)
    fill(fill_one, "q", [b"1"], PERSISTENT)
    assert sorted(os.listdir(own_broker.directory)) == ["broker.log", "data"]
