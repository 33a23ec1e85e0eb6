"""WebSocket frame by frame: exact handshakes, and what no well-behaved client would send."""

import base64
import hashlib
import os
import struct

from support.raw_mqtt import RawMqtt
from support.sockets import open_socket

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode, payload=b"", final=True, masked=True, size=None, reserved=0):
    """A frame, wrong ones included; `size` is what it says of its length."""
    length = len(payload) if size is None else size
    first = (0x80 if final else 0) | reserved << 4 | opcode
    mask_bit = 0x80 if masked else 0
    if length < 126:
        head = struct.pack(">BB", first, mask_bit | length)
    elif length < 1 << 16:
        head = struct.pack(">BBH", first, mask_bit | 126, length)
    else:
        head = struct.pack(">BBQ", first, mask_bit | 127, length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    pattern = mask * (len(payload) // 4 + 1)
    hidden = int.from_bytes(payload, "big") ^ int.from_bytes(pattern[:len(payload)], "big")
    return head + mask + hidden.to_bytes(len(payload), "big")


class RawWebSocket:
    """A TCP connection that becomes a WebSocket."""

    def __init__(self, address, path="/mqtt", protocols=("mqtt",), seconds=10, headers=None):
        self.socket = open_socket(address, seconds)
        self.address, self.path, self.buffer = address, path, b""
        self.key = base64.b64encode(os.urandom(16)).decode()
        self.headers = {
            "Host": f"{address[0]}:{address[1]}", "Connection": "Upgrade", "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": self.key,
        }
        if protocols:
            self.headers["Sec-WebSocket-Protocol"] = ", ".join(protocols)
        self.headers.update(headers or {})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def request(self, method="GET"):
        """Sends the request; returns the status and the headers, in lower case, of the answer."""
        head = [f"{method} {self.path} HTTP/1.1"]
        head += [f"{name}: {value}" for name, value in self.headers.items() if value is not None]
        self.send("\r\n".join([*head, "", ""]).encode())
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        return int(first.split()[1]), {name.lower(): value.strip() for name, value in pairs}

    def open(self):
        """The whole handshake; returns self."""
        status, self.answered = self.request()
        assert status == 101, (status, self.answered, self.buffer)
        expected = base64.b64encode(hashlib.sha1((self.key + GUID).encode()).digest()).decode()
        assert self.answered["sec-websocket-accept"] == expected
        return self

    def send(self, data):
        """Writes bytes; a peer that has closed already is no error here."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"the broker closed the socket; unread: {self.buffer!r}")
        self.buffer += data

    def _take(self, count):
        while len(self.buffer) < count:
            self._more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def read_frame(self):
        """The next frame, which has to be whole and without a mask: (opcode, payload)."""
        first, second = self._take(2)
        assert first & 0x80 and not second & 0x80
        length = second
        if length == 126:
            length = struct.unpack(">H", self._take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self._take(8))[0]
        return first & 15, self._take(length)

    def expect_close(self, code):
        """A close frame with this code, then the end."""
        opcode, payload = self.read_frame()
        assert opcode == CLOSE, (opcode, payload)
        assert struct.unpack(">H", payload[:2])[0] == code, payload
        self.expect_end()

    def expect_end(self):
        """Nothing but the end."""
        try:
            rest = self.socket.recv(65536)
        except ConnectionResetError:
            rest = b""
        assert (self.buffer, rest) == (b"", b"")


class WebMqtt(RawMqtt):
    """MQTT packets in WebSocket frames: each in one, unless a test sends frames itself."""

    def __init__(self, address, version=5, **options):
        self.version, self.received = version, b""
        self.web = RawWebSocket(address, **options).open()
        self.socket = self.web.socket

    def send(self, data):
        self.web.send(frame(BINARY, data))
        return self

    def _read_exact(self, count):
        while len(self.received) < count:
            opcode, payload = self.web.read_frame()
            assert opcode == BINARY, (opcode, payload)
            self.received += payload
        taken, self.received = self.received[:count], self.received[count:]
        return taken
