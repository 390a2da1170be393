"""A peer on a pseudo-terminal that follows a script of bytes. Leftovers, on either side, fail.

> 01 06 00 10 00 02 09 ce      these bytes must come
< 01 06 00 10 | 00 02 09 ce    these are sent; what follows a bar, once the rest was taken
!                              the cable is pulled
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import termios
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

DEADLINE_S = 20.0


class Script:
    """``text`` is played in a thread of its own; the port to open is ``path``."""

    def __init__(self, text: str) -> None:
        self._steps = [line.strip() for line in text.strip().splitlines()]
        self._played: list[str] = []
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def _play(self) -> None:
        for step in self._steps:
            kind, *given = step.split(maxsplit=1)
            if kind == "!":
                self._played.append("!")
                self._hang_up()
                return
            if kind == "~":
                if select.select([self._master], [], [], float(given[0]))[0]:
                    return
                self._played.append(step)
                continue
            parts = [bytes.fromhex(part) for part in given[0].split("|")]
            if kind == ">":
                heard = self._hear(len(parts[0]))
                self._played.append(f"> {heard.hex(' ')}")
                if heard != parts[0]:
                    return
            else:
                self._played.append(step)
                for part in parts:
                    self._wait_until_taken()
                    os.write(self._master, part)

    def _hear(self, count: int) -> bytes:
        heard = b""
        while len(heard) < count and select.select([self._master], [], [], DEADLINE_S)[0]:
            heard += os.read(self._master, count - len(heard))
        return heard

    def _wait_until_taken(self) -> None:
        """Until the driver has read all that was sent to it, which takes a moment to get there."""
        nothing, until = 0, time.monotonic() + DEADLINE_S
        while nothing < 10 and time.monotonic() < until:
            time.sleep(0.0005)
            waiting = fcntl.ioctl(self._slave, termios.FIONREAD, bytes(4))
            nothing = nothing + 1 if struct.unpack("i", waiting)[0] == 0 else 0

    def _hang_up(self) -> None:
        os.close(self._slave)
        os.close(self._master)
        self._master = -1

    def end(self) -> None:
        """Raises AssertionError unless the script was played to its end, and nothing else came."""
        self._thread.join(2 * DEADLINE_S)
        if self._master >= 0:
            while select.select([self._master], [], [], 0)[0]:
                self._played.append(f"> {os.read(self._master, 4096).hex(' ')}")
            self._hang_up()
        played, script = "\n".join(self._played), "\n".join(self._steps)
        assert played == script, f"it went\n{played}\nand not\n{script}"


@contextlib.contextmanager
def played(text: str) -> Iterator[str]:
    """The port on which ``text`` is played; at the end it must have been played whole."""
    script = Script(text)
    try:
        yield script.path
    except BaseException:
        with contextlib.suppress(AssertionError):  # the first failure is the one to be seen
            script.end()
        raise
    script.end()


def link(folder: Path, port: str) -> Path:
    """A name of the port that stays when it is plugged in again."""
    stable = folder / "line"
    stable.unlink(missing_ok=True)
    stable.symlink_to(port)
    return stable


class Babbler:
    """A peer that answers everything with ``answer``, whatever that is."""

    def __init__(self) -> None:
        self.answer = b""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while self._stop not in select.select([self._master, self._stop], [], [])[0]:
            os.read(self._master, 4096)
            os.write(self._master, self.answer)

    def close(self) -> None:
        os.write(self._stopped, b"x")
        self._thread.join()
        for file in (self._master, self._slave, self._stop, self._stopped):
            os.close(file)
