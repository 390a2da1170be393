from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from capture.model import AUTO, Setting, Value
from capture.signal.fingerprint import greybox, verdict
from tests.signal.fingerprint.conftest import POSITIONS, Enrolled


def lies(truth: Setting) -> list[Setting]:
    return greybox.neighbours(truth, POSITIONS)


def test_the_true_label_is_confirmed(enrolled: Enrolled, setting: Setting) -> None:
    found = verdict.judge(enrolled.expected, enrolled.rack.visit(setting).features, setting)
    assert found.word == "confirmed"
    assert found.most_likely == setting
    assert found.log10_odds is not None
    assert found.log10_odds < -verdict.SURE_LOG10
    assert not found.alike
    assert {knob.verdict for knob in found.knobs} == {"confirmed"}
    threshold = next(move for move in found.moves if move.name == "threshold_db")
    assert abs(threshold.amount) < 0.8


@pytest.mark.parametrize("control", list(POSITIONS))
def test_the_knob_that_is_elsewhere_is_named(
    enrolled: Enrolled, setting: Setting, control: str
) -> None:
    features = enrolled.rack.visit(setting).features
    lie = next(s for s in lies(setting) if s[control] != setting[control])
    found = verdict.judge(enrolled.expected, features, lie)
    assert found.word == "contradicted"
    assert found.most_likely == setting
    assert str(setting) in found.reason
    for knob in found.knobs:
        wrong = knob.control == control
        assert knob.looks_like == setting[knob.control]
        assert knob.verdict == ("contradicted" if wrong else "confirmed")
        assert (knob.log10_odds > 0) == wrong


def test_a_threshold_above_the_ladder_is_not_verifiable(
    enrolled: Enrolled, setting: Setting
) -> None:
    silent = Setting({**setting, "threshold_db": 8.0})
    features = enrolled.rack.visit(silent).features
    found = verdict.judge(enrolled.expected, features, silent)
    assert found.word == "not verifiable"
    assert "too little reduction" in found.reason
    assert {knob.verdict for knob in found.knobs} == {"not verifiable"}
    assert len(found.alike) == 7
    assert all("too little reduction" in other.reason for other in found.alike)
    # But it is not the label -24, and the label 8 is not -24.
    assert verdict.judge(enrolled.expected, features, setting).word == "contradicted"
    loud = enrolled.rack.visit(setting).features
    assert verdict.judge(enrolled.expected, loud, silent).word == "contradicted"


def test_positions_that_do_the_same_are_alike(enrolled: Enrolled, setting: Setting) -> None:
    """Two names for the same parts: the other knobs are known all the same."""
    model = enrolled.model
    twin = replace(
        model,
        names=tuple(name.replace("attack 1 0", "attack 0.31 0") for name in model.names),
        values=tuple(
            model.values[model.names.index("attack 0.3 0")] if name == "attack 1 0" else value
            for name, value in zip(model.names, model.values, strict=True)
        ),
    )
    positions: dict[str, tuple[Value, ...]] = {**POSITIONS, "attack_ms": (0.3, 0.31)}
    expected = greybox.forecast(twin, [setting, *greybox.neighbours(setting, positions)])
    found = verdict.judge(expected, enrolled.rack.visit(setting).features, setting)
    assert found.word == "not verifiable"
    assert [other.setting["attack_ms"] for other in found.alike] == [0.31]
    assert "differ by at most 0.00 dB" in found.alike[0].reason
    verdicts = {knob.control: knob.verdict for knob in found.knobs}
    assert verdicts.pop("attack_ms") == "not verifiable"
    assert set(verdicts.values()) == {"confirmed"}


def test_a_knob_between_two_positions_is_doubtful(enrolled: Enrolled, setting: Setting) -> None:
    between = Setting({**setting, "threshold_db": -22.0})
    features = enrolled.rack.visit(between).features
    for label in (setting, Setting({**setting, "threshold_db": -20.0})):
        found = verdict.judge(enrolled.expected, features, label)
        assert found.word == "doubtful"
        assert "threshold_db would have moved by" in found.reason


def test_what_no_candidate_shows_is_doubtful(enrolled: Enrolled, setting: Setting) -> None:
    features = enrolled.rack.visit(setting).features
    odd = replace(features, values_db=tuple(np.array(features.values_db)[::-1].tolist()))
    found = verdict.judge(enrolled.expected, odd, setting)
    assert found.word == "doubtful"
    assert "like no candidate" in found.reason
    assert {knob.verdict for knob in found.knobs} <= {"doubtful", "contradicted"}


def test_without_enrolment_nothing_is_said(enrolled: Enrolled, setting: Setting) -> None:
    features = enrolled.rack.visit(setting).features
    found = verdict.judge(None, features, setting)
    assert (found.word, found.most_likely) == ("not verifiable", None)
    assert "not enrolled" in found.reason
    unknown = Setting({**setting, "ratio": 10.0})
    assert verdict.judge(enrolled.expected, features, unknown).word == "not verifiable"
    other = replace(features, sample_rate_hz=48000)
    assert "48000 Hz" in verdict.judge(enrolled.expected, other, setting).reason


def test_a_knob_that_the_model_does_not_know_is_not_verifiable(
    enrolled: Enrolled, setting: Setting
) -> None:
    """A make-up gain does not show in the CV against its rest."""
    label = Setting({**setting, "makeup_db": 0.0})
    other = Setting({**label, "release_s": 0.4})
    expected = greybox.forecast(enrolled.model, [label, other])
    found = verdict.judge(expected, enrolled.rack.visit(setting).features, label)
    verdicts = {knob.control: knob.verdict for knob in found.knobs}
    assert found.word == "confirmed"
    assert verdicts.pop("makeup_db") == "not verifiable"
    assert set(verdicts.values()) == {"confirmed"}
    assert label["release_s"] is AUTO
