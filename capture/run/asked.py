"""What the user asked for: plan, rig and songs, read and checked against each other at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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


def ask(plan: str, rig: str | None, folder: Path) -> Asked:
    """Reads a plan and its rig (``rig`` wins over the plan's). Paths are meant from ``folder``.

    Raises:
        BadInput: every fault in the plan, in the rig, and between the two. Patterns that find no
            song are not among them: see ``require_songs``.
    """
    messages: list[str] = []
    spec = profile = None
    found_plan = presets.find("plan", plan, folder)
    plan_document = found_plan.document
    try:
        spec = plan_document.check(PlanSpec)
    except BadInput as error:
        messages += error.messages
    rig_document: Document | None = None
    try:
        rig_name, rig_folder = rig, folder
        if rig_name is None:
            named = plan_document.data.get("rig", "simulated")
            rig_name = named if isinstance(named, str) else "simulated"
            rig_folder = found_plan.folder
        rig_document = presets.find("rig", rig_name, rig_folder).document
        profile = read_profile(rig_document)
    except BadInput as error:
        messages += error.messages
    wrong: list[Fault] = []
    found = Found((), (), ())
    if spec:
        try:
            found = find(spec.songs.paths, spec.songs.exclude, found_plan.folder)
        except (OSError, RuntimeError) as error:  # no right to look, a name too long, no such user
            wrong.append(Fault(("songs", "paths"), f"cannot be looked for: {error}"))
        wrong += song_faults(spec, len(found.sources))
    if spec and profile:
        impossible = faults(spec, profile.control_values)
        if not impossible:
            chosen = choose(spec, profile.control_values)
            impossible = [] if isinstance(chosen, Chosen) else chosen
        wrong += impossible
    if wrong:
        messages += plan_document.refuse(wrong).messages
    if messages or spec is None or profile is None or rig_document is None:
        raise BadInput(*messages)
    audio = profile.audio.model_copy(update={"sample_rate_hz": spec.sample_rate_hz})
    return Asked(
        plan=plan_document,
        spec=spec,
        rig=rig_document,
        profile=profile.model_copy(update={"audio": audio}),
        found=found,
    )


def read_profile(document: Document) -> RigProfile:
    """The rig profile in a document. Raises BadInput with every fault."""
    profile = document.check(RigProfile)
    try:
        profile.check()
    except DocumentFaults as error:
        raise document.refuse(error.faults) from None
    return profile


def require_songs(asked: Asked) -> None:
    """Raises BadInput for every pattern that finds no song."""
    if asked.found.unmatched:
        raise asked.plan.refuse(asked.found.unmatched)


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
