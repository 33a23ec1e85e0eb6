"""Inputs that brought other brokers down, or past their permissions, with what has to become of them here."""

from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Row:
    """One weakness of another broker.

    `act` takes a broker, sends what the weakness was about, and checks the answer. That the broker
    lives on, works for others and has not grown is checked after every row.
    """

    name: str
    broker: str
    wrong: str
    source: str
    act: Callable


def record(cve):
    """Where a CVE is written down."""
    return f"https://www.cve.org/CVERecord?id={cve}"
