"""Twenty kills at random moments of random processes, under load to several
domains at once, some of it refused for a while: whatever got its 250 arrives.
Duplicates are told, not counted as wrong.  Read next: test_kill.py."""

import os
import random
import signal
import time

import parts
from harness import Failure, Field, equal, wait_until

KILLS = 20
MESSAGES = 4000 if not parts.SAN else 1500
VICTIMS = ("queue", "queue", "tx", "tx", "rx", "ctl", "parent", "group")


def roles(f):
    return {name: pid for name, pid in f.relayd.roles().items()}


def kill_one(f, victim, complete):
    """SIGKILL; a dead parent is followed by a new relayd, a dead role by another."""
    if victim == "group":
        f.relayd.kill_group()
        f.relayd.start()
    elif victim == "parent":
        os.kill(f.relayd.process.pid, signal.SIGKILL)
        f.relayd.process.popen.wait()
        f.relayd.start()
    else:
        now = wait_until(lambda: (lambda r: r if len(r) == complete else None)(roles(f)), 30, "all roles")
        pids = [pid for name, pid in now.items() if name.startswith(victim)]
        os.kill(random.choice(pids), signal.SIGKILL)


def test_random(world, matrix):
    seed = int(os.environ.get("RELAYD_SEED", "0")) or random.randrange(1, 1 << 30)
    random.seed(seed)
    print("seed %d" % seed)
    f = Field(world, matrix, domains=("d0.load.test", "d1.load.test", "d2.load.test"))
    complete = f.rx + f.tx + 2
    taken = world.path("taken")
    gen = parts.Process(world, "gen", [
        parts.program("smtpgen"), "-c", "20", "-m", str(MESSAGES), "-n", "20", "-D", "3", "-d", "load.test", "-k",
        "-R", str(MESSAGES // 20), "-t", "150", "-a", taken, "127.0.0.1:%d" % f.relayd.port])
    for k in range(KILLS):
        if k % 5 == 2:
            f.sink.tell('at rcpt domain=d1.load.test reply "451 4.7.1 later"')
        elif k % 5 == 4:
            f.sink.tell("off rcpt")
        time.sleep(random.uniform(0.05, 1.2))     # the moment is the test
        victim = random.choice(VICTIMS)
        print("kill %s" % victim)
        kill_one(f, victim, complete)
    f.sink.tell("off rcpt")
    gen.wait_end(170)
    got = parts.parse_gen(gen.out())
    equal(got["taken"], MESSAGES, "taken (%s)" % gen.out().strip())
    f.relayd.ctl("retry", "--all")
    try:
        wait_until(lambda: f.sink.missing(MESSAGES) == 0, 60, "everything arrives")
    except Failure as e:
        raise Failure("%s; the sink says %s, the queue:\n%s" % (
            e, f.sink.ask("missing %d" % MESSAGES), f.relayd.ctl("queue").stdout))
    f.drained(60)
    print("duplicates: %d" % f.sink.count()["duplicates"])
    f.relayd.stop()
