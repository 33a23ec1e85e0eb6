"""TLS for AMQP, MQTT, HTTP and WebSocket, with the files of `leveret tls self-signed`."""

import os
import signal
import socket
import ssl
import stat
import struct
import subprocess
import time

import pika
import pytest
import requests
from pika.exceptions import AMQPConnectionError

from support.amqp_client import connect as connect_amqp, drain, fill
from support.broker import Broker, clean_environment
from support.certificates import (
    Certificates, connect, files, mqtt_client, open_amqp, serial_number, strange, tls_broker)  # noqa: F401
from support.management import Management
from support.waiting import eventually

pytestmark = pytest.mark.own_process

LARGE = 3_000_000


def is_let_go(connected, seconds=10):
    """Whether the broker ends the connection."""
    connected.settimeout(seconds)
    try:
        while connected.recv(64):
            pass
    except (ssl.SSLError, ConnectionError):
        pass
    except TimeoutError:
        return False
    return True


def test_amqp_publishes_and_consumes_large_messages(tls_broker, files):
    broker = tls_broker()
    connection = open_amqp(broker, files.context())
    channel = connection.channel()
    channel.queue_declare("q", durable=True)
    bodies = [b"hello", os.urandom(LARGE), b"", os.urandom(200_000)]
    fill(channel, "q", bodies)
    assert drain(channel, "q") == bodies
    shown = Management(broker.http).find("connections", ssl=True)
    assert shown["ssl_protocol"] == "tlsv1.3" and shown["ssl_key_exchange"] == "any"
    assert shown["ssl_cipher"].startswith(("aes_", "chacha20_")) and shown["ssl_hash"] == "aead"
    assert "peer_cert_subject" not in shown
    connection.close()


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
def test_mqtt_speaks_qos_2_with_large_payloads(tls_broker, files, name, version, transport):
    broker = tls_broker()
    address = broker.mqtts if transport == "tcp" else broker.wss
    client = mqtt_client(address, files.context(), name(), version, transport=transport).connect()
    try:
        client.subscribe("t", 2)
        for payload in (b"hello", os.urandom(LARGE)):
            client.publish("t", payload, 2)
            assert client.receive().payload == payload
        protocol = Management(broker.http).find("connections", ssl=True)["protocol"]
        assert protocol.startswith("Web MQTT" if transport == "websockets" else "MQTT")
    finally:
        client.stop()


def test_a_consumer_that_reads_late_gets_everything_in_order(tls_broker, files):
    broker = tls_broker()
    connection = open_amqp(broker, files.context())
    channel = connection.channel()
    channel.queue_declare("q")
    reader = open_amqp(broker, files.context()).channel()
    seen = []
    reader.basic_consume("q", lambda _c, _m, _p, body: seen.append(body[:4]), auto_ack=True)
    for number in range(400):
        channel.basic_publish("", "q", struct.pack(">I", number) + bytes(50_000))
    while len(seen) < 400:
        reader.connection.process_data_events(time_limit=10)
    assert seen == [struct.pack(">I", number) for number in range(400)]


def test_the_management_api_and_its_sessions_are_there(tls_broker, files):
    broker = tls_broker()
    base = f"https://localhost:{broker.https[1]}/api"
    with requests.Session() as browser:
        browser.trust_env = False
        browser.verify, browser.headers["x-requested-with"] = files.path("ca.pem"), "leveret"
        login = browser.post(f"{base}/login", data={"username": "guest", "password": "guest"})
        cookie = login.headers["set-cookie"]
        assert cookie.startswith("__Host-leveret_session=") and cookie.endswith("; Secure"), cookie
        assert browser.get(f"{base}/whoami").json()["name"] == "guest"
        overview = browser.get(f"{base}/overview").json()
        assert browser.delete(f"{base}/login").headers["set-cookie"].endswith("Max-Age=0; Secure")
        assert browser.get(f"{base}/whoami").status_code == 401
    protocols = {listener["protocol"]: listener["tls"] for listener in overview["listeners"]}
    assert protocols["amqp"] is False and protocols["http"] is False
    secure = ["amqp/ssl", "mqtt/ssl", "https", "https/web-mqtt"]
    assert all(protocols[name] for name in secure)
    plain = requests.post(
        f"http://127.0.0.1:{broker.http[1]}/api/login", data={"username": "guest", "password": "guest"}, timeout=10)
    assert plain.headers["set-cookie"].startswith("leveret_session=") and "Secure" not in plain.headers["set-cookie"]
    management = Management(broker.http)
    assert management.get("health/checks/protocol-listener/amqps,mqtts,https,wss").status_code == 200
    checks = "health/checks/certificate-expiration"
    assert management.get(f"{checks}/11/months").status_code == 200
    expiring = management.get(f"{checks}/2/years")
    assert expiring.status_code == 503
    expired = expiring.json()["expired"]
    assert {entry["protocol"] for entry in expired} == set(secure)
    assert all(entry["certfile"] == files.path("server.pem") for entry in expired)


