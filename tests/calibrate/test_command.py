"""``capture calibrate``, as a process on the simulated rig: what it says, stores, refuses."""

from __future__ import annotations

import json

import pytest

from tests.calibrate.conftest import Rack
from tests.session.conftest import Desk, rows


@pytest.fixture
def plan(desk: Desk) -> str:
    return desk.plan()


def test_latency_and_law_are_measured_and_said(desk: Desk, plan: str) -> None:
    said = desk.json("calibrate", plan, "--out", "d")
    law = said["law"]
    volts_per_db = law["volts_per_fs"] / law["law"]["gain_db_per_fs"]
    assert volts_per_db == pytest.approx(-0.0497, rel=2e-4)  # the simulated unit's
    assert law["law"]["origin"] == "measured"
    assert law["rest_v"] == pytest.approx(0.0031 + 3e-5 * 2.5, abs=2e-4)  # and the input's DC
    assert law["corner_hz"] is None  # DC-coupled
    assert law["accuracy_db"] < 0.01
    assert law["deepest_gain_db"] < -20
    # -5 dB of return gain, and channels 0.05 dB apart.
    assert law["static_left_db"] == pytest.approx(-4.975, abs=0.01)
    assert law["static_right_db"] == pytest.approx(-5.025, abs=0.01)
    assert said["latency"]["latency_frames"] == 987
    assert said["withdrawn"] == 0


def test_people_see_each_figure_with_its_uncertainty(desk: Desk, plan: str) -> None:
    said = desk.ok("calibrate", plan, "--out", "d")
    assert "latency left" in said
    assert "+-" in said
    assert "dB/V" in said
    assert "as the plan's return_gain_db says" in said
    assert "--voltmeter asks" in said


def test_the_next_run_takes_the_law_and_closes_the_bracket(desk: Desk, plan: str) -> None:
    before = desk.json("calibrate", plan, "--out", "d")["law"]
    desk.ok("run", plan, "--out", "d")
    takes, laws = rows(desk.folder / "d"), rows(desk.folder / "d", "laws")
    calibrations = {c["calibration_id"]: c for c in rows(desk.folder / "d", "calibrations")}
    assert {calibrations[take["calibration_id"]]["law_id"] for take in takes} == {before["law_id"]}
    assert {take["gain_law_origin"] for take in takes} == {"measured"}
    assert laws[0]["law_id"] == before["law_id"]
    assert len(laws) == 2
    assert laws[1]["previous_id"] == before["law_id"]
    assert float(laws[1]["drift_db"]) < 0.01
    assert desk.json("verify", "d")["ok"]


def test_a_rig_without_the_section_is_refused_with_a_remedy(desk: Desk, rack: Rack) -> None:
    plan = desk.plan(rig=rack({"calibration": None}))
    said = desk.fails(2, "calibrate", plan, "--out", "d")
    assert "has no section calibration" in said
    desk.ok("run", plan, "--out", "d")
    assert {take["gain_law_origin"] for take in rows(desk.folder / "d")} == {"expected"}


@pytest.mark.parametrize(
    ("change", "value", "reason"),
    [
        ("calibration.setting.ratio", 7, "7 is no position of ratio"),
        ("calibration.setting.knee", 1, "there is no control 'knee'"),
        ("calibration.drift_limit_db", -1, "greater than 0"),
    ],
)
def test_a_wrong_section_is_named(
    desk: Desk, rack: Rack, change: str, value: float, reason: str
) -> None:
    plan = desk.plan(rig=rack({change: value}))
    assert reason in desk.fails(2, "calibrate", plan, "--out", "d")


@pytest.mark.parametrize(
    ("change", "value", "reason"),
    [
        ("simulation.always", ["cv_unplugged"], "CV"),
        ("simulation.always", [{"kind": "invert", "channels": ["cv"]}], "polarity"),
        ("simulation.always", [{"kind": "cv_ac", "corner_hz": 0.5}], "AC"),
    ],
)
def test_a_cv_that_cannot_be_trusted_is_no_law(
    desk: Desk, rack: Rack, change: str, value: object, reason: str
) -> None:
    plan = desk.plan(rig=rack({change: value}))
    assert reason in desk.fails(4, "calibrate", plan, "--out", "d")
    assert reason in desk.fails(4, "run", plan, "--out", "d")


def test_an_answer_at_the_voltmeter_becomes_an_anchor(desk: Desk, plan: str) -> None:
    # Sent at -12 dBFS: 0.7746 V makes full scale 12 dBu. A slip of the pen is asked again.
    answers = "Kim, DMM 1\n0.7746\n\n774.6\n0.7746\n\n0.0031\n\n"
    done = desk.capture("calibrate", plan, "--out", "d", "--voltmeter", "--json", input=answers)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["anchors"]
    assert [(a["direction"], a["channel"]) for a in found] == [
        ("output", "left"),
        ("output", "right"),
    ]
    assert [a["dbu"] for a in found] == pytest.approx([12.0, 12.0], abs=1e-3)
    assert {a["measured_by"] for a in found} == {"Kim, DMM 1"}
    assert "would make full scale" in done.stderr
    desk.ok("run", plan, "--out", "d")
    assert len(rows(desk.folder / "d", "anchors")) == 2


def test_nobody_at_the_voltmeter_is_said(desk: Desk, plan: str) -> None:
    assert "nobody answered" in desk.fails(
        2, "calibrate", plan, "--out", "d", "--voltmeter", input=""
    )
