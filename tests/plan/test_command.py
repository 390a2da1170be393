"""``capture plan`` as a process, on the published plan: 175 songs by 268 settings."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from capture import presets

SONGS = 175
SECONDS = 0.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published plan beside 175 tiny songs."""
    root = tmp_path_factory.mktemp("published")
    (root / "songs").mkdir()
    rng = np.random.default_rng(1)
    for number in range(SONGS):
        audio = rng.uniform(-0.5, 0.5, (round(44100 * SECONDS), 2))
        soundfile.write(root / "songs" / f"{number:03}.wav", audio, 44100, "PCM_16")
    text = presets.packaged("plan", "solid-state-bus-comp")
    (root / "plan.yaml").write_text(text)
    return root


def capture(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("capture")
    return subprocess.run(
        [program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_published_plan(folder: Path) -> None:
    started = time.perf_counter()
    done = capture(folder, "plan", "plan.yaml", "--json")
    took_s = time.perf_counter() - started
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) >= {"settings", "takes", "audio_s", "wall_s", "knob_turns", "bytes"}
    assert (told["grid_cells"], told["extras"]) == (192, 76)
    assert told["settings"] == 268
    assert told["takes"] == SONGS * 268 + told["references"]
    assert told["audio_s"] == pytest.approx(told["takes"] * SECONDS)
    assert told["bytes"] == round(44100 * (told["audio_s"] * 9 + SONGS * SECONDS * 6))
    assert told["splits"] == {"train": 112, "test": 63}
    assert told["wall_s"] == pytest.approx(told["audio_s"] / 40)  # a simulated rig
    assert told["knob_turns"] <= told["nested_knob_turns"]
    assert told["turning_s"] <= told["nested_turning_s"]
    assert len(told["order"]) == 268 + told["references"]
    assert took_s < 10


def test_for_people(folder: Path) -> None:
    done = capture(folder, "plan", "plan.yaml", "--rig", "simulated")
    assert done.returncode == 0, done.stderr
    assert "= 192" in done.stdout
    assert "and 76 besides the grid" in done.stdout
    assert "plain nested loops" in done.stdout


def test_too_many_test_songs_is_bad_input(folder: Path) -> None:
    text = (folder / "plan.yaml").read_text()
    assert "test_songs: 63" in text
    (folder / "greedy.yaml").write_text(text.replace("test_songs: 63", "test_songs: 176"))
    done = capture(folder, "plan", "greedy.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "splits.test_songs: 176 is more than the 175 songs there are" in done.stderr
    assert "Traceback" not in done.stderr


def test_songs_that_cannot_be_used_make_too_few(folder: Path) -> None:
    (folder / "songs" / "broken.wav").write_bytes(b"RIFF")
    text = (folder / "plan.yaml").read_text()
    (folder / "greedy.yaml").write_text(text.replace("test_songs: 63", "test_songs: 176"))
    try:
        done = capture(folder, "plan", "greedy.yaml", "--json")
    finally:
        (folder / "songs" / "broken.wav").unlink()
    assert done.returncode == 2
    told = json.loads(done.stdout)["error"]
    assert "176 is more than the 175 songs" in told["messages"][0]
    assert done.stderr.strip() == told["messages"][0]
