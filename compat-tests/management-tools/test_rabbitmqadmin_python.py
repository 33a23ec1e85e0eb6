"""The rabbitmqadmin of RabbitMQ 3, unmodified: everything that it can do."""

import json

import pika
import pytest
from support.amqp_client import connect
from support.waiting import eventually


def names(rows):
    return [row["name"] for row in rows]


def test_the_overview_is_shown(admin):
    shown = admin("show", "overview")
    assert "rabbitmq_version" in shown and "object_totals.queues" in shown


def test_everything_that_it_knows_is_listed(admin):
    for what in (
        "connections", "channels", "consumers", "exchanges", "queues", "bindings", "users", "vhosts", "permissions",
        "nodes", "parameters", "policies", "operator_policies", "vhost_limits",
    ):
        assert isinstance(admin.rows("list", what), list), what
        admin("list", what)


def test_a_topology_is_declared_used_and_deleted(admin, name):
    queue, exchange = name("queue"), name("exchange")
    admin("declare", "exchange", f"name={exchange}", "type=topic")
    admin("declare", "queue", f"name={queue}", "durable=true", 'arguments={"x-max-length": 10}')
    admin("declare", "binding", f"source={exchange}", f"destination={queue}", "routing_key=a.#")
    assert "Message published" in admin("publish", f"exchange={exchange}", "routing_key=a.b", "payload=hello")
    assert "NOT routed" in admin("publish", f"exchange={exchange}", "routing_key=b", "payload=lost")
    admin("publish", f"routing_key={queue}", 'properties={"delivery_mode": 2, "content_type": "text/plain"}',
          input="from standard input")
    assert [row["messages"] for row in admin.rows("list", "queues") if row["name"] == queue] == [2]
    got = admin.rows("get", f"queue={queue}", "count=2", "ackmode=ack_requeue_false")
    assert [message["payload"] for message in got] == ["hello", "from standard input"]
    assert got[1]["properties"] == {"delivery_mode": 2, "content_type": "text/plain"}
    admin("publish", f"routing_key={queue}", "payload=purged")
    admin("purge", "queue", f"name={queue}")
    assert admin.rows("get", f"queue={queue}") == []
    bindings = [row for row in admin.rows("list", "bindings") if row["source"] == exchange]
    assert [(row["destination"], row["routing_key"]) for row in bindings] == [(queue, "a.#")]
    admin("delete", "binding", f"source={exchange}", "destination_type=queue", f"destination={queue}",
          f"properties_key={bindings[0]['properties_key']}")
    admin("delete", "queue", f"name={queue}")
    admin("delete", "exchange", f"name={exchange}")
    assert queue not in names(admin.rows("list", "queues"))
    assert exchange not in names(admin.rows("list", "exchanges"))


def test_columns_and_sorting(admin, name):
    queues = sorted(name("sorted") for _ in range(3))
    for queue in queues:
        admin("declare", "queue", f"name={queue}", "durable=false")
    rows = admin.rows("--sort", "name", "--sort-reverse", "list", "queues", "name", "durable")
    assert [row["name"] for row in rows if row["name"] in queues] == queues[::-1]
    assert all(set(row) == {"name", "durable"} for row in rows)
    for queue in queues:
        admin("delete", "queue", f"name={queue}")


def test_quorum_queues_have_their_own_word(admin, name):
    queue = name("quorum")
    admin("declare", "queue", f"name={queue}", "queue_type=quorum")
    assert [row["type"] for row in admin.rows("list", "queues") if row["name"] == queue] == ["quorum"]
    admin("delete", "queue", f"name={queue}")


def test_users_and_what_they_may_do(admin, name):
    vhost, user = name("vhost"), name("user")
    admin("declare", "vhost", f"name={vhost}")
    admin("declare", "user", f"name={user}", "password=secret", "tags=management")
    admin("declare", "permission", f"vhost={vhost}", f"user={user}", "configure=.*", "write=.*", "read=.*")
    as_user = [f"--username={user}", "--password=secret", f"--vhost={vhost}"]
    admin(*as_user, "declare", "queue", "name=own")
    assert names(admin.rows(*as_user, "list", "queues")) == ["own"]
    assert "Access refused" in admin(*as_user, "list", "users", fails=True)
    admin("delete", "permission", f"vhost={vhost}", f"user={user}")
    admin(*as_user, "declare", "queue", "name=other", fails=True)
    admin("delete", "user", f"name={user}")
    admin("delete", "vhost", f"name={vhost}")
    assert vhost not in names(admin.rows("list", "vhosts"))


def test_policies_and_limits(admin, name):
    policy, queue, vhost = name("policy"), name("queue"), name("vhost")
    admin("declare", "policy", f"name={policy}", f"pattern=^{queue}$", 'definition={"max-length": 3}', "apply-to=queues")
    admin("declare", "operator_policy", f"name={policy}", f"pattern=^{queue}$", 'definition={"max-length": 2}')
    admin("declare", "queue", f"name={queue}")
    rows = [row for row in admin.rows("list", "queues") if row["name"] == queue]
    assert rows[0]["effective_policy_definition"] == {"max-length": 2}
    admin("delete", "queue", f"name={queue}")
    admin("delete", "policy", f"name={policy}")
    admin("delete", "operator_policy", f"name={policy}")
    admin("declare", "vhost", f"name={vhost}")
    admin("declare", "vhost_limit", f"vhost={vhost}", "name=max-queues", "value=1")
    assert [row["value"] for row in admin.rows("list", "vhost_limits") if row["vhost"] == vhost] == [{"max-queues": 1}]
    admin("delete", "vhost_limit", f"vhost={vhost}", "name=max-queues")
    admin("delete", "vhost", f"name={vhost}")


def test_a_connection_is_closed(admin, broker):
    client = connect(broker.amqp)
    mine = "{}:{}".format(*client._impl._transport._sock.getsockname()[:2])
    rows = eventually(
        lambda: [row for row in admin.rows("list", "connections") if row["name"].startswith(f"{mine} ")], "it is listed"
    )
    admin("close", "connection", f"name={rows[0]['name']}")
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker, match="CONNECTION_FORCED"):
        client.process_data_events(time_limit=10)


def test_definitions_leave_and_come_back(admin, name, file):
    queue, exchange = name("kept"), name("kept-exchange")
    admin("declare", "exchange", f"name={exchange}", "type=fanout")
    admin("declare", "queue", f"name={queue}")
    admin("declare", "binding", f"source={exchange}", f"destination={queue}")
    admin("export", file("definitions.json"))
    exported = json.loads(file("definitions.json").read_text())
    assert queue in names(exported["queues"]) and exchange in names(exported["exchanges"])
    admin("delete", "queue", f"name={queue}")
    admin("delete", "exchange", f"name={exchange}")
    admin("import", file("definitions.json"))
    assert [row["source"] for row in admin.rows("list", "bindings") if row["destination"] == queue] == ["", exchange]
    admin("delete", "queue", f"name={queue}")
    admin("delete", "exchange", f"name={exchange}")


def test_what_is_refused_is_said(admin, name):
    queue = name("refused")
    admin("declare", "queue", f"name={queue}", "durable=true")
    assert "inequivalent arg 'durable'" in admin("declare", "queue", f"name={queue}", "durable=false", fails=True)
    assert "Access refused" in admin("--username=guest", "--password=wrong", "list", "queues", fails=True)
    admin("delete", "queue", f"name={queue}")
    admin("delete", "queue", f"name={queue}", fails=True)
