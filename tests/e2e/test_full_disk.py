"""A spool that runs full: new mail is put off, what was taken is delivered, and
then there is room again.  On a small tmpfs in a mount namespace of its own,
which needs root.  Read next: harness.py (the field), test_kill.py."""

import ctypes
import os
import subprocess

import parts
from harness import Field, Skip, check, equal, once, wait_until

CLONE_NEWNS = 0x00020000
MESSAGES = 3000


def small_disk(path, size):
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise Skip("needs root and mount namespaces")
    os.mkdir(path)
    for argv in (["mount", "--make-rprivate", "/"], ["mount", "-t", "tmpfs", "-o", "size=" + size, "spool", path]):
        if subprocess.run(argv, stderr=subprocess.DEVNULL).returncode != 0:
            raise Skip("cannot mount")


def generate(f, first, count, taken):
    gen = parts.Process(f.world, "gen%d" % first, [
        parts.program("smtpgen"), "-c", "10", "-m", str(count), "-i", str(first), "-l", "60000", "-d", "far.test",
        "-t", "60", "-a", taken, "127.0.0.1:%d" % f.relayd.port])
    gen.wait_end(90)
    with open(taken, encoding="ascii") as lines:
        return [int(n) for n in lines.read().split()]


def is_taken(f):
    s = f.relayd.smtp()
    try:
        s.hello()
        return s.send("me@here.test", ["a@far.test"], b"Subject: x\r\n\r\n\r\n")[0] == 250
    finally:
        s.close()


@once
def test_full_and_back(world, matrix):
    small_disk(world.path("spool"), "120m")
    f = Field(world, matrix, retry='schedule = "10m"; dns = "10m";')
    f.sink.tell('at mail reply "451 4.3.0 not now"')
    taken = generate(f, 0, MESSAGES, world.path("taken"))
    check(0 < len(taken) < MESSAGES, "%d of %d were taken" % (len(taken), MESSAGES))
    f.relayd.kill_group()               # full, and a start all the same
    f.relayd.start()
    equal((f.relayd.queue().get("far.test") or {}).get("count"), len(taken), "waiting after a restart")
    f.sink.tell("off mail")
    f.relayd.must("retry", "--all")
    wait_until(f.relayd.empty, 60, "the queue is empty")
    equal(f.sink.count()["distinct"], len(taken), "arrived")
    wait_until(lambda: is_taken(f), 20, "there is room again")
    equal(len(generate(f, MESSAGES, 50, world.path("again"))), 50, "taken afterwards")
    f.drained()
