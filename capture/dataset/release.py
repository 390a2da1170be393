"""Freezes what is captured as a numbered version.

1. What a killed run left is dealt with as the next run would. Then everything is read again:
   nothing is released while anything is damaged.
2. The tables, as they will be, are compared with the last release's: that gives the one number
   that the new release may have.
3. ``releases/.X.Y.Z.part/`` is filled, flushed, and renamed to ``releases/X.Y.Z/``.
4. The ledger gets the release and, for each new take, ``added_in``: **the commit point**. A folder
   without its row is swept by the next release.
5. What is made from the ledger is written anew (``derived``): manifests, for they say
   ``added_in``, and the files that other programs load the folder by (``standards``).

No audio file is touched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import capture
from capture.dataset import (
    changelog,
    claims,
    derived,
    files,
    manifest,
    snapshot,
    standards,
    tables,
)
from capture.dataset import verify as verifier
from capture.dataset.arrow import pyarrow
from capture.dataset.diff import Diff, diff
from capture.dataset.folder import Folder
from capture.dataset.snapshot import FACTS, RELEASES, SUMS, Snapshot
from capture.dataset.version import Version
from capture.errors import BadInput, DamagedData
from capture.model import Control
from capture.records import ReleaseRecord, utc_now
from capture.run.ledger import Ledger

SHOWN = 10
CHANGELOG = "CHANGELOG.md"


@dataclass(frozen=True, slots=True)
class Missing:
    """What the plan still lacks: how many takes, and how many for each reason."""

    takes: int
    by_reason: dict[str, int]


@dataclass(frozen=True, slots=True)
class Released:
    """``changes`` since ``previous``; both None for the first release.

    ``not_stated``: what a stranger would want to know and the plan's ``about`` does not say.
    """

    snapshot: Snapshot
    previous: Version | None
    changes: Diff | None
    facts: dict[str, Any]
    not_stated: Sequence[str]


def release(
    folder: Folder,
    ledger: Ledger,
    controls: Sequence[Control],
    number: str,
    missing: Missing,
    progress: Callable[[str], None],
) -> Released:
    """Makes the release ``number``. The caller holds the folder.

    Raises:
        BadInput: no such number; not the one that must follow; nothing is captured.
        DamagedData: something is damaged. StorageRefused.
    """
    version = _wanted(folder, ledger, number)
    _require_sound(folder, ledger, controls, progress)
    before = _last(folder, ledger)
    final = folder.root / RELEASES / str(version)
    part = files.part_of(final)
    try:
        _write_tables(part, ledger, controls, version)
        changes = diff(before, Snapshot(folder.root, version, {}, part)) if before else None
        if before and before.version and changes:
            _require_next(version, before.version, changes)
        audio = {claim.file: claim.sha256 for claim in _claims(ledger)}
        facts = _facts(folder, ledger, part, version, before, missing, audio)
        _write_texts(folder, ledger, part, final, facts, before, changes)
        files.write_text(part / SUMS, "".join(_sums(folder, part, final, audio)))
        sums_sha256 = files.sha256(part / SUMS)
        files.commit({part: final})
    finally:
        files.remove_tree(part)
    ledger.add_release(
        ReleaseRecord(
            version=str(version),
            released_at=facts["released_at"],
            sha256=sums_sha256,
            takes=facts["takes"],
            capture_version=capture.__version__,
        )
    )
    derived.write(folder, ledger, controls)
    found = snapshot.snapshot(folder.root, str(version))
    not_stated = standards.faults(found)
    return Released(found, before.version if before else None, changes, facts, not_stated)


def _wanted(folder: Folder, ledger: Ledger, number: str) -> Version:
    version = Version.of(number)
    if version is None:
        raise BadInput(f"release {number}: is no version; write three numbers, such as 1.0.0")
    if number in {one.version for one in ledger.releases()}:
        raise BadInput(
            f"release {number}: is there already, and a release never changes; see "
            f"{folder.root / RELEASES / number / FACTS}"
        )
    if "captured" not in ledger.count():
        raise BadInput(f"{folder.root}: nothing is captured yet, so there is nothing to release")
    return version


def _require_sound(
    folder: Folder, ledger: Ledger, controls: Sequence[Control], progress: Callable[[str], None]
) -> None:
    if verifier.unfinished(folder, ledger):
        folder.upgrade()
        folder.sweep(claims.names_of(ledger))
        derived.write(folder, ledger, controls)
    known = {release.version for release in ledger.releases()}
    made = folder.root / RELEASES
    for stray in sorted(made.iterdir()) if made.is_dir() else ():
        if stray.name not in known:  # a crash before the commit point
            folder.lose([folder.relative(stray)])
    damage = verifier.verify(folder, ledger, controls, progress).damage
    if damage:
        more = [f"and {len(damage) - SHOWN} more"] if len(damage) > SHOWN else []
        raise DamagedData(
            *(f"{one.kind}: {one.file}: {one.message}" for one in damage[:SHOWN]),
            *more,
            "nothing is released while anything is damaged; put the files back, or: "
            "capture run PLAN --repair",
        )


def _last(folder: Folder, ledger: Ledger) -> Snapshot | None:
    """The release with the highest number."""
    numbers = [Version.of(release.version) for release in ledger.releases()]
    known = [number for number in numbers if number]
    return snapshot.snapshot(folder.root, str(max(known))) if known else None


def _require_next(version: Version, before: Version, changes: Diff) -> None:
    right = before.after(changes.bump)
    if version != right:
        raise BadInput(
            f"release {version}: after {before} it must be {right}, for since then "
            f"{changelog.summary(changes)}"
        )


def _write_tables(
    part: Path, ledger: Ledger, controls: Sequence[Control], version: Version
) -> None:
    for name, (columns, rows) in manifest.of_ledger(ledger, controls, str(version)).items():
        tables.write(part, name, columns, rows)


def _write_texts(
    folder: Folder,
    ledger: Ledger,
    part: Path,
    final: Path,
    facts: dict[str, Any],
    before: Snapshot | None,
    changes: Diff | None,
) -> None:
    files.write_text(part / FACTS, json.dumps(facts, indent=2, allow_nan=False) + "\n")
    for kind in ("plan", "rig"):
        files.write_text(part / f"{kind}.yaml", ledger.current(kind) or "")
    earlier = (before.folder / CHANGELOG).read_text("utf-8") if before else ""
    files.write_text(part / CHANGELOG, changelog.text(facts, changes) + earlier)


def _facts(
    folder: Folder,
    ledger: Ledger,
    part: Path,
    version: Version,
    before: Snapshot | None,
    missing: Missing,
    audio: Iterable[str],
) -> dict[str, Any]:
    """The content of release.json."""
    compute = pyarrow().compute
    takes = pyarrow().parquet.read_table(
        part / "takes.parquet", columns=["song_id", "setting_id", "num_frames", "sample_rate_hz"]
    )
    identity = folder.identity()
    seconds = compute.divide(takes["num_frames"].cast("double"), takes["sample_rate_hz"])
    return {
        "version": str(version),
        "previous": str(before.version) if before else None,
        "released_at": utc_now(),
        "capture_version": capture.__version__,
        "schema_version": identity["schema_version"],
        "dataset_id": identity["dataset_id"],
        "name": identity["name"],
        "takes": takes.num_rows,
        "songs": len(takes["song_id"].unique()),
        "settings": len(takes["setting_id"].unique()),
        "audio_s": compute.sum(seconds).as_py(),
        "bytes": sum((folder.root / file).stat().st_size for file in audio),
        "missing": {"takes": missing.takes, "by_reason": missing.by_reason},
        "plan_sha256": ledger.fact("plan_sha256"),
        "rig_sha256": ledger.fact("rig_sha256"),
    }


def _claims(ledger: Ledger) -> Iterator[claims.Claim]:
    """Every audio file that the release stands on: of its takes, and what they were measured by."""
    played: set[str] = set()
    for take in ledger.takes():
        if take.status == "captured":
            played.add(take.song_id)
            yield from claims.take_claims(take)
    for song in ledger.songs():
        if song.song_id in played:
            yield claims.song_claim(song)
    yield from claims.measurement_claims(ledger)


def _sums(folder: Folder, part: Path, final: Path, audio: Mapping[str, str]) -> Iterator[str]:
    """The lines of SHA256SUMS, for ``sha256sum -c`` in the dataset's folder."""
    lines = dict(audio)
    for path in part.iterdir():
        lines[folder.relative(final / path.name)] = files.sha256(path)
    yield from (f"{lines[name]}  {name}\n" for name in sorted(lines))
