"""The section ``dynamixel`` of a rig profile: from a position to an angle, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from capture.hardware.dynamixel_facts import DynamixelFacts, ServoFacts, degrees, ticks
from capture.model import Control, Position

ANGLES = st.floats(-720, 720)


def control(name: str, count: int) -> Control:
    return Control(name, "", tuple(Position(str(n), float(n)) for n in range(count)))


def messages(servos: dict[str, dict[str, object]], *controls: Control) -> list[str]:
    facts = DynamixelFacts.model_validate({"port": {"serial_number": "x"}, "servos": servos})
    return [
        f"{'.'.join(map(str, fault.path))}: {fault.message}" for fault in facts.faults(controls)
    ]


@given(st.lists(ANGLES, min_size=1, max_size=8), st.floats(0.1, 20))
def test_positions_and_angles_map_both_ways(at_deg: list[float], tolerance_deg: float) -> None:
    data = {"id": 1, "at_deg": at_deg, "tolerance_deg": tolerance_deg}
    low, *others = sorted(at_deg)
    clash = any(b - a <= 2 * tolerance_deg for a, b in zip((low, *others), others, strict=False))
    assert bool(messages({"ratio": data}, control("ratio", len(at_deg)))) == clash
    if clash:
        return
    servo = ServoFacts.model_validate(data)
    for index, angle_deg in enumerate(at_deg):
        assert servo.index(degrees(ticks(angle_deg))) == index
        assert servo.index(angle_deg + 0.99 * tolerance_deg) == index
        assert servo.index(angle_deg - 1.01 * tolerance_deg) != index


def test_a_turn_has_4096_ticks() -> None:
    assert [ticks(angle_deg) for angle_deg in (0.0, 45.0, 360.0, -90.0)] == [0, 512, 4096, -1024]
    assert degrees(1024) == 90.0


def test_all_that_does_not_fit_the_controls_is_told_at_once() -> None:
    servos: dict[str, dict[str, object]] = {
        "ratoi": {"id": 1, "at_deg": [0.0]},
        "ratio": {"id": 1, "at_deg": [0.0, 30.0]},
        "knee_db": {"id": 2, "at_deg": [0.0, 1.5]},
    }
    controls = (control("ratio", 3), control("knee_db", 2), control("makeup_db", 2))
    assert messages(servos, *controls) == [
        "dynamixel.servos.ratoi: there is no control 'ratoi' with the driver dynamixel; did you "
        "mean 'ratio'?",
        "dynamixel.servos: says nothing of makeup_db, whose driver is dynamixel; give it an entry",
        "dynamixel.servos.ratio.id: 1 is that of ratoi already; give each servo its own",
        "dynamixel.servos.ratio.at_deg: has 2, one for each position, but ratio has 3 positions: "
        "0, 1, 2",
        "dynamixel.servos.knee_db.at_deg: cannot tell 0 and 1 apart: they are 1.5 degrees from "
        "each other, and tolerance_deg is 1",
    ]


@pytest.mark.parametrize(
    "change",
    [{"id": 253}, {"at_deg": []}, {"at_deg": [1e6]}, {"tolerance_deg": 0.05}, {"within_s": -1.0}],
)
def test_what_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ServoFacts.model_validate({"id": 1, "at_deg": [0.0]} | change)
