"""A program on a pseudo-terminal of its own, and what a person would see: pyte draws the screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyte

DEADLINE_S = 30.0
COLUMNS, LINES = 80, 40
# The terminal becomes the program's own, so that Ctrl-C and hanging up reach it as signals.
OWN = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """80 columns, 40 lines. ``shown`` are all bytes that were ever written to it."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.modes = self.modes_now
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self.shown = b""
        terminal = {"TERM": "xterm-256color", "PYTHONUTF8": "1", "NO_COLOR": ""}
        without = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", OWN, *command],
            cwd=folder,
            env={**without, **terminal, **(environment or {})},
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
        )

    @property
    def modes_now(self) -> list[Any]:
        """How the terminal is set: echo, line by line or key by key."""
        return termios.tcgetattr(self._slave)

    @property
    def lines(self) -> list[str]:
        """The screen, without blanks at the end of lines and of the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip().split("\n")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def reversed(self, row: int) -> str:
        """What is highlighted in a line of the screen."""
        cells = self._screen.buffer[row]
        return "".join(cells[i].data for i in range(COLUMNS) if cells[i].reverse)

    def until(self, text: str) -> Terminal:
        """Waits until the screen shows ``text``."""
        until = time.monotonic() + DEADLINE_S
        while text not in self.text:
            ended = self.process.poll() is not None
            if not self._take(0.0 if ended else 0.1) and ended:
                raise AssertionError(f"ended without {text!r}:\n{self.text}")
            assert time.monotonic() < until, f"no {text!r} on the screen:\n{self.text}"
        return self

    def wipe(self) -> Terminal:
        """Empties the screen, so that what comes next is told from what was there."""
        while self._take(0.0):
            pass
        self._screen.reset()
        return self

    def _take(self, wait_s: float) -> bool:
        if not select.select([self._master], [], [], wait_s)[0]:
            return False
        part = os.read(self._master, 65536)
        self.shown += part
        self._stream.feed(part)
        return True

    def press(self, keys: str) -> Terminal:
        os.write(self._master, keys.encode())
        return self

    def ended(self) -> int:
        """The exit code. What was shown until then is on the screen."""
        until = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            self._take(0.05)
            assert time.monotonic() < until, f"does not end:\n{self.text}"
        while self._take(0.0):
            pass
        return self.process.wait()

    def hang_up(self) -> None:
        """The terminal is gone, as when a connection breaks."""
        for end in (self._master, self._slave):
            if end >= 0:
                os.close(end)
        self._master = self._slave = -1

    def close(self) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.hang_up()


@contextlib.contextmanager
def terminal(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    found = Terminal(command, folder, environment)
    try:
        yield found
    finally:
        found.close()
