"""The program on the real audio path: PortAudio, a JACK server, the rack in its own process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from ruamel.yaml import YAML

from capture.hardware.rack.truth import Truth, read_truth
from tests.jackserver import MISSING, JackServer
from tests.rack.conftest import RackProcess, document
from tests.session.conftest import RATE_HZ, Desk, bursts, rows

if MISSING and os.environ.get("CI"):
    raise RuntimeError(f"CI lacks {MISSING}")

SONGS = 3
PLAN = """\
schema_version: 1
name: jack
rig: rig.yaml
songs: {{paths: ["songs/*"]}}
level: {{normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}}
sample_rate_hz: 44100
grid:
  threshold_db: [{thresholds}]
  attack_ms: [{attacks}]
  release_s: [{releases}]
  ratio: [{ratios}]
# A machine that is not its own stalls, in real time; and the silences are too short on purpose.
checks: {{retries: 10, settle_db: 60}}
"""


@dataclass
class Lab:
    """A server, a rack on it, and a folder to work in."""

    server: JackServer
    rack: RackProcess
    desk: Desk

    @property
    def folder(self) -> Path:
        return self.desk.folder

    def rig(
        self,
        *,
        freewheel: bool,
        settle_s: float = 0.3,
        calibrated: bool = False,
        coupling: str = "dc",
        **audio: Any,
    ) -> str:
        """The profile by which the program finds the rack.

        Not ``calibrated``, the law is the profile's and no setting is proven: a rack of its own
        takes every loud sound for a take, and its scripted faults come to those.
        """
        data = document({})
        data["cv"]["coupling"] = coupling
        if not calibrated:
            del data["calibration"]
        data["rack"]["control_port"] = self.rack.port
        data["audio"] |= {"freewheel": freewheel, "wait_for_device_s": 30, **audio}
        data["settle"] = {"after_open_s": 0.3, "between_takes_s": settle_s}
        for control in data["controls"].values():
            control["positions"] = [
                position["value"] if isinstance(position, dict) else position
                for position in control["positions"]
            ]
        with (self.folder / "rig.yaml").open("w") as file:
            YAML().dump(data, file)
        return "rig.yaml"

    def plan(
        self,
        thresholds: str = "-28",
        attacks: str = "1",
        releases: str = "0.1",
        ratios: str = "4",
    ) -> str:
        text = PLAN.format(thresholds=thresholds, attacks=attacks, releases=releases, ratios=ratios)
        (self.folder / "plan.yaml").write_text(text, "utf-8")
        return "plan.yaml"

    def songs(self, count: int, seconds: float, silence_s: float = 0.0) -> None:
        folder = self.folder / "songs"
        folder.mkdir(exist_ok=True)
        for number in range(count):
            audio = bursts(seconds, number)
            audio[: round(silence_s * RATE_HZ)] = 0.0
            soundfile.write(folder / f"song{number}.wav", audio, RATE_HZ, "PCM_24")

    def run(self, out: str = "d") -> Running:
        return Running(self, out)

    def truths(self) -> list[Truth]:
        return read_truth(self.rack.truth)


class Running:
    """``capture run plan.yaml --json``, under way; its events as they come."""

    def __init__(self, lab: Lab, out: str) -> None:
        self._lab = lab
        self.out = lab.folder / out
        self.events: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from capture.cli import main; main()",
                *("run", "plan.yaml", "--out", out, "--json"),
            ],
            cwd=lab.folder,
            env=lab.server.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, *kinds: str) -> dict[str, Any]:
        """Reads events until one of these kinds."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            event = json.loads(line)
            self.events.append(event)
            if event["event"] in kinds:
                return event
        raise AssertionError(f"no {kinds}: {[event['event'] for event in self.events]}")

    def engine_pid(self) -> int:
        """The engine: the child that shares the program's command in spawning."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for child in children.read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        raise AssertionError("the program has no engine")

    def end(self, code: int = 0) -> dict[str, Any]:
        """Waits for the end; the result that it prints."""
        out, err = self.process.communicate(timeout=240)
        self.events += [json.loads(line) for line in err.splitlines() if line.startswith("{")]
        assert self.process.returncode == code, f"{self.process.returncode}: {out}{err[-3000:]}"
        return json.loads(out)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def flags(self) -> set[str]:
        """The names of all flags for which an attempt was void."""
        reasons = [reason for event in self.said("TakeVoid") for reason in event["reasons"]]
        named = [reason.split(": ")[1] for reason in reasons if reason.startswith("stream_flags")]
        return {flag for flags in named for flag in flags.split(", ")}

    @property
    def void_for(self) -> set[str]:
        """The names of all checks that any attempt failed."""
        reasons = [reason for event in self.said("TakeVoid") for reason in event["reasons"]]
        return {reason.split(":")[0] for reason in reasons}


def freeze(pid: int, seconds: float) -> None:
    """Stops a process for so long: that is what is tested."""
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


def untrue(dataset: Path, truths: list[Truth]) -> list[str]:
    """Captured takes that are not, frame for frame, what a rack sent in one piece."""
    found: list[str] = []
    for row in rows(dataset):
        take = codes_of(dataset, row)
        assert len(take) == int(row["num_frames"])
        if all(place(truth, take) is None for truth in truths):
            found.append(row["output_file"])
    return found


def codes_of(dataset: Path, row: dict[str, str]) -> np.ndarray:
    """A take as it is on disk: left, right and CV, int32 (frames, 3)."""
    output = soundfile.read(dataset / row["output_file"], dtype="int32", always_2d=True)[0]
    cv = soundfile.read(dataset / row["cv_file"], dtype="int32", always_2d=True)[0]
    return np.concatenate([output, cv], axis=1)


def place(truth: Truth, piece: np.ndarray) -> int | None:
    """Which of the frames that the rack sent is the first of ``piece``: left, right and CV."""
    columns = [truth.inputs.index(name) for name in ("left", "right", "cv")]
    loud = int(np.argmax(np.abs(piece[:, 0])))  # there once, or a few times
    for at in np.flatnonzero(truth.frames[:, columns[0]] == piece[loud, 0]):
        first = int(at) - loud
        if 0 <= first <= len(truth.frames) - len(piece):
            there = truth.frames[first : first + len(piece)][:, columns]
            if np.array_equal(there, piece):
                return first
    return None


def begin(
    lab: Lab, out: str = "d", seconds: float = 3.0, songs: int = SONGS, **audio: float
) -> Running:
    """A run in real time that has come to the middle of its second take."""
    lab.songs(songs, seconds)
    lab.rig(freewheel=False, **audio)
    lab.plan()
    running = lab.run(out)
    running.until("TakeDone")
    running.until("TakeProgress")
    return running


def whole_and_true(lab: Lab, running: Running) -> None:
    """All takes are there, none rejected, every one as the rack sent it."""
    ended = running.end()
    assert (ended["captured"], ended["rejected"]) == (ended["planned"], 0)
    lab.rack.stop()
    assert untrue(running.out, lab.truths()) == []
    assert not list((running.out / "data").rglob("*.part"))
    lab.desk.ok("verify", str(running.out))


@pytest.fixture(scope="module")
def period() -> int:
    """Frames that the server carries at a time; a module may say otherwise."""
    return 1024


@pytest.fixture(scope="module")
def server(period: int) -> Iterator[JackServer]:
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)} (make test installs them for root)")
    found = JackServer(f"s{os.getpid()}", period=period, limit_s=900)
    found.start()
    yield found
    found.stop()


@contextlib.contextmanager
def labs(server: JackServer, folder: Path) -> Iterator[Callable[..., Lab]]:
    """Starts a rack, its section ``simulation`` changed; or another in its place, once stopped."""
    racks: list[RackProcess] = []

    def start(**simulation: Any) -> Lab:
        (folder / "rack").mkdir(exist_ok=True)
        port = racks[0].port if racks else None
        racks.append(RackProcess(server, folder / "rack", port, **simulation))
        return Lab(server, racks[-1], Desk(folder, server.variables))

    try:
        yield start
    finally:
        for rack in racks:
            rack.stop()


@pytest.fixture
def start_lab(server: JackServer, tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    with labs(server, tmp_path) as start:
        yield start
