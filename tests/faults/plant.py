#!/usr/bin/env python3
"""Plants faults, one at a time, and looks whether the tests notice.

A fault (faults.py) is a small change that makes the program wrong. It is written into a checkout, the release preset is
built, and the test cases that should mind are run. What no case minds has survived: a test is missing.

    tests/faults/plant.py                           # all of them, in this checkout: an hour or two
    tests/faults/plant.py --only session-share adam-correction
    tests/faults/plant.py --source ../other --report faults.md

The file is put back whatever happens. A fault that does not build, or that makes the tests hang, says nothing: it is
invalid, not caught. Exit code: 0 all caught, 1 some survived, 2 some are invalid.
"""

import argparse
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
from faults import FAULTS  # noqa: E402

TARGETS = ["elbo-tests", "model-runner", "plugins"]
SECONDS = 600  # for a run of the tests
FAILED = re.compile(r"^TEST CASE: +(.*)$")
COUNT = re.compile(r"\[doctest\] test cases: +(\d+) \|")


def git(source, *words):
    return subprocess.run(["git", "-C", source, *words], capture_output=True, text=True, check=True).stdout


def place_of(source, fault):
    """The text of the fault's file; an error unless what is to be replaced stands there exactly once."""
    path = source / fault.file
    text = path.read_text()
    n = text.count(fault.find)
    if n != 1:
        sys.exit(f"{fault.id}: its text stands {n} times in {fault.file}; mend tests/faults/faults.py")
    return path, text


def build(source, jobs):
    words = ["cmake", "--build", "--preset", "release", f"-j{jobs}", "--target", *TARGETS]
    done = subprocess.run(words, cwd=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode == 0, done.stdout


def failing(text):
    """The names of the cases that failed an assertion or threw, in doctest's report."""
    names = []
    blocks = text.split("=" * 79)
    for block in blocks:
        name = next((m[1] for m in map(FAILED.match, block.strip().splitlines()) if m), None)
        if name and ("ERROR: " in block) and "CRASHED" not in block and name not in names:
            names.append(name)
    return names


def test(source, files, cases, first=False):
    """(how it ended, failing cases, or the first of them alone): "ran", "crashed" or "hung"."""
    words = [source / "build/release/tests/elbo-tests", "--test-case-exclude=slow:*,deep:*", "--no-colors"]
    words.append("--source-file=" + ",".join(f"*/tests/{f}.cpp" for f in files))
    if first:
        words.append("--abort-after=1")
    if cases:
        words.append("--test-case=" + ",".join(cases))
    try:
        done = subprocess.run(words, cwd=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
        out, ended = done.stdout, "ran"
    except subprocess.TimeoutExpired as late:
        out, ended = late.stdout or b"", "hung"
    text = out.decode(errors="replace")
    if ended == "ran" and (done.returncode < 0 or "CRASHED" in text or not COUNT.search(text)):
        ended = "crashed"
    if ended == "ran" and COUNT.search(text)[1] == "0":
        sys.exit(f"no test case in {' '.join(files)} is called {' or '.join(cases)}; mend tests/faults/faults.py")
    return ended, failing(text)


def plant(source, fault, jobs, failing_anyway):
    """What became of one fault: "caught by ...", "SURVIVED" or "invalid: ..."."""
    path, text = place_of(source, fault)
    try:
        path.write_text(text.replace(fault.find, fault.replace))
        built, output = build(source, jobs)
        if not built:
            errors = [line for line in output.splitlines() if "error" in line]
            return "invalid: it does not build: " + (errors or ["?"])[0]
        ended, cases = test(source, fault.files, fault.cases, first=not failing_anyway)
    finally:
        path.write_text(text)  # newer than what was built from the fault, so that it is built again
    cases = [c for c in cases if c not in failing_anyway]
    if cases:
        return "caught by " + cases[0]
    if ended == "crashed":
        return "caught by a crash of the tests"
    return "SURVIVED" if ended == "ran" else f"invalid: the tests {ended}"


def table(rows):
    def cell(text):
        return text.replace("|", "\\|")

    out = ["| id | file | fault | what became of it |", "| --- | --- | --- | --- |"]
    out += [f"| {f.id} | {f.file} | {cell(f.breaks)} | {cell(what)} |" for f, what in rows]
    return "\n".join(out) + "\n"


def main():
    here = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description="plants faults and looks whether the tests notice")
    parser.add_argument("--source", type=Path, default=here, help="a checkout without changes (default: this one)")
    parser.add_argument("--only", nargs="+", metavar="ID", default=[], help="these alone, in this order")
    parser.add_argument("--list", action="store_true", help="name the faults, and check that they can be planted")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="of the build")
    parser.add_argument("--report", type=Path, metavar="FILE", help="a table in Markdown")
    arguments = parser.parse_args()
    source = arguments.source.resolve()

    faults = {f.id: f for f in FAULTS}
    if len(faults) != len(FAULTS):
        sys.exit("two faults have the same id")
    if unknown := [i for i in arguments.only if i not in faults]:
        sys.exit("no such fault: " + " ".join(unknown))
    chosen = [faults[i] for i in arguments.only] or FAULTS
    for f in chosen:
        place_of(source, f)
    if arguments.list:
        for f in chosen:
            print(f"{f.id:28} {f.file}: {f.breaks}" + (f" (equivalent: {f.equivalent})" if f.equivalent else ""))
        return 0
    if changed := git(source, "status", "--porcelain", "--untracked-files=no"):
        sys.exit(f"{source} has changes that are not committed, and faults would get among them:\n{changed}")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` puts the file back
    if not (source / "build/release/build.ninja").exists():
        subprocess.run(["cmake", "--preset", "release"], cwd=source, check=True)
    built, output = build(source, arguments.jobs)
    if not built:
        sys.exit("without a fault it does not build:\n" + output)
    planted = [f for f in chosen if not f.equivalent]
    ended, failing_anyway = test(source, sorted({t for f in planted for t in f.files}), []) if planted else ("ran", [])
    if ended != "ran" or failing_anyway:
        print(f"without a fault the tests {ended}; these fail anyway and do not count: {failing_anyway}", flush=True)

    rows = []
    try:
        for i, f in enumerate(chosen):
            began = time.monotonic()
            what = f"equivalent: {f.equivalent}" if f.equivalent else plant(source, f, arguments.jobs, failing_anyway)
            rows.append((f, what))
            print(f"{i + 1}/{len(chosen)} {f.id}: {what} ({time.monotonic() - began:.0f} s)", flush=True)
            if arguments.report:
                arguments.report.write_text(table(rows))
    except KeyboardInterrupt:
        print("stopped; the file is as it was")
    build(source, arguments.jobs)  # what is left behind holds no fault
    counts = {word: sum(what.startswith(word) for _, what in rows)
              for word in ("caught", "SURVIVED", "equivalent", "invalid")}
    print(", ".join(f"{n} {word.lower()}" for word, n in counts.items()))
    return 1 if counts["SURVIVED"] else 2 if counts["invalid"] else 0


if __name__ == "__main__":
    sys.exit(main())
