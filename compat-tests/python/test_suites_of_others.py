"""What the suites of others report: neither a failure nor an old excuse must be overlooked."""

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / "suites-of-others"


def load(name):
    """A module of that folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"suites_of_others_{name}", HERE / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


report, table = load("report"), load("table")

PYTEST = """<?xml version="1.0"?>
<testsuites name="pytest tests"><testsuite name="pytest" tests="4">
<testcase classname="t.test_a.test_Some" name="test_good" time="0.1" />
<testcase classname="t.test_a" name="test_bad[1]" time="0.1"><failure message="no">text</failure></testcase>
<testcase classname="t.test_a" name="test_skipped" time="0.1"><skipped type="pytest.skip" message="why" /></testcase>
<testcase classname="t.test_a" name="test_torn" time="0.1"><system-out>text</system-out></testcase>
<testcase classname="t.test_a" name="test_torn" time="0.1"><error message="teardown">text</error></testcase>
</testsuite></testsuites>"""
NODE = """<?xml version="1.0"?>
<testsuites>
<testsuite name="Connect" failures="1"><testsuite name="API"><testcase name="good" classname="test"/>
<testcase name="bad" classname="test"><failure type="testCodeFailure" message="no">text</failure></testcase>
</testsuite></testsuite>
<testcase name="/a/file.test.js" classname="test"><failure message="the file failed"/></testcase>
</testsuites>"""


def test_tests_of_pytest_are_named_by_module_class_and_name():
    assert report.outcomes(PYTEST) == {
        "t.test_a.test_Some > test_good": "passed",
        "t.test_a > test_bad[1]": "failed",
        "t.test_a > test_skipped": "skipped",
        "t.test_a > test_torn": "failed",
    }


def test_tests_of_node_are_named_by_the_blocks_around_them():
    assert report.outcomes(NODE) == {
        "Connect > API > good": "passed",
        "Connect > API > bad": "failed",
        "/a/file.test.js": "failed",
    }


@pytest.mark.parametrize("found, known, complaints", [
    ({"a": "passed", "b": "passed"}, {}, []),
    ({"a": "passed", "b": "failed"}, {}, ["failed: b"]),
    ({"a": "passed", "b": "skipped"}, {}, ["skipped: b"]),
    ({"a": "passed", "b": "failed"}, {"b": "why"}, []),
    ({"a": "passed", "b": "skipped"}, {"b": "why"}, []),
    ({"a": "passed", "b": "passed"}, {"b": "why"}, ["a known difference that passes: b"]),
    ({"a": "passed", "b": "passed"}, {"c": "why"}, ["a known difference that is no test of this suite: c"]),
    ({"a": "passed"}, {}, ["1 tests instead of 2"]),
    ({}, {}, ["0 tests instead of 2"]),
])
def test_what_neither_passes_nor_is_known_is_a_complaint(found, known, complaints):
    verdict = report.judge(found, known, expected=2)
    assert verdict.complaints == complaints
    assert verdict.passed == list(found.values()).count("passed")


def test_the_list_of_known_differences_names_suites_and_reasons():
    text = (HERE / "known-differences.toml").read_text()
    for suite, entries in report.tomllib.loads(text).items():
        assert suite in table.SUITES
        known = report.known_differences(text, suite)
        assert len(known) == len(entries), f"{suite}: a test is listed twice"
        assert all(known.values()), f"{suite}: an entry gives no reason"
