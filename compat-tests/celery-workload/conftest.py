"""The fixtures of every suite, from `../python/support/fixtures.py`, and workers."""

import os
import signal
import subprocess
import sys
import uuid
from collections import namedtuple
from pathlib import Path

import pytest
from support.broker import clean_environment
from support.fixtures import *  # noqa: F403
from support.waiting import eventually

import work

HERE = Path(__file__).resolve().parent
START_SECONDS_MAX = 30

Run = namedtuple("Run", "event task retries redelivered time")


class Worker:
    """A worker: a process with two children that run tasks."""

    def __init__(self, workload, *arguments):
        self.name = f"{uuid.uuid4().hex[:8]}@leveret"
        self.log = workload.directory / f"{self.name}.log"
        command = [
            sys.executable, "-m", "celery", "-A", "work", "worker", "--concurrency", "2", "--hostname", self.name,
            "--loglevel", "INFO", "--without-mingle", "--without-gossip", *arguments,
        ]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=HERE,
                env=clean_environment(workload.environment), start_new_session=True,
            )

    def ready(self):
        """Waits until it consumes."""
        eventually(self._is_ready, f"{self.name} is ready", START_SECONDS_MAX)
        return self

    def _is_ready(self):
        assert self.process.poll() is None, f"the worker has ended:\n{self.output()}"
        return f"{self.name} ready." in self.output()

    def output(self):
        """What it has printed."""
        return self.log.read_text(errors="replace")

    def kill(self):
        """kill -9, children included."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def terminate(self):
        """An orderly stop: what runs is finished, what was prefetched goes back."""
        self.process.terminate()
        return self.process.wait(20)


class Workload:
    """A queue of a broker, its workers, and the ledger of what they have run."""

    def __init__(self, broker, directory, backend="rpc://"):
        self.directory = directory
        self.ledger = directory / "ledger"
        self.queue = f"celery-{uuid.uuid4().hex[:12]}"
        self.url = "amqp://guest:guest@{}:{}//".format(*broker.amqp)
        self.environment = {
            "WORK_BROKER": self.url, "WORK_BACKEND": backend, "WORK_QUEUE": self.queue,
            "WORK_LEDGER": str(self.ledger),
        }
        self.app = work.application(self.url, backend, self.queue)
        self.workers = []

    def worker(self, *arguments):
        """A worker that consumes."""
        self.workers.append(Worker(self, *arguments))
        return self.workers[-1].ready()

    def task(self, name, *arguments, **options):
        """A task that may be sent."""
        return self.app.signature(name, args=arguments, app=self.app, **options)

    def runs(self, event="run"):
        """What the ledger says, in order."""
        text = self.ledger.read_text() if self.ledger.exists() else ""
        lines = (line.split() for line in text.splitlines())
        return [Run(line[0], line[1], int(line[2]), line[3] == "True", float(line[4]))
                for line in lines if line[0] == event]

    def wait_for(self, tasks, seconds=30):
        """Waits until all of these tasks have run."""
        wanted = {task.id for task in tasks}
        eventually(lambda: wanted <= {run.task for run in self.runs()}, f"{len(wanted)} tasks have run", seconds)

    def waiting(self):
        """How many messages the queue has for the next worker."""
        with self.app.connection_for_write() as connection, connection.channel() as channel:
            return channel.queue_declare(self.queue, passive=True).message_count

    def stop(self):
        """Ends everything, for teardown."""
        for worker in self.workers:
            worker.kill()
        self.app.close()


@pytest.fixture
def workload(broker, tmp_path):
    """Makes workloads on the shared broker; their workers are killed after the test."""
    made = []

    def make(on=broker, **options):
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(Workload(on, directory, **options))
        return made[-1]

    yield make
    for workload in made:
        workload.stop()
