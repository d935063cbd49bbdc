"""mta.py - the two mail servers under test, each with a fresh queue on the
disk, listening on a free port of loopback and relaying all to the sink.  Must
never give one a setting that the other has not: both keep their defaults.
Read next: bench.py (the runs), postfix.sh (how Postfix runs uninstalled)."""

import os
import re
import shutil
import subprocess

import measure
import parts
from parts import Failure, read_text, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))


class Relayd(parts.Relayd):
    """relayd with default settings; its log goes to a file."""

    name = "relayd"

    def __init__(self, world, disk, sink_port, rx=1, tx=1):
        self.log_path = os.path.join(disk, "relayd.log")
        super().__init__(world, """
connectors = ( { name = "internet"; domains = "*"; smarthosts = [ "[127.0.0.1]:%d" ]; } );
""" % sink_port, rx=rx, tx=tx, spool=os.path.join(disk, "spool"))

    def base_conf(self):
        lines = [
            'hostname = "relay.here.test";',
            'spool = { path = "%s"; };' % self.spool,
            'control = { path = "%s"; };' % self.control,
            'log = { to = "file"; file = "%s"; };' % self.log_path,
            'processes = { rx = %d; tx = %d; };' % (self.rx, self.tx),
        ]
        if os.geteuid() == 0:
            lines.append('user = "nobody";')
        return "\n".join(lines) + "\n"

    def start(self):
        self.launch()

        def ready():
            if not self.process.alive():
                raise Failure("relayd does not start:\n%s" % self.why())
            return "relayd_ready" in read_text(self.log_path)
        wait_until(ready, 15, "relayd is ready")

    def why(self):
        return parts.tail(self.process.err() + read_text(self.log_path))

    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.stop()
        self.process.kill_group()


MAIN_CF = """
compatibility_level = 3.6
queue_directory = /mnt/run/queue
data_directory = /mnt/run/data
daemon_directory = /mnt/parts/usr/lib/postfix/sbin
command_directory = /mnt/parts/usr/sbin
shlib_directory = /mnt/parts/usr/lib/postfix
meta_directory = /mnt/run/conf
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
maillog_file = /mnt/run/postfix.log
maillog_file_prefixes = /mnt/run
myhostname = relay.here.test
mydestination =
alias_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{sink}
"""

# Debian's own, less what needs programs from elsewhere.  Not shut into the
# queue's folder: that would want copies of libraries there.
MASTER_CF = """
{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Debian's Postfix with default settings, from build/parts; its log goes to a file too."""

    name = "Postfix"

    def __init__(self, world, disk, sink_port):
        self.world = world
        self.dir = os.path.join(disk, "postfix")
        self.port = parts.free_port()
        self.log_path = os.path.join(self.dir, "postfix.log")
        self.process = None
        conf = os.path.join(self.dir, "conf")
        os.makedirs(conf)
        for name, text in (("main.cf", MAIN_CF), ("master.cf", MASTER_CF)):
            with open(os.path.join(conf, name), "w") as f:
                f.write(text.format(sink=sink_port, port=self.port).lstrip())

    @staticmethod
    def folder():
        """Where parts.sh unpacked it, and the name of its folder of libraries."""
        top = parts.foreign("smtp-source")[:-len("/usr/sbin/smtp-source")]
        first = parts.foreign_env()["LD_LIBRARY_PATH"].split(":")[0]
        return top, os.path.basename(first)

    @classmethod
    def version(cls):
        top, _ = cls.folder()
        done = subprocess.run([top + "/usr/sbin/postconf", "-d", "-h", "mail_version"], env=parts.foreign_env(),
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
        return done.stdout.strip() or "?"

    @staticmethod
    def cannot():
        """Why it cannot run here; None: it can."""
        if os.geteuid() != 0:
            return "needs root, for a mount namespace and its users"
        for tool in ("unshare", "setpriv"):
            if not shutil.which(tool):
                return "needs %s (package util-linux)" % tool
        done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], stderr=subprocess.PIPE,
                              universal_newlines=True)
        return "no namespaces here: " + done.stderr.strip() if done.returncode else None

    def start(self):
        top, triplet = self.folder()
        # However this program ends, unshare ends, and its pid namespace with it.
        self.process = parts.Process(self.world, "postfix", [
            "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child",
            os.path.join(HERE, "postfix.sh"), top, self.dir, triplet])

        def ready():
            if not self.process.alive():
                raise Failure("Postfix does not start:\n%s" % self.why())
            return "daemon started" in read_text(self.log_path)
        try:
            wait_until(ready, 15, "Postfix is ready")
        except Failure as e:
            raise Failure("%s\n%s" % (e, self.why()))

    def why(self):
        return parts.tail(self.process.err() + self.process.out() + "\n".join(
            line for line in read_text(self.log_path).splitlines()
            if re.search("fatal|panic|error|warning", line)))

    def pid(self):
        return self.process.pid

    def stop(self):
        """Its queue is thrown away: nothing to be gentle about."""
        inside = [pid for pid in measure.tree(self.process.pid) if pid != self.process.pid]
        self.process.kill_group()
        wait_until(lambda: not any(alive(pid) for pid in inside), 10, "Postfix is gone")


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False
