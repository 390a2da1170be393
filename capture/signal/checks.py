"""The take checks: does this recording look like this song through a compressor?

``TakeMeter`` is fed the take block by block: the song x as it was sent, the output y and the
control voltage v, cut so that frame 0 of all three belongs together. It keeps sums, two short
windows and three numbers for each 2048 frames: 2 MB for an hour of song. ``verdicts`` then judges.
Windows and gain blocks lie within the blocks that it is fed; feed it blocks of the same size to get
the same figures, and of 65536 frames to get those that the limits were fitted to.

* frames           recorded frames less planned frames.
* full_scale_run   longest run of samples at full scale on any input: clipping. A peak that
                   touches full scale once is no proof; a run is.
* stuck_run        longest run of identical samples on a return. A converter's noise never repeats
                   itself for long; a dead link does.
* level_left/right RMS of the return against what was sent, in dB. A dead channel is far below
                   anything a compressor does. Unverified where the song itself is silent.
* polarity, swap   normalised correlations of each return with its own channel and the other.
                   Gain is positive, so a compressor cannot turn the sign of the correlation.
                   Swap compares the share of the returns' energy that is like the other channel
                   with the share that is like their own: a return with little in it but crosstalk
                   weighs little. Unverified where both channels of the song are alike.
* lag_head/tail    delay of the return against the song, left over after the cut, in a window near
                   each end. Lost or doubled frames in between make them differ; a wrong cut moves
                   both. The windows are tapered: where both are cut at the same frames their edges
                   agree at a lag of 0, whatever the music says, and bass says little. Unverified
                   where the music has no clear peak. Music with a period has several; the one
                   nearest to what is expected is believed.
* cv_scatter       the output that the CV's gain predicts, x 10^(g/20), against the output, in
                   blocks: how far it is off in dB from its median (make-up and static gain drop
                   out), as the deviation that one block in ten exceeds, scaled to one sigma. A
                   dead, foreign or late CV does not follow the audio; it may yet agree with it in
                   all blocks that are not compressed. Unverified where the gain hardly moves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.errors import MeasurementFailed
from capture.model import CheckLimits, CheckResult, GainLaw
from capture.signal import delay
from capture.signal.levels import FULL_SCALE, TOP_CODE, dbfs, longest_run

ALGORITHM_VERSION = "checks-1"
Codes = NDArray[np.int32]
Window = tuple[NDArray[np.float64], NDArray[np.float64]]
"""What was sent and what came back, each shape (2, frames)."""
Peaks = tuple[float | None, float | None, float | None]
"""Left, right and CV in dBFS; None is silence."""

WINDOW_FRAMES = 16384
LOUD_DBFS = -45.0
"""A window must be this loud for its lag to be measured."""
SEARCH_FRAMES = 4096
NEAR_FRAMES = 16
CLEAR_PEAK = 25.0
"""Correlation peak over rms that a lag in music must show before it is believed."""
CLEAR_FRAMES = 0.1
"""Uncertainty of a lag above which it is not believed."""
AMBIGUOUS = 0.8
"""A peak near the expected lag is believed if it has this much of the highest peak's height."""
WHITENING = 0.7
"""Between the phase transform's 1, which hears noise where music has nothing, and correlation."""
TAPER = np.hanning(WINDOW_FRAMES)
GAIN_FRAMES = 2048
"""Length of the blocks in which gains are compared: longer than any lag left."""
GAIN_LOUD_DB = 30.0
"""Blocks this far below the loudest are left out of the gain comparison: noise counts there."""
FAINT_DB = 40.0
"""A channel of the song this far below the other says nothing: crosstalk may be as loud."""
GAIN_LOUD_DBFS = -60.0
"""And so are those whose return is below this: noise of -75 dBFS makes an error of 0.13 dB here."""
MOVING_DB = 1.0
"""The gain must move at least this far (5th to 95th percentile) for its scatter to mean much."""


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
    """Accumulates one take. ``law`` is used to predict gain from the CV."""

    def __init__(self, sample_rate_hz: int, law: GainLaw) -> None:
        self.frames = 0
        self._rate = sample_rate_hz
        self._law = law
        self._peak = np.zeros(3)
        self._cv_low, self._cv_high, self._cv_sum = math.inf, -math.inf, 0.0
        # Inner products of (x left, x right, y left, y right).
        self._products = np.zeros((4, 4))
        self._full, self._stuck = [[_Run() for _ in range(3)] for _ in range(2)]
        self._head: Window | None = None
        self._tail: Window | None = None
        self._gains: list[NDArray[np.float64]] = []

    def add(self, sent: Codes, output: Codes, cv: Codes) -> Peaks:
        """One block: ``sent`` and ``output`` (frames, 2), ``cv`` (frames,), left-justified.

        Returns the block's peaks: left, right, CV.
        """
        codes = np.empty((5, len(cv)), np.int32)
        codes[:2], codes[2:4], codes[4] = sent.T, output.T, cv
        signals = codes / FULL_SCALE
        self.frames += codes.shape[1]
        highest, lowest = codes[2:].max(axis=1), codes[2:].min(axis=1)
        for number, (received, high, low) in enumerate(
            zip(codes[2:], highest, lowest, strict=True)
        ):
            clipped = high >= TOP_CODE or low <= -TOP_CODE
            self._full[number].add((received >= TOP_CODE) | (received <= -TOP_CODE), clipped)
            self._stuck[number].add_equal(received)
        peaks = np.maximum(highest, -lowest.astype(np.float64)) / FULL_SCALE
        self._peak = np.maximum(self._peak, peaks)
        self._cv_low = min(self._cv_low, int(lowest[2]) / FULL_SCALE)
        self._cv_high = max(self._cv_high, int(highest[2]) / FULL_SCALE)
        self._cv_sum += float(signals[4].sum())
        self._products += signals[:4] @ signals[:4].T
        self._keep_windows(signals[:2], signals[2:4])
        self._gains.append(self._block_gains(signals))
        return dbfs(float(peaks[0])), dbfs(float(peaks[1])), dbfs(float(peaks[2]))

    def levels(self) -> TakeLevels:
        rms = np.sqrt(np.diag(self._products)[2:] / max(1, self.frames))
        return TakeLevels(
            peak_left_dbfs=dbfs(float(self._peak[0])),
            peak_right_dbfs=dbfs(float(self._peak[1])),
            rms_left_dbfs=dbfs(float(rms[0])),
            rms_right_dbfs=dbfs(float(rms[1])),
            cv_min_fs=self._cv_low,
            cv_max_fs=self._cv_high,
            cv_mean_fs=self._cv_sum / max(1, self.frames),
        )

    def verdicts(
        self, planned_frames: int, expected_lag: Sequence[float], limits: CheckLimits
    ) -> tuple[CheckResult, ...]:
        """Every check. ``expected_lag``: the fractions left after the cut, (left, right)."""
        missing = self.frames - planned_frames
        length = CheckResult("frames", missing, 0, "fail" if missing else "pass")
        if not self.frames:
            return (length,)
        full = max(run.longest for run in self._full)
        stuck = max(run.longest for run in self._stuck)
        return (
            length,
            _below("full_scale_run_frames", full, limits.full_scale_run_frames),
            _below("stuck_run_frames", stuck, limits.stuck_run_frames),
            self._level("level_left_db", 0, limits.dead_below_db),
            self._level("level_right_db", 1, limits.dead_below_db),
            self._polarity(),
            self._swap(),
            self._lag("lag_head_frames", self._head, expected_lag, limits.lag_frames),
            self._lag("lag_tail_frames", self._tail, expected_lag, limits.lag_frames),
            self._cv_scatter(limits.cv_scatter_db),
        )

    def _keep_windows(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Keeps a window of the first loud block and of the last one: the one with most treble."""
        count = x.shape[1] // WINDOW_FRAMES
        if not count:
            return
        windows = x[:, : count * WINDOW_FRAMES].reshape(2, count, WINDOW_FRAMES)
        power = np.einsum("cwn,cwn->w", windows, windows) / (2 * WINDOW_FRAMES)
        slopes = np.diff(windows, axis=2)
        treble = np.einsum("cwn,cwn->w", slopes, slopes)
        treble[power < 10 ** (LOUD_DBFS / 10)] = -1
        best = int(np.argmax(treble))
        if treble[best] < 0:
            return
        part = slice(best * WINDOW_FRAMES, (best + 1) * WINDOW_FRAMES)
        self._tail = (x[:, part].copy(), y[:, part].copy())
        if self._head is None:
            self._head = self._tail

    def _block_gains(self, signals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Per gain block: power sent, power returned, power that the CV predicts."""
        count = signals.shape[1] // GAIN_FRAMES
        blocks = signals[:, : count * GAIN_FRAMES].reshape(5, count, GAIN_FRAMES)
        # Single precision is far finer than any CV, and exp is several times as fast in it.
        exponent = np.float32(self._law.gain_db_per_fs * math.log(10) / 20)
        predicted = blocks[:2] * np.exp(blocks[4].astype(np.float32) * exponent)
        pairs = (blocks[:2], blocks[2:4], predicted)
        return np.stack([np.einsum("cbn,cbn->b", pair, pair) for pair in pairs], axis=1)

    def _level(self, name: str, channel: int, limit: float) -> CheckResult:
        sent, received = self._products[channel, channel], self._products[2 + channel, 2 + channel]
        if sent < self.frames * 10 ** ((LOUD_DBFS - 15) / 10):
            return CheckResult(name, None, limit, "unverified")
        if received <= 0:
            return CheckResult(name, None, limit, "fail")
        level_db = 10 * math.log10(received / sent)
        return CheckResult(name, level_db, limit, "fail" if level_db < limit else "pass")

    def _correlations(self) -> NDArray[np.float64]:
        """Normalised correlations; rows: x left, x right; columns: y left, y right."""
        norm = np.sqrt(np.diag(self._products))
        scale = np.outer(norm, norm)
        return np.divide(self._products, scale, out=np.zeros((4, 4)), where=scale > 0)[:2, 2:]

    def _polarity(self) -> CheckResult:
        """The smaller of the two correlations; a faint channel's does not count."""
        sent = np.diag(self._products)[:2]
        own = np.diag(self._correlations())
        worst = float(own[sent >= sent.max() * 10 ** (-FAINT_DB / 10)].min())
        verdict = "fail" if worst < -0.3 else "pass" if worst > 0.3 else "unverified"
        return CheckResult("polarity", worst, -0.3, verdict)

    def _swap(self) -> CheckResult:
        """How much more of the returns is like the other channel than like their own."""
        match = self._correlations() ** 2
        received = np.diag(self._products)[2:]
        alike = match * (received / received.sum() if received.any() else 0.0)
        excess = float(alike[0, 1] + alike[1, 0] - alike[0, 0] - alike[1, 1])
        if abs(excess) < 0.01 or match.max() < 0.1 or self.frames < GAIN_FRAMES:
            return CheckResult("swap", excess, 0.01, "unverified")
        return CheckResult("swap", excess, 0.01, "fail" if excess > 0 else "pass")

    def _lag(
        self, name: str, window: Window | None, expected: Sequence[float], limit: float
    ) -> CheckResult:
        """The lag that is not the known fraction; of the channel in which it is more certain."""
        found: list[tuple[float, float]] = []
        for channel in (0, 1) if window else ():
            assert window is not None
            try:
                lag = self._music_lag(window[0][channel], window[1][channel])
            except MeasurementFailed:
                continue
            if lag.uncertainty_frames <= CLEAR_FRAMES:
                found.append((lag.uncertainty_frames, lag.frames - expected[channel]))
        if not found:
            return CheckResult(name, None, limit, "unverified")
        excess = min(found)[1]
        return CheckResult(name, excess, limit, "fail" if abs(excess) > limit else "pass")

    def _music_lag(self, sent: NDArray[np.float64], received: NDArray[np.float64]) -> delay.Delay:
        """The delay of one window. Raises MeasurementFailed."""
        pair = sent * TAPER, received * TAPER
        far = delay.estimate(
            *pair, self._rate, -SEARCH_FRAMES, SEARCH_FRAMES, CLEAR_PEAK, WHITENING
        )
        try:
            least = AMBIGUOUS * far.peak_to_rms
            return delay.estimate(*pair, self._rate, -NEAR_FRAMES, NEAR_FRAMES, least, WHITENING)
        except MeasurementFailed:
            return far

    def _cv_scatter(self, limit: float) -> CheckResult:
        power = np.concatenate(self._gains) if self._gains else np.zeros((0, 3))
        name = "cv_scatter_db"
        # Edges: a block in which the song begins or ends tells more of the edge than of the gain.
        loud = power[:, 0] > power[:, 0].max(initial=0) * 10 ** (-GAIN_LOUD_DB / 10)
        loud &= power[:, 1] > 2 * GAIN_FRAMES * 10 ** (GAIN_LOUD_DBFS / 10)
        power = power[loud & (power > 0).all(axis=1)]
        if len(power) < 8:
            return CheckResult(name, None, limit, "unverified")
        audio_db = 10 * np.log10(power[:, 1] / power[:, 0])
        cv_db = 10 * np.log10(power[:, 2] / power[:, 0])
        error_db = audio_db - cv_db
        # Of a normal distribution, one in ten is further than 1.645 sigma from the median.
        scatter_db = float(np.percentile(np.abs(error_db - np.median(error_db)), 90)) / 1.645
        moved = [float(np.subtract(*np.percentile(g, (95, 5)))) for g in (audio_db, cv_db)]
        if scatter_db > limit:
            return CheckResult(name, scatter_db, limit, "fail")
        return CheckResult(
            name, scatter_db, limit, "pass" if min(moved) > MOVING_DB else "unverified"
        )


class _Run:
    """The longest run of a property across blocks."""

    def __init__(self) -> None:
        self.longest = 0
        self._open = 0
        self._last: int | None = None

    def add(self, mask: NDArray[np.bool_], present: bool = True) -> None:
        """``present`` may say that the mask holds no True, to save looking for one."""
        longest, self._open = longest_run(mask, self._open) if present else (self._open, 0)
        self.longest = max(self.longest, longest)

    def add_equal(self, codes: Codes) -> None:
        """Counts repeats: a run of n identical samples is n - 1 repeats."""
        repeats = np.empty(len(codes), bool)
        repeats[0] = self._last is not None and int(codes[0]) == self._last
        np.equal(codes[1:], codes[:-1], out=repeats[1:])
        self._last = int(codes[-1])
        self.add(repeats)


def _below(name: str, figure: int, limit: int) -> CheckResult:
    return CheckResult(name, figure, limit, "fail" if figure >= limit else "pass")
