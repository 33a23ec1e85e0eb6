"""The PROXY protocol in front of AMQP, MQTT, HTTP, WebSocket and TLS: who a client is, and who it is not."""

import base64
import socket
import struct
import time
from http.client import HTTPException, HTTPResponse

import pytest

from support.broker import Broker
from support.certificates import Certificates, TlsBroker
from support.management import Management
from support.metrics import Page
from support.raw_amqp import RawAmqp
from support.raw_mqtt import CONNACK, RawMqtt, connect, text
from support.sockets import open_socket
from support.waiting import eventually

pytestmark = pytest.mark.own_process

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT = "198.51.100.7"


def line(source=CLIENT, port=40000):
    """A header of version 1."""
    return f"PROXY TCP4 {source} 192.0.2.9 {port} 5672\r\n".encode()


def binary(source=CLIENT, port=40000, extra=b"", command=1):
    """A header of version 2."""
    block = socket.inet_aton(source) + socket.inet_aton("192.0.2.9") + struct.pack(">HH", port, 5672) + extra
    return SIGNATURE + bytes([0x20 | command, 0x11]) + struct.pack(">H", len(block)) + block


LOCAL = SIGNATURE + b"\x20\0\0\0"
UNKNOWN = SIGNATURE + b"\x21\0\0\0"


HEADERS_MAX = 3


@pytest.fixture
def relayed(tmp_path):
    """A broker that believes proxies on this machine, with a user who may come from everywhere."""
    broker = Broker(tmp_path, [
        "--proxy-protocol-from", "127.0.0.0/8, ::1", "--handshake-timeout", "2000",
        "--http-unix-path", str(tmp_path / "operator")])
    yield from running(broker)


@pytest.fixture
def patient(tmp_path):
    """The same, which waits for few headers, and long."""
    broker = Broker(tmp_path, [
        "--proxy-protocol-from", "127.0.0.0/8, ::1", "--proxy-headers-max", str(HEADERS_MAX)])
    yield from running(broker)


def running(broker):
    """Relayed clients of a broker, until a test is over."""
    try:
        broker.launch()
        eventually(lambda: Relayed(broker).api("GET", "whoami", LOCAL)[0] == 200, "the API answers")
        yield Relayed(broker).make_user()
        broker.assert_sound()
    finally:
        broker.stop()


