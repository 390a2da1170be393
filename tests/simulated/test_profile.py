"""The section simulation of a rig profile: what it refuses, and how it says so."""

import subprocess
import sys

import pytest

from capture.errors import BadInput, DocumentFaults
from capture.model import AUTO, Control, Position, Setting


def test_the_packaged_rig_has_every_position_of_the_field(packaged):
    controls = {control.name: control for control in packaged().control_values}
    grid = {
        "threshold_db": [-28, -24, -20, -16, *range(-12, 13, 4)],
        "attack_ms": [0.1, 0.3, 1, 3, 10, 30],
        "release_s": [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6, AUTO],
        "ratio": [1.5, 2, 3, 4, 5, 10],
    }
    for name, values in grid.items():
        assert [p.value for p in controls[name].positions] == values
    assert packaged().name == "simulated"
    assert Setting({name: values[0] for name, values in grid.items()})


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([{"kind": "lost_frame"}], "did you mean 'lost_frames'"),
        (["unplugg"], "did you mean 'unplug'"),
        ([{"kind": "lost_frames", "frame": 2}], "did you mean 'frames'"),
        ([{"kind": "lost_frames", "frames": 0}], "greater than or equal to 1"),
        (["gain"], "gain_db"),
        ([{"kind": "dead", "channels": ["centre"]}], "left"),
        ([{"frames": 2}], "there is no fault"),
        ([7], "there is no fault"),
        ([["ok"]], "there is no fault"),
    ],
)
@pytest.mark.parametrize("place", ["faults", "always"])
def test_faults_name_what_is_wrong(packaged, place, script, words):
    with pytest.raises(BadInput, match=words) as raised:
        packaged(**{place: script})
    assert f"simulation.{place}[0]" in str(raised.value)


def test_all_faults_can_be_written_as_yaml_says(packaged):
    words = ["ok", "swap", "invert", "dead", "cv_unplugged", "cv_ac", "drift", "lost_frames"]
    words += ["doubled_frames", "unplug", "overflow", "knob", {"kind": "gain", "gain_db": 3}]
    wrong = [{"control": "release_s", "position": "auto", "actual": 0.1}]
    profile = packaged(faults=words, wrong_knobs=wrong)
    assert len(profile.simulation.faults) == 13
    dumped = profile.simulation.model_dump_json()
    assert type(profile.simulation).model_validate_json(dumped) == profile.simulation


def test_positions_that_the_unit_lacks(packaged):
    profile = packaged()
    unit = profile.simulation.unit.model_copy(update={"attack_ohm": {"0.1": 820, "1": 8200}})
    simulation = profile.simulation.model_copy(update={"unit": unit})
    with pytest.raises(DocumentFaults, match=r"0\.3: the simulated unit has 0\.1, 1") as raised:
        profile.model_copy(update={"simulation": simulation}).check()
    assert len(raised.value.faults) == 4
    with pytest.raises(DocumentFaults, match="auto: the simulated unit has") as raised:
        packaged(unit={"auto": None})
    (fault,) = raised.value.faults
    assert fault.path == ("controls", "release_s", "positions", 8)


def test_controls_that_the_unit_lacks(packaged):
    simulation = packaged().simulation

    def faults(name, *values, **range_):
        positions = tuple(Position(str(v), v) for v in values)
        return [
            fault.message
            for fault in simulation.faults_of(name, Control(name, "", positions, **range_))
        ]

    assert "did you mean 'attack_ms'" in faults("attack_m", 1.0)[0]
    assert not faults("threshold_db", minimum=-20.0, maximum=20.0)
    assert len(faults("threshold_db", minimum=-200.0, maximum=200.0)) == 2
    assert "give positions" in faults("attack_ms", minimum=0.1, maximum=3.0)[0]
    assert len(faults("ratio", 0.5, 2.0, AUTO)) == 2
    assert len(faults("attack_ms", AUTO, 0.1)) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": {"atack_ohm": {"1": 1.0}}}, "attack_ohm"),
        ({"unit": {"attack_ohm": {"fast": 1.0}}}, "not a position"),
        ({"unit": {"attack_ohm": {"1": 8200.0, "1.0": 820.0}}}, "twice"),
        ({"unit": {"attack_ohm": {"1": -1.0}}}, "greater than"),
        ({"converters": {"noise_dbfs": {"left": 3.0}}}, "from -200 to 0"),
        ({"converters": {"latency_frames": 3}}, "greater than or equal to 32"),
        ({"converters": {"mains_hz": 55}}, "50"),
        ({"wrong_knobs": [{"control": "ratoi", "position": 2, "actual": 3}]}, "'ratio'"),
        ({"wrong_knobs": [{"control": "attack_ms", "position": 1, "actual": 2}]}, "2: the sim"),
    ],
)
def test_other_mistakes(packaged, changes, words):
    with pytest.raises(BadInput, match=words):
        packaged(**changes)


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys, capture.hardware.simulated as s\n"
        "heavy = {'numba', 'scipy', 'sounddevice', 'capture.signal'} & set(sys.modules)\n"
        "sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
