"""AMQP transactions and kill -9: all of a commit or nothing."""

import random

import pytest
from pika import spec

from support.amqp_client import PERSISTENT, connect, drain, fill, get_one, synchronise
from support.raw_amqp import RawAmqp, method, publish

pytestmark = pytest.mark.own_process



def test_what_was_committed_survives_kill_9_and_what_was_not_is_undone(own_broker):
    channel = connect(own_broker.amqp).channel()
    for queue in ("work", "a", "b"):
        channel.queue_declare(queue, durable=True)
    fill(channel, "work", [b"1", b"2", b"3"], PERSISTENT)
    channel = channel.connection.channel()
    channel.tx_select()
    tags = [get_one(channel, "work", auto_ack=False)[0].delivery_tag for _ in range(3)]
    for queue, body in [("a", b"a1"), ("a", b"a2"), ("b", b"x" * 100_000)]:
        channel.basic_publish("", queue, body, PERSISTENT)
    channel.basic_publish("", "a", b"lost: transient")
    channel.basic_ack(tags[0])
    channel.basic_nack(tags[2], requeue=False)
    channel.tx_commit()
    channel.basic_publish("", "a", b"not committed", PERSISTENT)
    channel.basic_ack(tags[1])
    synchronise(channel)
    for _ in range(2):
        own_broker.kill_and_restart()
    channel = connect(own_broker.amqp).channel()
    assert drain(channel, "work") == [b"2"]
    assert drain(channel, "a") == [b"a1", b"a2"]
    assert drain(channel, "b") == [b"x" * 100_000]


@pytest.mark.parametrize("seed", range(4))
def test_a_transaction_over_several_queues_is_all_there_or_not_at_all_after_kill_9(own_broker, seed):
    total, queues = 400, ["a", "b", "c", "d"]
    with RawAmqp(own_broker.amqp) as raw:
        raw.open()
        for queue in ["tokens", *queues]:
            raw.declare(queue, durable=True)
        raw.call(1, spec.Tx.Select(), spec.Tx.SelectOk)
        raw.send(b"".join(publish(1, "", "tokens", b"%d" % i, PERSISTENT) for i in range(total)))
        raw.call(1, spec.Tx.Commit(), spec.Tx.CommitOk)
        for _ in range(total):
            raw.call(1, spec.Basic.Get(queue="tokens"), spec.Basic.GetOk)
            raw.read_frame(), raw.read_frame()
        steps = [
            b"".join(publish(1, "", queue, b"%d" % i, PERSISTENT) for queue in queues)
            + method(1, spec.Basic.Ack(i + 1)) + method(1, spec.Tx.Commit())
            for i in range(total)
        ]
        raw.send(b"".join(steps))
        promised = random.Random(seed).randrange(1, total // 2)
        for _ in range(promised):
            raw.expect(spec.Tx.CommitOk)
        own_broker.kill_and_restart()
    channel = connect(own_broker.amqp).channel()
    found = [drain(channel, queue) for queue in queues]
    tokens = drain(channel, "tokens")
    done = found[0]
    assert found == [done] * len(queues)
    assert done == [b"%d" % i for i in range(len(done))] and len(done) >= promised
    assert tokens == [b"%d" % i for i in range(len(done), total)]
