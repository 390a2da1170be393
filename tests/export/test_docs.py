"""docs/exports.md is true: its commands run, its snippets load what they wrote."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from capture.dataset.export.formats import FORMATS
from tests.session.conftest import Desk

TEXT = (Path(__file__).parents[2] / "docs/exports.md").read_text("utf-8")
COMMANDS = re.findall(r"^\$ capture (.*)$", TEXT, re.MULTILINE)
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def shown(desk: Desk, dataset: Path) -> Desk:
    """The folder that the page has in mind, after its commands."""
    (desk.folder / "datasets").mkdir()
    (desk.folder / "datasets/first-capture").symlink_to(dataset)
    for command in COMMANDS:
        desk.ok(*shlex.split(command))
    for name in ("hf-parquet", "cv-db", "frictionless"):
        desk.ok("export", name, "datasets/first-capture", f"exports/{name}", "--jobs", "1")
    return desk


def test_the_commands_run(shown: Desk) -> None:
    assert len(COMMANDS) == 4
    assert (shown.folder / "exports/webdataset/SHA256SUMS").is_file()
    assert (shown.folder / "cluster/Snakefile").is_file()


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_snippets_load_what_is_there(shown: Desk, snippet: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=shown.folder,
        env={"HF_HOME": str(shown.folder / "hf"), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_format_has_its_part(shown: Desk) -> None:
    for name in FORMATS:
        assert f"\n## {name}\n" in TEXT
        assert f"| `{name}` |" in TEXT
    assert len(SNIPPETS) == 4
