"""Does the CV say what the audio's gain does?

All from ``prediction.py``: in each grain of 2048 frames rho is the gain, in dB, that the audio had
and the CV did not say, V the gain that it said, S its integral. A grain counts by its loudness.

* cv_scatter_db       how far rho is from its median (make-up and static gain drop out): the
                      deviation that one grain in ten exceeds, scaled to one sigma. A dead, foreign
                      or late CV does not follow the audio.
* cv_flat_share       how far the CV's gain moves, 5th to 95th percentile, as a share of how far the
                      audio's gain does.
* cv_unplugged_db     the furthest that the CV ever is from 0 volts, in dB of its law: an input with
                      nothing in it rests at 0.
* cv_inverted         correlation of the CV's gain with the audio's: below 0 the CV runs backwards.
                      These three are unverified where the audio's gain moves by less than 1 dB.
* cv_above_rest_db    the gain that the CV says is above rest, in dB: the third highest of the
                      grains. A compressor only attenuates, so a CV that says more runs backwards,
                      rests elsewhere, or has another law, however steady it is. A law that was
                      never measured cannot fail: then it warns.
* cv_slope_percent    by how much the audio's gain moves more than the law says: the slope of rho
                      against V, least squares with Huber's weights. Its standard deviation must be
                      a quarter of the limit, or it is unverified. A law that was never measured
                      ('expected') cannot fail: then it warns.
* cv_coupling_hz      behind a high-pass at f the CV lacks 2 pi f times its own integral: the
                      coefficient of S where rho is regressed on V, S, 1 and time. Unverified
                      where the take does not tell it to half the limit.
* cv_clip_db          rho in the pieces (256 frames) in which the CV stands at its own extreme,
                      against the others, in the direction in which it could go no further. A CV
                      that was never at its extreme for three pieces did not clip for long.
* settle_db           how far the CV is from rest in the silence just before the song. Where one
                      of the two is not known, the highest gain of the take stands for rest, and
                      frame 0 for the silence: then it fails above 0.5 dB, and cannot pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from capture.model import CheckLimits, CheckResult, GainLaw
from capture.signal.checks import judge
from capture.signal.checks.path import Doubles
from capture.signal.checks.prediction import GRAIN_FRAMES, PIECE_FRAMES, Compared

LOUD_DB = 30.0
"""Grains this far below the loudest are left out."""
CLEAR = 100.0
"""And those that have less than so many times the energy of the noise."""
LEAST_GRAINS = 8
MOVING_DB = 1.0
"""The audio's gain must move so far (5th to 95th percentile) for a dead CV to be told."""
ALIKE_SHARE = 0.1
"""A CV that moves less than this share of the audio's gain is noise: it has no direction."""
INVERTED = 0.0
HUBER = 1.5
AT_END_DB = 0.02
"""A piece whose extreme is so near to the take's stands at it."""
LEAST_PIECES = 3
UNKNOWN_START_DB = 0.5
"""Converters ring ahead of a step: frame 0 of a song that begins with a beat is off by 0.3 dB."""


@dataclass(frozen=True, slots=True)
class Voltage:
    """The CV itself, full scale 1: at frame 0, each piece's extremes, and where they are known at
    rest and in the silence just before the song."""

    first_fs: float
    low_fs: Doubles
    high_fs: Doubles
    rest_fs: float | None
    before_fs: float | None


@dataclass(frozen=True, slots=True)
class Grains:
    """Those that count. All (grains,): rho, V in dB, S in dB s, time in s, weight."""

    rho_db: Doubles
    gain_db: Doubles
    integral_db_s: Doubles
    time_s: Doubles
    weight: Doubles


def verdicts(
    found: Compared, cv: Voltage, law: GainLaw, limits: CheckLimits
) -> tuple[CheckResult, ...]:
    grains = _grains(found)
    return (
        *_movement(grains, cv, law, limits),
        _above_rest(grains, law, limits),
        _slope(grains, law, limits),
        _coupling(grains, limits),
        _clip(found, cv, law, limits),
        _settle(cv, law, limits),
    )


