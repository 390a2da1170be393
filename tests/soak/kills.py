"""Kills a session again and again, at random moments: ``python -m tests.soak.kills --kills 200``.

A session on the simulated rig, SIGKILLed a moment after one of its first lines of output, both
drawn by a seeded generator; then the same command again, until all is captured. Asserted: nothing
that the ledger had acknowledged is lost, the finished dataset has the same audio, hash by hash, as
that of a session that nothing happened to, no temporary file is left, the ledger passes SQLite's
integrity check, and ``capture verify`` finds all as committed.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sqlite3
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import capture.presets
from capture.dataset.folder import LOST
from tests.session.conftest import CAPTURE, Desk, hashes

PLAN = """\
schema_version: 1
name: killed
rig: plain.yaml
songs: {{paths: ["songs/*"]}}
level: {{normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}}
sample_rate_hz: 44100
grid:
  threshold_db: [-28, -24]
  attack_ms: [0.1, 1, 10]
  release_s: [0.1, 0.3, 0.6]
  ratio: [{ratios}]
"""
SONG_S = (1.0, 0.7, 1.3)
MOST_LINES, LATER_S = 9, 0.15
"""A run is killed after so many lines of its output, and so much later, at most."""


@dataclass(frozen=True, slots=True)
class Killed:
    """How it went: runs that were killed, takes in all, and how many there were at each kill."""

    kills: int
    takes: int
    acknowledged: list[int]


def prepare(desk: Desk, ratios: str) -> None:
    text = capture.presets.packaged("rig", "simulated")
    text = text[: text.index("\ncalibration:")] + text[text.index("\nsimulation:") :]
    (desk.folder / "plain.yaml").write_text(text, "utf-8")
    (desk.folder / "plan.yaml").write_text(PLAN.format(ratios=ratios), "utf-8")
    for number, seconds in enumerate(SONG_S):
        desk.song(f"{number}.wav", seconds, seed=number)


def acknowledged(dataset: Path) -> dict[str, str]:
    """The output's hash of every take that is in the ledger."""
    with contextlib.closing(sqlite3.connect(dataset / "ledger.sqlite", timeout=30)) as ledger:
        return dict(
            ledger.execute("SELECT take_id, json_extract(record, '$.output_sha256') FROM takes")
        )


def carry_out(folder: Path, ratios: str, kills: int, seed: int) -> Killed:
    """Raises AssertionError where anything is lost, or not as it should be."""
    desk, chance = Desk(folder), random.Random(seed)
    prepare(desk, ratios)
    counts: list[int] = []
    known: dict[str, str] = {}
    while len(counts) < kills:
        with subprocess.Popen(
            [CAPTURE, "run", "plan.yaml", "--out", "d"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as run:
            assert run.stdout is not None
            for _ in range(chance.randint(0, MOST_LINES)):
                run.stdout.readline()
            # The moment is drawn; that the machine is faster or slower only moves what it hits.
            time.sleep(chance.uniform(0, LATER_S))
            if run.poll() is not None:
                break  # all is captured before so many kills
            run.send_signal(signal.SIGKILL)
        if (folder / "d" / "ledger.sqlite").exists():
            now = acknowledged(folder / "d") if _has_takes(folder / "d") else {}
            lost = {take for take in known if now.get(take) != known[take]}
            assert not lost, f"after kill {len(counts) + 1}: acknowledged takes are lost: {lost}"
            known = now
        counts.append(len(known))
    desk.ok("run", "plan.yaml", "--out", "d")
    desk.ok("run", "plan.yaml", "--out", "whole")
    _require_like(folder / "d", folder / "whole", known)
    assert desk.json("verify", "d")["ok"]
    return Killed(len(counts), len(acknowledged(folder / "d")), counts)


def _has_takes(dataset: Path) -> bool:
    with contextlib.closing(sqlite3.connect(dataset / "ledger.sqlite", timeout=30)) as ledger:
        return bool(ledger.execute("SELECT 1 FROM sqlite_master WHERE name = 'takes'").fetchall())


def _require_like(dataset: Path, whole: Path, known: dict[str, str]) -> None:
    found, wanted = (
        {name: sha for name, sha in hashes(one).items() if name.startswith("data/")}
        for one in (dataset, whole)
    )
    assert found == wanted
    parts = (path.relative_to(dataset) for path in dataset.rglob("*.part"))
    assert not [path for path in parts if path.parts[0] != LOST]
    now = acknowledged(dataset)
    assert {take: now[take] for take in known} == known
    with contextlib.closing(sqlite3.connect(dataset / "ledger.sqlite")) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="capture-kills-") as folder:
        found = carry_out(Path(folder), "1.5, 2, 3, 4, 5, 10", asked.kills, asked.seed)
    print(
        f"{found.kills} kills of a session of {found.takes} takes, seed {asked.seed}: nothing "
        f"lost; takes at each kill: {found.acknowledged}"
    )


if __name__ == "__main__":
    main()
