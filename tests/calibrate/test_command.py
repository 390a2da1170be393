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
    # Loud, where the unit works by 20 dB, the delays are those of the quiet probe.
    assert law["loud"]["deepest_gain_db"] < -19
    assert max(map(abs, law["loud"]["shift_frames"].values())) < 0.0005
    assert set(law["loud"]["shift_frames"]) == {"left", "right", "loopback"}
    verdicts = {one["name"]: one["verdict"] for one in law["levels"]}
    assert verdicts == dict.fromkeys(("send", "return_left", "return_right"), "verified")
    assert law["levels"][0]["measured_db"] == pytest.approx(5.0, abs=0.01)
    (table,) = rows(desk.folder / "d", "laws")
    assert table["send_verdict"] == "verified"
    assert float(table["loud_shift_left_frames"]) == law["loud"]["shift_frames"]["left"]
    steps = rows(desk.folder / "d", "law_steps")
    assert [step["law_id"] for step in steps] == [law["law_id"]] * len(law["readings"])


def test_people_see_each_figure_with_its_uncertainty(desk: Desk, plan: str) -> None:
    said = desk.ok("calibrate", plan, "--out", "d")
    assert "latency left" in said
    assert "+-" in said
    assert "dB/V" in said
    assert "loud left" in said
    assert "return left" in said
    assert said.count("verified (within 0.1 dB)") == 3
    assert "input cv: 2.5 V at full scale, the rig profile's, not measured" in said
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
    answers = "Kim, DMM 1\n0.7746\n\n0.7746\n774.6\n0.7746\n\n0.0031\n\n"
    done = desk.capture("calibrate", plan, "--out", "d", "--voltmeter", "--json", input=answers)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    found = {(a["direction"], a["channel"]): a for a in said["anchors"]}
    measured = {place for place, one in found.items() if one["measured_by"] == "Kim, DMM 1"}
    assert measured == {("output", "left"), ("output", "right"), ("input", "loopback")}
    assert [found[place]["dbu"] for place in sorted(measured)] == pytest.approx(
        [12.0] * 3, abs=2e-3
    )
    assert found["input", "cv"]["method"] == "rig profile"
    assert "would make full scale" in done.stderr
    # The send is judged by what was measured just now; so it is in a run.
    assert "anchors" not in said["law"]["levels"][0]["reason"]
    desk.ok("run", plan, "--out", "d")
    kept = rows(desk.folder / "d", "anchors")
    assert {row["method"] for row in kept if row["holds"] == "true"} == {"voltmeter", "rig profile"}
    assert len(kept) == 4
    assert (
        len(rows(desk.folder / "d", "laws")) == 2
    )  # the law of calibrate, and the run's at its end


def test_nobody_at_the_voltmeter_is_said(desk: Desk, plan: str) -> None:
    assert "nobody answered" in desk.fails(
        2, "calibrate", plan, "--out", "d", "--voltmeter", input=""
    )


KIM = "Kim\n{send}\n\n{loopback}\n\n\n\n"
"""At the left send and at the loopback; the rest is left out."""


def test_a_send_that_contradicts_the_anchors_is_refused(desk: Desk, plan: str) -> None:
    # 12 dBu out, 6 dBu in: the loopback should be 6 dB above what it is.
    answers = KIM.format(send=0.7746, loopback=0.3882)
    said = desk.fails(4, "calibrate", plan, "--out", "d", "--voltmeter", input=answers)
    assert "the loopback shows -1.00 dB" in said
    assert "see to faders and level switches" in said
    said = desk.fails(4, "run", plan, "--out", "d")
    assert "the loopback shows -1.00 dB" in said
    assert desk.json("status", "d")["captured"] == 0
    assert [law["send_verdict"] for law in rows(desk.folder / "d", "laws")] == ["differs"] * 2


def test_a_profile_that_is_not_what_was_measured_is_named_and_the_anchor_is_kept(
    desk: Desk, rack: Rack
) -> None:
    both = {"outputs": {"left": 19.0}, "inputs": {"loopback": 19.0}}
    plan = desk.plan(rig=rack({"audio.dbfs_to_dbu": both}))
    answers = KIM.format(send=0.7746, loopback=0.7746)
    done = desk.capture("calibrate", plan, "--out", "d", "--voltmeter", input=answers)
    assert done.returncode == 0, done.stderr
    again = desk.ok("run", plan, "--out", "d", "--limit", "0")
    for line in ("dbfs_to_dbu.outputs.left: 12.00", "dbfs_to_dbu.inputs.loopback: 12.00"):
        assert line in done.stdout
        assert line in again
    # The profile is put right: the dataset begins anew, and nobody is asked again.
    rack({"audio.dbfs_to_dbu": {"outputs": {"left": 12.0}, "inputs": {"loopback": 12.0}}})
    assert "dbfs_to_dbu" not in desk.ok("run", plan, "--out", "d", "--limit", "0")
    held = [row for row in rows(desk.folder / "d", "anchors") if row["holds"] == "true"]
    assert {(row["channel"], row["measured_by"]) for row in held} == {
        ("left", "Kim"),
        ("loopback", "Kim"),
        ("cv", "simulated"),
    }


def test_a_return_that_differs_is_said_and_stands_in_every_row(desk: Desk, rack: Rack) -> None:
    plan = desk.plan(rig=rack({"simulation.unit.makeup_db": 1.5}))
    said = desk.fails(4, "calibrate", plan, "--out", "d")
    assert "the left return has -3.47 dB at rest" in said
    assert "level.return_gain_db: -3.47" in said
    said = desk.ok("run", plan, "--out", "d", "--limit", "2")
    for take in rows(desk.folder / "d"):
        assert take["return_gain_verdict"] == "differs"
        assert take["send_gain_verdict"] == "verified"
        assert float(take["static_left_db"]) == pytest.approx(-3.475, abs=0.01)
        assert take["return_gain_db"] == "-5.0"


def test_without_a_loopback_the_send_is_not_verifiable(desk: Desk, rack: Rack) -> None:
    plan = desk.plan(rig=rack({"audio.inputs.loopback": None}))
    said = desk.ok("calibrate", plan, "--out", "d", "--temperature-c", "23.5")
    assert "planned 5: not verifiable (the rig has no loopback input)" in said
    desk.ok("run", plan, "--out", "d", "--limit", "1")
    (take,) = rows(desk.folder / "d")
    assert take["send_gain_verdict"] == "not verifiable"
    assert take["temperature_c"] == "23.5"


def test_check_says_what_is_known_and_what_comes_first(desk: Desk, rack: Rack) -> None:
    plan = desk.plan(rig=rack({}))

    def finding(name: str) -> dict[str, str]:
        found = desk.json("check", plan, "--out", "d")["findings"]
        return next(one for one in found if one["name"] == name)

    none = finding("calibration")["message"]
    assert "none yet; the next run measures the latency, then the law at" in none
    desk.ok("calibrate", plan, "--out", "d")
    assert "it holds for 1000 more, and until" in finding("calibration")["message"]
    assert finding("enrolment")["status"] == "warning"
    desk.ok("run", plan, "--out", "d", "--limit", "1")  # else the rig is another one
    rack({"calibration.valid_hours": 1e-9})
    assert "does not hold any more: the next run" in finding("calibration")["message"]
