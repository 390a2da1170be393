"""The CV's law: from converter values to gain, measured on a staircase of tones.

    gain_db = cv_sample * gain_db_per_fs + gain_db_at_zero            0 dB at rest

Method (FACTS; arXiv 2606.18573 calibrates its CV so: tone levels, the settled part of each, a
straight line). ``staircase`` has the probe and what is read of each step, ``straight_line``
the line through them, gain = c + b V, and which steps are left out. b is the slope; the CV at rest,
V0, gives gain_db_at_zero = -b V0. c + b V0 is the static gain, make-up included: never used for
reduction.

AC coupling is tested before anything else (``coupling``). If it is allowed, the CV is repaired by
the measured corner, and a ramp in the line says how far off the assumed offset of the converter is.

Music is a cross-check, on every take (``checks.cv``, the slope): it watches, tones calibrate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.errors import MeasurementFailed
from capture.model import GainLaw
from capture.signal import coupling
from capture.signal.coupling import Coupling, Repair
from capture.signal.cv_delay import CvDelay
from capture.signal.staircase import AudioSteps, CvSteps, Probe, Signal, probe, read_audio, read_cv
from capture.signal.straight_line import MEAN, Line, Stairs

__all__ = ["MeasuredLaw", "Probe", "Reading", "fit", "probe"]

ALGORITHM_VERSION = "gain-law-1"
LEAST_REDUCTION_DB = 6.0
SLOPE_FACTOR = 1.4
"""Slopes further off what is expected are a wrong cable: balanced for unbalanced is a factor 2."""
REST_DRIFT_DB = 0.02
"""How far the CV may drift while it should rest, beyond 4 times its noise."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One step as it was read. ``left_out`` is the reason; None where it was used.

    ``cv_fs``: the CV weighted by the tone's power. ``residual_db``: gain less what the line says.
    """

    level_dbfs: float
    gain_left_db: float
    gain_right_db: float
    cv_fs: float
    residual_db: float
    left_out: str | None


@dataclass(frozen=True, slots=True)
class MeasuredLaw:
    """The law and how sure it is; each ``*uncertainty*`` is one standard deviation.

    ``covariance``: of (gain_db_per_fs, gain_db_at_zero). ``accuracy_db``: the error that is left,
    rms over the range from rest to ``deepest_gain_db`` (negative; the CV is ``deepest_cv_fs``
    there). ``residual_db``: rms of the steps about the line. ``rest_fs``: V0; ``rest_noise_fs``:
    RMS of the CV about it. ``static_*_db``: gain at rest, make-up and returns included.
    ``tracking_db``: how much more the left channel's gain falls than the right one's, on the way to
    the deepest gain. ``slope_ratio``: measured over expected. ``offset_fs``: for ``Repair``, None
    if the input is DC-coupled; if not, law, ``rest_fs`` and CV values hold for the repaired CV,
    and ``accuracy_db`` for the length of the probe: ``Repair.drift_fs`` says what time adds.
    """

    law: GainLaw
    slope_uncertainty_db_per_fs: float
    at_zero_uncertainty_db: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    accuracy_db: float
    residual_db: float
    r2: float
    deepest_gain_db: float
    deepest_cv_fs: float
    rest_fs: float
    rest_uncertainty_fs: float
    rest_noise_fs: float
    static_left_db: float
    static_right_db: float
    static_uncertainty_db: float
    slope_left_db_per_fs: float
    slope_right_db_per_fs: float
    tracking_db: float
    tracking_uncertainty_db: float
    slope_ratio: float
    coupling: Coupling
    offset_fs: float | None
    readings: tuple[Reading, ...]

    @property
    def left_out(self) -> tuple[str, ...]:
        """The steps that were left out: level and reason."""
        return tuple(
            f"{one.level_dbfs:g} dBFS: {one.left_out}" for one in self.readings if one.left_out
        )


def fit(
    probe: Probe,
    received: Signal,
    cv: Signal,
    expected: GainLaw,
    cv_delay: CvDelay | None = None,
    *,
    allow_ac: bool = False,
) -> MeasuredLaw:
    """The law, from what came back of ``probe``.

    ``received`` (frames, 2) and ``cv`` (frames,), full scale 1, cut by the latency to whole frames,
    at least to the end of the last step. ``cv_delay``: how much later the CV is than the left
    return. Where it is not known it is taken for 0 +-1 frame, which costs 0.02 dB at 22 dB of
    reduction under a release of 0.1 s. ``allow_ac``: an AC-coupled CV is repaired, not refused.

    Raises:
        MeasurementFailed: no tone, too little reduction, the CV does not move, is AC-coupled, was
            not at rest, goes the other way, is off by more than ``SLOPE_FACTOR``, too few steps
            are left, or they do not lie on a line.
        ValueError: the recording ends before the last step does.
    """
    if min(len(received), len(cv)) < probe.steps[-1].stop:
        raise ValueError(f"{len(received)} and {len(cv)} frames of {probe.steps[-1].stop}")
    audio = read_audio(probe, received, cv)
    reduction_db = float(np.ptp(audio.gain_db[:, MEAN]))
    _require_reduction(reduction_db)
    found = coupling.measure(probe, received, cv)
    if found.ac and not allow_ac:
        raise MeasurementFailed(
            f"the CV input is AC-coupled: a held voltage droops, corner {found.corner_hz:.3g} Hz "
            f"(+-{found.corner_uncertainty_hz:.1g}); use a DC-coupled input, or say "
            "'coupling: ac' in the rig profile, and the CV is repaired"
        )
    late = (0.0, 1.0) if cv_delay is None else (cv_delay.frames, cv_delay.uncertainty_frames)
    if not found.ac:
        return _law(Stairs.read(probe, audio, cv, late, False), expected, found, None, 0.0)
    offset_fs = float(np.mean(cv[: probe.steps[0].start]))
    stairs, line = _repaired(probe, audio, cv, late, found, offset_fs)
    for _ in range(2):
        # A wrong offset makes a ramp of the repaired CV: b w (what it is off by) per second.
        offset_fs -= line.drift_db_per_s / (line.slope * 2 * math.pi * found.corner_hz)
        stairs, line = _repaired(probe, audio, cv, late, found, offset_fs)
    extra = _left_by_repair(probe, cv, audio, found, line)
    return _law(stairs, expected, found, offset_fs, extra)


def _repaired(
    probe: Probe,
    audio: AudioSteps,
    cv: Signal,
    late: tuple[float, float],
    found: Coupling,
    offset_fs: float,
) -> tuple[Stairs, Line]:
    repaired = Repair(found.corner_hz, offset_fs, probe.sample_rate_hz).process(cv)
    repaired -= np.mean(repaired[: probe.steps[0].start])  # what it was charged to says nothing
    stairs = Stairs.read(probe, audio, repaired, late, True)
    return stairs, stairs.line(stairs.usable, MEAN)


def _left_by_repair(
    probe: Probe, cv: Signal, audio: AudioSteps, found: Coupling, line: Line
) -> float:
    """The variance in dB^2 that the repair leaves over the length of the probe."""
    noise_fs = read_cv(probe, cv, audio, 0.0).white_noise
    length_s = probe.steps[-1].stop / probe.sample_rate_hz
    walk_fs = Repair(found.corner_hz, 0.0, probe.sample_rate_hz).drift_fs(length_s, noise_fs, 0.0)
    # The slope is fitted to the repaired CV, so a wrong corner counts while the CV moves, only.
    share = found.corner_uncertainty_hz / found.corner_hz
    corner_db = 0.5 * share * float(np.ptp(audio.gain_db[:, MEAN])) / math.sqrt(3)
    return (walk_fs * line.slope) ** 2 / 2 + corner_db**2


def _require_reduction(reduction_db: float) -> None:
    if reduction_db < LEAST_REDUCTION_DB:
        raise MeasurementFailed(
            f"too little reduction: {reduction_db:.1f} dB; at least {LEAST_REDUCTION_DB:g} dB are "
            "needed: a lower threshold, a higher ratio, or more level"
        )


def _require_sign(slope: float, expected: GainLaw) -> None:
    if slope * expected.gain_db_per_fs < 0:
        raise MeasurementFailed(
            f"the CV goes the other way than the rig profile expects ({slope:.4g} dB per full "
            f"scale, expected {expected.gain_db_per_fs:.4g}): its polarity is turned, or the "
            "profile is wrong"
        )


def _require_slope(slope: float, expected: GainLaw) -> float:
    """The slope over that expected."""
    ratio = slope / expected.gain_db_per_fs
    if not 1 / SLOPE_FACTOR <= ratio <= SLOPE_FACTOR:
        raise MeasurementFailed(
            f"the CV's slope is {ratio:.3g} times what the rig profile expects; at most a factor "
            f"{SLOPE_FACTOR:g} is allowed: check volts_per_fs, and the cable (balanced for "
            "unbalanced is a factor 2)"
        )
    return ratio


def _require_rest(control: CvSteps, slope: float) -> None:
    drift_db = abs(control.rest_drift * slope)
    if drift_db > REST_DRIFT_DB + 4 * abs(control.rest_drift_deviation * slope):
        raise MeasurementFailed(
            f"the CV was not at rest before the tone: it moved by {drift_db:.2g} dB in 0.2 s; "
            "wait longer before the probe"
        )


def _law(
    stairs: Stairs, expected: GainLaw, found: Coupling, offset_fs: float | None, extra: float
) -> MeasuredLaw:
    """Judges all that can be wrong, and sums it up. Raises MeasurementFailed.

    ``extra``: variance in dB^2 that the steps do not show.
    """
    control = stairs.control
    _require_sign(stairs.line(stairs.usable, MEAN).slope, expected)
    line, used = stairs.straight(extra)
    ratio = _require_slope(line.slope, expected)
    _require_rest(control, line.slope)
    reached_db = (control.weighted[:, MEAN] - control.rest) * line.slope
    deepest = int(np.argmin(np.where(used, reached_db, np.inf)))
    _require_reduction(-float(reached_db[deepest]))
    sides = [stairs.line(used, channel) for channel in (0, 1)]
    static = [side.at(control.rest) for side in sides]
    reach_fs = float(control.weighted[deepest, MEAN]) - control.rest
    rest_variance = control.rest_deviation**2
    gains, left = stairs.audio.gain_db[used], line.residual_db[used]
    return MeasuredLaw(
        law=GainLaw(line.slope, -line.slope * control.rest, "measured"),
        slope_uncertainty_db_per_fs=math.sqrt(line.slope_variance),
        at_zero_uncertainty_db=math.sqrt(
            control.rest**2 * line.slope_variance + line.slope**2 * rest_variance
        ),
        covariance=_covariance(line, control.rest, rest_variance),
        accuracy_db=math.sqrt(
            line.slope_variance * reach_fs**2 / 3
            + line.slope**2 * rest_variance
            + _curvature(left, line.noise_db[used])
            + extra
        ),
        residual_db=float(np.sqrt(np.mean(left**2))),
        r2=1 - float(np.var(left) / np.var(gains[:, MEAN])),
        deepest_gain_db=float(reached_db[deepest]),
        deepest_cv_fs=float(control.weighted[deepest, MEAN]),
        rest_fs=control.rest,
        rest_uncertainty_fs=control.rest_deviation,
        rest_noise_fs=control.rest_noise,
        static_left_db=static[0][0],
        static_right_db=static[1][0],
        static_uncertainty_db=math.sqrt(
            max(variance for _, variance in static) + line.slope**2 * rest_variance
        ),
        slope_left_db_per_fs=sides[0].slope,
        slope_right_db_per_fs=sides[1].slope,
        tracking_db=(sides[1].slope - sides[0].slope) * reach_fs,
        tracking_uncertainty_db=abs(reach_fs)
        * math.sqrt(sides[0].slope_variance + sides[1].slope_variance),
        slope_ratio=ratio,
        coupling=found,
        offset_fs=offset_fs,
        readings=_readings(stairs, line, used),
    )


def _readings(stairs: Stairs, line: Line, used: NDArray[np.bool_]) -> tuple[Reading, ...]:
    return tuple(
        Reading(
            level_dbfs=step.level_dbfs,
            gain_left_db=float(gains[0]),
            gain_right_db=float(gains[1]),
            cv_fs=float(v),
            residual_db=float(residual_db),
            left_out=None if use else fault or f"it is {residual_db:+.2g} dB off the line",
        )
        for step, gains, v, residual_db, fault, use in zip(
            stairs.probe.steps,
            stairs.audio.gain_db,
            stairs.control.weighted[:, MEAN],
            line.residual_db,
            stairs.audio.faults,
            used,
            strict=True,
        )
    )


def _covariance(
    line: Line, rest: float, rest_variance: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of the slope b and -b V0, which are measured apart."""
    both = -rest * line.slope_variance
    at_zero = rest**2 * line.slope_variance + line.slope**2 * rest_variance
    return (line.slope_variance, both), (both, at_zero)


def _curvature(residual_db: Signal, noise_db: Signal) -> float:
    """The part of the residual's power that is not noise, dB^2."""
    weight = noise_db**-4.0
    return max(0.0, float(np.sum(weight * (residual_db**2 - noise_db**2)) / weight.sum()))
