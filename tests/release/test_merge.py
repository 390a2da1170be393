"""Sessions of the same plan, from several racks, in one dataset."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import capture.presets
from tests.session.conftest import Desk, hashes, rows

PLAN = """\
schema_version: 1
name: shared
rig: rig.yaml
songs: {paths: ["songs/*"]}
level: {normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}
sample_rate_hz: 44100
grid: {threshold_db: [-28, -20], attack_ms: [3], release_s: [0.1], ratio: [4]}
splits: {seed: 1, test_songs: 1}
"""


@pytest.fixture(scope="module")
def racks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``a`` has one take of four, ``b`` has two; both measured the law. ``whole`` has them all."""
    desk = Desk(tmp_path_factory.mktemp("racks"))
    desk.song("one.wav", 0.6, seed=1)
    desk.song("two.wav", 0.7, seed=2)
    (desk.folder / "rig.yaml").write_text(capture.presets.packaged("rig", "simulated"), "utf-8")
    (desk.folder / "plan.yaml").write_text(PLAN, "utf-8")
    for name, limit in (("a", 1), ("b", 2), ("whole", 9)):
        desk.ok("run", "plan.yaml", "--out", name, "--limit", str(limit))
    return desk.folder


@pytest.fixture
def desk(tmp_path: Path, racks: Path) -> Desk:
    shutil.copytree(racks, tmp_path, dirs_exist_ok=True)
    return Desk(tmp_path)


def edit(desk: Desk, dataset: str, statement: str) -> None:
    with sqlite3.connect(desk.folder / dataset / "ledger.sqlite") as ledger:
        ledger.execute(statement)
    ledger.close()


def test_no_take_is_taken_twice_and_the_rest_can_be_recorded(desk: Desk) -> None:
    found = desk.json("merge", "a", "b")
    assert found["merged"] == [{"dataset": "b", "taken": 1, "known": 1, "superseded": 0}]
    assert found["captured"] == 2
    assert "all as committed" in desk.ok("verify", "a")
    taken = {row["take_id"]: row for row in rows(desk.folder / "a")}
    there = {row["take_id"]: row for row in rows(desk.folder / "b")}
    assert set(taken) == set(there)
    for table, key in (
        ("calibrations", "calibration_id"),
        ("laws", "law_id"),
        ("sessions", "session_id"),
    ):
        ours = {row[key] for row in rows(desk.folder / "a", table)}
        assert {row[key] for row in rows(desk.folder / "b", table)} <= ours
        assert len(rows(desk.folder / "a", table)) == len(ours)
    assert desk.json("merge", "a", "b")["merged"][0]["taken"] == 0
    desk.ok("run", "plan.yaml", "--out", "a")
    assert {row["take_id"] for row in rows(desk.folder / "a")} == {
        row["take_id"] for row in rows(desk.folder / "whole")
    }
    assert "all as committed" in desk.ok("verify", "a")


def test_what_another_rack_measured_never_holds_for_this_one(desk: Desk) -> None:
    """The next run goes on with this rack's own last law, though the other's is newer."""
    own = rows(desk.folder / "a", "laws")[-1]["law_id"]
    desk.ok("merge", "a", "b", "whole")
    assert rows(desk.folder / "a", "laws")[-1]["law_id"] == own
    assert desk.json("status", "a")["last_law"]["law_id"] == own


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE songs SET split = CASE split WHEN 'test' THEN 'train' ELSE 'test' END", "is for "),
        ("UPDATE songs SET record = json_set(record, '$.input_sha256', 'f00')", "made otherwise"),
        ("UPDATE laws SET record = json_set(record, '$.law.gain_db_per_fs', -51.0)", "dB apart"),
        ("DELETE FROM laws", "in one of the datasets only"),
        ("UPDATE documents SET text = replace(text, '-12.0', '-13.0') WHERE kind = 'plan'",
         "level.target_db"),
        ("UPDATE documents SET text = replace(text, 'knee_db: 6.0', 'knee_db: 5.0')", "knee_db"),
        ("UPDATE takes SET take_id = 'x', record = json_set(record, '$.take_id', 'x') "
         "WHERE number = 1",
         "not in this dataset's plan"),
    ],
    ids=["split", "song", "law", "no-law", "plan", "rig", "take"],
)  # fmt: skip
def test_what_does_not_agree_is_not_merged(desk: Desk, statement: str, words: str) -> None:
    edit(desk, "b", statement)
    before = hashes(desk.folder / "a")
    said = desk.fails(2, "merge", "a", "b")
    assert words in said
    assert "nothing was merged" in said
    assert hashes(desk.folder / "a") == before


def test_every_disagreement_is_said_at_once(desk: Desk) -> None:
    edit(desk, "b", "UPDATE laws SET record = json_set(record, '$.law.gain_db_per_fs', -51.0)")
    edit(desk, "whole", "UPDATE songs SET record = json_set(record, '$.input_sha256', 'f00')")
    said = desk.fails(2, "merge", "a", "b", "whole")
    assert "dB apart" in said
    assert "made otherwise" in said


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"fLaC")])
def test_a_damaged_file_stops_it_and_what_is_whole_goes_on(
    desk: Desk, damage: Callable[[Path], object]
) -> None:
    last = rows(desk.folder / "whole")[-1]
    damage(desk.folder / "whole" / last["output_file"])
    assert last["output_file"] in desk.fails(5, "merge", "a", "whole")
    assert "all as committed" in desk.ok("verify", "a")
    shutil.copy(
        desk.folder / "whole" / last["input_file"], desk.folder / "whole" / last["output_file"]
    )
    assert "not as it was committed" in desk.fails(5, "merge", "a", "whole")
    desk.ok("merge", "a", "b")


def test_a_take_that_was_rejected_here_comes_from_there(desk: Desk) -> None:
    edit(
        desk, "a",
        "UPDATE takes SET status = 'rejected', record = "
        "replace(json_set(record, '$.status', 'rejected'), 'data/takes', 'evidence/rejected')",
    )  # fmt: skip
    (desk.folder / "a/data/takes").rename(desk.folder / "a/evidence/rejected")
    desk.ok("merge", "a", "b")
    assert {row["take_id"] for row in rows(desk.folder / "a")} == {
        row["take_id"] for row in rows(desk.folder / "b")
    }
    assert "all as committed" in desk.ok("verify", "a")


def test_what_is_no_dataset_is_refused(desk: Desk) -> None:
    assert "is no dataset folder" in desk.fails(2, "merge", "a", "songs")


def test_the_racks_may_be_two_files_of_one_rig(desk: Desk) -> None:
    """Handling is no fact of a rig: where the device is waited for, how long."""
    rig = yaml.safe_load((desk.folder / "rig.yaml").read_text("utf-8"))
    rig["audio"]["wait_for_device_s"] = 5
    (desk.folder / "rig.yaml").write_text(yaml.safe_dump(rig, sort_keys=False), "utf-8")
    desk.ok("run", "plan.yaml", "--out", "c", "--limit", "2")
    assert desk.json("merge", "a", "c")["captured"] == 2
