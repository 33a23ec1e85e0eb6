"""Clients whose bytes and whose turns are always the same, so that the broker's work is, too.

Each round is one write of the publisher, and ends when the consumer has everything and the publisher
its confirms. The broker is to have one processor, so that nothing races.
"""

import re
import socket
import struct
from dataclasses import dataclass

ROUNDS = (10, 40)
MESSAGES = 200
BODY = b"x" * 64


def broker(binary):
    """The command that starts a broker at ports that are free, with its data in the working directory."""
    ports = [f"--{name}-port=0" for name in ("amqp", "mqtt", "http", "websocket", "metrics")]
    quiet = ["--bind=127.0.0.1", "--http-unix-path=", "--mqtt-sys-interval=0", "--log-level=error"]
    return [str(binary), "--data-dir=data", *quiet, *ports]


def play(case, process, rounds):
    """Has clients of a broker that has just been started do so many rounds."""
    protocol, client = CASES[case]
    for line in process.stdout:
        found = re.match(rf"listening for {protocol} on 127\.0\.0\.1:(\d+)$", line.strip())
        if found:
            client(int(found[1]), rounds)
            return
    raise RuntimeError("the broker does not listen")


class Client:
    """Sends bytes, and takes packets from those that come."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = bytearray()

    def send(self, *octets):
        self.socket.sendall(b"".join(octets))

    def take(self, length):
        while len(self.input) < length:
            octets = self.socket.recv(1 << 18)
            if not octets:
                raise RuntimeError("the broker has closed the connection")
            self.input += octets
        taken = bytes(self.input[:length])
        del self.input[:length]
        return taken


@dataclass(frozen=True)
class Flow:
    """How messages go through a queue of AMQP."""

    durable: bool

    def __call__(self, port, rounds):
        publisher, consumer = Amqp(port), Amqp(port)
        consumer.call(50, 10, b"\0\0" + text("counted") + bytes([2 * self.durable]) + table(), 11)
        consumer.call(60, 20, b"\0\0" + text("counted") + text("c") + bytes([2 * (not self.durable)]) + table(), 21)
        if self.durable:
            publisher.call(85, 10, b"\0", 11)
        properties = b"\x10\0\2" if self.durable else b"\0\0"
        header = struct.pack(">HHQ", 60, 0, len(BODY)) + properties
        message = b"".join([method(60, 40, b"\0\0" + text("") + text("counted") + b"\0"), frame(2, header), frame(3, BODY)])
        for after in range(MESSAGES, (rounds + 1) * MESSAGES, MESSAGES):
            publisher.send(message * MESSAGES)
            for _ in range(MESSAGES):
                consumer.expect(60, 60)
            if self.durable:
                consumer.send(method(60, 80, struct.pack(">QB", after, 1)))
                while struct.unpack_from(">Q", publisher.expect(60, 80))[0] < after:
                    pass


class Amqp(Client):
    """A connection with one channel."""

    def __init__(self, port):
        super().__init__(port)
        self.send(b"AMQP\0\0\x09\x01")
        self.expect(10, 10)
        response = b"\0guest\0guest"
        self.send(frame(1, struct.pack(">HH", 10, 11) + table() + text("PLAIN") + struct.pack(">I", len(response)) + response + text("en_US"), 0))
        self.expect(10, 30)
        self.send(frame(1, struct.pack(">HHHIH", 10, 31, 10, 131072, 0), 0), frame(1, struct.pack(">HH", 10, 40) + text("/") + b"\0\0", 0))
        self.expect(10, 41)
        self.call(20, 10, b"\0", 11)

    def call(self, class_id, method_id, arguments, answer):
        self.send(method(class_id, method_id, arguments))
        self.expect(class_id, answer)

    def expect(self, class_id, method_id):
        """The arguments of the next method, which is to be this one; content is passed over."""
        while True:
            kind, _, length = struct.unpack(">BHI", self.take(7))
            payload = self.take(length + 1)
            if kind == 1:
                if payload[:4] != struct.pack(">HH", class_id, method_id):
                    raise RuntimeError(f"not {class_id}.{method_id}: {payload}")
                return payload[4:]


def frame(kind, payload, channel=1):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(class_id, method_id, arguments):
    return frame(1, struct.pack(">HH", class_id, method_id) + arguments)


def text(word):
    return bytes([len(word)]) + word.encode()


def table():
    return b"\0\0\0\0"


def mqtt_flow(port, rounds):
    """QoS 1, from one client of MQTT 3.1.1 to another, both with clean sessions."""
    publisher, subscriber = Mqtt(port, b"publisher"), Mqtt(port, b"subscriber")
    subscriber.send(b"\x82\x0c\0\1\0\7counted\1")
    subscriber.packet(0x90)
    ids = [struct.pack(">H", number) for number in range(1, MESSAGES + 1)]
    publishes = b"".join(b"\x32" + bytes([11 + len(BODY)]) + b"\0\7counted" + number + BODY for number in ids)
    for _ in range(rounds):
        publisher.send(publishes)
        received = [subscriber.packet(0x32)[9:11] for _ in ids]
        subscriber.send(*(b"\x40\2" + number for number in received))
        for _ in ids:
            publisher.packet(0x40)


class Mqtt(Client):
    """A connection of MQTT 3.1.1."""

    def __init__(self, port, name):
        super().__init__(port)
        body = b"\0\4MQTT\4\2\0\0" + struct.pack(">H", len(name)) + name
        self.send(b"\x10" + bytes([len(body)]), body)
        self.packet(0x20)

    def packet(self, kind):
        """What is in the next packet, which is to be of this kind and shorter than 128 bytes."""
        first, length = self.take(2)
        if first != kind:
            raise RuntimeError(f"{first:#x} is not {kind:#x}")
        return self.take(length)


CASES = {
    "end_to_end_amqp": ("amqp", Flow(durable=False)),
    "end_to_end_amqp_durable": ("amqp", Flow(durable=True)),
    "end_to_end_mqtt_qos1": ("mqtt", mqtt_flow),
}
