"""Frames that a stream loses or doubles without a word: splices in blocks that flow by.

Frames are counted in the stream as it arrives: after edits that were made earlier in the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from capture.hardware.ports import Samples


def lose(blocks: Iterable[Samples], frame: int, count: int) -> Iterator[Samples]:
    """Without the ``count`` frames that begin with number ``frame``."""
    at = 0
    for block in blocks:
        kept = block[: max(0, frame - at)], block[max(0, frame + count - at) :]
        yield np.concatenate(kept)
        at += len(block)


def double(blocks: Iterable[Samples], frame: int, count: int) -> Iterator[Samples]:
    """With the ``count`` frames before number ``frame`` twice (fewer, if there are fewer)."""
    at = 0
    past: Samples | None = None
    for block in blocks:
        joined = block if past is None else np.concatenate([past, block])
        here = frame - at
        if 0 <= here < len(block):
            end = len(joined) - len(block) + here
            yield np.concatenate([block[:here], joined[max(0, end - count) : end], block[here:]])
        else:
            yield block
        past = joined[-count:]
        at += len(block)


def up_to(blocks: Iterable[Samples], limit: Callable[[], int]) -> Iterator[Samples]:
    """No more frames in all than ``limit()`` says, asked again for each block; the rest waits."""
    waiting: list[Samples] = []
    given = 0
    for block in blocks:
        joined = np.concatenate([*waiting, block])
        ready = min(len(joined), limit() - given)
        given += ready
        waiting = [joined[ready:]]
        yield joined[:ready]
