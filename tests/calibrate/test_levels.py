"""Which anchors hold, and whether the gains of the plan are what was measured: pure logic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture import presets
from capture.documents import read
from capture.hardware.profile import RigProfile
from capture.plan.spec import LevelSpec
from capture.records import AnchorRecord, ChannelDelay, LawRecord, LoudProbe
from capture.run import levels
from tests.storage.conftest import law

PLAN = LevelSpec(normalize="peak", target_db=-12.0, send_gain_db=5.0, return_gain_db=-5.0)
GAINS = st.floats(-40, 40)
DBU = st.floats(-10, 30)


def anchor(direction: Any, channel: str, dbu: float | None, **changes: Any) -> AnchorRecord:
    made = AnchorRecord(direction, channel, dbu, None, 1.0, -12.0, "Kim", "2026-11-22", "voltmeter")
    return replace(made, **changes)


def stated(direction: Any, channel: str, dbu: float) -> AnchorRecord:
    return anchor(direction, channel, dbu, volts=None, method=levels.PROFILE)


def measured(loopback_db: float | None, uncertainty_db: float = 1e-4, **changes: Any) -> LawRecord:
    """A law whose loud probe came back at the loopback with so much gain; None: there is none."""
    heard = ChannelDelay(987.0, 1e-5, False, 500.0, 300.0, 16e3, loopback_db, uncertainty_db)
    delays = {} if loopback_db is None else {"loopback": heard}
    loud = LoudProbe(-6.0, 5.0, -20.0, "cal-1", delays, {})
    return law(loud=loud, static_uncertainty_db=1e-3, **changes)


def verdicts(record: LawRecord, *known: AnchorRecord) -> dict[str, str]:
    return {one.name: one.verdict for one in levels.check(record, PLAN, known)}


@given(error_db=st.floats(-1, 1).filter(lambda e: abs(abs(e) - levels.LIMIT_DB) > 1e-6))
def test_the_send_is_verified_within_the_limit(error_db: float) -> None:
    said = verdicts(measured(5.0 + error_db))["send"]
    assert said == ("verified" if abs(error_db) < levels.LIMIT_DB else "differs")


@given(output=DBU, back=DBU, fader_db=st.sampled_from([-6.0, 0.0, 0.3]))
def test_what_lies_between_the_anchors_is_no_gain(
    output: float, back: float, fader_db: float
) -> None:
    known = anchor("output", "left", output), anchor("input", "loopback", back)
    (send, *_) = levels.check(measured(5.0 + fader_db + output - back), PLAN, known)
    assert send.measured_db == pytest.approx(5.0 + fader_db)
    assert send.verdict == ("verified" if fader_db == 0 else "differs")
    refused = levels.refused([send], known)
    assert bool(refused) == (fader_db != 0)
    for sentence in refused:
        assert f"{5 + fader_db:+.2f} dB" in sentence


def test_a_send_that_cannot_be_told_is_not_verifiable() -> None:
    known = anchor("output", "left", 19.0)
    assert verdicts(measured(None))["send"] == "not verifiable"
    assert verdicts(law())["send"] == "not verifiable"  # of an older version
    assert verdicts(measured(5.0), known)["send"] == "not verifiable"
    assert verdicts(measured(5.0, 0.05))["send"] == "not verifiable"
    (send, *_) = levels.check(measured(5.0), PLAN, [known])
    assert "inputs.loopback is not known" in send.reason


def test_without_anchors_a_difference_is_said_and_ends_no_run() -> None:
    checks = levels.check(measured(4.0), PLAN, ())
    assert levels.verdict(checks, "send") == "differs"
    assert "both are taken to be alike" in checks[0].reason
    assert levels.refused(checks, ()) == []


def test_each_return_is_looked_at_and_told_what_to_write() -> None:
    record = measured(5.0, static_left_db=-4.95, static_right_db=-4.2)
    checks = levels.check(record, PLAN, ())
    assert [one.verdict for one in checks] == ["verified", "verified", "differs"]
    assert levels.verdict(checks, "return_left", "return_right") == "differs"
    assert "level.return_gain_db: -4.20" in checks[2].reason
    assert levels.refused(checks, ()) == []  # make-up may be meant


def test_the_anchors_tell_the_unit_from_the_way_back() -> None:
    known = anchor("output", "left", 13.0), anchor("input", "left", 18.0)
    record = measured(None, static_left_db=-4.0)
    reason = levels.check(record, PLAN, known)[1].reason
    assert "a wire would make -5.00 dB" in reason
    assert "the unit itself makes +1.00" in reason


def test_what_was_measured_holds_and_else_the_profile() -> None:
    known = [
        anchor("input", "left", 13.0),
        anchor("input", "left", 13.2),
        stated("input", "left", 19.0),
        stated("input", "right", 19.0),
    ]
    held = levels.in_force(known)
    assert {place: one.dbu for place, one in held.items()} == {
        ("input", "left"): 13.2,
        ("input", "right"): 19.0,
    }


def profile(**dbu: float | None) -> RigProfile:
    """The simulated rig, with anchors for inputs, and 2.5 V at the CV's full scale."""
    data = read(presets.packaged("rig", "simulated"), "simulated.yaml").data
    data["audio"]["dbfs_to_dbu"] = {"inputs": dbu}
    return RigProfile.model_validate(data)


@pytest.mark.parametrize(("dbu", "said"), [(19.05, False), (18.95, False), (18.8, True)])
def test_a_profile_that_is_not_what_was_measured_is_told_its_line(dbu: float, said: bool) -> None:
    found = levels.disagreements(profile(left=19.0), [anchor("input", "left", dbu)])
    assert bool(found) is said
    if said:
        assert "audio.dbfs_to_dbu.inputs.left: 18.80" in found[0]
        assert "says 19 dBu" in found[0]
        assert "Kim" in found[0]


@pytest.mark.parametrize(("volts", "said"), [(2.52, False), (2.53, True)])
def test_volts_at_the_cv_may_be_off_by_a_hundredth(volts: float, said: bool) -> None:
    found = levels.disagreements(profile(), [anchor("input", "cv", None, volts_per_fs=volts)])
    assert bool(found) is said
    assert all("cv.volts_per_fs: 2.53" in sentence for sentence in found)


def test_what_the_profile_does_not_say_is_no_disagreement() -> None:
    assert levels.disagreements(profile(left=None), [anchor("input", "left", 3.0)]) == []


def test_the_profile_s_anchors_are_kept_once_and_again_when_they_change() -> None:
    first = levels.new_of_profile(profile(left=19.0), ())
    assert [(one.channel, one.dbu, one.volts_per_fs, one.method) for one in first] == [
        ("left", 19.0, None, "rig profile"),
        ("cv", None, 2.5, "rig profile"),
    ]
    assert levels.new_of_profile(profile(left=19.0), first) == []
    (changed,) = levels.new_of_profile(profile(left=13.0), first)
    assert levels.in_force([*first, changed])["input", "left"].dbu == 13.0


@given(before=GAINS, after=GAINS)
def test_levels_that_moved_are_found_wherever_it_was(before: float, after: float) -> None:
    moved = pytest.approx(abs(after - before))
    one, other = measured(before), measured(after)
    assert levels.moved_db(one, other) == moved
    assert levels.moved_db(one, measured(None)) == 0  # the loopback is not wired any more
    one, other = (law(static_right_db=gain_db) for gain_db in (before, after))
    assert levels.moved_db(one, other) == moved
