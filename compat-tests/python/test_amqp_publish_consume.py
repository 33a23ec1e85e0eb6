"""AMQP: publish, return, consume, cancel, get, prefetch; contents of every shape and size."""

import datetime
import decimal

import pika
import pytest
from pika import spec
from pika.exceptions import UnroutableError

from support.amqp_client import (
    Collector, close_of_channel, close_of_connection, drain, fill, get_one, synchronise,
)
from support.raw_amqp import RawAmqp, header, method, publish
from support.raw_amqp import body as body_frame
from support.waiting import eventually


@pytest.fixture
def queue(channel):
    return channel.queue_declare("", exclusive=True).method.queue


def test_a_message_arrives_with_its_exchange_and_key(channel, queue, name):
    key = name("key")
    channel.queue_bind(queue, "amq.topic", key)
    channel.basic_publish("amq.topic", key, b"hello")
    method, _, body = get_one(channel, queue)
    assert (method.exchange, method.routing_key, body) == ("amq.topic", key, b"hello")
    assert (method.delivery_tag, method.redelivered, method.message_count) == (1, False, 0)


def test_every_property_arrives_as_it_was_sent(channel, queue):
    sent = pika.BasicProperties(
        content_type="text/plain", content_encoding="utf-8", delivery_mode=2, priority=7,
        correlation_id="c-1", reply_to="r-1", message_id="m-1", timestamp=1_700_000_000,
        type="kind", user_id="guest", app_id="app", cluster_id="cluster", headers={"a": 1})
    channel.basic_publish("", queue, b"", sent)
    _, received, _ = get_one(channel, queue)
    assert vars(received) == vars(sent)


HEADERS = {
    "true": True, "false": False, "int": 1, "negative": -1, "int64": 2 ** 62, "int64 low": -(2 ** 63),
    "text": "é", "empty": "", "bytes": b"\x00\xff", "void": None,
    "decimal": decimal.Decimal("3.14"), "time": datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
    "table": {"nested": {"deeper": [1, "two", {"three": None}]}}, "array": [], "mixed": [1, True, "x", [2]],
}


@pytest.mark.parametrize("key", HEADERS)
def test_a_header_of_each_type_round_trips(channel, queue, key):
    channel.basic_publish("", queue, b"", pika.BasicProperties(headers={key: HEADERS[key]}))
    _, received, _ = get_one(channel, queue)
    value, expected = received.headers[key], HEADERS[key]
    if isinstance(expected, datetime.datetime):
        value = value.replace(tzinfo=datetime.timezone.utc)
    assert value == expected and isinstance(value, type(expected))


@pytest.mark.parametrize("size", [0, 1, 4088, 131064, 131065, 262128, 1_000_000, 10_000_000])
def test_bodies_of_every_size_arrive_whole(channel, queue, size):
    body = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1)
    channel.basic_publish("", queue, body[:size])
    assert get_one(channel, queue)[2] == body[:size]


def test_bodies_are_split_at_the_frame_size_of_the_client(amqp):
    channel = amqp(frame_max=4096).channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.basic_publish("", queue, b"x" * 100_000)
    assert get_one(channel, queue)[2] == b"x" * 100_000


def test_a_large_body_is_whole_in_every_queue(channel, name):
    exchange, body = name(), b"0123456789" * 50_000
    channel.exchange_declare(exchange, "fanout", auto_delete=True)
    queues = [channel.queue_declare("", exclusive=True).method.queue for _ in range(3)]
    for queue in queues:
        channel.queue_bind(queue, exchange)
    channel.basic_publish(exchange, "", body)
    assert all(get_one(channel, queue)[2] == body for queue in queues)


def test_a_body_over_the_limit_is_refused_with_406(broker):
    size = 16 * 1024 * 1024 + 1
    with RawAmqp(broker.amqp) as raw:
        raw.open()
        raw.method(1, spec.Basic.Publish(routing_key="q"))
        raw.send(header(1, size))
        part = b"x" * 131064
        for sent in range(0, size, len(part)):
            raw.send(body_frame(1, part[:size - sent]))
        closed = raw.expect(spec.Channel.Close)
    assert (closed.reply_code, closed.reply_text) == (
        406, f"PRECONDITION_FAILED - message size {size} is larger than configured max size 16777216")


def test_publishing_to_an_absent_exchange_closes_the_channel_with_404(channel, name):
    exchange = name()
    channel.confirm_delivery()
    code, text = close_of_channel(lambda: channel.basic_publish(exchange, "k", b""))
    assert (code, text) == (404, f"NOT_FOUND - no exchange '{exchange}' in vhost '/'")