def _grains(found: Compared) -> Grains:
    power = found.power
    loud = power > power.max(initial=0) * 10 ** (-LOUD_DB / 10)
    noise = float(found.noise.sum()) * GRAIN_FRAMES / PIECE_FRAMES
    chosen = np.flatnonzero(loud & (power > max(CLEAR * noise, 1e-20)))
    matched = np.maximum(found.matched[chosen] / power[chosen], 1e-3)
    return Grains(
        rho_db=20 * np.log10(matched),
        gain_db=found.gain_db[chosen],
        integral_db_s=found.integral_db_s[chosen],
        time_s=found.time_s[chosen],
        weight=np.sqrt(power[chosen]),
    )


def _spread(values: Doubles) -> float:
    return float(np.subtract(*np.percentile(values, (95, 5))))


def _movement(
    grains: Grains, cv: Voltage, law: GainLaw, limits: CheckLimits
) -> tuple[CheckResult, ...]:
    """Scatter, flat, unplugged, inverted."""
    bounds = {
        "cv_scatter_db": limits.cv_scatter_db,
        "cv_flat_share": limits.cv_flat_share,
        "cv_unplugged_db": limits.cv_unplugged_db,
        "cv_inverted": INVERTED,
    }
    unseen = tuple(CheckResult(name, None, b, "unverified") for name, b in bounds.items())
    if len(grains.rho_db) < LEAST_GRAINS:
        return unseen
    audio_db = grains.gain_db + grains.rho_db
    audio_moves, cv_moves = _spread(audio_db), _spread(grains.gain_db)
    off = np.abs(grains.rho_db - np.median(grains.rho_db))
    # Of a normal distribution, one in ten is further than 1.645 sigma from the median.
    scatter_db = float(np.percentile(off, 90)) / 1.645
    scatter = judge.above(
        "cv_scatter_db", scatter_db, bounds["cv_scatter_db"], limits.cv_scatter_warn_db
    )
    if scatter.verdict == "pass" and min(audio_moves, cv_moves) < MOVING_DB:
        scatter = CheckResult("cv_scatter_db", scatter_db, bounds["cv_scatter_db"], "unverified")
    if audio_moves < MOVING_DB:
        return (scatter, *unseen[1:])
    furthest = max(abs(float(cv.low_fs.min())), abs(float(cv.high_fs.max())))
    moved = cv_moves > ALIKE_SHARE * audio_moves
    alike = _alike(audio_db, grains.gain_db, grains.weight) if moved else None
    return (
        scatter,
        judge.below("cv_flat_share", cv_moves / audio_moves, limits.cv_flat_share),
        judge.below("cv_unplugged_db", furthest * abs(law.gain_db_per_fs), limits.cv_unplugged_db),
        judge.below("cv_inverted", alike, INVERTED),
    )


def _above_rest(grains: Grains, law: GainLaw, limits: CheckLimits) -> CheckResult:
    name, limit = "cv_above_rest_db", limits.cv_above_rest_db
    if len(grains.gain_db) < LEAST_GRAINS:
        return CheckResult(name, None, limit, "unverified")
    figure = float(np.sort(grains.gain_db)[-LEAST_PIECES]) + law.gain_db_at_zero
    if figure <= limit:
        return CheckResult(name, figure, limit, "pass")
    return CheckResult(name, figure, limit, "fail" if law.origin == "measured" else "warn")


def _alike(one: Doubles, other: Doubles, weight: Doubles) -> float:
    """Their weighted correlation."""
    covariance = np.cov(one, other, aweights=weight)
    return float(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]))


def _slope(grains: Grains, law: GainLaw, limits: CheckLimits) -> CheckResult:
    name, limit = "cv_slope_percent", limits.cv_slope_percent
    if len(grains.rho_db) < LEAST_GRAINS:
        return CheckResult(name, None, limit, "unverified")
    columns = np.column_stack([grains.gain_db, np.ones(len(grains.rho_db))])
    fit, sigma = _regress(columns, grains)
    figure = 100 * float(fit[0])
    if 100 * float(sigma[0]) > limit / 4:
        return CheckResult(name, None, limit, "unverified")
    if abs(figure) <= limit:
        return CheckResult(name, figure, limit, "pass")
    return CheckResult(name, figure, limit, "fail" if law.origin == "measured" else "warn")


