"""The door of a JACK server: one engine at a time, and it opens when its holder dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from capture.errors import HardwareFault
from capture.hardware.portaudio import freewheel
from capture.hardware.portaudio.freewheel import Door

HOLDER = """
import sys
from capture.hardware.portaudio.freewheel import Door
door = Door()
door.enter()
print("in", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _a_server_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(freewheel, "ENTER_S", 0.1)
    monkeypatch.setattr(freewheel, "LEAVE_WITHIN_S", 0.1)


def _holder(server: str) -> subprocess.Popen[bytes]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env={**os.environ, "JACK_DEFAULT_SERVER": server},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"in\n"
    return holder


def test_nobody_enters_while_another_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "studio")
    with _holder("studio") as holder:
        with pytest.raises(HardwareFault, match=r"'studio' is in freewheel for another run"):
            Door().enter()
        Door().leave()  # whoever must go goes
        holder.kill()
        holder.wait()
        Door().enter()


def test_every_server_has_a_door_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "stage/left")
    with _holder("studio") as holder:
        mine = Door()
        mine.enter()
        mine.let_go()
        Door().enter()
        holder.kill()
