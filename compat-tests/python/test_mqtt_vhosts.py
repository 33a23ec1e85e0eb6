"""Virtual hosts of MQTT clients: by user name, by port, by setting; nothing goes from one to another."""

import pytest

from support.amqp_client import connect as connect_amqp
from support.broker import Broker, free_port
from support.management import Management
from support.mqtt_client import MqttClient
from support.waiting import eventually

pytestmark = pytest.mark.own_process
FACTORY = {"user": "factory:guest", "password": "guest"}


@pytest.fixture
def broker(tmp_path):
    """A broker with a second virtual host that has a port of its own."""
    port = free_port()
    broker = Broker(tmp_path, ["--mqtt-port-vhosts", f"{port}=factory"])
    broker.factory = ("127.0.0.1", port)
    try:
        management = Management(broker.start().http)
        assert management.put("vhosts/factory").status_code == 201
        permissions = {"configure": ".*", "write": ".*", "read": ".*"}
        assert management.put("permissions/factory/guest", permissions).status_code in (201, 204)
        yield broker
        broker.assert_sound()
    finally:
        broker.stop()


def client(address, client_id="", **options):
    return MqttClient(address, client_id, **options).connect()


@pytest.mark.parametrize("version", [3, 5])
def test_a_user_name_may_begin_with_a_virtual_host(broker, version):
    inside, outside = client(broker.mqtt, version=version, **FACTORY), client(broker.mqtt, version=version)
    for one in (inside, outside):
        one.subscribe("news", 1)
    inside.publish("news", b"inside", 1)
    outside.publish("news", b"outside", 1)
    assert inside.payloads(1) == [b"inside"] and outside.payloads(1) == [b"outside"]
    assert inside.messages.empty() and outside.messages.empty()


def test_a_port_may_have_a_virtual_host(broker):
    queue = connect_amqp(broker.amqp, vhost="factory").channel()
    queue.queue_declare("sensors")
    queue.queue_bind("sensors", "amq.topic", "sensors.#")
    client(broker.factory).publish("sensors/a", b"here", 1)
    client(broker.mqtt).publish("sensors/a", b"elsewhere", 1)
    eventually(lambda: queue.queue_declare("sensors", passive=True).method.message_count, "the message is there")
    assert queue.basic_get("sensors", auto_ack=True)[2] == b"here"
    assert queue.basic_get("sensors", auto_ack=True) == (None, None, None)


def test_the_user_name_comes_before_the_port(broker):
    subscriber = client(broker.factory, user="/:guest", password="guest")
    subscriber.subscribe("a")
    client(broker.mqtt).publish("a", b"in /")
    assert subscriber.payloads(1) == [b"in /"]


def test_a_prefix_that_is_no_virtual_host_belongs_to_the_name(broker):
    management = Management(broker.http)
    assert management.put("users/urn:sensor", {"password": "x", "tags": ""}).status_code == 201
    permissions = {"configure": ".*", "write": ".*", "read": ".*"}
    assert management.put("permissions/%2F/urn:sensor", permissions).status_code == 201
    client(broker.mqtt, user="urn:sensor", password="x").publish("a", b"", 1)


def test_whoever_has_no_permissions_there_is_refused(broker):
    assert Management(broker.http).put("users/jo", {"password": "x", "tags": ""}).status_code == 201
    for user, reason in (("factory:jo", 0x87), ("factory:nobody", 0x86)):
        assert MqttClient(broker.mqtt, user=user, password="x").try_connect().value == reason


def test_sessions_and_retained_messages_are_of_their_virtual_host(broker):
    there = {**FACTORY, "clean": False, "expiry": 3600}
    inside = client(broker.mqtt, "same", **there)
    outside = client(broker.mqtt, "same", clean=False, expiry=3600)
    for one, text in ((inside, b"inside"), (outside, b"outside")):
        one.publish("kept", text, 1, retain=True)
        one.subscribe("kept", 1)
        one.subscribe("later", 1)
        assert one.payloads(1) == [text]
    management = Management(broker.http)
    assert [s["vhost"] for s in management.read("mqtt/sessions")] == ["/"]
    assert management.read("mqtt/sessions/same?vhost=factory")["vhost"] == "factory"
    assert management.get("mqtt/sessions?vhost=nowhere").status_code == 404
    for one in (inside, outside):
        one.disconnect()
    client(broker.mqtt, **FACTORY).publish("later", b"for inside", 1)
    broker.kill_and_restart()
    inside = client(broker.mqtt, "same", **there)
    outside = client(broker.mqtt, "same", clean=False, expiry=3600)
    assert inside.session_present and outside.session_present
    assert inside.payloads(1) == [b"for inside"]
    late = client(broker.mqtt, **FACTORY)
    late.subscribe("kept")
    assert late.payloads(1) == [b"inside"]
    assert outside.messages.empty()


def test_wills_delayed_messages_and_shared_subscriptions_stay_there(broker):
    watcher, other = client(broker.mqtt, **FACTORY), client(broker.mqtt)
    for one in (watcher, other):
        one.subscribe("gone", 1)
        one.subscribe("delayed", 1)
        one.subscribe("$share/group/work", 1)
    dying = client(broker.mqtt, will={"topic": "gone", "payload": b"will", "qos": 1}, **FACTORY)
    dying.vanish()
    assert watcher.receive().topic == "gone"
    sender = client(broker.mqtt, **FACTORY)
    sender.publish("$delayed/1/delayed", b"", 1)
    assert watcher.receive().topic == "delayed"
    member = client(broker.mqtt, "member", manual_ack=True, **FACTORY)
    member.subscribe("$share/group/work", 1)
    for number in range(6):
        sender.publish("work", b"%d" % number, 1)
    assert len(member.receive_many(3)) == 3
    member.vanish()
    got = sorted(watcher.payloads(6))
    assert got == [b"%d" % number for number in range(6)]
    assert other.messages.empty()
