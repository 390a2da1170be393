"""Enrolment: fits the grey box to probes of one unit, and refines it with later ones.

Gauss and Newton's method with Levenberg and Marquardt's damping, on the weighted errors of all
probes' features at once. The weights are the inverse of what the errors are expected to be:
measured noise, what moves between probes (``greybox.directions``), and what the structure cannot
follow (``misfit_db``, which is itself found from what a first fit leaves). The start is measured
on the probes, not read off the panel: thresholds, slopes and release times from each probe's
response, attack times by trying a dozen of them. Priors are wide; they only hold what no probe
shows (a threshold above the ladder, the slow part of a release that has none) and keep the curve
smooth: its slope may change by a tenth of its logarithm per dB, above the knee.

A refinement is one step of the same estimate, the enrolled covariance being its prior (the extended
Kalman filter's update): a confirmed visit moves the numbers by as much as it knows better.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from capture.errors import MeasurementFailed
from capture.model import AUTO, Setting
from capture.signal.fingerprint import greybox, sidechain
from capture.signal.fingerprint.curves import Figure
from capture.signal.fingerprint.greybox import ALGORITHM_VERSION, Model
from capture.signal.fingerprint.probe import Signal, probe
from capture.signal.fingerprint.response import Features, Response
from capture.signal.fingerprint.sidechain import (
    ATTACK,
    COLUMNS,
    CURVE,
    FAST,
    KNOTS_DB,
    SLOW,
    THRESHOLD,
    TRANSFER,
)

TRIED_ATTACK_S = np.geomspace(3e-5, 1.0, 14)
FIRST_MISFIT_DB = 0.1
"""What the structure may leave of a feature, until that is known."""
LEAST_MISFIT_DB = 0.02
TURNS = 12
ENOUGH = 0.01
"""The fit is done when a turn makes the cost less by no more than this share."""
PRIOR_SIGMA = np.array([10.0, 2.0, 1.0, 1.0, 1.0] + [3.0] * len(KNOTS_DB))
"""How far the truth may lie from the start, by column."""
BEND_PER_DB = 0.1
"""How much the logarithm of the curve's slope may change per dB, above the knee."""
KNEE_BEND = 3.0
"""And from knot to knot below it."""
BAD_FIT_DB = 0.5
"""A fit that leaves more than this of one probe's features, RMS, is none."""
ODD_FIT_DB = 0.1
"""Nor is one that leaves more than this, and ODD times as much as of most probes."""
ODD = 5.0
"""A probe is not like the others if it is so many times as far off as half of them."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One probed setting: what was measured there."""

    setting: Setting
    features: Features
    response: Response


@dataclass(slots=True)
class _Problem:
    """All probes, and the parameters that they depend on. ``places`` (probes, COLUMNS)."""

    sample_rate_hz: int
    names: list[str]
    places: NDArray[np.intp]
    data: Signal
    noise: Signal
    rest_noise: Signal
    start: Signal
    prior: Signal


def enrol(visits: Sequence[Visit]) -> Model:
    """The model of the unit that ``visits`` were measured on, probed at ``enrolment_settings``.

    Raises:
        MeasurementFailed: no probe shows enough reduction, or the structure does not fit the unit.
    """
    rate = visits[0].features.sample_rate_hz
    controls = greybox.roles(visits[0].setting)
    problem = _problem(visits, controls)
    misfit = np.full(problem.data.shape[1], FIRST_MISFIT_DB)
    values, here = _fit(problem, problem.start, misfit)
    left, moved = _remains(problem, values, here, misfit)
    _must_fit(visits, left, moved)
    misfit = _misfit(left)
    values, here = _fit(problem, values, misfit)
    left, moved = _remains(problem, values, here, misfit)
    _must_fit(visits, left, moved)
    misfit = _misfit(left)
    covariance = _uncertainty(problem, values, here, misfit)
    return Model(
        algorithm_version=ALGORITHM_VERSION,
        sample_rate_hz=rate,
        controls=controls,
        names=tuple(problem.names),
        values=tuple(values.tolist()),
        covariance=tuple(tuple(row) for row in covariance.tolist()),
        misfit_db=tuple(misfit.tolist()),
        misfit_moves=_misfit_moves(problem, moved),
        probes=len(visits),
    )


