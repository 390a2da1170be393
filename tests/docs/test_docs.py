"""The docs are true: commands run, outputs are as shown, columns and checks are all explained."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile

from capture.dataset import columns
from capture.documents import read
from capture.hardware.profile import RigProfile
from capture.model import CheckLimits
from capture.plan.expand import expand
from capture.plan.spec import PlanSpec
from capture.presets import names, packaged

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SONGS = ("Chimes They Fade.ogg", "March Thee to Dis.ogg")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with two songs, of the names that the README shows."""
    home = tmp_path_factory.mktemp("home")
    (home / "Music").mkdir()
    for number, name in enumerate(SONGS):
        random = np.random.default_rng(number)
        steps = np.repeat(random.uniform(0.02, 0.5, 30), 4800)[:, None]
        song = random.uniform(-1, 1, (30 * 4800, 2)) * steps
        soundfile.write(home / "Music" / name, song, 48000, format="OGG", subtype="VORBIS")
    return home


def shell(command: str, home: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=home,
        env={**os.environ, "HOME": str(home), "PATH": path, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def shape(text: str) -> list[str]:
    """The lines of an output without what differs from one machine and song to the next."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:+]+", "TIME", text)
    text = re.sub(r"(\d[\d,]* h )?(\d+ min )?\b\d+ s\b", "SPAN", text)
    text = re.sub(r"-[0-9a-f]{8}\b", "-HASH", text)
    text = re.sub(r"\d+(\.\d+)? [kMG]?B\b", "SIZE", text)
    text = re.sub(r"-?\d+\.\d+ dBFS", "LEVEL", text)
    text = re.sub(r"\d+(\.\d+)? times", "N times", text)
    text = re.sub(r"\+-0\.\d+", "+-U", text)
    return [line.rstrip() for line in text.strip().splitlines()]


def shown() -> list[tuple[str, str]]:
    """Each command of the README's console blocks, and the output shown for it."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.MULTILINE)
    assert len(steps) >= 6
    return steps


def test_the_first_capture_goes_as_the_readme_shows(home: Path) -> None:
    for command, output in shown():
        wanted, said = shape(output), shape(shell(command, home))
        if "..." in wanted:
            dots = wanted.index("...")
            assert said[:dots] == wanted[:dots], command
            assert said[len(said) - (len(wanted) - dots - 1) :] == wanted[dots + 1 :], command
        else:
            assert said == wanted, command
    script = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    (home / "use.py").write_text(script, "utf-8")
    assert "deepest gain -" in shell("python use.py", home)


def test_the_snippet_of_the_dataset_docs_runs(home: Path) -> None:
    script = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/dataset.md").read_text("utf-8"), re.DOTALL
    )[0]
    dataset = home / "datasets" / "first-capture"
    if not dataset.is_dir():
        test_the_first_capture_goes_as_the_readme_shows(home)
    (home / "gain.py").write_text(f"import os\nos.chdir({str(dataset)!r})\n{script}", "utf-8")
    shell("python gain.py", home)


def test_make_demo_runs_with_an_environment_that_is_there(tmp_path: Path) -> None:
    """The recipe itself; setting up an environment anew is what CI does to get here."""
    environment = tmp_path / "venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    (environment / ".installed").touch()
    done = subprocess.run(
        ["make", "demo", f"VENV={environment}", f"DEMO={tmp_path / 'demo'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "finished: 12 of 12 takes captured" in done.stdout
    assert "all as committed" in done.stdout


def test_every_column_is_explained() -> None:
    text = (ROOT / "docs/dataset.md").read_text("utf-8")
    tables = (
        columns.TAKE_COLUMNS,
        columns.FILE_COLUMNS,
        columns.SONG_COLUMNS,
        columns.CALIBRATION_COLUMNS,
        columns.LAW_COLUMNS,
        columns.LAW_STEP_COLUMNS,
        columns.ENROLMENT_COLUMNS,
        columns.FINGERPRINT_COLUMNS,
        columns.ANCHOR_COLUMNS,
        columns.SESSION_COLUMNS,
    )
    names = [name.removesuffix("_uncertainty") for table in tables for name in table]
    missing = [name for name in names if f"`{name}`" not in text]
    assert not missing


def test_every_check_and_limit_is_explained() -> None:
    text = (ROOT / "docs/measurements.md").read_text("utf-8")
    for name in columns.CHECKS:
        assert f"`{name}`" in text
    for limit in fields(CheckLimits):
        if limit.name != "retries":
            row = next(line for line in text.splitlines() if f"`{limit.name}` |" in line)
            assert f"| {limit.default:g} |" in row
    assert f"`checks.retries` times ({CheckLimits().retries})" in text


def test_the_plan_of_the_docs_is_a_plan() -> None:
    text = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/plan.md").read_text("utf-8"), re.DOTALL)[
        0
    ]
    spec = read(text, "docs/plan.md").check(PlanSpec)
    rig = read(packaged("rig", "simulated"), "simulated").check(RigProfile)
    assert len(expand(spec, rig.control_values, []).chosen) == 8 - 2 + 3
    for key in PlanSpec.model_fields:
        assert f"\n{key}:" in f"\n{text}"


def test_presets_and_commands_of_the_readme_are_those_there_are() -> None:
    for kind in ("plan", "rig"):
        for name in names(kind):
            assert f"`{name}`" in README
    from typer.main import get_command

    from capture.cli import app

    for command in get_command(app).commands:  # pyright: ignore[reportAttributeAccessIssue]
        assert f"`capture {command}" in README


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
