"""What a suite reports, held against the known differences.

Both pytest and Node write JUnit XML. A test is known by its path in it: the classes or the `describe`
blocks around it, and its name, with ` > ` between them. pytest reports a test twice whose teardown
failed too; the worse outcome counts.
"""

import tomllib
import xml.etree.ElementTree as xml
from dataclasses import dataclass

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
#: What the reporters call the whole, or a place that says nothing.
ANONYMOUS = (None, "pytest", "pytest tests", "test")
WORST_FIRST = (FAILED, SKIPPED, PASSED)


def outcomes(report):
    """The outcomes of all tests of a report in JUnit XML."""
    found = {}
    for test, ended in walk(xml.fromstring(report), ()):
        found[test] = min(ended, found.get(test, PASSED), key=WORST_FIRST.index)
    return found


def walk(element, path):
    """Tests below an element, with their outcomes; `path` is what is around it."""
    here = [name for name in (element.get("classname"), element.get("name")) if name not in ANONYMOUS]
    path = (*path, *here)
    if element.tag == "testcase":
        yield " > ".join(path), outcome(element)
        return
    for child in element:
        yield from walk(child, path)


def outcome(testcase):
    """How a test ended; an error of its setup or teardown is a failure."""
    tags = {child.tag for child in testcase}
    if tags & {"failure", "error"}:
        return FAILED
    return SKIPPED if "skipped" in tags else PASSED


def known_differences(text, suite):
    """The tests of a suite that do not pass, with the reason of each."""
    return {entry["test"]: entry["reason"] for entry in tomllib.loads(text).get(suite, [])}


@dataclass(frozen=True)
class Verdict:
    """What a run amounts to: what passed, what is known, and a line for everything else."""

    passed: int
    known: list
    complaints: list


def judge(found, known, expected):
    """Holds outcomes against known differences, and their number against the one that is expected.

    What is neither passed nor known is a complaint. So is an entry of the list for a test that passes,
    or that is not there: the list must not grow old.
    """
    failing = {test: ended for test, ended in found.items() if ended != PASSED}
    complaints = [f"{ended}: {test}" for test, ended in failing.items() if test not in known]
    complaints += [
        f"a known difference that {'passes' if test in found else 'is no test of this suite'}: {test}"
        for test in known if test not in failing
    ]
    if len(found) != expected:
        complaints.append(f"{len(found)} tests instead of {expected}")
    lines = [f"{test}: {reason}" for test, reason in known.items() if test in failing]
    return Verdict(len(found) - len(failing), lines, complaints)
