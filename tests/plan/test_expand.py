"""Expansion: take n alone is take n of them all; nothing that is added moves what was there."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.model import AUTO, Control, Setting, Take, Value
from capture.plan.expand import Expansion, PlannedSong, assign, expand
from capture.plan.spec import PlanSpec

Plan = Callable[..., PlanSpec]
Rig = tuple[Control, ...]
OUTSIDE = {"threshold_db": -12, "release_s": 0.4, "ratio": 1.5}
INSIDE = {"threshold_db": -24, "release_s": "auto", "ratio": 4}


@st.composite
def changes(draw: Any) -> dict[str, Any]:
    """Some keys of a plan: grid, exclusions, extras, reference, order, splits."""
    pick = lambda values: draw(  # noqa: E731
        st.lists(st.sampled_from(values), min_size=1, max_size=len(values), unique=True)
    )
    made: dict[str, Any] = {
        "grid": {
            "threshold_db": pick([-28, -24, -20]),
            "release_s": pick([0.1, 0.8, "auto"]),
            "ratio": pick([2, 4]),
        },
        "order": {"settings": draw(st.sampled_from(["travel", "listed"]))},
    }
    count = 1
    for values in made["grid"].values():
        count *= len(values)
    if count > 1 and draw(st.booleans()):
        # One cell at most: never all of them.
        cell = {name: values[-1] for name, values in made["grid"].items()}
        made["exclude"] = [{"when": cell, "reason": "r"}]
        count -= 1
    extras = draw(st.integers(0, 8))
    if extras:
        made["extra"] = {"random": {"count": extras, "seed": draw(st.integers(0, 99))}}
    count += extras
    if draw(st.booleans()):
        made["reference"] = {
            "setting": draw(st.sampled_from([INSIDE, OUTSIDE])),
            "every_settings": draw(st.integers(1, count + 3)),
        }
    if draw(st.booleans()):
        made["splits"] = {"seed": draw(st.integers(0, 99)), "test_songs": 1}
    return made


def walked(expansion: Expansion, every: int) -> list[tuple[str, Setting, bool]]:
    """Song, setting and whether it is the reference, take by take: the rule, told slowly."""
    rows: list[tuple[str, Setting, bool]] = []
    for place, number in enumerate(expansion.settings_order):
        if expansion.reference is not None and place % every == 0:
            rows.append((expansion.songs[0].song_id, expansion.reference, True))
        setting = expansion.chosen[int(number)]
        rows += [(song.song_id, setting, False) for song in expansion.songs]
    if expansion.reference is not None:
        rows.append((expansion.songs[0].song_id, expansion.reference, True))
    return rows


@settings(max_examples=150, deadline=None)
@given(changes(), st.integers(1, 4))
def test_the_takes_of_any_plan(
    plan: Plan, rig: Rig, songs: Any, changed: dict[str, Any], count: int
) -> None:
    spec = plan(**changed)
    expansion = expand(spec, rig, songs(count))
    every = spec.reference.every_settings if spec.reference else 0
    takes = list(expansion)
    assert len(takes) == len(expansion)
    assert [take.index for take in takes] == list(range(len(takes)))
    assert [expansion.take(n) for n in reversed(range(len(takes)))] == takes[::-1]
    assert len({take.take_id for take in takes}) == len(takes)
    assert len({take.stem for take in takes}) == len(takes)
    assert [(t.song_id, t.setting) for t in takes] == [r[:2] for r in walked(expansion, every)]
    visits = list(expansion.visits)
    assert [visits[take.visit] for take in takes] == [take.setting for take in takes]
    assert sorted({take.visit for take in takes}) == list(range(len(visits)))
    assert [take.visit for take in takes] == sorted(take.visit for take in takes)
    # Repeat 1 is the planned take; the reference counts from 2.
    planned = set(expansion.chosen)
    repeats: dict[tuple[str, Setting], list[int]] = {}
    for take, (_, _, is_reference) in zip(takes, walked(expansion, every), strict=True):
        if not is_reference:
            assert take.repeat == 1
        repeats.setdefault((take.song_id, take.setting), []).append(take.repeat)
        labels = {"reference"} if is_reference else {"seen", "unseen"}
        assert take.setting_split in (labels if expansion.splits else {None})
        assert take.split == (expansion.splits[take.song_id] if expansion.splits else None)
    for (_, setting), numbers in repeats.items():
        first = 1 if setting in planned else 2
        assert sorted(numbers) in (
            list(range(first, first + len(numbers))),
            [1],  # a song that the reference does not play
        )
        assert len(numbers) == 1 or setting == expansion.reference


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("every", range(1, 16))
def test_every_reference_interval(
    plan: Plan, rig: Rig, songs: Any, every: int, planned: bool
) -> None:
    reference = {"setting": INSIDE if planned else OUTSIDE, "every_settings": every}
    expansion = expand(plan(reference=reference), rig, songs(3))
    assert len(expansion.chosen) == 12
    takes = list(expansion)
    # The planned take of the reference setting may come after the first of its repeats.
    references = [n for n, row in enumerate(walked(expansion, every)) if row[2]]
    assert len(references) == -(-12 // every) + 1
    assert references[0] == 0
    assert references[-1] == len(takes) - 1
    assert [takes[n].repeat for n in references] == list(range(2, 2 + len(references)))


@pytest.mark.parametrize("index", [-1, 24, 10**9])
def test_there_is_no_take_beyond_the_last(plan: Plan, rig: Rig, songs: Any, index: int) -> None:
    with pytest.raises(IndexError, match="24 takes"):
        expand(plan(), rig, songs(2)).take(index)


def test_no_songs_no_takes(plan: Plan, rig: Rig) -> None:
    spec = plan(
        reference={"setting": INSIDE, "every_settings": 2}, splits={"seed": 1, "test_songs": 1}
    )
    expansion = expand(spec, rig, [])
    assert len(expansion) == 0
    assert list(expansion) == []
    with pytest.raises(IndexError):
        expansion.take(0)


def test_a_take_of_a_million_is_computed_alone(
    plan: Plan, stepped: Any, songs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = [stepped(name, *range(20)) for name in "abc"]
    expansion = expand(plan(grid={name: list(range(20)) for name in "abc"}), rig, songs(150))
    assert len(expansion) == 1_200_000
    made = 0
    init = Setting.__init__

    def counted(self: Setting, values: Any) -> None:
        nonlocal made
        made += 1
        init(self, values)

    monkeypatch.setattr(Setting, "__init__", counted)
    rng = random.Random(1)
    for index in (0, 1_199_999, *(rng.randrange(1_200_000) for _ in range(50))):
        take = expansion.take(index)
        assert take.index == index
        assert take.song_id == f"song-{index % 150}"
    assert made == 52


def test_these_takes_are_planned_for_ever(plan: Plan, rig: Rig) -> None:
    song = PlannedSong("song-ab", "ab" * 32, 44100)
    expansion = expand(plan(extra={"random": {"count": 2, "seed": 1}}), rig, [song])
    assert [take.take_id for take in expansion] == [
        "9f365efbfd27b5362826",
        "28718c9f4a6172a8f1b3",
        "7a405b6927509790ea50",
        "493976bbeea5497c9348",
        "7046765b455778b4443d",
        "c69641305fb6c0523099",
        "12d6bb53cd9c3b4ed44e",
        "7d489c22a07031cd3109",
        "f3d655026f246ea0f095",
        "9e0b44853391b51990c9",
        "f211bf814a9764fdb117",
        "2b561dce9ddcf3262488",
        "8147a7e16c1a170bfa50",
        "8765489aaf90dad10048",
    ]


Labelled = dict[str, tuple[str, Setting, int, Any, Any]]


def labelled(expansion: Expansion) -> Labelled:
    def facts(take: Take) -> tuple[str, Setting, int, Any, Any]:
        return (take.song_id, take.setting, take.repeat, take.split, take.setting_split)

    return {take.take_id: facts(take) for take in expansion}


RICH = {
    "extra": {"random": {"count": 6, "seed": 3}},
    "splits": {"seed": 5, "test_songs": 2},
    "exclude": [{"when": {"ratio": 2, "threshold_db": -28}, "reason": "r"}],
}


@pytest.mark.parametrize("order", ["travel", "listed"])
@pytest.mark.parametrize("referenced", [True, False])
def test_what_is_added_moves_nothing(
    plan: Plan, rig: Rig, songs: Any, order: str, referenced: bool
) -> None:
    changed: dict[str, Any] = {**RICH, "order": {"settings": order}}
    if referenced:
        changed["reference"] = {"setting": OUTSIDE, "every_settings": 4}
    old = expand(plan(**changed), rig, songs(4))
    before = labelled(old)
    for added, count in (
        ({"extra": {"random": {"count": 20, "seed": 3}}}, 4),
        ({"splits": {"seed": 5, "test_songs": 3}}, 6),
        ({"exclude": []}, 4),
        ({}, 9),
    ):
        after = labelled(expand(plan(**{**changed, **added}), rig, songs(count), old.splits))
        assert before.items() <= after.items()
        assert len(after) > len(before) or added == {}
    grid = {"threshold_db": [-28, -24, -12], "release_s": [0.1, 0.4, "auto"], "ratio": [2, 4, 10]}
    new = expand(plan(**{**changed, "grid": grid}), rig, songs(4), old.splits)
    moved = {s for s in old.chosen.extras if s in new.chosen.grid}
    assert moved, "an extra that the grid has grown over is among these"
    kept = {key: row for key, row in before.items() if row[1] not in moved}
    assert kept.items() <= labelled(new).items()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 2**63 - 1), st.randoms())
def test_splits_are_exact_and_by_content(
    songs: Any, count: int, test_songs: int, seed: int, shuffler: random.Random
) -> None:
    test_songs = min(test_songs, count)
    listed = songs(count)
    result = assign(listed, seed, test_songs, {})
    assert sorted(result) == sorted(song.song_id for song in listed)
    assert sum(split == "test" for split in result.values()) == test_songs
    renamed = [PlannedSong("other-" + s.song_id, s.source_sha256, 1) for s in listed]
    shuffler.shuffle(renamed)
    again = assign(renamed, seed, test_songs, {})
    assert {name.removeprefix("other-"): split for name, split in again.items()} == result


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 99))
def test_known_songs_keep_their_split(
    songs: Any, count: int, added: int, test_songs: int, seed: int
) -> None:
    test_songs = min(test_songs, count)
    before = assign(songs(count), seed, test_songs, {})
    more = min(test_songs + added // 2, count + added)
    after = assign(songs(count + added), seed, more, before)
    assert before.items() <= after.items()
    possible = test_songs + added  # no known song may move to the test side
    assert sum(split == "test" for split in after.values()) == min(more, possible)


def test_the_seed_decides_the_split(songs: Any) -> None:
    made = {tuple(sorted(assign(songs(8), seed, 4, {}).items())) for seed in range(20)}
    assert len(made) > 10


def test_auto_stays_auto(plan: Plan, rig: Rig, songs: Any) -> None:
    values: list[Value] = [take.setting["release_s"] for take in expand(plan(), rig, songs(1))]
    assert values.count(AUTO) == 6
    assert all(value is AUTO or type(value) is float for value in values)


def test_the_order_is_a_permutation_of_whole_numbers(plan: Plan, rig: Rig, songs: Any) -> None:
    order = expand(plan(**RICH), rig, songs(4)).settings_order
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(len(order)))
