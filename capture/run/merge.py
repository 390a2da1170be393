"""Brings what several racks captured of one plan into one dataset.

1. Nothing is taken before everything agrees: the plan's recipe and limits, the rigs' facts, the
   songs byte by byte, their splits, and the racks themselves: their laws of the CV and their levels
   may differ by no more than one rack's may within a session.
2. What the other rack measured comes first, files, then rows (``Ledger.adopt``).
3. Each take that is not captured here is copied, its hashes are compared, and it is committed as a
   take is (docs/commit.md): files, folder, row. A merge that was cut off goes on when it is asked
   for again. No take is ever there twice: an id is made from content alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from capture.dataset import derived, files
from capture.dataset.claims import Claim, measurement_claims, names_of, take_claims
from capture.dataset.folder import Folder
from capture.errors import BadInput, DamagedData, NoRoom
from capture.records import LawRecord, TakeRecord
from capture.run import begun, changes, levels, outstanding
from capture.run.laws import difference_db
from capture.run.ledger import Ledger

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of one other dataset. ``known``: takes that were captured here already."""

    dataset: str
    taken: int
    known: int
    superseded: int


def merge(
    folder: Folder,
    ledger: Ledger,
    others: Sequence[tuple[Path, Ledger]],
    stop: Callable[[], None],
    progress: Callable[[str], None],
) -> list[Merged]:
    """Merges the ``others`` into the dataset that the caller holds.

    Raises:
        BadInput: something does not agree; all of it is said, and nothing was taken.
        DamagedData: a file of another dataset is not as it was committed there.
        StorageRefused, Interrupted.
    """
    refused = [
        f"{root}: {fault}" for root, other in others for fault in _differences(ledger, other)
    ]
    if refused:
        raise BadInput(*refused, f"nothing was merged into {folder.root}")
    folder.sweep(names_of(ledger))
    controls = begun.rig(ledger).control_values
    try:
        return [_merge(folder, ledger, root, other, stop, progress) for root, other in others]
    finally:  # also of what came before something stopped it
        derived.write(folder, ledger, controls)


def _differences(here: Ledger, there: Ledger) -> Iterator[str]:
    """Whatever keeps two datasets from being one."""
    (plan, rig), (plan_there, rig_there) = begun.plan_and_rig(here), begun.plan_and_rig(there)
    yield from changes.of_plan(plan, plan_there)
    yield from changes.of_rig(rig, rig_there)
    songs = {song.song_id: song for song in here.songs()}
    splits, splits_there = here.splits(), there.splits()
    for song in there.songs():
        if song.song_id not in songs:
            yield (
                f"song {song.source}: is not in this dataset; let the plan find it here too, then: "
                "capture run PLAN --limit 0"
            )
        elif songs[song.song_id].input_sha256 != song.input_sha256:
            yield f"song {song.source}: was made otherwise there: {song.input_file} differs"
        elif splits.get(song.song_id) != splits_there.get(song.song_id):
            yield (
                f"song {song.source}: is for {splits_there.get(song.song_id)} there, and for "
                f"{splits.get(song.song_id)} here"
            )
    planned = {take.take_id for take in outstanding.planned(here).revised({})}
    strange = [take for take in _captured(there) if take.take_id not in planned]
    for take in strange[:SHOWN]:
        yield f"take {take.output_file}: is not in this dataset's plan"
    if len(strange) > SHOWN:
        yield f"and {len(strange) - SHOWN} takes more that are not in this dataset's plan"
    limit_db = rig.calibration.drift_limit_db if rig.calibration else None
    yield from _racks_differ(here.laws(own=True), there.laws(own=True), limit_db)


def _racks_differ(
    here: Sequence[LawRecord], there: Sequence[LawRecord], limit_db: float | None
) -> Iterator[str]:
    """Whether two racks read a gain otherwise: by the limits of one rack within a session."""
    if bool(here) != bool(there):
        yield "the law of the CV was measured in one of the datasets only"
    if not (here and there) or limit_db is None:
        return
    drift_db = difference_db(here[-1], there[-1])
    if drift_db > limit_db:
        yield f"the laws of the CV are {drift_db:.3g} dB apart (limit {limit_db:g})"
    moved_db = levels.moved_db(here[-1], there[-1])
    if moved_db > levels.LIMIT_DB:
        yield f"the racks' levels are {moved_db:.3g} dB apart (limit {levels.LIMIT_DB:g})"


def _captured(ledger: Ledger) -> Iterator[TakeRecord]:
    return (take for take in ledger.takes() if take.status == "captured")


def _merge(
    folder: Folder,
    ledger: Ledger,
    root: Path,
    other: Ledger,
    stop: Callable[[], None],
    progress: Callable[[str], None],
) -> Merged:
    status = ledger.statuses()
    gone = {old.take.take_id for old in ledger.superseded()}
    wanted = [
        take.take_id
        for take in _captured(other)
        if status.get(take.take_id) != "captured" and take.take_id not in gone
    ]
    _require_room(folder, other, set(wanted))
    for claim in measurement_claims(other):
        stop()
        _copy(root, folder.root, [claim])
    ledger.adopt(other)
    left = set(wanted)
    superseded = known = 0
    for take in _captured(other):
        if take.take_id not in left:
            superseded += take.take_id in gone
            known += take.take_id not in gone
            continue
        stop()
        progress(take.output_file)
        claims = list(take_claims(take))
        _copy(root, folder.root, claims)
        names = _files_of_rejected(ledger, take.take_id, status) - {one.file for one in claims}
        ledger.adopt_take(take)
        folder.lose(name for name in names if (folder.root / name).is_file())
    return Merged(str(root), len(wanted), known, superseded)


def _files_of_rejected(ledger: Ledger, take_id: str, status: dict[str, str]) -> set[str]:
    """The files of a take that failed its checks here, in whose place another comes."""
    if status.get(take_id) != "rejected":
        return set()
    found = (take for take in ledger.rejected() if take.take_id == take_id)
    return {claim.file for take in found for claim in take_claims(take)}


def _require_room(folder: Folder, other: Ledger, wanted: set[str]) -> None:
    takes = (take for take in _captured(other) if take.take_id in wanted)
    needed = sum(claim.bytes or 0 for take in takes for claim in take_claims(take))
    if needed and not files.has_room(folder.root, needed):
        raise NoRoom(
            f"{folder.root}: {needed / 1e9:.3g} GB are to be copied here, and there is no room for "
            "them; make room, then run the same command again"
        )


def _copy(source: Path, target: Path, claims: Sequence[Claim]) -> None:
    """Copies files that are not here, all at once, and compares their hashes.

    Raises DamagedData, StorageRefused.
    """
    missing = [claim for claim in claims if not (target / claim.file).is_file()]
    if not missing:
        return
    with files.staged(*(target / claim.file for claim in missing)) as parts:
        for claim, part in zip(missing, parts, strict=True):
            try:
                with (source / claim.file).open("rb") as file, part.open("wb") as copy:
                    shutil.copyfileobj(file, copy, 1 << 20)
            except FileNotFoundError:
                raise DamagedData(f"{source / claim.file}: is claimed, and not there") from None
            if files.sha256(part) != claim.sha256:
                raise DamagedData(f"{source / claim.file}: is not as it was committed there")
