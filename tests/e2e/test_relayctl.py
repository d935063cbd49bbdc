"""relayctl, every verb: what it says, in JSON too, and its exit codes.
Read next: harness.py (the field), test_hold.py, test_explain.py."""

import json

import parts
from harness import Field, check, equal, has, once, wait_until

BODY = b"Subject: seen by cat\r\n\r\n.\r\nbody\r\n"


def waiting(world, matrix, **conf):
    """Five messages wait for far.test, because of its name server."""
    f = Field(world, matrix, keep=True, retry='schedule = "10m"; dns = "10m";', **conf)
    f.dns.tell("on * far.test MX rcode SERVFAIL")
    for n in range(5):
        f.send("u%d@far.test" % n, BODY, sender="s%d@here.test" % n)
    wait_until(lambda: (f.relayd.queue().get("far.test") or {}).get("reason"), 10, "deferred")
    return f


def exit_of(f, code, *args):
    done = f.relayd.ctl(*args)
    equal(done.returncode, code, "exit of relayctl %s: %s%s" % (" ".join(args), done.stdout, done.stderr))
    return done.stdout + done.stderr


def test_looking(world, matrix):
    f = waiting(world, matrix)
    status = f.relayd.json("status")[0]
    equal(status["v"], 1, "version")
    equal(status["queue"]["recipients"], 5, "recipients")
    names = sorted(f.relayd.roles())
    rx, tx = (int(n) for n in matrix.split("x"))
    equal(sum(n.startswith("rx") for n in names), rx, "rx processes of %s" % names)
    equal(sum(n.startswith("tx") for n in names), tx, "tx processes of %s" % names)
    has(exit_of(f, 0, "queue"), "NextHop", "queue")
    row = f.relayd.queue()["far.test"]
    equal((row["count"], row["reason"], row["connector"]), (5, "dns_servfail", "internet"), "queue row")
    items = f.relayd.json("list")
    equal(sorted(i["sender"] for i in items), ["s%d@here.test" % n for n in range(5)], "senders")
    one = next(i for i in items if i["sender"] == "s3@here.test")
    shown = f.relayd.json("show", one["id"])[0]
    equal(shown["recipients"][0]["address"], "u3@far.test", "recipient")
    has(exit_of(f, 0, "cat", one["id"]), "Subject: seen by cat", "cat")
    has(exit_of(f, 0, "show", one["id"]), "u3@far.test", "show")
    has(exit_of(f, 0, "list", "u3@far.test"), one["id"], "list by recipient")
    equal(len(f.relayd.json("list", "--sender", "s1@here.test")), 1, "list by sender")
    equal(len(f.relayd.json("list", "far.test")), 5, "list by domain")
    equal(len(f.relayd.json("list", "--reason", "dns_servfail")), 5, "list by reason")
    equal(len(f.relayd.json("list", "--connector", "internet")), 5, "list by connector")
    has(exit_of(f, 0, "explain", "far.test"), "SERVFAIL", "explain by domain")
    has(exit_of(f, 0, "explain", one["id"]), "SERVFAIL", "explain by id")
    has(exit_of(f, 0, "explain", "u3@far.test"), "SERVFAIL", "explain by address")
    exit_of(f, 0, "help")
    for verb in ("queue", "explain", "retry"):
        has(exit_of(f, 0, "help", verb), verb, "help " + verb)


def test_json_lines(world, matrix):
    """One object a line, with its version, for every looking verb."""
    f = waiting(world, matrix)
    f.relayd.json("resolve", "near.test")
    for args in (["status"], ["queue"], ["list"], ["explain", "far.test", "--no-ask"], ["resolve", "near.test"],
                 ["dns", "cache"], ["dns", "servers"], ["probe", "near.test"]):
        done = f.relayd.ctl("--json", *args)
        equal(done.returncode, 0, "exit of %s: %s" % (args, done.stderr))
        lines = done.stdout.splitlines()
        check(lines, "%s prints nothing" % args)
        for line in lines:
            equal(json.loads(line)["v"], 1, "version of %s" % args)


def test_resolve_and_probe(world, matrix):
    f = waiting(world, matrix)
    has(exit_of(f, 0, "resolve", "near.test"), "mx.near.test", "resolve")
    exit_of(f, 10, "resolve", "far.test")
    exit_of(f, 11, "resolve", "nowhere.near.test")
    exit_of(f, 2, "resolve", "far.test", "--with", "nonsense=1")
    has(exit_of(f, 0, "probe", "near.test"), "220", "probe")
    check(f.sink.messages() == 0, "probe sent mail")
    check(f.relayd.ctl("probe", "far.test").returncode != 0, "probe of far.test works")


def test_retry(world, matrix):
    f = waiting(world, matrix)
    exit_of(f, 0, "retry", "--dry-run", "far.test")
    f.dns.tell("on * far.test MX answer 10 mx.far.test")
    exit_of(f, 1, "retry", "other.test")
    exit_of(f, 0, "retry", "far.test")
    f.arrived(5, 3)
    f.drained()


