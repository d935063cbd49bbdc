"""dns: one way in which name servers misbehave per row, and what the running
daemon makes of it: verdict, reason, addresses in order, questions, time.
Never looks at how: the rules are of mta/dns, the lookup is asked of a tx that
runs, with the row's policy by --with.  Read next: harness.py, ../lab/lib/dnsscript.h."""

import concurrent.futures
import json

import parts
from harness import Field, Skip, check, equal, has, once

DELIVER, DEFER, FAIL = 0, 10, 11
V4, V6 = "127.0.0.20", "[::1]"
STRICT6 = "order=aaaa-first on_failure=strict"
BOTH_SETS = "resolvers=main,second"

# In rules: D is the row's domain, its MX mx.D with V4 unless the row says
# otherwise; "1" the name server of set main, "2" that of set second.
# (name, rules, --with, exit, reason, addresses, at most s, also)
# also: "-AAAA" no such question was asked, "+TCP" one went by TCP, "=text" is said
ROWS = (
    ("plain", (), "", DELIVER, None, [V4], 0.2, ""),
    ("both families", ("* mx.D AAAA answer ::1",), "", DELIVER, None, [V6, V4], 0.2, ""),
    ("prefer ipv4", ("* mx.D AAAA answer ::1",), "prefer=ipv4", DELIVER, None, [V4, V6], 0.2, ""),
    ("no ipv6", ("* mx.D AAAA answer ::1",), "ipv6=false", DELIVER, None, [V4], 0.2, "-AAAA"),

    # AAAA is broken: nobody may notice
    ("AAAA SERVFAIL", ("* mx.D AAAA rcode SERVFAIL",), "", DELIVER, None, [V4], 0.2, ""),
    ("AAAA REFUSED", ("* mx.D AAAA rcode REFUSED",), "", DELIVER, None, [V4], 0.2, ""),
    ("AAAA NOTIMP", ("* mx.D AAAA rcode NOTIMP",), "", DELIVER, None, [V4], 0.2, ""),
    ("AAAA FORMERR", ("* mx.D AAAA rcode FORMERR",), "", DELIVER, None, [V4], 0.2, ""),
    ("AAAA rcode 9", ("* mx.D AAAA rcode 9",), "", DELIVER, None, [V4], 0.2, ""),
    ("AAAA NXDOMAIN", ("* mx.D AAAA rcode NXDOMAIN",), "", DELIVER, None, [V4], 0.2, ""),
    ("AAAA silent", ("* mx.D AAAA drop",), "", DELIVER, None, [V4], 0.45, ""),
    ("AAAA late", ("* mx.D AAAA delay 2000 answer ::1",), "", DELIVER, None, [V4], 0.45, ""),
    ("AAAA in grace", ("* mx.D AAAA delay 60 answer ::1",), "", DELIVER, None, [V6, V4], 0.45, ""),
    ("AAAA short", ("* mx.D AAAA garbage short-rdata",), "", DELIVER, None, [V4], 0.45, ""),
    ("AAAA cut", ("* mx.D AAAA garbage cut",), "", DELIVER, None, [V4], 0.45, ""),
    ("AAAA pointer loop", ("* mx.D AAAA garbage loop",), "", DELIVER, None, [V4], 0.45, ""),
    ("AAAA CNAME loop", ("* mx.D AAAA garbage cname-loop",), "", DELIVER, None, [V4], 0.45, ""),
    ("AAAA referral", ("* mx.D AAAA garbage referral",), "", DELIVER, None, [V4], 0.45, ""),
    ("AAAA wrong id", ("* mx.D AAAA garbage wrong-id",), "", DELIVER, None, [V4], 0.45, ""),
    ("AAAA wrong question", ("* mx.D AAAA garbage wrong-question",), "", DELIVER, None, [V4], 0.45, ""),
    ("AAAA noise", ("* mx.D AAAA garbage noise",), "", DELIVER, None, [V4], 0.45, ""),
    ("AAAA no question", ("* mx.D AAAA garbage noquestion",), "", DELIVER, None, [V4], 0.45, ""),
    ("AAAA TC, no TCP", ("* mx.D AAAA truncate drop",), "", DELIVER, None, [V4], 0.45, ""),

    # A is broken
    ("A SERVFAIL, AAAA good", ("* mx.D A rcode SERVFAIL", "* mx.D AAAA answer ::1"), "", DELIVER, None, [V6], 0.2, ""),
    ("A silent, AAAA good", ("* mx.D A drop", "* mx.D AAAA answer ::1"), "", DELIVER, None, [V6], 0.45, ""),
    ("both SERVFAIL", ("* mx.D * rcode SERVFAIL",), "", DEFER, "dns_servfail", [], 0.2, ""),
    ("both silent", ("* mx.D * drop",), "", DEFER, "dns_timeout", [], 1.5, ""),
    ("A wrong id, AAAA nodata", ("* mx.D A garbage wrong-id",), "", DEFER, "dns_timeout", [], 1.5, ""),
    ("A short, AAAA nodata", ("* mx.D A garbage short-rdata",), "", DEFER, "dns_garbled", [], 1.5, ""),
    ("A SERVFAIL, AAAA nodata", ("* mx.D A rcode SERVFAIL",), "", DEFER, "dns_servfail", [], 0.2, ""),
    ("A nodata, AAAA SERVFAIL", ("* mx.D A nodata", "* mx.D AAAA rcode SERVFAIL"), "", DEFER, "dns_servfail", [], 0.2, ""),
    ("both nodata", ("* mx.D A nodata",), "", FAIL, "dns_nodata", [], 0.2, "=5.4.4"),
    ("A nodata, no ipv6", ("* mx.D A nodata", "* mx.D AAAA answer ::1"), "ipv6=false", FAIL, "dns_nodata", [], 0.2,
     "-AAAA =5.4.4 =ipv6=false"),
    ("A SERVFAIL, no ipv6", ("* mx.D A rcode SERVFAIL",), "ipv6=false", DEFER, "dns_servfail", [], 0.2, "-AAAA"),
    ("lookup_deadline", ("* mx.D * drop",), "connector=short", DEFER, "dns_timeout", [], 0.45, ""),

    # MX
    ("MX SERVFAIL", ("* D MX rcode SERVFAIL",), "", DEFER, "dns_servfail", [], 0.2, "-A"),
    ("MX REFUSED", ("* D MX rcode REFUSED",), "", DEFER, "dns_refused", [], 0.2, "-A"),
    ("MX silent", ("* D MX drop",), "", DEFER, "dns_timeout", [], 1.5, "-A"),
    ("MX short", ("* D MX garbage short-rdata",), "", DEFER, "dns_garbled", [], 1.5, "-A"),
    ("MX NXDOMAIN", ("* D MX rcode NXDOMAIN",), "", FAIL, "dns_nxdomain", [], 0.2, "-A =5.1.2"),
    ("MX NXDOMAIN, defer", ("* D MX rcode NXDOMAIN",), "nxdomain=defer", DEFER, "dns_nxdomain", [], 0.2, ""),
    ("MX NODATA", ("* D MX nodata", "* D A answer " + V4), "", DELIVER, None, [V4], 0.2, ""),
    ("MX NODATA, no SOA", ("* D MX garbage nosoa", "* D A answer " + V4), "", DELIVER, None, [V4], 0.2, ""),
    ("null MX", ("* D MX answer 0 .", "* D A answer " + V4), "", FAIL, "null_mx", [], 0.2, "-A =5.1.10"),
    ("null MX, defer", ("* D MX answer 0 .",), "nxdomain=defer", FAIL, "null_mx", [], 0.2, ""),
    ("null beside others", ("* D MX answer 0 ., 10 mx.D",), "", DELIVER, None, [V4], 0.2, ""),
    ("MX an address", ("* D MX answer 10 " + V4,), "", DELIVER, None, [V4], 0.2, ""),
    ("MX underscore", ("* D MX answer 10 _m.D", "* _m.D A answer " + V4), "", DELIVER, None, [V4], 0.2, ""),
    ("MX we", ("* D MX answer 10 relay.here.test",), "", FAIL, "loop", [], 0.2, "-A =5.4.6"),
    ("MX private", ("* mx.D A answer 10.0.0.1",), "", DEFER, "policy", [], 0.2, ""),
    ("MX TC, TCP good", ("* D MX truncate answer 10 mx.D",), "", DELIVER, None, [V4], 0.3, "+TCP"),
    ("MX garbled by UDP", ("* D MX udp garbage loop",), "", DELIVER, None, [V4], 0.6, "+TCP"),
    ("first MX broken", ("* D MX answer 10 bad.D, 20 mx.D", "* bad.D * rcode SERVFAIL"), "", DELIVER, None, [V4], 0.2, ""),
    ("too many MX", ("* D MX answer " + ", ".join("10 n%d.D" % i for i in range(4)), "* *.D A nodata"), "connector=few",
     DEFER, None, [], 0.3, ""),
    ("CNAME at domain", ("* D * cname other.D", "* other.D MX answer 10 mx.D"), "", DELIVER, None, [V4], 0.2, ""),
    ("CNAME at MX host", ("* mx.D * cname a.D", "* a.D A answer " + V4), "", DELIVER, None, [V4], 0.2, ""),
    ("CNAME too long", tuple("* c%d.D * cname c%d.D" % (i, i + 1) for i in range(12)) +
     ("* mx.D * cname c0.D", "* c12.D A answer " + V4), "", DEFER, "dns_garbled", [], 0.6, ""),

    # order and strictness
    ("a-first", ("* mx.D AAAA rcode SERVFAIL",), "order=a-first", DELIVER, None, [V4], 0.2, "-AAAA"),
    ("a-first, no A", ("* mx.D A nodata", "* mx.D AAAA answer ::1"), "order=a-first", DELIVER, None, [V6], 0.2, ""),
    ("a-first, A broken", ("* mx.D A rcode SERVFAIL", "* mx.D AAAA answer ::1"), "order=a-first", DELIVER, None, [V6],
     0.2, ""),
    ("a-first, A silent", ("* mx.D A drop", "* mx.D AAAA answer ::1"), "order=a-first", DELIVER, None, [V6], 0.5, ""),
    ("aaaa-first", ("* mx.D AAAA answer ::1",), "order=aaaa-first", DELIVER, None, [V6], 0.2, "-A"),
    ("Exchange 2010", ("* mx.D AAAA rcode SERVFAIL",), STRICT6, DEFER, "dns_servfail", [], 0.2, "-A"),
    ("Exchange, AAAA silent", ("* mx.D AAAA drop",), STRICT6, DEFER, "dns_timeout", [], 1.0, "-A"),
    ("Exchange, no AAAA", (), STRICT6, DELIVER, None, [V4], 0.2, ""),
    ("Exchange, second host", ("* D MX answer 10 bad.D, 20 mx.D", "* bad.D AAAA rcode SERVFAIL", "* bad.D A answer " + V4),
     STRICT6, DELIVER, None, [V4], 0.2, ""),
    ("strict a-first", ("* mx.D AAAA rcode SERVFAIL",), "order=a-first on_failure=strict", DELIVER, None, [V4], 0.2,
     "-AAAA"),
    ("strict both", ("* mx.D AAAA rcode SERVFAIL",), "on_failure=strict", DEFER, "dns_servfail", [], 0.2, ""),
    ("strict both, late", ("* mx.D AAAA delay 300 answer ::1",), "on_failure=strict", DELIVER, None, [V6, V4], 0.6, ""),

    # several sets
    ("escalation, MX", ("1 D MX rcode SERVFAIL",), BOTH_SETS, DELIVER, None, [V4], 0.3, ""),
    ("escalation, host", ("1 mx.D * rcode SERVFAIL",), BOTH_SETS, DELIVER, None, [V4], 0.3, ""),
    ("sets are not mixed", ("1 mx.D * rcode SERVFAIL", "2 D MX answer 10 out.D", "2 out.D A answer 127.0.0.21"), BOTH_SETS,
     DELIVER, None, ["127.0.0.21"], 0.3, ""),
    ("SERVFAIL, NXDOMAIN", ("1 D MX rcode SERVFAIL", "2 D MX rcode NXDOMAIN"), BOTH_SETS, DEFER, None, [], 0.3, ""),
    ("REFUSED, NXDOMAIN", ("1 D MX rcode REFUSED", "2 D MX rcode NXDOMAIN"), BOTH_SETS, FAIL, "dns_nxdomain", [], 0.3, ""),
    ("referral, NXDOMAIN", ("1 D MX garbage referral", "2 D MX rcode NXDOMAIN"), BOTH_SETS, FAIL, "dns_nxdomain", [],
     0.3, ""),
    ("NXDOMAIN stays", ("1 D MX rcode NXDOMAIN",), BOTH_SETS, FAIL, "dns_nxdomain", [], 0.2, ""),
    ("NXDOMAIN escalates", ("1 D MX rcode NXDOMAIN",), BOTH_SETS + " nxdomain=escalate", DELIVER, None, [V4], 0.3, ""),
    ("NXDOMAIN twice", ("* D MX rcode NXDOMAIN",), BOTH_SETS + " nxdomain=escalate", FAIL, "dns_nxdomain", [], 0.3, ""),
    ("no host, escalates", ("1 mx.D A nodata",), BOTH_SETS + " nxdomain=escalate", DELIVER, None, [V4], 0.3, ""),
    ("null MX stays", ("1 D MX answer 0 .",), BOTH_SETS + " nxdomain=escalate", FAIL, "null_mx", [], 0.2, ""),
    ("private, escalates", ("1 mx.D A answer 10.0.0.1",), BOTH_SETS, DELIVER, None, [V4], 0.3, ""),

    # several servers of one set
    ("first server broken", ("1 * * rcode SERVFAIL",), "resolvers=pair", DELIVER, None, [V4], 0.3, ""),
    ("first server silent", ("1 D MX drop",), "resolvers=pair", DELIVER, None, [V4], 0.4, ""),
    ("first server dead", (), "resolvers=halfdead", DELIVER, None, [V4], 0.9, ""),
    ("TCP only", (), "resolvers=tcp", DELIVER, None, [V4], 0.3, "+TCP"),
)


