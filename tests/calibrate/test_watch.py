"""A knob that is moved while music plays: the model of the enrolled unit sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import soundfile

from capture.songs.demo import synthesise
from tests.calibrate.conftest import Rack
from tests.session.conftest import RATE_HZ, Desk, bursts, rows

MOVED = {"threshold_db": -28, "attack_ms": 0.1, "release_s": 0.1, "ratio": 5}


def songs(desk: Desk) -> None:
    """The one that is first in the plan is too quiet to be compressed, but for its beginning."""
    groove = np.resize(synthesise("groove"), (6 * RATE_HZ, 2))
    fading = bursts(6, seed=3)
    fading[RATE_HZ // 50 :] *= 1e-4
    for name, song in (("one", fading), ("two", groove)):
        soundfile.write(desk.folder / "songs" / f"{name}.wav", song * 0.9, RATE_HZ)


def faults(*script: Any) -> dict[str, Any]:
    return {"simulation.faults": list(script)}


def test_a_knob_that_is_moved_in_a_take_is_found_and_all_that_is_in_doubt_recorded_again(
    desk: Desk, rack: Rack
) -> None:
    songs(desk)
    moved = {"kind": "knob_moved", "setting": MOVED, "at_s": 3}
    plan = desk.plan(rig=rack(faults("ok", moved)), releases="0.1")
    desk.ok("calibrate", plan, "--out", "d", "--enrol")
    said = desk.ok("run", plan, "--out", "d")
    assert "a knob was moved: from" in said
    takes = rows(desk.folder / "d")
    lost = list((desk.folder / "d" / "lost+found").rglob("*.flac"))
    assert len(takes) == len({take["take_id"] for take in takes}) == 8
    checks = {take["check_knobs_log10_verdict"] for take in takes}
    assert checks <= {"pass", "unverified"}
    assert "pass" in checks
    [again] = [take for take in takes if take["attempts"] == "2"]
    assert again["song_id"].startswith("two")
    # The song before it shows nothing of the knobs, so it is in doubt as well.
    assert all(path.name.startswith("one") for path in lost)
    assert len(lost) == 3
    assert desk.json("verify", "d")["ok"]
