"""Flower, the monitor of Celery: its page of queues comes from the management API."""

import subprocess
import sys
from pathlib import Path

import pytest
import requests
from support.broker import clean_environment, free_port
from support.waiting import eventually

import work

WAITING = 3


@pytest.fixture
def flower(broker, name, tmp_path):
    """A Flower for one queue, in which tasks wait that no worker takes: the queue's name, and Flower's address."""
    queue, port = name("celery"), free_port()
    url = "amqp://guest:guest@{}:{}//".format(*broker.amqp)
    app = work.application(url, "rpc://", queue)
    for _ in range(WAITING):
        app.signature("add", args=(1, 2), app=app).apply_async()
    app.close()
    environment = {
        "WORK_BROKER": url, "WORK_BACKEND": "rpc://", "WORK_QUEUE": queue, "WORK_LEDGER": str(tmp_path / "ledger"),
    }
    command = [
        sys.executable, "-m", "celery", "-A", "work", "flower", "--address=127.0.0.1", f"--port={port}",
        "--broker-api=http://guest:guest@{}:{}/api/".format(*broker.http),
    ]
    with open(tmp_path / "flower.log", "wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=Path(work.__file__).parent,
            env=clean_environment({**environment, "FLOWER_UNAUTHENTICATED_API": "true"}),
        )
    try:
        yield queue, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        print((tmp_path / "flower.log").read_text())


def lengths(address):
    """What Flower has learned from the broker of its queues; nothing before it is up."""
    try:
        answer = requests.get(f"{address}/api/queues/length", timeout=5)
    except requests.ConnectionError:
        return []
    return answer.json()["active_queues"] if answer.ok else []


def test_it_shows_how_many_tasks_wait(flower):
    queue, address = flower

    def is_shown():
        return (queue, WAITING) in [(known["name"], known["messages"]) for known in lengths(address)]

    eventually(is_shown, "Flower knows the queue", 60)
    assert queue in requests.get(f"{address}/broker", timeout=5).text
