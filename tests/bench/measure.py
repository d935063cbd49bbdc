"""measure.py - what processes cost: CPU time and memory of a process and all
below it, CPU time of everybody else, and whether the disk is one.  Must never
count one second twice: a reaped child's time is its parent's from then on.
Read next: bench.py (which asks before and after each run)."""

import os
import statistics
import tempfile
import time

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


def processes():
    """{pid: (parent, seconds used, itself and its reaped children)}, no kernel threads."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry) as f:
                field = f.read().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue                    # gone meanwhile
        if entry != "2" and field[1] != "2":
            found[int(entry)] = (int(field[1]), sum(map(int, field[11:15])) * TICK_S)
    return found


def tree(root, table=None):
    """root and all below it."""
    table = table or processes()
    below = {}
    for pid, (parent, _) in table.items():
        below.setdefault(parent, []).append(pid)
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        if pid in table:
            found.append(pid)
        todo += below.get(pid, [])
    return found


def cpu_s(root, table=None):
    """Seconds that root and all below it have used, living and reaped."""
    table = table or processes()
    return sum(table[pid][1] for pid in tree(root, table))


def others_s():
    """Seconds that all processes but this one and those below it have used."""
    table = processes()
    return sum(used for _, used in table.values()) - cpu_s(os.getpid(), table)


def machine_s():
    """Seconds that all cores were busy with anything, the kernel's network work too."""
    with open("/proc/stat") as f:
        field = [int(n) for n in f.readline().split()[1:]]
    return (sum(field[0:3]) + sum(field[5:7])) * TICK_S


def pss_kib(root):
    """Memory of the tree now, shared pages counted in parts."""
    total = 0
    for pid in tree(root):
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            continue
    return total


def wait_quiet(limit, patience_s):
    """Until the others use less than limit cores for a second; False: they did not stop."""
    end = time.monotonic() + patience_s
    while True:
        before, began = others_s(), time.monotonic()
        time.sleep(1)
        if (others_s() - before) / (time.monotonic() - began) < limit:
            return True
        if time.monotonic() >= end:
            return False


def wait_idle(root, bound_s=5):
    """Until the tree uses no CPU any more; seconds used in all."""
    end = time.monotonic() + bound_s
    used = cpu_s(root)
    while time.monotonic() < end:
        time.sleep(0.25)
        now = cpu_s(root)
        if now - used <= TICK_S:
            return now
        used = now
    return used


def file_system(folder):
    """(type, device) of the file system that folder is on."""
    best = ("", "?", "?")
    with open("/proc/self/mounts") as f:
        for line in f:
            device, place, kind = line.split()[:3]
            inside = os.path.realpath(folder) + "/"
            if inside.startswith(place.rstrip("/") + "/") and len(place) >= len(best[0]):
                best = (place, kind, device)
    return best[1], best[2]


def has_journal(device):
    """Whether an ext4 has one: without it a sync is cheaper, and Postfix's many files too."""
    name = os.path.basename(os.path.realpath(device))
    try:
        return any(entry.rsplit("-", 1)[0] == name for entry in os.listdir("/proc/fs/jbd2"))
    except OSError:
        return False


def fdatasync_ms(folder, count=200):
    """Median time of overwriting and syncing one block of a file."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as f:
        os.pwrite(f.fileno(), b"\0" * 4096 * count, 0)
        os.fsync(f.fileno())
        for i in range(count):
            began = time.monotonic()
            os.pwrite(f.fileno(), b"x" * 4096, i * 4096)
            os.fdatasync(f.fileno())
            times.append((time.monotonic() - began) * 1000)
    return statistics.median(times)
