#!/usr/bin/env python3
"""Checks that the documents say what the code knows.

Every key of the table in conf/keys.c must be in conf/relayd.conf (real, or
commented out with its default) and in init/relayd.conf.5 under its section
with its default; keys there that the table does not have are wrong too.

To check something else, write a generator of complaints and add it to CHECKS.
--keys PROGRAM names a built tests/tools/conf_keys; without it one is compiled.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = TOP / "conf/relayd.conf"
MANUAL = TOP / "init/relayd.conf.5"

# A line of the sample that is a setting or a bracket, but for its "#".
COMMENTED = re.compile(r'^(\s*)#(\s*(?:[a-z_0-9]+ = |[\]})]))')
MEMBER = re.compile(r'^\s*([a-z_0-9]+) = (.*)$')


def build_keys_program(folder):
    program = pathlib.Path(folder) / "conf_keys"
    sources = ["tests/tools/conf_keys.c", "conf/keys.c", "mta/base/str.c"]
    subprocess.run(
        [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-I.",
         *sources, "-o", str(program)], cwd=TOP, check=True)
    return program


def read_keys(program):
    """{(section, key): default as written}; section "" is the top."""
    if program:
        out = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    else:
        with tempfile.TemporaryDirectory() as folder:
            out = subprocess.run([build_keys_program(folder)], capture_output=True,
                                 text=True, check=True).stdout
    keys = {}
    for line in out.splitlines():
        section, key, default, sentence = line.split("\t")
        keys["" if section == "-" else section, key] = default
        if not sentence:
            raise SystemExit(f"conf/keys.c: {section} {key} has no sentence")
    return keys


def literal(default):
    """Whether a default is a value, and not words about one."""
    return default[:1] in '"[' and default[-1:] in '"]' or default in ("true", "false") \
        or default.isdigit()


def sample_members():
    """(number, section, key, value, commented) of each setting in the sample."""
    path, closers = [], []
    for number, line in enumerate(SAMPLE.read_text().splitlines(), 1):
        commented = bool(COMMENTED.match(line))
        line = COMMENTED.sub(r"\1\2", line)
        bare = line.strip()
        if bare.startswith("#") or not bare:
            continue
        match = MEMBER.match(line)
        if match:
            # below "resolvers" the first name is that of a set
            section = ".".join(path[:1] if path[:1] == ["resolvers"] else path)
            if path != ["resolvers"]:
                yield number, section, match[1], match[2].rstrip(";"), commented
            if match[2] in ("{", "("):
                path.append(match[1])
                closers.append(True)
        elif bare == "{":
            closers.append(False)
        elif bare[0] in "})" and closers and closers.pop():
            path.pop()


def check_sample(keys):
    seen = set()
    name = SAMPLE.relative_to(TOP)
    for number, section, key, value, commented in sample_members():
        seen.add((section, key))
        default = keys.get((section, key))
        if default is None:
            yield f"{name}:{number}: {section} {key} is not a key"
        elif commented and literal(default) and value != default:
            yield f"{name}:{number}: {section} {key} is {value}, the default is {default}"
    for section, key in sorted(keys.keys() - seen):
        yield f"{name}: {section} {key} is missing"


def manual_items():
    """(number, section, key, text) of each key in the manual page."""
    section, items, inside = None, [], False
    for number, line in enumerate(MANUAL.read_text().splitlines(), 1):
        if line.startswith(".Sh "):
            inside = line == ".Sh KEYS"
        elif line.startswith(".Ss "):
            section = line[4:].strip()
            section = "" if section == "Top of the file" else section
        elif inside and line.startswith(".It Ic "):
            items.append([number, section, line[7:].strip(), ""])
        elif items and inside:
            items[-1][3] += " " + line
    return items


def check_manual(keys):
    seen = set()
    name = MANUAL.relative_to(TOP)
    for number, section, key, text in manual_items():
        seen.add((section, key))
        default = keys.get((section, key))
        if default is None:
            yield f"{name}:{number}: {section} {key} is not a key"
        elif literal(default) and f"Default: {default}." not in text:
            yield f"{name}:{number}: {section} {key}: wanted \"Default: {default}.\""
    for section, key in sorted(keys.keys() - seen):
        yield f"{name}: {section} {key} is missing"


CHECKS = [check_sample, check_manual]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--keys", help="built tests/tools/conf_keys")
    keys = read_keys(options.parse_args().keys)
    bad = [line for check in CHECKS for line in check(keys)]
    for line in bad:
        print(line, file=sys.stderr)
    print(f"documents: {len(keys)} keys, {len(bad)} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
