"""The order of the settings: the path through them that turns knobs least.

A setting is a row of panel places, one per control. Going from a to b costs
``turn * (a != b) + step * |a - b|`` for each control, in whole milliseconds: integers, so that
every machine finds the same path.

* A full product is walked in reflected Gray order: each move turns one knob by one of its
  planned positions. Its cost is the sum over the controls, outermost first, of
  (product of the sizes further out) * (cost of sweeping this control once), which is least when
  the control with the dearest mean step is outermost. Swapping two neighbours in the nesting
  shows it. Any nested loops sweep each control as often and go back between sweeps, so they
  never cost less.
* Any other set of settings is sorted by Gray rank in the product that encloses it, or walked by
  nearest neighbour, whichever is shorter, then improved by 2-opt. Above ``SEARCH_LIMIT``
  settings the Gray rank stands alone: it takes no distance table.

In either case the path is kept only if it beats nested loops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.model import Control

Places = NDArray[np.float64]
"""Panel places, shape (settings, controls)."""
Order = NDArray[np.int64]
"""A permutation of the settings, shape (settings,)."""

SEARCH_LIMIT = 2000
SWEEPS = 30


@dataclass(frozen=True)
class Costs:
    """What a turn of each control costs, in ms; arrays of shape (controls,)."""

    turn_ms: NDArray[np.int64]
    step_ms: NDArray[np.int64]

    @staticmethod
    def of(controls: tuple[Control, ...]) -> Costs:
        """At least 1 ms a turn: where turning is free, the fewest turns are still the best."""
        turn = [max(1, round(1000 * control.turn_s)) for control in controls]
        step = [round(1000 * control.step_s) for control in controls]
        return Costs(np.array(turn, np.int64), np.array(step, np.int64))

    def between(self, a: Places, b: Places) -> NDArray[np.int64]:
        """Cost in ms of going from rows ``a`` to rows ``b`` (broadcast), summed over controls."""
        total: NDArray[np.int64] = np.zeros(np.broadcast_shapes(a.shape, b.shape)[:-1], np.int64)
        for control, (turn, step) in enumerate(zip(self.turn_ms, self.step_ms, strict=True)):
            distance = np.abs(a[..., control] - b[..., control])
            total += (distance != 0) * turn + np.rint(distance * step).astype(np.int64)
        return total

    def along(self, places: Places) -> int:
        """Cost in ms of visiting the rows in their order."""
        return int(self.between(places[1:], places[:-1]).sum())


def turns(places: Places) -> int:
    """How many times a knob is turned when the rows are visited in their order."""
    return int(np.count_nonzero(places[1:] != places[:-1]))


def passed(places: Places) -> int:
    """How many positions the knobs pass when the rows are visited in their order."""
    return round(float(np.abs(np.diff(places, axis=0)).sum()))


def gray(places_by_control: list[NDArray[np.float64]], costs: Costs) -> Order:
    """Reflected Gray order of the full product of the controls' places.

    Returned as indexes into the product in listed order (last control inmost).
    """
    sizes = [len(places) for places in places_by_control]
    count = int(np.prod(sizes))
    nesting = _nesting(places_by_control, costs)
    steps = np.arange(count, dtype=np.int64)
    strides = [int(np.prod(sizes[i + 1 :])) for i in range(len(sizes))]
    listed = np.zeros(count, np.int64)
    inner = count
    for control in nesting:
        inner //= sizes[control]
        sweep, digit = np.divmod(steps // inner, sizes[control])
        digit = np.where(sweep % 2 == 1, sizes[control] - 1 - digit, digit)
        by_place = np.argsort(places_by_control[control], kind="stable")
        listed += by_place[digit] * strides[control]
    return listed


def travel(places: Places, costs: Costs) -> Order:
    """A short path through any set of settings; never worse than the order given."""
    listed = np.arange(len(places), dtype=np.int64)
    ranked = _gray_ranked(places, costs)
    candidates = [listed, ranked]
    if 2 < len(places) <= SEARCH_LIMIT:
        table = costs.between(places[:, None, :], places[None, :, :])
        start = min(ranked, _nearest_neighbour(table, ranked), key=lambda o: _length(table, o))
        candidates.append(_two_opt(table, start))
    return min(candidates, key=lambda order: costs.along(places[order]))


def _nesting(places_by_control: list[NDArray[np.float64]], costs: Costs) -> list[int]:
    """The controls, outermost first: the dearest mean step outermost."""

    def mean_step_ms(control: int) -> float:
        places = places_by_control[control]
        steps = max(1, len(places) - 1)
        span = float(places.max() - places.min())
        return float(costs.turn_ms[control]) + float(costs.step_ms[control]) * span / steps

    return sorted(range(len(places_by_control)), key=lambda c: (-mean_step_ms(c), c))


def _gray_ranked(places: Places, costs: Costs) -> Order:
    """The settings by their rank in the reflected Gray order of the enclosing product."""
    columns = [np.unique(places[:, control]) for control in range(places.shape[1])]
    odd = np.zeros(len(places), bool)
    keys: list[NDArray[np.int64]] = []
    for control in _nesting(columns, costs):
        digit = np.searchsorted(columns[control], places[:, control])
        digit = np.where(odd, len(columns[control]) - 1 - digit, digit)
        keys.append(digit)
        # A sweep runs backwards when the number of sweeps before it is odd.
        odd = (odd & (len(columns[control]) % 2 == 1)) ^ (digit % 2 == 1)
    return np.lexsort(keys[::-1]).astype(np.int64)


def _length(table: NDArray[np.int64], order: Order) -> int:
    return int(table[order[1:], order[:-1]].sum())


def _nearest_neighbour(table: NDArray[np.int64], ranked: Order) -> Order:
    """From the first of ``ranked`` on, always to the nearest left; of equals, the first ranked."""
    table = table[np.ix_(ranked, ranked)]
    far = np.iinfo(np.int64).max
    left = np.zeros(len(ranked), np.int64)
    path = [0]
    left[0] = far
    for _ in range(len(ranked) - 1):
        nearest = int(np.argmin(np.maximum(table[path[-1]], left)))
        left[nearest] = far
        path.append(nearest)
    return ranked[np.array(path)]


def _two_opt(table: NDArray[np.int64], order: Order) -> Order:
    """Turns stretches of the path round as long as that shortens it (``SWEEPS`` at most).

    The path is open: it starts and ends at a place that is no way from anywhere, so that its two
    ends are turned round like any other stretch.
    """
    nowhere = len(order)
    table = np.pad(table, (0, 1))
    path = np.array([nowhere, *order, nowhere], np.int64)
    for _ in range(SWEEPS):
        shorter = False
        for i in range(len(order)):
            # Turn path[i + 1 .. j] round: the edges (i, i+1) and (j, j+1) change.
            here, follower, ends, after = path[i], path[i + 1], path[i + 1 : -1], path[i + 2 :]
            new = table[here, ends] + table[follower, after]
            old = table[here, follower] + table[ends, after]
            best = int(np.argmin(new - old))
            if new[best] < old[best]:
                path[i + 1 : i + 2 + best] = path[i + 1 : i + 2 + best][::-1]
                shorter = True
        if not shorter:
            break
    return path[1:-1]
