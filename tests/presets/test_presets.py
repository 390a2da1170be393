"""The packaged plans and rigs: each is valid, counts what it says, and works as it is shipped."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer.main

from capture import presets
from capture.cli import app
from capture.model import AUTO
from capture.plan.expand import Expansion, expand
from capture.run.asked import ask, read_profile

CAPTURE = str(Path(sys.executable).with_name("capture"))
DOCS = Path(__file__).parents[2] / "docs" / "rack.md"
PLANS = presets.names("plan")
RIGS = presets.names("rig")
OWN_RIGS = {"solid-state-bus-comp": "rme-ufx-ssl-500", "starter": "starter"}
"""The rig that a plan is meant for, where the plan itself names another."""


def expanded(plan: str, rig: str | None, folder: Path) -> Expansion:
    asked = ask(plan, rig, folder)
    return expand(asked.spec, asked.controls, [])


def commands_in(text: str) -> list[str]:
    """The commands that a comment or a code block shows on a line of their own."""
    return [
        re.split(r"\s{2,}", line.strip())[0]
        for line in re.findall(r"^(?:#\s{3,})?(capture \S.*)$", text, re.MULTILINE)
    ]


def capture(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CAPTURE, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def succeeds(folder: Path, *arguments: str) -> str:
    done = capture(folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A folder after ``capture init`` and with one song."""
    succeeds(tmp_path, "init")
    time_s = np.arange(44100) / 44100
    tone = np.sin(2 * np.pi * 220 * time_s) * np.exp(-5 * (time_s % 0.25))
    noise = np.random.default_rng(1).normal(0, 0.05, (44100, 2))
    soundfile.write(tmp_path / "songs" / "one.wav", 0.3 * tone[:, None] + noise, 44100)
    return tmp_path


def test_what_is_packaged() -> None:
    assert {"quickstart", "solid-state-bus-comp", "g384-cv", "starter"} <= set(PLANS)
    assert {"simulated", "jack-rack", "rme-ufx-ssl-500", "rme-es9-g384", "starter"} <= set(RIGS)


@pytest.mark.parametrize("name", RIGS)
def test_every_rig_is_valid_and_tells_what_nobody_has_measured(name: str) -> None:
    profile = read_profile(presets.find("rig", name, Path()).document)
    assert profile.simulated == (name == "simulated")
    assert (profile.rack is not None) == (name == "jack-rack")
    if profile.simulation is None:  # else the rack is software, and nobody can measure it
        anchors = profile.audio.dbfs_to_dbu
        assert {*anchors.outputs.values(), *anchors.inputs.values()} == {None}
        assert "MEASURE" in presets.packaged("rig", name) or name == "starter"


def test_the_rack_of_its_own_is_the_simulated_one() -> None:
    """Behind another driver: what is known of one holds for the other."""
    one, other = (
        read_profile(presets.find("rig", name, Path()).document)
        for name in ("simulated", "jack-rack")
    )
    for same in ("cv", "controls", "settle", "simulation"):
        assert getattr(one, same) == getattr(other, same), same


@pytest.mark.parametrize("name", RIGS)
def test_auto_release_outlasts_its_memory(name: str) -> None:
    controls = read_profile(presets.find("rig", name, Path()).document).control_values
    release = next(control for control in controls if control.name == "release_s")
    assert release.settle_s(AUTO) >= 10.6 * 5.1


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_expands_on_its_rigs(name: str, tmp_path: Path) -> None:
    here = expanded(name, None, tmp_path)
    assert len(here.chosen) == len(expanded(name, "simulated", tmp_path).chosen)
    assert len(here.chosen) == len(expanded(name, OWN_RIGS.get(name), tmp_path).chosen)


@pytest.mark.parametrize(
    ("name", "grid", "extras"),
    [
        ("solid-state-bus-comp", 192, 76),
        ("g384-cv", 90, 0),
        ("quickstart", 6, 0),
        ("starter", 8, 0),
    ],
)
def test_the_plans_count_what_they_say(name: str, grid: int, extras: int, tmp_path: Path) -> None:
    for rig in (None, "simulated", OWN_RIGS.get(name)):
        chosen = expanded(name, rig, tmp_path).chosen
        assert (chosen.grid_count, len(chosen.extras)) == (grid, extras)
        assert len({chosen[index].setting_id for index in range(len(chosen))}) == grid + extras


@pytest.mark.parametrize("rig", ["simulated", "rme-ufx-ssl-500"])
def test_the_unseen_settings_are_not_confounded_with_light_compression(
    rig: str, tmp_path: Path
) -> None:
    """As they are in the published release."""
    extras = expanded("solid-state-bus-comp", rig, tmp_path).chosen.extras
    for control, least in (("threshold_db", 9), ("attack_ms", 6), ("release_s", 5), ("ratio", 3)):
        assert len({setting[control] for setting in extras}) >= least


def test_the_plan_without_songs_is_shown_with_a_note(tmp_path: Path) -> None:
    shown = json.loads(succeeds(tmp_path, "plan", "solid-state-bus-comp", "--json"))
    assert shown["settings"] == 268
    assert any("songs/**/*.wav" in note for note in shown["notes"])


def test_a_rack_whose_knobs_a_person_turns_is_planned_like_any_other(tmp_path: Path) -> None:
    shown = json.loads(succeeds(tmp_path, "plan", "g384-cv", "--json"))
    assert shown["settings"] == 90
    assert not any("manual" in note for note in shown["notes"])


def test_the_rack_of_its_own_has_all_its_drivers(tmp_path: Path) -> None:
    shown = json.loads(succeeds(tmp_path, "plan", "quickstart", "--rig", "jack-rack", "--json"))
    assert shown["notes"] == []


def test_what_init_writes_works_at_once(begun: Path) -> None:
    for rig in ([], ["--rig", "rack.yaml"]):
        shown: Any = json.loads(succeeds(begun, "plan", "plan.yaml", *rig, "--json"))
        assert (shown["settings"], shown["songs"], shown["takes"]) == (8, 1, 8)
    succeeds(begun, "run", "plan.yaml")
    succeeds(begun, "verify", "datasets/first-capture")


def test_init_makes_its_folder_and_names_the_command_that_follows(tmp_path: Path) -> None:
    said = succeeds(tmp_path, "init", "mine")
    assert "capture plan mine/plan.yaml" in said
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "plan.yaml",
        "rack.yaml",
        "songs",
    ]


@pytest.mark.parametrize("kept", ["plan.yaml", "rack.yaml"])
def test_init_never_overwrites(kept: str, tmp_path: Path) -> None:
    (tmp_path / kept).write_text("mine")
    done = capture(tmp_path, "init")
    assert done.returncode == 2
    assert kept in done.stderr
    assert (tmp_path / kept).read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == [kept]


def test_every_command_shown_exists() -> None:
    group: Any = typer.main.get_command(app)
    texts = [presets.packaged("plan", name) for name in PLANS]
    texts += [presets.packaged("rig", name) for name in RIGS]
    shown = [command for text in (*texts, DOCS.read_text("utf-8")) for command in commands_in(text)]
    assert len(shown) >= 10
    for command in shown:
        name, *arguments = shlex.split(command)[1:]
        given = group.commands[name].make_context(name, arguments).params
        plan, rig = given.get("plan"), given.get("rig")
        assert plan is None or plan in PLANS or plan.endswith("plan.yaml"), command
        assert rig is None or rig in RIGS or rig.endswith("rack.yaml"), command
