from __future__ import annotations

import json

import pytest

from capture.errors import BadInput, DamagedData
from capture.model import AUTO, Setting, Value
from capture.signal.fingerprint import greybox
from capture.signal.fingerprint.greybox import Model
from tests.signal.fingerprint.conftest import POSITIONS, Enrolled
from tests.signal.fingerprint.rack import GRID

PANEL: dict[str, tuple[Value, ...]] = {
    "threshold_db": tuple(float(db) for db in range(-28, 16, 4)),
    "attack_ms": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    "release_s": (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6, AUTO),
    "ratio": (1.5, 2.0, 3.0, 4.0, 5.0, 10.0),
}


@pytest.mark.parametrize("positions", [GRID, PANEL, POSITIONS])
def test_enrolment_sees_every_position_and_no_setting_twice(
    positions: dict[str, tuple[Value, ...]],
) -> None:
    chosen = greybox.enrolment_settings(positions)
    assert len(chosen) == len(set(chosen)) <= greybox.MAX_ENROLMENT
    for name, values in positions.items():
        assert {setting[name] for setting in chosen} == set(values)
    assert chosen == greybox.enrolment_settings(positions)


def test_enrolment_goes_one_knob_at_a_time_from_its_base() -> None:
    chosen = greybox.enrolment_settings(GRID)
    base = Setting({"threshold_db": -28.0, "attack_ms": 0.1, "release_s": 0.4, "ratio": 4.0})
    assert chosen[0] == base
    singles = 1 + sum(len(values) - 1 for values in GRID.values())
    for setting in chosen[1:singles]:
        assert sum(setting[name] != base[name] for name in base) == 1


def test_enrolment_holds_every_pair_of_the_published_grid() -> None:
    chosen = greybox.enrolment_settings(GRID)
    for one, its in GRID.items():
        for other, others in GRID.items():
            if one < other:
                pairs = {(setting[one], setting[other]) for setting in chosen}
                assert len(pairs) == len(its) * len(others)


def test_too_many_positions_are_refused() -> None:
    steps = tuple(float(db) for db in range(-40, 0))
    with pytest.raises(BadInput, match="at most 30"):
        greybox.enrolment_settings({**GRID, "threshold_db": steps})


def test_controls_of_other_roles_are_left_where_they_are() -> None:
    positions: dict[str, tuple[Value, ...]] = {**POSITIONS, "makeup_db": (0.0, 6.0)}
    assert {setting["makeup_db"] for setting in greybox.enrolment_settings(positions)} == {0.0}


def test_a_role_that_no_control_has_is_one_nameless_position() -> None:
    controls = greybox.roles(("ratio", "threshold"))
    assert controls == (("threshold", "threshold"), ("ratio", "ratio"))
    names = greybox.names_of(controls, Setting({"ratio": 4.0, "threshold": -20.0}))
    assert names[:3] == ["threshold -20 0", "attack - 0", "release - 0"]


def test_two_controls_of_one_role_are_refused() -> None:
    with pytest.raises(BadInput, match="release_ms and release_s are both the unit's release"):
        greybox.roles(("release_ms", "release_s"))


def test_neighbours_are_one_step_of_one_knob_away(setting: Setting) -> None:
    found = greybox.neighbours(setting, POSITIONS)
    assert found == [
        Setting({**setting, "threshold_db": -20.0}),
        Setting({**setting, "attack_ms": 1.0}),
        Setting({**setting, "release_s": 0.4}),
        Setting({**setting, "ratio": 2.0}),
    ]


def test_candidates_differ_in_what_the_model_knows(enrolled: Enrolled, setting: Setting) -> None:
    label = Setting({**setting, "makeup_db": 0.0})
    louder = Setting({**setting, "makeup_db": 6.0})
    other = Setting({**label, "ratio": 2.0})
    unknown = Setting({**label, "ratio": 10.0})
    found = greybox.candidates(enrolled.model, label, [louder, other, label, unknown, other])
    assert found == [label, other]


def test_a_model_survives_json(enrolled: Enrolled) -> None:
    text = json.dumps(enrolled.model.to_json(), allow_nan=False)
    assert Model.from_json(json.loads(text)) == enrolled.model


def test_a_model_of_another_version_is_refused(enrolled: Enrolled) -> None:
    data = {**enrolled.model.to_json(), "algorithm_version": "fingerprint-0"}
    with pytest.raises(BadInput, match="enrol the unit again"):
        Model.from_json(data)


@pytest.mark.parametrize("key", ["names", "values", "covariance", "misfit_db", "misfit_moves"])
def test_a_model_that_lacks_something_is_damaged(enrolled: Enrolled, key: str) -> None:
    data = enrolled.model.to_json()
    with pytest.raises(DamagedData, match="do not match"):
        Model.from_json({**data, key: data[key][:-1]})
    with pytest.raises(DamagedData, match="cannot be read"):
        Model.from_json({name: value for name, value in data.items() if name != key})


def test_a_position_that_was_not_enrolled_is_refused(enrolled: Enrolled, setting: Setting) -> None:
    other = Setting({**setting, "attack_ms": 30.0})
    assert enrolled.model.knows(setting)
    assert not enrolled.model.knows(other)
    with pytest.raises(BadInput, match="not enrolled: attack 30"):
        greybox.forecast(enrolled.model, [setting, other])