def _must_fit(visits: Sequence[Visit], left: Signal, moved: Signal) -> None:
    """Raises MeasurementFailed if a probe is not like the others of its positions."""
    rms, far = np.sqrt(np.mean(left**2, axis=1)), np.abs(moved).max(axis=1)
    worst, furthest = int(np.argmax(rms)), int(np.argmax(far))
    limit_db = min(BAD_FIT_DB, max(ODD_FIT_DB, ODD * float(np.median(rms))))
    limit = max(greybox.MOVED, ODD * float(np.median(far)))
    remedy = "a knob did not stand as asked, or the unit is not built as the model assumes"
    if rms[worst] > limit_db:
        raise MeasurementFailed(
            f"enrolment: the probe at {visits[worst].setting} disagrees with the others by "
            f"{rms[worst]:.2f} dB RMS; at most {limit_db:.2f} dB is allowed",
            remedy,
        )
    if far[furthest] > limit:
        name = greybox.MOVES[int(np.argmax(np.abs(moved[furthest])))]
        raise MeasurementFailed(
            f"enrolment: the probe at {visits[furthest].setting} disagrees with the others: "
            f"{name} is {far[furthest]:.1f} standard deviations off; at most {limit:.1f} are "
            "allowed",
            remedy,
        )


def refine(model: Model, features: Features, setting: Setting) -> Model:
    """``model`` with one more visit to ``setting``, which must have been confirmed."""
    expected = greybox.forecast(model, [setting])
    names = greybox.names_of(model.controls, setting)
    number = {name: i for i, name in enumerate(model.names)}
    jacobian = np.zeros((len(model.misfit_db), len(model.names)))
    jacobian[:, [number[name] for name in names]] = expected.slopes[0]
    jacobian[:, number["delay"]] = expected.delays[0]
    variance = np.array(features.noise_db) ** 2 + np.array(model.misfit_db) ** 2
    moved = greybox.directions(
        expected.lanes, expected.features, expected.slopes, expected.delays
    ) * model.movements(features.rest_noise_db)
    allowed = greybox.spread(moved)[0] + np.diag(variance)
    prior = np.array(model.covariance)
    seen: Signal = jacobian @ prior
    both: Signal = allowed + seen @ jacobian.T
    gain = np.asarray(np.linalg.solve(both, seen), np.float64).T
    errors = np.array(features.values_db) - expected.features[0]
    values: Signal = np.array(model.values) + gain @ errors
    rest: Signal = np.eye(len(prior)) - gain @ jacobian
    # Joseph's form: it stays symmetric and positive.
    covariance: Signal = rest @ prior @ rest.T + gain @ allowed @ gain.T
    return replace(
        model,
        values=tuple(values.tolist()),
        covariance=tuple(tuple(row) for row in covariance.tolist()),
        probes=model.probes + 1,
    )


def _problem(visits: Sequence[Visit], controls: Sequence[tuple[str, str]]) -> _Problem:
    rows = [greybox.names_of(controls, visit.setting) for visit in visits]
    names = [*dict.fromkeys(itertools.chain.from_iterable(rows)), "delay"]
    number = {name: i for i, name in enumerate(names)}
    places = np.array([[number[name] for name in row] for row in rows], np.intp)
    problem = _Problem(
        sample_rate_hz=visits[0].features.sample_rate_hz,
        names=names,
        places=places,
        data=np.array([visit.features.values_db for visit in visits]),
        noise=np.array([visit.features.noise_db for visit in visits]),
        rest_noise=np.array([visit.features.rest_noise_db for visit in visits]),
        start=_start(visits, dict(controls), names, places),
        prior=_prior(names, places),
    )
    _try_attacks(problem)
    return problem


def _start(
    visits: Sequence[Visit],
    control: Mapping[str, str],
    names: Sequence[str],
    places: NDArray[np.intp],
) -> Signal:
    """Each parameter as the median of what the probes' responses say of it."""
    found: list[list[float]] = [[] for _ in names]
    rows: list[list[int]] = places.tolist()
    for visit, row in zip(visits, rows, strict=True):
        for column, value in _columns(visit.response).items():
            found[row[column]].append(value)
    medians = [float(np.median(column)) if column else None for column in found]
    thresholds = [row[THRESHOLD] for row in rows]
    if all(medians[at] is None for at in thresholds):
        raise MeasurementFailed(
            "enrolment: no probe made the unit reduce its gain by 1 dB",
            "check the CV's cable, and that the thresholds lie below -10 dBFS",
        )
    silent = _silent_thresholds(visits, control, thresholds, medians)
    rest = _rest(medians, rows)
    start = np.zeros(len(names))
    for row, threshold in zip(rows, silent, strict=True):
        for column, at in enumerate(row):
            value = medians[at]
            fallback = threshold if column == THRESHOLD else rest[column]
            start[at] = fallback if value is None else value
    return start


