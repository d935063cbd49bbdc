"""parts.py - starts, asks and ends the processes of the lab and the end-to-end
tests: faultdns, sinksmtp, Unbound, relayd and the mail clients.  Must never
sleep for a fixed time, leave a process running or kill one by its name.
Read next: story.py (the lab's acts), ../e2e/ (the tests that use this too)."""

import ctypes
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAN = os.environ.get("SAN") == "1"
SLOW = 5 if SAN else 1          # patience, not behaviour
CRASH = re.compile(r"ERROR: \w+Sanitizer|runtime error:|LeakSanitizer|status=signal_(4|6|7|8|11)\b"
                   r"|free\(\): |malloc\(\): |double free|buffer overflow detected")


class Failure(Exception):
    """Something is not as it must be; the text says what."""


def build_dir():
    default = os.path.join(TOP, "build", "san") if SAN else os.path.join(TOP, "build")
    return os.path.abspath(os.environ.get("RELAYD_BUILD", default))


def program(name):
    """A program of our own: relayd, relayctl, a lab part or a bench part."""
    for place in ("", "tests/lab", "tests/bench"):
        path = os.path.join(build_dir(), place, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise Failure("%s is not built (looked under %s)" % (name, build_dir()))


_foreign = {}


def foreign(name):
    """A program of tests/tools/parts.sh; downloads it on first use."""
    if not _foreign:
        done = subprocess.run([os.path.join(TOP, "tests/tools/parts.sh")], stdout=subprocess.PIPE,
                              universal_newlines=True)
        if done.returncode != 0:
            raise Failure("tests/tools/parts.sh could not get all parts")
        _foreign.update(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return _foreign[name]


def foreign_env():
    foreign("library_path")
    return dict(os.environ, LD_LIBRARY_PATH=_foreign["library_path"])


def wait_until(condition, seconds, what):
    """Asks until condition() is true and returns its value; raises at the end."""
    end = time.monotonic() + seconds * SLOW
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Failure("waited %g s in vain: %s" % (seconds * SLOW, what))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


_ports = set()


def free_port():
    """A port below the ephemeral range, free for UDP and TCP on every address."""
    for _ in range(1000):
        port = random.SystemRandom().randrange(10000, 32000)
        if port in _ports:
            continue
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as s:
                    s.bind(("0.0.0.0", port))
                if has_ipv6():
                    with socket.socket(socket.AF_INET6, kind) as s:
                        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                        s.bind(("::", port))
        except OSError:
            continue
        _ports.add(port)
        return port
    raise Failure("no free port")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


_libc = ctypes.CDLL(None)


def _die_with_us():
    """In the child: SIGTERM when this program goes, however it goes."""
    _libc.prctl(1, signal.SIGTERM)


class Process:
    """One child, its output in files; its whole process group ends with it."""

    def __init__(self, world, name, argv, env=None):
        self.name = name
        self.out_path = world.path(name + ".out")
        self.err_path = world.path(name + ".err")
        with open(self.out_path, "wb") as out, open(self.err_path, "ab") as err:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                          env=env, cwd=world.dir, start_new_session=True,
                                          preexec_fn=_die_with_us)
        self.pid = self.popen.pid
        world.processes.append(self)

    def alive(self):
        return self.popen.poll() is None

    def out(self):
        return read_text(self.out_path)

    def err(self):
        return read_text(self.err_path)

    def wait_output(self, mark, seconds=10):
        """Until mark is on its stdout or stderr."""
        def seen():
            if mark in self.out() or mark in self.err():
                return True
            if not self.alive():
                raise Failure("%s ended (%s) before it said \"%s\":\n%s" % (
                    self.name, self.popen.returncode, mark, tail(self.err() + self.out())))
            return False
        try:
            wait_until(seen, seconds, "%s says \"%s\"" % (self.name, mark))
        except Failure as e:
            raise Failure("%s\n%s" % (e, tail(self.err() + self.out())))

    def wait_end(self, seconds=10):
        try:
            return self.popen.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise Failure("%s does not end" % self.name)

    def signal(self, sig):
        if self.alive():
            os.kill(self.pid, sig)

    def kill_group(self):
        """SIGKILL to it and all that it started; back when all are gone, ports and locks too."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()
        wait_until(lambda: not group_members(self.pid), 10, "%s's group is gone" % self.name)

    def stop(self, seconds=40):
        """SIGTERM, a bounded wait; its exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.kill_group()
            return None


def tail(text, lines=25):
    """The last lines, without those of mail that went well."""
    kept = [line for line in text.splitlines() if " info delivered " not in line and " info received " not in line]
    return "\n".join("    " + line for line in kept[-lines:])


class World:
    """A temporary folder and the processes that live in it."""

    def __init__(self, name):
        self.dir = tempfile.mkdtemp(prefix="relayd-%s-" % name)
        os.chmod(self.dir, 0o755)       # the roles' own user passes through
        self.processes = []
        self.keep = False

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def end(self):
        """Asks every process to go, waits a bounded time, kills what is left."""
        for p in reversed(self.processes):
            p.signal(signal.SIGTERM)
        for p in reversed(self.processes):
            try:
                p.popen.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                pass
            p.kill_group()

    def close(self):
        self.end()
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def crashes(self):
        """What sanitizers, the C library or relayd's parent said of processes that broke."""
        return ["%s:\n%s" % (p.name, tail(p.err(), 60)) for p in self.processes if CRASH.search(p.err())]


class Control:
    """A line out, a line back, over a unix socket."""

    def __init__(self, path):
        self.path = path

    def ask(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.path)
            s.sendall(line.encode() + b"\n")
            reply = s.makefile("r", encoding="utf-8").readline().strip()
        if not reply.startswith("ok"):
            raise Failure("%s: \"%s\" was answered \"%s\"" % (self.path, line, reply))
        return reply[3:]


class FaultDns(Control):
    """Name servers that answer by script; tell() changes the script."""

    def __init__(self, world, addresses, script, name="faultdns"):
        super().__init__(world.path(name + ".ctl"))
        self.addresses = addresses
        self.log_path = world.path(name + ".log")
        self.script_path = world.write(name + ".script", script)
        self.process = Process(world, name, [program("faultdns"), "-s", self.script_path,
                                             "-l", self.log_path, "-c", self.path] + addresses)
        self.process.wait_output("ready")

    def tell(self, *lines):
        for line in lines:
            self.ask(line)

    def queries(self):
        """(address, transport, name, type) of every question so far."""
        return [tuple(line.split()[1:]) for line in read_text(self.log_path).splitlines()]


class Sink(Control):
    """The receiving servers."""

    def __init__(self, world, addresses, name="sink", keep=False, options=(), log=True):
        super().__init__(world.path(name + ".ctl"))
        self.log_path = world.path(name + ".log")
        self.bodies = world.path(name + ".mail")
        argv = [program("sinksmtp"), "-c", self.path]
        if log:
            argv += ["-l", self.log_path]
        if keep:
            argv += ["-d", self.bodies]
        self.process = Process(world, name, argv + list(options) + addresses)
        self.process.wait_output("ready")

    def tell(self, *lines):
        for line in lines:
            self.ask(line)

    def count(self):
        """{"messages": …, "rcpts": …, "distinct": …, "duplicates": …, …}"""
        return {k: float(v) for k, v in (w.split("=") for w in self.ask("count").split())}

    def messages(self):
        return int(self.count()["messages"])

    def missing(self, n):
        return int(self.ask("missing %d" % n).split()[0].split("=")[1])

    def log(self):
        """Every transaction that came to its dot, as a dict."""
        return [json.loads(line) for line in read_text(self.log_path).splitlines() if line.endswith("}")]

    def body(self, entry):
        with open(os.path.join(self.bodies, entry["file"]), "rb") as f:
            return f.read()


UNBOUND_CONF = """server:
    interface: {address}
    port: {port}
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{dir}"
    pidfile: ""
    use-syslog: no
    logfile: ""
    verbosity: 1
    num-threads: 1
    do-not-query-localhost: no
    access-control: 127.0.0.0/8 allow
    local-zone: "test." nodefault
    module-config: "iterator"
    qname-minimisation: no
    prefetch: no
    minimal-responses: yes
    outgoing-range: 512
    so-reuseport: no
remote-control:
    control-enable: yes
    control-interface: "{control}"
    control-use-cert: no
stub-zone:
    name: "test."
    stub-addr: {stub}
    stub-prime: no
"""


class Unbound:
    """A real caching resolver that reaches exactly one name server."""

    def __init__(self, world, name, port, stub):
        self.address = "127.0.0.1:%d" % port
        self.port = port
        self.conf = world.write(name + ".conf", UNBOUND_CONF.format(
            address="127.0.0.1", port=port, dir=world.dir,
            control=world.path(name + ".sock"), stub=stub.replace(":", "@")))
        self.process = Process(world, name, [foreign("unbound"), "-d", "-p", "-c", self.conf],
                               env=foreign_env())
        self.process.wait_output("start of service")

    def command(self, *args):
        return ["unbound-control", "-c", self.conf] + list(args)

    def control(self, *args):
        done = subprocess.run([foreign("unbound-control"), "-c", self.conf] + list(args),
                              env=foreign_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True, timeout=10)
        if done.returncode != 0:
            raise Failure("unbound-control %s: %s" % (" ".join(args), done.stdout))
        return done.stdout


def run(argv, seconds=30, env=None, data=None):
    """Runs to the end; CompletedProcess with text."""
    try:
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                              input=data, universal_newlines=True, timeout=seconds * SLOW,
                              errors="replace")
    except subprocess.TimeoutExpired:
        raise Failure("%s does not end" % " ".join(argv))


