"""Mail goes through whole: counts, bodies octet for octet, recipients, peers of
every ability.  Read next: harness.py (the field), test_kill.py."""

import parts
from harness import Field, check, equal, has, without_received, wait_until

BODIES = {
    "plain": b"Subject: plain\r\n\r\nhello\r\n",
    "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n. \r\n.a\r\na.\r\n\r\n.\r\n",
    "first dot": b".Subject: odd\r\n\r\nx\r\n",
    "8 bit": b"Subject: 8 bit\r\n\r\n" + bytes(range(128, 256)) + b"\r\n",
    "controls": b"Subject: controls\r\n\r\n\x01\x08\t\x0b\x0c\x1b\x7f\r\n",
    "long line": b"Subject: long\r\n\r\n" + b"x" * 100000 + b"\r\n.\r\n" + b"y" * 998 + b"\r\n",
    "no final newline": b"Subject: unfinished\r\n\r\nlast line",
    "blank lines": b"Subject: blank\r\n\r\n\r\n\r\n\r\n",
    "header only": b"Subject: header only\r\n",
    "large": b"Subject: large\r\n\r\n" + (b"." * 70 + b"\r\n") * 40000,
    "one line more than the threshold": b"Subject: edge\r\n\r\n" + b"z" * (256 * 1024) + b"\r\n",
}


def test_thousand_by_smtp_source(world, matrix):
    f = Field(world, matrix)
    for domain in f.domains:
        parts.smtp_source(world, f.relayd.port, 500, "user@" + domain, size=2000)
    f.arrived(1000, 60)
    f.drained()
    equal(f.sink.messages(), 1000, "messages")
    for domain in f.domains:
        mine = [t for t in f.taken() if t["rcpts"] == ["user@" + domain]]
        equal(len(mine), 500, "for " + domain)
        check(all(t["listen"].startswith(f.address(domain)) for t in mine), "came to its own MX")
        check(all(t["size"] >= 2000 for t in mine), "none is short")
    f.relayd.stop()


def test_thousand_numbered(world, matrix):
    """Ten messages a connection, pipelined: each number arrives, none twice."""
    f = Field(world, matrix)
    got = parts.smtpgen(f.relayd.port, "-c", 20, "-m", 3000, "-n", 10, "-p", "-d", "far.test")
    equal(got["taken"], 3000, "taken")
    f.arrived(3000, 60)
    f.drained()
    equal(f.sink.missing(3000), 0, "missing")
    equal(f.sink.count()["duplicates"], 0, "duplicates")


def test_bodies(world, matrix):
    f = Field(world, matrix, keep=True)
    for name, body in BODIES.items():
        f.send("%s@far.test" % name.replace(" ", "-"), body)
    f.arrived(len(BODIES))
    got = {t["rcpts"][0].split("@")[0]: f.sink.body(t) for t in f.taken()}
    for name, body in BODIES.items():
        want = body if body.endswith(b"\r\n") else body + b"\r\n"
        mine = without_received(got[name.replace(" ", "-")])
        check(mine == want, "body \"%s\" came as %r ... %r, %d octets for %d" % (
            name, mine[:60], mine[-60:], len(mine), len(want)))


def test_bodies_to_a_plain_server(world, matrix):
    """The same to a peer without PIPELINING, SIZE and 8BITMIME."""
    f = Field(world, matrix, keep=True, sink_options=("-x", "pipelining", "-x", "size", "-x", "8bitmime"))
    for name in ("dots", "8 bit", "large", "long line"):
        f.send("%s@far.test" % name.replace(" ", "-"), BODIES[name])
    f.arrived(4)
    for t in f.taken():
        name = t["rcpts"][0].split("@")[0].replace("-", " ")
        check(without_received(f.sink.body(t)) == BODIES[name], "body \"%s\" changed" % name)


