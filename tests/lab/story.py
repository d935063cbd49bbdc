"""story.py - the acts of the lab, each step asserted: "DNS works", the deferral
as Exchange has it, every cure on its own, the control.  Must never wait for
more than a condition, nor cure by anything but the command that it shows.
Read next: stage.py (the parts), teller.py (the voice)."""

import socket
import time

import parts
import stage as names

MAIL = 100
CURED_WITHIN_S = 1.0 * parts.SLOW

# What is written into the connector's resolve group, and how explain calls it.
EXTERNAL = ("resolver set external", dict(resolvers='"external"'), "resolvers=external")
NO_IPV6 = ("ipv6 = false", dict(ipv6="false"), "ipv6=false")
A_FIRST = ("order = \"a-first\"", dict(order='"a-first"'), "order=a-first")
TOLERATE = ("tolerance", dict(on_failure='"tolerate"'), "on_failure=tolerate")
ESCALATE = ("escalation internal -> external", dict(resolvers='[ "internal", "external" ]'),
            "resolvers=internal,external")
CURES = (EXTERNAL, NO_IPV6, A_FIRST, TOLERATE, ESCALATE)


def policy_text(policy):
    return "; ".join("%s = %s" % item for item in policy.items())


# ---- a. "DNS works" ----

def nslookup(tell, stage, name, kind, want):
    argv = ["nslookup", "-port=%d" % stage.internal.port, "-type=" + kind, name, "127.0.0.1"]
    tell.command(argv)
    done = parts.run([parts.foreign("nslookup")] + argv[1:], env=parts.foreign_env())
    tell.output(done.stdout)
    tell.check(want in done.stdout and done.returncode == 0, "nslookup finds %s of %s" % (kind, name))


def show_dig(tell, unbound, name, kind, status, *answers):
    tell.command("dig -p %d @127.0.0.1 %s %s" % (unbound.port, name, kind))
    got, records = parts.dig(unbound.address, name, kind)
    tell.output("status: %s%s" % (got, "".join("  " + r for r in records)))
    tell.check(got == status and records == list(answers), "dig %s %s: %s%s" % (
        kind, name, status, " " + answers[0] if answers else ", no record" if status == "NOERROR" else ""))


def dns_works(tell, stage):
    tell.act("0. Before relayd: \"DNS works\"")
    nslookup(tell, stage, names.FAR, "MX", "mail exchanger = 10 mx.far.test")
    nslookup(tell, stage, names.FAR_MX, "A", names.FAR_ADDRESS)
    show_dig(tell, stage.internal, names.FAR, "MX", "NOERROR", "10 mx.far.test.")
    show_dig(tell, stage.internal, names.FAR_MX, "A", "NOERROR", names.FAR_ADDRESS)
    tell.note("only the question that nobody asks by hand fails:")
    show_dig(tell, stage.internal, names.FAR_MX, "AAAA", "SERVFAIL")
    tell.command("telnet %s %d" % (names.FAR_ADDRESS, stage.sink_port))
    with socket.create_connection((names.FAR_ADDRESS, stage.sink_port), 5) as s:
        greeting = s.recv(512).decode().strip()
    tell.output(greeting)
    tell.check(greeting.startswith("220 "), "the far mail server answers")
    tell.note("the external resolver asks the far domain's other name server:")
    show_dig(tell, stage.external, names.FAR_MX, "AAAA", "NOERROR")


# ---- b. the deferral ----

def fresh_deferral(stage, both=False):
    """Everything as in the story again, and 100 new messages that wait."""
    stage.break_ns(both)
    stage.relayd.reload(stage.conf())
    stage.relayd.must("dns", "flush")
    if not stage.relayd.empty():        # a cure that failed, and was told
        stage.relayd.must("remove", "--silent", "--all")
        parts.wait_until(stage.relayd.empty, 5, "what was left is removed")
    stage.send(names.FAR, MAIL)
    parts.wait_until(lambda: (stage.deferred() or {}).get("count") == MAIL, 10,
                     "%d messages for %s are deferred" % (MAIL, names.FAR))


