"""A crash at each step of committing a take, as docs/commit.md numbers them.

The program runs as a process of its own, on two songs at four settings, and is ended by
``os._exit`` at one step of its third take: no ``finally``, no flush, as if the power had gone (but
for what the operating system still holds). Then it is run again, and the dataset must be complete,
verified, and the same as one that was never interrupted.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

PLAN = """\
schema_version: 1
name: crash
rig: simulated
songs: {paths: ["songs/*"]}
level: {normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}
sample_rate_hz: 44100
grid:
  threshold_db: [-28, -20]
  attack_ms: [0.1]
  release_s: [0.1, auto]
  ratio: [4]
"""

CHILD = '''\
"""Runs `capture run plan.yaml --out d`, and ends without a word at one step of the third take."""
import os
import sys
from pathlib import Path

from capture.dataset import audio, files, manifest
from capture.run import ledger

STEP = sys.argv.pop(1)
THIRD = 3
commits = 0
renames = 0


def die(step):
    if step == STEP and commits == THIRD:
        os._exit(86)


plain_flush, plain_replace = files._flush, Path.replace
plain_commit, plain_write = files.commit, audio.FlacWriter.write
plain_row, plain_manifest = ledger.Ledger.commit_take, manifest.write
plain_guard = ledger.Ledger._write


def is_take(moves):
    return any(".out.flac" in path.name for path in moves)


def write(self, samples):
    plain_write(self, samples)
    if STEP == "1 while recording" and commits == THIRD - 1 and ".out.flac" in self.path.name:
        os._exit(86)


def commit(moves):
    global commits
    commits += is_take(moves)
    die("1 recorded")
    plain_commit(moves)
    die("4 folder flushed")


def flush(path):
    plain_flush(path)
    if path.name.endswith(".markers.flac.part"):
        die("2 flushed")


def replace(self, target):
    global renames
    plain_replace(self, target)
    if commits == THIRD and ".flac" in Path(target).name:
        renames += 1
        if renames == 1:
            die("3 one renamed")
        if renames == 3:
            die("3 all renamed")


def in_transaction(self, record):
    if STEP == "5 in the transaction" and commits == THIRD:
        self._database.execute("PRAGMA cache_size=2")
        self._database.execute("BEGIN IMMEDIATE")
        for number in range(50):
            self._database.execute("INSERT INTO facts VALUES (?, ?)", (f"x{number}", "y" * 4000))
        plain_row(self, record)
        os._exit(86)
    plain_row(self, record)
    die("5 row inserted")


def write_manifest(*arguments):
    if STEP == "6 no manifest":
        os._exit(86)
    plain_manifest(*arguments)


plain_init = audio.FlacWriter.__init__


def init(self, path, *arguments):
    self.path = path
    plain_init(self, path, *arguments)


audio.FlacWriter.__init__ = init
audio.FlacWriter.write = write
files.commit, files._flush, Path.replace = commit, flush, replace
ledger.Ledger.commit_take = in_transaction
manifest.write = write_manifest

from capture.cli import main

main()
'''

STEPS = {
    # step: (takes in the ledger after it, leftovers of the third take that the next run sweeps)
    "1 while recording": (2, 2),
    "1 recorded": (2, 3),
    "2 flushed": (2, 3),
    "3 one renamed": (2, 3),
    "3 all renamed": (2, 3),
    "4 folder flushed": (2, 3),
    "5 in the transaction": (2, 3),
    "5 row inserted": (3, 0),
    "6 no manifest": (8, 0),
}
FILES = 3
"""As many more may be swept: those of the fourth take, which plays while the third is committed."""
CAPTURE = str(Path(sys.executable).with_name("capture"))


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def prepare(folder: Path) -> None:
    import numpy as np
    import soundfile

    (folder / "songs").mkdir()
    for number in range(2):
        random = np.random.default_rng(number)
        level = np.repeat(10 ** (random.uniform(-30, 0, 16) / 20), 4410)[:, None]
        noise = random.standard_normal((16 * 4410, 2)).clip(-3, 3) / 4
        soundfile.write(folder / "songs" / f"{number}.wav", noise * level, 44100, "PCM_24")
    (folder / "plan.yaml").write_text(PLAN)


def hashes(dataset: Path) -> dict[str, str]:
    """Of all that takes are made of. Calibrations are named by figures, to the last bit."""
    return {
        path.relative_to(dataset).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for top in ("data", "evidence/markers")
        for path in (dataset / top).rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole")
    prepare(folder)
    done = run(folder, CAPTURE, "run", "plan.yaml", "--out", "d")
    assert done.returncode == 0, done.stderr
    return hashes(folder / "d")


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_costs_the_take_at_hand_and_no_more(
    step: str, whole: dict[str, str], tmp_path: Path
) -> None:
    prepare(tmp_path)
    (tmp_path / "child.py").write_text(CHILD)
    command = (sys.executable, "child.py", step, "run", "plan.yaml", "--out", "d")
    crashed = run(tmp_path, *command)
    assert crashed.returncode == 86, crashed.stdout + crashed.stderr

    captured, leftovers = STEPS[step]
    status = run(tmp_path, CAPTURE, "status", "d", "--json")
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["captured"] == captured

    # Whatever is claimed is whole, whatever else lies about.
    verified = json.loads(run(tmp_path, CAPTURE, "verify", "d", "--json").stdout)
    kinds = {damage["kind"] for damage in verified["damage"] if "manifest/" not in damage["file"]}
    assert kinds <= {"extra"}

    done = run(tmp_path, CAPTURE, "run", "plan.yaml", "--out", "d")
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path / "d") == whole
    swept = [path for path in (tmp_path / "d/lost+found").rglob("*") if path.is_file()]
    assert leftovers <= len(swept) <= leftovers + FILES
    assert not list((tmp_path / "d").rglob("*-journal"))
    verified_again = run(tmp_path, CAPTURE, "verify", "d")
    assert verified_again.returncode == 0, verified_again.stdout + verified_again.stderr
    status = run(tmp_path, CAPTURE, "status", "d", "--json")
    assert json.loads(status.stdout)["captured"] == 8


def test_every_step_of_the_document_has_a_crash() -> None:
    """docs/commit.md numbers its steps; so do these."""
    text = (Path(__file__).parents[2] / "docs" / "commit.md").read_text("utf-8")
    numbered = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert {step.split()[0] for step in STEPS} == {n for n in numbered if n.isdigit()}