class Servers:
    """A relayd with two name servers, each behind several sets."""

    def __init__(self, world):
        if not parts.has_ipv6():
            raise Skip("no IPv6 here")
        self.second = "127.0.0.1:%d" % parts.free_port()
        dead = "127.0.0.1:%d" % parts.free_port()
        self.f = f = Field(world, "1x1", start=False)
        f.dns.process.stop()
        self.dns = parts.FaultDns(world, [f.ns, self.second], "zone test ns.test\n", name="both")
        quick = 'timeout = "500ms"; hedge = "100ms"; tries = 1;'
        conf = f.conf(sets="".join("%s = { servers = [ %s ]; %s %s };" % (
            name, ", ".join('"%s"' % s for s in servers), quick, more) for name, servers, more in (
                ("second", [self.second], ""), ("pair", [f.ns, self.second], ""),
                ("halfdead", [dead, f.ns], ""), ("tcp", [f.ns], 'protocol = "tcp";'))))
        for name, key in (("short", 'lookup_deadline = "250ms";'), ("few", "max_mx_hosts = 3;")):
            conf = conf.replace("connectors = (", 'connectors = ( { name = "%s"; domains = "%s.test"; port = 25;'
                                ' resolve = { resolvers = "main"; %s }; }, ' % (name, name, key))
        f.relayd.set_conf(conf)
        f.relayd.start()

    def lay(self, number, rules):
        """The row's rules for a domain of its own."""
        d = "r%d.test" % number
        where = {"1": self.f.ns, "2": self.second, "*": "*"}
        self.dns.tell("on * %s MX answer 10 mx.%s" % (d, d), "on * mx.%s A answer %s" % (d, V4))
        for rule in rules:
            server, name, rest = rule.split(" ", 2)
            name = "*." + d if name == "*" else name.replace("D", d) if name.endswith("D") else name
            kind, rest = rest.split(" ", 1)
            self.dns.tell("on %s %s %s %s" % (where[server], name, kind, rest.replace("D", d) if ".D" in rest else rest))
            if rule.split()[1] == "*":
                self.dns.tell("on %s %s %s %s" % (where[server], d, kind, rest))
        return d