def exchange_way(tell, stage):
    tell.act("1. Exchange's way: order = \"aaaa-first\", on_failure = \"strict\", resolvers = \"internal\"")
    stage.relayd.set_conf(stage.conf())
    stage.relayd.start()
    tell.note("%d messages for %s, 20 for each of %s" % (MAIL, names.FAR, ", ".join(names.OTHERS)))
    stage.send(names.FAR, MAIL)
    for domain in names.OTHERS:
        stage.send(domain, 20)
    parts.wait_until(lambda: (stage.deferred() or {}).get("count") == MAIL, 10,
                     "the mail for %s is deferred" % names.FAR)
    for domain in names.OTHERS:
        parts.wait_until(lambda: stage.relayd.empty(domain), 10, "%s is delivered" % domain)
    row = stage.deferred()
    tell.command("relayctl queue")
    tell.output(stage.relayd.must("queue"))
    tell.check(row["count"] == MAIL, "%d messages wait for %s" % (row["count"], names.FAR))
    tell.check(row["reason"] == "dns_servfail", "the reason is %s" % row["reason"])
    tell.check(stage.delivered(names.FAR) == 0, "none of them arrived")
    for domain in names.OTHERS:
        tell.check(stage.delivered(domain) == 20, "all 20 for %s arrived" % domain)


def changes_that_help(explained):
    """{change: delivers} of explain's JSON, spelled without blanks and brackets."""
    found = {}
    for row in explained:
        for item in row.get("would_help", []):
            change = item["change"]
            for c in " []\"":
                change = change.replace(c, "")
            found[change] = bool(item["delivers"])
    return found


def explained(tell, stage):
    tell.act("2. Why, and what would help")
    tell.command("relayctl explain %s --all-sets" % names.FAR)
    text = stage.relayd.must("explain", names.FAR, "--all-sets")
    tell.output(text, 60)
    tell.check("SERVFAIL" in text and names.FAR_MX in text and "AAAA" in text,
               "explain names the question that failed")
    tell.check(stage.internal.address in text, "and the server that answered so")
    helps = changes_that_help(stage.relayd.json("explain", names.FAR, "--all-sets"))
    good = sorted(change for change, delivers in helps.items() if delivers)
    want = sorted(cure[2] for cure in CURES)
    tell.check(good == want, "would deliver: %s" % ", ".join(good) if good == want else
               "would deliver: %s; wanted %s" % (good, want))


# ---- c. the cures ----

def seconds_to_empty(stage, began):
    while time.monotonic() - began < 10 * parts.SLOW:
        if stage.waiting() == 0:
            return time.monotonic() - began
        time.sleep(0.005)
    return None


def judge(tell, stage, name, before, seconds):
    """The queue is empty, soon enough, and because the mail arrived."""
    if seconds is None:
        return tell.check(False, "%s: %d messages still wait" % (name, stage.waiting()))
    arrived = stage.delivered(names.FAR) - before
    tell.check(arrived == MAIL, "%s: all %d arrived" % (name, arrived) if arrived == MAIL else
               "%s: %d of %d arrived" % (name, arrived, MAIL))
    return tell.check(seconds <= CURED_WITHIN_S, "%s: empty after %.2f s" % (name, seconds))


def cure_by_reload(tell, stage, cure, both=False):
    name, policy, _ = cure
    fresh_deferral(stage, both)
    before = stage.delivered(names.FAR)
    stage.relayd.set_conf(stage.conf(**policy))
    tell.note("%s: %d messages wait; resolve = { %s; }" % (name, MAIL, policy_text(policy)))
    tell.command("relayctl reload")
    began = time.monotonic()
    stage.relayd.must("reload")
    seconds = seconds_to_empty(stage, began)
    judge(tell, stage, name, before, seconds)
    return [name, "relayctl reload", "%.2f" % seconds if seconds is not None else "not cured"]


