"""How much later the control voltage comes back than the audio that it controls.

The CV answers to level and not to waveform: no correlation with what was sent finds it. But it must
explain the gain. With x sent, y received and V the CV,

    y(t) = x(t - s) 10^((a + b V(t + tau)) / 20)

Gauss and Newton's method finds a, b, s (what the audio is late by, beyond the whole frames) and tau
that leave the least of y within a band. The probe is noise whose level hops: each hop up makes the
gain fall by many dB within some frames, and these edges say when. It is band-limited, as a product
of wide bands is not what a converter samples. Levels change within 1 ms, evenly in dB: a detector
that is given a step may overshoot past the end of the CV's range.

The CV is low-pass filtered at 12 kHz first: at 4 kHz its edges are blunter than those of the gain,
and the delay comes out 0.1 frame short. Frames near a CV at full scale are left out. Coarse search
first, over +-32 frames.

Uncertainty: a sandwich over blocks of 20 ms, as what is left is loudest at the edges, where it
counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.errors import MeasurementFailed
from capture.signal.staircase import TOP_FS, Signal

ALGORITHM_VERSION = "cv-delay-1"
NEPERS = math.log(10) / 20

PROBE_S = 1.8
REST_S = 0.1
LOUDEST_DBFS = -6.0
RANGE_DB = 28.0
SHORTEST_S, LONGEST_S = 0.006, 0.040
FADE_S = 0.001
LOW_HZ, HIGH_HZ = 200.0, 3000.0
CREST = 3.5
"""Peak of the noise over its RMS; higher ones are clipped before the band is limited."""
CV_BAND_HZ = 12_000.0
JUDGED_HZ = (150.0, 6000.0)
SEARCH_FRAMES = 32
LEAST_REDUCTION_DB = 4.0
LEAST_EXPLAINED_DB = 6.0
"""By how much the law must shrink what a gain that stands still leaves of the audio."""
SYSTEMATIC_FRAMES = 0.005
"""What is left without noise: edges are not of one band."""
MOST_UNCERTAIN_FRAMES = 0.25
CLIPPED_MARGIN = 64
BLOCK_S = 0.02
FRAME_S = 0.005
LOUD = 1e-3
"""Power of a frame, over that of the loudest, for its gain to count."""
EDGE = 0.1


@dataclass(frozen=True, slots=True)
class CvDelay:
    """``frames``: how much later the CV is than the audio; positive is later.

    ``uncertainty_frames`` is one standard deviation. ``reduction_db``: how far the gain moved (5th
    to 95th percentile). ``left_db``: power that is left unexplained, over that of the audio.
    """

    frames: float
    uncertainty_frames: float
    reduction_db: float
    left_db: float


def probe(sample_rate_hz: int, top_dbfs: float = LOUDEST_DBFS, seed: int = 1) -> Signal:
    """2.0 s of hopping noise between silences of 0.1 s, (frames, 2), the same on both channels.

    Full scale 1. Levels are peaks, from ``top_dbfs`` to 28 dB below it.
    """
    random = np.random.default_rng(seed)
    frames, rest = round(PROBE_S * sample_rate_hz), round(REST_S * sample_rate_hz)
    noise = np.clip(random.standard_normal(frames), -CREST, CREST)
    noise = _band(noise, sample_rate_hz, LOW_HZ, HIGH_HZ)
    noise /= np.abs(noise).max()
    level_db, at, high = np.zeros(frames), 0, True
    while at < frames:
        level_db[at:] = random.uniform(0, 6) if high else random.uniform(22, RANGE_DB)
        at += round(random.uniform(SHORTEST_S, LONGEST_S) * sample_rate_hz)
        high = not high
    fade = np.hanning(round(2 * FADE_S * sample_rate_hz) + 2)[1:-1]
    level_db = np.convolve(np.pad(level_db, len(fade), "edge"), fade / fade.sum(), "same")
    noise *= 10 ** ((top_dbfs - level_db[len(fade) : -len(fade)]) / 20)
    noise *= np.minimum(1, np.minimum(np.arange(frames), np.arange(frames)[::-1]) / len(fade))
    one = np.pad(noise, rest)
    return np.stack([one, one], axis=1)


def estimate(sent: Signal, received: Signal, cv: Signal, sample_rate_hz: int) -> CvDelay:
    """How much later ``cv`` is than ``received``, one return; all (frames,), full scale 1.

    ``sent``: that channel of the probe. All three are cut by the latency to whole frames, and as
    long as each other; what is left of the audio's own delay is found too, up to a frame or two.

    Raises:
        MeasurementFailed: too little reduction, the CV does not explain the gain, or the delay
            lies at the edge of the search.
        ValueError: the arrays differ in length.
    """
    if not len(sent) == len(received) == len(cv):
        raise ValueError(f"{len(sent)}, {len(received)} and {len(cv)} frames")
    model = _Model(sent, received, cv, sample_rate_hz)
    constant_db, slope, reduction_db = model.start(round(FRAME_S * sample_rate_hz))
    if reduction_db < LEAST_REDUCTION_DB:
        raise MeasurementFailed(
            f"too little reduction to tell the CV's delay: the gain moves by {reduction_db:.1f} dB,"
            f" at least {LEAST_REDUCTION_DB:g} dB are needed"
        )
    lags = np.arange(-SEARCH_FRAMES, SEARCH_FRAMES + 1)
    left = [model.coarse(constant_db, slope, int(lag)) for lag in lags]
    best = int(np.argmin(left))
    at = np.array([constant_db, slope, 0.0, float(lags[best])])
    for _ in range(30):
        residual, columns = model.linear(at)
        step = np.asarray(np.linalg.lstsq(columns.T, residual, rcond=None)[0], np.float64)
        step[2:] = np.clip(step[2:], -1, 1)
        at += step
        if abs(step[3]) < 1e-5:
            break
    residual, columns = model.linear(at)
    left_db = 10 * math.log10(float(residual @ residual) / model.power)
    still_db = 10 * math.log10(model.still(residual))
    if still_db > -LEAST_EXPLAINED_DB:
        raise MeasurementFailed(
            "the CV does not explain the gain of the audio (what a constant gain leaves shrinks by "
            f"{-still_db:.1f} dB, at least {LEAST_EXPLAINED_DB:g} dB are needed): its input is not "
            "connected, or on something else"
        )
    if best in (0, len(lags) - 1) or abs(at[3]) > SEARCH_FRAMES:
        raise MeasurementFailed(
            f"the CV's delay lies at the edge of the search (+-{SEARCH_FRAMES} frames)"
        )
    covariance = _sandwich(columns, residual, round(BLOCK_S * sample_rate_hz))
    uncertainty_frames = math.hypot(math.sqrt(covariance[3, 3]), SYSTEMATIC_FRAMES)
    if uncertainty_frames > MOST_UNCERTAIN_FRAMES:
        raise MeasurementFailed(
            f"the CV's delay is uncertain by {uncertainty_frames:.2g} frames, at most "
            f"{MOST_UNCERTAIN_FRAMES:g} are allowed: too little reduction, or too much noise"
        )
    return CvDelay(
        frames=float(at[3]),
        uncertainty_frames=uncertainty_frames,
        reduction_db=reduction_db,
        left_db=left_db,
    )


class _Model:
    """What the law makes of the audio, and how it answers to each parameter."""

    def __init__(self, sent: Signal, received: Signal, cv: Signal, sample_rate_hz: int) -> None:
        frames = len(sent)
        self._omega = 2 * np.pi * np.fft.rfftfreq(frames)
        frequency_hz = self._omega * sample_rate_hz / (2 * np.pi)
        self._judged = _window(frequency_hz, *JUDGED_HZ)
        self._x = np.fft.rfft(sent)
        self._v = np.fft.rfft(cv) * _window(frequency_hz, -1.0, CV_BAND_HZ)
        self.cv = np.fft.irfft(self._v, frames)
        self._sent, self._received = sent, received
        clipped = (np.abs(cv) >= TOP_FS) | (np.abs(received) >= TOP_FS)
        near = np.convolve(clipped, np.ones(2 * CLIPPED_MARGIN + 1), "same") > 0.5
        near[:CLIPPED_MARGIN] = near[-CLIPPED_MARGIN:] = True
        self._good = ~near
        heard = self._filtered(received[None])[0]
        self.power = float(heard @ heard)

    def _filtered(self, rows: Signal) -> Signal:
        """Rows within the band that is judged, good frames only."""
        spectra = np.fft.rfft(rows) * self._judged
        return np.fft.irfft(spectra, rows.shape[1])[:, self._good]

    def start(self, size: int) -> tuple[float, float, float]:
        """a, b and how far the gain moves, from the levels of frames of ``size``."""
        rows = np.stack([self._sent, self._received])
        x, y = np.fft.irfft(np.fft.rfft(rows) * self._judged, rows.shape[1])
        count = len(x) // size
        frames = [one[: count * size].reshape(count, size) for one in (x, y, self.cv)]
        power_in, power_out = (np.mean(one**2, axis=1) for one in frames[:2])
        loud = (power_in > LOUD * power_in.max()) & (power_out > 0)
        if not loud.any():
            raise MeasurementFailed("nothing came back: the return is silent or not connected")
        gain_db = 10 * np.log10(power_out[loud] / power_in[loud])
        columns = np.stack([np.ones(len(gain_db)), frames[2].mean(axis=1)[loud]], axis=1)
        # Loud frames are the sure ones.
        weight = np.sqrt(power_out[loud])
        columns, gains = columns * weight[:, None], gain_db * weight
        answer = np.asarray(np.linalg.lstsq(columns, gains, rcond=None)[0], np.float64)
        low, high = np.percentile(gain_db, (5, 95))
        return float(answer[0]), float(answer[1]), float(high - low)

    def coarse(self, constant_db: float, slope: float, lag: int) -> float:
        """What is left at a whole-frame ``lag`` of the CV."""
        gain = np.exp(NEPERS * (constant_db + slope * np.roll(self.cv, -lag)))
        rest = (self._received - self._sent * gain)[self._good]
        return float(rest @ rest)

    def linear(self, at: Signal) -> tuple[Signal, Signal]:
        """The residual at (a, b, s, tau), and the model's derivatives (4, frames)."""
        constant_db, slope, late, cv_late = at
        frames = len(self._sent)
        x = self._x * np.exp(-1j * self._omega * late)
        v = self._v * np.exp(1j * self._omega * cv_late)
        sent, sent_slope = np.fft.irfft(np.stack([x, 1j * self._omega * x]), frames)
        control, control_slope = np.fft.irfft(np.stack([v, 1j * self._omega * v]), frames)
        gain = np.exp(NEPERS * (constant_db + slope * control))
        made = sent * gain
        rows = np.stack(
            [
                self._received - made,
                NEPERS * made,
                NEPERS * made * control,
                -sent_slope * gain,
                NEPERS * made * slope * control_slope,
            ]
        )
        filtered = self._filtered(rows)
        return filtered[0], filtered[1:]

    def still(self, residual: Signal) -> float:
        """The power of ``residual`` over that which the best constant gain leaves."""
        x, y = self._filtered(np.stack([self._sent, self._received]))
        rest = y - x * (float(x @ y) / float(x @ x))
        return float(residual @ residual) / float(rest @ rest)


