"""AMQP: queue declaration, exclusivity, auto-delete, deletion, purge."""

import re

import pika
import pytest
from pika import spec

from support.amqp_client import Collector, close_of_channel, counts, drain, fill, get_one
from support.raw_amqp import RawAmqp
from support.waiting import eventually, let_time_pass


def locked(queue):
    return ("RESOURCE_LOCKED - cannot obtain exclusive access to locked "
            f"queue '{queue}' in vhost '/'. It could be originally declared on another connection "
            "or the exclusive property value does not match that of the original declaration.")


def test_the_empty_name_makes_a_unique_server_name(channel):
    first = channel.queue_declare("", exclusive=True).method.queue
    second = channel.queue_declare("", exclusive=True).method.queue
    assert re.fullmatch(r"amq\.gen-[A-Za-z0-9_-]{22}", first)
    assert first != second


def test_new_names_with_the_reserved_prefix_are_refused(channel):
    code, text = close_of_channel(lambda: channel.queue_declare("amq.mine"))
    assert (code, text) == (403, "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'")


def test_a_passive_declare_of_an_absent_queue_is_404(channel, name):
    queue = name()
    code, text = close_of_channel(lambda: channel.queue_declare(queue, passive=True))
    assert (code, text) == (404, f"NOT_FOUND - no queue '{queue}' in vhost '/'")


@pytest.mark.parametrize("first, second, text", [
    ({}, {"durable": True}, "'durable' for {q}: received 'true' but current is 'false'"),
    ({"durable": True}, {}, "'durable' for {q}: received 'false' but current is 'true'"),
    ({}, {"auto_delete": True}, "'auto_delete' for {q}: received 'true' but current is 'false'"),
])
def test_a_different_redeclaration_is_refused_with_406(amqp, name, first, second, text):
    queue, connection = name(), amqp()
    connection.channel().queue_declare(queue, **first)
    code, reply = close_of_channel(lambda: connection.channel().queue_declare(queue, **second))
    connection.channel().queue_delete(queue)
    expected = text.format(q=f"queue '{queue}' in vhost '/'")
    assert (code, reply) == (406, f"PRECONDITION_FAILED - inequivalent arg {expected}")


def test_an_equal_redeclaration_reports_ready_messages_and_consumers(amqp, name):
    queue, connection = name(), amqp()
    channel = connection.channel()
    channel.queue_declare(queue, auto_delete=True)
    fill(channel, queue, [b"1", b"2", b"3"])
    assert get_one(channel, queue, auto_ack=False)
    assert counts(connection, queue) == (2, 0)
    other = connection.channel()
    other.basic_qos(prefetch_count=1)
    Collector(other, queue).wait_for(1)
    redeclared = connection.channel().queue_declare(queue, auto_delete=True).method
    assert (redeclared.message_count, redeclared.consumer_count) == (1, 1)


