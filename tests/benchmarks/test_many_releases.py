"""What a release of 38,500 takes costs, and how it grows from 3,850: `make bench`, some minutes.

175 songs at 220 settings are the size of the field's dataset. Each command is a process of its own.
The files are tiny, so that it is rows and names that cost; every one is read.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.benchmarks.test_many_takes import child_of
from tests.many_takes import CAPTURE, Size, make

SIZES = (Size(77, (10, 5, 1, 1)), Size(175, (11, 5, 4, 1)))
LOAD = """\
import mlcroissant, time
began = time.perf_counter()
found = mlcroissant.Dataset("d/croissant.json")
count = sum(1 for _ in found.records("takes"))
print(count, "records in", round(time.perf_counter() - began, 1), "s")
"""
STEPS = {
    "`capture release` 1.0.0": (CAPTURE, "release", "d", "1.0.0"),
    "`capture release` 1.0.1": (CAPTURE, "release", "d", "1.0.1"),
    "`capture diff`": (CAPTURE, "diff", "d", "1.0.0", "1.0.1"),
    "`capture verify`": (CAPTURE, "verify", "d"),
    "mlcroissant loads `takes`": (sys.executable, "-W", "ignore", "-c", LOAD),
}


def test_releases(benchmark: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    def measure() -> list[dict[str, tuple[float, float, float]]]:
        found: list[dict[str, tuple[float, float, float]]] = []
        for size in SIZES:
            folder = tmp_path_factory.mktemp("releases") / "x"
            make(folder, size)
            steps: dict[str, tuple[float, float, float]] = {}
            for what, command in STEPS.items():
                moments, megabytes = child_of(folder, *command)
                steps[what] = (*moments["end"], megabytes)
            found.append(steps)
        return found

    small, large = benchmark.pedantic(measure, rounds=1)
    counts = [size.songs * size.settings for size in SIZES]
    print(f"\n\n| | {counts[0]:,} takes | {counts[1]:,} takes | ratio | memory |")
    print("|---|---|---|---|---|")
    for what in STEPS:
        both = (small[what], large[what])
        cells = [f"{clock:.1f} ({processor:.1f}) s" for clock, processor, _ in both]
        ratio = large[what][1] / small[what][1]
        memory = f"{small[what][2]:.0f} to {large[what][2]:.0f} MB"
        print(f"| {what} | {cells[0]} | {cells[1]} | {ratio:.1f} | {memory} |")
