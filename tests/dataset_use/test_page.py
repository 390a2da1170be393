"""docs/loading.md is true: its code runs, in its order, and its command says what is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "loading.md").read_text("utf-8")
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def code(*, torch: bool) -> str:
    """The page's blocks as one script; those that need torch only where it is asked for."""
    return "\n".join(block for block in BLOCKS if torch or "import torch" not in block)


@pytest.fixture
def home(dataset: Path, tmp_path: Path) -> Path:
    """A folder with the dataset that the page names."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "first-capture").symlink_to(dataset)
    return tmp_path


def run(home: Path, *command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=home,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def numbers(text: str) -> list[str]:
    """The lines, with a mark for each number and without the spaces that it was set with."""
    return [re.sub(r"\s*-?\d+\.\d+(e-\d+)?", " N", line).rstrip() for line in text.splitlines()]


def test_the_page_goes_as_it_is_shown(home: Path) -> None:
    (home / "use.py").write_text(code(torch=False), "utf-8")
    run(home, sys.executable, "use.py")
    ((command, shown),) = re.findall(r"```console\n\$ (.*?)\n(.*?)```", PAGE, re.DOTALL)
    assert numbers(run(home, "bash", "-c", command)) == numbers(shown)


def test_the_torch_dataset_of_the_page(home: Path) -> None:
    script = code(torch=True)
    assert script.count('batch["input"]  # ') == 1
    script = script.replace('batch["input"]  # ', 'print(tuple(batch["input"].shape))  # ')
    (home / "use.py").write_text(script, "utf-8")
    assert run(home, sys.executable, "use.py").startswith("(4, 2, 8192)\n")


def test_a_part_of_a_frame_is_taken_out_as_the_page_says() -> None:
    """Sines up to 16 kHz, sampled 0.37 frame later; undone to -80 dB."""
    (block,) = (block for block in BLOCKS if "def earlier" in block)
    space: dict[str, object] = {}
    exec(block.split("\n\n\nwide = ")[0], space)
    margin, earlier = space["MARGIN"], space["earlier"]
    assert isinstance(margin, int)
    assert callable(earlier)
    random = np.random.default_rng(0)
    omega, phase = 2 * np.pi * random.uniform(0, 16 / 44.1, 50), random.uniform(0, 7, 50)

    def at(frames: np.ndarray) -> np.ndarray:
        return np.sin(frames[:, None] * omega + phase).mean(axis=1)

    frames = np.arange(-margin, 4096 + margin)
    off = earlier(at(frames - 0.37), 0.37) - at(frames)[margin:-margin]
    assert np.abs(off).max() < 1e-4
    both = earlier(np.stack([at(frames - 0.37)] * 2, axis=1), 0.37)
    assert np.allclose(both[:, 1], at(frames)[margin:-margin], atol=1e-4)
