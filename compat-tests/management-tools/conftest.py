"""The fixtures of every suite, from `../python/support/fixtures.py`, and the tools of RabbitMQ's operators.

`make compat-tools` lays the tools down in `target/management-tools`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.broker import ROOT, clean_environment
from support.fixtures import *  # noqa: F403

TOOLS = ROOT / "target" / "management-tools"
TOOL_SECONDS_MAX = 60


class Admin:
    """A command line tool that administers one broker."""

    def __init__(self, command, broker):
        host, port = broker.http
        self.command = [*map(str, command), "--host", host, "--port", str(port)]

    def __call__(self, *arguments, fails=False, input=None):
        """Runs it: what it prints. `fails` says whether it has to refuse."""
        done = subprocess.run(
            [*self.command, *map(str, arguments)], capture_output=True, text=True, timeout=TOOL_SECONDS_MAX,
            env=clean_environment(), input=input,
        )
        said = f"{done.stdout}\n{done.stderr}"
        assert (done.returncode != 0) == fails, f"{arguments} ended with {done.returncode}:\n{said}"
        return said if fails else done.stdout


class PythonAdmin(Admin):
    """`rabbitmqadmin` as RabbitMQ 3 has it, a script of Python."""

    def rows(self, *arguments):
        """What a command lists, as objects."""
        return json.loads(self("--format", "raw_json", *arguments))


class RustAdmin(Admin):
    """`rabbitmqadmin` 2, which takes nothing for granted in what it reads."""

    def lines(self, *arguments):
        """What a command lists, without decoration: rows of columns."""
        text = self("--table-style", "borderless", *arguments)
        return [line.split() for line in text.splitlines() if line.strip()]


@pytest.fixture
def admin(broker):
    script = next(TOOLS.glob("rabbitmq-server/usr/lib/rabbitmq/lib/*/plugins/*/priv/www/cli/rabbitmqadmin"))
    return PythonAdmin([sys.executable, script], broker)


@pytest.fixture
def admin2(broker):
    return RustAdmin([TOOLS / "bin" / "rabbitmqadmin"], broker)


@pytest.fixture
def file(tmp_path):
    """Paths of files that a tool writes."""
    return lambda name: Path(tmp_path) / name
