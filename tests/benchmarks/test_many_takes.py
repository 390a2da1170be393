"""What 60,000 takes cost, and how it grows from 6,000: `make bench`. 10 minutes.

Each command is a process of its own, its audio read anew only where the command does so: `verify`
reads every file. The files are tiny, so that it is rows and names that cost.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.many_takes import CAPTURE, LARGE, LEFT, SMALL, Size, make

SIZES = (SMALL, LARGE)
RESUMED = LEFT - 3
"""Runs, of one take each; one that found nothing to play would not show when it plays."""
LAUNCHER = """\
import json, os, resource, subprocess, sys, time
started, moments = time.perf_counter(), {}
running = subprocess.Popen(
    sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
)
for line in running.stderr:
    if line.startswith("{"):
        with open(f"/proc/{running.pid}/stat") as file:
            ticks = file.read().rsplit(")")[1].split()[11:13]
        processor = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        event = json.loads(line)["event"]
        moments.setdefault(event, (time.perf_counter() - started, processor))
code = running.wait()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
moments["end"] = time.perf_counter() - started, used.ru_utime + used.ru_stime
print(json.dumps([code, moments, used.ru_maxrss / 1024]))
"""
"""Small: the peak memory of what a large process starts is that of the large one."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Size], Path]:
    """The folder of a dataset of a size; made when it is first asked for."""
    there: dict[Size, Path] = {}

    def folder(size: Size) -> Path:
        if size not in there:
            there[size] = tmp_path_factory.mktemp("many") / "x"
            make(there[size], size)
        return there[size]

    return folder


Seconds = tuple[float, float]
"""By the clock, and of the processor."""
Moments = dict[str, Seconds]
"""From a program's start to each first event, and to its end."""


@pytest.fixture(scope="module")
def growth() -> Iterator[Callable[..., None]]:
    """Collects and prints rows: what a command takes at both sizes."""
    rows: list[str] = []

    def add(what: str, seconds: list[Seconds], megabytes: list[float]) -> None:
        cells = [f"{clock:.2f} ({processor:.2f}) s" for clock, processor in seconds]
        ratio = seconds[1][1] / seconds[0][1]
        memory = " to ".join(f"{peak:.0f}" for peak in megabytes)
        rows.append(f"| {what} | {cells[0]} | {cells[1]} | {ratio:.1f} | {memory} MB |")

    yield add
    print("\n\n| | 6,000 takes | 60,000 takes | ratio | memory |\n|---|---|---|---|---|")
    print("\n".join(rows))


def child(folder: Path, *command: str) -> tuple[Moments, float]:
    """The moments of ``capture`` as a process, and its peak megabytes."""
    return child_of(folder, CAPTURE, *command)


def child_of(folder: Path, *command: str) -> tuple[Moments, float]:
    """The same of any program."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    )
    code, moments, megabytes = json.loads(done.stdout)
    assert code == 0
    return {event: (clock, processor) for event, (clock, processor) in moments.items()}, megabytes


def both(
    benchmark: Any, dataset: Callable[[Size], Path], rounds: int, *command: str
) -> tuple[list[Moments], list[float]]:
    """At each size, the best of ``rounds``, and the most memory."""
    folders = [dataset(size) for size in SIZES]

    def measure() -> list[list[tuple[Moments, float]]]:
        return [[child(folder, *command) for _ in range(rounds)] for folder in folders]

    measured = benchmark.pedantic(measure, rounds=1)
    best = [
        {
            event: (min(m[event][0] for m, _ in found), min(m[event][1] for m, _ in found))
            for event in found[0][0]
        }
        for found in measured
    ]
    return best, [max(megabytes for _, megabytes in found) for found in measured]


@pytest.mark.parametrize(
    ("command", "rounds"),
    [(("status", "d"), 5), (("plan", "plan.yaml"), 5), (("verify", "d"), 1)],
    ids=["status", "plan", "verify"],
)
def test_command(
    benchmark: Any, dataset: Any, growth: Any, command: tuple[str, ...], rounds: int
) -> None:
    best, megabytes = both(benchmark, dataset, rounds, *command)
    growth(f"`capture {command[0]}`", [moments["end"] for moments in best], megabytes)


def test_resume(benchmark: Any, dataset: Any, growth: Any) -> None:
    """One take a run.

    The simulated rig plays as fast as it can: what a real one takes to open, to warm up and to be
    calibrated comes on top.
    """
    run = ("run", "plan.yaml", "--out", "d", "--limit", "1", "--json")
    best, megabytes = both(benchmark, dataset, RESUMED, *run)
    for what, since, until in (
        ("until the rig is opened", None, "SessionStarted"),
        ("until it plays", None, "TakeStarted"),
        ("the manifests at its end", "LawMeasured", "SessionEnded"),
        ("all of it", None, "end"),
    ):
        seconds = [_between(moments, since, until) for moments in best]
        growth(f"`capture run`, resumed: {what}", seconds, megabytes)


def _between(moments: Moments, since: str | None, until: str) -> Seconds:
    before = moments[since] if since else (0.0, 0.0)
    return moments[until][0] - before[0], moments[until][1] - before[1]
