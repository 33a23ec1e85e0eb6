"""Messages that nobody acknowledges: quorum queues, delivery limits and the consumer timeout."""

import time

import pika
import pytest
from pika import spec

from support.amqp_client import Collector, close_of_channel, connect, drain, fill, get_one
from support.raw_amqp import RawAmqp
from support.waiting import let_time_pass

QUORUM = {"x-queue-type": "quorum"}


def declare(channel, name, **arguments):
    """A durable queue with these arguments, and one for its dead letters."""
    queue, grave = name("q"), name("grave")
    channel.queue_declare(grave, exclusive=True)
    given = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
    channel.queue_declare(queue, durable=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave, **given})
    return queue, grave


@pytest.mark.parametrize("give_back", ["nack", "recover", "close"])
def test_a_message_that_comes_back_too_often_is_dead_lettered(amqp, name, give_back):
    connection = amqp()
    channel = connection.channel()
    queue, grave = declare(channel, name, queue_type="quorum", delivery_limit=2)
    fill(channel, queue, [b"poison"], pika.BasicProperties(delivery_mode=2, headers={"own": 1}))
    for count in range(3):
        taker = connection.channel()
        method, properties, _ = get_one(taker, queue, auto_ack=False)
        assert properties.headers == ({"own": 1, "x-delivery-count": count} if count else {"own": 1})
        assert method.redelivered == (count > 0)
        if give_back == "nack":
            taker.basic_nack(method.delivery_tag, requeue=True)
        if give_back == "recover":
            taker.basic_recover(requeue=True)
        taker.close()
    method, properties, body = get_one(channel, grave)
    assert body == b"poison" and properties.headers["x-death"][0]["reason"] == "delivery_limit"
    channel.queue_delete(queue)


def test_a_quorum_queue_has_a_limit_of_twenty(amqp, name):
    channel = amqp().channel()
    queue, grave = declare(channel, name, queue_type="quorum")
    fill(channel, queue, [b"poison"])
    for _ in range(21):
        channel.basic_nack(get_one(channel, queue, auto_ack=False)[0].delivery_tag, requeue=True)
    assert get_one(channel, grave)[2] == b"poison"
    channel.queue_delete(queue)


def test_deliveries_are_counted_through_kill_9(own_broker, name):
    channel = connect(own_broker.amqp).channel()
    queue = name()
    channel.queue_declare(queue, durable=True, arguments={**QUORUM, "x-delivery-limit": 2})
    fill(channel, queue, [b"poison"], pika.BasicProperties(delivery_mode=2))
    for count in range(3):
        channel = connect(own_broker.amqp).channel()
        method, properties, _ = get_one(channel, queue, auto_ack=False)
        assert (properties.headers or {}).get("x-delivery-count", 0) == count
        # What was handed out is in the journal with the next promise.
        fill(channel, queue, [b"later"], pika.BasicProperties(delivery_mode=2))
        own_broker.kill()
        own_broker.start()
    assert drain(connect(own_broker.amqp).channel(), queue)[-3:] == [b"later"] * 3


@pytest.mark.parametrize("options, complaint", [
    ({"durable": False}, "invalid property 'non-durable' for queue"),
    ({"auto_delete": True}, "invalid property 'auto-delete' for queue"),
    ({"exclusive": True}, "invalid property 'exclusive-owner' for queue"),
])
def test_a_quorum_queue_is_durable_and_shared(amqp, name, options, complaint):
    code, text = close_of_channel(lambda: amqp().channel().queue_declare(
        name(), **{"durable": True, **options}, arguments=QUORUM))
    assert code == 406 and complaint in text


def test_a_quorum_queue_is_not_named_by_the_server(amqp):
    code, text = close_of_channel(lambda: amqp().channel().queue_declare("", durable=True, arguments=QUORUM))
    assert (code, text) == (406, "PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_quorum_queue")


def test_the_type_of_a_queue_cannot_change(amqp, name):
    queue, channel = name(), amqp().channel()
    channel.queue_declare(queue, durable=True, arguments=QUORUM)
    code, text = close_of_channel(lambda: amqp().channel().queue_declare(queue, durable=True))
    assert code == 406 and "inequivalent arg 'x-queue-type'" in text
    channel.queue_delete(queue)


def test_a_consumer_that_does_not_acknowledge_in_time_loses_its_channel(broker, amqp, name):
    queue, channel = name(), amqp().channel()
    channel.queue_declare(queue, arguments={"x-consumer-timeout": 300})
    fill(channel, queue, [b"1", b"2"])
    with RawAmqp(broker.amqp) as raw:
        raw.open(channels=(7,))
        raw.call(7, spec.Basic.Consume(queue=queue), spec.Basic.ConsumeOk)
        started = time.monotonic()
        for _ in range(2):
            raw.expect(spec.Basic.Deliver)
            raw.read_frame(), raw.read_frame()
        closed = raw.expect(spec.Channel.Close)
        assert 0.29 <= time.monotonic() - started < 2
        assert (closed.reply_code, closed.reply_text) == (
            406, "PRECONDITION_FAILED - delivery acknowledgement on channel 7 timed out. Timeout value used: "
            "300 ms. This timeout value can be configured, see consumers doc guide to learn more")
    assert [get_one(channel, queue)[2] for _ in range(2)] == [b"1", b"2"]
    channel.queue_delete(queue)


def test_a_consumer_that_acknowledges_in_time_keeps_its_channel(amqp, name):
    queue, channel = name(), amqp().channel()
    channel.queue_declare(queue, exclusive=True, arguments={"x-consumer-timeout": 400})
    fill(channel, queue, [b"%d" % number for number in range(10)])
    channel.basic_qos(prefetch_count=1)
    collector = Collector(channel, queue, auto_ack=False)
    for count in range(1, 11):
        collector.wait_for(count)
        let_time_pass(0.1)
        channel.basic_ack(collector.deliveries[-1][0].delivery_tag)
    assert channel.is_open and drain(channel, queue) == []
