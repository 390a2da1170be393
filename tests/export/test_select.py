"""Subsets: deterministic, nested, with their splits; queries; slices; errors in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.dataset import select
from capture.dataset.select import Selection
from capture.dataset.snapshot import Snapshot, snapshot
from capture.errors import BadInput
from capture.model import AUTO
from tests.export.made import Song, make, setting

SONGS = [
    Song(f"song-{i}", 36.0 * (1 + i % 3), "test" if i % 3 == 0 else "train") for i in range(12)
]
SETTINGS = [
    (setting(threshold_db, release_s, ratio), "unseen" if ratio == 10 else "seen")
    for threshold_db in (-28.0, -20.0)
    for release_s in (0.1, AUTO)
    for ratio in (2.0, 4.0, 10.0)
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot(make(tmp_path_factory.mktemp("made") / "ds", SONGS, SETTINGS, sound=None))


def rows(found: Snapshot, **wanted: object) -> list[dict[str, object]]:
    return select.takes(found, Selection(**wanted)).to_pylist()  # type: ignore[arg-type]


def ids(found: Snapshot, **wanted: object) -> set[object]:
    return {row["take_id"] for row in rows(found, **wanted)}


def test_without_a_selection_it_is_all(found: Snapshot) -> None:
    assert len(rows(found)) == len(SONGS) * len(SETTINGS)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_a_smaller_part_is_in_every_larger_one(found: Snapshot, seed: int) -> None:
    for name, sizes in (("songs", [str(n) for n in range(1, 13)]), ("hours", [0.3, 0.9, 1.7, 2.8])):
        before: set[object] = set()
        for size in sizes:
            now = ids(found, seed=seed, **{name: size})
            assert before < now
            before = now
    assert len(before) <= 144


def test_a_number_of_songs_is_that_number_and_keeps_its_splits(found: Snapshot) -> None:
    split = {song.name: song.split for song in SONGS}
    for count in range(1, 13):
        songs = {row["song_id"] for row in rows(found, songs=str(count), seed=3)}
        assert len(songs) == count
        test = sum(split[str(song)] == "test" for song in songs)
        assert abs(test - count / 3) < 1  # a third of the songs are for testing
        assert all(row["split"] == split[str(row["song_id"])] for row in rows(found, songs="5"))


def test_another_seed_is_another_part(found: Snapshot) -> None:
    assert len({frozenset(ids(found, songs="4", seed=seed)) for seed in range(5)}) > 1


def test_hours_are_not_more_than_asked_and_not_a_take_less(found: Snapshot) -> None:
    for hours in (0.2, 1.0, 2.5):
        chosen = sum(row["num_frames"] for row in rows(found, hours=hours)) / 44100 / 3600
        assert hours - 108 / 3600 < chosen <= hours + 1e-9
    everything = sum(song.seconds for song in SONGS) * len(SETTINGS) / 3600
    assert len(rows(found, hours=everything)) == 144


def test_takes_come_song_by_song(found: Snapshot) -> None:
    songs = [row["song_id"] for row in rows(found, hours=2.0)]
    assert songs == sorted(songs)


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("ratio >= 4", lambda row: row["ratio"] >= 4),
        ("ratio=4,threshold_db<-20", lambda row: row["ratio"] == 4 and row["threshold_db"] < -20),
        ("release_s = auto", lambda row: row["release_auto"]),
        ("release_s != auto", lambda row: not row["release_auto"]),
        ("release_s = 0.1|auto", lambda row: True),
        ("release_s = null", lambda row: row["release_s"] is None),
        ("release_s < 1", lambda row: row["release_s"] is not None),
        ("release_auto = true", lambda row: row["release_auto"]),
        ("setting_split = unseen", lambda row: row["ratio"] == 10),
        ("split != test , ratio = 2|10", lambda r: r["split"] == "train" and r["ratio"] != 4),
        ("num_frames > 2000000", lambda row: row["num_frames"] > 2_000_000),
    ],
)
def test_a_query_is_what_it_says(found: Snapshot, query: str, holds: object) -> None:
    wanted = {row["take_id"] for row in rows(found) if holds(row)}  # type: ignore[operator]
    assert wanted
    assert ids(found, settings=query) == wanted


def test_songs_are_counted_among_those_that_the_query_leaves(found: Snapshot) -> None:
    chosen = rows(found, songs="5", settings="split = train, ratio = 2")
    assert len({row["song_id"] for row in chosen}) == 5
    assert {row["split"] for row in chosen} == {"train"}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"settings": "ration = 4"}, ["no column ration", "'ratio'"]),
        ({"settings": "ratio = four"}, ["ratio", "'four' is not a number"]),
        ({"settings": "ratio"}, ["'ratio' is no condition", "= != < <= > >="]),
        ({"settings": "split > test"}, ["split is no number"]),
        ({"settings": "release_auto = 1"}, ["true or false"]),
        ({"settings": "ratio = 3"}, ["no take is as --settings asks"]),
        ({"settings": "a = 1, b = 2"}, ["no column a", "no column b"]),
        ({"settings": "__import__('os').system('true')"}, ["is no condition"]),
        ({"songs": "13"}, ["--songs 13", "12 songs"]),
        ({"songs": "0"}, ["--songs 0"]),
        ({"songs": "song-1,sing-2"}, ["no song sing-2", "'song-2'"]),
        ({"songs": ","}, ["--songs ','"]),
        ({"hours": 9.9}, ["--hours 9.9"]),
        ({"hours": -1.0}, ["--hours -1"]),
        ({"hours": 0.001}, ["less than the first take"]),
        ({"hours": float("nan")}, ["--hours nan"]),
    ],
)
def test_what_there_is_not_is_refused_in_words(
    found: Snapshot, wanted: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(BadInput) as error:
        rows(found, **wanted)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_songs_can_be_named(found: Snapshot) -> None:
    assert select.song_ids(found, "song-3, song-7") == {"song-3", "song-7"}
    assert select.song_ids(found, None) is None
    assert select.song_ids(found, "4", seed=3) == {
        row["song_id"] for row in rows(found, songs="4", seed=3)
    }
    slices = [select.song_ids(found, None, part=f"{number}/5") or set() for number in range(1, 6)]
    assert set().union(*slices) == {song.name for song in SONGS}
    assert sum(map(len, slices)) == 12


@given(st.lists(st.integers(), max_size=40), st.integers(1, 50))
def test_slices_share_nothing_and_are_everything(items: list[int], count: int) -> None:
    slices = [select.every(items, f"{number}/{count}") for number in range(1, count + 1)]
    assert sorted(item for one in slices for item in one) == sorted(items)
    assert max(map(len, slices)) - min(map(len, slices)) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "4", "1/0", "a/b", "1/2/3", "-1/2", "1.0/2"])
def test_a_slice_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="NUMBER/COUNT"):
        select.every([1, 2, 3], text)


@given(
    st.lists(st.tuples(st.uuids().map(str), st.sampled_from(["train", "test", None])), unique=True),
    st.integers(0, 5),
)
def test_every_beginning_has_each_side_in_proportion(
    items: list[tuple[str, str | None]], seed: int
) -> None:
    order = select.dealt(items, seed, lambda item: item[0], lambda item: item[1])
    assert sorted(order, key=str) == sorted(items, key=str)
    backwards = select.dealt(items[::-1], seed, lambda item: item[0], lambda item: item[1])
    assert backwards == order  # no name and no order decides
    for side in ("train", "test", None):
        share = sum(item[1] == side for item in items) / max(len(items), 1)
        for count in range(1, len(items) + 1):
            has = sum(item[1] == side for item in order[:count])
            assert abs(has - share * count) <= 1.5


def test_another_machine_has_the_same_part(found: Snapshot, tmp_path: Path) -> None:
    moved = snapshot(make(tmp_path / "elsewhere", SONGS[::-1], SETTINGS, sound=None))
    assert ids(moved, songs="5", seed=2) == ids(found, songs="5", seed=2)
