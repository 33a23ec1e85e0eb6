#!/usr/bin/env python3
"""Runs the suite of another project, as it was published, against a broker of its own.

    run.py NAME

`table.py` has the suites, `known-differences.toml` the tests that do not pass, each with its reason.
Everything else that does not pass counts as failed. The last line is `N passed, N failed`.
"""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import report
from table import FETCHED, HERE, SUITES

sys.path.insert(0, str(HERE.parent / "python"))
from support.broker import Broker  # noqa: E402

KNOWN = HERE / "known-differences.toml"
INSIDE = "--in-namespace"
STANDARD_PORTS = {"amqp": 5672, "mqtt": 1883, "http": 15672}


def main(name, is_inside):
    """Runs one suite and prints what it amounts to."""
    suite = SUITES[name]
    if suite.wants_standard_ports and not is_inside:
        enter_namespace(name)
    unpack(suite.folder)
    with tempfile.TemporaryDirectory() as directory:
        verdict = run(name, suite, Path(directory))
    for line in verdict.known:
        print(f"known difference: {line}")
    for line in verdict.complaints:
        print(f"complaint: {line}")
    print(f"{verdict.passed} passed, {len(verdict.complaints)} failed")
    sys.exit(1 if verdict.complaints else 0)


def enter_namespace(name):
    """Starts this script again in a network namespace, where all ports are free."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = [sys.executable, __file__, name, INSIDE]
    os.execvp("unshare", ["unshare", *as_root, "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *script])


def unpack(folder):
    """Lays out an archive anew; what npm has installed is there already."""
    archive = FETCHED / f"{folder.name}.tar.gz"
    if folder.parent == FETCHED:
        shutil.rmtree(folder, ignore_errors=True)
        with tarfile.open(archive) as packed:
            packed.extractall(FETCHED, filter="data")


def run(name, suite, directory):
    """Runs the suite's own runner against a new broker: the verdict."""
    broker = Broker(directory, suite.settings)
    if suite.wants_standard_ports:
        broker.bind = "127.0.0.1,::1"
        broker.amqp, broker.mqtt, broker.http = (("127.0.0.1", port) for port in STANDARD_PORTS.values())
    try:
        broker.start()
        found = run_tests(suite, broker, directory / "report.xml")
        broker.assert_sound()
    finally:
        broker.stop()
    return report.judge(found, report.known_differences(KNOWN.read_text(), name), suite.tests)


def run_tests(suite, broker, to):
    """The outcomes of all tests."""
    places = {"host": broker.amqp[0], "amqp": broker.amqp[1], "http": broker.http[1], "report": to}
    command = [part.format(**places) for part in suite.command]
    variables = {key: value.format(**places) for key, value in suite.environment.items()}
    for attempt in range(suite.attempts):
        process = subprocess.Popen(command, cwd=suite.folder, env={**os.environ, **variables}, start_new_session=True)
        try:
            process.wait(suite.seconds_max)
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            print(f"attempt {attempt + 1} has taken more than {suite.seconds_max} seconds")
    return report.outcomes(to.read_text())


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in SUITES:
        sys.exit(f"usage: run.py {' | '.join(SUITES)}")
    main(sys.argv[1], INSIDE in sys.argv)
