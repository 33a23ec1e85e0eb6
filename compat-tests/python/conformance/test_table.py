"""Plays every row of the table frame by frame, and with pika where a client of pika can say it."""

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pkgutil import iter_modules

import pytest
from pika import spec

from conformance import SECTIONS, rows
from conformance.conversation import Conversation
from conformance.pika_client import PikaClient
from conformance.raw_client import RawClient

AREAS = {found.name: import_module(f"conformance.rows.{found.name}").ROWS for found in iter_modules(rows.__path__)}
ROWS = [row for table in AREAS.values() for row in table]


def clean(broker, names):
    """Deletes what a row has left behind; a row that failed may also have left locks, which end by themselves."""
    client = RawClient(broker.amqp)
    client.connect()
    for name in names:
        for delete in (spec.Queue.Delete(queue=name), spec.Exchange.Delete(exchange=name)):
            if 1 not in client.channels:
                client.open_channel(1)
            client.send(1, delete, None, None)
            if isinstance(client.next(1).method, spec.Channel.Close):
                client.closed(1)
    client.close()


def play(broker, client, row):
    """One row with one client."""
    conversation = Conversation(broker, client)
    try:
        conversation.play(row)
    finally:
        clean(broker, [name for name in conversation.names.values() if str(name).startswith("t-")])


@pytest.fixture(scope="module")
def slow(shared_broker):
    """The runs of the rows that wait for the broker, which may as well wait together."""
    rows = [row for row in ROWS if row.is_slow()]
    with ThreadPoolExecutor(len(rows) + 1) as pool:
        yield {row.id: pool.submit(Conversation(shared_broker, RawClient).play, row) for row in rows}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_frame_by_frame(broker, slow, row):
    if row.is_slow():
        slow[row.id].result()
    else:
        play(broker, RawClient, row)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.raw_only], ids=lambda row: row.id)
def test_with_pika(broker, row):
    play(broker, PikaClient, row)


def test_ids_are_unique():
    ids = [row.id for table in AREAS.values() for row in table]
    assert sorted(set(ids)) == sorted(ids)


def test_ids_begin_with_a_section():
    assert {row.id.split()[0] for table in AREAS.values() for row in table} <= SECTIONS.keys()


def test_there_are_enough_rows():
    assert len(ROWS) >= 800
