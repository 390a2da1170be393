"""What the return holds besides the song: an offset, hum, noise.

The song's own part is taken out first. As everywhere, p = x G(v) is the song under the gain that
the CV gives; static gain and phase are fitted.

* dc_dbfs     the mean of a return, less its share of p's own mean.
* hum_dbfs    RMS of what stands at the mains frequency (50 or 60 Hz, whichever is louder) and its
              first ten harmonics. In windows of 65536 frames (Hann), averaged over the take: the
              response from p is fitted to the bins beside each harmonic (a bass note is louder
              than hum, but it is as coherent with p there), what it leaves at the harmonic is
              compared with what it leaves beside it. Unverified in takes shorter than four windows,
              and where the rest of the song would hide hum at the limit.
* noise_dbfs  RMS of the louder return while the song is silent (below -96 dBFS for two grains),
              its mean taken out; the median. Unverified where the song is never silent.
"""

from __future__ import annotations

import math

import numpy as np

from capture.model import CheckLimits, CheckResult
from capture.signal.checks import judge
from capture.signal.checks.path import NEPERS, Singles

WINDOW_FRAMES = 65536
GRAIN_FRAMES = 2048
SILENT = 2.0**-16
HARMONICS = np.arange(1, 11)
MAINS_HZ = (50.0, 60.0)
ASIDE_BINS = 8
"""Bins looked at on either side of a harmonic; the 2 nearest are the harmonic's."""
OWN_BINS = 2
STANDS_OUT = 3.0
"""A harmonic counts where it has so many times the power that is beside it."""
LEAST_WINDOWS = 4


class Noise:
    """Follows one take. Blocks: (5, frames), x left and right, y left and right, v."""

    def __init__(self, sample_rate_hz: int, gain_db_per_fs: float) -> None:
        self._slope = np.float32(gain_db_per_fs * NEPERS)
        self._thin = 16 * max(1, round(sample_rate_hz / 48_000))
        self._window = np.hanning(WINDOW_FRAMES // self._thin)
        near = np.rint(np.outer(MAINS_HZ, HARMONICS) * WINDOW_FRAMES / sample_rate_hz).astype(int)
        self._bins = near[:, :, None] + np.arange(-ASIDE_BINS, ASIDE_BINS + 1)
        # Channel, mains, harmonic, bin.
        self._pp, self._yy = (np.zeros((2, *self._bins.shape)) for _ in range(2))
        self._py = np.zeros(self._pp.shape, np.complex128)
        self._windows = self._frames = 0
        self._sums = np.zeros((2, 4))  # of each channel: y, p, y p, p p
        self._quiet = False
        self._floor: list[float] = []

    def add(self, signals: Singles) -> None:
        p = signals[:2] * np.exp(signals[4] * self._slope)
        y = signals[2:4]
        self._frames += signals.shape[1]
        for side in (0, 1):
            sums = (y[side].sum(), p[side].sum(), y[side] @ p[side], p[side] @ p[side])
            self._sums[side] += np.array(sums, np.float64)
        if signals.shape[1] == WINDOW_FRAMES:
            self._add_hum(p, y)
        self._add_floor(signals[:2], y)

    def verdicts(self, limits: CheckLimits) -> tuple[CheckResult, ...]:
        hum = self._hum(limits.hum_dbfs)
        floor = float(np.median(self._floor)) if self._floor else None
        return (
            judge.above("dc_dbfs", self._dc(), limits.dc_dbfs, limits.dc_warn_dbfs),
            judge.above("hum_dbfs", hum, limits.hum_dbfs, limits.hum_warn_dbfs),
            judge.above("noise_dbfs", floor, limits.noise_dbfs, limits.noise_warn_dbfs),
        )

    def _dc(self) -> float | None:
        """In dBFS; None where there is too little to take the song's share out."""
        if self._frames < GRAIN_FRAMES:
            return None
        y, p, yp, pp = self._sums.T / max(1, self._frames)
        alike, power = yp - y * p, pp - p**2
        own = np.divide(alike, power, out=np.zeros(2), where=power > 1e-20)
        return _decibels(float(np.max((y - own * p) ** 2)))

    def _add_hum(self, p: Singles, y: Singles) -> None:
        # A product sums short rows much faster than mean() does.
        mean = np.full(self._thin, 1 / self._thin, np.float32)
        thin = np.concatenate([p, y]).reshape(4, -1, self._thin) @ mean
        spectra = np.fft.rfft(thin * self._window)[:, self._bins]
        heard, received = spectra[:2], spectra[2:]
        self._pp += np.abs(heard) ** 2
        self._yy += np.abs(received) ** 2
        self._py += heard.conj() * received
        self._windows += 1

    def _hum(self, limit: float) -> float | None:
        """In dBFS; None where it cannot be told."""
        if self._windows < LEAST_WINDOWS:
            return None
        own = np.abs(np.arange(-ASIDE_BINS, ASIDE_BINS + 1)) <= OWN_BINS
        aside = ~own
        aside[[ASIDE_BINS - OWN_BINS - 1, ASIDE_BINS + OWN_BINS + 1]] = False
        song, cross = (part[..., aside].sum(axis=-1) for part in (self._pp, self._py))
        response = np.divide(cross, song, out=np.zeros_like(cross), where=song > 0)[..., None]
        left = self._yy - 2 * (response.conj() * self._py).real + np.abs(response) ** 2 * self._pp
        rest = np.maximum(left[..., aside].mean(axis=-1), 0) * np.count_nonzero(own)
        excess = left[..., own].sum(axis=-1) - rest
        # A sine of amplitude A leaves A^2 / 4 N sum(w^2) in all its bins together.
        scale = 2 / (len(self._window) * float(np.sum(self._window**2)) * self._windows)
        hum = np.where(excess > STANDS_OUT * rest, excess, 0.0).sum(axis=-1) * scale
        hidden = STANDS_OUT * rest.max(axis=-1) * scale
        loudest, hides = float(hum.max()), float(hidden.max())
        if loudest <= 10 ** (limit / 10) < hides:
            return None
        return _decibels(loudest)

    def _add_floor(self, x: Singles, y: Singles) -> None:
        count = x.shape[1] // GRAIN_FRAMES
        sent, received = (
            part[:, : count * GRAIN_FRAMES].reshape(2, count, GRAIN_FRAMES) for part in (x, y)
        )
        quiet = np.concatenate([[self._quiet], np.abs(sent).max(axis=(0, 2)) <= SILENT])
        for grain in np.flatnonzero(quiet[1:] & quiet[:-1]):
            self._floor.append(_decibels(float(np.var(received[:, grain], axis=1).max())))
        self._quiet = bool(quiet[-1])


def _decibels(power: float) -> float:
    """dBFS of a mean square; silence is taken for -150, the rounding of 24 bits."""
    return 10 * math.log10(max(power, 1e-15))
