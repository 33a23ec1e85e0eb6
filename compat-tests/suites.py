#!/usr/bin/env python3
"""Runs suites of tests one after the other and adds up what their runners report.

    suites.py rust | counts | compat | all

Every suite runs, also after a failure; those that mostly wait run beside the others, one after the
other, and are shown when they have ended. A suite that ends with an error without reporting a failed
test counts as one failure, and so does a suite that reports no test at all; a test that was skipped
or ignored counts as failed. The last line is `N passed, N failed`, the exit status 1 if any failed.
"""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPAT = ROOT / "compat-tests"
PYTEST = [str(COMPAT / "python" / ".venv" / "bin" / "pytest"), "-q", "--color=no"]
OTHERS = COMPAT / "suites-of-others"
RUN_OTHER = [str(OTHERS / ".venv" / "bin" / "python"), "run.py"]
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Tally:
    """How many tests passed and failed."""

    passed: int = 0
    failed: int = 0

    def __add__(self, other):
        return Tally(self.passed + other.passed, self.failed + other.failed)


def sum_words(text, pattern, passing, failing):
    """Adds up all `NUMBER word` pairs that `pattern` finds."""
    tally = Tally()
    for first, second in re.findall(pattern, text, re.MULTILINE):
        number, word = (first, second) if first.isdigit() else (second, first)
        tally += Tally(int(number) * (word in passing), int(number) * (word in failing))
    return tally


def cargo(text, _status):
    """`test result: ok. 12 passed; 0 failed; 1 ignored; …`, once per test binary."""
    results = "\n".join(re.findall(r"^test result: .*$", text, re.MULTILINE))
    return sum_words(results, r"(\d+) (passed|failed|ignored)", ("passed",), ("failed", "ignored"))


def pytest(text, _status):
    """`2 failed, 890 passed, 1 error in 61.00s`, the last line of this kind."""
    summaries = re.findall(r"^=* ?((?:\d+ \w+(?:, )?)+) in [\d.]+s.*$", text, re.MULTILINE)
    failing = ("failed", "error", "errors", "skipped", "xfailed", "xpassed")
    return sum_words(summaries[-1] if summaries else "", r"(\d+) (\w+)", ("passed",), failing)


def node(text, _status):
    """`# pass 12` or `ℹ pass 12`, and the same for fail, cancelled, skipped and todo."""
    failing = ("fail", "cancelled", "skipped", "todo")
    return sum_words(text, r"^[#ℹ] (pass|fail|cancelled|skipped|todo) (\d+)$", ("pass",), failing)


def total(text, _status):
    """`51 passed, 0 failed`, the last line of this kind."""
    lines = re.findall(r"^\d+ passed, \d+ failed$", text, re.MULTILINE)
    return sum_words(lines[-1] if lines else "", r"(\d+) (passed|failed)", ("passed",), ("failed",))


def check(_text, status):
    """A command that is one check."""
    return Tally(passed=1) if status == 0 else Tally(failed=1)


@dataclass(frozen=True)
class Suite:
    """A command and how to read its report."""

    name: str
    command: list
    count: object
    directory: Path = ROOT
    environment: tuple = ()
    beside: bool = False


