"""harness.py - one end-to-end test in a process of its own, and the field that
most of them play on: a name server, sinks, relayd between them.  Must leave no
process behind, and fail a test in which a process broke.
Read next: ../lab/parts.py (the processes), test_delivery.py (the plainest)."""

import importlib
import os
import signal
import sys
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lab"))
sys.path.insert(0, HERE)

import parts    # noqa: E402
from parts import Failure, wait_until   # noqa: E402,F401

SKIPPED = 77


class Skip(Exception):
    """The test cannot run here; the text says why."""


def once(function):
    """Run with one matrix only: the processes' number does not matter."""
    return function


def check(good, text):
    if not good:
        raise Failure(text)


def equal(got, want, what):
    check(got == want, "%s: got %r, wanted %r" % (what, got, want))


def has(text, part, what):
    check(part in text, "%s: wanted \"%s\" in:\n%s" % (what, part, parts.tail(str(text), 40)))


class Field:
    """far.test and near.test with an MX each, a sink behind both, relayd."""

    DOMAINS = ("far.test", "near.test")

    def __init__(self, world, matrix, keep=False, start=True, domains=DOMAINS, sink_options=(), **conf):
        self.world = world
        self.rx, self.tx = (int(n) for n in matrix.split("x"))
        self.domains = domains
        self.ns = "127.0.0.1:%d" % parts.free_port()
        self.dns = parts.FaultDns(world, [self.ns], self.script())
        self.sink_port = parts.free_port()
        addresses = ["%s:%d" % (self.address(d), self.sink_port) for d in domains]
        self.sink = parts.Sink(world, addresses, keep=keep, options=sink_options)
        self.relayd = parts.Relayd(world, self.conf(**conf), rx=self.rx, tx=self.tx)
        if start:
            self.relayd.start()

    def address(self, domain):
        return "127.0.0.%d" % (20 + self.domains.index(domain))

    def script(self):
        lines = []
        for d in self.domains:
            lines += ["zone %s ns.%s" % (d, d), "on * %s MX answer 10 mx.%s" % (d, d),
                      "on * mx.%s A answer %s" % (d, self.address(d))]
        return "\n".join(lines) + "\nzone test ns.test\n"

    def conf(self, resolve="", retry="schedule = \"1s\"; dns = \"1s\";", connector="", top="", sets="",
             servers=None):
        return """
%s
resolvers = { main = { servers = "%s"; timeout = "500ms"; hedge = "100ms"; tries = 1; }; %s };
connectors = ( {
  name = "internet"; domains = "*"; port = %d; allow_addresses = [ "127.0.0.0/8", "::1/128" ];
  resolve = { resolvers = "main"; %s };
  retry = { %s };
  %s
} );
""" % (top, servers or self.ns, sets, self.sink_port, resolve, retry, connector)

    def send(self, rcpts, body, sender="me@here.test"):
        """One message by hand; fails unless it got its 250."""
        s = self.relayd.smtp()
        try:
            s.hello()
            code, text = s.send(sender, [rcpts] if isinstance(rcpts, str) else rcpts, body)
            check(code == 250, "not taken: %s" % text)
            return text
        finally:
            s.close()

    def drained(self, seconds=30):
        wait_until(self.relayd.empty, seconds, "the queue is empty; it holds %s" % self.relayd.queue())

    def arrived(self, count, seconds=20):
        try:
            wait_until(lambda: self.sink.messages() >= count, seconds, "%d messages arrive" % count)
        except Failure as e:
            raise Failure("%s; %d did\n%s" % (e, self.sink.messages(), self.relayd.ctl("queue").stdout))

    def taken(self):
        """What the sink took, as its log tells it."""
        return [t for t in self.sink.log() if t["taken"]]


def without_received(body):
    """What the client sent: all behind our own Received, which must be first."""
    check(body.startswith(b"Received:"), "no Received first: %r" % body[:80])
    end = body.index(b"\r\n") + 2
    while body[end:end + 1] in (b" ", b"\t"):
        end = body.index(b"\r\n", end) + 2
    return body[end:]


def end(number, frame):
    raise SystemExit(128 + number)


def main():
    module, function, matrix = sys.argv[1:4]
    signal.signal(signal.SIGTERM, end)
    with parts.World("e2e") as world:
        try:
            getattr(importlib.import_module(module), function)(world, matrix)
            world.end()
            for report in world.crashes():
                raise Failure("something broke in " + report)
            return 0
        except Skip as e:
            print("SKIPPED: %s" % e)
            return SKIPPED
        except Exception as e:
            if isinstance(e, Failure):
                at = traceback.extract_tb(e.__traceback__)
                print("\n".join("%s:%d" % (os.path.basename(f.filename), f.lineno) for f in at[-3:]))
                print(e)
            else:
                traceback.print_exc(file=sys.stdout)
            for p in world.processes:
                if p.name.startswith("relayd") or parts.CRASH.search(p.err()):
                    print("-- %s (%s) said:\n%s" % (p.name, p.popen.poll(), parts.tail(p.err(), 30)))
            return 1


if __name__ == "__main__":
    import harness      # the tests' own Skip and Failure, not a second copy of them
    sys.exit(harness.main())
