"""The order of the settings: a permutation, never worse than nested loops, the same everywhere."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.model import Control
from capture.plan import order
from capture.plan.order import Costs, Places

COSTS = st.tuples(st.integers(1, 5000), st.integers(0, 2000))


def costs_of(pairs: list[tuple[int, int]]) -> Costs:
    turn, step = zip(*pairs, strict=True)
    return Costs(np.array(turn, np.int64), np.array(step, np.int64))


def product(columns: list[list[int]]) -> Places:
    """All cells in listed order, the last control inmost."""
    return np.array(list(itertools.product(*columns)), np.float64).reshape(-1, len(columns))


def slow_cost(places: Places, costs: Costs) -> int:
    total = 0
    for a, b in itertools.pairwise(places.tolist()):
        for x, y, turn, step in zip(a, b, costs.turn_ms, costs.step_ms, strict=True):
            total += (int(turn) if x != y else 0) + int(abs(x - y)) * int(step)
    return total


@st.composite
def products(draw: Any) -> tuple[list[list[int]], Costs]:
    """The planned places of one to four controls, in any listed order, and costs."""
    columns = draw(
        st.lists(
            st.lists(st.integers(0, 12), min_size=1, max_size=4, unique=True),
            min_size=1,
            max_size=4,
        )
    )
    return columns, costs_of([draw(COSTS) for _ in columns])


@st.composite
def subsets(draw: Any) -> tuple[Places, Costs]:
    """Different settings of one to four controls, in any order."""
    width = draw(st.integers(1, 4))
    rows = draw(
        st.lists(st.tuples(*[st.integers(0, 5)] * width), min_size=1, max_size=40, unique=True)
    )
    return np.array(rows, np.float64), costs_of([draw(COSTS) for _ in range(width)])


@given(subsets())
def test_costs_and_turns_against_a_slow_sum(made: tuple[Places, Costs]) -> None:
    places, costs = made
    assert costs.along(places) == slow_cost(places, costs)
    rows = places.tolist()
    changed = [sum(x != y for x, y in zip(a, b, strict=True)) for a, b in itertools.pairwise(rows)]
    assert order.turns(places) == sum(changed)


@settings(max_examples=200, deadline=None)
@given(products())
def test_gray_order(made: tuple[list[list[int]], Costs]) -> None:
    columns, costs = made
    listed = product(columns)
    found = order.gray([np.array(column, np.float64) for column in columns], costs)
    assert sorted(found.tolist()) == list(range(len(listed)))
    path = listed[found]
    # Each move turns one control to the next of its planned positions.
    for a, b in itertools.pairwise(path.tolist()):
        moved = [i for i in range(len(columns)) if a[i] != b[i]]
        assert len(moved) == 1
        planned = sorted(columns[moved[0]])
        assert abs(planned.index(a[moved[0]]) - planned.index(b[moved[0]])) == 1
    assert order.turns(path) == len(listed) - 1
    assert costs.along(path) <= costs.along(listed)
    # The closed form, and no other nesting of the same sweeps is cheaper.
    sweep = [
        int(turn) * (len(column) - 1) + int(step) * (max(column) - min(column))
        for column, turn, step in zip(columns, costs.turn_ms, costs.step_ms, strict=True)
    ]

    def closed_form(nesting: tuple[int, ...]) -> int:
        total, outside = 0, 1
        for control in nesting:
            total += outside * sweep[control]
            outside *= len(columns[control])
        return total

    assert costs.along(path) == min(map(closed_form, itertools.permutations(range(len(columns)))))


@settings(max_examples=100, deadline=None)
@given(products(), st.randoms())
def test_gray_order_is_no_worse_than_any_nested_loops(
    made: tuple[list[list[int]], Costs], shuffler: Any
) -> None:
    columns, costs = made
    path = product(columns)[order.gray([np.array(c, np.float64) for c in columns], costs)]
    nesting = list(range(len(columns)))
    shuffler.shuffle(nesting)
    loops = product([columns[c] for c in nesting])
    reordered = Costs(costs.turn_ms[nesting], costs.step_ms[nesting])
    assert costs.along(path) <= reordered.along(loops)
    assert order.turns(path) <= order.turns(loops)


@pytest.mark.parametrize(
    "sizes", [(1,), (2,), (5,), (2, 2), (2, 3), (3, 2), (2, 4), (4, 2), (2, 2, 2), (1, 2, 3)]
)
@pytest.mark.parametrize("pairs", [[(1, 0)] * 3, [(2000, 200)] * 3, [(5, 1), (3, 7), (2, 2)]])
def test_gray_order_is_the_best_there_is(
    sizes: tuple[int, ...], pairs: list[tuple[int, int]]
) -> None:
    """Against all permutations, for positions that stand side by side on the panel."""
    columns = [list(range(size)) for size in sizes]
    costs = costs_of(pairs[: len(sizes)])
    listed = product(columns)
    count = len(listed)
    table = costs.between(listed[:, None], listed[None, :])
    every = np.array(list(itertools.permutations(range(count))), np.int8)
    best = table[every[:, 1:], every[:, :-1]].sum(axis=1).min()
    found = order.gray([np.array(c, np.float64) for c in columns], costs)
    assert costs.along(listed[found]) == best
    searched = order.travel(listed, costs)
    assert costs.along(listed[searched]) == best


@settings(max_examples=150, deadline=None)
@given(subsets())
def test_travel(made: tuple[Places, Costs]) -> None:
    places, costs = made
    found = order.travel(places, costs)
    assert sorted(found.tolist()) == list(range(len(places)))
    assert costs.along(places[found]) <= costs.along(places)
    assert order.travel(places, costs).tolist() == found.tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 7))
def test_travel_is_near_the_best(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    places = np.unique(rng.integers(0, 4, (count, 3)), axis=0).astype(np.float64)
    costs = costs_of([(2000, 200), (1000, 500), (3000, 0)])
    every = itertools.permutations(range(len(places)))
    best = min(costs.along(places[list(path)]) for path in every)
    assert costs.along(places[order.travel(places, costs)]) <= 1.3 * best


@pytest.mark.parametrize("seed", range(6))
def test_no_stretch_turned_round_shortens_a_found_path(seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = np.unique(rng.integers(0, 6, (60, 4)), axis=0).astype(np.float64)
    places = places[rng.permutation(len(places))]
    costs = costs_of([(2000, 200)] * 4)
    found = order.travel(places, costs)
    cost = costs.along(places[found])
    for i, j in itertools.combinations(range(len(found) + 1), 2):
        turned = np.concatenate([found[:i], found[i:j][::-1], found[j:]])
        assert costs.along(places[turned]) >= cost
    # About half of what the settings would cost as they come.
    assert cost < 0.6 * costs.along(places)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_settings(count: int) -> None:
    places = np.array([[0.0], [5.0], [1.0]])[:count]
    found = order.travel(places, costs_of([(1, 1)]))
    assert sorted(found.tolist()) == list(range(count))
    assert found.tolist() in ([0], [0, 1], [1, 2, 0], [0, 2, 1])


def test_beyond_the_search_limit_the_gray_rank_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    places = np.unique(rng.integers(0, 6, (300, 4)), axis=0).astype(np.float64)
    places = places[rng.permutation(len(places))]
    costs = costs_of([(2000, 200)] * 4)
    searched = costs.along(places[order.travel(places, costs)])
    monkeypatch.setattr(order, "SEARCH_LIMIT", 10)
    ranked = costs.along(places[order.travel(places, costs)])
    assert searched < ranked < 0.6 * costs.along(places)


def test_turning_for_nothing_still_counts_turns() -> None:
    costs = Costs.of((Control("a", ""), Control("b", "", turn_s=1.5, step_s=0.25)))
    assert costs.turn_ms.tolist() == [1, 1500]
    assert costs.step_ms.tolist() == [0, 250]


def test_these_orders_are_found_everywhere() -> None:
    rng = np.random.default_rng(5)
    places = np.unique(rng.integers(0, 3, (12, 3)), axis=0).astype(np.float64)
    costs = costs_of([(2000, 200), (2000, 200), (1000, 100)])
    assert order.gray([np.arange(2.0), np.arange(3.0)], costs_of([(2, 1), (1, 1)])).tolist() == [
        0, 1, 2, 5, 4, 3,
    ]  # fmt: skip
    assert order.travel(places, costs).tolist() == [1, 0, 2, 3, 7, 5, 6, 4, 8, 9, 10]
