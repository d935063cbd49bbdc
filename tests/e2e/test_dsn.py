"""Failures come back to the sender as a DSN that relayd itself delivers; never
about a DSN.  Read next: harness.py (the field), test_hold.py."""

import email
import email.policy

from harness import Field, check, equal, has, wait_until

SENDER = "me@near.test"
BODY = b"From: <me@near.test>\r\nTo: <you@far.test>\r\nSubject: to be returned\r\n\r\nsecret body\r\n"


def dsn_of(f, count=1):
    """The notices that reached the sender, parsed."""
    wait_until(lambda: len([t for t in f.taken() if t["sender"] == "<>"]) >= count, 20, "%d DSNs arrive" % count)
    found = []
    for t in f.taken():
        if t["sender"] == "<>":
            equal(t["rcpts"], [SENDER], "recipient of the DSN")
            found.append(email.message_from_bytes(f.sink.body(t), policy=email.policy.default))
    equal(len(found), count, "DSNs")
    return found


def fields(message):
    """Of the per-recipient parts of a delivery-status: lower-case names."""
    check(message.get_content_type() == "multipart/report", "type %s" % message.get_content_type())
    status = next(p for p in message.walk() if p.get_content_type() == "message/delivery-status")
    return [{k.lower(): str(v) for k, v in part.items()} for part in status.get_payload()[1:]]


def test_refused_recipient(world, matrix):
    f = Field(world, matrix, keep=True)
    f.sink.tell('at rcpt rcpt=bad@far.test reply "550 5.1.1 no such user"')
    f.send(["bad@far.test", "good@far.test"], BODY, sender=SENDER)
    message = dsn_of(f)[0]
    rows = fields(message)
    equal(len(rows), 1, "recipients told of")
    has(rows[0]["final-recipient"], "bad@far.test", "Final-Recipient")
    equal(rows[0]["action"], "failed", "Action")
    equal(rows[0]["status"], "5.1.1", "Status")
    has(rows[0]["diagnostic-code"], "no such user", "Diagnostic-Code")
    has(message.as_string(), "to be returned", "the message returned")
    equal([t["rcpts"] for t in f.taken() if t["sender"] != "<>"], [["good@far.test"]], "who had it")
    f.drained()


def test_refused_at_the_dot(world, matrix):
    f = Field(world, matrix, keep=True)
    f.sink.tell('at dot sender=%s reply "554 5.7.1 not wanted"' % SENDER)
    f.send(["a@far.test", "b@far.test"], BODY, sender=SENDER)
    rows = fields(dsn_of(f)[0])
    equal(sorted(r["final-recipient"].split(";")[1].strip() for r in rows), ["a@far.test", "b@far.test"],
          "recipients told of")
    check(all(r["status"] == "5.7.1" for r in rows), "Status")
    f.drained()


def test_no_such_domain(world, matrix):
    f = Field(world, matrix, keep=True)
    f.send("a@no.far.test", BODY, sender=SENDER)
    row = fields(dsn_of(f)[0])[0]
    equal(row["status"], "5.1.2", "Status")
    f.drained()


def test_null_mx(world, matrix):
    f = Field(world, matrix, keep=True)
    f.dns.tell("on * far.test MX answer 0 .")
    f.send("a@far.test", BODY, sender=SENDER)
    equal(fields(dsn_of(f)[0])[0]["status"], "5.1.10", "Status")
    check(not any(q[2] == "far.test" and q[3] == "A" for q in f.dns.queries()), "A was asked")


def test_never_about_a_dsn(world, matrix):
    """A failed message from <> ends without another."""
    f = Field(world, matrix, keep=True)
    f.sink.tell('at rcpt domain=far.test reply "550 5.1.1 no such user"')
    f.send("a@far.test", BODY, sender="")
    f.drained()
    f.sink.tell('at rcpt domain=near.test reply "550 5.1.1 no such user"')
    f.send("a@far.test", BODY, sender=SENDER)
    f.drained()
    equal(f.sink.messages(), 0, "messages that arrived")


def test_expiry(world, matrix):
    f = Field(world, matrix, keep=True, retry='schedule = "200ms"; dns = "200ms"; expire = "2s"; notice = "never";')
    f.sink.tell('at rcpt domain=far.test reply "451 4.2.1 full"')
    f.send("a@far.test", BODY, sender=SENDER)
    row = fields(dsn_of(f)[0])[0]
    check(row["status"].startswith("4.") or row["status"].startswith("5."), "Status %s" % row["status"])
    equal(row["action"], "failed", "Action")
    f.drained()


def test_remove_with_bounce(world, matrix):
    f = Field(world, matrix, keep=True, retry='schedule = "10m"; dns = "10m";')
    f.sink.tell('at rcpt domain=far.test reply "451 4.2.1 full"')
    f.send("a@far.test", BODY, sender=SENDER)
    wait_until(lambda: (f.relayd.queue().get("far.test") or {}).get("reason"), 10, "deferred")
    f.relayd.must("remove", "--bounce", "far.test")
    has(fields(dsn_of(f)[0])[0]["final-recipient"], "a@far.test", "Final-Recipient")
    f.drained()


def test_soft_bounce(world, matrix):
    f = Field(world, matrix, keep=True, connector="soft_bounce = true;", retry='schedule = "10m"; dns = "10m";')
    f.sink.tell('at rcpt domain=far.test reply "550 5.1.1 no such user"')
    f.send("a@far.test", BODY, sender=SENDER)
    row = wait_until(lambda: (f.relayd.queue().get("far.test") or {}).get("reason") and
                     f.relayd.queue()["far.test"], 10, "it is deferred")
    equal(row["count"], 1, "waiting")
    equal(f.sink.messages(), 0, "messages that arrived")