def _columns(response: Response) -> dict[int, float]:
    """What one response says of the columns of its setting."""

    def log_s(figure: Figure) -> float:
        return float(np.log(max(figure.value, 1e-3) / 1000))

    found: dict[int, float] = {}
    if response.threshold_db and response.slope:
        found[THRESHOLD] = response.threshold_db.value
        slope = min(max(response.slope.value, 0.05), 0.97)
        for column, knot in enumerate(KNOTS_DB, CURVE):
            found[column] = float(np.log(slope / (1 - slope))) + min(0.0, knot - 1.0)
    if response.release_fast_ms:
        found[FAST] = log_s(response.release_fast_ms)
        found[TRANSFER] = 0.0
    if response.release_slow_ms and response.slow_share:
        found[SLOW] = log_s(response.release_slow_ms)
        share = min(response.slow_share.value, 0.9)
        found[TRANSFER] = share / (1 - share)
    return found


def _silent_thresholds(
    visits: Sequence[Visit],
    control: Mapping[str, str],
    thresholds: Sequence[int],
    medians: Sequence[float | None],
) -> list[float]:
    """Where to look for the threshold of positions that reduce nothing: as far above the others
    as the panel says. What the model then predicts for them is silence, as was measured."""
    labels: list[float] = []
    for visit in visits:
        value = visit.setting[control["threshold"]] if "threshold" in control else 0.0
        labels.append(0.0 if value is AUTO else value)
    known = [medians[at] for at in thresholds]
    offsets = [at - label for label, at in zip(labels, known, strict=True) if at is not None]
    return [label + float(np.median(offsets)) for label in labels]


def _rest(medians: Sequence[float | None], rows: Sequence[Sequence[int]]) -> list[float]:
    """For positions that no probe shows anything of: the median of their column."""
    unknown = {ATTACK: float(np.log(1e-3)), SLOW: 0.0, TRANSFER: 0.0}
    rest: list[float] = []
    for column in range(COLUMNS):
        values = [medians[at] for at in dict.fromkeys(row[column] for row in rows)]
        known = [value for value in values if value is not None]
        rest.append(float(np.median(known)) if known else unknown.get(column, 0.0))
    return rest


def _try_attacks(problem: _Problem) -> None:
    """Sets each attack position's start to the best of TRIED_ATTACK_S."""
    tried = np.repeat(problem.start[problem.places][None], len(TRIED_ATTACK_S), axis=0)
    tried[:, :, ATTACK] = np.log(TRIED_ATTACK_S)[:, None]
    predicted, _ = sidechain.predict(
        probe(problem.sample_rate_hz), tried.reshape(-1, tried.shape[2])
    )
    errors = predicted.reshape(len(tried), *problem.data.shape) - problem.data
    cost = np.sum(np.abs(errors), axis=2)
    for at in set(problem.places[:, ATTACK].tolist()):
        shown = problem.places[:, ATTACK] == at
        best = int(np.argmin(cost[:, shown].sum(axis=1)))
        problem.start[at] = np.log(TRIED_ATTACK_S[best])


def _prior(names: Sequence[str], places: NDArray[np.intp]) -> Signal:
    """Precision (inverse covariance) of the parameters about their start."""
    precision = np.zeros((len(names), len(names)))
    for row in np.unique(places, axis=0):
        precision[row, row] = PRIOR_SIGMA**-2
    for row in np.unique(places[:, CURVE:], axis=0):
        for a, b, low, high in zip(row[:-1], row[1:], KNOTS_DB[:-1], KNOTS_DB[1:], strict=True):
            sigma = BEND_PER_DB * (high - low) if low >= 3 else KNEE_BEND
            block = np.array([[1.0, -1.0], [-1.0, 1.0]]) / sigma**2
            precision[np.ix_([a, b], [a, b])] += block
    precision[-1, -1] = 1.0  # the delay: about a frame
    return precision


