"""Faults of the real audio path at moments of a take: the rest of the table in docs/commit.md."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from capture.hardware.portaudio.process import STALL_S
from tests.jack.conftest import Lab, untrue
from tests.jackserver import until
from tests.session.conftest import rows
from tests.session.moments import AFTER, BEFORE, COMMITTED, RECORDED, Gated

Start = Callable[..., Lab]
SONGS = 4


@pytest.fixture
def lab(start_lab: Start) -> Lab:
    """Four takes to be recorded in real time."""
    found = start_lab()
    found.songs(SONGS, 3.0)
    found.rig(freewheel=False)
    found.plan()
    return found


@pytest.fixture
def begin(lab: Lab) -> Iterator[Callable[..., Gated]]:
    runs: list[Gated] = []

    def start(*moments: str) -> Gated:
        runs.append(Gated(lab.folder, "d", *moments, env=lab.server.env))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.communicate()


def require_true(lab: Lab, run: Gated) -> None:
    """All takes are there, at their first try or not, every one as the rack sent it."""
    run.end(0)
    assert len(rows(lab.folder / "d")) == SONGS
    lab.rack.stop()
    assert untrue(lab.folder / "d", lab.truths()) == []
    assert not list((lab.folder / "d" / "data").rglob("*.part"))
    lab.desk.ok("verify", "d")


def test_a_device_that_is_lost_before_a_take_and_behind_one(
    lab: Lab, begin: Callable[..., Gated]
) -> None:
    run = begin(BEFORE, COMMITTED)
    for moment in (BEFORE, COMMITTED):
        run.at(moment)
        lab.rack.kill()
        run.go()
        run.until("device lost")
        lab.rack.start()
        run.until("device is back")
    assert sum(line.startswith("captured") for line in run.said) == 1  # that which was recorded
    require_true(lab, run)


def test_a_machine_that_sleeps(lab: Lab, begin: Callable[..., Gated]) -> None:
    """The stream has no frames of that time: what it was carrying is void, and it is said why."""
    run = begin(BEFORE, RECORDED, COMMITTED, AFTER)

    def sleep(moment: str, seconds: float) -> None:
        run.at(moment)
        run.group(signal.SIGSTOP)
        until(run.sleeps, "it sleeps")
        time.sleep(seconds)  # that is what is tested
        run.go()  # it finds that when it wakes
        run.group(signal.SIGCONT)

    sleep(BEFORE, 1.0)
    sleep(RECORDED, STALL_S + 1)
    run.until("void: ")  # whichever is seen first: the clock, the stream's flags, no audio
    sleep(COMMITTED, 1.0)
    sleep(AFTER, 1.0)
    require_true(lab, run)  # so is whatever played meanwhile
    void = [line.partition("void: ")[2] for line in run.said if "void: " in line]
    assert all(reason.strip() for reason in void)
