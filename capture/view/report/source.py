"""Where a report's facts are from: the ledger, or the tables of a version of the dataset.

The ledger knows more: what is planned and not captured, what was rejected, what was withdrawn. A
copy that was given to a stranger has no ledger, and a release is what it was when it was made: then
the tables are read, column by column.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from capture.dataset import manifest
from capture.dataset.columns import CHECKS
from capture.dataset.folder import LOST, Folder
from capture.dataset.snapshot import Snapshot, release_facts, snapshot
from capture.documents import read
from capture.model import CheckLimits, Control, base_name
from capture.plan.spec import PlanSpec
from capture.records import TakeRecord
from capture.run import begun, outstanding
from capture.run.ledger import NAME, Ledger

Row = dict[str, Any]

TAKES = (
    "take_id", "song_id", "setting_id", "session_id", "split", "setting_split", "superseded_by",
    "fingerprint_verdict", "sample_rate_hz", "num_frames", "cv_volts_per_fs", "gain_db_per_fs",
    "gain_db_at_zero", "cv_min_v", "cv_max_v", "cv_mean_v", "captured_at", "attempts",
    "peak_left_dbfs", "peak_right_dbfs", "rms_left_dbfs", "rms_right_dbfs",
    *(f"check_{name}{end}" for name in CHECKS for end in ("", "_verdict")),
)  # fmt: skip
"""The columns of the takes that a report needs, besides those of the setting."""


@dataclass(frozen=True, slots=True)
class Ledgered:
    """What only the ledger knows. ``missing_songs`` and ``missing_settings``: how many takes of
    each are planned and not captured. ``withdrawn``, ``superseded``: by reason. ``lost``: files in
    ``lost+found/``."""

    planned: int
    missing: dict[str, int]
    missing_songs: dict[str, int]
    missing_settings: dict[str, int]
    rejected: tuple[TakeRecord, ...]
    impossible: dict[str, str]
    withdrawn: dict[str, int]
    superseded: dict[str, int]
    lost: int


class Source(Protocol):
    """``identity`` is dataset.json, ``what`` says which state of the dataset this is, ``controls``
    names the setting's columns in panel order. ``limits`` and ``missing`` (how many takes, by
    reason) are None where they are not known, ``ledger`` where there is none."""

    @property
    def identity(self) -> dict[str, Any]: ...
    @property
    def what(self) -> str: ...
    @property
    def controls(self) -> tuple[str, ...]: ...
    @property
    def limits(self) -> CheckLimits | None: ...
    @property
    def missing(self) -> dict[str, int] | None: ...
    @property
    def ledger(self) -> Ledgered | None: ...

    def rows(self, table: str) -> list[Row]:
        """A whole table: small ones."""
        ...

    def takes(self) -> Iterator[Row]:
        """The columns ``TAKES`` and ``controls`` of each take that was not recorded again."""
        ...


@contextlib.contextmanager
def opened(root: Path, release: str | None) -> Generator[Source]:
    """What is captured by now, by its ledger; else the ``release``, or the newest one.

    Raises BadInput: no dataset, no such release. DamagedData.
    """
    Folder(root).require()
    if release is not None or not (root / NAME).is_file():
        yield _Tables(snapshot(root, release))
        return
    ledger = Ledger.read(root)
    try:
        yield _Ledger(root, ledger)
    finally:
        ledger.close()


class _Tables:
    """One version of a dataset, as its tables say."""

    ledger = None

    def __init__(self, found: Snapshot) -> None:
        self._found = found
        self.identity = found.identity
        self.what = (
            "what is captured so far" if found.version is None else f"release {found.version}"
        )
        self.controls = tuple(found.controls)
        missing = release_facts(found).get("missing")
        self.missing: dict[str, int] | None = missing["by_reason"] if missing else None
        self.limits = _limits(found.root if found.version is None else found.folder)

    def rows(self, table: str) -> list[Row]:
        if not (self._found.folder / f"{table}.parquet").is_file():
            return []  # datasets of an older version have fewer tables
        return list(self._found.rows(table))

    def takes(self) -> Iterator[Row]:
        return self._found.rows("takes", [*TAKES, *self.controls])


class _Ledger:
    """What is captured by now."""

    def __init__(self, root: Path, ledger: Ledger) -> None:
        plan, rig = begun.plan_and_rig(ledger)
        self.identity = Folder(root).identity()
        self.what = "what is captured by now, from the ledger"
        self.controls = tuple(_columns(rig.control_values))
        self.limits: CheckLimits | None = plan.checks
        self.ledger: Ledgered | None = _ledgered(root, ledger)
        self.missing: dict[str, int] | None = self.ledger.missing
        self._tables = manifest.of_ledger(ledger, rig.control_values)

    def rows(self, table: str) -> list[Row]:
        columns, rows = self._tables[table]
        return [{name: row.get(name) for name in columns} for row in rows]

    def takes(self) -> Iterator[Row]:
        rows = self._tables["takes"][1]
        return (row for row in rows if row.get("superseded_by") is None)


def _columns(controls: Sequence[Control]) -> Iterator[str]:
    for control in controls:
        yield from (
            name for name in manifest.control_columns([control]) if "_read_back" not in name
        )


def _limits(folder: Path) -> CheckLimits | None:
    """Of the plan that lies there; None where there is none that can be read."""
    path = folder / "plan.yaml"
    try:
        return read(path.read_text("utf-8"), str(path)).check(PlanSpec).checks
    except OSError:
        return None


def _ledgered(root: Path, ledger: Ledger) -> Ledgered:
    status = ledger.statuses()
    songs: Counter[str] = Counter()
    settings: Counter[str] = Counter()
    takes = outstanding.planned(ledger)
    for take in takes:
        if status.get(take.take_id) != "captured":
            songs[take.song_id] += 1
            settings[take.setting.setting_id] += 1
    return Ledgered(
        planned=len(takes),
        missing=outstanding.missing(ledger).by_reason,
        missing_songs=dict(songs),
        missing_settings=dict(settings),
        rejected=tuple(ledger.rejected()),
        impossible=ledger.impossible(),
        withdrawn=ledger.withdrawn(),
        superseded=dict(Counter(old.reason for old in ledger.superseded())),
        lost=sum(path.is_file() for path in (root / LOST).rglob("*")),
    )


def base(control: str) -> str:
    """``release_s`` and ``release_auto`` are columns of one control."""
    return base_name(control.removesuffix("_auto"))
