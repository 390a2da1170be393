"""``TakeMeter``: fed a take block by block, it hands each block to the parts, then asks them.

Whatever the size of the blocks that come in, the parts see blocks of 65,536 frames and one rest: so
the figures do not depend on it. The parts keep sums, a few windows, and about 40 bytes for each 256
frames: 33 MB for an hour of song.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.model import CheckLimits, CheckResult, GainLaw
from capture.signal.checks import agreement, cv, timing
from capture.signal.checks.likeness import Likeness
from capture.signal.checks.noise import Noise
from capture.signal.checks.prediction import GRAIN_FRAMES, PIECE_FRAMES, Prediction
from capture.signal.checks.samples import Codes, Samples, peaks_of
from capture.signal.drift import LagMeter
from capture.signal.levels import FULL_SCALE, dbfs

BLOCK_FRAMES = 65536
Peaks = tuple[float | None, float | None, float | None]
"""Left, right and CV in dBFS; None is silence."""


@dataclass(frozen=True, slots=True)
class TakeLevels:
    """What the recording holds; None where there is no level. Full scale is 1 or 0 dBFS."""

    peak_left_dbfs: float | None
    peak_right_dbfs: float | None
    rms_left_dbfs: float | None
    rms_right_dbfs: float | None
    cv_min_fs: float
    cv_max_fs: float
    cv_mean_fs: float


class TakeMeter:
    """Accumulates one take: the song as it was sent, the output and the CV that came back, cut so
    that frame 0 of all three belongs together. ``law`` predicts gain from the CV.
    """

    def __init__(self, sample_rate_hz: int, law: GainLaw) -> None:
        self.frames = 0
        self._law = law
        self._waiting: list[Codes] = []
        self._samples = Samples()
        self._likeness = Likeness(sample_rate_hz)
        self._lags = LagMeter(sample_rate_hz)
        self._noise = Noise(sample_rate_hz, law.gain_db_per_fs)
        self._prediction = Prediction(sample_rate_hz, law.gain_db_per_fs)
        self._cv_first: float | None = None
        self._cv_sum = 0.0
        self._cv_ends: list[NDArray[np.float32]] = []  # (2, pieces): lowest, highest

    def add(self, sent: Codes, output: Codes, cv: Codes) -> Peaks:
        """One block: ``sent`` and ``output`` (frames, 2), ``cv`` (frames,), left-justified.

        Returns the block's peaks: left, right, CV.
        """
        codes = np.empty((5, len(cv)), np.int32)
        codes[:2], codes[2:4], codes[4] = sent.T, output.T, cv
        self.frames += len(cv)
        self._waiting.append(codes)
        self._lags.add(sent, output)
        while self.frames - self._likeness.frames >= BLOCK_FRAMES:
            whole = np.concatenate(self._waiting, axis=1)
            self._add(whole[:, :BLOCK_FRAMES])
            self._waiting = [whole[:, BLOCK_FRAMES:]]
        left, right, volts = peaks_of(codes[2:]) / FULL_SCALE
        return dbfs(float(left)), dbfs(float(right)), dbfs(float(volts))

    def levels(self) -> TakeLevels:
        self._finish()
        count = max(1, self.frames)
        rms = np.sqrt(np.diag(self._likeness.products)[2:] / count)
        left, right, _ = self._samples.peaks / FULL_SCALE
        ends = np.concatenate([np.array([[math.inf], [-math.inf]]), *self._cv_ends], axis=1)
        return TakeLevels(
            peak_left_dbfs=dbfs(float(left)),
            peak_right_dbfs=dbfs(float(right)),
            rms_left_dbfs=dbfs(float(rms[0])),
            rms_right_dbfs=dbfs(float(rms[1])),
            cv_min_fs=float(ends[0].min()),
            cv_max_fs=float(ends[1].max()),
            cv_mean_fs=self._cv_sum / count,
        )

    def verdicts(
        self,
        planned_frames: int,
        expected_lag: Sequence[float],
        limits: CheckLimits,
        rest_cv_fs: float | None = None,
        before_cv_fs: float | None = None,
        cv_delay_frames: float | None = None,
    ) -> tuple[CheckResult, ...]:
        """Every check. ``expected_lag``: the fractions left after the cut, (left, right).

        ``rest_cv_fs``: the CV, full scale 1, of the unit at rest; ``before_cv_fs``: its mean in the
        silence just before the song. ``cv_delay_frames``: how much later the CV is than the song
        was sent, after the cut, as it was calibrated: the left fraction and the law's own. What is
        None cannot be verified. Nothing can be added any more.
        """
        missing = self.frames - planned_frames
        length = CheckResult("frames", missing, 0, "fail" if missing else "pass")
        if not self.frames:
            return (length,)
        self._finish()
        found = self._prediction.result(self._likeness.frames)
        low, high = np.concatenate(self._cv_ends, axis=1, dtype=np.float64)
        assert self._cv_first is not None
        voltage = cv.Voltage(self._cv_first, low, high, rest_cv_fs, before_cv_fs)
        return (
            length,
            *self._samples.verdicts(limits),
            *self._likeness.verdicts(expected_lag, limits),
            *timing.verdicts(self._lags.track(), limits),
            *self._noise.verdicts(limits),
            *agreement.verdicts(found, cv_delay_frames, limits),
            *cv.verdicts(found, voltage, self._law, limits),
        )

    def _add(self, codes: Codes) -> None:
        """The next block, or the rest of the take."""
        self._samples.add(codes)
        signals = codes.astype(np.float32)
        signals *= np.float32(1 / FULL_SCALE)
        volts = codes[4] / FULL_SCALE
        if self._cv_first is None:
            self._cv_first = float(volts[0])
        self._cv_sum += float(volts.sum())
        edges = np.arange(0, len(volts), PIECE_FRAMES)
        self._cv_ends.append(
            np.stack([f.reduceat(signals[4], edges) for f in (np.minimum, np.maximum)])
        )
        self._likeness.add(signals)
        self._noise.add(signals)
        if short := -len(volts) % GRAIN_FRAMES:
            signals = np.pad(signals, ((0, 0), (0, short)))
            signals[4, -short:] = signals[4, -short - 1]  # a voltage that jumps is an event
        self._prediction.add(signals)

    def _finish(self) -> None:
        """The rest that fills no block."""
        if self.frames > self._likeness.frames:
            self._add(np.concatenate(self._waiting, axis=1))
            self._waiting = []
