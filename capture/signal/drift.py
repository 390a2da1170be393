"""Does the delay stay what it is through a take? Clock drift, and frames lost or doubled.

The lag of what came back against what was sent is measured in one window of music after the other,
each about 0.37 s: generalised cross-correlation (Knapp and Carter 1976) of 500 Hz to 12 kHz,
whitened by |G|^-0.8, left and right added. A compressor multiplies by a gain that is positive and
slow against the band, so it leaves the phase alone but for some hundredths of a frame. Noise, and
tones that a fast compressor spreads, show in what is left of the phase when the lag is taken out
(``delay``, music), summed over blocks of bins that err alike.

**Music with a period** looks alike when it is shifted by one. So the peak near the lag that is
expected is believed unless another one is clearly higher; the taper of the windows favours it too.
A window is clear if its peak stands out of the rest and its lag is sure; others are left out.

**Drift** is the slope of the lag over time: the median of the slopes between any two windows (Theil
1950, Sen 1968), which windows that were mistaken do not move. Its uncertainty is that of a
straight line through the means of 12 groups of windows, since neighbours err alike, plus what a
compressor may do to the lag from one end of a song to the other.

**A step** is where the medians of three windows before and three after differ, drift taken out; at
least two of each three must agree. A step that is made up for after more than two windows (0.75 s)
is two steps. What lasts for less, or lies within music that is not clear, the pilot must find.

Signs: a positive lag is later. Positive drift: what comes back is later and later, so the clock
that records is faster than the one that plays. Doubled frames are a positive step, lost ones a
negative.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from capture.errors import MeasurementFailed
from capture.signal.delay import Delay, Signal
from capture.signal.levels import FULL_SCALE

ALGORITHM_VERSION = "drift-1"
Codes = NDArray[np.int32]
Whitened = NDArray[np.complex64]

WINDOW_S = 0.37
"""Rounded to a power of 2: 16384 frames at 44.1 and 48 kHz."""
LOW_HZ = 500.0
HIGH_HZ = 12_000.0
WHITENING = 0.8
NEAR_FRAMES = 12
"""Peaks so near to the last lag are preferred to others ..."""
AMBIGUOUS = 0.8
"""... unless they have less than this of the highest peak's height."""
CLEAR_PEAK = 12.0
"""Correlation peak over rms that a window must show; noise shows 3 to 6."""
CLEAR_FRAMES = 0.1
"""Uncertainty of a window's lag above which it does not count."""
BLOCK_BINS = 64
"""Bins so near to each other, some 170 Hz, err alike where a compressor spreads tones."""
WINDOW_BIAS_FRAMES = 0.02
"""And by so much they all do."""
STEP_FRAMES = 0.4
"""Steps from this size on are told from the error of the lag."""
AGREED_FRAMES = 0.3
SURE = 4.0
"""A step must have so many standard deviations, and pass the limit."""
MOVING = 0.3
"""A window within which the step lies shows a part of it: two moves instead of one."""
SIGMA = 0.6745
"""Median of the absolute value of a normal distribution, in standard deviations."""
LEAST_WINDOWS = 12
"""Drift takes so many clear windows ..."""
SURE_PPM = 0.5
"""... and is not believed where it is less sure than this."""
MOST_WINDOWS = 600
"""Windows, or groups of them, between which slopes are taken: memory grows with the square."""
GROUPS = 12
CLIP = 3.0
"""Residuals further off than this many standard deviations are mistakes."""
BIAS_FRAMES = 0.003
"""A compressor that works harder at one end of the song moves the lag by so much between them."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Clock drift and its standard deviation, in parts per million; positive is later and later."""

    ppm: float
    uncertainty_ppm: float


@dataclass(frozen=True, slots=True)
class Step:
    """The lag changes by ``frames``, somewhere between two frames; positive is later."""

    frames: float
    earliest_frame: int
    latest_frame: int


