"""A dataset with two releases, captured once by the program, and what both look like to others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile

from capture.dataset import standards
from capture.dataset.claims import Damage
from capture.dataset.snapshot import snapshot
from capture.dataset.standards import bag
from capture.run.ledger import Ledger
from tests.session.conftest import Desk

MUSIC = Path("/usr/share/games/singularity/music")
PLAN = """\
schema_version: 1
name: small
rig: simulated
songs: {paths: ["songs/*"]}
level: {normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}
sample_rate_hz: 44100
grid: {threshold_db: [-28], attack_ms: [0.1], release_s: [0.1, auto], ratio: [4]}
extra: [{threshold_db: -24, attack_ms: 1, release_s: 0.4, ratio: 10}]
splits: {seed: 1, test_songs: 1}
about:
  title: A small trial
  description: A second of each of two songs.
  creators: [A. Person, Another Person]
  license: CC-BY-4.0
  url: https://example.org/small
  citation: A. Person, A small trial, 2026.
  keywords: [compressor]
"""


@dataclass(frozen=True)
class Made:
    """``first``: at release 1.0.0; ``second``: the same folder, grown to 1.1.0."""

    first: Path
    second: Path


def payload(root: Path) -> list[tuple[str, str, int]]:
    ledger = Ledger.read(root)
    try:
        return bag.payload(root, ledger)
    finally:
        ledger.close()


def describe(root: Path) -> None:
    standards.write(root, snapshot(root), payload(root))


def damage(root: Path) -> list[Damage]:
    return list(standards.damage(root, snapshot(root), payload(root)))


def _songs(desk: Desk) -> None:
    """A second of each of two real songs."""
    found = sorted(MUSIC.rglob("*.ogg"))[:2]
    if not found and "CI" not in os.environ:
        pytest.skip("needs the Debian package singularity-music")
    assert len(found) == 2, "CI installs the music"
    (desk.folder / "songs").mkdir()
    for path in found:
        rate = soundfile.info(path).samplerate
        audio, _ = soundfile.read(path, start=20 * rate, frames=rate)
        soundfile.write(desk.folder / "songs" / f"{path.stem}.wav", audio, rate, "PCM_16")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    desk = Desk(tmp_path_factory.mktemp("described"))
    _songs(desk)
    plan = desk.folder / "plan.yaml"
    plan.write_text(PLAN, "utf-8")
    desk.ok("run", "plan.yaml", "--out", "d")
    desk.ok("release", "d", "1.0.0")
    describe(desk.folder / "d")
    first = shutil.copytree(desk.folder / "d", desk.folder / "first")
    plan.write_text(PLAN.replace("[-28]", "[-28, -20]"), "utf-8")
    desk.ok("run", "plan.yaml", "--out", "d")
    desk.ok("release", "d", "1.1.0")
    describe(desk.folder / "d")
    return Made(first, desk.folder / "d")


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Callable[[], Path]:
    """A copy of the newer one, to be damaged."""
    return lambda: Path(shutil.copytree(made.second, tmp_path / "d"))
