"""Is the CV input DC-coupled? If it is not: where is its corner, and what gives the CV back?

An AC-coupled input is a one-pole high-pass. Of a voltage U it shows

    V(t) = U(t) - w * integral of (V - o) dt - const,        w = 2 pi corner

with o the converter's own offset. A held voltage droops; so does the CV, while the gain of the
audio that it stands for does not move. That is the test (FACTS: 'V droops while the gain of a tone
is constant'): the gain G of a tone is measured from the audio alone, and with H_w the high-pass

    V = A H_w(G) + B (1 - e^{-wt}) / w + c_step

is fitted by least squares, w and all: B is the charge that the capacitor began with, and each held
step has a constant c of its own. So a step in which V is clipped, or the gain curved, says nothing
wrong about the droop; only what happens within steps counts. As V stands on the left, its noise
does not bias w; that of G would, and the audio is loud.
For w = 0 the input is DC-coupled; w may come out negative, and of a DC-coupled input does so half
the time. The gain is measured in windows of 5 ms, and as the high-pass is linear in decibels, both
G and V are then smoothed by a Hann window of 40 ms: hum and most of the noise are gone. The
uncertainty is a sandwich over blocks of 0.2 s, as what is left of V is not white.

``Repair`` undoes the high-pass: U = (V - o) + w * integral of (V - o). What it costs: noise of V
is integrated to a random walk, an error of o to a ramp; ``Repair.drift_fs`` says how much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.errors import MeasurementFailed
from capture.signal.staircase import FADE_S, TOP_FS, Probe, Signal, Tone

ALGORITHM_VERSION = "coupling-1"

LEAST_CORNER_HZ = 0.001
"""Below it (a time constant of 160 s) a droop is not told from a unit that warms up."""
SURE = 6.0
"""A corner so many standard deviations above 0 is one; a CV below it does not move."""
LEAST_SHARE = 0.2
DEAD = "the CV does not move with the gain: its input is not connected, or on something else"
WINDOW_S = 0.005
HOP_S = 0.001
SMOOTH_S = 0.04
BLOCK_S = 0.2
SYSTEMATIC, LATE_S = 3e-4, 40e-6
"""What a corner is off by without noise, as a share: a part, and so long at its own speed."""
CORNERS_HZ = (0.0, *np.geomspace(1e-3, 40.0, 24).tolist())


@dataclass(frozen=True, slots=True)
class Coupling:
    """``corner_hz`` of the high-pass and its standard deviation; about 0 if ``ac`` is false."""

    ac: bool
    corner_hz: float
    corner_uncertainty_hz: float


def measure(probe: Probe, received: Signal, cv: Signal) -> Coupling:
    """The coupling of the CV input, from what came back of ``probe``.

    ``received`` (frames, channels) and ``cv`` (frames,): full scale 1, cut to belong together to
    within a frame or two, at least to the end of the last step.

    Raises:
        MeasurementFailed: the CV does not follow the gain at all, or nearly all is at full scale.
    """
    trace = _trace(probe, received, cv)
    if np.mean(trace.good) < LEAST_SHARE:
        raise MeasurementFailed("nearly all of the staircase has an input at full scale")
    if not np.ptp(trace.cv_fs):
        raise MeasurementFailed(DEAD)
    corner_hz = min(CORNERS_HZ, key=lambda corner_hz: trace.fit(corner_hz).left)
    for _ in range(20):
        step_hz = trace.step_hz(corner_hz)
        # No further than half of a corner at once: it is the logarithm that is searched.
        step_hz = float(np.clip(step_hz, -0.5 * abs(corner_hz) - 1e-3, 0.5 * abs(corner_hz) + 1e-3))
        corner_hz += step_hz
        if abs(step_hz) < 1e-7 + 1e-6 * abs(corner_hz):
            break
    uncertainty_hz, moves = trace.uncertainty(corner_hz)
    if moves < SURE:
        raise MeasurementFailed(DEAD)
    ac = corner_hz > max(LEAST_CORNER_HZ, SURE * uncertainty_hz)
    share = SYSTEMATIC + 2 * math.pi * abs(corner_hz) * LATE_S
    return Coupling(ac, corner_hz, math.hypot(uncertainty_hz, share * corner_hz))


@dataclass(frozen=True, slots=True)
class _Fit:
    """``slope``: A, in full scales per dB. ``charge``: B. ``left``: sum of squares that is left."""

    slope: float
    charge: float
    left: float
    columns: Signal
    residual: Signal


@dataclass(frozen=True, slots=True)
class _Trace:
    """Gain and CV every ``HOP_S``. ``step``: of which step. ``good``: nothing is clipped."""

    gain_db: Signal
    cv_fs: Signal
    step: NDArray[np.int64]
    good: NDArray[np.bool_]

    def fit(self, corner_hz: float) -> _Fit:
        omega = 2 * math.pi * corner_hz
        columns = np.stack([self._shown(omega), self._charge(omega)])
        columns, target = self._within_steps(columns), self._within_steps(self.cv_fs[None])[0]
        answer = np.asarray(np.linalg.lstsq(columns.T, target, rcond=None)[0], np.float64)
        residual = target - answer @ columns
        return _Fit(
            float(answer[0]), float(answer[1]), float(residual @ residual), columns, residual
        )

    def step_hz(self, corner_hz: float) -> float:
        """Where Gauss and Newton would go from here."""
        fit = self.fit(corner_hz)
        columns = self._jacobian(fit, corner_hz)
        answer = np.asarray(np.linalg.lstsq(columns.T, fit.residual, rcond=None)[0], np.float64)
        return float(answer[2])

    def uncertainty(self, corner_hz: float) -> tuple[float, float]:
        """Standard deviation of the corner in Hz; and how many its own the slope is from 0."""
        fit = self.fit(corner_hz)
        columns = self._jacobian(fit, corner_hz)
        block = round(BLOCK_S / HOP_S)
        edges = np.arange(0, len(fit.residual), block)
        scores = np.add.reduceat(columns * fit.residual, edges, axis=1)
        # Columns are scaled: the charge of a slow capacitor and the slope of a corner differ much.
        scale = np.linalg.norm(columns, axis=1)
        inverse = np.asarray(
            np.linalg.pinv((columns / scale[:, None]) @ (columns / scale[:, None]).T), np.float64
        )
        spread = inverse @ ((scores / scale[:, None]) @ (scores / scale[:, None]).T) @ inverse
        deviation = np.sqrt(np.diag(spread)) / scale
        return float(deviation[2]), abs(fit.slope) / float(deviation[0])

    def _jacobian(self, fit: _Fit, corner_hz: float) -> Signal:
        """Derivatives of the model by slope, charge and corner, (3, points), within steps."""
        delta_hz = 1e-5 + 1e-4 * abs(corner_hz)
        up, down = (2 * math.pi * (corner_hz + sign * delta_hz) for sign in (1, -1))
        turned = fit.slope * (self._shown(up) - self._shown(down))
        turned += fit.charge * (self._charge(up) - self._charge(down))
        return np.concatenate([fit.columns, self._within_steps(turned[None] / (2 * delta_hz))])

    def _shown(self, omega: float) -> Signal:
        """H_w(G): what the high-pass leaves of the gain, if its capacitor begins charged."""
        gain_db = self.gain_db - self.gain_db[0]
        if omega == 0:
            return gain_db
        z = omega * HOP_S
        pole = math.exp(-z)
        # Exact for a gain that goes straight from point to point.
        now, before = 1 - (1 - pole) / z, (1 - pole) / z - pole
        driven = now * gain_db
        driven[1:] += before * gain_db[:-1]
        return gain_db - _decayed(driven, pole)

    def _charge(self, omega: float) -> Signal:
        time_s = HOP_S * np.arange(len(self.gain_db), dtype=np.float64)
        return -np.expm1(-omega * time_s) / omega if omega else time_s

    def _within_steps(self, rows: Signal) -> Signal:
        """The good points, less the mean of each step."""
        step, rows = self.step[self.good], rows[:, self.good]
        count = np.maximum(np.bincount(step), 1)
        return np.stack([row - (np.bincount(step, row) / count)[step] for row in rows])


def _decayed(driven: Signal, pole: float) -> Signal:
    """c[n] = pole c[n - 1] + driven[n], by doubling: after pass k each c is a sum of 2^k terms."""
    total, shift = driven.copy(), 1
    while shift < len(total) and (factor := pole**shift) > 1e-18:
        total[shift:] += factor * total[:-shift]
        shift *= 2
    return total


def _trace(probe: Probe, received: Signal, cv: Signal) -> _Trace:
    rate = probe.sample_rate_hz
    tone = Tone(WINDOW_S, rate, 1)
    first = probe.steps[0].start + round(FADE_S * rate)
    end = probe.steps[-1].stop - tone.window_frames
    points = np.arange(int((end - first) / (HOP_S * rate)))
    starts = np.rint(first + HOP_S * rate * points).astype(np.int64)
    sent = np.abs(tone.read(probe.signal[:, 0], starts)[:, 1])
    heard = [np.abs(tone.read(channel, starts)[:, 1]) for channel in received.T]
    gains = [20 * np.log10(np.maximum(one, 1e-12) / sent) for one in heard]
    clipped = (np.abs(received) >= TOP_FS).any(axis=1) | (np.abs(cv) >= TOP_FS)
    before = np.concatenate([[0], np.cumsum(clipped)])
    touched = before[starts + tone.window_frames] > before[starts]
    smooth = np.hanning(round(SMOOTH_S / HOP_S) + 1)
    smooth /= float(smooth.sum())
    gain, shown = np.mean(gains, axis=0), tone.read(cv, starts)[:, 0].real
    half = len(smooth) // 2
    centres = (starts + tone.window_frames // 2)[half:-half]
    return _Trace(
        gain_db=np.asarray(np.convolve(gain, smooth, "valid"), np.float64),
        cv_fs=np.asarray(np.convolve(shown, smooth, "valid"), np.float64),
        step=np.searchsorted([step.start for step in probe.steps], centres, "right") - 1,
        good=np.convolve(touched, smooth > 0, "valid") < 0.5,
    )


class Repair:
    """Undoes the high-pass of an AC-coupled CV input: blocks in, blocks out.

    ``offset_fs`` is what the input shows when nothing has moved for long. What comes out counts
    from the voltage at which the first block begins; feed it the silence before a song first, and
    take what it says there for rest. The integral is the trapezoidal rule's.
    """

    def __init__(self, corner_hz: float, offset_fs: float, sample_rate_hz: int) -> None:
        self._omega = 2 * math.pi * corner_hz
        self.offset_fs = offset_fs
        self._rate = sample_rate_hz
        self._lost = 0.0
        self._last: float | None = None

    def process(self, cv: Signal) -> Signal:
        """The next block (frames,), full scale 1; the same shape, but not bound to full scale."""
        shown = cv - self.offset_fs
        if not len(shown):
            return shown
        before = np.concatenate([[shown[0] if self._last is None else self._last], shown[:-1]])
        lost = self._lost + self._omega / (2 * self._rate) * np.cumsum(before + shown)
        self._lost, self._last = float(lost[-1]), float(shown[-1])
        return shown + lost

    def drift_fs(self, after_s: float, noise_fs: float, offset_uncertainty_fs: float) -> float:
        """Standard deviation of what has been added by mistake ``after_s`` from the beginning.

        ``noise_fs``: RMS of the CV's noise (white; hum does not add up) per frame.
        """
        walk_fs = noise_fs * math.sqrt(after_s / self._rate)
        return self._omega * math.hypot(walk_fs, offset_uncertainty_fs * after_s)
