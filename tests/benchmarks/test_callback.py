"""A callback in Python, in the engine's process, beside one in C (`rtmixer`): `make bench`.

On the dummy driver's own device, so that nobody but the stream can be late. Decision 0010 weighs
what comes out. `rtmixer` is no dependency of capture: `pip install rtmixer` brings its side.
"""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest

from tests.benchmarks.conftest import stream
from tests.jackserver import JackServer

SECONDS, ROUNDS = 5.0, 3
LOADS = ["idle", "2 threads", "2 processes"]
HEAD = "| period | load | callback | late | flagged | lost periods | of | us CPU a callback | us: "
HEAD += "median | 99 % | 99.9 % | most |\n" + "|---" * 12 + "|"


@pytest.fixture(scope="module")
def lines() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    print(f"\n\n{ROUNDS} rounds of {SECONDS:g} s: counts are sums, times medians (least-most)")
    print("\n".join([HEAD, *found]))


@contextlib.contextmanager
def loaded(processes: int) -> Iterator[None]:
    """So many processes that only count, for as long as it takes."""
    command = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("period", [64, 256, 1024, 4096])
@pytest.mark.parametrize("kind", ["engine", "rtmixer"])
def test_callback(
    benchmark: Any,
    lines: list[str],
    start_server: Callable[..., JackServer],
    kind: str,
    period: int,
    load: str,
) -> None:
    if kind == "rtmixer" and importlib.util.find_spec("rtmixer") is None:
        pytest.skip("rtmixer is not installed, and not needed: pip install rtmixer")
    server = start_server(period)
    found: list[dict[str, Any]] = []
    case = {"kind": kind, "seconds": SECONDS, "busy": 2 if load == "2 threads" else 0}
    with loaded(2 if load == "2 processes" else 0):
        call = lambda: found.append(stream(server, **case))  # noqa: E731
        benchmark.pedantic(call, rounds=ROUNDS)
    lines.append(line(kind, period, load, found))


def line(kind: str, period: int, load: str, found: list[dict[str, Any]]) -> str:
    late = sum(one["late"] for one in found) if kind == "engine" else "-"
    lost = sum(round(one["lost_frames"] / period) for one in found)
    cpu_us = [one["cpu_ns"] / one["callbacks"] / 1000 for one in found]
    cells = [period, load, "Python" if kind == "engine" else "C", late]
    cells += [sum(one["flagged"] for one in found), lost, sum(one["callbacks"] for one in found)]
    cells += [spread(cpu_us)]
    if kind == "engine":
        cells += [spread(row) for row in zip(*(one["callback_us"] for one in found), strict=True)]
    else:
        cells += ["-"] * 4
    return "| " + " | ".join(map(str, cells)) + " |"


def spread(values: Any) -> str:
    return f"{median(values):.0f} ({min(values):.0f}-{max(values):.0f})"
