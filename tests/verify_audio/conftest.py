"""Datasets that were recorded by the program, with all that a take can stand on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

import capture.presets
from tests.session.conftest import Desk

PLAN = """\
schema_version: 1
name: small
rig: rig.yaml
songs: {paths: ["songs/*"]}
level: {normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}
sample_rate_hz: 44100
grid: {threshold_db: [-28], attack_ms: [0.1], release_s: [auto], ratio: [4]}
"""
REFERENCE = """\
reference:
  setting: {threshold_db: -28, attack_ms: 0.1, release_s: auto, ratio: 4}
  every_settings: 1
"""


def recorded(folder: Path, songs: int, more: str = "", coupling: str = "dc") -> Desk:
    """Songs of 2 s and a little more at one setting; ``rig.yaml`` and ``plan.yaml`` beside it."""
    desk = Desk(folder)
    for number in range(songs):
        desk.song(f"{number}.wav", 2.4 - 0.4 * number, seed=number + 1)
    rig = yaml.safe_load(capture.presets.packaged("rig", "simulated"))
    rig["cv"]["coupling"] = coupling
    if coupling == "ac":
        rig["simulation"]["always"] = [{"kind": "cv_ac", "corner_hz": 0.1}]
    (desk.folder / "rig.yaml").write_text(yaml.safe_dump(rig, sort_keys=False), "utf-8")
    (desk.folder / "plan.yaml").write_text(PLAN + more, "utf-8")
    return desk


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Two songs, and one of them twice more."""
    desk = recorded(tmp_path_factory.mktemp("whole"), 2, REFERENCE)
    desk.ok("run", "plan.yaml", "--out", "d")
    return desk


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Its knobs are watched while music plays."""
    desk = recorded(tmp_path_factory.mktemp("enrolled"), 1)
    desk.ok("calibrate", "plan.yaml", "--out", "d", "--enrol")
    desk.ok("run", "plan.yaml", "--out", "d")
    return desk


@pytest.fixture(scope="session")
def coupled(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The CV input is AC-coupled, and repaired."""
    desk = recorded(tmp_path_factory.mktemp("coupled"), 1, coupling="ac")
    desk.ok("run", "plan.yaml", "--out", "d")
    return desk


@pytest.fixture
def desk(whole: Desk, tmp_path: Path) -> Desk:
    shutil.copytree(whole.folder / "d", tmp_path / "d")
    return Desk(tmp_path)