def _coupling(grains: Grains, limits: CheckLimits) -> CheckResult:
    name, limit = "cv_coupling_hz", limits.cv_coupling_hz
    if len(grains.rho_db) < LEAST_GRAINS:
        return CheckResult(name, None, limit, "unverified")
    ones = np.ones(len(grains.rho_db))
    columns = np.column_stack([grains.gain_db, grains.integral_db_s, ones, grains.time_s])
    fit, sigma = _regress(columns, grains)
    turns = 2 * math.pi * max(float(1 + fit[0]), 0.1)
    figure, unsure = abs(float(fit[1])) / turns, float(sigma[1]) / turns
    if figure > limit and figure > 6 * unsure:
        return CheckResult(name, figure, limit, "fail")
    return CheckResult(name, figure, limit, "pass" if unsure < limit / 2 else "unverified")


def _clip(found: Compared, cv: Voltage, law: GainLaw, limits: CheckLimits) -> CheckResult:
    """Whichever end shows more."""
    name, limit = "cv_clip_db", limits.cv_clip_db
    power = found.piece_power
    loud = power > power.max(initial=0) * 10 ** (-LOUD_DB / 10)
    loud &= power > max(CLEAR * float(found.noise.sum()), 1e-20)
    ends: list[float] = []
    for extremes, up in ((cv.high_fs, 1.0), (cv.low_fs, -1.0)):
        # The first piece that is judged is the take's second.
        reached = up * extremes[1 : 1 + len(power)]
        at_end = loud & (reached > reached.max(initial=-2) - AT_END_DB / abs(law.gain_db_per_fs))
        elsewhere = np.count_nonzero(loud) - np.count_nonzero(at_end)
        if min(np.count_nonzero(at_end), elsewhere) >= LEAST_PIECES:
            rho_db = 20 * np.log10(np.maximum(found.piece_matched[loud] / power[loud], 1e-3))
            outwards = rho_db * up * math.copysign(1, law.gain_db_per_fs)
            beyond = at_end[loud]
            ends.append(float(np.mean(outwards[beyond]) - np.median(outwards[~beyond])))
    if not ends:
        return CheckResult(name, None, limit, "unverified")
    return judge.above(name, max(ends), limit)


def _settle(cv: Voltage, law: GainLaw, limits: CheckLimits) -> CheckResult:
    name, limit = "settle_db", limits.settle_db
    slope = law.gain_db_per_fs
    highest_db = max(float(np.max(ends * slope)) for ends in (cv.low_fs, cv.high_fs))
    rest_db = highest_db if cv.rest_fs is None else cv.rest_fs * slope
    start_db = (cv.first_fs if cv.before_fs is None else cv.before_fs) * slope
    figure = rest_db - start_db
    if cv.rest_fs is not None and cv.before_fs is not None:
        return judge.above(name, abs(figure), limit)
    sure = figure > max(limit, UNKNOWN_START_DB)
    return CheckResult(name, figure, limit, "fail" if sure else "unverified")


def _regress(columns: Doubles, grains: Grains) -> tuple[Doubles, Doubles]:
    """Coefficients of ``columns`` that make rho, and their standard deviations."""
    weight = grains.weight.copy()
    scale = np.maximum(np.abs(columns).max(axis=0), 1e-12)
    columns = columns / scale
    fit = np.zeros(columns.shape[1])
    covariance = np.zeros((columns.shape[1],) * 2)
    for _ in range(5):
        squares = (columns * weight[:, None]).T @ columns + 1e-12 * np.eye(len(fit)) * weight.sum()
        inverse = np.asarray(np.linalg.inv(squares), np.float64)
        fit = inverse @ (columns.T @ (weight * grains.rho_db))
        left = grains.rho_db - columns @ fit
        sigma = max(float(np.median(np.abs(left))) / 0.6745, 1e-6)
        inner = (columns * (weight**2)[:, None]).T @ columns
        covariance = inverse @ inner @ inverse * sigma**2
        weight = grains.weight * np.minimum(1, HUBER * sigma / np.maximum(np.abs(left), 1e-12))
    return fit / scale, np.sqrt(np.diag(covariance)) / scale
