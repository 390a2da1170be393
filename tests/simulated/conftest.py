"""Profiles of simulated rigs: the packaged one, and an ideal one with single things spoilt."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from capture.documents import Document, read
from capture.hardware.profile import RigProfile
from capture.model import AUTO, Setting

PACKAGED = Path(__file__).parents[2] / "rigs" / "simulated.yaml"

IDEAL: dict[str, Any] = {
    "unit": {"tolerance": {}},
    "vca": {"second": 0.0, "third": 0.0, "mismatch_db": 0.0},
    "converters": {
        "latency_frames": 100,
        "skew_frames": {},
        "return_gain_db": 0.0,
        "noise_dbfs": {"left": -200, "right": -200, "cv": -200, "loopback": -200},
        "hum_dbfs": {"left": -200, "right": -200, "cv": -200, "loopback": -200},
        "dc_fs": {},
        "crosstalk_db": -200,
    },
    "cv": {"volts_per_db": -0.05, "volts_at_0db": 0.0, "noise_volts_rms": 0.0},
}


def _merged(base: Any, changes: Any) -> Any:
    """``base`` with ``changes`` laid over it, key by key; an empty mapping empties its place."""
    if not (isinstance(base, dict) and isinstance(changes, dict) and changes):
        return deepcopy(changes)
    return {**base, **{key: _merged(base.get(key), value) for key, value in changes.items()}}


def _document(simulation: dict[str, Any], changes: dict[str, Any]) -> Document:
    document = read(PACKAGED.read_text(), "simulated.yaml")
    changed = _merged(document.data, {**changes, "simulation": document.data["simulation"]})
    if simulation:
        changed["simulation"] = _merged(changed["simulation"], simulation)
    return Document(document.source, document.text, changed, document.lines)


def _checked(document: Document) -> RigProfile:
    profile = document.check(RigProfile)
    profile.check()
    return profile


@pytest.fixture(scope="session")
def packaged() -> Callable[..., RigProfile]:
    """The packaged profile; keyword arguments change its section simulation."""
    return lambda **changes: _checked(_document(changes, {}))


@pytest.fixture(scope="session")
def ideal() -> Callable[..., RigProfile]:
    """A rig without noise, distortion, tolerance; delay 100 frames; simulation= changes it."""
    return lambda simulation=None, **changes: _checked(
        _document(_merged(IDEAL, simulation or {"seed": 1}), changes)
    )


@pytest.fixture(scope="session")
def at() -> Callable[..., Setting]:
    """A setting: threshold -20, attack 0.1, release 0.1, ratio 4 unless told otherwise."""

    def make(threshold=-20.0, attack=0.1, release=0.1, ratio=4.0) -> Setting:
        release = AUTO if release == "auto" else release
        return Setting(
            {"threshold_db": threshold, "attack_ms": attack, "release_s": release, "ratio": ratio}
        )

    return make
