"""Hours of mixed traffic with faults, by default ten minutes of it: the ledger is exact, and memory flat.

`SOAK_MINUTES` is how long it takes, `SOAK_SEED` where the chances begin. In the first half the broker
is killed and stopped again and again; in the second it stays up, and has to hold what it holds.
"""

import os
import random
import statistics
from dataclasses import dataclass, field

import pytest

from support.amqp_client import connect
from support.broker import Broker
from support.management import Management
from support.waiting import eventually, let_time_pass

from book import Book
from faults import Churn, Cuts, Flood, Polls, Restarts, Samples, Silence, SlowReader
from flows import AmqpConsumer, AmqpPublisher, MqttPublisher, MqttSubscriber

MINUTES = float(os.environ.get("SOAK_MINUTES", "10"))
SEED = int(os.environ.get("SOAK_SEED", random.randrange(10**6)))
FLOWS = ("amqp", "amqp, dead letters", "mqtt qos 1", "mqtt qos 2", "mqtt to amqp", "amqp to mqtt")
DRAIN_SECONDS_MAX = 60
# Four of AMQP, and the sessions of the subscribers.
QUEUES = 7
# How much more the broker may hold at the end of the second half than at its beginning.
GROWTH_MAX, GROWTH_BYTES_MAX = 1.10, 4 * 1024 * 1024
# Far above what it takes, and far below what the flood would take if it were kept in memory.
RESIDENT_BYTES_MAX = 256 * 1024 * 1024
DISK_BYTES_MAX = 512 * 1024 * 1024


@dataclass
class Soak:
    """What a run left behind."""

    broker: Broker
    books: dict = field(default_factory=dict)
    clients: list = field(default_factory=list)
    troubles: list = field(default_factory=list)
    samples: list = field(default_factory=list)
    totals: dict = field(default_factory=dict)
    left: dict = field(default_factory=dict)


@pytest.fixture(scope="module")
def soak(tmp_path_factory):
    """The run that all tests look at."""
    print(f"{MINUTES} minutes, seed {SEED}")
    run = Soak(Broker(tmp_path_factory.mktemp("soak"), ["--storage-segment-size", "4MiB"]).start())
    try:
        publishers, consumers = start_flows(run)
        make_trouble(run, publishers + consumers)
        wind_down(run, publishers, consumers)
        yield run
    finally:
        run.broker.stop()


def start_flows(run):
    """A publisher and its consumers for each flow."""
    broker = run.broker
    run.books = {name: Book(name, exactly_once=name == "mqtt qos 2") for name in FLOWS}
    declare(broker)
    plain, dead, one, two, to_amqp, to_mqtt = (run.books[name] for name in FLOWS)
    consumers = [
        AmqpConsumer(broker.amqp, plain, "soak.plain"),
        AmqpConsumer(broker.amqp, plain, "soak.plain"),
        AmqpConsumer(broker.amqp, dead, "soak.work", rejects=True),
        AmqpConsumer(broker.amqp, dead, "soak.dead"),
        MqttSubscriber(broker.mqtt, one, "soak/one", 1),
        MqttSubscriber(broker.mqtt, two, "soak/two", 2),
        AmqpConsumer(broker.amqp, to_amqp, "soak.sensors"),
        MqttSubscriber(broker.mqtt, to_mqtt, "soak/commands", 1),
    ]
    publishers = [
        AmqpPublisher(broker.amqp, plain, "", "soak.plain"),
        AmqpPublisher(broker.amqp, dead, "", "soak.work"),
        MqttPublisher(broker.mqtt, one, "soak/one", 1),
        MqttPublisher(broker.mqtt, two, "soak/two", 2),
        MqttPublisher(broker.mqtt, to_amqp, "soak/sensors", 1),
        AmqpPublisher(broker.amqp, to_mqtt, "amq.topic", "soak.commands"),
    ]
    for consumer in consumers:
        consumer.start()
    eventually(lambda: len(Management(broker.http).read("consumers")) >= len(consumers), "every consumer consumes")
    for publisher in publishers:
        publisher.start()
    run.clients = publishers + consumers
    return publishers, consumers


def declare(broker):
    """The queues of the flows."""
    connection = connect(broker.amqp)
    channel = connection.channel()
    for queue in ("soak.plain", "soak.dead", "soak.sensors"):
        channel.queue_declare(queue, durable=True)
    channel.queue_declare("soak.work", durable=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "soak.dead"})
    channel.queue_bind("soak.sensors", "amq.topic", "soak.sensors")
    connection.close()


