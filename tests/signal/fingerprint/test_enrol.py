from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from capture.errors import MeasurementFailed
from capture.model import Setting
from capture.signal.fingerprint import enrol, greybox
from tests.signal.fingerprint.conftest import POSITIONS, Enrolled
from tests.signal.fingerprint.rack import Rack


def value(found: Enrolled, name: str) -> float:
    return found.model.values[found.model.names.index(name)]


def test_the_numbers_are_the_units_own(enrolled: Enrolled) -> None:
    """Time constants within the 5 % of each of their two parts, and auto's own two."""
    for name, seconds in (
        ("release 0.4 0", 360e3 * 0.47e-6),
        ("release auto 0", 91e3 * 0.47e-6),
        ("release auto 1", 750e3 * 6.8e-6),
        ("attack 0.3 0", 2.7e3 * 0.47e-6),
    ):
        assert np.exp(value(enrolled, name)) == pytest.approx(seconds, rel=0.11)
    assert value(enrolled, "release 0.4 2") == pytest.approx(0, abs=0.01)
    assert value(enrolled, "release auto 2") == pytest.approx(1 / (91e3 * 6.8e-6), rel=0.15)


def test_the_model_predicts_settings_that_were_not_probed(enrolled: Enrolled) -> None:
    probed = {visit.setting for visit in enrolled.visits}
    fresh = [i for i, s in enumerate(enrolled.expected.settings) if s not in probed]
    assert len(fresh) > 6
    for number in fresh:
        visit = enrolled.rack.visit(enrolled.expected.settings[number])
        errors = np.array(visit.features.values_db) - enrolled.expected.features[number]
        # A threshold set again within 0.4 dB, here and at the enrolment, is up to 0.8 dB.
        assert np.abs(errors).max() < 0.9


def test_what_the_fit_leaves_is_small(enrolled: Enrolled) -> None:
    assert max(enrolled.model.misfit_db) < 0.05


def test_a_confirmed_visit_refines_the_model(enrolled: Enrolled, setting: Setting) -> None:
    refined = enrolled.model
    for _ in range(4):
        refined = enrol.refine(refined, enrolled.rack.visit(setting).features, setting)
    assert refined.probes == enrolled.model.probes + 4
    before, after = (np.diag(m.covariance) for m in (enrolled.model, refined))
    assert np.all(after <= before * (1 + 1e-9))
    number = refined.names.index("threshold -24 0")
    assert after[number] < 0.9 * before[number]
    # The truth stays within reach: the refined model predicts the next visit.
    expected = greybox.forecast(refined, [setting])
    errors = np.array(enrolled.rack.visit(setting).features.values_db) - expected.features[0]
    assert np.abs(errors).max() < 0.9


def test_a_knob_that_stood_elsewhere_during_enrolment_is_found(enrolled: Enrolled) -> None:
    visits = list(enrolled.visits)
    wrong = next(i for i, v in enumerate(visits) if i > 4 and v.setting["ratio"] == 2.0)
    other = Setting({**visits[wrong].setting, "ratio": 4.0})
    visits[wrong] = replace(enrolled.rack.visit(other), setting=visits[wrong].setting)
    with pytest.raises(MeasurementFailed, match="disagrees with the others"):
        enrol.enrol(visits)


def test_a_unit_that_does_nothing_cannot_be_enrolled() -> None:
    rack = Rack("log-detector", 1)
    silent = {**POSITIONS, "threshold_db": (8.0, 12.0)}
    visits = [rack.visit(setting) for setting in greybox.enrolment_settings(silent)[:2]]
    with pytest.raises(MeasurementFailed, match="no probe made the unit reduce"):
        enrol.enrol(visits)
