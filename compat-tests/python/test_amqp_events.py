"""AMQP: looking on. The firehose copies what clients of a vhost publish and get, and the event exchange
says what happens to queues, connections and other things.
"""

import contextlib
from datetime import datetime, timezone

import pika
import pytest

from support.accounts import EVERYTHING, Account
from support.amqp_client import close_of_channel, connect, get, get_one, synchronise
from support.broker import Broker
from support.management import Management
from support.mqtt_client import MqttClient

TRACE = "amq.rabbitmq.trace"
EVENTS = "amq.rabbitmq.event"


@pytest.fixture
def user(management, broker, name):
    """A user of an own vhost, which goes with everything in it."""
    vhost = name("vhost")
    assert management.put(f"vhosts/{vhost}").status_code == 201
    made = Account(management, broker.amqp, name("user"), vhost=vhost, **EVERYTHING)
    yield made
    made.delete()
    management.delete(f"vhosts/{vhost}")


def trace(management, vhost, is_traced):
    path = f"vhosts/{vhost}"
    assert management.put(path, {"tracing": is_traced}).status_code == 204
    assert management.read(path)["tracing"] is is_traced


@pytest.fixture
def traced(management, user):
    """A channel in a traced vhost, and a queue that gets all copies."""
    channel = user.connect().channel()
    channel.queue_declare("copies")
    channel.queue_bind("copies", TRACE, "#")
    trace(management, user.vhost, True)
    yield channel
    channel.connection.close()


def copy_of(channel, key):
    """The next copy, which has this key: headers and body."""
    method, properties, body = get_one(channel, "copies")
    assert (method.exchange, method.routing_key) == (TRACE, key)
    return properties.headers, body


def test_a_publish_and_its_deliveries_are_copied_with_all_about_them(traced, user):
    traced.queue_declare("jobs")
    traced.queue_bind("jobs", "amq.topic", "a.*")
    properties = pika.BasicProperties(
        content_type="text/plain", delivery_mode=2, priority=3, message_id="m", timestamp=1700000000,
        headers={"n": 7, "CC": ["a.c"]})
    traced.basic_publish("amq.topic", "a.b", b"body", properties)
    headers, body = copy_of(traced, "publish.amq.topic")
    assert body == b"body"
    shown = headers["properties"]
    assert shown.pop("timestamp") == datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
    assert shown == {"content_type": "text/plain", "delivery_mode": 2, "priority": 3,
                     "message_id": "m", "headers": {"n": 7, "CC": ["a.c"]}}
    assert headers["exchange_name"] == "amq.topic"
    assert headers["routing_keys"] == ["a.b", "a.c"]
    assert headers["routed_queues"] == ["jobs"]
    assert (headers["vhost"], headers["user"]) == (user.vhost, user.name)
    assert headers["channel"] == traced.channel_number
    assert " -> " in headers["connection"] and "@" in headers["node"]
    assert "redelivered" not in headers

    method, _, _ = get_one(traced, "jobs", auto_ack=False)
    headers, body = copy_of(traced, "deliver.jobs")
    assert (body, headers["redelivered"]) == (b"body", 0)
    assert (headers["exchange_name"], headers["routing_keys"]) == ("amq.topic", ["a.b", "a.c"])
    assert "routed_queues" not in headers
    traced.basic_nack(method.delivery_tag)
    get_one(traced, "jobs")
    assert copy_of(traced, "deliver.jobs")[0]["redelivered"] == 1
    assert get(traced, "copies") is None, "copies are not copied"


def test_what_goes_nowhere_or_to_the_default_exchange_is_copied_too(traced):
    traced.basic_publish("", "nobody", b"lost")
    headers, body = copy_of(traced, "publish.")
    assert (body, headers["routing_keys"], headers["routed_queues"]) == (b"lost", ["nobody"], [])


def test_deliveries_to_a_consumer_are_copied(traced):
    traced.queue_declare("jobs")
    for body in (b"1", b"2"):
        traced.basic_publish("", "jobs", body)
    taken = [body for _, _, body in _consume(traced, "jobs", 2)]
    assert taken == [b"1", b"2"]
    assert [copy_of(traced, "publish.")[1] for _ in taken] == taken
    assert [copy_of(traced, "deliver.jobs")[1] for _ in taken] == taken


