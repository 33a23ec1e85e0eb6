"""AMQP: ack, nack, reject, recover, and what happens to unacknowledged messages."""

import pytest
from pika import spec

from support.amqp_client import (
    Collector, close_of_channel, close_of_connection, drain, fill, get_one,
)
from support.raw_amqp import RawAmqp, method, publish
from support.waiting import eventually


@pytest.fixture
def queue(amqp, name):
    """A queue with five messages that outlives the connections of the test."""
    channel, queue = amqp().channel(), name()
    channel.queue_declare(queue)
    fill(channel, queue, [b"1", b"2", b"3", b"4", b"5"])
    yield queue
    channel.queue_delete(queue)


def take(channel, queue, count):
    """Gets `count` messages without acknowledging: their delivery tags."""
    return [get_one(channel, queue, auto_ack=False)[0].delivery_tag for _ in range(count)]


def test_an_acknowledged_message_does_not_come_back(amqp, queue):
    connection = amqp()
    channel = connection.channel()
    tags = take(channel, queue, 2)
    channel.basic_ack(tags[0])
    connection.close()
    assert drain(amqp().channel(), queue) == [b"2", b"3", b"4", b"5"]


def test_multiple_acknowledges_everything_up_to_the_tag(amqp, queue):
    channel = amqp().channel()
    tags = take(channel, queue, 4)
    channel.basic_ack(tags[2], multiple=True)
    channel.close()
    assert drain(amqp().channel(), queue) == [b"4", b"5"]


def test_tag_zero_with_multiple_means_all_outstanding(amqp, queue):
    channel = amqp().channel()
    take(channel, queue, 5)
    channel.basic_ack(0, multiple=True)
    channel.close()
    assert drain(amqp().channel(), queue) == []


def test_tag_zero_with_multiple_and_nothing_outstanding_is_fine(channel, queue):
    channel.basic_ack(0, multiple=True)
    assert drain(channel, queue)


@pytest.mark.parametrize("settle", [
    lambda channel: channel.basic_ack(82),
    lambda channel: channel.basic_nack(82),
    lambda channel: channel.basic_reject(82),
    lambda channel: channel.basic_ack(82, multiple=True),
])
def test_an_unknown_delivery_tag_closes_the_channel_with_406(channel, queue, settle):
    settle(channel)
    code, text = close_of_channel(lambda: drain(channel, queue))
    assert (code, text) == (406, "PRECONDITION_FAILED - unknown delivery tag 82")


def test_acknowledging_twice_closes_the_channel_with_406(channel, queue):
    tag = take(channel, queue, 1)[0]
    channel.basic_ack(tag)
    channel.basic_ack(tag)
    code, text = close_of_channel(lambda: drain(channel, queue))
    assert (code, text) == (406, "PRECONDITION_FAILED - unknown delivery tag 1")


def test_an_unknown_delivery_tag_names_the_failing_method(broker):
    with RawAmqp(broker.amqp) as raw:
        raw.open().method(1, spec.Basic.Ack(82))
        closed = raw.expect(spec.Channel.Close)
    assert (closed.class_id, closed.method_id) == (60, 80)


def test_deliveries_with_automatic_acknowledgement_cannot_be_acknowledged(channel, queue):
    method, _, _ = get_one(channel, queue, auto_ack=True)
    channel.basic_ack(method.delivery_tag)
    assert close_of_channel(lambda: drain(channel, queue))[0] == 406


@pytest.mark.parametrize("requeue", [
    lambda channel, tag: channel.basic_nack(tag, requeue=True),
    lambda channel, tag: channel.basic_reject(tag, requeue=True),
])
def test_a_requeued_message_returns_to_its_place_marked_redelivered(channel, queue, requeue):
    requeue(channel, take(channel, queue, 1)[0])
    method, _, body = get_one(channel, queue)
    assert (body, method.redelivered) == (b"1", True)
    method, _, body = get_one(channel, queue)
    assert (body, method.redelivered) == (b"2", False)


def test_messages_requeued_in_any_order_keep_their_original_order(channel, queue):
    tags = take(channel, queue, 4)
    for tag in (tags[2], tags[0], tags[3], tags[1]):
        channel.basic_nack(tag, requeue=True)
    assert drain(channel, queue) == [b"1", b"2", b"3", b"4", b"5"]


def test_nack_multiple_requeues_everything_up_to_the_tag(channel, queue):
    tags = take(channel, queue, 4)
    channel.basic_nack(tags[2], multiple=True, requeue=True)
    assert drain(channel, queue) == [b"1", b"2", b"3", b"5"]


