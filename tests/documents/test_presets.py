"""Plans and rigs by path and by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture import presets
from capture.errors import BadInput
from capture.hardware.profile import RigProfile
from capture.plan.spec import PlanSpec
from capture.presets import Kind


def refused(kind: Kind, name: str, folder: Path) -> str:
    with pytest.raises(BadInput) as caught:
        presets.find(kind, name, folder)
    (message,) = caught.value.messages
    return message


@pytest.mark.parametrize("name", presets.names("plan"))
def test_every_plan_is_a_plan(name: str) -> None:
    document = presets.find("plan", name, Path()).document
    assert document.source == f"plan {name}"
    assert document.check(PlanSpec).name


@pytest.mark.parametrize("name", presets.names("rig"))
def test_every_rig_is_a_rig(name: str) -> None:
    profile = presets.find("rig", name, Path()).document.check(RigProfile)
    profile.check()
    assert profile.control_values


def test_a_file_wins_over_a_preset_and_gives_its_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "quickstart").write_text("a: 1")
    found = presets.find("plan", "sub/quickstart", tmp_path)
    assert (found.document.data, found.folder) == ({"a": 1}, tmp_path / "sub")
    (tmp_path / "quickstart").write_text("b: 2")
    assert presets.find("plan", "quickstart", tmp_path).document.data == {"b": 2}


def test_a_preset_with_its_ending(tmp_path: Path) -> None:
    found = presets.find("plan", "quickstart.yaml", tmp_path)
    assert (found.document.source, found.folder) == ("plan quickstart", tmp_path)


def test_what_cannot_be_found_names_the_nearest(tmp_path: Path) -> None:
    assert "did you mean 'quickstart'?" in refused("plan", "quikstart", tmp_path)
    assert "known: " in refused("rig", "zzz.yaml", tmp_path)


@pytest.mark.parametrize(
    "name", ["a" * 5000, "~nobody-of-this-name/x", "nul\0byte", "no/such/file.yaml", "\ud800"]
)  # fmt: skip
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    assert refused("plan", name, tmp_path)


@pytest.mark.parametrize("name", ["", ".", "folder"])
def test_a_folder_is_no_plan(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    assert "is a folder" in refused("plan", name, tmp_path)


@pytest.mark.parametrize("data", [b"\xff\xfea\x00", b"name: caf\xe9", b"\x80", b"a: \xed\xa0\x80"])
def test_what_is_not_utf8(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "plan.yaml").write_bytes(data)
    assert "is not UTF-8 text" in refused("plan", "plan.yaml", tmp_path)