def wrong(row, d, done, answer, asked):
    """What differs from the row, in words."""
    name, _, _, code, reason, addresses, seconds, also = row
    said = []

    def want(good, text):
        if not good:
            said.append(text)

    want(done.returncode == code, "exit %d, wanted %d" % (done.returncode, code))
    want(reason is None or answer["reason"] == reason, "reason %s, wanted %s" % (answer["reason"], reason))
    got = [t["peer"].rsplit(":", 1)[0] for t in answer["targets"]]
    want(got == addresses, "addresses %s, wanted %s" % (got, addresses))
    want(answer["ms"] <= seconds * 1000 * parts.SLOW, "%d ms" % answer["ms"])
    for word in also.split():
        if word[0] == "-":
            want(not [q for q in asked if q[3] == word[1:]], "asked %s" % word[1:])
        elif word[0] == "+":
            want([q for q in asked if q[1] == word[1:].lower()], "nothing asked by %s" % word[1:])
        else:
            want(word[1:] in "%s %s" % (answer["code"], answer["text"]), "%s not said" % word[1:])
    return ["%s (%s): %s; %s" % (name, d, "; ".join(said), answer["text"])] if said else []


@once
def test_rules(world, matrix):
    """Every row, some at a time; all that differ are told."""
    s = Servers(world)

    def ask(number):
        row = ROWS[number]
        d = "r%d.test" % number
        with_ = [x for w in row[2].split()
                 for x in (("--connector", w[10:]) if w.startswith("connector=") else ("--with", w))]
        done = s.f.relayd.ctl("--json", "resolve", d, *with_)
        rows = [line for line in done.stdout.splitlines() if line]
        check(rows, "%s: %s" % (row[0], done.stderr))
        return done, json.loads(rows[0])

    for number, row in enumerate(ROWS):
        s.lay(number, row[1])
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(ask, range(len(ROWS))))
    log = s.dns.queries()
    bad = []
    for number, row in enumerate(ROWS):
        d = "r%d.test" % number
        asked = [q for q in log if q[2] == d or q[2].endswith("." + d)]
        bad += wrong(row, d, *answers[number], asked)
    equal(bad, [], "%d of %d rows differ" % (len(bad), len(ROWS)))


