"""Keeps of a take what the passive check looks at, block by block: twelve short stretches of music.

Each part of the take, a twelfth or what is long enough, gives one: where its reduction moves most.
Its frames are copied when it is the best so far, so what is kept does not grow with the song but
for one mean every 10 ms.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from capture.model import GainLaw
from capture.signal.fingerprint.probe import Signal
from capture.signal.levels import FULL_SCALE

Codes = NDArray[np.int32]

STRETCHES = 12
WINDOW_S = 0.01
STRETCH_S = 0.6
LENGTH = round(STRETCH_S / WINDOW_S)
LEAST_P95_DB = 1.0
"""A take whose reduction stays below this, 95 % of the time, shows nothing."""
HELD_FRAMES = 8
"""The reduction that a stretch begins with is the mean of so many frames."""
_QUIET = 1e-6


@dataclass(frozen=True, slots=True)
class Stretch:
    """``start``: its first window. ``levels_db`` (frames,): the louder channel as it was sent, in
    dBFS. ``held_db``: the reduction as it begins."""

    start: int
    levels_db: Signal
    held_db: float


@dataclass(frozen=True, slots=True)
class Heard:
    """A take. ``means_db``: the reduction of every window of 10 ms, (windows,)."""

    window_frames: int
    means_db: Signal
    stretches: tuple[Stretch, ...]


class Stretches:
    """Accumulates one take of ``frames`` frames. ``law`` turns the CV into gain."""

    def __init__(self, sample_rate_hz: int, frames: int, law: GainLaw) -> None:
        self._law = law
        self._window = round(WINDOW_S * sample_rate_hz)
        windows = frames // self._window
        parts = min(STRETCHES, windows // LENGTH)
        edges = [windows * part // parts for part in range(parts + 1)] if parts else []
        self._parts = list(itertools.pairwise(edges))
        self._best: list[tuple[float, Stretch] | None] = [None] * parts
        self._means = np.zeros(0)
        self._all: list[Signal] = []
        # Level and reduction, from the window after the last one that fell out of every stretch.
        self._held = np.zeros((2, 0), np.float32)
        self._first = 0
        self._done = 0

    def add(self, sent: Codes, cv: Codes) -> None:
        """One block: ``sent`` (frames, 2) and ``cv`` (frames,), left-justified."""
        block = np.empty((2, len(cv)), np.float32)
        np.abs(sent.astype(np.float32)).max(axis=1, out=block[0])
        slope, zero = self._law.gain_db_per_fs / FULL_SCALE, self._law.gain_db_at_zero
        block[1] = cv * -slope - zero
        self._held = np.concatenate([self._held, block], axis=1)
        count = self._first + self._held.shape[1] // self._window - self._done
        if count <= 0:
            return
        at = (self._done - self._first) * self._window
        fresh = self._held[1, at : at + count * self._window].reshape(count, -1)
        means = fresh.mean(axis=1, dtype=np.float64)
        self._all.append(means)
        self._means = np.concatenate([self._means, means])[-(LENGTH + count - 1) :]
        self._done += count
        self._choose()
        last = max(self._first, self._done - LENGTH + 1)
        self._held = self._held[:, (last - self._first) * self._window :]
        self._first = last

    def heard(self) -> Heard:
        """What there was; stretches in which the reduction stays small are left out."""
        whole = np.concatenate([np.zeros(0), *self._all])
        kept = tuple(best[1] for best in self._best if best)
        return Heard(self._window, whole, kept)

    def _choose(self) -> None:
        """Looks at the stretches that end in the windows which have just come."""
        if len(self._means) < LENGTH:
            return
        begins = self._done - len(self._means)
        parts = sliding_window_view(self._means, LENGTH)
        spread = parts.std(axis=1)
        for number, (first, stop) in enumerate(self._parts):
            low, high = max(first - begins, 0), min(stop - LENGTH + 1 - begins, len(parts))
            if low >= high:
                continue
            place = low + int(np.argmax(spread[low:high]))
            best = self._best[number]
            if (best is None or spread[place] > best[0]) and parts[place].max() >= LEAST_P95_DB:
                self._best[number] = (float(spread[place]), self._copied(begins + place))

    def _copied(self, start: int) -> Stretch:
        at = (start - self._first) * self._window
        level, reduction = self._held[:, at : at + LENGTH * self._window]
        return Stretch(
            start,
            20 * np.log10(np.maximum(level.astype(np.float64) / FULL_SCALE, _QUIET)),
            max(0.0, float(reduction[:HELD_FRAMES].mean(dtype=np.float64))),
        )