def _sandwich(columns: Signal, residual: Signal, block: int) -> Signal:
    scale = np.linalg.norm(columns, axis=1)
    columns = columns / scale[:, None]
    inverse = np.asarray(np.linalg.inv(columns @ columns.T), np.float64)
    scores = np.add.reduceat(columns * residual, np.arange(0, len(residual), block), axis=1)
    return inverse @ (scores @ scores.T) @ inverse / np.outer(scale, scale)


def _window(frequency_hz: NDArray[np.floating], low_hz: float, high_hz: float) -> Signal:
    """1 between the two, raised-cosine edges of a tenth of ``high_hz`` (half of ``low_hz``)."""
    rise = np.clip((frequency_hz - low_hz) / (0.5 * abs(low_hz)), 0, 1)
    fall = np.clip((high_hz - frequency_hz) / (EDGE * high_hz), 0, 1)
    return 0.25 * (1 - np.cos(np.pi * rise)) * (1 - np.cos(np.pi * fall))


def _band(signal: Signal, sample_rate_hz: int, low_hz: float, high_hz: float) -> Signal:
    frequency_hz = np.fft.rfftfreq(len(signal)) * sample_rate_hz
    return np.fft.irfft(np.fft.rfft(signal) * _window(frequency_hz, low_hz, high_hz), len(signal))
