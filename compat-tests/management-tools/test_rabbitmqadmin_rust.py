"""rabbitmqadmin 2, unmodified. It reads answers into types, so a field that is missing is an error."""

import json

import pika
import pytest
from support.amqp_client import connect
from support.mqtt_client import MqttClient
from support.waiting import eventually

EVERYTHING = '{"configure": ".*", "write": ".*", "read": ".*"}'


def first(rows):
    return [row[0] for row in rows]


@pytest.fixture
def busy(broker, name):
    """A broker with something of each kind: clients of both protocols, consumers, unsettled and unconfirmed messages."""
    connection, queue = connect(broker.amqp), name("busy")
    channel = connection.channel()
    channel.queue_declare(queue)
    channel.confirm_delivery()
    channel.basic_consume(queue, lambda *_: None)
    for _ in range(3):
        channel.basic_publish("", queue, b"x")
    subscriber = MqttClient(broker.mqtt).connect()
    subscriber.subscribe(f"busy/{queue}", 1)
    yield queue
    subscriber.stop()
    channel.queue_delete(queue)
    connection.close()


@pytest.mark.parametrize("what", [
    "nodes", "users", "vhosts", "permissions", "connections", "channels", "queues", "exchanges", "bindings", "consumers",
    "parameters", "policies", "operator_policies", "vhost_limits", "user_limits", "feature_flags", "deprecated_features",
    "deprecated_features_in_use",
])
def test_lists(admin2, busy, what):
    arguments = ["--component", "none"] if what == "parameters" else []
    listed = admin2.lines("list", what, *arguments)
    if what in ("connections", "channels", "queues", "consumers"):
        assert listed


def test_lists_are_paged(admin2, busy):
    assert len(admin2.lines("list", "queues", "--page", "1", "--page-size", "1")) == 2, "a head and a queue"


@pytest.mark.parametrize("what", ["overview", "churn", "endpoint"])
def test_shows(admin2, busy, what):
    assert admin2.lines("show", what)


def test_shows_the_memory_of_a_node(admin2, broker, management):
    node = management.read("overview")["node"]
    for unit in ("bytes", "percent"):
        assert admin2.lines("show", f"memory_breakdown_in_{unit}", "--node", node)


def test_health_checks(admin2, broker):
    for check in ("local_alarms", "cluster_wide_alarms", "node_is_quorum_critical"):
        admin2("health_check", check)
    admin2("health_check", "port_listener", "--port", broker.amqp[1])
    admin2("health_check", "protocol_listener", "--protocol", "mqtt")
    admin2("health_check", "port_listener", "--port", 1, fails=True)


def test_a_topology_is_declared_used_and_deleted(admin2, name, management):
    queue, exchange, other = name("queue"), name("exchange"), name("other")
    admin2("declare", "exchange", "--name", exchange, "--type", "topic", "--durable", "true")
    admin2("declare", "exchange", "--name", other, "--type", "fanout", "--arguments", '{"alternate-exchange": "amq.fanout"}')
    admin2("declare", "queue", "--name", queue, "--type", "classic", "--arguments", '{"x-max-length": 10}')
    for destination, kind in ((queue, "queue"), (other, "exchange")):
        admin2("declare", "binding", "--source", exchange, "--destination-type", kind, "--destination", destination,
               "--routing-key", "a.#", "--arguments", '{"x": 1}')
    admin2("publish", "message", "--exchange", exchange, "--routing-key", "a.b", "--payload", "hello",
           "--properties", '{"delivery_mode": 2, "headers": {"h": 1}}')
    assert "hello" in admin2("get", "messages", "--queue", queue, "--ack-mode", "ack_requeue_true")
    admin2("purge", "queue", "--name", queue)
    assert management.read(f"queues/%2F/{queue}")["messages"] == 0
    admin2("queues", "show", "--name", queue)
    admin2("rebalance", "queues")
    for destination, kind in ((queue, "queue"), (other, "exchange")):
        admin2("delete", "binding", "--source", exchange, "--destination-type", kind, "--destination", destination,
               "--routing-key", "a.#", "--arguments", '{"x": 1}')
    assert not [row for row in management.read("bindings/%2F") if row["source"] == exchange]
    admin2("delete", "queue", "--name", queue)
    admin2("delete", "exchange", "--name", exchange)
    admin2("delete", "exchange", "--name", other)
    admin2("delete", "queue", "--name", queue, fails=True)
    admin2("delete", "queue", "--name", queue, "--idempotently")


