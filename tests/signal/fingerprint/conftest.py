"""A unit that was enrolled with a small panel, one position of which is too high to reduce."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from capture.model import AUTO, Setting, Value
from capture.signal.fingerprint import enrol, greybox
from capture.signal.fingerprint.enrol import Visit
from capture.signal.fingerprint.greybox import Forecast, Model
from tests.signal.fingerprint.rack import Rack, settings_of

POSITIONS: dict[str, tuple[Value, ...]] = {
    "threshold_db": (-24.0, -20.0, 8.0),
    "attack_ms": (0.3, 1.0),
    "release_s": (0.4, AUTO),
    "ratio": (2.0, 4.0),
}


@dataclass(frozen=True)
class Enrolled:
    rack: Rack
    visits: list[Visit]
    model: Model
    expected: Forecast


@pytest.fixture(scope="session")
def enrolled() -> Enrolled:
    rack = Rack("circuit", 11)
    visits = [rack.visit(setting) for setting in greybox.enrolment_settings(POSITIONS)]
    model = enrol.enrol(visits)
    return Enrolled(rack, visits, model, greybox.forecast(model, settings_of(POSITIONS)))


@pytest.fixture
def setting() -> Setting:
    return Setting({"threshold_db": -24.0, "attack_ms": 0.3, "release_s": AUTO, "ratio": 4.0})
