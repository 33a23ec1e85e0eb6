"""The words in which rows of the table are written.

A row is an id and steps. Most steps are a method of AMQP that the client sends, with what comes of it:

    row("5.1 a passive declare counts ready messages",
        queue("$q"), publish("$q"), publish("$q"),
        declare("$q", passive=True).gives(message_count=2, consumer_count=0))

`$q` is a name that only this row has; so is every other word with a dollar, wherever it stands. A
method is answered by its reply unless the step says otherwise: `.refused(404, "…")` is a
channel.close, `.ends(530, "…")` a connection.close, with the whole text after the name of the code.
Methods go to channel 1 of the first connection unless they are `.on(2)` or `.by("second")`; connections
and channels are opened as they are named. What the broker sends by itself is a step too: `delivery`,
`returned`, `acked`, `cancelled`. Steps expect exactly the next thing on their channel, and at the end of
a row nothing may be left over.
"""

from dataclasses import dataclass, field, replace

from pika import spec

FIRST, SECOND = "first", "second"


@dataclass(frozen=True)
class Row:
    """One behaviour: an id that begins with its section, and the conversation that shows it."""

    id: str
    steps: tuple
    raw_only: bool = False

    def is_slow(self):
        """Whether the broker makes the client wait for the end of its socket."""
        return any(isinstance(step, Step) and step.name == "hangs_up" for step in self.steps)


def row(id, *steps):
    """A row for both clients."""
    return Row(id, steps)


def raw_row(id, *steps):
    """A row that no well-behaved client can say: frames, handshakes, methods that pika does not have."""
    return Row(id, steps, raw_only=True)


@dataclass(frozen=True)
class Call:
    """A method that the client sends, and what comes of it."""

    method: type
    fields: dict
    reply: type = None
    properties: dict = None
    body: bytes = None
    channel: int = 1
    connection: str = FIRST
    expected: dict = field(default_factory=dict)
    failure: tuple = None

    def on(self, channel):
        """On another channel."""
        return replace(self, channel=channel)

    def by(self, connection):
        """On another connection."""
        return replace(self, connection=connection)

    def gives(self, **expected):
        """The reply has these fields, properties and body."""
        return replace(self, expected=expected)

    def empty(self):
        """basic.get finds nothing."""
        return replace(self, reply=spec.Basic.GetEmpty)

    def unanswered(self):
        """There is no reply: no-wait where the method has it."""
        waits = {"nowait": True} if hasattr(self.method(), "nowait") else {}
        return replace(self, reply=None, fields={**self.fields, **waits})

    def refused(self, code, text):
        """The channel is closed."""
        return replace(self, failure=(spec.Channel.Close, code, text))

    def ends(self, code, text):
        """The connection is closed."""
        return replace(self, failure=(spec.Connection.Close, code, text))

    def run(self, conversation):
        """Sends it and checks what comes."""
        conversation.call(self)


@dataclass(frozen=True)
class Expect:
    """Something that the broker sends by itself."""

    method: type
    expected: dict
    channel: int = 1
    connection: str = FIRST

    def on(self, channel):
        """On another channel."""
        return replace(self, channel=channel)

    def by(self, connection):
        """On another connection."""
        return replace(self, connection=connection)

    def run(self, conversation):
        """Waits for it."""
        conversation.expect(self)


@dataclass(frozen=True)
class Step:
    """Anything else that a conversation can do: one of its methods with arguments."""

    name: str
    arguments: tuple = ()
    options: dict = field(default_factory=dict)

    def by(self, connection):
        """On another connection."""
        return replace(self, options={**self.options, "connection": connection})

    def on(self, channel):
        """On another channel."""
        return replace(self, options={**self.options, "channel": channel})

    def run(self, conversation):
        """Does it."""
        getattr(conversation, self.name)(*self.arguments, **self.options)


# Queues.

def declare(name="", **fields):
    """queue.declare."""
    return Call(spec.Queue.Declare, {"queue": name, **fields}, spec.Queue.DeclareOk)


def queue(name="$q", **arguments):
    """Where a row only needs a queue: exclusive, with these arguments (`x_max_length` is `x-max-length`)."""
    named = {key.replace("_", "-"): value for key, value in arguments.items()}
    return declare(name, exclusive=True, arguments=named)


def bind(queue, exchange, key="", **arguments):
    """queue.bind."""
    return Call(spec.Queue.Bind, _binding(queue=queue, exchange=exchange, key=key, arguments=arguments), spec.Queue.BindOk)


