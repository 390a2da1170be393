"""The program run as its users run it: a process, in a folder, with files."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

CAPTURE = str(Path(sys.executable).with_name("capture"))
RATE_HZ = 44100

PLAN = """\
schema_version: 1
name: small
rig: {rig}
songs: {{paths: ["songs/*"]}}
level: {{normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}}
sample_rate_hz: 44100
grid:
  threshold_db: [-28, -20]
  attack_ms: [0.1, 3]
  release_s: [{releases}]
  ratio: [{ratios}]
splits: {{seed: 1, test_songs: 1}}
{more}
"""


@dataclass
class Desk:
    """A folder with songs and plans, and the program to run in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def capture(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CAPTURE, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **options,
        )

    def ok(self, *arguments: str) -> str:
        """Runs a command that must succeed; gives its standard output."""
        done = self.capture(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))

    def fails(self, code: int, *arguments: str, **options: Any) -> str:
        """Runs a command that must end with ``code`` and sentences; gives all its output."""
        done = self.capture(*arguments, **options)
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{arguments}: {done.returncode}, not {code}\n{said}"
        assert "Traceback" not in said
        assert done.stderr.strip()
        return said

    def plan(
        self,
        name: str = "plan.yaml",
        rig: str = "simulated",
        releases: str = "0.1, auto",
        ratios: str = "4",
        more: str = "",
    ) -> str:
        text = PLAN.format(rig=rig, releases=releases, ratios=ratios, more=more)
        (self.folder / name).write_text(text, "utf-8")
        return name

    def rig(self, name: str = "rig.yaml", **simulation: str) -> str:
        """A copy of the packaged simulated rig with some keys of its simulation replaced."""
        import capture.presets

        text = capture.presets.packaged("rig", "simulated")
        for key, value in simulation.items():
            lines = text.splitlines()
            found = [i for i, line in enumerate(lines) if line.startswith(f"  {key}: ")]
            assert len(found) == 1, f"simulated.yaml has no one line for {key}"
            lines[found[0]] = f"  {key}: {value}"
            text = "\n".join(lines) + "\n"
        (self.folder / name).write_text(text, "utf-8")
        return name

    def song(self, name: str, seconds: float = 1.6, seed: int = 0) -> Path:
        path = self.folder / "songs" / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, bursts(seconds, seed), RATE_HZ, "PCM_24")
        return path


def bursts(seconds: float, seed: int) -> np.ndarray:
    """Noise whose level jumps about, so that a compressor has work; different on each side."""
    random = np.random.default_rng(seed)
    frames = round(seconds * RATE_HZ)
    steps = np.repeat(10 ** (random.uniform(-30, 0, -(-frames // 4410)) / 20), 4410)[:frames]
    both = random.standard_normal((frames, 2)) @ np.array([[1.0, 0.4], [0.4, 1.0]])
    return 0.8 * both / np.abs(both).max() * steps[:, None]


def hashes(dataset: Path) -> dict[str, str]:
    """SHA-256 of every audio file of a dataset."""
    return {
        path.relative_to(dataset).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(dataset.rglob("*.flac"))
    }


def rows(dataset: Path, table: str = "takes") -> list[dict[str, str]]:
    with (dataset / "manifest" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A folder with two songs."""
    found = Desk(tmp_path)
    found.song("one.wav", seed=1)
    found.song("two.wav", 2.0, seed=2)
    return found
