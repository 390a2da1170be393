"""Releases: frozen, numbered, and all that was ever released is still there."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.session.conftest import Desk, hashes, rows

Change = Callable[[str, str], None]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def take_file(desk: Desk, kind: str = "out") -> Path:
    return min((desk.folder / "d/data/takes").rglob(f"*.{kind}.flac"))


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_release_is_frozen_and_touches_no_audio(desk: Desk) -> None:
    before = hashes(desk.folder / "d")
    found = desk.json("release", "d", "1.0.0")
    assert (found["takes"], found["songs"], found["settings"]) == (8, 2, 4)
    assert found["missing"] == {"takes": 0, "by_reason": {}}
    assert hashes(desk.folder / "d") == before
    assert {row["added_in"] for row in rows(desk.folder / "d")} == {"1.0.0"}
    sums = subprocess.run(
        ["sha256sum", "-c", "--quiet", "releases/1.0.0/SHA256SUMS"],
        cwd=desk.folder / "d", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert sums.returncode == 0, sums.stdout
    listed = (desk.folder / "d/releases/1.0.0/SHA256SUMS").read_text().splitlines()
    assert set(before) <= {line.partition("  ")[2] for line in listed}
    assert "all as committed" in desk.ok("verify", "d")


def test_numbers_follow_what_changed(desk: Desk, change: Change) -> None:
    desk.ok("release", "d", "0.1.0")
    frozen = contents(desk.folder / "d/releases/0.1.0")
    assert "must be 0.1.1" in desk.fails(2, "release", "d", "0.2.0")
    desk.ok("release", "d", "0.1.1")
    change("ratio: [4]", "ratio: [4, 10]")
    desk.ok("run", "plan.yaml", "--out", "d", "--limit", "3")
    said = desk.fails(2, "release", "d", "0.1.2")
    assert "must be 0.2.0" in said
    assert "3 takes were added" in said
    found = desk.json("release", "d", "0.2.0")
    assert found["missing"] == {"takes": 5, "by_reason": {"not recorded yet": 5}}
    assert (
        "The plan has 5 takes more" in (desk.folder / "d/releases/0.2.0/CHANGELOG.md").read_text()
    )
    assert contents(desk.folder / "d/releases/0.1.0") == frozen
    changes = desk.json("diff", "d", "0.1.0", "0.2.0")
    assert (changes["bump"], len(changes["added"])) == ("minor", 3)
    assert (
        sorted(row["added_in"] for row in rows(desk.folder / "d")) == ["0.1.0"] * 8 + ["0.2.0"] * 3
    )


def test_a_take_recorded_again_is_a_new_file_and_the_old_one_stays(desk: Desk) -> None:
    """A released take that is damaged: its row stays, in the releases that had it, and here."""
    desk.ok("release", "d", "1.0.0")
    old = take_file(desk)
    flip(old)
    assert "nothing is released while anything is damaged" in desk.fails(5, "release", "d", "1.0.1")
    desk.ok("run", "plan.yaml", "--out", "d", "--repair")
    assert "must be 2.0.0" in desk.fails(2, "release", "d", "1.1.0")
    desk.ok("release", "d", "2.0.0")
    changes = desk.json("diff", "d", "1.0.0", "2.0.0")
    ((before, after),) = changes["superseded"]
    by_id = {row["take_id"]: row for row in rows(desk.folder / "d")}
    assert by_id[before]["superseded_by"] == after
    assert by_id[after]["repeat"] == "1001"
    assert by_id[after]["added_in"] == "2.0.0"
    assert (desk.folder / "d" / by_id[after]["output_file"]).is_file()
    assert not old.exists()  # it was not the released file any more: lost+found has it
    assert "all as committed" in desk.ok("verify", "d")
    said = desk.fails(5, "verify", "d", "--release", "1.0.0")
    assert old.name in said
    assert "all as committed" in desk.ok("verify", "d", "--release", "2.0.0")
    assert "nothing to do" in desk.ok("run", "plan.yaml", "--out", "d")


def test_unfinished_and_rejected_takes_are_in_no_release(desk: Desk) -> None:
    shutil.rmtree(desk.folder / "d")
    desk.ok("run", "plan.yaml", "--out", "d", "--limit", "2")
    assert desk.json("release", "d", "0.1.0")["missing"]["takes"] == 6
    assert len((desk.folder / "d/releases/0.1.0/takes.csv").read_text().splitlines()) == 3


def test_whose_it_is_may_change_at_any_time(desk: Desk, change: Change) -> None:
    """It is said of the data, and is none of it: a PATCH."""
    desk.ok("release", "d", "1.0.0")
    change("CC-BY-4.0", "CC0-1.0")
    assert "nothing to do" in desk.ok("run", "plan.yaml", "--out", "d")
    assert "CC-BY-4.0" in (desk.folder / "d/README.md").read_text()
    desk.ok("release", "d", "1.0.1")
    assert "CC0-1.0" in (desk.folder / "d/README.md").read_text()
    assert "all as committed" in desk.ok("verify", "d")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("1.0", "write three numbers"),
        ("one", "write three numbers"),
        ("1.0.0-rc1", "three numbers"),
    ],
)
def test_what_is_no_version_is_refused(desk: Desk, number: str, words: str) -> None:
    assert words in desk.fails(2, "release", "d", number)
    assert not (desk.folder / "d/releases").exists()


def test_a_release_is_made_once(desk: Desk) -> None:
    desk.ok("release", "d", "1.0.0")
    assert "is there already" in desk.fails(2, "release", "d", "1.0.0")
    assert "has no release 3.0.0; it has: 1.0.0" in desk.fails(2, "diff", "d", "1.0.0", "3.0.0")


def test_nothing_captured_is_nothing_to_release(desk: Desk) -> None:
    shutil.rmtree(desk.folder / "d")
    desk.ok("run", "plan.yaml", "--out", "d", "--limit", "0")
    assert "nothing is captured yet" in desk.fails(2, "release", "d", "1.0.0")
    assert "is no dataset folder" in desk.fails(2, "release", "songs", "1.0.0")


def test_a_crash_before_the_commit_point_leaves_no_release(desk: Desk) -> None:
    """The folder is there, and the ledger's row is not."""
    shutil.copytree(desk.folder / "d/manifest", desk.folder / "manifest")
    desk.ok("release", "d", "1.0.0")
    shutil.rmtree(desk.folder / "d/manifest")
    (desk.folder / "manifest").rename(desk.folder / "d/manifest")
    with sqlite3.connect(desk.folder / "d/ledger.sqlite") as ledger:
        ledger.execute("DELETE FROM releases")
        ledger.execute("UPDATE takes SET added_in = NULL")
    ledger.close()
    assert "releases/1.0.0: the ledger knows no such release" in desk.fails(5, "verify", "d")
    desk.ok("release", "d", "1.0.0")
    assert (desk.folder / "d/lost+found/releases/1.0.0").is_dir()
    assert "all as committed" in desk.ok("verify", "d")


