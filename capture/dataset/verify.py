"""Reads again everything that the ledger claims, and names whatever is not so.

Five kinds of damage: ``missing`` (claimed, not there), ``truncated`` (shorter than committed),
``altered`` (another hash), ``extra`` (there, not claimed), ``disagrees`` (a row and its file's
header, or a manifest and the ledger, say different things).

While a run is going on, and after one that was killed, there may be audio files without a row,
and manifests that lack the last takes. The next run deals with both, so that is no damage: it is
noted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from capture.dataset import files, manifest, releases, standards, tables
from capture.dataset.claims import Claim, Damage, bytes_of, check_all, claims_of
from capture.dataset.folder import SCHEMA_VERSION, Folder
from capture.dataset.snapshot import snapshot
from capture.dataset.standards import bag
from capture.errors import BadInput, DamagedData
from capture.model import Control
from capture.run.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Report:
    """``files`` are whole, holding ``bytes``; ``damage`` is empty if all is as it was committed.

    ``notes`` are sentences on what the next run will put right.
    """

    files: int
    bytes: int
    takes: int
    rejected: int
    damage: tuple[Damage, ...]
    notes: tuple[str, ...]


def verify(
    folder: Folder,
    ledger: Ledger,
    controls: Sequence[Control],
    progress: Callable[[str], None],
) -> Report:
    """Checks every file, every row and every manifest. ``progress`` is called with each file."""
    damage: list[Damage] = []
    count = size = 0
    seen: dict[str, Claim] = {}
    for claim, found in check_all(folder.root, claims_of(ledger)):
        progress(claim.file)
        if claim.file in seen:
            damage.append(Damage("disagrees", claim.file, "is claimed by two rows"))
        seen[claim.file] = claim
        if found:
            damage.append(found)
        else:
            count += 1
            size += bytes_of(folder.root, claim)
    damage += _documents(folder, ledger)
    damage += releases.verify(folder, ledger, seen)
    pending = [
        *(
            Damage("extra", name, "no row of the ledger claims it")
            for name in folder.audio_files()
            if name not in seen
        ),
        *_manifests(folder, ledger, controls),
        *_standards(folder, ledger, seen.values()),
    ]
    notes: list[str] = []
    if why := unfinished(folder, ledger):
        notes = [f"{item.file}: {item.message} ({why})" for item in pending]
    else:
        damage += pending
    by_status = ledger.count()
    return Report(
        files=count,
        bytes=size,
        takes=by_status.get("captured", (0, 0))[0],
        rejected=by_status.get("rejected", (0, 0))[0],
        damage=tuple(damage),
        notes=tuple(notes),
    )


def verify_release(
    folder: Folder, ledger: Ledger, version: str, progress: Callable[[str], None]
) -> Report:
    """Reads every file of a release, audio included, and nothing else.

    Raises BadInput where there is no such release, DamagedData where its list cannot be trusted.
    """
    damage: list[Damage] = []
    count = size = 0
    for claim, found in check_all(folder.root, releases.files_of(folder, ledger, version)):
        progress(claim.file)
        if found:
            damage.append(found)
        else:
            count += 1
            size += bytes_of(folder.root, claim)
    takes = next(one.takes for one in ledger.releases() if one.version == version)
    return Report(count, size, takes, 0, tuple(damage), ())


def unfinished(folder: Folder, ledger: Ledger) -> str | None:
    """Why manifests may lack something, and files a row; None where they may not."""
    sessions = ledger.sessions()
    if not sessions or sessions[-1].outcome is None:
        return "a run is going on, or was cut off"
    if folder.identity()["schema_version"] < SCHEMA_VERSION:
        return "written by an older version of capture; the next run brings it up to date"
    return None


def _documents(folder: Folder, ledger: Ledger) -> Iterator[Damage]:
    """plan.yaml, rig.yaml and dataset.json against the hashes in the ledger."""
    identity = folder.identity()
    for kind in ("plan", "rig"):
        name, expected = f"{kind}.yaml", ledger.fact(f"{kind}_sha256")
        path = folder.root / name
        if not path.is_file():
            yield Damage("missing", name, "the frozen document is not there")
        elif files.sha256(path) != expected:
            yield Damage("altered", name, "is not the document that the takes were recorded by")
        if identity.get(f"{kind}_sha256") != expected:
            yield Damage("disagrees", "dataset.json", f"its {kind}_sha256 is not the ledger's")


def _standards(folder: Folder, ledger: Ledger, claims: Iterable[Claim]) -> Iterator[Damage]:
    """The files that other programs load the folder by, where there is a release."""
    if ledger.releases():
        try:
            payload = bag.payload_of(folder.root, claims)
            yield from standards.damage(folder.root, snapshot(folder.root), payload)
        except (
            BadInput,
            DamagedData,
            OSError,
        ) as error:  # the release's own damage is named elsewhere
            yield Damage("disagrees", standards.card.NAME, str(error))


def _manifests(folder: Folder, ledger: Ledger, controls: Sequence[Control]) -> Iterator[Damage]:
    """The tables on the disk against those that the ledger gives."""
    root = folder.root / manifest.FOLDER
    for name, (columns, rows) in manifest.of_ledger(ledger, controls).items():
        for path in tables.differing(root, name, columns, rows):
            relative = folder.relative(path)
            if path.is_file():
                message = "does not say what the ledger says; run again to write it anew"
                yield Damage("disagrees", relative, message)
            else:
                message = "the manifest is not there; run again to write it"
                yield Damage("missing", relative, message)
