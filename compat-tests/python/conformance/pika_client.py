"""A client on pika's asynchronous API: what pika makes of what the broker sends."""

import re
from collections import defaultdict, deque

import pika
from pika import spec
from pika.exceptions import ChannelClosedByBroker, ChannelClosedByClient, ConnectionClosed

from conformance.raw_client import Event

SECONDS_MAX = 10


class PikaClient:
    """One connection of pika; see `conversation` for how it is used."""

    names_failures = False  # pika does not show which method a close names

    def __init__(self, address):
        self.address = address
        self.connection = None
        self.channels = {}
        self.is_closed = False
        self.events = defaultdict(deque)

    def connect(self, vhost="/", user="guest", password="guest", **options):
        """An open connection, or the connection.close that refused it."""
        parameters = pika.ConnectionParameters(
            *self.address, vhost, pika.PlainCredentials(user, password), **{"heartbeat": 0, **options})
        self.connection = pika.SelectConnection(
            parameters, self.on_open, self.on_end, self.on_end)
        self.connection.add_on_connection_blocked_callback(lambda _connection, frame: self.heard(0, frame.method))
        event = self.next(0)
        return None if isinstance(event.method, spec.Connection.OpenOk) else event

    def on_open(self, _connection):
        """connection.open-ok."""
        self.heard(0, spec.Connection.OpenOk())

    def on_end(self, _connection, reason):
        """The connection was closed or not opened: by a method with a code, or an end of the socket."""
        self.is_closed = True
        self.heard(0, closing(reason))

    def open_channel(self, channel):
        """channel.open."""
        opened = self.connection.channel(channel, lambda _: self.heard(channel, spec.Channel.OpenOk()))
        event = self.next(channel)
        assert isinstance(event.method, spec.Channel.OpenOk), f"{event} where channel.open-ok is due"
        opened.add_on_close_callback(lambda _, reason: self.on_channel_closed(channel, reason))
        opened.add_on_return_callback(lambda _, *content: self.heard(channel, *content))
        for kind in (spec.Basic.Cancel, spec.Basic.GetEmpty):
            opened.add_callback(lambda frame: self.heard(channel, frame.method), [kind], one_shot=False)
        self.channels[channel] = opened

    def on_channel_closed(self, channel, reason):
        """channel.close by either side, or the end of the connection."""
        if isinstance(reason, ChannelClosedByClient):
            self.heard(channel, spec.Channel.CloseOk())
        elif isinstance(reason, ChannelClosedByBroker):
            self.heard(channel, spec.Channel.Close(reason.reply_code, reason.reply_text))

    def heard(self, channel, method, properties=None, body=None):
        """Something has come."""
        self.events[channel].append(Event(method, properties, body))
        self.connection.ioloop.stop()

    def send(self, channel, method, properties, body):
        """The call of pika's API that sends this method."""
        reply = lambda frame: self.heard(channel, frame.method)
        CALLS[type(method)](Sending(self, channel, reply, properties, body), self.channels[channel], method)
        self.connection.ioloop.call_later(0, self.connection.ioloop.stop)
        self.connection.ioloop.start()

    def next(self, channel):
        """The next event on a channel."""
        loop, late = self.connection.ioloop, []
        while not self.events[channel]:
            timer = loop.call_later(SECONDS_MAX, lambda: (late.append(True), loop.stop()))
            loop.start()
            loop.remove_timeout(timer)
            assert not late, f"nothing on channel {channel} within {SECONDS_MAX} s"
            assert channel == 0 or not self.is_closed or self.events[channel], f"{self.events[0][-1]} on the connection"
        return self.events[channel].popleft()

    def closed(self, channel):
        """A channel, or all for 0, has been closed by the broker or by a close-ok."""
        self.channels.pop(channel, None)

    def close(self):
        """connection.close and close-ok."""
        self.events[0].clear()
        self.connection.close()
        assert isinstance(self.next(0).method, spec.Connection.Close)

    def drop(self):
        """The end of the socket: pika has no public way, so an open connection is closed in order."""
        if self.connection and not self.is_closed:
            self.close()
        if self.connection:
            self.connection.ioloop.close()
            self.connection = None


