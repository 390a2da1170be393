"""Begins or resumes a session: is this folder this plan's dataset, and what is left to do?

1. A dataset without takes follows its plan: a changed plan or rig begins it anew.
2. A dataset with takes accepts a plan that adds to it and nothing else (``changes``).
3. Audio files that no row claims are moved to ``lost+found/``: leftovers of a take that was not
   committed, or a stranger's.
4. The songs that are new are made. Those of a dataset without takes enter the ledger one by one,
   so that an interruption costs one song; those that a grown plan adds, when all is agreed.
5. The plan is expanded with the songs in the order in which the dataset got them, and frozen.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import capture
from capture.dataset import files
from capture.dataset.claims import names_of
from capture.dataset.folder import LOST, Folder
from capture.documents import Document
from capture.errors import BadInput, DocumentFaults
from capture.hardware.ports import Operator, Rig
from capture.model import SongRecord, canonical
from capture.plan.expand import Expansion, PlannedSong, expand
from capture.plan.spec import PlanSpec
from capture.plan.summary import Timing, summarize
from capture.records import AnchorRecord, SessionRecord, utc_now
from capture.run import begun, changes, cv_law, events, levels
from capture.run.asked import Asked
from capture.run.flights import Task
from capture.run.ledger import Ledger
from capture.run.redo import Redo
from capture.run.references import look_again
from capture.run.work import Job
from capture.signal import delay, marker
from capture.signal.fingerprint import probe as fingerprint
from capture.songs.ingest import Prepared, prepare

NOTHING = Redo()


def begin(
    asked: Asked,
    folder: Folder,
    ledger: Ledger,
    open_rig: Callable[[], Rig],
    observe: events.Observer,
    stop: Callable[[], None],
    redo: Redo = NOTHING,
    operator: Operator | None = None,
) -> tuple[Job, list[str]]:
    """The job that is left, and a sentence for each song that cannot be used.

    Raises:
        BadInput: the dataset was begun with something else, a song would clip, none is usable.
        DamagedData, StorageRefused, Interrupted.
    """
    take_files = ledger.take_files()  # once: of 60,000 takes it takes a second
    frozen = settle_in(asked, folder, ledger, observe, take_files)
    redo.carry_out(asked, folder, ledger, observe, stop, take_files)
    reference = asked.spec.reference
    limit_db = reference.drift_limit_db if reference else None
    look_again(folder, ledger, limit_db, observe)
    for message in levels.disagreements(asked.profile, ledger.anchors()):
        observe(events.Note(message))
    added: list[SongRecord] = []
    prepared = prepare(
        asked.found.sources,
        asked.spec.recipe,
        folder.root,
        {song.source: song for song in ledger.songs()},
        progress=lambda source, step: observe(events.SongStep(source.where, step)),
        stop=stop,
        done=ledger.add_song if frozen is None else added.append,
    )
    unusable = [f"{source.where}: {reason}" for source, reason in prepared.unusable]
    for message in unusable:
        observe(events.Note(f"left out: {message}"))
    _refuse_changed(prepared)
    songs = _in_order(prepared, [*ledger.songs(), *added])
    expansion = _expand(asked, songs, ledger)
    if frozen is not None:
        old = expand(frozen, asked.controls, _planned_before(ledger), ledger.splits())
        _refuse(folder, changes.of_takes(old, expansion))
        for song in added:
            ledger.add_song(song)
        _freeze(asked, folder, ledger)
    ledger.set_splits(dict(expansion.splits))
    ledger.set_fact("songs", canonical([song.song_id for song in songs]))
    ledger.set_fact("totals", canonical(_totals(asked, expansion)))
    task = Task(
        folder=folder,
        expansion=expansion.revised(ledger.revisions()),
        songs={song.song_id: song for song in songs},
        profile=asked.profile,
        limits=asked.spec.checks,
        observe=observe,
        stop=stop,
    )
    return Job(task, ledger, _session(asked), limit_db, open_rig, operator), unusable


def settle_in(
    asked: Asked,
    folder: Folder,
    ledger: Ledger,
    observe: events.Observer,
    take_files: Iterable[str] | None = None,
) -> PlanSpec | None:
    """Makes the folder this plan's dataset. The plan of its takes; None if there are none yet.

    ``take_files``: the ledger's, where they have been read already.
    Raises BadInput where the dataset was begun with something else, DamagedData, StorageRefused.
    """
    frozen = _frozen(asked, ledger)
    for name in folder.sweep(names_of(ledger, take_files)):
        observe(events.Note(f"{name}: no take claims it; moved to {LOST}/"))
    if frozen is None:
        _freeze(asked, folder, ledger)
    ledger.add_anchors(levels.new_of_profile(asked.profile, ledger.anchors()))
    return frozen


def begins_anew(asked: Asked, ledger: Ledger) -> bool:
    """Whether the dataset has no take, and plan or rig are not those that it was begun with."""
    if ledger.take_ids():
        return False
    return (asked.plan.text, asked.rig.text) != tuple(map(ledger.current, ("plan", "rig")))


def same_rig(asked: Asked, ledger: Ledger) -> bool:
    """Whether the rig is what it was, so that what was measured of it still holds."""
    if ledger.current("rig") is None:
        return False
    try:
        return not changes.of_rig(begun.rig(ledger), asked.profile)
    except BadInput:  # written for another version of this program
        return False


def _measured_on(asked: Asked, ledger: Ledger) -> list[AnchorRecord]:
    """The anchors that somebody measured on the interface that the rig profile still names."""
    if ledger.current("rig") is None:
        return []
    try:
        old, new = begun.rig(ledger).audio, asked.profile.audio
    except BadInput:  # written for another version of this program
        return []
    if (old.device, old.outputs, old.inputs) != (new.device, new.outputs, new.inputs):
        return []
    return [anchor for anchor in ledger.anchors() if anchor.measured]


def _frozen(asked: Asked, ledger: Ledger) -> PlanSpec | None:
    """The plan that the takes were recorded by; None if there are no takes yet."""
    if begins_anew(asked, ledger):
        ledger.restart(_measured_on(asked, ledger), measured=not same_rig(asked, ledger))
    if not ledger.take_ids():
        return None
    plan, rig = begun.plan_and_rig(ledger)
    refused = changes.of_plan(plan, asked.spec) + changes.of_rig(rig, asked.profile)
    _refuse(Folder(ledger.path.parent), refused)
    return plan


def _refuse(folder: Folder, refused: list[str]) -> None:
    if refused:
        raise BadInput(
            f"{folder.root}: was begun with something else, and takes can only be added to it:",
            *refused,
            "Put it back as it was, or begin another dataset with --out.",
        )


def _refuse_changed(prepared: Prepared) -> None:
    if prepared.changed:
        raise BadInput(
            *(
                f"song {source.where}: the file is not the one that the dataset was begun with "
                f"(SHA-256 {record.source_sha256[:12]}...); put that file back, or give the new "
                "one another name"
                for source, record in prepared.changed
            )
        )


def _in_order(prepared: Prepared, known: list[SongRecord]) -> list[SongRecord]:
    """In the order in which the dataset got them; within one preparation, as listed."""
    usable = {song.song_id for song in prepared.songs}
    songs = [song for song in known if song.song_id in usable]
    if not songs:
        messages = [f"{source.where}: {reason}" for source, reason in prepared.unusable]
        raise BadInput("no song can be used:", *messages)
    return songs


def _expand(asked: Asked, songs: list[SongRecord], ledger: Ledger) -> Expansion:
    try:
        return expand(asked.spec, asked.controls, list(map(_planned, songs)), ledger.splits())
    except DocumentFaults as error:
        raise asked.plan.refuse(error.faults) from None


def _planned(song: SongRecord) -> PlannedSong:
    return PlannedSong(song.song_id, song.source_sha256, song.num_frames)


def _planned_before(ledger: Ledger) -> list[PlannedSong]:
    import json

    before = set(json.loads(ledger.fact("songs") or "[]"))
    return [_planned(song) for song in ledger.songs() if song.song_id in before]


def _freeze(asked: Asked, folder: Folder, ledger: Ledger) -> None:
    """Makes this plan and this rig the dataset's; writes plan.yaml, rig.yaml, dataset.json."""
    hashes: dict[str, str] = {}
    documents: dict[str, Document] = {"plan": asked.plan, "rig": asked.rig}
    for kind, document in documents.items():
        data = document.text.encode()
        hashes[kind] = hashlib.sha256(data).hexdigest()
        ledger.add_document(hashes[kind], kind, document.text)
        ledger.set_fact(f"{kind}_sha256", hashes[kind])
        path = folder.root / f"{kind}.yaml"
        if not path.is_file() or path.read_bytes() != data:
            files.write_text(path, document.text)
    folder.write_identity(asked.spec.name, hashes["plan"], hashes["rig"], capture.__version__)


