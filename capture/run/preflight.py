"""Preflight: everything that can be told to be wrong before the first take, all at once.

Nothing stops at the first fault. What cannot be looked at because something else is wrong is
``skipped``, and says why. Nothing is recorded into the dataset, and nothing is made on the disk.

1. Plan, rig, songs (as far as their headers say), the dataset that is there, room and right, what
   is known of the rig (``outlook``).
2. The drivers and the audio device, as facts.
3. With the rig opened: silence, the latency probe, the first setting. Only if 2 found no fault, and
   not while another run holds the dataset: it may be recording with this rig.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capture import presets
from capture.dataset import files
from capture.dataset.folder import LOCK, Folder, hold
from capture.errors import (
    BadInput,
    CaptureError,
    DamagedData,
    DatasetBusy,
    HardwareFault,
    StorageRefused,
)
from capture.hardware.ports import Audio, Knobs, Label, Rig
from capture.hardware.profile import RigProfile
from capture.plan.expand import Expansion, expand
from capture.plan.summary import BYTES_PER_SAMPLE, INPUT_CHANNELS, TAKE_CHANNELS, summarize
from capture.run import begun, changes, outlook, probe
from capture.run.asked import Asked, ask, read_profile, rig_document, survey_songs
from capture.run.calibrate import expected_law
from capture.run.ledger import Ledger
from capture.run.session import timing
from capture.signal import delay
from capture.signal import preflight as signal
from capture.signal.levels import FULL_SCALE
from capture.signal.preflight import Area, Finding

Note = Callable[[Finding], None]

AREAS: dict[Area, type[CaptureError]] = {
    "input": BadInput,
    "hardware": HardwareFault,
    "damage": DamagedData,
    "storage": StorageRefused,
}
"""What is to blame, the most basic first: the first that failed gives the exit code."""

SILENCE_S = 1.0
LIKELY_SHARE = 0.5
"""FLAC makes about half of the plan's figure, which is without compression; often less."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """How the drivers are reached: the command line hands in what it knows of them."""

    driver_faults: Callable[[RigProfile], list[str]]
    device_faults: Callable[[RigProfile], list[str]]
    open_rig: Callable[[RigProfile], Rig]


def check(
    plan: str, rig: str | None, out: Path | None, folder: Path, hardware: Hardware
) -> list[Finding]:
    """Everything that was looked at. Paths of plan and rig are meant from ``folder``."""
    found: list[Finding] = []
    note = found.append
    asked = _asked(plan, rig, folder, note)
    profile = asked.profile if asked else _rig_alone(plan, rig, folder)
    expansion = _expanded(asked, note) if asked else None
    root = out or (Path("datasets") / asked.spec.name if asked else None)
    busy = False
    if root is None:
        note(
            Finding(
                "dataset",
                "skipped",
                "where it is and what it needs is in the plan, which is refused",
            )
        )
    else:
        busy = _held(root, note)
        _storage(root, asked, expansion, note)
        found += outlook.findings(root, asked) if asked else []
    if profile is None:
        note(Finding("rig", "skipped", "its profile cannot be read"))
    elif _present(profile, hardware, note):
        if busy:
            note(Finding("sound", "skipped", "another run may be recording with this rig"))
        else:
            _sounding(profile, asked, expansion, hardware.open_rig, note)
    return found


def verdict(found: Iterable[Finding]) -> CaptureError | None:
    """The error that the findings come to; None if nothing failed."""
    failed = [finding for finding in found if finding.status == "fail"]
    for area, error in AREAS.items():
        if any(finding.area == area for finding in failed):
            names = ", ".join(dict.fromkeys(finding.name for finding in failed))
            return error(f"not ready: {len(failed)} failed ({names})")
    return None


def _failed(name: str, error: CaptureError) -> Finding:
    for area, kind in AREAS.items():
        if isinstance(error, kind):
            return Finding(name, "fail", "; ".join(error.messages), area)
    raise error


# What was asked for -------------------------------------------------------------------------------


def _asked(plan: str, rig: str | None, folder: Path, note: Note) -> Asked | None:
    try:
        asked = ask(plan, rig, folder)
    except BadInput as error:
        for message in error.messages:
            note(Finding("plan and rig", "fail", message, "input"))
        return None
    note(Finding("plan and rig", "ok", f"{asked.spec.name} on {asked.profile.name}"))
    return asked