@dataclass(frozen=True, slots=True)
class LagTrack:
    """The lag of each clear window, shape (clear windows,) each.

    ``centre``: the window's middle, in frames since the first that was fed. ``lag`` and its
    standard deviation ``uncertainty``: in frames, positive is later. ``windows``: how many there
    are in all, each ``window_frames`` long, those that are not clear too.
    """

    centre: Signal
    lag: Signal
    uncertainty: Signal
    windows: int
    window_frames: int


class LagMeter:
    """Follows the lag of one take, fed block by block; keeps 1.4 MB for an hour."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._frames = 1 << round(math.log2(WINDOW_S * sample_rate_hz))
        per_hz = self._frames / sample_rate_hz
        self._low = round(LOW_HZ * per_hz)
        high = round(min(HIGH_HZ, 0.4 * sample_rate_hz) * per_hz)
        self._high = self._low + (high - self._low) // BLOCK_BINS * BLOCK_BINS
        bins = np.arange(self._low, self._high, dtype=np.float32)
        self._omega = bins * np.float32(2 * np.pi / self._frames)
        # The band's edges are soft, so that its peak has no far side lobes.
        self._weight = (np.hanning(self._high - self._low + 2)[1:-1] ** 0.25).astype(np.float32)
        # So are the windows' ends: both signals are cut at the same frames, a lag of 0.
        ramp = np.hanning(self._frames // 4 + 1)[: self._frames // 8]
        level = np.ones(self._frames - 2 * len(ramp))
        self._taper = np.concatenate([ramp, level, ramp[::-1]]) / FULL_SCALE
        self._window = np.zeros((4, self._frames))
        self._filled = 0
        self._expected = 0
        self._windows = 0
        self._clear: list[tuple[float, float, float]] = []

    def add(self, sent: Codes, output: Codes) -> None:
        """Consecutive frames, (frames, 2) each, cut to belong together; blocks of any size."""
        at = 0
        while at < len(sent):
            count = min(self._frames - self._filled, len(sent) - at)
            part = slice(self._filled, self._filled + count)
            self._window[:2, part] = sent[at : at + count].T
            self._window[2:, part] = output[at : at + count].T
            at += count
            self._filled += count
            if self._filled == self._frames:
                self._measure(self._window)
                self._filled = 0

    def track(self) -> LagTrack:
        """What was found so far. A window that is not yet full does not count."""
        centre, lag, uncertainty = np.array(self._clear, np.float64).reshape(-1, 3).T
        return LagTrack(centre, lag, uncertainty, self._windows, self._frames)

    def _measure(self, window: Signal) -> None:
        """The next window, (4, frames): left and right as sent, and as they came."""
        spectrum = self._whitened(window)
        padded = np.zeros(self._frames // 2 + 1, np.complex64)
        padded[self._low : self._high] = spectrum
        correlation = np.fft.irfft(padded, self._frames)
        rms = math.sqrt(float(np.mean(correlation**2)))
        whole, height = self._peak(correlation)
        lag, uncertainty = self._refined(spectrum, whole)
        if height > CLEAR_PEAK * rms and uncertainty < CLEAR_FRAMES:
            self._clear.append(((self._windows + 0.5) * self._frames, lag, uncertainty))
        self._windows += 1

    def _whitened(self, window: Signal) -> Whitened:
        """The cross-spectra of left and right, added, whitened, in the band: (bins,)."""
        spectra = np.fft.rfft(window * self._taper)[:, self._low : self._high]
        product = (spectra[2:] * np.conj(spectra[:2])).sum(axis=0).astype(np.complex64)
        power = product.real**2 + product.imag**2
        # Bins in which there is nothing at all weigh nothing.
        power += np.finfo(np.float32).tiny
        return product * (self._weight * np.exp(np.log(power) * np.float32(-WHITENING / 2)))

    def _peak(self, correlation: NDArray[np.floating]) -> tuple[int, float]:
        """The lag in whole frames, and the height of the highest peak."""
        reach = self._frames // 4
        around = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
        best = int(np.argmax(around)) - reach
        height = float(around[best + reach])
        first = max(self._expected - NEAR_FRAMES, -reach)
        near = around[reach + first : reach + self._expected + NEAR_FRAMES + 1]
        if len(near) and near.max() >= AMBIGUOUS * height:
            best = first + int(np.argmax(near))
            # Drift is slow: a frame from one window to the next is 61 ppm.
            self._expected += int(np.sign(best - self._expected))
        return best, height

    def _refined(self, spectrum: Whitened, whole: int) -> tuple[float, float]:
        """Lag and its standard deviation; Newton's method from whole frames."""
        lag = float(whole)
        turned = spectrum * self._turn(lag)
        for _ in range(3):
            step = -float(turned.imag @ self._omega) / self._curvature(turned)
            step = min(max(step, -0.5), 0.5)
            lag += step
            turned *= self._turn(step)
        left = (turned.imag * self._omega).reshape(-1, BLOCK_BINS).sum(axis=1)
        unsure = float(np.linalg.norm(left)) / self._curvature(turned)
        return lag, math.hypot(unsure, WINDOW_BIAS_FRAMES)

    def _curvature(self, turned: Whitened) -> float:
        """Of the peak; where there is no peak, so little that nothing is sure."""
        return max(float(turned.real @ self._omega**2), 1e-20)

    def _turn(self, lag: float) -> Whitened:
        """e^(j w lag), (bins,)."""
        angle = np.float32(lag) * self._omega
        turn = np.cos(angle) + 1j * np.sin(angle)
        return turn.astype(np.complex64, copy=False)


