"""What the queue keeps and lets go when things change under it: hold rules over a
reload, acts on what is being delivered, a queue or rx that dies in the middle,
expiry of many domains at once.  Read next: harness.py (the field), test_hold.py."""

import email
import email.policy
import os
import signal
import time

from harness import Field, check, equal, wait_until

SENDER = "me@near.test"
BODY = b"Subject: x\r\n\r\nbody\r\n"
SLOW_RETRY = 'schedule = "10m"; dns = "10m";'


def waiting(f, domain):
    return (f.relayd.queue().get(domain) or {}).get("count")


def over_smarthost(f, **more):
    """Everything to the sink of near.test."""
    return f.conf(connector='smarthosts = [ "[%s]" ];' % f.address("near.test"), **more)


def got(f):
    return sorted(r for t in f.taken() for r in t["rcpts"])


def kill(f, role):
    before = f.relayd.roles()
    os.kill(next(pid for name, pid in before.items() if name.startswith(role)), signal.SIGKILL)
    wait_until(lambda: f.relayd.ctl("status").returncode == 0 and len(f.relayd.roles()) == len(before) and
               f.relayd.roles() != before, 20, "%s is started again" % role)


def test_domain_rule_over_a_reload(world, matrix):
    """Held on the MX connector, held over a smarthost, held back on MX; then let go."""
    f = Field(world, matrix)
    f.relayd.must("hold", "far.test")
    f.send("a@far.test", BODY)
    wait_until(lambda: waiting(f, "far.test") == 1, 5, "it waits")
    f.relayd.reload(over_smarthost(f))
    f.send(["b@far.test", "c@near.test"], BODY)
    f.arrived(1)
    wait_until(lambda: sum(r["count"] for r in f.relayd.queue().values()) == 2, 5, "two wait")
    equal(got(f), ["c@near.test"], "what went over the smarthost")
    f.relayd.reload(f.conf())
    f.send("d@near.test", BODY)
    f.arrived(2)
    equal(got(f), ["c@near.test", "d@near.test"], "what went by MX")
    f.relayd.must("release", "far.test")
    f.arrived(4)
    f.drained(5)


def test_domain_rule_holds_what_has_its_own_time(world, matrix):
    """Over a smarthost: mail put off by a 451 does not come back to life under the rule."""
    f = Field(world, matrix, start=False)
    f.relayd.set_conf(over_smarthost(f))
    f.relayd.start()
    f.sink.tell('at rcpt reply "451 4.7.1 later"')
    f.send("a@far.test", BODY)
    f.send("b@near.test", BODY)
    wait_until(lambda: len([i for i in f.relayd.json("list") if i["reason"]]) == 2, 10, "both are put off")
    f.relayd.must("hold", "far.test")
    f.sink.tell("off rcpt")
    f.arrived(1)
    wait_until(lambda: [i["status"] for i in f.relayd.json("list")] == ["Suspended"], 5, "one is held")
    f.send("c@near.test", BODY)
    f.arrived(2)
    equal(got(f), ["b@near.test", "c@near.test"], "what went")
    f.relayd.must("release", "far.test")
    f.arrived(3)
    f.drained(5)


def under_way(f, rcpts, **options):
    """A message that the sink does not take for the moment; its id."""
    f.sink.tell("at data domain=far.test delay 1500", 'at dot reply "451 4.2.1 later"')
    f.send(rcpts, BODY, **options)
    wait_until(lambda: any(i["status"] == "Active" for i in f.relayd.json("list")), 10, "it is under way")
    return f.relayd.json("list")[0]["id"]


def test_remove_while_leased(world, matrix):
    f = Field(world, matrix, retry=SLOW_RETRY)
    one = under_way(f, "a@far.test")
    f.relayd.must("remove", one)
    f.drained(10)
    two = under_way(f, ["a@far.test", "b@far.test"])
    f.relayd.must("remove", two)
    f.drained(10)
    equal(got(f), [], "what arrived")


def test_hold_while_leased(world, matrix):
    f = Field(world, matrix)
    one = under_way(f, ["a@far.test", "b@far.test"])
    f.relayd.must("hold", one)
    wait_until(lambda: [i["status"] for i in f.relayd.json("list")] == ["Suspended"], 10, "it is held")
    f.sink.tell("off data", "off dot")
    f.relayd.ctl("retry", "--all")
    equal([i["status"] for i in f.relayd.json("list")], ["Suspended"], "after a retry")
    f.relayd.must("release", one)
    f.arrived(1)
    f.drained(5)


