"""Publishers and consumers that go on after every broken connection, and write their books."""

import itertools
import socket
import struct
import threading

from pika import spec

from faults import FAREWELLS
from support import raw_mqtt as mqtt
from support.raw_amqp import RawAmqp, publish
from support.sockets import open_socket

PERSISTENT = spec.BasicProperties(delivery_mode=2)
# Messages of one publisher that are under way at a time, and the pause between two such bursts.
BURST, PAUSE_SECONDS = 5, 0.1
SILENCE_SECONDS_MAX = 30
# An hour, as a property of CONNECT: longer than any restart takes.
KEEP_SESSION = b"\x11" + mqtt.u32(3600)
# Every message with a number that this divides is rejected to the queue of dead letters.
REJECTED = 10


class Client(threading.Thread):
    """A connection that is made anew until the client is stopped."""

    def __init__(self, name):
        super().__init__(name=name, daemon=True)
        self.stopping, self.raw = threading.Event(), None
        self.connects, self.complaints = 0, []

    def run(self):
        """Until `stop`, over any number of connections."""
        while not self.stopping.is_set():
            try:
                with self.open() as self.raw:
                    self.connects += 1
                    self.serve(self.raw)
                    return
            except (OSError, EOFError):
                pass
            except AssertionError as error:
                if not any(farewell in str(error) for farewell in FAREWELLS):
                    self.complaints.append(str(error))
            self.stopping.wait(PAUSE_SECONDS)

    def cut(self):
        """The connection breaks, with a reset."""
        raw = self.raw
        if raw is None:
            return
        try:
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def stop(self):
        """Ends the client."""
        self.stopping.set()
        self.cut()


class Session:
    """An MQTT session that outlives its connections."""

    established = False

    def open(self):
        """A socket."""
        return mqtt.RawMqtt(self.address, 5, SILENCE_SECONDS_MAX)

    def resume(self, raw):
        """CONNECT; the session has to be there once the broker has answered for it. Returns whether it was."""
        expected = True if self.established else None
        raw.open(self.name, expect_present=expected, flags=0, properties=KEEP_SESSION)
        self.established = True
        return bool(raw.connack[0])


class Publisher(Client):
    """Sends bursts of the numbers of a book; what was not confirmed is sent again on the next connection."""

    def __init__(self, address, book):
        super().__init__(f"{book.name}, publisher")
        self.address, self.book = address, book
        self.open_numbers, self.finishing = [], threading.Event()

    def finish(self):
        """No new numbers: the thread ends when all are confirmed."""
        self.finishing.set()

    def bursts(self):
        """The numbers to send next, until there are no more: those of before the connection first."""
        while True:
            if not self.open_numbers:
                if self.finishing.wait(PAUSE_SECONDS):
                    return
                self.open_numbers = self.book.give(BURST)
            yield list(self.open_numbers)

    def confirmed(self, number):
        """One promise."""
        self.book.note_confirmed(number)
        self.open_numbers.remove(number)


class AmqpPublisher(Publisher):
    """Persistent messages with confirms."""

    def __init__(self, address, book, exchange, key):
        super().__init__(address, book)
        self.exchange, self.key = exchange, key

    def open(self):
        """A socket."""
        return RawAmqp(self.address, SILENCE_SECONDS_MAX)

    def serve(self, raw):
        """A burst at a time."""
        raw.open().call(1, spec.Confirm.Select(), spec.Confirm.SelectOk)
        tags, under_way = itertools.count(1), {}
        for numbers in self.bursts():
            for number in numbers:
                self.book.note_sent(number)
                under_way[next(tags)] = number
            raw.socket.sendall(b"".join(
                publish(1, self.exchange, self.key, b"%d" % number, PERSISTENT) for number in numbers))
            while under_way:
                ack = raw.expect(spec.Basic.Ack)
                for tag in [t for t in under_way if t == ack.delivery_tag or ack.multiple and t < ack.delivery_tag]:
                    self.confirmed(under_way.pop(tag))


