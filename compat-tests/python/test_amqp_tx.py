"""AMQP: transactions."""

import pika
import pytest
from pika import spec

from support.amqp_client import (
    PERSISTENT, Collector, close_of_channel, connect, counts, drain, fill, get, get_one,
    synchronise,
)
from support.broker import Broker
from support.raw_amqp import RawAmqp, method, publish
from support.waiting import let_time_pass


@pytest.fixture
def raw(broker):
    with RawAmqp(broker.amqp) as connection:
        yield connection.open()


@pytest.fixture
def queue(amqp, name):
    """A queue that outlives the channels of the test."""
    channel, queue = amqp().channel(), name()
    channel.queue_declare(queue)
    yield queue
    channel.queue_delete(queue)


@pytest.fixture
def tx(amqp):
    """Makes transactional channels, each on a connection of its own."""
    def make():
        channel = amqp().channel()
        channel.tx_select()
        return channel

    return make


def put(channel, queue, *bodies, properties=None):
    for body in bodies:
        channel.basic_publish("", queue, body, properties)


def take(channel, queue, count):
    """Gets `count` messages without acknowledging: their delivery tags."""
    return [get_one(channel, queue, auto_ack=False)[0].delivery_tag for _ in range(count)]


def left(amqp, queue):
    """What is in a queue, once nobody holds anything of it any more."""
    return drain(amqp().channel(), queue)


# Publishing


def test_publishes_wait_for_the_commit_and_keep_their_order(amqp, tx, queue):
    channel, other = tx(), amqp().channel()
    put(channel, queue, b"1", b"2", b"3")
    synchronise(channel)
    assert get(other, queue) is None
    channel.tx_commit()
    assert drain(other, queue) == [b"1", b"2", b"3"]
    channel.tx_commit()
    assert drain(other, queue) == []


def test_a_rollback_drops_publishes_and_begins_anew(amqp, tx, queue):
    channel = tx()
    put(channel, queue, b"dropped")
    channel.tx_rollback()
    put(channel, queue, b"kept")
    channel.tx_commit()
    assert left(amqp, queue) == [b"kept"]


@pytest.mark.parametrize("end", [lambda channel: channel.close(), lambda channel: channel.connection.close()])
def test_the_end_of_channel_or_connection_drops_what_is_not_committed(amqp, tx, queue, end):
    channel = tx()
    put(channel, queue, b"dropped")
    end(channel)
    assert left(amqp, queue) == []


def test_a_channel_number_that_is_used_again_has_no_old_transaction(raw, queue):
    raw.call(1, spec.Tx.Select(), spec.Tx.SelectOk)
    raw.send(publish(1, "", queue, b"old"))
    raw.call(1, spec.Channel.Close(200, "", 0, 0), spec.Channel.CloseOk)
    raw.open_channel(1)
    raw.call(1, spec.Tx.Select(), spec.Tx.SelectOk)
    raw.send(publish(1, "", queue, b"new"))
    raw.call(1, spec.Tx.Commit(), spec.Tx.CommitOk)
    assert raw.call(1, spec.Queue.Purge(queue=queue), spec.Queue.PurgeOk).message_count == 1


def test_channels_have_transactions_of_their_own(amqp, queue):
    connection = amqp()
    plain, first, second = (connection.channel() for _ in range(3))
    first.tx_select(), second.tx_select()
    put(first, queue, b"first"), put(second, queue, b"second"), put(plain, queue, b"plain")
    second.tx_commit()
    first.tx_rollback()
    assert sorted(left(amqp, queue)) == [b"plain", b"second"]


def test_a_commit_goes_to_every_queue_that_is_bound_by_then(amqp, tx, name):
    channel, queues = tx(), [name() for _ in range(5)]
    key = name("key")
    channel.basic_publish("amq.topic", key, b"x", PERSISTENT)
    put(channel, "", b"nowhere")
    for number, queue in enumerate(queues):
        channel.queue_declare(queue, exclusive=True, durable=number % 2 == 0)
        channel.queue_bind(queue, "amq.topic", key)
    channel.tx_commit()
    assert [drain(channel, queue) for queue in queues] == [[b"x"]] * 5


