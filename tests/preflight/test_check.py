"""`capture check` as its users run it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.session.conftest import Desk, desk

__all__ = ["desk"]


def check(desk: Desk, code: int, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    """The findings by name, of a check that must end with ``code``."""
    done = desk.capture("check", *arguments, "--json")
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    assert bool(done.stderr.strip()) == bool(code)
    report = json.loads(done.stdout)
    assert report["ok"] == (code == 0)
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in report["findings"]:
        found.setdefault(finding["name"], []).append(finding)
    return found


def failed(found: dict[str, list[dict[str, Any]]]) -> set[str]:
    return {name for name, all_of in found.items() for f in all_of if f["status"] == "fail"}


def test_a_sound_rig_passes_and_nothing_is_written(desk: Desk) -> None:
    before = sorted(desk.folder.rglob("*"))
    plan = desk.plan()
    said = desk.ok("check", plan)
    assert "987.310" in said
    assert "0 failed" not in said
    assert "no take was recorded" in said
    assert sorted(desk.folder.rglob("*")) == sorted([*before, desk.folder / plan])


SOUND = {
    "swap": {"return left", "return right"},
    "{kind: invert, channels: [right]}": {"polarity right"},
    "{kind: dead, channels: [left]}": {"return left"},
    "{kind: gain, gain_db: -50}": {"return left", "return right"},
    "overflow": {"stream in silence", "stream in probe"},
    "knob": {"knobs"},
    "{kind: lost_frames, frames: 3000, at_s: 0.9}": {"latency right"},
    "{kind: unplug, at_s: 0.5}": {"sound"},
    "cv_unplugged": set(),
}


@pytest.mark.parametrize("fault", SOUND)
def test_each_fault_of_the_rig_is_named(desk: Desk, fault: str) -> None:
    plan = desk.plan(rig=desk.rig(always=f"[{fault}]"))
    found = check(desk, 4 if SOUND[fault] else 0, plan)
    assert failed(found) == SOUND[fault]


def test_a_dead_cv_is_not_claimed_to_be_alive(desk: Desk) -> None:
    plan = desk.plan(rig=desk.rig(always="[cv_unplugged]"))
    (finding,) = check(desk, 0, plan)["cv at rest"]
    assert "not verifiable at rest" in finding["message"]


def test_several_faults_of_the_rig_come_at_once(desk: Desk) -> None:
    faults = "[{kind: dead, channels: [left]}, {kind: invert, channels: [right]}, overflow, knob]"
    found = check(desk, 4, desk.plan(rig=desk.rig(always=faults)))
    assert failed(found) == {
        "return left", "polarity right", "stream in silence", "stream in probe", "knobs",
    }  # fmt: skip


def test_plan_song_disk_and_rig_are_all_looked_at_in_one_go(desk: Desk) -> None:
    (desk.folder / "songs/broken.wav").write_bytes(b"RIFF of no use")
    (desk.folder / "file").write_text("in the way")
    plan = desk.plan(rig=desk.rig(always="[swap]"))
    found = check(desk, 2, plan, "--out", "file/dataset")
    assert failed(found) == {"songs", "right to write", "return left", "return right"}
    assert "broken.wav" in found["songs"][0]["message"]
    assert "a file stands where a folder is needed" in found["right to write"][0]["message"]


def test_every_fault_of_a_plan_and_the_sound_of_its_rig_nevertheless(desk: Desk) -> None:
    plan = desk.plan(rig=desk.rig(always="[swap]"), ratios="4, 77", more="colour: red")
    found = check(desk, 2, plan)
    assert {"plan and rig", "return left", "return right"} == failed(found)
    said = " ".join(finding["message"] for finding in found["plan and rig"])
    assert "colour" in said
    assert "77" in said
    assert found["dataset"][0]["status"] == "skipped"


def test_a_pattern_that_finds_no_song_is_a_fault_with_its_line(desk: Desk) -> None:
    text = (desk.folder / desk.plan()).read_text("utf-8").replace("songs/*", "nowhere/*")
    (desk.folder / "plan.yaml").write_text(text, "utf-8")
    (finding,) = check(desk, 2, "plan.yaml")["songs"]
    assert "plan.yaml, line 4" in finding["message"]


def test_a_right_that_is_missing_alone_is_exit_code_6(desk: Desk) -> None:
    (desk.folder / "file").write_text("in the way")
    found = check(desk, 6, desk.plan(), "--out", "file/dataset")
    assert failed(found) == {"right to write"}


def test_room_for_a_plan_that_no_disk_holds(desk: Desk) -> None:
    huge_wav(desk.folder / "songs/huge.wav")
    plan = desk.plan(releases="0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6", ratios="1.5, 2, 3, 4, 5")
    found = check(desk, 6, plan)
    assert failed(found) == {"room"}
    assert "MB free" in found["room"][0]["message"]


def huge_wav(path: Path) -> None:
    """Three days of 8-bit mono, as its header says; a hole on the disk."""
    frames = 2_000_000_000
    head = struct.pack(
        "<4sI8sIHHIIHH", b"RIFF", frames + 36, b"WAVEfmt ", 16, 1, 1, 8000, 8000, 1, 8
    )
    with path.open("wb") as file:
        file.write(head + struct.pack("<4sI", b"data", frames))
        file.truncate(frames + 44)


def test_a_missing_driver_keeps_the_rig_silent(desk: Desk) -> None:
    text = (desk.folder / desk.rig()).read_text("utf-8")
    text = text.replace("  driver: simulated\n  sample", "  driver: portaudio\n"
        "  device: {name: nowhere, inputs: 4, outputs: 2}\n  sample")  # fmt: skip
    (desk.folder / "real.yaml").write_text(text + "rack: {control_port: 49152}\n", "utf-8")
    found = check(desk, 4, desk.plan(rig="real.yaml"))
    assert failed(found) & {"drivers", "audio device"}
    assert found["sound"][0]["status"] == "skipped"
    assert "return left" not in found


def test_what_is_captured_counts_as_done(desk: Desk) -> None:
    plan = desk.plan()
    whole = check(desk, 0, plan, "--out", "d")["room"][0]["message"]
    desk.ok("run", plan, "--out", "d")
    rest = check(desk, 0, plan, "--out", "d")
    assert whole.startswith("13 MB") or whole.startswith("12 MB"), whole
    assert rest["room"][0]["message"].startswith("0 MB")
    assert "16 takes are done" in rest["dataset"][0]["message"]


def test_a_dataset_that_was_begun_with_something_else(desk: Desk) -> None:
    plan = desk.plan()
    desk.ok("run", plan, "--out", "d", "--limit", "1")
    text = (desk.folder / plan).read_text("utf-8").replace("target_db: -12.0", "target_db: -9.0")
    (desk.folder / plan).write_text(text, "utf-8")
    (finding,) = check(desk, 2, plan, "--out", "d")["dataset"]
    assert "target_db" in finding["message"]


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(desk: Desk) -> None:
    plan = desk.plan()
    found = check(desk, 2, plan, "--out", "songs")
    assert failed(found) == {"dataset"}
    assert sorted(p.name for p in (desk.folder / "songs").iterdir()) == ["one.wav", "two.wav"]


def test_a_damaged_ledger_is_exit_code_5(desk: Desk) -> None:
    plan = desk.plan()
    desk.ok("run", plan, "--out", "d", "--limit", "1")
    (desk.folder / "d/ledger.sqlite").write_bytes(b"no ledger" * 1000)
    assert failed(check(desk, 5, plan, "--out", "d")) == {"dataset"}


def test_a_dataset_that_another_run_holds_is_a_note_and_nothing_is_played(desk: Desk) -> None:
    plan = desk.plan()
    desk.ok("run", plan, "--out", "d", "--limit", "1")
    with FileLock(Path(desk.folder, "d", ".lock")):
        found = check(desk, 0, plan, "--out", "d")
    assert "another run holds" in found["dataset"][0]["message"]
    assert found["sound"][0]["status"] == "skipped"
    assert "return left" not in found
