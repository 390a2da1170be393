"""One version of a dataset as tables: what the loader, exports and comparisons read.

A version is a release, or what is captured so far (``manifest/``). No ledger is needed, so this
works on a copy that a stranger was given. Tables are read column by column: a dataset of a full
session has millions of cells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capture.dataset.arrow import pyarrow
from capture.dataset.folder import Folder
from capture.dataset.version import Version
from capture.errors import BadInput, DamagedData

Row = dict[str, Any]
ROWS = 4096
RELEASES = "releases"
FACTS = "release.json"
SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``version``: None for what is captured so far, in no release.

    Takes that were recorded again are in no release; in what is captured so far they are left out
    here (``superseded_by`` says so there). ``identity`` is dataset.json.
    """

    root: Path
    version: Version | None
    identity: dict[str, Any]
    folder: Path
    """Where its tables are."""

    def columns(self, name: str) -> list[str]:
        """The names of a table's columns. Raises DamagedData."""
        path = self.folder / f"{name}.parquet"
        try:
            return list(pyarrow().parquet.read_schema(path).names)
        except (OSError, ValueError) as error:
            raise DamagedData(f"{path}: cannot be read: {error}") from None

    def table(self, name: str, columns: Sequence[str] | None = None) -> Any:
        """A pyarrow.Table: ``takes``, ``songs``, ``settings`` ...; of the ``columns`` only.

        Raises DamagedData.
        """
        pa = pyarrow()
        path = self.folder / f"{name}.parquet"
        so_far = name == "takes" and self.version is None
        try:
            return pa.parquet.read_table(
                path,
                columns=None if columns is None else list(columns),
                filters=pa.compute.field("superseded_by").is_null() if so_far else None,
            )
        except (OSError, ValueError) as error:  # pyarrow's own derive from these
            raise DamagedData(f"{path}: cannot be read: {error}") from None

    def rows(self, name: str, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """The rows of ``table``, one by one."""
        for batch in self.table(name, columns).to_batches(max_chunksize=ROWS):
            yield from batch.to_pylist()

    @property
    def controls(self) -> list[str]:
        """The columns of the setting, in panel order: ``threshold_db``, ..., ``release_auto``."""
        fixed = ("setting_id", "setting_split", "takes")
        return [name for name in self.columns("settings") if name not in fixed]


def versions(root: Path) -> list[Version]:
    """The releases that the folder holds, oldest first."""
    folder = root / RELEASES
    if not folder.is_dir():
        return []
    names = (path.name for path in folder.iterdir() if (path / FACTS).is_file())
    return sorted(version for name in names if (version := Version.of(name)))


def snapshot(root: Path, version: str | None = None) -> Snapshot:
    """The release ``version``, by default the newest one; where there is none, what is captured.

    Raises:
        BadInput: no dataset, or no such release: the message lists those that there are.
        DamagedData: dataset.json cannot be read.
    """
    folder = Folder(root)
    folder.require()
    known = versions(root)
    if version is None and not known:
        return Snapshot(root, None, folder.identity(), root / "manifest")
    wanted = known[-1] if version is None else Version.of(version)
    if wanted is None or wanted not in known:
        there = ", ".join(map(str, known)) or "none yet (capture release)"
        raise BadInput(f"{root}: has no release {version}; it has: {there}")
    return Snapshot(root, wanted, folder.identity(), root / RELEASES / str(wanted))


def release_facts(found: Snapshot) -> dict[str, Any]:
    """The content of the release's release.json; empty where there is no release.

    Raises DamagedData.
    """
    if found.version is None:
        return {}
    path = found.folder / FACTS
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DamagedData(f"{path}: cannot be read: {error}") from None
