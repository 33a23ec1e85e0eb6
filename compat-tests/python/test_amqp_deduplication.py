"""Queues that take a message once only, by what its publisher calls it."""

import time

import pika
import pytest

from support.amqp_client import confirm, connect, counts, drain, get_one
from support.mqtt_client import MqttClient
from support.waiting import eventually

HEADER = "x-deduplication-header"


def declare(channel, queue, **arguments):
    """A durable queue that takes each message once."""
    given = {name.replace("_", "-"): value for name, value in arguments.items()}
    channel.queue_declare(queue, durable=True, arguments={"x-message-deduplication": True, **given})


def publish(channel, queue, name, body=b"x", header=HEADER, exchange=""):
    """A message of this name; it is confirmed, and routed."""
    properties = pika.BasicProperties(headers={} if name is None else {header: name}, delivery_mode=2)
    channel.basic_publish(exchange, queue, body, properties, mandatory=True)


@pytest.fixture
def queue(channel, name):
    """The name of a queue that is not there yet; publishes are confirmed."""
    confirm(channel)
    return name()


def test_a_message_of_the_same_name_is_confirmed_and_dropped(channel, queue):
    declare(channel, queue)
    for name, body in [("a", b"1"), ("b", b"2"), ("a", b"3"), (None, b"4"), (None, b"5"), ("b", b"6")]:
        publish(channel, queue, name, body)
    assert drain(channel, queue) == [b"1", b"2", b"4", b"5"]
    publish(channel, queue, "a", b"7")
    assert drain(channel, queue) == [], "also when the first one is gone"


def test_names_are_compared_as_texts_whatever_their_type(channel, queue):
    declare(channel, queue)
    for value in (7, "7", 2**40, str(2**40), True, "true"):
        publish(channel, queue, value, repr(value).encode())
    assert drain(channel, queue) == [b"7", b"1099511627776", b"True"]


def test_the_cache_has_a_size(channel, queue):
    declare(channel, queue, x_cache_size=2)
    for name in "abca":
        publish(channel, queue, name, name.encode())
    assert drain(channel, queue) == [b"a", b"b", b"c", b"a"]


def test_the_cache_forgets_in_time(channel, queue):
    declare(channel, queue, x_cache_ttl=300)
    publish(channel, queue, "a")
    publish(channel, queue, "a")
    assert counts(channel.connection, queue)[0] == 1
    time.sleep(0.35)
    publish(channel, queue, "a")
    assert counts(channel.connection, queue)[0] == 2


def test_another_header_can_name_messages(channel, queue):
    declare(channel, queue, x_deduplication_header="order")
    for name in ("a", "a"):
        publish(channel, queue, name, header="order")
    publish(channel, queue, "a")
    assert counts(channel.connection, queue)[0] == 2


def test_each_queue_remembers_for_itself(channel, queue):
    confirm(channel)
    exchange = f"{queue}-x"
    channel.exchange_declare(exchange, "fanout")
    declare(channel, queue)
    channel.queue_declare(f"{queue}-all", durable=True)
    for name in (queue, f"{queue}-all"):
        channel.queue_bind(name, exchange)
    for _ in range(3):
        publish(channel, "", "a", exchange=exchange)
    assert (counts(channel.connection, queue)[0], counts(channel.connection, f"{queue}-all")[0]) == (1, 3)


def test_a_dead_letter_that_comes_back_is_no_repetition(channel, queue):
    wait = f"{queue}-wait"
    declare(channel, queue, x_dead_letter_exchange="", x_dead_letter_routing_key=wait)
    arguments = {"x-message-ttl": 50, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
    channel.queue_declare(wait, durable=True, arguments=arguments)
    publish(channel, queue, "a")
    for _ in range(3):
        method, _, _ = get_one(channel, queue, auto_ack=False)
        channel.basic_reject(method.delivery_tag, requeue=False)
    assert get_one(channel, queue)[2] == b"x"


def test_user_properties_of_mqtt_name_messages(channel, broker, queue):
    declare(channel, queue)
    channel.queue_bind(queue, "amq.topic", f"{queue}.#")
    client = MqttClient(broker.mqtt).connect()
    for body in (b"1", b"2"):
        client.publish(f"{queue}/t", body, qos=1, UserProperty=(HEADER, "a"))
    client.publish(f"{queue}/t", b"3", qos=1, UserProperty=(HEADER, "b"))
    eventually(lambda: counts(channel.connection, queue)[0] == 2, "two of three")
    assert drain(channel, queue) == [b"1", b"3"]
    client.disconnect()


@pytest.mark.parametrize(("arguments", "flaw"), [
    ({"x-message-deduplication": "yes"}, "invalid arg 'x-message-deduplication'"),
    ({"x-cache-size": 0}, "invalid arg 'x-cache-size'"),
    ({"x-cache-size": 2_000_000}, "invalid arg 'x-cache-size'"),
    ({"x-cache-ttl": -1}, "invalid arg 'x-cache-ttl'"),
    ({"x-deduplication-header": 1}, "invalid arg 'x-deduplication-header'"),
])
def test_arguments_that_make_no_sense_are_refused(amqp, name, arguments, flaw):
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as closed:
        amqp().channel().queue_declare(name(), arguments={"x-message-deduplication": True, **arguments})
    assert closed.value.reply_code == 406
    assert flaw in closed.value.reply_text


def test_exchanges_do_not_take_the_argument(amqp, name):
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as closed:
        amqp().channel().exchange_declare(name(), arguments={"x-message-deduplication": True})
    assert closed.value.reply_code == 406
    assert "invalid arg 'x-message-deduplication' for exchange" in closed.value.reply_text


@pytest.mark.own_process
def test_a_restart_forgets_names_and_keeps_messages(own_broker):
    channel = connect(own_broker.amqp).channel()
    confirm(channel)
    declare(channel, "q")
    publish(channel, "q", "a", b"1")
    own_broker.kill_and_restart()
    channel = connect(own_broker.amqp).channel()
    confirm(channel)
    publish(channel, "q", "a", b"2")
    publish(channel, "q", "a", b"3")
    assert drain(channel, "q") == [b"1", b"2"]


def test_a_full_queue_does_not_refuse_what_it_has_already(channel, queue):
    declare(channel, queue, x_max_length=1, x_overflow="reject-publish")
    publish(channel, queue, "a")
    publish(channel, queue, "a")
    with pytest.raises(pika.exceptions.NackError):
        publish(channel, queue, "b")
    assert drain(channel, queue) == [b"x"]
    publish(channel, queue, "b")
    assert drain(channel, queue) == [b"x"], "what was refused is not remembered"
