"""Every file that the ledger claims, and whether it is there as it was committed."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from capture.dataset import files
from capture.dataset.audio import header
from capture.errors import DamagedData
from capture.model import SongRecord
from capture.records import TakeRecord
from capture.run.ledger import Ledger

AT_ONCE, JOB = 1024, 16
"""Claims that are given out at once, and to a thread."""

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


def names_of(ledger: Ledger, take_files: Iterable[str] | None = None) -> Iterator[str]:
    """The name of every audio file that the ledger claims.

    ``take_files``: the takes', where they have been read already.
    """
    yield from (claim.file for claim in _claims_but_takes(ledger))
    yield from ledger.take_files() if take_files is None else take_files


def claims_of(ledger: Ledger) -> Iterator[Claim]:
    """Every audio file that the ledger claims."""
    yield from _claims_but_takes(ledger)
    for take in ledger.takes():
        yield from take_claims(take)


def _claims_but_takes(ledger: Ledger) -> Iterator[Claim]:
    for song in ledger.songs():
        yield song_claim(song)
    yield from measurement_claims(ledger)
    for old in ledger.superseded():
        if not old.damaged:
            yield from take_claims(old.take)


def measurement_claims(ledger: Ledger) -> Iterator[Claim]:
    """What was measured of the rig: the audio of calibrations, laws, enrolments, fingerprints."""
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


def bytes_of(root: Path, claim: Claim) -> int:
    """The size of a file that is as it is claimed."""
    return (root / claim.file).stat().st_size if claim.bytes is None else claim.bytes


def check_all(root: Path, claims: Iterable[Claim]) -> Iterator[tuple[Claim, Damage | None]]:
    """Each claim, in order, with what is wrong with its file.

    As many threads as there are cores read: who reads or hashes lets go of Python's lock.
    """
    checker, left = _Checker(root), iter(claims)
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        while some := list(itertools.islice(left, AT_ONCE)):
            jobs = [some[at : at + JOB] for at in range(0, len(some), JOB)]
            found = itertools.chain.from_iterable(pool.map(checker.check_each, jobs))
            yield from zip(some, found, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C waits for the files at hand, not for all


def check(root: Path, claim: Claim) -> Damage | None:
    """What is wrong with the file of a claim."""
    return _Checker(root).check(claim)


class _Checker:
    """Looks at a folder once: whether it, or one that it is in, is a link."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._links: dict[str, Path | None] = {}

    def check_each(self, claims: Sequence[Claim]) -> list[Damage | None]:
        return [self.check(claim) for claim in claims]

    def check(self, claim: Claim) -> Damage | None:
        folder, _, _ = claim.file.rpartition("/")
        path = self._root / claim.file
        if ".." in path.parts[len(self._root.parts) :] or Path(claim.file).is_absolute():
            return Damage("disagrees", claim.file, "the row's path leads out of the dataset")
        if folder not in self._links:
            self._links[folder] = _link(self._root, path.parent)
        if link := self._links[folder]:
            return Damage("altered", claim.file, f"{link.relative_to(self._root)} is a link")
        try:
            return _check_file(path, claim)
        except OSError as error:
            return Damage("altered", claim.file, f"cannot be read: {error.strerror}")


def _check_file(path: Path, claim: Claim) -> Damage | None:
    """Raises OSError."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Damage("missing", claim.file, "is claimed by the ledger and not there")
    if stat.S_ISLNK(status.st_mode):
        return Damage("altered", claim.file, "the file is a link")
    if not stat.S_ISREG(status.st_mode):
        return Damage("missing", claim.file, "is claimed by the ledger and no file")
    if claim.bytes is not None and status.st_size < claim.bytes:
        message = f"has {status.st_size} bytes; {claim.bytes} were committed"
        return Damage("truncated", claim.file, message)
    if files.sha256(path) != claim.sha256:
        return Damage("altered", claim.file, "its SHA-256 is not the one committed")
    return _check_header(path, claim) if claim.file.endswith(".flac") else None


def _check_header(path: Path, claim: Claim) -> Damage | None:
    try:
        found = header(path)
    except DamagedData as error:
        return Damage("disagrees", claim.file, f"is no FLAC file: {error}")
    pairs = (
        ("frames", claim.frames, found.frames),
        ("sample_rate_hz", claim.sample_rate_hz, found.sample_rate_hz),
        ("channels", claim.channels, found.channels),
        ("bits", 24, found.bits),
    )
    wrong = [f"{n}: row {c}, file {f}" for n, c, f in pairs if c is not None and c != f]
    return Damage("disagrees", claim.file, "; ".join(wrong)) if wrong else None


def _link(root: Path, folder: Path) -> Path | None:
    """The link among a folder and those that it is in, within the dataset."""
    inside = itertools.takewhile(lambda one: one != root, (folder, *folder.parents))
    return next((one for one in inside if one.is_symlink()), None)
