"""Exchanges of the type x-recent-history: what the table of `conformance` cannot show."""

import pytest

from support.amqp_client import PERSISTENT, confirm, connect, counts, drain
from support.management import Management

pytestmark = pytest.mark.own_process
TYPE = "x-recent-history"


def publish(channel, exchange, count, prefix="", size=0):
    """Numbered persistent messages."""
    for number in range(count):
        channel.basic_publish(exchange, "k", f"{prefix}{number}".encode().ljust(size), PERSISTENT)


def numbers(prefix, start, end):
    """The bodies that `publish` makes."""
    return [f"{prefix}{number}".encode() for number in range(start, end)]


def bound(channel, exchange, queue):
    """A new durable queue that is bound to an exchange."""
    channel.queue_declare(queue, durable=True)
    channel.queue_bind(queue, exchange)
    return queue


def test_a_history_survives_kill_9_and_so_does_what_it_gave(own_broker):
    channel = connect(own_broker.amqp).channel()
    channel.exchange_declare("x", TYPE, durable=True, arguments={"x-recent-history-length": 3})
    confirm(channel)
    publish(channel, "x", 5)
    bound(channel, "x", "first")
    for _ in range(2):
        own_broker.kill_and_restart()
    channel = connect(own_broker.amqp).channel()
    assert drain(channel, "first") == numbers("", 2, 5)
    assert drain(channel, bound(channel, "x", "second")) == numbers("", 2, 5)
    assert [queue["name"] for queue in Management(own_broker.http).get("queues").json()] == ["first", "second"]


def test_a_history_stands_before_what_comes_after_the_binding(own_broker):
    channel = connect(own_broker.amqp).channel()
    channel.exchange_declare("x", TYPE, durable=True)
    confirm(channel)
    publish(channel, "x", 3, "old")
    bound(channel, "x", "q")
    publish(channel, "x", 3, "new")
    assert drain(channel, "q") == numbers("old", 0, 3) + numbers("new", 0, 3)
    channel.queue_bind("q", "x")
    assert drain(channel, "q") == [], "it was bound already"


def test_an_exchange_that_is_bound_gets_the_history_and_routes_it(own_broker):
    channel = connect(own_broker.amqp).channel()
    channel.exchange_declare("x", TYPE)
    channel.exchange_declare("y", "direct")
    for key in ("k", "other"):
        channel.queue_declare(key)
        channel.queue_bind(key, "y", key)
    publish(channel, "x", 2)
    channel.exchange_bind("y", "x")
    assert (drain(channel, "k"), drain(channel, "other")) == (numbers("", 0, 2), [])


def test_a_history_of_more_than_memory_has_room_for(own_broker):
    own_broker.stop()
    own_broker.arguments = ["--message-memory", "256KiB"]
    own_broker.start()
    channel = connect(own_broker.amqp).channel()
    channel.exchange_declare("x", TYPE, durable=True, arguments={"x-recent-history-length": 3000})
    confirm(channel)
    publish(channel, "x", 4000, size=1000)
    for queue in ("one", "two"):
        bound(channel, "x", queue)
        assert counts(channel.connection, queue)[0] == 3000
        assert [body.strip() for body in drain(channel, queue)] == numbers("", 1000, 4000)
