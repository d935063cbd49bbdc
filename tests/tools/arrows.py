#!/usr/bin/env python3
"""Checks the order of use: a part includes only itself and parts before it.

rx and tx never include each other.  The table below is the order; a folder
that is missing from it is an error, so that nothing grows beside it.
"""

import pathlib
import re
import sys

ORDER = [
    "mta/base", "conf", "queue", "mta/proc", "mta/door", "mta/smtp",
    "mta/dns", "mta/route", "mta/rx", "mta/tx", "mta/qm", "mta/ctl",
    "mta/web", "mta/auth", "mta",
]
NEVER = {("mta/rx", "mta/tx"), ("mta/tx", "mta/rx")}
# Which role gets which slice of the configuration: the enum alone is used.
EXCEPT = {("conf", "mta/proc/role.h")}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def part_of(path):
    return str(pathlib.PurePosixPath(path).parent)


def complaints_of(path, top):
    part = part_of(path.relative_to(top).as_posix())
    if part not in ORDER:
        yield f"{path}: folder {part} has no place in the order"
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        used = part_of(match.group(1))
        where = f"{path.relative_to(top)}:{number}"
        if used not in ORDER:
            yield f'{where}: "{match.group(1)}" is not rooted at a part'
        elif not (top / match.group(1)).exists():
            yield f'{where}: "{match.group(1)}" does not exist'
        elif (part, used) in NEVER:
            yield f"{where}: {part} must never use {used}"
        elif (part, match.group(1)) in EXCEPT:
            continue
        elif ORDER.index(used) > ORDER.index(part):
            yield f"{where}: {part} must not use {used}, which comes later"


def main():
    top = pathlib.Path(__file__).resolve().parents[2]
    files = sorted(
        f for part in ("conf", "queue", "mta")
        for f in (top / part).rglob("*.[ch]"))
    bad = [c for f in files for c in complaints_of(f, top)]
    for line in bad:
        print(line, file=sys.stderr)
    print(f"order of use: {len(files)} files, {len(bad)} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
