"""Policies: what the table of `conformance` cannot show."""

import time

import pytest

from support.amqp_client import PERSISTENT, connect, counts, drain, fill, get_one
from support.management import Management
from support.mqtt_client import MqttClient
from support.waiting import eventually

pytestmark = pytest.mark.own_process


def put(broker, name, pattern, definition, kind="policies", **options):
    """Makes a policy: the response."""
    body = {"pattern": pattern, "definition": definition, **options}
    return Management(broker.http).put(f"{kind}/%2F/{name}", body)


def delete(broker, name, kind="policies"):
    """Deletes a policy."""
    assert Management(broker.http).delete(f"{kind}/%2F/{name}").status_code == 204


def queue_of(broker, name):
    """What management says of a queue."""
    return Management(broker.http).get(f"queues/%2F/{name}").json()


def test_policies_survive_kill_9_and_are_in_force_at_once(own_broker):
    channel = connect(own_broker.amqp).channel()
    channel.queue_declare("q", durable=True)
    assert put(own_broker, "short", "^q$", {"max-length": 3}, priority=7).status_code == 201
    assert put(own_broker, "cap", "^q$", {"max-length": 2}, "operator-policies").status_code == 201
    fill(channel, "q", [b"%d" % number for number in range(5)], PERSISTENT)
    assert counts(channel.connection, "q")[0] == 2
    for _ in range(2):
        own_broker.kill_and_restart()
        channel = connect(own_broker.amqp).channel()
        fill(channel, "q", [b"a", b"b", b"c"], PERSISTENT)
        assert counts(channel.connection, "q")[0] == 2
        found = queue_of(own_broker, "q")
        assert (found["policy"], found["operator_policy"]) == ("short", "cap")
        assert found["effective_policy_definition"] == {"max-length": 2}
    delete(own_broker, "cap", "operator-policies")
    delete(own_broker, "short")
    own_broker.kill_and_restart()
    channel = connect(own_broker.amqp).channel()
    fill(channel, "q", [b"d"] * 5, PERSISTENT)
    assert counts(channel.connection, "q")[0] == 7
    assert queue_of(own_broker, "q")["policy"] is None


def test_a_changed_policy_counts_for_what_comes(own_broker):
    channel = connect(own_broker.amqp).channel()
    channel.queue_declare("q", durable=True)
    channel.queue_declare("dead", durable=True)
    fill(channel, "q", [b"old"], PERSISTENT)
    put(own_broker, "p", "^q$", {"message-ttl": 100, "dead-letter-exchange": "", "dead-letter-routing-key": "dead"})
    fill(channel, "q", [b"new"], PERSISTENT)
    assert get_one(channel, "dead")[2] == b"new"
    assert drain(channel, "q") == [b"old"]
    assert put(own_broker, "p", "^q$", {"message-ttl": 600_000}).status_code == 204
    fill(channel, "q", [b"newer"], PERSISTENT)
    time.sleep(0.3)
    assert drain(channel, "q") == [b"newer"]


def test_a_policy_without_expires_keeps_a_queue_that_was_to_go(own_broker):
    channel = connect(own_broker.amqp).channel()
    channel.queue_declare("q")
    put(own_broker, "p", "^q$", {"expires": 700})
    delete(own_broker, "p")
    time.sleep(1.2)
    assert counts(channel.connection, "q")[0] == 0
    put(own_broker, "p", "^q$", {"expires": 300})
    eventually(lambda: Management(own_broker.http).get("queues/%2F/q").status_code == 404, "the queue goes")


def test_policies_are_for_sessions_of_mqtt_too(own_broker):
    client = MqttClient(own_broker.mqtt, "away", clean=False, expiry=3600).connect()
    client.subscribe("t", 1)
    client.disconnect()
    (session,) = Management(own_broker.http).get("queues").json()
    put(own_broker, "p", f"^{session['name']}$", {"max-length": 2}, **{"apply-to": "classic_queues"})
    sender = MqttClient(own_broker.mqtt, "sender").connect()
    for number in range(5):
        sender.publish("t", b"%d" % number, qos=1)
    eventually(lambda: queue_of(own_broker, session["name"])["messages_ready"] == 2, "the session keeps two")
    sender.disconnect()


