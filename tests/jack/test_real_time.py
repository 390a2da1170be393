"""In real time, with the runner's own process kept busy: a dropout may happen, but never unseen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.jack.conftest import Lab, untrue

BUSY = """
import sys, threading
from capture.cli import main

def busy():
    number = 0
    while True:
        number += 1

for _ in range(2):
    threading.Thread(target=busy, daemon=True).start()
main()
"""
SONGS, SONG_S = 12, 10.0


@pytest.fixture(scope="module")
def period() -> int:
    return 4096


def test_no_dropout_goes_unseen_beside_busy_threads(start_lab: Callable[..., Lab]) -> None:
    lab = start_lab()
    lab.songs(SONGS, SONG_S)
    lab.rig(freewheel=False, settle_s=0.1)
    lab.plan()
    lab.desk.ok("run", lab.plan(), "--out", "d", "--limit", "0")  # the songs are made in peace
    done = subprocess.run(
        [sys.executable, "-c", BUSY, "run", lab.plan(), "--out", "d", "--json"],
        cwd=lab.folder,
        env=lab.server.env,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    voids = [event["reasons"] for event in events if event["event"] == "TakeVoid"]
    ended = json.loads(done.stdout)
    lab.rack.stop()
    gaps = [event for truth in lab.truths() for event in truth.of("gap")]
    print(
        f"\n{SONGS} takes of {SONG_S:g} s, {ended['audio_s'] / ended['wall_s']:.3f} of the time "
        f"playing; {len(gaps)} gaps in the rack, {len(voids)} takes void: {voids}"
    )
    assert ended["captured"] == SONGS
    assert untrue(lab.folder / "d", lab.truths()) == []