def test_an_unroutable_mandatory_message_is_returned(channel, name):
    key = name("nowhere")
    channel.confirm_delivery()
    with pytest.raises(UnroutableError) as caught:
        channel.basic_publish("amq.direct", key, b"back", pika.BasicProperties(type="t"), mandatory=True)
    returned = caught.value.messages[0]
    assert (returned.method.reply_code, returned.method.reply_text) == (312, "NO_ROUTE")
    assert (returned.method.exchange, returned.method.routing_key) == ("amq.direct", key)
    assert (returned.body, returned.properties.type) == (b"back", "t")


def test_a_routable_mandatory_message_is_not_returned(channel, queue):
    channel.confirm_delivery()
    channel.basic_publish("", queue, b"there", mandatory=True)
    assert drain(channel, queue) == [b"there"]


def test_immediate_is_not_implemented(broker):
    with RawAmqp(broker.amqp) as raw:
        raw.open().send(publish(1, "", "q", b"x", immediate=True))
        closed = raw.expect_connection_close()
    assert (closed.reply_code, closed.reply_text) == (540, "NOT_IMPLEMENTED - immediate=true")


def test_a_foreign_user_id_is_refused_with_406(channel, queue):
    channel.confirm_delivery()
    code, text = close_of_channel(
        lambda: channel.basic_publish("", queue, b"", pika.BasicProperties(user_id="eve")))
    assert (code, text) == (
        406, "PRECONDITION_FAILED - user_id property set to 'eve' but authenticated user was 'guest'")


def test_messages_of_one_publisher_arrive_in_order(channel, queue):
    bodies = [b"%d" % i for i in range(2000)]
    for body in bodies:
        channel.basic_publish("", queue, body)
    collector = Collector(channel, queue, auto_ack=True)
    collector.wait_for(len(bodies))
    assert collector.bodies() == bodies


def test_a_consumer_without_a_tag_gets_one_from_the_broker(broker):
    with RawAmqp(broker.amqp) as raw:
        queue = raw.open().declare(exclusive=True)
        tag = raw.call(1, spec.Basic.Consume(queue=queue), spec.Basic.ConsumeOk).consumer_tag
    assert tag.startswith("amq.ctag-") and len(tag) == len("amq.ctag-") + 22


def test_reusing_a_consumer_tag_closes_the_connection_with_530(broker):
    with RawAmqp(broker.amqp) as raw:
        queue = raw.open().declare(exclusive=True)
        raw.call(1, spec.Basic.Consume(queue=queue, consumer_tag="c"), spec.Basic.ConsumeOk)
        raw.method(1, spec.Basic.Consume(queue=queue, consumer_tag="c"))
        closed = raw.expect_connection_close()
    assert (closed.reply_code, closed.reply_text) == (530, "NOT_ALLOWED - attempt to reuse consumer tag 'c'")


def test_the_same_tag_on_two_channels_is_fine(amqp, name):
    queue, connection = name(), amqp()
    first, second = connection.channel(), connection.channel()
    first.queue_declare(queue, exclusive=True)
    Collector(first, queue, consumer_tag="same")
    Collector(second, queue, consumer_tag="same")


def test_consuming_from_an_absent_queue_is_404(channel, name):
    queue = name()
    code, text = close_of_channel(lambda: channel.basic_consume(queue, print))
    assert (code, text) == (404, f"NOT_FOUND - no queue '{queue}' in vhost '/'")


