"""A disk that is full: the session pauses until there is room again, and goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from capture.dataset import files
from capture.errors import NoRoom
from capture.run import events

LOOK_S = 1.0


def wait(
    folder: Path,
    needed_bytes: int,
    wait_s: float,
    full: NoRoom,
    observe: events.Observer,
    stop: Callable[[], None],
) -> None:
    """Waits until ``needed_bytes`` can be written into ``folder``.

    Raises ``full`` when that is not so within ``wait_s``, and what ``stop`` raises.
    """
    observe(events.Paused("; ".join(full.messages), wait_s))
    until = time.monotonic() + wait_s
    while not files.has_room(folder, needed_bytes):
        if time.monotonic() >= until:
            raise full
        stop()
        time.sleep(min(LOOK_S, wait_s))
    observe(events.Resumed())
