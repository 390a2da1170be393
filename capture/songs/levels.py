"""How loud a song is: peak, RMS and integrated loudness, measured as the frames go by.

**Peak** is the largest sample of either channel (not the peak between samples). **RMS** is taken
over both channels together. Both are in dBFS against the largest amplitude, 1: a full-scale square
wave has 0 dBFS RMS, a full-scale sine -3.01.

**Loudness** follows ITU-R BS.1770-4. Both channels pass the K-weighting (a high shelf for the
head, a high pass for the ear); their powers are added, and averaged over gating blocks of 400 ms
that overlap by 75 %. Of the blocks, those of -70 LUFS and above are averaged; then those that are
also above that average less 10 LU. The average of these is the integrated loudness. Filters and
the cutting of blocks are pyloudnorm's (its filters read 0.04 LU below the standard's at 997 Hz;
EBU Tech 3341 allows 0.1): block j spans [int(0.4 j/4 rate), int(0.4 (j/4 + 1) rate)),
and the last one may reach up to 50 ms beyond the end, where it counts silence.

A gating block is four hops of 100 ms, so that one number for each hop is all that must be kept:
0.3 MB for an hour of song, and nothing else grows.

**Loudness is not linear in gain**, because the gate at -70 LUFS stays where it is: turn a song up,
and quiet passages come through the gate and pull the average down. For a gain g let L(g) be the
loudness. L(g) - g never rises with g, and takes a finite number of values; therefore the iteration
g <- g + target - L(g) moves in one direction only and ends, at a gain that meets the target.
"""

from __future__ import annotations

import math
from array import array
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float64]
Measure = Literal["peak", "rms", "lufs"]

BLOCK_S = 0.4
STEP = 0.25
GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET_LU = -0.691  # so that a 997 Hz sine at 0 dBFS in one channel measures -3.01 LUFS

LEAST_AMPLITUDE = 2.0**-24
"""Half a step of 24 bits: nothing smaller is told apart from it, so that every level is finite."""


class Levels:
    """Measures one song. Feed it block after block; ask at any time."""

    def __init__(self, sample_rate_hz: int) -> None:
        self.frames = 0
        self._rate_hz = sample_rate_hz
        self._peak = 0.0
        self._power_sum = 0.0
        self._weighting = _KWeighting(sample_rate_hz)
        self._hops = array("d", [0.0])  # power summed over each hop of 100 ms, the last unfinished

    def feed(self, block: Block) -> None:
        """Takes the next frames: float64, shape (frames, 2)."""
        if not len(block):
            return
        self._peak = max(self._peak, float(np.max(np.abs(block))))
        self._power_sum += float(np.sum(np.square(block)))
        power = np.sum(np.square(self._weighting.apply(block)), axis=1)
        at = 0
        while at < len(power):
            end = self._edge(len(self._hops)) - self.frames
            self._hops[-1] += float(np.sum(power[at:end]))
            if end <= len(power):
                self._hops.append(0.0)
            at = end
        self.frames += len(block)

    def _edge(self, hop: int) -> int:
        """The first frame of a hop; written as pyloudnorm does, for the same roundings."""
        return int(BLOCK_S * (hop * STEP) * self._rate_hz)

    @property
    def peak_dbfs(self) -> float:
        return dbfs(self._peak)

    @property
    def rms_dbfs(self) -> float:
        return dbfs(math.sqrt(self._power_sum / max(1, 2 * self.frames)))

    def loudness_lufs(self, gain_db: float = 0.0) -> float | None:
        """The integrated loudness that the song has after ``gain_db``.

        None where it is shorter than 400 ms, or nothing in it passes the gate.
        """
        length_s = self.frames / self._rate_hz
        if self.frames < BLOCK_S * self._rate_hz:
            return None
        count = int(np.round((length_s - BLOCK_S) / (BLOCK_S * STEP)) + 1)
        hops = np.zeros(count + 3)
        kept = np.frombuffer(self._hops)[: count + 3]
        hops[: len(kept)] = kept
        power = hops[:-3] + hops[1:-2] + hops[2:-1] + hops[3:]
        power *= 10 ** (gain_db / 10) / (BLOCK_S * self._rate_hz)
        loud = power[_lufs(power) >= GATE_LUFS]
        if not len(loud):
            return None
        gate = float(_lufs(loud.mean())) + RELATIVE_GATE_LU
        return float(_lufs(loud[_lufs(loud) > gate].mean()))

    def gain_db(self, measure: Measure, target_db: float) -> float | None:
        """The gain that brings ``measure`` to ``target_db``; None if loudness cannot be had."""
        if measure == "peak":
            return target_db - self.peak_dbfs
        if measure == "rms":
            return target_db - self.rms_dbfs
        gain_db, step_db = 0.0, math.inf
        while abs(step_db) > 1e-9:
            loudness = self.loudness_lufs(gain_db)
            if loudness is None:
                return None
            step_db = target_db - loudness
            gain_db += step_db
        return gain_db


def dbfs(amplitude: float) -> float:
    """A linear amplitude as dBFS: 20 log10, finite even for 0."""
    return 20 * math.log10(max(amplitude, LEAST_AMPLITUDE))


def _lufs(power: Any) -> NDArray[np.float64]:
    """The loudness of weighted power, summed over the channels."""
    return OFFSET_LU + 10 * np.log10(np.maximum(power, 1e-30))


class _KWeighting:
    """The K-weighting filters of pyloudnorm for two channels, with their state between blocks."""

    def __init__(self, sample_rate_hz: int) -> None:
        import pyloudnorm

        design = cast(Any, pyloudnorm).IIRfilter
        shelf = design(4.0, 1 / math.sqrt(2), 1500.0, sample_rate_hz, "high_shelf")
        high_pass = design(0.0, 0.5, 38.0, sample_rate_hz, "high_pass")
        self._sections = np.array([[*stage.b, *stage.a] for stage in (shelf, high_pass)])
        self._state = np.zeros((2, 2, 2))  # (sections, delays, channels)

    def apply(self, block: Block) -> Block:
        import scipy.signal

        filtered, self._state = cast(Any, scipy.signal).sosfilt(
            self._sections, block, axis=0, zi=self._state
        )
        return filtered