def test_a_policy_over_ten_thousand_queues_takes_no_time(own_broker):
    connection = connect(own_broker.amqp)
    channel = connection.channel()
    for number in range(10_000):
        channel.queue_declare(f"q{number}")
    started = time.monotonic()
    assert put(own_broker, "p", "^q.*7$", {"max-length": 1}).status_code == 201
    assert time.monotonic() - started < 1
    fill(channel, "q17", [b"1", b"2"])
    fill(channel, "q18", [b"1", b"2"])
    assert (counts(connection, "q17")[0], counts(connection, "q18")[0]) == (1, 2)


@pytest.mark.parametrize(("change", "reason"), [
    ({"definition": {"max-length": "many"}}, '<<"many">> is not a valid maximum length'),
    ({"definition": {"ha-mode": "all"}}, '[<<"ha-mode">>] are not recognised policy settings'),
    ({"definition": {}}, "no policy provided"),
    ({"definition": []}, "definition must be an object"),
    ({"pattern": "("}, "unclosed group"),
    ({"apply-to": "streets"}, "apply-to cannot be 'streets'"),
    ({"priority": "high"}, "priority must be an integer"),
])
def test_a_policy_that_makes_no_sense_is_refused(shared_broker, change, reason):
    body = {"pattern": "^q$", "definition": {"max-length": 1}, **change}
    response = Management(shared_broker.http).put("policies/%2F/bad", body)
    assert response.status_code == 400
    assert response.json()["reason"].startswith("Validation failed\n\n") and reason in response.json()["reason"]


def test_who_may_make_policies(own_broker):
    admin = Management(own_broker.http)
    for user, tag in [("maker", "policymaker"), ("viewer", "management")]:
        admin.put(f"users/{user}", {"password": "secret", "tags": tag})
        admin.put(f"permissions/%2F/{user}", {"configure": "", "write": "", "read": ""})
    body = {"pattern": "^q$", "definition": {"max-length": 1}}
    maker = Management(own_broker.http, "maker", "secret")
    viewer = Management(own_broker.http, "viewer", "secret")
    assert maker.put("policies/%2F/p", body).status_code == 201
    assert maker.put("operator-policies/%2F/p", {**body, "apply-to": "queues"}).status_code == 401
    assert viewer.put("policies/%2F/p", body).status_code == 401
    assert viewer.delete("policies/%2F/p").status_code == 401
    expected = {"vhost": "/", "name": "p", "apply-to": "all", "priority": 0, **body}
    assert viewer.get("policies").json() == viewer.get("policies/%2F").json() == [expected]
    assert maker.get("policies/%2F/p").json() == expected
    assert maker.get("policies/%2F/other").status_code == 404
    assert viewer.get("policies/%2F/p").status_code == 401


def test_global_parameters_survive_kill_9(own_broker):
    management = Management(own_broker.http)
    value = {"a": [1, 2.5, None, "x"], "b": True}
    assert management.put("global-parameters/p", {"value": value}).status_code == 201
    assert management.put("global-parameters/p", {"value": value}).status_code == 204
    assert management.put("global-parameters/gone", {"value": 1}).status_code == 201
    assert management.delete("global-parameters/gone").status_code == 204
    assert management.delete("global-parameters/gone").status_code == 404
    assert management.put("global-parameters/none", {}).status_code == 400
    own_broker.kill_and_restart()
    assert management.get("global-parameters").json() == [{"name": "p", "value": value}]
    assert management.get("global-parameters/p").json() == {"name": "p", "value": value}
    assert management.get("global-parameters/gone").status_code == 404


def test_parameters_of_components_that_are_not_there_are_refused(own_broker):
    management = Management(own_broker.http)
    response = management.put("parameters/shovel/%2F/s", {"value": {"src-uri": "amqp://"}})
    assert response.status_code == 400
    assert "component shovel not found" in response.json()["reason"]
    assert management.get("parameters").json() == management.get("parameters/shovel/%2F").json() == []
    assert management.get("parameters/shovel/%2F/s").status_code == 404
