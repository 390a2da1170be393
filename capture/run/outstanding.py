"""What a dataset's plan has that is not captured."""

from __future__ import annotations

import json
from collections import Counter

from capture.dataset.release import Missing
from capture.plan.expand import Expansion, PlannedSong, expand
from capture.run import begun
from capture.run.ledger import Ledger


def planned(ledger: Ledger) -> Expansion:
    """The takes that the dataset was begun for, as the last run planned them.

    Raises DamagedData.
    """
    plan, rig = begun.plan_and_rig(ledger)
    before = set(json.loads(ledger.fact("songs") or "[]"))
    songs = [
        PlannedSong(song.song_id, song.source_sha256, song.num_frames)
        for song in ledger.songs()
        if song.song_id in before
    ]
    expansion = expand(plan, rig.control_values, songs, ledger.splits())
    return expansion.revised(ledger.revisions())


def missing(ledger: Ledger) -> Missing:
    """How many takes are not captured, and why. Raises DamagedData."""
    status, never = ledger.statuses(), ledger.impossible()
    reasons: Counter[str] = Counter()
    for take in planned(ledger):
        found = status.get(take.take_id)
        if found == "captured":
            continue
        if found == "rejected":
            reasons["failed their checks every time"] += 1
        elif take.setting.setting_id in never:
            reasons["at settings called impossible"] += 1
        else:
            reasons["not recorded yet"] += 1
    return Missing(reasons.total(), dict(sorted(reasons.items())))
