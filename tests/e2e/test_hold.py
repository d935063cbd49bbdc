"""hold and release: by domain, also for mail that comes later and over a
restart; by id only that message.  Read next: harness.py (the field)."""

from harness import Field, check, equal, wait_until

BODY = b"Subject: x\r\n\r\n\r\n"


def suspended(f, domain="far.test"):
    row = f.relayd.queue().get(domain) or {}
    return row.get("count") if row.get("status") == "Suspended" else None


def test_domain(world, matrix):
    """Held before and after; a restart does not let it go."""
    f = Field(world, matrix)
    f.relayd.ctl("hold", "far.test")        # nothing there yet: the rule counts
    f.send("one@far.test", BODY)
    f.send("two@near.test", BODY)
    f.arrived(1)
    equal(f.taken()[0]["rcpts"], ["two@near.test"], "what went")
    wait_until(lambda: suspended(f) == 1, 5, "it is suspended")
    f.relayd.kill_group()
    f.relayd.start()
    f.send("three@far.test", BODY)
    wait_until(lambda: suspended(f) == 2, 5, "both are suspended after the restart")
    f.relayd.ctl("retry", "far.test")
    equal(suspended(f), 2, "retry does not let held mail go")
    f.relayd.must("release", "far.test")
    f.arrived(3)
    f.drained()
    f.send("four@far.test", BODY)
    f.arrived(4)


def test_connector(world, matrix):
    f = Field(world, matrix)
    f.relayd.ctl("hold", "--connector", "internet")
    f.send(["a@far.test", "b@near.test"], BODY)
    wait_until(lambda: suspended(f) == 1 and suspended(f, "near.test") == 1, 5, "both are suspended")
    f.relayd.must("release", "--connector", "internet")
    f.arrived(2)
    f.drained()


def test_one_message(world, matrix):
    f = Field(world, matrix, retry='schedule = "10m"; dns = "10m";')
    f.sink.tell('at rcpt reply "451 4.7.1 later"')
    for n in range(3):
        f.send("u%d@far.test" % n, BODY)
    wait_until(lambda: (f.relayd.queue().get("far.test") or {}).get("count") == 3 and
               all(i["reason"] for i in f.relayd.json("list")), 10, "three wait")
    held = next(i["id"] for i in f.relayd.json("list", "u1@far.test"))
    f.relayd.must("hold", held)
    f.sink.tell("off rcpt")
    f.relayd.must("retry", "far.test")
    f.arrived(2)
    equal(sorted(t["rcpts"][0] for t in f.taken()), ["u0@far.test", "u2@far.test"], "what went")
    wait_until(lambda: len(f.relayd.json("list")) == 1, 5, "one is left")
    check(f.relayd.json("list")[0]["status"] == "Suspended", "it is held")
    f.relayd.must("release", held)
    f.arrived(3)
    f.drained()


def test_disabled_connector(world, matrix):
    """enabled = false takes mail and keeps it; true lets it go."""
    f = Field(world, matrix, connector="enabled = false;")
    f.send("a@far.test", BODY)
    wait_until(lambda: suspended(f) == 1, 5, "it is suspended")
    f.relayd.reload(f.conf())
    f.arrived(1)
    f.drained()
