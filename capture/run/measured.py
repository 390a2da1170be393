"""The ledger's rows of what was measured of the rack, of its visits and its sessions.

Rows of merged datasets have numbers below 0: they come before this rack's own, and never hold for
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from capture.records import (
    AnchorRecord,
    CalibrationRecord,
    EnrolmentRecord,
    FingerprintRecord,
    LawRecord,
    SessionRecord,
    VisitRecord,
    utc_now,
)
from capture.run.database import Database, text_of
from capture.run.tables import ADOPTED


class Measured(Database):
    """Part of ``Ledger``. Whatever has an id made from content is kept once."""

    def add_calibration(self, record: CalibrationRecord) -> None:
        """Ids are made from content: the same facts measured again are the same calibration."""
        self._write(
            "INSERT OR IGNORE INTO calibrations (calibration_id, record) VALUES (?, ?)",
            record.calibration_id,
            text_of(record),
        )

    def calibrations(self) -> list[CalibrationRecord]:
        return list(
            self._records(CalibrationRecord, "SELECT record FROM calibrations ORDER BY number")
        )

    def laws(self, *, own: bool = False) -> list[LawRecord]:
        """In the order in which they were measured. ``own``: without those of merged datasets."""
        return self._all(LawRecord, "laws", own=own)

    def add_anchors(self, records: Sequence[AnchorRecord]) -> None:
        with self._transaction():
            self._add_anchors(records)

    def _add_anchors(self, records: Sequence[AnchorRecord]) -> None:
        for record in records:
            self._write("INSERT INTO anchors (record) VALUES (?)", text_of(record))

    def anchors(self, *, own: bool = True) -> list[AnchorRecord]:
        """In the order in which they became known; run/levels.py says which hold.

        Those of merged datasets are of other racks: they come first where ``own`` is false.
        """
        return self._all(AnchorRecord, "anchors", own=own)

    def add_enrolment(self, record: EnrolmentRecord) -> None:
        self._write(
            "INSERT OR IGNORE INTO enrolments (enrolment_id, record) VALUES (?, ?)",
            record.enrolment_id,
            text_of(record),
        )

    def enrolments(self, *, own: bool = False) -> list[EnrolmentRecord]:
        """In the order in which they were made; the last one holds. ``own``: as with laws."""
        return self._all(EnrolmentRecord, "enrolments", own=own)

    def add_fingerprint(self, record: FingerprintRecord) -> None:
        self._write(
            "INSERT OR IGNORE INTO fingerprints (fingerprint_id, record) VALUES (?, ?)",
            record.fingerprint_id,
            text_of(record),
        )

    def fingerprints(self) -> list[FingerprintRecord]:
        """In the order in which they were taken."""
        return self._all(FingerprintRecord, "fingerprints")

    def add_impossible(self, setting_id: str, reason: str) -> None:
        """A person says that the knobs cannot be set so: its takes are not recorded."""
        self._write(
            "INSERT OR REPLACE INTO impossible (setting_id, reason, said_at) VALUES (?, ?, ?)",
            setting_id,
            reason,
            utc_now(),
        )

    def impossible(self) -> dict[str, str]:
        """The reason for each setting that cannot be set, by its id."""
        if self._version() < 3:
            return {}
        return dict(self._rows("SELECT setting_id, reason FROM impossible ORDER BY setting_id"))

    def ask_again(self) -> None:
        """Forgets what was called impossible."""
        self._write("DELETE FROM impossible")

    def add_visit(self, record: VisitRecord) -> None:
        self._write("INSERT INTO visits (record) VALUES (?)", text_of(record))

    def visits(self) -> Iterator[VisitRecord]:
        """Every time that knobs were set, in order."""
        if self._version() >= 3:
            yield from self._records(VisitRecord, "SELECT record FROM visits ORDER BY number")

    def put_session(self, record: SessionRecord) -> None:
        self._write(
            "INSERT INTO sessions (session_id, record) VALUES (?, ?) "
            "ON CONFLICT (session_id) DO UPDATE SET record = excluded.record",
            record.session_id,
            text_of(record),
        )

    def sessions(self) -> list[SessionRecord]:
        return list(self._records(SessionRecord, "SELECT record FROM sessions ORDER BY number"))

    def adopt(self, other: Measured) -> None:
        """Takes over what another rack measured, all at once; what is here already stays.

        Its rows get numbers below 0: they come before this rack's own, and never hold for it.
        """
        documents = other._rows("SELECT sha256, kind, text FROM documents")
        with self._transaction():
            for values in documents:
                self._write("INSERT OR IGNORE INTO documents VALUES (?, ?, ?)", *values)
            for table, key in ADOPTED.items():
                names = f"{key}, record" if key else "record"
                rows = other._rows(f"SELECT {names} FROM {table} ORDER BY number DESC")  # noqa: S608
                known = {text for (text,) in self._rows(f"SELECT record FROM {table}")}  # noqa: S608
                for values in rows:
                    if values[-1] not in known:
                        marks = ", ".join("?" * len(values))
                        self._write(
                            f"INSERT OR IGNORE INTO {table} (number, {names}) "  # noqa: S608
                            f"VALUES ((SELECT MIN(0, IFNULL(MIN(number), 0)) - 1 FROM {table}), "
                            f"{marks})",
                            *values,
                        )
