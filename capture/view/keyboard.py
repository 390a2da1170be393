"""Standard input, as lines and as single keys.

A thread reads, so that signals are obeyed while nobody types; and it reads only while somebody
waits for it, so that what is typed at other times is nobody's answer.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Generator
from queue import Empty, SimpleQueue

LOOK_S = 0.1
STDIN = 0
MOST_BYTES = 4096
END = "\x04"
"""Ctrl-D, which is a key like others while single keys are read."""


class Closed(Exception):
    """Nothing more will be typed."""


class Keyboard:
    """``idle`` is called every LOOK_S while nothing is typed; what it raises ends the waiting."""

    def __init__(self) -> None:
        self._wanted: SimpleQueue[None] = SimpleQueue()
        self._typed: SimpleQueue[bytes] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="keyboard", daemon=True)
        self._asked = False
        self._rest = b""

    def line(self, idle: Callable[[], None]) -> str:
        """The next line, its end cut off. Raises Closed."""
        while b"\n" not in self._rest:
            found = self._wait(idle)
            if not found and not self._rest:
                raise Closed
            self._rest += found or b"\n"
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode(sys.stdin.encoding, "replace")

    @contextlib.contextmanager
    def keys(self) -> Generator[None]:
        """Meanwhile keys come at once, without Enter, and are not shown, where the terminal can.

        What was typed before is dropped. Signals are sent as ever. Raises Closed.
        """
        with _key_by_key():
            self._rest = b""
            _drop_typed()
            yield

    def key(self, idle: Callable[[], None]) -> str:
        """The next key: a letter in lower case, ``\\n`` for Enter. Raises Closed.

        What comes at once is one key: a line where the terminal sends lines, the bytes of a
        function key. Its first character counts; blanks are the empty string.
        """
        found = self._wait(idle).decode("utf-8", "replace")
        if not found or found.startswith(END):
            raise Closed
        found = found.lstrip(" \t")
        return "\n" if found.startswith("\r") else found[:1].lower()

    def _wait(self, idle: Callable[[], None]) -> bytes:
        """What is typed next, as it comes; nothing at the end."""
        if not self._asked:
            self._asked = True
            self._wanted.put(None)
        if self._reader.ident is None:
            self._reader.start()
        while True:
            idle()
            with contextlib.suppress(Empty):
                found = self._typed.get(timeout=LOOK_S)
                self._asked = False
                return found

    def _read(self) -> None:
        while True:
            self._wanted.get()
            try:
                self._typed.put(os.read(STDIN, MOST_BYTES))
            except OSError:  # the terminal is gone
                self._typed.put(b"")


if sys.platform == "win32":
    import msvcrt

    @contextlib.contextmanager
    def _key_by_key() -> Generator[None]:
        yield  # not here: Enter follows the key

    def _drop_typed() -> None:
        while msvcrt.kbhit():
            msvcrt.getwch()

else:
    import termios
    import tty

    @contextlib.contextmanager
    def _key_by_key() -> Generator[None]:
        try:
            before = termios.tcgetattr(STDIN)
            tty.setcbreak(STDIN, termios.TCSANOW)
        except termios.error:
            raise Closed from None
        try:
            yield
        finally:
            with contextlib.suppress(termios.error):  # it is gone
                termios.tcsetattr(STDIN, termios.TCSANOW, before)

    def _drop_typed() -> None:
        with contextlib.suppress(termios.error):
            termios.tcflush(STDIN, termios.TCIFLUSH)
