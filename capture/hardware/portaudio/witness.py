"""What the stream said during one recording: flags, and its clock against the frame counter.

A stream that leaves frames out does not always say so. Its clock goes on, though: the difference
d = clock x rate - frames counted steps up by what was left out. A callback that is merely late
shows a larger d once; so the least d of each second counts. Clocks drift against each other, but
not by much within a few seconds: what is looked for is a step between the seconds before and after.
"""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np

from capture.hardware.portaudio.rings import BLOCKS, LOG_ENTRIES, OVERRUN, Rings, flag_names
from capture.hardware.ports import Interval

NEIGHBOURS = 3
"""Seconds on each side of a step: an odd one out is outvoted."""
UNBOUND = 1.5
"""A stream that carries this many times more frames than the wall clock allows has no clock."""


class Witness:
    """Reads the log from the block in which the recording begins."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._start = 0
        self._next = 0
        self._blocks: list[tuple[int, int, int]] = []  # first, end, flags: of flagged blocks
        self._least: dict[int, float] = {}  # second -> least d
        self._wall: tuple[float, float] | None = None
        self._missed = False
        self.block_frames = 0

    def begin(self, rings: Rings, start: int) -> None:
        """From the blocks that are yet to come; ``start`` lies in one of them."""
        self._start = start
        self._next = rings.header[BLOCKS]

    def look(self, rings: Rings) -> None:
        """Takes in the log entries written since the last look."""
        blocks = rings.header[BLOCKS]
        self._missed |= blocks - self._next > LOG_ENTRIES - 1
        slots = np.arange(max(self._next, blocks - LOG_ENTRIES + 1), blocks) % LOG_ENTRIES
        self._next = blocks
        if not len(slots):
            return
        entries = rings.log()[slots]
        ends = entries["first"] + entries["frames"]
        entries, ends = entries[ends > self._start], ends[ends > self._start]
        for index in np.flatnonzero(entries["flags"]):
            first, flags = int(entries["first"][index]), int(entries["flags"][index])
            self._blocks.append((first, int(ends[index]), flags))
        if len(entries):
            self.block_frames = max(self.block_frames, int(entries["frames"].max()))
            self._time(entries)

    def _time(self, entries: Any) -> None:
        first, clock_s = entries["first"], entries["clock_s"]
        seconds = (first - self._start) // self._rate_hz
        offsets = entries["stream_s"] * self._rate_hz - first
        for second in np.unique(seconds):
            least = float(offsets[seconds == second].min())
            self._least[int(second)] = min(least, self._least.get(int(second), least))
        began = self._wall[0] if self._wall else float(clock_s[0])
        self._wall = began, float(clock_s[-1])

    def interval(self, start: int, end: int) -> Interval:
        """What is known of the frames from ``start`` to ``end``.

        The flags of the block after them count too: a stream that stumbled says so a block later.
        """
        flags = OVERRUN if self._missed else 0
        for first, block_end, raised in self._blocks:
            if first < end + self.block_frames and block_end > start:
                flags |= raised
        return Interval(
            first_frame=start,
            frames=end - start,
            flags=flag_names(flags),
            clock_frames=self._step(end - start),
            block_frames=self.block_frames,
        )

    def _step(self, frames: int) -> float | None:
        """The largest step of d upwards, in frames; None where the stream has no clock."""
        if self._wall is None or len(self._least) < 2:
            return None
        wall_s = self._wall[1] - self._wall[0]
        if frames > UNBOUND * (wall_s * self._rate_hz + self.block_frames):
            return None
        least = [self._least[second] for second in sorted(self._least)]
        return max(
            median(least[at : at + NEIGHBOURS]) - median(least[max(0, at - NEIGHBOURS) : at])
            for at in range(1, len(least))
        )
