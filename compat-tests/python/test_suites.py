"""The script that adds up all suites: it must not be able to overlook a failure."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "suites.py"
SPEC = importlib.util.spec_from_file_location("suites", SCRIPT)
suites = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(suites)

CARGO = """
running 3 tests
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: {}. 4 passed; {} failed; {} ignored; 0 measured; 0 filtered out; finished in 0.01s
"""


@pytest.mark.parametrize("count, output, status, expected", [
    (suites.cargo, CARGO.format("ok", 0, 0), 0, (7, 0)),
    (suites.cargo, CARGO.format("FAILED", 2, 0), 101, (7, 2)),
    (suites.cargo, CARGO.format("ok", 0, 1), 0, (7, 1)),
    (suites.cargo, "error: could not compile `leveret`", 101, (0, 1)),
    (suites.cargo, "", 0, (0, 1)),
    (suites.pytest, "....\n4 passed in 0.10s\n", 0, (4, 0)),
    (suites.pytest, "2 failed, 4 passed, 1 error in 65.10s (0:01:05)\n", 1, (4, 3)),
    (suites.pytest, "======= 1 failed, 2 skipped in 0.5s =======\n", 1, (0, 3)),
    (suites.pytest, "4 passed, 1 skipped in 0.10s\n", 0, (4, 1)),
    (suites.pytest, "no tests ran in 0.01s\n", 5, (0, 1)),
    (suites.pytest, "ImportError: no module named pika\n", 4, (0, 1)),
    (suites.pytest, "4 passed in 0.10s\n", 1, (4, 1)),
    (suites.node, "ℹ tests 5\nℹ pass 4\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0\nℹ todo 0\n", 1, (4, 1)),
    (suites.node, "# pass 4\n# fail 0\n# skipped 2\n", 0, (4, 2)),
    (suites.node, "npm error missing script\n", 1, (0, 1)),
    (suites.total, "5 passed in 1 s\nknown difference: a: b\n51 passed, 0 failed\n", 0, (51, 0)),
    (suites.total, "1 passed, 0 failed\n4 passed, 2 failed\n", 1, (4, 2)),
    (suites.total, "4 passed, 0 failed\n", 1, (4, 1)),
    (suites.total, "Traceback (most recent call last):\n", 1, (0, 1)),
    (suites.check, "anything", 0, (1, 0)),
    (suites.check, "anything", 1, (0, 1)),
])
def test_a_report_is_counted(count, output, status, expected):
    counted = suites.tally(count, output, status)
    assert (counted.passed, counted.failed) == expected


def test_a_command_that_is_missing_is_a_failure(capsys):
    missing = suites.Suite("missing", ["/no/such/command"], suites.check)
    assert suites.run(missing) == suites.Tally(failed=1)


def test_the_sum_is_the_last_line_and_the_status_tells_of_failures(monkeypatch, capsys):
    monkeypatch.setitem(suites.SUITES, "rust", [
        suites.Suite("good", ["true"], suites.check), suites.Suite("bad", ["false"], suites.check)])
    with pytest.raises(SystemExit) as ended:
        suites.main(["rust"])
    assert ended.value.code == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"


def test_a_suite_beside_the_others_is_counted_and_shown_whole(monkeypatch, capsys):
    monkeypatch.setitem(suites.SUITES, "rust", [
        suites.Suite("slow", ["sh", "-c", "echo begin; sleep 0.3; echo end; exit 1"], suites.check, beside=True),
        suites.Suite("quick", ["sh", "-c", "echo quick"], suites.check)])
    with pytest.raises(SystemExit) as ended:
        suites.main(["rust"])
    shown = capsys.readouterr().out
    assert ended.value.code == 1
    assert "\nbegin\nend\n" in shown and "\nquick\n" in shown
    assert shown.splitlines()[-1] == "1 passed, 1 failed"