def dig(server, name, kind, *options):
    """(status, answers) from a server "127.0.0.1:5301"."""
    host, port = server.rsplit(":", 1)
    done = run([foreign("dig"), "+tries=1", "+time=3", "-p", port, "@" + host, name, kind] + list(options),
               env=foreign_env())
    status = re.search(r"status: (\w+)", done.stdout)
    answers, section = [], ""
    for line in done.stdout.splitlines():
        if line.startswith(";;"):
            section = line
        elif line and not line.startswith(";") and "ANSWER SECTION" in section:
            answers.append(line.split(None, 4)[4])
    return (status.group(1) if status else "no answer"), answers


def sanitizer_env():
    """Leaks are looked for by the unit tests: the roles' empty root has no /proc."""
    return dict(os.environ, ASAN_OPTIONS="detect_leaks=0:abort_on_error=1",
                UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")


class Relayd:
    """The daemon under test, run in the foreground with a file of ours."""

    def __init__(self, world, conf="", name="relayd", rx=1, tx=1, port=None, spool=None):
        self.world = world
        self.name = name
        self.rx, self.tx = rx, tx
        self.port = port or free_port()
        self.spool = spool or world.path("spool")
        self.control = world.path(name + ".control")
        self.conf_path = world.path(name + ".conf")
        self.process = None
        self.starts = 0
        self.set_conf(conf)

    def base_conf(self):
        lines = [
            'hostname = "relay.here.test";',
            'spool = { path = "%s"; allow_ephemeral = true; min_free = "1M"; };' % self.spool,
            'control = { path = "%s"; };' % self.control,
            'log = { to = "stderr"; };',
            'processes = { rx = %d; tx = %d; };' % (self.rx, self.tx),
        ]
        if os.geteuid() == 0:
            lines.append('user = "nobody";')
        return "\n".join(lines) + "\n"

    def set_conf(self, conf):
        """Resolvers, connectors and so on; listeners too unless conf has its own."""
        text = self.base_conf()
        if "listeners" not in conf:
            text += 'listeners = ( { name = "in"; address = "127.0.0.1:%d"; } );\n' % self.port
        self.world.write(os.path.basename(self.conf_path), text + conf)

    def start(self, seconds=15):
        self.launch()
        self.process.wait_output("relayd_ready", seconds)

    def launch(self):
        """Starts it without waiting until it is ready."""
        self.starts += 1
        self.process = Process(self.world, "%s.%d" % (self.name, self.starts),
                               [program("relayd"), "-f", self.conf_path], env=sanitizer_env())

    def log(self):
        return "".join(read_text(self.world.path("%s.%d.err" % (self.name, n + 1)))
                       for n in range(self.starts))

    def stop(self):
        code = self.process.stop()
        if code != 0:
            raise Failure("relayd ended with %s\n%s" % (code, tail(self.process.err())))

    def kill_group(self):
        self.process.kill_group()

    def ctl(self, *args, seconds=20):
        return run([program("relayctl"), "--socket", self.control] + list(args), seconds)

    def json(self, *args):
        """The objects that a verb prints; fails when the verb fails."""
        done = self.ctl("--json", *args)
        if done.returncode not in (0, 1, 10, 11):
            raise Failure("relayctl %s: %s" % (" ".join(args), done.stderr.strip()))
        rows = []
        for line in done.stdout.splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                raise Failure("relayctl %s printed no JSON: %s" % (" ".join(args), line[:300]))
        return rows

    def queue(self):
        """{domain: row} of what waits."""
        done = self.ctl("--json", "queue")
        if done.returncode not in (0, 1):
            raise Failure("relayctl queue: %s" % done.stderr.strip())
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return {r["domain"]: r for r in rows if r.get("domain") is not None and r.get("count", 0) > 0}

    def empty(self, domain=None):
        q = self.queue()
        return not q if domain is None else domain not in q

    def must(self, *args):
        done = self.ctl(*args)
        if done.returncode != 0:
            raise Failure("relayctl %s: exit %d: %s" % (
                " ".join(args), done.returncode, (done.stderr + done.stdout).strip()))
        return done.stdout

    def reload(self, conf=None):
        if conf is not None:
            self.set_conf(conf)
        return self.must("reload")

    def roles(self):
        """{"rx0": pid, …}; a role between death and restart has none and is left out."""
        for row in self.json("status"):
            if "roles" in row:
                return {r["name"]: int(r["pid"]) for r in row["roles"] if int(r["pid"]) > 1}
        return {}

    def smtp(self, timeout=30):
        return Smtp("127.0.0.1", self.port, timeout * SLOW)


class Smtp:
    """A plain SMTP client that sends exactly the octets it is given."""

    def __init__(self, host, port, timeout=30):
        self.sock = socket.create_connection((host, port), timeout)
        self.file = self.sock.makefile("rb")

    def reply(self):
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                raise Failure("connection closed by the server after %r" % lines)
            lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
            if len(line) < 4 or line[3:4] != b"-":
                break
        return int(lines[-1][:3]), "\n".join(lines)

    def command(self, text):
        self.sock.sendall(text.encode() + b"\r\n")
        return self.reply()

    def hello(self):
        self.reply()
        return self.command("EHLO client.test")

    def send(self, sender, rcpts, body):
        """One message in one transaction; the reply to its dot, or the refusal."""
        code, text = self.command("MAIL FROM:<%s>" % sender)
        if code != 250:
            return code, text
        good = 0
        for rcpt in rcpts:
            code, text = self.command("RCPT TO:<%s>" % rcpt)
            good += code == 250
        if not good:
            return code, text
        code, text = self.command("DATA")
        if code != 354:
            return code, text
        self.sock.sendall(stuff(body) + b".\r\n")
        return self.reply()

    def close(self):
        self.sock.close()


def stuff(body):
    """Dot-stuffed, with a line end at the end (RFC 5321 4.5.2)."""
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    if body.startswith(b"."):
        body = b"." + body
    return body.replace(b"\r\n.", b"\r\n..")


def smtp_source(world, port, count, rcpt, sender="user@here.test", sessions=10, size=500):
    """Postfix's test client; raises when not every message was taken."""
    conf_dir = world.path("postfix")
    if not os.path.isdir(conf_dir):
        os.mkdir(conf_dir)
        with open(os.path.join(conf_dir, "main.cf"), "w") as f:
            f.write("compatibility_level = 3.6\nmyhostname = client.here.test\n"
                    "queue_directory = %s\ndata_directory = %s\n" % (conf_dir, conf_dir))
    done = run([foreign("smtp-source"), "-m", str(count), "-s", str(min(sessions, count)), "-l", str(size),
                "-f", sender, "-t", rcpt, "-M", "client.here.test", "127.0.0.1:%d" % port],
               60, env=dict(foreign_env(), MAIL_CONFIG=conf_dir))
    if done.returncode != 0:
        raise Failure("smtp-source: %s" % (done.stderr or done.stdout).strip())


def smtpgen(port, *options, seconds=120):
    """{"taken": …, "lost": …, …} of a run of the generator."""
    done = run([program("smtpgen")] + [str(o) for o in options] + ["127.0.0.1:%d" % port], seconds)
    return parse_gen(done.stdout)


def parse_gen(text):
    found = dict(re.findall(r"(\w+)=([0-9.]+)", text))
    if "taken" not in found:
        raise Failure("smtpgen said: %s" % text)
    return {k: float(v) for k, v in found.items()}


def group_members(group):
    """The living processes of a process group; a zombie holds nothing any more."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry) as f:
                state, _, of = f.read().rsplit(")", 1)[1].split()[:3]
        except (OSError, ValueError):
            continue
        if int(of) == group and state not in "ZX":
            found.append(int(entry))
    return found
