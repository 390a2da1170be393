"""docs/releases.md: its commands, run one after the other, say what the page shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.release.conftest import finished  # noqa: F401 - a fixture
from tests.session.conftest import Desk

PAGE = (Path(__file__).parents[2] / "docs/releases.md").read_text("utf-8")


def without_figures(line: str) -> str:
    return re.sub(r"(\d[\d.,]*( h| min| s|)? ?)+([kMG]?B\b)?", "N", line)


def test_the_page_goes_as_it_shows(tmp_path: Path, finished: Path) -> None:  # noqa: F811
    shutil.copytree(finished / "d", tmp_path / "datasets/first-capture")
    desk = Desk(tmp_path)
    commands = 0
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for entry in block.split("$ ")[1:]:
            command, *shown = entry.splitlines()
            said = list(map(without_figures, desk.ok(*command.split()[1:]).splitlines()))
            for line in shown:
                assert without_figures(line) in said, f"{command}: {line}"
            commands += 1
    assert commands == 4