@pytest.mark.parametrize("discard", [
    lambda channel, tag: channel.basic_nack(tag, requeue=False),
    lambda channel, tag: channel.basic_reject(tag, requeue=False),
])
def test_a_rejected_message_without_requeue_is_gone(amqp, queue, discard):
    channel = amqp().channel()
    discard(channel, take(channel, queue, 1)[0])
    channel.close()
    assert drain(amqp().channel(), queue) == [b"2", b"3", b"4", b"5"]


def test_recover_requeues_everything_outstanding(channel, queue):
    take(channel, queue, 3)
    channel.basic_recover(requeue=True)
    methods = [get_one(channel, queue)[0] for _ in range(5)]
    assert [m.redelivered for m in methods] == [True, True, True, False, False]


def test_recover_redelivers_to_a_consumer_in_order(channel, queue):
    collector = Collector(channel, queue)
    collector.wait_for(5)
    channel.basic_recover(requeue=True)
    collector.wait_for(10)
    assert collector.bodies() == [b"1", b"2", b"3", b"4", b"5"] * 2


def test_recover_without_requeue_is_not_implemented(channel):
    code, text = close_of_connection(lambda: channel.basic_recover(requeue=False))
    assert (code, text) == (540, "NOT_IMPLEMENTED - requeue=false")


def test_closing_the_channel_requeues_in_order(amqp, queue):
    connection = amqp()
    channel = connection.channel()
    take(channel, queue, 3)
    channel.close()
    other = connection.channel()
    taken = [get_one(other, queue) for _ in range(5)]
    assert [body for _, _, body in taken] == [b"1", b"2", b"3", b"4", b"5"]
    assert [m.redelivered for m, _, _ in taken] == [True, True, True, False, False]


def test_a_channel_error_requeues(amqp, queue):
    connection = amqp()
    channel = connection.channel()
    take(channel, queue, 3)
    close_of_channel(lambda: channel.queue_declare("no-such-queue", passive=True))
    assert drain(connection.channel(), queue) == [b"1", b"2", b"3", b"4", b"5"]


def test_a_lost_connection_requeues(broker, amqp, queue):
    with RawAmqp(broker.amqp) as raw:
        raw.open()
        raw.call(1, spec.Basic.Get(queue=queue), spec.Basic.GetOk)
    channel, back = amqp().channel(), []

    def all_are_back():
        back.extend(drain(channel, queue))
        return sorted(back) == [b"1", b"2", b"3", b"4", b"5"]

    eventually(all_are_back, "the message of the lost connection is back")


def test_cancelling_a_consumer_keeps_its_unacknowledged_messages(amqp, queue):
    channel = amqp().channel()
    collector = Collector(channel, queue)
    collector.wait_for(5)
    channel.basic_cancel(collector.tag)
    assert drain(amqp().channel(), queue) == []
    channel.basic_ack(collector.deliveries[-1][0].delivery_tag, multiple=True)


def test_acknowledgements_on_the_way_when_the_connection_closes_are_applied(broker, amqp, queue):
    with RawAmqp(broker.amqp) as raw:
        raw.open()
        raw.call(1, spec.Basic.Consume(queue=queue), spec.Basic.ConsumeOk)
        for _ in range(5):
            raw.expect(spec.Basic.Deliver)
            raw.read_frame(), raw.read_frame()
        raw.send(method(1, spec.Basic.Ack(5, True)) + method(0, spec.Connection.Close(200, "", 0, 0)))
        raw.expect(spec.Connection.CloseOk)
    assert drain(amqp().channel(), queue) == []


def test_ten_thousand_unacknowledged_messages_are_requeued_in_order(amqp, name):
    queue, connection = name(), amqp()
    channel, publishing = connection.channel(), connection.channel()
    channel.queue_declare(queue, exclusive=True)
    for i in range(10_000):
        publishing.basic_publish("", queue, b"%d" % i)
    Collector(channel, queue).wait_for(10_000, 30)
    channel.close()
    collector = Collector(connection.channel(), queue, auto_ack=True)
    collector.wait_for(10_000, 30)
    assert collector.bodies() == [b"%d" % i for i in range(10_000)]
    assert all(m.redelivered for m, _, _ in collector.deliveries)


def test_a_message_returned_by_one_consumer_goes_to_another(amqp, name):
    queue, connection = name(), amqp()
    first, second = connection.channel(), connection.channel()
    first.queue_declare(queue, exclusive=True)
    collector = Collector(first, queue)
    fill(connection.channel(), queue, [b"passed on"])
    collector.wait_for(1)
    other = Collector(second, queue)
    first.close()
    delivered, _, body = other.wait_for(1)[0]
    assert (body, delivered.redelivered) == (b"passed on", True)


