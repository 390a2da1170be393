"""A SQLite file of records, its refusals in words. What they mean is the ledger's business.

Each row keeps its record as JSON.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter

from capture.errors import DamagedData, NoRoom, StorageRefused
from capture.model import SongRecord
from capture.records import (
    AnchorRecord,
    CalibrationRecord,
    EnrolmentRecord,
    FingerprintRecord,
    LawRecord,
    ReleaseRecord,
    SessionRecord,
    TakeRecord,
    VisitRecord,
)
from capture.run.tables import SCHEMA_VERSION

Record = TypeVar(
    "Record", SongRecord, CalibrationRecord, LawRecord, AnchorRecord, EnrolmentRecord,
    FingerprintRecord, SessionRecord, TakeRecord, VisitRecord, ReleaseRecord,
)  # fmt: skip


@functools.cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class Database:
    """One connection. Raises DamagedData, NoRoom, StorageRefused."""

    def __init__(self, path: Path, mode: Literal["ro", "rw", "rwc"]) -> None:
        self.path = path
        self._database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=10,
        )

    def close(self) -> None:
        self._database.close()

    def _all(
        self, kind: type[Record], table: str, since: int = 2, *, own: bool = False
    ) -> list[Record]:
        """A table in the order in which it grew; a ledger older than ``since`` has none."""
        if self._version() < since:
            return []
        which = "WHERE number > 0 " if own else ""
        query = f"SELECT record FROM {table} {which}ORDER BY number"  # noqa: S608 constants
        return list(self._records(kind, query))

    def _records(self, kind: type[Record], query: str, *values: Any) -> Iterator[Record]:
        yield from self._parsed(kind, (text for (text,) in self._rows(query, *values)))

    def _parsed(self, kind: type[Record], texts: Iterable[str]) -> Iterator[Record]:
        adapter = _adapter(kind)
        for text in texts:
            try:
                yield adapter.validate_json(text)
            except ValueError as error:
                raise DamagedData(f"{self.path}: a row cannot be read: {error}") from None

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._guarded():
            return self._database.execute(query, values).fetchall()

    def _write(self, query: str, *values: Any) -> None:
        with self._guarded():
            self._database.execute(query, values)

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        with self._guarded():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    @contextlib.contextmanager
    def _guarded(self) -> Generator[None]:
        """SQLite's refusals, in words and with their exit codes."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                message = "another program holds the ledger; close it, then run again"
                raise StorageRefused(f"{self.path}: {message}") from error
            if any(word in str(error) for word in ("full", "readonly", "unable to open", "disk")):
                message = f"cannot be read or written ({error}); see to the disk, then run again"
                kind = NoRoom if "full" in str(error) else StorageRefused
                raise kind(f"{self.path}: {message}") from error
            raise DamagedData(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise DamagedData(f"{self.path}: is damaged: {error}") from error

    def _step(self, statements: str, version: int) -> None:
        """Brings the tables to ``version``: all of it, or nothing."""
        with self._transaction():
            for statement in statements.split(";")[:-1]:
                self._database.execute(statement)
            self._database.execute(f"PRAGMA user_version={version}")

    def _version(self) -> int:
        return int(self._rows("PRAGMA user_version")[0][0])

    def _check_version(self) -> None:
        version = self._version()
        if version > SCHEMA_VERSION:
            raise DamagedData(
                f"{self.path}: was written by a newer version of capture (schema {version}; "
                f"this one knows {SCHEMA_VERSION}); update capture"
            )
        if version < 1:
            raise DamagedData(f"{self.path}: is no ledger of a dataset")


def text_of(record: object) -> str:
    return _adapter(type(record)).dump_json(record).decode()
