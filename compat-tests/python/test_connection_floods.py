"""Clients that take places and do nothing with them: file descriptors, HTTP connections, TLS handshakes."""

import socket
import ssl
import stat
import time

import pytest
import requests

from support.amqp_client import PERSISTENT, connect, drain, fill
from support.broker import BINARY, Broker
from support.certificates import connect as connect_tls, files, tls_broker  # noqa: F401
from support.management import Management
from support.metrics import scrape
from support.raw_mqtt import CONNACK, RawMqtt, connect as mqtt_connect
from support.waiting import eventually

pytestmark = pytest.mark.own_process
DESCRIPTORS = 300
QUOTA_EXCEEDED = 0x97
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01"


def refusals(broker, limit):
    """How often a limit was in the way."""
    return scrape(broker).series[("leveret_limit_refusals_total", frozenset({("limit", limit)}))]


@pytest.fixture
def narrow(tmp_path):
    """A broker that may have 300 file descriptors, and begins with 100."""
    script = tmp_path / "narrow"
    script.write_text(f"#!/bin/sh\nulimit -Sn 100\nulimit -Hn {DESCRIPTORS}\nexec {BINARY} \"$@\"\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    broker = Broker(tmp_path, binary=script)
    try:
        yield broker.start()
        broker.assert_sound()
        assert "Too many open files" not in broker.output()
    finally:
        broker.stop()


def test_clients_are_refused_before_file_descriptors_run_out(narrow):
    channel = connect(narrow.amqp).channel()
    channel.queue_declare("q", durable=True)
    node = Management(narrow.http).read("nodes")[0]
    most = node["sockets_total"]
    assert node["fd_total"] == DESCRIPTORS and DESCRIPTORS // 3 < most < DESCRIPTORS
    clients = [RawMqtt(narrow.mqtt).open("") for _ in range(most - 1)]
    with RawMqtt(narrow.mqtt) as raw:
        assert raw.send(mqtt_connect("")).expect(CONNACK)[1] == QUOTA_EXCEEDED
    # Who does not even log in is told nothing, and let go before the journal and operators lack anything.
    silent = [socket.create_connection(narrow.mqtt) for _ in range(DESCRIPTORS)]
    eventually(lambda: refusals(narrow, "open_files") + refusals(narrow, "connections_max") > DESCRIPTORS, "refusals")
    fill(channel, "q", [b"%d" % number for number in range(100)], PERSISTENT)
    assert len(drain(channel, "q")) == 100
    assert Management(narrow.http).read("nodes")[0]["fd_used"] < DESCRIPTORS - 30
    for one in silent:
        one.close()
    for one in clients:
        one.socket.close()
    eventually(lambda: RawMqtt(narrow.mqtt).send(mqtt_connect("")).expect(CONNACK)[1] == 0, "there is place again")


def test_http_clients_leave_some_file_descriptors_too(narrow):
    channel = connect(narrow.amqp).channel()
    channel.queue_declare("q", durable=True)
    silent = [socket.create_connection(address) for _ in range(DESCRIPTORS // 2)
              for address in (narrow.http, narrow.websocket)]
    eventually(lambda: "file descriptors are short" in narrow.output(), "some are refused")
    fill(channel, "q", [b"%d" % number for number in range(100)], PERSISTENT)
    assert len(drain(channel, "q")) == 100
    with RawMqtt(narrow.mqtt) as raw:
        assert raw.send(mqtt_connect("")).read_to_end() == b"", "there is none left for clients"
    for one in silent:
        one.close()
    eventually(lambda: is_answered(narrow), "there is place again")
    assert refusals(narrow, "open_files") > 0


def is_answered(broker):
    """Whether the management API answers."""
    try:
        return Management(broker.http).get("whoami").status_code == 200
    except requests.RequestException:
        return False


def test_an_http_client_that_never_reads_is_let_go(tmp_path):
    broker = Broker(tmp_path, ["--http-connections-max", "1", "--http-timeout", "1000"])
    try:
        broker.start()
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(broker.http)
        deaf.settimeout(10)
        try:
            for _ in range(200):
                deaf.sendall(b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        except OSError:
            pass  # It was let go before it had asked for all.
        started = time.monotonic()
        assert Management(broker.http).get("whoami").status_code == 200
        assert time.monotonic() - started < 8
        assert refusals(broker, "http_timeout") == 1
        deaf.close()
        broker.assert_sound()
    finally:
        broker.stop()


@pytest.mark.parametrize("said", [b"", CLIENT_HELLO[:1], CLIENT_HELLO], ids=["nothing", "a byte", "a head"])
def test_silent_tls_clients_do_not_hold_others_up(tls_broker, files, said):  # noqa: F811
    broker = tls_broker("--tls-handshakes-max", "4", "--handshake-timeout", "60000")
    silent = [socket.create_connection(broker.mqtts) for _ in range(8)]
    for one in silent:
        one.sendall(said)
    started = time.monotonic()
    connected = connect_tls(broker.mqtts, files.context())
    connected.sendall(mqtt_connect(""))
    assert connected.recv(1)[0] == CONNACK << 4
    assert time.monotonic() - started < 10, "each of the first four has had two seconds, the others as long after it"
    assert refusals(broker, "tls_handshakes_max") >= 5
    for one in (*silent, connected):
        one.close()


def test_many_tls_clients_at_once_only_wait_for_each_other(tls_broker, files):  # noqa: F811
    broker, context = tls_broker("--tls-handshakes-max", "2"), files.context()
    plain = [socket.create_connection(broker.mqtts, timeout=30) for _ in range(50)]
    for one in plain:
        one.setblocking(False)
    waiting = [context.wrap_socket(one, server_hostname="localhost", do_handshake_on_connect=False) for one in plain]
    done = []

    def go_on():
        for one in list(waiting):
            try:
                one.do_handshake()
                waiting.remove(one)
                done.append(one)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
        return not waiting

    eventually(go_on, "all handshakes", 30)
    assert refusals(broker, "tls_handshakes_max") == 0
    for one in done:
        one.close()


HALF_A_HEAD = b"GET /api/whoami HTTP/1.1\r\nHost: x\r\n"
LOGIN = b"Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n"
WHOAMI = HALF_A_HEAD + LOGIN + b"\r\n"
FLOOD = 320


def silent_clients(address, said):
    """More clients than there are places; those that get an answer wait for it."""
    clients = [socket.create_connection(address, timeout=20) for _ in range(FLOOD)]
    for one in clients:
        one.sendall(said)
    return clients


@pytest.mark.parametrize("said", [b"", HALF_A_HEAD, WHOAMI], ids=["nothing", "half a head", "idle"])
def test_silent_http_clients_make_place_and_a_slow_request_stays(tmp_path, said):
    broker = Broker(tmp_path)
    try:
        broker.start()
        slow = socket.create_connection(broker.http, timeout=20)
        body = b'{"durable": true}'
        slow.sendall(b"PUT /api/queues/%2F/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n" + LOGIN + b"\r\n" + body[:1])
        silent = silent_clients(broker.http, said)
        started = time.monotonic()
        assert Management(broker.http).get("whoami").status_code == 200
        assert time.monotonic() - started < 5, "the oldest have had two seconds"
        assert refusals(broker, "http_connections_max") > 0
        slow.sendall(body[1:])
        assert slow.recv(100).startswith(b"HTTP/1.1 201")
        for one in (*silent, slow):
            one.close()
        broker.assert_sound()
    finally:
        broker.stop()


def test_silent_clients_make_place_at_the_https_port(tls_broker, files):  # noqa: F811
    broker = tls_broker("--handshake-timeout", "60000")
    silent = silent_clients(("127.0.0.1", broker.https[1]), CLIENT_HELLO)
    started = time.monotonic()
    with connect_tls(broker.https, files.context()) as connected:
        connected.sendall(WHOAMI)
        assert connected.recv(100).startswith(b"HTTP/1.1 200")
    assert time.monotonic() - started < 5
    assert refusals(broker, "http_connections_max") > 0
    for one in silent:
        one.close()