def test_copies_and_headers_and_large_bodies_are_as_without_a_transaction(tx, name):
    channel, queues = tx(), [name() for _ in range(4)]
    for queue in queues:
        channel.queue_declare(queue, exclusive=True)
    channel.queue_bind(queues[3], "amq.headers", arguments={"x-match": "all", "kind": 7})
    sent = pika.BasicProperties(headers={"CC": [queues[1]], "BCC": [queues[2]], "kind": 7}, message_id="m")
    body = b"x" * 300_000
    channel.basic_publish("", queues[0], body, sent)
    channel.basic_publish("amq.headers", "", b"by header", sent)
    channel.tx_commit()
    for queue in queues[:3]:
        _, properties, found = get_one(channel, queue)
        assert found == body and properties.message_id == "m"
        assert properties.headers == {"CC": [queues[1]], "kind": 7}
    assert drain(channel, queues[3]) == [b"by header"]


def test_returns_come_before_the_commit_ok_and_only_at_the_commit(raw):
    queue = raw.declare(exclusive=True)
    raw.call(1, spec.Tx.Select(), spec.Tx.SelectOk)
    raw.send(publish(1, "amq.direct", "nowhere", b"back", mandatory=True) + publish(1, "", queue, b"there"))
    raw.call(1, spec.Basic.Qos(), spec.Basic.QosOk)
    raw.method(1, spec.Tx.Commit())
    returned = raw.expect(spec.Basic.Return)
    assert (returned.reply_code, returned.reply_text, returned.routing_key) == (312, "NO_ROUTE", "nowhere")
    assert [raw.read_frame()[2] for _ in range(2)][1] == b"back"
    raw.expect(spec.Tx.CommitOk)
    assert raw.call(1, spec.Queue.Purge(queue=queue), spec.Queue.PurgeOk).message_count == 1


def test_a_rollback_returns_nothing(raw):
    raw.call(1, spec.Tx.Select(), spec.Tx.SelectOk)
    raw.send(publish(1, "amq.direct", "nowhere", b"x", mandatory=True))
    raw.call(1, spec.Tx.Rollback(), spec.Tx.RollbackOk)
    raw.call(1, spec.Tx.Commit(), spec.Tx.CommitOk)


def test_the_time_to_live_begins_at_the_commit(amqp, tx, queue):
    channel, collector = tx(), Collector(amqp().channel(), queue, auto_ack=True)
    put(channel, queue, b"short", properties=pika.BasicProperties(expiration="500"))
    synchronise(channel)
    let_time_pass(0.6)
    channel.tx_commit()
    assert collector.wait_for(1)[0][2] == b"short"


def test_a_queue_that_was_deleted_meanwhile_is_no_error(tx, name):
    channel, queue = tx(), name()
    channel.queue_declare(queue)
    put(channel, queue, b"x")
    channel.queue_delete(queue)
    channel.tx_commit()


def test_a_publish_to_an_exchange_that_is_not_there_fails_at_once(amqp, tx, queue, name):
    channel, missing = tx(), name()
    put(channel, queue, b"dropped")
    channel.basic_publish(missing, "k", b"x")
    code, text = close_of_channel(lambda: synchronise(channel))
    assert (code, text) == (404, f"NOT_FOUND - no exchange '{missing}' in vhost '/'")
    assert left(amqp, queue) == []


def test_a_commit_to_an_exchange_that_is_gone_does_nothing_and_closes_the_channel(amqp, tx, queue, name):
    channel, exchange = tx(), name()
    fill(amqp().channel(), queue, [b"acked"])
    channel.exchange_declare(exchange)
    put(channel, queue, b"dropped")
    channel.basic_publish(exchange, "k", b"x")
    channel.basic_ack(take(channel, queue, 1)[0])
    channel.exchange_delete(exchange)
    code, text = close_of_channel(channel.tx_commit)
    assert (code, text) == (404, f"NOT_FOUND - no exchange '{exchange}' in vhost '/'")
    assert left(amqp, queue) == [b"acked"]