def test_late_word_of_an_old_lease(world, matrix):
    """The queue dies while one recipient of two is at the dot: nothing may be settled under its feet."""
    f = Field(world, matrix, retry=SLOW_RETRY)
    f.sink.tell("at dot domain=far.test delay 4000", "at dot domain=far.test delay 1500 once",
                'at rcpt domain=near.test reply "451 4.7.1 later"')
    before = f.relayd.roles()
    f.send(["a@far.test", "b@near.test"], BODY)
    wait_until(lambda: (f.relayd.queue().get("near.test") or {}).get("status") == "Retry" and
               (f.relayd.queue().get("far.test") or {}).get("status") == "Active", 10, "one waits, one is under way")
    kill(f, "queue")
    now = f.relayd.roles()
    time.sleep(2)       # the sink notes the dot at once: its late 250 shows nowhere
    f.sink.tell("off rcpt")
    f.relayd.must("retry", "near.test")
    f.drained(15)
    equal(f.relayd.roles(), now, "processes")
    check(before["queue"] != now["queue"], "the queue was not killed")
    equal(sorted(set(got(f))), ["a@far.test", "b@near.test"], "what arrived")


def test_body_of_a_dead_rx(world, matrix):
    """The file of a body that nobody writes any more goes, without a restart of the queue."""
    f = Field(world, matrix)
    folder = os.path.join(f.relayd.spool, "bodies")
    clients = [f.relayd.smtp() for _ in range(4)]
    for s in clients:
        s.hello()
        s.command("MAIL FROM:<me@here.test>")
        s.command("RCPT TO:<you@far.test>")
        equal(s.command("DATA")[0], 354, "DATA")
        s.sock.sendall(b"x" * 78 + b"\r\n")
        s.sock.sendall((b"y" * 78 + b"\r\n") * 20000)
    wait_until(lambda: len(os.listdir(folder)) == 4, 10, "four bodies are being written")
    for name, pid in f.relayd.roles().items():
        if name.startswith("rx"):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: os.listdir(folder) == [], 10, "they are gone")
    f.send("a@far.test", (b"z" * 78 + b"\r\n") * 10000)
    f.arrived(1)
    f.drained()
    wait_until(lambda: os.listdir(folder) == [], 5, "no file is left")


def notices(f, count):
    wait_until(lambda: len([t for t in f.taken() if t["sender"] == "<>"]) >= count, 20, "%d notices" % count)
    return [email.message_from_bytes(f.sink.body(t), policy=email.policy.default)
            for t in f.taken() if t["sender"] == "<>"]


def rows(message):
    status = next(p for p in message.walk() if p.get_content_type() == "message/delivery-status")
    return [{k.lower(): str(v) for k, v in part.items()} for part in status.get_payload()[1:]]


def test_many_domains_expire_together(world, matrix):
    """Over a smarthost that cannot be reached: one notice for all of them."""
    f = Field(world, matrix, keep=True, start=False)
    retry = 'schedule = "500ms"; dns = "500ms"; expire = "2s"; notice = "never";'
    way = 'port = %d; allow_addresses = [ "127.0.0.0/8" ];' % f.sink_port
    f.relayd.set_conf("""connectors = (
      { name = "back"; domains = [ "near.test" ]; smarthosts = [ "[%s]" ]; %s },
      { name = "out"; domains = "*"; smarthosts = [ "[127.0.0.99]" ]; retry = { %s }; %s } );
    """ % (f.address("near.test"), way, retry, way))
    f.relayd.start()
    rcpts = ["a@d%d.test" % n for n in range(6)]
    f.send(rcpts, BODY, sender=SENDER)
    f.drained(20)
    told = notices(f, 1)
    equal(len(told), 1, "notices")
    equal(sorted(r["final-recipient"].split(";")[1].strip() for r in rows(told[0])), rcpts, "told of")


def test_delay_notice_once(world, matrix):
    """One notice that it waits, and none again after a restart; then it is delivered."""
    f = Field(world, matrix, keep=True, retry='schedule = "300ms"; dns = "300ms"; notice = "1s"; expire = "1h";')
    f.sink.tell('at rcpt domain=far.test reply "451 4.2.1 full"')
    f.send(["a@far.test", "b@far.test"], BODY, sender=SENDER)
    told = notices(f, 1)
    equal([r["action"] for r in rows(told[0])], ["delayed", "delayed"], "Action")
    f.relayd.kill_group()
    f.relayd.start()
    wait_until(lambda: any(i["attempts"] > 0 for i in f.relayd.json("list")), 10, "it is tried")
    before = f.relayd.json("list")[0]["attempts"]
    wait_until(lambda: f.relayd.json("list")[0]["attempts"] >= before + 3, 10, "it is tried again")
    equal(len(notices(f, 1)), 1, "notices")
    f.sink.tell("off rcpt")
    f.relayd.must("retry", "far.test")
    f.drained()
