"""AMQP: publisher confirms."""

import pytest
from pika import spec

from support.amqp_client import drain
from support.raw_amqp import RawAmqp, publish
from support.raw_amqp import method as method_frame

PERSISTENT = spec.BasicProperties(delivery_mode=2)


@pytest.fixture
def raw(broker):
    with RawAmqp(broker.amqp) as connection:
        connection.open()
        connection.call(1, spec.Confirm.Select(), spec.Confirm.SelectOk)
        yield connection


def confirmed(raw, last):
    """Reads acks until all up to `last` are confirmed: the sequence numbers, each once."""
    seen = set()
    while len(seen) < last:
        ack = raw.expect(spec.Basic.Ack)
        first = 1 if ack.multiple else ack.delivery_tag
        new = set(range(first, ack.delivery_tag + 1)) - seen
        assert new, f"{ack} confirms nothing new"
        seen |= new
    assert seen == set(range(1, last + 1))


def test_select_may_be_repeated(raw):
    raw.call(1, spec.Confirm.Select(), spec.Confirm.SelectOk)


def test_sequence_numbers_count_from_one(raw):
    queue = raw.declare(exclusive=True)
    raw.send(publish(1, "", queue, b"1"))
    assert raw.expect(spec.Basic.Ack).delivery_tag == 1
    raw.send(publish(1, "", queue, b"2"))
    assert raw.expect(spec.Basic.Ack).delivery_tag == 2


def test_every_publish_of_a_burst_is_confirmed_exactly_once(raw):
    queue = raw.declare(exclusive=True)
    raw.send(b"".join(publish(1, "", queue, b"x", PERSISTENT) for _ in range(2000)))
    confirmed(raw, 2000)


def test_persistent_messages_to_a_durable_queue_are_confirmed(raw, name):
    queue = raw.declare(name(), durable=True)
    raw.send(b"".join(publish(1, "", queue, b"x" * 1000, PERSISTENT) for _ in range(200)))
    confirmed(raw, 200)
    raw.call(1, spec.Queue.Delete(queue=queue), spec.Queue.DeleteOk)


def test_transient_and_persistent_messages_of_one_channel_are_all_confirmed(raw, name):
    durable, transient = raw.declare(name(), durable=True), raw.declare(exclusive=True)
    burst = [publish(1, "", queue, b"x", properties) for queue in (durable, transient)
             for properties in (PERSISTENT, None)]
    raw.send(b"".join(burst * 25))
    confirmed(raw, 100)
    raw.call(1, spec.Queue.Delete(queue=durable), spec.Queue.DeleteOk)


def test_an_unroutable_message_is_acknowledged_not_refused(raw):
    raw.send(publish(1, "amq.direct", "nowhere at all", b"x"))
    assert raw.expect(spec.Basic.Ack).delivery_tag == 1


def test_the_return_of_a_mandatory_message_comes_before_its_confirm(raw):
    raw.send(publish(1, "amq.direct", "nowhere at all", b"x", mandatory=True))
    assert raw.expect(spec.Basic.Return).reply_code == 312
    raw.read_frame(), raw.read_frame()
    assert raw.expect(spec.Basic.Ack).delivery_tag == 1


def test_a_message_to_several_queues_is_confirmed_once(raw):
    key = raw.declare(exclusive=True)
    for queue in (key, raw.declare(exclusive=True), raw.declare(exclusive=True)):
        raw.call(1, spec.Queue.Bind(queue=queue, exchange="amq.direct", routing_key=key), spec.Queue.BindOk)
    raw.send(publish(1, "amq.direct", key, b"x", PERSISTENT) + publish(1, "amq.direct", key, b"y", PERSISTENT))
    confirmed(raw, 2)


def test_channels_number_their_confirms_separately(raw):
    raw.open_channel(2)
    raw.call(2, spec.Confirm.Select(), spec.Confirm.SelectOk)
    for channel in (1, 2):
        raw.send(publish(channel, "amq.direct", "nowhere at all", b"x"))
        answered, ack = raw.read_method()
        assert (answered, ack.delivery_tag) == (channel, 1)


def test_a_confirmed_message_is_in_the_queue(raw, amqp, name):
    queue = raw.declare(name())
    raw.send(publish(1, "", queue, b"there"))
    raw.expect(spec.Basic.Ack)
    channel = amqp().channel()
    assert drain(channel, queue) == [b"there"]
    channel.queue_delete(queue)


def test_a_channel_without_select_gets_no_confirms(broker):
    with RawAmqp(broker.amqp) as raw:
        queue = raw.open().declare(exclusive=True)
        raw.send(publish(1, "", queue, b"x"))
        assert raw.declare(queue, passive=True) == queue


def test_select_without_wait_has_no_reply(broker):
    with RawAmqp(broker.amqp) as raw:
        raw.open().send(method_frame(1, spec.Confirm.Select(nowait=True)) + publish(1, "", "nowhere", b"x"))
        assert raw.expect(spec.Basic.Ack).delivery_tag == 1
