"""Two knobs that motors turn: one with three positions, the other one with a range."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from capture.hardware.gcode_facts import GcodeFacts
from capture.hardware.knobs.gcode.controller import Waits
from capture.hardware.knobs.gcode.driver import GcodeKnobs
from capture.model import AUTO, Control, Position, Setting
from tests.knobs.gcode.scripted import Peer
from tests.knobs.gcode.wires import MemoryPort

RELEASE = Control(
    "release_s", "s", (Position("0.1", 0.1), Position("1.2", 1.2), Position("Auto", AUTO))
)
RATIO = Control("ratio", "", minimum=1.0, maximum=5.0, step=0.5)
CONTROLS = (RELEASE, RATIO)

ONE = Setting({"release_s": 1.2, "ratio": 2.0})  # X 30, Y 22.5
OTHER = Setting({"release_s": AUTO, "ratio": 2.0})  # X 60, Y 22.5

PATIENT = Waits(30, 30, 30, 30, 30, look_s=0.1)
"""Nothing that is tested with these comes too late, however busy the machine is."""

SOON = replace(PATIENT, greeting_s=0.5, answer_s=0.5, home_s=0.5, move_s=0.5)


def facts(firmware: str, port: Path | None = None, **changed: object) -> GcodeFacts:
    overshoot = changed.pop("overshoot", 0.0)
    document = {
        "port": {"path": str(port or "memory")},
        "firmware": firmware,
        "feed_per_min": 1500,
        "axes": {
            "release_s": {"axis": "X", "at": [0, 30, 60], "overshoot": overshoot},
            "ratio": {"axis": "Y", "at": [0, 90]},
        },
        **changed,
    }
    return GcodeFacts.model_validate(document)


def in_memory(peer: Peer, firmware: str, waits: Waits = PATIENT, piece: int = 4096) -> GcodeKnobs:
    """Knobs whose controller is ``peer``, plugged in again whenever the port is opened."""

    def opener(_: GcodeFacts) -> MemoryPort:
        peer.unplugged = False
        return MemoryPort(peer, piece)

    return GcodeKnobs(facts(firmware), CONTROLS, waits, opener)
