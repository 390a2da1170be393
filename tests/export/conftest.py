from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import soundfile

from tests.session.conftest import Desk

PLAN = """\
schema_version: 1
name: small
songs: {paths: ["songs/*"]}
level: {normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}
sample_rate_hz: 44100
grid: {threshold_db: [-28], attack_ms: [0.1], release_s: [0.1, auto], ratio: [4]}
extra: [{threshold_db: -24, attack_ms: 1, release_s: 0.4, ratio: 10}]
reference:
  setting: {threshold_db: -28, attack_ms: 0.1, release_s: auto, ratio: 4}
  every_settings: 3
splits: {seed: 1, test_songs: 1}
about: {title: A small one, creators: [Nobody], license: CC0-1.0}
"""
SECONDS = {"one": 1.2, "two": 1.0, "three": 0.8}


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A folder with ``dataset``: three songs at two settings of a grid and an extra one."""
    found = Desk(tmp_path_factory.mktemp("desk"))
    for seed, (name, seconds) in enumerate(SECONDS.items()):
        found.song(f"{name}.wav", seconds, seed)
    (found.folder / "plan.yaml").write_text(PLAN, "utf-8")
    found.ok("run", "plan.yaml", "--out", "dataset")
    return found


@pytest.fixture(scope="session")
def dataset(desk: Desk) -> Path:
    return desk.folder / "dataset"


@pytest.fixture(scope="session")
def takes(dataset: Path) -> list[dict[str, Any]]:
    rows = pyarrow.parquet.read_table(dataset / "manifest/takes.parquet").to_pylist()
    assert len(rows) == 11
    return rows


def codes(dataset: Path, take: dict[str, Any], kind: str) -> np.ndarray:
    """A file of a take: int32, the 24 bits left-justified."""
    return soundfile.read(dataset / take[f"{kind}_file"], dtype="int32", always_2d=True)[0]


def floats(dataset: Path, take: dict[str, Any], kind: str) -> np.ndarray:
    return codes(dataset, take, kind) / 2**31


def gain_db(dataset: Path, take: dict[str, Any]) -> np.ndarray:
    """As docs/dataset.md has it."""
    cv, _ = soundfile.read(dataset / take["cv_file"])
    return cv * take["gain_db_per_fs"] + take["gain_db_at_zero"]


def side(take: dict[str, Any]) -> str:
    if take["setting_split"] == "reference":
        return "reference"
    names = {
        ("train", "seen"): "train",
        ("test", "seen"): "unseen_song",
        ("train", "unseen"): "unseen_setting",
        ("test", "unseen"): "unseen_both",
    }
    return names[take["split"], take["setting_split"]]
