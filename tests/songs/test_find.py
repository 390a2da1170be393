"""Which files a plan's patterns mean, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.songs.find import find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "songs/b.wav",
        "songs/a.wav",
        "songs/deep/er/c.wav",
        "songs/deep/d.flac",
        "songs/.hidden.wav",
        "songs/.cache/e.wav",
        "songs/Song [live].wav",
        "notes.txt",
    ):
        path = tmp_path / "plan" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "outside.wav").touch()
    return tmp_path / "plan"


def where(folder: Path, *paths: str, exclude: tuple[str, ...] = ()) -> list[str]:
    return [source.where for source in find(paths, exclude, folder).sources]


def test_sorted_within_a_pattern_and_hidden_ones_skipped(folder: Path) -> None:
    assert where(folder, "songs/**/*.wav") == [
        "songs/Song [live].wav",
        "songs/a.wav",
        "songs/b.wav",
        "songs/deep/er/c.wav",
    ]


def test_patterns_keep_their_order_and_each_file_comes_once(folder: Path) -> None:
    assert where(folder, "songs/b.wav", "songs/*.wav", "./songs/../songs/a.wav") == [
        "songs/b.wav",
        "songs/Song [live].wav",
        "songs/a.wav",
    ]


def test_a_path_is_taken_by_the_letter_before_it_is_a_pattern(folder: Path) -> None:
    (source,) = find(["songs/Song [live].wav"], [], folder).sources
    assert source.name == "Song [live]"
    assert source.path == folder / "songs/Song [live].wav"


def test_a_symbolic_link_to_a_listed_file_is_the_same_file(folder: Path) -> None:
    (folder / "songs/z.wav").symlink_to(folder / "songs/a.wav")
    assert where(folder, "songs/a.wav", "songs/z.wav") == ["songs/a.wav"]


def test_absolute_home_and_outside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert where(folder, f"{folder}/songs/a*") == ["songs/a.wav"]
    assert where(folder, "../*.wav") == ["../outside.wav"]
    outside = str(folder.parent / "outside.wav")
    assert where(folder, outside) == [outside]
    monkeypatch.setenv("HOME", str(folder.parent))
    assert where(folder, "~/*.wav") == [outside]
    assert where(folder, "~/*.wav", exclude=("~/out*",)) == []


def test_directories_are_not_songs(folder: Path) -> None:
    found = find(["songs", "songs/*"], ["songs/*.wav"], folder)
    assert found.sources == ()
    assert [fault.path for fault in found.unmatched] == [("songs", "paths", 0)]


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ("songs/a.wav", ["songs/b.wav", "songs/deep/er/c.wav"]),
        ("songs/deep/**", ["songs/a.wav", "songs/b.wav"]),
        ("**/c.*", ["songs/a.wav", "songs/b.wav"]),
        ("**/*", []),
        ("songs/[ab].wav", ["songs/deep/er/c.wav"]),
        ("songs/*", ["songs/deep/er/c.wav"]),
    ],
)
def test_exclude(folder: Path, exclude: str, left: list[str]) -> None:
    (folder / "songs/Song [live].wav").unlink()
    found = find(["songs/**/*.wav"], [exclude], folder)
    assert [source.where for source in found.sources] == left
    assert not found.idle


def test_what_matches_nothing_is_reported_all_at_once(folder: Path) -> None:
    found = find(["songs/*.mp3", "songs/a.wav", "demo:drumz"], ["*.wav"], folder)
    assert len(found.sources) == 1
    no_file, no_demo = found.unmatched
    assert no_file.path == ("songs", "paths", 0)
    assert "'songs/*.mp3'" in no_file.message
    assert no_demo.path == ("songs", "paths", 2)
    assert "demo:bass, demo:chords, demo:drums, demo:groove" in no_demo.message
    assert [fault.path for fault in found.idle] == [("songs", "exclude", 0)]


def test_demo_songs(folder: Path) -> None:
    assert where(folder, "demo:groove", "demo:*", exclude=("demo:b*",)) == [
        "demo:groove",
        "demo:chords",
        "demo:drums",
    ]


def test_a_name_that_is_no_utf8_can_still_be_stored(folder: Path) -> None:
    (folder / "songs/caf\udce9.wav").touch()
    (source,) = find(["songs/caf*"], [], folder).sources
    assert (source.name, source.where) == ("caf\\xe9", "songs/caf\\xe9.wav")
    assert source.path is not None
    assert source.path.is_file()
