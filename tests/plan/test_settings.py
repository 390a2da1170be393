"""A plan against a rig: all that the rig cannot do is named, at once; then grid and extras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import DocumentFaults
from capture.model import AUTO, Control, Setting
from capture.plan.expand import expand
from capture.plan.settings import Chosen, choose, faults
from capture.plan.spec import PlanSpec

Plan = Callable[..., PlanSpec]
Rig = tuple[Control, ...]
CELL = {"threshold_db": -28, "release_s": 0.2, "ratio": 2}


def told(spec: PlanSpec, rig: Sequence[Control]) -> list[tuple[str, str]]:
    """Every fault, as (dotted path, message)."""
    found = faults(spec, rig) or choose(spec, rig)
    assert not isinstance(found, Chosen)
    with pytest.raises(DocumentFaults) as caught:
        expand(spec, rig, [])
    assert list(caught.value.faults) == found
    return [(".".join(map(str, fault.path)), fault.message) for fault in found]


def only(spec: PlanSpec, rig: Sequence[Control]) -> tuple[str, str]:
    (fault,) = told(spec, rig)
    return fault


R = {"reason": "r"}
GRID = {"threshold_db": [-28], "release_s": [0.1, "auto"], "ratio": [2, 4]}


@pytest.mark.parametrize(
    ("changed", "path", "words"),
    [
        ({"grid": {**GRID, "ratio": [2, 3]}}, "grid.ratio.1", ["3", "1.5, 2, 4, 10"]),
        ({"grid": {**GRID, "ratio": ["auto"]}}, "grid.ratio.0", ["auto", "1.5, 2, 4, 10"]),
        ({"grid": {**GRID, "ratio": [2, 4, 2.0]}}, "grid.ratio.2", ["2 is listed twice"]),
        ({"grid": {**GRID, "release_s": ["auto", "auto"]}}, "grid.release_s.1", ["auto", "twice"]),
        ({"grid": {**GRID, "ratios": [2, 4]}}, "grid.ratios", ["did you mean 'ratio'?"]),
        ({"grid": {"ratio": [2], "release_s": [0.1]}}, "grid", ["threshold_db is missing"]),
        ({"exclude": [{"when": {"rato": [2, 4]}, **R}]}, "exclude.0.when.rato", ["'ratio'"]),
        ({"exclude": [{"when": {"ratio": 3}, **R}]}, "exclude.0.when.ratio.0", ["1.5, 2"]),
        ({"extra": [{**CELL, "ratio": 3}]}, "extra.0.ratio", ["3", "1.5, 2, 4, 10"]),
        ({"extra": [{"ratio": 2, "release_s": 0.2}]}, "extra.0", ["threshold_db is missing"]),
        ({"extra": [{**CELL, "mix": 1}]}, "extra.0.mix", ["no control", "known: ratio, release_s"]),
        ({"extra": [CELL, CELL]}, "extra.1", ["twice"]),
        ({"extra": [{**CELL, "release_s": "auto"}]}, "extra.0", ["cell of the grid"]),
        ({"extra": {}}, "extra", ["either"]),
        ({"extra": {"random": {"count": 1, "seed": 1}, "settings": []}}, "extra", ["either"]),
        ({"extra": {"random": {"count": 97, "seed": 1}}}, "extra.random.count", ["97", "the 96 "]),
        ({"reference": {"setting": {**CELL, "ratio": 7}, "every_settings": 2}},
         "reference.setting.ratio", ["7", "1.5, 2, 4, 10"]),
        ({"reference": {"setting": {"ratio": 2, "release_s": 0.1}, "every_settings": 2}},
         "reference.setting", ["threshold_db is missing"]),
        ({"exclude": [{"when": {"threshold_db": -28}, **R}]}, "exclude", ["no setting"]),
    ],
)  # fmt: skip
def test_one_fault(
    plan: Plan, rig: Rig, changed: dict[str, Any], path: str, words: list[str]
) -> None:
    where, message = only(plan(**{"grid": GRID, **changed}), rig)
    assert where == path
    assert all(word in message for word in words), message


def test_an_extra_that_is_excluded(plan: Plan, rig: Rig) -> None:
    spec = plan(
        grid=GRID, extra=[CELL], exclude=[{"when": {"release_s": [0.1, 0.2]}, "reason": "noisy"}]
    )
    where, message = only(spec, rig)
    assert where == "extra.0"
    assert "exclude[0]" in message


def test_a_grid_of_absurd_size_is_refused_and_not_built(plan: Plan, stepped: Any) -> None:
    values = list(range(200))
    rig = [stepped(name, *values) for name in "abcd"]
    where, message = only(plan(grid=dict.fromkeys("abcd", values)), rig)
    assert where == "grid"
    assert "1,600,000,000 cells" in message


def test_everything_at_once(plan: Plan, rig: Rig) -> None:
    spec = plan(
        grid={"thresold_db": [-28, -24], "release_s": [0.1, 0.3, 0.1], "ratio": [2]},
        exclude=[{"when": {"ratio": [3, 2], "mix": 1}, "reason": "r"}],
        extra=[{**CELL, "release_s": "auto", "ratio": 5}, CELL, CELL],
        reference={"setting": {"ratio": 2, "release_s": 9}, "every_settings": 5},
    )
    assert [path for path, _ in told(spec, rig)] == [
        "grid.thresold_db",
        "grid.release_s.1",
        "grid.release_s.2",
        "grid",
        "exclude.0.when.ratio.0",
        "exclude.0.when.mix",
        "reference.setting",
        "reference.setting.release_s",
        "extra.0.ratio",
        "extra.2",
    ]


def test_too_many_test_songs(plan: Plan, rig: Rig, songs: Any) -> None:
    spec = plan(splits={"seed": 1, "test_songs": 3})
    with pytest.raises(DocumentFaults, match="3 is more than the 2 songs"):
        expand(spec, rig, songs(2))
    assert len(expand(spec, rig, songs(3))) == 36


def test_exclusions_are_counted_with_their_reasons(plan: Plan, rig: Rig) -> None:
    spec = plan(
        exclude=[
            {"when": {"ratio": 2, "threshold_db": -28}, "reason": "one"},
            {"when": {"ratio": [2, 4]}, "reason": "two"},
            {"when": {"ratio": 1.5}, "reason": "none of the grid"},
        ]
    )
    chosen = choose(spec, rig)
    assert isinstance(chosen, Chosen)
    assert [(e.reason, e.settings) for e in chosen.excluded] == [
        ("one", 2),
        ("two", 6),
        ("none of the grid", 0),
    ]
    assert [setting["ratio"] for setting in chosen] == [10.0] * 4


def test_the_grid_is_in_listed_order(plan: Plan, rig: Rig) -> None:
    chosen = choose(plan(), rig)
    assert isinstance(chosen, Chosen)
    expected = [
        Setting({"threshold_db": t, "release_s": r, "ratio": q})
        for t in (-28, -24)
        for r in (0.1, AUTO)
        for q in (2, 4, 10)
    ]
    assert list(chosen) == expected
    assert [chosen[n] for n in range(len(chosen))] == expected


def drawn(plan: Plan, rig: Rig, count: int, seed: int, **changed: Any) -> tuple[Setting, ...]:
    chosen = choose(plan(extra={"random": {"count": count, "seed": seed}}, **changed), rig)
    assert isinstance(chosen, Chosen)
    return chosen.extras


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 88), st.integers(1, 88))
def test_random_extras(plan: Plan, rig: Rig, seed: int, count: int, more: int) -> None:
    extras = drawn(plan, rig, count, seed)
    assert len(set(extras)) == count
    chosen = choose(plan(), rig)
    assert isinstance(chosen, Chosen)
    assert not set(extras) & set(chosen)
    for control in rig:
        assert all(control.place(setting[control.name]) is not None for setting in extras)
    few, many = sorted((count, more))
    assert drawn(plan, rig, many, seed)[:few] == drawn(plan, rig, few, seed)
    assert drawn(plan, tuple(reversed(rig)), count, seed) == extras


def test_random_extras_pass_over_what_is_excluded(plan: Plan, rig: Rig) -> None:
    exclude = [{"when": {"release_s": ["auto", 0.8]}, "reason": "r"}]
    extras = drawn(plan, rig, 54, 1, exclude=exclude)
    assert {setting["release_s"] for setting in extras} == {0.1, 0.2, 0.4}
    too_many = plan(exclude=exclude, extra={"random": {"count": 55, "seed": 1}})
    assert "the 54 settings" in only(too_many, rig)[1]


def test_random_extras_stay_while_the_grid_grows(plan: Plan, rig: Rig) -> None:
    before = drawn(plan, rig, 30, 7)
    grown = {"threshold_db": [-28, -24, -20], "release_s": [0.1, "auto"], "ratio": [2, 4, 10]}
    after = drawn(plan, rig, 30, 7, grid=grown)
    kept = [s for s in before if s["threshold_db"] != -20 or s in after]
    assert list(after[: len(kept)]) == kept
    assert 20 < len(kept) <= 30


def test_these_extras_are_drawn_for_ever(plan: Plan, rig: Rig) -> None:
    assert [setting.setting_id for setting in drawn(plan, rig, 3, 1)] == [
        "ratio1p5_releaseauto_threshold-12",
        "ratio2_release0p1_threshold-20",
        "ratio4_release0p2_threshold-28",
    ]


def test_extras_come_from_a_range_with_steps(plan: Plan) -> None:
    knobs = (Control("a", "", (), 0.0, 1.0, 0.35), Control("b", "", (), 0.0, 1.0, 0.01))
    extras = drawn(plan, knobs, 302, 1, grid={"a": [0.35], "b": [0.5]})
    assert {setting["a"] for setting in extras} == {0.0, 0.35, 0.7}
    assert len(extras) == 3 * 101 - 1


def test_no_extras_from_a_range_without_steps(plan: Plan) -> None:
    knobs = (Control("a", "", (), 0.0, 1.0), Control("b", "", (), 0.0, 1e6, 1e-6))
    spec = plan(grid={"a": [0], "b": [0]}, extra={"random": {"count": 1, "seed": 1}})
    assert "cannot draw from a, b" in only(spec, knobs)[1]


def test_a_huge_rig_is_drawn_from_without_listing_it(plan: Plan) -> None:
    knobs = tuple(Control(name, "", (), 0.0, 999.0, 1.0) for name in "abcdefgh")
    grid = {name: [0] for name in "abcdefgh"}
    assert len(set(drawn(plan, knobs, 100, 1, grid=grid))) == 100
    nearly_all = [{"when": {"a": list(range(1000))}, "reason": "none is left"}]
    spec = plan(
        grid=grid,
        exclude=nearly_all,
        extra={"random": {"count": 1, "seed": 1}},
    )
    assert "cannot be found" in only(spec, knobs)[1]