def _drop(desk: Desk) -> str:
    path = take_file(desk, "cv")
    path.unlink()
    return path.name


def _add(desk: Desk) -> str:
    path = take_file(desk).with_name("another.flac")
    shutil.copy(take_file(desk), path)
    return path.name


def _swap(desk: Desk) -> str:
    one, two = sorted((desk.folder / "d/data/takes").rglob("*.out.flac"))[:2]
    spare = one.with_suffix(".spare")
    one.rename(spare)
    two.rename(one)
    spare.rename(two)
    return one.name


def _byte(desk: Desk) -> str:
    path = take_file(desk)
    flip(path)
    return path.name


def _edit(desk: Desk, file: str) -> str:
    path = desk.folder / "d" / file
    text = path.read_text("utf-8")
    assert "-28.0" in text
    path.write_text(text.replace("-28.0", "-20.0", 1), "utf-8")
    return file


def _path(desk: Desk) -> str:
    with sqlite3.connect(desk.folder / "d/ledger.sqlite") as ledger:
        ledger.execute(
            "UPDATE takes SET record = json_set(record, '$.output_file', '../songs/one.wav') "
            "WHERE number = 1"
        )
    ledger.close()
    return "../songs/one.wav"


def _link(desk: Desk) -> str:
    path = take_file(desk)
    outside = desk.folder / "outside.flac"
    path.rename(outside)
    path.symlink_to(outside)
    return path.name


def _link_of_a_folder(desk: Desk) -> str:
    path = take_file(desk).parent
    outside = desk.folder / "outside"
    path.rename(outside)
    path.symlink_to(outside)
    return path.name


@pytest.mark.parametrize(
    "damage",
    [
        _byte, _drop, _add, _swap, _path, _link, _link_of_a_folder,
        lambda desk: _edit(desk, "manifest/takes.csv"),
        lambda desk: _edit(desk, "releases/1.0.0/takes.csv"),
        lambda desk: _edit(desk, "releases/1.0.0/settings.csv"),
    ],
    ids=["byte", "drop", "add", "swap", "path", "link", "folder", "label", "frozen", "setting"],
)  # fmt: skip
def test_damage_is_found_and_named(desk: Desk, damage: Callable[[Desk], str]) -> None:
    desk.ok("release", "d", "1.0.0")
    name = damage(desk)
    assert name in desk.fails(5, "verify", "d")
    assert name in desk.fails(5, "release", "d", "1.0.1")


def test_whoever_cannot_write_makes_no_release(desk: Desk) -> None:
    """Another run holds the dataset."""
    import filelock

    with filelock.FileLock(desk.folder / "d/.lock"):
        assert "another run holds this dataset" in desk.fails(7, "release", "d", "1.0.0")
    desk.ok("release", "d", "1.0.0")
