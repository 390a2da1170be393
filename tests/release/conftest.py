"""A small finished dataset, captured once by the program and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
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
grid: {threshold_db: [-28, -20], attack_ms: [3], release_s: [0.1, auto], ratio: [4]}
splits: {seed: 1, test_songs: 1}
about: {creators: [A. Person], license: CC-BY-4.0}
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs at four settings, on a rig whose law is not measured: quick, and small."""
    desk = Desk(tmp_path_factory.mktemp("finished"))
    desk.song("one.wav", 0.6, seed=1)
    desk.song("two.wav", 0.7, seed=2)
    rig = yaml.safe_load(capture.presets.packaged("rig", "simulated"))
    del rig["calibration"], rig["audio"]["inputs"]["loopback"]
    (desk.folder / "rig.yaml").write_text(yaml.safe_dump(rig, sort_keys=False), "utf-8")
    (desk.folder / "plan.yaml").write_text(PLAN, "utf-8")
    desk.ok("run", "plan.yaml", "--out", "d")
    return desk.folder


@pytest.fixture
def desk(tmp_path: Path, finished: Path) -> Desk:
    """A folder with the plan, its songs, and the dataset ``d``."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return Desk(tmp_path)


@pytest.fixture
def change(desk: Desk) -> Callable[[str, str], None]:
    """Writes the plan anew, with one text in the place of another."""

    def changed(old: str, new: str) -> None:
        path = desk.folder / "plan.yaml"
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    return changed
