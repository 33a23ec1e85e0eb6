"""What goes wrong while the flows run: broken sockets, silent peers, slow readers, restarts, churn."""

import random
import threading
import time

from pika import spec

from support import raw_mqtt as mqtt
from support.broker import Broker
from support.management import Management
from support.raw_amqp import RawAmqp, publish

# How long a peer may be silent: heartbeats and keep alive of a second, and what the broker may take longer.
SILENT_SECONDS_MAX = 8
FLOOD_TOPIC, FLOOD_SIZE = "flood/all", 16 * 1024
GONE = (OSError, EOFError)
# What a broker says that is about to stop, on AMQP and on MQTT.
FAREWELLS = ("CONNECTION_FORCED", "packet 14")


class Trouble(threading.Thread):
    """Something that is done again and again, until it is stopped."""

    pause = (0.5, 1.5)

    def __init__(self, broker: Broker, seed):
        super().__init__(name=type(self).__name__, daemon=True)
        self.broker, self.chance = broker, random.Random(f"{self.name} {seed}")
        self.stopping, self.rounds, self.complaints = threading.Event(), 0, []

    def run(self):
        """Until `stop`; a connection that the broker's restart breaks is no complaint."""
        while not self.stopping.wait(self.chance.uniform(*self.pause)):
            try:
                self.once()
                self.rounds += 1
            except GONE:
                pass
            except AssertionError as error:
                self.complain(error)

    def complain(self, error):
        """Notes a wrong answer, unless the broker is on its way out."""
        if self.broker.is_running() and not any(farewell in str(error) for farewell in FAREWELLS):
            self.complaints.append(f"{self.name}: {error}")

    def once(self):
        """One piece of trouble."""
        raise NotImplementedError

    def stop(self):
        """Ends it after the piece at hand."""
        self.stopping.set()


class Cuts(Trouble):
    """The connection of one of the flows breaks."""

    pause = (1, 3)

    def __init__(self, broker, seed, clients):
        super().__init__(broker, seed)
        self.clients = clients

    def once(self):
        """One connection."""
        self.chance.choice(self.clients).cut()


class Silence(Trouble):
    """A peer that is there no more, but whose connection is: the broker has to end it."""

    def once(self):
        """Half of them AMQP, half of them MQTT."""
        if self.chance.random() < 0.5:
            with RawAmqp(self.broker.amqp, SILENT_SECONDS_MAX) as raw:
                raw.open(heartbeat=1)
                self.wait_for_end(raw)
        else:
            with mqtt.RawMqtt(self.broker.mqtt, 5, SILENT_SECONDS_MAX) as raw:
                raw.open("", keep_alive=1)
                self.wait_for_end(raw)

    def wait_for_end(self, raw):
        """Reads, and says nothing."""
        try:
            raw.read_to_end()
        except TimeoutError:
            raise AssertionError(f"a silent {type(raw).__name__} is still connected") from None


class Flood(Trouble):
    """Transient messages that nobody has to get, for the slow readers."""

    pause = (0.05, 0.15)

    def once(self):
        """A burst of messages on a connection of its own."""
        with mqtt.RawMqtt(self.broker.mqtt) as raw:
            raw.open("").socket.sendall(10 * mqtt.publish(FLOOD_TOPIC, bytes(FLOOD_SIZE)))
            raw.ping()


class SlowReader(Trouble):
    """A consumer of the flood that takes a trickle of it, and goes away without a word."""

    def once(self):
        """Half of them AMQP, half of them MQTT."""
        if self.chance.random() < 0.5:
            with RawAmqp(self.broker.amqp) as raw:
                queue = raw.open().declare(exclusive=True)
                raw.call(1, spec.Queue.Bind(queue=queue, exchange="amq.topic", routing_key="flood.#"), spec.Queue.BindOk)
                raw.call(1, spec.Basic.Consume(queue=queue, no_ack=True), spec.Basic.ConsumeOk)
                self.trickle(raw)
        else:
            with mqtt.RawMqtt(self.broker.mqtt) as raw:
                raw.open("").subscribe(("flood/#", 0))
                self.trickle(raw)

    def trickle(self, raw):
        """Some seconds of it."""
        end = time.monotonic() + self.chance.uniform(3, 10)
        while time.monotonic() < end and not self.stopping.wait(0.1):
            if not raw.socket.recv(2048):
                return


