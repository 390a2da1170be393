"""How many random windows a second: capture's loader, and plain soundfile on the same files."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import capture
from capture.dataset.load import Takes
from tests.benchmarks.test_speed import CAPTURE, PLAN, music

COUNT = 100


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Takes:
    """4 takes of 3 minutes of music."""
    folder = tmp_path_factory.mktemp("loader")
    music(folder / "songs" / "a.wav", 3)
    (folder / "plan.yaml").write_text(PLAN.replace("THRESHOLDS", "-28, -24, -20, -16"))
    command = [CAPTURE, "run", "plan.yaml", "--out", "d"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return capture.load(folder / "d")


def by_soundfile(takes: Takes) -> Callable[[int, int, int], None]:
    """What anybody would write with the manifest in hand."""
    root, rows = takes.root, takes.table.to_pylist()

    def read(root: Path, name: str, start: int, stop: int) -> np.ndarray:
        return soundfile.read(root / name, start=start, stop=stop, dtype="float32")[0]

    def window(index: int, start: int, stop: int) -> None:
        row = rows[index]
        read(root, row["input_file"], start, stop)
        read(root, row["output_file"], start, stop)
        cv = read(root, row["cv_file"], start, stop)
        cv * np.float32(row["gain_db_per_fs"]) + np.float32(row["gain_db_at_zero"])

    return window


def by_capture(takes: Takes) -> Callable[[int, int, int], None]:
    def window(index: int, start: int, stop: int) -> None:
        part = takes[index].slice(start, stop)
        part.input, part.output, part.gain_db  # noqa: B018

    return window


@pytest.mark.parametrize("frames", [2048, 8192, 65536])
def test_random_windows(benchmark: Any, table: Any, takes: Takes, frames: int) -> None:
    """By the processor's time, and in turns: other work on the machine slows neither."""
    readers = {"plain soundfile": by_soundfile(takes), "capture.load": by_capture(takes)}
    took_s: dict[str, list[float]] = {name: [] for name in readers}
    random = np.random.default_rng(1)
    indices = random.integers(len(takes), size=COUNT).tolist()
    starts = random.integers(takes[0].frames - frames, size=COUNT).tolist()

    def read() -> None:
        for name, window in readers.items():
            began = time.thread_time()
            for index, start in zip(indices, starts, strict=True):
                window(index, start, start + frames)
            took_s[name].append(time.thread_time() - began)

    benchmark.pedantic(read, rounds=5, warmup_rounds=1)
    for name, seconds in took_s.items():
        table(f"random windows of {frames} frames", name, COUNT / min(seconds), "windows/s")