class MqttPublisher(Session, Publisher):
    """QoS 1 or 2 in a session that outlives its connections: packet ids go on where they were."""

    def __init__(self, address, book, topic, qos):
        super().__init__(address, book)
        self.topic, self.qos = topic, qos
        self.under_way, self.received, self.released = {}, set(), set()

    def serve(self, raw):
        """A burst at a time; packet ids are the places in it."""
        self.resume(raw)
        for numbers in self.bursts():
            resent = bool(self.under_way)
            if not resent:
                self.under_way = dict(enumerate(numbers, 1))
            for packet_id, number in self.under_way.items():
                self._send(raw, packet_id, number, resent)
            while self.under_way:
                self._take(raw, *raw.read_packet())
        raw.send(mqtt.closing(mqtt.DISCONNECT, 0, b"\x11" + mqtt.u32(0)))

    def _send(self, raw, packet_id, number, resent):
        if packet_id in self.received:
            self.released.add(packet_id)
            raw.socket.sendall(mqtt.ack(mqtt.PUBREL, packet_id))
            return
        self.book.note_sent(number)
        raw.socket.sendall(mqtt.publish(self.topic, b"%d" % number, self.qos, packet_id, dup=resent))

    def _take(self, raw, kind, _flags, content):
        packet_id, reason = struct.unpack(">H", content[:2])[0], content[2] if len(content) > 2 else 0
        assert kind in (mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBCOMP), f"packet {kind} {content!r}"
        # A PUBREL that comes once more may find nothing: the PUBCOMP for the first was lost.
        is_known = kind == mqtt.PUBCOMP and reason == 0x92 and packet_id in self.released
        assert reason in (0, 0x10) or is_known, f"packet {kind} with reason {reason:#x}"
        if kind == mqtt.PUBREC:
            self.received.add(packet_id)
            raw.socket.sendall(mqtt.ack(mqtt.PUBREL, packet_id))
            return
        self.received.discard(packet_id)
        self.released.discard(packet_id)
        self.confirmed(self.under_way.pop(packet_id))


class AmqpConsumer(Client):
    """Acknowledges what it has written down, a few at a time."""

    def __init__(self, address, book, queue, rejects=False):
        super().__init__(f"{book.name}, consumer of {queue}")
        self.address, self.book, self.queue, self.rejects = address, book, queue, rejects

    def open(self):
        """A socket."""
        return RawAmqp(self.address, SILENCE_SECONDS_MAX)

    def serve(self, raw):
        """One delivery at a time."""
        raw.open()
        raw.call(1, spec.Basic.Qos(prefetch_count=60), spec.Basic.QosOk)
        raw.call(1, spec.Basic.Consume(queue=self.queue), spec.Basic.ConsumeOk)
        while True:
            delivery = raw.expect(spec.Basic.Deliver)
            raw.read_frame()
            number = int(raw.read_frame()[2])
            if self.rejects and number % REJECTED == 0:
                raw.method(1, spec.Basic.Reject(delivery.delivery_tag, requeue=False))
                continue
            self.book.note_received(number, delivery.redelivered)
            raw.method(1, spec.Basic.Ack(delivery.delivery_tag))


class MqttSubscriber(Session, Client):
    """Acknowledges what it has written down, with what QoS 2 has to remember."""

    def __init__(self, address, book, topic, qos):
        super().__init__(f"{book.name}, subscriber")
        self.address, self.book, self.topic, self.qos = address, book, topic, qos
        self.received = set()

    def serve(self, raw):
        """One packet at a time."""
        if not self.resume(raw):
            raw.subscribe((self.topic, self.qos))
        while True:
            self._take(raw, *raw.read_packet())

    def _take(self, raw, kind, flags, content):
        if kind == mqtt.PUBREL:
            packet_id = struct.unpack(">H", content[:2])[0]
            self.received.discard(packet_id)
            raw.socket.sendall(mqtt.ack(mqtt.PUBCOMP, packet_id))
            return
        assert kind == mqtt.PUBLISH, f"packet {kind} {content!r}"
        message = mqtt.Publish(flags, content, 5)
        if message.packet_id not in self.received:
            self.book.note_received(int(message.payload), message.dup)
        if message.qos == 2:
            self.received.add(message.packet_id)
        raw.socket.sendall(mqtt.ack(mqtt.PUBREC if message.qos == 2 else mqtt.PUBACK, message.packet_id))


def reachable(address):
    """Whether something accepts at this address."""
    try:
        open_socket(address, 1).close()
        return True
    except OSError:
        return False