class Relayed:
    """A broker behind proxies, which are played here."""

    def __init__(self, broker):
        self.broker = broker

    def socket(self, address, header):
        """A connection that begins with a header."""
        opened = open_socket(address, 10)
        opened.sendall(header)
        return opened

    def api(self, method, path, header, body="{}", user="guest:guest"):
        """A request to the API behind a header: status and body."""
        return self.http(method, f"/api/{path}", header, body, user)

    def refusals(self, limit):
        """How often a limit was in the way."""
        page = Page(self.http("GET", "/metrics", LOCAL)[1])
        return page.series[("leveret_limit_refusals_total", frozenset({("limit", limit)}))]

    def http(self, method, path, header, body="{}", user="guest:guest"):
        """A request behind a header: status and body."""
        login = base64.b64encode(user.encode()).decode()
        request = (f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                   f"Authorization: Basic {login}\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        try:
            with self.socket(self.broker.http, header) as opened:
                opened.sendall(request.encode())
                answer = HTTPResponse(opened, method=method)
                answer.begin()
                return answer.status, answer.read().decode()
        except (OSError, HTTPException):
            return 0, ""

    def make_user(self):
        """The user `jo`."""
        assert self.api("PUT", "users/jo", LOCAL, '{"password":"jo","tags":"administrator"}')[0] == 201
        rights = '{"configure":".*","write":".*","read":".*"}'
        assert self.api("PUT", "permissions/%2F/jo", LOCAL, rights)[0] == 201
        return self

    def mqtt(self, header, user=None, pieces=None):
        """The reason code of CONNACK, and the connection."""
        raw = RawMqtt(self.broker.mqtt)
        flags, rest = (0x02, b"") if user is None else (0xC2, text(user) + text(user))
        octets = header + connect("", flags=flags, rest=rest)
        for at in range(0, len(octets), pieces or len(octets)):
            raw.socket.sendall(octets[at:at + (pieces or len(octets))])
        return raw.expect(CONNACK)[1], raw

    def is_refused(self, address, octets, within=1.5):
        """Whether the connection ends, at once and without a word."""
        started = time.monotonic()
        with self.socket(address, octets) as opened:
            try:
                answer = opened.recv(100)
            except ConnectionResetError:
                answer = b""
        return answer == b"" and time.monotonic() - started < within


@pytest.mark.parametrize("header", [
    line(), binary(), binary(extra=b"\x04\0\x05noop!" + b"\xe0\x01\0" + bytes(256))], ids=["v1", "v2", "tlv"])
def test_a_client_is_who_the_proxy_says(relayed, header):
    reason, raw = relayed.mqtt(header, "jo")
    with raw:
        assert reason == 0
        shown = eventually(lambda: '"peer_host"' in relayed.api("GET", "connections", LOCAL)[1]
                           and relayed.api("GET", "connections", LOCAL)[1], "the connection is listed")
        assert f'"peer_host":"{CLIENT}"' in shown and '"peer_port":40000' in shown
        assert f"{CLIENT}:40000 -> 127.0.0.1:{relayed.broker.mqtt[1]}" in shown


def test_a_header_may_come_octet_by_octet(relayed):
    for header in (line(), binary(), UNKNOWN):
        reason, raw = relayed.mqtt(header, "jo", pieces=1)
        raw.socket.close()
        assert reason == 0


def test_guest_and_anonymous_clients_are_not_let_in_whatever_the_proxy_says(relayed):
    headers = [line(), line("127.0.0.1"), binary("127.0.0.1"), UNKNOWN, b"PROXY UNKNOWN\r\n",
               b"PROXY TCP6 ::1 ::1 1 2\r\n", b"PROXY TCP6 ::ffff:127.0.0.1 ::1 1 2\r\n"]
    for header in headers:
        assert relayed.api("GET", "whoami", header)[0] == 401, header
        assert relayed.api("GET", "whoami", header, user="jo:jo")[0] == 200, header
        for user in (None, "guest"):
            reason, raw = relayed.mqtt(header, user)
            raw.socket.close()
            assert reason in (0x86, 0x87), (header, user)


def test_a_connection_of_the_proxy_s_own_comes_from_where_it_is(relayed):
    for header in (LOCAL, binary(command=0)):
        assert relayed.api("GET", "whoami", header)[0] == 200
        reason, raw = relayed.mqtt(header)
        raw.socket.close()
        assert reason == 0


def test_amqp_is_spoken_behind_a_header(relayed):
    with RawAmqp(relayed.broker.amqp) as raw:
        raw.send(LOCAL)
        raw.open()


@pytest.mark.parametrize("port", ["amqp", "mqtt", "http", "websocket", "metrics"])
def test_without_a_header_nothing_is_spoken(relayed, port):
    address = getattr(relayed.broker, port)
    for octets in (b"AMQP\0\0\x09\x01", connect(""), b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"PROXY TCP4 x\r\n   "):
        assert relayed.is_refused(address, octets), octets
    for octets in (b"PROXY UNKNOWN " + b"f" * 200, SIGNATURE + b"\x21\x11\xff\xff", SIGNATURE + b"\x41\x11\0\0"):
        assert relayed.is_refused(address, octets), octets


def test_a_header_that_does_not_come_is_not_awaited_for_long_and_holds_up_nobody(relayed):
    silent = [open_socket(relayed.broker.mqtt, 10) for _ in range(50)]
    reason, raw = relayed.mqtt(line(), "jo")
    raw.socket.close()
    assert reason == 0
    silent[0].sendall(b"PROXY TC")
    for opened in silent:
        assert opened.recv(1) == b""
        opened.close()


def test_headers_that_do_not_come_make_place_for_others(patient):
    silent = [open_socket(patient.broker.mqtt, 10) for _ in range(HEADERS_MAX)]
    assert patient.refusals("proxy_headers_max") == 0
    # One too many is let in before the time of a handshake is over, and one of the others goes.
    began = time.monotonic()
    code, raw = patient.mqtt(LOCAL)
    assert code == 0 and time.monotonic() - began < 8 and patient.refusals("proxy_headers_max") == 1
    silent[0].settimeout(5)
    assert silent[0].recv(1) == b""
    for one in (*silent, raw.socket):
        one.close()


def test_a_header_from_elsewhere_is_wrong_input(tmp_path):
    broker = Broker(tmp_path, ["--proxy-protocol-from", "192.0.2.0/24"])
    try:
        broker.start()
        with RawMqtt(broker.mqtt) as raw:
            raw.open("")
        assert Management(broker.http).get("whoami").status_code == 200
        with open_socket(broker.mqtt, 10) as opened:
            opened.sendall(line() + connect(""))
            assert opened.recv(100) == b""
        answer = Relayed(broker).api("GET", "whoami", line())
        assert answer[0] in (0, 400)
    finally:
        broker.stop()


def test_a_header_comes_before_the_handshake_of_tls(tmp_path):
    certificates = Certificates(tmp_path / "tls")
    broker = TlsBroker(tmp_path, certificates, ["--proxy-protocol-from", "127.0.0.1"])
    request = (b"GET /api/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
               b"Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n")

    def status(header):
        with open_socket(("127.0.0.1", broker.https[1]), 10) as opened:
            opened.sendall(header)
            with certificates.context().wrap_socket(opened, server_hostname="localhost") as secure:
                secure.sendall(request)
                return int(secure.recv(100).split()[1])

    try:
        broker.launch()
        eventually(lambda: Relayed(broker).api("GET", "whoami", LOCAL)[0] == 200, "the API answers")
        assert (status(LOCAL), status(line()), status(binary("127.0.0.1"))) == (200, 401, 401)
        with pytest.raises(OSError):
            status(b"")
    finally:
        broker.stop()


def test_what_is_no_network_stops_the_start(tmp_path):
    for networks in ("10.0.0.1/8", "proxy.example.org", "10.0.0.0/40"):
        broker = Broker(tmp_path, ["--proxy-protocol-from", networks])
        broker.launch()
        assert broker.process.wait(20) == 1
        assert "proxy_protocol_from" in broker.output()
