"""What can be told from the converter's codes alone: clipping, dead links, blocks that come twice.

* full_scale_run     longest run of samples at full scale on any input. A peak that touches full
                     scale once is no proof of clipping; a run is.
* near_full_scale    the highest peak of any input: what is so near to full scale leaves no room,
                     and one that was clipped before the converter may look like it.
* stuck_run          longest run of identical samples on any input. A converter's noise never
                     repeats itself for long; a dead link does.
* repeated_run       longest run of frames that are the same on all three inputs as frames that came
                     up to 1.5 s before: a buffer that was handed out twice. Not counted where what
                     was sent repeats itself in the same way, or where the inputs stand still.

Repeats are looked for by content: a frame whose hash begins with five zeros is a landmark, whatever
block it lies in (the chunking of Muthitacharoen et al., LBFS, 2001). Two landmarks with the same
hash give a distance; at the distances that occur most often the frames themselves are compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capture.model import CheckLimits, CheckResult
from capture.signal.checks import judge
from capture.signal.levels import FULL_SCALE, TOP_CODE, dbfs, longest_run

Codes = NDArray[np.int32]

LANDMARK_BITS = 5
DISTANCES = 4
"""So many distances are looked at in each block."""
_MIX = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D], np.uint32)


class Samples:
    """Follows one take's codes: (5, frames), left and right as sent, left, right, CV received."""

    def __init__(self) -> None:
        self.peaks = np.zeros(3)
        self._full, self._stuck = [[_Run() for _ in range(3)] for _ in range(2)]
        self._past: Codes | None = None
        self._landmarks = np.zeros(0, np.int64), np.zeros(0, np.uint32)
        self._repeated = 0

    def add(self, codes: Codes) -> None:
        """Consecutive blocks; a block that comes twice is found within two of them."""
        received = codes[2:]
        peaks = peaks_of(received)
        self.peaks = np.maximum(self.peaks, peaks)
        for number, (column, peak) in enumerate(zip(received, peaks, strict=True)):
            mask = (column >= TOP_CODE) | (column <= -TOP_CODE) if peak >= TOP_CODE else None
            self._full[number].add(mask, len(column))
            self._stuck[number].add_equal(column)
        self._repeated = max(self._repeated, self._repeats(codes))
        self._past = codes

    def verdicts(self, limits: CheckLimits) -> tuple[CheckResult, ...]:
        full = max(run.longest for run in self._full)
        stuck = max(run.longest for run in self._stuck)
        peak = dbfs(float(self.peaks.max()) / FULL_SCALE)
        return (
            judge.run("full_scale_run_frames", full, limits.full_scale_run_frames),
            _near("near_full_scale_dbfs", peak, limits.near_full_scale_warn_dbfs),
            judge.run("stuck_run_frames", stuck, limits.stuck_run_frames),
            judge.run("repeated_run_frames", self._repeated, limits.repeated_run_frames),
        )

    def _repeats(self, codes: Codes) -> int:
        """The longest run in this block that repeats frames of this block or the one before."""
        before = self._past
        first = 0 if before is None else before.shape[1]
        places, hashes = self._landmarks
        new_places, new_hashes = _landmarks(codes)
        places = np.concatenate([places, new_places + first])
        hashes = np.concatenate([hashes, new_hashes])
        self._landmarks = new_places, new_hashes
        order = np.argsort(hashes, kind="stable")
        same = hashes[order][1:] == hashes[order][:-1]
        later, earlier = places[order][1:][same], places[order][:-1][same]
        distances, counts = np.unique((later - earlier)[later >= first], return_counts=True)
        if not len(distances):
            return 0
        whole = codes if before is None else np.concatenate([before, codes], axis=1)
        longest = 0
        for distance in distances[np.argsort(-counts)][:DISTANCES]:
            begin = max(first, int(distance))
            here, there = whole[:, begin:], whole[:, begin - int(distance) : -int(distance)]
            again = (here[2:] == there[2:]).all(axis=0) & ~(here[:2] == there[:2]).all(axis=0)
            longest = max(longest, longest_run(again)[0])
        return longest


class _Run:
    """The longest run of a property across blocks."""

    def __init__(self) -> None:
        self.longest = 0
        self._open = 0
        self._last: int | None = None

    def add(self, mask: NDArray[np.bool_] | None, frames: int) -> None:
        """``mask`` (frames,) is None where it holds no True."""
        longest, self._open = (
            (self._open, 0 if frames else self._open)
            if mask is None
            else longest_run(mask, self._open)
        )
        self.longest = max(self.longest, longest)

    def add_equal(self, codes: Codes) -> None:
        """Counts repeats: a run of n identical samples is n - 1 repeats."""
        repeats = np.empty(len(codes), bool)
        repeats[0] = self._last is not None and int(codes[0]) == self._last
        np.equal(codes[1:], codes[:-1], out=repeats[1:])
        self._last = int(codes[-1])
        self.add(repeats, len(repeats))


def peaks_of(received: Codes) -> NDArray[np.float64]:
    """The largest magnitude of each row, in codes."""
    highest, lowest = received.max(axis=1, initial=0), received.min(axis=1, initial=0)
    return np.maximum(highest.astype(np.float64), -lowest.astype(np.float64))


def _landmarks(codes: Codes) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Places and hashes of the frames whose hash begins with zeros, those that moved at all."""
    left, right, volts = (codes[2:] >> 8).view(np.uint32)
    hashes = left * _MIX[0] + right * _MIX[1] + volts * _MIX[2]
    hashes ^= hashes >> np.uint32(15)
    hashes *= _MIX[1]
    marked = hashes < 2 ** (32 - LANDMARK_BITS)
    marked[1:] &= hashes[1:] != hashes[:-1]
    places = np.flatnonzero(marked)
    return places, hashes[places]


def _near(name: str, peak_dbfs: float | None, warn: float) -> CheckResult:
    """Never fails: a peak is no proof."""
    near = peak_dbfs is not None and peak_dbfs > warn
    return CheckResult(name, peak_dbfs, warn, "warn" if near else "pass")
