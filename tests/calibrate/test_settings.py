"""A setting is proven by its sound; a knob that slipped is found, named and set again."""

from __future__ import annotations

from typing import Any

from tests.calibrate.conftest import Rack
from tests.session.conftest import Desk, rows


def slips(*faults: Any) -> dict[str, Any]:
    return {"simulation.faults": list(faults)}


def test_a_knob_that_slipped_is_named_and_set_again(desk: Desk, rack: Rack) -> None:
    slip = {"kind": "knob_slips", "control": "ratio", "actual": 2}
    plan = desk.plan(rig=rack(slips("ok", "ok", "ok", "ok", slip)), ratios="2, 4", releases="0.1")
    desk.ok("calibrate", plan, "--out", "d", "--enrol")
    assert "each setting of the plan is proven by its sound" in desk.ok("check", plan, "--out", "d")
    said = desk.ok("run", plan, "--out", "d")
    assert "setting contradicted" in said
    assert "ratio looks like 2: set it again" in said
    takes, proofs = rows(desk.folder / "d"), rows(desk.folder / "d", "fingerprints")
    assert {take["fingerprint_verdict"] for take in takes} == {"confirmed"}
    assert {take["knobs_confirmed"] for take in takes} == {"measured"}
    wrong = [proof for proof in proofs if proof["verdict"] == "contradicted"]
    assert [(proof["wrong"]) for proof in wrong] == ["ratio 2"]
    assert all(take["measured_ratio"] and take["measured_attack_ms"] for take in takes)
    (enrolment,) = rows(desk.folder / "d", "enrolments")
    assert {proof["enrolment_id"] for proof in proofs} == {enrolment["enrolment_id"]}
    assert int(enrolment["probes"]) == len(enrolment["settings"].split("; ")) > 5
    assert desk.json("verify", "d")["ok"]


def test_a_knob_that_is_stuck_ends_the_run_and_nothing_is_recorded(desk: Desk, rack: Rack) -> None:
    slip = {"kind": "knob_slips", "control": "attack_ms", "actual": 3}
    plan = desk.plan(rig=rack(slips("ok", "ok", slip, slip, slip)), releases="0.1")
    desk.ok("calibrate", plan, "--out", "d", "--enrol")
    said = desk.fails(4, "run", plan, "--out", "d")
    assert "the sound said otherwise" in said
    assert "attack_ms looks like 3" in said
    assert desk.json("status", "d")["captured"] == 2  # at the setting before


def test_without_enrolment_nothing_is_claimed(desk: Desk) -> None:
    plan = desk.plan(releases="0.1")
    desk.ok("run", plan, "--out", "d")
    takes = rows(desk.folder / "d")
    assert {take["fingerprint_verdict"] for take in takes} == {"not verifiable"}
    assert {take["knobs_confirmed"] for take in takes} == {"acknowledged"}
    assert all(take["measured_ratio"] for take in takes)


def test_the_setting_of_the_law_is_proven_like_any_other(desk: Desk, rack: Rack) -> None:
    rig = rack({"calibration.setting.ratio": 4})
    plan = desk.plan(rig=rig, releases="0.1")
    desk.ok("run", plan, "--out", "d")  # the first takes are at that very setting
    proofs = {proof["fingerprint_id"]: proof for proof in rows(desk.folder / "d", "fingerprints")}
    for take in rows(desk.folder / "d"):
        assert proofs[take["fingerprint_id"]]["setting_id"] == take["setting_id"]
