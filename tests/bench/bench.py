#!/usr/bin/env python3
"""bench.py - "make bench": relayd and Debian's Postfix in turn, each between the
same generator and the same sink on loopback: rates, CPU, memory, loss.
Usage: bench.py [--help]  (lists as 4096,65536 make one table for each pair)
Must never count a message before the sink has it, or leave a process behind.
Read next: mta.py (what is compared), measure.py (how costs are read)."""

import argparse
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lab"))
sys.path.insert(0, HERE)

import measure  # noqa: E402
import mta      # noqa: E402
import parts    # noqa: E402
import tables   # noqa: E402

OTHERS_CORES = 0.15     # more than this used by others: the run is done again
BYTES = 1 << 30         # of mail in a run, unless the number of messages is given
STALL_S = 20            # nothing arrives so long: the rest is lost


class Counter:
    """The sink's count over one connection, so that asking costs little."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(path)
        self.file = self.sock.makefile("r")

    def messages(self):
        self.sock.sendall(b"count\n")
        return int(self.file.readline().split("messages=")[1].split()[0])

    def close(self):
        self.file.close()
        self.sock.close()


class Generator:
    """smtpgen at work."""

    def __init__(self, world, port, args, messages):
        argv = [parts.program("smtpgen"), "-c", args.connections, "-m", messages, "-n", args.per_connection,
                "-l", args.size, "-t", args.limit, "127.0.0.1:%d" % port]
        self.began = time.monotonic()
        self.process = parts.Process(world, "smtpgen", [str(a) for a in argv])

    def running(self):
        return self.process.alive()

    def said(self):
        return parts.parse_gen(self.process.out())


def arrived(counter, generator, messages, limit_s):
    """Waits for the sink to count all that was taken; the time when it had."""
    last, moved = -1, time.monotonic()
    while True:
        count, now = counter.messages(), time.monotonic()
        if count != last:
            last, moved = count, now
        taken = messages
        if not generator.running():
            taken = min(taken, int(generator.said()["taken"]))
        if count >= taken:
            return now
        if now - moved > STALL_S or now - generator.began > limit_s:
            return now
        # Seldom at first, often near the end: asking takes CPU from the rest.
        rate = max(count, 1) / (now - generator.began)
        time.sleep(min(0.05, max(0.002, (taken - count) / rate / 4)))


def push(world, server, counter, args, messages):
    """One load: what the generator says, and seconds from the first connect to the last arrival."""
    generator = Generator(world, server.port, args, messages)
    end = arrived(counter, generator, messages, args.limit)
    generator.process.wait_end(STALL_S)         # its QUITs
    return generator.said(), end - generator.began


class Watch:
    """The peak of the memory, sampled in a thread; only for runs that are not timed."""

    def __init__(self, pid):
        self.pid, self.peak, self.stop = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop.wait(0.1):
            self.peak = max(self.peak, measure.pss_kib(self.pid))

    def end(self):
        self.stop.set()
        self.thread.join()
        return self.peak


def children_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(world, server, sink, counter, args):
    """The run that counts: {what: number}."""
    cpu = measure.wait_idle(server.pid())
    sink_cpu, gen_cpu, others = measure.cpu_s(sink.process.pid), children_s(), measure.others_s()
    machine = measure.machine_s()
    said, seconds = push(world, server, counter, args, args.messages)
    machine, others = measure.machine_s() - machine, (measure.others_s() - others) / seconds
    gen_cpu, sink_cpu = children_s() - gen_cpu, measure.cpu_s(sink.process.pid) - sink_cpu
    cpu = measure.wait_idle(server.pid()) - cpu
    count = sink.count()
    per_1000 = 1000.0 / max(1, count["messages"])
    return {
        "rate": count["messages"] / seconds, "accept": said["taken"] / said["seconds"],
        "p50": said["p50_ms"], "p99": said["p99_ms"], "cpu": cpu * per_1000, "machine": machine * per_1000,
        "load_cpu": (gen_cpu + sink_cpu) * per_1000, "sessions": count["connections"],
        "lost": sink.missing(args.messages) if said["taken"] == args.messages
        else max(0, said["taken"] - count["distinct"]),
        "duplicates": count["duplicates"], "refused": said["refused"] + said["lost"],
        "others": others,
    }


def profiled(server, args, work):
    """work() while perf looks at all processes of the server; a report in args.profile."""
    pids = ",".join(map(str, measure.tree(server.pid())))
    data = args.profile + ".data"
    perf = subprocess.Popen(["perf", "record", "-q", "-g", "-F", "999", "-o", data, "-p", pids])
    time.sleep(0.5)
    try:
        return work()
    finally:
        perf.send_signal(signal.SIGINT)
        perf.wait(30)
        with open(args.profile, "w") as f:
            subprocess.run(["perf", "report", "-i", data, "--no-children", "-g", "none", "--stdio",
                            "--sort", "comm,dso,symbol", "--percent-limit", "0.3"], stdout=f,
                           stderr=subprocess.DEVNULL, timeout=120)
            subprocess.run(["perf", "report", "-i", data, "--children", "-g", "none", "--stdio",
                            "--sort", "comm,symbol", "--percent-limit", "1"], stdout=f,
                           stderr=subprocess.DEVNULL, timeout=120)


def one_run(make, args, memory):
    """A server with a fresh queue, warmed up, loaded, ended; memory: only that is looked at."""
    disk = tempfile.mkdtemp(prefix="run-%d-" % os.getpid(), dir=args.dir)
    os.chmod(disk, 0o755)               # the servers' own users pass through
    try:
        with parts.World("bench") as world:
            port = parts.free_port()
            sink = parts.Sink(world, ["127.0.0.1:%d" % port], log=False)
            counter = Counter(sink.path)
            server = make(world, disk, port)
            server.start()
            try:
                push(world, server, counter, args, max(200, 2 * args.connections))
                sink.tell("reset")
                os.sync()
                if memory:
                    watch = Watch(server.pid())
                    push(world, server, counter, args, args.messages)
                    return {"pss": watch.end() / 1024.0}
                if args.profile and server.name == "relayd":
                    return profiled(server, args, lambda: timed(world, server, sink, counter, args))
                return timed(world, server, sink, counter, args)
            except parts.Failure as e:
                raise parts.Failure("%s: %s\n%s" % (server.name, e, server.why()))
            finally:
                counter.close()
                server.stop()
    finally:
        shutil.rmtree(disk, ignore_errors=True)


def quiet_run(make, args):
    """Again, at most twice, when others used the machine meanwhile."""
    for _ in range(3):
        measure.wait_quiet(OTHERS_CORES, args.patience)
        found = one_run(make, args, memory=False)
        found["disturbed"] = found["others"] > OTHERS_CORES
        if not found["disturbed"]:
            break
        print("    again: others used %.2f cores" % found["others"], flush=True)
    return found


def one_case(servers, args):
    """{name: [run, …]} of one size and number of connections, A B A B."""
    found = {name: [] for name in servers}
    memory = {name: one_run(make, args, memory=True)["pss"] for name, make in servers.items()}
    for number in range(args.runs):
        for name, make in servers.items():
            run = quiet_run(make, args)
            run["pss"] = memory[name]
            found[name].append(run)
            print("  %d %-8s %6.0f /s end to end, %6.0f /s accepted, %.2f s CPU per 1,000, lost %d, twice %d%s" % (
                number + 1, name, run["rate"], run["accept"], run["cpu"], run["lost"], run["duplicates"],
                ", refused %d" % run["refused"] if run["refused"] else ""), flush=True)
    return found


def sweep(folder):
    """Queues of benches that were killed."""
    for entry in os.listdir(folder):
        found = re.match(r"run-(\d+)-", entry)
        if found and not os.path.isdir("/proc/" + found.group(1)):
            shutil.rmtree(os.path.join(folder, entry), ignore_errors=True)


def numbers(text):
    return [int(n) for n in text.split(",")]


def options():
    ap = argparse.ArgumentParser(description="relayd against Postfix on loopback")
    ap.add_argument("--build", help="where relayd and the test programs are (default build)")
    ap.add_argument("--size", default="4096", help="octets a message, a list (default 4096)")
    ap.add_argument("--connections", default="20", help="of the generator at once, a list (default 20)")
    ap.add_argument("--per-connection", type=int, default=1, help="messages on each (default 1; 0: all)")
    ap.add_argument("--messages", type=int, help="a run (default 10000, fewer above 100 KiB)")
    ap.add_argument("--runs", type=int, default=3, help="of each (default 3)")
    ap.add_argument("--limit", type=int, default=180, help="seconds that a run may take (default 180)")
    ap.add_argument("--patience", type=int, default=60, help="seconds to wait for a quiet machine (default 60)")
    ap.add_argument("--only", choices=("relayd", "postfix"), help="no comparison")
    ap.add_argument("--rx", type=int, default=1, help="relayd's receiving processes (default 1)")
    ap.add_argument("--tx", type=int, default=1, help="relayd's delivering processes (default 1)")
    ap.add_argument("--dir", default=os.path.join(parts.TOP, "build", "bench"),
                    help="on the disk, for the queues (default build/bench)")
    ap.add_argument("--profile", metavar="FILE", help="perf of relayd's processes; its rates are slower then")
    ap.add_argument("--write", action="store_true", help="write tests/bench/RESULTS.md")
    return ap.parse_args()


def servers_of(args):
    """{name: maker}; Postfix only where it can run."""
    servers = {}
    if args.only != "postfix":
        servers["relayd"] = lambda world, disk, port: mta.Relayd(world, disk, port, args.rx, args.tx)
    if args.only != "relayd":
        why = mta.Postfix.cannot()
        if why:
            print("SKIPPED Postfix: " + why)
        else:
            servers["Postfix"] = mta.Postfix
    return servers


def play(args):
    servers = servers_of(args)
    if not servers:
        return 1
    facts = tables.facts(args, mta.Postfix.version() if "Postfix" in servers else None)
    print("\n".join(facts), flush=True)
    cases, good = [], True
    sizes, connections, messages = numbers(args.size), numbers(args.connections), args.messages
    for args.size in sizes:
        args.messages = messages or min(10000, max(500, BYTES // args.size))
        for args.connections in connections:
            title = tables.title(args)
            print("\n" + title, flush=True)
            found = one_case(servers, args)
            cases.append((title, tables.table(found)))
            print("\n" + "\n".join(cases[-1][1]), flush=True)
            good = good and not any(r["lost"] or r["duplicates"] or r["refused"] for rs in found.values() for r in rs)
    if args.write:
        tables.write(os.path.join(HERE, "RESULTS.md"), facts, cases)
    return 0 if good else 1


def main():
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    args = options()
    if args.build:
        os.environ["RELAYD_BUILD"] = os.path.abspath(args.build)
    os.makedirs(args.dir, exist_ok=True)
    args.dir = os.path.abspath(args.dir)
    sweep(args.dir)
    try:
        return play(args)
    except parts.Failure as e:
        print("bench: %s" % e, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
