"""The Celery application that the workers run. Every run of a task leaves a line in the ledger.

`WORK_BROKER`, `WORK_BACKEND`, `WORK_QUEUE` and `WORK_LEDGER` say where.
"""

import os
import signal
import time

from celery import Celery


def application(broker, backend, queue):
    """The application as workers and clients have to set it up."""
    app = Celery("work", broker=broker, backend=backend)
    app.conf.update(
        task_default_queue=queue,
        # Publishing returns once the broker has confirmed.
        broker_transport_options={"confirm_publish": True},
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
        # What is unsettled when the broker goes away comes back; it must not run twice at a time.
        worker_cancel_long_running_tasks_on_connection_loss=True,
        result_chord_retry_interval=0.1,
        worker_hijack_root_logger=False,
    )
    return app


app = application(*(os.environ.get(f"WORK_{name}") for name in ("BROKER", "BACKEND", "QUEUE")))


def note(request, event="run"):
    """Adds a line to the ledger, in one write."""
    redelivered = bool((request.delivery_info or {}).get("redelivered"))
    line = f"{event} {request.id} {request.retries} {redelivered} {time.time()}\n"
    ledger = os.open(os.environ["WORK_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, line.encode())
    os.close(ledger)


@app.task(bind=True, name="add")
def add(self, *numbers):
    """The sum, also of one list."""
    note(self.request)
    return sum(numbers[0] if isinstance(numbers[0], list) else numbers)


@app.task(bind=True, name="fail_twice", max_retries=5)
def fail_twice(self):
    """Succeeds the third time."""
    note(self.request)
    if self.request.retries < 2:
        raise self.retry(countdown=0.2)
    return self.request.retries


@app.task(bind=True, name="work", acks_late=True)
def work(self, seconds):
    """Takes its time, and is acknowledged afterwards."""
    note(self.request, "begin")
    time.sleep(seconds)
    note(self.request)


@app.task(bind=True, name="die_once", acks_late=True, reject_on_worker_lost=True)
def die_once(self):
    """Kills the process that it runs in, the first time."""
    note(self.request)
    if not self.request.delivery_info["redelivered"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"