def test_users_and_what_they_may_do(admin2, name, management):
    vhost, user = name("vhost"), name("user")
    admin2("vhosts", "declare", "--name", vhost, "--description", "for one test")
    admin2("vhosts", "enable_deletion_protection", "--name", vhost)
    admin2("delete", "vhost", "--name", vhost, fails=True)
    admin2("vhosts", "disable_deletion_protection", "--name", vhost)
    admin2("declare", "user", "--name", user, "--password", "secret", "--tags", "management")
    admin2("--vhost", vhost, "declare", "permissions", "--username", user, "--configure", ".*", "--write", ".*", "--read", ".*")
    as_user = ["--username", user, "--password", "secret", "--vhost", vhost]
    admin2(*as_user, "declare", "queue", "--name", "own")
    assert "own" in admin2(*as_user, "list", "queues")
    admin2(*as_user, "list", "users", fails=True)
    admin2("declare", "user_limit", "--username", user, "--name", "max-connections", "--value", 3)
    assert "max-connections" in admin2("list", "user_limits", "--username", user)
    admin2("delete", "user_limit", "--username", user, "--name", "max-connections")
    admin2("--vhost", vhost, "declare", "vhost_limit", "--name", "max-queues", "--value", 5)
    assert "max-queues" in admin2("--vhost", vhost, "list", "vhost_limits")
    admin2("--vhost", vhost, "delete", "vhost_limit", "--name", "max-queues")
    admin2("--vhost", vhost, "delete", "permissions", "--username", user)
    admin2(*as_user, "declare", "queue", "--name", "other", fails=True)
    admin2("delete", "user", "--name", user)
    admin2("delete", "vhost", "--name", vhost)


def test_a_user_by_the_hash_of_its_password(admin2, name, management):
    user = name("hashed")
    salted = admin2.lines("passwords", "salt_and_hash", "secret")
    password_hash = next(row[-1] for row in salted if row[:2] == ["password", "hash"])
    admin2("declare", "user", "--name", user, "--password-hash", password_hash, "--tags", "management")
    admin2("--username", user, "--password", "secret", "list", "vhosts")
    admin2("--username", user, "--password", "wrong", "list", "vhosts", fails=True)
    admin2("delete", "user", "--name", user)


def test_policies(admin2, name, management):
    policy, queue = name("policy"), name("queue")
    for kind, most in (("policy", 3), ("operator_policy", 2)):
        admin2("declare", kind, "--name", policy, "--pattern", f"^{queue}$", "--apply-to", "queues",
               "--definition", json.dumps({"max-length": most}))
    admin2("declare", "queue", "--name", queue)
    assert management.read(f"queues/%2F/{queue}")["effective_policy_definition"] == {"max-length": 2}
    assert policy in admin2("policies", "list") and policy in admin2("operator_policies", "list")
    admin2("delete", "queue", "--name", queue)
    admin2("delete", "policy", "--name", policy)
    admin2("delete", "operator_policy", "--name", policy)


def test_global_parameters(admin2, name):
    parameter = name("parameter")
    admin2("global_parameters", "set", "--name", parameter, "--value", '{"a": 1}')
    assert parameter in admin2("global_parameters", "list")
    admin2("global_parameters", "clear", "--name", parameter)


def test_connections_are_closed(admin2, broker, name, management):
    user = name("closed")
    management.put(f"users/{user}", {"password": "secret", "tags": ""})
    management.put(f"permissions/%2F/{user}", json.loads(EVERYTHING))
    credentials = pika.PlainCredentials(user, "secret")
    one, two = (pika.BlockingConnection(pika.ConnectionParameters(*broker.amqp, credentials=credentials)) for _ in range(2))
    shown = eventually(lambda: management.read(f"connections/username/{user}"), "they are listed")
    assert user in admin2("list", "user_connections", "--username", user)
    admin2("close", "connection", "--name", shown[0]["name"])
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
        one.process_data_events(time_limit=10)
    admin2("close", "user_connections", "--username", user)
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
        two.process_data_events(time_limit=10)
    management.delete(f"users/{user}")


def test_definitions_leave_and_come_back(admin2, name, file, management):
    queue = name("kept")
    admin2("declare", "queue", "--name", queue)
    admin2("definitions", "export", "--file", file("all.json"))
    admin2("definitions", "export_from_vhost", "--file", file("vhost.json"))
    admin2("delete", "queue", "--name", queue)
    admin2("definitions", "import", "--file", file("all.json"))
    assert management.read(f"queues/%2F/{queue}")
    admin2("delete", "queue", "--name", queue)
    admin2("definitions", "import_into_vhost", "--file", file("vhost.json"))
    admin2("delete", "queue", "--name", queue)


def test_feature_flags_can_be_enabled_already(admin2):
    admin2("feature_flags", "enable_all")


def test_it_counts_who_has_tried_to_log_in(admin2, management):
    node = management.read("overview")["node"]
    assert admin2.lines("auth_attempts", "stats", "--node", node)
