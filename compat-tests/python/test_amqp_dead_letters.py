"""Dead letters: why messages leave a queue, and what becomes of them then."""

import pika
import pytest

from support.amqp_client import counts, drain, fill, get_one
from support.waiting import eventually, let_time_pass


@pytest.fixture
def grave(amqp, name):
    """Makes a queue that dead letters go to, and declares queues that send them there."""
    channel, exchange, queue = amqp().channel(), name("dlx"), name("grave")
    channel.exchange_declare(exchange, "topic", auto_delete=True)
    channel.queue_declare(queue, exclusive=True)
    channel.queue_bind(queue, exchange, "#")

    class Grave:
        def declare(self, **arguments):
            """A queue with these arguments, `_` in a name for `-`."""
            given = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
            source = name("source")
            channel.queue_declare(source, durable=True, arguments={"x-dead-letter-exchange": exchange, **given})
            return source

        def next(self):
            return get_one(channel, queue)

        def is_empty(self):
            return drain(channel, queue) == []

    grave = Grave()
    grave.channel, grave.exchange, grave.queue = channel, exchange, queue
    return grave


def test_what_is_rejected_goes_to_the_dead_letter_exchange_with_its_history(grave):
    source = grave.declare()
    properties = pika.BasicProperties(delivery_mode=2, headers={"kept": 1, "CC": ["copy"]}, message_id="m", expiration="60000")
    grave.channel.basic_publish("", source, b"body", properties)
    method = get_one(grave.channel, source, auto_ack=False)[0]
    grave.channel.basic_reject(method.delivery_tag, requeue=False)
    method, properties, body = grave.next()
    assert (method.exchange, method.routing_key, body) == (grave.exchange, source, b"body")
    assert (properties.message_id, properties.expiration, properties.delivery_mode) == ("m", None, 2)
    headers, (death,) = properties.headers, properties.headers["x-death"]
    assert headers["kept"] == 1 and death.pop("time") is not None
    assert death == {"count": 1, "reason": "rejected", "queue": source, "exchange": "",
                     "routing-keys": [source, "copy"], "original-expiration": "60000"}
    for when in ("first", "last"):
        assert [headers[f"x-{when}-death-{what}"] for what in ("reason", "queue", "exchange")] == ["rejected", source, ""]
    assert drain(grave.channel, source) == []


def test_what_expires_is_dead_lettered_in_time_without_a_consumer(grave):
    source = grave.declare(message_ttl=200, dead_letter_routing_key="late")
    for body in (b"1", b"2"):
        grave.channel.basic_publish("", source, body, pika.BasicProperties(headers={"CC": ["x"], "BCC": ["y"]}))
    for body in (b"1", b"2"):
        method, properties, found = grave.next()
        assert (method.routing_key, found) == ("late", body)
        assert properties.headers["x-death"][0]["reason"] == "expired" and "CC" not in properties.headers
    shorter = grave.declare(message_ttl=60000)
    grave.channel.basic_publish("", shorter, b"own", pika.BasicProperties(expiration="100"))
    assert grave.next()[2] == b"own"


def test_the_oldest_messages_make_place_for_new_ones(grave):
    source = grave.declare(max_length=3, overflow="drop-head")
    fill(grave.channel, source, [b"%d" % i for i in range(6)])
    assert [grave.next()[2] for _ in range(3)] == [b"0", b"1", b"2"]
    assert drain(grave.channel, source) == [b"3", b"4", b"5"]
    fill(grave.channel, grave.declare(max_length=0), [b"never"])
    assert grave.next()[1].headers["x-death"][0]["reason"] == "maxlen"


def test_a_full_queue_may_refuse_what_is_new(amqp, name):
    channel, queue, other = amqp().channel(), name(), name()
    channel.queue_declare(queue, exclusive=True, arguments={"x-max-length": 2, "x-overflow": "reject-publish"})
    channel.queue_declare(other, exclusive=True)
    fill(channel, queue, [b"1", b"2"])
    for body in (b"3", b"4"):
        with pytest.raises(pika.exceptions.NackError):
            channel.basic_publish("", queue, body)
    channel.basic_publish("", other, b"elsewhere")
    with pytest.raises(pika.exceptions.NackError):
        channel.basic_publish("", other, b"both", pika.BasicProperties(headers={"CC": [queue]}))
    assert drain(channel, queue) == [b"1", b"2"] and drain(channel, other) == [b"elsewhere", b"both"]
    fill(channel, queue, [b"5"])
    assert drain(channel, queue) == [b"5"]


