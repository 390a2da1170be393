"""Against a peer that was not written here: OctoPrint's virtual Marlin printer.

It is not among the dependencies, which it would bend to its own: it is looked for in the folder
``peers`` of the virtual environment, and runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import pytest

from capture.errors import HardwareFault
from capture.hardware.knobs.gcode.driver import GcodeKnobs
from capture.model import AUTO, Setting
from tests.knobs.gcode.rig import CONTROLS, ONE, OTHER, PATIENT, facts

PEERS = Path(sys.prefix) / "peers"
PROGRAM = Path(__file__).with_name("octoprint_peer.py")

pytestmark = pytest.mark.skipif(not PEERS.is_dir(), reason="OctoPrint is not there: make peers")


class Printer:
    """The program, and knobs behind it."""

    def __init__(self, link: Path, answer_s: float, settings: tuple[str, ...]) -> None:
        self._program = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(link), *settings],
            env={**os.environ, "PYTHONPATH": str(PEERS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._program.stdout is not None
        assert self._program.stdout.readline() == "ready\n"
        waits = replace(PATIENT, greeting_s=0.2, answer_s=answer_s, move_s=answer_s)
        self.knobs = GcodeKnobs(
            facts("marlin", link, overshoot=5.0, feed_per_min=90_000), CONTROLS, waits
        )

    def debug(self, command: str) -> None:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(f"{command}\n")
        self._program.stdin.flush()
        assert self._program.stdout.readline() == "ready\n"

    def close(self) -> None:
        self.knobs.close()
        self._program.communicate(timeout=30)


Begin = Callable[..., Printer]


@pytest.fixture
def printer(tmp_path: Path) -> Generator[Begin]:
    begun: list[Printer] = []

    def begin(*settings: str, answer_s: float = 30.0) -> Printer:
        quiet = "" if any("simulated_errors" in s for s in settings) else "simulated_errors=[]"
        begun.append(Printer(tmp_path / "port", answer_s, (*settings, *quiet.split())))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def test_a_session(printer: Begin) -> None:
    knobs = printer().knobs
    for release, ratio in ((1.2, 1.0), (AUTO, 5.0), (0.1, 5.0), (0.1, 2.5)):
        setting = Setting({"release_s": release, "ratio": ratio})
        assert knobs.set(setting).position == setting
        assert knobs.verify(setting).confirmed == "read_back"
    assert "> N1 G28 X Y*19" in knobs.transcript
    assert "< ok X:35.0 Y:0.0 Z:0.0 E:0.0 Count: A:3500 B:0 C:0" in knobs.transcript


M114 = "X:{x:.2f}Y:{y:.2f}Z:{z:.2f}E:{e[current]:.2f} Count X: 0.00Y:0.00"


@pytest.mark.parametrize(
    "settings",
    [
        ("okBeforeCommandOutput=true", f'm114FormatString="{M114}"', "sendWait=false"),
        ('okFormatString="ok N{lastN} P15 B{buffer}"', "forceChecksum=true"),
    ],
)
def test_other_ways_to_answer(settings: tuple[str, ...], printer: Begin) -> None:
    knobs = printer(*settings).knobs
    for setting in (ONE, OTHER):
        assert knobs.set(setting).position == setting


def test_lines_that_are_wanted_again(printer: Begin) -> None:
    # N5 and N8 are moves, N6 a barrier, N7 a question.
    errors = '["5:resend", "6:checksum_mismatch", "7:resend", "8:resend"]'
    knobs = printer(f"simulated_errors={errors}").knobs
    for setting in (ONE, OTHER):
        assert knobs.set(setting).position == setting
        knobs.verify(setting)
    resends = [line for line in knobs.transcript if line.startswith("< Resend")]
    assert resends == ["< Resend:5", "< Resend:6", "< Resend:7", "< Resend:8"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("5:resend_with_timeout", "release_s (axis X) was sent to 35 and stands at 0"),  # a move
        ("6:resend_with_timeout", None),  # a barrier
        ("7:resend_with_timeout", None),  # a question
        ("5:missing_lineno", "says 'Resend: 5' to 'M114': line 6 was the last: a line never came"),
    ],
)
def test_lines_that_are_lost(error: str, said: str | None, printer: Begin) -> None:
    knobs = printer(f'simulated_errors=["{error}"]', answer_s=0.5).knobs
    if said is None:
        assert knobs.set(ONE).position == ONE
        return
    with pytest.raises(HardwareFault) as caught:
        knobs.set(ONE)
    assert said in caught.value.messages[0]
    assert sum(" G1 " in line for line in knobs.transcript) == (2 if "with_timeout" in error else 1)


def test_a_reset(printer: Begin) -> None:
    one = printer()
    for ask, setting in ((one.knobs.verify, ONE), (one.knobs.set, OTHER)):
        assert one.knobs.set(ONE).position == ONE
        assert "> N1 G28 X Y*19" in one.knobs.transcript
        one.debug("reset")
        with pytest.raises(HardwareFault, match="reset"):
            ask(setting)


def test_it_is_killed(printer: Begin) -> None:
    one = printer()
    one.knobs.set(ONE)
    one.debug("trigger_fatal_error_marlin")
    with pytest.raises(HardwareFault, match="Thermal Runaway, system stopped"):
        one.knobs.set(OTHER)


def test_it_falls_silent(printer: Begin) -> None:
    one = printer(answer_s=0.5)
    one.knobs.set(ONE)
    one.debug("go_awol")
    with pytest.raises(HardwareFault, match="does not say where it stands, asked 2 times"):
        one.knobs.set(OTHER)
