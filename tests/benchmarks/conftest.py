"""Benchmarks run when they are asked for, and print tables."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jackserver import MISSING, JackServer


@pytest.fixture(autouse=True)
def _on_demand(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("benchmark_only"):
        pytest.skip("make bench runs it")


@pytest.fixture(scope="module")
def table() -> Iterator[Callable[[str, str, float, str], None]]:
    """Collects rows: group, what, figure, unit. Ratios are to the first of the group."""
    rows: list[tuple[str, str, float, str]] = []
    yield lambda *row: rows.append(row)
    print("\n\n| | | | ratio |\n|---|---|---|---|")
    first: dict[str, float] = {}
    for group, what, figure, unit in rows:
        base = first.setdefault(group, figure)
        ratio = f"{figure / base:.2f}" if base else "-"
        print(f"| {group} | {what} | {figure:.4g} {unit} | {ratio} |")


@pytest.fixture
def start_server() -> Iterator[Callable[..., JackServer]]:
    """Starts a JACK server, which is stopped at the end of the test."""
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)} (make test installs them for root)")
    servers: list[JackServer] = []

    def start(period: int) -> JackServer:
        servers.append(JackServer("bench", period=period, limit_s=900))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def stream(server: JackServer, **case: Any) -> dict[str, Any]:
    """What came of a stream under test on this server; see ``streams.py``."""
    case["period"] = server.period_frames
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.streams", json.dumps(case)],
        cwd=Path(__file__).parents[2],
        env=server.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
