"""The guard of the instruction counts: what it lets pass, and what it says of the rest."""

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benches" / "instructions"
sys.path.insert(0, str(FOLDER))
SPEC = importlib.util.spec_from_file_location("check", FOLDER / "check.py")
check = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check)


@pytest.mark.parametrize("counted, before, passes, says", [
    (100.0, 100.0, True, "(+0.0%)"),
    (104.9, 100.0, True, "(+4.9%)"),
    (105.1, 100.0, False, "100.0 -> 105.1 instructions (+5.1%): a message costs more than it did"),
    (95.1, 100.0, True, "(-4.9%)"),
    (94.9, 100.0, False, "100.0 -> 94.9 instructions (-5.1%): better. Store it"),
    (100.0, None, False, "none in the baseline"),
])
def test_a_count_passes_if_it_is_as_before_give_or_take_5_percent(counted, before, passes, says):
    passed, text = check.verdict("some_case", counted, before)
    assert passed == passes
    assert says in text
    assert passes or check.STORE in text


@pytest.fixture
def counts(monkeypatch, tmp_path):
    """Runs the check with these counts in place of those that Valgrind makes."""
    def run(counted, *arguments, machine="here"):
        monkeypatch.setattr(check, "BASELINE", tmp_path / "baseline.json")
        monkeypatch.setattr(check, "BUILD", ["true"])
        monkeypatch.setattr(check, "machine", lambda: machine)
        monkeypatch.setattr(check, "cases", lambda: [(name, lambda n=n: n) for name, n in counted.items()])
        with pytest.raises(SystemExit) as ended:
            check.main([*arguments])
            raise SystemExit(0)
        return ended.value.code
    return run


def test_what_is_stored_is_what_later_counts_are_held_against(counts, capsys):
    assert counts({"a": 100.0, "b": 50.0}, "--store") == 0
    assert counts({"a": 101.0, "b": 50.0}) == 0
    assert counts({"a": 106.0, "b": 50.0}) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"
    assert counts({"a": 106.0, "b": 70.0}, "--store", "a") == 0
    assert counts({"a": 106.0, "b": 50.0}) == 0


def test_cases_and_machines_do_not_change_unnoticed(counts, capsys):
    assert counts({"a": 100.0, "b": 50.0}, "--store") == 0
    assert counts({"a": 100.0}) == 1
    assert "b: in the baseline, but nobody counts it" in capsys.readouterr().out
    assert counts({"a": 100.0, "b": 50.0, "c": 1.0}) == 1
    assert counts({"a": 100.0, "b": 50.0}, machine="elsewhere") == 1
    assert "the baseline is of here, this is elsewhere" in capsys.readouterr().out
