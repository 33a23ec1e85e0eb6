"""kill -9 under load, again and again: what the broker promised its clients, and what it kept.

`LEVERET_KILL_ROUNDS` is how many rounds there are, `LEVERET_KILL_SEED` where the chances begin.
"""

import itertools
import os
import random
import subprocess

import pytest

from support.amqp_client import connect, drain
from support.broker import ROOT, Broker
from support.ledger import (
    BARRIER, END, PERSISTENT, AmqpConsumer, AmqpPublisher, MqttPublisher, ResumingPublisher, Subscriber, check,
)
from support.mqtt_client import MqttClient
from support.waiting import let_time_pass

pytestmark = pytest.mark.own_process
ROUNDS = int(os.environ.get("LEVERET_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("LEVERET_KILL_SEED", random.randrange(10**6)))
# So small that backlogs leave memory, and that segments go and are rewritten within a round.
SMALL = ["--storage-segment-size", "256KiB", "--message-memory", "256KiB"]
# What the broker keeps its messages in, and the part of the rounds that it gets.
ENGINES = {
    "log": ([], 0.4),
    "log, small": (SMALL, 0.4),
    "sled": (["--storage-engine", "sled", *SMALL], 0.2),
}
# What the checks say of a broker that forgets acknowledgements; the second of earlier rounds.
CAME_BACK = "came back|nobody sent"
# Rounds in which a careless broker has to be caught.
CARELESS_ROUNDS = 12
PADDING = 2000


@pytest.mark.timeout(60 + 30 * ROUNDS)
@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_lost_or_doubled_when_the_broker_is_killed_under_load(tmp_path, engine):
    arguments, part = ENGINES[engine]
    crash_again_and_again(Broker(tmp_path, arguments), max(1, round(ROUNDS * part)))


@pytest.mark.timeout(60 + 30 * CARELESS_ROUNDS)
@pytest.mark.parametrize("carelessness, complaint", [
    ("early", f"lost|duplicates|{CAME_BACK}"), ("forgetful", CAME_BACK),
])
def test_a_broker_that_breaks_its_promises_is_caught(tmp_path, carelessness, complaint):
    subprocess.run(["cargo", "build", "--quiet", "--example", "careless"], cwd=ROOT, check=True)
    binary = ROOT / "target" / "debug" / "examples" / "careless"
    broker = Broker(tmp_path, environment={"CARELESS": carelessness}, binary=binary)
    with pytest.raises(AssertionError, match=complaint):
        crash_again_and_again(broker, CARELESS_ROUNDS)


def crash_again_and_again(broker, rounds):
    """All rounds on one data directory."""
    try:
        books = Books(broker.start())
        for number in range(rounds):
            print(f"round {number} of seed {SEED}")
            books.one_round(random.Random(SEED + number))
            if number % 5 == 4 or number == rounds - 1:
                books.check_deep()
        assert "panicked at" not in broker.output()
    finally:
        broker.stop()


def client(broker, client_id="", **options):
    return MqttClient(broker.mqtt, client_id, **options).connect()


class Books:
    """What clients know, over all rounds."""

    def __init__(self, broker):
        self.broker, self.numbers, self.retained = broker, itertools.count(1), Retained()
        channel = connect(broker.amqp).channel()
        for queue in ("worked", "kept", "deep", BARRIER, "bridged", "bridged once"):
            channel.queue_declare(queue, durable=True)
        channel.queue_bind(BARRIER, "amq.topic", BARRIER)
        channel.queue_bind("bridged", "amq.topic", "load.4")
        channel.queue_bind("bridged once", "amq.topic", "load.3")
        self.sessions = {
            name: Subscriber(broker, name, topic, qos, lives=name.startswith("live"))
            for name, topic, qos in [
                ("one", "load/1", 1), ("two", "load/2", 2), ("once", "load/3", 2), ("live once", "load/3", 2),
                ("live four", "load/4", 1), ("from AMQP", "load/5", 2), ("live from AMQP", "load/5", 1)]
        }
        self.once = ResumingPublisher(broker, "load/3", self.numbers)
        self.deep_sent, self.deep_confirmed = set(), set()

    def one_round(self, chance):
        """Load, two kills at random moments, and the books compared with what is there."""
        broker, numbers = self.broker, self.numbers
        load = {
            "worked": AmqpPublisher(broker, "worked", numbers), "kept": AmqpPublisher(broker, "kept", numbers),
            "deep": AmqpPublisher(broker, "deep", numbers, chance.choice([0, PADDING])),
            "consumer": AmqpConsumer(broker, "worked"),
            "one": MqttPublisher(broker, "load/1", 1, numbers), "two": MqttPublisher(broker, "load/2", 2, numbers),
            "four": MqttPublisher(broker, "load/4", 1, numbers),
            "five": AmqpPublisher(broker, "load.5", numbers, exchange="amq.topic"),
            "retained": MqttPublisher(broker, "load/retained", 1, numbers, retain=True),
            "once": self.once.next_life(),
        }
        for thread in load.values():
            thread.start()
        let_time_pass(chance.uniform(0.05, 1.2))
        broker.kill()
        for thread in load.values():
            thread.join(20)
            assert not thread.is_alive()
        # While it starts, or just after.
        broker.launch()
        let_time_pass(chance.uniform(0, 0.3))
        broker.kill_and_restart()
        self.compare(load)

    def compare(self, load):
        """The ledgers against queues and sessions, which are emptied, but for the deep queue."""
        worked, kept, four, consumer = load["worked"], load["kept"], load["four"], load["consumer"]
        self.deep_sent |= load["deep"].sent
        self.deep_confirmed |= load["deep"].confirmed
        assert consumer.delivered == sorted(set(consumer.delivered)), "a consumer got them out of order, or twice"
        check(self.take("worked"), worked.confirmed - consumer.acknowledged, consumer.settled, worked.sent)
        check(self.take("kept"), kept.confirmed, set(), kept.sent)
        self.compare_sessions(load)
        check(self.take("bridged"), four.confirmed, set(), four.sent)
        self.retained.check(self.broker, load["retained"])

    def compare_sessions(self, load):
        """The ledgers of what MQTT subscribers get, and of the queue that gets the same as one of them."""
        self.once.complete()
        sent_once, publisher = self.once.take_sent(), client(self.broker)
        taken = {name: session.after_the_kill(publisher) for name, session in self.sessions.items()}
        publisher.disconnect()
        for name, key in (("one", "one"), ("two", "two"), ("from AMQP", "five")):
            check(taken[name], load[key].confirmed, set(), load[key].sent)
        # With QoS 1 a message may come again; in its order the first time.
        for name, key in (("live four", "four"), ("live from AMQP", "five")):
            check(list(dict.fromkeys(taken[name])), load[key].confirmed, set(), load[key].sent)
        taken["bridged once"] = self.take("bridged once")
        for name in ("once", "live once", "bridged once"):
            check(taken[name], sent_once, set(), self.once.all_sent, ordered=False)

    def check_deep(self):
        """The queue that nobody has emptied for some rounds."""
        check(self.take("deep"), self.deep_confirmed, set(), self.deep_sent)
        self.deep_sent, self.deep_confirmed = set(), set()

    def take(self, queue):
        """The numbers in a queue, which is emptied: on disk, too."""
        connection = connect(self.broker.amqp)
        channel = connection.channel()
        channel.confirm_delivery()
        bodies = drain(channel, queue)
        channel.basic_publish("", BARRIER, b"barrier", PERSISTENT)
        drain(channel, BARRIER)
        connection.close()
        return [int(body.split()[0]) for body in bodies if not body.startswith(END)]


class Retained:
    """What may be retained after any number of rounds."""

    def __init__(self):
        self.last, self.sent = 0, set()

    def check(self, broker, publisher):
        """It is the last acknowledged number, or one that was sent after it."""
        self.sent |= publisher.sent
        self.last = max(publisher.confirmed, default=self.last)
        watcher = client(broker)
        watcher.subscribe("load/retained", 1)
        watcher.publish("load/retained", b"end", 1)
        value = watcher.receive().payload
        watcher.disconnect()
        assert self.last == 0 or value != b"end", "the retained message is lost"
        assert value == b"end" or int(value) >= self.last, "a later retained message is lost"
        assert value == b"end" or int(value) in self.sent, "a retained message that nobody sent"
