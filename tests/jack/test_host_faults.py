"""The program's own side: engine, disk, stream and keyboard. Nothing is lost, all is true."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture.hardware.rack.control import ask
from tests.jack.conftest import SONGS, Lab, begin, whole_and_true
from tests.jackserver import until

Start = Callable[..., Lab]


def test_a_killed_engine(start_lab: Start) -> None:
    lab = start_lab()
    running = begin(lab)
    os.kill(running.engine_pid(), signal.SIGKILL)
    running.until("DeviceGone")
    whole_and_true(lab, running)


def test_the_engine_leaves_nothing_behind(start_lab: Start) -> None:
    """Neither a process nor shared memory, when the program is killed outright."""
    lab = start_lab()
    running = begin(lab)
    engine = Path(f"/proc/{running.engine_pid()}")
    maps = (engine / "maps").read_text()
    memory = {Path("/dev/shm") / name for name in re.findall(r"/dev/shm/(psm_\w+)", maps)}
    assert memory
    running.kill()
    until(lambda: not engine.exists(), "the engine ends")
    until(lambda: not any(path.exists() for path in memory), "the memory is given back")
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
    assert not running.flags & {"starved", "overrun"}


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
    assert len(running.said("Calibrated")) >= 1 + len(opened)


def test_ctrl_c_ends_at_once_and_the_next_run_goes_on(start_lab: Start) -> None:
    lab = start_lab()
    running = begin(lab, seconds=6.0)
    asked = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    running.end(130)
    assert time.monotonic() - asked < 4
    assert ask(lab.rack.port, {"do": "state"})["ok"]
    lab.rig(freewheel=True)
    whole_and_true(lab, lab.run())
