"""Does each return resemble its own channel of the song, and when?

* level_left/right  RMS of the return against what was sent, in dB. A dead channel is far below
                    anything a compressor does. Unverified where the song itself is silent.
* polarity          normalised correlation of each return with its own channel; the smaller one.
                    Gain is positive, so a compressor cannot turn its sign.
* swap              the share of the returns' energy that is like the other channel, less the share
                    that is like their own: a return with little in it but crosstalk weighs little.
                    Unverified where both channels of the song are alike.
* coherence         of each return with its own channel, 300 Hz to 8 kHz: the share of the return's
                    power that a fixed filter makes of the song, |Sxy|^2 / Sxx over Syy (Bendat and
                    Piersol, Random Data), cross-spectra averaged over the take. Another song has
                    none. A gain that moves costs a little of it, distortion and a song that is
                    late much. Unverified where the song has nothing in that band.
* lag_head/tail     delay of the return against the song, left over after the cut, in a window near
                    each end. Lost or doubled frames in between make them differ; a wrong cut moves
                    both. The windows are tapered: where both are cut at the same frames their edges
                    agree at a lag of 0, whatever the music says, and bass says little. Unverified
                    where the music has no clear peak. Music with a period has several; the one
                    nearest to what is expected is believed. Where the first window shows none, a
                    longer one is searched: a take may be late by half a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from capture.errors import MeasurementFailed
from capture.model import CheckLimits, CheckResult
from capture.signal import delay
from capture.signal.checks import judge
from capture.signal.checks.path import Doubles, Singles

Window = tuple[Doubles, Doubles]
"""What was sent and what came back, each shape (2, frames)."""

WINDOW_FRAMES = 16384
LOUD_DBFS = -45.0
"""A window must be this loud for its lag to be measured."""
SEARCH_FRAMES = 4096
NEAR_FRAMES = 16
CLEAR_PEAK = 25.0
"""Correlation peak over rms that a lag in music must show before it is believed."""
CLEAR_FRAMES = 0.07
CLEAR_FAR_FRAMES = 0.5
"""Uncertainty of a lag above which it is not believed; of one that is far off whole frames do."""
AMBIGUOUS = 0.8
"""A peak near the expected lag is believed if it has this much of the highest peak's height."""
WHITENING = 0.7
"""Between the phase transform's 1, which hears noise where music has nothing, and correlation."""
FAINT_DB = 40.0
"""A channel of the song this far below the other says nothing: crosstalk may be as loud."""
GRAIN_FRAMES = 2048
SPECTRUM_FRAMES = 2048
SPECTRUM_HOP = 8192
LOW_HZ, HIGH_HZ = 300.0, 8000.0
BAND_DBFS = -70.0
"""A song with less than this within the band has no coherence to speak of."""