def cure_by_retry(tell, stage):
    fresh_deferral(stage)
    before = stage.delivered(names.FAR)
    argv = ["retry", "--with", "resolvers=external", names.FAR]
    tell.note("this once, nothing changed:")
    tell.command(["relayctl"] + argv)
    began = time.monotonic()
    stage.relayd.must(*argv)
    seconds = seconds_to_empty(stage, began)
    judge(tell, stage, "retry --with", before, seconds)
    return ["one retry with other servers", "relayctl " + " ".join(argv),
            "%.2f" % seconds if seconds is not None else "not cured"]


def failures(stage):
    return stage.relayd.log().count(" dest_deferred ")


def tried_again(stage, before):
    """The destination was attempted anew, and it failed: what waits, waits."""
    parts.wait_until(lambda: failures(stage) > before and stage.deferred(), 10,
                     "%s is tried again" % names.FAR)


def cure_by_repair(tell, stage):
    fresh_deferral(stage)
    tell.note("the far domain repairs ns1, but the internal Unbound remembers for 5 s:")
    stage.internal.control("flush", names.FAR_MX)
    show_dig(tell, stage.internal, names.FAR_MX, "AAAA", "SERVFAIL")
    stage.repair_ns1()
    got, _ = parts.dig(stage.ns1, names.FAR_MX, "AAAA")
    tell.check(got == "NOERROR", "ns1 itself answers AAAA with %s, no record" % got)
    known = failures(stage)
    tell.command("relayctl dns flush")
    stage.relayd.must("dns", "flush")
    tried_again(stage, known)
    tell.check(stage.waiting() == MAIL, "that alone does not help: %d still wait" % stage.waiting())
    before = stage.delivered(names.FAR)
    tell.command(stage.internal.command("flush", names.FAR_MX))
    began = time.monotonic()
    stage.internal.control("flush", names.FAR_MX)
    tell.command("relayctl dns flush")
    stage.relayd.must("dns", "flush")
    seconds = seconds_to_empty(stage, began)
    judge(tell, stage, "ns1 repaired", before, seconds)
    return ["far name server repaired", "unbound-control flush %s; relayctl dns flush" % names.FAR_MX,
            "%.2f" % seconds if seconds is not None else "not cured"]


# ---- d. the control ----

def control(tell, stage):
    tell.act("4. Control: both name servers broken")
    fresh_deferral(stage, both=True)
    show_dig(tell, stage.external, names.FAR_MX, "AAAA", "SERVFAIL")
    known = failures(stage)
    stage.relayd.set_conf(stage.conf(**EXTERNAL[1]))
    tell.command("relayctl reload")
    stage.relayd.must("reload")
    tried_again(stage, known)
    tell.check(stage.waiting() == MAIL, "resolvers = \"external\" does not cure this: %d still wait" %
               stage.waiting())
    stage.relayd.must("remove", "--silent", names.FAR)
    parts.wait_until(stage.relayd.empty, 5, "the mail is removed")
    rows = [["resolver set external", "relayctl reload", "not cured, as it should be"]]
    tell.note("what does without AAAA still does:")
    for cure in (NO_IPV6, A_FIRST, TOLERATE):
        rows.append(cure_by_reload(tell, stage, cure, both=True))
    return rows


def play(tell, stage):
    dns_works(tell, stage)
    exchange_way(tell, stage)
    explained(tell, stage)
    tell.act("3. The cures, each from a fresh deferral of %d messages, no restart" % MAIL)
    stage.relayd.must("remove", "--silent", names.FAR)
    parts.wait_until(stage.relayd.empty, 5, "the mail is removed")
    rows = [cure_by_reload(tell, stage, cure) for cure in CURES]
    rows.append(cure_by_retry(tell, stage))
    rows.append(cure_by_repair(tell, stage))
    broken = control(tell, stage)
    tell.act("5. Summary")
    tell.table(["cure", "command", "seconds to empty"], rows)
    tell.note("")
    tell.table(["with both name servers broken", "command", "seconds to empty"], broken)
    tell.check(all(p.alive() for p in stage.world.processes), "every part ran to the end, nothing was restarted")
    stage.relayd.stop()
