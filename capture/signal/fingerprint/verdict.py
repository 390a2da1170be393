"""Does the label stand, judged by what the enrolled unit would show at every candidate setting?

For each candidate c the features y are expected about f_c with covariance

    S = M M' + U + N

M: what moves between visits while all knobs stand as they should (``greybox.directions``: the
threshold set again, warm parts, the CV's law); U: the model's own uncertainty; N, diagonal: the
measured noise and the model's misfit. The squared Mahalanobis distance e' S^-1 e, e = y - f, then
counts only what no such movement explains: those directions are projected out. The likelihood of c
is the normal density, and the odds of two candidates are the ratio of theirs, before which all are
held equally likely.

The likeliest candidate need not be likely. Given c, the most likely movements are M' S^-1 e, whose
covariance, if c is true, is M' S^-1 M; and what they leave is N S^-1 e. A candidate **fits** if
neither is much larger than it should be.

* confirmed      the label is the most likely candidate, fits, and no other comes near its odds.
* contradicted   another candidate fits, with odds against the label that leave no doubt.
* doubtful       anything between: odds that say little, or no candidate fits. Probe again, look at
                 the knobs.
* not verifiable the unit is not enrolled, or not with this position; the label promises less than
                 1 dB of reduction and no more is seen; or another candidate is **alike**: the two
                 are expected so close to each other that a probe cannot tell them apart.

A knob's odds are those of the settings that differ in it, all others counted with their likelihood.
A knob that is the same in all that is alike is known even where another knob is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from capture.model import Setting, Value
from capture.signal.fingerprint import greybox
from capture.signal.fingerprint.greybox import Forecast
from capture.signal.fingerprint.probe import Signal
from capture.signal.fingerprint.response import LEAST_REDUCTION_DB, Features

ALGORITHM_VERSION = "fingerprint-verdict-1"

Word = Literal["confirmed", "doubtful", "contradicted", "not verifiable"]

FITS = 3.0
"""What a candidate leaves of the features, RMS, over what noise and misfit may: up to this it
fits."""
SURE_LOG10 = 3.0
"""Odds of 1000 to 1 are enough, either way."""
ALIKE = 12.0
"""Squared distance between two expectations below which they are alike."""
MOST_LOG10 = 300.0
"""Odds are stated up to 10 to this power."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One knob: where the label has it, where it seems to stand, and the odds of that against the
    label, as a power of ten: 0 or less if it is where it should be."""

    control: str
    label: Value
    looks_like: Value
    log10_odds: float
    verdict: Word


@dataclass(frozen=True, slots=True)
class Alike:
    """A candidate that the probe cannot tell from the label, and why."""

    setting: Setting
    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """How far something has most likely moved since the enrolment, in the unit that its name ends
    in, else as a share of what it was; and in the standard deviations that such an estimate has
    while all is well."""

    name: str
    amount: float
    sigmas: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """``most_likely``: of all candidates; ``log10_odds``: its odds against the label, as a power of
    ten; where it is the label, those of the next one against it. ``left``: what the most likely
    candidate leaves of the features, RMS, over what noise and misfit may: about 1 or less.
    ``moves``: what has moved if it is true. None, or empty, where nothing was compared."""

    word: Word
    reason: str
    most_likely: Setting | None = None
    log10_odds: float | None = None
    left: float | None = None
    moves: tuple[Move, ...] = ()
    knobs: tuple[Knob, ...] = ()
    alike: tuple[Alike, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What was measured against every candidate of ``expected``: arrays by their number.

    ``log10``: likelihoods, up to a common constant; ``best``: the number of the most likely;
    ``left`` and ``moves``: what it leaves, and what has moved if it is true.
    """

    expected: Forecast
    measured: Features
    covariance: Signal
    log10: Signal
    best: int
    left: float
    moves: tuple[Move, ...]

    def silent(self, at: int) -> bool:
        """Whether candidate ``at`` shows too little, and no more was seen: a CV that is not plugged
        in would look the same."""
        seen = max(self.measured.values_db) - 6 * max(self.measured.noise_db)
        return max(float(self.expected.features[at].max()), seen) < LEAST_REDUCTION_DB

    @property
    def misfit(self) -> str | None:
        """Why the most likely candidate does not fit; None if it does."""
        if self.left > FITS:
            return f"it leaves {self.left:.1f} times as much as it may"
        worst = max(self.moves, key=lambda move: abs(move.sigmas))
        if abs(worst.sigmas) > greybox.MOVED:
            return f"{worst.name} would have moved by {worst.amount:+.3g}"
        return None


def judge(expected: Forecast | None, measured: Features, label: Setting) -> Verdict:
    """The verdict on ``label``. ``expected``: the candidates' forecast, the label among them; None
    where the unit is not enrolled."""
    if expected is None:
        return Verdict("not verifiable", "the unit is not enrolled: capture calibrate --enrol")
    if label not in expected.settings:
        return Verdict("not verifiable", "the unit was not enrolled with this setting's positions")
    if measured.sample_rate_hz != expected.model.sample_rate_hz:
        rates = f"{expected.model.sample_rate_hz} Hz, probed at {measured.sample_rate_hz} Hz"
        return Verdict("not verifiable", f"the unit was enrolled at {rates}")
    return decide(compare(expected, measured), label)


