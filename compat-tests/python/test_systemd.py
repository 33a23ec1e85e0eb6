"""What systemd and the broker tell each other, played with real sockets: sockets handed over, and notifications."""

import fcntl
import os
import signal
import socket
import subprocess
import sys

import pytest

from support.broker import Broker, accepts, clean_environment
from support.management import Management
from support.raw_amqp import RawAmqp
from support.raw_mqtt import RawMqtt
from support.waiting import eventually

pytestmark = pytest.mark.own_process

# Puts the descriptors where systemd puts them, and says for whom they are.
HAND_OVER = """
import os, sys
count = int(sys.argv[1])
for place, fd in enumerate(sys.argv[2:2 + count]):
    os.dup2(int(fd), 3 + place)
os.environ["LISTEN_PID"] = str(os.getpid() + int(os.environ.pop("PID_OFFSET", "0")))
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


class Handed(Broker):
    """A broker that gets sockets by their names."""

    def __init__(self, directory, sockets, arguments=(), **environment):
        super().__init__(directory, arguments)
        self.sockets = sockets
        names = ":".join(name for name, _ in sockets)
        self.environment = {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names, **environment}

    def launch(self):
        # High numbers, so that putting one into its place destroys no other.
        high = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100) for _, one in self.sockets]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", HAND_OVER, str(len(high)), *map(str, high), *self.command()],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.directory, pass_fds=high,
                env=clean_environment(self.environment))
        for fd in high:
            os.close(fd)


def tcp():
    """A socket that is listened on."""
    return socket.create_server(("127.0.0.1", 0))


def unix(path):
    """The same with a file."""
    opened = socket.socket(socket.AF_UNIX)
    opened.bind(str(path))
    opened.listen()
    return opened


def test_sockets_are_served_by_their_names_and_their_ports_stay_closed(tmp_path):
    amqp, more, mqtt, http, local = tcp(), tcp(), tcp(), tcp(), unix(tmp_path / "local")
    broker = Handed(tmp_path, [("amqp", amqp), ("mqtt", mqtt), ("amqp", more), ("http", http), ("mqtt", local)])
    try:
        broker.launch()
        # Who connects before the broker is there waits for it.
        for one in (amqp, more):
            with RawAmqp(one.getsockname(), seconds=30) as raw:
                raw.open()
        for address in (mqtt.getsockname(), tmp_path / "local"):
            with RawMqtt(address) as raw:
                raw.open("")
        listeners = Management(http.getsockname()).read("overview")["listeners"]
        ports = {(one["protocol"], one["port"]) for one in listeners}
        assert ("amqp", amqp.getsockname()[1]) in ports and ("amqp", more.getsockname()[1]) in ports
        assert not accepts(broker.amqp) and not accepts(broker.http)
        assert accepts(broker.websocket)
        assert broker.terminate() == 0
        assert (tmp_path / "local").exists()
    finally:
        broker.stop()


def test_sockets_for_another_process_are_not_taken(tmp_path):
    broker = Handed(tmp_path, [("amqp", tcp())], PID_OFFSET="1")
    try:
        broker.start()
        with RawAmqp(broker.amqp) as raw:
            raw.open()
    finally:
        broker.stop()


@pytest.mark.parametrize("name, make", [
    ("leveret.socket", tcp), ("amqps", tcp), ("amqp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
    ("mqtt", socket.socket)], ids=["name", "tls", "udp", "silent"])
def test_a_socket_that_is_of_no_use_stops_the_start(tmp_path, name, make):
    broker = Handed(tmp_path, [(name, make())])
    broker.launch()
    assert broker.process.wait(20) == 1
    assert f'the socket "{name}" that was handed over cannot be used' in broker.output()


class Supervisor:
    """The socket that a broker is to tell how it is."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(20)
        self.socket.bind(address)

    def hears(self):
        """The next notification."""
        return self.socket.recv(4096).decode().splitlines()

    def waits_for(self, wanted):
        """Everything until a notification with this line."""
        heard = []
        while wanted not in heard:
            heard += self.hears()
        return heard


@pytest.mark.parametrize("is_abstract", [False, True], ids=["path", "abstract"])
def test_a_supervisor_hears_of_the_start_a_reload_and_the_stop(tmp_path, is_abstract):
    name = f"@leveret-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    supervisor = Supervisor(f"\0{name[1:]}" if is_abstract else name)
    broker = Broker(tmp_path, environment={"NOTIFY_SOCKET": name})
    try:
        broker.launch()
        heard = supervisor.waits_for("READY=1")
        assert heard[0] == "STATUS=reading the journal"
        for address in (broker.amqp, broker.mqtt, broker.http, broker.websocket, broker.metrics):
            assert accepts(address)
        assert "STATUS=serving clients" in heard
        broker.process.send_signal(signal.SIGHUP)
        heard = supervisor.waits_for("READY=1")
        assert "RELOADING=1" in heard and any(line.startswith("MONOTONIC_USEC=") for line in heard)
        assert broker.terminate() == 0
        assert "STOPPING=1" in supervisor.waits_for("STOPPING=1")
    finally:
        broker.stop()


def test_a_watchdog_hears_that_the_broker_is_well(tmp_path):
    supervisor = Supervisor(str(tmp_path / "notify"))
    broker = Broker(tmp_path, environment={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"})
    try:
        broker.launch()
        for _ in range(5):
            supervisor.waits_for("WATCHDOG=1")
        broker.process.send_signal(signal.SIGSTOP)
        supervisor.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            for _ in range(20):
                supervisor.waits_for("WATCHDOG=1")
        broker.process.send_signal(signal.SIGCONT)
        supervisor.waits_for("WATCHDOG=1")
    finally:
        broker.stop()


def test_a_supervisor_that_is_gone_is_no_matter(tmp_path):
    broker = Broker(tmp_path, environment={"NOTIFY_SOCKET": str(tmp_path / "gone")})
    try:
        broker.start()
        eventually(lambda: "the supervisor cannot be told" in broker.output(), "a line in the log")
        assert broker.terminate() == 0
    finally:
        broker.stop()


def test_only_the_listeners_that_are_named_are_there(tmp_path):
    broker = Broker(tmp_path, ["--listeners", "amqp,http"])
    try:
        broker.launch()
        eventually(lambda: accepts(broker.http), "the API accepts")
        with RawAmqp(broker.amqp) as raw:
            raw.open()
        for closed in (broker.mqtt, broker.websocket, broker.metrics):
            assert not accepts(closed)
        protocols = {one["protocol"] for one in Management(broker.http).read("overview")["listeners"]}
        assert protocols == {"amqp", "http"}
    finally:
        broker.stop()