def unbind(queue, exchange, key="", **arguments):
    """queue.unbind."""
    return Call(
        spec.Queue.Unbind, _binding(queue=queue, exchange=exchange, key=key, arguments=arguments), spec.Queue.UnbindOk)


def purge(queue):
    """queue.purge."""
    return Call(spec.Queue.Purge, {"queue": queue}, spec.Queue.PurgeOk)


def delete(queue, **fields):
    """queue.delete."""
    return Call(spec.Queue.Delete, {"queue": queue, **fields}, spec.Queue.DeleteOk)


# Exchanges.

def exchange(name="$x", type="direct", **fields):
    """exchange.declare."""
    return Call(spec.Exchange.Declare, {"exchange": name, "type": type, **fields}, spec.Exchange.DeclareOk)


def delete_exchange(name, **fields):
    """exchange.delete."""
    return Call(spec.Exchange.Delete, {"exchange": name, **fields}, spec.Exchange.DeleteOk)


def bind_exchange(destination, source, key="", **arguments):
    """exchange.bind."""
    fields = _binding(destination=destination, source=source, key=key, arguments=arguments)
    return Call(spec.Exchange.Bind, fields, spec.Exchange.BindOk)


def unbind_exchange(destination, source, key="", **arguments):
    """exchange.unbind."""
    fields = _binding(destination=destination, source=source, key=key, arguments=arguments)
    return Call(spec.Exchange.Unbind, fields, spec.Exchange.UnbindOk)


def _binding(key, arguments, **names):
    named = {name.replace("_", "-"): value for name, value in arguments.items()}
    return {**names, "routing_key": key, "arguments": named}


# Messages.

def publish(key="", body=b"x", exchange="", mandatory=False, immediate=False, **properties):
    """basic.publish with these properties."""
    fields = {"exchange": exchange, "routing_key": key, "mandatory": mandatory, "immediate": immediate}
    return Call(spec.Basic.Publish, fields, properties=properties, body=body)


def consume(queue, tag="c", **fields):
    """basic.consume."""
    return Call(spec.Basic.Consume, {"queue": queue, "consumer_tag": tag, **fields}, spec.Basic.ConsumeOk)


def cancel(tag="c"):
    """basic.cancel."""
    return Call(spec.Basic.Cancel, {"consumer_tag": tag}, spec.Basic.CancelOk)


def get(queue, **fields):
    """basic.get, which has to find a message (or `.empty()`); without acknowledgement unless `no_ack=False`."""
    return Call(spec.Basic.Get, {"queue": queue, "no_ack": True, **fields}, spec.Basic.GetOk)


def hold(queue):
    """basic.get of a message that will be settled."""
    return get(queue, no_ack=False)


def ack(tag, multiple=False):
    """basic.ack by the client."""
    return Call(spec.Basic.Ack, {"delivery_tag": tag, "multiple": multiple})


def nack(tag, multiple=False, requeue=True):
    """basic.nack by the client."""
    return Call(spec.Basic.Nack, {"delivery_tag": tag, "multiple": multiple, "requeue": requeue})


def reject(tag, requeue=True):
    """basic.reject."""
    return Call(spec.Basic.Reject, {"delivery_tag": tag, "requeue": requeue})


def recover(requeue=True):
    """basic.recover."""
    return Call(spec.Basic.Recover, {"requeue": requeue}, spec.Basic.RecoverOk)


def qos(count, everyone=False, size=0):
    """basic.qos; `everyone` is its flag `global`."""
    fields = {"prefetch_size": size, "prefetch_count": count, "global_qos": everyone}
    return Call(spec.Basic.Qos, fields, spec.Basic.QosOk)


def confirm():
    """confirm.select."""
    return Call(spec.Confirm.Select, {}, spec.Confirm.SelectOk)


def tx_select():
    """tx.select."""
    return Call(spec.Tx.Select, {}, spec.Tx.SelectOk)


def tx_commit():
    """tx.commit."""
    return Call(spec.Tx.Commit, {}, spec.Tx.CommitOk)


def tx_rollback():
    """tx.rollback."""
    return Call(spec.Tx.Rollback, {}, spec.Tx.RollbackOk)


def flow(active):
    """channel.flow by the client."""
    return Call(spec.Channel.Flow, {"active": active}, spec.Channel.FlowOk)


def close_channel():
    """channel.close."""
    return Call(spec.Channel.Close, {"reply_code": 200, "reply_text": "", "class_id": 0, "method_id": 0}, spec.Channel.CloseOk)


def method(kind, reply=None, **fields):
    """Any other method."""
    return Call(kind, fields, reply)


# What the broker sends by itself.

