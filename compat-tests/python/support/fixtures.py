"""pytest fixtures: one broker shared by a run, brokers of a test's own, connected clients.

Names of queues, exchanges, topics and client ids come from the `name` fixture, so tests share the
broker without seeing each other.
"""

import itertools
import uuid

import pytest

from support.accounts import Account
from support.amqp_client import connect as connect_amqp, drain, fill
from support.broker import Broker, Peer
from support.management import Management
from support.mqtt_client import MqttClient


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory):
    peer = Peer.from_environment()
    if peer:
        yield peer
        return
    broker = Broker(tmp_path_factory.mktemp("shared"))
    try:
        yield broker.start()
        broker.assert_sound()
    finally:
        broker.stop()


@pytest.fixture
def broker(shared_broker):
    """The shared broker, checked after each test so that a crash names its test."""
    yield shared_broker
    shared_broker.assert_sound()


@pytest.fixture
def own_broker(tmp_path):
    """A fresh broker for this test alone: it may be killed, restarted and flooded."""
    broker = Broker(tmp_path)
    try:
        yield broker.start()
    finally:
        broker.stop()
        assert "panicked at" not in broker.output(), f"the broker panicked:\n{broker.output()}"


@pytest.fixture
def start_with(tmp_path):
    """Starts brokers with settings: `start_with(auth_backends="http")`; stopped after the test."""
    started = []

    def start(**settings):
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        broker = Broker(tmp_path / f"broker{len(started)}", flags)
        broker.directory.mkdir()
        started.append(broker)
        return broker.start()

    yield start
    for broker in started:
        broker.stop()
        assert "panicked at" not in broker.output(), f"the broker panicked:\n{broker.output()}"


@pytest.fixture
def watched(own_broker):
    """A broker with one innocent client per protocol, who must not notice anything."""
    queue, bystander = "innocent", connect_amqp(own_broker.amqp)
    channel = bystander.channel()
    channel.queue_declare(queue, exclusive=True)
    subscriber = MqttClient(own_broker.mqtt).connect()
    subscriber.subscribe("innocent", 1)
    before = own_broker.resident_bytes()
    yield own_broker
    own_broker.assert_sound()
    fill(channel, queue, [b"unharmed"])
    assert drain(channel, queue) == [b"unharmed"]
    subscriber.publish("innocent", b"unharmed", 1)
    assert subscriber.receive().payload == b"unharmed"
    subscriber.stop()
    grown = (own_broker.resident_bytes() - before) // (1024 * 1024)
    assert grown < 160, f"the broker grew by {grown} MiB"


@pytest.fixture
def name():
    """Makes unique names: `name()` or `name("suffix")`."""
    run = uuid.uuid4().hex[:12]
    count = itertools.count()
    return lambda suffix="n": f"t-{run}-{next(count)}-{suffix}"


@pytest.fixture
def amqp(broker):
    """Opens AMQP connections: `amqp()`; closed after the test."""
    opened = []

    def connect(**parameters):
        opened.append(connect_amqp(broker.amqp, **parameters))
        return opened[-1]

    yield connect
    for connection in opened:
        if connection.is_open:
            connection.close()


@pytest.fixture
def channel(amqp):
    """A channel on a connection of its own."""
    return amqp().channel()


@pytest.fixture
def mqtt(broker):
    """Makes connected MQTT clients: `mqtt("id", version=5, …)`; disconnected after the test."""
    opened = []

    def connect(client_id="", **parameters):
        client = MqttClient(broker.mqtt, client_id, **parameters)
        opened.append(client)
        return client.connect()

    yield connect
    for client in opened:
        client.stop()


@pytest.fixture
def management(broker):
    """The HTTP API as guest."""
    return Management(broker.http)


@pytest.fixture
def account(management, broker, name):
    """Makes users: `account(write="^a")`; deleted after the test."""
    made = []

    def make(**permissions):
        made.append(Account(management, broker.amqp, name("user"), **permissions))
        return made[-1]

    yield make
    for one in made:
        one.delete()