class Likeness:
    """Follows one take. Blocks: (5, frames), x left and right, y left and right, v."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate = sample_rate_hz
        self.frames = 0
        self.products = np.zeros((4, 4))  # inner products of (x left, x right, y left, y right)
        self._head: Window | None = None
        self._tail: Window | None = None
        self._long: Window | None = None
        low, high = (round(hz * SPECTRUM_FRAMES / sample_rate_hz) for hz in (LOW_HZ, HIGH_HZ))
        self._band = slice(low, high)
        self._hann = np.hanning(SPECTRUM_FRAMES)
        self._powers = np.zeros((4, high - low))
        self._cross = np.zeros((2, high - low), np.complex128)
        self._spectra = 0

    def add(self, signals: Singles) -> None:
        x, y = signals[:2], signals[2:4]
        self.frames += signals.shape[1]
        self.products += signals[:4] @ signals[:4].T
        self._add_spectra(signals[:4])
        self._keep_windows(x, y)

    def verdicts(
        self, expected_lag: Sequence[float], limits: CheckLimits
    ) -> tuple[CheckResult, ...]:
        return (
            self._level("level_left_db", 0, limits.dead_below_db),
            self._level("level_right_db", 1, limits.dead_below_db),
            self._polarity(),
            self._swap(),
            judge.below("coherence", self._coherence(), limits.coherence, limits.coherence_warn),
            self._lag("lag_head_frames", self._head, expected_lag, limits.lag_frames),
            self._lag("lag_tail_frames", self._tail, expected_lag, limits.lag_frames),
        )

    def _add_spectra(self, signals: Singles) -> None:
        if signals.shape[1] < SPECTRUM_FRAMES:
            return
        windows = sliding_window_view(signals, SPECTRUM_FRAMES, axis=1)[:, ::SPECTRUM_HOP]
        spectra = np.fft.rfft(windows * self._hann)[:, :, self._band]
        powers = spectra.real**2 + spectra.imag**2
        total = powers.sum(axis=2)
        # Each window of the return is brought to the song's level: the gain may move.
        scale = np.divide(total[:2], total[2:], out=np.zeros_like(total[2:]), where=total[2:] > 0)
        powers[2:] *= scale[:, :, None]
        cross = spectra[:2].conj() * spectra[2:] * np.sqrt(scale)[:, :, None]
        self._powers += powers.sum(axis=1)
        self._cross += cross.sum(axis=1)
        self._spectra += windows.shape[1]

    def _keep_windows(self, x: Singles, y: Singles) -> None:
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
        self._tail = (x[:, part].astype(np.float64), y[:, part].astype(np.float64))
        if self._head is None:
            self._head = self._tail
            self._long = (x.astype(np.float64), y.astype(np.float64))

    def _level(self, name: str, channel: int, limit: float) -> CheckResult:
        sent, received = self.products[channel, channel], self.products[2 + channel, 2 + channel]
        if sent < self.frames * 10 ** ((LOUD_DBFS - 15) / 10):
            return CheckResult(name, None, limit, "unverified")
        if received <= 0:
            return CheckResult(name, None, limit, "fail")
        return judge.below(name, 10 * math.log10(received / sent), limit)

    def _counts(self) -> np.ndarray:
        """Which channels of the song are not faint beside the other."""
        sent = np.diag(self.products)[:2]
        return sent >= sent.max() * 10 ** (-FAINT_DB / 10)

    def _correlations(self) -> Doubles:
        """Normalised correlations; rows: x left, x right; columns: y left, y right."""
        norm = np.sqrt(np.diag(self.products))
        scale = np.outer(norm, norm)
        return np.divide(self.products, scale, out=np.zeros((4, 4)), where=scale > 0)[:2, 2:]

    def _polarity(self) -> CheckResult:
        """The smaller of the two correlations; a faint channel's does not count."""
        worst = float(np.diag(self._correlations())[self._counts()].min())
        verdict = "fail" if worst < -0.3 else "pass" if worst > 0.3 else "unverified"
        return CheckResult("polarity", worst, -0.3, verdict)

    def _swap(self) -> CheckResult:
        """How much more of the returns is like the other channel than like their own."""
        match = self._correlations() ** 2
        received = np.diag(self.products)[2:]
        alike = match * (received / received.sum() if received.any() else 0.0)
        excess = float(alike[0, 1] + alike[1, 0] - alike[0, 0] - alike[1, 1])
        if abs(excess) < 0.01 or match.max() < 0.1 or self.frames < GRAIN_FRAMES:
            return CheckResult("swap", excess, 0.01, "unverified")
        return CheckResult("swap", excess, 0.01, "fail" if excess > 0 else "pass")

    def _coherence(self) -> float | None:
        """The smaller of the two, 0 to 1; None where the song says nothing."""
        if not self._spectra:
            return None
        sent, received = self._powers[:2], self._powers[2:]
        scale = 2 / (SPECTRUM_FRAMES * float(np.sum(self._hann**2)) * self._spectra)
        heard = self._counts() & (sent.sum(axis=1) * scale > 10 ** (BAND_DBFS / 10))
        heard &= received.any(axis=1)
        if not heard.any():
            return None
        own = np.divide(np.abs(self._cross) ** 2, sent, out=np.zeros(sent.shape), where=sent > 0)
        return float((own[heard].sum(axis=1) / received[heard].sum(axis=1)).min())

    def _lag(
        self, name: str, window: Window | None, expected: Sequence[float], limit: float
    ) -> CheckResult:
        """The lag that is not the known fraction; of the channel in which it is more certain."""
        if window is None:
            return CheckResult(name, None, limit, "unverified")
        found = self._lags(window, expected, SEARCH_FRAMES)
        if not found and window is self._head and self._long is not None:
            found = self._lags(self._long, expected, self._long[0].shape[1] // 2)
        if not found:
            return CheckResult(name, None, limit, "unverified")
        return judge.off(name, min(found)[1], limit)

    def _lags(
        self, window: Window, expected: Sequence[float], search: int
    ) -> list[tuple[float, float]]:
        """Of each channel that shows one: the uncertainty, and the lag less what is expected."""
        found: list[tuple[float, float]] = []
        for channel in (0, 1):
            try:
                lag = self._music_lag(window[0][channel], window[1][channel], search)
            except MeasurementFailed:
                continue
            far = abs(lag.frames) > NEAR_FRAMES
            if lag.uncertainty_frames <= (CLEAR_FAR_FRAMES if far else CLEAR_FRAMES):
                found.append((lag.uncertainty_frames, lag.frames - expected[channel]))
        return found

    def _music_lag(self, sent: Doubles, received: Doubles, search: int) -> delay.Delay:
        """The delay of one window. Raises MeasurementFailed."""
        taper = np.hanning(len(sent))
        pair = sent * taper, received * taper
        far = delay.estimate(*pair, self._rate, -search, search, CLEAR_PEAK, WHITENING)
        try:
            least = AMBIGUOUS * far.peak_to_rms
            return delay.estimate(*pair, self._rate, -NEAR_FRAMES, NEAR_FRAMES, least, WHITENING)
        except MeasurementFailed:
            return far