def _rig_alone(plan: str, rig: str | None, folder: Path) -> RigProfile | None:
    """The rig of a plan that is refused, so that the rig is looked at nevertheless."""
    try:
        if rig is not None:
            return read_profile(presets.find("rig", rig, folder).document)
        return read_profile(rig_document(presets.find("plan", plan, folder), None, folder))
    except BadInput:
        return None  # its faults are among the plan's


def _expanded(asked: Asked, note: Note) -> Expansion | None:
    """The plan with the songs that there are; None if it cannot be carried out with them."""
    for fault in asked.found.idle:
        note(Finding("songs", "warning", fault.message))
    unmatched = asked.found.unmatched
    bad = list(asked.plan.refuse(list(unmatched)).messages) if unmatched else []
    try:
        songs = survey_songs(asked, bad.append)
        expansion = expand(asked.spec, asked.controls, songs)
    except BadInput as error:
        bad += error.messages
        songs, expansion = [], None
    for message in bad:
        note(Finding("songs", "fail", message, "input"))
    if not bad and not songs:
        note(Finding("songs", "fail", "the plan names none", "input"))
    elif not bad:
        note(Finding("songs", "ok", f"{len(songs)}, as far as their headers say"))
    return expansion


# Where it goes ------------------------------------------------------------------------------------


def _held(root: Path, note: Note) -> bool:
    """Whether another run holds the dataset. Takes the lock for a moment if there is one."""
    try:
        with files.writing(root):
            if (root / LOCK).is_file():
                with hold(root):
                    return False
            if root.is_dir() and any(root.iterdir()) and not Folder(root).exists:
                raise BadInput(f"{root}: holds other files and is no dataset; choose another --out")
    except DatasetBusy as error:
        note(Finding("dataset", "warning", " ".join(error.messages)))
        return True
    except (BadInput, StorageRefused) as error:
        note(_failed("dataset", error))
    return False


def _storage(root: Path, asked: Asked | None, expansion: Expansion | None, note: Note) -> None:
    """The dataset that is there, the right to write, the room for what is left of the plan."""
    done_bytes = 0
    try:
        with files.writing(root):
            exists = Folder(root).exists
        if exists:
            done_bytes = _begun(root, asked, note)
    except (BadInput, DamagedData, StorageRefused) as error:
        note(_failed("dataset", error))
    try:
        with files.writing(root):
            nearest = next(path for path in (root, *root.absolute().parents) if path.exists())
            with tempfile.TemporaryFile(dir=nearest):
                free_bytes = shutil.disk_usage(nearest).free
    except StorageRefused as error:
        note(_failed("right to write", error))
        return
    note(Finding("right to write", "ok", f"in {nearest}"))
    if asked is None or expansion is None:
        note(Finding("room", "skipped", "what the plan comes to is not known"))
    else:
        most = summarize(expansion, timing(asked)).bytes
        note(_room(max(0, most - done_bytes), free_bytes))


def _begun(root: Path, asked: Asked | None, note: Note) -> int:
    """Whether a dataset may go on with this plan; the bytes of it that are done, uncompressed."""
    ledger = Ledger.read(root)
    try:
        counted = ledger.count()
        takes = sum(count for count, _ in counted.values())
        frames = sum(frames for _, frames in counted.values()) * TAKE_CHANNELS
        frames += sum(song.num_frames for song in ledger.songs()) * INPUT_CHANNELS
        refused = _refused(ledger, asked) if takes and asked else []
    finally:
        ledger.close()
    for message in refused:
        note(
            Finding(
                "dataset",
                "fail",
                f"{root} was begun with something else: {message}; put it "
                "back, or choose another --out",
                "input",
            )
        )
    if not refused:
        note(Finding("dataset", "ok", f"{root}: {takes} takes are done"))
    return frames * BYTES_PER_SAMPLE


def _refused(ledger: Ledger, asked: Asked) -> list[str]:
    """What was changed since the takes were recorded. Raises DamagedData."""
    plan, rig = begun.plan_and_rig(ledger)
    return changes.of_plan(plan, asked.spec) + changes.of_rig(rig, asked.profile)


