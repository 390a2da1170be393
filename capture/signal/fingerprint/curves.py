"""Curves of the field's terms, fitted by least squares: a soft-knee line, falling exponentials.

**Static curve** (Giannoulis, Massberg, Reiss, 'Digital Dynamic Range Compressor Design', 2012):

    r = 0 | s (L - T + W/2)^2 / 2W | s (L - T)      below, inside, above the knee of width W

fitted by a search over T and W that narrows down; s follows by linear least squares.

**Release**: a exp(-t / fast), or a exp(-t / fast) + b exp(-t / slow) where the second one makes the
squared error SECOND_MATTERS times smaller, fitted to means over windows; Levenberg and Marquardt's
method from the best point of a grid.

Uncertainties are one standard deviation: from the scatter about the fit, or from the noise where
that is larger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from capture.signal.fingerprint.probe import Signal

SECOND_MATTERS = 6.0
LEAST_SHARE = 0.01
"""A second exponential must hold this much of the reduction."""
LEAST_KNEE_DB = 0.05
_ZOOM = 0.4

Curve = Callable[[Signal], Signal]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its uncertainty, one standard deviation, in the same unit."""

    value: float
    uncertainty: float


@dataclass(frozen=True, slots=True)
class StaticCurve:
    """``ratio`` is None where the slope is not below 1."""

    threshold_db: Figure
    slope: Figure
    ratio: Figure | None
    knee_db: Figure


@dataclass(frozen=True, slots=True)
class Release:
    """Time constants; ``slow_ms`` and ``slow_share`` are None where one exponential is enough."""

    fast_ms: Figure
    slow_ms: Figure | None = None
    slow_share: Figure | None = None


def static_curve(level_db: Signal, reduction_db: Signal, noise_db: float) -> StaticCurve:
    """The curve through reductions (n,), in dB, at levels (n,), ascending and evenly spaced."""
    low, high = float(level_db[0]), float(level_db[-1])
    centre = np.array([(low + high) / 2, 8.0])
    reach = np.array([(high - low) / 2 + 4.0, 8.0])
    slope = 0.0
    for _ in range(12):
        grid = np.linspace(-1, 1, 21)
        threshold = (centre[0] + reach[0] * grid)[:, None, None]
        width = np.maximum(LEAST_KNEE_DB, centre[1] + reach[1] * grid)[None, :, None]
        shape = _knee(level_db, threshold, width)
        power = np.maximum(np.sum(shape**2, -1), 1e-12)
        scale = np.sum(shape * reduction_db, -1) / power
        error = np.sum((reduction_db - scale[..., None] * shape) ** 2, -1)
        i, j = divmod(int(np.argmin(error)), error.shape[1])
        centre = np.array([threshold[i, 0, 0], width[0, j, 0]])
        slope = float(scale[i, j])
        reach = reach * _ZOOM

    def curve(p: Signal) -> Signal:
        return p[2] * _knee(level_db, p[0], np.maximum(LEAST_KNEE_DB, p[1]))

    found = np.array([centre[0], centre[1], slope])
    # Steps that are felt in the data: the knee shows at a few points only.
    sigma = _sigmas(curve, found, np.array([0.2, 0.5, 0.01]), reduction_db, noise_db)
    ratio = Figure(1 / (1 - slope), sigma[2] / (1 - slope) ** 2) if slope < 0.999 else None
    return StaticCurve(
        threshold_db=Figure(float(found[0]), sigma[0]),
        slope=Figure(slope, sigma[2]),
        ratio=ratio,
        knee_db=Figure(float(found[1]), sigma[1]),
    )