def closing(reason):
    """The connection.close behind an error; pika's guesses about a failed handshake have it as text."""
    if isinstance(reason, ConnectionClosed):
        return spec.Connection.Close(reason.reply_code, reason.reply_text)
    told = re.search(r"""ConnectionClosedByBroker: \((\d+)\) (['"])(.*)\2""", str(reason))
    return spec.Connection.Close(int(told[1]), told[3].replace("\\'", "'")) if told else reason


class Sending:
    """What a call needs besides its channel and method."""

    def __init__(self, client, channel, reply, properties, body):
        self.client, self.channel, self.properties, self.body = client, channel, properties, body
        self.on_reply = reply

    def reply(self, method):
        """The callback for a reply, or None where none is wanted: that is how pika knows no-wait."""
        return None if method.nowait else self.on_reply

    def content(self, _channel, *content):
        """The callback for content."""
        self.client.heard(self.channel, *content)


CALLS = {
    spec.Queue.Declare: lambda s, c, m: c.queue_declare(
        m.queue, m.passive, m.durable, m.exclusive, m.auto_delete, m.arguments, s.reply(m)),
    spec.Queue.Bind: lambda s, c, m: c.queue_bind(m.queue, m.exchange, m.routing_key, m.arguments, s.reply(m)),
    spec.Queue.Unbind: lambda s, c, m: c.queue_unbind(m.queue, m.exchange, m.routing_key, m.arguments, s.on_reply),
    spec.Queue.Purge: lambda s, c, m: c.queue_purge(m.queue, s.reply(m)),
    spec.Queue.Delete: lambda s, c, m: c.queue_delete(m.queue, m.if_unused, m.if_empty, s.reply(m)),
    spec.Exchange.Declare: lambda s, c, m: c.exchange_declare(
        m.exchange, m.type, m.passive, m.durable, m.auto_delete, m.internal, m.arguments, s.reply(m)),
    spec.Exchange.Delete: lambda s, c, m: c.exchange_delete(m.exchange, m.if_unused, s.reply(m)),
    spec.Exchange.Bind: lambda s, c, m: c.exchange_bind(
        m.destination, m.source, m.routing_key, m.arguments, s.reply(m)),
    spec.Exchange.Unbind: lambda s, c, m: c.exchange_unbind(
        m.destination, m.source, m.routing_key, m.arguments, s.reply(m)),
    spec.Basic.Publish: lambda s, c, m: c.basic_publish(m.exchange, m.routing_key, s.body, s.properties, m.mandatory),
    spec.Basic.Consume: lambda s, c, m: c.basic_consume(
        m.queue, s.content, m.no_ack, m.exclusive, m.consumer_tag, m.arguments, s.on_reply),
    spec.Basic.Cancel: lambda s, c, m: c.basic_cancel(m.consumer_tag, s.reply(m)),
    spec.Basic.Get: lambda s, c, m: c.basic_get(m.queue, s.content, m.no_ack),
    spec.Basic.Ack: lambda s, c, m: c.basic_ack(m.delivery_tag, m.multiple),
    spec.Basic.Nack: lambda s, c, m: c.basic_nack(m.delivery_tag, m.multiple, m.requeue),
    spec.Basic.Reject: lambda s, c, m: c.basic_reject(m.delivery_tag, m.requeue),
    spec.Basic.Recover: lambda s, c, m: c.basic_recover(m.requeue, s.on_reply),
    spec.Basic.Qos: lambda s, c, m: c.basic_qos(m.prefetch_size, m.prefetch_count, m.global_qos, s.on_reply),
    spec.Confirm.Select: lambda s, c, m: c.confirm_delivery(s.on_reply, s.reply(m)),
    spec.Tx.Select: lambda s, c, m: c.tx_select(s.on_reply),
    spec.Tx.Commit: lambda s, c, m: c.tx_commit(s.on_reply),
    spec.Tx.Rollback: lambda s, c, m: c.tx_rollback(s.on_reply),
    spec.Channel.Flow: lambda s, c, m: c.flow(
        m.active, lambda active: s.client.heard(s.channel, spec.Channel.FlowOk(active))),
    spec.Channel.Close: lambda s, c, m: c.close(m.reply_code, m.reply_text),
}
