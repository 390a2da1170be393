"""What a unit did with the probe: its features, and its response in the field's terms.

The control voltage becomes gain by a ``GainLaw``, and gain becomes reduction against its own mean
over the silence before the probe, so that make-up gain and the law's offset drop out:

    reduction_db = -gain_db_per_fs (cv - cv at rest)

**Features** are means of that over the probe's windows. Their noise is measured, not assumed: the
standard deviation of means of the same length over the silence, hum and all; a window longer than
a quarter of the silence is given that of a quarter.

**Response**: threshold, slope and knee from the ladder's means, release from the silence after it
(``curves.py``); the threshold is the effective one, which moves with the ratio in a feedback unit.
Attack is the time from 10 to 90 % of the largest step of the bursts' staircase, mean of the three,
with their scatter. None is 'not measurable': less than 1 dB of reduction to measure it on.

**Audio as the second source**: the gain of each ladder step by correlation with the tone sent,
against that of the lowest step, for as many steps as the CV says leave the unit at rest. It must
agree with the CV's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capture.errors import MeasurementFailed
from capture.model import GainLaw
from capture.signal.fingerprint import curves
from capture.signal.fingerprint.curves import Figure
from capture.signal.fingerprint.probe import LADDER_DBFS, Probe, Signal

ALGORITHM_VERSION = "fingerprint-response-1"

LEAST_REDUCTION_DB = 1.0
"""Less reduction than this is not measured on."""
RESTLESS_DB = 0.02
"""The CV may move this much during the silence before the probe, besides its noise."""
LEAST_NOISE_DB = 1e-4
"""Noise is never taken to be less."""


@dataclass(frozen=True, slots=True)
class Features:
    """Mean reductions in dB over the probe's windows, and their noise (standard deviations).

    ``rest_noise_db`` is that of the resting value itself, which is common to all.
    """

    sample_rate_hz: int
    values_db: tuple[float, ...]
    noise_db: tuple[float, ...]
    rest_noise_db: float


@dataclass(frozen=True, slots=True)
class Response:
    """The unit in the field's terms; None is 'not measurable': too little reduction.

    ``release_slow_ms`` and ``slow_share`` (the part of the reduction that falls slowly, 0 to 1) are
    None too where one exponential is enough. ``audio_error_db``: the worst disagreement between the
    audio's gain and the CV's over the ladder, both against rest.
    """

    threshold_db: Figure | None
    slope: Figure | None
    ratio: Figure | None
    knee_db: Figure | None
    attack_ms: Figure | None
    release_fast_ms: Figure | None
    release_slow_ms: Figure | None
    slow_share: Figure | None
    most_reduction_db: float
    audio_error_db: float


def reduction(probe: Probe, cv: Signal, law: GainLaw) -> Signal:
    """Gain reduction in dB, >= 0 but for noise, from the raw CV (frames,) of full scale 1.

    Raises:
        MeasurementFailed: the CV is shorter than the probe, or the unit was not at rest.
    """
    if len(cv) < probe.frames:
        raise MeasurementFailed(
            f"the recorded probe has {len(cv)} frames, {probe.frames} were played"
        )
    reduction_db = -law.gain_db_per_fs * (cv[: probe.frames] - cv[: probe.rest_frames].mean())
    rest = reduction_db[: probe.rest_frames]
    time = np.linspace(-0.5, 0.5, len(rest))
    drift_db = float(time @ rest / (time @ time))
    noise_db = _noise_db(rest - drift_db * time, len(rest) // 4)
    if abs(drift_db) > RESTLESS_DB + 6 * noise_db:
        raise MeasurementFailed(
            f"the unit was not at rest before the probe: its gain moved by {abs(drift_db):.3f} dB "
            f"within {len(rest) / probe.sample_rate_hz:.2f} s of silence",
            "wait longer before the probe: auto release remembers for tens of seconds",
        )
    return reduction_db


def features(probe: Probe, reduction_db: Signal) -> Features:
    """The features of a trace of reduction (frames,), with the noise of its first silence."""
    sums = np.concatenate([[0.0], np.cumsum(reduction_db)])
    rest = reduction_db[: probe.rest_frames]
    lengths = {b - a for feature in probe.features for a, b in feature.windows}
    noise = {length: _noise_db(rest, length) for length in lengths}
    values: list[float] = []
    sigmas: list[float] = []
    for feature in probe.features:
        means = [(sums[b] - sums[a]) / (b - a) for a, b in feature.windows]
        values.append(float(np.mean(means)))
        length = feature.windows[0][1] - feature.windows[0][0]
        sigmas.append(noise[length] / len(means) ** 0.5)
    rest_noise = _noise_db(rest, len(rest) // 4)
    return Features(probe.sample_rate_hz, tuple(values), tuple(sigmas), rest_noise)


def response(probe: Probe, reduction_db: Signal, measured: Features, returned: Signal) -> Response:
    """The response, from the trace (frames,), its features, and the audio (frames, 2) of a return.

    Both are cut at the measured latency: frame 0 is frame 0 of the probe, to within some frames.
    """
    values, noise = np.array(measured.values_db), np.array(measured.noise_db)
    ladder, after = probe.of("ladder"), probe.of("release")
    static = falling = None
    if values[ladder].max() >= LEAST_REDUCTION_DB:
        levels = np.array(LADDER_DBFS, np.float64)
        static = curves.static_curve(levels, values[ladder], float(noise[ladder].max()))
    if values[after].max() >= LEAST_REDUCTION_DB:
        windows = np.array([probe.features[i].windows[0] for i in after], np.float64)
        begin, end = ((windows - probe.held_frame) / probe.sample_rate_hz).T
        falling = curves.release(begin, end, values[after], float(noise[after].max()))
    return Response(
        threshold_db=static.threshold_db if static else None,
        slope=static.slope if static else None,
        ratio=static.ratio if static else None,
        knee_db=static.knee_db if static else None,
        attack_ms=_attack(probe, reduction_db),
        release_fast_ms=falling.fast_ms if falling else None,
        release_slow_ms=falling.slow_ms if falling else None,
        slow_share=falling.slow_share if falling else None,
        most_reduction_db=float(values.max()),
        audio_error_db=_audio_error(probe, values[ladder], returned),
    )


def _noise_db(rest: Signal, frames: int) -> float:
    """Standard deviation of means over ``frames`` frames of silence, at most a quarter of it."""
    frames = min(frames, len(rest) // 4)
    sums = np.concatenate([[0.0], np.cumsum(rest)])
    means = (sums[frames:] - sums[:-frames]) / frames
    return max(LEAST_NOISE_DB, float(means.std()))


def _attack(probe: Probe, reduction_db: Signal) -> Figure | None:
    """10 to 90 % of the largest step of the staircase."""
    before = round(0.0005 * probe.sample_rate_hz)
    steps = [
        [reduction_db[start - before : start + section.frames] for start, section in burst]
        for burst in probe.bursts
    ]
    traces = np.array(steps)  # (bursts, levels, frames)
    tail = traces.shape[2] // 5
    initial, final = traces[:, :, :before].mean((0, 2)), traces[:, :, -tail:].mean((0, 2))
    level = int(np.argmax(final - initial))
    rise = float(final[level] - initial[level])
    if rise < LEAST_REDUCTION_DB:
        return None
    low, high = (float(initial[level]) + share * rise for share in (0.1, 0.9))
    times = [_crossing(trace, high) - _crossing(trace, low) for trace in traces[:, level]]
    # A crossing between two frames is known to a frame's rounding, at worst.
    sigma = float(np.hypot(np.std(times, ddof=1), 12**-0.5)) / len(times) ** 0.5
    scale = 1000 / probe.sample_rate_hz
    return Figure(float(np.mean(times)) * scale, sigma * scale)


def _crossing(trace: Signal, level: float) -> float:
    """Where ``trace`` first reaches ``level``, between frames; its end if it never does."""
    above = np.flatnonzero(trace >= level)
    at = int(above[0]) if len(above) else len(trace) - 1
    if at == 0:
        return 0.0
    rise = float(trace[at] - trace[at - 1])
    return at - 1 + (level - float(trace[at - 1])) / rise if rise > 0 else float(at)


def _audio_error(probe: Probe, ladder: Signal, returned: Signal) -> float:
    """The worst disagreement, in dB, of the audio's gain over the ladder with the CV's."""
    sent = probe.samples
    gains: list[float] = []
    for number in probe.of("ladder"):
        first, last = probe.features[number].windows[0]
        turns = np.arange(last - first) / (2 * probe.sections[1].half_period)
        tone = np.exp(-2j * np.pi * turns)
        heard, played = (float(np.abs(tone @ x[first:last]).max()) for x in (returned, sent))
        gains.append(20 * float(np.log10(max(heard, 1e-12) / played)))
    resting = ladder < ladder[0] + 0.01
    resting[0] = True
    audio_db = np.mean(np.array(gains)[resting]) - np.array(gains)
    return float(np.max(np.abs(audio_db - (ladder - np.mean(ladder[resting])))))