def test_retry_with(world, matrix):
    """This once, by another set; nothing is changed for the next time."""
    ns2 = "127.0.0.1:%d" % parts.free_port()
    f = waiting(world, matrix, sets='good = { servers = "%s"; };' % ns2)
    parts.FaultDns(world, [ns2], f.script(), name="good")
    exit_of(f, 0, "retry", "--with", "resolvers=good", "far.test")
    f.arrived(5, 3)
    f.drained()
    f.send("again@far.test", BODY)
    wait_until(lambda: (f.relayd.queue().get("far.test") or {}).get("reason"), 10, "deferred again")


def test_remove(world, matrix):
    f = waiting(world, matrix)
    exit_of(f, 2, "remove")
    exit_of(f, 0, "remove", "--dry-run", "far.test")
    equal(f.relayd.queue()["far.test"]["count"], 5, "after the dry run")
    exit_of(f, 0, "remove", "--silent", "--recipient", "u1@far.test")
    equal(f.relayd.queue()["far.test"]["count"], 4, "after one is removed")
    exit_of(f, 0, "remove", "--silent", "--all")
    check(f.relayd.empty(), "removed: %s" % f.relayd.queue())
    f.relayd.kill_group()
    f.relayd.start()
    check(f.relayd.empty(), "removed for good: %s" % f.relayd.queue())
    equal(f.sink.messages(), 0, "messages that arrived")


def test_dns(world, matrix):
    f = waiting(world, matrix)
    exit_of(f, 0, "resolve", "near.test")
    has(exit_of(f, 0, "dns", "cache"), "near.test", "cache")
    has(exit_of(f, 0, "dns", "servers"), f.ns, "servers")
    f.dns.tell("on * far.test MX answer 10 mx.far.test")
    exit_of(f, 0, "dns", "flush")
    f.arrived(5, 3)
    f.drained()


def test_reload_and_check(world, matrix):
    f = waiting(world, matrix)
    exit_of(f, 0, "check")
    bad = world.write("bad.conf", "listeners = ( { adress = \"*:25\"; } );\n")
    said = exit_of(f, 1, "check", bad)
    has(said, "adress", "check")
    generation = f.relayd.json("status")[0]["generation"]
    exit_of(f, 0, "reload")
    equal(f.relayd.json("status")[0]["generation"], generation + 1, "generation")


@once
def test_hostile_text(world, matrix):
    """What peers and senders write obeys nobody's terminal and breaks no JSON."""
    f = Field(world, matrix, retry='schedule = "10m"; dns = "10m";')
    f.sink.tell('at rcpt reply "450 4.2.0 \x1b[31mred\x07 \x9b2J <b>"')
    rcpts = ('"a\\"b c$(id)"', "'`rm`'", "%s%n%x", "--all", "-x", '"<b>"', "{}", "a" * 200)
    for rcpt in rcpts:
        f.send(rcpt + "@far.test", b"Subject: \x1b[2J\r\n\r\n\x1b]0;x\x07\r\n", sender=rcpt + "@here.test")
    wait_until(lambda: (f.relayd.queue().get("far.test") or {}).get("reason") == "smtp_4xx", 10, "deferred")
    listed = f.relayd.json("list")
    equal(len(listed), len(rcpts), "messages listed")
    for args in (["status"], ["queue"], ["list"], ["explain", "far.test"], ["probe", "far.test"]) + tuple(
            ["show", m["id"]] for m in listed):
        for said in (f.relayd.ctl(*args).stdout, f.relayd.ctl("--json", *args).stdout):
            check(not [c for c in said if ord(c) < 32 and c not in "\n\t" or 127 <= ord(c) < 160],
                  "control characters in %s: %r" % (args, said))
    for rcpt in rcpts:
        equal(len(f.relayd.json("list", "--", rcpt + "@far.test")), 1, "found by recipient %s" % rcpt)
        equal(len(f.relayd.json("list", "--sender", rcpt + "@here.test")), 1, "found by sender %s" % rcpt)
    has(exit_of(f, 0, "explain", "far.test"), "What would help  no other resolution", "explain")
    exit_of(f, 2, "remove", "-all")


@once
def test_usage(world, matrix):
    f = Field(world, matrix)
    exit_of(f, 2, "quue")
    exit_of(f, 2, "retry")
    exit_of(f, 2, "hold")
    exit_of(f, 2, "show")
    exit_of(f, 2, "list", "--older-than", "3")
    exit_of(f, 2, "queue", "--nonsense")
    has(f.relayd.ctl("quue").stderr, "queue", "a hint")
    exit_of(f, 0, "queue")
    exit_of(f, 1, "queue", "far.test")
    f.relayd.stop()
    exit_of(f, 3, "status")
