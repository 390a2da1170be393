"""Turns: of several recordings that were begun, one plays at a time.

A lock would do, but for a recording that somebody began and left: whoever holds it is a generator,
and nobody may ever ask it for more. It stands in the way of other threads, not of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager


class Turns:
    """Whose turn it is."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._holder: object = None
        self._thread = 0

    @contextmanager
    def mine(self) -> Generator[None]:
        """Waits for its turn, and keeps it until the block ends."""
        holder, thread = object(), threading.get_ident()
        with self._free:
            self._free.wait_for(lambda: self._holder is None or self._thread == thread)
            self._holder, self._thread = holder, thread
        try:
            yield
        finally:
            with self._free:
                if self._holder is holder:
                    self._holder = None
                    self._free.notify_all()
