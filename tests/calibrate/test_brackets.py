"""The law brackets the takes: what lies between two laws that differ is recorded again."""

from __future__ import annotations

from contextlib import closing

import pytest

from capture.dataset.folder import hold
from capture.hardware.build import open_rig
from capture.run.asked import ask
from capture.run.bench import Bench
from capture.run.laws import Laws
from capture.run.ledger import Ledger
from tests.calibrate.conftest import Rack
from tests.session.conftest import Desk, rows

MORE = "checks: {retries: 1}"


def test_takes_of_a_unit_that_warms_up_are_recorded_again(desk: Desk, rack: Rack) -> None:
    # 0.8 % is 0.18 dB at 22 dB of reduction; most of it in the first 100 s.
    rig = rack({"simulation.cv.warming_percent": 0.8, "simulation.cv.warming_s": 60})
    plan = desk.plan(rig=rig, releases="0.1, 0.4")
    said = desk.ok("run", plan, "--out", "d")
    assert "withdrawn, to be recorded again" in said
    takes, laws = rows(desk.folder / "d"), rows(desk.folder / "d", "laws")
    assert len(takes) == 16
    drifts = [float(law["drift_db"]) for law in laws[1:]]
    assert drifts[0] > 0.05
    assert drifts[-1] < 0.05
    # Every take that is left lies between the last two laws, and none is counted twice.
    calibrations = {
        c["calibration_id"]: c["law_id"] for c in rows(desk.folder / "d", "calibrations")
    }
    assert {calibrations[take["calibration_id"]] for take in takes} == {laws[-2]["law_id"]}
    assert desk.json("verify", "d")["ok"]
    assert len(list((desk.folder / "d" / "lost+found").rglob("*.out.flac"))) == 16


def test_a_law_that_never_holds_ends_the_run(desk: Desk, rack: Rack) -> None:
    rig = rack({"simulation.cv.warming_percent": 40, "simulation.cv.warming_s": 7200})
    plan = desk.plan(rig=rig, releases="0.1, 0.4")
    said = desk.fails(4, "run", plan, "--out", "d")
    assert "did not hold" in said
    assert "warm up" in said
    assert desk.json("verify", "d")["ok"]
    assert desk.json("status", "d")["captured"] == 0


def test_an_interrupted_bracket_is_closed_by_the_next_run(desk: Desk, rack: Rack) -> None:
    rig = rack(
        {"simulation.faults": ["ok", "ok", "knob", "knob"], "calibration.fingerprint": False}
    )
    plan = desk.plan(rig=rig, more=MORE)
    desk.fails(4, "run", plan, "--out", "d")  # the knobs fail after a few takes
    assert len(rows(desk.folder / "d", "laws")) == 1
    rack({"calibration.fingerprint": False})  # they are mended
    desk.ok("run", plan, "--out", "d")
    laws = rows(desk.folder / "d", "laws")
    assert [law["previous_id"] for law in laws] == ["", laws[0]["law_id"]]


def test_a_law_runs_out_after_so_many_takes(desk: Desk, rack: Rack) -> None:
    plan = desk.plan(rig=rack({"calibration.valid_takes": 4, "calibration.fingerprint": False}))
    desk.ok("run", plan, "--out", "d")
    assert len(rows(desk.folder / "d", "laws")) == 5  # of 16 takes: before, after each 4


def test_takes_between_two_levels_are_withdrawn(desk: Desk, rack: Rack) -> None:
    """The returns are turned down behind the program's back while a bracket is open."""
    faults = {"simulation.faults": ["ok", "ok", "knob", "knob"], "calibration.fingerprint": False}
    plan = desk.plan(rig=rack(faults), more=MORE)
    desk.fails(4, "run", plan, "--out", "d")
    taken = len(rows(desk.folder / "d"))
    assert taken > 0
    rack({"simulation.converters.return_gain_db": -5.2})
    profile = ask(plan, None, desk.folder).profile
    with hold(desk.folder / "d") as folder:
        ledger = Ledger.open(folder.root)
        with closing(ledger), closing(open_rig(profile)) as rig:
            bench = Bench(rig, profile, folder.root, ledger, print, lambda: None)
            assert len(Laws(folder, ledger, profile, print).measure(bench)) == taken
            law, left = ledger.laws()[-1], ledger.take_ids()
    assert not left
    assert law.drift_db == pytest.approx(0, abs=0.001)  # the CV knows nothing of it
    assert law.level_drift_db == pytest.approx(0.2, abs=0.001)
    assert [one.verdict for one in law.levels] == ["verified", "differs", "differs"]
