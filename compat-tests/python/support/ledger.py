"""Load with a ledger: clients that write down what the broker promised, until it is killed.

A promise is a confirm, a PUBACK or a PUBCOMP; a settlement is an acknowledgement of ours that the
broker certainly has on disk, because a confirm for something later came after it. Between the two
lies what may or may not have happened when the broker died.
"""

import itertools
import threading
import time

from pika import spec

from support.mqtt_client import MqttClient
from support.raw_amqp import RawAmqp, publish

PERSISTENT = spec.BasicProperties(delivery_mode=2)
# A topic with a durable queue of the same name, for publishes that others have to come before.
BARRIER = "load.barrier"
# How the markers begin that each subscriber publishes behind its numbers.
END = b"end "
BROKEN = (OSError, EOFError, AssertionError)


class AmqpPublisher(threading.Thread):
    """Publishes numbers in bursts, to a durable queue or with a routing key, and notes which were confirmed."""

    def __init__(self, broker, key, numbers, padding=0, exchange=""):
        super().__init__(daemon=True)
        self.broker, self.key, self.numbers, self.exchange = broker, key, numbers, exchange
        self.padding = b" " + b"x" * padding if padding else b""
        self.sent, self.confirmed = set(), set()

    def run(self):
        """Until the broker is gone."""
        try:
            with RawAmqp(self.broker.amqp, 5) as raw:
                raw.open().call(1, spec.Confirm.Select(), spec.Confirm.SelectOk)
                sequence, numbered = itertools.count(1), {}
                while True:
                    burst = {next(sequence): next(self.numbers) for _ in range(40)}
                    numbered.update(burst)
                    self.sent.update(burst.values())
                    raw.socket.sendall(b"".join(
                        publish(1, self.exchange, self.key, b"%d" % n + self.padding, PERSISTENT) for n in burst.values()))
                    while numbered:
                        self._note(numbered, raw.expect(spec.Basic.Ack))
        except BROKEN:
            pass

    def _note(self, numbered, ack):
        tags = [t for t in numbered if t <= ack.delivery_tag] if ack.multiple else [ack.delivery_tag]
        self.confirmed.update(numbered.pop(tag) for tag in tags)


class AmqpConsumer(threading.Thread):
    """Consumes and acknowledges, with a confirmed publish behind every batch of acknowledgements."""

    def __init__(self, broker, queue):
        super().__init__(daemon=True)
        self.broker, self.queue = broker, queue
        self.acknowledged, self.settled, self.barriers = set(), set(), 0
        self.delivered = []

    def run(self):
        """Until the broker is gone."""
        try:
            with RawAmqp(self.broker.amqp, 5) as raw:
                raw.open().call(1, spec.Confirm.Select(), spec.Confirm.SelectOk)
                raw.call(1, spec.Basic.Qos(prefetch_count=60), spec.Basic.QosOk)
                raw.method(1, spec.Basic.Consume(queue=self.queue))
                batch, behind = [], {}
                while True:
                    self._step(raw, raw.read_method()[1], batch, behind)
        except BROKEN:
            pass

    def _step(self, raw, value, batch, behind):
        if isinstance(value, spec.Basic.Ack):
            for tag in [t for t in behind if t <= value.delivery_tag]:
                self.settled |= behind.pop(tag)
            return
        if not isinstance(value, spec.Basic.Deliver):
            return
        raw.read_frame()
        batch.append(int(raw.read_frame()[2]))
        self.delivered.append(batch[-1])
        if len(batch) == 30:
            self.acknowledged |= set(batch)
            self.barriers += 1
            behind[self.barriers] = set(batch)
            raw.method(1, spec.Basic.Ack(value.delivery_tag, True))
            raw.send(publish(1, "", BARRIER, b"barrier", PERSISTENT))
            batch.clear()


