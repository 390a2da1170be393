"""The dataset folder: where everything lies, who it is, and who may write it."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from capture.dataset import files
from capture.errors import BadInput, DamagedData, DatasetBusy
from capture.model import Take

SCHEMA_VERSION = 2
"""2: the dataset may have releases. A folder of version 1 becomes one by its new number alone: what
its tables lack, the manifests that are written anew have."""
LOCK = ".lock"
IDENTITY = "dataset.json"
LOST = "lost+found"


@dataclass(frozen=True, slots=True)
class Folder:
    """Names inside one dataset folder. Paths that are stored are relative and POSIX."""

    root: Path

    @property
    def exists(self) -> bool:
        return (self.root / IDENTITY).is_file()

    def take_files(self, take: Take, *, rejected: bool = False) -> tuple[Path, Path, Path]:
        """The files of a take: output, CV, and what came back of the markers around it."""
        base, evidence = (
            ("evidence/rejected", "evidence/rejected")
            if rejected
            else ("data/takes", "evidence/markers")
        )
        names = ((base, "out"), (base, "cv"), (evidence, "markers"))
        out, cv, markers = (
            self.root / top / take.song_id / f"{take.stem}.{kind}.flac" for top, kind in names
        )
        return out, cv, markers

    def fingerprint_file(self, setting_id: str, fingerprint_id: str) -> Path:
        """What came back of a setting's probe."""
        return self.root / "evidence" / "fingerprints" / f"{setting_id}-{fingerprint_id}.flac"

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def audio_files(self) -> Iterator[str]:
        """Every file of the recordings and measurements, relative, hidden ones included."""
        for top in ("data", "evidence", "calibration"):
            for folder, _, names in os.walk(self.root / top):
                base = Path(folder).relative_to(self.root).as_posix()
                yield from (f"{base}/{name}" for name in sorted(names))

    def identity(self) -> dict[str, Any]:
        """The content of dataset.json. Raises DamagedData."""
        path = self.root / IDENTITY
        try:
            data: object = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DamagedData(f"{path}: cannot be read: {error}") from None
        if not isinstance(data, dict):
            raise DamagedData(f"{path}: is not an object")
        identity = cast(dict[str, Any], data)
        version = identity.get("schema_version")
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise DamagedData(
                f"{path}: schema_version {version!r} is not known here (this version of capture "
                f"knows {SCHEMA_VERSION}); update capture"
            )
        return identity

    def write_identity(self, name: str, plan_sha256: str, rig_sha256: str, version: str) -> None:
        """Writes dataset.json if it would say something new."""
        kept: dict[str, Any] = self.identity() if self.exists else {}
        identity = {
            "schema_version": SCHEMA_VERSION,
            "dataset_id": kept.get("dataset_id") or str(uuid.uuid4()),
            "name": name,
            "created_at": kept.get("created_at") or datetime.now(UTC).isoformat(timespec="seconds"),
            "created_with": kept.get("created_with") or f"capture {version}",
            "plan_sha256": plan_sha256,
            "rig_sha256": rig_sha256,
        }
        if identity != kept:
            files.write_text(self.root / IDENTITY, json.dumps(identity, indent=2) + "\n")

    def upgrade(self) -> None:
        """Makes dataset.json of the present version."""
        identity = self.identity()
        if identity["schema_version"] != SCHEMA_VERSION:
            identity["schema_version"] = SCHEMA_VERSION
            files.write_text(self.root / IDENTITY, json.dumps(identity, indent=2) + "\n")

    def require(self) -> None:
        """Raises BadInput where there is no dataset, DamagedData where it is not known here."""
        if not self.exists:
            raise BadInput(f"{self.root}: is no dataset folder (it has no {IDENTITY})")
        self.identity()

    def sweep(self, claimed: Iterable[str]) -> list[str]:
        """Moves every audio file that no row claims to ``lost+found/``; returns their names."""
        known = set(claimed)
        strays = [name for name in self.audio_files() if name not in known]
        self.lose(strays)
        return strays

    def lose(self, names: Iterable[str]) -> None:
        """Moves files that are nobody's now to ``lost+found/``."""
        for name in names:
            target = self.root / LOST / name
            for number in range(1, 1_000_000):
                if not target.exists():
                    break
                target = target.with_name(f"{Path(name).name}.{number}")
            files.commit({self.root / name: target})


@contextlib.contextmanager
def hold(root: Path) -> Generator[Folder]:
    """Makes the folder if need be and holds it for one writer.

    Raises:
        DatasetBusy: another run holds it.
        BadInput: the folder has other things in it.
        StorageRefused: no room or no right to write.
    """
    from filelock import FileLock, Timeout

    with files.writing(root):
        files.make_folder(root)
        lock = FileLock(root / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise DatasetBusy(f"{root}: another run holds this dataset; wait for it") from None
    try:
        folder = Folder(root)
        strangers = {p.name for p in root.iterdir()} - {LOCK, f".{IDENTITY}{files.PART}"}
        if strangers and not folder.exists:
            raise BadInput(
                f"{root}: holds other files ({', '.join(sorted(strangers)[:3])}) and is no "
                "dataset; choose another --out"
            )
        yield folder
    finally:
        lock.release()
