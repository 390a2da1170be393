"""The rack frozen, killed, losing frames: each is found, each take recorded again, all true."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.jack.conftest import Lab, begin, freeze, whole_and_true
from tests.session.conftest import rows

Start = Callable[..., Lab]


def test_a_frozen_rack(start_lab: Start) -> None:
    lab = start_lab()
    running = begin(lab, songs=5)
    for seconds in (0.1, 0.5, 3.0):
        freeze(lab.rack.process.pid, seconds)
        running.until("TakeVoid", "DeviceGone")
        running.until("TakeDone")
        running.until("TakeProgress")
    whole_and_true(lab, running)
    assert running.void_for & {"stream_flags", "clock_frames"}


def test_a_rack_that_is_killed_and_started_again(start_lab: Start) -> None:
    lab = start_lab()
    running = begin(lab)
    lab.rack.kill()
    running.until("DeviceGone")
    lab.rack.start()
    whole_and_true(lab, running)
    assert len(running.said("DeviceOpened")) == 1


def test_a_server_that_is_killed_and_started_again(start_lab: Start) -> None:
    lab = start_lab()
    running = begin(lab)
    lab.server.kill()
    running.until("DeviceGone")
    lab.server.start()
    whole_and_true(lab, running)
    assert len(running.said("DeviceOpened")) == 1


def test_a_device_that_stays_away_ends_the_run_and_the_next_one_goes_on(start_lab: Start) -> None:
    lab = start_lab()
    running = begin(lab, wait_for_device_s=1.0)
    lab.rack.kill()
    out, err = running.process.communicate(timeout=120)
    assert running.process.returncode == 4
    assert "did not come back within 1 s" in out + err
    assert lab.desk.json("status", "d")["captured"] == 1
    lab.rack.start()
    whole_and_true(lab, lab.run())


def test_frames_that_the_rack_loses_or_doubles(start_lab: Start) -> None:
    """No flag says so. The pilot does, and the second marker; then the delay is another one."""
    lab = start_lab()
    running = begin(lab, songs=6)
    for kind, frames in (("lost_frames", 1), ("doubled_frames", 1), ("lost_frames", 64)):
        lab.rack.fault(kind=kind, frames=frames, at_s=0.0)
        reasons = running.until("TakeVoid")["reasons"]
        found = {reason.split(":")[0] for reason in reasons}
        assert {"marker_tail_frames", "pilot_db"} <= found
        running.until("TakeDone")
        running.until("TakeProgress")
    whole_and_true(lab, running)
    delays = {int(row["latency_frames"]) for row in rows(running.out)}
    whole = max(delays)
    assert delays == {whole, whole - 1, whole - 64}


@pytest.mark.parametrize("at_s", [0.2, 0.35])
def test_a_frame_that_is_lost_while_the_latency_is_measured(start_lab: Start, at_s: float) -> None:
    """The calibration is wrong then, by a part of a frame: the first marker says so."""
    lab = start_lab(faults=[{"kind": "lost_frames", "frames": 1, "at_s": at_s}])
    running = begin(lab)
    whole_and_true(lab, running)
    assert "marker_head_frames" in running.void_for
    wrong, right = (float(row["delay_left_frames"]) for row in rows(running.out, "calibrations"))
    assert 0.1 < wrong - right < 1
    (epoch,) = lab.truths()[0].of("epoch")
    path = (right + 1 - epoch["delay_frames"]["left"]) / lab.server.period_frames
    assert (
        abs(path - round(path)) < 1e-5
    )  # JACK adds whole periods, and the rack had lost one frame


def test_a_rack_that_vanishes_and_comes_back_later(start_lab: Start) -> None:
    lab = start_lab()
    running = begin(lab)
    lab.rack.fault(kind="vanish", at_s=0.0, for_s=2.0, latency_frames=1500)
    whole_and_true(lab, running)
    assert running.said("DeviceOpened")
    assert len({row["latency_frames"] for row in rows(running.out)}) == 2


def test_a_rack_that_dies_counts_against_no_take(start_lab: Start) -> None:
    """Not even in the last try: a take is rejected for what it is, not for a cable."""
    lab = start_lab()
    lab.songs(2, 3.0)
    lab.rig(freewheel=False)
    plan = lab.folder / lab.plan()
    plan.write_text(plan.read_text().replace("retries: 10", "retries: 0"))
    running = lab.run()
    running.until("TakeProgress")
    lab.rack.kill()
    running.until("DeviceGone")
    lab.rack.start()
    ended = running.end()
    assert (ended["captured"], ended["rejected"]) == (2, 0)
    assert {row["attempts"] for row in rows(running.out)} == {"1"}
