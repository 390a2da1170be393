"""The figures of ``capture plan`` against a slow count, take by take."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from capture.model import AUTO, Control
from capture.plan.expand import Expansion, expand
from capture.plan.spec import PlanSpec
from capture.plan.summary import Summary, Timing, summarize
from capture.view import plan as view

Plan = Callable[..., PlanSpec]
Rig = tuple[Control, ...]
INSIDE = {"threshold_db": -24, "release_s": "auto", "ratio": 4}
PLANS: dict[str, dict[str, Any]] = {
    "grid": {},
    "listed": {"order": {"settings": "listed"}},
    "reference": {"reference": {"setting": INSIDE, "every_settings": 5}},
    "rich": {
        "reference": {"setting": {**INSIDE, "ratio": 1.5}, "every_settings": 4},
        "extra": {"random": {"count": 9, "seed": 2}},
        "exclude": [{"when": {"ratio": 2, "threshold_db": -28}, "reason": "why not"}],
        "splits": {"seed": 1, "test_songs": 1},
    },
}


def counted(expansion: Expansion, timing: Timing) -> dict[str, float]:
    """The same figures, by walking through every take with the knobs in hand."""
    by_name = {control.name: control for control in expansion.controls}
    knobs: dict[str, Any] = {}
    turns = passed = 0
    audio_s = turning_s = settling_s = 0.0
    for take in expansion:
        for name, value in take.setting.items():
            control, before = by_name[name], knobs.get(name)
            if before is not None and before != value:
                here, there = control.place(before), control.place(value)
                assert here is not None
                assert there is not None
                turns += 1
                passed += abs(here - there)
                turning_s += control.turn_s + control.step_s * abs(here - there)
            knobs[name] = value
        remembers = take.setting["release_s"] is AUTO
        settling_s += max(timing.between_takes_s, 55.0 if remembers else 0.0)
        audio_s += take.frames / 44100
    return {
        "takes": len(expansion),
        "audio_s": audio_s,
        "knob_turns": turns,
        "positions_passed": passed,
        "turning_s": turning_s,
        "wall_s": timing.open_s
        + audio_s
        + settling_s
        + turning_s
        + timing.around_take_s * len(expansion),
        "bytes": 44100 * (audio_s * 9 + sum(s.frames for s in expansion.songs) / 44100 * 6),
    }


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("count", [1, 3])
def test_figures(plan: Plan, rig: Rig, songs: Any, name: str, count: int) -> None:
    expansion = expand(plan(**PLANS[name]), rig, songs(count))
    timing = Timing(0.5, 6.0, 0.1, simulated=False)
    found = summarize(expansion, timing)
    for key, figure in counted(expansion, timing).items():
        assert getattr(found, key) == pytest.approx(figure, abs=1e-6), key
    assert found.settings == len({take.setting for take in expansion if take.repeat == 1})
    assert found.knob_turns <= found.nested_knob_turns
    assert found.turning_s <= found.nested_turning_s
    assert all(percent >= 0 for percent in found.below_plan_order_percent.values())


def test_nested_loops_are_counted_as_they_would_be(plan: Plan, rig: Rig, songs: Any) -> None:
    found = summarize(expand(plan(), rig, songs(2)), Timing(0.5, 6.0, 0.1, simulated=True))
    cells = list(itertools.product([0, 1], [0, 4], [1, 2, 3]))
    turns = sum(
        sum(x != y for x, y in zip(a, b, strict=True)) for a, b in itertools.pairwise(cells)
    )
    assert (found.knob_turns, found.nested_knob_turns) == (11, turns)
    assert found.wall_s == pytest.approx(found.audio_s / 40)


def test_a_plan_without_songs(plan: Plan, rig: Rig) -> None:
    spec = plan(reference={"setting": INSIDE, "every_settings": 5})
    found = summarize(expand(spec, rig, []), Timing(0.5, 6.0, 0.1, simulated=False))
    assert (found.settings, found.takes, found.audio_s, found.bytes) == (12, 0, 0.0, 0)
    assert found.wall_s == pytest.approx(0.5 + found.turning_s)


@pytest.fixture
def rich(plan: Plan, rig: Rig, songs: Any) -> tuple[Expansion, Summary]:
    expansion = expand(plan(**PLANS["rich"]), rig, songs(3))
    return expansion, summarize(expansion, Timing(0.5, 6.0, 0.1, simulated=False))


def test_as_json(rich: tuple[Expansion, Summary]) -> None:
    expansion, summary = rich
    shown = json.loads(json.dumps(view.as_json("n", expansion, summary, ["a note"])))
    assert set(shown) >= {"settings", "takes", "audio_s", "wall_s", "knob_turns", "bytes"}
    assert shown["settings"] == 10 + 9
    assert shown["holes"] == 2
    assert shown["excluded"] == [{"reason": "why not", "settings": 2}]
    assert shown["splits"] == {"train": 2, "test": 1}
    assert shown["notes"] == ["a note"]
    visits = list(expansion.visits)
    assert [entry["setting_id"] for entry in shown["order"]] == [s.setting_id for s in visits]
    assert {entry["release_s"] for entry in shown["order"]} >= {"auto", 0.1}


def test_as_text(rich: tuple[Expansion, Summary]) -> None:
    _, summary = rich
    text = view.as_text("a plan", *rich, ["take care"])
    for words in (
        "a plan",
        "2 threshold_db x 2 release_s x 3 ratio = 12",
        "less 2: why not",
        "and 9 besides the grid",
        "3: 2 to train, 1 to test",
        "of them the reference",
        "plan order",
        f"so {summary.below_plan_order_percent['knob_turns']:.0f} % fewer turns",
        "auto",
        "take care",
    ):
        assert words in text
