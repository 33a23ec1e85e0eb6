"""What somebody new to messaging writes first: pairs of programs with pika, each in a process of its own.

The programs are in `tutorials`. Every test has a broker of its own, so the programs can use plain names.
"""

import os
import subprocess
import sys
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest

from support.amqp_client import connect, counts
from support.waiting import eventually

PROGRAMS = Path(__file__).parent / "tutorials"
SECONDS_MAX = 30
pytestmark = pytest.mark.own_process


class Program:
    """A running program, with the lines that it prints."""

    def __init__(self, name, arguments, url):
        self.process = subprocess.Popen(
            [sys.executable, PROGRAMS / f"{name}.py", *map(str, arguments)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "AMQP_URL": url})
        self.lines = Queue()
        Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self):
        """The next line, or None where the program has ended."""
        try:
            return self.lines.get(timeout=SECONDS_MAX)
        except Empty:
            raise AssertionError(f"{self.process.args[1].name} prints nothing") from None

    def ended(self):
        """All lines that are left of a program that ends well."""
        printed = list(iter(self.line, None))
        assert self.process.wait(SECONDS_MAX) == 0
        return printed

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start(own_broker):
    """Starts a program, and waits until it listens if it is one of those that do: `start("hello_receive")`."""
    running = []

    def start_program(program, *arguments, listens=False):
        running.append(Program(program, arguments, "amqp://guest:guest@{}:{}/%2F".format(*own_broker.amqp)))
        if listens:
            assert running[-1].line() == "ready"
        return running[-1]

    yield start_program
    for program in running:
        program.kill()


@pytest.fixture
def run(start):
    """Runs a program to its end: what it printed."""
    return lambda program, *arguments: start(program, *arguments).ended()


def test_hello(start, run):
    receiver = start("hello_receive", listens=True)
    run("hello_send", "world")
    assert receiver.line() == "Hello, world!"


def test_a_greeting_waits_for_somebody_to_receive_it(start, run):
    run("hello_send", "world")
    run("hello_send", "again")
    receiver = start("hello_receive", listens=True)
    assert [receiver.line(), receiver.line()] == ["Hello, world!", "Hello, again!"]


def test_a_worker_that_is_busy_does_not_keep_work_from_one_that_is_not(start, run, tmp_path):
    workers = [start("work_do", listens=True) for _ in range(2)]
    small = [tmp_path / f"{n}" for n in range(5)]
    for path in small:
        path.write_text("12345")
    run("work_send", tmp_path / "late")
    busy = next_to_print(workers)
    assert busy.line() == "began late"
    run("work_send", *small)
    free = next(worker for worker in workers if worker is not busy)
    assert [free.line() for _ in range(10)] == [
        line for n in range(5) for line in (f"began {n}", f"finished {n} 5")]
    (tmp_path / "late").write_text("123")
    assert busy.line() == "finished late 3"


def test_the_work_of_a_worker_that_dies_is_done_by_another(start, run, tmp_path):
    first = start("work_do", listens=True)
    run("work_send", tmp_path / "late", tmp_path / "next")
    assert first.line() == "began late"
    first.kill()
    second = start("work_do", listens=True)
    assert second.line() == "began late"
    (tmp_path / "next").write_text("")
    (tmp_path / "late").write_text("123")
    assert [second.line() for _ in range(3)] == ["finished late 3", "began next", "finished next 0"]


def test_news_reach_everybody_who_reads_and_nobody_later(start, run):
    readers = [start("news_read", listens=True) for _ in range(3)]
    run("news_publish", "first")
    late = start("news_read", listens=True)
    run("news_publish", "second")
    for reader in readers:
        assert [reader.line(), reader.line()] == ["first", "second"]
    assert late.line() == "second"


def test_the_log_is_followed_by_level(start, run):
    everything = start("log_follow", "info", "warning", "error", listens=True)
    errors = start("log_follow", "error", listens=True)
    for level in ("info", "error", "debug", "warning", "error"):
        run("log_write", level, f"some {level}")
    assert [everything.line() for _ in range(4)] == [
        "info: some info", "error: some error", "warning: some warning", "error: some error"]
    assert [errors.line(), errors.line()] == ["error: some error"] * 2


def test_the_weather_is_watched_by_pattern(start, run):
    watchers = {
        "everything": start("weather_watch", "#", listens=True),
        "wind": start("weather_watch", "*.*.wind", listens=True),
        "italy, and rain": start("weather_watch", "italy.#", "*.*.rain", listens=True),
    }
    for topic in ("italy.rome.rain", "norway.bergen.rain", "norway.bergen.wind", "italy", "norway.wind"):
        run("weather_report", topic, 7)
    expected = {
        "everything": ["italy.rome.rain", "norway.bergen.rain", "norway.bergen.wind", "italy", "norway.wind"],
        "wind": ["norway.bergen.wind"],
        "italy, and rain": ["italy.rome.rain", "norway.bergen.rain", "italy"],
    }
    for who, topics in expected.items():
        assert [watchers[who].line() for _ in topics] == [f"{topic} 7" for topic in topics]
    run("weather_report", "italy.rome.wind", 8)
    assert [watcher.line() for watcher in watchers.values()] == ["italy.rome.wind 8"] * 3


@pytest.mark.parametrize("how", [[], ["--direct"]], ids=["a queue for replies", "direct replies"])
def test_questions_get_their_answers(start, run, how):
    start("square_server", listens=True)
    assert run("square_ask", *how, 3, 12) == ["3 9", "12 144"]


def test_several_servers_share_the_questions_of_several_clients(start):
    for _ in range(2):
        start("square_server", listens=True)
    clients = [start("square_ask", *range(first, first + 20)) for first in (0, 100)]
    for client, first in zip(clients, (0, 100)):
        assert sorted(client.ended()) == sorted(f"{n} {n * n}" for n in range(first, first + 20))


def test_orders_are_confirmed_one_by_one(own_broker, run):
    with connect(own_broker.amqp) as connection:
        channel = connection.channel()
        channel.queue_declare("orders", arguments={"x-max-length": 2, "x-overflow": "reject-publish"})
        assert run("orders_one_by_one", "orders", "tea", "milk", "cake") == ["placed tea", "placed milk", "refused cake"]
        assert run("orders_one_by_one", "no-orders", "tea") == ["nobody takes tea"]
        assert counts(connection, "orders") == (2, 0)


def test_orders_are_confirmed_while_more_are_placed(own_broker, run):
    with connect(own_broker.amqp) as connection:
        connection.channel().queue_declare("orders", durable=True)
        assert run("orders_at_once", "orders", 500) == ["placed 500 refused 0"]
        assert counts(connection, "orders") == (500, 0)


def next_to_print(programs):
    """The first of these programs that prints something."""
    return eventually(
        lambda: next((program for program in programs if not program.lines.empty()), None), "a program prints")
