"""Watches the knobs while music plays: the enrolled model's gain against the CV's.

The probe is played before the takes of a setting; this is for the time after it. A take is looked
at in the twelve stretches that ``stretches`` has kept of it. Through each the model is run from the
input as it was sent, once for the label and once for every one-step neighbour, from the reduction r
that the CV shows as the stretch begins. How much of it the slow section holds follows from the CV
before: with the charge eliminated from the equations of the two sections, and k = transfer * fast,

    (1 + k) x2' = k r' + transfer (r - x2) - x2 / slow

Means over 10 ms are compared as in ``verdict.py``: the normal density about each candidate's
prediction, with the movements that leave all knobs where they are projected out. Log odds add up
over stretches. A neighbour that is likelier than the label in all stretches from one of them on has
been there since then.

Assumed: the detector hears the louder channel. The probe, alike on both, cannot show that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from capture.model import CheckResult, Setting
from capture.signal.fingerprint import greybox, sidechain
from capture.signal.fingerprint.greybox import Model
from capture.signal.fingerprint.probe import Signal
from capture.signal.fingerprint.sidechain import (
    COLUMNS,
    CURVE,
    FAST,
    SLOW,
    THRESHOLD,
    TRANSFER,
)
from capture.signal.fingerprint.stretches import LEAST_P95_DB, LENGTH, WINDOW_S, Heard
from capture.signal.fingerprint.verdict import FITS, MOST_LOG10, SURE_LOG10, Word

ALGORITHM_VERSION = "fingerprint-passive-1"

MISFIT_DB = 0.1
"""What the model may leave of a window's mean in music, one standard deviation."""
SHARE_STEP = 0.05
SHARE_STEPS = 0.6
"""How well the slow section's share of the reduction is known, in steps of SHARE_STEP."""
_QUIET = 1e-6


@dataclass(frozen=True, slots=True)
class Watch:
    """What a take of music says. ``log10_odds``: of the most likely neighbour against the label, as
    a power of ten; ``since_s``: where they hold from there on only, in seconds into the take, and
    None where nothing is wrong. ``left``: what the label's prediction leaves in the worst stretch
    when the likeliest movements are taken out, RMS over MISFIT_DB. None: not compared."""

    word: Word
    reason: str
    reduction_p95_db: float
    most_likely: Setting | None = None
    log10_odds: float | None = None
    since_s: float | None = None
    left: float | None = None


def watch(
    model: Model,
    label: Setting,
    neighbours: Sequence[Setting],
    heard: Heard,
) -> Watch:
    """Compares a take with what ``model`` expects of ``label`` and of its ``neighbours``.

    ``heard``: the take at the model's sample rate, cut at the measured latency. The unit was at
    rest before.

    Raises BadInput where a position was not enrolled.
    """
    means = heard.means_db
    p95 = float(np.percentile(means, 95)) if len(means) else 0.0
    if p95 < LEAST_P95_DB or not heard.stretches:
        return Watch("not verifiable", f"too little reduction: 95 % is below {p95:.2f} dB", p95)
    settings = [label, *neighbours]
    starts = [stretch.start for stretch in heard.stretches]
    log10, left = _compare(model, settings, heard, starts)
    worst = float(left[:, 0].max())
    # Odds of every neighbour, from each stretch to the end.
    odds = np.cumsum((log10 - log10[:, :1])[::-1], axis=0)[::-1]
    at, best = divmod(int(np.argmax(odds)), len(settings))
    if odds[at, best] > SURE_LOG10:
        # The median: the knob may have been moved in the middle of one stretch.
        fits = float(np.median(left[at:, best])) < FITS
        since_s = starts[at] * WINDOW_S
        return Watch(
            word="contradicted" if fits else "doubtful",
            reason=f"from {since_s:.1f} s on it looks like {settings[best]}",
            reduction_p95_db=p95,
            most_likely=settings[best],
            log10_odds=float(odds[at, best]),
            since_s=since_s,
            left=worst,
        )
    best = int(np.argmax(odds[0]))
    runner_up = float(odds[0, 1:].max(initial=-MOST_LOG10))
    word, reason = _word(left[:, 0], [start * WINDOW_S for start in starts], runner_up)
    return Watch(word, reason, p95, settings[best], runner_up, left=worst)


def verdicts(seen: Watch | None, overruled: bool) -> tuple[CheckResult, CheckResult]:
    """As take checks: ``knobs_log10`` fails for a knob that was moved, and only warns where a probe
    has ``overruled`` it; ``knobs_left`` warns of a gain that is like no candidate's. None: the unit
    is not enrolled."""
    moved = CheckResult("knobs_log10", None, SURE_LOG10, "unverified")
    left = CheckResult("knobs_left", None, FITS, "unverified")
    if seen is None or seen.log10_odds is None:
        return moved, left
    if seen.word == "not verifiable":
        moved = replace(moved, figure=seen.log10_odds)
    else:
        sure = seen.log10_odds > SURE_LOG10
        verdict = "pass" if not sure else "fail"
        if sure and (overruled or seen.word == "doubtful"):
            verdict = "warn"
        moved = replace(moved, figure=seen.log10_odds, verdict=verdict)
    if seen.left is not None:
        left = replace(left, figure=seen.left, verdict="warn" if seen.left > FITS else "pass")
    return moved, left


