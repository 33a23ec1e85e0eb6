"""One run of one row: its clients, its names, and the comparison of what comes with what is due."""

import re
import uuid

from mqtt_conformance.packets import NAMES, decode
from support.raw_mqtt import DISCONNECT, PINGREQ, PINGRESP, RawMqtt, closing, packet

NAME = re.compile(r"\$(?!share/)([a-z]+\d*)(?![a-z])")
SECONDS_MAX = 5


class Conversation:
    """The connections and names of a row, in one version of the protocol."""

    def __init__(self, broker, version):
        self.broker, self.version = broker, version
        self.run_id = uuid.uuid4().hex[:8]
        self.clients, self.packet_ids, self.kept, self.sizes_max = {}, {}, {}, {}

    def play(self, steps):
        """All steps; then nothing may be left over at any client, and all close in order."""
        try:
            for step in steps:
                step(self)
            for label in [*self.clients, *self.clients]:
                self.silent(label)
            for label in list(self.clients):
                self.say(label, closing(DISCONNECT))
                self.closed(label)
        finally:
            for client in self.clients.values():
                client.socket.close()

    def fill(self, value):
        """The value with names of this run in place of words with a dollar."""
        if isinstance(value, str):
            return NAME.sub(lambda found: f"t{self.run_id}{found[1]}", value)
        if isinstance(value, (list, tuple)):
            return type(value)(self.fill(element) for element in value)
        if isinstance(value, dict):
            return {key: self.fill(element) for key, element in value.items()}
        return value

    def reach(self, label, version=None, size_max=None):
        """A new socket under this label, for a client that takes packets of at most so many octets."""
        self.sizes_max[label] = size_max
        self.clients[label] = RawMqtt(self.broker.mqtt, version or self.version, SECONDS_MAX)
        return self.clients[label]

    def say(self, label, data):
        """Sends octets."""
        self.clients[label].send(data)

    def next(self, label):
        """The next packet of the broker."""
        client, size_max = self.clients[label], self.sizes_max[label]
        kind, flags, content = client.read_packet()
        size = len(packet(kind, flags, content))
        assert size_max is None or size <= size_max, f"{NAMES.get(kind, kind)} of {size} octets for {label}"
        return decode(kind, flags, content, client.version)

    def due(self, label, kind, **expected):
        """The next packet, which has to be this one."""
        got = self.next(label)
        assert got.kind == kind, f"{got} for {label} where {NAMES[kind]} {expected} is due"
        for field, value in self.fill(expected).items():
            if field == "code" and "code" not in got.fields:
                continue
            actual = got.fields[field]
            assert fits(actual, value), f"{field} of {got} for {label} is not {value!r}"
        return got

    def silent(self, label):
        """Everything sent has been handled, and nothing but PINGRESP comes."""
        self.say(label, packet(PINGREQ, 0, b""))
        self.due(label, PINGRESP)

    def closed(self, label):
        """The broker closes the socket without another word."""
        rest = self.clients.pop(label).read_to_end()
        assert rest == b"", f"{rest!r} for {label} where the socket has to end"

    def ended(self, label, codes):
        """DISCONNECT with one of these codes, and the end of the socket; in MQTT 3 the end alone."""
        if self.clients[label].version == 5:
            self.due(label, DISCONNECT, code=set(codes))
        self.closed(label)

    def packet_id(self, label):
        """The next packet identifier of a client."""
        self.packet_ids[label] = self.packet_ids.get(label, 0) + 1
        return self.packet_ids[label]


def fits(actual, expected):
    """Whether a field is as expected: equal, one of a set, or with these properties (None: without)."""
    if isinstance(expected, dict):
        return all(fits(actual.get(name), value) for name, value in expected.items())
    if callable(expected):
        return expected(actual)
    return actual in expected if isinstance(expected, set) else actual == expected
