"""The programs of docs/interop.md, run as they stand but for the ports of the broker."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "interop.md").read_text()
#: The title of a section, its program, and what the text says that it prints.
PROGRAMS = re.findall(r"## ([^\n]+)\n(?:(?!## ).)*?```python\n(.*?)```\n\nIt prints ([^\n]+)\.\n", PAGE, re.DOTALL)


def test_every_program_is_found():
    assert len(PROGRAMS) == PAGE.count("```python") == 5


@pytest.mark.parametrize("program, printed", [found[1:] for found in PROGRAMS], ids=[found[0] for found in PROGRAMS])
def test_a_program_prints_what_the_page_says(own_broker, program, printed):
    assert '"localhost", 5672' in program and '"localhost", 1883' in program
    program = program.replace("5672", str(own_broker.amqp[1])).replace("1883", str(own_broker.mqtt[1]))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall("`([^`]+)`", printed)