def _room(needed_bytes: int, free_bytes: int) -> Finding:
    figure = f"{needed_bytes / 1e6:,.0f} MB at most to write, {free_bytes / 1e6:,.0f} MB free"
    if free_bytes < LIKELY_SHARE * needed_bytes:
        return Finding(
            "room", "fail", f"{figure}: make room, choose another --out, or plan less", "storage"
        )
    if free_bytes < needed_bytes:
        return Finding("room", "warning", f"{figure}: it may not suffice")
    return Finding("room", "ok", figure)


# The hardware -------------------------------------------------------------------------------------


def _present(profile: RigProfile, hardware: Hardware, note: Note) -> bool:
    """Whether the rig can be opened, as far as facts say."""
    faults = {
        "drivers": hardware.driver_faults(profile),
        "audio device": hardware.device_faults(profile),
    }
    for name, messages in faults.items():
        for message in messages:
            note(Finding(name, "fail", message))
        if not messages:
            note(Finding(name, "ok", profile.audio.driver))
    if any(faults.values()):
        note(Finding("sound", "skipped", "the rig cannot be opened"))
    return not any(faults.values())


def _sounding(
    profile: RigProfile,
    asked: Asked | None,
    expansion: Expansion | None,
    open_rig: Callable[[RigProfile], Rig],
    note: Note,
) -> None:
    try:
        rig = open_rig(profile)
    except (BadInput, HardwareFault) as error:
        note(_failed("rig", error))
        return
    try:
        try:
            rig.audio.settle(round(profile.settle.after_open_s * rig.audio.sample_rate_hz))
            _silence(rig.audio, profile, note)
            _probe(rig.audio, profile, asked, note)
        except HardwareFault as error:
            note(_failed("sound", error))
        _knobs(rig.knobs, profile, expansion, note)
    finally:
        rig.close()


def _silence(audio: Audio, profile: RigProfile, note: Note) -> None:
    sent = np.zeros((round(SILENCE_S * audio.sample_rate_hz), 2))
    received = _recorded(audio, sent, "silence", note)
    if len(received):
        law = expected_law(profile.cv)
        for finding in signal.at_rest(received, audio.inputs, law, profile.cv.volts_per_fs):
            note(finding)


def _probe(audio: Audio, profile: RigProfile, asked: Asked | None, note: Note) -> None:
    sent = delay.probe(audio.sample_rate_hz)
    received = _recorded(audio, sent, "probe", note)
    if len(received) != len(sent):
        note(Finding("probe", "skipped", "not all of it was recorded"))
        return
    for finding in signal.from_probe(
        sent,
        received,
        audio.inputs,
        audio.sample_rate_hz,
        expected_law(profile.cv),
        asked.spec.checks.dead_below_db if asked else signal.LEAST_GAIN_DB,
        _loudest_dbfs(asked),
    ):
        note(finding)


def _loudest_dbfs(asked: Asked | None) -> float:
    """The highest peak that is played: the plan's, where it normalises peaks, or full scale."""
    level = asked.spec.level if asked else None
    if level is None or level.normalize != "peak":
        return 0.0
    return level.target_db + level.send_gain_db


def _recorded(
    audio: Audio, sent: NDArray[np.float64], name: str, note: Note
) -> NDArray[np.float64]:
    """Plays ``sent`` (frames, 2); what came back (frames, inputs). Both in full scales."""
    played = probe.play(audio, sent, Label("check", name))
    together, said = played.received / FULL_SCALE, played.interval
    missing = len(sent) - len(together)
    note(signal.stream(f"stream in {name}", said.flags, missing, said.left_out_frames))
    return together


def _knobs(knobs: Knobs, profile: RigProfile, expansion: Expansion | None, note: Note) -> None:
    by_hand = [name for name, control in profile.controls.items() if control.driver == "manual"]
    if by_hand:
        message = f"{', '.join(by_hand)}: turned by hand, asked for when the run begins"
        note(Finding("knobs", "skipped", message))
        return
    setting = next(iter(expansion.visits), None) if expansion else None
    if setting is None:
        note(Finding("knobs", "skipped", "the plan's first setting is not known"))
        return
    try:
        proof = knobs.set(setting)
    except HardwareFault as error:
        note(_failed("knobs", error))
    else:
        note(Finding("knobs", "ok", f"{setting} ({proof.confirmed.replace('_', ' ')})"))
