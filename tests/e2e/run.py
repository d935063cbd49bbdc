#!/usr/bin/env python3
"""run.py - runs the end-to-end tests: every function test_* of tests/e2e/test_*.py,
two at a time, each in a process of its own with real daemons on free ports.
Usage: run.py [--build DIR] [--matrix 1x1,2x3] [-v] [WORD...]  (words pick tests)
The last line says "N passed, N failed, N skipped".  Read next: harness.py."""

import argparse
import ast
import concurrent.futures
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED = 77
LIMIT_S = 240


def tests_of(path):
    """(function, on both matrices) as they stand; @once marks those run a single time."""
    with open(path, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            once = any(getattr(d, "id", "") == "once" for d in node.decorator_list)
            yield node.name, not once


def collect(words, matrices):
    jobs = []
    for name in sorted(os.listdir(HERE)):
        if not (name.startswith("test_") and name.endswith(".py")):
            continue
        for function, both in tests_of(os.path.join(HERE, name)):
            title = "%s.%s" % (name[5:-3], function[5:])
            if words and not any(w in title for w in words):
                continue
            for matrix in matrices if both else matrices[:1]:
                jobs.append((title, name[:-3], function, matrix))
    return jobs


def run_one(job):
    title, module, function, matrix = job
    began = time.monotonic()
    child = subprocess.Popen([sys.executable, os.path.join(HERE, "harness.py"), module, function, matrix],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             universal_newlines=True, errors="replace")
    try:
        out, _ = child.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGTERM)       # it ends its own processes
        try:
            out, _ = child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            out, _ = child.communicate()
        out += "\nnot done after %d s\n" % LIMIT_S
    return job, child.returncode, out, time.monotonic() - began


def show(result, verbose):
    (title, _, _, matrix), code, out, seconds = result
    word = {0: "PASS", SKIPPED: "SKIPPED"}.get(code, "FAIL")
    line = "%-7s %s [%s] %.1f s" % (word, title, matrix, seconds)
    if word == "SKIPPED":
        line += ": " + (out.strip().splitlines() or ["?"])[-1]
    print(line, flush=True)
    if word == "FAIL" or verbose:
        for text in out.splitlines():
            print("    " + text, flush=True)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", help="where the programs are (default build, build/san with SAN=1)")
    ap.add_argument("--matrix", default="1x1,2x3", help="rx x tx processes, default 1x1,2x3")
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("-v", action="store_true")
    ap.add_argument("words", nargs="*")
    args = ap.parse_args()
    if args.build:
        os.environ["RELAYD_BUILD"] = os.path.abspath(args.build)
        if os.path.basename(os.path.abspath(args.build)) == "san":
            os.environ["SAN"] = "1"
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(143))
    sys.path.insert(0, os.path.join(HERE, "..", "lab"))
    import parts
    parts.foreign("library_path")       # one download, before they start
    counts = {"PASS": 0, "FAIL": 0, "SKIPPED": 0}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = [pool.submit(run_one, j) for j in collect(args.words, args.matrix.split(","))]
        for done in concurrent.futures.as_completed(jobs):
            result = done.result()
            show(result, args.v)
            counts[{0: "PASS", SKIPPED: "SKIPPED"}.get(result[1], "FAIL")] += 1
    print("%d passed, %d failed, %d skipped" % (counts["PASS"], counts["FAIL"], counts["SKIPPED"]))
    return 1 if counts["FAIL"] or not sum(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