Look = tuple[Signal, Signal, Signal]
"""Features, slopes and delays of every probe's setting."""


def _fit(problem: _Problem, values: Signal, misfit: Signal) -> tuple[Signal, Look]:
    """The values that fit best, from where ``values`` are, and what they predict."""
    damping = 1e-2
    here = _look(problem, values)
    for _ in range(TURNS):
        weights = _weights(problem, values, here, misfit)
        products, wanted = _normal(problem, values, here, weights)
        change = np.linalg.solve(products + damping * np.diag(np.diag(products)), wanted)
        tried = values + np.clip(change, -2, 2)
        there = _look(problem, tried)
        before = _cost(problem, values, here, weights)
        after = _cost(problem, tried, there, weights)
        if after < before:
            values, here, damping = tried, there, damping / 10
            if before - after < ENOUGH * before:
                break
        else:
            damping *= 8
    return values, here


def _remains(
    problem: _Problem, values: Signal, here: Look, misfit: Signal
) -> tuple[Signal, Signal]:
    """What no movement explains of the data (probes, features), in dB, and how surprising the
    movements are (probes, MOVES), in standard deviations."""
    moved, allowed = _allowed(problem, values, here, misfit)
    errors = problem.data - here[0]
    left = (problem.noise**2 + misfit**2) * greybox.solve(allowed, errors)
    return left, greybox.movement(moved, allowed, errors)[1]


def _uncertainty(problem: _Problem, values: Signal, here: Look, misfit: Signal) -> Signal:
    """The covariance of the values."""
    weights = _weights(problem, values, here, misfit)
    products, _ = _normal(problem, values, here, weights)
    return np.asarray(np.linalg.inv(products), np.float64)


def _look(problem: _Problem, values: Signal) -> Look:
    return greybox.sloped(problem.sample_rate_hz, values[problem.places], float(values[-1]))


def _allowed(
    problem: _Problem, values: Signal, here: Look, misfit: Signal
) -> tuple[Signal, Signal]:
    """What may have moved at each probe, and the covariance of its errors."""
    sigmas = [
        greybox.movements(noise, greybox.PARTS_ENROLLING) for noise in problem.rest_noise.tolist()
    ]
    moved = greybox.directions(values[problem.places], *here) * np.stack(sigmas)[:, None, :]
    own = problem.noise**2 + misfit**2
    return moved, greybox.spread(moved) + own[:, :, None] * np.eye(own.shape[1])


def _weights(problem: _Problem, values: Signal, here: Look, misfit: Signal) -> Signal:
    inverse = np.linalg.inv(_allowed(problem, values, here, misfit)[1])
    return np.asarray(inverse, np.float64)


def _normal(
    problem: _Problem, values: Signal, here: Look, weights: Signal
) -> tuple[Signal, Signal]:
    features, slopes, delays = here
    products = problem.prior.copy()
    wanted = problem.prior @ (problem.start - values)
    for row, data, f, s, d, w in zip(
        problem.places, problem.data, features, slopes, delays, weights, strict=True
    ):
        at = np.append(row, len(values) - 1)
        jacobian = np.column_stack([s, d])
        products[np.ix_(at, at)] += jacobian.T @ w @ jacobian
        wanted[at] += jacobian.T @ w @ (data - f)
    return products, wanted


def _cost(problem: _Problem, values: Signal, here: Look, weights: Signal) -> float:
    errors, moved = problem.data - here[0], values - problem.start
    return float(np.einsum("nf,nfg,ng->", errors, weights, errors) + moved @ problem.prior @ moved)


def _misfit(left: Signal) -> Signal:
    """What the structure leaves of each feature, smoothed by half with the mean of all."""
    mean_square = np.mean(left**2, axis=0)
    return np.maximum(LEAST_MISFIT_DB, np.sqrt((mean_square + mean_square.mean()) / 2))


def _misfit_moves(problem: _Problem, moved: Signal) -> tuple[float, ...]:
    """By how much each movement (probes, MOVES; in standard deviations) is more than expected."""
    sigmas = greybox.movements(float(problem.rest_noise.mean()), greybox.PARTS_ENROLLING)
    excess = np.sqrt(np.maximum(0.0, np.mean(moved**2, axis=0) - 1)) * sigmas
    return tuple(excess.tolist())
