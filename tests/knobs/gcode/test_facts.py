"""The section ``gcode`` of a rig profile, and which serial port is meant."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from capture.documents import read
from capture.errors import BadInput, HardwareFault
from capture.hardware.gcode_facts import GcodeFacts
from capture.hardware.serial_choice import SerialChoice
from capture.hardware.serial_ports import find
from capture.model import AUTO, Control, Position
from tests.knobs.gcode.rig import CONTROLS, RATIO, RELEASE

YAML = """\
port: {serial_number: A50285BI}
firmware: grbl
feed_per_min: 1500
axes:
  release_s: {axis: X, at: [0, 30, 60], overshoot: 5}
  ratio: {axis: Y, at: [90, -90]}
"""


def gcode(old: str = "", new: str = "") -> GcodeFacts:
    assert old in YAML
    return read(YAML.replace(old, new) if old else YAML, "rack.yaml").check(GcodeFacts)


def faults(old: str, new: str) -> list[str]:
    found = gcode(old, new).faults(CONTROLS)
    assert all(fault.path[:2] == ("gcode", "axes") for fault in found)
    return [f"{'.'.join(map(str, fault.path[2:]))}: {fault.message}" for fault in found]


def test_the_section_itself() -> None:
    facts = gcode()
    assert facts.faults(CONTROLS) == []
    assert (facts.baud, facts.home, facts.tolerance) == (115200, True, 0.05)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("serial_number: A50285BI", "path: /dev/ttyUSB0", "'/dev/ttyUSB0' is a number, which"),
        ("serial_number: A50285BI", "path: COM3", "'COM3' is a number, which changes"),
        ("serial_number: A50285BI", "vid_pid: '403:6001'", "'403:6001' is no VID:PID: write four"),
        ("serial_number: A50285BI", "", "says no port: give serial_number, vid_pid or path"),
        ("firmware: grbl", "firmware: tinyg", "grbl"),
        ("1500", "0", "greater than 0"),
        ("axis: X", "axis: E", "axis"),
        ("[0, 30, 60]", "[]", "at"),
        ("[0, 30, 60]", "[0, 30, .inf]", "finite"),
    ],
)
def test_what_a_section_may_not_be(old: str, new: str, told: str) -> None:
    with pytest.raises(BadInput) as caught:
        gcode(old, new)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("ratio:", "rato:", ["rato: there is no control 'rato' with the driver gcode; did you"]),
        ("  ratio: {axis: Y, at: [90, -90]}\n", "", [": says nothing of ratio, whose driver is"]),
        ("[0, 30, 60]", "[0, 30]", ["release_s.at: has 2 places; release_s has 3 positions"]),
        ("[90, -90]", "[90]", ["ratio.at: has 1 places; ratio has a range: its minimum, its"]),
        ("[0, 30, 60]", "[0, 30, 30.08]", ["release_s.at: two places are 0.08 apart: with a tole"]),
        ("[90, -90]", "[0, 0.8]", ["ratio.at: two places are 0.1 apart: with a tolerance of 0"]),
        ("[90, -90]", "[7, 7]", ["ratio.at: two places are 0 apart"]),
        ("overshoot: 5", "overshoot: -0.05", ["release_s.overshoot: -0.05 is within the tolera"]),
        ("axis: Y", "axis: X", ["ratio.axis: X turns release_s already; give each its own"]),
        ("axis: Y", "axis: A", ["ratio.axis: grbl has no axis A; it has XYZ"]),
    ],
)
def test_what_does_not_fit_the_controls(old: str, new: str, told: list[str]) -> None:
    found = faults(old, new)
    matched = [any(fault.startswith(start) for fault in found) for start in told]
    assert all(matched), found


def test_all_faults_at_once() -> None:
    text = YAML.replace("[0, 30, 60]", "[0, 30]").replace("axis: Y", "axis: B")
    assert len(read(text, "rack.yaml").check(GcodeFacts).faults(CONTROLS)) == 2


def test_places() -> None:
    axes = gcode().axes
    assert [axes["release_s"].place(RELEASE, v) for v in (0.1, 1.2, AUTO)] == [0, 30, 60]
    assert [axes["ratio"].place(RATIO, v) for v in (1.0, 2.0, 5.0)] == [90, 45, -90]
    assert axes["release_s"].place(RELEASE, 0.2) is None
    assert axes["ratio"].place(RATIO, AUTO) is None
    assert axes["ratio"].place(RATIO, 1.25) is None


def test_the_section_of_the_docs() -> None:
    page = (Path(__file__).parents[3] / "docs/knobs/gcode.md").read_text("utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    data = read(text, "docs/knobs/gcode.md").data
    facts = GcodeFacts.model_validate_json(json.dumps(data["gcode"]))
    positions = data["controls"]["attack_ms"]["positions"]
    low, high = data["controls"]["threshold_db"]["range"]
    attack = Control("attack_ms", "ms", tuple(Position(str(v), float(v)) for v in positions))
    threshold = Control("threshold_db", "dB", minimum=low, maximum=high, step=0.5)
    assert facts.faults([attack, threshold]) == []


def attached(device: str, number: str | None = None, vid: int | None = None) -> ListPortInfo:
    port: Any = ListPortInfo(device)
    port.serial_number, port.vid, port.pid = number, vid, vid and 0x6001
    port.description = "an adapter"
    return port


PORTS = [
    attached("/dev/ttyUSB1", "A50285BI", 0x0403),
    attached("/dev/ttyUSB0", "B1", 0x0403),
    attached("/dev/ttyS0"),
]


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three ports, as pyserial lists them."""
    monkeypatch.setattr(list_ports, "comports", lambda: PORTS)


@pytest.mark.usefixtures("three")
def test_a_port_is_found_by_what_it_is() -> None:
    assert find(SerialChoice(serial_number="A50285BI")) == "/dev/ttyUSB1"
    assert find(SerialChoice(serial_number="B1", vid_pid="0403:6001")) == "/dev/ttyUSB0"
    assert find(SerialChoice(path="/dev/null")) == "/dev/null"


@pytest.mark.usefixtures("three")
def test_none_and_several_are_told_with_what_there_is() -> None:
    listed = (
        r"/dev/ttyS0 \(an adapter\); /dev/ttyUSB0 \(serial number B1, VID:PID 0403:6001\); "
        r"/dev/ttyUSB1 \(serial number A50285BI, VID:PID 0403:6001\)"
    )
    with pytest.raises(
        HardwareFault, match="no serial port with serial number C; attached: " + listed
    ):
        find(SerialChoice(serial_number="C"))
    with pytest.raises(HardwareFault, match="2 serial ports with VID:PID 0403:6001: .*" + listed):
        find(SerialChoice(vid_pid="0403:6001"))
    with pytest.raises(HardwareFault, match="no serial port with serial number B1, path /dev/null"):
        find(SerialChoice(serial_number="B1", path="/dev/null"))
    with pytest.raises(HardwareFault, match="no serial port with path /dev/serial/by-id/none"):
        find(SerialChoice(path="/dev/serial/by-id/none"))


@given(st.from_regex(r"(/dev/)?tty(USB|ACM|S)[0-9]{1,3}|COM[0-9]{1,3}", fullmatch=True))
def test_a_number_is_no_name(path: str) -> None:
    with pytest.raises(ValidationError, match="is a number, which changes"):
        SerialChoice(path=path)
