"""AMQP: contents and protocols that other brokers took without an end."""

import struct

from pika import spec

from support.raw_amqp import RawAmqp, body, header, method

from . import Row, record


def body_longer_than_it_says(broker):
    """The first octet over the announced size ends the connection."""
    for size, piece in ((10, 11), (0, 1), (100_000, 60_000)):
        with RawAmqp(broker.amqp) as raw:
            raw.open().send(method(1, spec.Basic.Publish(routing_key="nowhere")) + header(1, size))
            raw.send(body(1, b"x" * piece) * 40)
            assert raw.expect_connection_close().reply_code in (501, 505)


def amqp_1(octets):
    """A client of AMQP 1.0 is told what is spoken here, and nothing of what it sends is read."""
    def act(broker):
        with RawAmqp(broker.amqp) as raw:
            raw.send(octets)
            assert raw.read_to_end() == b"AMQP\0\0\x09\x01"
    return act


def array_of_nothing():
    """A frame of SASL with an array of 2^30 elements that take no octet each."""
    array = b"\xf0" + struct.pack(">II", 5, 1 << 30) + b"\x43"
    payload = b"\x02\x01\0\0" + b"\0\x53\x41\xc0" + bytes([len(array) + 1, 1]) + array
    return b"AMQP\3\1\0\0" + struct.pack(">I", len(payload) + 4) + payload


ROWS = [
    Row("CVE-2026-67235", "RabbitMQ", "the body of a message grows over the size that was announced",
        record("CVE-2026-67235"), body_longer_than_it_says),
    Row("CVE-2026-66079", "RabbitMQ", "an array of AMQP 1.0 whose elements take no octets, before the login",
        record("CVE-2026-66079"), amqp_1(array_of_nothing())),
    Row("CVE-2021-22116", "RabbitMQ", "input of AMQP 1.0 that is not checked", record("CVE-2021-22116"),
        amqp_1(b"AMQP\0\1\0\0" + b"\xff" * 100)),
]
