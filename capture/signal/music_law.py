"""The CV's slope as music shows it: a cross-check from a take itself. It watches, tones calibrate.

With x sent, y received, V the CV and b the slope: in frames of 10 ms, y against what the law
predicts, x 10^(b V / 20), says how alike they are (coherence) and which gain is missing. Frames
that are loud and clear count. Missing gain against V, as the median slope of many pairs of frames
that are far apart in V (after Theil 1950 and Sen 1968), says how much b is off; some turns, as the
prediction gets better. Make-up and static gain drop out.

Uncertainty: jackknife over twelve parts of the music, as frames that follow each other are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.errors import MeasurementFailed
from capture.signal import delay
from capture.signal.staircase import TOP_FS, Signal

ALGORITHM_VERSION = "music-law-1"
K = 20 / math.log(10)

FRAME_S = 0.01
TURNS = 5
PARTS = 12
LEAST_FRAMES = 100
LEAST_MOVED_DB = 2.0
COHERENCE = 0.99
"""Squared coherence of a frame: noise, and what is not of the law, make it less."""
LOUD = 1e-3
"""Power of a frame, over that of the loudest."""
SYSTEMATIC = 0.0005
"""What is left without noise, as a share of the slope."""
PEAK_TO_RMS = 25.0
WHITENING = 0.7


@dataclass(frozen=True, slots=True)
class MusicLaw:
    """A slope from music. ``frames``: how many were used; ``moved_db``: how far the gain moved in
    them (5th to 95th percentile); ``scatter_db``: how far they are off the law (1 sigma, robust).
    """

    slope_db_per_fs: float
    slope_uncertainty_db_per_fs: float
    frames: int
    moved_db: float
    scatter_db: float


def from_music(sent: Signal, received: Signal, cv: Signal, sample_rate_hz: int) -> MusicLaw:
    """The CV's slope as a piece of music shows it: a watch, no calibration.

    ``sent`` and ``received`` (frames, 2), ``cv`` (frames,), full scale 1, cut by the latency to
    whole frames. 10 s or more; a minute needs 200 MB.

    Raises:
        MeasurementFailed: the returns do not resemble what was sent, or it is unverifiable: the
            gain hardly moves, or too few frames are loud and clear.
    """
    aligned = np.stack(
        [_aligned(x, y, sample_rate_hz) for x, y in zip(sent.T, received.T, strict=True)]
    )
    size = round(FRAME_S * sample_rate_hz)
    count = len(cv) // size
    x, y = (one[:, : count * size].reshape(2, count, size) for one in (aligned, received.T))
    v = cv[: count * size].reshape(count, size)
    slope, frames = 0.0, _MusicFrames.of(x, y, v, 0.0)
    for _ in range(TURNS):
        slope += frames.slope_off()
        frames = _MusicFrames.of(x, y, v, slope)
    moved_db = abs(slope) * float(np.subtract(*np.percentile(frames.cv_fs, (95, 5))))
    if moved_db < LEAST_MOVED_DB:
        raise MeasurementFailed(
            f"unverifiable: the CV says that the gain moves by {moved_db:.1f} dB in this music, at "
            f"least {LEAST_MOVED_DB:g} dB are needed"
        )
    parts = (frames.part * PARTS) // count
    without = [frames.only(parts != part).slope_off() for part in range(PARTS)]
    spread = float(np.var(without)) * (PARTS - 1)
    left_db = frames.gain_db - frames.cv_fs * frames.slope_off()
    return MusicLaw(
        slope_db_per_fs=slope,
        slope_uncertainty_db_per_fs=math.hypot(math.sqrt(spread), SYSTEMATIC * slope),
        frames=len(frames.cv_fs),
        moved_db=moved_db,
        scatter_db=1.4826 * float(np.median(np.abs(left_db - np.median(left_db)))),
    )


def _aligned(x: Signal, y: Signal, sample_rate_hz: int) -> Signal:
    """``x`` as late as ``y``, by the fraction of a frame that the cut has left."""
    found = delay.estimate(x, y, sample_rate_hz, -8, 8, PEAK_TO_RMS, WHITENING)
    size = 1 << len(x).bit_length()
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * found.frames)
    return np.fft.irfft(np.fft.rfft(x, size) * turn, size)[: len(x)]


@dataclass(frozen=True, slots=True)
class _MusicFrames:
    """Of each frame: the gain that the law misses (static gain apart), the CV, its number."""

    gain_db: Signal
    cv_fs: Signal
    part: NDArray[np.int64]

    @classmethod
    def of(cls, x: Signal, y: Signal, v: Signal, slope: float) -> _MusicFrames:
        """Those loud and clear of ``x`` and ``y`` (2, count, size), ``v`` (count, size)."""
        predicted = x * np.exp(slope / K * v)
        power = np.einsum("cfn,cfn->cf", predicted, predicted)
        shared = np.einsum("cfn,cfn->cf", predicted, y)
        heard = np.einsum("cfn,cfn->cf", y, y)
        weighted = np.einsum("cfn,cfn,fn->cf", predicted, predicted, v)
        clear = (shared > 0) & (shared**2 > COHERENCE * power * heard)
        clear &= (heard > heard.max() * LOUD) & (np.abs(v).max(axis=1) < TOP_FS)
        if clear.sum() < LEAST_FRAMES:
            raise MeasurementFailed(
                f"unverifiable: {clear.sum()} frames of this music are loud and clear, at least "
                f"{LEAST_FRAMES} are needed"
            )
        channel, part = np.nonzero(clear)
        gain_db = K * np.log(shared[clear] / power[clear])
        for side in (0, 1):  # their static gains differ
            own = channel == side
            gain_db[own] -= np.median(gain_db[own]) if own.any() else 0.0
        return cls(gain_db, weighted[clear] / power[clear], part)

    def only(self, kept: NDArray[np.bool_]) -> _MusicFrames:
        return _MusicFrames(self.gain_db[kept], self.cv_fs[kept], self.part[kept])

    def slope_off(self) -> float:
        """Median slope of pairs: each frame of the upper half against one of the lower half."""
        order = np.argsort(self.cv_fs, kind="stable")
        half = len(order) // 2
        low, high = order[:half], order[-half:]
        apart = self.cv_fs[high] - self.cv_fs[low]
        far = apart > 0.5 * apart.max()
        if not far.any() or apart.max() <= 0:
            return 0.0
        return float(np.median((self.gain_db[high] - self.gain_db[low])[far] / apart[far]))
