"""Plays a row with one client: opens what it names, sends, and checks what comes."""

import re
import uuid
from urllib.parse import quote

from pika import spec

from conformance.steps import FIRST, A, Has, Lacks, Like
from support.management import Management
from support.raw_amqp import HEARTBEAT, frame
from support.waiting import eventually

CODES = {
    311: "CONTENT_TOO_LARGE", 320: "CONNECTION_FORCED", 403: "ACCESS_REFUSED", 404: "NOT_FOUND",
    405: "RESOURCE_LOCKED", 406: "PRECONDITION_FAILED", 501: "FRAME_ERROR", 502: "SYNTAX_ERROR",
    503: "COMMAND_INVALID", 504: "CHANNEL_ERROR", 505: "UNEXPECTED_FRAME", 506: "RESOURCE_ERROR",
    530: "NOT_ALLOWED", 540: "NOT_IMPLEMENTED", 541: "INTERNAL_ERROR",
}
NAME = re.compile(r"\$([a-z]+\d*)")


class Conversation:
    """The connections and names of one run of one row."""

    def __init__(self, broker, client):
        self.broker, self.client = broker, client
        self.run_id = uuid.uuid4().hex[:10]
        self.clients, self.names, self.made, self.last = {}, {}, [], None

    def play(self, row):
        """All steps, then the end; the names that were made are returned for the cleaning."""
        try:
            for step in row.steps:
                step.run(self)
            for label in list(self.clients):
                self.finish(self.clients[label])
        finally:
            for client in self.clients.values():
                client.drop()
            self.take_away()

    # Names.

    def fill(self, value):
        """The value with this row's names in place of words with a dollar."""
        if isinstance(value, str):
            return NAME.sub(lambda found: self.name(found[1]), value)
        if isinstance(value, (list, tuple)):
            return [self.fill(element) for element in value]
        if isinstance(value, dict):
            return {self.fill(key): self.fill(element) for key, element in value.items()}
        if isinstance(value, Has):
            return Has(self.fill(value.fields))
        return Like(self.fill(value.pattern)) if isinstance(value, Like) else value

    def name(self, word):
        """The unique name that stands for a word, or what was kept under it."""
        return self.names.setdefault(word, f"t-{self.run_id}-{word}")

    def keep(self, name, of):
        """Keeps a field of what came last as `$name`."""
        self.names[name] = field_of(self.last, of)

    # Connections.

    def at(self, connection, channel=0):
        """A client, connected, with this channel open."""
        if connection not in self.clients:
            self.connect(connection)
        client = self.clients[connection]
        if channel and channel not in client.channels:
            client.open_channel(channel)
        return client

    def connect(self, connection, **parameters):
        """A new connection."""
        client = self.clients[connection] = self.client(self.broker.amqp)
        refusal = client.connect(**self.fill(parameters))
        assert refusal is None, f"the connection was refused: {refusal.method}"

    def connect_refused(self, code, text, **parameters):
        """A new connection that the broker refuses."""
        client = self.client(self.broker.amqp)
        try:
            refusal = client.connect(**self.fill(parameters))
            assert refusal, "the connection was opened"
            self.check_close(refusal, spec.Connection.Close, code, text)
        finally:
            client.drop()

    def disconnect(self, connection):
        """connection.close and close-ok."""
        self.clients.pop(connection).close()

    def drop(self, connection):
        """The end of the socket."""
        self.clients.pop(connection).drop()

    def finish(self, client):
        """Nothing is left over, and the connection closes in order."""
        if client.is_closed:
            return
        for channel in sorted(client.channels):
            self.nothing_for(client, channel)
        client.close()

    # Calls and events.

    def call(self, call):
        """Sends a method; then its failure, its reply, or nothing."""
        client = self.at(call.connection, call.channel)
        client.send(call.channel, *self.encoded(call))
        if call.failure:
            self.fail(client, call)
        elif call.reply:
            self.take(client, call.channel, call.reply, call.expected)

    def encoded(self, call):
        """The method, properties and body of a call."""
        properties = None if call.properties is None else spec.BasicProperties(**self.fill(call.properties))
        return call.method(**self.fill(call.fields)), properties, call.body

    def fail(self, client, call):
        """The channel or connection is closed by the method that was sent."""
        kind, code, text = call.failure
        channel = call.channel if kind is spec.Channel.Close else 0
        event = client.next(channel)
        self.check_close(event, kind, code, text)
        assert client.names_failures is False or failing(event.method) == divmod(call.method.INDEX, 1 << 16), (
            f"{event.method} is blamed on {failing(event.method)}")
        client.closed(channel)

    def check_close(self, event, kind, code, text):
        """The reply code and the whole text of a close."""
        expected = f"{CODES[code]} - {self.fill(text)}"
        if text.startswith("~"):
            expected = Like(f"{CODES[code]} - {self.fill(text[1:])}")
        assert isinstance(event.method, kind), f"{event} where {kind.__name__} {code} {expected} is due"
        check(event, {"reply_code": code, "reply_text": expected})

    def expect(self, step):
        """Something that the broker sends by itself."""
        client = self.at(step.connection, step.channel)
        self.take(client, step.channel, step.method, step.expected)

    def take(self, client, channel, kind, expected):
        """The next event on a channel, which has to be a `kind` with these fields."""
        event = client.next(channel)
        assert isinstance(event.method, kind), f"{event} where {kind.__name__} is due"
        check(event, self.fill(expected))
        self.last = event
        if kind is spec.Channel.CloseOk:
            client.closed(channel)

    def confirmed(self, kind, tags, connection=FIRST, channel=1):
        """Confirms of exactly these tags."""
        client, waiting = self.at(connection, channel), set(tags)
        while waiting:
            event = client.next(channel)
            assert isinstance(event.method, kind), f"{event} where a {kind.__name__} of {waiting} is due"
            tag, multiple = event.method.delivery_tag, event.method.multiple
            covered = {t for t in waiting if t == tag or (multiple and t <= tag)}
            assert covered, f"{event} where a {kind.__name__} of {waiting} is due"
            waiting -= covered

    # Conditions.

    def nothing(self, connection=FIRST, channel=1):
        """Nothing has come on this channel."""
        self.nothing_for(self.at(connection, channel), channel)

    def nothing_for(self, client, channel):
        """A round trip on the channel, before whose reply nothing else may come."""
        client.send(channel, spec.Channel.Flow(active=True), None, None)
        event = client.next(channel)
        assert isinstance(event.method, spec.Channel.FlowOk), f"{event} was not expected on channel {channel}"

    def until(self, call):
        """Repeats a call until the reply is as expected."""
        expected = self.fill(call.expected)
        eventually(lambda: self.answered(call) and all(
            matches(field_of(self.last, name), value) for name, value in expected.items()),
            f"{call.reply.__name__} with {expected}")

    def arrives(self, call):
        """Repeats a basic.get until there is a message, which has to be as expected."""
        eventually(lambda: self.answered(call), f"a message in {call.fields['queue']}")
        check(self.last, self.fill(call.expected))

    def answered(self, call):
        """Whether a call gets the reply that is due, and not another one."""
        client = self.at(call.connection, call.channel)
        client.send(call.channel, *self.encoded(call))
        self.last = client.next(call.channel)
        assert not isinstance(self.last.method, spec.Channel.Close), self.last
        return isinstance(self.last.method, call.reply)

    def gone(self, queue):
        """Waits until a queue does not exist, on a connection of its own."""
        def look():
            client = self.at("look", 1)
            client.send(1, spec.Queue.Declare(queue=self.fill(queue), passive=True), None, None)
            event = client.next(1)
            if isinstance(event.method, spec.Channel.Close):
                client.closed(1)
                return event.method.reply_code == 404
            return False

        eventually(look, f"{queue} is gone")

    def http(self, verb, path, body, status, user):
        """A request to the management API."""
        filled = "/".join(quote(self.fill(part), safe="%") for part in path.split("/"))
        response = Management(self.broker.http, *self.fill(user)).request(verb, filled, json=self.fill(body))
        assert response.status_code in status, f"{verb} {filled}: {response.status_code} {response.text}"
        if verb == "PUT":
            self.made.append(filled)

    def take_away(self):
        """Deletes what requests to the management API have made."""
        for path in reversed(self.made):
            Management(self.broker.http).delete(path)

    def shared(self, queues, messages):
        """Each of these queues has some of the messages, and together they have all."""
        shares = [self.ready(queue) for queue in queues]
        assert sum(shares) == messages and all(shares), shares

    def all_in_one(self, queues, messages):
        """One of these queues has all the messages."""
        shares = sorted(self.ready(queue) for queue in queues)
        assert shares == [0] * (len(queues) - 1) + [messages], shares

    def ready(self, queue):
        """How many messages are ready."""
        client = self.at(FIRST, 1)
        client.send(1, spec.Queue.Declare(queue=self.fill(queue), passive=True), None, None)
        return client.next(1).method.message_count

    # Octets.

    def octets(self, data):
        """Octets as they are."""
        self.bare().raw.send(data)

    def bare(self):
        """The first connection as a socket, without a handshake if it is new."""
        if FIRST not in self.clients:
            self.clients[FIRST] = self.client(self.broker.amqp)
            self.clients[FIRST].reach()
        return self.clients[FIRST]

    def closed(self, channel):
        """A channel that the last event has closed."""
        self.bare().closed(channel)

    def greets(self, header):
        """A protocol header and connection.start."""
        self.bare().raw.send(header)
        self.take(self.bare(), 0, spec.Connection.Start, {})

    def logs_in(self, mechanism, response, capabilities):
        """connection.start-ok."""
        self.bare().log_in(mechanism, response, capabilities)

    def tunes(self, limits):
        """connection.tune and tune-ok."""
        self.take(self.bare(), 0, spec.Connection.Tune, {})
        self.bare().tune(**limits)

    def says(self, call):
        """A method in any state."""
        method, properties, body = self.encoded(call)
        self.bare().send(call.channel, method, properties, body)

    def closes(self, code, text):
        """connection.close; some errors let the client wait for the end of the socket after that."""
        self.check_close(self.bare().next(0), spec.Connection.Close, code, text)

    def answers(self, data):
        """The last octets."""
        client = self.bare()
        assert client.raw.read_to_end() == data
        client.is_closed = True

    def beats(self):
        """A heartbeat."""
        kind, channel, payload = self.bare().raw.read_frame()
        assert (kind, channel, payload) == (HEARTBEAT, 0, b""), f"a frame of type {kind} where a heartbeat is due"

    def hangs_up(self):
        """The socket ends, at most after heartbeats and a connection.close."""
        client = self.bare()
        rest = client.raw.read_to_end().replace(frame(HEARTBEAT, 0, b""), b"")
        assert rest in (b"",) or rest[7:11] == b"\x00\x0a\x00\x32", f"{rest!r} where the socket should end"
        client.is_closed = True


