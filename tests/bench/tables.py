"""tables.py - what bench.py found, as text that is a Markdown table too.
Must never show a mean: one disturbed run would spoil it.
Read next: bench.py (where the numbers come from)."""

import os
import platform
import statistics
import subprocess
import time

import measure
import parts

# key, what it is called, format, whether a ratio makes sense
ROWS = (
    ("rate", "end to end, messages/s", "%.0f", True),
    ("accept", "accepted, messages/s", "%.0f", True),
    ("p50", "MAIL to 250 of the dot, median ms", "%.1f", True),
    ("p99", "the same, 99th percentile ms", "%.1f", True),
    ("cpu", "CPU seconds of its processes per 1,000", "%.3f", True),
    ("machine", "CPU seconds of all, kernel too, per 1,000", "%.3f", True),
    ("load_cpu", "of these generator and sink", "%.3f", False),
    ("pss", "memory peak (PSS), MiB", "%.1f", True),
    ("sessions", "new connections to the sink", "%.0f", False),
    ("others", "cores used by others meanwhile", "%.2f", False),
)
SUMS = (("lost", "lost"), ("duplicates", "delivered twice"), ("refused", "refused or cut off"),
        ("disturbed", "runs disturbed by others"))


def spread(values, form):
    """median (min-max)"""
    middle, low, high = (form % f(values) for f in (statistics.median, min, max))
    return middle if low == high else "%s (%s-%s)" % (middle, low, high)


def aligned(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return lines


def table(found):
    """Lines of a table of {name: runs}; with both there is a column for relayd/Postfix."""
    names = list(found)
    both = len(names) == 2
    rows = [["median (min-max)"] + names + (["/".join(names)] if both else [])]
    for key, title, form, comparable in ROWS:
        values = [[run[key] for run in found[name]] for name in names]
        row = [title] + [spread(v, form) for v in values]
        if both:
            a, b = (statistics.median(v) for v in values)
            row.append("%.2f" % (a / b) if comparable and b else "")
        rows.append(row)
    for key, title in SUMS:
        rows.append([title] + ["%d" % sum(run[key] for run in found[n]) for n in names] + ([""] if both else []))
    return aligned(rows)


def title(args):
    return "%d octets, %d connections, %s, %d runs of %d messages" % (
        args.size, args.connections,
        "%d on each" % args.per_connection if args.per_connection else "as many as fit on each",
        args.runs, args.messages)


def cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def commit():
    """Of the tree; the programs may be older, which make would not allow."""
    def git(*words):
        done = subprocess.run(("git", "--no-optional-locks", "-C", parts.TOP) + words,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
        return done.stdout.strip() if done.returncode == 0 else ""
    try:
        changed = git("status", "--porcelain", "--", "conf", "mta", "queue")
        return (git("rev-parse", "--short", "HEAD") or "?") + (" and changes" if changed else "")
    except FileNotFoundError:
        return "?"


def facts(args, postfix):
    """Lines about machine and servers."""
    kind, device = measure.file_system(args.dir)
    bare = kind == "ext4" and not measure.has_journal(device)
    lines = [
        "%s, %d cores (%s), Linux %s" % (time.strftime("%Y-%m-%d %H:%M"), os.cpu_count(), cpu_model(),
                                         platform.release()),
        "queues on %s%s, one synced 4 KiB write takes %.2f ms (median)" % (
            kind, " without a journal" if bare else "", measure.fdatasync_ms(args.dir)),
        "relayd of %s, %d rx, %d tx" % (
            "commit " + commit() if parts.build_dir().startswith(parts.TOP) else parts.build_dir(), args.rx, args.tx),
        "default settings, mail relayed to one host, log in a file",
    ]
    if postfix:
        lines.append("Postfix %s of Debian" % postfix)
    if kind in ("tmpfs", "overlay", "ramfs"):
        lines.append("NOTE: %s is no disk, so syncing costs nothing here" % kind)
    return lines


def write(path, lines, cases):
    with open(path, "w") as f:
        f.write("# relayd and Postfix, one machine, loopback\n\nWritten by `bench.py --write`; do not edit.\n\n")
        f.write("".join("- %s\n" % line for line in lines))
        for name, rows in cases:
            f.write("\n## %s\n\n%s\n" % (name, "\n".join(rows)))
