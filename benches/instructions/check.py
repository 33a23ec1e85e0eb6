#!/usr/bin/env python3
"""Counts instructions per message, and holds the counts against baseline.json.

    check.py [--store] [CASE…]

The cases are those of the program leveret-instructions, one part of the broker each, and those of
end_to_end.py, in which the broker itself serves clients. Each is a test: it fails if it takes more
than 5 % more instructions than the baseline says, or 5 % less, since a baseline that is too high
notices nothing. `--store` writes what was counted into the baseline. The last line is
`N passed, N failed`.

Valgrind counts, on a processor that it makes up; so neither load nor clock matter. What does is
the compiler, the C library and the instruction set: the baseline names them.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import end_to_end

HERE = Path(__file__).resolve().parent
RELEASE = HERE.parents[1] / "target" / "release"
BASELINE = HERE / "baseline.json"
CHANGE_MAX = 0.05
STORE = "python3 benches/instructions/check.py --store"
# With what a plain build makes, so that dependencies are built once.
BUILD = ["cargo", "build", "--release", "-p", "leveret", "-p", "leveret-ctl", "-p", "leveret-instructions"]
# Variants of memcpy and the like are chosen at run time; these are what every processor has.
ENVIRONMENT = {**os.environ, "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-ERMS,-FSRM"}


def instructions(command, *options, during=None):
    """The instructions of a program, from its beginning to its end or as the options say."""
    with tempfile.TemporaryDirectory() as directory:
        valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=counts", *options]
        one_processor = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))] if during else []
        with subprocess.Popen([*one_processor, *valgrind, *command], env=ENVIRONMENT, text=True, cwd=directory,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                if during:
                    during(process)
                    process.terminate()
                _, errors = process.communicate(timeout=120)
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{errors}")
        counted = re.search(r"^(?:totals|summary): (\d+)$", Path(directory, "counts").read_text(), re.MULTILINE)
        return int(counted[1])


def count_part(program, case, messages):
    counted = "--toggle-collect=leveret_instructions::count_instructions*"
    return instructions([program, case], "--collect-atstart=no", counted) / messages


def count_end_to_end(case):
    """Twice, with fewer messages and with more: the difference is that of messages alone."""
    def run(rounds):
        command = end_to_end.broker(RELEASE / "leveret")
        return instructions(command, during=lambda process: end_to_end.play(case, process, rounds))
    few, many = end_to_end.ROUNDS
    return (run(many) - run(few)) / (many - few) / end_to_end.MESSAGES


def cases():
    """The name of each case, and a function that counts the instructions of one message."""
    program = str(RELEASE / "leveret-instructions")
    listed = subprocess.run([program], check=True, text=True, capture_output=True).stdout
    for case, messages in (line.split() for line in listed.splitlines()):
        yield case, lambda case=case, messages=messages: count_part(program, case, int(messages))
    for case in end_to_end.CASES:
        yield case, lambda case=case: count_end_to_end(case)


def machine():
    """What the counts depend on besides the code."""
    rustc = subprocess.run(["rustc", "--version"], check=True, text=True, capture_output=True).stdout
    has_avx2 = "avx2" in Path("/proc/cpuinfo").read_text()
    processor = platform.machine() + (" with AVX2" if has_avx2 else "")
    return ", ".join([rustc.strip(), " ".join(platform.libc_ver()), processor])


def verdict(case, counted, before):
    """Whether a count is as before, and what to say of it."""
    if before is None:
        return False, f"FAILED  {case}: {counted:,.1f} instructions, and none in the baseline; store it with: {STORE}"
    change = counted / before - 1
    text = f"{case}: {before:,.1f} -> {counted:,.1f} instructions ({change:+.1%})"
    if change > CHANGE_MAX:
        return False, f"FAILED  {text}: a message costs more than it did. If it has to, store it with: {STORE} {case}"
    if change < -CHANGE_MAX:
        return False, f"FAILED  {text}: better. Store it, so that it stays: {STORE} {case}"
    return True, f"ok      {text}"


def main(arguments):
    subprocess.run(BUILD, cwd=HERE, check=True)
    stores, wanted = "--store" in arguments, [case for case in arguments if case != "--store"]
    known = {name: count for name, count in cases() if not wanted or name in wanted}
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"machine": machine(), "counts": {}}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counted = dict(zip(known, pool.map(lambda count: round(count(), 1), known.values())))
    if stores:
        counts = {} if not wanted else baseline["counts"]
        BASELINE.write_text(json.dumps({"machine": machine(), "counts": {**counts, **counted}}, indent=2) + "\n")
        return print(f"{BASELINE} has what was counted")
    verdicts = [verdict(case, count, baseline["counts"].get(case)) for case, count in counted.items()]
    if not wanted:
        gone = sorted(set(baseline["counts"]) - set(counted))
        verdicts += [(False, f"FAILED  {case}: in the baseline, but nobody counts it") for case in gone]
    if baseline["machine"] != machine():
        verdicts.append((False, f"FAILED  the baseline is of {baseline['machine']}, this is {machine()}: compare two "
                                f"commits here, or, to make this the reference, store it with: {STORE}"))
    print("\n".join(text for _, text in verdicts))
    failed = sum(not passes for passes, _ in verdicts)
    print(f"{len(verdicts) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