OPERATIONS = {
    "declare": lambda channel, queue: channel.queue_declare(queue, exclusive=True),
    "declare passively": lambda channel, queue: channel.queue_declare(queue, passive=True),
    "consume": lambda channel, queue: channel.basic_consume(queue, print),
    "get": lambda channel, queue: channel.basic_get(queue),
    "bind": lambda channel, queue: channel.queue_bind(queue, "amq.direct", "k"),
    "purge": lambda channel, queue: channel.queue_purge(queue),
    "delete": lambda channel, queue: channel.queue_delete(queue),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_an_exclusive_queue_is_locked_for_other_connections(amqp, name, operation):
    queue, other = name(), amqp().channel()
    amqp().channel().queue_declare(queue, exclusive=True)
    assert close_of_channel(lambda: operation(other, queue)) == (405, locked(queue))


def test_the_exclusive_flag_cannot_change(amqp, name):
    queue, connection = name(), amqp()
    connection.channel().queue_declare(queue)
    code, text = close_of_channel(lambda: connection.channel().queue_declare(queue, exclusive=True))
    connection.channel().queue_delete(queue)
    assert (code, text) == (405, locked(queue))


def test_others_may_publish_into_an_exclusive_queue(amqp, name):
    queue, owner, other = name(), amqp().channel(), amqp().channel()
    owner.queue_declare(queue, exclusive=True)
    fill(other, queue, [b"from another connection"])
    assert drain(owner, queue) == [b"from another connection"]


def test_an_exclusive_queue_is_shared_by_the_channels_of_its_connection(amqp, name):
    queue, connection = name(), amqp()
    connection.channel().queue_declare(queue, exclusive=True)
    assert connection.channel().queue_declare(queue, exclusive=True).method.queue == queue


def test_a_durable_exclusive_queue_still_goes_with_its_connection(amqp, name):
    queue, owner, other = name(), amqp(), amqp()
    owner.channel().queue_declare(queue, exclusive=True, durable=True)
    owner.close()
    code, _ = close_of_channel(lambda: other.channel().queue_declare(queue, passive=True))
    assert code == 404


def test_an_auto_delete_queue_goes_with_its_last_consumer(amqp, name):
    queue, connection = name(), amqp()
    channel = connection.channel()
    channel.queue_declare(queue, auto_delete=True)
    first, second = Collector(channel, queue), Collector(channel, queue)
    channel.basic_cancel(first.tag)
    assert counts(connection, queue) == (0, 1)
    channel.basic_cancel(second.tag)
    assert close_of_channel(lambda: connection.channel().queue_declare(queue, passive=True))[0] == 404


def test_an_auto_delete_queue_goes_with_the_channel_of_its_consumer(amqp, name):
    queue, connection = name(), amqp()
    consuming = connection.channel()
    consuming.queue_declare(queue, auto_delete=True)
    Collector(consuming, queue)
    consuming.close()
    assert close_of_channel(lambda: connection.channel().queue_declare(queue, passive=True))[0] == 404


def test_an_auto_delete_queue_without_a_consumer_stays(amqp, name):
    queue, connection = name(), amqp()
    channel = connection.channel()
    channel.queue_declare(queue, auto_delete=True)
    fill(channel, queue, [b"1"])
    assert get_one(channel, queue)
    channel.close()
    assert counts(connection, queue) == (0, 0)
    connection.channel().queue_delete(queue)


def test_delete_reports_the_ready_messages(channel, name):
    queue = name()
    channel.queue_declare(queue)
    fill(channel, queue, [b"1", b"2"])
    assert channel.queue_delete(queue).method.message_count == 2


def test_deleting_an_absent_queue_is_no_error(channel, name):
    assert channel.queue_delete(name()).method.message_count == 0


def test_a_queue_with_consumers_is_not_deleted_if_unused(amqp, name):
    queue, connection = name(), amqp()
    channel = connection.channel()
    channel.queue_declare(queue, auto_delete=True)
    Collector(channel, queue)
    code, text = close_of_channel(lambda: connection.channel().queue_delete(queue, if_unused=True))
    assert (code, text) == (406, f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use")


def test_a_queue_with_messages_is_not_deleted_if_empty(amqp, name):
    queue, connection = name(), amqp()
    channel = connection.channel()
    channel.queue_declare(queue, exclusive=True)
    fill(channel, queue, [b"1"])
    code, text = close_of_channel(lambda: connection.channel().queue_delete(queue, if_empty=True))
    assert (code, text) == (406, f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty")


@pytest.mark.parametrize("durable", [True, False])
def test_who_deletes_a_queue_is_answered_before_its_own_consumer_is_cancelled(broker, durable):
    with RawAmqp(broker.amqp) as raw:
        queue = raw.open().declare(durable=durable)
        raw.call(1, spec.Basic.Consume(queue=queue, consumer_tag="mine"), spec.Basic.ConsumeOk)
        raw.call(1, spec.Queue.Delete(queue=queue), spec.Queue.DeleteOk)
        assert raw.expect(spec.Basic.Cancel).consumer_tag == "mine"


def test_deleting_a_queue_cancels_its_consumers(amqp, name):
    queue, consuming, deleting = name(), amqp().channel(), amqp().channel()
    consuming.queue_declare(queue)
    collector = Collector(consuming, queue)
    deleting.queue_delete(queue)
    cancel = collector.wait_for_cancel()[0]
    assert cancel.method.consumer_tag == collector.tag


def test_deleting_a_queue_removes_its_bindings(channel, name):
    queue, key = name(), name("key")
    channel.queue_declare(queue)
    channel.queue_bind(queue, "amq.direct", key)
    channel.queue_delete(queue)
    channel.queue_declare(queue, exclusive=True)
    channel.confirm_delivery()
    channel.basic_publish("amq.direct", key, b"nowhere")
    assert drain(channel, queue) == []


def test_purge_removes_what_is_ready_and_leaves_what_is_unacknowledged(channel, name):
    queue = name()
    channel.queue_declare(queue, exclusive=True)
    fill(channel, queue, [b"held", b"2", b"3"])
    method, _, _ = get_one(channel, queue, auto_ack=False)
    assert channel.queue_purge(queue).method.message_count == 2
    channel.basic_nack(method.delivery_tag, requeue=True)
    assert get_one(channel, queue)[2] == b"held"


def test_purging_an_absent_queue_is_404(channel, name):
    queue = name()
    code, text = close_of_channel(lambda: channel.queue_purge(queue))
    assert (code, text) == (404, f"NOT_FOUND - no queue '{queue}' in vhost '/'")


def test_the_queue_type_classic_means_the_same_as_no_type(channel, name):
    queue = name()
    channel.queue_declare(queue, exclusive=True)
    channel.queue_declare(queue, exclusive=True, arguments={"x-queue-type": "classic"})


def test_unknown_arguments_are_accepted_and_not_compared(channel, name):
    queue = name()
    channel.queue_declare(queue, exclusive=True, arguments={"my-argument": 1})
    channel.queue_declare(queue, exclusive=True, arguments={"my-argument": 2})


@pytest.mark.parametrize("queue", ["with space", "sl/ash", "per%cent", "ünïcödé", "<b>&amp;", "q" * 255])
def test_any_name_works(channel, queue):
    channel.queue_declare(queue, exclusive=True)
    fill(channel, queue, [b"1"])
    assert drain(channel, queue) == [b"1"]


def test_queue_bind_with_empty_queue_and_key_binds_the_queue_name(channel):
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind("", "amq.direct", "")
    channel.confirm_delivery()
    channel.basic_publish("amq.direct", queue, b"by name")
    assert drain(channel, queue) == [b"by name"]


def test_a_single_active_consumer_gets_everything_until_it_goes(amqp, name):
    queue, channels = name(), [amqp().channel() for _ in range(3)]
    channels[0].queue_declare(queue, arguments={"x-single-active-consumer": True})
    collectors = [Collector(channel, queue, auto_ack=False) for channel in channels]
    fill(channels[0], queue, [b"1", b"2"])
    collectors[0].wait_for(2)
    assert [collector.bodies() for collector in collectors[1:]] == [[], []]
    channels[0].connection.close()
    collectors[1].wait_for(2)
    fill(channels[2], queue, [b"3"])
    collectors[1].wait_for(3)
    assert collectors[1].bodies() == [b"1", b"2", b"3"] and collectors[2].bodies() == []
    channels[1].queue_delete(queue)


def test_a_single_active_consumer_is_asked_for_with_a_truth_value_and_is_not_exclusive(amqp, name):
    queue, connection = name(), amqp()
    code, text = close_of_channel(lambda: connection.channel().queue_declare(
        queue, arguments={"x-single-active-consumer": "yes"}))
    assert code == 406 and "invalid arg 'x-single-active-consumer'" in text
    channel = connection.channel()
    channel.queue_declare(queue, exclusive=True, arguments={"x-single-active-consumer": True})
    code, text = close_of_channel(lambda: channel.basic_consume(queue, lambda *_: None, exclusive=True))
    assert code == 403 and "in exclusive use" in text


def test_a_queue_that_nobody_uses_for_its_time_is_deleted(amqp, name):
    connection, queue = amqp(), name()
    channel = connection.channel()

    def is_there():
        try:
            connection.channel().queue_declare(queue, passive=True)
            return True
        except pika.exceptions.ChannelClosedByBroker:
            return False

    channel.queue_declare(queue, arguments={"x-expires": 600})
    for use in (lambda: channel.basic_get(queue), lambda: channel.queue_declare(queue, arguments={"x-expires": 600})):
        let_time_pass(0.4)
        use()
    let_time_pass(0.4)
    assert is_there()
    tag = channel.basic_consume(queue, lambda *_: None)
    let_time_pass(1)
    assert is_there(), "it has a consumer"
    channel.basic_cancel(tag)
    eventually(lambda: not is_there(), "it is deleted", 3)


@pytest.mark.parametrize("arguments, complaint", [
    ({"x-expires": 0}, "{value_zero,0}"), ({"x-message-ttl": -1}, "{value_negative,-1}"), ({"x-message-ttl": "1"}, "{unacceptable_type,longstr}"),
    ({"x-max-length": -5}, "{value_negative,-5}"), ({"x-dead-letter-routing-key": "k"}, "routing_key_but_no_dlx_defined"),
    ({"x-dead-letter-exchange": 7}, "invalid type 'signedint' for arg 'x-dead-letter-exchange'"),
    ({"x-overflow": "drop-tail"}, "invalid_overflow"), ({"x-max-priority": 256}, "{max_value_exceeded,256}"),
    ({"x-max-length-bytes": -1}, "{value_negative,-1}"), ({"x-queue-type": "stream"}, "not supported yet"),
    ({"x-quorum-initial-group-size": 1}, "invalid arg 'x-quorum-initial-group-size' for queue"),
    ({"x-max-age": "1D"}, "of queue type rabbit_classic_queue"),
])
def test_arguments_that_cannot_be_are_refused(amqp, name, arguments, complaint):
    code, text = close_of_channel(lambda: amqp().channel().queue_declare(name(), arguments=arguments))
    assert code == 406 and complaint in text