def test_websocket_looks_at_origins_over_tls(tls_broker, files):
    broker = tls_broker()
    request = (
        "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: {}\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    for address in (broker.https, broker.wss):
        for origin, status in [("https://localhost:8443", b"101"), ("https://elsewhere.test", b"403")]:
            with connect(address, files.context()) as connected:
                connected.sendall(request.format(origin).encode())
                assert connected.recv(4096).split()[1] == status


def test_versions_before_1_2_are_refused(tls_broker, files):
    broker = tls_broker()
    for version, spoken in [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]:
        context = files.context()
        context.minimum_version = context.maximum_version = version
        with connect(broker.amqps, context) as connected:
            assert connected.version() == spoken
    assert old_version_fails(broker, files, ssl.TLSVersion.TLSv1_1)


def test_the_oldest_version_can_be_1_3(tls_broker, files):
    broker = tls_broker("--tls-min-version", "1.3")
    assert old_version_fails(broker, files, ssl.TLSVersion.TLSv1_2)
    connect(broker.amqps, files.context()).close()


def old_version_fails(broker, files, version):
    context = files.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError) as caught:
        connect(broker.amqps, context)
    # What the server says, and not that this client would not speak it.
    return "_ALERT_" in str(caught.value)


def test_clients_see_who_the_broker_is(tls_broker, files, strange):
    broker = tls_broker()
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(broker.mqtts, strange.context())
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(broker.mqtts, files.context(), "elsewhere.test")
    connect(broker.mqtts, files.context(), "broker.test").close()


def test_the_certificate_is_the_one_for_the_name_that_is_asked_for(tls_broker, files, tmp_path):
    other = Certificates(tmp_path / "other", names=["*.other.test", "third.test"])
    more = tmp_path / "more"
    more.mkdir()
    both = (tmp_path / "other" / "server.pem").read_bytes() + (tmp_path / "other" / "server.key").read_bytes()
    (more / "other.pem").write_bytes(both)
    broker = tls_broker("--tls-sni-dir", str(more))
    own = serial_number(broker.amqps, files.context())
    theirs = serial_number(broker.amqps, other.context(), "third.test")
    assert serial_number(broker.mqtts, other.context(), "A.other.test") == theirs != own
    assert serial_number(broker.amqps, files.context(), "broker.test") == own
    # Nobody has that name; nor does a wildcard stand for two labels.
    for name in ("elsewhere.test", "a.b.other.test"):
        context = files.context()
        context.check_hostname = False
        assert serial_number(broker.amqps, context, name) == own


def test_new_files_are_for_new_connections(tls_broker, strange, tmp_path):
    first = Certificates(tmp_path / "first")
    broker = tls_broker(certificates=first)
    connection = open_amqp(broker, first.context())
    channel = connection.channel()
    channel.queue_declare("q")
    subscriber = mqtt_client(broker.mqtts, first.context()).connect()
    subscriber.subscribe("t", 1)
    first.replace_by(strange)
    # Until it is told, the broker shows what it has read.
    connect(broker.amqps, first.context()).close()
    broker.process.send_signal(signal.SIGHUP)
    broker.says("read again")
    for address in (broker.amqps, broker.mqtts, broker.https, broker.wss):
        connect(address, strange.context()).close()
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(address, first.context())
    fill(channel, "q", [b"still here", os.urandom(LARGE)])
    assert len(drain(channel, "q")) == 2
    subscriber.publish("t", b"here, too", 1)
    assert subscriber.receive().payload == b"here, too"
    subscriber.stop()
    connection.close()


def test_bad_files_change_nothing(tls_broker, tmp_path):
    files = Certificates(tmp_path / "files")
    broker = tls_broker(certificates=files)
    (tmp_path / "files" / "server.key").write_text("gone")
    broker.process.send_signal(signal.SIGHUP)
    broker.says("server.key: no private key in it")
    connect(broker.amqps, files.context()).close()
    open_amqp(broker, files.context()).close()


def test_a_hangup_is_nothing_to_a_broker_without_tls(own_broker):
    own_broker.process.send_signal(signal.SIGHUP)
    eventually(lambda: "no files for TLS" in own_broker.output(), "it says so")
    connect_amqp(own_broker.amqp).close()


def test_files_that_cannot_be_used_stop_the_start(files, strange, tmp_path):
    def refusal(*arguments):
        broker = Broker(tmp_path, arguments)
        done = subprocess.run(
            broker.command(), capture_output=True, text=True, timeout=20, env=clean_environment(), check=False)
        assert done.returncode == 1 and "panicked" not in done.stderr
        return done.stderr.splitlines()[-1]

    certificate, key = files.path("server.pem"), strange.path("server.key")
    text = refusal("--tls-cert-path", certificate, "--tls-key-path", key)
    assert text == f"leveret: {key}: not the key of the certificate in {certificate}"
    text = refusal("--tls-cert-path", str(tmp_path / "none.pem"))
    assert text.startswith(f"leveret: {tmp_path / 'none.pem'}: No such file")
    text = refusal("--tls-key-path", key)
    assert text == "leveret: tls_key_path is set, but tls_cert_path is not"


