"""Faults made on purpose: each is found, each take recorded again, the dataset whole and true."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture.hardware.rack.control import ask
from tests.jack.conftest import Lab, Running, freeze, untrue
from tests.session.conftest import rows

Start = Callable[..., Lab]
SONGS = 3


def begin(lab: Lab, out: str = "d", seconds: float = 5.0, **audio: float) -> Running:
    """A run in real time that has come to the middle of its second take."""
    lab.songs(SONGS, seconds)
    lab.rig(freewheel=False, **audio)
    lab.plan()
    running = lab.run(out)
    running.until("TakeDone")
    running.until("TakeProgress", 2)
    return running


def whole_and_true(lab: Lab, running: Running) -> None:
    """All takes are there, none rejected, every one as the rack sent it."""
    ended = running.end()
    assert (ended["captured"], ended["rejected"]) == (SONGS, 0)
    lab.rack.stop()
    assert untrue(running.out, lab.truths()) == []
    assert not list((running.out / "data").rglob("*.part"))
    lab.desk.ok("verify", str(running.out))


@pytest.mark.parametrize("seconds", [0.1, 0.5, 3.0])
def test_a_frozen_rack(start_lab: Start, seconds: float) -> None:
    lab = start_lab()
    running = begin(lab)
    freeze(lab.rack.process.pid, seconds)
    whole_and_true(lab, running)
    assert running.void_for & {"stream_flags", "clock_frames"} or running.said("DeviceGone")


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


def test_a_killed_engine(start_lab: Start) -> None:
    lab = start_lab()
    running = begin(lab)
    os.kill(running.engine_pid(), signal.SIGKILL)
    running.until("DeviceGone")
    whole_and_true(lab, running)


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


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lost_frames", "frames": 1},
        {"kind": "doubled_frames", "frames": 1},
        {"kind": "lost_frames", "frames": 64},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault['frames']}",
)
def test_frames_that_the_rack_loses_or_doubles(start_lab: Start, fault: dict[str, object]) -> None:
    """No flag says so. The pilot does, and the second marker."""
    lab = start_lab()
    running = begin(lab)
    lab.rack.fault(**fault, at_s=0.0)
    whole_and_true(lab, running)
    assert {"marker_tail_frames", "pilot_db"} <= running.void_for
    assert "stream_flags" not in running.void_for
    latencies = {row["latency_frames"] for row in rows(running.out)}
    assert len(latencies) == 2  # the delay is another one from then on, and was measured anew


def test_a_rack_that_vanishes_and_comes_back_later(start_lab: Start) -> None:
    lab = start_lab()
    running = begin(lab)
    lab.rack.fault(kind="vanish", at_s=0.0, for_s=2.0, latency_frames=1500)
    whole_and_true(lab, running)
    assert running.said("DeviceOpened")
    assert len({row["latency_frames"] for row in rows(running.out)}) == 2


def test_the_engine_leaves_nothing_behind(start_lab: Start) -> None:
    """Neither a process nor shared memory, when the program is killed outright."""
    lab = start_lab()
    before = set(Path("/dev/shm").glob("psm_*"))
    running = begin(lab)
    engine = running.engine_pid()
    assert set(Path("/dev/shm").glob("psm_*")) > before
    running.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{engine}").exists() or set(Path("/dev/shm").glob("psm_*")) - before:
        assert time.monotonic() < deadline, "the engine outlives the program"
        time.sleep(0.05)
    whole_and_true(lab, lab.run())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which can be frozen."""
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(256 * 2**20)
    made = subprocess.run(["mkfs.ext4", "-q", image], capture_output=True, check=False)
    mounted = subprocess.run(["mount", "-o", "loop", image, folder], check=False)
    if made.returncode or mounted.returncode:
        if os.environ.get("CI"):
            raise RuntimeError("CI cannot mount a file system to freeze")
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["fsfreeze", "-u", folder], capture_output=True, check=False)
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_stalls_breaks_no_take(start_lab: Start, disk: Path) -> None:
    lab = start_lab()
    running = begin(lab, str(disk / "d"), seconds=8.0)
    subprocess.run(["fsfreeze", "-f", disk], check=True)
    time.sleep(5)
    subprocess.run(["fsfreeze", "-u", disk], check=True)
    whole_and_true(lab, running)
    assert running.said("TakeVoid") == []


def test_the_stream_is_opened_anew_between_takes(start_lab: Start) -> None:
    lab = start_lab()
    lab.songs(SONGS, 3.0)
    lab.rig(freewheel=False, reopen_after_s=6.0)
    lab.plan()
    running = lab.run()
    whole_and_true(lab, running)
    opened = running.said("DeviceOpened")
    assert opened
    assert not any(event["lost"] for event in opened)
    assert len(running.said("Calibrated")) == 1 + len(opened)
    assert running.said("TakeVoid") == []


def test_ctrl_c_ends_at_once_and_the_next_run_goes_on(start_lab: Start) -> None:
    lab = start_lab()
    running = begin(lab, seconds=20.0)
    asked = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    running.end(130)
    assert time.monotonic() - asked < 8
    assert ask(lab.rack.port, {"do": "state"})["ok"]
    lab.rig(freewheel=True)
    whole_and_true(lab, lab.run())
