"""What an operator or a client gets wrong: relayd says so in one clear line and
neither dies nor starts half.  Read next: harness.py (the field)."""

import os
import socket

import parts
from harness import Field, Skip, check, equal, has, once, wait_until


def refused(f, code, *words):
    """relayd must not start: exit code and what it says."""
    f.relayd.launch()
    got = f.relayd.process.wait_end(15)
    said = f.relayd.process.err() + f.relayd.process.out()
    check(got == code if code else got != 0, "exit %s, wanted %s\n%s" % (got, code or "a failure", said))
    for word in words:
        has(said, word, "its words")
    return said


@once
def test_unknown_key(world, matrix):
    f = Field(world, matrix, start=False, resolve='graze = "1s";')
    said = refused(f, 78, "graze", "grace", os.path.basename(f.relayd.conf_path) + ":")
    check(len(said.strip().splitlines()) <= 3, "short: %s" % said)
    done = parts.run([parts.program("relayd"), "-t", "-f", f.relayd.conf_path], env=parts.sanitizer_env())
    equal(done.returncode, 78, "exit of -t")


@once
def test_no_unit(world, matrix):
    f = Field(world, matrix, start=False, resolve="grace = 20;")
    refused(f, 78, "grace", "unit")


@once
def test_check_is_content(world, matrix):
    f = Field(world, matrix, start=False)
    done = parts.run([parts.program("relayd"), "-t", "-f", f.relayd.conf_path], env=parts.sanitizer_env())
    equal(done.returncode, 0, "exit of -t: %s%s" % (done.stdout, done.stderr))
    has(done.stdout + done.stderr, "ok", "its words")


@once
def test_no_file(world, matrix):
    done = parts.run([parts.program("relayd"), "-f", world.path("nowhere.conf")], env=parts.sanitizer_env())
    check(done.returncode != 0, "starts without a file")
    has(done.stderr + done.stdout, "nowhere.conf", "its words")


@once
def test_port_in_use(world, matrix):
    f = Field(world, matrix, start=False)
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", f.relayd.port))
        s.listen(1)
        refused(f, 69, str(f.relayd.port), "in use")


@once
def test_spool_not_writable(world, matrix):
    f = Field(world, matrix, start=False)
    world.write("file", "no folder")
    f.relayd.spool = world.path("file/spool")
    f.relayd.set_conf(f.conf())
    refused(f, 0, "file/spool")


@once
def test_spool_of_others(world, matrix):
    if os.geteuid() == 0:
        raise Skip("root may write everywhere")
    f = Field(world, matrix, start=False)
    os.mkdir(f.relayd.spool, 0o500)
    refused(f, 0, "spool")


@once
def test_second_relayd_on_a_spool(world, matrix):
    f = Field(world, matrix)
    second = parts.Relayd(world, f.conf(), name="second", spool=f.relayd.spool)
    second.launch()
    check(second.process.wait_end(15) != 0, "two relayds on one spool")
    has(second.process.err(), "spool", "its words")
    f.send("a@far.test", b"Subject: x\r\n\r\n\r\n")
    f.arrived(1)


@once
def test_second_relayd_on_a_control_socket(world, matrix):
    f = Field(world, matrix)
    second = parts.Relayd(world, f.conf(), name="second", spool=world.path("spool2"))
    second.control = f.relayd.control
    second.set_conf(f.conf())
    second.launch()
    check(second.process.wait_end(15) != 0, "two relayds on one control socket")
    f.relayd.must("status")


def test_unreachable_dns_server(world, matrix):
    """A deferral with a DNS reason; the right server by reload cures it."""
    f = Field(world, matrix, start=False, retry='schedule = "10m"; dns = "10m";',
              servers="127.0.0.1:%d" % parts.free_port())
    f.relayd.start()
    f.send("a@far.test", b"Subject: x\r\n\r\n\r\n")
    row = wait_until(lambda: (f.relayd.queue().get("far.test") or {}).get("reason") and
                     f.relayd.queue()["far.test"], 20, "it is deferred")
    check(row["reason"].startswith("dns_"), "reason %s" % row["reason"])
    f.relayd.reload(f.conf())
    f.arrived(1, 2)


def test_bad_clients(world, matrix):
    """Each gets a reply and the next client is served."""
    f = Field(world, matrix)
    s = f.relayd.smtp()
    equal(s.reply()[0], 220, "greeting")
    for text, code in (("FOO", 500), ("MAIL FROM:<a@b.test>", 503), ("EHLO x.test", 250), ("DATA", 503),
                       ("MAIL FROM:a@b.test>>", 501), ("MAIL FROM:<a@b.test> NONSENSE=1", 555),
                       ("RCPT TO:<a@far.test>", 503), ("MAIL FROM:<a@b.test>", 250),
                       ("RCPT TO:<", 501), ("X" * 6000, 500), ("RSET", 250)):
        equal(s.command(text)[0], code, "reply to %.40s" % text)
    s.close()
    s = f.relayd.smtp()
    s.hello()
    code, text = s.send("a@b.test", ["a@far.test"], b"Subject: bare\nLF\r\n\r\nx\r\n")
    check(500 <= code < 600, "bare LF: %s" % text)
    s.close()
    s = f.relayd.smtp()
    s.sock.sendall(os.urandom(20000).replace(b"\n", b"x") + b"\r\n")
    s.close()
    f.send("a@far.test", b"Subject: x\r\n\r\n\r\n")
    f.arrived(1)
    equal(f.sink.messages(), 1, "messages")


def test_no_open_relay(world, matrix):
    """Clients outside the list, domains without a connector: 550 5.7.1."""
    f = Field(world, matrix, start=False)
    listeners = 'listeners = ( { address = "127.0.0.1:%d"; clients = [ "192.0.2.0/24" ]; } );\n' % f.relayd.port
    f.relayd.set_conf(listeners + f.conf())
    f.relayd.start()
    s = f.relayd.smtp()
    s.hello()
    code, text = s.send("a@b.test", ["a@far.test"], b"x\r\n")
    equal(code, 550, "stranger: %s" % text)
    has(text, "5.7.1", "enhanced code")
    s.close()
    f.relayd.reload(f.conf().replace('domains = "*"', 'domains = "far.test"'))
    s = f.relayd.smtp()
    s.hello()
    code, text = s.send("a@b.test", ["a@near.test"], b"x\r\n")
    equal(code, 550, "domain of nobody: %s" % text)
    s.command("RSET")
    equal(s.send("a@b.test", ["a@far.test"], b"Subject: x\r\n\r\n")[0], 250, "domain of ours")
    s.close()
    f.arrived(1)


@once
def test_too_large(world, matrix):
    f = Field(world, matrix, start=False)
    f.relayd.set_conf('listeners = ( { address = "127.0.0.1:%d"; size = "64K"; } );\n' % f.relayd.port + f.conf())
    f.relayd.start()
    s = f.relayd.smtp()
    has(s.hello()[1], "SIZE 65536", "EHLO")
    equal(s.command("MAIL FROM:<a@b.test> SIZE=70000")[0], 552, "declared size")
    code, text = s.send("a@b.test", ["a@far.test"], b"x" * 60 + (b"\r\n" + b"y" * 70) * 1500 + b"\r\n")
    equal(code, 552, "real size: %s" % text)
    equal(s.send("a@b.test", ["a@far.test"], b"Subject: x\r\n\r\n")[0], 250, "next message")
    s.close()
    f.arrived(1)
