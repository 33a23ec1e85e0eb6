"""Certificates that `leveret tls self-signed` has made, and brokers and clients that use them."""

import os
import socket
import ssl
import subprocess

import pika
import pytest

from support.amqp_client import connect as connect_amqp
from support.broker import BINARY, Broker, clean_environment, free_port
from support.mqtt_client import MqttClient
from support.waiting import eventually


class Certificates:
    """What the command has written into a directory."""

    def __init__(self, directory, user="guest", names=()):
        self.directory = directory
        arguments = [part for name in names for part in ("--name", name)]
        done = subprocess.run(
            [str(BINARY), "tls", "self-signed", "--dir", str(directory), "--user", user, *arguments],
            capture_output=True, text=True, timeout=20, env=clean_environment(), check=False)
        assert done.returncode == 0, done.stderr
        self.said = done.stdout

    def path(self, name):
        """One of the files."""
        return str(self.directory / name)

    def context(self, shown=None):
        """How a client trusts the authority; `shown` are the certificates whose client's is shown."""
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        if shown:
            context.load_cert_chain(shown.path("client.pem"), shown.path("client.key"))
        return context

    def replace_by(self, others):
        """Puts the certificate and the key of another server into place."""
        for name in ("server.pem", "server.key"):
            new = self.directory / f"{name}.new"
            new.write_bytes((others.directory / name).read_bytes())
            os.replace(new, self.directory / name)


class TlsBroker(Broker):
    """A broker with ports for TLS."""

    def __init__(self, directory, certificates, arguments=()):
        super().__init__(directory)
        self.certificates = certificates
        self.amqps, self.mqtts = ("localhost", free_port()), ("localhost", free_port())
        self.https, self.wss = ("localhost", free_port()), ("localhost", free_port())
        self.arguments = [
            "--tls-cert-path", certificates.path("server.pem"),
            "--tls-key-path", certificates.path("server.key"),
            "--amqps-port", str(self.amqps[1]), "--mqtts-port", str(self.mqtts[1]),
            "--https-port", str(self.https[1]), "--wss-port", str(self.wss[1]), *arguments,
        ]

    def says(self, text):
        """Waits until the log has the text."""
        eventually(lambda: text in self.output(), f"the log says {text!r}")


def connect(address, context, name="localhost"):
    """A socket after its handshake."""
    plain = socket.create_connection(address, timeout=10)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


def serial_number(address, context, name="localhost"):
    """Which certificate the server shows for a name."""
    with connect(address, context, name) as connected:
        return connected.getpeercert()["serialNumber"]


def open_amqp(broker, context, **options):
    """An open blocking connection of pika."""
    return connect_amqp(broker.amqps, ssl_options=pika.SSLOptions(context, "localhost"), **options)


def mqtt_client(address, context, *arguments, **options):
    """A client of paho that is not connected yet."""
    client = MqttClient(address, *arguments, **options)
    client.paho.tls_set_context(context)
    return client


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Certificates that the broker knows."""
    return Certificates(tmp_path_factory.mktemp("tls") / "own", names=["broker.test"])


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """Certificates of an authority that nobody here trusts."""
    return Certificates(tmp_path_factory.mktemp("tls") / "strange")


@pytest.fixture
def tls_broker(tmp_path, files):
    """Starts a broker with these files and arguments."""
    started = []

    def start(*arguments, certificates=files, bind="127.0.0.1"):
        started.append(TlsBroker(tmp_path, certificates, arguments))
        started[-1].bind = bind
        return started[-1].start()

    yield start
    for broker in started:
        sound = broker.is_running()
        broker.stop()
        assert sound and "panicked at" not in broker.output(), broker.output()
