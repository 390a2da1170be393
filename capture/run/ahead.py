"""Runs an iterator in a thread of its own, a few items ahead of whoever takes them.

What comes back from the rig is fetched in one thread while the block before it is encoded and
metered in another: both spend their time in code that lets other threads run.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
DEPTH = 8
"""How many items may wait: a bound on memory, not a measure of time."""


def ahead(items: Iterable[Item]) -> Generator[Item]:
    """The items, in order. An exception of ``items`` is raised here, after the items before it.

    When this generator is closed early, ``items`` is taken no further than the item under way, and
    closed too.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(DEPTH)
    closed = threading.Event()
    thread = threading.Thread(
        target=_fetch, args=(iter(items), waiting, closed), name="ahead", daemon=True
    )
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        closed.set()
        while thread.is_alive():  # make room for a put that waits
            while not waiting.empty():
                waiting.get_nowait()
            thread.join(0.01)


def _fetch(
    items: Iterator[Item], waiting: queue.Queue[Item | _End], closed: threading.Event
) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            waiting.put(item)
            if closed.is_set():
                break
    except BaseException as caught:  # whatever it is, it belongs to the taker
        error = caught
    if isinstance(items, Generator):  # whatever it holds, it lets go of here
        items.close()
    waiting.put(_End(error))


class _End:
    """Marks the end; ``error`` is what ended it, if anything did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