def test_a_queue_without_room_refuses_the_whole_transaction(amqp, tx, queue, name):
    channel, limited = tx(), name()
    channel.queue_declare(limited, exclusive=True, arguments={"x-max-length": 2, "x-overflow": "reject-publish"})
    put(channel, limited, b"1", b"2")
    channel.tx_commit()
    channel.basic_ack(take(channel, limited, 1)[0])
    put(channel, limited, b"3")
    channel.tx_commit()
    put(channel, queue, b"dropped")
    put(channel, limited, b"4")
    code, text = close_of_channel(channel.tx_commit)
    assert (code, text) == (406, "PRECONDITION_FAILED - partial tx completion")
    assert left(amqp, queue) == []
    assert drain(channel.connection.channel(), limited) == [b"2", b"3"]


def test_what_a_failed_commit_acknowledged_comes_back(amqp, name):
    connection = amqp()
    work, full = name("work"), name("full")
    channel = connection.channel()
    channel.queue_declare(work, exclusive=True)
    channel.queue_declare(full, exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    fill(channel, work, [b"job"])
    worker = connection.channel()
    worker.tx_select()
    delivered = Collector(worker, work).wait_for(1)
    worker.basic_ack(delivered[0][0].delivery_tag)
    put(worker, full, b"1", b"2")
    put(worker, work, b"dropped")
    close_of_channel(worker.tx_commit)
    method_, _, body = get_one(channel, work)
    assert body == b"job" and method_.redelivered
    assert counts(connection, work)[0] == counts(connection, full)[0] == 0


# Settling


def test_acknowledgements_wait_for_the_commit(amqp, tx, queue):
    fill(amqp().channel(), queue, [b"1", b"2", b"3"])
    channel = tx()
    tags = take(channel, queue, 3)
    channel.basic_ack(tags[0])
    channel.tx_commit()
    channel.basic_ack(tags[1])
    channel.close()
    assert left(amqp, queue) == [b"2", b"3"]


def test_a_rollback_takes_settlements_back_and_requeues_nothing(amqp, tx, queue):
    fill(amqp().channel(), queue, [b"1", b"2", b"3"])
    channel = tx()
    tags = take(channel, queue, 3)
    channel.basic_ack(tags[1], multiple=True)
    channel.basic_nack(tags[2], requeue=True)
    channel.tx_rollback()
    assert get(channel, queue) is None
    channel.basic_nack(tags[0], requeue=True)
    channel.basic_ack(tags[1])
    channel.basic_reject(tags[2], requeue=False)
    channel.tx_commit()
    assert drain(channel, queue) == [b"1"]
    channel.close()
    assert left(amqp, queue) == []


def test_rejected_messages_go_back_or_away_at_the_commit(amqp, tx, queue):
    fill(amqp().channel(), queue, [b"1", b"2", b"3", b"4"])
    channel = tx()
    tags = take(channel, queue, 4)
    channel.basic_nack(tags[1], multiple=True, requeue=True)
    channel.basic_reject(tags[2], requeue=False)
    channel.basic_reject(tags[3], requeue=True)
    assert get(channel, queue) is None
    channel.tx_commit()
    assert drain(channel, queue) == [b"1", b"2", b"4"]


def test_tag_zero_with_multiple_means_what_is_not_settled_yet(amqp, tx, queue):
    fill(amqp().channel(), queue, [b"1", b"2", b"3"])
    channel = tx()
    tags = take(channel, queue, 3)
    channel.basic_nack(tags[1], requeue=True)
    channel.basic_ack(0, multiple=True)
    channel.basic_ack(0, multiple=True)
    channel.tx_commit()
    assert drain(channel, queue) == [b"2"]


@pytest.mark.parametrize("settle", [
    lambda channel, tag: channel.basic_ack(tag),
    lambda channel, tag: channel.basic_ack(tag, multiple=True),
    lambda channel, tag: channel.basic_nack(tag),
    lambda channel, tag: channel.basic_reject(tag),
])
@pytest.mark.parametrize("tag", [1, 82])
def test_a_tag_that_is_settled_or_unknown_fails_at_once(amqp, tx, queue, settle, tag):
    fill(amqp().channel(), queue, [b"1"])
    channel = tx()
    channel.basic_ack(take(channel, queue, 1)[0])
    settle(channel, tag)
    code, text = close_of_channel(lambda: synchronise(channel))
    assert (code, text) == (406, f"PRECONDITION_FAILED - unknown delivery tag {tag}")
    assert left(amqp, queue) == [b"1"]


def test_what_is_settled_by_its_delivery_is_no_part_of_the_transaction(amqp, tx, queue):
    fill(amqp().channel(), queue, [b"1"])
    channel = tx()
    get_one(channel, queue, auto_ack=True)
    channel.tx_rollback()
    channel.close()
    assert left(amqp, queue) == []


def test_recover_leaves_alone_what_the_transaction_holds(amqp, tx, queue):
    fill(amqp().channel(), queue, [b"1", b"2"])
    channel = tx()
    channel.basic_ack(take(channel, queue, 2)[0])
    put(channel, queue, b"3")
    channel.basic_recover(requeue=True)
    assert drain(channel, queue) == [b"2"]
    channel.tx_commit()
    channel.close()
    assert left(amqp, queue) == [b"3"]


def test_prefetch_counts_what_is_not_committed(amqp, tx, queue):
    for is_global in (False, True):
        fill(amqp().channel(), queue, [b"1", b"2", b"3", b"4"])
        channel = tx()
        channel.basic_qos(prefetch_count=2, global_qos=is_global)
        collector = Collector(channel, queue)
        tags = [method_.delivery_tag for method_, _, _ in collector.wait_for(2)]
        channel.basic_ack(tags[1], multiple=True)
        synchronise(channel)
        channel.connection.process_data_events(time_limit=0.05)
        assert len(collector.deliveries) == 2
        channel.tx_commit()
        assert len(collector.wait_for(4)) == 4
        channel.basic_ack(0, multiple=True)
        channel.tx_commit()
        channel.close()
        assert left(amqp, queue) == []


def test_a_message_moves_from_queue_to_queue_in_one_step(amqp, tx, queue, name):
    channel, other = tx(), name()
    fill(amqp().channel(), queue, [b"%d" % i for i in range(50)], PERSISTENT)
    channel.queue_declare(other, exclusive=True)
    collector = Collector(channel, queue)
    for method_, _, body in collector.wait_for(50):
        put(channel, other, body, properties=PERSISTENT)
        channel.basic_ack(method_.delivery_tag)
        if method_.delivery_tag % 7 == 0:
            channel.tx_commit()
    channel.tx_commit()
    assert drain(channel, other) == [b"%d" % i for i in range(50)]
    channel.close()
    assert left(amqp, queue) == []


def test_a_rejected_message_dies_at_the_commit(amqp, tx, name):
    channel, grave, work = tx(), name("grave"), name("work")
    channel.queue_declare(grave, exclusive=True)
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave}
    channel.queue_declare(work, exclusive=True, arguments=arguments)
    put(channel, work, b"bad")
    channel.tx_commit()
    tag = take(channel, work, 1)[0]
    channel.basic_reject(tag, requeue=False)
    channel.tx_rollback()
    assert get(channel, grave) is None
    channel.basic_reject(tag, requeue=False)
    channel.tx_commit()
    assert get_one(channel, grave)[1].headers["x-first-death-reason"] == "rejected"