def test_swaks(world, matrix):
    f = Field(world, matrix, keep=True)
    for n in range(5):
        done = parts.run([parts.foreign("swaks"), "--server", "127.0.0.1", "--port", str(f.relayd.port),
                          "--from", "me@here.test", "--to", "s%d@far.test,s%d@near.test" % (n, n), "--body",
                          "line one\n.\n.dot\nnumber %d" % n, "--h-Subject", "by swaks"])
        check(done.returncode == 0, "swaks: %s" % done.stdout)
        has(done.stdout, "250 2.0.0", "reply to the dot")
    f.arrived(10)
    for t in f.taken():
        text = f.sink.body(t)
        has(text, b"line one\r\n.\r\n.dot\r\nnumber ", "body")
        has(text, b"Subject: by swaks", "header")


def test_many_recipients(world, matrix):
    """Each recipient of a message with many gets it exactly once."""
    f = Field(world, matrix)
    rcpts = ["u%d@%s" % (n, f.domains[n % 2]) for n in range(400)]
    f.send(rcpts, BODIES["plain"])
    wait_until(lambda: f.sink.count()["rcpts"] >= 400, 20, "400 recipients are served")
    f.drained()
    seen = [r for t in f.taken() for r in t["rcpts"]]
    equal(sorted(seen), sorted(rcpts), "recipients")
    check(all(len({r.split("@")[1] for r in t["rcpts"]}) == 1 for t in f.taken()), "one domain a transaction")


def test_deferred_then_delivered(world, matrix):
    """A 4xx to one recipient: the others have theirs, that one comes later."""
    f = Field(world, matrix)
    f.sink.tell('at rcpt rcpt=late@far.test reply "451 4.7.1 come back" once')
    f.send(["late@far.test", "soon@far.test"], BODIES["plain"])
    f.arrived(1)
    equal(f.taken()[0]["rcpts"], ["soon@far.test"], "first")
    f.arrived(2)
    equal(f.taken()[1]["rcpts"], ["late@far.test"], "second")
    f.drained()


def test_stages_that_fail_once(world, matrix):
    """Every misbehaviour of a server, once; the mail arrives all the same."""
    f = Field(world, matrix, connector="messages = 1;")
    for n, rule in enumerate((
            'connect reply "421 4.3.2 busy"', "connect close", "connect garbage", 'ehlo reply "502 5.5.1 what"',
            "ehlo close", 'mail reply "451 4.3.0 later"', "mail close", "rcpt reset",
            'data reply "451 4.3.0 later"', "data close", 'dot reply "451 4.3.0 later"', "data garbage")):
        f.sink.tell("at %s once" % rule)
        f.send("n%d@far.test" % n, BODIES["plain"])
        f.arrived(n + 1)
    f.drained()
    equal(len({t["rcpts"][0] for t in f.taken()}), 12, "distinct messages")


def test_lost_and_closed_at_once(world, matrix):
    """A kept connection is lost at MAIL, and the next one before its greeting."""
    for n, rule in enumerate(("connect close", "connect reset", "connect garbage", "ehlo close")):
        f = Field(world, matrix) if n == 0 else f
        f.send("first%d@far.test" % n, BODIES["plain"])
        f.arrived(2 * n + 1)
        f.sink.tell("at mail close once", "at %s once" % rule)
        f.send("second%d@far.test" % n, BODIES["plain"])
        f.arrived(2 * n + 2)
    f.drained()


def test_second_mx_and_second_address(world, matrix):
    """The first MX refuses connections, the second's first address too."""
    f = Field(world, matrix)
    f.dns.tell("on * far.test MX answer 5 dead.far.test, 10 half.far.test",
               "on * dead.far.test A answer 127.0.0.77",
               "on * half.far.test A answer 127.0.0.78, %s" % f.address("far.test"))
    f.send("a@far.test", BODIES["plain"])
    f.arrived(1)
    f.drained()


def test_slow_server_does_not_hold_others(world, matrix):
    """A far domain that never greets, a near one that is served meanwhile."""
    f = Field(world, matrix)
    f.sink.tell("at connect listen=%s:%d silence" % (f.address("far.test"), f.sink_port))
    f.send("stuck@far.test", BODIES["plain"])
    parts.smtp_source(world, f.relayd.port, 200, "user@near.test")
    f.arrived(200)
    check("far.test" in f.relayd.queue(), "the other waits")
