"""Queues with priorities."""

import pika

from support.amqp_client import connect, drain, fill, get_one
from support.waiting import eventually


def publish(channel, queue, *messages):
    """Publishes bodies with their priorities."""
    for body, priority in messages:
        fill(channel, queue, [body], pika.BasicProperties(priority=priority, delivery_mode=2))


def declare(channel, name, levels, **options):
    """A queue with so many levels."""
    queue = name()
    channel.queue_declare(queue, arguments={"x-max-priority": levels}, **options)
    return queue


def test_higher_priorities_come_first_and_equals_in_order(channel, name):
    queue = declare(channel, name, 5, exclusive=True)
    publish(channel, queue, (b"none", None), (b"2a", 2), (b"5", 5), (b"2b", 2), (b"over", 200), (b"0", 0))
    assert drain(channel, queue) == [b"5", b"over", b"2a", b"2b", b"none", b"0"]


def test_without_levels_a_priority_changes_nothing(channel, name):
    for levels in ({}, {"x-max-priority": 0}):
        queue = name()
        channel.queue_declare(queue, exclusive=True, arguments=levels)
        publish(channel, queue, (b"1", 0), (b"2", 9))
        assert drain(channel, queue) == [b"1", b"2"]


def test_what_comes_back_has_its_level_and_its_place(channel, name):
    queue = declare(channel, name, 255, exclusive=True)
    publish(channel, queue, (b"low", 1), (b"a", 255), (b"b", 255))
    first = get_one(channel, queue, auto_ack=False)
    assert first[2] == b"a"
    channel.basic_nack(first[0].delivery_tag, requeue=True)
    assert drain(channel, queue) == [b"a", b"b", b"low"]


def test_several_consumers_drain_a_priority_queue(amqp, name):
    connection = amqp()
    channel, done = connection.channel(), []
    queue = declare(channel, name, 3)

    def work(taker, method, _properties, body):
        done.append(body)
        taker.basic_ack(method.delivery_tag)

    for taker in [connection.channel() for _ in range(3)]:
        taker.basic_qos(prefetch_count=1)
        taker.basic_consume(queue, work)
    publish(channel, queue, *((b"%d" % number, number % 5) for number in range(60)))
    eventually(lambda: connection.process_data_events(0.01) or len(done) == 60, "everything is done")
    assert sorted(map(int, done)) == list(range(60))
    channel.queue_delete(queue)


def test_priorities_survive_kill_9(own_broker, name):
    channel = connect(own_broker.amqp).channel()
    queue = declare(channel, name, 4, durable=True)
    publish(channel, queue, *((b"%d-%d" % (number % 4, number), number % 4) for number in range(40)))
    own_broker.kill()
    own_broker.start()
    found = drain(connect(own_broker.amqp).channel(), queue)
    expected = sorted(range(40), key=lambda number: (-(number % 4), number))
    assert found == [b"%d-%d" % (number % 4, number) for number in expected]