@once
def test_cooldown(world, matrix):
    """Three names unanswered: the server is left alone, the next lookups are quick."""
    s = Servers(world)
    for n in range(4):
        s.lay(n, ())
        s.f.relayd.ctl("resolve", "r%d.test" % n, "--with", "resolvers=halfdead")
    row = [r for r in s.f.relayd.json("dns", "servers") if r["set"] == "halfdead"]
    check(any(r.get("cooldown_ms") for r in row), "no server on cooldown: %s" % row)
    s.lay(9, ())
    answer = s.f.relayd.json("resolve", "r9.test", "--with", "resolvers=halfdead")[0]
    check(answer["ms"] < 90 * parts.SLOW, "%d ms with the dead server on cooldown" % answer["ms"])
    s.f.relayd.must("dns", "flush")
    row = [r for r in s.f.relayd.json("dns", "servers") if r["set"] == "halfdead"]
    check(not any(r.get("cooldown_ms") for r in row), "flush clears cooldowns: %s" % row)


@once
def test_soft_is_cached(world, matrix):
    """A failure is remembered for mail, not for resolve; flush forgets it by name."""
    s = Servers(world)
    d = s.lay(0, ("* mx.D AAAA rcode SERVFAIL",))
    for _ in range(2):
        s.f.relayd.must("resolve", d)
    asked = [q for q in s.dns.queries() if q[2] == "mx." + d]
    equal(len([q for q in asked if q[3] == "AAAA"]), 2, "AAAA questions")
    equal(len([q for q in asked if q[3] == "A"]), 1, "A questions")
    has(s.f.relayd.must("dns", "cache", "mx." + d), "SERVFAIL", "cache")
    s.f.relayd.must("dns", "flush", "mx." + d)
    equal({r["name"] for r in s.f.relayd.json("dns", "cache")}, {d}, "names left in the cache")
