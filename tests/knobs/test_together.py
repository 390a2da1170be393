"""Several drivers at once, in a whole session: the threshold by hand, all else by motor.

The audio is simulated, and the simulated unit is told what the drivers did. Attack and release are
turned by a controller that speaks G-code, played by a script behind a terminal; the ratio by a
relay board, which is pymodbus's server, a program of its own.
"""

from __future__ import annotations

import json
import os
import shlex
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.knobs.gcode.scripted import ScriptedGrbl
from tests.knobs.gcode.wires import Pty
from tests.knobs.modbus.wire import Wire
from tests.session.conftest import CAPTURE, Desk, hashes, rows
from tests.session.test_weeks import plain_rig
from tests.view.terminal import terminal

DRIVERS = {"threshold_db": "manual", "attack_ms": "gcode", "release_s": "gcode", "ratio": "modbus"}
ELSEWHERE = 13.0
MOTORS = """
gcode:
  port: {{path: "{gcode}"}}
  firmware: grbl
  feed_per_min: 1500
  axes:
    attack_ms: {{axis: X, at: [0, 30, 60, 90, 120, 150], overshoot: 5}}
    release_s: {{axis: Y, at: [0, 30, 60, 90, 120, 150, 180, 210, 240]}}
modbus:
  port: {{path: "{modbus}"}}
  baud: 115200
  answer_s: 5
  settle_s: 0
  registers:
    ratio: {{unit: 2, coils: [0, 1, 2, 3, 4, 5]}}
"""


@pytest.fixture
def motors(tmp_path: Path) -> Iterator[Pty]:
    with Pty(ScriptedGrbl(), tmp_path / "motors") as pty:
        yield pty


@pytest.fixture(scope="module")
def relays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    wire = Wire("server_pymodbus.py", tmp_path_factory.mktemp("relays"))
    yield wire
    wire.close()


@pytest.fixture
def desk(tmp_path: Path, motors: Pty, relays: Wire) -> Desk:
    """Two songs that play for a while, and the rig: by its drivers, and wholly simulated."""
    found = Desk(tmp_path)
    found.song("one.wav", 4.0, seed=1)
    found.song("two.wav", 4.0, seed=2)
    text = (tmp_path / plain_rig(found)).read_text("utf-8")
    for control, driver in DRIVERS.items():
        before, after = text.split(f"  {control}:\n")
        after = after.replace("driver: simulated", f"driver: {driver}", 1)
        text = f"{before}  {control}:\n{after}"
    text += MOTORS.format(gcode=motors.path, modbus=relays.path)
    (tmp_path / "rack.yaml").write_text(text, "utf-8")
    return found


def session(desk: Desk, plan: str, happens: Callable[[], None]) -> list[dict[str, Any]]:
    """Runs a session on a terminal, at which a person turns the threshold. Its events.

    ``happens``: when the first take is being played.
    """
    said: list[dict[str, Any]] = []
    pipe = desk.folder / "events"
    os.mkfifo(pipe)

    def listen() -> None:
        waiting = True
        with pipe.open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("{"):  # the session's last words are plain
                    said.append(json.loads(line))
                if waiting and said and said[-1]["event"] == "TakeProgress":
                    waiting = False
                    happens()

    listener = threading.Thread(target=listen)
    listener.start()
    run = shlex.join([CAPTURE, "run", plan, "--out", "d", "--json"])
    with terminal(["bash", "-c", f"exec {run} 2>{shlex.quote(str(pipe))}"], desk.folder) as person:
        person.until("TURN THIS KNOB").until("THRESHOLD   ?  ->   -28 dB").press("\n")
        person.until("THRESHOLD   -28 dB  ->   -20 dB").press("\n")
        person.until("THRESHOLD   -20 dB  ->   -28 dB").press("\n")
        assert person.ended() == 0, said[-3:]
    listener.join()
    return said


def of(said: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [one for one in said if one["event"] == event]


def takes(dataset: Path) -> dict[str, str]:
    return {name: sha for name, sha in hashes(dataset).items() if name.startswith("data/takes")}


@pytest.mark.parametrize(
    ("befalls", "reason"),
    [
        (ScriptedGrbl.reset, "was reset: where its axes stand is lost"),
        (lambda peer: peer.moved_by_hand("X", ELSEWHERE), "was moved, or lost steps"),
    ],
    ids=["reset", "moved"],
)
def test_what_befalls_a_motor_in_a_take_voids_it_and_the_motors_home_again(
    desk: Desk, motors: Pty, befalls: Callable[[ScriptedGrbl], bytes | None], reason: str
) -> None:
    peer = motors.peer
    assert isinstance(peer, ScriptedGrbl)
    peer.script = ["ok", "ok", "ok", "reset"]  # in the middle of the first move
    plan = desk.plan(rig="rack.yaml", releases="0.1", ratios="4")
    said = session(desk, plan, lambda: motors.befall(lambda: befalls(peer)))
    again = [note for note in of(said, "Note") if "the knobs are set once more" in note["message"]]
    assert len(again) == 1
    voids = of(said, "TakeVoid")
    assert reason in voids[0]["reasons"][0]
    # The take that was begun behind it was played with knobs of which nobody knew.
    assert all("a knob was moved before" in void["reasons"][0] for void in voids[1:])
    assert len(voids) <= 2
    assert peer.lines.count("$H") == 3
    captured = rows(desk.folder / "d")
    assert len(captured) == 8
    assert {row["attempts"] for row in captured} == {"1"}  # no fault of the take's
    # A person says it, a relay and a motor read it back: what is weakest counts for all of them.
    assert {row["knobs_confirmed"] for row in captured} == {"told"}
    for row in captured:
        assert row["attack_ms_read_back"] == row["attack_ms"]
        assert row["ratio_read_back"] == row["ratio"]
        assert row["threshold_db_read_back"] == ""
    assert desk.json("verify", "d")["ok"]
    desk.ok("run", plan, "--rig", "plain.yaml", "--out", "simulated")
    assert takes(desk.folder / "d") == takes(desk.folder / "simulated")
