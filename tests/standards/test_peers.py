"""Other people's programs on the dataset's folder, each a process, before and after a release."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from capture.dataset.snapshot import snapshot
from capture.dataset.standards import card
from tests.standards.conftest import Made

LOADERS = Path(__file__).with_name("loaders.py")
BIN = Path(sys.executable).parent


def peer(root: Path, *command: str) -> str:
    """Runs a program in the folder; it must succeed. Nothing is looked up on any network.

    ``datasets`` keeps what it has loaded, and where the audio lay then: each folder has its own.
    """
    own = {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(root.parent / f"huggingface-{root.name}"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def load(root: Path, kind: str, cache: Path) -> dict[str, Any]:
    said = peer(root, sys.executable, str(LOADERS), kind, str(root), str(cache))
    return json.loads(next(line for line in said.splitlines() if line.startswith("{")))


@pytest.fixture(params=["first", "second"])
def root(request: pytest.FixtureRequest, made: Made) -> Path:
    return getattr(made, request.param)


def test_everybody_can_read_the_folder(root: Path, tmp_path: Path) -> None:
    takes = {row["take_id"]: row for row in snapshot(root).rows("takes")}
    validate, *others = commands((root / "README.md").read_text("utf-8"))
    assert "warning" not in peer(root, "bash", "-c", validate).lower()
    check_croissant(root, load(root, "croissant", tmp_path), takes)
    check_hugging_face(load(root, "datasets", tmp_path), takes)
    for command in others:
        peer(root, "bash", "-c", command)
    peer(root, "sha256sum", "--quiet", "--strict", "-c", "tagmanifest-sha256.txt")
    everything = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.flac"))
    assert len(everything) > 2 * len(takes)
    peer(root, "flac", "-ts", *everything)


def commands(text: str) -> list[str]:
    """The lines of the block that a card shows under 'How to check it'."""
    block = text.partition("## How to check it")[2].split("```")[1]
    return [line for line in block.splitlines() if line]


def test_the_docs_show_the_commands_of_the_card() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "standards.md").read_text("utf-8")
    assert commands(docs) == commands(f"## How to check it\n\n{card.CHECK}")
    assert len(commands(docs)) == 5


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_card_shows_python_that_runs(made: Made, number: int) -> None:
    code = (made.second / "README.md").read_text("utf-8").split("```python\n")[number]
    code = code.split("```")[0].replace("path/to/this/folder", str(made.second))
    peer(made.second, sys.executable, "-c", code)


def check_croissant(root: Path, found: dict[str, Any], takes: dict[str, Any]) -> None:
    assert [row["take_id"] for row in found["takes"]] == list(takes)
    for row in found["takes"]:
        take = takes[row["take_id"]]
        assert row == {name: take[name] for name in row}
        for column in ("input_file", "output_file", "cv_file"):
            assert found["audio"][row[column]] == take["num_frames"]
    for path in snapshot(root).folder.glob("*.parquet"):
        assert found["counts"][path.stem] == pq.read_metadata(path).num_rows
    assert found["counts"]["take_checks"] == len(takes)


def check_hugging_face(found: dict[str, Any], takes: dict[str, Any]) -> None:
    rows = [row for split, part in found.items() if split != "test" for row in part]
    assert {row["take_id"] for row in rows} == set(takes)
    assert len(rows) == len(takes)
    assert set(found) == {"train", "test", "unseen_song", "unseen_setting", "unseen_both"}
    assert all(takes[row["take_id"]]["split"] == "train" for row in found["train"])
    for row in rows:
        take = takes[row["take_id"]]
        assert row["threshold_db"] == take["threshold_db"]
        assert row["files"] == [take[name] for name in ("input_file", "output_file", "cv_file")]
        assert row["shapes"] == [[2, take["num_frames"]]] * 2 + [[1, take["num_frames"]]]
        assert row["exact"] == [True] * 3


def test_bagit_finds_what_is_wrong(made: Made, tmp_path: Path) -> None:
    """The bag is no show: a file too many, and one that was changed, make it invalid."""
    copy = tmp_path / "d"
    subprocess.run(["cp", "-r", str(made.first), str(copy)], check=True)
    stray = copy / "data" / "stray.flac"
    stray.write_bytes(b"stray")
    assert refused(copy)
    stray.unlink()
    card = copy / "README.md"
    card.write_text(card.read_text("utf-8") + "\n", "utf-8")
    assert refused(copy)


def refused(root: Path) -> bool:
    done = subprocess.run(
        [str(BIN / "bagit.py"), "--validate", str(root)], capture_output=True, check=False
    )
    return done.returncode == 1
