"""AMQP and MQTT: how many connections, channels and queues vhosts, users and the node may have.

The texts of the single limits are in the table, `conformance/rows/access_limits.py`.
"""

import socket

import pytest
from pika.exceptions import ConnectionClosedByBroker, ProbableAccessDeniedError

from support.accounts import EVERYTHING, Account, refusal_of_open
from support.amqp_client import close_of_channel, close_of_connection, connect
from support.broker import Broker
from support.management import Management
from support.mqtt_client import MqttClient
from support.waiting import eventually


@pytest.fixture
def user(management, broker, name):
    """A user of an own vhost, which goes with everything in it."""
    vhost = name("vhost")
    assert management.put(f"vhosts/{vhost}").status_code == 201
    made = Account(management, broker.amqp, name("user"), vhost=vhost, **EVERYTHING)
    yield made
    made.delete()
    management.delete(f"vhosts/{vhost}")


def limit_vhost(user, name, value):
    assert user.management.put(f"vhost-limits/{user.vhost}/{name}", {"value": value}).status_code == 204


def reached(user, maximum):
    return (f"access to vhost '{user.vhost}' refused for user '{user.name}': "
            f"connection limit ({maximum}) is reached")


def test_a_connection_that_has_closed_makes_place_at_once(user):
    user.limit("max-connections", 1)
    for _ in range(20):
        user.connect().close()


def test_a_connection_that_is_lost_makes_place(user):
    limit_vhost(user, "max-connections", 1)
    lost = user.connect()
    assert reached(user, 1) in str(refusal_of_open(user.connect))
    lost._impl._transport._sock.shutdown(socket.SHUT_RDWR)

    def again():
        try:
            return user.connect()
        except ProbableAccessDeniedError:
            return None

    eventually(again, "a place")


def test_a_limit_that_is_lowered_ends_nothing_and_one_that_is_cleared_holds_no_more(user):
    first, _second = user.connect(), user.connect()
    limit_vhost(user, "max-connections", 1)
    assert reached(user, 1) in str(refusal_of_open(user.connect))
    assert first.channel().is_open
    path = f"vhost-limits/{user.vhost}/max-connections"
    assert user.management.delete(path).status_code == 204
    user.connect()


def test_a_refused_connection_takes_no_place(user):
    user.limit("max-connections", 1)
    limit_vhost(user, "max-connections", 0)
    for _ in range(3):
        assert reached(user, 0) in str(refusal_of_open(user.connect))
    limit_vhost(user, "max-connections", -1)
    user.connect()


def test_channels_count_over_all_connections_of_a_user(user):
    user.limit("max-channels", 3)
    one, other = user.connect(), user.connect()
    one.channel()
    one.channel()
    last = other.channel()
    assert close_of_connection(other.channel) == (
        530, f"NOT_ALLOWED - number of channels opened for user '{user.name}' "
             "has reached the maximum allowed user limit of (3)")
    assert last.is_closed
    one.channel()


def test_a_channel_that_failed_makes_place(user):
    user.limit("max-channels", 1)
    connection = user.connect()
    for _ in range(5):
        assert close_of_channel(
            lambda: connection.channel().queue_declare("no", passive=True))[0] == 404
    assert connection.channel().is_open


def test_server_named_and_exclusive_queues_count(user):
    limit_vhost(user, "max-queues", 1)
    connection = user.connect()
    connection.channel().queue_declare("", exclusive=True)
    code, text = close_of_channel(lambda: connection.channel().queue_declare("q"))
    assert (code, text) == (
        406, f"PRECONDITION_FAILED - cannot declare queue 'q': "
             f"queue limit in vhost '{user.vhost}' (1) is reached")
    connection.close()
    user.connect().channel().queue_declare("q", exclusive=True)


@pytest.mark.own_process
def test_mqtt_clients_count_in_their_vhost(own_broker):
    management = Management(own_broker.http)
    path = "vhost-limits/%2F/max-connections"
    assert management.put(path, {"value": 1}).status_code == 204
    first = MqttClient(own_broker.mqtt, "one").connect()
    code = MqttClient(own_broker.mqtt, "two").try_connect()
    assert code.is_failure and code.getName() == "Quota exceeded"
    assert "connection limit (1) is reached" in str(
        refusal_of_open(lambda: connect(own_broker.amqp)))
    first.stop()
    eventually(lambda: not management.read("connections"), "the end of the connection")
    connect(own_broker.amqp)


@pytest.mark.own_process
def test_an_mqtt_session_is_a_queue_of_its_vhost(own_broker):
    management = Management(own_broker.http)
    assert management.put("vhost-limits/%2F/max-queues", {"value": 0}).status_code == 204
    code = MqttClient(own_broker.mqtt, "one").try_connect()
    assert code.is_failure and code.getName() == "Quota exceeded"


@pytest.mark.own_process
def test_a_node_with_as_many_connections_as_it_may_have_says_so(tmp_path):
    broker = Broker(tmp_path, ["--connections-max", "2"])
    try:
        broker.start()
        first, _second = connect(broker.amqp), connect(broker.amqp)
        for _ in range(100):
            assert "connection refused: node connection limit (2) is reached" in str(
                refusal_of_open(lambda: connect(broker.amqp)))
        code = MqttClient(broker.mqtt, "one").try_connect()
        assert code.is_failure and code.getName() == "Quota exceeded"
        first.close()
        connect(broker.amqp)
    finally:
        broker.stop()


@pytest.mark.own_process
def test_limits_survive_kill_9(own_broker):
    management = Management(own_broker.http)
    user = Account(management, own_broker.amqp, "jo", **EVERYTHING)
    user.limit("max-channels", 1)
    user.limit("max-connections", -1)
    assert management.put("vhost-limits/%2F/max-queues", {"value": 1}).status_code == 204
    connect(own_broker.amqp).channel().queue_declare("q", durable=True)
    before = [management.read(path) for path in ("vhost-limits", "user-limits")]
    for _ in range(2):
        own_broker.kill_and_restart()
        assert [management.read(path) for path in ("vhost-limits", "user-limits")] == before
    connection = user.connect()
    channel = connection.channel()
    channel.queue_declare("q", durable=True)
    assert close_of_channel(lambda: channel.queue_declare("p"))[0] == 406
    connection.channel()
    with pytest.raises(ConnectionClosedByBroker):
        connection.channel()
