"""Plays every row of the table in each of its versions."""

import re
from importlib import import_module
from pkgutil import iter_modules

import pytest

from mqtt_conformance import rows
from mqtt_conformance.conversation import Conversation

AREAS = {
    found.name: import_module(f"mqtt_conformance.rows.{found.name}").ROWS for found in iter_modules(rows.__path__)}
ALL = [(area, row) for area, table in AREAS.items() for row in table]
PLAYED = [(f"{area}: {row.name}, v{version}", row, version)
          for area, row in ALL for version in row.versions]
STATEMENT = re.compile(r"(v3\.1(\.1)? )?(MQTT-)?\d+(\.\d+)+(-\d+)?")


@pytest.mark.parametrize("row, version", [played[1:] for played in PLAYED], ids=[played[0] for played in PLAYED])
def test_row(broker, row, version):
    Conversation(broker, version).play(row.steps)


def test_names_are_unique():
    names = [(area, row.name) for area, row in ALL]
    assert sorted(set(names)) == sorted(names)


def test_every_row_proves_statements():
    wrong = [proved for _, row in ALL for proved in row.proves if not STATEMENT.fullmatch(proved)]
    assert wrong == []
