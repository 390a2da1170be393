"""What a stored take stands on: all that it was judged by when it was recorded, looked up again.

Its calibration and law; the inputs and controls of its session's rig and the limits of its
session's plan, as the ledger has kept them; the unit's model as it was when the take's setting had
been proven.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from capture.dataset.folder import Folder
from capture.dataset.select import song_ids
from capture.dataset.snapshot import Snapshot, snapshot
from capture.errors import DamagedData
from capture.hardware.profile import RigProfile
from capture.model import CheckLimits, Control, SongRecord
from capture.plan.spec import PlanSpec
from capture.records import CalibrationRecord, FingerprintRecord, LawRecord, TakeRecord
from capture.run import begun
from capture.run.fingerprints import learnt
from capture.run.ledger import Ledger
from capture.signal.fingerprint.greybox import Model


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which takes. None: of all songs; whatever release they are in."""

    songs: AbstractSet[str] | None
    take_ids: AbstractSet[str] | None

    @staticmethod
    def of(root: Path, release: str | None, songs: str | None, part: str | None) -> Wanted:
        """``songs`` and ``part`` as for ``select.song_ids``. Raises BadInput, DamagedData."""
        so_far = Snapshot(root, None, Folder(root).identity(), root / "manifest")
        found = snapshot(root, release) if release else so_far
        ids = found.table("takes", ["take_id"])["take_id"].to_pylist() if release else None
        return Wanted(song_ids(found, songs, part=part), None if ids is None else frozenset(ids))

    def has(self, take: TakeRecord) -> bool:
        return (self.songs is None or take.song_id in self.songs) and (
            self.take_ids is None or take.take_id in self.take_ids
        )


@dataclass(frozen=True, slots=True)
class Stored:
    """A take, and all that it stood on. ``model`` is None where the unit was not enrolled.

    ``unread``: its files have not been held against their hashes.
    """

    root: Path
    take: TakeRecord
    song: SongRecord
    calibration: CalibrationRecord
    law: LawRecord | None
    limits: CheckLimits
    inputs: tuple[str, ...]
    controls: tuple[Control, ...]
    model: Model | None
    unread: bool


def stored_takes(
    root: Path,
    ledger: Ledger,
    wanted: Wanted,
    known: AbstractSet[str] | None,
) -> Iterator[Stored]:
    """The takes with what they stood on. Raises DamagedData where that is not known."""
    basis = _Basis(root, ledger, unread=known is None)
    for take in ledger.takes_by_visit():
        if wanted.has(take):
            stored = basis.of(take)
            names = (stored.song.input_file, take.output_file, take.cv_file, take.markers_file)
            if not known or known.isdisjoint(names):
                yield stored


class _Basis:
    """What takes stand on, looked up."""

    def __init__(self, root: Path, ledger: Ledger, *, unread: bool) -> None:
        self._root, self._ledger, self._unread = root, ledger, unread
        self._songs = {song.song_id: song for song in ledger.songs()}
        self._calibrations = {one.calibration_id: one for one in ledger.calibrations()}
        self._laws = {law.law_id: law for law in ledger.laws()}
        self._sessions = {one.session_id: one for one in ledger.sessions()}
        self._asked: dict[tuple[str, str], tuple[PlanSpec, RigProfile]] = {}
        self._models = _Models(ledger)

    def of(self, take: TakeRecord) -> Stored:
        try:
            song = self._songs[take.song_id]
            calibration = self._calibrations[take.calibration_id]
            session = self._sessions[take.session_id]
            law = self._laws[calibration.law_id] if calibration.law_id else None
        except KeyError as error:
            raise DamagedData(
                f"{self._ledger.path}: take {take.take_id} stands on {error}, which is not there"
            ) from None
        hashes = session.plan_sha256, session.rig_sha256
        if hashes not in self._asked:
            self._asked[hashes] = begun.of_session(self._ledger, session)
        plan, rig = self._asked[hashes]
        inputs = tuple(n for n, wired in rig.audio.inputs.model_dump().items() if wired is not None)
        return Stored(
            root=self._root,
            take=take,
            song=song,
            calibration=calibration,
            law=law,
            limits=plan.checks,
            inputs=inputs,
            controls=rig.control_values,
            model=self._models.after(take.fingerprint_id),
            unread=self._unread,
        )


class _Models:
    """The unit's model as it was when a visit had been judged. Visits are asked for in order."""

    def __init__(self, ledger: Ledger) -> None:
        self._enrolments = {one.enrolment_id: one for one in ledger.enrolments()}
        self._visits = ledger.fingerprints()
        self._enrolled_by = {one.fingerprint_id: one.enrolment_id for one in self._visits}
        self._walks: dict[str, Iterator[tuple[FingerprintRecord, Model]]] = {}
        self._at: dict[str, tuple[str, Model]] = {}

    def after(self, fingerprint_id: str | None) -> Model | None:
        """None where the setting was not probed, or the unit not enrolled."""
        name = self._enrolled_by.get(fingerprint_id or "")
        if fingerprint_id is None or name is None or name not in self._enrolments:
            return None
        for _ in range(2):
            at = self._at.get(name)
            if at is not None and at[0] == fingerprint_id:
                return at[1]
            for visit, model in self._walks.get(name, ()):
                self._at[name] = visit.fingerprint_id, model
                if visit.fingerprint_id == fingerprint_id:
                    return model
            self._walks[name] = learnt(self._enrolments[name], self._visits)  # from the beginning
        raise AssertionError  # the visit is one of them