def make_trouble(run, clients):
    """Both halves, with everything that goes wrong in them."""
    broker, samples = run.broker, Samples(run.broker)
    restarts = Restarts(broker, SEED, run.books.values())
    steady = [Cuts(broker, SEED, clients), Churn(broker, SEED), Polls(broker, SEED), Flood(broker, SEED),
              *(Silence(broker, f"{SEED} {n}") for n in range(2)), *(SlowReader(broker, f"{SEED} {n}") for n in range(2))]
    run.troubles = [restarts, *steady]
    for trouble in run.troubles:
        trouble.start()
    let_time_pass(MINUTES * 30)
    end(restarts)
    samples.start()
    let_time_pass(MINUTES * 30)
    end(samples)
    run.samples = samples.taken
    end(*steady)


def wind_down(run, publishers, consumers):
    """Publishers end in peace, consumers get the rest; then nobody is there any more."""
    for publisher in publishers:
        publisher.finish()
    for publisher in publishers:
        publisher.join(DRAIN_SECONDS_MAX)
    try:
        eventually(lambda: not any(book.missing() for book in run.books.values()), "all is there", DRAIN_SECONDS_MAX)
    except AssertionError:
        pass  # The tests say which book does not balance.
    management = Management(run.broker.http)
    settled = eventually(lambda: management.read("overview")["queue_totals"].get("messages") == 0, "queues are empty",
                         DRAIN_SECONDS_MAX)
    assert settled
    for consumer in consumers:
        consumer.stop()
    for consumer in consumers:
        consumer.join(DRAIN_SECONDS_MAX)
    run.totals = eventually(lambda: quiet(management.read("overview")["object_totals"]), "those of the flows are left",
                            DRAIN_SECONDS_MAX)
    run.broker.assert_sound()
    run.broker.kill_and_restart()
    run.left = {queue["name"]: queue["messages"] for queue in management.read("queues")}


def quiet(totals):
    """The totals, when no connection is left, and no session but those of the flows."""
    return totals if totals["connections"] == 0 and totals["queues"] == QUEUES else None


def end(*threads):
    """Stops threads and waits for them."""
    for thread in threads:
        thread.stop()
    for thread in threads:
        thread.join(DRAIN_SECONDS_MAX)
        assert not thread.is_alive(), f"{thread.name} does not end"


@pytest.mark.parametrize("flow", FLOWS)
def test_the_ledger_is_exact(soak, flow):
    book = soak.books[flow]
    assert len(book.sent) > MINUTES * 60, "hardly anything was sent"
    assert book.unconfirmed() == []
    assert book.missing() == []
    assert book.strangers == []
    assert book.doubled() == []


def test_nobody_was_answered_wrongly(soak):
    assert [complaint for client in soak.clients + soak.troubles for complaint in client.complaints] == []


def test_trouble_was_made(soak):
    rounds = {trouble.name: trouble.rounds for trouble in soak.troubles}
    print(rounds, {client.name: client.connects for client in soak.clients})
    assert min(rounds.values()) > MINUTES / 2, rounds
    assert min(client.connects for client in soak.clients) > 1


@pytest.mark.parametrize("held", ["resident_bytes", "descriptors", "threads"])
def test_what_the_broker_holds_is_flat(soak, held):
    values = [getattr(sample, held) for sample in soak.samples]
    assert len(values) > MINUTES * 15
    third = len(values) // 3
    before, after = statistics.median(values[third // 2:third]), statistics.median(values[-third // 2:])
    print(f"{held}: {before} to {after}, at most {max(values)}")
    room = GROWTH_BYTES_MAX if held == "resident_bytes" else 4
    assert after <= before * GROWTH_MAX + room, f"{before} to {after}"


def test_it_is_small(soak):
    assert max(sample.resident_bytes for sample in soak.samples) < RESIDENT_BYTES_MAX
    assert sum(file.stat().st_size for file in soak.broker.data.rglob("*") if file.is_file()) < DISK_BYTES_MAX


def test_nothing_is_left_of_those_who_came_and_went(soak):
    assert soak.totals["consumers"] == 0
    assert soak.totals["queues"] == QUEUES
    assert sum(soak.left.values()) == 0
    assert len(soak.left) == QUEUES, soak.left
