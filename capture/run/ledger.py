"""The session's memory, in SQLite: the only truth about what is captured.

A take is captured if and only if its row is here. The row is inserted in one transaction after
the files have reached the disk under their final names (docs/commit.md); a file without a row is
swept, a row without its file is damage.

``journal_mode=DELETE`` and ``synchronous=EXTRA``: a commit that returned survives power loss, and
the folder holds one database file at rest. One connection writes; the file lock sees to that.

Each row keeps its record as JSON; the columns beside it are copies to search by.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from capture.errors import DamagedData
from capture.model import REVISION, SongRecord, Split
from capture.records import (
    AnchorRecord,
    LawRecord,
    ReleaseRecord,
    Superseded,
    TakeRecord,
)
from capture.run.database import text_of
from capture.run.measured import Measured
from capture.run.tables import ASKED, MEASURED, SCHEMA, SCHEMA_VERSION, UPGRADES

NAME = "ledger.sqlite"
AT_ONCE = 256
"""Records of takes that are read by one query: some 2 MB."""


class Ledger(Measured):
    """Use ``Ledger.open`` or ``Ledger.read``; close it when done."""

    @staticmethod
    def open(folder: Path) -> Ledger:
        """The ledger of a dataset, for its one writer; created if there is none.

        Raises DamagedData if it is no ledger, StorageRefused if it cannot be written.
        """
        ledger = Ledger(folder / NAME, "rwc")
        with ledger._guarded():
            ledger._database.execute("PRAGMA journal_mode=DELETE")
            ledger._database.execute("PRAGMA synchronous=EXTRA")
            empty = ledger._version() == 0 and not ledger._rows("SELECT 1 FROM sqlite_master")
            if empty:
                ledger._step(SCHEMA, 1)
            ledger._check_version()
            for version in range(ledger._version(), SCHEMA_VERSION):
                ledger._step(UPGRADES[version], version + 1)
        return ledger

    @staticmethod
    def read(folder: Path) -> Ledger:
        """The ledger of a dataset, read only; a run may be writing it meanwhile.

        What a crash left half committed is rolled back by whoever opens the ledger next, which
        SQLite does only where it may write; no statement of this connection can.
        Raises DamagedData if it is missing or no ledger.
        """
        path = folder / NAME
        if not path.is_file():
            raise DamagedData(f"{path}: is missing; without it nothing in this folder is known")
        ledger = Ledger(path, "rw" if os.access(path, os.W_OK) else "ro")
        with ledger._guarded():
            ledger._database.execute("PRAGMA query_only=1")
        ledger._check_version()
        return ledger

    # Facts and documents ----------------------------------------------------------------------

    def fact(self, name: str) -> str | None:
        rows = self._rows("SELECT value FROM facts WHERE name = ?", name)
        return rows[0][0] if rows else None

    def set_fact(self, name: str, value: str) -> None:
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, value)

    def add_document(self, sha256: str, kind: str, text: str) -> None:
        """Keeps every plan and rig that the dataset was ever recorded by."""
        self._write("INSERT OR IGNORE INTO documents VALUES (?, ?, ?)", sha256, kind, text)

    def current(self, kind: str) -> str | None:
        """The plan or the rig that the dataset is recorded by; None before it is begun."""
        sha256 = self.fact(f"{kind}_sha256")
        return self.document(sha256) if sha256 else None

    def document(self, sha256: str) -> str | None:
        """A plan or a rig that takes were recorded by."""
        rows = self._rows("SELECT text FROM documents WHERE sha256 = ?", sha256)
        return rows[0][0] if rows else None

    def restart(self, kept: Sequence[AnchorRecord] = (), *, measured: bool = True) -> None:
        """Forgets songs and facts of a dataset that has no take yet; and what was ``measured``.

        Of the anchors ``kept`` stay: what a person measured is not asked for twice.
        """
        with self._transaction():
            for table in (*ASKED, *MEASURED) if measured else (*ASKED, "anchors"):
                self._write(f"DELETE FROM {table}")  # noqa: S608 a constant
            self._add_anchors(kept)

    # Songs ------------------------------------------------------------------------------------

    def add_song(self, record: SongRecord) -> None:
        self._write(
            "INSERT INTO songs (song_id, record) VALUES (?, ?)", record.song_id, text_of(record)
        )

    def songs(self) -> list[SongRecord]:
        """In the order in which they were added."""
        return list(self._records(SongRecord, "SELECT record FROM songs ORDER BY number"))

    def set_splits(self, splits: dict[str, Split]) -> None:
        with self._transaction():
            for song, split in splits.items():
                self._write("UPDATE songs SET split = ? WHERE song_id = ?", split, song)

    def splits(self) -> dict[str, Split]:
        return dict(self._rows("SELECT song_id, split FROM songs WHERE split IS NOT NULL"))

    # What takes a law voids, and what a person withdraws --------------------------------------

    def add_law(self, record: LawRecord, void: Sequence[str] = ()) -> None:
        """Keeps a law, and withdraws the takes ``void`` that it shows to be wrong: all at once.

        A withdrawn take has no row in ``takes``, and so is to be recorded again; its record stays.
        """
        with self._transaction():
            self._write(
                "INSERT INTO laws (law_id, record) VALUES (?, ?)", record.law_id, text_of(record)
            )
            if void:
                moved = f"{record.drift_db:.4g} dB, its levels by {record.level_drift_db or 0:.4g}"
                self._withdraw(void, f"the law {record.law_id} differs by {moved} dB")

    def withdraw(self, take_ids: Sequence[str], reason: str, *, damaged: bool = False) -> list[str]:
        """Takes the rows of takes back, all at once: they are to be recorded again.

        A take that is in a release is not taken back but superseded: the release has it still, and
        its files stay, unless they are ``damaged``. Returns the names of the files that are
        nobody's now.
        """
        released = self._released()
        gone = [
            record
            for take_id in take_ids
            for record in self._records(
                TakeRecord, "SELECT record FROM takes WHERE take_id = ?", take_id
            )
        ]
        with self._transaction():
            self._withdraw(take_ids, reason, damaged=damaged)
        files = (
            (take.output_file, take.cv_file, take.markers_file)
            for take in gone
            if damaged or take.take_id not in released
        )
        return [name for names in files for name in names if name]

    def _withdraw(self, take_ids: Sequence[str], reason: str, *, damaged: bool = False) -> None:
        for take_id in take_ids:
            self._write(
                "INSERT INTO superseded (take_id, added_in, reason, damaged, record) "
                "SELECT take_id, added_in, ?, ?, record FROM takes "
                "WHERE take_id = ? AND added_in IS NOT NULL",
                reason,
                damaged,
                take_id,
            )
            self._write(
                "INSERT INTO withdrawn (take_id, reason, record) "
                "SELECT take_id, ?, record FROM takes WHERE take_id = ? AND added_in IS NULL",
                reason,
                take_id,
            )
            self._write("DELETE FROM takes WHERE take_id = ?", take_id)

    def takes_since(self, law_id: str) -> list[str]:
        """The ids of the takes that stand on a law."""
        rows = self._rows(
            "SELECT take_id FROM takes WHERE json_extract(record, '$.calibration_id') IN "
            "(SELECT json_extract(record, '$.calibration_id') FROM calibrations "
            "WHERE json_extract(record, '$.law_id') = ?)",
            law_id,
        )
        return [take_id for (take_id,) in rows]

    def withdrawals(self, take_id: str) -> int:
        """How often a take was withdrawn."""
        return int(self._rows("SELECT COUNT(*) FROM withdrawn WHERE take_id = ?", take_id)[0][0])

    def withdrawn(self) -> dict[str, int]:
        """How many takes were withdrawn for each reason."""
        rows = self._rows("SELECT reason, COUNT(*) FROM withdrawn GROUP BY reason ORDER BY reason")
        return dict(rows)

    # Releases ---------------------------------------------------------------------------------

    def add_release(self, record: ReleaseRecord) -> None:
        """The commit point of a release of all that is captured."""
        with self._transaction():
            self._write(
                "INSERT INTO releases (version, record) VALUES (?, ?)",
                record.version,
                text_of(record),
            )
            self._write(
                "UPDATE takes SET added_in = ? WHERE status = 'captured' AND added_in IS NULL",
                record.version,
            )

    def releases(self) -> list[ReleaseRecord]:
        """In the order in which they were made."""
        return self._all(ReleaseRecord, "releases", since=4)

    def added_in(self) -> dict[str, str]:
        """The release that first had it, of each take that is in one; superseded ones too."""
        return {**self._released(), **{s.take.take_id: s.added_in for s in self.superseded()}}

    def _released(self) -> dict[str, str]:
        if self._version() < 4:
            return {}
        return dict(self._rows("SELECT take_id, added_in FROM takes WHERE added_in IS NOT NULL"))

    def superseded(self) -> list[Superseded]:
        """The takes of releases that are recorded again, in the order in which that was decided."""
        if self._version() < 4:
            return []
        rows = self._rows(
            "SELECT take_id, added_in, reason, damaged FROM superseded ORDER BY number"
        )
        takes = self._records(TakeRecord, "SELECT record FROM superseded ORDER BY number")
        return [
            Superseded(take, added_in, reason, bool(damaged))
            for take, (_, added_in, reason, damaged) in zip(takes, rows, strict=True)
        ]

    def revisions(self) -> dict[tuple[str, str, int], int]:
        """How often each planned take was superseded, by song, setting and planned repeat."""
        found: dict[tuple[str, str, int], int] = {}
        for old in self.superseded():
            revision, repeat = divmod(old.take.repeat, REVISION)
            key = (old.take.song_id, old.take.setting_id, repeat)
            found[key] = max(found.get(key, 0), revision + 1)
        return found

    # Takes ------------------------------------------------------------------------------------

    def commit_take(self, record: TakeRecord) -> None:
        """The commit point: when this returns, the take is captured (or rejected) for good."""
        self._write(
            "INSERT INTO takes (take_id, status, song_id, setting_id, repeat, num_frames, record) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            record.take_id,
            record.status,
            record.song_id,
            record.setting_id,
            record.repeat,
            record.num_frames,
            text_of(record),
        )

    def statuses(self) -> dict[str, str]:
        """``captured`` or ``rejected``, by take."""
        return dict(self._rows("SELECT take_id, status FROM takes"))

    # Merging ----------------------------------------------------------------------------------

    def adopt_take(self, record: TakeRecord) -> None:
        """The commit point of a take of another rack."""
        with self._transaction():
            self._write("DELETE FROM takes WHERE take_id = ?", record.take_id)  # rejected here
            self.commit_take(record)
            self._write(
                "UPDATE takes SET number = (SELECT MIN(0, MIN(number)) - 1 FROM takes) "
                "WHERE take_id = ?",
                record.take_id,
            )

    def take_ids(self) -> set[str]:
        """The takes that need no recording: captured or rejected."""
        return {row[0] for row in self._rows("SELECT take_id FROM takes")}

    def take_files(self) -> dict[str, int | None]:
        """Every file of every take, and its size where that is known; no record is read whole."""
        rows = self._rows(
            "SELECT json_extract(record, '$.output_file', '$.output_bytes', '$.cv_file', "
            "'$.cv_bytes', '$.markers_file', '$.markers_bytes') FROM takes"
        )
        found: dict[str, int | None] = {}
        for (text,) in rows:
            output, output_bytes, cv, cv_bytes, markers, markers_bytes = json.loads(text)
            found[output], found[cv] = output_bytes, cv_bytes
            if markers is not None:
                found[markers] = markers_bytes
        return found

    def takes(self) -> Iterator[TakeRecord]:
        """In a fixed order that does not depend on when each was recorded.

        Read some at a time: a query that stays open keeps a run that goes on from committing.
        """
        numbers = self._rows("SELECT number FROM takes ORDER BY setting_id, song_id, repeat")
        yield from self._takes([number for (number,) in numbers])

    def _takes(self, numbers: Sequence[int]) -> Iterator[TakeRecord]:
        """The takes of these rows that are still there, in this order."""
        for at in range(0, len(numbers), AT_ONCE):
            some = numbers[at : at + AT_ONCE]
            marks = ", ".join("?" * len(some))
            query = f"SELECT number, record FROM takes WHERE number IN ({marks})"  # noqa: S608 marks
            found = dict(self._rows(query, *some))
            yield from self._parsed(TakeRecord, (found[n] for n in some if n in found))

    def takes_by_visit(self) -> Iterator[TakeRecord]:
        """The captured takes as their settings were proven; first the superseded that are whole."""
        proofs = "SELECT fingerprint_id FROM fingerprints ORDER BY number"
        rows = self._rows(proofs) if self._version() >= 2 else []
        places = {name: place for place, (name,) in enumerate(rows)}
        old = [one.take for one in self.superseded() if not one.damaged]
        yield from sorted(old, key=lambda take: places.get(take.fingerprint_id or "", -1))
        numbers = self._rows(
            "SELECT number, json_extract(record, '$.fingerprint_id') FROM takes "
            "WHERE status = 'captured'"
        )
        ordered = sorted(numbers, key=lambda row: (places.get(row[1], -1), row[0]))
        yield from self._takes([number for number, _ in ordered])

    def settings_captured(self) -> list[tuple[TakeRecord, int]]:
        """Of every setting that has captured takes: one of them, planned if any is, and how many.

        In the order of their ids. SQLite takes a row's other columns from where the minimum is.
        """
        rows = self._rows(
            "SELECT number, COUNT(*), MIN(repeat % ?) FROM takes WHERE status = 'captured' "
            "GROUP BY setting_id ORDER BY setting_id",
            REVISION,
        )
        query = "SELECT record FROM takes WHERE number = ?"
        return [
            (take, count)
            for number, count, _ in rows
            for take in self._records(TakeRecord, query, number)
        ]

    def songs_played(self) -> set[str]:
        """The songs that have captured takes."""
        rows = self._rows("SELECT DISTINCT song_id FROM takes WHERE status = 'captured'")
        return {song_id for (song_id,) in rows}

    def references(self) -> Iterator[TakeRecord]:
        """This rack's captured takes of the reference, in the order in which they were captured."""
        return self._records(
            TakeRecord,
            "SELECT record FROM takes WHERE number > 0 AND repeat % ? > 1 "
            "AND status = 'captured' ORDER BY number",
            REVISION,
        )

    def rejected(self) -> Iterator[TakeRecord]:
        """The takes that failed their checks every time; no other row is read."""
        return self._records(
            TakeRecord, "SELECT record FROM takes WHERE status = 'rejected' ORDER BY number"
        )

    def count(self) -> dict[str, tuple[int, int]]:
        """Takes and frames by status."""
        rows = self._rows("SELECT status, COUNT(*), SUM(num_frames) FROM takes GROUP BY status")
        return {status: (takes, frames) for status, takes, frames in rows}