# Modes and errors


@pytest.mark.parametrize("request_", [spec.Tx.Commit, spec.Tx.Rollback])
def test_without_select_there_is_nothing_to_end(raw, request_):
    closed = raw.call(1, request_(), spec.Channel.Close)
    assert (closed.reply_code, closed.reply_text) == (406, "PRECONDITION_FAILED - channel is not transactional")
    assert (closed.class_id, closed.method_id) == (90, request_.INDEX & 0xFFFF)


def test_a_channel_confirms_or_is_transactional_but_not_both(raw):
    raw.call(1, spec.Tx.Select(), spec.Tx.SelectOk)
    raw.call(1, spec.Tx.Select(), spec.Tx.SelectOk)
    closed = raw.call(1, spec.Confirm.Select(), spec.Channel.Close)
    assert (closed.reply_code, closed.reply_text) == (406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode")
    raw.open_channel(2)
    raw.call(2, spec.Confirm.Select(), spec.Confirm.SelectOk)
    closed = raw.call(2, spec.Tx.Select(), spec.Channel.Close)
    assert (closed.reply_code, closed.reply_text) == (406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode")


def test_a_failed_commit_names_the_commit(raw, name):
    full = raw.declare(name(), exclusive=True, arguments={"x-max-length": 0, "x-overflow": "reject-publish"})
    raw.call(1, spec.Tx.Select(), spec.Tx.SelectOk)
    raw.send(publish(1, "", full, b"x"))
    closed = raw.call(1, spec.Tx.Commit(), spec.Channel.Close)
    assert (closed.reply_code, closed.class_id, closed.method_id) == (406, 90, 20)


def test_immediate_is_refused_before_the_commit(raw, queue):
    raw.call(1, spec.Tx.Select(), spec.Tx.SelectOk)
    raw.send(publish(1, "", queue, b"x", immediate=True))
    assert raw.expect_connection_close().reply_code == 540


def test_bad_properties_are_refused_before_the_commit(tx, queue):
    for properties, complaint in [
        (pika.BasicProperties(expiration="soon"), "invalid expiration 'soon'"),
        (pika.BasicProperties(user_id="other"), "user_id property set to 'other'"),
        (pika.BasicProperties(headers={"CC": 1}), "unacceptable_type_in_header"),
        (pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"), "fast reply consumer does not exist"),
    ]:
        channel = tx()
        put(channel, queue, b"x", properties=properties)
        code, text = close_of_channel(lambda: synchronise(channel))
        assert code == 406 and complaint in text


def test_management_shows_what_is_not_committed(raw, management, queue):
    raw.call(1, spec.Tx.Select(), spec.Tx.SelectOk)
    raw.send(publish(1, "", queue, b"1") + method(1, spec.Tx.Commit()))
    raw.expect(spec.Tx.CommitOk)
    raw.call(1, spec.Basic.Get(queue=queue), spec.Basic.GetOk)
    raw.read_frame(), raw.read_frame()
    raw.send(method(1, spec.Basic.Ack(1)) + publish(1, "", queue, b"2") + publish(1, "", queue, b"3"))
    shown = management.find("channels", messages_uncommitted=2, acks_uncommitted=1, messages_unacknowledged=0)
    assert shown["transactional"] and shown["connection_details"]["peer_port"] == raw.socket.getsockname()[1]


# Limits


@pytest.fixture
def limited(tmp_path):
    """A broker whose transactions hold three things, or 1,000 bytes."""
    broker = Broker(tmp_path, ["--amqp-transaction-max", "3", "--amqp-transaction-size-max", "1000"])
    try:
        yield broker.start()
    finally:
        broker.stop()


@pytest.mark.own_process
def test_a_transaction_holds_what_the_configuration_says_and_no_more(limited):
    connection = connect(limited.amqp)
    channel = connection.channel()
    channel.queue_declare("q")
    channel.tx_select()
    put(channel, "q", b"1", b"2", b"3")
    channel.tx_commit()
    channel.basic_ack(take(channel, "q", 1)[0])
    put(channel, "q", b"4", b"5", b"one too many")
    code, text = close_of_channel(channel.tx_commit)
    assert (code, text) == (406, "PRECONDITION_FAILED - transaction of more than 3 publishes and settlements")
    channel = connection.channel()
    channel.tx_select()
    properties = pika.BasicProperties()
    room = 1000 - len("q") - 2
    put(channel, "q", b"x" * room, properties=properties)
    channel.tx_commit()
    put(channel, "q", b"x" * (room + 1), properties=properties)
    code, text = close_of_channel(channel.tx_commit)
    assert (code, text) == (406, "PRECONDITION_FAILED - transaction of more than 1000 bytes")
    assert counts(connection, "q")[0] == 4