def release(begin_s: Signal, end_s: Signal, means_db: Signal, noise_db: float) -> Release:
    """The exponentials whose means over the windows from begin to end (n,) are ``means_db``."""

    def fall(log_s: float | Signal) -> Signal:
        time = np.exp(np.asarray(log_s, np.float64))[..., None]
        return time * (np.exp(-begin_s / time) - np.exp(-end_s / time)) / (end_s - begin_s)

    def one(p: Signal) -> Signal:
        return p[1] * fall(p[0])

    def two(p: Signal) -> Signal:
        return p[2] * fall(p[0]) + p[3] * fall(p[1])

    grid: Signal = np.log(np.geomspace(0.002, 20.0, 60))
    basis = fall(grid)
    heights = basis @ means_db / np.sum(basis**2, -1)
    best = int(np.argmin(np.sum((means_db - heights[:, None] * basis) ** 2, -1)))
    single = _improve(one, np.array([grid[best], heights[best]]), means_db)
    double = _improve(two, _best_pair(grid, basis, means_db), means_db)
    noise = len(means_db) * noise_db**2
    gained = _error(one, single, means_db) / max(_error(two, double, means_db), noise)
    total = float(double[2] + double[3])
    real = double[2] > 0 and double[3] > LEAST_SHARE * total and double[1] > double[0] + 0.5
    if gained < SECOND_MATTERS or not real:
        sigma = _sigmas(one, single, np.full(2, 1e-3), means_db, noise_db)
        return Release(_milliseconds(single[0], sigma[0]))
    sigma = _sigmas(two, double, np.full(4, 1e-3), means_db, noise_db)
    return Release(
        fast_ms=_milliseconds(double[0], sigma[0]),
        slow_ms=_milliseconds(double[1], sigma[1]),
        slow_share=Figure(float(double[3]) / total, float(np.hypot(sigma[2], sigma[3])) / total),
    )


def _knee(level_db: Signal, threshold_db: float | Signal, width_db: float | Signal) -> Signal:
    """The static curve of slope 1."""
    over = level_db - threshold_db
    inside = np.clip(over + width_db / 2, 0, width_db)
    return np.maximum(inside**2 / (2 * width_db), over)


def _best_pair(grid: Signal, basis: Signal, means_db: Signal) -> Signal:
    """Two times of the grid and their heights, neither below 0; the best such."""
    best = np.array([grid[0], grid[-1], float(means_db[0]), 0.0])
    least = np.inf
    for i in range(len(grid)):
        for j in range(i + 1, len(grid)):
            columns = basis[[i, j]].T
            heights = np.linalg.lstsq(columns, means_db, rcond=None)[0]
            error = float(np.sum((means_db - columns @ heights) ** 2))
            if error < least and heights.min() > 0:
                least, best = error, np.array([grid[i], grid[j], *heights])
    return best


def _error(curve: Curve, found: Signal, data: Signal) -> float:
    return float(np.sum((data - curve(found)) ** 2))


def _jacobian(curve: Curve, found: Signal, steps: Signal) -> Signal:
    columns = [curve(found + step) - curve(found - step) for step in np.diag(steps)]
    return np.stack(columns, axis=1) / (2 * steps)


def _improve(curve: Curve, found: Signal, data: Signal) -> Signal:
    """Levenberg and Marquardt's least squares, from a start that is near."""
    damping, error = 1e-3, _error(curve, found, data)
    for _ in range(40):
        jacobian = _jacobian(curve, found, np.full(len(found), 1e-4))
        products: Signal = jacobian.T @ jacobian
        damped = products + np.diag(damping * np.diag(products) + 1e-12)
        change = np.linalg.solve(damped, jacobian.T @ (data - curve(found)))
        tried = found + np.clip(change, -1, 1)
        after = _error(curve, tried, data)
        if after < error:
            found, error, damping = tried, after, damping / 5
        else:
            damping *= 5
    return found


def _sigmas(
    curve: Curve, found: Signal, steps: Signal, data: Signal, noise_db: float
) -> list[float]:
    """Standard deviations of what was fitted."""
    jacobian = _jacobian(curve, found, steps)
    variance = max(_error(curve, found, data) / max(1, len(data) - len(found)), noise_db**2)
    inverse = np.linalg.pinv(jacobian.T @ jacobian)
    sigmas: list[float] = np.sqrt(np.diag(inverse) * variance).tolist()
    return sigmas


def _milliseconds(log_s: float, sigma: float) -> Figure:
    value = 1000 * float(np.exp(log_s))
    return Figure(value, value * sigma)