def test_an_exclusive_consumer_keeps_others_out(amqp, name):
    queue, connection = name(), amqp()
    first = connection.channel()
    first.queue_declare(queue, exclusive=True)
    Collector(first, queue, exclusive=True)
    code, text = close_of_channel(lambda: connection.channel().basic_consume(queue, print))
    assert (code, text) == (403, f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use")


def test_a_consumer_cannot_become_exclusive_beside_others(amqp, name):
    queue, connection = name(), amqp()
    first = connection.channel()
    first.queue_declare(queue, exclusive=True)
    Collector(first, queue)
    code, _ = close_of_channel(lambda: connection.channel().basic_consume(queue, print, exclusive=True))
    assert code == 403


def test_cancel_stops_deliveries(channel, queue):
    collector = Collector(channel, queue)
    channel.basic_cancel(collector.tag)
    fill(channel, queue, [b"after"])
    assert get_one(channel, queue)[2] == b"after"
    assert collector.bodies() == []


def test_cancelling_an_unknown_tag_is_answered(broker):
    with RawAmqp(broker.amqp) as raw:
        raw.open()
        assert raw.call(1, spec.Basic.Cancel("unknown"), spec.Basic.CancelOk).consumer_tag == "unknown"


def test_get_counts_down_to_empty(channel, queue):
    fill(channel, queue, [b"1", b"2"])
    left = [get_one(channel, queue)[0].message_count for _ in range(2)]
    assert left == [1, 0]
    assert channel.basic_get(queue, auto_ack=True) == (None, None, None)


def test_getting_from_an_absent_queue_is_404(channel, name):
    queue = name()
    code, text = close_of_channel(lambda: channel.basic_get(queue))
    assert (code, text) == (404, f"NOT_FOUND - no queue '{queue}' in vhost '/'")


def test_consumers_of_equal_standing_take_turns(amqp, name):
    queue, connection = name(), amqp()
    channels = [connection.channel() for _ in range(3)]
    channels[0].queue_declare(queue, exclusive=True)
    collectors = [Collector(channel, queue) for channel in channels]
    fill(connection.channel(), queue, [b"%d" % i for i in range(30)])
    eventually(lambda: (connection.process_data_events(0.02), sum(len(c.deliveries) for c in collectors) == 30)[1],
               "all messages are with the consumers")
    assert [len(c.deliveries) for c in collectors] == [10, 10, 10]


def test_prefetch_limits_each_consumer(amqp, name):
    queue, connection = name(), amqp()
    channel = connection.channel()
    channel.queue_declare(queue, exclusive=True)
    channel.basic_qos(prefetch_count=2)
    first, second = Collector(channel, queue), Collector(channel, queue)
    fill(connection.channel(), queue, [b"%d" % i for i in range(10)])
    first.wait_for(2)
    second.wait_for(2)
    synchronise(channel)
    assert len(drain(connection.channel(), queue)) == 6


def test_global_prefetch_limits_the_channel(amqp, name):
    queue, connection = name(), amqp()
    channel = connection.channel()
    channel.queue_declare(queue, exclusive=True)
    channel.basic_qos(prefetch_count=3, global_qos=True)
    first, second = Collector(channel, queue), Collector(channel, queue)
    fill(connection.channel(), queue, [b"%d" % i for i in range(10)])
    eventually(lambda: (connection.process_data_events(0.02), len(first.deliveries + second.deliveries) == 3)[1],
               "three deliveries")
    assert len(drain(connection.channel(), queue)) == 7


def test_an_acknowledgement_makes_room_for_the_next(amqp, name):
    queue, connection = name(), amqp()
    channel = connection.channel()
    channel.queue_declare(queue, exclusive=True)
    channel.basic_qos(prefetch_count=1)
    fill(connection.channel(), queue, [b"1", b"2", b"3"])
    collector = Collector(channel, queue)
    for count in (1, 2, 3):
        collector.wait_for(count)
        assert len(collector.deliveries) == count
        channel.basic_ack(collector.deliveries[-1][0].delivery_tag)


def test_raising_the_channel_prefetch_resumes_delivery(amqp, name):
    queue, connection = name(), amqp()
    channel = connection.channel()
    channel.queue_declare(queue, exclusive=True)
    channel.basic_qos(prefetch_count=1, global_qos=True)
    fill(connection.channel(), queue, [b"1", b"2", b"3"])
    collector = Collector(channel, queue)
    collector.wait_for(1)
    channel.basic_qos(prefetch_count=3, global_qos=True)
    collector.wait_for(3)


def test_prefetch_limits_neither_get_nor_automatic_acknowledgement(channel, queue):
    channel.basic_qos(prefetch_count=1)
    fill(channel, queue, [b"%d" % i for i in range(10)])
    for _ in range(5):
        assert get_one(channel, queue, auto_ack=False)
    Collector(channel, queue, auto_ack=True).wait_for(5)


def test_a_prefetch_size_is_not_implemented(amqp):
    channel = amqp().channel()
    code, text = close_of_connection(lambda: channel.basic_qos(prefetch_size=10))
    assert (code, text) == (540, "NOT_IMPLEMENTED - prefetch_size!=0 (10)")


def test_consume_ok_comes_before_the_first_delivery(broker):
    with RawAmqp(broker.amqp) as raw:
        queue = raw.open().declare(exclusive=True)
        raw.send(publish(1, "", queue, b"waiting"))
        raw.call(1, spec.Basic.Consume(queue=queue, consumer_tag="c"), spec.Basic.ConsumeOk)
        assert raw.expect(spec.Basic.Deliver).consumer_tag == "c"


def test_consume_without_wait_has_no_reply(broker):
    with RawAmqp(broker.amqp) as raw:
        queue = raw.open().declare(exclusive=True)
        raw.method(1, spec.Basic.Consume(queue=queue, consumer_tag="c", nowait=True))
        raw.send(publish(1, "", queue, b"x"))
        raw.expect(spec.Basic.Deliver)


def test_delivery_tags_count_per_channel(amqp, name):
    queue, connection = name(), amqp()
    first, second = connection.channel(), connection.channel()
    first.queue_declare(queue, exclusive=True)
    fill(connection.channel(), queue, [b"1", b"2", b"3", b"4"])
    taken = [get_one(channel, queue, auto_ack=False)[0].delivery_tag for channel in (first, second, first, second)]
    assert taken == [1, 1, 2, 2]


def test_methods_behind_a_durable_declare_are_taken_when_it_is_answered(broker, name):
    """The declare has to wait for the disk; what was sent behind it must not wait for more input."""
    queue, large = name(), b"x" * 120_000
    with RawAmqp(broker.amqp) as raw:
        raw.open()
        content = publish(1, "", queue, large)
        raw.send(content[:60_000])
        passive = [method(1, spec.Queue.Declare(queue=queue, passive=True)) for _ in range(3)]
        raw.send(content[60_000:] + method(1, spec.Queue.Declare(queue=queue, durable=True)) + b"".join(passive))
        for _ in range(4):
            assert raw.expect(spec.Queue.DeclareOk).queue == queue


def test_a_consumer_of_greater_priority_is_served_first_while_it_has_room(amqp, name):
    channel, queue, served = amqp().channel(), name(), []
    channel.queue_declare(queue, exclusive=True)
    channel.basic_qos(prefetch_count=2)
    for priority in (0, 5, -1):
        channel.basic_consume(queue, lambda _c, method, _p, _b, p=priority: served.append(p),
                              arguments={"x-priority": priority})
    for _ in range(5):
        channel.basic_publish("", queue, b"x")
    channel.connection.process_data_events(0.5)
    eventually(lambda: channel.connection.process_data_events(0.05) or len(served) == 5, "all are served")
    assert sorted(served, reverse=True) == [5, 5, 0, 0, -1]


def test_a_priority_of_a_consumer_is_a_number(amqp, name):
    channel, queue = amqp().channel(), name()
    channel.queue_declare(queue, exclusive=True)
    code, text = close_of_channel(
        lambda: channel.basic_consume(queue, lambda *_: None, arguments={"x-priority": "high"}))
    assert code == 406 and "invalid arg 'x-priority'" in text


def test_cc_and_bcc_are_further_routing_keys_and_nobody_sees_bcc(amqp, name):
    channel, queues = amqp().channel(), [name(suffix) for suffix in "abcd"]
    for queue in queues:
        channel.queue_declare(queue, exclusive=True)
    first, second, third, other = queues
    headers = {"CC": [second, first], "BCC": [third, third], "kept": 1}
    channel.basic_publish("", first, b"x", pika.BasicProperties(headers=headers, message_id="m"), mandatory=True)
    for queue in (first, second, third):
        method_, properties, body = get_one(channel, queue)
        assert (method_.routing_key, body, properties.message_id) == (first, b"x", "m")
        assert properties.headers == {"CC": [second, first], "kept": 1}
        assert drain(channel, queue) == []
    assert drain(channel, other) == []
    channel.queue_bind(other, "amq.topic", "k.#")
    channel.basic_publish("amq.topic", "nowhere", b"y", pika.BasicProperties(headers={"CC": ["k.1", "k.2"]}))
    assert drain(channel, other) == [b"y"]


@pytest.mark.parametrize("header, value, found", [("CC", "text", "longstr"), ("BCC", 7, "signedint"), ("CC", [7], "signedint")])
def test_cc_and_bcc_have_to_be_lists_of_texts(amqp, header, value, found):
    channel = amqp().channel()

    def publish_and_wait():
        channel.basic_publish("", "q", b"x", pika.BasicProperties(headers={header: value}))
        synchronise(channel)

    code, text = close_of_channel(publish_and_wait)
    assert (code, text) == (406, f'PRECONDITION_FAILED - invalid message: {{unacceptable_type_in_header,"{header}",{found}}}')
