"""reload: what is queued is routed anew, what is wrong changes nothing, nobody
who is being served notices.  Read next: harness.py (the field)."""

import os
import signal
import socket

import parts
from harness import Field, check, equal, has, wait_until

BODY = b"Subject: x\r\n\r\n\r\n"


def test_queued_mail_takes_the_new_way(world, matrix):
    f = Field(world, matrix, resolve='order = "aaaa-first"; on_failure = "strict";',
              retry='schedule = "10m"; dns = "10m";')
    f.dns.tell("on * mx.far.test AAAA rcode SERVFAIL")
    parts.smtp_source(world, f.relayd.port, 100, "user@far.test")
    wait_until(lambda: (f.relayd.queue().get("far.test") or {}).get("reason") == "dns_servfail", 10, "deferred")
    smarthost = parts.Sink(world, ["127.0.0.50:%d" % f.sink_port], name="smarthost")
    conf = f.conf(connector='smarthosts = [ "127.0.0.50" ];', retry='schedule = "10m"; dns = "10m";')
    f.relayd.reload(conf)
    wait_until(lambda: smarthost.messages() == 100, 5, "all take the smarthost")
    f.drained()
    equal(f.sink.messages(), 0, "messages at the MX")


def test_wrong_file_changes_nothing(world, matrix):
    f = Field(world, matrix)
    good = f.conf()
    f.relayd.set_conf(good.replace("port =", "prot ="))
    done = f.relayd.ctl("reload")
    equal(done.returncode, 1, "exit of reload")
    has(done.stdout + done.stderr, "prot", "its words")
    f.send("a@far.test", BODY)
    f.arrived(1)
    f.relayd.reload(good)


def test_listeners_come_and_go(world, matrix):
    f = Field(world, matrix)
    second = parts.free_port()
    text = 'listeners = ( %s );\n'
    row = '{ address = "127.0.0.1:%d"; }'
    f.relayd.reload(text % ", ".join(row % p for p in (f.relayd.port, second)) + f.conf())
    s = parts.Smtp("127.0.0.1", second)
    equal(s.hello()[0], 250, "hello at the new port")
    s.close()
    f.relayd.reload(text % (row % second) + f.conf())
    wait_until(lambda: not listens(f.relayd.port), 5, "the old port is closed")
    f.relayd.port = second
    f.send("a@far.test", BODY)
    f.arrived(1)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
        return True
    except OSError:
        return False


def test_port_in_use_changes_nothing(world, matrix):
    f = Field(world, matrix)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        f.relayd.set_conf('listeners = ( { address = "127.0.0.1:%d"; }, { address = "127.0.0.1:%d"; } );\n' % (
            f.relayd.port, port) + f.conf())
        done = f.relayd.ctl("reload")
    equal(done.returncode, 1, "exit of reload")
    has(done.stdout + done.stderr, str(port), "its words")
    f.send("a@far.test", BODY)
    f.arrived(1)


def test_sighup(world, matrix):
    f = Field(world, matrix, retry='schedule = "10m"; dns = "10m";', resolve='on_failure = "strict";')
    f.dns.tell("on * mx.far.test AAAA rcode SERVFAIL")
    f.send("a@far.test", BODY)
    wait_until(lambda: (f.relayd.queue().get("far.test") or {}).get("reason"), 10, "deferred")
    f.relayd.set_conf(f.conf(resolve="ipv6 = false;"))
    os.kill(f.relayd.process.pid, signal.SIGHUP)
    f.arrived(1, 3)


def test_under_load(world, matrix):
    """Reloads while mail flows: none refused, cut off or lost."""
    f = Field(world, matrix)
    n = 3000 if not parts.SAN else 600
    gen = parts.Process(world, "gen", [parts.program("smtpgen"), "-c", "20", "-m", str(n), "-n", "20", "-R", "1500",
                                       "-d", "far.test", "127.0.0.1:%d" % f.relayd.port])
    for share in (0.2, 0.4, 0.6):
        wait_until(lambda: f.sink.count()["distinct"] >= n * share, 60, "%d %% arrived" % (share * 100))
        f.relayd.reload(f.conf(resolve='prefer = "ipv%s";' % ("4" if share == 0.4 else "6")))
    gen.wait_end(60)
    got = parts.parse_gen(gen.out())
    equal((got["taken"], got["refused"], got["lost"]), (n, 0, 0), "taken, refused, lost")
    f.arrived(n, 60)
    equal((f.sink.missing(n), f.sink.count()["duplicates"]), (0, 0), "missing, duplicates")


def test_recipient_without_connector_is_held(world, matrix):
    """Never failed: held with reason policy, and released by the right file."""
    f = Field(world, matrix)
    f.sink.tell('at rcpt domain=far.test reply "451 4.7.1 later"')
    f.send("a@far.test", BODY)
    wait_until(lambda: (f.relayd.queue().get("far.test") or {}).get("reason") == "smtp_4xx", 10, "deferred")
    f.relayd.reload(f.conf().replace('domains = "*"', 'domains = "near.test"'))
    rows = wait_until(lambda: [r for r in f.relayd.json("queue") if r.get("status") == "Suspended"], 5, "it is held")
    equal(rows[0]["reason"], "policy", "reason")
    f.sink.tell("off rcpt")
    f.relayd.reload(f.conf())
    f.arrived(1)


def test_stop_finishes_what_is_under_way(world, matrix):
    """SIGTERM in the middle of a delivery: it is finished, not doubled."""
    f = Field(world, matrix)
    f.sink.tell("at dot delay 700")
    f.send("a@far.test", BODY)
    wait_until(lambda: f.sink.count()["held_back"] >= 1, 10, "the sink has the dot and waits with its answer")
    f.relayd.stop()
    equal(f.sink.messages(), 1, "messages after the stop")
    f.relayd.start()
    check(f.relayd.empty(), "nothing is left: %s" % f.relayd.queue())
    equal(f.sink.messages(), 1, "messages after the start")


def test_resolv_conf_is_read_again(world, matrix):
    """Another server in resolv.conf reaches the roles without a word from anybody."""
    f = Field(world, matrix, start=False)
    path = world.path("resolv.conf")
    silent = parts.free_port()
    with open(path, "w") as out:
        out.write("nameserver 127.0.0.1:%d\n" % silent)
    f.relayd.set_conf(f.conf(top='resolv_conf = "%s";' % path).replace(
        'resolvers = "main"', 'resolvers = "system"').replace('dns = "1s"', 'dns = "1h"'))
    f.relayd.start()
    f.send("a@far.test", BODY)
    wait_until(lambda: "far.test" in f.relayd.queue(), 20, "it waits")
    with open(path, "w") as out:
        out.write("nameserver %s\n" % f.ns)
    f.arrived(1, 30)
