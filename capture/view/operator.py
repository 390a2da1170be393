"""The person at the rack, asked on standard error and heard on standard input."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from capture.errors import BadInput

LOOK_S = 0.1


class TerminalOperator:
    """See ``hardware.ports.Operator``. ``stop`` raises Interrupted when somebody asked to stop.

    A thread reads, so that a signal is obeyed while nobody answers.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="operator", daemon=True)

    def ask(self, question: str) -> str:
        if self._reader.ident is None:
            self._reader.start()
        sys.stderr.write(f"{question} ")
        sys.stderr.flush()
        while True:
            self._stop()
            try:
                line = self._lines.get(timeout=LOOK_S)
            except Empty:
                continue
            if not line:
                self._lines.put("")  # whoever asks again learns it as well
                raise BadInput(f"nobody answered: {question}")
            return line.strip()

    def _read(self) -> None:
        while line := sys.stdin.readline():
            self._lines.put(line)
        self._lines.put("")
