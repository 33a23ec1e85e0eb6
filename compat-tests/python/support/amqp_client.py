"""pika with the few conveniences that the tests share."""

import weakref

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

from support.waiting import eventually

PERSISTENT = pika.BasicProperties(delivery_mode=2)


def parameters(address, user="guest", password="guest", vhost="/", **options):
    """Connection parameters without retries: a test wants the first error."""
    defaults = {"heartbeat": 0, "socket_timeout": 10, "blocked_connection_timeout": 20}
    return pika.ConnectionParameters(
        address[0], address[1], vhost, pika.PlainCredentials(user, password),
        **{**defaults, **options},
    )


def connect(address, **options):
    """An open blocking connection."""
    return pika.BlockingConnection(parameters(address, **options))


def close_of_channel(operation):
    """Runs `operation` and returns (code, text) of the channel.close that it provokes."""
    with pytest.raises(ChannelClosedByBroker) as caught:
        operation()
    return caught.value.reply_code, caught.value.reply_text


def close_of_connection(operation):
    """Runs `operation` and returns (code, text) of the connection.close that it provokes."""
    with pytest.raises(ConnectionClosedByBroker) as caught:
        operation()
    return caught.value.reply_code, caught.value.reply_text


def synchronise(channel):
    """A round trip, so that what was sent before has been handled and its errors surface."""
    channel.exchange_declare("amq.direct", passive=True)


def fill(channel, queue, bodies, properties=None):
    """Publishes `bodies` to `queue` with confirms."""
    confirm(channel)
    for body in bodies:
        channel.basic_publish("", queue, body, properties)


def confirm(channel):
    """confirm.select, unless the channel has it already."""
    if channel not in _confirming:
        channel.confirm_delivery()
        _confirming.add(channel)


_confirming = weakref.WeakSet()


def get(channel, queue, auto_ack=True):
    """basic.get: (method, properties, body), or None when the queue is empty."""
    method, properties, body = channel.basic_get(queue, auto_ack)
    return None if method is None else (method, properties, body)


def get_one(channel, queue, auto_ack=True, seconds=10):
    """basic.get, waiting until there is a message."""
    return eventually(lambda: get(channel, queue, auto_ack), f"a message in {queue}", seconds)


def drain(channel, queue):
    """Takes everything that is ready: the bodies in order."""
    bodies = []
    while (taken := get(channel, queue)) is not None:
        bodies.append(taken[2])
    return bodies


def counts(connection, queue):
    """(ready messages, consumers) by a passive declare on a channel of its own."""
    channel = connection.channel()
    declared = channel.queue_declare(queue, passive=True).method
    channel.close()
    return declared.message_count, declared.consumer_count


class Collector:
    """A consumer that keeps what it was given."""

    def __init__(self, channel, queue, auto_ack=False, **options):
        self.channel = channel
        self.deliveries = []
        self.cancelled = []
        channel.add_on_cancel_callback(self.cancelled.append)
        self.tag = channel.basic_consume(queue, self._on_message, auto_ack=auto_ack, **options)

    def _on_message(self, _channel, method, properties, body):
        self.deliveries.append((method, properties, body))

    def wait_for(self, count, seconds=10):
        """Waits until `count` deliveries have arrived and returns all."""
        connection = self.channel.connection

        def enough():
            connection.process_data_events(time_limit=0.02)
            return len(self.deliveries) >= count

        eventually(enough, f"{count} deliveries", seconds)
        return self.deliveries

    def wait_for_cancel(self, seconds=10):
        """Waits for basic.cancel from the broker."""
        connection = self.channel.connection

        def cancelled():
            connection.process_data_events(time_limit=0.02)
            return self.cancelled

        return eventually(cancelled, "basic.cancel from the broker", seconds)

    def bodies(self):
        """The bodies received so far."""
        return [body for _, _, body in self.deliveries]
