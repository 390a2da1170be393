"""The engine beside what one would write without it: `make bench`. Prints a table.

On a JACK server with the dummy driver, the simulated rack in its own process: in real time, so
twelve minutes in all. Nothing is asserted about time; what is lost shows in the figures.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from capture.signal.marker import MARKER_S, gap_frames
from tests.benchmarks.conftest import stream
from tests.benchmarks.test_speed import music
from tests.jack.conftest import Lab
from tests.jackserver import JackServer
from tests.rack.conftest import RackProcess
from tests.session.conftest import RATE_HZ, Desk

TAKES, TAKE_S = 20, 10.0
LOADED_S, LOADED_ROUNDS = 8.0, 3
StartLab = Callable[[int], Lab]
Table = Callable[[str, str, float, str], None]

SCRIPT = """\
import json, sys, time
import numpy, sounddevice, soundfile
began = time.perf_counter()
for number, song in enumerate(sys.argv[1:]):
    audio, rate = soundfile.read(song)
    recorded = sounddevice.playrec(audio, rate, channels=4, device="rack", blocking=True)
    soundfile.write(f"out{number}.flac", recorded[:, :2], rate, "PCM_24")
    soundfile.write(f"cv{number}.flac", recorded[:, 2], rate, "PCM_24")
    print(f"peak {numpy.abs(recorded).max():.3f}", file=sys.stderr)
print(json.dumps(time.perf_counter() - began))
"""


@pytest.fixture
def start_lab(start_server: Callable[..., JackServer], tmp_path: Path) -> Iterator[StartLab]:
    """A server of that period with a rack on it; the files are deleted at the end."""
    racks: list[RackProcess] = []

    def start(period: int) -> Lab:
        server = start_server(period)
        (tmp_path / "rack").mkdir()
        racks.append(RackProcess(server, tmp_path / "rack"))
        return Lab(server, racks[0], Desk(tmp_path, server.variables))

    yield start
    for rack in racks:
        rack.stop()
    shutil.rmtree(tmp_path)


# Audio time / wall time --------------------------------------------------------------------------


def test_takes_of_a_script(benchmark: Any, table: Table, start_lab: StartLab) -> None:
    """One ``sounddevice.playrec`` a take, its files written before the next one begins."""
    lab = start_lab(4096)
    lab.songs(TAKES, TAKE_S)
    songs = sorted(str(path) for path in (lab.folder / "songs").iterdir())

    def play() -> float:
        command = [sys.executable, "-c", SCRIPT, *songs]
        done = subprocess.run(
            command, cwd=lab.folder, env=lab.server.env, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    wall_s = benchmark.pedantic(play, rounds=1)
    table("audio / wall time", "a script with playrec", TAKES * TAKE_S / wall_s, "")


def test_takes_of_a_session(benchmark: Any, table: Table, start_lab: StartLab) -> None:
    """``capture run``, no settling: from the first take's start to the last one's commit."""
    lab = start_lab(4096)
    lab.songs(TAKES, TAKE_S)
    lab.rig(freewheel=False, settle_s=0.0)
    lab.plan()

    def play() -> tuple[float, int]:
        running = lab.run()
        running.until("TakeStarted")
        began = time.monotonic()
        running.until("TakeDone", TAKES)
        wall_s = time.monotonic() - began
        assert running.end()["captured"] == TAKES
        return wall_s, len(running.said("TakeVoid"))

    wall_s, voids = benchmark.pedantic(play, rounds=1)
    around_s = 2 * MARKER_S + 3 * gap_frames(RATE_HZ) / RATE_HZ  # its markers, and the silences
    repeated = f" ({voids} takes recorded again)" if voids else ""
    table("audio / wall time", f"capture run, songs alone{repeated}", TAKES * TAKE_S / wall_s, "")
    carried_s = TAKES * (TAKE_S + around_s)
    table("audio / wall time", "capture run, markers and gaps too", carried_s / wall_s, "")


# Busy threads beside it --------------------------------------------------------------------------


@pytest.mark.parametrize("period", [256, 1024])
@pytest.mark.parametrize("kind", ["inline", "driver"])
def test_busy_threads(
    benchmark: Any, table: Table, start_lab: StartLab, kind: str, period: int
) -> None:
    """Two threads of pure Python in the process that holds the callback, or the driver."""
    lab = start_lab(period)
    case = {"kind": kind, "seconds": LOADED_S, "busy": 2}
    case |= {"device": "rack", "inputs": 4, "outputs": 2}
    found: list[dict[str, Any]] = []
    missed = lab.rack.state()["missed"]
    benchmark.pedantic(lambda: found.append(stream(lab.server, **case)), rounds=LOADED_ROUNDS)
    missed = lab.rack.state()["missed"] - missed
    where = {"inline": "callback in their process", "driver": "engine, driver in their process"}
    late = [100 * one["late"] / one["callbacks"] for one in found]
    lost = [100 * lost_share(one, period) for one in found]
    group = f"2 busy threads, {period} frames"
    table(f"{group}: late", f"{where[kind]} ({spread(late)})", median(late), "%")
    more = f"{spread(lost)}; the rack missed {missed} frames"
    table(f"{group}: lost", f"{where[kind]} ({more})", median(lost), "%")


def lost_share(found: dict[str, Any], period: int) -> float:
    """Of all frames. JACK loses whole periods; what the clocks say is known to a few frames."""
    lost = period * max(0, round(found["lost_frames"] / period))
    return lost / (lost + found["frames"])


def spread(values: list[float]) -> str:
    return f"{min(values):.2g} to {max(values):.2g}, {len(values)} rounds"


# Memory ------------------------------------------------------------------------------------------


def peak_mb(pid: int) -> float:
    """The largest resident size that a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} has ended")


@pytest.mark.parametrize("minutes", [1, 10, 60])
def test_memory(benchmark: Any, table: Table, start_lab: StartLab, minutes: int) -> None:
    lab = start_lab(4096)
    music(lab.folder / "songs" / "a.wav", minutes)
    lab.rig(freewheel=True)
    lab.plan()

    def play() -> tuple[float, float]:
        running = lab.run()
        running.until("TakeStarted")
        engine = running.engine_pid()
        running.until("TakeDone")
        engine_mb = peak_mb(engine)
        running.until("SessionEnded")
        runner_mb = peak_mb(running.process.pid)
        assert running.end()["captured"] == 1
        return runner_mb, engine_mb

    runner_mb, engine_mb = benchmark.pedantic(play, rounds=1)
    table("peak memory, runner", f"take of {minutes} min", runner_mb, "MB")
    table("peak memory, engine", f"take of {minutes} min", engine_mb, "MB")