def _word(left: Signal, times_s: list[float], runner_up: float) -> tuple[Word, str]:
    """The verdict where no neighbour is clearly likelier than the label."""
    if left.max() > FITS:
        worst_s = times_s[int(np.argmax(left))]
        return "doubtful", f"at {worst_s:.1f} s the gain is like no candidate's"
    if runner_up > -SURE_LOG10:
        return "not verifiable", "with this music a neighbour would look nearly alike"
    return "confirmed", "the gain follows the enrolled model"


def _compare(
    model: Model, settings: Sequence[Setting], heard: Heard, starts: list[int]
) -> tuple[Signal, Signal]:
    """Log10 likelihood, and RMS of what is left over MISFIT_DB: (stretches, settings) each."""
    levels = np.stack([stretch.levels_db for stretch in heard.stretches])
    data = np.stack([heard.means_db[start : start + LENGTH] for start in starts])
    held = np.array([stretch.held_db for stretch in heard.stretches])
    lanes, sigmas = _lanes(model, settings)
    count = lanes.shape[0] * lanes.shape[1]
    source = np.repeat(np.arange(len(starts)), count)
    shares = np.repeat(
        _slow_shares(lanes[:, 0], heard.means_db, starts)[:, :, None], lanes.shape[1], 2
    )
    shares[:, :, -1] += SHARE_STEP
    share = shares.ravel()
    start_db = np.stack([1 - share, share]) * held[source]
    predicted = sidechain.follow(
        np.tile(lanes.reshape(count, COLUMNS), (len(starts), 1)),
        start_db,
        levels,
        source,
        heard.window_frames,
        model.sample_rate_hz,
    ).T.reshape(len(starts), *lanes.shape[:2], LENGTH)
    base = predicted[:, :, 0]
    moved = np.moveaxis(predicted[:, :, 1:] - base[:, :, None], 2, 3) * sigmas[:, None]
    covariance = greybox.spread(moved) + MISFIT_DB**2 * np.eye(LENGTH)
    errors = data[:, None] - base
    solved = greybox.solve(covariance, errors)
    distance = np.einsum("snw,snw->sn", errors, solved)
    log10 = -0.5 * (distance + np.linalg.slogdet(covariance)[1]) / np.log(10)
    return log10, MISFIT_DB * np.sqrt(np.mean(solved**2, axis=2))


def _slow_shares(lanes: Signal, means: Signal, starts: list[int]) -> Signal:
    """The slow section's share of the reduction before each of ``starts`` (starts, settings), from
    means of r over the windows before, for a unit that was at rest as they begin."""
    fast, slow = np.exp(lanes[:, FAST]), np.exp(lanes[:, SLOW])
    transfer = np.maximum(0.0, lanes[:, TRANSFER])
    k = transfer * fast
    rate = (transfer + 1 / slow) / (1 + k)
    kept = np.exp(-rate * WINDOW_S)
    pulled = (1 - kept) * transfer / (transfer + 1 / slow)
    wanted = set(starts)
    x2, before = np.zeros(len(lanes)), 0.0
    found: list[Signal] = []
    for window, r in enumerate(np.maximum(0.0, means[: starts[-1] + 1]).tolist()):
        if window in wanted:
            found.append(x2 / max(before, _QUIET))
        x2 = np.clip(kept * x2 + pulled * r + k / (1 + k) * (r - before), 0.0, r)
        before = r
    return np.minimum(1.0, np.array(found))


def _lanes(model: Model, settings: Sequence[Setting]) -> tuple[Signal, Signal]:
    """Each setting's lane and its moved ones (settings, 1 + moves, COLUMNS), and the moves'
    standard deviations in steps (settings, moves).

    The moves: each column but the curve's, the curve's height, the slow section's share.
    """
    lanes, covariance = greybox.lanes_of(model, settings)
    steps = np.zeros((CURVE + 2, COLUMNS))
    steps[np.arange(CURVE), np.arange(CURVE)] = greybox.STEPS[:CURVE]
    steps[CURVE, CURVE:] = greybox.STEPS[CURVE]
    unsure = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)[:, :CURVE])
    expected = np.full((len(settings), CURVE), greybox.PARTS)
    expected[:, THRESHOLD] = greybox.THRESHOLD_RESET_DB
    expected[:, TRANSFER] *= np.abs(lanes[:, TRANSFER])
    sigmas = np.hypot(expected, unsure) / greybox.STEPS[:CURVE]
    fixed = np.full((len(settings), 2), [greybox.PARTS / greybox.STEPS[CURVE], SHARE_STEPS])
    moved = np.concatenate([np.zeros((1, COLUMNS)), steps])
    return lanes[:, None] + moved, np.concatenate([sigmas, fixed], axis=1)
