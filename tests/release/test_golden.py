"""Datasets of each version that was ever written, as it was written: they open, and grow newer.

``v1`` is whole: two takes of half a second. ``v1-rows`` has everything but the audio: a law, probes
of four settings, a reference, splits.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from capture.dataset.columns import Columns
from capture.dataset.folder import SCHEMA_VERSION
from capture.dataset.manifest import of_ledger
from capture.dataset.snapshot import snapshot
from capture.run import begun
from capture.run.ledger import Ledger
from tests.session.conftest import Desk, rows

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    for name in ("v1", "v1-rows"):
        shutil.copytree(GOLDEN / name, tmp_path / name)
    return Desk(tmp_path)


def test_version_1_is_read_as_it_is(desk: Desk) -> None:
    assert "2 takes" in desk.ok("verify", "v1")
    assert "by an older version" in desk.ok("verify", "v1")
    assert desk.json("status", "v1")["captured"] == 2
    assert json.loads((desk.folder / "v1/dataset.json").read_text())["schema_version"] == 1
    assert len(snapshot(desk.folder / "v1").table("takes")) == 2


def test_version_1_grows_to_the_present_one_and_loses_nothing(desk: Desk) -> None:
    before = {path.name: path.read_bytes() for path in (desk.folder / "v1").rglob("*.flac")}
    old = rows(desk.folder / "v1")
    desk.ok("release", "v1", "1.0.0")
    assert json.loads((desk.folder / "v1/dataset.json").read_text())["schema_version"] == (
        SCHEMA_VERSION
    )
    assert before == {path.name: path.read_bytes() for path in (desk.folder / "v1").rglob("*.flac")}
    for was, is_now in zip(old, rows(desk.folder / "v1"), strict=True):
        assert is_now | was | {"added_in": "1.0.0"} == is_now
    assert "all as committed" in desk.ok("verify", "v1")


def test_every_figure_of_version_1_is_in_the_tables_of_today(desk: Desk) -> None:
    root = desk.folder / "v1-rows"
    ledger = Ledger.open(root)
    try:
        found = of_ledger(ledger, begun.rig(ledger).control_values)
        now: dict[str, tuple[Columns, list[dict[str, object]]]] = {
            name: (columns, list(rows)) for name, (columns, rows) in found.items()
        }
    finally:
        ledger.close()
    for path in sorted((root / "manifest").glob("*.csv")):
        columns, there = now[path.stem]
        was = rows(root, path.stem)
        assert len(was) == len(there), path.stem
        assert not was or set(was[0]) <= set(columns), path.stem
    assert len(now["takes"][1]) == 11
    assert {row["gain_law_origin"] for row in now["takes"][1]} == {"measured"}


@pytest.mark.parametrize("command", ["verify", "status", "release"])
def test_a_newer_version_is_refused(desk: Desk, command: str) -> None:
    path = desk.folder / "v1/dataset.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    more = ["1.0.0"] if command == "release" else []
    assert "update capture" in desk.fails(5, command, "v1", *more)
