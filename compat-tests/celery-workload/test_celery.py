"""Celery: what applications do with it, against the broker."""

import threading
import time

import pytest
from celery import chord, group
from celery.exceptions import TaskRevokedError
from support.broker import Broker
from support.waiting import eventually

SECONDS_MAX = 20


def test_results_come_back_to_who_asked(workload):
    load = workload()
    load.worker()
    results = group(load.task("add", n, n) for n in range(100)).apply_async()
    assert results.get(timeout=SECONDS_MAX) == [2 * n for n in range(100)]


def test_a_task_that_fails_is_retried_until_it_succeeds(workload):
    load = workload()
    load.worker()
    assert load.task("fail_twice").delay().get(timeout=SECONDS_MAX) == 2
    runs = load.runs()
    assert [run.retries for run in runs] == [0, 1, 2]
    assert all(later.time - earlier.time >= 0.2 for earlier, later in zip(runs, runs[1:]))


def test_a_chord_runs_its_body_once_when_all_of_its_header_has(workload, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    load = workload(backend=f"file://{results}")
    load.worker()
    total = chord((load.task("add", n, 1) for n in range(10)), load.task("add")).apply_async()
    assert total.get(timeout=SECONDS_MAX) == sum(range(10)) + 10
    assert len(load.runs()) == 11


def test_a_task_with_a_countdown_does_not_run_before_its_time(workload):
    load = workload()
    load.worker()
    sent = time.time()
    task = load.task("add", 1, 1).apply_async(countdown=1.5)
    assert task.get(timeout=SECONDS_MAX) == 2
    assert load.runs()[0].time - sent >= 1.5


def test_the_workers_answer_remote_control(workload):
    load = workload()
    worker = load.worker()
    control = load.app.control
    assert control.ping(destination=[worker.name], timeout=5) == [{worker.name: {"ok": "pong"}}]
    queues = control.inspect(destination=[worker.name], timeout=5).active_queues()
    assert [queue["name"] for queue in queues[worker.name]] == [load.queue]


def test_a_revoked_task_is_not_run(workload):
    load = workload()
    worker = load.worker()
    task = load.task("add", 1, 1).apply_async(countdown=1)
    reply = load.app.control.revoke(task.id, destination=[worker.name], reply=True, timeout=5)
    assert "ok" in reply[0][worker.name]
    with pytest.raises(TaskRevokedError):
        task.get(timeout=SECONDS_MAX)
    assert load.runs() == []


def test_events_tell_what_becomes_of_a_task(workload):
    load = workload()
    seen, listening = [], threading.Event()

    def listen():
        with load.app.connection_for_read() as connection:
            receiver = load.app.events.Receiver(connection, handlers={"*": seen.append})
            receiver.on_consume_ready = lambda *_, **__: listening.set()
            try:
                receiver.capture(limit=None, timeout=SECONDS_MAX, wakeup=False)
            except OSError:
                pass

    threading.Thread(target=listen, daemon=True).start()
    assert listening.wait(SECONDS_MAX)
    load.worker()
    task = load.task("add", 1, 1).delay()
    expected = ["task-received", "task-started", "task-succeeded"]
    eventually(lambda: [event["type"] for event in list(seen) if event.get("uuid") == task.id] == expected,
               f"{expected} are told", SECONDS_MAX)


def test_what_a_worker_has_prefetched_goes_back_when_it_stops(workload):
    load = workload()
    worker = load.worker("--prefetch-multiplier", "4")
    tasks = [load.task("work", 1).delay() for _ in range(12)]
    eventually(lambda: len(load.runs("begin")) == 2, "both children are at work")
    assert worker.terminate() == 0
    done = len(load.runs())
    assert done == len(load.runs("begin"))
    assert load.waiting() == len(tasks) - done


def test_a_worker_that_is_killed_loses_no_task(workload):
    load = workload()
    first = load.worker("--prefetch-multiplier", "4")
    tasks = [load.task("work", 0.05).delay() for _ in range(60)]
    eventually(lambda: len(load.runs()) >= 10, "the first worker is at work")
    first.kill()
    before = {run.task for run in load.runs()}
    load.worker()
    load.wait_for(tasks)
    again = [run for run in load.runs("begin") if run.redelivered]
    assert again, "nothing was in the hands of the worker that was killed"
    assert len(again) <= 8, "more came back than the worker may have held"
    assert len(load.runs()) <= len(tasks) + len(again)
    assert before < {task.id for task in tasks}
    eventually(lambda: load.waiting() == 0, "the queue is empty")


def test_a_task_whose_process_is_killed_goes_back_to_the_queue(workload):
    load = workload()
    load.worker()
    assert load.task("die_once").delay().get(timeout=SECONDS_MAX) == "alive"
    assert [run.redelivered for run in load.runs()] == [False, True]


@pytest.mark.own_process
def test_a_broker_that_is_killed_loses_no_task(workload, own_broker):
    load = workload(on=own_broker)
    load.worker()
    tasks = [load.task("work", 0.05).delay() for _ in range(60)]
    eventually(lambda: len(load.runs()) >= 10, "the worker is at work")
    own_broker.kill_and_restart()
    load.wait_for(tasks, seconds=40)
    eventually(lambda: load.waiting() == 0, "the queue is empty", seconds=20)


@pytest.mark.own_process
def test_tasks_with_a_countdown_hold_nobody_up_where_prefetch_counts_for_the_channel(workload, tmp_path):
    """Celery raises its prefetch for them; it does so for RabbitMQ before 4.0 only."""
    broker = Broker(tmp_path, ["--amqp-product", "RabbitMQ", "--amqp-version", "3.13.0"])
    try:
        load = workload(on=broker.start())
        load.worker()
        # Two more than the worker prefetches. Celery may raise its prefetch seconds late: if a message comes
        # while it waits for basic.qos-ok, it looks again at its next heartbeat only.
        later = [load.task("add", n, n).apply_async(countdown=8) for n in range(10)]
        now = load.task("add", 1, 2).delay()
        load.wait_for([now, *later])
        assert load.runs()[0].task == now.id
        broker.assert_sound()
    finally:
        broker.stop()