def test_a_retry_queue_brings_messages_back_and_counts(grave, name):
    work, retry = name("work"), name("retry")
    grave.channel.queue_declare(work, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": retry})
    grave.channel.queue_declare(retry, arguments={
        "x-message-ttl": 50, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": work})
    fill(grave.channel, work, [b"again"])
    for count in range(4):
        method, properties, body = get_one(grave.channel, work, auto_ack=False)
        deaths = {(d["queue"], d["reason"]): d["count"] for d in (properties.headers or {}).get("x-death", [])}
        assert body == b"again" and deaths == ({(work, "rejected"): count, (retry, "expired"): count} if count else {})
        grave.channel.basic_reject(method.delivery_tag, requeue=False)
    grave.channel.queue_delete(work)
    grave.channel.queue_delete(retry)


def test_a_cycle_without_a_consumer_ends(grave, name):
    one, two = name("one"), name("two")
    for queue, other in ((one, two), (two, one)):
        grave.channel.queue_declare(queue, arguments={
            "x-message-ttl": 20, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": other})
    fill(grave.channel, one, [b"round"])
    eventually(lambda: counts(grave.channel.connection, one)[0] + counts(grave.channel.connection, two)[0] == 0, "it ends")
    grave.channel.queue_delete(one)
    grave.channel.queue_delete(two)


def test_a_limit_in_bytes_counts_bodies_only(grave):
    source = grave.declare(max_length_bytes=100)
    long = pika.BasicProperties(headers={"large": "x" * 1000})
    fill(grave.channel, source, [b"a" * 40, b"b" * 40, b"c" * 40], long)
    assert grave.next()[2] == b"a" * 40
    assert drain(grave.channel, source) == [b"b" * 40, b"c" * 40]
    fill(grave.channel, source, [b"d" * 101])
    method, properties, body = grave.next()
    assert body == b"d" * 101 and properties.headers["x-death"][0]["reason"] == "maxlen"


def test_what_a_full_queue_refuses_may_be_dead_lettered(grave):
    source = grave.declare(max_length_bytes=10, overflow="reject-publish-dlx")
    fill(grave.channel, source, [b"12345"])
    with pytest.raises(pika.exceptions.NackError):
        grave.channel.basic_publish("", source, b"678901")
    method, properties, body = grave.next()
    assert (method.exchange, method.routing_key, body) == (grave.exchange, source, b"678901")
    assert properties.headers["x-death"][0]["reason"] == "maxlen"
    fill(grave.channel, source, [b"67890"])
    assert drain(grave.channel, source) == [b"12345", b"67890"] and grave.is_empty()


def test_what_expires_behind_a_message_that_stays_is_dead_lettered_in_time(grave):
    source = grave.declare()
    for body, expiration in ((b"stays", None), (b"late", "400"), (b"soon", "100")):
        grave.channel.basic_publish("", source, body, pika.BasicProperties(expiration=expiration, delivery_mode=2))
    assert [grave.next()[2] for _ in range(2)] == [b"soon", b"late"]
    assert drain(grave.channel, source) == [b"stays"]


def test_a_time_to_live_of_zero_is_long_enough_for_a_waiting_consumer(grave):
    source = grave.declare(message_ttl=0)
    fill(grave.channel, source, [b"nobody"])
    assert grave.next()[2] == b"nobody"
    got = []
    grave.channel.basic_consume(source, lambda *delivery: got.append(delivery[3]), auto_ack=True)
    for number in range(50):
        grave.channel.basic_publish("", source, b"%d" % number)
    eventually(lambda: grave.channel.connection.process_data_events(0.01) or len(got) == 50, "all are delivered")


def test_a_chain_of_a_thousand_queues_passes_a_message_on(amqp, name):
    channel, prefix, last = amqp().channel(), name("chain"), 1000
    for number in range(last):
        channel.queue_declare(f"{prefix}{number}", exclusive=True, arguments={
            "x-message-ttl": 0, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{prefix}{number + 1}"})
    channel.queue_declare(f"{prefix}{last}", exclusive=True)
    fill(channel, f"{prefix}0", [b"through"])
    method, properties, body = get_one(channel, f"{prefix}{last}")
    assert body == b"through" and properties.headers["x-last-death-queue"] == f"{prefix}{last - 1}"
    assert properties.headers["x-first-death-queue"] == f"{prefix}0"
    assert len(properties.headers["x-death"]) > 100
