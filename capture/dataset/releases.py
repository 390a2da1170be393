"""Whether the releases are what they were when they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from capture.dataset.claims import Claim, Damage, check
from capture.dataset.folder import Folder
from capture.dataset.snapshot import RELEASES, SUMS
from capture.errors import BadInput, DamagedData
from capture.records import ReleaseRecord
from capture.run.ledger import Ledger


def verify(folder: Folder, ledger: Ledger, claimed: Mapping[str, Claim]) -> Iterator[Damage]:
    """What is wrong with the releases' own files. Their audio is the dataset's: ``claimed``."""
    known = ledger.releases()
    for release in known:
        if damage := check(folder.root, _sums_claim(release)):
            yield damage
            continue
        sums = read_sums(folder.root, release.version)
        yield from _own(folder, release.version, sums)
        for file, sha256 in sums.items():
            if file in claimed and claimed[file].sha256 != sha256:
                message = f"the ledger's hash is not that of release {release.version}"
                yield Damage("disagrees", file, message)
    places = folder.root / RELEASES
    numbers = {release.version for release in known}
    for path in sorted(places.iterdir()) if places.is_dir() else ():
        if path.name not in numbers:
            yield Damage("extra", folder.relative(path), "the ledger knows no such release")


def files_of(folder: Folder, ledger: Ledger, version: str) -> Iterator[Claim]:
    """Each file that a release lists, audio included.

    Raises BadInput where there is no such release, DamagedData where its list cannot be trusted.
    """
    found = {release.version: release for release in ledger.releases()}
    if version not in found:
        there = ", ".join(found) or "none yet (capture release)"
        raise BadInput(f"{folder.root}: has no release {version}; it has: {there}")
    if damage := check(folder.root, _sums_claim(found[version])):
        raise DamagedData(f"{damage.kind}: {damage.file}: {damage.message}")
    for file, sha256 in read_sums(folder.root, version).items():
        yield Claim(file, sha256)


def read_sums(root: Path, version: str) -> dict[str, str]:
    """The SHA-256 of each file of a release, by its name in the dataset."""
    lines = (root / RELEASES / version / SUMS).read_text("utf-8").splitlines()
    return {file: sha256 for sha256, _, file in (line.partition("  ") for line in lines)}


def _sums_claim(release: ReleaseRecord) -> Claim:
    return Claim(f"{RELEASES}/{release.version}/{SUMS}", release.sha256)


def _own(folder: Folder, version: str, sums: dict[str, str]) -> Iterator[Damage]:
    """What is wrong with the files of the release's own folder."""
    top = f"{RELEASES}/{version}/"
    for file, sha256 in sums.items():
        if file.startswith(top) and (damage := check(folder.root, Claim(file, sha256))):
            yield damage
    for path in sorted((folder.root / top).rglob("*")):
        name = folder.relative(path)
        if path.is_file() and name not in sums and name != top + SUMS:
            yield Damage("extra", name, "is not in the release's list")
