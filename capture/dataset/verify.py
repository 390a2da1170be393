"""Reads again everything that the ledger claims, and names whatever is not so.

Five kinds of damage: ``missing`` (claimed, not there), ``truncated`` (shorter than committed),
``altered`` (another hash), ``extra`` (there, not claimed), ``disagrees`` (a row and its file's
header, or a manifest and the ledger, say different things).

While a run is going on, and after one that was killed, there may be audio files without a row,
and manifests that lack the last takes. The next run deals with both, so that is no damage: it is
noted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from capture.dataset import files, manifest
from capture.dataset.audio import header
from capture.dataset.folder import Folder
from capture.model import Control, SongRecord
from capture.records import TakeRecord
from capture.run.ledger import Ledger

Kind = Literal["missing", "truncated", "altered", "extra", "disagrees"]


@dataclass(frozen=True, slots=True)
class Damage:
    kind: Kind
    file: str
    message: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What the ledger says of one file; None where it says nothing."""

    file: str
    sha256: str
    bytes: int | None = None
    frames: int | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None


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


def names_of(ledger: Ledger) -> Iterator[str]:
    """The name of every audio file that the ledger claims: fast, however many takes there are."""
    yield from (claim.file for claim in _claims_but_takes(ledger))
    yield from (name for name, _ in ledger.take_files())


def claims_of(ledger: Ledger) -> Iterator[Claim]:
    """Every audio file that the ledger claims."""
    yield from _claims_but_takes(ledger)
    for take in ledger.takes():
        yield from take_claims(take)


def _claims_but_takes(ledger: Ledger) -> Iterator[Claim]:
    for song in ledger.songs():
        yield song_claim(song)
    for calibration in ledger.calibrations():
        yield from _calibration_claims(calibration.calibration_id, calibration.files)
    for law in ledger.laws():
        yield from _calibration_claims(law.law_id, law.files)
    for enrolment in ledger.enrolments():
        yield from _calibration_claims(enrolment.enrolment_id, enrolment.files)
    for found in ledger.fingerprints():
        yield Claim(found.file, found.sha256, found.bytes)


def song_claim(song: SongRecord) -> Claim:
    return Claim(
        song.input_file, song.input_sha256, song.input_bytes, song.num_frames,
        song.sample_rate_hz, 2,
    )  # fmt: skip


def take_claims(take: TakeRecord) -> Iterator[Claim]:
    frames = take.num_frames
    rate = take.sample_rate_hz
    yield Claim(take.output_file, take.output_sha256, take.output_bytes, frames, rate, 2)
    yield Claim(take.cv_file, take.cv_sha256, take.cv_bytes, frames, rate, 1)
    if take.markers_file and take.markers_sha256:
        yield Claim(take.markers_file, take.markers_sha256, take.markers_bytes)


def _calibration_claims(name: str, files_of_it: Mapping[str, str]) -> Iterator[Claim]:
    for file, sha256 in files_of_it.items():
        yield Claim(f"calibration/{name}/{file}", sha256)


def verify(
    folder: Folder,
    ledger: Ledger,
    controls: Sequence[Control],
    progress: Callable[[str], None],
) -> Report:
    """Checks every file, every row and every manifest. ``progress`` is called with each file."""
    damage: list[Damage] = []
    count = size = 0
    seen: set[str] = set()
    for claim in claims_of(ledger):
        progress(claim.file)
        if claim.file in seen:
            damage.append(Damage("disagrees", claim.file, "is claimed by two rows"))
        seen.add(claim.file)
        found = check(folder.root, claim)
        if found:
            damage.append(found)
        if found is None:
            count += 1
            size += (folder.root / claim.file).stat().st_size
    damage += _documents(folder, ledger)
    pending = [
        *(
            Damage("extra", name, "no row of the ledger claims it")
            for name in folder.audio_files()
            if name not in seen
        ),
        *_manifests(folder, ledger, controls),
    ]
    sessions = ledger.sessions()
    notes: list[str] = []
    if not sessions or sessions[-1].outcome is None:
        notes = [
            f"{item.file}: {item.message} (a run is going on, or was cut off)" for item in pending
        ]
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


def check(root: Path, claim: Claim) -> Damage | None:
    path = root / claim.file
    if ".." in Path(claim.file).parts or Path(claim.file).is_absolute():
        return Damage("disagrees", claim.file, "the row's path leads out of the dataset")
    if not path.is_file():
        return Damage("missing", claim.file, "is claimed by the ledger and not there")
    try:
        size = path.stat().st_size
        if claim.bytes is not None and size < claim.bytes:
            message = f"has {size} bytes; {claim.bytes} were committed"
            return Damage("truncated", claim.file, message)
        if files.sha256(path) != claim.sha256:
            return Damage("altered", claim.file, "its SHA-256 is not the one committed")
        return _check_header(path, claim) if path.suffix == ".flac" else None
    except OSError as error:
        return Damage("altered", claim.file, f"cannot be read: {error.strerror}")


def _check_header(path: Path, claim: Claim) -> Damage | None:
    import soundfile

    try:
        found = header(path)
    except soundfile.SoundFileError as error:
        return Damage("disagrees", claim.file, f"is no sound file: {error}")
    pairs = (
        ("frames", claim.frames, found.frames),
        ("sample_rate_hz", claim.sample_rate_hz, found.sample_rate_hz),
        ("channels", claim.channels, found.channels),
        ("encoding", "FLAC/PCM_24", found.encoding),
    )
    wrong = [f"{n}: row {c}, file {f}" for n, c, f in pairs if c is not None and c != f]
    return Damage("disagrees", claim.file, "; ".join(wrong)) if wrong else None


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


def _manifests(folder: Folder, ledger: Ledger, controls: Sequence[Control]) -> Iterator[Damage]:
    """The tables on the disk against those that the ledger gives."""
    expected = manifest.of_ledger(ledger, controls)
    for name, (columns, rows) in expected.items():
        for end, same in (("parquet", manifest.same_parquet), ("csv", manifest.same_csv)):
            path = folder.root / "manifest" / f"{name}.{end}"
            relative = folder.relative(path)
            if not path.is_file():
                yield Damage(
                    "missing", relative, "the manifest is not there; run again to write it"
                )
            elif not same(path, columns, rows):
                message = "does not say what the ledger says; run again to write it anew"
                yield Damage("disagrees", relative, message)
