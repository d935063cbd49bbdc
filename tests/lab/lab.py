#!/usr/bin/env python3
"""lab.py - "make lab": plays the story that relayd was written for, against
faulty name servers, real caching resolvers and a sink, on loopback only.
"make lab-shell" (--shell) stops at the deferral and leaves everything running.
Read next: story.py (the acts), stage.py (what stands on it), parts.py."""

import os
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import parts    # noqa: E402
import shell    # noqa: E402
import story    # noqa: E402
from stage import Stage     # noqa: E402
from teller import Teller   # noqa: E402


def end(number, frame):
    raise SystemExit(128 + number)


def main():
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    if sys.argv[1:] not in ([], ["--shell"]):
        print("usage: lab.py [--shell]", file=sys.stderr)
        return 2
    teller = Teller(sys.stdout)
    began = time.monotonic()
    try:
        with parts.World("lab") as world:
            stage = Stage(world)
            if sys.argv[1:] == ["--shell"]:
                return shell.play(teller, stage)
            story.play(teller, stage)
            for report in world.crashes():
                teller.check(False, "nothing broke, yet there is this of " + report)
            if teller.failed:
                teller.note("relayd's log ended:\n" + parts.tail(stage.relayd.log(), 40))
    except parts.Failure as e:
        teller.check(False, str(e))
    teller.end(time.monotonic() - began)
    return 1 if teller.failed else 0


if __name__ == "__main__":
    sys.exit(main())
