"""teller.py - the lab's voice: acts, commands, findings and the last table, in
colour only on a terminal.  Must never decide what is right: check() is told.
Read next: story.py, which talks through it."""

import shlex


class Teller:
    def __init__(self, out):
        self.out = out
        self.passed = 0
        self.failed = 0
        self.colour = out.isatty()

    def _paint(self, code, text):
        return "\033[%sm%s\033[0m" % (code, text) if self.colour else text

    def _line(self, text=""):
        print(text, file=self.out, flush=True)

    def act(self, title):
        self._line()
        self._line(self._paint("1;36", "== " + title))

    def note(self, text):
        self._line("   " + text)

    def command(self, words):
        """A command as one would type it."""
        text = words if isinstance(words, str) else " ".join(shlex.quote(w) for w in words)
        self._line("   " + self._paint("1", "$ " + text))

    def output(self, text, limit=30):
        lines = [line for line in text.splitlines() if line.strip()]
        for line in lines[:limit]:
            self._line("     " + self._paint("2", line))
        if len(lines) > limit:
            self._line("     ... %d more lines" % (len(lines) - limit))

    def check(self, good, text):
        """One assertion of the story; returns good."""
        if good:
            self.passed += 1
            self._line("   %s %s" % (self._paint("32", "ok  "), text))
        else:
            self.failed += 1
            self._line("   %s %s" % (self._paint("1;31", "FAIL"), text))
        return bool(good)

    def table(self, head, rows):
        widths = [max(len(str(r[i])) for r in [head] + rows) for i in range(len(head))]
        for n, row in enumerate([head] + rows):
            text = "  ".join(str(cell).ljust(w) for cell, w in zip(row, widths)).rstrip()
            self._line("   " + (self._paint("1", text) if n == 0 else text))

    def end(self, seconds):
        self._line()
        self._line("lab: %d passed, %d failed, %.1f s" % (self.passed, self.failed, seconds))
