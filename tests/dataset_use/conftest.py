"""Two small datasets, captured by the program: as a rig should be, and with an AC-coupled CV."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.presets import packaged
from tests.session.conftest import Desk

PLAN = """\
schema_version: 1
name: small
rig: rig.yaml
songs: {paths: ["songs/*"]}
level: {normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}
sample_rate_hz: 44100
"""
GRID = """\
grid:
  threshold_db: [-28]
  attack_ms: [0.1, 3]
  release_s: [0.1, auto]
  ratio: [4]
extra: [{threshold_db: -20, attack_ms: 3, release_s: 0.4, ratio: 2}]
splits: {seed: 1, test_songs: 1, seen: grid, unseen: extra}
"""
ONE = "grid: {threshold_db: [-28], attack_ms: [0.1], release_s: [0.1], ratio: [10]}\n"


def captured(folder: Path, songs: dict[str, float], rest: str, *edits: tuple[str, str]) -> Path:
    """The dataset of a plan on the simulated rig, whose text is edited."""
    desk, rig = Desk(folder), packaged("rig", "simulated")
    for seed, (name, seconds) in enumerate(songs.items()):
        desk.song(name, seconds, seed)
    for before, after in edits:
        assert before in rig
        rig = rig.replace(before, after)
    (folder / "rig.yaml").write_text(rig, "utf-8")
    (folder / "plan.yaml").write_text(PLAN + rest, "utf-8")
    desk.ok("run", "plan.yaml", "--out", "small")
    return folder / "small"


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """15 takes: 3 songs, one to test, at 4 seen settings and 1 unseen. Not to be changed."""
    songs = {"one.wav": 1.6, "two.wav": 2.0, "three.wav": 1.2}
    return captured(tmp_path_factory.mktemp("dataset"), songs, GRID)


@pytest.fixture(scope="session")
def coupled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One take of 4 s, behind a coupling capacitor. Not to be changed."""
    return captured(
        tmp_path_factory.mktemp("coupled"),
        {"one.wav": 4.0},
        ONE,
        ("  expected_volts_at_0db: 0.0\n", "  expected_volts_at_0db: 0.0\n  coupling: ac\n"),
        ("  always: []\n", "  always: [{kind: cv_ac, corner_hz: 0.1}]\n"),
    )
