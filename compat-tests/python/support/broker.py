"""A broker process on free ports and a temporary data directory, or a peer that already runs.

The binary is `LEVERET_BIN`, by default `target/release/leveret`. Ports are chosen below the range
that the kernel gives to outgoing connections, so that no client can take the port of a broker that
is down for a restart.
"""

import os
import random
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("LEVERET_BIN", ROOT / "target" / "release" / "leveret")).resolve()
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 20


_given = set()


def free_port():
    """A loopback port that nobody listens on, a different one each time."""
    while True:
        port = random.randrange(20000, 32000)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                _given.add(port)
                return port
            except OSError:
                continue


def clean_environment(extra=None):
    """The environment of a broker: ours without the settings that are meant for the tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LEVERET_")}
    return {**kept, **(extra or {})}


def accepts(address):
    """Whether something accepts connections at `address`."""
    try:
        with socket.create_connection(address, timeout=1):
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class Holdings:
    """What a process holds at one moment."""

    resident_bytes: int
    descriptors: int
    threads: int


class Broker:
    """One broker: its directory, ports and, while it runs, its process."""

    def __init__(self, directory, arguments=(), environment=None, binary=BINARY):
        self.directory = Path(directory)
        self.data = self.directory / "data"
        self.log = self.directory / "broker.log"
        self.arguments = list(arguments)
        self.environment = environment
        self.binary = binary
        self.bind = "127.0.0.1"
        self.amqp = ("127.0.0.1", free_port())
        self.mqtt = ("127.0.0.1", free_port())
        self.http = ("127.0.0.1", free_port())
        self.websocket = ("127.0.0.1", free_port())
        self.metrics = ("127.0.0.1", free_port())
        self.process = None

    def command(self):
        """The command line that starts this broker."""
        return [
            str(self.binary),
            "--data-dir", str(self.data),
            "--bind", self.bind,
            "--amqp-port", str(self.amqp[1]),
            "--mqtt-port", str(self.mqtt[1]),
            "--http-port", str(self.http[1]),
            "--websocket-port", str(self.websocket[1]),
            "--metrics-port", str(self.metrics[1]),
            *self.arguments,
        ]

    def start(self):
        """Starts the process and waits until every port accepts."""
        self.launch()
        eventually(self._is_up, "the broker accepts connections", START_SECONDS_MAX)
        return self

    def launch(self):
        """Starts the process and waits for nothing."""
        assert self.binary.is_file(), f"no broker binary at {self.binary}: run `make build` or set LEVERET_BIN"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd=self.directory, env=clean_environment(self.environment),
            )

    def _is_up(self):
        status = self.process.poll()
        assert status is None, f"the broker ended with status {status}:\n{self.output()}"
        addresses = (self.amqp, self.mqtt, self.http, self.websocket, self.metrics)
        return all(accepts(address) for address in addresses)

    def output(self):
        """The end of what the broker has printed."""
        return self.log.read_text(errors="replace")[-8000:] if self.log.exists() else ""

    def is_running(self):
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS_MAX)

    def terminate(self, number=signal.SIGTERM):
        """An orderly stop; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS_MAX)

    def kill_and_restart(self):
        """kill -9, then a start on the same directory and ports."""
        self.kill()
        return self.start()

    def stop(self):
        """Ends the process whatever its state, for teardown."""
        if self.is_running():
            self.kill()

    def resident_bytes(self):
        """The memory that the process holds."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS line in the status of the process")

    def holdings(self):
        """What the process holds: memory, file descriptors, threads."""
        process = Path(f"/proc/{self.process.pid}")
        return Holdings(self.resident_bytes(), len(list((process / "fd").iterdir())), len(list((process / "task").iterdir())))

    def assert_sound(self):
        """Fails when the process is gone or has panicked."""
        assert self.is_running(), f"the broker has ended:\n{self.output()}"
        assert "panicked at" not in self.output(), f"the broker panicked:\n{self.output()}"


class Peer:
    """A broker that runs already, to check the tests themselves against other brokers."""

    def __init__(self, amqp, mqtt, http):
        self.amqp, self.mqtt, self.http = amqp, mqtt, http

    def assert_sound(self):
        """A peer is not ours to judge."""

    @classmethod
    def from_environment(cls):
        """The peer that `LEVERET_TEST_AMQP`, `_MQTT` and `_HTTP` name, or None."""
        names = ("LEVERET_TEST_AMQP", "LEVERET_TEST_MQTT", "LEVERET_TEST_HTTP")
        if not any(name in os.environ for name in names):
            return None
        return cls(*(parse_address(os.environ.get(name, "127.0.0.1:1")) for name in names))


def parse_address(text):
    """`host:port` as a pair."""
    host, port = text.rsplit(":", 1)
    return host, int(port)
