"""Faults by script: each is found, each take recorded again, the dataset true at the end."""

from __future__ import annotations

import pytest

from tests.session.conftest import Desk, hashes, rows

FOUND = {
    "swap": "swap",
    "{kind: invert, channels: [left]}": "polarity",
    "{kind: dead, channels: [right]}": "level_right_db",
    "{kind: lost_frames, frames: 1, at_s: 0.9}": "lag_tail_frames",
    "{kind: doubled_frames, frames: 1, at_s: 0.9}": "lag_tail_frames",
    "{kind: lost_frames, frames: 64, at_s: 0.9}": "lag_tail_frames",
    "{kind: gain, gain_db: 40}": "full_scale_run_frames",
    "cv_unplugged": "cv_scatter_db",
    "overflow": "stream_flags",
}


@pytest.mark.parametrize("fault", FOUND)
def test_a_fault_voids_the_take_which_is_recorded_again(desk: Desk, fault: str) -> None:
    desk.song("one.wav", 3.0, seed=1)
    desk.song("two.wav", 3.0, seed=2)
    plan = desk.plan(rig=desk.rig(faults=f"[ok, {fault}]"))
    said = desk.ok("run", plan, "--out", "d", "--limit", "3")
    void = [line for line in said.splitlines() if line.startswith("void")]
    assert len(void) == 1
    assert FOUND[fault] in void[0]
    assert sorted(row["attempts"] for row in rows(desk.folder / "d")) == ["1", "1", "2"]
    desk.ok("verify", "d")


def test_a_take_that_never_passes_is_rejected_and_the_session_goes_on(desk: Desk) -> None:
    plan = desk.plan(rig=desk.rig(faults="[ok, swap, swap, swap]"))
    said = desk.fails(3, "run", plan, "--out", "d")
    assert "1 take failed" in said
    assert len(rows(desk.folder / "d")) == 15
    status = desk.json("status", "d")
    assert (status["captured"], status["rejected"], status["remaining"]) == (15, 1, 0)
    kept = list((desk.folder / "d/evidence/rejected").rglob("*.flac"))
    assert len(kept) == 3
    (take,) = status["rejected_takes"]
    assert {desk.folder / "d" / name for name in take["files"]} == set(kept)
    (swap,) = [failed for failed in take["failed"] if failed["check"] == "swap"]
    assert swap["figure"] > swap["limit"]
    assert take["attempts"] == 3
    told = desk.ok("status", "d")
    assert f"rejected: {take['song_id']} at " in told
    assert f"swap: {swap['figure']:.4g} (limit {swap['limit']:g})" in told
    assert "(evidence/rejected" in told
    assert "--retry-rejected records these again" in told
    report = desk.json("verify", "d")
    assert report["ok"] is True
    assert report["rejected"] == 1


def test_a_device_that_is_lost_is_waited_for_and_its_take_recorded_again(desk: Desk) -> None:
    faults = "[ok, ok, {kind: unplug, at_s: 0.5}, ok, {kind: unplug, at_s: 1.5}]"
    said = desk.ok("run", desk.plan(rig=desk.rig(faults=faults)), "--out", "d")
    assert said.count("device lost") == said.count("device is back") == 2
    assert {row["attempts"] for row in rows(desk.folder / "d")} == {"1"}  # no fault of the take's
    assert not list((desk.folder / "d").rglob("*.part"))
    desk.ok("verify", "d")
    desk.plan("clean.yaml", rig="simulated")
    desk.ok("run", "clean.yaml", "--out", "clean")
    found, clean = (
        {name: sha for name, sha in hashes(desk.folder / out).items() if "calib" not in name}
        for out in ("d", "clean")
    )
    assert found == clean


def test_a_device_that_is_always_lost_ends_the_run(desk: Desk) -> None:
    """Not at once: it might come back. Not never: somebody must look at it."""
    plan = desk.plan(rig=desk.rig(faults=f"[ok, ok{', unplug' * 12}]"))
    said = desk.fails(4, "run", plan, "--out", "d")
    assert "lost 5 times" in said
    status = desk.json("status", "d")
    assert status["captured"] == 2
    assert status["last_fault"]
    desk.rig(faults="[]")
    desk.ok("run", plan, "--out", "d")
    desk.ok("verify", "d")


def test_no_signal_at_all_is_a_failure_with_its_reason(desk: Desk) -> None:
    plan = desk.plan(rig=desk.rig(always="[{kind: dead, channels: [left]}]"))
    assert "input left" in desk.fails(4, "run", plan, "--out", "d")
