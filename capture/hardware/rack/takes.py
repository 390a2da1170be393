"""Where takes seem to begin and end, seen from the rack, which nobody tells.

A **sound** goes from its first frame that is not digital silence to its last; gaps of silence
shorter than ``GAP_S`` belong to it, and as much silence or more lies before it (or nothing at all).
A sound that has lasted ``LEAST_S`` is a take: it is recognised at its first frame that is not
silent from there on, and over when ``GAP_S`` of silence have passed. Markers and probes are shorter
than that. A song with a long digital silence in it is two takes; two songs without one are one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_S = 0.3
GAP_S = 0.2


@dataclass(frozen=True, slots=True)
class Begin:
    """A take is recognised at ``frame``; its sound began with frame ``first``."""

    frame: int
    first: int


@dataclass(frozen=True, slots=True)
class End:
    """A take is over at ``frame``, which is ``GAP_S`` behind its last sound."""

    frame: int


class Takes:
    """Finds takes in a stream of frames that comes in blocks; the sizes do not matter."""

    def __init__(self, rate_hz: int, frame: int = 0) -> None:
        self._least = round(LEAST_S * rate_hz)
        self._gap = round(GAP_S * rate_hz)
        self._frame = frame
        self._first: int | None = None  # of the sound that is under way
        self._last = 0
        self.active = False

    def scan(self, sounding: NDArray[np.bool_]) -> Iterator[Begin | End]:
        """What happens in the next block (n,), True where a frame is not silent. Use it up."""
        frames = np.flatnonzero(sounding) + self._frame
        self._frame += len(sounding)
        if len(frames):
            edges = np.flatnonzero(np.diff(frames) > self._gap) + 1
            for part in np.split(frames, edges):
                yield from self._ended_by(int(part[0]))
                yield from self._goes_on(part)
        yield from self._ended_by(self._frame)

    def _ended_by(self, frame: int) -> Iterator[End]:
        """Ends the sound if it has been silent for long enough before ``frame``."""
        if self._first is None or frame - self._last <= self._gap:
            return
        if self.active:
            yield End(self._last + 1 + self._gap)
        self._first, self.active = None, False

    def _goes_on(self, frames: NDArray[np.int64]) -> Iterator[Begin]:
        """Frames of sound (n,), without a gap that would end it."""
        if self._first is None:
            self._first = int(frames[0])
        index = int(np.searchsorted(frames, self._first + self._least))
        if not self.active and index < len(frames):
            self.active = True
            yield Begin(int(frames[index]), self._first)
        self._last = int(frames[-1])
