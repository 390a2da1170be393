"""Which changes a dataset survives: what only adds passes, everything else is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capture import presets
from capture.hardware.profile import RigProfile
from capture.model import Control
from capture.plan.expand import Expansion, PlannedSong, expand
from capture.plan.spec import PlanSpec
from capture.run import changes

Plan = Callable[..., PlanSpec]
Rig = tuple[Control, ...]
OUTSIDE = {"threshold_db": -12, "release_s": 0.4, "ratio": 1.5}
INSIDE = {"threshold_db": -24, "release_s": "auto", "ratio": 4}
LEVEL = {"normalize": "peak", "target_db": -12.0, "send_gain_db": 5.0, "return_gain_db": -5.0}
GRID = {"threshold_db": [-28, -24], "release_s": [0.1, "auto"], "ratio": [2, 4, 10]}
BEGUN: dict[str, Any] = {
    "extra": {"random": {"count": 4, "seed": 1}},
    "exclude": [{"when": {"ratio": 2, "threshold_db": -28}, "reason": "r"}],
    "reference": {"setting": INSIDE, "every_settings": 5},
    "splits": {"seed": 1, "test_songs": 1},
    "checks": {"retries": 3},
}


@pytest.fixture
def begun(plan: Plan) -> PlanSpec:
    return plan(**BEGUN)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"rig": "another"},  # the rig's facts are compared instead
        {"songs": {"paths": ["demo:*", "more/*.wav"], "exclude": ["x"]}},
        {"grid": {**GRID, "ratio": [2, 4, 10, 1.5]}},
        {"exclude": []},
        {"extra": {"random": {"count": 9, "seed": 1}}},
        {"splits": {"seed": 1, "test_songs": 2}},
    ],
)
def test_keys_that_may_change(plan: Plan, begun: PlanSpec, changed: dict[str, Any]) -> None:
    assert changes.of_plan(begun, plan(**{**BEGUN, **changed})) == []


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"name": "other"}, "name"),
        ({"sample_rate_hz": 48000}, "sample_rate_hz"),
        ({"level": {**LEVEL, "normalize": "rms"}}, "level.normalize"),
        ({"level": {**LEVEL, "target_db": -13}}, "level.target_db"),
        ({"level": {**LEVEL, "send_gain_db": 0}}, "level.send_gain_db"),
        ({"level": {**LEVEL, "return_gain_db": 0}}, "level.return_gain_db"),
        ({"songs": {"paths": ["demo:drums"], "fade_in_s": 0.1}}, "songs.fade_in_s"),
        ({"songs": {"paths": ["demo:drums"], "fade_out_s": 0.1}}, "songs.fade_out_s"),
        ({"order": {"settings": "listed"}}, "order.settings"),
        ({"reference": None}, "reference"),
        ({"reference": {"setting": OUTSIDE, "every_settings": 5}}, "reference.setting"),
        ({"reference": {"setting": INSIDE, "every_settings": 6}}, "reference.every_settings"),
        ({"splits": {"seed": 2, "test_songs": 1}}, "splits.seed"),
        ({"splits": None}, "splits"),
        ({"checks": {"retries": 2}}, "checks.retries"),
        ({"checks": {"retries": 3, "lag_frames": 1.0}}, "checks.lag_frames"),
    ],
)
def test_keys_that_may_not(plan: Plan, begun: PlanSpec, changed: dict[str, Any], key: str) -> None:
    found = changes.of_plan(begun, plan(**{**BEGUN, **changed}))
    assert found
    assert all(sentence.startswith(f"plan: {key}") and " is now " in sentence for sentence in found)


def test_every_key_of_a_plan_is_either() -> None:
    """A key that is new in the plan must be thought about here."""
    assert set(PlanSpec.model_fields) == {
        "schema_version", "name", "rig", "songs", "level", "sample_rate_hz", "grid", "exclude",
        "extra", "order", "reference", "splits", "checks", "about",
    }  # fmt: skip


def test_a_reference_may_be_added_and_splits_may_not(plan: Plan) -> None:
    bare = plan()
    added = plan(reference={"setting": INSIDE, "every_settings": 5})
    assert changes.of_plan(bare, added) == []
    (sentence,) = changes.of_plan(bare, plan(splits={"seed": 1, "test_songs": 1}))
    assert sentence.startswith("plan: splits")


def test_several_changes_are_all_named(plan: Plan, begun: PlanSpec) -> None:
    new = plan(**{**BEGUN, "name": "other", "sample_rate_hz": 48000, "checks": {"retries": 0}})
    assert len(changes.of_plan(begun, new)) == 3


def made(plan: Plan, rig: Rig, songs: list[PlannedSong], **changed: Any) -> Expansion:
    return expand(plan(**{**BEGUN, **changed}), rig, songs)


@pytest.mark.parametrize(
    "changed",
    [
        {"grid": {**GRID, "release_s": [0.1, 0.8, "auto"]}},
        {"grid": {"ratio": [10, 4, 2], "release_s": ["auto", 0.1], "threshold_db": [-24, -28]}},
        {"exclude": []},
        {"extra": {"random": {"count": 9, "seed": 1}}},
    ],
)
def test_settings_that_are_added(plan: Plan, rig: Rig, songs: Any, changed: dict[str, Any]) -> None:
    old, new = made(plan, rig, songs(2)), made(plan, rig, songs(2), **changed)
    assert changes.of_takes(old, new) == []
    assert {take.take_id for take in old} <= {take.take_id for take in new}


def test_songs_that_are_added(plan: Plan, rig: Rig, songs: Any) -> None:
    old = made(plan, rig, songs(2))
    new = expand(plan(**BEGUN), rig, songs(9), old.splits)
    assert changes.of_takes(old, new) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"grid": {**GRID, "ratio": [2, 10]}}, ["and 0", "ratio4"]),
        ({"extra": None}, ["is not in it any more"]),
        ({"extra": {"random": {"count": 3, "seed": 1}}}, ["is not in it any more"]),
        ({"extra": {"random": {"count": 4, "seed": 2}}}, ["is not in it any more"]),
        ({"exclude": [{"when": {"ratio": [2, 10]}, "reason": "r"}]}, ["ratio10", "any more"]),
    ],
)
def test_settings_that_are_gone(
    plan: Plan, rig: Rig, songs: Any, changed: dict[str, Any], words: list[str]
) -> None:
    old, new = made(plan, rig, songs(2)), made(plan, rig, songs(2), **changed)
    found = changes.of_takes(old, new)
    gone = {s.setting_id for s in old.chosen} - {s.setting_id for s in new.chosen}
    assert gone
    named = [s for s in found if any(setting in s for setting in gone)]
    assert len(named) == min(len(gone), changes.SHOWN)
    assert (f"and {len(gone) - changes.SHOWN} more settings" in " ".join(found)) == (
        len(gone) > changes.SHOWN
    )
    assert any(words[-1] in sentence for sentence in found)


def test_an_extra_that_becomes_a_cell_of_the_grid(plan: Plan, rig: Rig, songs: Any) -> None:
    old = made(plan, rig, songs(1), extra=[OUTSIDE])
    wide = {
        "threshold_db": [-28, -24, -12],
        "release_s": [0.1, 0.4, "auto"],
        "ratio": [1.5, 2, 4, 10],
    }
    new = made(plan, rig, songs(1), grid=wide, extra=None)
    (sentence,) = changes.of_takes(old, new)
    assert "would move between the grid and the extras" in sentence


def test_a_reference_that_becomes_planned(plan: Plan, rig: Rig, songs: Any) -> None:
    reference = {"setting": OUTSIDE, "every_settings": 5}
    old = made(plan, rig, songs(1), reference=reference, extra=None)
    new = made(plan, rig, songs(1), reference=reference, extra=[OUTSIDE])
    assert changes.of_takes(old, new) == []
    kept = {take.take_id: (take.repeat, take.setting_split) for take in new}
    for take in old:
        assert kept[take.take_id] == (take.repeat, take.setting_split)


def test_songs_that_are_gone_or_moved(plan: Plan, rig: Rig, songs: Any) -> None:
    old = made(plan, rig, songs(3))
    (lost,) = changes.of_takes(old, made(plan, rig, songs(2)))[:1]
    assert "song song-2 is not in it any more" in lost
    backwards = expand(plan(**BEGUN), rig, songs(3)[::-1], old.splits)
    assert any("first song has changed" in s for s in changes.of_takes(old, backwards))
    other = {song: "test" if split == "train" else "train" for song, split in old.splits.items()}
    swapped = expand(plan(**BEGUN), rig, songs(3), other)  # type: ignore[arg-type]
    assert sum("another split" in s for s in changes.of_takes(old, swapped)) == 3


RIG_CHANGES: list[tuple[str, Any]] = [
    ("name", "other"),
    ("audio.sample_rate_hz", 48000),
    ("audio.inputs.cv", 7),
    ("cv.volts_per_fs", 5.0),
    ("cv.expected_volts_per_db", 0.05),
    ("controls.ratio.turn_s", 9.0),
    ("controls.ratio.positions", [2, 4, 10]),
    ("settle.between_takes_s", 7.0),
    ("simulation.seed", 2),
    ("simulation.unit.knee_db", 3.0),
    ("simulation.always", ["swap"]),
    ("simulation.wrong_knobs", [{"control": "ratio", "position": 4, "actual": 3}]),
]


def rig_with(key: str, value: Any) -> RigProfile:
    """The simulated rig with one fact changed; as it is, without a key."""
    data = presets.find("rig", "simulated", Path()).document.data
    data = json.loads(json.dumps(data))
    at = data
    *path, last = key.split(".")
    for step in path:
        at = at.setdefault(step, {})
    if key:
        at[last] = value
    return RigProfile.model_validate_json(json.dumps(data))


@pytest.mark.parametrize(("key", "value"), RIG_CHANGES)
def test_a_changed_fact_of_the_rig_is_named(key: str, value: Any) -> None:
    found = changes.of_rig(rig_with("", None), rig_with(key, value))
    assert found
    assert all(sentence.startswith(f"rig: {key}") for sentence in found)


def test_what_happens_to_a_simulated_rig_is_no_fact() -> None:
    assert changes.of_rig(rig_with("", None), rig_with("simulation.faults", ["ok", "swap"])) == []
    assert changes.of_rig(rig_with("", None), rig_with("", None)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("audio.block_frames", 512),
        ("audio.reopen_after_s", 60.0),
        ("audio.wait_for_device_s", 5.0),
        ("rack", {"client": "rock", "control_port": 4711}),
    ],
)
def test_how_a_stream_is_handled_is_no_fact(key: str, value: Any) -> None:
    assert changes.of_rig(rig_with("", None), rig_with(key, value)) == []


def test_an_anchor_may_be_measured_later_and_then_stays() -> None:
    key = "audio.dbfs_to_dbu.inputs"
    none, one, other = (rig_with(key, {"left": value}) for value in (None, 17.25, 18.0))
    assert changes.of_rig(none, one) == []
    assert changes.of_rig(one, other) == [f"rig: {key}.left was 17.25 and is now 18.0"]
    assert changes.of_rig(one, none) == [f"rig: {key}.left was 17.25 and is now None"]
