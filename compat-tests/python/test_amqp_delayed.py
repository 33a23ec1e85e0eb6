"""Exchanges of the type x-delayed-message: what the table of `conformance` cannot show."""

import time

import pika
import pytest

from support.amqp_client import PERSISTENT, confirm, connect, counts, drain, get, get_one
from support.management import Management
from support.mqtt_client import MqttClient
from support.waiting import eventually

pytestmark = pytest.mark.own_process
TYPE = "x-delayed-message"


def declare(channel, exchange, queue, kind="direct", **options):
    """A durable exchange that delays, with a durable queue under the key `k`."""
    channel.exchange_declare(exchange, TYPE, durable=True, arguments={"x-delayed-type": kind}, **options)
    channel.queue_declare(queue, durable=True)
    channel.queue_bind(queue, exchange, "k")


def publish(channel, exchange, body, delay, key="k", **properties):
    """A persistent message with a delay in milliseconds."""
    headers = {"x-delay": delay}
    properties = pika.BasicProperties(headers=headers, delivery_mode=2, **properties)
    channel.basic_publish(exchange, key, body, properties)


def waiting(broker, exchange):
    """How many messages management says the exchange keeps."""
    return Management(broker.http).get(f"exchanges/%2F/{exchange}").json()["messages_delayed"]


def test_delayed_messages_survive_kill_9_before_and_after_their_time(own_broker):
    channel = connect(own_broker.amqp).channel()
    declare(channel, "later", "q")
    confirm(channel)
    for number in range(20):
        publish(channel, "later", b"soon %d" % number, 1500)
        publish(channel, "later", b"late %d" % number, 600_000)
    assert waiting(own_broker, "later") == 40
    own_broker.kill_and_restart()
    assert waiting(own_broker, "later") == 40
    own_broker.kill()
    time.sleep(1.6)
    own_broker.start()
    channel = connect(own_broker.amqp).channel()
    eventually(lambda: counts(channel.connection, "q")[0] == 20, "what was due is there")
    own_broker.kill_and_restart()
    channel = connect(own_broker.amqp).channel()
    assert drain(channel, "q") == [b"soon %d" % number for number in range(20)]
    assert waiting(own_broker, "later") == 20


def test_mixed_delays_come_in_the_order_of_their_times_through_a_small_memory(own_broker):
    own_broker.stop()
    own_broker.arguments = ["--message-memory", "256KiB"]
    own_broker.start()
    channel = connect(own_broker.amqp).channel()
    declare(channel, "later", "q")
    confirm(channel)
    started = time.monotonic()
    count = 10_000
    # Not in the order in which they are due.
    delays = [6000 + (number * 7919) % 2000 for number in range(count)]
    connection = connect(own_broker.amqp)
    sender = connection.channel()
    for number, delay in enumerate(delays):
        publish(sender, "later", b"%d" % delay, delay - int((time.monotonic() - started) * 1000))
    connection.close()
    eventually(lambda: counts(channel.connection, "q")[0] == count, "all are due", 40)
    found = [int(body) for body in drain(channel, "q")]
    assert len(found) == count
    # Times are taken when a message arrives, so what is due within a moment of another may pass it.
    assert all(later >= earlier - 400 for earlier, later in zip(found, found[1:]))


def test_the_queue_of_an_exchange_is_nobody_elses(own_broker):
    connection = connect(own_broker.amqp)
    channel = connection.channel()
    declare(channel, "later", "q")
    confirm(channel)
    publish(channel, "later", b"x", 600_000)
    management = Management(own_broker.http)
    assert [queue["name"] for queue in management.get("queues").json()] == ["q"]
    assert management.get("overview").json()["queue_totals"]["messages"] == 0
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as closed:
        connection.channel().queue_declare("later", passive=True)
    assert closed.value.reply_code == 404
    channel.basic_publish("", "later", b"to nobody")
    assert waiting(own_broker, "later") == 1


def test_an_expiration_counts_from_the_release(own_broker):
    channel = connect(own_broker.amqp).channel()
    declare(channel, "later", "q")
    confirm(channel)
    publish(channel, "later", b"x", 300, expiration="200")
    eventually(lambda: counts(channel.connection, "q")[0] == 1, "it outlives its delay")
    eventually(lambda: counts(channel.connection, "q")[0] == 0, "and expires then")


def test_an_auto_delete_exchange_takes_its_messages_along(own_broker):
    channel = connect(own_broker.amqp).channel()
    declare(channel, "later", "q", auto_delete=True)
    confirm(channel)
    publish(channel, "later", b"x", 600_000)
    channel.queue_unbind("q", "later", "k")
    assert Management(own_broker.http).get("exchanges/%2F/later").status_code == 404
    own_broker.kill_and_restart()
    assert Management(own_broker.http).get("exchanges/%2F/later").status_code == 404


def test_messages_of_mqtt_are_delayed_over_a_binding(own_broker):
    channel = connect(own_broker.amqp).channel()
    channel.exchange_declare("later", TYPE, durable=True, arguments={"x-delayed-type": "topic"})
    channel.exchange_bind("later", "amq.topic", "alarm.#")
    channel.queue_declare("q", durable=True)
    channel.queue_declare("now", durable=True)
    channel.queue_bind("q", "later", "alarm.*")
    channel.queue_bind("now", "amq.topic", "alarm.*")
    client = MqttClient(own_broker.mqtt).connect()
    client.publish("alarm/7", b"x", qos=1, UserProperty=("x-delay", "400"))
    assert get_one(channel, "now")[2] == b"x"
    assert get(channel, "q") is None
    method, properties, body = get_one(channel, "q")
    assert (method.routing_key, properties.headers["x-delay"], body) == ("alarm.7", -400, b"x")
    client.disconnect()


def test_a_transaction_delays_from_its_commit(own_broker):
    channel = connect(own_broker.amqp).channel()
    declare(channel, "later", "q")
    channel.tx_select()
    publish(channel, "later", b"x", 200)
    channel.basic_publish("later", "k", b"at once", PERSISTENT)
    assert waiting(own_broker, "later") == 0
    channel.tx_commit()
    assert get_one(channel, "q")[2] == b"at once"
    assert get_one(channel, "q")[2] == b"x"


def test_the_type_counts_when_it_is_declared_again(own_broker):
    connection = connect(own_broker.amqp)
    declare(connection.channel(), "later", "q")
    declare(connection.channel(), "later", "q")
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as closed:
        declare(connection.channel(), "later", "q", kind="fanout")
    assert closed.value.reply_code == 406
    assert "inequivalent arg 'x-delayed-type' for exchange 'later'" in closed.value.reply_text