def _totals(asked: Asked, expansion: Expansion) -> dict[str, float]:
    """What ``capture status`` needs to say how long the rest takes."""
    found = summarize(expansion, timing(asked))
    return {"takes": found.takes, "audio_s": found.audio_s, "wall_s": found.wall_s}


def timing(asked: Asked) -> Timing:
    """What the rig costs besides audio."""
    settle, rate = asked.profile.settle, asked.profile.audio.sample_rate_hz
    facts, probe_s, law_s = asked.profile.calibration, 0.0, 0.0
    if facts is not None:
        law_s = asked.profile.settle_s(facts.setting) + cv_law.length_s(rate)
        probe_s = fingerprint.probe(rate).frames / rate if facts.fingerprint else 0.0
    return Timing(
        open_s=settle.after_open_s + settle.warm_up_s + len(delay.probe(rate)) / rate,
        between_takes_s=settle.between_takes_s,
        around_take_s=2 * (len(marker.marker(rate)) + marker.gap_frames(rate)) / rate,
        simulated=asked.profile.simulated,
        probe_s=probe_s,
        law_s=law_s,
        valid_takes=facts.valid_takes if facts else 1,
    )


def _session(asked: Asked) -> SessionRecord:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return SessionRecord(
        session_id=f"{stamp}-{uuid.uuid4().hex[:6]}",
        started_at=utc_now(),
        ended_at=None,
        outcome=None,
        fault=None,
        plan_sha256=hashlib.sha256(asked.plan.text.encode()).hexdigest(),
        rig_sha256=hashlib.sha256(asked.rig.text.encode()).hexdigest(),
        capture_version=capture.__version__,
    )