def from_track(track: LagTrack) -> Drift:
    """The drift over a take.

    Raises:
        MeasurementFailed: too few windows are clear, the lag jumps, or the drift is not sure to
            ``SURE_PPM``.
    """
    if len(track.lag) < LEAST_WINDOWS:
        raise MeasurementFailed(
            f"the drift is not known: {len(track.lag)} windows of the music show a clear lag; "
            f"{LEAST_WINDOWS} are needed"
        )
    if jumps := steps(track):
        raise MeasurementFailed(
            f"the drift is not known: the lag jumps by {jumps[0].frames:.1f} frames between frame "
            f"{jumps[0].earliest_frame} and {jumps[0].latest_frame}"
        )
    centre, lag = _thinned(track.centre, track.lag)
    first, second = np.triu_indices(len(centre), 1)
    slope = float(np.median((lag[second] - lag[first]) / (centre[second] - centre[first])))
    uncertainty = _slope_uncertainty(centre, lag - slope * centre)
    if uncertainty > SURE_PPM * 1e-6:
        raise MeasurementFailed(
            f"the drift is not known: {slope * 1e6:.2f} ppm, give or take {uncertainty * 1e6:.2f}; "
            f"{SURE_PPM:g} is the most that is believed"
        )
    return Drift(slope * 1e6, uncertainty * 1e6)


def from_markers(before: Delay, after: Delay, frames_between: int) -> Drift:
    """The drift between two markers of one channel, ``frames_between`` from start to start.

    Whatever was lost or doubled in between counts as drift: 1 frame in 60 s is 0.38 ppm.
    """
    uncertainty = math.hypot(before.uncertainty_frames, after.uncertainty_frames)
    frames = after.frames - before.frames
    return Drift(frames / frames_between * 1e6, uncertainty / frames_between * 1e6)


def steps(track: LagTrack, limit_frames: float = STEP_FRAMES) -> tuple[Step, ...]:
    """Where the lag jumps by more than ``limit_frames`` and its own error, in order.

    With a limit of 0: all that is more than the error, a clean take's largest figure.
    """
    lag, heights, errors = _heights(track)
    high = np.abs(heights) > np.maximum(limit_frames, SURE * errors)
    moves = np.diff(lag, prepend=lag[:1])
    return tuple(_jumps(track.centre, np.where(high, heights, 0), moves))


def proven_share(track: LagTrack) -> float:
    """The share of the take, 0 to 1, in which a step of one frame that lasts would be found."""
    _, _, errors = _heights(track)
    between = np.diff(track.centre, prepend=track.centre[:1])
    proven = SURE * errors < 1 - STEP_FRAMES / 2
    return float(np.sum(between[proven])) / max(1, track.windows * track.window_frames)


