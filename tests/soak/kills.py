"""Kills a session again and again, at random moments: ``python -m tests.soak.kills --kills 200``.

A session on the simulated rig, SIGKILLed a moment after one of its first lines of output, both
drawn by a seeded generator; then the same command again, until all is captured. Asserted: nothing
that the ledger had acknowledged is lost, the finished dataset has the same audio, hash by hash, as
that of a session that nothing happened to, no temporary file is left, the ledger passes SQLite's
integrity check, and ``capture verify`` finds all as committed.

``--jack`` does it over PortAudio, a JACK server of its own and a rack in a process of its own, in
freewheel. The rack's noise goes on from take to take, so no two sessions are alike: instead of
being like another one, every take must be what the rack sent, frame for frame, and every take of
the plan be there once, with its checks passed. Only the program is killed, not its engine: a client
of JACK that is killed in freewheel takes jackd with it (``tests/jackserver.py``). The engine finds
its pipe closed, ends the freewheel and leaves; meanwhile the next run may have begun.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import capture.presets
from capture.dataset.folder import LOST
from tests.jack.conftest import Lab, labs, untrue
from tests.jackserver import jack_server
from tests.session.conftest import CAPTURE, Desk, hashes, rows

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
JACK_PLAN = {
    "thresholds": "-28, -24, -20",
    "attacks": "0.1, 1, 10",
    "releases": "0.1, 0.3, 0.6",
    "ratios": "2, 4",
}
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
    """On the simulated rig. Raises AssertionError where anything is lost or not as it was."""
    desk = Desk(folder)
    prepare(desk, ratios)
    counts, known = kill(desk, kills, seed)
    desk.ok("run", "plan.yaml", "--out", "whole")
    found, wanted = (
        {name: sha for name, sha in hashes(one).items() if name.startswith("data/")}
        for one in (folder / "d", folder / "whole")
    )
    assert found == wanted
    _require_sound(desk, known)
    return Killed(len(counts), len(acknowledged(folder / "d")), counts)


def carry_out_on_jack(lab: Lab, plan: Mapping[str, str], kills: int, seed: int) -> Killed:
    """Over JACK, in freewheel, on the settings of ``plan``. Raises AssertionError likewise."""
    lab.songs(len(SONG_S), SONG_S[0])
    lab.rig(freewheel=True)
    lab.plan(**plan)
    counts, known = kill(lab.desk, kills, seed)
    dataset = lab.folder / "d"
    _require_sound(lab.desk, known)
    takes = rows(dataset)
    settings = math.prod(len(values.split(",")) for values in plan.values())
    assert len({(row["song_id"], row["setting_id"]) for row in takes}) == len(takes)
    assert len(takes) == settings * len(SONG_S)
    lengths = {row["song_id"]: row["num_frames"] for row in rows(dataset, "songs")}
    for row in takes:
        assert row["num_frames"] == lengths[row["song_id"]]
        assert "fail" not in [row[name] for name in row if name.endswith("_verdict")]
    lab.rack.stop()
    assert untrue(dataset, lab.truths()) == []
    return Killed(len(counts), len(takes), counts)


def kill(desk: Desk, kills: int, seed: int) -> tuple[list[int], dict[str, str]]:
    """Kills a run of the plan so many times, then lets one end.

    How many takes there were at each kill, and those that were acknowledged at the last.
    """
    folder, chance = desk.folder, random.Random(seed)
    counts: list[int] = []
    known: dict[str, str] = {}
    while len(counts) < kills:
        with subprocess.Popen(
            [CAPTURE, "run", "plan.yaml", "--out", "d"],
            cwd=folder,
            env={**os.environ, **desk.environment},
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
    return counts, known


def _has_takes(dataset: Path) -> bool:
    with contextlib.closing(sqlite3.connect(dataset / "ledger.sqlite", timeout=30)) as ledger:
        return bool(ledger.execute("SELECT 1 FROM sqlite_master WHERE name = 'takes'").fetchall())


def _require_sound(desk: Desk, known: dict[str, str]) -> None:
    """What was acknowledged is there as it was, nothing temporary is; all is as committed."""
    dataset = desk.folder / "d"
    parts = (path.relative_to(dataset) for path in dataset.rglob("*.part"))
    assert not [path for path in parts if path.parts[0] != LOST]
    now = acknowledged(dataset)
    assert {take: now[take] for take in known} == known
    assert set(now.values()) <= set(hashes(dataset).values())
    with contextlib.closing(sqlite3.connect(dataset / "ledger.sqlite")) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert desk.json("verify", "d")["ok"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, help="200, with --jack 20")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jack", action="store_true", help="over JACK, with a rack on it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="capture-kills-") as name:
        if asked.jack:
            found = _on_a_server(Path(name), asked.kills or 20, asked.seed)
        else:
            found = carry_out(Path(name), "1.5, 2, 3, 4, 5, 10", asked.kills or 200, asked.seed)
    print(
        f"{found.kills} kills of a session of {found.takes} takes, seed {asked.seed}: nothing "
        f"lost; takes at each kill: {found.acknowledged}"
    )


def _on_a_server(folder: Path, kills: int, seed: int) -> Killed:
    with jack_server(f"kills{os.getpid()}", period=4096) as server, labs(server, folder) as start:
        return carry_out_on_jack(start(), JACK_PLAN, kills, seed)


if __name__ == "__main__":
    main()
