"""A client that sends and reads frames."""

import struct
from collections import defaultdict, deque
from typing import NamedTuple

from pika import spec

from support.raw_amqp import BODY, CAPABILITIES, HEADER, HEARTBEAT, METHOD, RawAmqp, body, header, method

FRAME_OVERHEAD = 8
FRAME_MIN = 4096


class Event(NamedTuple):
    """A method from the broker, with its content; `table` is the content's properties as they were encoded."""

    method: object
    properties: object = None
    body: bytes = None
    table: bytes = None


class RawClient:
    """One connection as frames; see `conversation` for how it is used."""

    names_failures = True

    def __init__(self, address):
        self.address = address
        self.raw = None
        self.channels = set()
        self.is_closed = False
        self.events = defaultdict(deque)
        self.open_content = {}
        self.body_max = 131072 - FRAME_OVERHEAD

    def reach(self):
        """The socket alone."""
        self.raw = RawAmqp(self.address)

    def connect(self, vhost="/", user="guest", password="guest", capabilities=None, **limits):
        """The whole handshake; the connection.close that ends it, if one does."""
        self.reach()
        self.raw.begin()
        self.log_in("PLAIN", f"\0{user}\0{password}".encode(), capabilities)
        event = self.next(0)
        if isinstance(event.method, spec.Connection.Tune):
            self.tune(**limits)
            self.raw.method(0, spec.Connection.Open(vhost))
            event = self.next(0)
        return None if isinstance(event.method, spec.Connection.OpenOk) else event

    def log_in(self, mechanism, response, capabilities):
        """connection.start-ok."""
        known = CAPABILITIES if capabilities is None else capabilities
        properties = {"product": "conformance", "capabilities": known}
        self.raw.method(0, spec.Connection.StartOk(properties, mechanism, response, "en_US"))

    def tune(self, channel_max=2047, frame_max=131072, heartbeat=0):
        """connection.tune-ok."""
        self.body_max = max(frame_max, FRAME_MIN) - FRAME_OVERHEAD
        self.raw.method(0, spec.Connection.TuneOk(channel_max, frame_max, heartbeat))

    def open_channel(self, channel):
        """channel.open."""
        self.raw.method(channel, spec.Channel.Open())
        event = self.next(channel)
        assert isinstance(event.method, spec.Channel.OpenOk), f"{event} where channel.open-ok is due"
        self.channels.add(channel)

    def send(self, channel, value, properties, content):
        """A method, with content if it has any."""
        data = method(channel, value)
        if content is not None:
            data += header(channel, len(content), properties)
            parts = range(0, len(content), self.body_max)
            data += b"".join(body(channel, content[at:at + self.body_max]) for at in parts)
        self.raw.send(data)

    def next(self, channel):
        """The next event on a channel."""
        while not self.events[channel]:
            self.read()
            assert channel == 0 or not self.is_closed, f"{self.events[0][-1]} while channel {channel} waits"
        return self.events[channel].popleft()

    def read(self):
        """One frame, which may complete an event."""
        kind, channel, payload = self.raw.read_frame()
        assert len(payload) <= self.body_max, f"a frame of type {kind} with {len(payload)} octets"
        if kind == METHOD:
            value = spec.methods[struct.unpack(">I", payload[:4])[0]]()
            self.heard(channel, value.decode(payload, 4))
        elif kind in (HEADER, BODY):
            self.open_content[channel].append(payload)
        assert kind in (METHOD, HEADER, BODY, HEARTBEAT), f"a frame of type {kind}"
        self.complete(channel)

    def heard(self, channel, value):
        """A method: an event, or the beginning of one."""
        assert channel not in self.open_content, f"{value} where a content was not complete"
        if isinstance(value, (spec.Basic.Deliver, spec.Basic.GetOk, spec.Basic.Return)):
            self.open_content[channel] = [value]
            return
        self.events[channel].append(Event(value))
        if isinstance(value, spec.Channel.Close):
            self.raw.method(channel, spec.Channel.CloseOk())
        elif isinstance(value, spec.Connection.Close):
            self.raw.method(0, spec.Connection.CloseOk())
            self.is_closed = True

    def complete(self, channel):
        """Makes an event of a content that is whole."""
        content = self.open_content.get(channel)
        if not content or len(content) < 2:
            return
        size = struct.unpack(">Q", content[1][4:12])[0]
        whole = b"".join(content[2:])
        if len(whole) >= size:
            properties = spec.BasicProperties()
            properties.decode(content[1][12:])
            self.events[channel].append(Event(content[0], properties, whole, content[1][14:]))
            del self.open_content[channel]

    def closed(self, channel):
        """A channel, or all for 0, has been closed by the broker or by a close-ok."""
        if channel == 0:
            self.raw.read_to_end()
        self.channels.discard(channel)

    def close(self):
        """connection.close, close-ok and the end of the socket."""
        self.raw.method(0, spec.Connection.Close(200, "", 0, 0))
        event = self.next(0)
        assert isinstance(event.method, spec.Connection.CloseOk), f"{event} where connection.close-ok is due"
        self.drop()

    def drop(self):
        """The end of the socket."""
        self.is_closed = True
        if self.raw:
            self.raw.socket.close()