def _heights(track: LagTrack) -> tuple[Signal, Signal, Signal]:
    """The lag without drift; the step between each window and the one before it; its error.

    A step of 0, give or take infinity, where it cannot be told.
    """
    count = len(track.lag)
    heights, errors = np.zeros(count), np.full(count, np.inf)
    if count < 4:
        return track.lag, heights, errors
    # Of neighbours: a step spoils one slope in so many, and not half of them.
    slopes = np.diff(track.lag) / np.diff(track.centre)
    slope = float(np.median(slopes))
    unsure = float(np.median(np.abs(slopes - slope))) / SIGMA / math.sqrt(count - 1)
    lag = track.lag - slope * track.centre
    threes = _threes(lag)
    middle = np.median(threes, axis=1)
    agree = np.sum(np.abs(threes - middle[:, None]) <= AGREED_FRAMES, axis=1) >= 2
    centre = _threes(track.centre).mean(axis=1)
    near = np.median(_threes(track.uncertainty), axis=1)
    # The three before a window are around the one two before it, those from it on around the next.
    before, after = slice(None, -3), slice(3, None)
    told = agree[before] & agree[after]
    apart = unsure * (centre[after] - centre[before])
    error = np.linalg.norm([near[before], near[after], apart], axis=0)
    heights[2:-1] = np.where(told, middle[after] - middle[before], 0.0)
    errors[2:-1] = np.where(told, error, np.inf)
    return lag, heights, errors


def _threes(values: Signal) -> Signal:
    """Each value between its neighbours, (count, 3); at the ends the mean of two stands in for the
    third, which leaves their median and mean as they are."""
    ends = [values[:2].mean()], values, [values[-2:].mean()]
    return sliding_window_view(np.concatenate(ends), 3)


def _jumps(centre: Signal, heights: Signal, moves: Signal) -> Iterator[Step]:
    """One step for each run of ``heights`` that have the same sign.

    A run is longer than its step, as the medians look around; ``moves``, by how much each lag
    differs from the one before it, show where in it the step is.
    """
    edges = np.flatnonzero(np.diff(np.sign(heights), prepend=0, append=0))
    for start, stop in itertools.pairwise(edges):
        if heights[start]:
            run = moves[start:stop] * np.sign(heights[start])
            # Where no lag moves that way, nothing tells where in the run the step is.
            most = max(float(run.max()), 0.0)
            moving = np.flatnonzero(run >= MOVING * most) if most else np.arange(len(run))
            yield Step(
                frames=float(heights[start:stop][np.argmax(np.abs(heights[start:stop]))]),
                earliest_frame=int(centre[start + moving[0] - 1]),
                latest_frame=int(centre[start + moving[-1]]),
            )


def _thinned(centre: Signal, lag: Signal) -> tuple[Signal, Signal]:
    """Medians of groups of windows, ``MOST_WINDOWS`` at most."""
    parts = min(len(lag), MOST_WINDOWS)
    groups = (np.array_split(values, parts) for values in (centre, lag))
    centres, lags = (np.array([np.median(part) for part in each]) for each in groups)
    return centres, lags


def _slope_uncertainty(centre: Signal, error: Signal) -> float:
    """Standard deviation of the slope of a straight line that leaves ``error``."""
    error = error - np.median(error)
    limit = CLIP * float(np.median(np.abs(error))) / SIGMA
    parts = min(GROUPS, len(error) // 3)
    means = np.array([p.mean() for p in np.array_split(np.clip(error, -limit, limit), parts)])
    middles = np.array([p.mean() for p in np.array_split(centre, parts)])
    middles -= middles.mean()
    variance = float(np.sum(means**2)) / (parts - 2) / float(np.sum(middles**2))
    return math.hypot(math.sqrt(variance), BIAS_FRAMES / float(centre[-1] - centre[0]))