def _consume(channel, queue, count):
    consuming = channel.consume(queue, auto_ack=True, inactivity_timeout=10)
    messages = [next(consuming) for _ in range(count)]
    channel.cancel()
    return messages


def test_consumers_of_the_copies_do_not_make_more(traced):
    traced.basic_publish("", "nobody", b"once")
    [(method, _, body)] = _consume(traced, "copies", 1)
    assert (method.routing_key, body) == ("publish.", b"once")
    assert get(traced, "copies") is None


def test_a_transaction_is_copied_when_it_is_committed(traced, user):
    other = traced.connection.channel()
    other.tx_select()
    other.basic_publish("", "nobody", b"rolled back")
    other.tx_rollback()
    other.basic_publish("", "nobody", b"committed")
    synchronise(other)
    assert get(traced, "copies") is None
    other.tx_commit()
    headers, body = copy_of(traced, "publish.")
    assert (body, headers["channel"]) == (b"committed", other.channel_number)


def test_publishing_and_getting_over_http_are_copied(traced, user, management):
    traced.queue_declare("jobs")
    message = {"properties": {}, "routing_key": "jobs", "payload": "p", "payload_encoding": "string"}
    path = f"exchanges/{user.vhost}/amq.default/publish"
    assert management.post(path, message).json() == {"routed": True}
    headers, body = copy_of(traced, "publish.")
    assert (body, headers["user"], headers["routed_queues"]) == (b"p", "guest", ["jobs"])
    wanted = {"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}
    assert len(management.post(f"queues/{user.vhost}/jobs/get", wanted).json()) == 1
    assert copy_of(traced, "deliver.jobs")[1] == b"p"


def test_nothing_is_copied_without_tracing_nor_in_other_vhosts(traced, user, management, channel, name):
    own = name()
    channel.queue_declare(own)
    channel.queue_bind(own, TRACE, "#")
    channel.basic_publish("", "nobody", b"elsewhere")
    synchronise(channel)
    assert get(channel, own) is None
    trace(management, user.vhost, False)
    traced.basic_publish("", "nobody", b"not traced")
    synchronise(traced)
    assert get(traced, "copies") is None
    channel.queue_delete(own)


def test_a_vhost_that_is_put_without_a_word_on_tracing_stays_as_it_is(traced, user, management):
    assert management.put(f"vhosts/{user.vhost}", {}).status_code == 204
    assert management.read(f"vhosts/{user.vhost}")["tracing"] is True


def test_a_vhost_that_is_made_again_is_not_traced(user, management):
    trace(management, user.vhost, True)
    assert management.delete(f"vhosts/{user.vhost}").status_code == 204
    assert management.put(f"vhosts/{user.vhost}").status_code == 201
    assert management.read(f"vhosts/{user.vhost}")["tracing"] is False


def test_headers_that_leave_no_room_for_more_are_left_out_of_the_copy(traced):
    large = {"x": "x" * 130_800, "CC": []}
    traced.basic_publish("", "nobody", b"large", pika.BasicProperties(app_id="a", headers=large))
    headers, body = copy_of(traced, "publish.")
    assert (body, headers["properties"]) == (b"large", {"app_id": "a"})


def test_lists_that_leave_no_room_for_more_are_cut_in_the_copy(traced):
    keys = [f"{number:04}" + "k" * 120 for number in range(1000)]
    traced.basic_publish("", "nobody", b"many", pika.BasicProperties(headers={"CC": keys}))
    headers, body = copy_of(traced, "publish.")
    assert (body, headers["routing_keys"][0], headers["properties"]) == (b"many", "nobody", {})
    copied = headers["routing_keys"][1:]
    assert copied == keys[:len(copied)] and 100 < len(copied) < 500


def test_mqtt_is_copied_and_a_restart_ends_it(own_broker):
    management = Management(own_broker.http)
    channel = connect(own_broker.amqp).channel()
    channel.queue_declare("copies")
    channel.queue_bind("copies", TRACE, "#")
    trace(management, "%2F", True)
    client = MqttClient(own_broker.mqtt, "looked-at").connect()
    client.subscribe("a/b", 1)
    client.publish("a/b", b"body", 1)
    assert client.messages.get(timeout=10).payload == b"body"
    headers, body = copy_of(channel, "publish.amq.topic")
    assert (body, headers["routing_keys"], headers["channel"]) == (b"body", ["a.b"], 0)
    assert headers["routed_queues"] == ["mqtt.looked-at"]
    assert copy_of(channel, "deliver.mqtt.looked-at")[1] == b"body"
    channel.connection.close()
    own_broker.kill_and_restart()
    assert management.read("vhosts/%2F")["tracing"] is False


@pytest.fixture(scope="module")
def eventful(tmp_path_factory):
    """A broker that publishes events."""
    broker = Broker(tmp_path_factory.mktemp("events"), ["--event-exchange", "true"])
    try:
        yield broker.start()
        broker.assert_sound()
    finally:
        broker.stop()


@pytest.fixture
def http(eventful):
    return Management(eventful.http)


@pytest.fixture
def other(eventful):
    """A channel of somebody who is looked at."""
    connection = connect(eventful.amqp)
    yield connection.channel()
    with contextlib.suppress(pika.exceptions.AMQPError):
        connection.close()


class Onlooker:
    """A queue bound to the event exchange: `next` takes the next event that is as described."""

    def __init__(self, address):
        self.connection = connect(address)
        self.channel = self.connection.channel()
        self.queue = self.channel.queue_declare("", exclusive=True).method.queue

    def bind(self, key):
        self.channel.queue_bind(self.queue, EVENTS, key)

    def next(self, key, **fields):
        """The headers of the next event; those with another key or other values of `fields` are skipped."""
        while True:
            method, properties, body = get_one(self.channel, self.queue)
            headers = properties.headers
            if method.routing_key == key and fields.items() <= headers.items():
                assert (method.exchange, body) == (EVENTS, b"")
                assert headers["timestamp_in_ms"] // 1000 == properties.timestamp
                return headers


@pytest.fixture
def onlooker(eventful):
    made = Onlooker(eventful.amqp)
    yield made
    made.connection.close()


def test_queues_exchanges_and_bindings_come_and_go(onlooker, other, name):
    for key in ("queue.#", "exchange.#", "binding.#"):
        onlooker.bind(key)
    queue, exchange = name("queue"), name("exchange")
    other.exchange_declare(exchange, "headers", auto_delete=True, arguments={"x-a": 1})
    other.queue_declare(queue, durable=True, arguments={"x-expires": 60000})
    for _ in range(2):
        other.queue_bind(queue, exchange, "key", {"h": "v"})
    other.queue_delete(queue)

    created = onlooker.next("exchange.created", name=exchange)
    assert (created["type"], created["auto_delete"], created["vhost"]) == ("headers", True, "/")
    assert created["arguments"] == {"x-a": 1}
    created = onlooker.next("queue.created", name=queue)
    assert (created["durable"], created["exclusive"], created["vhost"]) == (True, False, "/")
    assert created["arguments"] == {"x-expires": 60000}
    binding = {"source_name": exchange, "source_kind": "exchange", "destination_name": queue,
               "destination_kind": "queue", "routing_key": "key", "vhost": "/"}
    assert onlooker.next("binding.created", **binding)["arguments"] == {"h": "v"}
    # The binding was there the second time: the next event is that it goes, with its queue.
    method, properties, _ = get_one(onlooker.channel, onlooker.queue)
    assert method.routing_key == "binding.deleted" and binding.items() <= properties.headers.items()
    onlooker.next("queue.deleted", name=queue, vhost="/")
    onlooker.next("exchange.deleted", name=exchange, vhost="/")


def test_bindings_that_lead_to_an_auto_delete_exchange_go_with_it(onlooker, other, name):
    onlooker.bind("binding.deleted")
    queue, first, last, stays = name("queue"), name("first"), name("last"), name("stays")
    other.queue_declare(queue)
    other.exchange_declare(first, "fanout")
    other.exchange_declare(last, "fanout", auto_delete=True)
    other.exchange_declare(stays, "fanout", auto_delete=True)
    other.exchange_bind(last, first)
    other.exchange_bind(stays, first)
    other.queue_bind(queue, last)
    other.queue_bind(queue, stays, "a")
    other.queue_bind(queue, stays, "b")
    other.queue_unbind(queue, last)
    other.queue_unbind(queue, stays, "a")
    onlooker.next("binding.deleted", source_name=last, destination_name=queue)
    onlooker.next("binding.deleted", source_name=first, destination_name=last)
    method, properties, _ = get_one(onlooker.channel, onlooker.queue)
    assert properties.headers["source_name"] == stays
    assert get(onlooker.channel, onlooker.queue) is None, "what leads to the one that stays, stays"
    other.exchange_delete(first)
    onlooker.next("binding.deleted", source_name=first, destination_name=stays)


def test_connections_channels_and_consumers_come_and_go(onlooker, eventful, name):
    for key in ("connection.*", "channel.*", "consumer.*", "user.authentication.*", "queue.deleted"):
        onlooker.bind(key)
    seen = connect(eventful.amqp, client_properties={"connection_name": "seen"})
    channel = seen.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.basic_qos(prefetch_count=7)
    channel.basic_consume(queue, print, consumer_tag="kept")
    channel.basic_consume(queue, print, consumer_tag="cancelled", auto_ack=True)
    channel.basic_cancel("cancelled")
    seen.close()

    login = onlooker.next("user.authentication.success", name="guest")
    assert (login["peer_host"], login["protocol"]) == ("127.0.0.1", "AMQP 0-9-1")
    opened = onlooker.next("connection.created", client_name="seen")
    assert (opened["user"], opened["vhost"], opened["port"]) == ("guest", "/", eventful.amqp[1])
    assert opened["client_properties"]["connection_name"] == "seen"
    whose = {"connection": opened["name"], "user": "guest", "vhost": "/"}
    of_channel = f"{opened['name']} (1)"
    onlooker.next("channel.created", name=of_channel, number=1, **whose)
    kept = onlooker.next("consumer.created", consumer_tag="kept", channel=of_channel, queue=queue)
    assert (kept["ack_required"], kept["exclusive"], kept["prefetch_count"]) == (True, False, 7)
    onlooker.next("consumer.created", consumer_tag="cancelled", ack_required=False)
    onlooker.next("consumer.deleted", consumer_tag="cancelled", channel=of_channel, queue=queue)
    onlooker.next("consumer.deleted", consumer_tag="kept", channel=of_channel, queue=queue)
    onlooker.next("channel.closed", name=of_channel, number=1, **whose)
    onlooker.next("queue.deleted", name=queue)
    onlooker.next("connection.closed", name=opened["name"])


def test_a_channel_that_fails_and_a_consumer_that_loses_its_queue_are_told_of(onlooker, other, name):
    onlooker.bind("channel.closed")
    onlooker.bind("consumer.deleted")
    queue = name()
    other.queue_declare(queue)
    other.basic_consume(queue, print, consumer_tag=queue)
    other.queue_delete(queue)
    onlooker.next("consumer.deleted", consumer_tag=queue)
    close_of_channel(lambda: other.queue_declare(queue, passive=True))
    onlooker.next("channel.closed", number=other.channel_number)


def test_a_login_that_fails_is_told_of(onlooker, eventful, name):
    onlooker.bind("user.authentication.*")
    onlooker.bind("connection.*")
    nobody = name("nobody")
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        connect(eventful.amqp, user=nobody)
    assert onlooker.next("user.authentication.failure", name=nobody)["error"]
    assert MqttClient(eventful.mqtt, nobody, user=nobody, password="x").try_connect().is_failure
    onlooker.next("user.authentication.failure", name=nobody, protocol="MQTT 5-0")
    assert get(onlooker.channel, onlooker.queue) is None


def test_events_leave_out_what_does_not_fit(onlooker, other, name):
    onlooker.bind("queue.created")
    queue = name()
    other.queue_declare(queue, auto_delete=True, arguments={"note": "x" * 130_980})
    created = onlooker.next("queue.created", name=queue)
    assert created["auto_delete"] is True and "arguments" not in created
    other.queue_delete(queue)


def test_mqtt_clients_are_connections_too(onlooker, eventful, name):
    onlooker.bind("connection.*")
    client = MqttClient(eventful.mqtt, name(), version=3, user="guest", password="guest").connect()
    opened = onlooker.next("connection.created", user="guest", protocol="MQTT 3-1-1")
    assert opened["client_name"] == client.paho._client_id.decode()
    client.disconnect()
    onlooker.next("connection.closed", name=opened["name"])


def test_users_vhosts_permissions_and_policies_come_and_go(onlooker, http, name):
    for key in ("user.#", "vhost.#", "permission.#", "topic.permission.#", "policy.#", "queue.deleted"):
        onlooker.bind(key)
    vhost, user, rights = name("vhost"), name("user"), {"configure": "c", "write": "w", "read": "r"}
    policy = {"pattern": "^p", "definition": {"max-length": 5}, "priority": 2, "apply-to": "queues"}
    topics = {"exchange": "amq.topic", "write": "w", "read": "r"}
    for path, body in [
        (f"vhosts/{vhost}", {}),
        (f"users/{user}", {"password": "p", "tags": "monitoring"}),
        (f"permissions/{vhost}/{user}", rights),
        (f"topic-permissions/{vhost}/{user}", topics),
        (f"policies/{vhost}/p", policy),
        (f"queues/{vhost}/q", {}),
    ]:
        assert http.put(path, body).status_code in (201, 204), path
    for path in (f"policies/{vhost}/p", f"topic-permissions/{vhost}/{user}",
                 f"permissions/{vhost}/{user}", f"users/{user}", f"vhosts/{vhost}"):
        assert http.delete(path).status_code == 204, path

    onlooker.next("vhost.created", name=vhost)
    onlooker.next("user.created", name=user)
    assert onlooker.next("user.tags.set", name=user)["tags"] == ["monitoring"]
    onlooker.next("permission.created", user=user, vhost=vhost, **rights)
    onlooker.next("topic.permission.created", user=user, vhost=vhost, **topics)
    onlooker.next("policy.set", vhost=vhost, name="p", **policy)
    onlooker.next("policy.cleared", vhost=vhost, name="p")
    onlooker.next("topic.permission.deleted", user=user, vhost=vhost)
    onlooker.next("permission.deleted", user=user, vhost=vhost)
    onlooker.next("user.deleted", name=user)
    onlooker.next("queue.deleted", name="q", vhost=vhost)
    onlooker.next("vhost.deleted", name=vhost)


def test_an_alarm_is_told_of(tmp_path):
    broker = Broker(tmp_path, ["--event-exchange", "true", "--memory-max", "1", "--storage-sync", "never"])
    try:
        channel = connect(broker.start().amqp).channel()
        channel.queue_declare("alarms", durable=True)
        channel.queue_bind("alarms", EVENTS, "alarm.*")
        channel.connection.close()
        broker.terminate()
        channel = connect(broker.start().amqp).channel()
        method, properties, _ = get_one(channel, "alarms")
        assert (method.routing_key, properties.headers["alarm"]) == ("alarm.set", "memory")
        channel.connection.close()
    finally:
        broker.stop()


def test_the_exchange_is_there_if_it_is_asked_for_and_survives_a_crash(eventful, channel, name):
    assert close_of_channel(lambda: channel.exchange_declare(EVENTS, passive=True))[0] == 404
    own = connect(eventful.amqp).channel()
    own.exchange_declare(EVENTS, "topic", durable=True, internal=True)
    queue = name()
    own.queue_declare(queue, durable=True)
    own.queue_bind(queue, EVENTS, "exchange.*")
    eventful.kill_and_restart()
    own = connect(eventful.amqp).channel()
    own.exchange_declare(queue, auto_delete=True)
    method, properties, _ = get_one(own, queue)
    assert (method.routing_key, properties.headers["name"]) == ("exchange.created", queue)
    own.queue_delete(queue)
    own.connection.close()
