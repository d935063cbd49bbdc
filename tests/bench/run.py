#!/usr/bin/env python3
"""run.py - "make bench": how many messages a second go through relayd, taken and
delivered, by messages of each size and by connections of each length.  Says
what was lost or doubled, too.  Usage: run.py [--build DIR] [--rx N] [--tx N].
Read next: smtpgen.c (the sender), ../lab/sinksmtp.c (the receiver)."""

import argparse
import os
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("../e2e", "../lab"):
    sys.path.insert(0, os.path.join(HERE, folder))

import parts                    # noqa: E402
from harness import Field       # noqa: E402

# name, messages, options of smtpgen
RUNS = (
    ("1 KB, 100 connections, pipelined", 40000, ["-c", 100, "-p", "-l", 1024]),
    ("1 KB, 20 connections, pipelined", 40000, ["-c", 20, "-p", "-l", 1024]),
    ("1 KB, 100 connections, one message each", 20000, ["-c", 100, "-n", 1, "-l", 1024]),
    ("1 KB, 100 connections, 50 domains", 40000, ["-c", 100, "-p", "-l", 1024, "-D", 50]),
    ("32 KB, 50 connections, pipelined", 10000, ["-c", 50, "-p", "-l", 32768]),
    ("1 MB, 10 connections", 500, ["-c", 10, "-p", "-l", 1048576]),
)


def measure(matrix, messages, options):
    with parts.World("bench") as world:
        f = Field(world, matrix, domains=("bench.test",), start=False)
        f.dns.tell("on * *.bench.test MX answer 10 mx.bench.test", "on * mx.bench.test MX nodata")
        f.sink.process.stop()
        f.sink = parts.Sink(world, ["127.0.0.20:%d" % f.sink_port], name="fast", log=False)
        f.relayd.start()
        began = time.monotonic()
        got = parts.smtpgen(f.relayd.port, "-m", messages, "-d", "bench.test", *options, seconds=600)
        parts.wait_until(lambda: f.sink.count()["messages"] >= messages, 300, "all are delivered")
        seconds = time.monotonic() - began
        count = f.sink.count()
        return got["rate"], messages / seconds, got["p99_ms"], f.sink.missing(messages), int(count["duplicates"])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build")
    ap.add_argument("--rx", type=int, default=1)
    ap.add_argument("--tx", type=int, default=1)
    args = ap.parse_args()
    if args.build:
        os.environ["RELAYD_BUILD"] = os.path.abspath(args.build)
    print("%-42s %10s %12s %9s %7s %9s" % ("", "taken/s", "delivered/s", "p99 ms", "lost", "twice"))
    bad = 0
    for name, messages, options in RUNS:
        taken, delivered, p99, lost, twice = measure("%dx%d" % (args.rx, args.tx), messages, options)
        print("%-42s %10.0f %12.0f %9.1f %7d %9d" % (name, taken, delivered, p99, lost, twice), flush=True)
        bad += lost + twice
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