class MqttPublisher(threading.Thread):
    """Publishes numbers at one QoS, a few at a time, and notes which were acknowledged."""

    def __init__(self, broker, topic, qos, numbers, retain=False):
        super().__init__(daemon=True)
        self.broker, self.topic, self.qos, self.retain = broker, topic, qos, retain
        self.numbers, self.sent, self.confirmed = numbers, set(), set()
        self.stopped = threading.Event()

    def run(self):
        """Until the broker is gone."""
        client = MqttClient(self.broker.mqtt)
        try:
            client.connect()
            while not self.stopped.is_set() and client.paho.is_connected():
                self._burst(client)
        except Exception:  # noqa: BLE001: whatever the client makes of a killed broker
            pass
        finally:
            client.paho.loop_stop()

    def _burst(self, client):
        pending = {}
        for _ in range(10):
            number = next(self.numbers)
            self.sent.add(number)
            pending[number] = client.publish_soon(self.topic, b"%d" % number, self.qos, self.retain)
        for number, info in pending.items():
            while not info.is_published():
                if self.stopped.is_set() or not client.paho.is_connected():
                    return
                info.wait_for_publish(0.05)
            self.confirmed.add(number)


class Subscriber:
    """An MQTT subscriber with a session, whose messages are taken after each kill."""

    def __init__(self, broker, client_id, topic, qos, lives):
        self.topic, self.qos, self.lives, self.end = topic, qos, lives, END + client_id.encode()
        self.client = MqttClient(broker.mqtt, client_id, clean=False, expiry=3600).connect()
        self.client.subscribe(topic, qos)
        self._leave()

    def after_the_kill(self, publisher):
        """Connects again and gives the numbers that came, up to a marker behind them."""
        self.client.paho.loop_stop()
        self.client.connect()
        assert self.client.session_present is True, f"the session of {self.end} is lost"
        publisher.publish(self.topic, self.end, self.qos)
        payloads = list(iter(lambda: self.client.receive().payload, self.end))
        # What was acknowledged before this is on disk when this is.
        self.client.publish(BARRIER.replace(".", "/"), b"", 1)
        self._leave()
        return [int(payload) for payload in payloads if not payload.startswith(END)]

    def _leave(self):
        """Without a connection when the broker is killed, unless it lives through that."""
        if not self.lives:
            self.client.disconnect()


class ResumingPublisher:
    """One QoS 2 publisher with a session of its own: after each kill it resumes what was under way."""

    def __init__(self, broker, topic, numbers):
        self.broker, self.topic, self.numbers = broker, topic, numbers
        self.client = MqttClient(broker.mqtt, "resuming", clean=False, expiry=3600)
        self.client.paho.on_publish = lambda _c, _u, packet_id, _r, _p: self.completed.append(packet_id)
        self.started, self.completed = 0, []
        self.all_sent, self.taken = set(), set()

    def next_life(self):
        """A thread that publishes until the broker is gone."""
        return threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            self.client.connect()
            while self.client.paho.is_connected():
                for _ in range(10):
                    self._publish(next(self.numbers))
                self._wait(lambda: not self.client.paho.is_connected())
        except Exception:  # noqa: BLE001: whatever the client makes of a killed broker
            pass
        finally:
            self.client.paho.loop_stop()

    def _publish(self, number):
        # Without a connection the client keeps it, and sends it later.
        self.all_sent.add(number)
        self.started += 1
        self.client.publish_soon(self.topic, b"%d" % number, 2)

    def _wait(self, is_over):
        while not is_over() and len(self.completed) < self.started:
            time.sleep(0.002)

    def complete(self):
        """Resumes until every handshake is complete."""
        self.client.connect()
        deadline = time.monotonic() + 10
        self._wait(lambda: time.monotonic() > deadline)
        assert len(self.completed) == self.started, "a QoS 2 handshake hangs"
        self.client.disconnect()

    def take_sent(self):
        """All numbers since the last time: each of them has to arrive, once."""
        new = self.all_sent - self.taken
        self.taken |= new
        return new


def check(kept, promised, gone, sent, ordered=True):
    """Fails unless `kept` holds every promised number once, in order, and nothing that is gone."""
    lost = promised - set(kept)
    assert not lost, f"{len(lost)} promised messages are lost, such as {sorted(lost)[:5]}"
    returned = gone & set(kept)
    assert not returned, f"{len(returned)} settled messages came back, such as {sorted(returned)[:5]}"
    unknown = set(kept) - sent
    assert not unknown, f"{len(unknown)} messages that nobody sent, such as {sorted(unknown)[:5]}"
    assert len(kept) == len(set(kept)), "duplicates"
    assert kept == sorted(kept) or not ordered, "the order has changed"
