"""What an interface does to a signal: delay by a fraction of a frame, noise, hum, 24 bits.

**Delay.** A delay of D + f frames is a filter of 32 taps: sinc(t - f) under a Kaiser window that
is itself centred on the fractional peak, scaled to a gain of 1 at 0 Hz. Within 0.02 dB and 0.001
frame up to 0.44 of the sample rate (19.4 kHz at 44.1 kHz), and not below -1 dB up to 0.46.
Where the clocks drift, the delay changes along the signal: each piece in which it changes by up to
1/32 frame is filtered with the delays of its two ends and cross-faded, which is the filter
interpolated tap by tap: exact to 0.1 % of the amplitude at half the sample rate.

**Noise.** Four 16-bit uniform numbers summed: close to Gaussian, bounded at 3.5 sigma, white, and
the same on every machine because it is made of a generator's raw bits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FULL_SCALE = float(2**23)
TAPS = 32
_BETA = 6.0
_HARMONICS = {1: 1.0, 2: 0.25, 3: 0.5, 5: 0.2}


def fractional_taps(fraction: Floats) -> Floats:
    """Taps (n, 32) that delay by 15 + ``fraction`` (n,) frames, 0 <= fraction < 1."""
    t = np.arange(TAPS) - (TAPS // 2 - 1) - fraction[:, None]
    inside = np.clip(1 - (t / (TAPS / 2)) ** 2, 0, None)
    taps = np.sinc(t) * np.i0(_BETA * np.sqrt(inside))
    return taps / taps.sum(axis=1, keepdims=True)


Filters = tuple[NDArray[np.int64], Floats]
"""Delays: their whole frames (n,), and the taps (n, 32) of what remains."""


class Delay:
    """y(n) = x(n - delay - drift n): a signal passes through it in consecutive blocks.

    ``before`` is the value that x had at all times before its first block. The delay is never
    less than 16 frames, however long a negative drift lasts: half the filter must lie in the past.
    """

    def __init__(self, delay_frames: float, drift_ppm: float = 0.0, before: float = 0.0) -> None:
        self._delay = delay_frames
        self._set_drift(drift_ppm)
        self._start = -(math.ceil(delay_frames) + TAPS)  # the frame that self._past begins with
        self._past = np.full(-self._start, before)
        self._fixed = self._filters(np.zeros(1))

    def process(self, x: Floats) -> Floats:
        """The next block (n,) delayed, (n,)."""
        first = self._start + len(self._past)
        self._past = np.concatenate([self._past, x])
        y = (
            self._drifting(first, len(x))
            if self._drift
            else self._at(first, len(x), self._fixed, 0)
        )
        (delay,) = self._delay_at(np.array([float(first + len(x))]))
        drop = len(self._past) - (math.ceil(delay) + TAPS)
        if drop > 0:
            self._start += drop
            self._past = self._past[drop:]
        return y

    @property
    def frames(self) -> float:
        """The delay of the next frame."""
        (delay,) = self._delay_at(np.array([float(self._start + len(self._past))]))
        return float(delay)

    def drift(self, ppm: float) -> None:
        """From the next frame on the clocks drift so fast; the delay goes on from where it is."""
        now = self._start + len(self._past)
        delay = self.frames
        self._set_drift(ppm)
        self._delay = delay - self._drift * now
        self._fixed = self._filters(np.array([float(now)]))

    def _set_drift(self, ppm: float) -> None:
        self._drift = ppm * 1e-6
        self._piece = int(np.clip(1 / 32 / max(abs(self._drift), 1e-9), 32, 1024))

    def _delay_at(self, frame: Floats) -> Floats:
        return np.maximum(self._delay + self._drift * frame, TAPS / 2)

    def _filters(self, frame: Floats) -> Filters:
        delay = self._delay_at(frame)
        whole = np.floor(delay)
        return whole.astype(np.int64), fractional_taps(delay - whole)

    def _at(self, first: int, frames: int, filters: Filters, index: int) -> Floats:
        """``frames`` frames from ``first`` on, delayed by one of ``filters``."""
        start = first - int(filters[0][index]) - TAPS // 2 - self._start
        taps: Floats = filters[1][index]
        return np.convolve(self._past[start : start + frames + TAPS - 1], taps, "valid")

    def _drifting(self, first: int, frames: int) -> Floats:
        y = np.empty(frames)
        fade = np.arange(self._piece) / self._piece
        starts = np.arange(0, frames + self._piece, self._piece, dtype=np.float64)
        edges = self._filters(first + starts)
        for index, at in enumerate(range(0, frames, self._piece)):
            count = min(self._piece, frames - at)
            here = self._at(first + at, count, edges, index)
            there = self._at(first + at, count, edges, index + 1)
            y[at : at + count] = here + (there - here) * fade[:count]
        return y


def one_pole(x: Floats, corner_hz: float, rate_hz: int, before: float) -> Floats:
    """y[n] = a y[n-1] + (1 - a) x[n], a = exp(-2 pi corner / rate), with y[-1] = ``before``.

    Computed by doubling: after pass k each y holds the last 2^k terms of its sum.
    """
    a = math.exp(-2 * math.pi * corner_hz / rate_hz)
    y = (1 - a) * x
    y[:1] += a * before
    shift = 1
    while shift < len(y) and (factor := a**shift) > 1e-20:
        y[shift:] += factor * y[:-shift]
        shift *= 2
    return y


def noise(bits: np.random.SFC64, rms: float, frames: int) -> Floats:
    """White noise (n,) of the given RMS."""
    raw = bits.random_raw(frames)
    parts = raw.view(np.int16).reshape(4, frames)
    total = parts[0].astype(np.int32)
    for part in parts[1:]:
        total += part
    return total * (rms / math.sqrt((2**32 - 1) / 3))


def hum_period(rate_hz: int, mains_hz: int) -> Floats:
    """The shortest whole number of frames after which hum repeats, fundamental's peak at 1."""
    frames = rate_hz // math.gcd(rate_hz, mains_hz)
    turns = np.arange(frames) * (2 * math.pi * mains_hz / rate_hz)
    total = np.zeros(frames)
    for harmonic, amplitude in _HARMONICS.items():
        total += amplitude * np.sin(harmonic * turns)
    return total


def from_dac(play: NDArray[np.int32]) -> Floats:
    """Converter values (n,), left-justified, as the voltage of a 24-bit DAC in full scales."""
    return (play >> 8) / FULL_SCALE


def to_adc(x: Floats) -> NDArray[np.int32]:
    """A voltage in full scales as 24-bit converter values, left-justified: rounds and clips."""
    x = np.rint(x * FULL_SCALE)
    return np.clip(x, -FULL_SCALE, FULL_SCALE - 1, out=x).astype(np.int32) << 8
