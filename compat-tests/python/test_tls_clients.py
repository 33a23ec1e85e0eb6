"""Certificates of clients: who is let in, and as whom."""

import socket
import ssl

import pika
import pytest
from pika.exceptions import AMQPConnectionError, ProbableAuthenticationError

from support.amqp_client import drain, fill
from support.certificates import (
    connect, files, mqtt_client, open_amqp, strange, tls_broker)  # noqa: F401
from support.management import Management, segment

pytestmark = pytest.mark.own_process


def mutual(files, how="optional"):
    """The arguments with which clients show certificates."""
    return ["--tls-client-ca-path", files.path("ca.pem"), "--tls-client-certs", how]


def open_external(address, context=None):
    """Logs in as whom the certificate names."""
    options = {} if context is None else {"ssl_options": pika.SSLOptions(context, "localhost")}
    credentials = pika.credentials.ExternalCredentials()
    return pika.BlockingConnection(
        pika.ConnectionParameters(*address, credentials=credentials, socket_timeout=10, **options))


def test_a_certificate_is_a_login_for_amqp(tls_broker, files, tmp_path):
    broker = tls_broker(*mutual(files))
    connection = open_external(broker.amqps, files.context(shown=files))
    shown = Management(broker.http).find("connections", auth_mechanism="EXTERNAL")
    assert shown["user"] == "guest" and shown["peer_cert_subject"] == "CN=guest"
    assert shown["peer_cert_issuer"] == "CN=Leveret trial authority"
    assert shown["peer_cert_validity"].count("T") == 2
    channel = connection.channel()
    channel.queue_declare("q", exclusive=True)
    fill(channel, "q", [b"hello"])
    assert drain(channel, "q") == [b"hello"]
    connection.close()


def test_external_is_for_clients_with_a_certificate_alone(tls_broker, files):
    broker = tls_broker(*mutual(files))
    open_amqp(broker, files.context()).close()
    with pytest.raises(AMQPConnectionError):
        open_external(broker.amqps, files.context())
    with pytest.raises(AMQPConnectionError):
        open_external(broker.amqp)
    # With a certificate, a password is as good as without.
    open_amqp(broker, files.context(shown=files)).close()
    with pytest.raises(ProbableAuthenticationError):
        open_amqp(broker, files.context(shown=files), password="wrong")


def test_the_user_of_a_certificate_has_to_be_there(tls_broker, files):
    arguments = ["--mqtt-tls-user-from-cert", "true", "--tls-user-name-from", "distinguished-name"]
    broker = tls_broker(*mutual(files), *arguments)
    context = files.context(shown=files)
    with pytest.raises(ProbableAuthenticationError):
        open_external(broker.amqps, context)
    assert mqtt_client(broker.mqtts, context).try_connect().is_failure
    assert broker.output().count("no user with this name and this proof") == 2
    management = Management(broker.http)
    # Without a password, so that nobody logs in by one.
    assert management.put(f"users/{segment('CN=guest')}", {"password_hash": "", "tags": ""}).status_code == 201
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    management.put(f"permissions/%2F/{segment('CN=guest')}", everything)
    open_external(broker.amqps, context).close()
    client = mqtt_client(broker.mqtts, context).connect()
    shown = management.find("connections", user="CN=guest", auth_mechanism="EXTERNAL", type="network")
    assert shown["protocol"].startswith("MQTT")
    client.stop()


def test_a_user_of_this_machine_alone_is_not_let_in_from_elsewhere(tls_broker, files):
    broker = tls_broker(*mutual(files), "--mqtt-tls-user-from-cert", "true", bind="0.0.0.0")
    elsewhere = own_address()
    if elsewhere is None:
        pytest.skip("this machine has the loopback address alone")
    context = files.context(shown=files)
    context.check_hostname = False
    with pytest.raises(ProbableAuthenticationError):
        open_external((elsewhere, broker.amqps[1]), context)
    assert mqtt_client((elsewhere, broker.mqtts[1]), context).try_connect().is_failure


def own_address():
    """An address of this machine that is not the loopback one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
        return None if address.startswith("127.") else address


def test_mqtt_takes_the_user_of_a_certificate_if_it_is_told_to(tls_broker, files):
    broker = tls_broker(*mutual(files), "--mqtt-tls-user-from-cert", "true", "--mqtt-anonymous", "never")
    client = mqtt_client(broker.mqtts, files.context(shown=files)).connect()
    assert Management(broker.http).find("connections", auth_mechanism="EXTERNAL")["user"] == "guest"
    client.stop()
    assert mqtt_client(broker.mqtts, files.context()).try_connect().is_failure
    # A user name is taken at its word, which needs the password.
    wrong = mqtt_client(broker.mqtts, files.context(shown=files), user="guest", password="wrong")
    assert wrong.try_connect().is_failure


def test_mqtt_takes_no_user_out_of_a_certificate_by_itself(tls_broker, files):
    broker = tls_broker(*mutual(files), "--mqtt-anonymous", "never")
    assert mqtt_client(broker.mqtts, files.context(shown=files)).try_connect().is_failure


@pytest.mark.parametrize("how", ["optional", "required"])
def test_a_strange_certificate_is_refused(tls_broker, files, strange, how):
    broker = tls_broker(*mutual(files, how))
    for address in (broker.amqps, broker.mqtts, broker.https, broker.wss):
        assert is_refused(address, files.context(shown=strange))
        connect(address, files.context(shown=files)).close()
        assert is_refused(address, files.context()) == (how == "required")


def is_refused(address, context):
    """Whether the handshake fails. A client of TLS 1.3 is done with it before the server has looked."""
    try:
        with connect(address, context) as connected:
            connected.settimeout(0.5)
            connected.recv(1)
    except TimeoutError:
        return False
    except (ssl.SSLError, ConnectionError):
        return True
    return False


def test_a_session_that_is_resumed_keeps_its_certificate(tls_broker, files):
    broker = tls_broker(*mutual(files))
    context = files.context(shown=files)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with connect(broker.amqps, context) as first:
        session = first.session
    plain = socket.create_connection(broker.amqps, timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost", session=session) as second:
        assert second.session_reused
        second.sendall(b"AMQP\x00\x00\x09\x01")
        assert b"EXTERNAL" in second.recv(4096)