def delivery(**expected):
    """basic.deliver with these fields, properties and body."""
    return Expect(spec.Basic.Deliver, expected)


def returned(code=312, text="NO_ROUTE", **expected):
    """basic.return."""
    return Expect(spec.Basic.Return, {"reply_code": code, "reply_text": text, **expected})


def cancelled(tag="c"):
    """basic.cancel by the broker."""
    return Expect(spec.Basic.Cancel, {"consumer_tag": tag})


def acked(*tags):
    """basic.ack of exactly these publishes, in one or several frames."""
    return Step("confirmed", (spec.Basic.Ack, tags))


def nacked(*tags):
    """basic.nack of exactly these publishes."""
    return Step("confirmed", (spec.Basic.Nack, tags))


# Conditions.

def nothing():
    """The broker has nothing for this channel: what was sent before has been handled."""
    return Step("nothing")


def until(call):
    """Repeats a call until its reply is as expected."""
    return Step("until", (call,))


def arrives(queue, **expected):
    """Takes a message that may still be on its way into a queue."""
    return Step("arrives", (get(queue).gives(**expected),))


def gone(queue):
    """Waits until a queue does not exist."""
    return Step("gone", (queue,))


def count(queue, messages, consumers=0):
    """How many messages are ready and how many consumers there are, by a passive declare."""
    return declare(queue, passive=True).gives(message_count=messages, consumer_count=consumers)


def disconnect(connection=FIRST):
    """connection.close by the client, and close-ok."""
    return Step("disconnect", (connection,))


def drop(connection=FIRST):
    """The client's socket ends without a word."""
    return Step("drop", (connection,))


def keep(name, of):
    """Keeps a field of the last reply, property or delivery as `$name`."""
    return Step("keep", (name, of))


def shared(queues, messages):
    """Each queue has some of the messages, and together they have all."""
    return Step("shared", (queues, messages))


def all_in_one(queues, messages):
    """One of the queues has all the messages."""
    return Step("all_in_one", (queues, messages))


# Other ways in.

def connect(connection=FIRST, **parameters):
    """A connection with parameters of its own: user, password, vhost, capabilities, tuning."""
    return Step("connect", (connection,), parameters)


def connect_refused(code, text, **parameters):
    """A connection that the broker refuses with connection.close."""
    return Step("connect_refused", (code, text), parameters)


def http(verb, path, body=None, status=(200, 201, 204), user="guest", password="guest"):
    """A request to the management API; a name in `path` is one segment of it."""
    return Step("http", (verb, path, body, status, (user, password)))


def opens(channel=1):
    """A channel of the first connection is open."""
    return Step("at", (FIRST, channel))


# Octets, for raw rows.

def octets(data):
    """Sends octets as they are."""
    return Step("octets", (data,))


def unspoken():
    """A new socket, nothing sent."""
    return Step("bare")


def closed(channel):
    """A channel that the last event has closed."""
    return Step("closed", (channel,))


def greets(header=b"AMQP\x00\x00\x09\x01"):
    """Sends a protocol header on a new socket and expects connection.start."""
    return Step("greets", (header,))


def logs_in(mechanism="PLAIN", response=b"\0guest\0guest", capabilities=None):
    """connection.start-ok."""
    return Step("logs_in", (mechanism, response, capabilities))


def tunes(**limits):
    """Expects connection.tune with these limits, and answers with others."""
    return Step("tunes", (limits,))


def says(call):
    """Sends a method in any state and expects no reply."""
    return Step("says", (call,))


def hears(method, **expected):
    """The next method on channel 0."""
    return Expect(method, expected, channel=0)


def closes(code, text):
    """connection.close after octets; a text that begins with `~` is a pattern."""
    return Step("closes", (code, text))


def answers(data):
    """The broker sends these octets and ends the socket."""
    return Step("answers", (data,))


def beats():
    """The broker sends a heartbeat."""
    return Step("beats")


def hangs_up():
    """The broker ends the socket and says nothing that lets the client go on."""
    return Step("hangs_up")


# Values that are only partly known.

@dataclass(frozen=True)
class Like:
    """A text that matches a regular expression as a whole."""

    pattern: str


@dataclass(frozen=True)
class Has:
    """A table with at least these fields."""

    fields: dict


def like(pattern):
    """A text of this form."""
    return Like(pattern)


def has(**fields):
    """A table with at least these fields (`x_death` is `x-death`)."""
    return Has({key.replace("_", "-"): value for key, value in fields.items()})


@dataclass(frozen=True)
class A:
    """Any value of a type."""

    type: type


@dataclass(frozen=True)
class Lacks:
    """A table without this field."""

    name: str
