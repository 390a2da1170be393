"""docs/rack.md and docs/knobs are true: what they show is a rig, a command, an address.

The commands in their blocks are run by tests/presets; the drawing of the prompt is compared with a
screen by tests/view.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from typer.main import get_command

from capture.cli import app
from capture.documents import read
from capture.presets import packaged
from capture.run.asked import read_profile
from tests.docs.test_docs import ROOT

PAGES = (ROOT / "docs/rack.md", *sorted((ROOT / "docs/knobs").glob("*.md")))
TEXTS = {page.stem: page.read_text("utf-8") for page in PAGES}
COMMANDS = get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]


def section(text: str, name: str) -> str:
    """A section of a profile, from its key to the next one."""
    (found,) = re.findall(rf"^{name}:.*\n(?:(?:[ #].*)?\n)*", text, re.MULTILINE)
    return found


@pytest.mark.parametrize("page", ["dynamixel", "gcode", "manual", "modbus"])
def test_the_section_of_a_knob_driver_makes_a_rig(page: str) -> None:
    """In the place of a rig's own controls. It turns every control that it shows."""
    rig = packaged("rig", "rme-ufx-ssl-500")
    (shown,) = re.findall(r"```yaml\n(.*?)```", TEXTS[page], re.DOTALL)
    text = rig.replace(section(rig, "calibration"), "").replace(section(rig, "controls"), shown)
    profile = read_profile(read(text, f"docs/knobs/{page}.md"))
    assert len(profile.turned_by(page)) == len(profile.controls) > 0
    assert not profile.simulated


def test_the_section_calibration_is_that_of_a_rig() -> None:
    rig = packaged("rig", "simulated")
    (shown,) = re.findall(r"```yaml\n(calibration:.*?)```", TEXTS["rack"], re.DOTALL)
    text = rig.replace(section(rig, "calibration"), shown)
    assert read_profile(read(text, "docs/rack.md")) == read_profile(read(rig, "simulated"))


def test_every_command_that_is_named_exists_with_its_options() -> None:
    named = [
        command
        for text in TEXTS.values()
        for command in re.findall(r"(?:`|^)(capture [a-z][^`\n|]*(?:\n[^`\n|]+(?=`))?)", text, re.M)
    ]
    assert len(named) >= 15
    for line in named:
        _, command, *words = line.split()
        assert command in COMMANDS, line
        known = {option for param in COMMANDS[command].params for option in param.opts}
        assert {word for word in words if word.startswith("-")} <= known, line


def test_the_addresses_that_are_shown_are_addresses() -> None:
    (shown,) = re.findall(r'export CAPTURE_NOTIFY="(.*)"', TEXTS["manual"])
    assert len(shown.split()) == 2
    # Raises for what it does not understand. In a process of its own: apprise warns as it loads.
    understands = "from capture.view.notify import of_environment; of_environment()"
    environment = {**os.environ, "CAPTURE_NOTIFY": shown}
    subprocess.run([sys.executable, "-c", understands], env=environment, check=True)
