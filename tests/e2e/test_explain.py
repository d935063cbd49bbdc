"""explain: what was asked and answered is kept over kill -9, and told without
asking anybody.  Read next: harness.py (the field), ../lab/story.py."""

from harness import Field, check, equal, has, wait_until

STRICT = 'order = "aaaa-first"; on_failure = "strict";'
SLOW_RETRY = 'schedule = "10m"; dns = "10m";'
BODY = b"Subject: x\r\n\r\n\r\n"


def deferred(f, domain="far.test"):
    return wait_until(lambda: (f.relayd.queue().get(domain) or {}).get("reason") and
                      f.relayd.queue().get(domain), 20, "%s is deferred" % domain)


def questions(explained):
    """What the attempts on record asked, by whom it was answered and how."""
    return [(e["set"], e["server"], e["via"], e["name"], e["type"], e["outcome"])
            for attempt in explained["attempts"] for e in attempt["trace"] if e["kind"] == "question"]


def test_kept_over_kill(world, matrix):
    """Same questions, servers and rcodes after kill -9 with DNS down."""
    f = Field(world, matrix, resolve=STRICT, retry=SLOW_RETRY)
    f.dns.tell("on * mx.far.test AAAA rcode SERVFAIL")
    f.send("a@far.test", BODY)
    deferred(f)
    before = f.relayd.json("explain", "far.test", "--no-ask")[0]
    asked = questions(before)
    check(("main", f.ns, "udp", "mx.far.test", "AAAA", "SERVFAIL") in asked, "AAAA in %s" % asked)
    equal(before["reason"], "dns_servfail", "reason")
    f.relayd.kill_group()
    f.dns.process.stop()
    f.relayd.start()
    after = f.relayd.json("explain", "far.test", "--no-ask")[0]
    equal(questions(after), asked, "questions after the restart")
    equal(after["since"], before["since"], "since when")
    text = f.relayd.must("explain", "far.test", "--no-ask")
    for word in ("kept", "SERVFAIL", "mx.far.test", f.ns, "AAAA"):
        has(text, word, "explain")


def test_no_ask_asks_nothing(world, matrix):
    f = Field(world, matrix, resolve=STRICT, retry=SLOW_RETRY)
    f.dns.tell("on * mx.far.test AAAA rcode SERVFAIL")
    f.send("a@far.test", BODY)
    deferred(f)
    before = len(f.dns.queries())
    f.relayd.must("explain", "far.test", "--no-ask")
    equal(len(f.dns.queries()), before, "questions to the name server")


def test_ipv6_false_asks_no_aaaa(world, matrix):
    """Not for delivery, not for explain."""
    f = Field(world, matrix, resolve="ipv6 = false;", retry=SLOW_RETRY)
    f.dns.tell("on * mx.far.test A rcode SERVFAIL")
    f.send("a@far.test", BODY)
    deferred(f)
    f.relayd.must("explain", "far.test", "--all-sets")
    equal([q for q in f.dns.queries() if q[3] == "AAAA"], [], "AAAA questions")


def test_reasons(world, matrix):
    """One domain for each way in which DNS or a server fails; the right reason."""
    faults = (("servfail", "MX", "rcode SERVFAIL", "dns_servfail"), ("refused", "MX", "rcode REFUSED", "dns_refused"),
              ("silent", "MX", "drop", "dns_timeout"), ("short", "A", "garbage short-rdata", "dns_garbled"),
              ("loop", "MX", "garbage cname-loop", "dns_garbled"), ("refer", "A", "garbage referral", None))
    f = Field(world, matrix, retry=SLOW_RETRY, resolve='lookup_deadline = "3s";')
    for name, kind, action, _ in faults:
        f.dns.tell("on * %s.test MX answer 10 mx.%s.test" % (name, name), "on * mx.%s.test A answer 127.0.0.20" % name,
                   "on * %s%s.test %s %s" % ("mx." if kind == "A" else "", name, kind, action))
    f.send(["u@%s.test" % x[0] for x in faults], BODY)
    f.dns.tell("on * closed.test MX answer 10 mx.closed.test", "on * mx.closed.test A answer 127.0.0.99")
    f.send("u@closed.test", BODY)
    for name, kind, action, reason in faults + (("closed", "", "", "connect_refused"),):
        row = deferred(f, name + ".test")
        check(row["reason"] == reason or reason is None and row["reason"].startswith("dns_"),
              "%s %s: reason %s, wanted %s" % (kind, action, row["reason"], reason))


def test_tolerance_delivers(world, matrix):
    """The founding case under the default policy: no deferral at all."""
    f = Field(world, matrix, retry=SLOW_RETRY)
    for action in ("rcode SERVFAIL", "drop", "garbage short-rdata", "garbage cut", "rcode REFUSED", "truncate tcp drop"):
        before = f.sink.messages()
        f.dns.tell("on * mx.far.test AAAA " + action)
        f.relayd.must("dns", "flush")
        f.send("a@far.test", BODY)
        wait_until(lambda: f.sink.messages() == before + 1, 10, "delivered though AAAA is: " + action)
