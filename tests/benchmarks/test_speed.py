"""How fast, how large, how soon: `make bench`. Prints a table; asserts nothing about time.

Each stage of a simulated run by itself on one core, on a minute of music; then the whole program as
a process, with numba and without it, its memory against the length of a song, and its start-up.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from capture import presets
from capture.dataset import files
from capture.dataset.audio import FlacWriter, read_blocks
from capture.documents import read
from capture.hardware.ports import Label
from capture.hardware.profile import RigProfile
from capture.hardware.simulated import render
from capture.model import CheckLimits, Setting
from capture.run.calibrate import expected_law
from capture.run.ledger import Ledger
from capture.signal.checks import TakeMeter
from capture.songs.demo import synthesise

RATE = 44100
MINUTE = 60 * RATE
CAPTURE = str(Path(sys.executable).with_name("capture"))
SETTING = Setting({"threshold_db": -28.0, "attack_ms": 0.1, "release_s": 0.1, "ratio": 4.0})
PLAN = """\
schema_version: 1
name: bench
rig: simulated
songs: {paths: ["songs/*"]}
level: {normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}
sample_rate_hz: 44100
grid:
  threshold_db: [THRESHOLDS]
  attack_ms: [0.1]
  release_s: [0.1]
  ratio: [4]
"""


@pytest.fixture(scope="module")
def sent() -> np.ndarray:
    song = np.tile(synthesise("groove"), (7, 1))[:MINUTE]
    return np.rint(song * (10 ** (-7 / 20) / np.abs(song).max()) * 2**23).astype(np.int32) << 8


@pytest.fixture(scope="module")
def profile() -> RigProfile:
    return RigProfile.model_validate(read(presets.packaged("rig", "simulated"), "rig").data)


@pytest.fixture(scope="module")
def received(sent: np.ndarray, profile: RigProfile) -> np.ndarray:
    return render(profile, SETTING, sent)[0]


def write(path: Path, samples: np.ndarray) -> None:
    with FlacWriter(path, RATE, samples.shape[1]) as writer:
        for at in range(0, len(samples), 65536):
            writer.write(samples[at : at + 65536])


@pytest.fixture(scope="module")
def flacs(tmp_path_factory: pytest.TempPathFactory, received: np.ndarray) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("flac")
    write(folder / "out.flac", received[:, :2])
    write(folder / "cv.flac", received[:, 2:3])
    return folder / "out.flac", folder / "cv.flac"


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "numba"])
def test_simulate(
    benchmark: Any, table: Any, sent: np.ndarray, profile: RigProfile, compiled: bool
) -> None:
    if compiled:
        pytest.importorskip("numba")
    label = Label("take", "bench")
    call = lambda: render(profile, SETTING, sent, label, compiled=compiled)  # noqa: E731
    benchmark.pedantic(call, rounds=3, warmup_rounds=1)
    name = "simulate, numba" if compiled else "simulate, plain Python"
    table("stage, 1 core", name, 60 / benchmark.stats.stats.min, "x real time")


def test_encode(benchmark: Any, table: Any, received: np.ndarray, tmp_path: Path) -> None:
    def encode() -> None:
        write(tmp_path / "o.flac", received[:, :2])
        write(tmp_path / "c.flac", received[:, 2:3])

    benchmark.pedantic(encode, rounds=3, warmup_rounds=1)
    table("stage, 1 core", "encode output and CV", 60 / benchmark.stats.stats.min, "x real time")


def test_decode(benchmark: Any, table: Any, flacs: tuple[Path, Path]) -> None:
    benchmark.pedantic(lambda: [sum(map(len, read_blocks(f))) for f in flacs], rounds=3)
    table("stage, 1 core", "decode output and CV", 60 / benchmark.stats.stats.min, "x real time")


def test_check(
    benchmark: Any, table: Any, sent: np.ndarray, received: np.ndarray, profile: RigProfile
) -> None:
    def check() -> None:
        meter = TakeMeter(RATE, expected_law(profile.cv))
        for at in range(0, MINUTE, 65536):
            block = received[at : at + 65536]
            meter.add(sent[at : at + 65536], block[:, :2], block[:, 2])
        meter.verdicts(MINUTE, (0.31, 0.37), CheckLimits())

    benchmark.pedantic(check, rounds=3, warmup_rounds=1)
    table("stage, 1 core", "meter and check", 60 / benchmark.stats.stats.min, "x real time")


def test_hash(benchmark: Any, table: Any, flacs: tuple[Path, Path]) -> None:
    benchmark.pedantic(lambda: [files.sha256(f) for f in flacs], rounds=5, warmup_rounds=1)
    table("stage, 1 core", "hash", 60 / benchmark.stats.stats.min, "x real time")


def test_commit(benchmark: Any, table: Any, flacs: tuple[Path, Path], tmp_path: Path) -> None:
    """Two files flushed, renamed, their folder flushed; one transaction."""
    ledger = Ledger.open(tmp_path)
    count = 0

    def prepare() -> tuple[tuple[dict[Path, Path]], dict[str, Any]]:
        nonlocal count
        count += 1
        parts = [tmp_path / f".{count}.{f.name}.part" for f in flacs]
        for part, flac in zip(parts, flacs, strict=True):
            part.write_bytes(flac.read_bytes())
        return ({p: tmp_path / f"{count}.{p.name}" for p in parts},), {}

    def commit(moves: dict[Path, Path]) -> None:
        files.commit(moves)
        ledger.set_fact(f"take {count}", "x" * 3000)

    benchmark.pedantic(commit, setup=prepare, rounds=5)
    ledger.close()
    table("stage, 1 core", "commit", 60 / benchmark.stats.stats.min, "x real time")


# The program -------------------------------------------------------------------------------------


def music(path: Path, minutes: float) -> None:
    path.parent.mkdir(exist_ok=True)
    part = synthesise("groove")
    left = round(minutes * MINUTE)
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_24") as file:
        while left > 0:
            file.write(part[:left])
            left -= len(part)


LAUNCHER = """\
import json, resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
seconds = time.perf_counter() - started
print(json.dumps([code, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))
"""


def child(
    folder: Path, *command: str, numba: bool = True, one_core: bool = True
) -> tuple[float, float]:
    """Seconds and peak megabytes of the program as a process.

    A small process starts it: the peak of one that a large process starts is that of the large one.
    """
    environment = dict(os.environ)
    if not numba:
        (folder / "site").mkdir(exist_ok=True)
        (folder / "site" / "sitecustomize.py").write_text("import sys; sys.modules['numba'] = None")
        environment["PYTHONPATH"] = str(folder / "site")
    pinned = ["taskset", "-c", "0"] if one_core else []
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *pinned, CAPTURE, *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    code, seconds, megabytes = json.loads(done.stdout)
    assert code == 0
    return seconds, megabytes


@pytest.mark.parametrize("one_core", [True, False], ids=["1 core", "all cores"])
@pytest.mark.parametrize("numba", [False, True], ids=["plain", "numba"])
def test_whole_run(benchmark: Any, table: Any, tmp_path: Path, numba: bool, one_core: bool) -> None:
    """A song of 3 minutes at 8 settings, from preparing it to the manifest, in one process.

    The run that is timed follows one that warmed the caches.
    """
    if numba:
        pytest.importorskip("numba")
    music(tmp_path / "songs" / "a.wav", 3)
    thresholds = "-28, -24, -20, -16, -12, -8, -4, 0"
    (tmp_path / "plan.yaml").write_text(PLAN.replace("THRESHOLDS", thresholds))
    child(tmp_path, "run", "plan.yaml", "--out", "warm", "--limit", "1", numba=numba)
    run = (tmp_path, "run", "plan.yaml", "--out", "d")
    how = {"numba": numba, "one_core": one_core}
    seconds, _ = benchmark.pedantic(child, run, how, rounds=1)
    cores = "1 core" if one_core else f"{os.cpu_count()} cores"
    name = f"{'with' if numba else 'without'} numba, {cores}"
    table("whole run", name, 8 * 180 / seconds, "x real time")


@pytest.mark.parametrize("minutes", [1, 10, 30])
@pytest.mark.parametrize("numba", [False, True], ids=["plain", "numba"])
def test_memory(benchmark: Any, table: Any, tmp_path: Path, minutes: int, numba: bool) -> None:
    music(tmp_path / "songs" / "a.wav", minutes)
    (tmp_path / "plan.yaml").write_text(PLAN.replace("THRESHOLDS", "-28"))
    run = (tmp_path, "run", "plan.yaml", "--out", "d")
    _, megabytes = benchmark.pedantic(child, run, {"numba": numba}, rounds=1)
    with_it = "with" if numba else "without"
    table(f"peak memory, {with_it} numba", f"song of {minutes} min", megabytes, "MB")


def test_help(benchmark: Any, table: Any, tmp_path: Path) -> None:
    benchmark.pedantic(child, (tmp_path, "--help"), rounds=10, warmup_rounds=1)
    table("start-up", "capture --help (median of 10)", benchmark.stats.stats.median, "s")


def test_plan(benchmark: Any, table: Any, tmp_path: Path) -> None:
    """175 songs x 268 settings: 46,900 takes and the reference's."""
    soundfile.write(tmp_path / "one.wav", np.full((RATE, 2), 0.1), RATE, "PCM_24")
    (tmp_path / "songs").mkdir()
    data = (tmp_path / "one.wav").read_bytes()
    for number in range(175):
        (tmp_path / "songs" / f"{number:03}.wav").write_bytes(data)
    (tmp_path / "plan.yaml").write_text(presets.packaged("plan", "solid-state-bus-comp"))
    benchmark.pedantic(child, (tmp_path, "plan", "plan.yaml", "--json"), rounds=5, warmup_rounds=1)
    table("start-up", "capture plan, 175 x 268 (median of 5)", benchmark.stats.stats.median, "s")