SUITES = {
    "rust": [
        Suite("rustfmt", ["cargo", "fmt", "--all", "--check"], check),
        Suite("clippy", ["cargo", "clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"], check),
        Suite("rustdoc", ["cargo", "doc", "--workspace", "--all-features", "--no-deps"], check,
              environment=(("RUSTDOCFLAGS", "-D warnings"),)),
        Suite("cargo test", ["cargo", "test", "--workspace", "--all-features", "--no-fail-fast"], cargo),
    ],
    "counts": [
        Suite("instruction counts", [sys.executable, str(ROOT / "benches" / "instructions" / "check.py")], total),
    ],
    "compat": [
        Suite("soak", PYTEST, pytest, COMPAT / "soak", beside=True),
        Suite("pika, paho-mqtt, aiomqtt, gmqtt", PYTEST, pytest, COMPAT / "python"),
        Suite("mosquitto-clients and amqp-tools", PYTEST, pytest, COMPAT / "cli"),
        Suite("amqplib, MQTT.js and amqp-client.js", ["npm", "test"], node, COMPAT / "node"),
        Suite("types of the management UI", ["npm", "run", "check"], check, ROOT / "admin-ui"),
        Suite("management UI in Chromium", ["npm", "test"], node, ROOT / "admin-ui"),
        Suite("rumqttc", ["cargo", "test", "--locked", "--target-dir", str(ROOT / "target" / "rumqttc")], cargo,
              COMPAT / "rust"),
        Suite("Celery", [str(OTHERS / ".venv" / "bin" / "pytest"), *PYTEST[1:]], pytest, COMPAT / "celery-workload"),
        Suite("rabbitmqadmin, Flower, KEDA, schemathesis", [str(OTHERS / ".venv" / "bin" / "pytest"), *PYTEST[1:]], pytest,
              COMPAT / "management-tools"),
        Suite("tests of kombu", [*RUN_OTHER, "kombu"], total, OTHERS),
        Suite("tests of amqp", [*RUN_OTHER, "amqp"], total, OTHERS),
        Suite("tests of AMQPStorm", [*RUN_OTHER, "amqpstorm"], total, OTHERS),
        Suite("tests of rabbitpy", [*RUN_OTHER, "rabbitpy"], total, OTHERS),
        Suite("tests of amqplib", [*RUN_OTHER, "amqplib"], total, OTHERS),
    ],
}


def tally(count, text, status):
    """What a finished suite counts as; see the head of this file."""
    counted = count(ANSI.sub("", text), status)
    silent = counted.passed + counted.failed == 0
    if silent or (status != 0 and counted.failed == 0):
        counted += Tally(failed=1)
    return counted


def show_now(text):
    """Prints what a suite in the foreground says."""
    print(text, end="", flush=True)


def run(suite, show=show_now):
    """Runs one suite and gives its output to `show`, a line at a time."""
    show(f"\n=== {suite.name}: {' '.join(suite.command)}\n")
    environment, output = {**os.environ, **dict(suite.environment)}, []
    try:
        process = subprocess.Popen(suite.command, cwd=suite.directory, env=environment, text=True, errors="replace",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        show(f"cannot run: {error}\n")
        return Tally(failed=1)
    for line in process.stdout:
        output.append(line)
        show(line)
    return tally(suite.count, "".join(output), process.wait())


def run_lane(suites, beside):
    """Runs suites one after the other: their sum, and a line for each. What runs beside others is shown at its end."""
    total, lines = Tally(), []
    for suite in suites:
        started, kept = time.monotonic(), []
        counted = run(suite, kept.append if beside else show_now)
        show_now("".join(kept))
        total += counted
        lines.append(f"{suite.name:34} {counted.passed:6} passed {counted.failed:5} failed"
                     f" {time.monotonic() - started:7.0f} s")
    return total, lines


def main(wanted):
    """Runs the suites of these groups and prints the sum."""
    groups = list(SUITES) if wanted == ["all"] else wanted
    if not groups or not set(groups) <= set(SUITES):
        sys.exit(f"usage: suites.py {' | '.join([*SUITES, 'all'])}")
    suites = [suite for group in groups for suite in SUITES[group]]
    lanes = [([suite for suite in suites if suite.beside == beside], beside) for beside in (False, True)]
    with ThreadPoolExecutor(len(lanes)) as pool:
        totals, lines = zip(*pool.map(run_lane, *zip(*lanes)))
    total = sum(totals, Tally())
    print("\n" + "\n".join(chain.from_iterable(lines)))
    print(f"{total.passed} passed, {total.failed} failed")
    sys.exit(1 if total.failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
