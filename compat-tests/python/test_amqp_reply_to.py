"""Direct reply-to: requests and replies without a queue that anybody declares."""

import pika
import pytest

from support.amqp_client import close_of_channel, get_one, synchronise
from support.waiting import eventually

REPLY_TO = "amq.rabbitmq.reply-to"


class Requester:
    """A channel that waits for direct replies."""

    def __init__(self, connection):
        self.channel, self.replies = connection.channel(), []
        self.tag = self.channel.basic_consume(
            REPLY_TO, lambda _c, _m, properties, body: self.replies.append((properties.correlation_id, body)), auto_ack=True)

    def request(self, queue, body, correlation_id):
        self.channel.basic_publish("", queue, body, pika.BasicProperties(
            reply_to=REPLY_TO, correlation_id=correlation_id, headers={"kept": 1}))

    def wait_for(self, *replies):
        def look():
            self.channel.connection.process_data_events(0.02)
            return self.replies == list(replies)

        eventually(look, f"{replies}")


def test_replies_come_to_the_channel_that_has_asked(amqp, name):
    server, requesters = amqp().channel(), [Requester(amqp()) for _ in range(2)]
    queue = name()
    server.queue_declare(queue, exclusive=True)
    for number, requester in enumerate(requesters):
        requester.request(queue, b"%d" % number, f"id {number}")
        _, properties, body = get_one(server, queue)
        assert properties.reply_to.startswith(REPLY_TO + ".") and properties.headers == {"kept": 1}
        assert server.queue_declare(properties.reply_to, passive=True).method.consumer_count == 1
        server.basic_publish("", properties.reply_to, b"re " + body,
                             pika.BasicProperties(correlation_id=properties.correlation_id))
    for number, requester in enumerate(requesters):
        requester.wait_for((f"id {number}", b"re %d" % number))


def test_a_requester_that_has_gone_gets_nothing(amqp, name):
    server, requester, queue = amqp().channel(), Requester(amqp()), name()
    server.queue_declare(queue, exclusive=True)
    requester.request(queue, b"x", "1")
    reply_to = get_one(server, queue)[1].reply_to
    requester.channel.basic_cancel(requester.tag)
    code, text = close_of_channel(lambda: server.connection.channel().queue_declare(reply_to, passive=True))
    assert code == 404 and reply_to in text
    server.basic_publish("", reply_to, b"too late")
    again = Requester(server.connection)
    again.request(queue, b"y", "2")
    assert get_one(server, queue)[1].reply_to != reply_to


@pytest.mark.parametrize("do, expected", [
    (lambda c: c.basic_consume(REPLY_TO, lambda *_: None), (406, "reply consumer cannot acknowledge")),
    (lambda c: [c.basic_consume(REPLY_TO, lambda *_: None, auto_ack=True) for _ in range(2)],
     (406, "reply consumer already set")),
    (lambda c: (c.basic_publish("", "q", b"", pika.BasicProperties(reply_to=REPLY_TO)), synchronise(c)),
     (406, "fast reply consumer does not exist")),
    (lambda c: c.queue_bind(REPLY_TO + ".x", "amq.topic", "#"),
     (403, "cannot bind or unbind to a volatile (direct reply-to) queue")),
])
def test_what_cannot_be_is_refused_in_rabbitmqs_words(amqp, do, expected):
    channel = amqp().channel()
    code, text = close_of_channel(lambda: do(channel))
    assert code == expected[0] and text.endswith(expected[1])