def failing(close):
    """The class and method that a close names."""
    return close.class_id, close.method_id


def check(event, expected):
    """All expected fields of an event."""
    for name, value in expected.items():
        actual = field_of(event, name)
        assert matches(actual, value), f"{name} is {actual!r} where {value!r} is due, in {event}"


def field_of(event, name):
    """A field of the method, a property, or the body."""
    if name in ("body", "table"):
        return getattr(event, name)
    return getattr(event.method, name) if hasattr(event.method, name) else getattr(event.properties, name, None)


def matches(actual, expected):
    """Whether a value is as expected; see `Like` and `Has`."""
    if isinstance(expected, Like):
        actual = actual.decode() if isinstance(actual, bytes) else actual
        return isinstance(actual, str) and re.fullmatch(expected.pattern, actual) is not None
    if isinstance(expected, A):
        return isinstance(actual, expected.type)
    if isinstance(expected, Lacks):
        return isinstance(actual, dict) and expected.name not in actual
    if isinstance(expected, Has):
        return isinstance(actual, dict) and all(
            key in actual and matches(actual[key], value) for key, value in expected.fields.items())
    if isinstance(expected, dict):
        return isinstance(actual, dict) and actual.keys() == expected.keys() and matches(actual, Has(expected))
    if isinstance(expected, list):
        return isinstance(actual, list) and len(actual) == len(expected) and all(map(matches, actual, expected))
    return actual == expected and isinstance(actual, bool) == isinstance(expected, bool)