class Churn(Trouble):
    """Connections, queues, bindings, sessions and retained messages that come and go."""

    pause = (0.02, 0.06)

    def __init__(self, broker, seed):
        super().__init__(broker, seed)
        # A durable queue that a restart may have left behind.
        self.queue = None

    def once(self):
        """One short life; a third of them end without goodbye."""
        self.chance.choice((self.amqp, self.mqtt, self.session, self.durable))()

    def amqp(self):
        """A queue of the connection's own, and a message through it."""
        with RawAmqp(self.broker.amqp) as raw:
            queue = raw.open(channels=(1, 2)).declare(exclusive=True, auto_delete=True)
            key = f"churn.{self.chance.randrange(1000)}"
            raw.call(1, spec.Queue.Bind(queue=queue, exchange="amq.topic", routing_key=key), spec.Queue.BindOk)
            raw.call(1, spec.Basic.Consume(queue=queue), spec.Basic.ConsumeOk)
            raw.send(publish(2, "amq.topic", key, b"churn"))
            raw.expect(spec.Basic.Deliver)
            if self.chance.random() < 0.66:
                raw.read_frame()
                raw.read_frame()
                raw.call(0, spec.Connection.Close(200, "", 0, 0), spec.Connection.CloseOk)

    def durable(self):
        """A durable queue with a persistent message, both of which go."""
        with RawAmqp(self.broker.amqp) as raw:
            raw.open()
            if self.queue:
                raw.call(1, spec.Queue.Delete(queue=self.queue), spec.Queue.DeleteOk)
            self.queue = f"churn-{self.chance.randrange(10**9)}"
            raw.declare(self.queue, durable=True)
            raw.send(publish(1, "", self.queue, b"churn", spec.BasicProperties(delivery_mode=2)))
            raw.call(1, spec.Queue.Delete(queue=self.queue), spec.Queue.DeleteOk)
            self.queue = None

    def mqtt(self):
        """A clean session with a retained message."""
        with mqtt.RawMqtt(self.broker.mqtt) as raw:
            topic = f"churn/{self.chance.randrange(1000)}"
            raw.open("").subscribe((topic, 1))
            raw.send(mqtt.publish(topic, b"churn", 1, retain=True))
            raw.send(mqtt.publish(topic, b"", 1, packet_id=2, retain=True) + mqtt.packet(mqtt.PINGREQ, 0, b""))
            while raw.read_packet()[0] != mqtt.PINGRESP:
                pass
            if self.chance.random() < 0.66:
                raw.send(mqtt.closing(mqtt.DISCONNECT))

    def session(self):
        """A session that ends a second after its connection."""
        with mqtt.RawMqtt(self.broker.mqtt) as raw:
            name = f"churn-{self.chance.randrange(10**9)}"
            raw.open(name, properties=b"\x11" + mqtt.u32(1)).subscribe(("churn/#", 1))


class Polls(Trouble):
    """Somebody has the management UI open, and Prometheus scrapes."""

    def once(self):
        """What the first pages of the UI ask for."""
        management = Management(self.broker.http)
        for path in ("overview", "queues?page=1&page_size=100", "connections", "channels", "nodes"):
            management.read(path)


class Restarts(Trouble):
    """The broker is killed or stopped, and started again."""

    pause = (8, 20)

    def __init__(self, broker, seed, books):
        super().__init__(broker, seed)
        self.books = books

    def once(self):
        """Two in three are kill -9."""
        is_crash = self.chance.random() < 0.66
        if is_crash:
            self.broker.kill()
        else:
            status = self.broker.terminate()
            if status != 0:
                self.complaints.append(f"an orderly stop ended with status {status}")
        self.broker.start()
        if is_crash:
            for book in self.books:
                book.note_crash()


class Samples(threading.Thread):
    """What the process holds, every second: memory, file descriptors, threads."""

    def __init__(self, broker):
        super().__init__(name="samples", daemon=True)
        self.broker, self.taken, self.stopping = broker, [], threading.Event()

    def run(self):
        """Until `stop`."""
        while not self.stopping.wait(1):
            self.taken.append(self.broker.holdings())

    def stop(self):
        """Ends it."""
        self.stopping.set()
