"""May a dataset that was begun with one plan go on with another? Only if takes are added. Pure.

Recorded takes keep their ids, their splits and their meaning. So the new plan must hold every
setting, song and reference of the old one, with the same labels, made by the same recipe and
judged by the same limits; it may hold more. Whatever else differs is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from capture.hardware.profile import RigProfile
from capture.plan.expand import Expansion
from capture.plan.spec import PlanSpec

MAY_GROW = (
    "about",
    "reference.drift_limit_db",
    "songs.paths",
    "songs.exclude",
    "grid.",
    "exclude",
    "extra",
    "splits.test_songs",
    "rig",
)
"""Keys of a plan that may differ; what they come to is compared instead."""
SCENARIO = "simulation.faults"
"""Scripted faults are what happens to a simulated rig, not what it is."""
HANDLING = (
    "audio.block_frames",
    "audio.freewheel",
    "audio.reopen_after_s",
    "audio.wait_for_device_s",
    "calibration",
    "rack",
    "wait_for_room_s",
    SCENARIO,
)
"""How the rig is handled, and where a simulated rack is to be found: no fact of it."""
ANCHORS = "audio.dbfs_to_dbu."
"""A level anchor may be filled in when somebody has measured it; it changes no recording."""
SHOWN = 5


def of_plan(old: PlanSpec, new: PlanSpec) -> list[str]:
    """Changed keys that no dataset survives, each as a sentence. Needs no songs."""
    found: list[str] = []
    for key, before, after in _differences(_plain(old), _plain(new)):
        added_reference = key == "reference" and before is None
        if not key.startswith(MAY_GROW) and not added_reference:
            found.append(_sentence("plan", key, before, after))
    return found


def of_rig(old: RigProfile, new: RigProfile) -> list[str]:
    """Every changed fact of the rig, each as a sentence."""
    return [
        _sentence("rig", key, before, after)
        for key, before, after in _differences(_plain(old), _plain(new))
        if not key.startswith(HANDLING) and not (before is None and key.startswith(ANCHORS))
    ]


def of_takes(old: Expansion, new: Expansion) -> list[str]:
    """What the old plan holds and the new one does not hold in the same way."""
    found = _lost("song", [s.song_id for s in old.songs], {s.song_id for s in new.songs})
    if old.songs and new.songs and old.reference and old.songs[0] != new.songs[0]:
        found.append("plan: the first song has changed; the reference takes are of the first song")
    kept = {
        new.chosen[index].setting_id: new.chosen.is_extra(index) for index in range(len(new.chosen))
    }
    gone: list[str] = []
    relabelled: list[str] = []
    for index in range(len(old.chosen)):
        setting = old.chosen[index].setting_id
        if setting not in kept:
            gone.append(setting)
        elif kept[setting] != old.chosen.is_extra(index):
            relabelled.append(setting)
    found += _lost("setting", gone, set())
    for setting in relabelled[:SHOWN]:
        found.append(f"plan: setting {setting} would move between the grid and the extras")
    moved = [song for song, split in old.splits.items() if new.splits.get(song, split) != split]
    for song in moved[:SHOWN]:
        found.append(f"plan: song {song} would move to another split")
    return found


def _lost(kind: str, before: list[str], after: set[str]) -> list[str]:
    lost = [name for name in before if name not in after]
    found = [f"plan: {kind} {name} is not in it any more" for name in lost[:SHOWN]]
    if len(lost) > SHOWN:
        found.append(f"plan: and {len(lost) - SHOWN} more {kind}s")
    return found


def _sentence(what: str, key: str, before: object, after: object) -> str:
    return f"{what}: {key} was {before!r} and is now {after!r}"


def _plain(model: PlanSpec | RigProfile) -> dict[str, Any]:
    return model.model_dump(mode="json")


def _differences(
    old: object, new: object, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, object, object]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        before, after = cast(Mapping[str, object], old), cast(Mapping[str, object], new)
        for key in sorted({*before, *after}):
            yield from _differences(before.get(key), after.get(key), (*path, key))
    elif old != new:
        yield ".".join(path), old, new
