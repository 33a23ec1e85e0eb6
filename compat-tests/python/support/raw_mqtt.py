"""MQTT packet by packet: exact handshakes, and what no well-behaved client would send."""

import struct
import time

from support.sockets import open_socket

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)


def varint(value):
    """A variable byte integer."""
    encoded = bytearray()
    while True:
        value, low = divmod(value, 128)
        encoded.append(low | (0x80 if value else 0))
        if not value:
            return bytes(encoded)


def text(value):
    """A length-prefixed string; bytes are taken as they are."""
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">H", len(raw)) + raw


def u16(value):
    """Two bytes."""
    return struct.pack(">H", value)


def u32(value):
    """Four bytes."""
    return struct.pack(">I", value)


def packet(kind, flags, content):
    """A packet with its fixed header."""
    return bytes([kind << 4 | flags]) + varint(len(content)) + content


def props(raw=b""):
    """A property section."""
    return varint(len(raw)) + raw


def connect(client_id, version=5, flags=0x02, keep_alive=60, properties=b"", rest=b"", name="MQTT"):
    """CONNECT; `flags` 0x02 is clean start, `rest` is what follows the client id."""
    section = props(properties) if version == 5 else b""
    fixed = text(name) + bytes([version, flags]) + u16(keep_alive)
    return packet(CONNECT, 0, fixed + section + text(client_id) + rest)


def publish(topic, payload=b"", qos=0, packet_id=1, dup=False, retain=False, properties=b"", version=5):
    """PUBLISH."""
    identifier = u16(packet_id) if qos else b""
    section = props(properties) if version == 5 else b""
    flags = (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    return packet(PUBLISH, flags, text(topic) + identifier + section + payload)


def subscribe(packet_id, *filters, properties=b"", version=5, flags=2):
    """SUBSCRIBE to (filter, options) pairs."""
    section = props(properties) if version == 5 else b""
    wanted = b"".join(text(name) + bytes([options]) for name, options in filters)
    return packet(SUBSCRIBE, flags, u16(packet_id) + section + wanted)


def unsubscribe(packet_id, *filters, properties=b"", version=5, flags=2):
    """UNSUBSCRIBE from filters."""
    section = props(properties) if version == 5 else b""
    return packet(UNSUBSCRIBE, flags, u16(packet_id) + section + b"".join(map(text, filters)))


def closing(kind, reason=None, properties=None):
    """DISCONNECT or AUTH, in the shortest form for what it says."""
    code = b"" if reason is None else bytes([reason])
    return packet(kind, 0, code + (b"" if properties is None else props(properties)))


def ack(kind, packet_id, reason=None):
    """PUBACK, PUBREC, PUBREL or PUBCOMP."""
    code = b"" if reason is None else bytes([reason])
    return packet(kind, 2 if kind == PUBREL else 0, u16(packet_id) + code)


class Publish:
    """A received PUBLISH, taken apart."""

    def __init__(self, flags, content, version):
        self.dup, self.qos, self.retain = bool(flags & 8), flags >> 1 & 3, bool(flags & 1)
        size = struct.unpack(">H", content[:2])[0]
        self.topic, rest = content[2:2 + size].decode(), content[2 + size:]
        self.packet_id = None
        if self.qos:
            self.packet_id, rest = struct.unpack(">H", rest[:2])[0], rest[2:]
        if version == 5:
            size, used = read_varint(rest)
            self.properties, rest = rest[used:used + size], rest[used + size:]
        self.payload = rest


def read_varint(data):
    """(value, bytes used)."""
    value = 0
    for index, byte in enumerate(data[:4]):
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, index + 1
    raise AssertionError(f"no variable byte integer: {data[:5]!r}")


class RawMqtt:
    """A socket that speaks packets."""

    def __init__(self, address, version=5, seconds=10):
        self.version = version
        self.socket = open_socket(address, seconds)

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
        return self

    def _read_exact(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError("the broker closed the socket")
            data += more
        return data

    def read_packet(self):
        """The next packet: (kind, flags, content)."""
        first = self._read_exact(1)[0]
        size = b""
        while not size or size[-1] & 0x80:
            size += self._read_exact(1)
        return first >> 4, first & 15, self._read_exact(read_varint(size)[0])

    def expect(self, kind):
        """The content of the next packet, which has to be a `kind`."""
        got, _, content = self.read_packet()
        assert got == kind, f"packet {got} {content!r} where {kind} is due"
        return content

    def expect_publish(self):
        """The next packet, which has to be a PUBLISH."""
        kind, flags, content = self.read_packet()
        assert kind == PUBLISH, f"packet {kind} {content!r} where PUBLISH is due"
        return Publish(flags, content, self.version)

    def expect_ack(self, kind, packet_id):
        """An acknowledgement of `packet_id`; returns its reason code."""
        content = self.expect(kind)
        assert content[:2] == u16(packet_id), f"{content!r} where {packet_id} is due"
        return content[2] if len(content) > 2 else 0

    def open(self, client_id, expect_present=None, **options):
        """CONNECT and an accepting CONNACK; returns self."""
        self.send(connect(client_id, version=self.version, **options))
        self.connack = self.expect(CONNACK)
        assert self.connack[1] == 0, f"refused: {self.connack!r}"
        if expect_present is not None:
            assert self.connack[0] == int(expect_present), "session present"
        return self

    def subscribe(self, *filters, packet_id=9, properties=b""):
        """SUBSCRIBE and SUBACK; returns the reason codes."""
        self.send(subscribe(packet_id, *filters, version=self.version, properties=properties))
        content = self.expect(SUBACK)
        assert content[:2] == u16(packet_id)
        return content[-len(filters):]

    def ping(self):
        """PINGREQ and PINGRESP: all that was sent before has been handled."""
        self.send(packet(PINGREQ, 0, b""))
        self.expect(PINGRESP)
        return self

    def read_to_end(self):
        """Everything until the broker closes the socket."""
        data = b""
        try:
            while more := self.socket.recv(65536):
                data += more
        except ConnectionResetError:
            pass
        return data

    def expect_disconnect(self, *reasons):
        """DISCONNECT with one of these reason codes (v5; no packet in v3), then the end."""
        data = self.read_to_end()
        if self.version != 5:
            assert data == b"", f"{data!r} where the broker has to close silently"
            return
        assert data[:1] == b"\xe0", f"{data!r} where DISCONNECT is due"
        reason = data[2] if data[1] else 0
        assert reason in reasons, f"DISCONNECT 0x{reason:02X}, not one of {[hex(r) for r in reasons]}"

    def seconds_to_end(self):
        """How long the broker keeps the socket open from now, and what it sent."""
        started = time.monotonic()
        data = self.read_to_end()
        return time.monotonic() - started, data
