"""Logins whose passwords take a while to be checked: everybody else goes on, and nothing is lost."""

import select
import socket
import threading

import pytest
from pika import spec

from support.accounts import EVERYTHING
from support.amqp_client import connect
from support.broker import Broker
from support.management import Management
from support.raw_amqp import CAPABILITIES, RawAmqp, method
from support.raw_mqtt import CONNACK, PUBACK, SUBACK, RawMqtt, packet, subscribe, text
from support.raw_mqtt import connect as mqtt_connect
from support.raw_mqtt import publish as mqtt_publish
from support.waiting import eventually

pytestmark = pytest.mark.own_process


@pytest.fixture
def unchecked(own_broker):
    """Makes users whose passwords have not been checked yet."""
    management = Management(own_broker.http)
    made = iter(range(100))

    def make():
        name = f"user{next(made)}"
        assert management.put(f"users/{name}", {"password": "secret", "tags": ""}).status_code == 201
        assert management.put(f"permissions/%2F/{name}", EVERYTHING).status_code == 201
        return name

    return make


def mqtt_login(client_id, user, password="secret"):
    return mqtt_connect(client_id, flags=0xC2, rest=text(user) + text(password))


def test_an_mqtt_client_may_go_on_before_it_is_let_in(own_broker, unchecked):
    for _ in range(5):
        with RawMqtt(own_broker.mqtt) as raw:
            packets = [mqtt_login("c", unchecked()), subscribe(1, ("t", 0)), mqtt_publish("t", b"x", 1, 2)]
            raw.send(b"".join(packets))
            assert raw.expect(CONNACK)[1] == 0
            assert raw.expect(SUBACK)[-1] == 0
            assert {raw.read_packet()[0] for _ in range(2)} == {PUBACK, 3}


def test_an_amqp_client_may_go_on_before_it_is_let_in(own_broker, unchecked):
    for _ in range(5):
        with RawAmqp(own_broker.amqp) as raw:
            raw.begin()
            response = b"\0" + unchecked().encode() + b"\0secret"
            properties = {"product": "raw", "capabilities": CAPABILITIES}
            raw.send(b"".join([
                method(0, spec.Connection.StartOk(properties, "PLAIN", response, "en_US")),
                method(0, spec.Connection.TuneOk(2047, 131072, 0)),
                method(0, spec.Connection.Open("/")),
                method(1, spec.Channel.Open()),
            ]))
            raw.expect(spec.Connection.Tune)
            raw.expect(spec.Connection.OpenOk)
            raw.expect(spec.Channel.OpenOk)


def test_clients_that_go_while_they_are_checked_leave_nothing_behind(own_broker, unchecked):
    management = Management(own_broker.http)
    user = unchecked()
    for number in range(50):
        with RawMqtt(own_broker.mqtt) as raw:
            raw.send(mqtt_login(f"c{number}", user, "secret" if number % 2 else "wrong"))
        with RawAmqp(own_broker.amqp) as raw:
            raw.log_in(response=b"\0" + user.encode() + b"\0wrong")
    eventually(lambda: management.read("connections") == [], "all connections are gone")
    connect(own_broker.amqp, user=user, password="secret").close()


def test_those_who_are_known_come_in_during_a_flood_of_wrong_passwords(own_broker):
    connect(own_broker.amqp).close()
    stop = threading.Event()
    refused = []

    def flood(number):
        while not stop.is_set():
            with RawMqtt(own_broker.mqtt) as raw:
                raw.send(mqtt_login(f"flood{number}", "guest", "wrong"))
                refused.append(raw.expect(CONNACK)[1])

    floods = [threading.Thread(target=flood, args=(number,)) for number in range(8)]
    for thread in floods:
        thread.start()
    try:
        eventually(lambda: len(refused) > 20, "the flood is refused")
        for _ in range(20):
            connect(own_broker.amqp).close()
    finally:
        stop.set()
        for thread in floods:
            thread.join()
    assert set(refused) == {0x86}


def test_a_broker_that_stops_waits_for_no_check(own_broker, unchecked):
    with RawMqtt(own_broker.mqtt) as raw:
        raw.send(mqtt_login("c", unchecked()) + packet(12, 0, b""))
        assert own_broker.terminate() == 0


def mqtt_socket(broker, source, client_id, user, password):
    """A client from another address of this machine, which has sent its login."""
    client = socket.create_connection(broker.mqtt, timeout=20, source_address=(source, 0))
    client.sendall(mqtt_login(client_id, user, password))
    return client


def connack(client):
    """The reason code with which the client is let in, or not."""
    answer = client.recv(64)
    assert answer[0] == CONNACK << 4, answer
    return answer[3]


def test_a_crowd_from_one_address_waits_for_itself_alone(tmp_path):
    broker = Broker(tmp_path, ["--login-failures-max=0"])
    try:
        broker.start()
        crowd = [mqtt_socket(broker, "127.0.0.2", f"c{n}", "guest", f"wrong{n}") for n in range(400)]
        with mqtt_socket(broker, "127.0.0.1", "me", "guest", "guest") as me:
            assert connack(me) == 0
        waiting = [client for client in crowd if not select.select([client], [], [], 0)[0]]
        assert waiting, "the crowd still waits"
        for client in crowd:
            assert connack(client) == 0x86
            client.close()
    finally:
        broker.stop()


def test_an_address_whose_logins_fail_too_often_is_refused_unseen_unless_the_login_is_known(tmp_path):
    broker = Broker(tmp_path, ["--login-failures-max=5"])

    def log_in(source, password):
        with mqtt_socket(broker, source, "c", "guest", password) as client:
            return connack(client)

    try:
        broker.start()
        # The same wrong login again and again counts once.
        assert [log_in("127.0.0.2", "wrong") for _ in range(10)] == [0x86] * 10
        assert [log_in("127.0.0.2", f"wrong{n}") for n in range(4)] == [0x86] * 4
        assert log_in("127.0.0.2", "guest") == 0x86, "it is not looked at"
        assert "too many logins of this address have failed" in broker.output()
        assert log_in("127.0.0.1", "guest") == 0, "others are let in"
        assert log_in("127.0.0.2", "guest") == 0, "and now it is known"
    finally:
        broker.stop()
