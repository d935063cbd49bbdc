"""kill -9 of everything and of each role alone, under load: whatever got its
250 arrives.  Duplicates are allowed here, and told.  Read next: harness.py."""

import os
import signal

import parts
from harness import Field, Failure, check, equal, wait_until

MESSAGES = 3000 if not parts.SAN else 800


def load(f, *options):
    """The generator at work, as a process."""
    argv = [parts.program("smtpgen"), "-c", "20", "-m", str(MESSAGES), "-n", "20", "-D", "2", "-d", "load.test",
            "-t", "120"]
    return parts.Process(f.world, "gen", argv + list(options) + ["127.0.0.1:%d" % f.relayd.port])


def field(world, matrix):
    return Field(world, matrix, domains=("d0.load.test", "d1.load.test"))


def finish(f, gen):
    """Until all is taken and delivered; counts of the generator."""
    gen.wait_end(120)
    got = parts.parse_gen(gen.out())
    equal(got["taken"], MESSAGES, "taken (%s)" % gen.out().strip())
    try:
        wait_until(lambda: f.sink.missing(MESSAGES) == 0, 60, "everything arrives")
    except Failure as e:
        raise Failure("%s; the sink says %s, the queue:\n%s" % (
            e, f.sink.ask("missing %d" % MESSAGES), f.relayd.ctl("queue").stdout))
    f.drained()
    print("duplicates: %d" % f.sink.count()["duplicates"])
    return got


def progress(f, share):
    wait_until(lambda: f.sink.count()["distinct"] >= MESSAGES * share, 60,
               "%d %% arrived" % (share * 100))


def kill_role(f, role):
    """SIGKILL; returns when another process has its place and the others live."""
    complete = f.rx + f.tx + 2          # and queue, ctl
    before = wait_until(lambda: (lambda r: r if len(r) == complete else None)(f.relayd.roles()), 20,
                        "all %d roles are there" % complete)
    victim = next(pid for name, pid in before.items() if name.startswith(role))
    os.kill(victim, signal.SIGKILL)

    def replaced():
        done = f.relayd.ctl("--json", "status")
        if done.returncode != 0:
            return None         # ctl itself, or the queue on its way back
        now = f.relayd.roles()
        return now if len(now) == len(before) and victim not in now.values() else None

    now = wait_until(replaced, 20, "%s is started again" % role)
    survivors = {n for n, pid in before.items() if pid != victim}
    check(all(now[n] == before[n] for n in survivors), "only %s was replaced: %s, %s" % (role, before, now))


def test_whole_group(world, matrix):
    """Everything at once, twice, with clients that come back."""
    f = field(world, matrix)
    gen = load(f, "-k", "-R", "2000")
    for share in (0.2, 0.5):
        progress(f, share)
        f.relayd.kill_group()
        f.relayd.start()
    finish(f, gen)
    f.relayd.stop()


def test_rx(world, matrix):
    """Its clients lose their connections, nothing else."""
    f = field(world, matrix)
    gen = load(f, "-k", "-R", "2000")
    progress(f, 0.3)
    kill_role(f, "rx")
    finish(f, gen)


def test_queue(world, matrix):
    """Clients wait, and get their 250: none is refused, none cut off."""
    f = field(world, matrix)
    gen = load(f, "-R", "2000")
    for share in (0.2, 0.5):
        progress(f, share)
        kill_role(f, "queue")
    got = finish(f, gen)
    equal((got["refused"], got["lost"]), (0, 0), "refused and lost")


def test_tx(world, matrix):
    """Clients notice nothing."""
    f = field(world, matrix)
    gen = load(f, "-R", "2000")
    for share in (0.2, 0.5):
        progress(f, share)
        kill_role(f, "tx")
    got = finish(f, gen)
    equal((got["refused"], got["lost"]), (0, 0), "refused and lost")


def test_ctl(world, matrix):
    """Mail does not notice, and relayctl works again."""
    f = field(world, matrix)
    gen = load(f, "-R", "2000")
    progress(f, 0.2)
    kill_role(f, "ctl")
    got = finish(f, gen)
    equal((got["refused"], got["lost"]), (0, 0), "refused and lost")


def test_parent(world, matrix):
    """Without the parent no role lives on, and a new relayd takes over."""
    f = field(world, matrix)
    gen = load(f, "-k", "-R", "2000")
    progress(f, 0.2)
    roles = f.relayd.roles()
    os.kill(f.relayd.process.pid, signal.SIGKILL)
    f.relayd.process.popen.wait()
    wait_until(lambda: not any(os.path.exists("/proc/%d/exe" % p) and not zombie(p) for p in roles.values()),
               10, "the roles end")
    f.relayd.start()
    finish(f, gen)


def zombie(pid):
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_deferred_survive(world, matrix):
    """Mail that waits is still there after kill -9, and goes when it can."""
    f = Field(world, matrix)
    f.sink.tell('at rcpt domain=far.test reply "451 4.7.1 later"')
    parts.smtp_source(world, f.relayd.port, 50, "user@far.test")
    wait_until(lambda: f.relayd.queue().get("far.test", {}).get("count") == 50, 10, "50 wait")
    f.relayd.kill_group()
    f.relayd.start()
    equal(f.relayd.queue().get("far.test", {}).get("count"), 50, "still waiting")
    f.sink.tell("off rcpt")
    f.relayd.must("retry", "far.test")
    f.arrived(50)
    f.drained()
    equal(f.sink.messages(), 50, "messages")
