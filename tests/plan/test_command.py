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
from capture.documents import read
from capture.hardware.profile import RigProfile
from capture.plan import order
from capture.plan.expand import expand
from capture.plan.spec import PlanSpec

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
    assert told["below_plan_order_percent"]["positions_passed"] >= 55
    assert len(told["order"]) == 268 + told["references"]
    assert took_s < 10


def test_for_people(folder: Path) -> None:
    done = capture(folder, "plan", "plan.yaml", "--rig", "simulated")
    assert done.returncode == 0, done.stderr
    assert "= 192" in done.stdout
    assert "and 76 besides the grid" in done.stdout
    assert "knob turns 390, passing 688 positions" in done.stdout
    assert "plan order 589, passing 1,636 positions" in done.stdout
    assert "so 34 % fewer turns, 58 % fewer positions, 39 % less time" in done.stdout


def test_the_grid_alone_turns_one_knob_a_setting(folder: Path) -> None:
    """No order of 192 settings takes fewer than 191 turns, nor passes fewer positions."""
    text = (folder / "plan.yaml").read_text()
    extra, reference = text.index("\nextra:"), text.index("\nreference:")
    without = text[:extra] + text[text.index("\norder:") : reference]
    (folder / "grid.yaml").write_text(without + text[text.index("\nsplits:") :])
    told = json.loads(capture(folder, "plan", "grid.yaml", "--json").stdout)
    assert (told["settings"], told["knob_turns"], told["nested_knob_turns"]) == (192, 191, 272)
    assert "knob turns 191, passing" in capture(folder, "plan", "grid.yaml").stdout


def test_no_order_of_the_published_settings_takes_many_turns_fewer(folder: Path) -> None:
    """A path through all settings is a tree that joins them, so the shortest tree is no longer."""
    profile = read(presets.packaged("rig", "simulated"), "rig").check(RigProfile)
    spec = read((folder / "plan.yaml").read_text(), "plan").check(PlanSpec)
    expansion = expand(spec, profile.control_values, [])
    places = expansion.places
    apart = (places[:, None] != places[None]).sum(axis=2)
    left, nearest, fewest = set(range(1, len(places))), apart[0].copy(), 0
    while left:
        joined = min(left, key=lambda setting: nearest[setting])
        left.remove(joined)
        fewest += int(nearest[joined])
        nearest = np.minimum(nearest, apart[joined])
    ours = order.turns(places[expansion.settings_order])
    assert (fewest, ours, order.turns(places)) == (303, 323, 527)


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
