"""What the user asked for: plan, rig and songs, read and checked against each other at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from capture import presets
from capture.documents import Document
from capture.errors import BadInput, DocumentFaults, Fault
from capture.hardware.profile import RigProfile
from capture.model import Control
from capture.plan.expand import PlannedSong, song_faults
from capture.plan.settings import Chosen, choose, faults
from capture.plan.spec import PlanSpec
from capture.songs.decode import UnusableSong, survey
from capture.songs.find import Found, find

Thing = TypeVar("Thing")

STAND_IN = {
    "schema_version": 1,
    "name": "stand-in",
    "songs": {"paths": ["*"]},
    "level": {"normalize": "peak", "target_db": 0.0},
    "sample_rate_hz": 44100,
}
"""Stands for faulty sections of a plan while the others are checked against the rig."""


@dataclass(frozen=True)
class Asked:
    """A plan for a rig. The profile's sample rate is the plan's."""

    plan: Document
    spec: PlanSpec
    rig: Document
    profile: RigProfile
    found: Found

    @property
    def controls(self) -> tuple[Control, ...]:
        return self.profile.control_values


def ask(plan: str, rig: str | None, folder: Path, *, need_songs: bool = False) -> Asked:
    """Reads a plan and its rig (``rig`` wins over the plan's). Paths are meant from ``folder``.

    Raises:
        BadInput: every fault in the plan, in the rig, and between the two; with ``need_songs``,
            also every pattern that finds no song.
    """
    messages: list[str] = []
    found_plan = presets.find("plan", plan, folder)
    document = found_plan.document
    spec = _noted(messages, lambda: document.check(PlanSpec))
    found_rig = _noted(messages, lambda: rig_document(found_plan, rig, folder))
    profile = _noted(messages, lambda: read_profile(found_rig)) if found_rig else None
    found = Found((), (), ())
    wrong: list[Fault] = []
    if spec:
        found, wrong = _songs(spec, found_plan.folder, need_songs)
    if profile:
        wrong += _impossible(document, spec, profile)
    if wrong:
        messages += document.refuse(wrong).messages
    if messages or spec is None or profile is None or found_rig is None:
        raise BadInput(*messages)
    return Asked(
        plan=document,
        spec=spec,
        rig=found_rig,
        profile=profile.at_rate(spec.sample_rate_hz),
        found=found,
    )


def _noted(messages: list[str], look: Callable[[], Thing]) -> Thing | None:
    """What ``look`` gives; None if it refuses, its messages kept, so that more is looked at."""
    try:
        return look()
    except BadInput as error:
        messages += error.messages
        return None


def rig_document(plan: presets.Found, rig: str | None, folder: Path) -> Document:
    """The rig that is asked for, or else the plan's. Raises BadInput where there is none."""
    if rig is not None:
        return presets.find("rig", rig, folder).document
    named = plan.document.data.get("rig", "simulated")
    name = named if isinstance(named, str) else "simulated"
    return presets.find("rig", name, plan.folder).document


def _songs(spec: PlanSpec, folder: Path, needed: bool) -> tuple[Found, list[Fault]]:
    """The songs that the plan names, and what is wrong with how it names them."""
    try:
        found = find(spec.songs.paths, spec.songs.exclude, folder)
    except (OSError, RuntimeError) as error:  # no right to look, a name too long, no such user
        return Found((), (), ()), [Fault(("songs", "paths"), f"cannot be looked for: {error}")]
    unmatched = list(found.unmatched) if needed else []
    return found, unmatched + song_faults(spec, len(found.sources))


def _impossible(document: Document, spec: PlanSpec | None, profile: RigProfile) -> list[Fault]:
    """What the plan asks of the rig that it cannot do; of a faulty plan, of its sound sections."""
    sound = spec or document.salvage(PlanSpec, STAND_IN)
    if sound is None:
        return []
    found = faults(sound, profile.control_values)
    if found or spec is None:
        return found
    chosen = choose(spec, profile.control_values)
    return [] if isinstance(chosen, Chosen) else chosen


def read_profile(document: Document) -> RigProfile:
    """The rig profile in a document. Raises BadInput with every fault."""
    profile = document.check(RigProfile)
    try:
        profile.check()
    except DocumentFaults as error:
        raise document.refuse(error.faults) from None
    return profile


def survey_songs(asked: Asked, bad: Callable[[str], None]) -> list[PlannedSong]:
    """The songs as their headers describe them: enough to count, not to identify.

    ``bad`` is told of each that cannot be used. Raises BadInput if too few are left for the plan.
    """
    songs: list[PlannedSong] = []
    for source in asked.found.sources:
        try:
            frames = survey(source, asked.spec.sample_rate_hz)
        except UnusableSong as error:
            bad(str(error))
        else:
            songs.append(PlannedSong(source.where, source.where, frames))
    if wrong := song_faults(asked.spec, len(songs)):
        raise asked.plan.refuse(wrong)
    return songs