def test_without_a_certificate_there_are_no_ports_for_tls(own_broker):
    names = {listener["protocol"] for listener in Management(own_broker.http).read("overview")["listeners"]}
    assert "amqp" in names and not any("ssl" in name or "https" in name for name in names)


def test_whoever_does_not_speak_tls_is_let_go_at_once(tls_broker):
    broker = tls_broker()
    first_words = {
        broker.amqps: b"AMQP\x00\x00\x09\x01", broker.mqtts: b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
        broker.https: b"GET / HTTP/1.1\r\n\r\n", broker.wss: b"GET / HTTP/1.1\r\n\r\n",
    }
    for address, words in first_words.items():
        with socket.create_connection(address, timeout=5) as plain:
            plain.sendall(words)
            assert is_let_go(plain, 3)
    eventually(lambda: broker.output().count("does not speak TLS") == len(first_words), "the log says so")
    with pytest.raises(AMQPConnectionError):
        connect_amqp(broker.amqps)


def test_whoever_says_nothing_or_only_begins_is_let_go_after_a_while(tls_broker, files):
    broker = tls_broker("--handshake-timeout", "700")
    addresses = (broker.amqps, broker.mqtts, broker.https, broker.wss)
    silent = [socket.create_connection(address, timeout=10) for address in addresses for _ in range(30)]
    began = time.monotonic()
    for number, one in enumerate(silent):
        # A record of 16 KiB is announced, and of the message in it 64 KiB.
        one.sendall(b"\x16\x03\x01\x40\x00\x01\x00\xff\x00"[:number % 10])
    # Others are not held up.
    connect(broker.amqps, files.context()).close()
    assert all(is_let_go(one) for one in silent)
    assert time.monotonic() - began < 8
    for one in silent:
        one.close()


def test_garbage_in_a_handshake_and_behind_it_harms_nobody(tls_broker, files):
    broker = tls_broker()
    bystander = open_amqp(broker, files.context())
    before = broker.resident_bytes()
    for number in range(200):
        with socket.create_connection(broker.amqps, timeout=10) as one:
            body = os.urandom(300 + number * 20)
            one.sendall(b"\x16\x03\x01" + struct.pack(">H", len(body)) + body)
            # Of a message whose length (octets 1 to 3) is below 64 KiB, the rest is waited for.
            if body[1] > 0:
                assert is_let_go(one)
    for _ in range(20):
        plain = socket.create_connection(broker.mqtts, timeout=10)
        secure = files.context().wrap_socket(plain, server_hostname="localhost")
        os.write(secure.fileno(), b"\x17\x03\x03\x00\x40" + os.urandom(64))
        assert is_let_go(secure)
        secure.close()
    assert broker.resident_bytes() - before < 32 << 20
    bystander.channel().queue_declare("q")
    bystander.close()


def test_both_sides_take_their_leave(tls_broker, files):
    broker = tls_broker()
    # The broker first: without close_notify, this would be an SSLEOFError.
    with connect(broker.mqtts, files.context()) as refused:
        refused.sendall(b"\x10\x0c\x00\x04XXXX\x04\x02\x00\x3c\x00\x00")
        while refused.recv(64):
            pass
    # The client first: it is answered.
    context = files.context()
    with connect(broker.amqps, context) as leaving:
        leaving.sendall(b"AMQP\x00\x00\x09\x01")
        assert leaving.recv(4096)
        leaving.unwrap()


def test_what_was_confirmed_outlives_a_kill(tls_broker, files):
    broker = tls_broker()
    channel = open_amqp(broker, files.context()).channel()
    channel.queue_declare("q", durable=True)
    bodies = [os.urandom(100_000) for _ in range(20)]
    fill(channel, "q", bodies, pika.BasicProperties(delivery_mode=2))
    broker.kill_and_restart()
    assert drain(open_amqp(broker, files.context()).channel(), "q") == bodies


def test_the_command_says_what_it_does_and_overwrites_nothing(files):
    assert files.path("ca.pem") in files.said and "--tls-cert-path" in files.said
    for name in ("server.key", "client.key"):
        assert stat.S_IMODE(os.stat(files.path(name)).st_mode) == 0o600
    with pytest.raises(AssertionError, match="ca.pem: File exists"):
        Certificates(files.directory)


def test_openssl_finds_the_chain_good(tls_broker, files):
    broker = tls_broker()
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"localhost:{broker.amqps[1]}", "-CAfile", files.path("ca.pem"),
         "-verify_return_error", "-verify_hostname", "localhost", "-x509_strict"],
        input="", capture_output=True, text=True, timeout=20, check=False)
    assert "Verify return code: 0 (ok)" in done.stdout, done.stdout + done.stderr