def compare(expected: Forecast, measured: Features) -> Comparison:
    """Holds ``measured`` against every candidate; both at the same sample rate."""
    sigmas = expected.model.movements(measured.rest_noise_db)
    moved = sigmas * greybox.directions(
        expected.lanes, expected.features, expected.slopes, expected.delays
    )
    noise, misfit = np.array(measured.noise_db), np.array(expected.model.misfit_db)
    own: Signal = noise**2 + misfit**2
    unsure = expected.slopes @ expected.covariance @ np.swapaxes(expected.slopes, 1, 2)
    covariance = greybox.spread(moved) + unsure + np.diag(own)
    errors = np.array(measured.values_db) - expected.features
    solved = greybox.solve(covariance, errors)
    distance = np.einsum("nf,nf->n", errors, solved)
    log10 = -0.5 * (distance + np.linalg.slogdet(covariance)[1]) / np.log(10)
    best = int(np.argmax(log10))
    return Comparison(
        expected=expected,
        measured=measured,
        covariance=covariance,
        log10=log10,
        best=best,
        left=float(np.sqrt(solved[best] ** 2 @ own)) / errors.shape[1] ** 0.5,
        moves=_moves(sigmas, greybox.movement(moved[best], covariance[best], errors[best])),
    )


def decide(found: Comparison, label: Setting) -> Verdict:
    """The verdict on ``label``, one of the candidates."""
    settings = found.expected.settings
    at = settings.index(label)
    log10 = found.log10 - found.log10[at]
    alike = _alike(found, at)
    word, reason = _word(found, at, alike)
    odds = float(log10[found.best]) if found.best != at else _runner_up(log10, at)
    return Verdict(
        word=word,
        reason=reason,
        most_likely=settings[found.best],
        log10_odds=_limited(odds),
        left=found.left,
        moves=found.moves,
        knobs=tuple(_knob(found, label, control, alike, word) for control in label),
        alike=tuple(Alike(settings[i], _why(found.expected, at, i)) for i in alike),
    )


def _moves(sigmas: Signal, likely: tuple[Signal, Signal]) -> tuple[Move, ...]:
    """``likely``: amounts in ``sigmas``, and how surprising they are."""
    amounts: list[float] = (likely[0] * sigmas).tolist()
    surprises: list[float] = likely[1].tolist()
    return tuple(map(Move, greybox.MOVES, amounts, surprises))


def _runner_up(log10: Signal, at: int) -> float:
    """The odds of the best candidate that is not number ``at``, against it."""
    return float(np.delete(log10, at).max(initial=-MOST_LOG10))


def _limited(log10: float) -> float:
    return min(MOST_LOG10, max(-MOST_LOG10, log10))


def _alike(found: Comparison, at: int) -> list[int]:
    """The numbers of the candidates that cannot be told from number ``at``."""
    apart = found.expected.features - found.expected.features[at]
    both: Signal = found.covariance + found.covariance[at]
    # A squared distance is at least the squared length over the trace: most need no solving.
    length = np.sum(apart**2, axis=1)
    near = np.flatnonzero(length < ALIKE * np.trace(both, axis1=1, axis2=2))
    solved = greybox.solve(both[near], apart[near])
    separation = np.einsum("nf,nf->n", apart[near], solved)
    numbers: list[int] = near[separation < ALIKE].tolist()
    return [number for number in numbers if number != at]


def _why(expected: Forecast, at: int, other: int) -> str:
    pair = expected.features[[at, other]]
    most = float(pair.max())
    if most < LEAST_REDUCTION_DB:
        return f"too little reduction: either reduces the probe by at most {most:.2f} dB"
    apart = float(np.abs(pair[1] - pair[0]).max())
    return (
        f"the two differ by at most {apart:.2f} dB in any feature, no more than a threshold that "
        "is set again, warm parts and the model's uncertainty may"
    )


def _word(found: Comparison, at: int, alike: Sequence[int]) -> tuple[Word, str]:
    best = found.best
    log10 = found.log10 - found.log10[at]
    likeliest = found.expected.settings[best]
    if found.silent(at):
        most = max(0.0, float(found.expected.features[at].max()))
        return "not verifiable", f"too little reduction: {most:.2f} dB is expected at most"
    if reason := found.misfit:
        return "doubtful", f"like no candidate; least unlike {likeliest}, but {reason}"
    if best == at or best in alike:
        if alike:
            settings = "another setting" if len(alike) == 1 else f"{len(alike)} other settings"
            return "not verifiable", f"it looks like the label, but {settings} would look alike"
        if _runner_up(log10, at) > -SURE_LOG10:
            return "doubtful", "another candidate is nearly as likely as the label"
        return "confirmed", "the same positions as enrolled"
    if log10[best] < SURE_LOG10:
        return "doubtful", f"{likeliest} is somewhat more likely than the label"
    return "contradicted", f"it looks like {likeliest}"


def _knob(
    found: Comparison, label: Setting, control: str, alike: Sequence[int], word: Word
) -> Knob:
    """One control's verdict; one that the model does not know is not verifiable."""
    settings, position = found.expected.settings, label[control]
    likely: dict[Value, float] = {}
    for setting, log10 in zip(settings, found.log10.tolist(), strict=True):
        value = setting[control]
        likely[value] = float(np.logaddexp2(likely.get(value, -np.inf), log10 * _BITS))
    looks_like = max(likely, key=likely.__getitem__)
    others = [total for value, total in likely.items() if value != position]
    odds = _limited((max(others, default=-np.inf) - likely[position]) / _BITS)
    modelled = any(control == name for _, name in found.expected.model.controls)
    same = all(settings[i][control] == position for i in alike)
    silent = found.silent(settings.index(label))
    verdict: Word = "doubtful"
    if not modelled or silent or (word == "not verifiable" and not same):
        verdict = "not verifiable"
    elif odds > SURE_LOG10:
        verdict = "contradicted"
    elif odds < -SURE_LOG10 and word != "doubtful":
        verdict = "confirmed"
    return Knob(control, position, looks_like, odds, verdict)


_BITS = float(np.log2(10))
"""Powers of two in a power of ten."""
