"""Rigs and plans for the tests of planning."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from capture.model import AUTO, Control, Position, Value
from capture.plan.expand import PlannedSong
from capture.plan.spec import PlanSpec

PLAN: dict[str, Any] = {
    "schema_version": 1,
    "name": "tested",
    "songs": {"paths": ["demo:drums"]},
    "level": {
        "normalize": "peak",
        "target_db": -12.0,
        "send_gain_db": 5.0,
        "return_gain_db": -5.0,
    },
    "sample_rate_hz": 44100,
    "grid": {"threshold_db": [-28, -24], "release_s": [0.1, "auto"], "ratio": [2, 4, 10]},
}


def _stepped(name: str, *values: Value, turn_s: float = 2.0, step_s: float = 0.2) -> Control:
    positions = tuple(
        Position(str(v), v if v is AUTO else float(v), 55.0 if v is AUTO else 0.0) for v in values
    )
    return Control(name, "", positions, turn_s=turn_s, step_s=step_s)


RIG = (
    _stepped("threshold_db", -28, -24, -20, -16, -12),
    _stepped("release_s", 0.1, 0.2, 0.4, 0.8, AUTO),
    _stepped("ratio", 1.5, 2, 4, 10, turn_s=1.0, step_s=0.5),
)


def _plan(**changed: Any) -> PlanSpec:
    data = {key: value for key, value in {**PLAN, **changed}.items() if value is not ...}
    return PlanSpec.model_validate_json(json.dumps(data))


def _songs(count: int, frames: int = 44100) -> list[PlannedSong]:
    return [PlannedSong(f"song-{n}", f"{n:064x}", frames * (n + 1)) for n in range(count)]


@pytest.fixture(scope="session")
def stepped() -> Callable[..., Control]:
    """A stepped control of some values."""
    return _stepped


@pytest.fixture(scope="session")
def rig() -> tuple[Control, ...]:
    """Three stepped controls: 5 x 5 x 4 cells."""
    return RIG


@pytest.fixture(scope="session")
def plan() -> Callable[..., PlanSpec]:
    """A plan of 2 x 2 x 3 cells, with some keys changed (``...`` leaves one out)."""
    return _plan


@pytest.fixture(scope="session")
def songs() -> Callable[..., list[PlannedSong]]:
    """So many songs, each as long as its number."""
    return _songs
