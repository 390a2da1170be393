"""Work spread over processes: a stream of tasks in, their results out, in the same order.

Not more than a few tasks are under way at any time, however many there are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 2
"""So many tasks for each process are handed out before the first is back."""


def spread(work: Callable[[Task], Result], tasks: Iterable[Task], jobs: int) -> Iterator[Result]:
    """``work`` of each task, in order; in this process where ``jobs`` is 1.

    ``work`` is a module's function; tasks and results can be pickled. Raises what ``work`` raises;
    then, and where the iterator is closed, what is not begun is not done.
    """
    if jobs == 1:
        yield from map(work, tasks)
        return
    waiting: deque[Future[Result]] = deque()
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin)
    try:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) > AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Of each process: it ends when the first one ends it, or is gone itself."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to all of its processes
    threading.Thread(
        target=_end_with, args=(multiprocessing.parent_process(),), daemon=True
    ).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
