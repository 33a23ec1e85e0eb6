"""AMQP 0-9-1 frame by frame: what no well-behaved client would send."""

import struct
import time
from dataclasses import dataclass

import pika
from pika import data as fields
from pika import spec
from pika.frame import Body, Header, Method

from support.sockets import open_socket

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
CAPABILITIES = {
    "authentication_failure_close": True, "consumer_cancel_notify": True,
    "basic.nack": True, "publisher_confirms": True, "connection.blocked": True,
}


def frame(kind, channel, payload, size=None, end=0xCE):
    """A frame of any kind, wrong size and end included."""
    length = len(payload) if size is None else size
    return struct.pack(">BHI", kind, channel, length) + payload + bytes([end])


@dataclass(frozen=True)
class Encoded:
    """A value of a field table in its encoding: a tag and octets, for the types that pika does not send."""

    tag: bytes
    octets: bytes


def table(values):
    """A field table, with its length."""
    pieces = []
    for key, value in values.items():
        fields.encode_short_string(pieces, key)
        if isinstance(value, Encoded):
            pieces.append(value.tag + value.octets)
        else:
            fields.encode_value(pieces, value)
    return struct.pack(">I", sum(map(len, pieces))) + b"".join(pieces)


def method(channel, value):
    """A method frame; a table of arguments is always its last field."""
    arguments = getattr(value, "arguments", None)
    if not arguments:
        return Method(channel, value).marshal()
    value.arguments = {}
    payload = struct.pack(">I", value.INDEX) + b"".join(value.encode())
    value.arguments = arguments
    return frame(METHOD, channel, payload[:-4] + table(arguments))


def publish(channel, exchange, routing_key, body, properties=None, **flags):
    """The frames of one publish."""
    return (
        method(channel, spec.Basic.Publish(exchange=exchange, routing_key=routing_key, **flags))
        + header(channel, len(body), properties)
        + (Body(channel, body).marshal() if body else b"")
    )


def header(channel, size, properties=None):
    """A content header frame."""
    headers = properties.headers if properties else None
    if any(isinstance(value, Encoded) for value in (headers or {}).values()):
        return frame(HEADER, channel, struct.pack(">HHQH", 60, 0, size, 0x2000) + table(headers))
    return Header(channel, size, properties or pika.BasicProperties()).marshal()


def body(channel, data):
    """A content body frame."""
    return Body(channel, data).marshal()


class RawAmqp:
    """A socket that speaks frames."""

    def __init__(self, address, seconds=10):
        self.socket = open_socket(address, seconds)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Writes bytes; a peer that has closed already is no error here."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def method(self, channel, value):
        """Sends a method."""
        self.send(method(channel, value))

    def read_exact(self, count):
        """Exactly `count` bytes."""
        while len(self.buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(f"the broker closed the socket; unread: {self.buffer!r}")
            self.buffer += data
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def read_frame(self):
        """The next frame: (kind, channel, payload)."""
        kind, channel, size = struct.unpack(">BHI", self.read_exact(7))
        payload = self.read_exact(size)
        assert self.read_exact(1) == b"\xce"
        return kind, channel, payload

    def read_method(self):
        """The next method: (channel, method); heartbeats are skipped."""
        while True:
            kind, channel, payload = self.read_frame()
            if kind == HEARTBEAT:
                continue
            assert kind == METHOD, f"a frame of kind {kind} where a method is due"
            index = struct.unpack(">I", payload[:4])[0]
            return channel, spec.methods[index]().decode(payload, 4)

    def expect(self, kind):
        """The next method, which has to be a `kind`."""
        _, value = self.read_method()
        assert isinstance(value, kind), f"{value} where {kind.__name__} is due"
        return value

    def call(self, channel, value, reply):
        """Sends a method and reads its reply."""
        self.method(channel, value)
        return self.expect(reply)

    def read_to_end(self):
        """Everything until the broker closes the socket."""
        try:
            while data := self.socket.recv(65536):
                self.buffer += data
        except ConnectionResetError:
            pass
        return self.buffer

    def expect_connection_close(self):
        """connection.close, which is answered, and then the end of the socket."""
        closed = self.expect(spec.Connection.Close)
        self.method(0, spec.Connection.CloseOk())
        self.read_to_end()
        return closed

    def begin(self):
        """Protocol header and connection.start."""
        self.send(PROTOCOL_HEADER)
        return self.expect(spec.Connection.Start)

    def log_in(self, mechanism="PLAIN", response=b"\0guest\0guest", capabilities=None):
        """Up to connection.start-ok."""
        start = self.begin()
        known = CAPABILITIES if capabilities is None else capabilities
        properties = {"product": "raw", "capabilities": known}
        self.method(0, spec.Connection.StartOk(properties, mechanism, response, "en_US"))
        return start

    def tune(self, channel_max=2047, frame_max=131072, heartbeat=0):
        """connection.tune and connection.tune-ok; returns the proposal."""
        proposal = self.expect(spec.Connection.Tune)
        self.method(0, spec.Connection.TuneOk(channel_max, frame_max, heartbeat))
        return proposal

    def open(self, channels=(1,), vhost="/", **tuned):
        """A whole handshake and open channels."""
        self.log_in()
        self.tune(**tuned)
        self.call(0, spec.Connection.Open(vhost), spec.Connection.OpenOk)
        for channel in channels:
            self.open_channel(channel)
        return self

    def open_channel(self, channel):
        """channel.open and its reply."""
        self.call(channel, spec.Channel.Open(), spec.Channel.OpenOk)

    def declare(self, queue="", channel=1, **options):
        """queue.declare; returns the name."""
        return self.call(channel, spec.Queue.Declare(queue=queue, **options), spec.Queue.DeclareOk).queue

    def seconds_to_end(self):
        """How long the broker keeps the socket open from now."""
        started = time.monotonic()
        self.read_to_end()
        return time.monotonic() - started