def test_each_queue_keeps_its_own_copy(broker, name):
    with RawAmqp(broker.amqp) as raw:
        queues = [raw.open().declare(exclusive=True)] + [raw.declare(exclusive=True)]
        for queue in queues:
            raw.call(1, spec.Queue.Bind(queue=queue, exchange="amq.direct", routing_key=queues[0]), spec.Queue.BindOk)
        raw.send(publish(1, "amq.direct", queues[0], b"both"))
        raw.call(1, spec.Basic.Get(queue=queues[0], no_ack=True), spec.Basic.GetOk)
        raw.read_frame(), raw.read_frame()
        raw.call(1, spec.Basic.Get(queue=queues[1], no_ack=True), spec.Basic.GetOk)


@pytest.mark.parametrize("ends_well", [True, False], ids=["closes", "vanishes"])
def test_what_an_acknowledgement_lets_out_comes_back_if_the_client_is_gone(broker, amqp, queue, ends_well):
    """The ack makes room in the prefetch; the next delivery is on its way when the client goes."""
    with RawAmqp(broker.amqp) as raw:
        raw.open().call(1, spec.Basic.Qos(prefetch_count=1), spec.Basic.QosOk)
        raw.call(1, spec.Basic.Consume(queue=queue, consumer_tag="c"), spec.Basic.ConsumeOk)
        raw.expect(spec.Basic.Deliver)
        goodbye = method(0, spec.Connection.Close(200, "", 0, 0)) if ends_well else b""
        raw.send(method(1, spec.Basic.Ack(1)) + goodbye)
    channel = amqp().channel()
    ready = lambda: channel.queue_declare(queue, passive=True).method.message_count == 4  # noqa: E731
    eventually(ready, "the four messages that were not acknowledged")
    assert drain(channel, queue) == [b"2", b"3", b"4", b"5"]


def test_confirms_of_a_closed_channel_do_not_count_for_the_next_one_of_its_number(broker, queue):
    with RawAmqp(broker.amqp) as raw:
        raw.open().call(1, spec.Confirm.Select(), spec.Confirm.SelectOk)
        raw.send(b"".join(publish(1, "", queue, b"x") for _ in range(5)) + method(1, spec.Channel.Close(200, "", 0, 0)))
        while not isinstance(raw.read_method()[1], spec.Channel.CloseOk):
            pass
        raw.open_channel(1)
        raw.call(1, spec.Confirm.Select(), spec.Confirm.SelectOk)
        raw.send(publish(1, "", queue, b"y"))
        assert raw.expect(spec.Basic.Ack).delivery_tag == 1


@pytest.mark.parametrize("overflow", ["drop-head", "reject-publish"])
def test_an_acknowledgement_makes_room_for_the_message_behind_it(broker, name, overflow):
    queue = name()
    with RawAmqp(broker.amqp) as raw:
        raw.open(channels=(1, 2)).declare(queue, arguments={"x-max-length": 1, "x-overflow": overflow})
        raw.call(2, spec.Confirm.Select(), spec.Confirm.SelectOk)
        raw.call(1, spec.Basic.Qos(prefetch_count=1), spec.Basic.QosOk)
        raw.send(publish(2, "", queue, b"1"))
        raw.expect(spec.Basic.Ack)
        raw.call(1, spec.Basic.Consume(queue=queue), spec.Basic.ConsumeOk)
        assert next_body(raw) == b"1"
        raw.send(publish(2, "", queue, b"2"))
        raw.expect(spec.Basic.Ack)
        raw.send(method(1, spec.Basic.Ack(1)) + publish(2, "", queue, b"3"))
        # Its confirm and the next delivery may come in any order.
        _, first = raw.read_method()
        if isinstance(first, spec.Basic.Deliver):
            assert body_of(raw) == b"2"
            raw.expect(spec.Basic.Ack)
        else:
            assert isinstance(first, spec.Basic.Ack), first
            assert next_body(raw) == b"2"
        raw.method(1, spec.Basic.Ack(2))
        assert next_body(raw) == b"3"


def next_body(raw):
    """The body of the delivery that comes next."""
    raw.expect(spec.Basic.Deliver)
    return body_of(raw)


def body_of(raw):
    """The body behind a delivery."""
    raw.read_frame()
    return raw.read_frame()[2]
